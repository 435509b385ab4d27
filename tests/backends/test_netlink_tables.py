"""Tables: what it makes of messages that we make; tests/linux/test_tables.py has the kernel's own."""

from __future__ import annotations

import errno
import struct
from collections import deque

import pytest

from vrrplib.backends import netlink_tables as module
from vrrplib.backends.netlink_tables import MOST_MESSAGES_PER_READ, Tables

NEWTABLE, DELTABLE, DELCHAIN, NEWGEN = 0xA00, 0xA02, 0xA05, 0xA0F
NETDEV, IP6, UNKNOWN = 5, 10, 77
INTERRUPTED = 0x10


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(kind: int, family: int = IP6, name: str = "t", *, flags: int = 0) -> bytes:
    body = struct.pack("=BBH", family, 0, 0) + attribute(2, bytes(4)) + attribute(1, name.encode() + b"\0")
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body


class Kernel:
    """As both sockets: ``queue`` is what it tells, ``tables`` what it answers."""

    def __init__(self) -> None:
        self.queue: deque[bytes | int] = deque()
        self.tables: list[bytes] = []
        self.open = 0

    def recv(self, _: int) -> bytes:
        if not self.queue:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        first = self.queue.popleft()
        if isinstance(first, int):
            raise OSError(first, "lost")
        return first

    def request(self, asked: bytes) -> list[bytes]:
        assert struct.unpack_from("=IHH", asked) == (20, 0xA01, 0x301)  # all tables, of all families
        return self.tables

    def close(self) -> None:
        self.open -= 1


@pytest.fixture
def kernel(monkeypatch):
    kernel = Kernel()

    def opened(*_: int) -> Kernel:
        kernel.open += 1
        return kernel

    monkeypatch.setattr(module, "NetlinkSocket", opened)
    monkeypatch.setattr(module, "subscribe", opened)
    return kernel


@pytest.fixture
def tables(kernel):
    """Which has been asked."""
    tables = Tables()
    assert tables.may_have_gone()
    assert tables.there() == frozenset()
    assert not tables.may_have_gone()
    return tables


def test_those_that_there_are(kernel, tables):
    kernel.tables = [message(NEWTABLE, NETDEV, "one"), message(NEWTABLE, IP6, "two"), message(NEWTABLE, UNKNOWN)]
    assert tables.there() == {("netdev", "one"), ("ip6", "two"), ("77", "t")}


@pytest.mark.parametrize(
    ("told", "may"),
    [
        ([message(NEWTABLE)], False),
        ([message(NEWTABLE) + message(DELCHAIN) + message(NEWGEN)], False),
        ([message(DELTABLE)], True),
        ([message(NEWTABLE) + message(DELTABLE) + message(NEWTABLE), message(NEWGEN)], True),
        ([errno.ENOBUFS], True),
        ([b"", b"\x01", struct.pack("=IHHII", 4, DELTABLE, 0, 0, 0)], False),
    ],
)
def test_what_makes_it_worth_while_to_look(kernel, tables, told, may):
    kernel.queue += told
    assert tables.may_have_gone() is may
    assert tables.may_have_gone() is may  # until it was looked
    tables.there()
    assert not tables.may_have_gone()


def test_it_is_not_known_while_there_is_more_to_read(kernel, tables):
    kernel.queue += [message(DELTABLE)] * (MOST_MESSAGES_PER_READ + 1)
    assert not tables.may_have_gone()
    assert len(kernel.queue) == 1
    assert tables.may_have_gone()


def test_an_answer_that_was_overtaken_is_none(kernel, tables):
    kernel.queue.append(message(DELTABLE))
    kernel.tables = [message(NEWTABLE), message(NEWTABLE, flags=INTERRUPTED)]
    assert tables.may_have_gone()
    assert tables.there() is None
    assert tables.may_have_gone()


def test_both_sockets_are_closed_also_when_the_second_is_refused(kernel, tables, monkeypatch):
    assert kernel.open == 2
    tables.close()
    assert kernel.open == 0

    def refuse() -> None:
        raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr(module, "subscribe", refuse)
    with pytest.raises(PermissionError):
        Tables()
    assert kernel.open == 0
