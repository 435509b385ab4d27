"""The packet filter against the kernel: every operation, its undo, its refusals, and a kernel that cannot."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

import pytest

from tests.linux.conftest import skip_or_fail, why_not
from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from vrrplib.backends import netlink_filters
from vrrplib.backends.memory import MemoryHost
from vrrplib.backends.netlink import NetlinkHost
from vrrplib.backends.netlink_filters import Filters
from vrrplib.backends.operations import (
    AddAddress,
    AddEgressDrop,
    AddInputDrop,
    AddMacvlan,
    AddTable,
    DeleteLink,
    DeleteTable,
    RemoveEgressDrop,
    SetLinkUp,
    SetMacvlanMode,
)
from vrrplib.backends.plan import undo_of
from vrrplib.errors import BackendError, ConfigError

pytestmark = pytest.mark.linux
VIRTUAL = "00:00:5e:00:01:33"
TABLE = "vrrplib4-2-51"
MADE = AddMacvlan("v", "eth0", VIRTUAL, "private")
OPERATORS = "table inet theirs { chain input { type filter hook input priority 0; tcp dport 22 accept; }; }"


@pytest.fixture
def machine() -> Iterator[Host]:
    if reason := why_not():
        skip_or_fail(reason, "VRRPLIB_REQUIRE_LINUX")
    with Lab() as lab:
        host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
        host.run("nft", OPERATORS)
        yield host


@pytest.fixture
def kernel(machine: Host) -> Iterator[NetlinkHost]:
    host = NetlinkHost(machine.namespace, state_dir=machine.lab.directory / "state")
    yield host
    host.close()


def test_each_operation_does_what_its_command_says(machine: Host, kernel: NetlinkHost) -> None:
    """Once by netlink and once by nft(8), in two hosts: the same rules."""
    other = machine.lab.host("b", "10.77.0.1/24", "fd77::1/64", mac=machine.mac)
    other.run("nft", OPERATORS)
    for operation in (
        AddTable("netdev", TABLE),
        MADE,
        AddEgressDrop(TABLE, "v"),
        RemoveEgressDrop(TABLE),
        AddEgressDrop(TABLE, "v"),
        AddTable("ip", TABLE),
        AddInputDrop(TABLE, ("10.77.0.100", "10.77.0.101", "169.254.1.1"), "v"),
        AddTable("ip6", TABLE),
        AddInputDrop(TABLE, ("fe80::51", "fd77::100", "fe80::52", "2001:db8::1"), "v"),
        DeleteTable("ip6", TABLE),
        AddTable("ip6", TABLE),
        AddInputDrop(TABLE, ("fe80::51",), "v"),
        DeleteTable("netdev", TABLE),
        DeleteLink("v", VIRTUAL),
    ):
        kernel.perform((operation,))
        other.run("sh", "-ec", operation.command)
        assert machine.dump().diff(other.dump()) == [], operation.command


def test_a_batch_is_one_transaction(machine: Host, kernel: NetlinkHost) -> None:
    """What fails at its end has done nothing at its beginning."""
    before = machine.dump()
    act = kernel.batch((AddTable("netdev", TABLE), AddTable("ip", TABLE), AddTable("ip", TABLE)))
    assert before.diff(machine.dump()) == []
    with pytest.raises(BackendError, match=f"nft create table ip {TABLE}: File exists"):
        act()
    assert before.diff(machine.dump()) == []


def test_a_table_is_replaced_in_one_transaction(machine: Host, kernel: NetlinkHost) -> None:
    kernel.perform((AddTable("ip", TABLE), AddInputDrop(TABLE, ("10.77.0.100",), "eth0")))
    other = AddInputDrop(TABLE, ("10.77.0.101",), "eth0")
    kernel.batch((DeleteTable("ip", TABLE), AddTable("ip", TABLE), other))()
    kernel.batch((DeleteTable("ip6", TABLE), AddTable("ip6", TABLE)))()  # and one that was not there
    listed = machine.run("nft", "list", "ruleset").stdout
    assert "10.77.0.101" in listed
    assert "10.77.0.100" not in listed
    assert f"table ip6 {TABLE}" in listed


def test_a_batch_with_both_kinds_is_done_in_its_order(machine: Host, kernel: NetlinkHost) -> None:
    kernel.batch((AddTable("netdev", TABLE), MADE))()
    kernel.batch((SetLinkUp("v"), AddEgressDrop(TABLE, "v"), SetMacvlanMode("v", "source")))()
    assert 'device "v"' in machine.run("nft", "list", "table", "netdev", TABLE).stdout
    act = kernel.batch((RemoveEgressDrop(TABLE), SetMacvlanMode("v", "private")))
    act()
    act()  # an activation may be tried twice
    assert "egress" not in machine.run("nft", "list", "table", "netdev", TABLE).stdout


def test_a_table_s_undo_takes_all_of_it_back(machine: Host, kernel: NetlinkHost) -> None:
    kernel.perform((MADE,))
    before = machine.dump()
    for family, inside in (
        ("netdev", AddEgressDrop(TABLE, "v")),
        ("ip", AddInputDrop(TABLE, ("10.77.0.100",), "v")),
        ("ip6", AddInputDrop(TABLE, ("fe80::51", "fd77::100"), "v")),
    ):
        undo = undo_of(AddTable(family, TABLE), kernel)
        kernel.perform((AddTable(family, TABLE), inside))
        assert before.diff(machine.dump()) != []
        kernel.perform((undo,))
        kernel.perform((undo,))
        assert before.diff(machine.dump()) == []


@pytest.mark.parametrize(
    "operation",
    [
        DeleteTable("netdev", TABLE),
        DeleteTable("ip", TABLE),
        RemoveEgressDrop(TABLE),
        AddEgressDrop(TABLE, "v"),  # the link is gone: an undo that was interrupted
    ],
)
def test_what_is_undone_already_is_no_error(machine: Host, kernel: NetlinkHost, operation) -> None:
    before = machine.dump()
    kernel.perform((operation,))
    assert before.diff(machine.dump()) == []


def test_what_is_gone_already_keeps_nothing_else_from_being_done(machine: Host, kernel: NetlinkHost) -> None:
    before = machine.dump()
    kernel.perform((AddTable("ip", TABLE),))
    kernel.batch((DeleteTable("netdev", TABLE), RemoveEgressDrop(TABLE), DeleteTable("ip", TABLE)))()
    assert before.diff(machine.dump()) == []


@pytest.mark.parametrize(
    ("operation", "number", "hint"),
    [
        (AddTable("ip", TABLE), errno.EEXIST, f"it is not ours: remove it (`nft delete table ip {TABLE}`)"),
        (AddInputDrop("none", ("10.77.0.100",), "eth0"), errno.ENOENT, ""),
        (AddInputDrop(TABLE, ("10.77.0.100",), "eth9"), errno.ENODEV, ""),
        (AddTable("ip", "t" * 300), errno.ERANGE, ""),
    ],
)
def test_refusals_name_the_operation(machine: Host, kernel: NetlinkHost, operation, number, hint: str) -> None:
    kernel.perform((AddTable("ip", TABLE),))
    before = machine.dump()
    with pytest.raises(BackendError) as caught:
        kernel.perform((operation,))
    assert (caught.value.errno, caught.value.operation) == (number, operation)
    assert operation.command in str(caught.value)
    assert hint in str(caught.value)
    assert before.diff(machine.dump()) == []
    kernel.perform((DeleteTable("ip", TABLE),))  # the socket is in step with the kernel after that


def test_without_the_privilege(monkeypatch) -> None:
    class Refused:
        def __init__(self, protocol: int) -> None:
            pass

        def transact(self, begin, messages, end):
            raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(netlink_filters, "NetlinkSocket", Refused)
    filters = Filters()
    for act in (filters.ready((AddTable("ip", TABLE),), lambda *_: 1), lambda: filters.probe(EVERYTHING)):
        with pytest.raises(BackendError, match="this takes CAP_NET_ADMIN"):
            act()


def test_many_tables(machine: Host, kernel: NetlinkHost) -> None:
    """More messages in one transaction than the socket has room for answers, and more failures than that."""
    before = machine.dump()
    names = [f"{TABLE}-{number}" for number in range(300)]
    tables = [(AddTable("ip", name), AddInputDrop(name, ("10.77.0.100",), "eth0")) for name in names]
    kernel.batch([operation for pair in tables for operation in pair])()
    assert machine.run("nft", "list", "ruleset").stdout.count("daddr @addresses drop") == 300
    kernel.batch([RemoveEgressDrop(name) for name in names * 3])()  # none is there
    kernel.batch([DeleteTable("ip", name) for name in (*names, *names)])()
    assert before.diff(machine.dump()) == []


def test_many_addresses(machine: Host, kernel: NetlinkHost) -> None:
    many = tuple(f"10.80.{number // 200}.{number % 200}" for number in range(1000))
    kernel.perform((AddTable("ip", TABLE), AddInputDrop(TABLE, many, "eth0")))
    listed = machine.run("nft", "list", "set", "ip", TABLE, "addresses").stdout
    assert all(address in listed for address in many)


# -- what it does to packets --


def test_nothing_leaves_by_a_link_with_an_egress_drop(machine: Host, kernel: NetlinkHost) -> None:
    """Its MLD reports and what a program sends; what leaves through the parent with its MAC does."""
    machine.lab.host("b", "10.77.0.2/24")
    kernel.perform((AddTable("netdev", TABLE), MADE, AddEgressDrop(TABLE, "v"), SetLinkUp("v")))

    def say(interface: str, mark: bytes) -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as packets:
            packets.bind((interface, 0))
            with contextlib.suppress(OSError):  # ENOBUFS is the sender's answer to a drop
                packets.send(bytes.fromhex("ffffffffffff" + VIRTUAL.replace(":", "") + "88b5") + mark.ljust(46))

    with machine.lab.capture() as capture:

        def marks() -> set[bytes]:
            return {frame.data[14:].strip() for frame in capture.from_mac(VIRTUAL, port="a")}

        kernel.perform((AddAddress("v", "fd77::100/64"),))
        machine.call(lambda: say("v", b"dropped"))
        machine.call(lambda: say("eth0", b"by the parent"))
        wait_until(lambda: b"by the parent" in marks(), 5, "the frame by the parent")
        assert marks() == {b"by the parent"}
        kernel.perform((RemoveEgressDrop(TABLE),))
        machine.call(lambda: say("v", b"let out"))
        wait_until(lambda: b"let out" in marks(), 5, "the frame by the link")
        kernel.perform((AddEgressDrop(TABLE, "v"),))
        machine.call(lambda: say("v", b"dropped again"))
        machine.call(lambda: say("eth0", b"the last"))
        wait_until(lambda: b"the last" in marks(), 5, "the last frame by the parent")
        assert b"dropped again" not in marks()


def test_an_egress_drop_survives_that_the_operator_flushes_all_rules(machine: Host, kernel: NetlinkHost) -> None:
    kernel.perform((AddTable("netdev", TABLE), MADE, AddEgressDrop(TABLE, "v")))
    machine.run("nft", "flush", "ruleset")
    kernel.perform((RemoveEgressDrop(TABLE), AddEgressDrop(TABLE, "v")))
    assert "policy drop" in machine.run("nft", "list", "table", "netdev", TABLE).stdout
    kernel.perform((DeleteTable("netdev", TABLE),))
    assert machine.run("nft", "list", "ruleset").stdout == ""


def test_discovery_is_let_in_before_anything_is_dropped(machine: Host, kernel: NetlinkHost) -> None:
    """RFC 9568 6.1: Accept_Mode off must not drop neighbour solicitations and advertisements."""
    drop = AddInputDrop(TABLE, ("fe80::51", "fd77::100"), "eth0")
    kernel.perform((AddTable("ip6", TABLE), drop))
    chain = machine.run("nft", "list", "chain", "ip6", TABLE, "input").stdout
    rules = [line.strip() for line in chain.splitlines()[3:-2]]
    assert rules == [
        "icmpv6 type 135-136 accept",
        'iif "eth0" ip6 daddr fe80::51 drop',
        "ip6 daddr @addresses drop",
    ]


# -- a kernel that cannot --

EVERYTHING = (
    AddTable("netdev", TABLE),
    AddEgressDrop(TABLE, "not there yet"),
    AddTable("ip6", TABLE),
    AddInputDrop(TABLE, ("fe80::51", "fd77::100"), "not there yet"),
)


def test_a_probe_changes_nothing(machine: Host, kernel: NetlinkHost) -> None:
    before = machine.dump()
    kernel.probe(EVERYTHING)
    MemoryHost(kernel).probe(EVERYTHING)
    assert before.diff(machine.dump()) == []


def test_a_probe_finds_a_table_that_is_there(machine: Host, kernel: NetlinkHost) -> None:
    copy = MemoryHost()
    for host in (kernel, copy):
        host.perform((AddTable("ip6", TABLE),))
        with pytest.raises(BackendError, match="File exists"):
            host.probe(EVERYTHING)
    with pytest.raises(BackendError, match="File exists"):
        MemoryHost(kernel).probe(EVERYTHING)


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOENT])
def test_a_kernel_without_an_egress_hook(monkeypatch, number: int) -> None:
    """It refuses the chain; the table of the same family it knows, for the ingress hook's sake."""

    class Older:
        def __init__(self, protocol: int) -> None:
            pass

        def transact(self, begin, messages, end):
            return [None, None, OSError(number, os.strerror(number)), None][: len(messages)]

    monkeypatch.setattr(netlink_filters, "NetlinkSocket", Older)
    with pytest.raises(BackendError, match=r"for netdev with its egress hook \(Linux 5.16") as caught:
        Filters().probe(EVERYTHING[:2])
    assert caught.value.errno == number


def test_a_kernel_without_nftables(monkeypatch) -> None:
    class Without:
        def __init__(self, protocol: int) -> None:
            raise OSError(errno.EPROTONOSUPPORT, os.strerror(errno.EPROTONOSUPPORT))

    monkeypatch.setattr(netlink_filters, "NetlinkSocket", Without)
    with pytest.raises(BackendError, match="Protocol not supported; this takes a kernel with nftables"):
        Filters()


def test_an_operation_that_nftables_does_not_know() -> None:
    with pytest.raises(ConfigError, match="operation must be one that nftables knows"):
        Filters().ready((object(),), lambda *_: 1)


def test_no_descriptor_is_left_open(machine: Host) -> None:
    before = len(os.listdir("/proc/self/fd"))
    host = NetlinkHost(machine.namespace)
    host.probe(EVERYTHING)
    host.close()
    host.close()
    assert len(os.listdir("/proc/self/fd")) == before
