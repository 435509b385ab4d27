"""Capture files: every format and block that is read, where a broken one breaks, and how much memory it takes."""

from __future__ import annotations

import contextlib
import io
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.capture_files import (
    V4,
    V6,
    block,
    interface,
    old_packet,
    option,
    packet,
    pcap,
    pcapng,
    section,
    simple_packet,
)
from vrrplib.errors import ConfigError
from vrrplib.wire.capture import MOST_BYTES, Break, Captured, CaptureReader, Interface, is_capture, read_pcap
from vrrplib.wire.parsing import parse

SECOND = 1_000_000_000
MAKERS = pytest.mark.parametrize("make", [pcap, pcapng])


def read(data: bytes) -> tuple[list[Captured], Break | None]:
    reader = CaptureReader(io.BytesIO(data))
    return list(reader), reader.broken


def frames(data: bytes) -> list[tuple[int | None, bytes]]:
    """Time and data of a file that is whole."""
    records, broken = read(data)
    assert broken is None
    return [(record.time_ns, record.data) for record in records]


EXPECTED = [(1000 * SECOND + SECOND // 2, V4), (1001 * SECOND + SECOND // 2, V6)]


# -- formats --


@MAKERS
@pytest.mark.parametrize("order", ["<", ">"])
def test_either_byte_order(make: Callable[..., bytes], order: str) -> None:
    data = make(V4, V6, order=order)
    assert is_capture(data)
    assert frames(data) == EXPECTED
    assert list(read_pcap(io.BytesIO(data))) == [(1000.5, V4), (1001.5, V6)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_nanoseconds(order: str) -> None:
    data = pcap(V4, magic=0xA1B23C4D, part=123_456_789, order=order)
    assert is_capture(data)
    assert frames(data) == [(1000 * SECOND + 123_456_789, V4)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_modified_pcap_with_a_longer_record_header(order: str) -> None:
    data = pcap(V4, V6, magic=0xA1B2CD34, order=order)
    assert is_capture(data)
    assert frames(data) == EXPECTED


def test_a_record_says_what_it_is() -> None:
    reader = CaptureReader(io.BytesIO(pcap(V4)))
    assert (reader.format, reader.offset) == ("pcap", 24)
    assert reader.interfaces == (Interface(0, 1, "", 65535, 1_000_000),)
    record = next(reader)
    assert record == (1000 * SECOND + SECOND // 2, reader.interfaces[0], V4, len(V4))
    assert (record.time, record.link_type, record.frame, record.datagram) == (1000.5, 1, V4, parse(V4))
    assert reader.offset == len(pcap(V4))
    assert next(reader, None) is None
    assert reader.broken is None


def test_what_a_pcap_header_says_of_an_fcs_is_no_link_type() -> None:
    records, _ = read(pcap(V4, link=0x24000001))
    assert records[0].link_type == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_with_interfaces_of_different_link_types_and_resolutions(order: str) -> None:
    data = section(order)
    data += interface(1, option(2, b"eth0", order), option(9, b"\x09", order), option(0, b"", order), order=order)
    data += interface(101, option(9, b"\x8a", order), order=order)  # 2 ** -10 seconds
    data += interface(1, option(14, b"\0\0\0\0\0\0\0\x64"[:: 1 if order == ">" else -1], order), order=order)
    data += packet(V4, 5 * SECOND + 7, 0, order) + packet(V6[14:], 1024 * 3 + 512, 1, order)
    data += packet(V4, 1_500_000, 2, order) + old_packet(V4, 6 * SECOND, 0, order)
    reader = CaptureReader(io.BytesIO(data))
    records = list(reader)
    assert reader.broken is None
    assert reader.format == "pcapng"
    times = [5 * SECOND + 7, 3 * SECOND + SECOND // 2, 101 * SECOND + SECOND // 2, 6 * SECOND]
    assert [record.time_ns for record in records] == times
    assert [record.interface.number for record in records] == [0, 1, 2, 0]
    assert [item.name for item in reader.interfaces] == ["eth0", "", ""]
    assert [record.datagram for record in records] == [parse(V4), parse(V6), parse(V4), parse(V4)]


def test_a_new_section_has_its_own_interfaces_and_byte_order() -> None:
    data = pcapng(V4) + section(">") + interface(101, order=">") + packet(V6[14:], 1, order=">") + pcapng(V4)
    records, broken = read(data)
    assert broken is None
    assert [record.link_type for record in records] == [1, 101, 1]


def test_a_simple_packet_has_no_time_and_is_cut_at_the_snap_length() -> None:
    data = section() + interface(snaplen=60) + simple_packet(V4[:33]) + simple_packet(V6[:60], len(V6))
    records, broken = read(data)
    assert broken is None
    assert [(record.time_ns, record.time, record.data, record.length) for record in records] == [
        (None, None, V4[:33], 33),
        (None, None, V6[:60], len(V6)),
    ]
    assert [time for time, _ in read_pcap(io.BytesIO(data))] == [0.0, 0.0]
    [record] = read(section() + interface(snaplen=0) + simple_packet(V4))[0]
    assert record.data == V4


def test_options_and_blocks_that_are_not_known_are_passed_over() -> None:
    data = (
        section() + block(0xBAD, bytes(100_000)) + interface(1, option(77, b"odd")) + block(5, b"") + packet(V4, 7)
    )
    assert frames(data) == [(7000, V4)]
    with_options = block(6, packet(V4, 7)[8:-4] + option(1, b"a comment") + option(0, b""))
    assert frames(section() + interface() + with_options) == [(7000, V4)]


def test_a_name_is_text_whatever_its_bytes() -> None:
    reader = CaptureReader(io.BytesIO(section() + interface(1, option(2, b"\xff" * 1000))))
    assert list(reader) == []
    assert reader.interfaces[0].name == "\ufffd" * 256


def test_the_content_decides_and_not_the_name() -> None:
    file = io.BytesIO(pcapng(V4))
    file.name = "misnamed.pcap"
    assert CaptureReader(file).format == "pcapng"


class Dribble(io.RawIOBase):
    """A pipe without a buffer, which gives a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self.file.read(min(size, 5))


@MAKERS
def test_short_reads_are_put_together(make: Callable[..., bytes]) -> None:
    whole = make(V4, V6)
    assert [record.data for record in CaptureReader(Dribble(whole))] == [V4, V6]  # type: ignore[arg-type]
    reader = CaptureReader(Dribble(whole[:-1]))  # type: ignore[arg-type]
    assert [record.data for record in reader] == [V4]
    assert reader.broken


def test_what_a_file_raises_is_passed_on() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= 24:
                raise OSError("no medium")
            return super().read(size)

    with pytest.raises(OSError, match="no medium"):
        list(CaptureReader(Failing(pcap(V4))))


# -- no capture --


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\xd4\xc3\xb2\xa1", pcap()[:23], b"hello, world, this is no capture at all", bytes(100)),
        *(section()[:11], b"\x0a\x0d\x0d\x0a" + bytes(100)),
    ],
)
def test_what_is_no_capture(data: bytes) -> None:
    for reader in (CaptureReader, lambda file: list(read_pcap(file))):
        with pytest.raises(ConfigError, match="must be a pcap or pcapng capture"):
            reader(io.BytesIO(data))


def test_an_unknown_link_type_is_named() -> None:
    with pytest.raises(ConfigError, match="link type 147"):
        list(read_pcap(io.BytesIO(pcap(V4, link=147))))
    [record] = read(pcap(V4, link=147))[0]
    assert (record.data, record.frame, record.datagram) == (V4, None, None)


# -- broken --


@MAKERS
def test_a_file_that_breaks_off_is_read_up_to_there_and_says_where(make: Callable[..., bytes]) -> None:
    whole = make(V4, V6)
    ends = [len(make()), len(make(V4)), len(whole)]
    if make is pcapng:
        ends.insert(0, len(section()))
    for length in range(24, len(whole) + 1):
        records, broken = read(whole[:length])
        assert [(record.time_ns, record.data) for record in records] == EXPECTED[: len(records)]
        before = max((end for end in ends if end <= length), default=0)
        assert len(records) == max(0, ends.index(before) - (make is pcapng) if before else 0)
        assert (broken is None) is (length in ends)
        if broken:
            assert broken.offset == before
            assert str(broken).startswith(f"broken at byte {before}: ")


@pytest.mark.parametrize("size", [MOST_BYTES + 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_bogus_length_in_pcap_is_not_believed(size: int) -> None:
    data = pcap(V4, V6)
    data = data[: len(pcap(V4)) + 8] + size.to_bytes(4, "little") + data[len(pcap(V4)) + 12 :]
    records, broken = read(data)
    assert [record.data for record in records] == [V4]
    assert broken == Break(len(pcap(V4)), f"a record claims {size} bytes, but at most 262144 are believed")


def test_a_record_as_long_as_can_be() -> None:
    assert [data for _, data in frames(pcap(bytes(MOST_BYTES)))] == [bytes(MOST_BYTES)]
    assert [data for _, data in frames(pcapng(bytes(MOST_BYTES)))] == [bytes(MOST_BYTES)]


START = section() + interface()
GOOD = packet(V4, 1)


def resized(data: bytes, size: int) -> bytes:
    """A block with another length in front."""
    return data[:4] + size.to_bytes(4, "little") + data[8:]


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (b"1234567", "a block has at least 12 bytes, but 7 are left"),
        (resized(GOOD, 11), "a block claims 11 bytes; 12 to 327680 are believed"),
        (resized(GOOD, 0xFFFFFFFC), "a block claims 4294967292 bytes; 12 to 327680 are believed"),
        (resized(GOOD, 4096), f"a block claims 4096 bytes, but {len(GOOD) * 2} are left"),
        (GOOD[:-4] + b"\0\0\0\0", f"a block of {len(GOOD)} bytes does not end with its length"),
        (block(6, bytes(16)), "a block of type 6 cannot have 28 bytes"),
        (block(3, b""), "a block of type 3 cannot have 12 bytes"),
        (block(1, bytes(4)), "a block of type 1 cannot have 16 bytes"),
        (interface(1, option(9, b"\6\6")), "a block of type 1 cannot have 28 bytes"),
        (interface(1, option(14, b"\6\6")), "a block of type 1 cannot have 28 bytes"),
        (interface(1, b"\2\0\7\0four"), "an option claims 7 bytes, but its block has 4"),
        (packet(V4, 1, 1), "a record is of interface 1, of 1 that are described"),
        (packet(V4, 1, claimed=99), "a record claims 99 bytes, but its block has 48"),
        (old_packet(V4, 1, 7), "a record is of interface 7, of 1 that are described"),
        (simple_packet(V4, 5000), "a record claims 5000 bytes, but its block has 48"),
        (resized(block(5, b""), 8), "a block claims 8 bytes; it has at least 12"),
        (resized(block(5, b"1234"), 4000), f"a block claims 4000 bytes, but {16 + len(GOOD)} are left"),
        (resized(block(5, b"1234"), 12), "a block of 12 bytes does not end with its length"),
        (section(major=2), "a section has version 2, not 1"),
        (section()[:8] + bytes(20), "a section header has no byte-order magic"),
        (section()[:8] + section()[8:12], "a section header has no byte-order magic"),
        (resized(section(), 16), "a block claims 16 bytes; it has at least 20"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_where_and_why_a_pcapng_file_is_broken(bad: bytes, what: str) -> None:
    records, broken = read(START + GOOD + bad + (GOOD if len(bad) >= 16 else b""))
    assert broken == Break(len(START + GOOD), what)
    assert [record.data for record in records] == [V4]


def test_a_simple_packet_needs_an_interface() -> None:
    records, broken = read(section() + simple_packet(V4))
    assert records == []
    assert broken == Break(len(section()), "a record is of interface 0, of 0 that are described")


def test_a_first_section_that_is_cut_short_is_broken() -> None:
    assert read(section()[:15]) == ([], Break(0, "a section header has no byte-order magic"))


def test_too_many_interfaces_are_a_break() -> None:
    records, broken = read(section() + interface() * 10_001 + GOOD)
    assert records == []
    assert broken == Break(len(section() + interface() * 10_000), "more than 10000 interfaces are described")


# -- memory --


class Endless(io.RawIOBase):
    """A file of 4 GiB that is nowhere: a start, and then the same again and again."""

    def __init__(self, start: bytes, again: bytes, size: int) -> None:
        self.start, self.again, self.left = io.BytesIO(start), again, size

    def read(self, size: int = -1) -> bytes:
        assert 0 <= size <= 400_000, "a reader must not ask for what a file merely claims"
        data = self.start.read(size)
        if not data and self.left:
            data = (self.again * (size // len(self.again) + 1))[:size]
            self.left -= 1
        return data


def test_a_block_that_claims_4_gib_is_passed_over_in_pieces() -> None:
    size = (1 << 32) - 16
    head = START + (5).to_bytes(4, "little") + size.to_bytes(4, "little")
    tracemalloc.start()
    try:
        reader = CaptureReader(Endless(head, bytes(4096), 1000))  # type: ignore[arg-type]
        assert list(reader) == []
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert reader.broken is not None
    assert reader.broken.offset == len(START)


@MAKERS
def test_a_long_file_is_read_record_by_record(make: Callable[..., bytes]) -> None:
    data = make(V4)
    record = data[len(make()) :]
    file = io.BytesIO(data + record * 20_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in CaptureReader(file)) == 20_001
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


# -- whatever the bytes --


@given(
    st.binary(max_size=200), st.sampled_from([pcap(V4)[:24], pcapng()[:28], pcapng()[:48], pcap(V4), pcapng(V4)])
)
def test_garbage_ends_a_file_and_raises_nothing(garbage: bytes, start: bytes) -> None:
    for record in CaptureReader(io.BytesIO(start + garbage)):
        assert record.data in start + garbage
        assert record.datagram is None or record.frame


PIECES = st.sampled_from([section(), section(">"), interface(), interface(113), packet(V4, 1), simple_packet(V6)])


@given(st.lists(PIECES, max_size=6).map(b"".join) | st.sampled_from([pcap(V4, V6), pcapng(V4, V6)]), st.data())
def test_bytes_changed_anywhere_raise_nothing_but_that_it_is_no_capture(whole: bytes, data: st.DataObject) -> None:
    changed = bytearray(section() + whole if whole[:4] != pcap()[:4] else whole)
    for _ in range(data.draw(st.integers(0, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ConfigError):
        reader = CaptureReader(io.BytesIO(changed))
        for record in reader:
            assert record.datagram is None or record.frame
        assert reader.offset <= len(changed)
        assert (reader.broken is None) is (reader.offset == len(changed))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_capture_or_not(data: bytes) -> None:
    with contextlib.suppress(ConfigError):
        list(read_pcap(io.BytesIO(data)))
