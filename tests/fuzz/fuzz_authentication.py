"""Authentication and CARP. For any message, headers and key:

* ``verify`` and ``verify_carp`` do not raise: a Verified, or a Finding whose message has no secret in it;
* a replay state that comes back refuses the same message again, where the scheme counts, and takes the next one;
  what was overtaken is taken only in RFC 2402's window;
* nothing that came from a fuzzer's key passes another key;
* what ``sign`` made is verified, and any change to the key undoes it; what it cannot sign is a ConfigError;
* where the clock counts, it does so to the second;
* ``inspect_carp`` does not raise, ``decode_carp`` raises exactly when it lists a problem, and a packet that they
  yield encodes to the same bytes.

The first four bytes choose, the next 32 are a key; the rest is an IPv4 header with an AH (one bit says so, and one
that it has options) and the message. Another bit says that it is CARP's turn.
"""

from tests.fuzz.engine import GROUPS, IPV4, IPV6, Bytes, instrumented, main

with instrumented(__name__):
    from vrrplib.errors import ConfigError, DecodeError, Finding
    from vrrplib.wire.ah import AHStyle, AuthenticationHeader
    from vrrplib.wire.authentication import CiscoMD5, HMACTrailer, Scheme, SimpleText, next_sequence, sign, verify
    from vrrplib.wire.carp import CARPKey, decode_carp, inspect_carp, sign_carp, verify_carp
    from vrrplib.wire.datagram import Datagram
    from vrrplib.wire.keys import Verified
    from vrrplib.wire.packets import inspect

KEY_LENGTH = 32
HEADER_LENGTH = 20 + 24  # IPv4, and an AH with HMAC-MD5-96
OPTIONS_LENGTH = 24
SENT = (0, 1, 0xFFFE, 0xFFFFFFFE, 0xFFFFFFFF, 0x6553F100 << 32, (1 << 64) - 2, (1 << 64) - 1)  # sequence numbers
OTHER = bytes(byte ^ 2 | 1 for byte in range(256))  # makes a key another one


def scheme_of(number: int, key: bytes) -> Scheme:
    match number % 5:
        case 0:
            return SimpleText(key[:8])
        case 1:
            return AuthenticationHeader(key[:8])
        case 2:
            return AuthenticationHeader(key[:16], AHStyle.RFC2402)
        case 3:
            return CiscoMD5(key)
        case _:
            return HMACTrailer(key, number // 5, 300 if number < 128 else None)


def prefix(scheme: int, key: bytes, *, six: bool = False, header: int = 0, carp: bool = False) -> bytes:
    """``header`` is 1 for an IPv4 header with an AH, 2 for one with options."""
    flags = six | (header > 0) << 1 | carp << 2 | (header > 1) << 3
    return bytes([scheme, flags, 0, 0]) + key.ljust(KEY_LENGTH, b"\1")


def check(data: bytes) -> None:
    tape = Bytes(data)
    number, flags, at, sent = (tape.byte() for _ in range(4))
    key = tape.take(KEY_LENGTH).ljust(KEY_LENGTH, b"\1").replace(b"\0", b"\1")
    six = flags & 1
    header = tape.take(HEADER_LENGTH + bool(flags & 8) * OPTIONS_LENGTH) if flags & 2 else b""
    if flags & 4:
        check_carp(tape.rest(), key)
        return
    source = (IPV6 if six else IPV4)[at % len(IPV4)]
    datagram = Datagram(tape.rest(), source, GROUPS[six], 255, header)
    try:
        scheme, other = scheme_of(number, key), scheme_of(number, key.translate(OTHER))
    except ConfigError as error:
        assert_secret(key, str(error))
        return
    check_verify(scheme, datagram, key)
    check_sign(scheme, other, datagram, SENT[sent % len(SENT)])


def check_verify(scheme: Scheme, datagram: Datagram, key: bytes) -> None:
    assert_secret(key, repr(scheme))
    seen = verify(scheme, datagram)
    if isinstance(seen, Finding):
        assert seen.message
        assert_secret(key, str(seen), datagram)
        return
    assert isinstance(seen, Verified)
    again = verify(scheme, datagram, seen.replay)
    assert isinstance(again, Finding if seen.sequence is not None else Verified)


def check_sign(scheme: Scheme, other: Scheme, datagram: Datagram, sent: int) -> None:
    packet = inspect(datagram.payload, source=datagram.source).packet
    if packet is None:
        return
    packet = packet.replace(trailing=b"")
    try:
        first = next_sequence(scheme, sent)
        signed = sign(scheme, packet, datagram.source, datagram.destination, sequence=first)
    except ConfigError:
        return
    # what is cut short, or has another version or type, cannot be authentic: only what is whole must be
    if packet.version not in (2, 3) or len(getattr(packet, "auth_data", bytes(8))) < 8:
        verify(scheme, signed)
        return
    seen = verify(scheme, signed)
    assert isinstance(seen, Verified), seen
    if other != scheme:
        assert isinstance(verify(other, signed), Finding)
    if isinstance(scheme, HMACTrailer) and scheme.window:
        for late in (-scheme.window - 1, -scheme.window, 0, scheme.window, scheme.window + 1):
            timed = verify(scheme, signed, time=(first >> 32) + late)
            assert isinstance(timed, Verified if abs(late) <= scheme.window else Finding)
    try:
        second = next_sequence(scheme, first, seen.replay)
    except ConfigError:
        assert first == 0xFFFFFFFF
        return
    following = sign(scheme, packet, datagram.source, datagram.destination, sequence=second)
    later = verify(scheme, following, seen.replay)
    assert isinstance(later, Verified), later
    if seen.sequence is None:
        return
    assert isinstance(verify(scheme, signed, later.replay), Finding)
    # only RFC 2402's window takes what was overtaken, and that once
    alone = verify(scheme, following)
    assert isinstance(alone, Verified)
    overtaken = verify(scheme, signed, alone.replay)
    if isinstance(scheme, AuthenticationHeader) and scheme.style is AHStyle.RFC2402:
        assert isinstance(overtaken, Verified)
        assert overtaken.replay == later.replay
    else:
        assert isinstance(overtaken, Finding)


def check_carp(message: bytes, key: bytes) -> None:
    seen = inspect_carp(message)
    try:
        packet = decode_carp(message)
    except DecodeError as error:
        assert error.findings == seen.problems != ()  # noqa: PT017
    else:
        assert packet == seen.packet
        assert not seen.problems
    if seen.packet is None:
        assert len(message) < 36
        return
    assert seen.packet.encode() == message
    shared = CARPKey(key[:20], IPV4[:2] + IPV6[3:])
    assert_secret(key[:20], repr(shared))
    verify_carp(shared, seen.packet)
    signed = sign_carp(shared, seen.packet)
    assert verify_carp(shared, signed) is None
    again = inspect_carp(signed.encode())
    assert again.packet is not None
    assert again.packet.replace() == signed


def assert_secret(key: bytes, words: str, datagram: Datagram | None = None) -> None:
    """No key in what is shown, unless the message itself shows those bytes."""
    if len(set(key)) < 8 or (datagram is not None and key[:8] in datagram.payload):
        return
    for secret in (key, key[:8]):
        assert secret.hex() not in words
        assert repr(secret)[2:-1] not in words


if __name__ == "__main__":
    main(check)
