"""The neighbours that an operator made, as the kernel tells them and takes them again."""

from __future__ import annotations

import struct

from vrrplib.backends.netlink_socket import HEADER

_REQUEST, _ACK, _DUMP, _CREATE, _REPLACE = 0x1, 0x4, 0x300, 0x400, 0x100
_NEWNEIGH, _GETNEIGH = 28, 30
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type
_STATIC_STATES = 0x40 | 0x80  # NUD_NOARP, NUD_PERMANENT
_PROXY, _UNICAST = 0x08, 1

ALL_NEIGHBOURS = HEADER.pack(HEADER.size + _NEIGHBOUR.size, _GETNEIGH, _REQUEST | _DUMP, 0, 0) + bytes(12)
"""The request for all of them."""


def is_static(neighbour: bytes, index: int) -> bool:
    """Whether a message tells of one that was made, and not learned, on the interface of that index."""
    _, its_index, state, flags, kind = _NEIGHBOUR.unpack_from(neighbour, HEADER.size)
    return its_index == index and bool(state & _STATIC_STATES) and kind == _UNICAST and not flags & _PROXY


def made_again(neighbour: bytes) -> bytes:
    """The message that makes what a dump told; the kernel takes its attributes as it gave them."""
    flags = _REQUEST | _ACK | _CREATE | _REPLACE
    return HEADER.pack(len(neighbour), _NEWNEIGH, flags, 0, 0) + neighbour[HEADER.size :]
