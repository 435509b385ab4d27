"""Where commands get messages from: hex or base64 digits, capture files as a stream, standard input."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import io
import re
import sys
import time as clock
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from vrrplib.errors import ConfigError
from vrrplib.wire.addresses import Family, IPAddress, to_address
from vrrplib.wire.capture import CaptureReader, is_capture
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import parse

F = TypeVar("F", bound=Callable[..., Any])

_NO_MACS = bytes(12)
_ETHERTYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}
_LEAST_BASE64 = 8  # bytes of a message: what is shorter is a mistyped file name
_LONG_FILE = 4_000_000  # bytes, below which nobody waits
_BETWEEN_PROGRESS = 0.2  # seconds


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """A VRRP message with what is known of the packet that carried it; ``time`` is Unix seconds.

    ``frame`` is the Ethernet frame, and ``header`` the IP header with an AH, where there was one.
    """

    data: bytes
    source: IPAddress | None = None
    destination: IPAddress | None = None
    family: Family | None = None
    ttl: int | None = None
    time: float | None = None
    header: bytes = b""
    frame: bytes = b""

    @classmethod
    def of(cls, datagram: Datagram, frame: bytes, time: float | None = None) -> Message:
        """The message of a frame, and the frame."""
        return cls(
            data=datagram.payload,
            source=datagram.source,
            destination=datagram.destination,
            family=datagram.family,
            ttl=datagram.ttl,
            time=time,
            header=datagram.header,
            frame=frame,
        )

    @property
    def datagram(self) -> Datagram | None:
        """None where an address is not known."""
        if self.source is None or self.destination is None:
            return None
        return Datagram(
            self.data, self.source, self.destination, 255 if self.ttl is None else self.ttl, self.header
        )


@dataclasses.dataclass(slots=True)
class Tally:
    """What a run over captures leaves to tell: frames without VRRP, and where files are broken."""

    others: int = 0
    broken: list[str] = dataclasses.field(default_factory=list)


def bare_options(function: F) -> F:
    """``--source``, ``--destination`` and ``--family``: what a message without its IP packet does not say."""
    for option in (
        click.option("--family", type=click.Choice(["4", "6"]), help="The IP version that carries a bare message."),
        click.option("--destination", metavar="ADDRESS", help="Where it goes to."),
        click.option("--source", metavar="ADDRESS", help="Where a bare message comes from, for its checksum."),
    ):
        function = option(function)
    return function


def bare_message(source: str | None, destination: str | None, family: str | None) -> Message:
    """What ``bare_options`` said, as a message without bytes; ConfigError where two of them disagree."""
    known = Message(
        b"",
        None if source is None else to_address(source, "source"),
        None if destination is None else to_address(destination, "destination"),
        None if family is None else Family(int(family)),
    )
    families: set[int] = {address.version for address in (known.source, known.destination) if address is not None}
    if known.family is not None:
        families.add(int(known.family))
    if len(families) > 1:
        raise ConfigError("source, destination and family must be of one IP version")
    return known


def messages(arguments: tuple[str, ...], bare: Message, tally: Tally) -> Iterator[Message]:
    """The messages behind the arguments, one at a time, however long the files are."""
    for argument in arguments:
        if argument == "-":
            yield from _from_file(sys.stdin.buffer, "-", 0, bare, tally)
        elif Path(argument).is_file():
            with Path(argument).open("rb") as file:
                yield from _from_file(file, argument, Path(argument).stat().st_size, bare, tally)
        else:
            yield from_text(argument, bare)


def _from_file(file: BinaryIO, name: str, size: int, bare: Message, tally: Tally) -> Iterator[Message]:
    start = file.read(4)
    whole = _Rejoined(start, file)
    if is_capture(start):
        yield from _from_capture(whole, name, size, tally)
    elif name == "-":
        for line in io.BytesIO(start + file.read()).read().decode("ascii", "replace").splitlines():
            if line.strip() and not line.startswith("#"):
                yield from_text(line, bare)
    else:
        raise ConfigError(f"{name} must be a pcap or pcapng file; for hex digits, give it to stdin, and -")


class _Rejoined(io.RawIOBase):
    """A file whose first bytes have been read already: a pipe cannot be rewound."""

    def __init__(self, start: bytes, file: BinaryIO) -> None:
        self._start, self._file = start, file

    def read(self, size: int = -1) -> bytes:
        if not self._start:
            return self._file.read(size)
        taken, self._start = (self._start, b"") if size < 0 else (self._start[:size], self._start[size:])
        return taken if len(taken) == size else taken + self._file.read(size if size < 0 else size - len(taken))


def _from_capture(file: Any, name: str, size: int, tally: Tally) -> Iterator[Message]:
    try:
        reader = CaptureReader(file)
    except ConfigError:
        raise ConfigError(f"{name} must be a pcap or pcapng file, whole at its beginning") from None
    progress = Progress(name, size)
    for number, record in enumerate(reader, 1):
        progress.at(number, reader.offset)
        frame = record.frame
        datagram = None if frame is None else parse(frame)
        if frame is None or datagram is None:
            tally.others += 1
        else:
            yield Message.of(datagram, frame, record.time)
    progress.done()
    if reader.broken is not None:
        tally.broken.append(f"{name} is {reader.broken}")


class Progress:
    """How far a long file has been read, on a terminal's last line, while the output goes somewhere else."""

    def __init__(self, name: str, size: int) -> None:
        self._name, self._size = name, size
        self._next = clock.monotonic() + _BETWEEN_PROGRESS
        self._shown = False
        self._wanted = size >= _LONG_FILE and sys.stderr.isatty() and not sys.stdout.isatty()

    def at(self, records: int, offset: int) -> None:
        """``records`` and ``offset`` bytes have been read."""
        if not self._wanted or records & 0xFF or clock.monotonic() < self._next:
            return
        self._next = clock.monotonic() + _BETWEEN_PROGRESS
        click.echo(f"\r{self._name}: {100 * offset // self._size} %, {records} frames", err=True, nl=False)
        self._shown = True

    def done(self) -> None:
        """Wipe the line."""
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)


def from_text(text: str, bare: Message) -> Message:
    """Hex, else base64, digits of a message, an IP packet or a frame; ConfigError for what is neither."""
    data = from_digits(text)
    if data is None:
        raise ConfigError(f"a message must be hex or base64 digits, a pcap file that exists, or -, not {text!r}")
    # A message begins with its version, 2 or 3, an IP packet with 4 or 6: a frame is what parses as one.
    packet = _ETHERTYPES.get(data[0] >> 4) if data else None
    for frame in (data, _NO_MACS + packet + data) if packet else (data,):
        datagram = parse(frame)
        if datagram is not None:
            return Message.of(datagram, frame)
    return dataclasses.replace(bare, data=data)


def from_digits(text: str) -> bytes | None:
    """Bytes from hex digits with the usual separators, or from base64; hex where it could be either."""
    try:
        return bytes.fromhex(re.sub(r"0[xX]|[\s:.,-]", "", text))
    except ValueError:
        pass
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if len(data) >= _LEAST_BASE64 else None
