from __future__ import annotations

import dataclasses
import hashlib
import hmac
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import MADE_CAPTURES, frames_of
from vrrplib.errors import ConfigError, Finding, Problem
from vrrplib.wire.ah import AHStyle, AuthenticationHeader
from vrrplib.wire.authentication import next_sequence, sign, verify
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import parse
from vrrplib.wire.keys import Replay, Verified
from vrrplib.wire.packets import VRRPv2, decode

KEEPALIVED = AuthenticationHeader("s3cr3t")
RFC = AuthenticationHeader(bytes(range(16)), AHStyle.RFC2402)
STYLES = [KEEPALIVED, RFC]
MESSAGE = VRRPv2(vrid=51, priority=150, addresses=["10.77.0.100"])
SENDER, GROUP, PEER = "10.77.0.1", "224.0.0.18", "10.77.0.2"
MUTABLE = {1, 6, 7, 10, 11}  # type of service, flags and offset, header checksum


def captured() -> list[Datagram]:
    frames = frames_of(MADE_CAPTURES / "keepalived-v2-ipv4-ah.pcap")
    return [datagram for datagram in map(parse, frames) if datagram is not None]


def problem(found: Verified | Finding) -> Problem | None:
    return found.problem if isinstance(found, Finding) else None


def changed(datagram: Datagram, at: int, mask: int) -> Datagram:
    """As if byte ``at`` of the IP packet had changed on the way: parsed again."""
    data = bytearray(datagram.header + datagram.payload)
    data[at] ^= mask
    split = len(datagram.header)
    ip = bytes(data)
    source, destination = (".".join(map(str, ip[at : at + 4])) for at in (12, 16))
    return Datagram(ip[split:], source, destination, ip[8], ip[:split])


def test_every_frame_of_keepalived_verifies_in_turn_and_is_built_again_to_the_byte() -> None:
    replay, heard = Replay(), 0
    for datagram in captured():
        found = verify(KEEPALIVED, datagram, replay)
        assert isinstance(found, Verified)
        heard += 1
        assert found.sequence == heard
        replay = found.replay
        packet = decode(datagram.payload).replace()
        assert sign(KEEPALIVED, packet, datagram.source, datagram.destination, sequence=heard) == datagram
    assert heard == 4


def test_keepalived_accepts_no_number_twice_whoever_sends_it_and_a_backup_goes_on_from_the_last() -> None:
    first, second, *_ = captured()
    after = verify(KEEPALIVED, second)
    assert isinstance(after, Verified)
    again = verify(KEEPALIVED, first, after.replay)
    assert isinstance(again, Finding)
    assert str(again) == "sequence number 1 was seen before, or is too old: 2 was the last (RFC 2402 3.4.3)"
    other = sign(KEEPALIVED, MESSAGE, PEER, GROUP, sequence=2)
    assert problem(verify(KEEPALIVED, other, after.replay)) is Problem.REPLAY
    assert next_sequence(KEEPALIVED, 0, after.replay) == 3
    assert next_sequence(KEEPALIVED, 7, after.replay) == 8
    assert next_sequence(RFC, 1, after.replay) == 2


def test_rfc_2402_has_a_window_of_64_for_each_sender() -> None:
    replay = Replay()
    results = []
    for sequence, sender in ((70, SENDER), (7, SENDER), (6, SENDER), (7, SENDER), (1, PEER)):
        found = verify(RFC, sign(RFC, MESSAGE, sender, GROUP, sequence=sequence), replay)
        results.append(problem(found))
        replay = found.replay if isinstance(found, Verified) else replay
    assert results == [None, None, Problem.REPLAY, Problem.REPLAY, None]


def test_the_first_number_is_1_and_the_last_is_the_end() -> None:
    assert problem(verify(RFC, sign(RFC, MESSAGE, SENDER, GROUP, sequence=0))) is Problem.REPLAY
    assert next_sequence(RFC, 0xFFFFFFFE) == 0xFFFFFFFF
    with pytest.raises(ConfigError, match="used up: change the key"):
        next_sequence(RFC, 0xFFFFFFFF)


def test_the_integrity_check_of_rfc_2402_is_that_of_its_text() -> None:
    built = sign(RFC, MESSAGE, SENDER, GROUP, sequence=9, identification=5)
    ip = bytearray(built.header[:20])
    for at in (1, 6, 7, 8, 10, 11):
        ip[at] = 0
    data = bytes(ip) + built.header[20:32] + bytes(12) + built.payload
    assert hmac.new(bytes(range(16)), data, hashlib.md5).digest()[:12] == built.header[32:]


@pytest.mark.parametrize(("scheme", "accepted"), [(KEEPALIVED, False), (RFC, True)])
def test_a_router_on_the_way_is_seen_by_keepalived_in_multicast_alone(
    scheme: AuthenticationHeader, *, accepted: bool
) -> None:
    multicast = changed(sign(scheme, MESSAGE, SENDER, GROUP), 8, 1)
    assert isinstance(verify(scheme, multicast), Verified) is accepted
    unicast = changed(sign(scheme, MESSAGE, SENDER, PEER), 8, 1)
    assert isinstance(verify(scheme, unicast), Verified)


@pytest.mark.parametrize("scheme", STYLES)
def test_every_flipped_bit_is_found_but_in_what_is_mutable(scheme: AuthenticationHeader) -> None:
    built = sign(scheme, MESSAGE, SENDER, GROUP)
    mutable = MUTABLE | ({8} if scheme is RFC else set())
    for at in range(len(built.header + built.payload)):
        for bit in range(8):
            assert isinstance(verify(scheme, changed(built, at, 1 << bit)), Verified) is (at in mutable), at


@pytest.mark.parametrize("scheme", STYLES)
def test_another_key_is_found(scheme: AuthenticationHeader) -> None:
    other = AuthenticationHeader(scheme.key.reveal()[:-1] + b"x", scheme.style)
    found = verify(other, sign(scheme, MESSAGE, SENDER, GROUP))
    assert isinstance(found, Finding)
    assert str(found) == "the integrity check value does not fit the key and the packet (RFC 2402 3.4.4)"


def test_the_spi_is_the_senders_address_or_the_one_that_was_agreed_on() -> None:
    agreed = AuthenticationHeader("s3cr3t", spi=1000)
    built = sign(agreed, MESSAGE, SENDER, GROUP)
    assert built.header[24:28] == struct.pack("!I", 1000)
    assert isinstance(verify(agreed, built), Verified)
    found = verify(KEEPALIVED, built)
    assert isinstance(found, Finding)
    assert str(found) == "the SPI must be 0x0a4d0001, not 0x000003e8 (RFC 2402 3.4.2)"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"header": b""}, "there must be an Authentication Header between IPv4 and VRRP"),
        ({"header": captured()[0].header[:20]}, "there must be an Authentication Header between IPv4 and VRRP"),
        ({"header": captured()[0].header[:-1]}, "there must be an Authentication Header between IPv4 and VRRP"),
        ({"ttl": 254}, "there must be an Authentication Header between IPv4 and VRRP"),
        ({"source": "10.77.0.9"}, "there must be an Authentication Header between IPv4 and VRRP"),
    ],
)
def test_without_a_header_that_is_this_packets_own_it_is_no_ah(change: dict[str, Any], words: str) -> None:
    found = verify(KEEPALIVED, dataclasses.replace(captured()[0], **change))
    assert found == Finding(Problem.AUTHENTICATION, "RFC 2338 5.3.6.2", words)


def test_an_ah_of_another_length_is_named() -> None:
    datagram = captured()[0]
    header = datagram.header[:21] + b"\5" + datagram.header[22:]
    found = verify(KEEPALIVED, dataclasses.replace(datagram, header=header))
    assert isinstance(found, Finding)
    assert str(found) == "the AH must be of 4 words before 112, not of 5 before 112 (RFC 2402 2)"


def with_options(scheme: AuthenticationHeader, options: bytes, covered: bytes) -> Datagram:
    """An AH packet whose IP header has options, with a check value over ``covered`` in their place."""
    built = sign(scheme, MESSAGE, SENDER, GROUP)
    ip = bytearray(built.header[:20])
    ip[0] = 0x45 + len(options) // 4
    ip[2:4] = struct.pack("!H", 64 + len(options))
    bare = bytes([ip[0], 0, *ip[2:6], 0, 0, 0 if scheme is RFC else ip[8], ip[9], 0, 0, *ip[12:]])
    data = bare + covered + built.header[20:32] + bytes(12) + built.payload
    icv = hmac.new(scheme.key.reveal(), data, hashlib.md5).digest()[:12]
    return dataclasses.replace(built, header=bytes(ip) + options + built.header[20:32] + icv)


ALERT, ROUTE = b"\x94\x04\0\0", b"\x07\x07\x04\x0a\0\0\1"


@pytest.mark.parametrize(
    ("options", "covered"),
    [
        (ALERT, ALERT),  # router alert does not change
        (ROUTE + b"\1", bytes(7) + b"\1"),  # a recorded route does
        (b"\1\1\1\0", b"\1\1\1\0"),
        (b"\x94\x09\0\0", bytes(4)),  # longer than its header
        (b"\x94\x00\x94\x00", b"\x94\x00\x94\x00"),  # a length that cannot be counts as the least
        (b"\1\1\1\x94", b"\1\1\1\0"),  # no length at all
    ],
)
def test_rfc_2402_covers_the_options_that_do_not_change(options: bytes, covered: bytes) -> None:
    assert isinstance(verify(RFC, with_options(RFC, options, covered)), Verified)


def test_keepalived_covers_options_as_they_are() -> None:
    assert isinstance(verify(KEEPALIVED, with_options(KEEPALIVED, ROUTE + b"\1", ROUTE + b"\1")), Verified)


def test_keys_have_the_length_of_their_style() -> None:
    with pytest.raises(ConfigError, match="key must have 1-8 bytes, not 9: keepalived takes the first eight"):
        AuthenticationHeader("123456789")
    with pytest.raises(ConfigError, match="key must have 16 bytes, not 6: RFC 2403"):
        AuthenticationHeader("s3cr3t", AHStyle.RFC2402)
    with pytest.raises(ConfigError, match="spi must be 0-4294967295, not -1"):
        AuthenticationHeader("s3cr3t", spi=-1)


@pytest.mark.parametrize("name", ["sequence", "ttl", "identification"])
def test_what_does_not_fit_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be 0-"):
        sign(KEEPALIVED, MESSAGE, SENDER, GROUP, **{name: 1 << 40})


def test_the_identification_is_that_of_keepalived_and_never_0() -> None:
    for sequence, expected in ((1, 1), (0x10005, 5), (0x10000, 1)):
        header = sign(KEEPALIVED, MESSAGE, SENDER, GROUP, sequence=sequence).header
        assert int.from_bytes(header[4:6], "big") == expected


@given(header=st.binary(max_size=70), payload=st.binary(min_size=8, max_size=40), scheme=st.sampled_from(STYLES))
def test_no_bytes_raise(header: bytes, payload: bytes, scheme: AuthenticationHeader) -> None:
    payload = b"\x21" + payload[1:4] + b"\2" + payload[5:]
    assert isinstance(verify(scheme, Datagram(payload, SENDER, GROUP, 255, header)), Finding)


@given(options=st.binary(max_size=40), scheme=st.sampled_from(STYLES))
def test_no_options_raise(options: bytes, scheme: AuthenticationHeader) -> None:
    options = options[: len(options) // 4 * 4]
    assert isinstance(verify(scheme, with_options(scheme, options, b"?")), Finding)
