"""What the fuzz targets share: running under atheris, and reading decisions out of a fuzzer's bytes.

A target is a module with a ``check(data)`` that raises when an invariant does not hold, and nothing else. Under
atheris, as ``python -m tests.fuzz.fuzz_packets CORPUS -runs=100000``, it is libFuzzer's; without atheris its seeds
are an ordinary test.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from ipaddress import ip_address
from typing import TypeVar

T = TypeVar("T")


def instrumented(name: str) -> AbstractContextManager[object]:
    """Imports inside are instrumented where the target is the program that runs, and atheris is installed."""
    if name != "__main__":
        return contextlib.nullcontext()
    import atheris

    # what a fuzzer can learn from is the library's own branches
    return atheris.instrument_imports(include=["vrrplib"])


def main(check: Callable[[bytes], None]) -> None:
    """Hand ``check`` to libFuzzer, with the command line's options."""
    import atheris

    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


class Bytes:
    """The fuzzer's bytes as a tape: choices come off its front, and what is left is the input proper."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        """0-255; 0 where the tape has ended."""
        value = self._data[self._at] if self._at < len(self._data) else 0
        self._at += 1
        return value

    def choice(self, items: Sequence[T]) -> T:
        return items[self.byte() % len(items)]

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def rest(self) -> bytes:
        return self._data[self._at :]

    def __bool__(self) -> bool:
        return self._at < len(self._data)


IPV4 = tuple(map(ip_address, ("192.0.2.1", "10.0.149.113", "0.0.0.0", "255.255.255.255", "192.0.2.254")))
IPV6 = tuple(map(ip_address, ("fe80::1", "::", "ff02::12", "fe80::51", "2001:db8::1")))
GROUPS = (ip_address("224.0.0.18"), ip_address("ff02::12"))
