"""Capture files: the frames of a pcap or pcapng file, one after another."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, TypeAlias

import dpkt

from vrrplib.errors import ConfigError

TimedFrame: TypeAlias = tuple[float, bytes]

_PCAPNG = b"\x0a\x0d\x0d\x0a"
_PCAP = (b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\xcd\x34")
_ETHERNET, _LINUX_COOKED, _LINUX_COOKED_2, _RAW_IP = 1, 113, 276, (12, 14, 101)
_NO_MACS = bytes(12)
_BROKEN = (ValueError, dpkt.Error, struct.error, IndexError)  # all that dpkt raises for a file cut short or garbled


def is_capture(start: bytes) -> bool:
    """Whether a file that begins with these four bytes is one that :func:`read_pcap` reads."""
    return start[:4] == _PCAPNG or start[:4] in _PCAP


def read_pcap(file: BinaryIO) -> Iterator[TimedFrame]:
    """(Unix seconds, Ethernet frame without FCS) for each frame of an open pcap or pcapng file.

    Raw IP and Linux cooked captures (of "any") come with an Ethernet header whose MACs are zero. A file
    that breaks off ends there: its last frame comes as far as it goes. Raises ConfigError for a file that is no
    capture, or of another link type.
    """
    try:
        reader = dpkt.pcap.UniversalReader(file)
        link = reader.datalink()
    except _BROKEN:
        raise ConfigError("the file must be a pcap or pcapng capture") from None
    _to_ethernet(link, b"")  # an unknown type is an error before the first frame
    packets = iter(reader)
    while True:
        try:
            time, data = next(packets)
        except (StopIteration, *_BROKEN):
            return
        yield float(time), _to_ethernet(link, bytes(data))


def _to_ethernet(link: int, data: bytes) -> bytes:
    """The frame of link type ``link`` as Ethernet has it."""
    if link == _ETHERNET:
        return data
    if link == _LINUX_COOKED:
        return _NO_MACS + data[14:16] + data[16:]
    if link == _LINUX_COOKED_2:
        return _NO_MACS + data[0:2] + data[20:]
    if link in _RAW_IP:
        return _NO_MACS + (b"\x86\xdd" if data[:1] >= b"\x60" else b"\x08\x00") + data
    raise ConfigError(f"the capture must be of Ethernet, raw IP or Linux cooked frames, not of link type {link}")
