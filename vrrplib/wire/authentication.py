"""Authentication of advertisements: :func:`verify` what was received, :func:`sign` what is sent.

Four schemes, as values: RFC 2338 simple text, RFC 2338 with an Authentication Header (RFC 2402 and RFC 2403),
Cisco's MD5, and the HMAC trailer of draft-cassen-vrrp-auth-hmac. What each protects is in docs/authentication.md.

Digests are compared in constant time. A secret lives in a :class:`Key` and nowhere else: no repr, message or frame
of a traceback of these modules holds it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import struct
from ipaddress import IPv4Address
from typing import ClassVar, Never, TypeAlias

from vrrplib.errors import ConfigError, Finding, Problem, require_int
from vrrplib.wire.addresses import ADVERTISEMENT_TTL, AddressLike, Family, IPAddress, to_address
from vrrplib.wire.ah import AHStyle, AuthenticationHeader, sign_ah, verify_ah
from vrrplib.wire.checksum import ChecksumForm, with_checksum
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.keys import NOTHING_HEARD, Key, KeyLike, Replay, Verified
from vrrplib.wire.packets import AUTH_DATA_LENGTH, HEADER_LENGTH, VRRPv2, VRRPv3

_TLV = struct.Struct("!BBBBH4sI16s")  # type, length, algorithm, padding, flags, source, key id, digest
_TLV_HEAD = (254, 28, 1, 0, 0)
_CISCO_DIGESTED = 20
_TRAILER = struct.Struct("!BBHQ16s")  # type, key id, reserved, sequence, HMAC
_HMAC_LENGTH = 16
_DRAFT = "draft-cassen-vrrp-auth-hmac"


@dataclasses.dataclass(frozen=True, slots=True)
class SimpleText:
    """RFC 2338 5.3.6, type 1: up to eight characters in clear, in VRRPv2. Keeps out mistakes, not people."""

    auth_type: ClassVar[int] = 1
    numbered: ClassVar[bool] = False
    trails: ClassVar[bool] = False

    key: Key

    def __init__(self, key: KeyLike) -> None:
        key = Key(key)  # from here on this frame holds no secret; so below
        object.__setattr__(self, "key", key)
        key.require_length(1, AUTH_DATA_LENGTH, "RFC 2338 5.3.10 has room for no more")


@dataclasses.dataclass(frozen=True, slots=True)
class CiscoMD5:
    """Cisco's ``authentication md5 key-string``: type 254, and a TLV of 30 bytes after the VRRPv2 message.

    The digest (that of RFC 1828) covers the key and the first 20 bytes of the message: with one address all of it,
    with more the first three, and there is nothing against a replay.
    """

    auth_type: ClassVar[int] = 254
    numbered: ClassVar[bool] = False
    trails: ClassVar[bool] = True

    key: Key
    key_id: int = 0

    def __init__(self, key: KeyLike, key_id: int = 0) -> None:
        key = Key(key)
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "key_id", key_id)
        key.require_length(1, 64, "Cisco takes no longer one")
        require_int("key_id", key_id, 0, 0xFFFFFFFF)


@dataclasses.dataclass(frozen=True, slots=True)
class HMACTrailer:
    """draft-cassen-vrrp-auth-hmac, as keepalived 2.4 has it: 28 bytes after the message, HMAC-SHA256-128.

    ``window`` is how many seconds the sender's clock may be away from the ``time`` that :func:`verify` is given;
    None leaves its clock unjudged.
    """

    auth_type: ClassVar[int] = 0
    numbered: ClassVar[bool] = True
    trails: ClassVar[bool] = True

    key: Key
    key_id: int = 1
    window: int | None = None

    def __init__(self, key: KeyLike, key_id: int = 1, window: int | None = None) -> None:
        key = Key(key)
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "key_id", key_id)
        object.__setattr__(self, "window", window)
        key.require_length(32, 64, "keepalived takes no other")
        require_int("key_id", key_id, 0, 255)
        if window is not None:
            require_int("window", window, 1, 300)


Scheme: TypeAlias = SimpleText | AuthenticationHeader | CiscoMD5 | HMACTrailer


def verify(
    scheme: Scheme, datagram: Datagram, replay: Replay = NOTHING_HEARD, *, time: float | None = None
) -> Verified | Finding:
    """Whether ``datagram`` is authentic, and new: a :class:`Verified` with the next ``replay``, or what is wrong.

    Never raises for a datagram, however malformed. Checksum and fields are :func:`vrrplib.inspect`'s affair.
    ``time`` is Unix seconds: the window of a :class:`HMACTrailer` needs it. An AH needs ``datagram.header``.
    """
    if len(datagram.payload) < HEADER_LENGTH:
        message = f"a message must have at least {HEADER_LENGTH} bytes, not {len(datagram.payload)}"
        return Finding(Problem.TRUNCATED, "RFC 2338 7.1", message)
    match scheme:
        case SimpleText():
            return _wrong_type(datagram, 1) or _verify_text(scheme, datagram, replay)
        case AuthenticationHeader():
            return _wrong_type(datagram, 2) or verify_ah(scheme, datagram, replay)
        case CiscoMD5():
            return _wrong_type(datagram, 254) or _verify_cisco(scheme, datagram, replay)
        case HMACTrailer():
            return _verify_trailer(scheme, datagram, replay, time)
        case _:
            raise _no_scheme(scheme)


def sign(
    scheme: Scheme,
    packet: VRRPv2 | VRRPv3,
    source: AddressLike,
    destination: AddressLike,
    *,
    sequence: int = 1,
    form: ChecksumForm = ChecksumForm.PSEUDO_HEADER,
    ttl: int = ADVERTISEMENT_TTL,
    identification: int | None = None,
) -> Datagram:
    """``packet`` as a datagram that :func:`verify` accepts; ``sequence`` is what :func:`next_sequence` gave.

    A checksum or count that the packet was given stays: ``replace()`` a decoded one. With an AH, ``header`` is the
    IP header (with ``identification``, None: the low bits of ``sequence``, as keepalived has it) and the AH, to be
    sent as they are; else it is empty. Raises ConfigError for a packet that the scheme cannot carry.
    """
    sender, receiver = to_address(source, "source"), to_address(destination, "destination")
    if isinstance(scheme, HMACTrailer):
        payload = _sign_trailer(scheme, packet, sender, receiver, sequence, form)
        return Datagram(payload, sender, receiver, ttl)
    if not isinstance(packet, VRRPv2) or not isinstance(sender, IPv4Address):
        raise ConfigError(f"{type(scheme).__name__} needs VRRPv2 over IPv4, not version {packet.version}")
    keep = {"checksum": packet.checksum, "count": packet.count}
    match scheme:
        case SimpleText():
            text = packet.replace(auth_type=1, auth_data=_padded(scheme.key), **keep)
            return Datagram(text.encode(), sender, receiver, ttl)
        case CiscoMD5():
            return Datagram(_sign_cisco(scheme, packet, sender), sender, receiver, ttl)
        case AuthenticationHeader():
            payload = packet.replace(auth_type=2, **keep).encode()
            return sign_ah(scheme, Datagram(payload, sender, receiver, ttl), sequence, identification)
        case _:
            raise _no_scheme(scheme)


def next_sequence(scheme: Scheme, sent: int = 0, replay: Replay = NOTHING_HEARD, *, time: float = 0.0) -> int:
    """The number to sign the next message with, after ``sent``; 0 for a scheme that has none.

    keepalived's AH goes on from the highest that anybody sent (``replay``), for its peers hear nothing lower. The
    trailer's is ``time``, Unix seconds, while that grows. ConfigError when an AH has none left: change the key.
    """
    match scheme:
        case AuthenticationHeader():
            heard = replay.highest() if scheme.style is AHStyle.KEEPALIVED else 0
            if max(sent, heard) >= 0xFFFFFFFF:  # RFC 2402 3.3.2: it must not cycle
                raise ConfigError("the sequence numbers of this key are used up: change the key")
            return max(sent, heard) + 1
        case HMACTrailer():
            clock = (int(time * 0x10000) << 16) % (1 << 64)
            return clock if 0 < (clock - sent) % (1 << 64) < 1 << 63 else (sent + 1) % (1 << 64)
        case SimpleText() | CiscoMD5():
            return 0
        case _:
            raise _no_scheme(scheme)


# -- RFC 2338: simple text --


def _wrong_type(datagram: Datagram, expected: int) -> Finding | None:
    version, found = datagram.payload[0] >> 4, datagram.payload[4]
    if version != 2 or datagram.family is not Family.IPV4:
        message = (
            f"this is an authentication of VRRPv2 over IPv4, not of version {version} over IPv{datagram.family:d}"
        )
        return Finding(Problem.AUTHENTICATION, "RFC 2338 5.3.6", message)
    if found != expected:
        return Finding(Problem.AUTH_TYPE, "RFC 2338 5.3.6", f"authentication type must be {expected}, not {found}")
    return None


def _verify_text(scheme: SimpleText, datagram: Datagram, replay: Replay) -> Verified | Finding:
    end = _message_length(datagram)
    # all eight, the zeros too: RFC 2338 5.3.6.1
    if hmac.compare_digest(datagram.payload[end - AUTH_DATA_LENGTH : end], _padded(scheme.key)):
        return Verified(replay)
    return Finding(Problem.AUTHENTICATION, "RFC 2338 5.3.6.1", "the authentication data must be the key")


def _padded(key: Key) -> bytes:
    return key.reveal().ljust(AUTH_DATA_LENGTH, b"\0")


# -- Cisco's MD5 --


def _verify_cisco(scheme: CiscoMD5, datagram: Datagram, replay: Replay) -> Verified | Finding:
    end = _message_length(datagram)
    message, tlv = datagram.payload[:end], datagram.payload[end:]
    if len(tlv) != _TLV.size or _TLV.unpack(tlv)[:5] != _TLV_HEAD:
        words = f"{_TLV.size} bytes must follow the message, beginning fe1c01000000, not {len(tlv)}"
        return Finding(Problem.AUTHENTICATION, "Cisco MD5", words + f" beginning {tlv[:6].hex() or 'with none'}")
    *_, source, _key_id, digest = _TLV.unpack(tlv)
    if not hmac.compare_digest(digest, _cisco_digest(scheme.key, message)):
        return Finding(Problem.AUTHENTICATION, "Cisco MD5", "the digest does not fit the key and the message")
    if source != datagram.source.packed:
        words = f"the sender must be {datagram.source}, not {IPv4Address(source)}"
        return Finding(Problem.AUTHENTICATION, "Cisco MD5", words)
    return Verified(replay, trailing=_TLV.size)


def _sign_cisco(scheme: CiscoMD5, packet: VRRPv2, sender: IPv4Address) -> bytes:
    keep = {"checksum": packet.checksum, "count": packet.count}
    plain = packet.replace(auth_type=254, **keep).encode()
    tlv = _TLV.pack(*_TLV_HEAD, sender.packed, scheme.key_id, _cisco_digest(scheme.key, plain))
    return packet.replace(auth_type=254, trailing=packet.trailing + tlv, **keep).encode()  # the checksum covers it


def _cisco_digest(key: Key, message: bytes) -> bytes:
    """RFC 1828 1: MD5(key, MD5's own padding of the key, data, key)."""
    length = len(key.reveal())
    fill = b"\x80" + bytes(-(length + 9) % 64) + (8 * length).to_bytes(8, "little")
    data = with_checksum(message[:_CISCO_DIGESTED], 0)
    return hashlib.md5(key.reveal() + fill + data + key.reveal(), usedforsecurity=False).digest()


# -- the HMAC trailer --


def _verify_trailer(
    scheme: HMACTrailer, datagram: Datagram, replay: Replay, time: float | None
) -> Verified | Finding:
    payload, end = datagram.payload, _message_length(datagram)
    if len(payload) - end != _TRAILER.size:
        message = f"{_TRAILER.size} bytes must follow the message, not {len(payload) - end}"
        return Finding(Problem.AUTHENTICATION, _DRAFT, message)
    kind, key_id, reserved, sequence, digest = _TRAILER.unpack(payload[end:])
    if (kind, key_id, reserved) != (1, scheme.key_id, 0):
        message = f"type, key id and reserved must be 1, {scheme.key_id} and 0, not {kind}, {key_id} and {reserved}"
        return Finding(Problem.AUTHENTICATION, _DRAFT, message)
    if not hmac.compare_digest(digest, _trailer_hmac(scheme.key, payload, datagram.source)):
        return Finding(Problem.AUTHENTICATION, _DRAFT, "the HMAC does not fit the key and the message")
    if scheme.window is not None and time is not None:
        late = (int(time) - (sequence >> 32) + (1 << 31)) % (1 << 32) - (1 << 31)
        if abs(late) > scheme.window:
            message = f"the sender's clock must be within {scheme.window} s, not {late} s behind"
            return Finding(Problem.REPLAY, _DRAFT, message)
    after = replay.accept(datagram.source.packed, sequence)
    if after is None:
        message = f"sequence number {sequence:#x} must be above {replay.highest(datagram.source.packed):#x}"
        return Finding(Problem.REPLAY, _DRAFT, message)
    return Verified(after, sequence, _TRAILER.size)


def _sign_trailer(
    scheme: HMACTrailer,
    packet: VRRPv2 | VRRPv3,
    sender: IPAddress,
    receiver: IPAddress,
    sequence: int,
    form: ChecksumForm,
) -> bytes:
    require_int("sequence", sequence, 0, (1 << 64) - 1)
    unsigned = _TRAILER.pack(1, scheme.key_id, 0, sequence, b"")
    keep = {"checksum": packet.checksum, "count": packet.count}
    bare = packet.replace(**keep | {"checksum": 0}).encode() + unsigned
    trailer = unsigned[:-_HMAC_LENGTH] + _trailer_hmac(scheme.key, bare, sender)
    if isinstance(sender, IPv4Address):
        return packet.encode(sender, receiver, form=form) + trailer
    # the IPv6 checksum covers the trailer, and the HMAC no checksum: there is an order in which both can be had
    return packet.replace(trailing=packet.trailing + trailer, **keep).encode(sender, receiver, form=form)


def _trailer_hmac(key: Key, payload: bytes, source: IPAddress) -> bytes:
    """Over family, version, vrid, 0, source (zero padded to 16), and the payload with checksum and HMAC zero."""
    head = bytes([source.version, payload[0] >> 4, payload[1], 0]) + source.packed.ljust(16, b"\0")
    data = head + with_checksum(payload[:-_HMAC_LENGTH], 0) + bytes(_HMAC_LENGTH)
    return hmac.digest(key.reveal(), data, "sha256")[:_HMAC_LENGTH]


# -- shared --


def _no_scheme(scheme: Never) -> ConfigError:
    """``assert_never``, but for its words: they would show what was given, which may be the key itself."""
    return ConfigError(
        f"scheme must be SimpleText, AuthenticationHeader, CiscoMD5 or HMACTrailer, not {type(scheme).__name__}"
    )


def _message_length(datagram: Datagram) -> int:
    """What the header of the message calls for, in bytes; what is there may be less."""
    version, count = datagram.payload[0] >> 4, datagram.payload[3]
    if version == 2:
        return HEADER_LENGTH + 4 * count + AUTH_DATA_LENGTH
    return HEADER_LENGTH + datagram.family.address_length * count
