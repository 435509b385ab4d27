"""Link types: what is shown as Ethernet, with which MACs and ethertype."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.capture_files import V4, V6
from vrrplib.wire.linktypes import Captured, Interface, to_ethernet
from vrrplib.wire.parsing import parse

FOUR, SIX = b"\x08\x00", b"\x86\xdd"
MAC = bytes.fromhex("020000000007")
COOKED = bytes.fromhex("0004 0001 0006") + MAC + b"\0\0"
COOKED_2 = bytes(2) + bytes.fromhex("00000003 0001 04 06") + MAC + b"\0\0"


def captured(link_type: int, data: bytes) -> Captured:
    return Captured(0, Interface(link_type=link_type), data, len(data))


@pytest.mark.parametrize(
    ("link_type", "head4", "head6"),
    [
        (12, b"", b""),
        (14, b"", b""),
        (101, b"", b""),
        (113, bytes(14) + FOUR, bytes(14) + SIX),
        (113, COOKED + FOUR, COOKED + SIX),
        (276, FOUR + bytes(18), SIX + bytes(18)),
        (276, FOUR + COOKED_2, SIX + COOKED_2),
        (0, b"\2\0\0\0", b"\x1e\0\0\0"),
        (0, b"\0\0\0\2", b"\0\0\0\x18"),
        (108, b"\0\0\0\2", b"\0\0\0\x1c"),
        (0, b"\2\0\0\0", b"\x0a\0\0\0"),
        (1, V4[:14], V6[:14]),
    ],
)
def test_every_link_type_comes_with_an_ethernet_header(link_type: int, head4: bytes, head6: bytes) -> None:
    for head, frame in ((head4, V4), (head6, V6)):
        record = captured(link_type, head + frame[14:])
        assert record.frame is not None
        assert record.frame[12:] == frame[12:]
        assert record.datagram == parse(frame)
        assert record.link_type == link_type


@pytest.mark.parametrize(("link_type", "version"), [(228, V4), (229, V6)])
def test_raw_ip_of_one_version(link_type: int, version: bytes) -> None:
    assert captured(link_type, version[14:]).datagram == parse(version)


@pytest.mark.parametrize(("link_type", "head"), [(113, COOKED + FOUR), (276, FOUR + COOKED_2)])
def test_a_cooked_header_tells_who_sent(link_type: int, head: bytes) -> None:
    frame = to_ethernet(link_type, head + V4[14:])
    assert frame is not None
    assert frame[:12] == bytes(6) + MAC
    # a tunnel's address may have another length
    at = 5 if link_type == 113 else 13 - 2
    frame = to_ethernet(link_type, head[:at] + b"\x04" + head[at + 1 :] + V4[14:])
    assert frame is not None
    assert frame[:12] == bytes(12)


def test_ethernet_is_left_as_it_is() -> None:
    assert to_ethernet(1, V4) is V4


def test_another_protocol_family_is_no_ip() -> None:
    assert to_ethernet(0, b"\x07\0\0\0" + V4[14:]) == bytes(14) + V4[14:]


def test_an_unknown_link_type_is_none() -> None:
    record = captured(147, V4)
    assert (record.frame, record.datagram, record.data) == (None, None, V4)


def test_times_of_every_resolution() -> None:
    assert Interface().nanoseconds(1_500_000) == 1_500_000_000
    assert Interface(ticks_per_second=3).nanoseconds(1) == 333_333_333
    assert Interface(ticks_per_second=10**12, offset=-1).nanoseconds(1999) == 1 - 10**9
    assert Interface(ticks_per_second=1).nanoseconds(7) == 7_000_000_000
    assert captured(1, b"").time == 0.0
    assert Captured(None, Interface(), b"", 0).time is None


@given(st.sampled_from([0, 1, 12, 101, 108, 113, 228, 276, 999]), st.binary(max_size=80))
def test_any_record_of_any_link_type(link_type: int, data: bytes) -> None:
    record = captured(link_type, data)
    assert record.datagram is None or record.datagram.payload in data
    if record.frame is not None and link_type != 1:
        assert record.frame[:6] == bytes(6)
        assert len(record.frame) >= 12
