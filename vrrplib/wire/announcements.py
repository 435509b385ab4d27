"""Who claims an address: the styles of gratuitous ARP and of unsolicited neighbour advertisements; reading both."""

from __future__ import annotations

import dataclasses
import enum
import functools

from vrrplib.wire.addresses import BROADCAST_MAC, IPAddress, MacAddress
from vrrplib.wire.checksum import ones_sum, verifies
from vrrplib.wire.parsing import ETHERTYPE_ARP, ETHERTYPE_IPV6, IPV6_LENGTH, ip_address, network_layer

ARP_REQUEST, ARP_REPLY = 1, 2
NEIGHBOUR_ADVERTISEMENT = 136
SOURCE_LINK_LAYER_ADDRESS, TARGET_LINK_LAYER_ADDRESS = 1, 2  # RFC 4861 4.6.1
ICMPV6_PROTOCOL = 58

_NO_ADDRESS = bytes(4)
_LIMITED_BROADCAST = b"\xff" * 4
_ARP_LENGTH = 28
_ARP_HEAD = bytes.fromhex("0001 0800 06 04")  # Ethernet, IPv4, and the lengths of their addresses: RFC 826
_NA_LENGTH = 24


class NAFlags(enum.Flag):
    """The flags of a neighbour advertisement, as in its byte (RFC 4861 4.4)."""

    ROUTER = 0x80
    SOLICITED = 0x40
    OVERRIDE = 0x20


_NONE = NAFlags(0)
_SOLICITED = 0x40
_FLAGS = {byte: NAFlags(byte) for byte in range(0, 0x100, 0x20)}  # a look-up costs a tenth of the enum
_AS_ROUTER = NAFlags.ROUTER | NAFlags.OVERRIDE


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """What a style puts into the fields that implementations disagree about; None: the MAC or address announced."""

    operation: int = ARP_REQUEST
    target_mac: bytes | None = None
    target_address: bytes | None = None
    flags: NAFlags = _AS_ROUTER
    option: int = TARGET_LINK_LAYER_ADDRESS


class AnnouncementStyle(enum.Enum):
    """Whose gratuitous ARP and unsolicited neighbour advertisement (NA).

    The Ethernet and sender fields are the same in all: from the MAC that is announced, to all.
    """

    RFC9568 = "rfc9568"
    """ARP request, target hardware address the MAC again; NA with R and O: RFC 9568 6.4.1, errata 7947, 7949."""
    RFC5227 = "rfc5227"
    """ARP request, target hardware address zero (RFC 5227 2.3), as Vrrpd and os-ken's sample send it too."""
    FRR = "frr"
    """ARP request, target hardware address ff:ff:ff:ff:ff:ff; NA with R and O. holo's ARP too."""
    KEEPALIVED = "keepalived"
    """As FRR: ARP, and NA on a host that forwards."""
    KEEPALIVED_HOST = "keepalived-host"
    """keepalived on a host that does not forward IPv6: its NA is without R."""
    UCARP = "ucarp"
    """ARP as RFC 9568 has it. ucarp knows no IPv6."""
    CISCO = "cisco"
    """ARP reply (operation 2), target hardware address ff:ff:ff:ff:ff:ff."""
    GOVRRP = "govrrp"
    """As Cisco's, and an NA with R and O that has a source link-layer address option, from which nobody learns."""
    RVRRPD = "rvrrpd"
    """ARP request for 255.255.255.255, target hardware address ff:ff:ff:ff:ff:ff; not gratuitous."""

    BROADCAST = FRR
    ZERO = RFC5227


_ALL = BROADCAST_MAC.packed
SHAPES = {
    AnnouncementStyle.RFC9568: Shape(),
    AnnouncementStyle.RFC5227: Shape(target_mac=bytes(6)),
    AnnouncementStyle.FRR: Shape(target_mac=_ALL),
    AnnouncementStyle.KEEPALIVED: Shape(target_mac=_ALL),
    AnnouncementStyle.KEEPALIVED_HOST: Shape(target_mac=_ALL, flags=NAFlags.OVERRIDE),
    AnnouncementStyle.UCARP: Shape(),
    AnnouncementStyle.CISCO: Shape(ARP_REPLY, _ALL),
    AnnouncementStyle.GOVRRP: Shape(ARP_REPLY, _ALL, option=SOURCE_LINK_LAYER_ADDRESS),
    AnnouncementStyle.RVRRPD: Shape(target_mac=_ALL, target_address=_LIMITED_BROADCAST),
}


class AnnouncementKind(enum.StrEnum):
    """The protocol that binds an address to a MAC."""

    ARP = "arp"
    NA = "na"


@dataclasses.dataclass(frozen=True, slots=True)
class Announcement:
    """A claim: ``address`` is at ``mac``.

    ``mac`` is ARP's sender hardware address, or an NA's target link-layer address; None for an NA without one,
    from which nobody learns a MAC. ``sender`` is the Ethernet source, which may be another. ``operation`` is ARP's
    (1 request, 2 reply) or ICMPv6's type, 136; ``flags`` those of an NA. ``unsolicited``: it answers and asks
    nothing, so that only who wants to take the address sends it.
    """

    address: IPAddress
    mac: MacAddress | None
    sender: MacAddress
    kind: AnnouncementKind
    operation: int
    flags: NAFlags = _NONE
    unsolicited: bool = True


def parse_announcement(frame: bytes, *, any_claim: bool = False) -> Announcement | None:
    """Which address an Ethernet frame claims for which MAC, or None: it announces nothing. Never raises.

    A gratuitous ARP (sender and target address are equal, or the target is 255.255.255.255; request or reply), or
    an NA without S. With ``any_claim`` everything that neighbours learn from: ARP replies, ARP requests (RFC 826:
    their sender is learned too), NAs that were asked for. VLAN tags are seen through. What a host ignores is None:
    ARP for other than Ethernet and IPv4 or from 0.0.0.0 (a probe, RFC 5227 1.1), an NA that fails a check of
    RFC 4861 7.1.2, its checksum among them.
    """
    ethertype, at = network_layer(frame)
    if ethertype == ETHERTYPE_ARP:
        found = _parse_arp(frame, at)
    elif ethertype == ETHERTYPE_IPV6:
        found = _parse_neighbour_advertisement(frame, at)
    else:
        return None
    return found if found and (found.unsolicited or any_claim) else None


def _parse_arp(frame: bytes, at: int) -> Announcement | None:
    operation = int.from_bytes(frame[at + 6 : at + 8], "big")
    source, target = frame[at + 14 : at + 18], frame[at + 24 : at + 28]
    if len(frame) < at + _ARP_LENGTH or frame[at : at + 6] != _ARP_HEAD or source == _NO_ADDRESS:
        return None
    if operation not in (ARP_REQUEST, ARP_REPLY):
        return None
    return Announcement(
        ip_address(source),
        _mac(frame[at + 8 : at + 14]),
        _mac(frame[6:12]),
        AnnouncementKind.ARP,
        operation,
        unsolicited=target in (source, _LIMITED_BROADCAST),
    )


def _parse_neighbour_advertisement(frame: bytes, at: int) -> Announcement | None:
    start = at + IPV6_LENGTH
    # Nearly every other frame ends here.
    if (
        len(frame) < start + _NA_LENGTH
        or frame[start] != NEIGHBOUR_ADVERTISEMENT
        or frame[at + 6] != ICMPV6_PROTOCOL
    ):
        return None
    message = frame[start : start + int.from_bytes(frame[at + 4 : at + 6], "big")]
    options = _options(message[_NA_LENGTH:])
    if options is None or not _is_valid(frame, at, message):
        return None
    flags = frame[start + 4] & 0xE0
    mac = options.get(TARGET_LINK_LAYER_ADDRESS)
    return Announcement(
        ip_address(message[8:24]),
        _mac(mac[:6]) if mac else None,
        _mac(frame[6:12]),
        AnnouncementKind.NA,
        NEIGHBOUR_ADVERTISEMENT,
        _FLAGS[flags],
        unsolicited=not flags & _SOLICITED,
    )


def _is_valid(frame: bytes, at: int, message: bytes) -> bool:
    """RFC 4861 7.1.2, but for its options."""
    length = int.from_bytes(frame[at + 4 : at + 6], "big")
    pseudo_header = ones_sum(frame[at + 8 : at + 40]) + length + ICMPV6_PROTOCOL
    to_many = frame[at + 24] == 0xFF
    return (
        frame[at] >> 4 == 6
        and frame[at + 7] == 255
        and _NA_LENGTH <= length == len(message)
        and verifies(pseudo_header + ones_sum(message))
        and message[1] == 0
        and message[8] != 0xFF  # a target is no multicast address
        and not (to_many and message[4] & _SOLICITED)
    )


def _options(data: bytes) -> dict[int, bytes] | None:
    """The first of each option by its type, without type and length; None where one is empty or cut short."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        length = data[at + 1] * 8 if at + 1 < len(data) else 0
        if not length or at + length > len(data):
            return None
        found.setdefault(data[at], data[at + 2 : at + length])
        at += length
    return found


@functools.lru_cache(maxsize=1024)
def _mac(packed: bytes) -> MacAddress:
    return MacAddress(packed)
