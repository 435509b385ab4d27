"""Where a packet is sent: the virtual router that it speaks to, and the IP and Ethernet headers around it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Any, Self, TypeAlias

from vrrplib.errors import ConfigError
from vrrplib.rules import DEFAULT_RULES, Rules
from vrrplib.wire.addresses import (
    ADVERTISEMENT_TTL,
    PROTOCOL,
    AddressLike,
    Family,
    IPAddress,
    MacAddress,
    MacLike,
    group_address,
    multicast_mac,
    to_address,
    virtual_mac,
)
from vrrplib.wire.checksum import ChecksumForm, internet_checksum
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.packets import Packet, VRRPv2, VRRPv3

_INTERNETWORK_CONTROL = 0xC0  # the TOS or traffic class of adverts: RFC 791 3.1
_DONT_FRAGMENT = 0x4000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A virtual router to send to, and who sends: what every entry of the catalogue is built for.

    ``source`` is the sender's address, ``addresses`` are the virtual ones (any iterable of strings or addresses);
    all of one family. ``interval`` is in seconds, and must be one that the version can say. ``target`` is an
    address of the receiving host itself, for what is sent unicast; without it those entries are left out.
    ``form`` is the checksum that the receiver expects of VRRPv3 over IPv4. ConfigError for what does not fit.
    """

    vrid: int
    addresses: tuple[IPAddress, ...]
    source: IPAddress
    version: int = 3
    priority: int = 200
    interval: float = 1.0
    target: IPAddress | None = None
    form: ChecksumForm = ChecksumForm.PSEUDO_HEADER

    def __init__(
        self,
        *,
        vrid: int,
        addresses: Iterable[AddressLike],
        source: AddressLike,
        version: int = 3,
        priority: int = 200,
        interval: float = 1.0,
        target: AddressLike | None = None,
        form: ChecksumForm = ChecksumForm.PSEUDO_HEADER,
    ) -> None:
        values = {
            "vrid": vrid,
            "addresses": tuple(to_address(address) for address in addresses),
            "source": to_address(source, "source"),
            "version": version,
            "priority": priority,
            "interval": interval,
            "target": None if target is None else to_address(target, "target"),
            "form": form,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self) -> None:
        if self.version not in DEFAULT_RULES:
            raise ConfigError(f"version must be 2 or 3, not {self.version!r}")
        if self.version == 2 and self.family is Family.IPV6:
            raise ConfigError("version must be 3 over IPv6, not 2")
        if not self.addresses:
            raise ConfigError("addresses must be one or more: a receiver compares them")
        for address in (*self.addresses, *filter(None, [self.target])):
            if address.version != self.family:
                raise ConfigError(f"addresses must be of the source's family, IPv{self.family}, not {address}")
        units = self.interval if self.version == 2 else self.interval * 100
        if abs(units - round(units)) > 1e-6 or not 1 <= round(units) <= (255 if self.version == 2 else 4095):
            allowed = "1-255 whole seconds" if self.version == 2 else "0.01-40.95 s in whole centiseconds"
            raise ConfigError(f"interval must be {allowed}, not {self.interval!r}")
        self.packet()  # whose fields name what does not fit

    @property
    def family(self) -> Family:
        """That of the source."""
        return Family(self.source.version)

    @property
    def rules(self) -> Rules:
        """By which a packet here is judged: RFC 9568 for version 3, RFC 3768 for version 2."""
        return DEFAULT_RULES[self.version]

    @property
    def group(self) -> IPAddress:
        """Where adverts go: 224.0.0.18 or ff02::12."""
        return group_address(self.family)

    def but(self, **changes: Any) -> Self:
        """A copy with other values."""
        return dataclasses.replace(self, **changes)

    def packet(self, **changes: Any) -> Packet:
        """The advert that this virtual router expects, with ``changes`` to its fields."""
        fields: dict[str, Any] = {
            "vrid": self.vrid,
            "priority": self.priority,
            "addresses": self.addresses,
        } | changes
        if self.version == 2:
            return VRRPv2(**{"advertisement_interval": round(self.interval)} | fields)
        return VRRPv3(**{"max_advertise_interval": round(self.interval * 100)} | fields)

    def encode(
        self, packet: Packet, *, destination: IPAddress | None = None, form: ChecksumForm | None = None
    ) -> bytes:
        """The bytes of ``packet`` as sent from here, by default to the group and with the scene's checksum."""
        form = form or (ChecksumForm.MESSAGE_ONLY if isinstance(packet, VRRPv2) else self.form)
        return packet.encode(self.source, destination or self.group, form=form)

    def datagram(self, packet: Packet | None = None) -> Datagram:
        """What is sent here: the advert that is expected, or another packet, to the group with TTL 255."""
        return Datagram(self.encode(packet or self.packet()), self.source, self.group, ADVERTISEMENT_TTL)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wrapping:
    """The facts of the headers around a message that a :class:`Datagram` does not hold; by default all is right.

    ``options`` are IPv4 options, a multiple of four bytes. ``flags`` is the IPv4 word of flags and fragment offset.
    ``extra_length`` is added to the length that the IP header announces. ``header_checksum`` None means compute.
    ``padding`` bytes of zero follow in the frame, outside the IP packet. ``hop_by_hop`` puts an IPv6 hop-by-hop
    header with padding before the message.
    """

    tos: int = _INTERNETWORK_CONTROL
    options: bytes = b""
    flags: int = _DONT_FRAGMENT
    extra_length: int = 0
    header_checksum: int | None = None
    padding: int = 0
    hop_by_hop: bool = False


PLAIN = Wrapping()


@dataclasses.dataclass(frozen=True, slots=True)
class Specimen:
    """A packet that was built: the datagram, and the headers around it."""

    datagram: Datagram
    wrapping: Wrapping = PLAIN

    def packet(self) -> bytes:
        """The IP packet."""
        build = _ipv4 if self.datagram.family is Family.IPV4 else _ipv6
        return build(self.datagram, self.wrapping)

    def frame(self, source_mac: MacLike | None = None, destination_mac: MacLike | None = None) -> bytes:
        """The Ethernet frame without FCS, by default from the virtual MAC of its VRID to the group's.

        ConfigError if ``destination_mac`` is not given and the destination is no group.
        """
        family, payload = self.datagram.family, self.datagram.payload
        if source_mac is None:
            source_mac = virtual_mac(max(1, payload[1]) if len(payload) > 1 else 1, family)
        if destination_mac is None:
            if not self.datagram.destination.is_multicast:
                raise ConfigError(
                    f"destination_mac must be given: {self.datagram.destination} is no multicast group"
                )
            destination_mac = multicast_mac(self.datagram.destination)
        ethertype = b"\x08\x00" if family is Family.IPV4 else b"\x86\xdd"
        head = MacAddress(destination_mac).packed + MacAddress(source_mac).packed + ethertype
        return head + self.packet() + bytes(self.wrapping.padding)


Built: TypeAlias = Specimen | None
"""None: this scene lacks what the entry needs."""


def _ipv4(datagram: Datagram, wrapping: Wrapping) -> bytes:
    words = 5 + len(wrapping.options) // 4
    length = 4 * words + len(datagram.payload) + wrapping.extra_length
    head = bytes([0x40 | words, wrapping.tos]) + (length & 0xFFFF).to_bytes(2, "big") + bytes(2)
    head += wrapping.flags.to_bytes(2, "big") + bytes([datagram.ttl, PROTOCOL]) + bytes(2)
    head += datagram.source.packed + datagram.destination.packed + wrapping.options
    checksum = internet_checksum(head) if wrapping.header_checksum is None else wrapping.header_checksum
    return head[:10] + checksum.to_bytes(2, "big") + head[12:] + datagram.payload


def _ipv6(datagram: Datagram, wrapping: Wrapping) -> bytes:
    # RFC 8200 4.3: PadN fills the eight bytes of the header
    extension = bytes([PROTOCOL, 0, 1, 4, 0, 0, 0, 0]) if wrapping.hop_by_hop else b""
    length = len(extension) + len(datagram.payload) + wrapping.extra_length
    head = (6 << 28 | wrapping.tos << 20).to_bytes(4, "big") + (length & 0xFFFF).to_bytes(2, "big")
    head += bytes([0 if extension else PROTOCOL, datagram.ttl])
    return head + datagram.source.packed + datagram.destination.packed + extension + datagram.payload


def advert(
    scene: Scene,
    payload: bytes,
    *,
    ttl: int = ADVERTISEMENT_TTL,
    source: IPAddress | None = None,
    destination: IPAddress | None = None,
    wrapping: Wrapping = PLAIN,
) -> Specimen:
    """``payload`` as it is sent in ``scene``: to the group, with TTL 255, unless told otherwise."""
    return Specimen(Datagram(payload, source or scene.source, destination or scene.group, ttl), wrapping)


def neighbour(address: IPAddress, by: int = 1) -> IPAddress:
    """Another address of the same network, for one that is not in a list."""
    low = int(address) & 0xFF
    number = (int(address) & ~0xFF) | ((low + by - 1) % 254 + 1)
    return IPv4Address(number) if isinstance(address, IPv4Address) else type(address)(number)
