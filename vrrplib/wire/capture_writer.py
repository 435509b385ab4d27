"""Capture files out: pcap, and pcapng with several interfaces and comments."""

from __future__ import annotations

import struct
from typing import BinaryIO

from vrrplib.errors import ConfigError, require_int
from vrrplib.wire.linktypes import ETHERNET, NANOSECONDS

_SNAPLEN = 262_144
_PCAP_HEADER, _PCAP_RECORD = struct.Struct("<IHHiIII"), struct.Struct("<IIII")
_MICROSECONDS_MAGIC, _NANOSECONDS_MAGIC = 0xA1B2C3D4, 0xA1B23C4D
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_COMMENT, _NAME, _RESOLUTION = 1, 2, 9
_NANO = 9  # 10 ** -9 seconds


class PcapWriter:
    """Writes frames to an open file as pcap, little-endian; the header is written at once. The file stays open.

    Times are kept to the nanosecond, or with ``nanoseconds=False`` rounded down to the microsecond, for old
    readers.
    """

    def __init__(self, file: BinaryIO, *, link_type: int = ETHERNET, nanoseconds: bool = True) -> None:
        require_int("link_type", link_type, 0, 0xFFFF)
        self._file = file
        self._unit = 1 if nanoseconds else 1000
        magic = _NANOSECONDS_MAGIC if nanoseconds else _MICROSECONDS_MAGIC
        file.write(_PCAP_HEADER.pack(magic, 2, 4, 0, 0, _SNAPLEN, link_type))

    def write(self, time_ns: int, data: bytes, *, length: int | None = None) -> None:
        """Append a record: nanoseconds since 1970 (up to 2106), its bytes, and their number on the wire if larger.

        ConfigError for a time out of range or more than 262,144 bytes.
        """
        require_int("time_ns", time_ns, 0, (1 << 32) * NANOSECONDS - 1)
        _check_lengths(data, length)
        seconds, rest = divmod(time_ns, NANOSECONDS)
        size = len(data)
        wire = size if length is None else length
        self._file.write(_PCAP_RECORD.pack(seconds, rest // self._unit, size, wire) + data)


class PcapngWriter:
    """Writes frames to an open file as pcapng, little-endian, times in nanoseconds. The file stays open.

    Describe each interface before its first frame; one without a name, of Ethernet, where none was.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._interfaces = 0
        self._block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))

    def interface(self, name: str = "", *, link_type: int = ETHERNET) -> int:
        """Describe an interface; the number by which :meth:`write` knows it."""
        require_int("link_type", link_type, 0, 0xFFFF)
        options = (_option(_NAME, name.encode()) if name else b"") + _option(_RESOLUTION, bytes([_NANO])) + bytes(4)
        self._block(_INTERFACE, struct.pack("<HHI", link_type, 0, _SNAPLEN) + options)
        self._interfaces += 1
        return self._interfaces - 1

    def write(
        self, time_ns: int, data: bytes, *, interface: int = 0, length: int | None = None, comment: str = ""
    ) -> None:
        """Append a record: nanoseconds since 1970, its bytes, and their number on the wire if larger.

        ConfigError for a time out of range, more than 262,144 bytes, or an interface that was not described.
        """
        require_int("time_ns", time_ns, 0, (1 << 64) - 1)
        _check_lengths(data, length)
        if not self._interfaces:
            self.interface()
        require_int("interface", interface, 0, self._interfaces - 1)
        size = len(data)
        wire = size if length is None else length
        head = struct.pack("<IIIII", interface, time_ns >> 32, time_ns & 0xFFFFFFFF, size, wire)
        options = _option(_COMMENT, comment.encode()) + bytes(4) if comment else b""
        self._block(_PACKET, head + data + bytes(-size % 4) + options)

    def _block(self, kind: int, body: bytes) -> None:
        size = struct.pack("<I", len(body) + 12)
        self._file.write(struct.pack("<I", kind) + size + body + size)


def _option(code: int, value: bytes) -> bytes:
    """An option, filled up to whole words; its length has 16 bits."""
    value = value[:0xFFFF]
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _check_lengths(data: bytes, length: int | None) -> None:
    if len(data) > _SNAPLEN:
        raise ConfigError(f"data must have at most {_SNAPLEN} bytes, not {len(data)}")
    if length is not None:
        require_int("length", length, len(data), 0xFFFFFFFF)
