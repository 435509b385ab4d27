"""Capture files: every format and link type that is read, what breaks off, and what is no capture."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrplib.errors import ConfigError
from vrrplib.wire.capture import is_capture, read_pcap
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame, parse
from vrrplib.wire.packets import VRRPv3

CAPTURES = Path(__file__).parents[1] / "data/captures/made"


def frame(source: str, group: str, address: str) -> bytes:
    payload = VRRPv3(vrid=51, addresses=[address]).encode(source, group)
    return advertisement_frame(Datagram(payload, source, group, 255), "00:00:5e:00:01:33")


V4 = frame("192.0.2.1", "224.0.0.18", "192.0.2.254")
V6 = frame("fe80::1", "ff02::12", "fe80::51")


def pcap(*frames: bytes, link: int = 1, order: str = "<", magic: int = 0xA1B2C3D4, part: int = 500_000) -> bytes:
    data = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for number, item in enumerate(frames):
        data += struct.pack(f"{order}IIII", 1000 + number, part, len(item), len(item)) + item
    return data


def pcapng(*frames: bytes, order: str = "<", link: int = 1) -> bytes:
    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        length = struct.pack(f"{order}I", len(body) + 12)
        return struct.pack(f"{order}I", kind) + length + body + length

    data = block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))
    data += block(1, struct.pack(f"{order}HHI", link, 0, 65535))
    for number, item in enumerate(frames):
        micros = (1000 + number) * 1_000_000 + 500_000
        head = struct.pack(f"{order}IIIII", 0, micros >> 32, micros & 0xFFFFFFFF, len(item), len(item))
        data += block(6, head + item)
    return data


def read(data: bytes) -> list[tuple[float, bytes]]:
    return list(read_pcap(io.BytesIO(data)))


EXPECTED = [(1000.5, V4), (1001.5, V6)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcap_and_pcapng_in_either_byte_order(order: str) -> None:
    for data in (pcap(V4, V6, order=order), pcapng(V4, V6, order=order)):
        assert is_capture(data)
        assert read(data) == EXPECTED


def test_nanoseconds() -> None:
    data = pcap(V4, magic=0xA1B23C4D, part=500_000_000)
    assert is_capture(data)
    assert read(data) == EXPECTED[:1]


@pytest.mark.parametrize(
    ("link", "head4", "head6"),
    [
        (12, b"", b""),
        (101, b"", b""),
        (113, bytes(14) + b"\x08\x00", bytes(14) + b"\x86\xdd"),
        (276, b"\x08\x00" + bytes(18), b"\x86\xdd" + bytes(18)),
    ],
    ids=["raw", "raw ip", "cooked", "cooked 2"],
)
def test_other_link_types_come_with_an_ethernet_header(link: int, head4: bytes, head6: bytes) -> None:
    found = read(pcap(head4 + V4[14:], head6 + V6[14:], link=link))
    assert [parse(data) for _, data in found] == [parse(V4), parse(V6)]


def test_an_unknown_link_type_is_named() -> None:
    with pytest.raises(ConfigError, match="link type 147"):
        read(pcap(V4, link=147))


@pytest.mark.parametrize("make", [pcap, pcapng])
def test_a_file_that_breaks_off_ends_there(make: object) -> None:
    whole = make(V4, V6)  # type: ignore[operator]
    for length in range(len(whole)):
        try:
            found = read(whole[:length])
        except ConfigError:
            assert length < 60  # in the head
            continue
        assert len(found) <= 2
        for (_, data), (_, wanted) in zip(found, EXPECTED, strict=False):
            assert wanted.startswith(data)


@pytest.mark.parametrize("data", [b"", b"\xd4\xc3\xb2\xa1", b"hello, world, this is no capture at all", bytes(100)])
def test_what_is_no_capture(data: bytes) -> None:
    with pytest.raises(ConfigError, match="pcap or pcapng"):
        read(data)


@given(
    st.binary(max_size=200), st.sampled_from([pcap(V4)[:24], pcapng()[:28], pcapng()[:48], pcap(V4), pcapng(V4)])
)
def test_garbage_ends_a_file_and_raises_nothing_else(garbage: bytes, start: bytes) -> None:
    try:
        for _, data in read_pcap(io.BytesIO(start + garbage)):
            parse(data)
    except ConfigError:
        pass


@given(st.data())
def test_bytes_changed_anywhere_raise_nothing_else(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from([pcap(V4, V6), pcapng(V4, V6)])))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ConfigError):
        read(bytes(whole))


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap")), ids=lambda path: path.stem)
def test_every_capture_is_read_to_its_end(path: Path) -> None:
    with path.open("rb") as file:
        found = list(read_pcap(file))
        assert file.read() == b""
    assert all(time >= 0 for time, _ in found)
    assert any(parse(data) for _, data in found)
