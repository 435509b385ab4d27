"""The Authentication Header between IPv4 and VRRPv2 (RFC 2338 5.3.6.2): keepalived's, and that of RFC 2402."""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import hmac
import struct
from typing import ClassVar

from vrrplib.errors import Finding, Problem, require_int
from vrrplib.wire.addresses import AH_PROTOCOL, PROTOCOL, IPAddress
from vrrplib.wire.checksum import internet_checksum
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.keys import Key, KeyLike, Replay, Verified

# the wire's choice, not ours: a FIPS build must still interoperate
_MD5 = functools.partial(hashlib.md5, usedforsecurity=False)
_IPV4_LENGTH = 20
_TRAFFIC_CLASS = 0xC0  # internetwork control, as all of VRRP
_AH = struct.Struct("!BBHII12s")  # RFC 2402 2: next header, length in words less two, reserved, SPI, sequence, ICV
_AH_WORDS = _AH.size // 4 - 2
_WINDOW = 64  # RFC 2402 3.4.3: should be the default


class AHStyle(enum.Enum):
    """Whose Authentication Header it is."""

    KEEPALIVED = "keepalived"
    """The TTL of multicast is covered too, and so are IP options. One counter for all senders, which must grow: a
    Backup goes on from where the Active router stopped."""
    RFC2402 = "rfc2402"
    """TTL and mutable options are not covered (3.3.3.1.1); a window of 64 for each SPI (3.4.3)."""


@dataclasses.dataclass(frozen=True, slots=True)
class AuthenticationHeader:
    """RFC 2338 5.3.6, type 2: an AH with HMAC-MD5-96 between IPv4 and VRRPv2.

    ``key`` is keepalived's password of 1-8 bytes, or the 16 bytes of RFC 2403 3. ``spi`` None is what keepalived
    sends: the sender's address.
    """

    auth_type: ClassVar[int] = 2
    """The Authentication Type of VRRPv2 (RFC 2338 5.3.6), 0 for a scheme that it knows nothing of."""
    numbered: ClassVar[bool] = True
    """Whether each message has a number of its own, so that none is like another."""
    trails: ClassVar[bool] = False
    """Whether there are bytes after the message."""

    key: Key
    style: AHStyle = AHStyle.KEEPALIVED
    spi: int | None = None

    def __init__(self, key: KeyLike, style: AHStyle = AHStyle.KEEPALIVED, spi: int | None = None) -> None:
        key = Key(key)  # from here on this frame holds no secret
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "style", style)
        object.__setattr__(self, "spi", spi)
        if style is AHStyle.KEEPALIVED:
            key.require_length(1, 8, "keepalived takes the first eight of a longer password")
        else:
            key.require_length(16, 16, "RFC 2403 3 supports no other length")
        if spi is not None:
            require_int("spi", spi, 0, 0xFFFFFFFF)


def verify_ah(scheme: AuthenticationHeader, datagram: Datagram, replay: Replay) -> Verified | Finding:
    """What :func:`vrrplib.verify` does for this scheme: IPv4 header and AH are in ``datagram.header``."""
    header = datagram.header
    ip, ah = header[: -_AH.size], header[-_AH.size :]
    facts = bytes([datagram.ttl & 0xFF, AH_PROTOCOL]), datagram.source.packed + datagram.destination.packed
    if len(ip) < _IPV4_LENGTH or len(ip) != (ip[0] & 0xF) * 4 or (ip[8:10], ip[12:20]) != facts:
        return _ah_finding("there must be an Authentication Header between IPv4 and VRRP", "RFC 2338 5.3.6.2")
    protocol, words, _, spi, sequence, icv = _AH.unpack(ah)
    if (protocol, words) != (PROTOCOL, _AH_WORDS):
        return _ah_finding(
            f"the AH must be of {_AH_WORDS} words before {PROTOCOL}, not of {words} before {protocol}"
        )
    if not hmac.compare_digest(icv, _icv(scheme, datagram)):
        return _ah_finding("the integrity check value does not fit the key and the packet", "RFC 2402 3.4.4")
    expected = _spi(scheme, datagram.source)
    if spi != expected:
        return _ah_finding(f"the SPI must be {expected:#010x}, not {spi:#010x}", "RFC 2402 3.4.2")
    # RFC 2402 3.3.2: the first is 1, and it never wraps
    shared = scheme.style is AHStyle.KEEPALIVED
    sender, window = (b"", 1) if shared else (ah[4:8], _WINDOW)
    after = replay.accept(sender, sequence, window=window) if sequence else None
    if after is None:
        message = (
            f"sequence number {sequence} was seen before, or is too old: {replay.highest(sender)} was the last"
        )
        return Finding(Problem.REPLAY, "RFC 2402 3.4.3", message)
    return Verified(after, sequence)


def _ah_finding(message: str, clause: str = "RFC 2402 2") -> Finding:
    return Finding(Problem.AUTHENTICATION, clause, message)


def sign_ah(
    scheme: AuthenticationHeader, datagram: Datagram, sequence: int, identification: int | None
) -> Datagram:
    """``datagram`` with an IPv4 header and an AH before it: see :func:`vrrplib.sign`."""
    require_int("sequence", sequence, 0, 0xFFFFFFFF)
    if identification is None:
        identification = sequence & 0xFFFF or 1  # not 0, for which Linux would put one of its own
    require_int("identification", identification, 0, 0xFFFF)
    require_int("ttl", datagram.ttl, 0, 255)
    length = _IPV4_LENGTH + _AH.size + len(datagram.payload)
    ip = struct.pack("!BBHHHBBH", 0x45, _TRAFFIC_CLASS, length, identification, 0, datagram.ttl, AH_PROTOCOL, 0)
    ip += datagram.source.packed + datagram.destination.packed
    ip = ip[:10] + internet_checksum(ip).to_bytes(2, "big") + ip[12:]
    ah = _AH.pack(PROTOCOL, _AH_WORDS, 0, _spi(scheme, datagram.source), sequence, b"")
    icv = _icv(scheme, dataclasses.replace(datagram, header=ip + ah))
    return dataclasses.replace(datagram, header=ip + ah[: -len(icv)] + icv)


def _spi(scheme: AuthenticationHeader, source: IPAddress) -> int:
    return int(source) if scheme.spi is None else scheme.spi


def _icv(scheme: AuthenticationHeader, datagram: Datagram) -> bytes:
    """HMAC-MD5-96 (RFC 2403) over IP header, AH and message, without what may change (RFC 2402 3.3.3.1.1)."""
    ip, ah = bytearray(datagram.header[: -_AH.size]), bytearray(datagram.header[-_AH.size :])
    ip[1] = 0  # type of service
    ip[6:8] = bytes(2)  # flags and offset
    ip[10:12] = bytes(2)  # header checksum
    if scheme.style is AHStyle.RFC2402:
        ip[_IPV4_LENGTH:] = _without_mutable(bytes(ip[_IPV4_LENGTH:]))
    if scheme.style is AHStyle.RFC2402 or not datagram.destination.is_multicast:
        ip[8] = 0  # TTL: keepalived covers that of multicast, which passes no router
    ah[12:] = bytes(12)
    return hmac.digest(scheme.key.reveal(), bytes(ip + ah) + datagram.payload, _MD5)[:12]


_IMMUTABLE_OPTIONS = {0, 1, 130, 133, 134, 148, 149}  # RFC 2402, appendix A1


def _without_mutable(options: bytes) -> bytes:
    """IPv4 options with those zeroed that may change on the way; a garbled one ends the list, and is zeroed too."""
    kept, at = bytearray(len(options)), 0
    while at < len(options):
        size = 1 if options[at] in (0, 1) else max(2, options[at + 1] if at + 1 < len(options) else 0)
        if at + size > len(options):
            break
        if options[at] in _IMMUTABLE_OPTIONS:
            kept[at : at + size] = options[at : at + size]
        at += size
    return bytes(kept)
