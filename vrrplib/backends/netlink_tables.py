"""The nftables tables of a network namespace: which there are, and that some may have gone."""

from __future__ import annotations

import errno
import socket
import struct

from vrrplib.backends.netlink_socket import HEADER, NetlinkSocket, split_messages

MOST_MESSAGES_PER_READ = 64
"""Of the kernel, for one call of :meth:`Tables.may_have_gone`; what is left is read by the next."""
_LONGEST_MESSAGE = 1 << 16

# <linux/netfilter/nfnetlink.h>, <linux/netfilter/nf_tables.h>, <linux/netlink.h>; the socket module lacks them
_NETLINK_NETFILTER, _NFTABLES_GROUP = 12, 7
_GETTABLE, _DELTABLE = 10 << 8 | 1, 10 << 8 | 2
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_REQUEST, _DUMP, _INTERRUPTED = 0x1, 0x300, 0x10
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_ATTRIBUTE = struct.Struct("=HH")
_NAME = 1
_HEADS = HEADER.size + 4  # with nfgenmsg: family, version, resource
_ALL_TABLES = HEADER.pack(_HEADS, _GETTABLE, _REQUEST | _DUMP, 0, 0) + bytes(4)


class Tables:
    """Word of tables that go, and which there are. OSError where the kernel refuses, or knows no nftables.

    Opened in the namespace of the thread that makes it. It takes CAP_NET_ADMIN there.
    """

    def __init__(self) -> None:
        self._is_due = True
        self._asking = NetlinkSocket(_NETLINK_NETFILTER)
        try:
            self._told = subscribe()
        except BaseException:
            self._asking.close()
            raise

    def fileno(self) -> int:
        """Readable when the kernel has said something."""
        return self._told.fileno()

    def may_have_gone(self) -> bool:
        """Whether any may have since :meth:`there` told, or at first; False while there is more to read."""
        for _ in range(MOST_MESSAGES_PER_READ):
            try:
                data = self._told.recv(_LONGEST_MESSAGE)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    return self._is_due  # empty, or closed
                self._is_due = True  # what was lost may have been that
                continue
            # Of all that is said of chains, rules and sets, which a firewall may change often, nothing matters.
            self._is_due = self._is_due or any(kind == _DELTABLE for kind, *_ in split_messages(data))
        return False

    def there(self) -> frozenset[tuple[str, str]] | None:
        """Family and name of those that there are now; None if they were changed meanwhile, of which it is told."""
        found = self._asking.request(_ALL_TABLES)
        if any(HEADER.unpack_from(message)[2] & _INTERRUPTED for message in found):
            return None
        self._is_due = False
        return frozenset(map(_table, found))

    def close(self) -> None:
        """Close the sockets; may be called again."""
        self._told.close()
        self._asking.close()


def subscribe() -> socket.socket:
    """A socket that hears of every change of nftables."""
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    told = socket.socket(socket.AF_NETLINK, kind, _NETLINK_NETFILTER)
    try:
        told.bind((0, 0))
        told.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _NFTABLES_GROUP)
    except BaseException:
        told.close()
        raise
    return told


def _table(message: bytes) -> tuple[str, str]:
    family, name = message[HEADER.size], ""
    at = _HEADS
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if length < _ATTRIBUTE.size:
            break
        if kind == _NAME:
            name = message[at + _ATTRIBUTE.size : at + length].rstrip(b"\0").decode(errors="surrogateescape")
            break
        at += (length + 3) & ~3
    return _FAMILIES.get(family, str(family)), name
