"""Packets that are wrong on purpose: a catalogue of them with names, and a mutator that repeats itself from a seed.

for entry in CATALOGUE:
    specimen = entry.build(Scene(vrid=51, addresses=["192.0.2.254"], source="192.0.2.1"))
    if specimen: transport.send(specimen.frame())

mutator = Mutator(9568)
frames = [mutator.frame(frame) for _ in range(1000)]
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from vrrplib.errors import ConfigError
from vrrplib.lab.catalogue import CATALOGUE, PEERS, Answer, Entry
from vrrplib.lab.scenes import Scene, Specimen, Wrapping
from vrrplib.wire.addresses import Family, IPAddress, group_address, to_address
from vrrplib.wire.checksum import (
    CHECKSUM_OFFSET,
    ChecksumForm,
    checksum_of_sum,
    internet_checksum,
    ones_sum,
    pseudo_header_sum,
    with_checksum,
)
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import parse
from vrrplib.wire.packets import VRRPv2, VRRPv3

T = TypeVar("T")
_PACKET = TypeVar("_PACKET", VRRPv2, VRRPv3)

_BITS = {
    "vrid": 8,
    "priority": 8,
    "version": 4,
    "type": 4,
    "count": 8,
    "max_advertise_interval": 12,
    "reserved": 4,
    "advertisement_interval": 8,
    "auth_type": 8,
}
"""The fields that are numbers, and their width on the wire (RFC 9568 5.1, RFC 3768 5.1)."""
_V2_FIELDS = ("vrid", "priority", "version", "type", "count", "advertisement_interval", "auth_type")
_V3_FIELDS = ("vrid", "priority", "version", "type", "count", "max_advertise_interval", "reserved")
_TTLS = (0, 1, 64, 128, 254)
_LONGEST = 1480
"""The bytes of a message that fit into an Ethernet frame (RFC 894), less an IPv4 header."""


class Checksums(enum.Enum):
    """What happens to a checksum when the bytes that it covers are changed."""

    KEEP = "keep"
    """It stays as it is, and mostly becomes wrong: what is tested is the check."""
    RECOMPUTE = "recompute"
    """It is made right: what is tested is all that comes after the check."""
    EITHER = "either"
    """The dice decide, each time."""


class Mutator:
    """Changes packets, messages, datagrams and frames at random, the same way each time for the same ``seed``.

    The sequence depends on the seed, ``checksums`` and the calls alone, not on the version of Python. What is
    given is never changed; what comes back may be equal to it, for a change can undo another.
    """

    def __init__(self, seed: int, *, checksums: Checksums = Checksums.EITHER) -> None:
        self.checksums = checksums
        self._dice = random.Random(seed)  # noqa: S311  # a test's dice

    # -- values --

    def packet(self, packet: _PACKET) -> _PACKET:
        """``packet`` with one to three fields changed.

        Its checksum is None (computed when encoding) where it is recomputed, else what it was.
        """
        names: tuple[str, ...] = _V2_FIELDS if isinstance(packet, VRRPv2) else _V3_FIELDS
        changes: dict[str, Any] = {"count": packet.count}
        for _ in range(1 + self._below(3)):
            name = self._pick((*names, "addresses", "trailing"))
            if name == "addresses":
                changes[name] = self._addresses(packet.addresses)
            elif name == "trailing":
                changes[name] = self._bytes(self._pick((0, 1, 4, 8, 28, 30)))
            else:
                changes[name] = self._number(_BITS[name], getattr(packet, name))
        checksum = None if self._recomputes() else packet.checksum
        if changes["count"] is None and len(changes.get("addresses", ())) > 255:
            changes["count"] = 255
        return packet.replace(**changes | {"checksum": checksum})

    def payload(
        self,
        data: bytes,
        *,
        source: IPAddress | str | None = None,
        destination: IPAddress | str | None = None,
        form: ChecksumForm = ChecksumForm.PSEUDO_HEADER,
    ) -> bytes:
        """A message with one to three changes to its bytes.

        A checksum that is recomputed has a pseudo-header where ``form`` says so, the version is not 2, and both
        addresses are given; else it covers the message alone.
        """
        changed = bytes(data)
        for _ in range(1 + self._below(3)):
            changed = self._pick(_CHANGES)(self, changed)
        if len(changed) < CHECKSUM_OFFSET + 2 or not self._recomputes():
            return changed
        return _mended(changed, source, destination, form)

    def datagram(self, datagram: Datagram) -> Datagram:
        """``datagram`` with another message and, one time in four, another TTL, source or destination."""
        source, destination, ttl = datagram.source, datagram.destination, datagram.ttl
        if not self._below(4):
            match self._below(3):
                case 0:
                    ttl = self._pick(_TTLS)
                case 1:
                    source = self._address(source)
                case _:
                    destination = self._pick((group_address(datagram.family), self._address(destination)))
        payload = self.payload(datagram.payload, source=source, destination=destination, form=self._form(datagram))
        return Datagram(payload, source, destination, ttl, datagram.header)

    def frame(self, frame: bytes) -> bytes:
        """An Ethernet frame changed in its message, the headers mended around it, or anywhere.

        Where there is no VRRP in it, and one time in four anyway, the bytes are changed as they are.
        """
        datagram = parse(frame)
        if datagram is None or not datagram.header or not self._below(4):
            return self._pick(_CHANGES)(self, bytes(frame))
        changed = self.datagram(datagram)
        at = bytes(frame).index(datagram.header)
        header = _rewrapped(datagram.header, changed)
        return bytes(frame)[:at] + header + changed.payload

    def pick(self, items: Sequence[T]) -> T:
        """One of ``items``, by the same dice."""
        return self._pick(items)

    # -- changes to bytes --

    def _flip(self, data: bytes) -> bytes:
        return self._at_each(data, 1 + self._below(4), lambda byte: byte ^ 1 << self._below(8))

    def _set_edge(self, data: bytes) -> bytes:
        return self._at_each(data, 1, lambda byte: self._number(8, byte))

    def _set_field(self, data: bytes) -> bytes:
        """One of the first eight bytes, or a nibble of the first, where all the fields are."""
        if not data:
            return data
        at = self._below(min(8, len(data)))
        value = self._number(8, data[at])
        if at == 0 and self._below(2):
            value = (data[0] & 0xF0) | (value & 0xF) if self._below(2) else (data[0] & 0xF) | (value & 0xF0)
        return data[:at] + bytes([value]) + data[at + 1 :]

    def _set_count(self, data: bytes) -> bytes:
        if len(data) < 4:
            return data
        near = self._pick((0, 1, data[3] - 1, data[3] + 1, 2 * data[3], 7, 255))
        return data[:3] + bytes([near & 0xFF]) + data[4:]

    def _truncate(self, data: bytes) -> bytes:
        return data[: self._pick((self._below(len(data) + 1), max(0, len(data) - 1), min(8, len(data))))]

    def _extend(self, data: bytes) -> bytes:
        size = self._pick((1, 2, 4, 6, 8, 16, 28, 30, self._below(64), max(0, _LONGEST - len(data))))
        return data + (bytes(size) if self._below(2) else self._bytes(size))

    def _duplicate(self, data: bytes) -> bytes:
        """A stretch of bytes once more: an address twice, or a whole message."""
        if not data:
            return data
        start = self._below(len(data))
        size = self._pick((1, 4, 16, len(data)))
        return (data[: start + size] + data[start : start + size] + data[start + size :])[
            : max(_LONGEST, len(data))
        ]

    def _delete(self, data: bytes) -> bytes:
        start, size = self._below(len(data) + 1), self._pick((1, 2, 4, 16))
        return data[:start] + data[start + size :]

    def _swap(self, data: bytes) -> bytes:
        """Two 16-bit words change places, which no internet checksum notices."""
        if len(data) < 4:
            return data
        first, second = sorted(2 * self._below(len(data) // 2) for _ in range(2))
        if first == second:
            return data
        between = data[first + 2 : second]
        return data[:first] + data[second : second + 2] + between + data[first : first + 2] + data[second + 2 :]

    def _at_each(self, data: bytes, times: int, change: Callable[[int], int]) -> bytes:
        changed = bytearray(data)
        for _ in range(times if data else 0):
            at = self._below(len(data))
            changed[at] = change(changed[at]) & 0xFF
        return bytes(changed)

    # -- dice --

    def _below(self, end: int) -> int:
        return self._dice.randrange(end)

    def _bytes(self, size: int) -> bytes:
        return self._dice.getrandbits(8 * size).to_bytes(size, "big") if size else b""

    def _pick(self, items: Sequence[T]) -> T:
        return items[self._below(len(items))]

    def _number(self, bits: int, now: int | None) -> int:
        """A number of that many bits: at an edge, beside ``now``, a single bit, or any."""
        most = (1 << bits) - 1
        now = now or 0
        choices = (0, 1, most, most - 1, now + 1, now - 1, 1 << self._below(bits), self._dice.getrandbits(bits))
        return self._pick(choices) & most

    def _address(self, address: IPAddress) -> IPAddress:
        size = len(address.packed)
        number = self._pick((0, (1 << 8 * size) - 1, int(address) ^ 1 << self._below(8 * size), int(address) + 1))
        return type(address)(number % (1 << 8 * size))

    def _addresses(self, addresses: tuple[IPAddress, ...]) -> tuple[IPAddress, ...]:
        if not addresses:
            return (to_address("192.0.2.254"),)
        at = self._below(len(addresses))
        match self._below(5):
            case 0:
                return addresses[:at] + addresses[at + 1 :]
            case 1:
                return (*addresses, addresses[at])
            case 2:
                return addresses[::-1]
            case 3:
                return (*addresses[:at], self._address(addresses[at]), *addresses[at + 1 :])
            case _:
                return (addresses[at],) * self._pick((2, 7, 20, 255))

    def _recomputes(self) -> bool:
        if self.checksums is Checksums.EITHER:
            return bool(self._below(2))
        return self.checksums is Checksums.RECOMPUTE

    def _form(self, datagram: Datagram) -> ChecksumForm:
        if datagram.family is Family.IPV6:
            return ChecksumForm.PSEUDO_HEADER
        return self._pick((ChecksumForm.PSEUDO_HEADER, ChecksumForm.MESSAGE_ONLY))


_CHANGES: tuple[Callable[[Mutator, bytes], bytes], ...] = (
    Mutator._flip,
    Mutator._set_edge,
    Mutator._set_field,
    Mutator._set_count,
    Mutator._truncate,
    Mutator._extend,
    Mutator._duplicate,
    Mutator._delete,
    Mutator._swap,
)


def recompute(
    data: bytes,
    *,
    source: IPAddress | str | None = None,
    destination: IPAddress | str | None = None,
    form: ChecksumForm = ChecksumForm.PSEUDO_HEADER,
) -> bytes:
    """A message of eight bytes or more with its checksum made right over all its bytes, whatever is in them.

    Version 2 covers the message alone; so does ``form`` MESSAGE_ONLY, and a call without both addresses.
    Raises ConfigError below eight bytes.
    """
    if len(data) < CHECKSUM_OFFSET + 2:
        raise ConfigError(f"a message must have at least {CHECKSUM_OFFSET + 2} bytes, not {len(data)}")
    return _mended(bytes(data), source, destination, form)


def _mended(
    data: bytes, source: IPAddress | str | None, destination: IPAddress | str | None, form: ChecksumForm
) -> bytes:
    blank = with_checksum(data, 0)
    total = ones_sum(blank)
    if (
        data[0] >> 4 != 2
        and form is not ChecksumForm.MESSAGE_ONLY
        and source is not None
        and destination is not None
    ):
        sender, receiver = to_address(source, "source"), to_address(destination, "destination")
        if form is ChecksumForm.MULTICAST_PSEUDO_HEADER:
            receiver = group_address(Family(sender.version))
        total += pseudo_header_sum(sender, receiver, len(data))
    return with_checksum(data, checksum_of_sum(total))


def _rewrapped(header: bytes, changed: Datagram) -> bytes:
    """The IP header, and what follows it up to the message, for another datagram."""
    if changed.family is Family.IPV4:
        own = 4 * (header[0] & 0xF)
        length = len(header) + len(changed.payload)
        blank = header[:2] + (length & 0xFFFF).to_bytes(2, "big") + header[4:8]
        blank += bytes([changed.ttl]) + header[9:10] + bytes(2)
        blank += changed.source.packed + changed.destination.packed + header[20:own]
        return blank[:10] + internet_checksum(blank).to_bytes(2, "big") + blank[12:] + header[own:]
    length = len(header) - 40 + len(changed.payload)
    return (
        header[:4]
        + (length & 0xFFFF).to_bytes(2, "big")
        + header[6:7]
        + bytes([changed.ttl])
        + changed.source.packed
        + changed.destination.packed
        + header[40:]
    )


__all__ = [
    "CATALOGUE",
    "PEERS",
    "Answer",
    "Checksums",
    "Entry",
    "Mutator",
    "Scene",
    "Specimen",
    "Wrapping",
    "recompute",
]
