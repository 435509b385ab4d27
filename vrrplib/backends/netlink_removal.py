"""Many links looked through, and many removed, in one call: one by one each takes 20 ms."""

from __future__ import annotations

import dataclasses
import os
import struct
from collections.abc import Sequence

from vrrplib.backends.netlink_messages import ALL_LINKS, delete_group, encode, into_group
from vrrplib.backends.netlink_socket import NetlinkSocket
from vrrplib.backends.operations import DeleteLink, Operation
from vrrplib.wire.addresses import MacAddress

_HEADS = 16 + 16  # of the message, and of the link in it
_ADDRESS, _NAME, _GROUP = 1, 3, 27  # IFLA_...


@dataclasses.dataclass(frozen=True, slots=True)
class Outline:
    """As much of a link as many are looked through for, without decoding all that the kernel tells of each."""

    name: str
    index: int
    mac: bytes
    group: int


def outline(message: bytes) -> Outline:
    """The outline of the link in an RTM_NEWLINK message."""
    found = {_ADDRESS: b"", _NAME: b"", _GROUP: bytes(4)}
    at = _HEADS
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        if length < 4:
            break
        if kind in found:
            found[kind] = message[at + 4 : at + length]
        at += (length + 3) & ~3
    name = found[_NAME].rstrip(bytes(1)).decode(errors="surrogateescape")
    index = struct.unpack_from("=i", message, 20)[0]
    return Outline(name, index, found[_ADDRESS], struct.unpack("=I", found[_GROUP])[0])


def indexes(netlink: NetlinkSocket) -> dict[str, int]:
    """Those of all links, by name. Raises OSError."""
    return {link.name: link.index for link in map(outline, netlink.request(ALL_LINKS))}


def removal(netlink: NetlinkSocket, operations: Sequence[DeleteLink]) -> list[tuple[Operation, bytes]]:
    """The messages that remove those of the links that are still the ones that were meant. Raises OSError.

    Several are put into a group, just before, and the group is removed. It is a number that no link has, and that
    no other process comes upon; 0 it is never, for there are all links that nobody has put elsewhere.
    """
    links = {link.name: link for link in map(outline, netlink.request(ALL_LINKS))}
    due = [
        (operation, link.index)
        for operation in operations
        if (link := links.get(operation.name)) is not None and link.mac == MacAddress(operation.mac).packed
    ]
    if len(due) < 2:
        return [(operation, encode(operation, {operation.name: index}.__getitem__)) for operation, index in due]
    group = unused_group({link.group for link in links.values()})
    into = [(operation, into_group(index, group)) for operation, index in due]
    return [*into, (due[0][0], delete_group(group))]


def unused_group(taken: set[int]) -> int:
    """A link group that no link is in, of 31 bits."""
    while (group := int.from_bytes(os.urandom(4), "big") >> 1) in {0, *taken}:
        pass
    return group
