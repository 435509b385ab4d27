"""Ethernet frames: :func:`parse` those that carry VRRP, build those that a router sends."""

from __future__ import annotations

import enum
import functools
import ipaddress
from ipaddress import IPv4Address

import dpkt

from vrrplib.errors import ConfigError
from vrrplib.wire.addresses import (
    ADVERTISEMENT_TTL,
    AH_PROTOCOL,
    ALL_NODES,
    BROADCAST_MAC,
    PROTOCOL,
    AddressLike,
    Family,
    IPAddress,
    MacAddress,
    MacLike,
    multicast_mac,
    to_address,
)
from vrrplib.wire.datagram import Datagram

ETHERNET_LENGTH = 14
_ETHERTYPE_IPV4, _ETHERTYPE_IPV6 = 0x0800, 0x86DD
_VLAN_TAGS = (0x8100, 0x88A8)  # IEEE 802.1Q, 802.1ad
_MOST_VLAN_TAGS = 2
_TRAFFIC_CLASS = 0xC0  # internetwork control (RFC 791 3.1), as keepalived and FRR mark theirs
_IPV6_EXTENSIONS = (0, 43, 60)  # hop-by-hop, routing, destination options: RFC 8200 4


class AnnouncementStyle(enum.Enum):
    """What a gratuitous ARP has as its target hardware address. In an NA it makes no difference."""

    RFC9568 = "rfc9568"
    """The virtual MAC again: RFC 9568 6.4.1, errata 7947 and 7949."""
    BROADCAST = "broadcast"
    """ff:ff:ff:ff:ff:ff, as keepalived, FRR and holo send it."""
    ZERO = "zero"
    """00:00:00:00:00:00, as an RFC 5227 announcement has it."""


def parse(frame: bytes) -> Datagram | None:
    """The VRRP datagram in an Ethernet frame (no FCS), or None: not ours, a fragment, or cut short; never raises.

    VLAN tags, IPv4 options, IPv6 extension headers, an AH (kept in ``header``) and Ethernet padding are seen
    through. The payload is cut at the length that the IP header gives.
    """
    at = ETHERNET_LENGTH
    for _ in range(_MOST_VLAN_TAGS + 1):
        ethertype = int.from_bytes(frame[at - 2 : at], "big")
        if ethertype not in _VLAN_TAGS:
            break
        at += 4
    if ethertype == _ETHERTYPE_IPV4:
        return _parse_ipv4(frame, at)
    if ethertype == _ETHERTYPE_IPV6:
        return _parse_ipv6(frame, at)
    return None


def advertisement_frame(datagram: Datagram, source_mac: MacLike, destination_mac: MacLike | None = None) -> bytes:
    """An Ethernet frame, without padding, that carries ``datagram`` from ``source_mac``.

    RFC 9568 7.2: the source is the virtual router's MAC. ``destination_mac`` None means that of the destination
    group; ConfigError if the destination is no group.
    """
    if destination_mac is None:
        if not datagram.destination.is_multicast:
            raise ConfigError(f"destination_mac must be given: {datagram.destination} is no multicast group")
        destination_mac = multicast_mac(datagram.destination)
    packet: dpkt.Packet
    if datagram.family is Family.IPV4:
        packet = dpkt.ip.IP(
            src=datagram.source.packed,
            dst=datagram.destination.packed,
            p=PROTOCOL,
            ttl=datagram.ttl,
            tos=_TRAFFIC_CLASS,
            df=1,  # atomic (RFC 6864): the identification means nothing
            len=20 + len(datagram.payload),
            data=datagram.payload,
        )
    else:
        packet = _ipv6(datagram.source.packed, datagram.destination.packed, PROTOCOL, datagram.payload)
        packet.hlim = datagram.ttl
        packet.fc = _TRAFFIC_CLASS
    return _ethernet(MacAddress(source_mac), MacAddress(destination_mac), packet)


def announcement_frame(
    address: AddressLike, mac: MacLike, *, style: AnnouncementStyle = AnnouncementStyle.RFC9568
) -> bytes:
    """The frame by which ``mac`` takes ``address``: a gratuitous ARP request, or an unsolicited NA (R=1 S=0 O=1).

    RFC 9568 6.4.1 and 6.4.2; the NA goes from the address itself to all nodes (RFC 4861 7.2.6).
    """
    address, mac = to_address(address), MacAddress(mac)
    if isinstance(address, IPv4Address):
        target = {
            AnnouncementStyle.RFC9568: mac.packed,
            AnnouncementStyle.BROADCAST: BROADCAST_MAC.packed,
            AnnouncementStyle.ZERO: bytes(6),
        }[style]
        arp = dpkt.arp.ARP(
            op=dpkt.arp.ARP_OP_REQUEST, sha=mac.packed, spa=address.packed, tha=target, tpa=address.packed
        )
        return _ethernet(mac, BROADCAST_MAC, arp)
    # RFC 4861 4.4, and the target link-layer address option of 4.6.1
    router_and_override = (0xA0000000).to_bytes(4, "big")
    body = router_and_override + address.packed + b"\x02\x01" + mac.packed
    icmp = dpkt.icmp6.ICMP6(type=dpkt.icmp6.ND_NEIGHBOR_ADVERT, code=0, data=body)
    packet = _ipv6(address.packed, ALL_NODES.packed, dpkt.ip.IP_PROTO_ICMP6, icmp)
    packet.hlim = ADVERTISEMENT_TTL
    return _ethernet(mac, multicast_mac(ALL_NODES), packet)


def _ipv6(source: bytes, destination: bytes, protocol: int, data: bytes | dpkt.Packet) -> dpkt.ip6.IP6:
    packet = dpkt.ip6.IP6(src=source, dst=destination, nxt=protocol, plen=len(data), data=data)
    packet.p = protocol  # dpkt sets it when it parses, and reads it to fill in an ICMPv6 checksum
    return packet


def _ethernet(source: MacAddress, destination: MacAddress, packet: dpkt.Packet) -> bytes:
    ethertype = {
        dpkt.arp.ARP: dpkt.ethernet.ETH_TYPE_ARP,
        dpkt.ip.IP: dpkt.ethernet.ETH_TYPE_IP,
        dpkt.ip6.IP6: dpkt.ethernet.ETH_TYPE_IP6,
    }[type(packet)]
    frame = dpkt.ethernet.Ethernet(src=source.packed, dst=destination.packed, type=ethertype, data=packet)
    return bytes(frame)


def _parse_ipv4(frame: bytes, at: int) -> Datagram | None:
    # Sliced by hand: dpkt would decode protocol 112 as VRRPv2, and take the padding into it.
    if len(frame) < at + 20 or frame[at] >> 4 != Family.IPV4:
        return None
    protocol = frame[at + 9]
    if protocol not in (PROTOCOL, AH_PROTOCOL):
        return None
    header_length = (frame[at] & 0xF) * 4
    end = at + int.from_bytes(frame[at + 2 : at + 4], "big")
    fragment = int.from_bytes(frame[at + 6 : at + 8], "big") & 0x3FFF  # MF, and the offset
    start = at + header_length
    if header_length < 20 or not start <= end <= len(frame) or fragment:
        return None
    return _datagram(frame, at, start, end, protocol)


def _parse_ipv6(frame: bytes, at: int) -> Datagram | None:
    start = at + 40
    if len(frame) < start or frame[at] >> 4 != Family.IPV6:
        return None
    end = start + int.from_bytes(frame[at + 4 : at + 6], "big")
    if end > len(frame):
        return None
    protocol = frame[at + 6]
    while protocol in _IPV6_EXTENSIONS and start + 8 <= end:
        protocol, length = frame[start], (frame[start + 1] + 1) * 8
        start += length
    return _datagram(frame, at, start, end, protocol)


def _datagram(frame: bytes, at: int, start: int, end: int, protocol: int) -> Datagram | None:
    """The datagram whose IP header is at ``at``, and whose content lies from ``start`` to ``end``."""
    if protocol == AH_PROTOCOL and start + 12 <= end:
        protocol, words = frame[start], frame[start + 1]
        start += (words + 2) * 4  # RFC 2402 2.2: in words, less two
    if protocol != PROTOCOL or start > end:
        return None
    if frame[at] >> 4 == Family.IPV4:
        source, destination, ttl = frame[at + 12 : at + 16], frame[at + 16 : at + 20], frame[at + 8]
    else:
        source, destination, ttl = frame[at + 8 : at + 24], frame[at + 24 : at + 40], frame[at + 7]
    return Datagram(frame[start:end], _address(source), _address(destination), ttl, frame[at:start])


@functools.lru_cache(maxsize=1024)
def _address(packed: bytes) -> IPAddress:
    return ipaddress.ip_address(packed)
