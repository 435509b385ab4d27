"""Classic BPF: a filter's steps with names to jump to, as the kernel takes them."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence
from typing import TypeAlias

Step: TypeAlias = tuple[str, int, int, str, str]
"""Label, instruction, operand, where to if equal, where to if not; "" is no label, and the next step."""

_SO_ATTACH_FILTER = 26


def assemble(steps: Sequence[Step]) -> bytes:
    """The program; jumps go forward only, at most 255 steps."""
    places = {label: at for at, (label, *_) in enumerate(steps)}

    def distance(at: int, target: str) -> int:
        return places[target] - at - 1 if target else 0

    return b"".join(
        struct.pack("=HBBI", code, distance(at, equal), distance(at, different), operand)
        for at, (_, code, operand, equal, different) in enumerate(steps)
    )


def attach_filter(packets: socket.socket, program: bytes) -> None:
    """Let a socket receive only what ``program`` passes, from now on."""
    buffer = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    packets.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)
