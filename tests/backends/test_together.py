"""Many backends prepared and closed as one: all is recorded first, and given back whatever fails."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.backends.hosts import JournalledHost, Killed, TroubledHost, abandon, memory_host, snapshot
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.operations import AddMacvlan, Operation, SetSysctl
from vrrplib.election.config import RouterConfig
from vrrplib.errors import BackendError

KINDS = [MacvlanBackend, AnnounceBackend]


def several(kind, host):
    configs = [
        RouterConfig(vrid=51, addresses=("10.77.0.100/24",), primary_address="10.77.0.1"),
        RouterConfig(vrid=52, addresses=("10.77.0.101/24", "192.0.2.1/24"), primary_address="10.77.0.1"),
        RouterConfig(vrid=51, addresses=("fe80::51/64", "fd77::100/64"), primary_address="fe80::1"),
    ]
    return [kind("eth0", config, host=host) for config in configs]


@pytest.mark.parametrize("kind", KINDS)
def test_together_is_what_one_by_one_is(kind):
    together, apart = memory_host(), memory_host()
    before = snapshot(together)
    many, each = several(kind, together), several(kind, apart)
    kind.prepare_all(many)
    for backend in each:
        backend.prepare()
    assert snapshot(together) == snapshot(apart) != before
    for backend in (*many, *each):
        backend.activate()
    assert snapshot(together) == snapshot(apart)
    kind.close_all(many)
    assert snapshot(together) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_at_each_operation_of_prepare_all(kind):
    at = 0
    while True:
        at += 1
        host = TroubledHost(memory_host(), at)
        before = snapshot(host.base)
        many = several(kind, host)
        try:
            kind.prepare_all(many)
        except BackendError:
            assert host.failed
            assert snapshot(host.base) == before, f"operation {at} failed"
            kind.prepare_all(many)  # and again
            kind.close_all(many)
            assert snapshot(host.base) == before
            continue
        assert not host.failed
        break
    assert at > (20 if kind is MacvlanBackend else 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("times", [1, 2])
def test_a_failure_at_each_operation_of_close_all(kind, times):
    prepared = TroubledHost(memory_host())
    many = several(kind, prepared)
    kind.prepare_all(many)
    for backend in many:
        backend.activate()
    begin, at = prepared.count, 0
    while True:
        at += 1
        host = TroubledHost(memory_host(), begin + at, times=times)
        before = snapshot(host.base)
        many = several(kind, host)
        kind.prepare_all(many)
        for backend in many:
            backend.activate()
        try:
            kind.close_all(many)
        except BackendError:
            kind.close_all(many)
        assert snapshot(host.base) == before, f"operation {at} of the end failed"
        if not host.failed:
            break
    assert at > 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_death_at_each_operation(kind, tmp_path):
    at = 0
    while True:
        at += 1
        base = memory_host()
        before = snapshot(base)
        host = JournalledHost(base, tmp_path / "state", at, times=1000, error=Killed)
        many = several(kind, host)
        try:
            kind.prepare_all(many)
            kind.close_all(many)
        except Killed:
            for journal in host.journals:
                if journal.path.exists():  # else it was finished, and closed
                    abandon(journal)
            after = JournalledHost(base, tmp_path / "state")
            after.store.clean(after.perform)
            assert snapshot(base) == before, f"killed at operation {at}"
            assert not (tmp_path / "state").exists()
            continue
        break
    assert at > 2


def test_all_is_recorded_before_the_first_deed():
    seen: list[list[int]] = []

    class Host(TroubledHost):
        def perform(self, operations: Sequence[Operation]) -> None:
            seen.append([len(journal.undo) for journal in self.journals])
            super().perform(operations)

    many = several(MacvlanBackend, Host(memory_host()))
    MacvlanBackend.prepare_all(many)
    assert set(map(tuple, seen)) == {(1, 1, 1)}


def test_the_kernel_is_called_once_for_each_stage():
    """However many there are: what all share, the links, their files, up."""
    stages = []

    class Host(TroubledHost):
        def perform(self, operations: Sequence[Operation]) -> None:
            stages.append({type(operation) for operation in operations})
            super().perform(operations)

    host = Host(memory_host())
    MacvlanBackend.prepare_all(several(MacvlanBackend, host))
    assert len(stages) == 4
    assert stages[0] == {SetSysctl}
    assert stages[1] == {AddMacvlan}
    shared = [item for item in host.base.performed if isinstance(item, SetSysctl) and item.shared]
    assert len(shared) == len(set(shared)) == 2


def test_the_one_that_cannot_be_leaves_nothing_of_the_others():
    host = memory_host()
    before = snapshot(host)
    many = several(MacvlanBackend, host)
    owned = RouterConfig(vrid=9, addresses=("10.77.0.2/24",), primary_address="10.77.0.1")
    with pytest.raises(BackendError, match="is an address of eth0 itself"):
        MacvlanBackend.prepare_all([*many, MacvlanBackend("eth0", owned, host=host)])
    assert snapshot(host) == before
    assert host.performed == []
