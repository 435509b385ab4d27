from __future__ import annotations

import copy
import dataclasses
import hashlib
import hmac
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import MADE_CAPTURES, VECTORS, frames_of, public_captures
from vrrplib.errors import ConfigError, DecodeError, Finding, Problem
from vrrplib.wire.addresses import Family
from vrrplib.wire.carp import (
    CARP,
    CARPKey,
    carp_down_time,
    carp_interval,
    decode_carp,
    inspect_carp,
    sign_carp,
    verify_carp,
)
from vrrplib.wire.frames import parse
from vrrplib.wire.keys import Key
from vrrplib.wire.packets import VRRPv2, VRRPv3, inspect, is_carp

HEX = {entry["id"]: entry["hex"] for entry in VECTORS["carp"]}
COUNTER = 0x0102030405060708
PASSWORD = "mekmitasdigoat"
SHARED = CARPKey(PASSWORD, ["10.0.0.1"])
PLAIN = CARP(vhid=1, counter=COUNTER)
# what is signed, by whom: the vectors whose key is known
SIGNED = {
    "C1": (PLAIN, SHARED),
    "C2": (PLAIN.replace(advskew=100, demote=3), CARPKey(PASSWORD, ["10.0.0.2", "10.0.0.1"])),
    "C3": (PLAIN.replace(advbase=255, advskew=255, counter=COUNTER + 1), SHARED),
}


def names(findings: tuple[Finding, ...]) -> list[Problem]:
    return [finding.problem for finding in findings]


def flips(data: bytes) -> list[tuple[int, bytes]]:
    return [
        (at, data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])
        for at in range(len(data))
        for bit in range(8)
    ]


# -- vectors and captures --


@pytest.mark.parametrize("name", HEX)
def test_a_vector_is_valid_and_encodes_to_its_bytes(name: str) -> None:
    data = bytes.fromhex(HEX[name])
    assert is_carp(data)
    packet = decode_carp(data)
    assert packet.encode() == packet.replace().encode() == data
    assert inspect_carp(data).notes == ()


@pytest.mark.parametrize("name", SIGNED)
def test_a_vector_is_built_and_verifies_with_its_key_alone(name: str) -> None:
    packet, shared = SIGNED[name]
    assert sign_carp(shared, packet).encode().hex() == HEX[name]
    assert verify_carp(shared, decode_carp(bytes.fromhex(HEX[name]))) is None
    found = verify_carp(CARPKey("another", shared.addresses), decode_carp(bytes.fromhex(HEX[name])))
    assert found == Finding(
        Problem.AUTHENTICATION,
        "CARP (OpenBSD)",
        "the digest does not fit the key, the vhid and the addresses",
    )


def test_fields_are_where_the_descriptions_of_the_vectors_say() -> None:
    second = decode_carp(bytes.fromhex(HEX["C2"]))
    assert (second.vhid, second.advskew, second.advbase, second.demote) == (1, 100, 1, 3)
    assert (second.version, second.type, second.authlen, second.checksum) == (2, 1, 7, 0xA426)
    assert (second.counter, second.digest.hex()) == (COUNTER, HEX["C2"][32:])
    assert [decode_carp(bytes.fromhex(HEX[name])).is_bow_out for name in HEX] == [False, False, True, False]


def test_every_advertisement_of_ucarp_verifies_and_is_built_again() -> None:
    shared = CARPKey("s3cr3t", ["10.77.0.101"])
    frames = frames_of(MADE_CAPTURES / "keepalived-v2-vs-ucarp.pcap")
    payloads = [datagram.payload for datagram in map(parse, frames) if datagram is not None]
    adverts = [decode_carp(payload) for payload in payloads if is_carp(payload)]
    assert (len(payloads), len(adverts)) == (8, 4)
    for packet in adverts:
        assert verify_carp(shared, packet) is None
        assert sign_carp(shared, packet.replace(digest=bytes(20))).encode() == packet.encode()
        assert (packet.vhid, packet.advskew, packet.advbase, packet.demote) == (51, 0, 1, 0)
        assert verify_carp(CARPKey("s3cr3T", shared.addresses), packet) is not None
    # ucarp does not count, it draws a number: nothing to keep a replay out by
    assert sorted(packet.counter for packet in adverts) != [packet.counter for packet in adverts]
    assert not any(inspect(payload).problems for payload in payloads if not is_carp(payload))


def test_public_captures_tell_carp_from_vrrp() -> None:
    folder = public_captures()
    carp = [parse(frame) for frame in frames_of(folder / "libpcap/carp.pcap")]
    assert [item is not None and is_carp(item.payload) for item in carp] == [True] * 5
    for item in carp:
        assert item is not None
        assert decode_carp(item.payload).encode() == item.payload
    vrrp = [parse(frame) for frame in frames_of(folder / "tcpdump/vrrp.pcap")]
    assert not any(is_carp(item.payload) for item in vrrp if item)


# -- told apart --


def test_carp_is_told_from_vrrp_with_the_same_first_byte_and_length() -> None:
    seven = [f"192.0.2.{number}" for number in range(1, 8)]
    assert not is_carp(VRRPv2(vrid=1, addresses=seven).encode())  # 44 bytes
    assert not is_carp(VRRPv2(vrid=1, addresses=seven[:5]).encode())  # 36 bytes, but a count of 5
    assert not is_carp(VRRPv3(vrid=1, addresses=seven).encode("192.0.2.1", "224.0.0.18"))  # both, but version 3
    assert not is_carp(b"")
    assert is_carp(PLAIN.replace(type=3).encode())
    assert names(inspect(bytes.fromhex(HEX["C1"])).problems) == [Problem.CARP]


def test_over_ipv6_carp_is_told_whatever_its_version_says_if_its_checksum_is_good() -> None:
    odd = PLAIN.replace(version=3)
    assert is_carp(odd.encode(), Family.IPV6)
    assert not is_carp(odd.encode(), Family.IPV4)
    assert not is_carp(odd.replace(checksum=1).encode(), Family.IPV6)
    assert is_carp(bytes.fromhex(HEX["C4"]), Family.IPV6)


@given(
    first=st.sampled_from([0x21, 0x31]), rest=st.binary(min_size=32, max_size=32), number=st.sampled_from([5, 7])
)
def test_inspect_says_carp_exactly_where_is_carp_does(first: int, rest: bytes, number: int) -> None:
    data = bytes([first]) + rest[:2] + bytes([number]) + rest
    assert (Problem.CARP in names(inspect(data).problems)) is is_carp(data)


# -- what is wrong --


@pytest.mark.parametrize(
    ("change", "problems", "words"),
    [
        ({"version": 3}, [Problem.VERSION], "version must be 2, not 3 (CARP (OpenBSD))"),
        ({"vhid": 0}, [Problem.VRID], "vhid must be 1-255, not 0 (CARP (OpenBSD))"),
        ({"checksum": 1}, [Problem.CHECKSUM], "checksum must be 0xcee2, not 0x0001 (CARP (OpenBSD))"),
        ({"version": 0, "checksum": 0}, [Problem.VERSION, Problem.CHECKSUM], "version must be 2, not 0"),
    ],
)
def test_each_problem_is_named_with_the_value_and_what_is_allowed(
    change: dict[str, Any], problems: list[Problem], words: str
) -> None:
    data = PLAIN.replace(**change).encode()
    seen = inspect_carp(data)
    assert names(seen.problems) == problems
    assert str(seen.problems[0]).startswith(words)
    assert seen.packet is not None
    assert seen.packet.encode() == data
    with pytest.raises(DecodeError) as caught:
        decode_carp(data)
    assert caught.value.findings == seen.problems


def test_less_than_36_bytes_are_no_advertisement() -> None:
    seen = inspect_carp(bytes.fromhex(HEX["C1"])[:-1])
    assert seen.packet is None
    assert [str(item) for item in seen.problems] == ["an advertisement must have 36 bytes, not 35 (CARP (OpenBSD))"]
    with pytest.raises(DecodeError):
        decode_carp(b"")


@pytest.mark.parametrize(
    ("change", "problem", "words"),
    [
        ({"type": 2}, Problem.TYPE, "type must be 1 (advertisement), not 2"),
        ({"authlen": 5}, Problem.LENGTH, "authentication length must be 7 words, not 5"),
        ({"advskew": 255}, Problem.INTERVAL, "advskew must be 0-254, not 255, unless advbase is 255 too, not 1"),
        ({"trailing": b"odd"}, Problem.TRAILING, "3 bytes follow the advertisement"),
    ],
)
def test_what_nobody_discards_is_a_note(change: dict[str, Any], problem: Problem, words: str) -> None:
    data = PLAIN.replace(**change).encode()
    seen = inspect_carp(data)
    assert (seen.problems, seen.notes) == ((), (Finding(problem, "CARP (OpenBSD)", words),))
    assert decode_carp(data).encode() == data


def test_the_checksum_may_leave_out_what_trails() -> None:
    assert inspect_carp(PLAIN.encode() + b"odd").problems == ()


def test_values_are_judged_when_they_are_made() -> None:
    for change in ({"vhid": 256}, {"counter": 1 << 64}, {"version": 16}, {"type": -1}, {"checksum": 1 << 16}):
        [name] = change
        with pytest.raises(ConfigError, match=f"{name} must be 0-"):
            PLAIN.replace(**change)
    with pytest.raises(ConfigError, match="digest must have 20 bytes, not 3"):
        PLAIN.replace(digest=b"abc")


# -- the digest --


def expected(addresses: bytes, *, mac: bytes = b"", key: bytes = PASSWORD.encode()) -> bytes:
    data = b"\2\1" + mac + b"\1" + addresses + COUNTER.to_bytes(8, "big")
    return hmac.new(key.ljust(20, b"\0"), data, hashlib.sha1).digest()


def test_addresses_are_hashed_from_the_lowest_up_and_ipv4_first() -> None:
    shared = CARPKey(PASSWORD, ["2001:db8::2", "10.0.0.9", "2001:db8::1", "9.0.0.1"])
    first, second = bytes.fromhex("20010db8000000000000000000000001"), bytes.fromhex("20010db8" + "0" * 23 + "2")
    assert sign_carp(shared, PLAIN).digest == expected(b"\x09\0\0\1" + b"\x0a\0\0\x09" + first + second)
    in_order = CARPKey(PASSWORD, shared.addresses, in_order=True)
    assert sign_carp(in_order, PLAIN).digest == expected(b"\x0a\0\0\x09" + b"\x09\0\0\1" + second + first)


def test_link_local_addresses_are_left_out_and_either_way_is_accepted_without_their_scope() -> None:
    shared = CARPKey(PASSWORD, ["10.0.0.1", "fe80::1%eth0"])
    packed = bytes.fromhex("fe80" + "0" * 27 + "1")
    packet = sign_carp(shared, PLAIN)
    assert packet.digest == expected(b"\x0a\0\0\1")
    assert verify_carp(shared, packet) is None
    assert verify_carp(shared, PLAIN.replace(digest=expected(b"\x0a\0\0\1" + packed))) is None
    # 169.254.0.0/16 is link-local to Python, and an address as any other to CARP
    ipv4 = CARPKey(PASSWORD, ["169.254.0.1"])
    assert sign_carp(ipv4, PLAIN).digest == expected(b"\xa9\xfe\0\1")


def test_a_configured_mac_comes_before_the_vhid() -> None:
    shared = CARPKey(PASSWORD, ["10.0.0.1"], mac="02:00:00:00:00:01")
    assert sign_carp(shared, PLAIN).digest == expected(b"\x0a\0\0\1", mac=b"\2\0\0\0\0\1")
    assert verify_carp(SHARED, sign_carp(shared, PLAIN)) is not None


def test_a_flipped_bit_of_what_is_covered_is_found_and_of_the_timers_is_not() -> None:
    data = bytes.fromhex(HEX["C1"])
    accepted = set()
    for at, other in flips(data):
        packet = inspect_carp(other).packet
        assert packet is not None
        if verify_carp(SHARED, packet) is None:
            accepted.add(at)
        assert Problem.CHECKSUM in names(inspect_carp(other).problems)
    assert accepted == {0, 2, 3, 4, 5, 6, 7}  # version and type are hashed as constants


def test_keys_have_up_to_20_bytes_and_addresses_are_a_list() -> None:
    for secret in ("", "x" * 20):
        shared = CARPKey(secret, ["10.0.0.1"])
        assert verify_carp(shared, sign_carp(shared, PLAIN)) is None
    with pytest.raises(ConfigError, match="key must have 0-20 bytes, not 21"):
        CARPKey("x" * 21, ["10.0.0.1"])
    with pytest.raises(ConfigError, match="addresses must be a list of addresses, not '10"):
        CARPKey("x", "10.0.0.1")
    with pytest.raises(ConfigError, match="addresses must be a list"):
        CARPKey("x", 5)  # type: ignore[arg-type]


SECRET = "Xq7-Zw9!Xq7-Zw9!"


@pytest.mark.parametrize(
    "make",
    [
        lambda: CARPKey(SECRET * 2, []),
        lambda: CARPKey(SECRET, ["?"]),
        lambda: CARPKey(SECRET, "?"),
    ],
)
def test_no_secret_is_in_an_error_its_chain_or_its_traceback(make: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    error: BaseException | None = caught.value
    while error is not None:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        ours = [str(frame.locals) for frame in shown.stack if "/tests/" not in frame.filename]
        assert not any("Xq7" in text for text in (*ours, str(shown), repr(error)))
        error = error.__context__


def test_no_secret_is_in_a_repr_and_a_key_is_a_value() -> None:
    shared = CARPKey(SECRET, ["10.0.0.1"], "02:00:00:00:00:01")
    for value in (shared, dataclasses.asdict(shared), sign_carp(shared, PLAIN), verify_carp(shared, PLAIN)):
        assert "Xq7" not in f"{value!r} {value}"
    assert copy.deepcopy(shared) == dataclasses.replace(shared) == shared
    assert len({shared, CARPKey(Key(SECRET), ("10.0.0.1",), "02:00:00:00:00:01")}) == 1


# -- timers --


@pytest.mark.parametrize(
    ("advbase", "advskew", "interval", "down_time"),
    [(1, 0, 1.0, 3.0), (1, 100, 1.390625, 3.390625), (1, 254, 1.9921875, 3.9921875), (0, 0, 1 / 256, 1 / 256)],
)
def test_timers(advbase: int, advskew: int, interval: float, down_time: float) -> None:
    packet = CARP(vhid=1, advbase=advbase, advskew=advskew)
    assert (packet.interval, packet.down_time) == (interval, down_time)
    assert (carp_interval(advbase, advskew), carp_down_time(advbase, advskew)) == (interval, down_time)


def test_ucarps_dead_ratio_takes_the_place_of_three() -> None:
    assert carp_down_time(2, 128, dead_ratio=5) == 10.5


# -- properties --


@given(st.binary(max_size=60) | st.binary(min_size=36, max_size=36))
def test_any_bytes_are_inspected_and_what_is_yielded_encodes_to_them(data: bytes) -> None:
    seen = inspect_carp(data)
    if seen.packet is not None:
        assert seen.packet.encode() == data
        verify_carp(SHARED, seen.packet)
    if seen.problems:
        with pytest.raises(DecodeError) as caught:
            decode_carp(data)
        assert caught.value.findings == seen.problems
    else:
        assert decode_carp(data) == seen.packet
    assert not is_carp(data) or seen.packet is not None


@given(
    vhid=st.integers(1, 255),
    advskew=st.integers(0, 254),
    counter=st.integers(0, (1 << 64) - 1),
    addresses=st.lists(st.ip_addresses(), max_size=4),
    key=st.binary(max_size=20),
)
def test_what_is_signed_is_decoded_and_verifies(
    vhid: int, advskew: int, counter: int, addresses: list[Any], key: bytes
) -> None:
    shared = CARPKey(key, addresses)
    packet = sign_carp(shared, CARP(vhid=vhid, advskew=advskew, counter=counter))
    again = decode_carp(packet.encode())
    assert again.replace() == packet
    assert verify_carp(shared, again) is None
    assert verify_carp(CARPKey(b"x" + key[:19], addresses), again) is not None or key.startswith(b"x" * len(key))
