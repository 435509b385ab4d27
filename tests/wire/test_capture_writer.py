"""What is written is read again: by ourselves, and by dpkt."""

from __future__ import annotations

import io

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.capture_files import V4, V6
from vrrplib.errors import ConfigError
from vrrplib.wire.capture import Captured, CaptureReader
from vrrplib.wire.capture_writer import PcapngWriter, PcapWriter

LAST = (1 << 32) * 10**9 - 1  # in 2106
RECORDS = st.lists(st.tuples(st.integers(0, LAST), st.binary(max_size=100), st.integers(0, 50)), max_size=10)


def read(file: io.BytesIO) -> list[Captured]:
    file.seek(0)
    reader = CaptureReader(file)
    found = list(reader)
    assert reader.broken is None
    return found


@given(RECORDS, st.booleans(), st.sampled_from([1, 101, 113]))
def test_pcap_is_read_as_it_was_written(
    records: list[tuple[int, bytes, int]], nanoseconds: bool, link_type: int
) -> None:
    file = io.BytesIO()
    writer = PcapWriter(file, link_type=link_type, nanoseconds=nanoseconds)
    for time_ns, data, more in records:
        writer.write(time_ns, data, length=len(data) + more if more else None)
    unit = 1 if nanoseconds else 1000
    expected = [(time_ns // unit * unit, data, len(data) + more) for time_ns, data, more in records]
    found = read(file)
    assert [(record.time_ns, record.data, record.length) for record in found] == expected
    assert {record.link_type for record in found} <= {link_type}


@given(
    RECORDS,
    st.lists(st.sampled_from([1, 101, 276]), min_size=1, max_size=3),
    st.sampled_from(["", "why", "\u00e4" * 9]),
)
def test_pcapng_is_read_as_it_was_written(
    records: list[tuple[int, bytes, int]], link_types: list[int], comment: str
) -> None:
    file = io.BytesIO()
    writer = PcapngWriter(file)
    for number, link_type in enumerate(link_types):
        assert writer.interface(f"eth{number}", link_type=link_type) == number
    expected = []
    for number, (time_ns, data, more) in enumerate(records):
        at = number % len(link_types)
        writer.write(time_ns, data, interface=at, length=len(data) + more, comment=comment)
        expected.append((time_ns, data, len(data) + more, f"eth{at}", link_types[at]))
    found = [
        (record.time_ns, record.data, record.length, record.interface.name, record.link_type)
        for record in read(file)
    ]
    assert found == expected


def test_dpkt_reads_the_same() -> None:
    file = io.BytesIO()
    writer = PcapWriter(file, nanoseconds=False)
    writer.write(1_000_500_000_000, V4)
    writer.write(1_001_500_000_000, V6)
    file.seek(0)
    assert list(dpkt.pcap.Reader(file)) == [(1000.5, V4), (1001.5, V6)]
    file = io.BytesIO()
    PcapngWriter(file).write(1_000_500_000_000, V4, comment="a comment")
    file.seek(0)
    assert list(dpkt.pcapng.Reader(file)) == [(1000.5, V4)]


def test_pcapng_without_a_described_interface_is_of_ethernet() -> None:
    file = io.BytesIO()
    PcapngWriter(file).write(7, V4)
    [record] = read(file)
    assert (record.time_ns, record.link_type, record.interface.name, record.data) == (7, 1, "", V4)


def test_a_comment_is_cut_at_what_an_option_can_hold() -> None:
    file = io.BytesIO()
    PcapngWriter(file).write(7, V4, comment="x" * 100_000)
    assert file.getvalue().count(b"x") == 65_535


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"time_ns": -1}, "time_ns must be 0-"),
        ({"time_ns": 1 << 64}, "time_ns must be 0-"),
        ({"data": bytes(262_145)}, "data must have at most 262144 bytes, not 262145"),
        ({"length": 3}, "length must be 4-4294967295, not 3"),
    ],
)
def test_what_cannot_be_written_is_refused(wrong: dict[str, object], message: str) -> None:
    arguments = {"time_ns": 0, "data": b"four"} | wrong
    for writer in (PcapWriter(io.BytesIO()), PcapngWriter(io.BytesIO())):
        with pytest.raises(ConfigError, match=message):
            writer.write(**arguments)  # type: ignore[arg-type]


def test_what_has_no_number_is_refused() -> None:
    with pytest.raises(ConfigError, match="link_type must be 0-65535, not 65536"):
        PcapWriter(io.BytesIO(), link_type=65536)
    writer = PcapngWriter(io.BytesIO())
    with pytest.raises(ConfigError, match="link_type must be 0-65535, not -1"):
        writer.interface(link_type=-1)
    with pytest.raises(ConfigError, match="interface must be 0-0, not 1"):
        writer.write(0, b"", interface=1)
