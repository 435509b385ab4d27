"""A message byte by byte: what each field is called, what it says, and which clause defines it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from vrrplib.rules import RFC3768, RFC9568
from vrrplib.wire.addresses import Family
from vrrplib.wire.carp import CARP
from vrrplib.wire.packets import Packet, VRRPv2, VRRPv3

_WIDEST = 8  # bytes on a line
_HIDDEN = "--"


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """``size`` bytes from ``offset``, or some of their bits. ``value`` is in words; a password is ``hidden``."""

    offset: int
    size: int
    name: str
    value: str
    clause: str
    hidden: bool = False

    def lines(self, data: bytes) -> Iterator[str]:
        """The field with its bytes, eight on a line, in hexadecimal."""
        taken = data[self.offset : self.offset + self.size]
        text = f"{self.name}: {self.value}" + (f"  ({self.clause})" if self.clause else "")
        for at in range(0, max(1, len(taken)), _WIDEST):
            part = taken[at : at + _WIDEST]
            digits = " ".join([_HIDDEN] * len(part)) if self.hidden else part.hex(" ")
            yield f"  {self.offset + at:04x}  {digits:<23}  {text}".rstrip()
            text = ""


def fields_of(packet: Packet | CARP | None, data: bytes, family: Family) -> list[Field]:
    """The fields of a message; what no packet could be made of is one field without a meaning."""
    if packet is None:
        return [Field(0, len(data), "bytes", "too few for a message", "RFC 9568 7.1")]
    if isinstance(packet, CARP):
        return _carp(packet)
    return list(_v2(packet) if isinstance(packet, VRRPv2) else _v3(packet, family))


def _head(packet: Packet, rfc: str, section: str) -> Iterator[Field]:
    yield Field(0, 1, "version", f"{packet.version}", f"{rfc} {section}.1")
    yield Field(0, 1, "type", f"{packet.type}" + (" ADVERTISEMENT" * (packet.type == 1)), f"{rfc} {section}.2")
    yield Field(1, 1, "virtual router id", f"{packet.vrid}", f"{rfc} {section}.3")
    meaning = {0: "resigns", 255: "owns the addresses"}.get(packet.priority)
    words = f"{packet.priority}" + (f": the sender {meaning}" if meaning else "")
    yield Field(2, 1, "priority", words, f"{rfc} {section}.4")
    yield Field(3, 1, "address count", f"{packet.count}", f"{rfc} {section}.5")


def _v2(packet: VRRPv2) -> Iterator[Field]:
    rfc = RFC3768.name.replace("RFC", "RFC ")
    yield from _head(packet, rfc, "5.3")
    kinds = {0: "none", 1: "simple text", 2: "IP authentication header", 254: "Cisco MD5"}
    kind = kinds.get(packet.auth_type, "unknown")
    yield Field(4, 1, "authentication type", f"{packet.auth_type} {kind}", f"{rfc} 5.3.6")
    yield Field(5, 1, "advertisement interval", f"{packet.advertisement_interval} s", f"{rfc} 5.3.7")
    yield Field(6, 2, "checksum", f"0x{packet.checksum:04x}", f"{rfc} 5.3.8")
    yield from _addresses(packet, 4, f"{rfc} 5.3.9")
    at = 8 + 4 * len(packet.addresses)
    if packet.auth_data:
        size, plain = len(packet.auth_data), not any(packet.auth_data)
        value = "zero" if plain else f"{size} bytes, not shown"
        yield Field(at, size, "authentication data", value, f"{rfc} 5.3.10", hidden=not plain)
    yield from _trailing(packet, at + len(packet.auth_data))


def _v3(packet: VRRPv3, family: Family) -> Iterator[Field]:
    rfc = RFC9568.name.replace("RFC", "RFC ")
    yield from _head(packet, rfc, "5.2")
    yield Field(4, 1, "reserved", f"{packet.reserved}", f"{rfc} 5.2.6")
    interval = f"{packet.max_advertise_interval} cs = {packet.interval:g} s"
    yield Field(4, 2, "max advertise interval", interval, f"{rfc} 5.2.7")
    yield Field(6, 2, "checksum", f"0x{packet.checksum:04x}", f"{rfc} 5.2.8")
    yield from _addresses(packet, family.address_length, f"{rfc} 5.2.9")
    yield from _trailing(packet, 8 + family.address_length * len(packet.addresses))


def _addresses(packet: Packet, size: int, clause: str) -> Iterator[Field]:
    for number, address in enumerate(packet.addresses):
        yield Field(8 + size * number, size, f"address {number + 1}", str(address), clause)


def _trailing(packet: Packet, at: int) -> Iterator[Field]:
    if packet.trailing:
        yield Field(at, len(packet.trailing), "trailing", f"{len(packet.trailing)} bytes after the message", "")


def _carp(packet: CARP) -> list[Field]:
    return [
        Field(0, 1, "version", f"{packet.version}", "CARP"),
        Field(0, 1, "type", f"{packet.type}", "CARP"),
        Field(1, 1, "virtual host id", f"{packet.vhid}", "CARP"),
        Field(2, 1, "advskew", f"{packet.advskew}/256 s", "CARP"),
        Field(3, 1, "authentication length", f"{packet.authlen} words", "CARP"),
        Field(4, 1, "demote counter", f"{packet.demote}", "CARP (OpenBSD)"),
        Field(5, 1, "advbase", f"{packet.advbase} s", "CARP"),
        Field(6, 2, "checksum", f"0x{packet.checksum or 0:04x}", "CARP"),
        Field(8, 8, "counter", f"{packet.counter:#x}", "CARP"),
        Field(16, 20, "digest", "HMAC-SHA1", "CARP"),
    ]
