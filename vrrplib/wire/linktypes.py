"""What a capture file is made of: its interfaces and records, and the link layers that can be shown as Ethernet."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from vrrplib.wire.datagram import Datagram
from vrrplib.wire.parsing import ETHERTYPE_IPV4, ETHERTYPE_IPV6, parse

# Numbers of the link types: LINKTYPE_ in https://www.tcpdump.org/linktypes.html
NULL, ETHERNET, LOOP, LINUX_COOKED, LINUX_COOKED_2 = 0, 1, 108, 113, 276
RAW = (12, 14, 101, 228, 229)  # IP without a link layer; BSDs write their own DLT_RAW, and two say which version

NANOSECONDS = 1_000_000_000

_NO_MAC = bytes(6)
_AF_INET = 2
_AF_INET6 = (10, 24, 28, 30)  # Linux; NetBSD and OpenBSD; FreeBSD; Darwin


@dataclasses.dataclass(frozen=True, slots=True)
class Interface:
    """One that was captured on. ``number`` counts within its section; pcap has one, without a name.

    ``snaplen`` is the longest record in bytes, 0: no limit. A time stamp is ``ticks_per_second``, and
    ``offset`` seconds on top.
    """

    number: int = 0
    link_type: int = ETHERNET
    name: str = ""
    snaplen: int = 0
    ticks_per_second: int = 1_000_000
    offset: int = 0

    def nanoseconds(self, ticks: int) -> int:
        """Nanoseconds since 1970 of a time stamp, rounded down."""
        return ticks * NANOSECONDS // self.ticks_per_second + self.offset * NANOSECONDS


class Captured(NamedTuple):
    """A record of a capture file. A named tuple: a frozen dataclass costs three times as much to make.

    ``time_ns`` is nanoseconds since 1970, exact where the file is as fine as that; None in a pcapng block that has
    no time. ``data`` has the bytes that were kept of ``length`` on the wire.
    """

    time_ns: int | None
    interface: Interface
    data: bytes
    length: int

    @property
    def time(self) -> float | None:
        """Unix seconds; a float of today resolves 0.24 us."""
        return None if self.time_ns is None else self.time_ns / NANOSECONDS

    @property
    def link_type(self) -> int:
        """Its interface's LINKTYPE number; 1 is Ethernet."""
        return self.interface.link_type

    @property
    def frame(self) -> bytes | None:
        """The data as an Ethernet frame; None for a link type that is not known.

        Raw IP, loopback and Linux cooked records come with an Ethernet header; a MAC that was not recorded is zero.
        """
        link_type = self.interface.link_type
        return self.data if link_type == ETHERNET else to_ethernet(link_type, self.data)

    @property
    def datagram(self) -> Datagram | None:
        """The VRRP datagram in it, as :func:`vrrplib.parse` has it."""
        frame = self.frame
        return None if frame is None else parse(frame)


def to_ethernet(link_type: int, data: bytes) -> bytes | None:
    """A record of ``link_type`` as Ethernet has it; None for a link type that is not known."""
    if link_type == ETHERNET:
        return data
    if link_type in RAW:
        return _NO_MAC * 2 + (ETHERTYPE_IPV6 if data[:1] >= b"\x60" else ETHERTYPE_IPV4) + data
    if link_type == LINUX_COOKED:
        # packet type, ARPHRD, length of the address, address in eight bytes, protocol
        return _NO_MAC + _mac(data[4:6], data[6:14]) + data[14:]
    if link_type == LINUX_COOKED_2:
        # protocol, reserved, interface index, ARPHRD, packet type, length of the address, address in eight bytes
        return _NO_MAC + _mac(data[11:12], data[12:20]) + data[:2] + data[20:]
    if link_type in (NULL, LOOP):
        return _NO_MAC * 2 + _ethertype_of_family(data[:4]) + data[4:]
    return None


def _mac(length: bytes, address: bytes) -> bytes:
    """The sender's MAC in a cooked header, zero where it is no Ethernet address."""
    return address[:6] if int.from_bytes(length, "big") == 6 and len(address) == 8 else _NO_MAC


def _ethertype_of_family(word: bytes) -> bytes:
    # NULL has the byte order of the host that captured, LOOP the network's: a family is small in the right one.
    family = min(int.from_bytes(word, "big"), int.from_bytes(word, "little"))
    if family == _AF_INET:
        return ETHERTYPE_IPV4
    return ETHERTYPE_IPV6 if family in _AF_INET6 else b"\0\0"
