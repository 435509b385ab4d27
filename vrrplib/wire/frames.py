"""Ethernet frames out: those that a router sends, with every field settable; and by name what reads them."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

import dpkt

from vrrplib.errors import ConfigError, require_int
from vrrplib.wire.addresses import (
    ADVERTISEMENT_TTL,
    ALL_NODES,
    BROADCAST_MAC,
    PROTOCOL,
    AddressLike,
    Family,
    MacAddress,
    MacLike,
    multicast_mac,
    to_address,
)
from vrrplib.wire.announcements import (
    ICMPV6_PROTOCOL,
    NEIGHBOUR_ADVERTISEMENT,
    SHAPES,
    Announcement,
    AnnouncementKind,
    AnnouncementStyle,
    NAFlags,
    Shape,
    parse_announcement,
)
from vrrplib.wire.checksum import internet_checksum
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.parsing import (
    ETHERNET_LENGTH,
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_SERVICE_VLAN,
    ETHERTYPE_VLAN,
    IPV4_LENGTH,
    VlanTag,
    parse,
    vlan_tags,
)

__all__ = [
    "ETHERNET_LENGTH",
    "Announcement",
    "AnnouncementKind",
    "AnnouncementStyle",
    "IPv4Header",
    "IPv6Header",
    "NAFlags",
    "VlanTag",
    "advertisement_frame",
    "announcement_frame",
    "parse",
    "parse_announcement",
    "vlan_tags",
]

VlanLike: TypeAlias = int | VlanTag | Iterable[int | VlanTag]

_TRAFFIC_CLASS = 0xC0  # internetwork control (RFC 791 3.1), as keepalived and FRR mark theirs
_DO_NOT_FRAGMENT = 0b010
_IPV4_HEAD = struct.Struct("!BBHHHBB")  # up to the checksum
_IPV6_HEAD = struct.Struct("!IHBB")  # up to the addresses
_SHORTEST = 60  # of an Ethernet frame without FCS


def _check_widths(**fields: tuple[int | None, int]) -> None:
    """ConfigError unless each value fits its number of bits; None is to be computed."""
    for name, (value, bits) in fields.items():
        if value is not None:
            require_int(name, value, 0, (1 << bits) - 1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IPv4Header:
    """An IPv4 header but for TTL and addresses, which are the datagram's; every field can be wrong.

    None means computed: ``header_length`` in words, ``length`` of the whole packet in bytes, ``checksum``.
    ``flags`` has three bits, 0b010 is DF, 0b001 MF; ``fragment_offset`` is in units of eight bytes. ``options`` are
    filled up with zeros to whole words unless ``header_length`` is given. RFC 791 3.1. A packet with DF is atomic:
    its identification means nothing (RFC 6864 4.1).
    """

    version: int = 4
    header_length: int | None = None
    tos: int = _TRAFFIC_CLASS
    length: int | None = None
    identification: int = 0
    flags: int = _DO_NOT_FRAGMENT
    fragment_offset: int = 0
    protocol: int = PROTOCOL
    checksum: int | None = None
    options: bytes = b""

    def __post_init__(self) -> None:
        """ConfigError for a value that does not fit its field."""
        _check_widths(version=(self.version, 4), tos=(self.tos, 8), identification=(self.identification, 16))
        _check_widths(
            flags=(self.flags, 3), fragment_offset=(self.fragment_offset, 13), protocol=(self.protocol, 8)
        )
        _check_widths(header_length=(self.header_length, 4), length=(self.length, 16), checksum=(self.checksum, 16))

    def encode(self, datagram: Datagram) -> bytes:
        """The header of ``datagram``; ConfigError for too many options, too long a payload, or a wrong TTL."""
        options, words = self.options, self.header_length
        if words is None:
            options += bytes(-len(options) % 4)
            words = (IPV4_LENGTH + len(options)) // 4
            require_int("header_length", words, 5, 15)
        length = IPV4_LENGTH + len(options) + len(datagram.payload) if self.length is None else self.length
        require_int("length", length, 0, 0xFFFF)
        require_int("ttl", datagram.ttl, 0, 0xFF)
        head = _IPV4_HEAD.pack(
            self.version << 4 | words,
            self.tos,
            length,
            self.identification,
            self.flags << 13 | self.fragment_offset,
            datagram.ttl,
            self.protocol,
        )
        rest = datagram.source.packed + datagram.destination.packed + options
        checksum = internet_checksum(head + rest) if self.checksum is None else self.checksum
        return head + checksum.to_bytes(2, "big") + rest


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IPv6Header:
    """An IPv6 header but for hop limit and addresses, which are the datagram's; every field can be wrong.

    ``length`` None means that of ``extensions`` and the payload. ``extensions`` are sent between header and payload
    as they are; ``next_header`` is then the number of the first of them. RFC 8200 3.
    """

    version: int = 6
    traffic_class: int = _TRAFFIC_CLASS
    flow_label: int = 0
    length: int | None = None
    next_header: int = PROTOCOL
    extensions: bytes = b""

    def __post_init__(self) -> None:
        """ConfigError for a value that does not fit its field."""
        _check_widths(version=(self.version, 4), traffic_class=(self.traffic_class, 8), length=(self.length, 16))
        _check_widths(flow_label=(self.flow_label, 20), next_header=(self.next_header, 8))

    def encode(self, datagram: Datagram) -> bytes:
        """The header of ``datagram``; ConfigError for too long a payload, or a wrong hop limit."""
        length = len(self.extensions) + len(datagram.payload) if self.length is None else self.length
        require_int("length", length, 0, 0xFFFF)
        require_int("ttl", datagram.ttl, 0, 0xFF)
        first = self.version << 28 | self.traffic_class << 20 | self.flow_label
        head = _IPV6_HEAD.pack(first, length, self.next_header, datagram.ttl)
        return head + datagram.source.packed + datagram.destination.packed + self.extensions


_USUAL4, _USUAL6 = IPv4Header(), IPv6Header()


def advertisement_frame(
    datagram: Datagram,
    source_mac: MacLike,
    destination_mac: MacLike | None = None,
    *,
    header: IPv4Header | IPv6Header | bytes | None = None,
    vlan: VlanLike = (),
    ethertype: int | None = None,
    pad: bool = False,
) -> bytes:
    """An Ethernet frame, without FCS, that carries ``datagram`` from ``source_mac``.

    RFC 9568 7.2: the source is the virtual router's MAC. ``destination_mac`` None means that of the destination
    group; ConfigError if the destination is no group.

    ``header`` None is a good one (RFC 9568 5.1); bytes are sent as they are: ``datagram.header`` repeats what was
    received, an AH included, and then TTL and addresses are those in it. ``vlan``: a number, a :class:`VlanTag`, or
    several, outermost first; numbers before the last are service VLANs (802.1ad). ``pad``: with zeros to 60 bytes.
    """
    if destination_mac is None:
        if not datagram.destination.is_multicast:
            raise ConfigError(f"destination_mac must be given: {datagram.destination} is no multicast group")
        destination_mac = multicast_mac(datagram.destination)
    if ethertype is None:
        kind = ETHERTYPE_IPV4 if datagram.family is Family.IPV4 else ETHERTYPE_IPV6
    else:
        _check_widths(ethertype=(ethertype, 16))
        kind = ethertype.to_bytes(2, "big")
    packet = _ip_header(header, datagram) + datagram.payload
    return _ethernet(destination_mac, source_mac, kind, packet, vlan, pad)


def announcement_frame(
    address: AddressLike,
    mac: MacLike,
    *,
    style: AnnouncementStyle = AnnouncementStyle.RFC9568,
    source: AddressLike | None = None,
    source_mac: MacLike | None = None,
    router: bool | None = None,
    vlan: VlanLike = (),
    pad: bool = False,
) -> bytes:
    """The frame by which ``mac`` takes ``address``: a gratuitous ARP, or an unsolicited NA with S=0 and O=1.

    RFC 9568 6.4.1 and 6.4.2; the NA goes to all nodes (RFC 4861 7.2.6). ``source`` is its IPv6 source, for which
    RFC 9568 has no rule: None is the address itself, as keepalived and FRR send it; the interface's link-local
    address is the other choice. ``router`` sets its R flag against the style. ConfigError for either with an
    IPv4 address. ``source_mac`` is the Ethernet source where it is not ``mac``; ``vlan`` and ``pad`` as in
    :func:`advertisement_frame`.
    """
    address, mac = to_address(address), MacAddress(mac)
    sender = mac if source_mac is None else MacAddress(source_mac)
    shape = SHAPES[style]
    if isinstance(address, IPv4Address):
        for name, value in (("source", source), ("router", router)):
            if value is not None:
                raise ConfigError(f"{name} must be None for an IPv4 address, not {value!r}: ARP has no such field")
        return _ethernet(BROADCAST_MAC, sender, ETHERTYPE_ARP, _arp(address, mac, shape), vlan, pad)
    if router is not None:
        flags = shape.flags | NAFlags.ROUTER if router else shape.flags & ~NAFlags.ROUTER
        shape = dataclasses.replace(shape, flags=flags)
    origin = address if source is None else to_address(source, "source")
    if not isinstance(origin, IPv6Address):
        raise ConfigError(f"source must be an IPv6 address, not {origin}")
    packet = _neighbour_advertisement(address, mac, origin, shape)
    return _ethernet(multicast_mac(ALL_NODES), sender, ETHERTYPE_IPV6, packet, vlan, pad)


def _arp(address: IPv4Address, mac: MacAddress, shape: Shape) -> bytes:
    arp = dpkt.arp.ARP(
        op=shape.operation,
        sha=mac.packed,
        spa=address.packed,
        tha=mac.packed if shape.target_mac is None else shape.target_mac,
        tpa=address.packed if shape.target_address is None else shape.target_address,
    )
    return bytes(arp)


def _neighbour_advertisement(address: IPv6Address, mac: MacAddress, source: IPv6Address, shape: Shape) -> bytes:
    # RFC 4861 4.4, and the link-layer address option of 4.6.1
    body = bytes([shape.flags.value, 0, 0, 0]) + address.packed + bytes([shape.option, 1]) + mac.packed
    icmp = dpkt.icmp6.ICMP6(type=NEIGHBOUR_ADVERTISEMENT, code=0, data=body)
    packet = dpkt.ip6.IP6(
        src=source.packed,
        dst=ALL_NODES.packed,
        nxt=ICMPV6_PROTOCOL,
        hlim=ADVERTISEMENT_TTL,  # RFC 4861 7.1.2: anything else is discarded
        plen=len(icmp),
        data=icmp,
    )
    packet.p = ICMPV6_PROTOCOL  # dpkt sets it when it parses, and reads it to fill in an ICMPv6 checksum
    return bytes(packet)


def _ip_header(header: IPv4Header | IPv6Header | bytes | None, datagram: Datagram) -> bytes:
    if isinstance(header, bytes):
        return header
    usual = _USUAL4 if datagram.family is Family.IPV4 else _USUAL6
    header = usual if header is None else header
    if type(header) is not type(usual):
        raise ConfigError(f"header must be an {type(usual).__name__} for {datagram.source}, not {header!r}")
    return header.encode(datagram)


def _ethernet(
    destination: MacLike, source: MacLike, ethertype: bytes, packet: bytes, vlan: VlanLike, pad: bool
) -> bytes:
    tags = (vlan,) if isinstance(vlan, int | VlanTag) else tuple(vlan)
    frame = MacAddress(destination).packed + MacAddress(source).packed
    for place, tag in enumerate(tags, 1):
        default = ETHERTYPE_VLAN if place == len(tags) else ETHERTYPE_SERVICE_VLAN
        frame += (VlanTag(tag, ethertype=default) if isinstance(tag, int) else tag).packed
    frame += ethertype + packet
    return frame.ljust(_SHORTEST, b"\0") if pad else frame
