"""Capture files: pcap and pcapng, read as a stream in bounded memory, up to where they break."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator
from typing import BinaryIO, TypeAlias

from vrrplib.errors import ConfigError
from vrrplib.wire.capture_writer import PcapngWriter, PcapWriter
from vrrplib.wire.linktypes import NANOSECONDS, Captured, Interface

__all__ = [
    "MOST_BYTES",
    "Break",
    "CaptureReader",
    "Captured",
    "Interface",
    "PcapWriter",
    "PcapngWriter",
    "is_capture",
    "read_pcap",
]

TimedFrame: TypeAlias = tuple[float, bytes]

MOST_BYTES = 262_144
"""The longest record that is believed, as in libpcap: a larger length is a broken one."""

_MOST_BLOCK = MOST_BYTES + 65_536  # with its options
_MOST_INTERFACES = 10_000
_LONGEST_NAME = 256
_CHUNK = 65_536
_UP_TO_DATE = 1  # the major version of pcapng

# https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap: magic -> byte order, nanoseconds of a unit, record header
_PCAP = {
    magic.to_bytes(4, order): ("<" if order == "little" else ">", unit, size)
    for magic, unit, size in ((0xA1B2C3D4, 1000, 16), (0xA1B23C4D, 1, 16), (0xA1B2CD34, 1000, 24))
    for order in ("little", "big")
}
# https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng: blocks
_SECTION = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 1, 2, 3, 6
# options of an interface
_END, _NAME, _RESOLUTION, _OFFSET = 0, 2, 9, 14


@dataclasses.dataclass(frozen=True, slots=True)
class Break:
    """Where a file can be read no further: the byte at which its last record or block begins, and what is wrong."""

    offset: int
    what: str

    def __str__(self) -> str:
        return f"broken at byte {self.offset}: {self.what}"


class _BrokenError(Exception):
    """The record or block that begins at the reader's offset cannot be read."""


def is_capture(start: bytes) -> bool:
    """Whether a file that begins with these four bytes is a pcap or pcapng file."""
    return start[:4] == _SECTION or start[:4] in _PCAP


class CaptureReader:
    """The records of an open pcap or pcapng file (its content decides, not its name), one after another.

    An iterator of :class:`Captured` that reads from where the file stands, never seeks, and holds one record at a
    time: at most 320 KiB, whatever lengths the file claims. Both byte orders, microseconds and nanoseconds, and in
    pcapng sections and interfaces of different link types and resolutions. ConfigError for a file that is no
    capture; an OSError of the file's is passed on.

    When the iteration has ended, ``broken`` is None for a file that was read to its end, and else says
    where and why not. ``offset`` is the number of bytes of the records so far (for a progress bar).
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.broken: Break | None = None
        self.offset = 0
        self._interfaces: list[Interface] = []
        magic = self._read(4)
        if magic == _SECTION:
            self.format = "pcapng"
            head = magic + self._read(8)
            if head[8:12] not in _BYTE_ORDERS:
                raise ConfigError("the file must be a pcap or pcapng capture, and its pcapng header is broken")
            records = self._pcapng(head)
        elif magic in _PCAP:
            self.format = "pcap"
            order, unit, size = _PCAP[magic]
            records = self._pcap(order, unit, size, self._pcap_interface(order, unit))
        else:
            raise ConfigError("the file must be a pcap or pcapng capture")
        self._records = self._until_broken(records)

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        """Those of the file; in pcapng those of the current section that have been described so far."""
        return tuple(self._interfaces)

    def __iter__(self) -> Iterator[Captured]:
        return self._records

    def __next__(self) -> Captured:
        return next(self._records)

    def _until_broken(self, records: Iterator[Captured]) -> Iterator[Captured]:
        try:
            yield from records
        except _BrokenError as error:
            self.broken = Break(self.offset, str(error))

    def _read(self, size: int) -> bytes:
        """``size`` bytes, fewer only at the end of the file, however short the reads of an unbuffered file are."""
        data = self._file.read(size)
        return data if len(data) == size else self._rest(data, size)

    def _rest(self, data: bytes, size: int) -> bytes:
        while data and len(data) < size:
            more = self._file.read(size - len(data))
            if not more:
                break
            data += more
        return data

    # -- pcap --

    def _pcap_interface(self, order: str, unit: int) -> Interface:
        head = self._read(20)
        if len(head) < 20:
            raise ConfigError("the file must be a pcap or pcapng capture, and its pcap header is cut short")
        snaplen, link = struct.unpack_from(order + "II", head, 12)
        interface = Interface(0, link & 0xFFFF, "", snaplen, NANOSECONDS // unit)  # the upper half tells of an FCS
        self._interfaces.append(interface)
        self.offset = 24
        return interface

    def _pcap(self, order: str, unit: int, header_size: int, interface: Interface) -> Iterator[Captured]:
        unpack = struct.Struct(order + "IIII").unpack_from
        read = self._file.read
        while record := read(header_size):
            if len(record) < header_size and len(record := self._rest(record, header_size)) < header_size:
                raise _BrokenError(f"a record header has {header_size} bytes, but {len(record)} are left")
            seconds, fraction, size, length = unpack(record)
            if size > MOST_BYTES:
                raise _BrokenError(f"a record claims {size} bytes, but at most {MOST_BYTES} are believed")
            data = read(size)
            if len(data) < size and len(data := self._rest(data, size)) < size:
                raise _BrokenError(f"a record claims {size} bytes, but {len(data)} are left")
            self.offset += header_size + size
            yield Captured(seconds * NANOSECONDS + fraction * unit, interface, data, length)

    # -- pcapng --

    def _pcapng(self, head: bytes) -> Iterator[Captured]:
        """The records of all sections; ``head`` has the first 12 bytes of the file."""
        while head:
            if len(head) < 8:
                raise _BrokenError(f"a block has at least 12 bytes, but {len(head)} are left")
            if head[:4] == _SECTION:
                size = self._section(head)
            else:
                kind, size = self._head(head)
                record = self._block(kind, size, head[4:])
                if record is not None:
                    yield record
            self.offset += size
            head = self._read(8)

    def _section(self, head: bytes) -> int:
        """Begin a section; the length of its header block."""
        head += self._read(16 - len(head))
        order = _BYTE_ORDERS.get(head[8:12])
        if order is None or len(head) < 16:
            raise _BrokenError("a section header has no byte-order magic")
        size, _, major = struct.unpack_from(order + "IIH", head, 4)
        if major != _UP_TO_DATE:
            raise _BrokenError(f"a section has version {major}, not {_UP_TO_DATE}")
        self._order = order
        self._head = struct.Struct(order + "II").unpack
        self._packet = struct.Struct(order + "IIIII").unpack_from
        self._interfaces.clear()
        self._skip(size, 16, head[4:8])
        return int(size)

    def _block(self, kind: int, size: int, length: bytes) -> Captured | None:
        """The record of a block, if it is one. Its first eight bytes have been read, and end with ``length``."""
        if kind not in (_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET):
            self._skip(size, 8, length)
            return None
        if not 12 <= size <= _MOST_BLOCK:
            raise _BrokenError(f"a block claims {size} bytes; 12 to {_MOST_BLOCK} are believed")
        body = self._read(size - 8)
        if len(body) < size - 8:
            raise _BrokenError(f"a block claims {size} bytes, but {len(body) + 8} are left")
        if body[-4:] != length:
            raise _BrokenError(f"a block of {size} bytes does not end with its length")
        try:
            return self._content(kind, body[:-4])
        except struct.error:
            raise _BrokenError(f"a block of type {kind} cannot have {size} bytes") from None

    def _skip(self, size: int, done: int, length: bytes) -> None:
        """Pass over a block of ``size`` bytes, ``done`` of which have been read; it ends with its length again."""
        left = size - done - 4
        if left < 0:
            raise _BrokenError(f"a block claims {size} bytes; it has at least {done + 4}")
        while left:
            chunk = len(self._read(min(left, _CHUNK)))
            if not chunk:
                raise _BrokenError(f"a block claims {size} bytes, but {size - 4 - left} are left")
            left -= chunk
        if self._read(4) != length:
            raise _BrokenError(f"a block of {size} bytes does not end with its length")

    def _content(self, kind: int, body: bytes) -> Captured | None:
        """The record of a block; struct.error for one that is too short."""
        if kind == _PACKET:
            number, high, low, size, length = self._packet(body)
        elif kind == _OLD_PACKET:
            number, _, high, low, size, length = struct.unpack_from(self._order + "HHIIII", body)
        elif kind == _SIMPLE_PACKET:
            return self._simple_packet(body)
        else:
            self._interfaces.append(self._interface(body))
            return None
        interface = self._interface_of(number)
        if size > len(body) - 20:
            raise _BrokenError(f"a record claims {size} bytes, but its block has {len(body) - 20}")
        return Captured(interface.nanoseconds(high << 32 | low), interface, body[20 : 20 + size], length)

    def _simple_packet(self, body: bytes) -> Captured:
        (length,) = struct.unpack_from(self._order + "I", body)
        interface = self._interface_of(0)
        # the block does not say how much was kept; padding may be left over
        size = min(length, interface.snaplen or length)
        if size > len(body) - 4:
            raise _BrokenError(f"a record claims {size} bytes, but its block has {len(body) - 4}")
        return Captured(None, interface, body[4 : 4 + size], length)

    def _interface_of(self, number: int) -> Interface:
        if number >= len(self._interfaces):
            raise _BrokenError(f"a record is of interface {number}, of {len(self._interfaces)} that are described")
        return self._interfaces[number]

    def _interface(self, body: bytes) -> Interface:
        number = len(self._interfaces)
        if number >= _MOST_INTERFACES:
            raise _BrokenError(f"more than {_MOST_INTERFACES} interfaces are described")
        link_type, _, snaplen = struct.unpack_from(self._order + "HHI", body)
        name, ticks, offset = "", 1_000_000, 0
        for code, value in self._options(body[8:]):
            if code == _NAME:
                name = value[:_LONGEST_NAME].decode("utf-8", "replace")
            elif code == _RESOLUTION:
                (exponent,) = struct.unpack("B", value)
                ticks = 2 ** (exponent & 0x7F) if exponent & 0x80 else 10**exponent
            elif code == _OFFSET:
                (offset,) = struct.unpack(self._order + "q", value)
        return Interface(number, link_type, name, snaplen, ticks, offset)

    def _options(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Code and value of each option, up to the end of the block or the option that says so."""
        at = 0
        while at < len(data):
            code, length = struct.unpack_from(self._order + "HH", data, at)
            if code == _END:
                return
            if at + 4 + length > len(data):
                raise _BrokenError(f"an option claims {length} bytes, but its block has {len(data) - at - 4}")
            yield code, data[at + 4 : at + 4 + length]
            at += 4 + length + -length % 4


def read_pcap(file: BinaryIO) -> Iterator[TimedFrame]:
    """(Unix seconds, Ethernet frame) for each record of an open pcap or pcapng file; 0 where one has no time.

    The short form of :class:`CaptureReader`: a broken file just ends. ConfigError for a file that is no capture,
    or for a record of a link type that cannot be shown as Ethernet.
    """
    for record in CaptureReader(file):
        frame = record.frame
        if frame is None:
            words = "Ethernet, raw IP, loopback or Linux cooked frames"
            raise ConfigError(f"the capture must be of {words}, not of link type {record.link_type}")
        yield record.time or 0.0, frame
