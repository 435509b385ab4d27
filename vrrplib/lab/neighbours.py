"""The few frames by which hosts find each other on a LAN in memory: ARP, ND, and a ping of our own."""

from __future__ import annotations

import dataclasses
import ipaddress
import struct
from ipaddress import IPv4Address, IPv6Address

from vrrplib.wire.addresses import BROADCAST_MAC, Family, IPAddress, MacAddress, multicast_mac
from vrrplib.wire.checksum import checksum_of_sum, ones_sum

_ARP = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826
_ARP_OVER_ETHERNET = (1, 0x0800, 6, 4)
_ECHO = struct.Struct("!BIB16s")
_ETHERTYPE_ARP, _ETHERTYPE_IPV6 = b"\x08\x06", b"\x86\xdd"
_ETHERTYPE_ECHO = b"\x88\xb5"  # IEEE's local experimental one
_ICMPV6, _NS, _NA = 58, 135, 136
_ICMPV6_AT = 14 + 40


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """An ARP request or a neighbour solicitation: who has ``target``? ``sender`` asks from ``sender_mac``."""

    target: IPAddress
    sender: IPAddress
    sender_mac: MacAddress

    def frame(self) -> bytes:
        """To everybody, or to the target's solicited-node group (RFC 4861 4.3)."""
        if isinstance(self.target, IPv4Address):
            return _arp(1, self.sender_mac, self.sender, bytes(6), self.target, BROADCAST_MAC)
        group = IPv6Address(b"\xff\x02" + bytes(9) + b"\x01\xff" + self.target.packed[-3:])
        message = bytes(4) + self.target.packed + b"\x01\x01" + self.sender_mac.packed
        return _icmpv6(_NS, message, self.sender, group, self.sender_mac, multicast_mac(group))

    def reply(self, mac: MacAddress, frame_mac: MacAddress) -> bytes:
        """The answer that ``mac`` has it, in a frame from ``frame_mac``."""
        if isinstance(self.target, IPv4Address):
            return _arp(2, mac, self.target, self.sender_mac.packed, self.sender, self.sender_mac, frame_mac)
        # router, solicited and override (RFC 4861 4.4; RFC 9568 8.2.2)
        message = b"\xe0" + bytes(3) + self.target.packed + b"\x02\x01" + mac.packed
        return _icmpv6(_NA, message, self.target, self.sender, frame_mac, self.sender_mac)


def read_question(frame: bytes) -> Question | None:
    """The question in a frame, gratuitous ones left out."""
    fields = _read_arp(frame)
    if fields is not None:
        operation, mac, sender, target = fields
        return Question(target, sender, mac) if operation == 1 and sender != target else None
    if frame[12:14] == _ETHERTYPE_IPV6 and frame[20:21] == bytes([_ICMPV6]) and len(frame) >= _ICMPV6_AT + 32:
        body = frame[_ICMPV6_AT:]
        if body[0] == _NS:
            return Question(IPv6Address(body[8:24]), IPv6Address(frame[22:38]), MacAddress(body[26:32]))
    return None


def read_claim(frame: bytes) -> tuple[IPAddress, MacAddress] | None:
    """Which MAC an ARP reply, a gratuitous ARP or a neighbour advertisement gives for which address."""
    fields = _read_arp(frame)
    if fields is not None:
        operation, mac, sender, target = fields
        return (sender, mac) if operation == 2 or sender == target else None
    if frame[12:14] == _ETHERTYPE_IPV6 and frame[20:21] == bytes([_ICMPV6]) and len(frame) >= _ICMPV6_AT + 32:
        body = frame[_ICMPV6_AT:]
        if body[0] == _NA:
            return IPv6Address(body[8:24]), MacAddress(body[26:32])
    return None


@dataclasses.dataclass(frozen=True, slots=True)
class Echo:
    """A ping, or its answer: ``number`` is its sender's."""

    number: int
    address: IPAddress
    reply: bool = False

    def frame(self, source: MacAddress, destination: MacAddress) -> bytes:
        """The Ethernet frame that carries it."""
        body = _ECHO.pack(self.reply, self.number, self.address.version, self.address.packed)
        return destination.packed + source.packed + _ETHERTYPE_ECHO + body


def read_echo(frame: bytes) -> Echo | None:
    """The ping in a frame."""
    if frame[12:14] != _ETHERTYPE_ECHO or len(frame) < 14 + _ECHO.size:
        return None
    reply, number, version, packed = _ECHO.unpack_from(frame, 14)
    if version not in (4, 6):
        return None
    return Echo(number, ipaddress.ip_address(packed[: Family(version).address_length]), bool(reply))


def _read_arp(frame: bytes) -> tuple[int, MacAddress, IPAddress, IPAddress] | None:
    """Operation, sender's MAC and address, target's address."""
    if frame[12:14] != _ETHERTYPE_ARP or len(frame) < 14 + _ARP.size:
        return None
    *kind, operation, mac, sender, _, target = _ARP.unpack_from(frame, 14)
    if tuple(kind) != _ARP_OVER_ETHERNET:
        return None
    return operation, MacAddress(mac), IPv4Address(sender), IPv4Address(target)


def _arp(
    operation: int,
    mac: MacAddress,
    sender: IPAddress,
    target_mac: bytes,
    target: IPAddress,
    destination: MacAddress,
    source: MacAddress | None = None,
) -> bytes:
    body = _ARP.pack(*_ARP_OVER_ETHERNET, operation, mac.packed, sender.packed, target_mac, target.packed)
    return destination.packed + (source or mac).packed + _ETHERTYPE_ARP + body


def _icmpv6(
    kind: int,
    message: bytes,
    source: IPAddress,
    destination: IPAddress,
    source_mac: MacAddress,
    destination_mac: MacAddress,
) -> bytes:
    """``message`` is all that follows the checksum."""
    length = 4 + len(message)
    total = ones_sum(source.packed + destination.packed) + length + _ICMPV6 + (kind << 8) + ones_sum(message)
    header = b"\x60" + bytes(3) + length.to_bytes(2, "big") + bytes([_ICMPV6, 255])
    packet = header + source.packed + destination.packed + bytes([kind, 0])
    packet += checksum_of_sum(total).to_bytes(2, "big") + message
    return destination_mac.packed + source_mac.packed + _ETHERTYPE_IPV6 + packet
