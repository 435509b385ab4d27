from __future__ import annotations

import copy
import dataclasses
import hashlib
import pickle
import traceback
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.oracle import FORMS, VECTORS
from vrrplib.errors import ConfigError, Finding, Problem
from vrrplib.wire.ah import AHStyle
from vrrplib.wire.authentication import (
    AuthenticationHeader,
    CiscoMD5,
    HMACTrailer,
    Scheme,
    SimpleText,
    next_sequence,
    sign,
    verify,
)
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.keys import Key, Replay, Verified
from vrrplib.wire.packets import VRRPv2, VRRPv3, inspect

SENDER, GROUP, PEER = "198.51.100.10", "224.0.0.18", "198.51.100.20"
V2 = VRRPv2(vrid=51, addresses=["192.0.2.100"])
V3 = VRRPv3(vrid=51, priority=200, addresses=["192.0.2.100"])
V3_IPV6 = VRRPv3(vrid=51, priority=200, addresses=["fe80::100"])
TEXT, CISCO, TRAILER = SimpleText("secret"), CiscoMD5("secret"), HMACTrailer(bytes(range(32)))
SCHEMES: dict[str, Scheme] = {
    "text": TEXT,
    "ah": AuthenticationHeader("secret"),
    "ah of the RFC": AuthenticationHeader(b"0123456789abcdef", AHStyle.RFC2402),
    "cisco": CISCO,
    "trailer": TRAILER,
}
OTHERS: dict[str, Scheme] = {
    "text": SimpleText("secreT"),
    "ah": AuthenticationHeader("secreT"),
    "ah of the RFC": AuthenticationHeader(b"0123456789abcdeF", AHStyle.RFC2402),
    "cisco": CiscoMD5("secreT"),
    "trailer": HMACTrailer(bytes(range(31)) + b"x"),
}
SEQUENCE = 0x6800000080000000

# source, destination, message with trailer: the appendix of draft-cassen-vrrp-auth-hmac
APPENDIX = {
    "IPv4": (
        SENDER,
        PEER,
        "3133c80100644402c00002640101000068000000800000001b84bc4e8e43892dc6d98448f8ee2265",
    ),
    "IPv6": (
        "fe80::10",
        "fe80::20",
        "3133c8010064a2e9fe800000000000000000000000000100010100006800000080000000c8c56146ebfd66ee10ec4d8186461b78",
    ),
}


def problem(found: Verified | Finding) -> Problem | None:
    return found.problem if isinstance(found, Finding) else None


def with_payload(datagram: Datagram, payload: bytes) -> Datagram:
    return dataclasses.replace(datagram, payload=payload)


def flips(payload: bytes) -> list[tuple[int, bytes]]:
    """Every payload with one bit changed, with the byte where."""
    return [
        (at, payload[:at] + bytes([payload[at] ^ 1 << bit]) + payload[at + 1 :])
        for at in range(len(payload))
        for bit in range(8)
    ]


# -- all of them --


@pytest.mark.parametrize("name", SCHEMES)
def test_what_is_signed_verifies_and_with_another_key_does_not(name: str) -> None:
    built = sign(SCHEMES[name], V2, SENDER, GROUP)
    assert isinstance(verify(SCHEMES[name], built), Verified)
    assert problem(verify(OTHERS[name], built)) is Problem.AUTHENTICATION


@example(vrid=51, priority=100, addresses=[], sequence=1, name="cisco")  # less than the digest would cover
@given(
    vrid=st.integers(0, 255),
    priority=st.integers(0, 255),
    addresses=st.lists(st.ip_addresses(v=4), max_size=5),
    sequence=st.integers(1, 0xFFFFFFFF),
    name=st.sampled_from(list(SCHEMES)),
)
def test_any_packet_survives(vrid: int, priority: int, addresses: list[Any], sequence: int, name: str) -> None:
    packet = VRRPv2(vrid=vrid, priority=priority, addresses=addresses)
    built = sign(SCHEMES[name], packet, SENDER, GROUP, sequence=sequence)
    found = verify(SCHEMES[name], built)
    assert isinstance(found, Verified)
    assert found.sequence in (None, sequence)
    seen = inspect(built.payload, source=SENDER, destination=GROUP)
    assert seen.packet is not None
    assert len(seen.packet.trailing) == found.trailing
    assert not {Problem.CHECKSUM, Problem.LENGTH} & {item.problem for item in seen.problems}
    assert problem(verify(OTHERS[name], built)) is Problem.AUTHENTICATION


@given(
    payload=st.binary(max_size=80),
    head=st.sampled_from([b"", b"\x21\x33\x64\1\1\1", b"\x21\x33\x64\1\xfe\1", b"\x21\0\0\0\2", b"\x31\1\1\1"]),
    source=st.sampled_from([SENDER, "fe80::10"]),
    time=st.sampled_from([None, 0.0, 1e12]),
    name=st.sampled_from(list(SCHEMES)),
)
def test_no_bytes_raise(payload: bytes, head: bytes, source: str, time: float | None, name: str) -> None:
    datagram = Datagram(head + payload, source, source, 255)
    assert isinstance(verify(SCHEMES[name], datagram, time=time), Finding)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_message_below_eight_bytes_is_truncated(name: str) -> None:
    found = verify(SCHEMES[name], Datagram(bytes(7), SENDER, GROUP, 255))
    assert isinstance(found, Finding)
    assert str(found) == "a message must have at least 8 bytes, not 7 (RFC 2338 7.1)"


@pytest.mark.parametrize(("name", "expected"), [("text", 1), ("ah", 2), ("cisco", 254)])
def test_another_type_or_version_is_found(name: str, expected: int) -> None:
    found = verify(SCHEMES[name], Datagram(V2.encode(), SENDER, GROUP, 255))
    message = f"authentication type must be {expected}, not 0"
    assert found == Finding(Problem.AUTH_TYPE, "RFC 2338 5.3.6", message)
    signed = sign(SCHEMES[name], V2, SENDER, GROUP)
    for other in (
        with_payload(signed, V3.encode(SENDER, GROUP)),
        Datagram(signed.payload, "fe80::1", "ff02::12", 255),
    ):
        found = verify(SCHEMES[name], other)
        assert isinstance(found, Finding)
        words = f"version {other.payload[0] >> 4} over IPv{other.source.version}"
        assert found.message == f"this is an authentication of VRRPv2 over IPv4, not of {words}"
        assert found.problem is Problem.AUTHENTICATION


@pytest.mark.parametrize("name", ["text", "ah", "cisco"])
def test_what_is_vrrpv2s_alone_cannot_sign_another_packet(name: str) -> None:
    with pytest.raises(ConfigError, match="needs VRRPv2 over IPv4, not version 3"):
        sign(SCHEMES[name], V3, SENDER, GROUP)
    with pytest.raises(ConfigError, match="needs VRRPv2 over IPv4"):
        sign(SCHEMES[name], V2, "fe80::1", "ff02::12")


@pytest.mark.parametrize("name", SCHEMES)
def test_a_checksum_or_count_that_was_given_stays(name: str) -> None:
    odd = dataclasses.replace(V2, checksum=0x1234, count=9)
    payload = sign(SCHEMES[name], odd, SENDER, GROUP).payload
    assert (payload[3], payload[6:8].hex()) == (9, "1234")


# -- no secret anywhere --

SECRET = "Xq7-Zw9!"
LONG = SECRET * 4


def ways(secret: str) -> list[Any]:
    return [
        lambda: SimpleText(secret + "9"),
        lambda: SimpleText(Key(secret + "9")),
        lambda: SimpleText(secret + "\ud800"),
        lambda: AuthenticationHeader(secret + "9"),
        lambda: AuthenticationHeader(secret, AHStyle.RFC2402),
        lambda: AuthenticationHeader(secret, spi=-1),
        lambda: CiscoMD5(secret * 9),
        lambda: CiscoMD5(secret, -1),
        lambda: HMACTrailer(secret),
        lambda: HMACTrailer(secret * 4, 256),
        lambda: HMACTrailer(secret * 4, 1, 0),
        lambda: sign(SimpleText(secret), V3, SENDER, GROUP),
        lambda: sign(AuthenticationHeader(secret), V2, SENDER, GROUP, sequence=-1),
        lambda: sign(HMACTrailer(secret * 4), V2, SENDER, GROUP, sequence=-1),
        lambda: sign(HMACTrailer(secret * 4), V3, SENDER, "fe80::1", sequence=1),
        lambda: next_sequence(AuthenticationHeader(secret), 0xFFFFFFFF),
    ]


@pytest.mark.parametrize("number", range(len(ways(""))))
def test_no_error_holds_a_secret_in_its_words_its_chain_or_the_frames_of_its_traceback(number: int) -> None:
    with pytest.raises(ConfigError) as caught:
        ways(SECRET)[number]()
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert shown.__cause__ is None
    assert shown.__context__ is None
    ours = [frame for frame in shown.stack if "vrrplib" in frame.filename and "tests" not in frame.filename]
    assert ours
    for text in (str(shown), repr(caught.value), *(str(frame.locals) for frame in ours)):
        assert "Xq7" not in text
        assert SECRET.encode().hex() not in text


@pytest.mark.parametrize(
    "scheme",
    [SimpleText(SECRET), AuthenticationHeader(SECRET), CiscoMD5(SECRET), HMACTrailer(LONG)],
    ids=lambda scheme: type(scheme).__name__,
)
def test_no_repr_holds_a_secret(scheme: Scheme) -> None:
    built = sign(scheme, V2, SENDER, GROUP)
    seen = inspect(built.payload, source=SENDER, destination=GROUP)
    wrong = verify(OTHERS["text"], built)
    for value in (scheme, verify(scheme, built), wrong, dataclasses.asdict(scheme), seen):
        assert "Xq7" not in f"{value!r} {value}"
    assert "key=Key(hidden)" in repr(scheme)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_schemes_are_values(scheme: Scheme) -> None:
    assert copy.deepcopy(scheme) == pickle.loads(pickle.dumps(scheme)) == dataclasses.replace(scheme) == scheme
    assert len({scheme, copy.copy(scheme)}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        scheme.key = Key("other")  # type: ignore[misc]


def test_a_key_in_the_place_of_a_scheme_is_refused_without_showing_it() -> None:
    built = sign(TEXT, V2, SENDER, GROUP)
    for misuse in (
        lambda: verify(SECRET, built),  # type: ignore[arg-type]
        lambda: sign(SECRET, V2, SENDER, GROUP),  # type: ignore[arg-type]
        lambda: next_sequence(SECRET),  # type: ignore[arg-type]
    ):
        with pytest.raises(ConfigError, match=r"scheme must be SimpleText, .* or HMACTrailer, not str") as caught:
            misuse()
        assert "Xq7" not in str(caught.value)


# -- simple text --


def test_simple_text_is_padded_with_zeros_and_all_eight_bytes_count() -> None:
    built = sign(TEXT, VRRPv2(vrid=51, addresses=["192.0.2.100"]), SENDER, GROUP)
    assert built.payload.hex() == "2133640101017b19c00002647365637265740000"
    found = {at for at, payload in flips(built.payload) if problem(verify(TEXT, with_payload(built, payload)))}
    assert found == {0, 3, 4, *range(12, 20)}  # version, count, type and text: all else can be changed


@pytest.mark.parametrize(("name", "password"), [("P05", "secret"), ("P06", "abcdefgh")])
def test_simple_text_of_the_oracle_verifies(name: str, password: str) -> None:
    [vector] = [entry for entry in VECTORS["packets"] if entry["id"] == name]
    datagram = Datagram(bytes.fromhex(vector["hex"]), vector["src"], vector["dst"], 255)
    assert isinstance(verify(SimpleText(password), datagram), Verified)
    assert problem(verify(SimpleText(password[:-1]), datagram)) is Problem.AUTHENTICATION


@pytest.mark.parametrize("payload", ["2133640101017b19", "2133640101017b19c0000264736563726574"])
def test_simple_text_that_is_cut_short_is_not_the_key(payload: str) -> None:
    found = verify(TEXT, Datagram(bytes.fromhex(payload), SENDER, GROUP, 255))
    assert isinstance(found, Finding)
    assert str(found) == "the authentication data must be the key (RFC 2338 5.3.6.1)"


def test_a_simple_key_has_one_to_eight_bytes() -> None:
    assert SimpleText("12345678").key == Key("12345678")
    for key in ("", "123456789", "pässwörd"):
        with pytest.raises(ConfigError, match=r"key must have 1-8 bytes, not \d+: RFC 2338 5.3.10 has room"):
            SimpleText(key)


# -- Cisco's MD5 --


def test_ciscos_digest_is_keyed_md5_over_the_first_twenty_bytes() -> None:
    built = sign(CiscoMD5("secret", key_id=7), V2, SENDER, GROUP).payload
    assert built[4] == 254
    assert built[20:36].hex() == "fe1c01000000" + "c633640a" + "00000007" + built[34:36].hex()
    fill = b"\x80" + bytes(49) + (6 * 8).to_bytes(8, "little")  # as RFC 1321 3.1 and 3.2 pad six bytes
    covered = built[:6] + bytes(2) + built[8:20]
    assert built[34:] == hashlib.md5(b"secret" + fill + covered + b"secret").digest()
    assert inspect(built).checksum_form == ChecksumForm.MESSAGE_ONLY


@pytest.mark.parametrize("length", [1, 55, 56, 64])
def test_the_fill_ends_a_block(length: int) -> None:
    scheme = CiscoMD5("k" * length)
    assert isinstance(verify(scheme, sign(scheme, V2, SENDER, GROUP)), Verified)
    assert problem(verify(CiscoMD5("k" * (length - 1) + "j"), sign(scheme, V2, SENDER, GROUP))) is not None


def test_every_flipped_bit_is_found_by_cisco_but_in_the_checksum_and_the_key_id() -> None:
    built = sign(CISCO, V2, SENDER, GROUP)
    for at, payload in flips(built.payload):
        accepted = isinstance(verify(CISCO, with_payload(built, payload)), Verified)
        assert accepted is (at in (6, 7) or 30 <= at < 34), at


def test_cisco_leaves_the_fourth_address_open() -> None:
    packet = V2.replace(addresses=[f"192.0.2.{number}" for number in range(1, 5)])
    built = sign(CISCO, packet, SENDER, GROUP)
    open_to_all = {
        at for at, payload in flips(built.payload) if not problem(verify(CISCO, with_payload(built, payload)))
    }
    assert open_to_all == {6, 7, *range(20, 32), *range(42, 46)}  # the authentication data too


def test_ciscos_tlv_is_described_where_it_is_not_there_or_another() -> None:
    bare = V2.replace(auth_type=254)
    found = verify(CISCO, Datagram(bare.encode(), SENDER, GROUP, 255))
    words = "30 bytes must follow the message, beginning fe1c01000000, not 0 beginning with none"
    assert found == Finding(Problem.AUTHENTICATION, "Cisco MD5", words)
    other = bare.replace(trailing=b"\xfe\x1c\2" + bytes(27))
    found = verify(CISCO, Datagram(other.encode(), SENDER, GROUP, 255))
    assert isinstance(found, Finding)
    assert found.message.endswith("not 30 beginning fe1c02000000")


def test_ciscos_sender_is_that_of_the_packet() -> None:
    found = verify(CISCO, Datagram(sign(CISCO, V2, SENDER, GROUP).payload, PEER, GROUP, 255))
    assert found == Finding(Problem.AUTHENTICATION, "Cisco MD5", f"the sender must be {PEER}, not {SENDER}")


# -- the HMAC trailer --


@pytest.mark.parametrize("name", APPENDIX)
def test_the_vectors_of_the_draft_verify_and_are_built(name: str) -> None:
    source, destination, octets = APPENDIX[name]
    datagram = Datagram(bytes.fromhex(octets), source, destination, 255)
    found = verify(TRAILER, datagram)
    assert isinstance(found, Verified)
    assert (found.sequence, found.trailing) == (SEQUENCE, 28)
    packet = V3 if name == "IPv4" else V3_IPV6
    built = sign(TRAILER, packet, source, destination, sequence=SEQUENCE, form=FORMS["msg-only"])
    assert built == datagram
    assert inspect(datagram.payload, source=source, destination=destination).covers_trailing is (name == "IPv6")


@pytest.mark.parametrize("name", APPENDIX)
def test_every_flipped_bit_is_found_by_the_trailer_but_in_the_checksum(name: str) -> None:
    source, destination, octets = APPENDIX[name]
    datagram = Datagram(bytes.fromhex(octets), source, destination, 255)
    for at, payload in flips(datagram.payload):
        assert isinstance(verify(TRAILER, with_payload(datagram, payload)), Verified) is (at in (6, 7)), at
    elsewhere = Datagram(datagram.payload, destination, destination, 255)
    assert problem(verify(TRAILER, elsewhere)) is Problem.AUTHENTICATION


def test_the_trailer_goes_with_version_2_too_and_after_other_bytes_does_not() -> None:
    built = sign(TRAILER, V2, SENDER, GROUP)
    assert len(built.payload) == 20 + 28
    assert isinstance(verify(TRAILER, built), Verified)
    found = verify(TRAILER, sign(TRAILER, V2.replace(trailing=b"?"), SENDER, GROUP))
    assert found == Finding(
        Problem.AUTHENTICATION, "draft-cassen-vrrp-auth-hmac", "28 bytes must follow the message, not 29"
    )


def test_another_key_id_is_named() -> None:
    found = verify(HMACTrailer(TRAILER.key, key_id=2), sign(TRAILER, V3, SENDER, GROUP))
    assert isinstance(found, Finding)
    assert found.message == "type, key id and reserved must be 1, 2 and 0, not 1, 1 and 0"


def test_a_trailers_number_must_grow_for_each_sender() -> None:
    replay, seen = Replay(), []
    for sequence, sender in ((9, SENDER), (9, SENDER), (8, SENDER), (5, PEER), (10, SENDER)):
        found = verify(TRAILER, sign(TRAILER, V3, sender, GROUP, sequence=sequence), replay)
        seen.append(problem(found))
        replay = found.replay if isinstance(found, Verified) else replay
    assert seen == [None, Problem.REPLAY, Problem.REPLAY, None, None]
    again = verify(TRAILER, sign(TRAILER, V3, SENDER, GROUP, sequence=10), replay)
    assert isinstance(again, Finding)
    assert again.message == "sequence number 0xa must be above 0xa"


def test_a_clock_too_far_away_is_a_replay_where_a_window_is_set() -> None:
    scheme = HMACTrailer(TRAILER.key, window=5)
    built = sign(scheme, V3, SENDER, GROUP, sequence=1000 << 32)
    for time, expected in ((1005.9, None), (1006.0, Problem.REPLAY), (995.0, None), (994.9, Problem.REPLAY)):
        assert problem(verify(scheme, built, time=time)) is expected, time
    found = verify(scheme, built, time=2000.0)
    assert isinstance(found, Finding)
    assert found.message == "the sender's clock must be within 5 s, not 1000 s behind"
    assert isinstance(verify(scheme, built), Verified)
    assert isinstance(verify(TRAILER, built, time=2000.0), Verified)
    # seconds wrap in 2106
    wrapped = sign(scheme, V3, SENDER, GROUP, sequence=1 << 32)
    assert isinstance(verify(scheme, wrapped, time=float((1 << 32) - 3)), Verified)


def test_the_next_number_of_a_trailer_is_the_clock_while_that_grows() -> None:
    assert next_sequence(TRAILER, 0, time=1.5) == 0x1_8000_0000
    assert next_sequence(TRAILER, 0x1_8000_0000, time=1.5) == 0x1_8000_0001
    assert next_sequence(TRAILER, 0x2_0000_0000, time=1.5) == 0x2_0000_0001
    assert next_sequence(TRAILER, (1 << 64) - 1, time=0.0) == 0  # wraps in 2106
    assert next_sequence(TEXT) == next_sequence(CISCO) == 0


def test_an_ah_has_numbers_to_the_end_and_goes_on_from_what_was_heard_where_keepalived_would() -> None:
    heard = Replay().accept(b"", 9)
    assert heard is not None
    assert [next_sequence(SCHEMES[name], 2, heard) for name in ("ah", "ah of the RFC")] == [10, 3]
    with pytest.raises(ConfigError, match="used up: change the key"):
        next_sequence(SCHEMES["ah"], 0xFFFFFFFF)
