"""CARP, the BSDs' and ucarp's protocol, which shares IP protocol 112 with VRRP: decode, encode, verify and sign.

There is no RFC: clauses name the implementation that a rule was taken from.
"""

from __future__ import annotations

import dataclasses
import hmac
import struct
from collections.abc import Iterable
from ipaddress import IPv6Address
from typing import Any, Self

from vrrplib.errors import ConfigError, DecodeError, Finding, Problem, require_int
from vrrplib.wire.addresses import AddressLike, IPAddress, MacAddress, MacLike, to_address
from vrrplib.wire.checksum import internet_checksum, ones_sum, verifies, with_checksum
from vrrplib.wire.keys import Key, KeyLike

CARP_LENGTH = 36
_HEADER = struct.Struct("!BBBBBBHQ20s")
_AUTH_WORDS = 7  # counter and digest, in 32-bit words
_VERSION, _ADVERTISEMENT = 2, 1
_LEAST_INTERVAL = 1 / 256  # OpenBSD, with advbase 0 and advskew 0
_OPENBSD = "CARP (OpenBSD)"


def carp_interval(advbase: int, advskew: int) -> float:
    """Seconds from one advertisement to the next; the smaller interval wins the election."""
    return max(advbase + advskew / 256, _LEAST_INTERVAL)


def carp_down_time(advbase: int, advskew: int, dead_ratio: int = 3) -> float:
    """Seconds of silence after which a backup takes over; ``dead_ratio`` is ucarp's option, elsewhere 3."""
    return max(dead_ratio * advbase + advskew / 256, _LEAST_INTERVAL)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CARP:
    """A CARP advertisement. Every field can be given any value that fits into its bits; else ConfigError names it.

    ``advbase`` is in seconds and ``advskew`` in 1/256 seconds, ``authlen`` in 32-bit words. ``demote`` is OpenBSD's
    counter, and padding elsewhere. ``checksum`` None means compute when encoding.
    """

    vhid: int
    advskew: int = 0
    advbase: int = 1
    demote: int = 0
    counter: int = 0
    digest: bytes = bytes(20)
    version: int = _VERSION
    type: int = _ADVERTISEMENT
    authlen: int = _AUTH_WORDS
    checksum: int | None = None
    trailing: bytes = b""

    def __post_init__(self) -> None:
        for name in ("vhid", "advskew", "advbase", "demote", "authlen"):
            require_int(name, getattr(self, name), 0, 255)
        require_int("version", self.version, 0, 15)
        require_int("type", self.type, 0, 15)
        require_int("counter", self.counter, 0, (1 << 64) - 1)
        if self.checksum is not None:
            require_int("checksum", self.checksum, 0, 0xFFFF)
        if len(self.digest) != 20:
            raise ConfigError(f"digest must have 20 bytes, not {len(self.digest)}")

    @property
    def interval(self) -> float:
        """Seconds between advertisements: see :func:`carp_interval`."""
        return carp_interval(self.advbase, self.advskew)

    @property
    def down_time(self) -> float:
        """Seconds without one after which a backup takes over: see :func:`carp_down_time`."""
        return carp_down_time(self.advbase, self.advskew)

    @property
    def is_bow_out(self) -> bool:
        """Whether the sender is about to leave: CARP's priority 0 (OpenBSD, FreeBSD)."""
        return self.advbase == self.advskew == 255

    def replace(self, **changes: Any) -> Self:
        """A copy with other values; the checksum is computed anew unless it is among ``changes``."""
        return dataclasses.replace(self, **{"checksum": None} | changes)

    def encode(self) -> bytes:
        """The bytes; the checksum, over all of them and no pseudo-header, is computed unless it was given."""
        first = self.version << 4 | self.type
        lengths = self.vhid, self.advskew, self.authlen, self.demote, self.advbase
        data = _HEADER.pack(first, *lengths, self.checksum or 0, self.counter, self.digest) + self.trailing
        return data if self.checksum is not None else with_checksum(data, internet_checksum(data))


@dataclasses.dataclass(frozen=True, slots=True)
class CARPInspection:
    """A CARP advertisement, None below 36 bytes, with all that is wrong with it, and what is merely odd."""

    packet: CARP | None
    problems: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()


def inspect_carp(data: bytes) -> CARPInspection:
    """All about a CARP payload; never raises. The digest is :func:`verify_carp`'s affair.

    For every packet that it yields, ``encode`` gives the same bytes back.
    """
    data = bytes(data)
    if len(data) < CARP_LENGTH:
        message = f"an advertisement must have {CARP_LENGTH} bytes, not {len(data)}"
        return CARPInspection(None, (Finding(Problem.TRUNCATED, _OPENBSD, message),))
    first, vhid, advskew, authlen, demote, advbase, checksum, counter, digest = _HEADER.unpack_from(data)
    packet = CARP(
        version=first >> 4,
        type=first & 0xF,
        vhid=vhid,
        advskew=advskew,
        authlen=authlen,
        demote=demote,
        advbase=advbase,
        checksum=checksum,
        counter=counter,
        digest=digest,
        trailing=data[CARP_LENGTH:],
    )
    return CARPInspection(packet, tuple(_problems(packet, data)), tuple(_notes(packet)))


def decode_carp(data: bytes) -> CARP:
    """The advertisement in a CARP payload; raises DecodeError exactly when :func:`inspect_carp` lists a problem."""
    seen = inspect_carp(data)
    if seen.packet is None or seen.problems:
        raise DecodeError(seen.problems)
    return seen.packet


def _problems(packet: CARP, data: bytes) -> Iterable[Finding]:
    if packet.version != _VERSION:
        yield Finding(Problem.VERSION, _OPENBSD, f"version must be {_VERSION}, not {packet.version}")
    if packet.vhid == 0:
        yield Finding(Problem.VRID, _OPENBSD, "vhid must be 1-255, not 0")
    if not (verifies(ones_sum(data)) or verifies(ones_sum(data[:CARP_LENGTH]))):
        expected = internet_checksum(with_checksum(data[:CARP_LENGTH], 0))
        yield Finding(Problem.CHECKSUM, _OPENBSD, f"checksum must be 0x{expected:04x}, not 0x{packet.checksum:04x}")


def _notes(packet: CARP) -> Iterable[Finding]:
    # neither OpenBSD nor ucarp looks at type and authentication length: to them it is an advertisement all the same
    if packet.type != _ADVERTISEMENT:
        yield Finding(Problem.TYPE, _OPENBSD, f"type must be {_ADVERTISEMENT} (advertisement), not {packet.type}")
    if packet.authlen != _AUTH_WORDS:
        words = f"authentication length must be {_AUTH_WORDS} words, not {packet.authlen}"
        yield Finding(Problem.LENGTH, _OPENBSD, words)
    if packet.advskew == 255 and not packet.is_bow_out:
        words = f"advskew must be 0-254, not 255, unless advbase is 255 too, not {packet.advbase}"
        yield Finding(Problem.INTERVAL, _OPENBSD, words)
    if packet.trailing:
        yield Finding(Problem.TRAILING, _OPENBSD, f"{len(packet.trailing)} bytes follow the advertisement")


@dataclasses.dataclass(frozen=True, slots=True)
class CARPKey:
    """What the members of a CARP group share: ``key``, at most 20 bytes, and their virtual addresses, in any order.

    ``mac`` is the virtual router's, for OpenBSD with one that was configured and is not 00:00:5e:00:01:vhid; None
    leaves it out. ``in_order`` is for old FreeBSD, which hashes the addresses in the interface's order.
    """

    key: Key
    addresses: tuple[IPAddress, ...]
    mac: MacAddress | None = None
    in_order: bool = False

    def __init__(
        self,
        key: KeyLike,
        addresses: Iterable[AddressLike],
        mac: MacLike | None = None,
        in_order: bool = False,
    ) -> None:
        key = Key(key)  # from here on this frame holds no secret
        for name, value in (("key", key), ("addresses", ()), ("mac", None), ("in_order", in_order)):
            object.__setattr__(self, name, value)
        key.require_length(0, 20, "CARP takes no longer one")
        if isinstance(addresses, str) or not isinstance(addresses, Iterable):
            raise ConfigError(f"addresses must be a list of addresses, not {addresses!r}")
        object.__setattr__(self, "addresses", tuple(to_address(item) for item in addresses))
        object.__setattr__(self, "mac", None if mac is None else MacAddress(mac))

    def digest(self, packet: CARP, *, link_local: bool = False) -> bytes:
        """HMAC-SHA1 over version, type, vhid, addresses and counter: advbase, advskew and demote are not covered.

        IPv4 addresses come first, each family from the lowest up; IPv6 link-local ones only with ``link_local``.
        """
        hashed = [address for address in self.addresses if link_local or not _is_link_local(address)]
        hashed.sort(key=lambda address: (address.version, 0 if self.in_order else int(address)))
        mac = b"" if self.mac is None else self.mac.packed
        head = bytes([_VERSION, _ADVERTISEMENT]) + mac + bytes([packet.vhid])
        data = head + b"".join(address.packed for address in hashed) + packet.counter.to_bytes(8, "big")
        return hmac.digest(self.key.reveal(), data, "sha1")


def verify_carp(shared: CARPKey, packet: CARP) -> Finding | None:
    """What is wrong with the digest of an advertisement; None if it is that of a member.

    With or without IPv6 link-local addresses will do, as in OpenBSD. Nothing here stops a replay: OpenBSD's counter
    is one random number for as long as it runs, ucarp's a new one each time until it has heard another, and
    receivers accept any.
    """
    forms = (False, True) if any(map(_is_link_local, shared.addresses)) else (False,)
    if any(hmac.compare_digest(packet.digest, shared.digest(packet, link_local=form)) for form in forms):
        return None
    return Finding(Problem.AUTHENTICATION, _OPENBSD, "the digest does not fit the key, the vhid and the addresses")


def sign_carp(shared: CARPKey, packet: CARP) -> CARP:
    """``packet`` with its digest, over no link-local address as in OpenBSD; ``encode`` makes the checksum."""
    return packet.replace(digest=shared.digest(packet))


def _is_link_local(address: IPAddress) -> bool:
    return isinstance(address, IPv6Address) and address.is_link_local
