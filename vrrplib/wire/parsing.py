"""Frames in: what carries VRRP, found by slicing; the builders are in :mod:`vrrplib.wire.frames`."""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import struct
from collections.abc import Iterator

from vrrplib.errors import require_int
from vrrplib.wire.addresses import AH_PROTOCOL, PROTOCOL, Family, IPAddress
from vrrplib.wire.checksum import ones_sum, verifies
from vrrplib.wire.datagram import Datagram

ETHERNET_LENGTH = 14
ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_ARP = b"\x08\x00", b"\x86\xdd", b"\x08\x06"
ETHERTYPE_VLAN, ETHERTYPE_SERVICE_VLAN = 0x8100, 0x88A8  # IEEE 802.1Q, 802.1ad
IPV4_LENGTH, IPV6_LENGTH = 20, 40

_IPV4_HEADER = struct.Struct("!BxH2xHBB2x4s4s")  # version and length, total length, fragment, TTL, protocol
_IPV6_HEADER = struct.Struct("!4xHBB16s16s")
_VLAN_TAGS = (b"\x81\x00", b"\x88\xa8", b"\x91\x00")  # the last: what switches used before 802.1ad
_BACKBONE_TAG = b"\x88\xe7"  # IEEE 802.1ah: a service identifier, and then the customer's Ethernet header
_TAG_LENGTHS = dict.fromkeys(_VLAN_TAGS, 4) | {_BACKBONE_TAG: 18}
_MOST_TAGS = 4  # a backbone's VLAN and service, and two of its customer's
_CARRIERS = (PROTOCOL, AH_PROTOCOL)
_IPV6_EXTENSIONS = (0, 43, 60, 135)  # hop-by-hop, routing, destination options (RFC 8200 4), mobility (RFC 6275)
_IPV6_FRAGMENT = 44
_IPV6_CARRIERS = (*_CARRIERS, *_IPV6_EXTENSIONS, _IPV6_FRAGMENT)
_MOST_EXTENSIONS = 8  # RFC 8200 4.1 has at most seven, and AH


@dataclasses.dataclass(frozen=True, slots=True)
class VlanTag:
    """A VLAN tag: ``vid`` 0-4095, ``pcp`` (priority) 0-7, ``dei`` (drop eligible), and the ethertype before it.

    IEEE 802.1Q 9.6. ConfigError for a number out of range.
    """

    vid: int
    pcp: int = 0
    dei: bool = False
    ethertype: int = ETHERTYPE_VLAN

    def __post_init__(self) -> None:
        require_int("vid", self.vid, 0, 0xFFF)
        require_int("pcp", self.pcp, 0, 7)
        require_int("ethertype", self.ethertype, 0, 0xFFFF)

    @property
    def packed(self) -> bytes:
        """Its four bytes: ethertype, then priority and number."""
        word = self.pcp << 13 | bool(self.dei) << 12 | self.vid
        return self.ethertype.to_bytes(2, "big") + word.to_bytes(2, "big")


def parse(frame: bytes, *, verify_header: bool = False) -> Datagram | None:
    """The VRRP datagram in an Ethernet frame, or None: not ours, a fragment, or cut short. Never raises.

    Seen through: VLAN tags (802.1Q, 802.1ad, 802.1ah; at most four), IPv4 options, IPv6 extension headers
    (at most eight), a fragment header that fragments nothing (RFC 6946), an AH (RFC 2402). All of them but the
    tags are in the datagram's ``header``. The payload is cut at the length that the IP header gives, so Ethernet
    padding and an FCS do not matter.

    The IPv4 header checksum is not looked at: a card that computes it leaves it zero in its own host's captures,
    and VRRP has a checksum of its own. ``verify_header`` gives None for a wrong one, as a host does that receives
    it (RFC 1122 3.2.1.2).
    """
    ethertype, at = frame[12:14], ETHERNET_LENGTH
    if ethertype != ETHERTYPE_IPV4 and ethertype in _TAG_LENGTHS:
        ethertype, at = network_layer(frame)
    if ethertype == ETHERTYPE_IPV4:
        # Nearly every frame of a host ends here.
        if len(frame) < at + IPV4_LENGTH or frame[at + 9] not in _CARRIERS:
            return None
        return _parse_ipv4(frame, at, verify_header)
    if ethertype == ETHERTYPE_IPV6:
        return _parse_ipv6(frame, at)
    return None


def network_layer(frame: bytes) -> tuple[bytes, int]:
    """The ethertype behind all tags, and where its content begins; b"" for a frame that ends before.

    With more than four tags, the ethertype of the fifth.
    """
    ethertype, at = frame[12:14], ETHERNET_LENGTH
    for _ in range(_MOST_TAGS):
        length = _TAG_LENGTHS.get(ethertype)
        if length is None:
            break
        at += length
        ethertype = frame[at - 2 : at]
    return ethertype, at


def vlan_tags(frame: bytes) -> tuple[VlanTag, ...]:
    """The VLAN tags of an Ethernet frame, outermost first, as far as :func:`parse` sees through them."""
    return tuple(_vlan_tags(frame))


def _vlan_tags(frame: bytes) -> Iterator[VlanTag]:
    at = 12
    for _ in range(_MOST_TAGS):
        ethertype = frame[at : at + 2]
        length = _TAG_LENGTHS.get(ethertype)
        if length is None or len(frame) < at + length:
            return
        if ethertype in _VLAN_TAGS:
            word = int.from_bytes(frame[at + 2 : at + 4], "big")
            yield VlanTag(word & 0xFFF, word >> 13, bool(word & 0x1000), int.from_bytes(ethertype, "big"))
        at += length


def _parse_ipv4(frame: bytes, at: int, verify_header: bool) -> Datagram | None:
    """The datagram of the IPv4 packet at ``at``, whose first 20 bytes are there and whose protocol may be ours."""
    first, size, fragment, ttl, protocol, source, destination = _IPV4_HEADER.unpack_from(frame, at)
    start, end = at + (first & 0xF) * 4, at + size
    # 0x45 to 0x4F: version 4, and at least five words; no MF, no offset
    if not 0x45 <= first <= 0x4F or not start <= end <= len(frame) or fragment & 0x3FFF:
        return None
    if verify_header and not verifies(ones_sum(frame[at:start])):
        return None
    if protocol == AH_PROTOCOL:
        if start + 12 > end or frame[start] != PROTOCOL:
            return None
        start += _ah_length(frame[start + 1])
        if start > end:
            return None
    return _datagram(frame[start:end], ip_address(source), ip_address(destination), ttl, frame[at:start])


def _parse_ipv6(frame: bytes, at: int) -> Datagram | None:
    start = at + IPV6_LENGTH
    if len(frame) < start or frame[at + 6] not in _IPV6_CARRIERS or frame[at] >> 4 != Family.IPV6:
        return None
    size, protocol, hop_limit, source, destination = _IPV6_HEADER.unpack_from(frame, at)
    end = start + size
    if end > len(frame):
        return None
    for _ in range(_MOST_EXTENSIONS):
        length = _extension_length(frame, protocol, start, end)
        if not length:
            break
        protocol = frame[start]
        start += length
    if protocol != PROTOCOL or start > end:
        return None
    return _datagram(frame[start:end], ip_address(source), ip_address(destination), hop_limit, frame[at:start])


def _extension_length(frame: bytes, protocol: int, start: int, end: int) -> int:
    """Bytes of the extension header of this protocol number at ``start``; 0: it is none, or not to be passed."""
    if start + 8 > end:
        return 0
    if protocol in _IPV6_EXTENSIONS:
        return (frame[start + 1] + 1) * 8
    if protocol == AH_PROTOCOL:
        return _ah_length(frame[start + 1])
    # the offset, and the flag that more follow: RFC 8200 4.5
    if protocol == _IPV6_FRAGMENT and not int.from_bytes(frame[start + 2 : start + 4], "big") & 0xFFF9:
        return 8
    return 0


def _ah_length(words: int) -> int:
    """RFC 2402 2.2: its length field counts words, less two."""
    return (words + 2) * 4


def _datagram(payload: bytes, source: IPAddress, destination: IPAddress, ttl: int, header: bytes) -> Datagram:
    # Past its constructor, which checks and converts what is right already, and takes as long as all of parse().
    datagram = object.__new__(Datagram)
    set_field = object.__setattr__
    set_field(datagram, "payload", payload)
    set_field(datagram, "source", source)
    set_field(datagram, "destination", destination)
    set_field(datagram, "ttl", ttl)
    set_field(datagram, "header", header)
    return datagram


@functools.lru_cache(maxsize=1024)
def ip_address(packed: bytes) -> IPAddress:
    """The address of 4 or 16 bytes; the last thousand are kept."""
    return ipaddress.ip_address(packed)
