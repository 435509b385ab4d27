"""What a host does by itself to a virtual router's interface and links, from the kernel's own messages."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import select
import socket
import struct
from collections.abc import Collection, Iterator
from ipaddress import IPv4Interface, IPv6Interface
from types import TracebackType
from typing import Self

from vrrplib.backends.base import ExpectedLink, HostChange, HostChangeKind, NetBackend, Watch
from vrrplib.backends.netlink_socket import HEADER, NetlinkSocket, split_messages
from vrrplib.backends.netlink_tables import Tables
from vrrplib.errors import BackendError, ConfigError
from vrrplib.namespaces import Namespace, hold, run_in
from vrrplib.wire.addresses import IPInterface, MacAddress

MOST_MESSAGES_PER_READ, MOST_AT_FIRST = 64, 1 << 14
"""Of the kernel, for one call of :meth:`NetlinkWatch.read`; what is left is read by the next. At the start nobody
is Active yet, and whether there is a carrier must be known: then it may take longer."""
_RECEIVE_BUFFER = 1 << 22  # a thousand and more messages: 255 virtual routers become Active at once
_LONGEST_MESSAGE = 1 << 16

# <linux/rtnetlink.h>, <linux/if_link.h>, <linux/if.h>; the socket module lacks them
_NEWLINK, _DELLINK, _GETLINK, _NEWADDR, _DELADDR, _GETADDR = 16, 17, 18, 20, 21, 22
_REQUEST, _DUMP = 0x1, 0x300
_LINK_GROUP, _IPV4_ADDRESS_GROUP, _IPV6_ADDRESS_GROUP = 0x1, 0x10, 0x100
_LINK, _ADDRESS = struct.Struct("=BxHiII"), struct.Struct("=BBBBi")
_ATTRIBUTE = struct.Struct("=HH")
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_NEW_NETNSID = 1, 3, 45
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_SO_RCVBUFFORCE = 33
_IFLA_EXT_MASK, _SKIP_STATISTICS = 29, 8
_ALL_LINKS = (
    HEADER.pack(HEADER.size + _LINK.size + 8, _GETLINK, _REQUEST | _DUMP, 0, 0)
    + bytes(_LINK.size)
    + struct.pack("=HHI", 8, _IFLA_EXT_MASK, _SKIP_STATISTICS)  # which are most of what it tells of a link
)
_ALL_ADDRESSES = HEADER.pack(HEADER.size + _ADDRESS.size, _GETADDR, _REQUEST | _DUMP, 0, 0) + bytes(_ADDRESS.size)


@dataclasses.dataclass(slots=True)
class _Link:
    """A link as the kernel last told it."""

    name: str
    flags: int
    mac: bytes
    addresses: set[IPInterface] = dataclasses.field(default_factory=set)


@dataclasses.dataclass(frozen=True, slots=True)
class _Parent:
    """What was last told of the interface."""

    index: int
    name: str
    mac: bytes
    state: HostChangeKind = HostChangeKind.PARENT_UP


class NetlinkWatch(Watch):
    """Watches ``interface`` and what the backends of its Node expect; give it to the Node, and close it at the end.

    It compares the host with what the backends expect just now, and only when it has read all that the kernel said:
    so it neither takes what they did for somebody else's doing, nor tells of what was undone meanwhile. Where
    messages were lost (ENOBUFS), and before it tells of anything, it reads the host anew. Once a backend expects
    nftables tables it watches these too, where the kernel lets it.

    ``netns`` is the interface's namespace, as for :func:`vrrplib.namespaces.run_in`. BackendError if there is no
    such interface. Needs no privilege, but for the tables CAP_NET_ADMIN. Also a context manager.
    """

    def __init__(self, interface: str, *, netns: Namespace = None) -> None:
        if not isinstance(interface, str) or not interface:
            raise ConfigError(f"interface must be the name of a network interface, not {interface!r}")
        self._backends: list[NetBackend] = []
        self._links: dict[int, _Link] = {}
        self._own_indexes: dict[str, int] = {}  # of the backends' links, by the names that these should have
        self._moved: set[int] = set()
        self._is_stale = self._is_due = True
        self._most = MOST_AT_FIRST
        self._parent = _Parent(0, interface, b"")
        self._tables: Tables | None = None
        self._may_ask_for_tables = True  # until the kernel refuses
        self._closing = contextlib.ExitStack()
        try:
            # the same namespace later: its name or process may be another one's by then
            self._netns = netns if netns is None else hold(netns)
            if self._netns is not None:
                self._closing.callback(os.close, self._netns)
            self._asking = self._closing.enter_context(contextlib.closing(run_in(netns, NetlinkSocket)))
            self._told = self._closing.enter_context(contextlib.closing(run_in(netns, _subscribe)))
            self._readable = self._closing.enter_context(select.epoll())  # one descriptor for one socket or two
            self._readable.register(self._told.fileno(), select.EPOLLIN)
            self._read_host()
            index = self._indexes().get(interface)
            if index is None:
                raise BackendError(f"no interface is named {interface!r}: see `ip link`", operation="watch")
        except BaseException:
            self.close()
            raise
        self._parent = _Parent(index, interface, self._links[index].mac)

    def follow(self, backend: NetBackend) -> None:
        self._backends.append(backend)
        self._is_stale = True

    def forget(self, backend: NetBackend) -> None:
        self._backends = [other for other in self._backends if other is not backend]

    def fileno(self) -> int:
        """Readable when the kernel has said something; -1 after :meth:`close`."""
        return -1 if self._readable.closed else self._readable.fileno()

    def read(self) -> tuple[HostChange, ...]:
        changes = self._read_links()
        return (*changes, *self._read_tables([change.backend for change in changes if change.backend]))

    def _read_links(self) -> tuple[HostChange, ...]:
        if not self._drain() or ((is_stale := self._is_stale) and not self._refresh()):
            return ()  # what is true now is not known yet
        if not self._is_due:
            return ()
        changes, parent = self._compare()
        if changes and not is_stale:  # make sure: of a link that was adopted nothing was ever told
            if not self._refresh():
                return ()
            changes, parent = self._compare()
        self._most = MOST_MESSAGES_PER_READ
        self._is_due = parent.index != self._parent.index  # another of this name: what is on it is made anew first
        self._parent = parent
        self._own_indexes |= {name: index for name, index in self._indexes().items() if name != parent.name}
        if self._tables is None and any(backend.expected_tables() for backend in self._backends):
            self._open_tables()
        return tuple(changes)

    def _open_tables(self) -> None:
        if self._may_ask_for_tables:
            try:
                self._tables = self._closing.enter_context(contextlib.closing(run_in(self._netns, Tables)))
                self._readable.register(self._tables.fileno(), select.EPOLLIN)
            except (OSError, BackendError):  # not permitted, or no nftables in this kernel
                self._may_ask_for_tables = False

    def _read_tables(self, told_of: Collection[NetBackend]) -> tuple[HostChange, ...]:
        """What is missing, but for backends in ``told_of``, of which all is repaired."""
        if self._tables is None or not self._tables.may_have_gone():
            return ()
        try:
            there = self._tables.there()
        except OSError as error:
            if error.errno == errno.EPERM:
                self._tables.close()
                self._tables, self._may_ask_for_tables = None, False
            return ()
        if there is None:
            return ()
        changes = []
        for backend in self._backends:
            missing = [f"table {' '.join(table)}" for table in backend.expected_tables() if table not in there]
            if missing and backend not in told_of:
                message = f"{' and '.join(missing)} {'was' if len(missing) == 1 else 'were'} removed"
                changes.append(HostChange(HostChangeKind.FILTER_LOST, message, backend=backend))
        return tuple(changes)

    def close(self) -> None:
        """Close the sockets; may be called again."""
        self._tables = None
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what the kernel says --

    def _drain(self) -> bool:
        """Read up to a bound; whether nothing is left."""
        names: frozenset[str] | None = None
        for _ in range(self._most):
            try:
                data = self._told.recv(_LONGEST_MESSAGE)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    return True  # empty, or closed
                self._is_stale = True
                continue
            names = self._names() if names is None else names
            for kind, _, _, message in split_messages(data):
                self._note(kind, message, names)
        return False

    def _refresh(self) -> bool:
        """Read the host anew, and what was said meanwhile; whether all of it was read."""
        self._is_stale = False
        try:
            self._read_host()
        except OSError:
            self._is_stale = True
            return False
        return self._drain() and not self._is_stale

    def _read_host(self) -> None:
        self._is_due = True
        names = self._names()
        self._links.clear()
        for request in (_ALL_LINKS, _ALL_ADDRESSES):
            for message in self._asking.answers(request):
                self._note(struct.unpack_from("=H", message, 4)[0], message, names)

    def _names(self) -> frozenset[str]:
        """Of the links that matter."""
        own = (link.name for backend in self._backends for link in backend.expected() if link.name)
        return frozenset((self._parent.name, *own))

    def _note(self, kind: int, message: bytes, names: frozenset[str]) -> None:
        if kind in (_NEWLINK, _DELLINK):
            family, _, index, flags, _ = _LINK.unpack_from(message, HEADER.size)
            if family:  # a bridge's, of a port: one that leaves the bridge is not gone
                return
            if kind == _DELLINK:
                self._note_gone(index, message)
            else:
                self._note_link(index, flags, message, names)
        elif kind in (_NEWADDR, _DELADDR):
            family, length, _, _, index = _ADDRESS.unpack_from(message, HEADER.size)
            if link := self._links.get(index):
                self._is_due = True
                change = link.addresses.add if kind == _NEWADDR else link.addresses.discard
                change(_address(family, length, message))

    def _note_gone(self, index: int, message: bytes) -> None:
        if self._links.pop(index, None) is not None:
            self._is_due = True
        elif index != self._parent.index and not self._is_own(index):
            return
        moved = any(kind == _IFLA_NEW_NETNSID for kind, _ in _attributes(message, _LINK))
        (self._moved.add if moved else self._moved.discard)(index)

    def _note_link(self, index: int, flags: int, message: bytes, names: frozenset[str]) -> None:
        link = self._links.get(index)
        name, mac = "", b""
        for kind, value in _attributes(message, _LINK):
            if kind == _IFLA_IFNAME:  # comes first
                name = value.rstrip(b"\0").decode(errors="surrogateescape")
                if not (link or name in names or index == self._parent.index or self._is_own(index)):
                    return
            elif kind == _IFLA_ADDRESS:
                mac = value
                break
        if link is None:
            link = self._links[index] = _Link(name, flags, mac)
        link.name, link.flags, link.mac = name or link.name, flags, mac or link.mac
        self._is_due = True

    def _is_own(self, index: int) -> bool:
        return index in self._own_indexes.values()

    # -- what it means --

    def _indexes(self) -> dict[str, int]:
        return {link.name: index for index, link in self._links.items()}

    def _compare(self) -> tuple[list[HostChange], _Parent]:
        """What is not as it was told or is expected, and what is now told of the parent."""
        changes, parent = self._compare_parent()
        if parent.state is HostChangeKind.PARENT_GONE or parent.index != self._parent.index:
            return changes, parent  # and everything on it is gone too
        indexes = self._indexes()
        link = self._links[parent.index]
        expected_macs = set()
        complaints: list[HostChange] = []
        for backend in self._backends:
            for expected in backend.expected():
                if expected.name is None:
                    expected_macs.add(None if expected.mac is None else expected.mac.packed)
                    found: _Link | None = link
                else:
                    found = self._links.get(indexes.get(expected.name, 0))
                if fault := self._fault(backend, expected, found, parent.name):
                    complaints.append(fault)
                    break  # one is enough: all is repaired together
        is_complained_of = any(change.kind is HostChangeKind.MAC_CHANGED for change in complaints)
        if link.mac != parent.mac and link.mac not in expected_macs and not is_complained_of:
            old, new = (MacAddress(mac) for mac in (parent.mac, link.mac))
            message = f"{parent.name} has another MAC: {new}, not {old}"
            changes.append(HostChange(HostChangeKind.PARENT_MAC, message, str(new)))
            parent = dataclasses.replace(parent, mac=link.mac)
        return [*changes, *complaints], parent

    def _compare_parent(self) -> tuple[list[HostChange], _Parent]:
        parent = self._parent
        name = parent.name
        changes = []
        if parent.index not in self._links:
            if parent.state is not HostChangeKind.PARENT_GONE:
                parent = dataclasses.replace(parent, state=HostChangeKind.PARENT_GONE)
                changes.append(HostChange(parent.state, f"{name} {self._fate(parent.index)}"))
            index = self._indexes().get(name)
            if index is None:
                return changes, parent
            parent = dataclasses.replace(parent, index=index, mac=self._links[index].mac)
        link = self._links[parent.index]
        if link.name != name:
            message = f"{name} was renamed to {link.name}"
            changes.append(HostChange(HostChangeKind.PARENT_RENAMED, message, link.name))
        state, words = _state(link.flags)
        if state is not parent.state:
            changes.append(HostChange(state, f"{link.name} {words}"))
        return changes, dataclasses.replace(parent, name=link.name, state=state)

    def _fault(
        self, backend: NetBackend, expected: ExpectedLink, found: _Link | None, parent: str
    ) -> HostChange | None:
        name = expected.name or parent
        if found is None:
            index = self._own_indexes.get(name, 0)
            now = self._links[index].name if index in self._links else ""
            return HostChange(HostChangeKind.LINK_LOST, f"{name} {self._fate(index)}", now, backend)
        kind, words = None, ""
        missing = [str(address) for address in expected.addresses if address not in found.addresses]
        if expected.mac is not None and found.mac != expected.mac.packed:
            kind, words = HostChangeKind.MAC_CHANGED, f"has the MAC {MacAddress(found.mac)}, not {expected.mac}"
        elif expected.is_up and not found.flags & _IFF_UP:
            kind, words = HostChangeKind.LINK_DOWN, "was set down"
        elif missing:
            kind, words = HostChangeKind.ADDRESS_LOST, f"has lost {', '.join(missing)}"
        return None if kind is None else HostChange(kind, f"{name} {words}", backend=backend)

    def _fate(self, index: int) -> str:
        """What became of a link that is not there."""
        if link := self._links.get(index):
            return f"was renamed to {link.name}"
        return "was moved to another network namespace" if index in self._moved else "was removed"


def _state(flags: int) -> tuple[HostChangeKind, str]:
    if not flags & _IFF_UP:
        return HostChangeKind.PARENT_DOWN, "is down"
    if not flags & _IFF_RUNNING:  # no carrier, or no lower link that is up, or not authenticated (802.1X)
        return HostChangeKind.CARRIER_LOST, "has no carrier"
    return HostChangeKind.PARENT_UP, "is up"


def _subscribe() -> socket.socket:
    told = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    try:
        try:
            told.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        except OSError:  # not allowed: as much as net.core.rmem_max allows
            told.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        told.bind((0, _LINK_GROUP | _IPV4_ADDRESS_GROUP | _IPV6_ADDRESS_GROUP))
    except BaseException:
        told.close()
        raise
    return told


def _attributes(message: bytes, head: struct.Struct) -> Iterator[tuple[int, bytes]]:
    """Kind and value of each attribute behind the two heads."""
    at = HEADER.size + head.size
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind, message[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


def _address(family: int, length: int, message: bytes) -> IPInterface:
    found = dict(_attributes(message, _ADDRESS))
    if family == socket.AF_INET:  # of a point-to-point link, IFA_ADDRESS is the other end
        return IPv4Interface((found.get(_IFA_LOCAL) or found[_IFA_ADDRESS], length))
    return IPv6Interface((found.get(_IFA_LOCAL) or found[_IFA_ADDRESS], length))
