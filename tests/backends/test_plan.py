"""Operations and plans as values: what is journalled, and what an operation's undo is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backends.hosts import PHYSICAL, V4, TroubledHost, memory_host, snapshot
from tests.backends.strategies import operations
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.journal import decode_lines, encode_line
from vrrplib.backends.operations import (
    AddAddress,
    AddMacvlan,
    DeleteLink,
    Operation,
    RemoveAddress,
    SetLinkUp,
    SetMac,
    SetSysctl,
    from_dict,
)
from vrrplib.backends.plan import Link, beside, quiet, raise_sysctl, undo_all, undo_of
from vrrplib.errors import BackendError
from vrrplib.wire.addresses import MacAddress

ARP_IGNORE = "net/ipv4/conf/eth0/arp_ignore"


@given(st.lists(operations, max_size=5))
def test_a_journal_reads_back_as_it_was_written(written):
    data = b"".join(encode_line(operation.to_dict()) for operation in written)
    assert [from_dict(line) for line in decode_lines(data)] == written


@given(st.lists(operations, min_size=1, max_size=4), st.data())
def test_a_torn_last_line_is_left_out_and_nothing_else(written, data):
    lines = [encode_line(operation.to_dict()) for operation in written]
    torn = lines[-1][: data.draw(st.integers(0, len(lines[-1]) - 1))]
    assert [from_dict(line) for line in decode_lines(b"".join(lines[:-1]) + torn)] == written[:-1]


@given(st.binary(max_size=60))
def test_garbage_is_no_journal(data):
    assert all(isinstance(line, dict) for line in decode_lines(data))


@pytest.mark.parametrize(
    ("operation", "undo"),
    [
        (AddMacvlan("v", "eth0", "00:00:5e:00:01:33", "source"), DeleteLink("v", "00:00:5e:00:01:33")),
        (
            SetMac("eth0", "00:00:5e:00:01:33"),
            SetMac("eth0", "02:00:00:00:00:01", expected="00:00:5e:00:01:33"),
        ),
        (AddAddress("eth0", "10.77.0.9/24"), RemoveAddress("eth0", "10.77.0.9/24")),
        (AddAddress("eth0", "10.77.0.1/24"), None),  # it was there: it stays
        (SetSysctl(ARP_IGNORE, "1"), SetSysctl(ARP_IGNORE, "0", expected="1")),
        (SetSysctl(ARP_IGNORE, "1", shared=True), SetSysctl(ARP_IGNORE, "0", expected="1", shared=True)),
        (SetSysctl(ARP_IGNORE, "0"), None),
        (SetSysctl("net/ipv4/conf/eth9/arp_ignore", "1"), None),
        (SetLinkUp("v"), None),
    ],
)
def test_undo_of_every_operation(operation, undo):
    assert undo_of(operation, memory_host()) == undo


@pytest.mark.parametrize(
    "operation",
    [
        AddMacvlan("v", "eth0", "00:00:5e:00:01:33", "source"),
        SetMac("eth0", "00:00:5e:00:01:33"),
        AddAddress("eth0", "10.77.0.9/24"),
        SetSysctl(ARP_IGNORE, "1"),
    ],
)
def test_an_undo_takes_its_operation_back_before_and_after_it_was_done_and_twice(operation):
    host = memory_host()
    before = snapshot(host)
    undo = undo_of(operation, host)
    host.perform((undo,))  # recorded, and killed before it was done
    assert snapshot(host) == before
    host.perform((operation,))
    assert snapshot(host) != before
    for _ in range(2):
        host.perform((undo,))
        assert snapshot(host) == before


def test_what_the_operator_changed_meanwhile_is_left_alone():
    host = memory_host()
    operations = (
        SetSysctl(ARP_IGNORE, "1"),
        SetMac("eth0", "00:00:5e:00:01:33"),
        AddMacvlan("v", "eth0", "00:00:5e:00:01:33", "source"),
    )
    undo = [undo_of(operation, host) for operation in operations]
    host.perform(operations)
    theirs = (SetSysctl(ARP_IGNORE, "2"), SetMac("eth0", "02:00:00:00:00:77"), SetMac("v", "02:00:00:00:00:78"))
    host.perform(theirs)
    wanted = snapshot(host)
    undo_all(host, undo)
    assert snapshot(host) == wanted


def test_undo_all_goes_on_after_a_failure_and_raises_the_first():
    host = TroubledHost(memory_host(), 1)
    undo = [RemoveAddress("eth0", "10.77.0.1/24"), RemoveAddress("eth0", "10.77.0.2/24")]
    with pytest.raises(BackendError, match=r"10\.77\.0\.2"):  # the newest comes first
        undo_all(host, undo)
    assert [str(address) for address in host.addresses("eth0")][:1] == ["10.77.0.2/24"]


@pytest.mark.parametrize(
    ("value", "least", "written"), [("0", 1, ["1"]), ("1", 1, []), ("2", 1, []), ("1", 2, ["2"]), ("-1", 1, ["1"])]
)
def test_raise_sysctl_never_lowers(value, least, written):
    host = memory_host()
    host.add_sysctl(ARP_IGNORE, value)
    raised = raise_sysctl(host, ARP_IGNORE, least)
    assert [operation.value for operation in raised] == written
    assert all(operation.shared for operation in raised)


def test_raise_sysctl_leaves_out_what_the_kernel_does_not_have():
    assert raise_sysctl(memory_host(), "net/ipv4/conf/eth9/arp_ignore", 1) == ()


# -- PlannedBackend --


def test_activation_is_prepared_ahead():
    """What activate() sends was made by prepare(): a takeover waits for no encoding."""

    class Host(TroubledHost):
        made = sent = 0

        def batch(self, operations: Sequence[Operation]) -> Callable[[], None]:
            self.made += 1
            send = super().batch(operations)

            def count() -> None:
                self.sent += 1
                send()

            return count

    host = Host(memory_host())
    backend = AnnounceBackend("eth0", V4, host=host)
    backend.prepare()
    assert (host.made, host.sent) == (2, 0)  # and the way back
    backend.activate()
    assert (host.made, host.sent) == (2, 1)


def test_the_journal_is_written_before_the_deed():
    seen = []

    class Host(TroubledHost):
        def perform(self, operations: Sequence[Operation]) -> None:
            seen.extend(len(journal.undo) for journal in self.journals)
            super().perform(operations)

    host = Host(memory_host())
    backend = AnnounceBackend("eth0", V4, host=host)
    backend.prepare()
    seen.clear()
    backend.activate()
    assert seen == [2]
    backend.deactivate()
    assert host.journals[0].undo == []


class Stacked:
    """A host that knows which links lie on which."""

    links = (
        Link("eth0", 2, MacAddress(PHYSICAL)),
        Link("upper0", 3, MacAddress(PHYSICAL), kind="macvlan", parent=2),
        Link("upper1", 4, MacAddress(PHYSICAL), kind="macvlan", parent=2),
        Link("eth0.5", 5, MacAddress(PHYSICAL), kind="vlan", parent=2),
        Link("moved", 6, MacAddress(PHYSICAL), kind="macvlan"),  # what it lies on is in another namespace
    )

    def link(self, name):
        return next((link for link in self.links if name in (link.name, link.index)), None)

    def stacked(self, name):
        return tuple(link for link in self.links if link.parent == self.link(name).index)

    def sysctl(self, path):
        return "1" if "upper1" in path else "0"


@pytest.mark.parametrize(
    ("parent", "others"),
    [
        ("eth0", ("upper0", "upper1")),
        ("upper0", ("eth0", "upper1")),
        ("eth0.5", ()),
        ("moved", ()),
    ],
)
def test_what_hears_the_same_lan(parent, others):
    host = Stacked()
    assert beside(host, host.link(parent)) == others
    silenced = [f"net/ipv4/conf/{name}/arp_ignore" for name in others if name != "upper1"]  # which is quiet already
    assert quiet(host, others) == tuple(SetSysctl(path, "1", shared=True) for path in silenced)
