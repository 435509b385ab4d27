"""The kernel: :class:`NetlinkHost` does the operations of a plan by netlink and below /proc/sys.

The messages go over one socket of ours, many in one system call, because a takeover must not wait for one answer
after the other.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import pathlib
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar, cast

from vrrplib.backends import netlink_mac, netlink_removal
from vrrplib.backends.journal import FileJournal, JournalStore, Leftover, state_directory
from vrrplib.backends.netlink_calls import made_ready, one_after_the_other
from vrrplib.backends.netlink_errors import failure as _failure
from vrrplib.backends.netlink_filters import Filters
from vrrplib.backends.netlink_messages import encode, link_in, link_request
from vrrplib.backends.netlink_socket import NetlinkSocket
from vrrplib.backends.netlink_sysctls import read_sysctl, write_sysctls
from vrrplib.backends.operations import (
    AddEgressDrop,
    DeleteLink,
    Filter,
    Operation,
    RemoveAddress,
    SetLinkDown,
    SetMac,
    SetMacvlanMode,
    SetSysctl,
    SetToken,
)
from vrrplib.backends.plan import Claim, Link
from vrrplib.backends.stages import kind_of
from vrrplib.backends.upkeep import foreign
from vrrplib.errors import BackendError
from vrrplib.namespaces import Namespace, hold, run_in
from vrrplib.wire.addresses import Family, IPAddress, IPInterface, IPNetwork, MacAddress

T = TypeVar("T")


class NetlinkHost:
    """The kernel's network in one namespace; raises BackendError only.

    ``netns`` is the namespace, as for :func:`vrrplib.namespaces.run_in`; ``state_dir`` where the crash journal
    lies. One socket and a descriptor of the namespace, opened when they are first needed; one thread at a time.
    """

    def __init__(self, netns: Namespace = None, *, state_dir: str | os.PathLike[str] | None = None) -> None:
        self._netns = netns
        self._state_dir = state_directory(state_dir)
        self._socket: NetlinkSocket | None = None
        self._filters: Filters | None = None
        self._held: int | None = None
        self._left_alone: list[str] = []
        self._journals: JournalStore | None = None
        self._known: dict[object, Any] | None = None  # what was read, while nothing is changed

    def __del__(self) -> None:
        self.close()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        with self._store().together():
            self._known = {}
            try:
                yield
            finally:
                self._known = None

    def _once(self, key: object, read: Callable[[], T]) -> T:
        if self._known is None:
            return read()
        if key not in self._known:
            self._known[key] = read()
        return cast("T", self._known[key])

    def link(self, name: str | int) -> Link | None:
        return self._once(("link", name), lambda: next(map(link_in, self._found(name)), None))

    def _found(self, name: str | int) -> list[bytes]:
        try:
            return self._open().request(link_request(name))
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.ERANGE, errno.EINVAL):
                return []
            raise _failure(f"looking for {name}", error) from error

    def addresses(self, name: str) -> tuple[IPInterface, ...]:
        return self._once(("addresses", name), lambda: self._addresses(name))

    def _addresses(self, name: str) -> tuple[IPInterface, ...]:
        return tuple(address for address, _ in self._read(netlink_mac.addresses, name))

    def subnets(self, name: str) -> tuple[IPNetwork, ...]:
        return self._once(("subnets", name), lambda: self._subnets(name))

    def _subnets(self, name: str) -> tuple[IPNetwork, ...]:
        found = self._read(netlink_mac.addresses, name)
        own = [address.network for address, deprecated in found if not deprecated]
        return (*own, *self._read(netlink_mac.on_link_routes, name))

    def stacked(self, name: str) -> tuple[Link, ...]:
        found = self._once(("stacked", name), lambda: self._read(netlink_mac.stacked, name))
        return tuple(Link(its_name, 0, mac, kind) for its_name, kind, mac in found)

    def _read(self, reader: Callable[[NetlinkSocket, int], list[T]], name: str) -> list[T]:
        """What ``reader`` reads of an interface; nothing for one that is not there."""
        link = self.link(name)
        try:
            return reader(self._open(), link.index) if link else []
        except OSError as error:
            raise _failure(f"listing what belongs to {name}", error) from error

    def sysctl(self, path: str) -> str | None:
        return self._once(path, lambda: run_in(self._place(), functools.partial(read_sysctl, path)))

    def claim(self, claim: Claim) -> FileJournal:
        return self._store().claim(claim, self.perform)

    def leftovers(self, interface: str) -> tuple[Operation, ...]:
        with contextlib.suppress(BackendError):  # others may not read the journals
            return tuple(item for left in self.clean(interface, dry_run=True) for item in left.operations)
        return ()

    def perform(self, operations: Sequence[Operation]) -> None:
        runs = [operations] if all(isinstance(each, DeleteLink) for each in operations) else zip(operations)
        for run in runs:
            self.batch(run)()
            self._known = None if self._known is None else {}

    def batch(self, operations: Sequence[Operation]) -> Callable[[], None]:
        indexes: dict[str, int] = {}
        kind: type[Operation] | None = None
        steps: list[Callable[[], None]] = []
        messages: list[tuple[Operation, bytes]] = []
        filters: list[Filter] = []
        sysctls: list[SetSysctl] = []
        deletions: list[DeleteLink] = []

        def flush() -> None:
            if sysctls:
                steps.append(functools.partial(self._write, tuple(sysctls)))
                sysctls.clear()
            if deletions:
                steps.append(functools.partial(self._delete, tuple(deletions)))
                deletions.clear()
            if messages:
                steps.append(made_ready(tuple(messages), self._open))
                messages.clear()
            if filters:
                steps.append(self._nftables().ready(filters, functools.partial(self._index, indexes)))
                filters.clear()

        for operation in operations:
            if kind is not (kind := kind_of(operation)):
                flush()
            if isinstance(operation, Filter):
                if self._is_due(operation):
                    filters.append(operation)
            elif isinstance(operation, SetSysctl):
                sysctls.append(operation)
            elif isinstance(operation, DeleteLink):
                deletions.append(operation)
            elif isinstance(operation, SetMac | SetToken):
                flush()
                steps.append(functools.partial(self._if_due, operation))
            elif self._is_due(operation):
                messages.append((operation, self._encode(operation, indexes)))
        flush()
        return functools.partial(one_after_the_other, tuple(steps))

    def probe(self, filters: Sequence[Filter]) -> None:
        self._nftables().probe(filters)

    def take_left_alone(self) -> tuple[str, ...]:
        left, self._left_alone = tuple(self._left_alone), []
        return left

    def clean(self, interface: str | None = None, *, dry_run: bool = False) -> list[Leftover]:
        """Undo what dead processes left; see :func:`cleanup`."""

        def left_alone(operations: Sequence[Operation]) -> tuple[str, ...]:
            if dry_run:
                self._leave(operations)
            return self.take_left_alone()

        return self._store().clean(self.perform, interface, left_alone, keep=dry_run)

    def close(self) -> None:
        """Close the socket; it opens again when it is needed."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._filters is not None:
            self._filters.close()
            self._filters = None
        if self._held is not None:
            os.close(self._held)
            self._held = None

    # -- netlink --

    def _open(self) -> NetlinkSocket:
        if self._socket is None:
            self._socket = run_in(self._place(), NetlinkSocket)
        return self._socket

    def _nftables(self) -> Filters:
        if self._filters is None:
            self._filters = Filters(self._place())
        return self._filters

    def _place(self) -> Namespace:
        """The same namespace each time: its name, process or descriptor may be another one's by now."""
        if self._held is None and self._netns is not None:
            self._held = hold(self._netns)
        return self._held

    def _is_due(self, operation: Operation) -> bool:
        """Whether the link that an undo speaks of is still the one that it was recorded for."""
        match operation:
            case DeleteLink(name=name, mac=mac) | SetMac(name=name, expected=str(mac)):
                link = self.link(name)
                return link is not None and link.mac == MacAddress(mac)
            case SetToken(name=name, expected=str(token)):
                link = self.link(name)
                return link is not None and link.identifier == token
            case SetMacvlanMode(name=name, expected=str(mode)):
                link = self.link(name)
                return link is not None and link.mode == mode
            case (
                RemoveAddress(name=name)
                | SetLinkDown(name=name)
                | SetMacvlanMode(name=name, mode="source")
                | AddEgressDrop(device=name)
            ):
                return self._number(name) is not None  # an undo that was interrupted has removed it already
            case _:
                return True

    def _leave(self, operations: Iterable[Operation]) -> None:
        """Remember which of these are not done because somebody has changed the same since."""
        for operation in operations:
            why = foreign(operation, lambda name: link.mac if (link := self.link(name)) else None, self.sysctl)
            if why and why not in self._left_alone:
                self._left_alone.append(why)

    def _index(self, indexes: dict[str, int], operation: Operation, name: str) -> int:
        if name not in indexes:
            found = self._number(name)
            if found is None:
                raise _failure(operation.deed, OSError(errno.ENODEV, os.strerror(errno.ENODEV)), operation)
            indexes[name] = found
        return indexes[name]

    def _number(self, name: str) -> int | None:
        if self._known is None:
            replies = self._found(name)
            return netlink_removal.outline(replies[0]).index if replies else None
        # the many that are asked for now are all in one answer
        return self._once("numbers", lambda: netlink_removal.indexes(self._open())).get(name)

    def _encode(self, operation: Operation, indexes: dict[str, int]) -> bytes:
        return encode(operation, functools.partial(self._index, indexes, operation))

    def _if_due(self, operation: SetMac | SetToken) -> None:
        """Look only now, not when the batch was made, whether the link is the one that was meant."""
        if not self._is_due(operation):
            self._leave((operation,))
            return
        index = self._index({}, operation, operation.name)
        try:
            if isinstance(operation, SetMac):
                netlink_mac.change_mac(self._open(), operation.name, index, operation.mac, ioctl=operation.ioctl)
            else:
                self._set_token(operation, index)
        except OSError as error:
            raise _failure(operation.deed, error, operation) from error

    def _set_token(self, operation: SetToken, index: int) -> None:
        try:
            netlink_mac.set_token(self._open(), index, operation.token, operation.expected)
        except OSError as error:
            if error.errno != errno.EINVAL or operation.expected is None:
                raise
            # To take ours back, too, the kernel wants an interface that hears Router Advertisements.
            path = f"net/ipv6/conf/{operation.name}/accept_ra"
            accepted = self.sysctl(path)
            self._write((SetSysctl(path, "2"),))
            try:
                netlink_mac.set_token(self._open(), index, operation.token, operation.expected)
            finally:
                self._write((SetSysctl(path, str(accepted)),))

    def _delete(self, operations: tuple[DeleteLink, ...]) -> None:
        """Those of the links that are still the ones that were meant."""
        if len(operations) == 1:
            if self._is_due(operations[0]):
                made_ready(((operations[0], self._encode(operations[0], {})),), self._open)()
            else:
                self._leave(operations)
            return
        try:
            messages = netlink_removal.removal(self._open(), operations)
        except OSError as error:
            raise _failure(operations[0].deed, error, operations[0]) from error
        self._leave(set(operations) - {operation for operation, _ in messages})
        if messages:
            made_ready(tuple(messages), self._open)()

    # -- /proc/sys --

    def _write(self, operations: tuple[SetSysctl, ...]) -> None:
        if left := run_in(self._place(), functools.partial(write_sysctls, operations)):
            self._leave(left)

    def _store(self) -> JournalStore:
        if self._journals is None:
            boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            here = weakref.ref(self)  # not a part of what keeps it alive

            def link_at(index: int) -> Link | None:
                return host.link(index) if (host := here()) else None

            self._journals = JournalStore(self._state_dir / f"netns-{self._open().cookie}", boot, link_at)
        return self._journals


_shared: weakref.WeakValueDictionary[tuple[int, int], NetlinkHost] = weakref.WeakValueDictionary()


def shared_host(netns: Namespace = None) -> NetlinkHost:
    """The one host of a namespace for all backends that were given none: they share its socket.

    It is known by the namespace itself, and lives as long as a backend has it: it would keep the namespace alive.
    """
    descriptor = hold(netns)
    try:
        status = os.fstat(descriptor)
        host = _shared.get((status.st_dev, status.st_ino))
        if host is None:
            host = NetlinkHost(None if netns is None else descriptor)
            host._place()
            _shared[status.st_dev, status.st_ino] = host
        return host
    finally:
        os.close(descriptor)


def primary_address(interface: str, family: Family, *, netns: Namespace = None) -> IPAddress:
    """What advertisements are sent from: the first IPv4 address of an interface, or its IPv6 link-local one.

    RFC 9568 1.7 and 5.1.2.1. BackendError if there is no such interface, or no such address.
    """
    family = Family(family)
    for address in interface_addresses(interface, netns=netns):
        if address.version == family.value and (family is Family.IPV4 or address.ip.is_link_local):
            return address.ip
    wanted = "IPv4" if family is Family.IPV4 else "IPv6 link-local"
    raise BackendError(
        f"{interface} has no {wanted} address of its own to send from: give it one (`ip address add`)",
        operation="primary_address",
    )


def interface_addresses(interface: str, *, netns: Namespace = None) -> tuple[IPInterface, ...]:
    """All addresses of an interface, in the kernel's order; BackendError if there is no such interface."""
    host = NetlinkHost(netns)
    try:
        if host.link(interface) is None:
            message = f"no interface is named {interface!r}: see `ip link`"
            raise BackendError(message, operation="interface_addresses")
        return host.addresses(interface)
    finally:
        host.close()


def cleanup(
    interface: str | None = None,
    *,
    netns: Namespace = None,
    state_dir: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
) -> list[Leftover]:
    """Give the host back after processes that died: what was undone (or with ``dry_run`` would be), by interface.

    What belongs to processes that live is left alone. BackendError if some of it cannot be undone; the rest is.
    """
    host = NetlinkHost(netns, state_dir=state_dir)
    try:
        return host.clean(interface, dry_run=dry_run)
    finally:
        host.close()
