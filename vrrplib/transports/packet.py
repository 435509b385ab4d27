"""A transport on one AF_PACKET socket, which sees every advertisement whatever macvlans there are."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import socket
import struct
from types import TracebackType
from typing import Self

from vrrplib.errors import BackendError, ConfigError
from vrrplib.namespaces import Namespace, run_in
from vrrplib.transports.base import Transport
from vrrplib.transports.bpf import assemble, attach_filter
from vrrplib.wire.addresses import (
    AH_PROTOCOL,
    PROTOCOL,
    Family,
    IPAddress,
    MacAddress,
    group_address,
    multicast_mac,
)
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import IPv4Header, IPv6Header

LARGEST_FRAME = 9216 + 18
"""A jumbo frame; what is longer is cut, and the longest VRRP message has 4,088 bytes (RFC 9568 5.2)."""

# <linux/if_packet.h>, <linux/if_arp.h>, <linux/filter.h>; the socket module lacks them
_ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP, _PACKET_IGNORE_OUTGOING = 1, 23
_PACKET_MR_MULTICAST = 0
_ETHERNET, _LOOPBACK = 1, 772  # both have Ethernet headers
_LOAD_HALF, _LOAD_BYTE, _LOAD_WORD = 0x28, 0x30, 0x20  # ABS
_JUMP_IF_EQUAL, _AND, _RETURN = 0x15, 0x54, 0x06
_AUXILIARY = 0xFFFFF000  # SKF_AD_OFF: offsets from here on read what the kernel knows of the frame
_PACKET_TYPE, _VLAN_TAG, _VLAN_TAG_PRESENT = _AUXILIARY + 4, _AUXILIARY + 44, _AUXILIARY + 48
_OTHER_HOST = 3
# <linux/in.h>, <linux/in6.h>
_IP_PKTINFO, _IP_MULTICAST_ALL = 8, 49
_MOST_SENDERS = 256
_UNICAST_ERRORS = {
    errno.EAGAIN: "it answers neither ARP nor ND, and what was sent before still waits",
    errno.EINVAL: "that is no address of this host",
}

_PASSED = (PROTOCOL, AH_PROTOCOL)
_EXTENSIONS = (0, 43, 60)  # hop-by-hop, routing, destination options: parse() sees through them


class PacketTransport(Transport):
    """The Ethernet frames of ``interface`` that may be VRRP; needs CAP_NET_RAW.

    A kernel filter passes IP protocol 112, and 51 (AH), behind IPv6 extension headers too, and drops what carries
    a VLAN's tag or is for another host. Both multicast groups are joined, in the card and by IGMP and MLD, so that
    a switch that snoops sends them here.

    ``netns`` is the network namespace of the interface: a name, path, process id or descriptor
    (:func:`vrrplib.namespaces.run_in`). ``mac`` is the interface's address at the time of opening.
    :meth:`send_datagram` takes the kernel's routes by this interface, and the datagram's source for its own.
    BackendError for an interface that does not exist or is no Ethernet, and for a missing privilege.

    While the interface is down nothing is received and :meth:`send` fails; it works again when that is up.
    For an interface that was removed and is there again, :meth:`reopen` it. Also a context manager.
    """

    def __init__(self, interface: str, *, netns: Namespace = None) -> None:
        if not isinstance(interface, str) or not interface or "\0" in interface:
            raise ConfigError(f"interface must be the name of a network interface, not {interface!r}")
        self.interface = interface
        opened = run_in(netns, lambda: _open(interface, stays=netns is None))
        self.mac = opened.mac
        self._index, self._netns = opened.index, opened.netns
        self._packets, self._joined = opened.packets, opened.joined
        self._senders: dict[IPAddress, socket.socket] = {}

    def send(self, frame: bytes) -> None:
        try:
            self._packets.send(frame)
        except OSError as error:
            raise BackendError(
                f"{self.interface}: cannot send: {_explain(error)}", operation="send", errno=error.errno
            ) from error

    def send_datagram(self, datagram: Datagram) -> None:
        destination, source = datagram.destination, datagram.source.packed
        if datagram.family is Family.IPV4:
            header = datagram.header or IPv4Header().encode(datagram)
            way = socket.IPPROTO_IP, _IP_PKTINFO, struct.pack("=i4s4x", self._index, source)
            to: tuple[object, ...] = (str(destination), 0)
        else:
            header = datagram.header or IPv6Header().encode(datagram)
            way = socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("=16si", source, self._index)
            to = (str(destination), 0, 0, self._index if destination.is_link_local else 0)
        try:
            self._sender(datagram).sendmsg([header, datagram.payload], [way], socket.MSG_DONTWAIT, to)
        except OSError as error:
            why = _UNICAST_ERRORS.get(error.errno or 0) or _explain(error)
            raise BackendError(
                f"{self.interface}: cannot send from {datagram.source} to {destination}: {why}",
                operation="send",
                errno=error.errno,
            ) from error

    def _sender(self, datagram: Datagram) -> socket.socket:
        """A raw socket for each destination: what waits for one that is gone must not keep us from the others."""
        sender = self._senders.get(datagram.destination)
        if sender is None:
            if self.fileno() < 0:
                raise OSError(errno.EBADF, "closed")
            if len(self._senders) >= _MOST_SENDERS:
                self._senders.popitem()[1].close()
            kind = socket.AF_INET if datagram.family is Family.IPV4 else socket.AF_INET6
            sender = run_in(self._netns, lambda: socket.socket(kind, socket.SOCK_RAW, socket.IPPROTO_RAW))
            self._senders[datagram.destination] = sender
        return sender

    def receive(self) -> bytes | None:
        try:
            return self._packets.recv(LARGEST_FRAME)
        except BlockingIOError:
            return None
        except OSError:
            return self._receive_after_error()

    def fileno(self) -> int:
        """Readable when a frame waits; -1 after :meth:`close`."""
        return self._packets.fileno()

    def reopen(self) -> None:
        if self.fileno() < 0:
            raise BackendError(f"{self.interface}: the transport is closed", operation="reopen")
        opened = run_in(self._netns, lambda: _open(self.interface, stays=True))
        os.dup2(opened.packets.fileno(), self._packets.fileno(), inheritable=False)  # who waits on it goes on
        for old in (opened.packets, *self._joined, *self._senders.values()):
            old.close()
        self._senders.clear()
        self.mac, self._index, self._joined = opened.mac, opened.index, opened.joined

    def close(self) -> None:
        """Close the sockets, which leaves the groups; may be called again."""
        for opened in (self._packets, *self._joined, *self._senders.values()):
            opened.close()
        self._senders.clear()
        if self._netns is not None:
            os.close(self._netns)
            self._netns = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _receive_after_error(self) -> bytes | None:
        """That the interface went down is told once, and frames from before may wait behind it."""
        try:
            return self._packets.recv(LARGEST_FRAME)
        except OSError:  # empty, gone or closed: nothing to read, and sending will say why
            return None


@dataclasses.dataclass(frozen=True, slots=True)
class _Opened:
    packets: socket.socket
    joined: tuple[socket.socket, ...]
    index: int
    mac: MacAddress
    netns: int | None


def _open(interface: str, *, stays: bool) -> _Opened:
    """Everything that must happen in the interface's namespace, which is the caller's if it ``stays``."""
    try:
        index = socket.if_nametoindex(interface)
    except OSError as error:
        raise BackendError(
            f"no interface named {interface!r} in this network namespace", operation="open", errno=errno.ENODEV
        ) from error
    with contextlib.ExitStack() as opened:
        try:
            # Protocol 0 receives nothing: no frame is queued before the filter is there.
            packets = opened.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
            packets.setblocking(False)
            packets.bind((interface, 0))
            _, _, _, hardware, mac = packets.getsockname()
            if hardware not in (_ETHERNET, _LOOPBACK):
                raise BackendError(
                    f"{interface} is no Ethernet interface (ARPHRD type {hardware})", operation="open"
                )
            attach_filter(packets, _filter_program())
            packets.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            _join_in_the_card(packets, index)
            packets.bind((interface, _ETH_P_ALL))
        except OSError as error:
            raise BackendError(
                f"{interface}: cannot open a packet socket: {_explain(error)}", operation="open", errno=error.errno
            ) from error
        joined = tuple(opened.enter_context(member) for member in _join_by_report(index))
        joined += tuple(opened.enter_context(claim) for claim in _claim())
        here = None if stays else os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        opened.pop_all()
    return _Opened(packets, joined, index, MacAddress(mac), here)


def _explain(error: OSError) -> str:
    if error.errno in (errno.EPERM, errno.EACCES):
        return f"{error.strerror}: it takes CAP_NET_RAW (run as root)"
    if error.errno in (errno.ENXIO, errno.ENODEV):
        return "the interface is gone"
    if error.errno == errno.EBADF:
        return "the transport is closed"
    return error.strerror or str(error)


def _join_in_the_card(packets: socket.socket, index: int) -> None:
    """Let the card's filter pass the groups; no report is sent for these."""
    for family in Family:
        mac = multicast_mac(group_address(family)).packed
        request = struct.pack("=iHH8s", index, _PACKET_MR_MULTICAST, len(mac), mac)
        packets.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, request)


def _join_by_report(index: int) -> list[socket.socket]:
    """Sockets that only are members, for their IGMP and MLD reports: a snooping switch wants to hear of us.

    A family that the interface does not speak is left out: nobody needs its reports.
    """
    joined = []
    for family, level, option, request in (
        (
            socket.AF_INET,
            socket.IPPROTO_IP,
            socket.IP_ADD_MEMBERSHIP,
            struct.pack("=4s4si", group_address(Family.IPV4).packed, bytes(4), index),
        ),
        (
            socket.AF_INET6,
            socket.IPPROTO_IPV6,
            socket.IPV6_JOIN_GROUP,
            struct.pack("=16si", group_address(Family.IPV6).packed, index),
        ),
    ):
        try:
            member = socket.socket(family, socket.SOCK_DGRAM)
        except OSError:
            continue
        try:
            member.setsockopt(level, option, request)
        except OSError:
            member.close()
            continue
        joined.append(member)
    return joined


def _claim() -> list[socket.socket]:
    """Raw sockets that receive nothing, and are there: nobody else may seem to listen to these protocols.

    The kernel would answer each unicast message to us with an ICMP error. What this kernel lacks is left out.
    """
    claimed = []
    for family, protocol in (
        (socket.AF_INET, PROTOCOL),
        (socket.AF_INET, AH_PROTOCOL),
        (socket.AF_INET6, PROTOCOL),
    ):
        try:
            raw = socket.socket(family, socket.SOCK_RAW, protocol)
        except OSError:
            continue
        claimed.append(raw)
        with contextlib.suppress(OSError):  # it would only be more work for the kernel
            attach_filter(raw, _NOTHING)
            if family == socket.AF_INET:
                raw.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
    return claimed


# -- the filter --

_NOTHING = struct.pack("=HBBI", _RETURN, 0, 0, 0)


def _filter_program() -> bytes:
    """Classic BPF; the offsets count from the Ethernet header."""

    def jumps(protocols: tuple[int, ...], target: str) -> list[tuple[str, int, int, str, str]]:
        return [("", _JUMP_IF_EQUAL, protocol, target, "") for protocol in protocols]

    steps = [  # label, instruction, operand, where to if equal, where to if not; "" is the next one
        ("", _LOAD_WORD, _PACKET_TYPE, "", ""),
        ("", _JUMP_IF_EQUAL, _OTHER_HOST, "drop", ""),
        # The parent of a VLAN device sees the VLAN's frames too; their tag is in the frame's metadata.
        ("", _LOAD_WORD, _VLAN_TAG_PRESENT, "", ""),
        ("", _JUMP_IF_EQUAL, 0, "untagged", ""),
        ("", _LOAD_WORD, _VLAN_TAG, "", ""),
        ("", _AND, 0x0FFF, "", ""),
        ("", _JUMP_IF_EQUAL, 0, "", "drop"),  # VLAN 0 is none: such a tag gives a priority (IEEE 802.1Q 6.9)
        ("untagged", _LOAD_HALF, 12, "", ""),
        ("", _JUMP_IF_EQUAL, 0x86DD, "ipv6", ""),
        ("", _JUMP_IF_EQUAL, 0x0800, "", "drop"),
        ("", _LOAD_BYTE, 14 + 9, "", ""),
        *jumps(_PASSED, "pass"),
        ("", _RETURN, 0, "", ""),
        ("ipv6", _LOAD_BYTE, 14 + 6, "", ""),
        *jumps(_PASSED, "pass"),
        *jumps(_EXTENSIONS, "extended"),
        ("", _RETURN, 0, "", ""),
        # The header after the first extension: MLD, which is common, hides behind hop-by-hop options.
        ("extended", _LOAD_BYTE, 14 + 40, "", ""),
        *jumps(_PASSED + _EXTENSIONS, "pass"),
        ("drop", _RETURN, 0, "", ""),
        ("pass", _RETURN, LARGEST_FRAME, "", ""),
    ]
    return assemble(steps)
