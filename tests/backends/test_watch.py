"""NetlinkWatch: what it makes of messages that we make; tests/linux/test_watch.py has the kernel's own."""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections import deque
from ipaddress import ip_interface

import pytest

from tests.node_parts import FakeBackend
from vrrplib.backends import watch as module
from vrrplib.backends.base import ExpectedLink, HostChangeKind
from vrrplib.backends.watch import MOST_MESSAGES_PER_READ, NetlinkWatch
from vrrplib.election.config import RouterConfig
from vrrplib.errors import BackendError, ConfigError
from vrrplib.wire.addresses import MacAddress

PHYSICAL, VIRTUAL, OTHER = (
    MacAddress(text) for text in ("02:00:00:00:00:01", "00:00:5e:00:01:33", "02:00:00:00:00:99")
)
UP, DOWN, NO_CARRIER = 0x1 | 0x40 | 0x10000, 0x0, 0x1
ADDRESS = ip_interface("10.77.0.100/24")
SECOND = ip_interface("fd77::100/64")
CONFIG = RouterConfig(vrid=51, addresses=["10.77.0.100/24"], primary_address="10.77.0.1")
NEWLINK, DELLINK, NEWADDR, DELADDR = 16, 17, 20, 21


def attribute(kind: int, value: bytes) -> bytes:
    data = struct.pack("=HH", 4 + len(value), kind) + value
    return data + bytes(-len(data) % 4)


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def link(
    index: int, name: str, mac: MacAddress, flags: int, *, kind: int = NEWLINK, family: int = 0, more: bytes = b""
) -> bytes:
    head = struct.pack("=BxHiII", family, 1, index, flags, 0)
    # the kernel puts many others between and behind
    attributes = (
        attribute(3, name.encode() + b"\0")
        + attribute(13, bytes(4))
        + attribute(1, mac.packed)
        + attribute(23, bytes(200))
    )
    return message(kind, head + attributes + more)


def address(index: int, interface, *, kind: int = NEWADDR) -> bytes:
    family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
    head = struct.pack("=BBBBi", family, interface.network.prefixlen, 0, 0, index)
    local = attribute(2, interface.ip.packed) if family == socket.AF_INET else b""
    peer = attribute(1, interface.ip.packed if family == socket.AF_INET6 else bytes(4))
    return message(kind, head + peer + local)


class Kernel:
    """Links and addresses; tells of each change, and answers what it is asked."""

    def __init__(self) -> None:
        self.links: dict[int, tuple[str, MacAddress, int]] = {}
        self.addresses: set[tuple[int, object]] = set()
        self.queue: deque[bytes | int] = deque()
        self.asked = 0
        self.readable, self._writable = socket.socketpair()
        self.set(2, "eth0", PHYSICAL, UP)
        self.set(7, "eth7", OTHER, UP)
        self.queue.clear()

    def set(self, index: int, name: str, mac: MacAddress, flags: int) -> None:
        self.links[index] = name, mac, flags
        self.queue.append(link(index, name, mac, flags))

    def remove(self, index: int, *, to: int | None = None) -> None:
        more = b"" if to is None else attribute(45, struct.pack("=i", to))
        self.queue.append(link(index, *self.links.pop(index), kind=DELLINK, more=more))

    def add(self, index: int, interface) -> None:
        self.addresses.add((index, interface))
        self.queue.append(address(index, interface))

    def take(self, index: int, interface) -> None:
        self.addresses.discard((index, interface))
        self.queue.append(address(index, interface, kind=DELADDR))

    # as the two sockets
    def recv(self, _: int) -> bytes:
        if not self.queue:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        first = self.queue.popleft()
        if isinstance(first, int):
            raise OSError(first, "lost")
        return first

    def answers(self, asked: bytes) -> list[bytes]:
        self.asked += 1
        if struct.unpack_from("=H", asked, 4)[0] == 18:
            return [link(index, *values) for index, values in self.links.items()]
        return [address(*pair) for pair in self.addresses]

    def fileno(self) -> int:
        return self.readable.fileno()

    def say(self) -> None:
        """What makes it readable."""
        self._writable.send(b".")

    def close(self) -> None:
        self.queue.clear()


class Wanting(FakeBackend):
    """Expects what it is told to."""

    def __init__(self, *links: ExpectedLink) -> None:
        super().__init__(CONFIG)
        self.links = links
        self.tables: tuple[tuple[str, str], ...] = ()

    def expected_tables(self) -> tuple[tuple[str, str], ...]:
        return self.tables

    def expected(self) -> tuple[ExpectedLink, ...]:
        return self.links


@pytest.fixture
def kernel(monkeypatch):
    kernel = Kernel()
    monkeypatch.setattr(module, "NetlinkSocket", lambda: kernel)
    monkeypatch.setattr(module, "_subscribe", lambda: kernel)
    return kernel


OWN = ExpectedLink("vmac4-2-51", VIRTUAL, (ADDRESS,), is_up=True)


@pytest.fixture
def macvlan(kernel):
    """A watch of an Active virtual router on a macvlan, to which nothing has happened; and its backend."""
    watch = NetlinkWatch("eth0")
    backend = Wanting(OWN)
    watch.follow(backend)
    kernel.set(3, "vmac4-2-51", VIRTUAL, UP)
    kernel.add(3, ADDRESS)
    assert watch.read() == ()
    return watch, backend


def kinds(watch: NetlinkWatch) -> list[str]:
    return [str(change.kind) for change in watch.read()]


def test_an_interface_that_is_not_there(kernel):
    with pytest.raises(BackendError, match="no interface is named 'eth1'"):
        NetlinkWatch("eth1")
    with pytest.raises(ConfigError):
        NetlinkWatch("")


@pytest.mark.parametrize(
    ("flags", "kind", "words"),
    [(DOWN, "parent-down", "eth0 is down"), (NO_CARRIER, "carrier-lost", "eth0 has no carrier")],
)
def test_the_interface_is_lost_and_back(kernel, flags, kind, words):
    watch = NetlinkWatch("eth0")
    assert watch.read() == ()
    kernel.set(2, "eth0", PHYSICAL, flags)
    (change,) = watch.read()
    assert (change.kind, change.message, change.backend) == (kind, words, None)
    kernel.set(2, "eth0", PHYSICAL, flags)  # told again
    assert watch.read() == ()
    kernel.set(2, "eth0", PHYSICAL, UP)
    assert kinds(watch) == ["parent-up"]


def test_without_a_carrier_from_the_beginning(kernel):
    kernel.links[2] = ("eth0", PHYSICAL, NO_CARRIER)
    assert kinds(NetlinkWatch("eth0")) == ["carrier-lost"]


def test_what_was_over_before_it_was_read_is_not_told(kernel, macvlan):
    watch, _ = macvlan
    kernel.set(2, "eth0", PHYSICAL, DOWN)
    kernel.take(3, ADDRESS)
    kernel.add(3, ADDRESS)
    kernel.set(2, "eth0", PHYSICAL, UP)
    assert watch.read() == ()


def test_other_interfaces_are_no_business_of_ours(kernel, macvlan):
    watch, _ = macvlan
    asked = kernel.asked
    kernel.set(7, "eth7", OTHER, DOWN)
    kernel.add(7, ADDRESS)
    kernel.take(7, ADDRESS)
    kernel.remove(7)
    assert watch.read() == ()
    assert kernel.asked == asked


def test_a_port_that_leaves_its_bridge_is_not_gone(kernel, macvlan):
    watch, _ = macvlan
    kernel.queue.append(link(2, "eth0", PHYSICAL, UP, kind=DELLINK, family=socket.AF_BRIDGE))
    assert watch.read() == ()


@pytest.mark.parametrize(
    ("to", "words"), [(None, "eth0 was removed"), (5, "eth0 was moved to another network namespace")]
)
def test_the_interface_is_gone_and_another_of_its_name_comes(kernel, macvlan, to, words):
    watch, backend = macvlan
    kernel.remove(3)
    kernel.remove(2, to=to)
    (change,) = watch.read()  # and not that the macvlan has gone with it
    assert (change.kind, change.message) == (HostChangeKind.PARENT_GONE, words)
    kernel.set(12, "eth0", OTHER, DOWN)
    assert kinds(watch) == ["parent-down"]
    kernel.set(12, "eth0", OTHER, UP)
    backend.links = ()
    assert kinds(watch) == ["parent-up"]
    kernel.set(12, "eth0", OTHER, DOWN)
    assert kinds(watch) == ["parent-down"]


def test_gone_and_back_between_two_reads(kernel, macvlan):
    watch, _ = macvlan
    kernel.remove(2)
    kernel.set(12, "eth0", OTHER, UP)
    assert kinds(watch) == ["parent-gone", "parent-up"]


def test_the_interface_is_renamed(kernel, macvlan):
    watch, _ = macvlan
    kernel.set(2, "lan0", PHYSICAL, UP)
    (change,) = watch.read()
    assert (change.kind, change.value) == (HostChangeKind.PARENT_RENAMED, "lan0")
    kernel.set(2, "lan0", PHYSICAL, DOWN)
    assert [change.message for change in watch.read()] == ["lan0 is down"]


def test_another_mac_of_the_interface(kernel, macvlan):
    watch, _ = macvlan
    kernel.set(2, "eth0", OTHER, UP)
    (change,) = watch.read()
    assert (change.kind, change.value, change.backend) == (HostChangeKind.PARENT_MAC, str(OTHER), None)
    assert watch.read() == ()


def test_a_mac_that_a_backend_gave_and_took_back(kernel):
    watch = NetlinkWatch("eth0")
    backend = Wanting(ExpectedLink(None, PHYSICAL))
    watch.follow(backend)
    assert watch.read() == ()
    backend.links = (ExpectedLink(None, VIRTUAL),)
    kernel.set(2, "eth0", VIRTUAL, UP)
    assert watch.read() == ()
    kernel.set(2, "eth0", OTHER, UP)  # somebody else
    (change,) = watch.read()
    assert (change.kind, change.backend) == (HostChangeKind.MAC_CHANGED, backend)
    kernel.set(2, "eth0", VIRTUAL, UP)
    assert watch.read() == ()
    backend.links = ()  # closed
    kernel.set(2, "eth0", PHYSICAL, UP)
    assert watch.read() == ()


def lose(kernel: Kernel) -> None:
    kernel.remove(3)


def rename(kernel: Kernel) -> None:
    kernel.set(3, "mine", VIRTUAL, UP)


def move(kernel: Kernel) -> None:
    kernel.remove(3, to=4)


def set_down(kernel: Kernel) -> None:
    kernel.set(3, "vmac4-2-51", VIRTUAL, DOWN)


def set_mac(kernel: Kernel) -> None:
    kernel.set(3, "vmac4-2-51", OTHER, UP)


def take(kernel: Kernel) -> None:
    kernel.take(3, ADDRESS)


@pytest.mark.parametrize(
    ("act", "kind", "words", "value"),
    [
        (lose, "link-lost", "vmac4-2-51 was removed", ""),
        (rename, "link-lost", "vmac4-2-51 was renamed to mine", "mine"),
        (move, "link-lost", "vmac4-2-51 was moved to another network namespace", ""),
        (set_down, "link-down", "vmac4-2-51 was set down", ""),
        (set_mac, "mac-changed", "vmac4-2-51 has the MAC 02:00:00:00:00:99, not 00:00:5e:00:01:33", ""),
        (take, "address-lost", "vmac4-2-51 has lost 10.77.0.100/24", ""),
    ],
)
def test_what_is_taken_from_a_backend_is_told_of(kernel, macvlan, act, kind, words, value):
    watch, backend = macvlan
    act(kernel)
    (change,) = watch.read()
    assert (change.kind, change.message, change.value, change.backend) == (kind, words, value, backend)


@pytest.mark.parametrize("act", [lose, rename, set_down, set_mac, take])
def test_the_same_done_by_the_backend_itself_is_not(kernel, macvlan, act):
    watch, backend = macvlan
    act(kernel)
    backend.links = {take: (ExpectedLink("vmac4-2-51", VIRTUAL, (), is_up=True),)}.get(act, ())
    assert watch.read() == ()


def test_what_is_taken_again_after_it_was_put_back_is_told_again(kernel, macvlan):
    watch, _ = macvlan
    for _ in range(3):
        kernel.take(3, ADDRESS)
        assert kinds(watch) == ["address-lost"]
        kernel.add(3, ADDRESS)  # put back, and taken once more before anybody looks
    kernel.take(3, ADDRESS)
    assert kinds(watch) == ["address-lost"]


def test_each_backend_hears_of_its_own_and_only_the_worst(kernel, macvlan):
    watch, first = macvlan
    second = Wanting(ExpectedLink("vmac6-2-51", VIRTUAL, (SECOND, ADDRESS), is_up=True))
    watch.follow(second)
    kernel.set(4, "vmac6-2-51", VIRTUAL, DOWN)
    (change,) = watch.read()
    assert (change.kind, change.backend) == (HostChangeKind.LINK_DOWN, second)
    kernel.set(4, "vmac6-2-51", VIRTUAL, UP)
    kernel.add(4, SECOND)
    kernel.remove(3)
    assert {(str(change.kind), change.backend) for change in watch.read()} == {
        ("link-lost", first),
        ("address-lost", second),
    }
    watch.forget(first)
    kernel.add(4, ADDRESS)
    assert watch.read() == ()


def test_messages_that_were_lost_are_made_up_for_by_asking(kernel, macvlan):
    watch, backend = macvlan
    kernel.remove(3)
    kernel.queue.clear()
    assert watch.read() == ()  # it cannot know
    kernel.queue.append(errno.ENOBUFS)
    (change,) = watch.read()
    assert (change.kind, change.backend) == (HostChangeKind.LINK_LOST, backend)


def test_messages_from_before_the_answer_do_not_deceive(kernel, macvlan):
    """What the kernel had said when it was asked is read after the answer, and is older than that."""
    watch, _ = macvlan
    kernel.queue.append(errno.ENOBUFS)
    kernel.take(3, ADDRESS)
    kernel.add(3, ADDRESS)
    assert watch.read() == ()


def test_a_flood_is_read_in_parts_and_judged_at_its_end(kernel, macvlan):
    watch, _ = macvlan
    kernel.take(3, ADDRESS)
    for _ in range(MOST_MESSAGES_PER_READ):
        kernel.set(2, "eth0", PHYSICAL, UP)
    kernel.add(3, ADDRESS)
    before = len(kernel.queue)
    assert watch.read() == ()
    assert len(kernel.queue) == before - MOST_MESSAGES_PER_READ
    assert watch.read() == ()
    assert not kernel.queue


def test_the_first_read_takes_all_that_preparing_many_has_made_the_kernel_say(kernel):
    watch = NetlinkWatch("eth0")
    watch.follow(Wanting(OWN))
    for _ in range(10 * MOST_MESSAGES_PER_READ):
        kernel.set(3, "vmac4-2-51", VIRTUAL, UP)
    kernel.add(3, ADDRESS)
    kernel.set(2, "eth0", PHYSICAL, NO_CARRIER)
    assert kinds(watch) == ["carrier-lost"]
    assert not kernel.queue


def test_a_link_that_was_there_before_it_was_expected_is_asked_for(kernel):
    """Adopted: the kernel has told nothing of it since, and a name says nothing about addresses."""
    kernel.set(3, "vmac4-2-51", VIRTUAL, UP)
    kernel.add(3, ADDRESS)
    kernel.queue.clear()
    watch = NetlinkWatch("eth0")
    backend = Wanting()
    watch.follow(backend)
    assert watch.read() == ()
    backend.links = (OWN,)
    kernel.set(2, "eth0", PHYSICAL, UP)
    assert watch.read() == ()


def test_a_host_that_does_not_answer_is_asked_again(kernel, macvlan, monkeypatch):
    watch, _ = macvlan
    kernel.remove(3)
    kernel.queue.append(errno.ENOBUFS)

    def refuse(_: bytes) -> list[bytes]:
        raise OSError(errno.ENOMEM, "no memory")

    with monkeypatch.context() as patch:
        patch.setattr(kernel, "answers", refuse)
        assert watch.read() == ()
    assert kinds(watch) == ["link-lost"]


def test_garbage_harms_nothing(kernel, macvlan):
    watch, _ = macvlan
    kernel.queue += [b"", b"\x01", message(3, b""), struct.pack("=IHHII", 4, 16, 0, 0, 0)]
    assert watch.read() == ()


# -- nftables --

TABLE, EGRESS = ("ip", "vrrplib4-2-51"), ("netdev", "vrrplib4-2-51")


class Filters:
    """As netlink_tables.Tables: what there is, and word of it by ``take``."""

    def __init__(self) -> None:
        self.tables = {TABLE, EGRESS}
        self.opened = self.asked = 0
        self.is_due = True
        self.refusal: Exception | None = None
        self.is_known = True
        self.readable, self.told = socket.socketpair()

    def open(self) -> Filters:
        if self.refusal:
            raise self.refusal
        self.opened += 1
        return self

    def take(self, *tables: tuple[str, str]) -> None:
        self.tables.difference_update(tables)
        self.is_due = True
        self.told.send(b".")

    def may_have_gone(self) -> bool:
        return self.is_due

    def there(self) -> frozenset[tuple[str, str]] | None:
        self.asked += 1
        if self.refusal:
            raise self.refusal
        if not self.is_known:
            return None
        self.is_due = False
        return frozenset(self.tables)

    def fileno(self) -> int:
        return self.readable.fileno()

    def close(self) -> None:
        self.opened -= 1


@pytest.fixture
def filters(monkeypatch):
    filters = Filters()
    monkeypatch.setattr(module, "Tables", filters.open)
    return filters


@pytest.fixture
def filtering(filters, macvlan, kernel):
    """A watch of a virtual router that expects both tables, to which nothing has happened; and its backend."""
    watch, backend = macvlan
    assert not filters.opened
    backend.tables = (TABLE, EGRESS)
    kernel.set(2, "eth0", PHYSICAL, UP)
    assert watch.read() == ()
    assert (filters.opened, filters.asked) == (1, 1)
    return watch, backend


def test_a_table_that_is_gone_is_told_of_once(filters, filtering):
    watch, backend = filtering
    filters.take(EGRESS)
    (change,) = watch.read()
    assert (change.kind, change.backend) == (HostChangeKind.FILTER_LOST, backend)
    assert change.message == "table netdev vrrplib4-2-51 was removed"
    assert watch.read() == ()
    filters.take(TABLE)
    (change,) = watch.read()
    assert change.message == "table ip vrrplib4-2-51 and table netdev vrrplib4-2-51 were removed"
    assert filters.asked == 3


def test_a_table_that_nobody_expects_now_is_not(filters, filtering):
    watch, backend = filtering
    backend.tables = (TABLE,)
    filters.take(EGRESS)
    assert watch.read() == ()
    backend.tables = ()
    filters.take(TABLE)
    assert watch.read() == ()


def test_a_link_that_is_gone_is_told_of_alone(filters, filtering, kernel):
    """All is repaired together."""
    watch, _ = filtering
    filters.take(TABLE)
    kernel.remove(3)
    assert kinds(watch) == ["link-lost"]
    assert watch.read() == ()


def test_tables_are_looked_at_while_links_cannot_be(filters, filtering, kernel):
    watch, _ = filtering
    filters.take(TABLE)
    for _ in range(MOST_MESSAGES_PER_READ):
        kernel.set(2, "eth0", PHYSICAL, UP)
    assert kinds(watch) == ["filter-lost"]


def test_tables_that_change_while_they_are_read_are_read_again(filters, filtering):
    watch, _ = filtering
    filters.take(TABLE)
    filters.is_known = False
    assert watch.read() == ()
    filters.is_known = True
    assert kinds(watch) == ["filter-lost"]


def refuse(filters: Filters) -> None:
    filters.refusal = PermissionError(errno.EPERM, "not permitted")
    filters.take(TABLE)


def test_where_it_may_not_hear_of_tables_it_goes_on_without(filters, macvlan, kernel):
    watch, backend = macvlan
    backend.tables = (TABLE,)
    refuse(filters)
    kernel.set(2, "eth0", PHYSICAL, UP)
    assert watch.read() == ()
    filters.refusal = None
    kernel.take(3, ADDRESS)
    assert kinds(watch) == ["address-lost"]
    assert (filters.opened, filters.asked) == (0, 0)  # and does not try again and again


def test_where_it_may_not_read_tables_it_goes_on_without(filters, filtering, kernel):
    watch, _ = filtering
    refuse(filters)
    assert watch.read() == ()
    kernel.take(3, ADDRESS)
    assert kinds(watch) == ["address-lost"]
    assert filters.asked == 2


def test_an_answer_that_fails_for_now_is_asked_for_again(filters, filtering):
    watch, _ = filtering
    filters.take(TABLE)
    filters.refusal = OSError(errno.ENOMEM, "no memory")
    assert watch.read() == ()
    filters.refusal = None
    assert kinds(watch) == ["filter-lost"]


def test_one_descriptor_from_beginning_to_end(filters, kernel):
    watch = NetlinkWatch("eth0")
    descriptor = watch.fileno()

    def is_readable() -> bool:
        return bool(select.select([descriptor], [], [], 0)[0])

    assert not is_readable()
    kernel.say()
    assert is_readable()
    kernel.readable.recv(1)
    assert not is_readable()
    backend = Wanting(ExpectedLink(None))
    backend.tables = (TABLE,)
    watch.follow(backend)
    assert watch.read() == ()
    assert watch.fileno() == descriptor
    assert not is_readable()
    filters.take(EGRESS)
    assert is_readable()
    filters.readable.recv(1)
    watch.close()
    watch.close()
    assert watch.fileno() == -1
    assert filters.opened == 0
