"""Capture files made by hand, where each length can be wrong, for the tests of what reads them."""

from __future__ import annotations

import struct

from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame
from vrrplib.wire.packets import VRRPv3


def frame(source: str, group: str, address: str) -> bytes:
    payload = VRRPv3(vrid=51, addresses=[address]).encode(source, group)
    return advertisement_frame(Datagram(payload, source, group, 255), "00:00:5e:00:01:33")


V4 = frame("192.0.2.1", "224.0.0.18", "192.0.2.254")
V6 = frame("fe80::1", "ff02::12", "fe80::51")


def pcap(*frames: bytes, link: int = 1, order: str = "<", magic: int = 0xA1B2C3D4, part: int = 500_000) -> bytes:
    """A pcap file; the n-th frame was captured 1000 + n seconds and ``part`` after 1970."""
    data = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    extra = bytes(8) if magic == 0xA1B2CD34 else b""
    for number, item in enumerate(frames):
        data += struct.pack(f"{order}IIII", 1000 + number, part, len(item), len(item)) + extra + item
    return data


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A block of pcapng, filled up to whole words."""
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + length + body + length


def section(order: str = "<", major: int = 1) -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, major, 0, -1), order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(link: int = 1, *options: bytes, order: str = "<", snaplen: int = 65535) -> bytes:
    return block(1, struct.pack(f"{order}HHI", link, 0, snaplen) + b"".join(options), order)


def packet(data: bytes, ticks: int, number: int = 0, order: str = "<", claimed: int | None = None) -> bytes:
    """An enhanced packet block; ``claimed`` is a captured length that is not its own."""
    size = len(data) if claimed is None else claimed
    head = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, size, len(data))
    return block(6, head + data, order)


def old_packet(data: bytes, ticks: int, number: int = 0, order: str = "<") -> bytes:
    head = struct.pack(f"{order}HHIIII", number, 0xFFFF, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(2, head + data, order)


def simple_packet(data: bytes, length: int | None = None, order: str = "<") -> bytes:
    return block(3, struct.pack(f"{order}I", len(data) if length is None else length) + data, order)


def pcapng(*frames: bytes, order: str = "<", link: int = 1) -> bytes:
    """A pcapng file with one interface; times as in pcap()."""
    data = section(order) + interface(link, order=order)
    for number, item in enumerate(frames):
        data += packet(item, (1000 + number) * 1_000_000 + 500_000, order=order)
    return data
