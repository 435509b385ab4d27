"""Where ``encode`` and ``mutate`` put what they made: hex digits by the line, or a pcap file of frames."""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar

import click

from vrrplib.cli.output import Output
from vrrplib.errors import BackendError
from vrrplib.wire.capture import PcapWriter

F = TypeVar("F", bound=Callable[..., Any])

_SPACING = 1_000_000_000  # nanoseconds between the frames of a file


def output_option(function: F) -> F:
    """``--output``."""
    return click.option(
        "-o",
        "--output",
        "path",
        type=click.Path(dir_okay=False, path_type=Path),
        help="A pcap file to write Ethernet frames to, instead of hex digits.",
    )(function)


class Sink:
    """Takes what was made, one at a time, and says so: hex digits, or a record of the file that is open meanwhile.

    In a file the frames are a second apart, from now on, unless ``time_ns`` is given.
    """

    def __init__(self, output: Output, path: Path | None) -> None:
        self._output, self._path = output, path
        self._file: BinaryIO | None = None
        self._writer: PcapWriter | None = None
        self._time = clock.time_ns()
        self.count = 0

    @property
    def wants_frames(self) -> bool:
        """Whether only Ethernet frames will do."""
        return self._path is not None

    def __enter__(self) -> Self:
        if self._path is not None:
            try:
                self._file = self._path.open("wb")
            except OSError as error:
                raise BackendError(f"{self._path}: {error.strerror}", errno=error.errno) from None
            self._writer = PcapWriter(self._file)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._file is None:
            return
        self._file.close()
        if kind is None:
            words = f"{self.count} frames written to {self._path}"
            self._output.event("written", words, path=str(self._path), frames=self.count)

    def put(self, data: bytes, **fields: Any) -> None:
        """One message or frame; ``fields`` are for ``--json``."""
        self.count += 1
        if self._writer is None:
            self._output.event("encoded", data.hex(), hex=data.hex(), length=len(data), **fields)
            return
        self._writer.write(self._time, data)
        self._time += _SPACING
