"""The crash journal as files: who holds what, and what is undone after whom."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.backends.hosts import BOOT, PHYSICAL, V4, JournalledHost, abandon, memory_host, snapshot
from vrrplib.backends.journal import DEFAULT_STATE_DIR, JournalStore, state_directory
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.operations import (
    AddAddress,
    DeleteLink,
    DeleteTable,
    RemoveAddress,
    SetMac,
    SetSysctl,
)
from vrrplib.backends.plan import Claim, Link
from vrrplib.election.config import RouterConfig
from vrrplib.errors import BackendError
from vrrplib.wire.addresses import MacAddress

ROOT = Path(__file__).parents[2]
VIRTUAL = "00:00:5e:00:01:33"
ARP_IGNORE = "net/ipv4/conf/eth0/arp_ignore"
RESTORE = SetSysctl(ARP_IGNORE, "0", expected="1", shared=True)
V4_52 = RouterConfig(vrid=52, addresses=("10.77.0.52/24",), primary_address="10.77.0.1")
SHARED = {"net/ipv4/conf/eth0/arp_ignore": "1", "net/ipv4/conf/eth0/arp_announce": "2"}


def claim(vrid=51, *, index=2, interface="eth0", family=4, exclusive=False) -> Claim:
    return Claim(interface, index, PHYSICAL, family, vrid, exclusive, "test")


class Recorder:
    """Performs nothing, and remembers; ``refuse`` are operations that fail."""

    def __init__(self, *refuse) -> None:
        self.done = []
        self.refuse = refuse

    def __call__(self, operations) -> None:
        for operation in operations:
            if operation in self.refuse:
                raise BackendError(f"no: {operation}")
            self.done.append(operation)


@pytest.fixture
def place(tmp_path):
    """A directory that the store makes, and removes when it is empty."""
    return tmp_path / "netns-1"


@pytest.fixture
def store(place):
    return JournalStore(place, BOOT)


def undo(count, start=0):
    return [RemoveAddress("eth0", f"10.0.0.{number}/24") for number in range(start, start + count)]


# -- one journal --


def test_what_was_recorded_is_undone_newest_first(store, place):
    journal = store.claim(claim(), Recorder())
    journal.record(undo(2))
    journal.record(undo(1, 2))
    abandon(journal)
    perform = Recorder()
    (leftover,) = store.clean(perform)
    assert perform.done == undo(3)[::-1] == list(leftover.operations)
    assert leftover.interface == "eth0"
    assert not place.exists()
    assert store.clean(perform) == []


def test_rewind_forgets_what_came_after_the_mark(store):
    journal = store.claim(claim(), Recorder())
    journal.record(undo(1))
    mark = journal.mark()
    journal.record(undo(5, 1))
    journal.rewind(mark)
    journal.record(undo(1, 9))
    abandon(journal)
    perform = Recorder()
    store.clean(perform)
    assert perform.done == [*undo(1, 9), *undo(1)]


def test_finish_leaves_nothing_in_the_directory(store, place):
    journal = store.claim(claim(), Recorder())
    journal.record(undo(1))
    journal.share(RESTORE)
    perform = Recorder()
    journal.finish(perform)
    assert perform.done == [RESTORE]  # its own are its backend's to undo
    assert not place.exists()


def test_cleanup_where_nothing_ever_was_makes_no_directory(store, place):
    assert store.clean(Recorder()) == []
    assert not place.exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_torn_last_line_was_not_begun(tmp_path, data):
    store = JournalStore(tmp_path / "torn", BOOT)
    journal = store.claim(claim(), Recorder())
    journal.record(undo(3))
    abandon(journal)
    path = store.directory / "2-4-51.journal"
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    kept = path.read_bytes().count(b"\n")
    perform = Recorder()
    store.clean(perform)
    assert perform.done == undo(max(kept - 1, 0))[::-1]  # the first line is the head
    assert not store.directory.exists()


@pytest.mark.parametrize(
    "garbage", [b"", b"{", b'{"format":1,"boot":"6f5', b'{"boot": 1}\n{"operation": "Reboot"}\n']
)
def test_what_was_not_begun_or_is_of_another_boot_is_no_reason_to_fail(store, place, garbage):
    place.mkdir()
    (place / "2-4-51.journal").write_bytes(garbage)
    (place / "2-shared").write_bytes(garbage)
    (place / "notes-of-the-operator").write_text("hands off")
    perform = Recorder()
    store.clean(perform)
    assert perform.done == []
    assert [path.name for path in place.iterdir() if path.name != "lock"] == ["notes-of-the-operator"]
    store.claim(claim(), perform).finish(perform)


def test_a_journal_of_an_earlier_boot_is_forgotten(place):
    earlier = JournalStore(place, "an earlier boot")
    for vrid in (51, 52):
        journal = earlier.claim(claim(vrid), Recorder())
        journal.record(undo(1))
        journal.share(RESTORE)
        abandon(journal)
    perform = Recorder()
    store = JournalStore(place, BOOT)
    there = sorted(place.iterdir())
    assert store.clean(perform, keep=True) == []
    assert sorted(place.iterdir()) == there
    journal = store.claim(claim(), perform)
    assert perform.done == []
    journal.finish(perform)
    assert perform.done == []
    assert not place.exists()


def test_what_cannot_be_undone_stays_for_another_try_and_the_rest_is_undone(store, place):
    for vrid, index in ((51, 2), (52, 2), (51, 3)):
        journal = store.claim(claim(vrid, index=index, interface=f"eth{index}"), Recorder())
        journal.record([RemoveAddress(f"eth{index}", f"10.0.0.{vrid}/24"), RemoveAddress("eth0", "10.0.0.1/24")])
        journal.share(RESTORE)
        if vrid == 51 and index == 2:
            first = journal
        else:
            abandon(journal)
    abandon(first)
    stubborn = RemoveAddress("eth2", "10.0.0.51/24")
    perform = Recorder(stubborn)
    with pytest.raises(BackendError, match=r"10\.0\.0\.51"):
        store.clean(perform)
    assert RemoveAddress("eth2", "10.0.0.52/24") in perform.done
    assert RemoveAddress("eth3", "10.0.0.51/24") in perform.done
    assert sorted(path.name for path in place.iterdir()) == ["2-4-51.journal", "2-shared", "lock"]
    perform = Recorder()
    store.clean(perform)
    assert perform.done == [RemoveAddress("eth0", "10.0.0.1/24"), stubborn, RESTORE, RESTORE]
    assert not place.exists()


def test_a_claim_is_refused_while_what_a_dead_process_left_cannot_be_undone(store, place):
    journal = store.claim(claim(), Recorder())
    journal.record(undo(1))
    abandon(journal)
    with pytest.raises(BackendError, match="no: "):
        store.claim(claim(52), Recorder(*undo(1)))
    assert (place / "2-4-51.journal").exists()
    assert not (place / "2-4-52.journal").exists()


def test_cleanup_of_one_interface_leaves_the_others(store, place):
    for index in (2, 3):
        journal = store.claim(claim(index=index, interface=f"eth{index}"), Recorder())
        journal.record([RemoveAddress(f"eth{index}", "10.0.0.1/24")])
        abandon(journal)
    perform = Recorder()
    assert [leftover.interface for leftover in store.clean(perform, "eth3")] == ["eth3"]
    assert perform.done == [RemoveAddress("eth3", "10.0.0.1/24")]
    assert [leftover.interface for leftover in store.clean(perform)] == ["eth2"]


def test_a_dry_run_of_cleanup_tells_and_keeps(store):
    journal = store.claim(claim(), Recorder())
    journal.record(undo(2))
    journal.share(RESTORE)
    abandon(journal)
    perform = Recorder()
    told = store.clean(perform, keep=True)
    assert [leftover.operations for leftover in told] == [tuple(undo(2)[::-1]), (RESTORE,)]
    assert perform.done == []
    assert store.clean(perform) == told


# -- who holds what --


def test_a_live_holder_is_refused_by_family_vrid_and_interface(store):
    held = store.claim(claim(), Recorder())
    perform = Recorder()
    with pytest.raises(BackendError, match=f"eth0: IPv4 VRID 51 is held by process {os.getpid()}: end it first"):
        store.claim(claim(), perform)
    others = [
        store.claim(claim(52), perform),
        store.claim(claim(family=6), perform),
        store.claim(claim(index=3, interface="eth1"), perform),
    ]
    assert perform.done == []
    for journal in (held, *others):
        journal.finish(perform)


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True), (True, True)])
def test_who_needs_the_whole_interface_is_alone_on_it(store, first, second):
    held = store.claim(claim(exclusive=first), Recorder())
    with pytest.raises(BackendError, match=r"eth0: process \d+ runs VRID 51 here \(test\), and with MAC swap"):
        store.claim(claim(52, family=6, exclusive=second), Recorder())
    store.claim(claim(52, index=3, interface="eth1", exclusive=second), Recorder()).finish(Recorder())
    held.finish(Recorder())
    store.claim(claim(52, exclusive=second), Recorder()).finish(Recorder())


def test_what_lives_is_left_alone_by_cleanup(store):
    held = store.claim(claim(), Recorder())
    held.record(undo(1))
    held.share(RESTORE)
    perform = Recorder()
    assert store.clean(perform) == []
    assert perform.done == []
    held.finish(perform)
    assert perform.done == [RESTORE]


HOLDER = """
import os, pathlib, sys, time
sys.path[:0] = [{root!r}]
from tests.backends.test_journal import BOOT, JournalStore, Recorder, claim, undo
journal = JournalStore(pathlib.Path({place!r}), BOOT).claim(claim(), Recorder())
journal.record(undo(1))
print("held", flush=True)
time.sleep(60)
"""


def test_a_lock_lasts_as_long_as_its_process(store, place):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(root=str(ROOT), place=str(place))], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(BackendError, match=f"held by process {holder.pid}"):
                store.claim(claim(), Recorder())
            assert store.clean(Recorder()) == []
        finally:
            holder.kill()
    perform = Recorder()
    store.claim(claim(), perform).finish(perform)
    assert perform.done == undo(1)
    assert not place.exists()


# -- what is shared on an interface --


def journalled(place):
    host = JournalledHost(memory_host(), place)
    return host, [MacvlanBackend("eth0", config, host=host) for config in (V4, V4_52)]


def shared_now(host):
    return {path: host.sysctl(path) for path in SHARED}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_last_to_go_restores_what_is_shared(place, order):
    host, backends = journalled(place)
    for backend in backends:
        backend.prepare()
        backend.activate()
    backends[order[0]].close()
    assert shared_now(host) == SHARED
    backends[order[1]].close()
    assert snapshot(host.base) == snapshot(memory_host())
    assert not place.exists()


@pytest.mark.parametrize("dead", [0, 1])
@pytest.mark.parametrize("cleaned", ["before", "after"])
def test_shared_values_when_one_of_two_died(place, dead, cleaned):
    host, backends = journalled(place)
    for backend in backends:
        backend.prepare()
    abandon(host.journals[dead])
    if cleaned == "before":
        host.store.clean(host.base.perform)
        assert host.link(f"vmac4-2-{51 + dead}") is None
        assert shared_now(host) == SHARED  # the other one needs them
    backends[1 - dead].close()
    if cleaned == "after":
        assert shared_now(host) == SHARED  # the dead one's link is still there
        host.store.clean(host.base.perform)
    assert snapshot(host.base) == snapshot(memory_host())
    assert not place.exists()


def test_a_start_beside_a_dead_one_takes_over_what_is_shared(place):
    host, (first, second) = journalled(place)
    first.prepare()
    abandon(host.journals[0])
    second.prepare()  # undoes the first, restores what it had raised, and raises it anew
    assert shared_now(host) == SHARED
    assert host.link("vmac4-2-51") is None
    second.close()
    assert snapshot(host.base) == snapshot(memory_host())
    assert not place.exists()


def test_what_the_operator_changed_meanwhile_is_left_alone(place):
    host, (first, second) = journalled(place)
    first.prepare()
    host.base.perform((SetSysctl(ARP_IGNORE, "2"),))
    second.prepare()
    first.close()
    second.close()
    assert host.sysctl(ARP_IGNORE) == "2"
    assert host.sysctl("net/ipv4/conf/eth0/arp_announce") == "0"


def test_a_value_that_the_operator_lowered_meanwhile_is_raised_again_and_given_back(place):
    host, (first, second) = journalled(place)
    first.prepare()
    host.base.perform((SetSysctl(ARP_IGNORE, "0"),))
    second.prepare()
    assert host.sysctl(ARP_IGNORE) == "1"
    first.close()
    second.close()
    assert snapshot(host.base) == snapshot(memory_host())


def test_mac_swap_beside_a_live_one_changes_nothing(place):
    host, (first, _) = journalled(place)
    first.prepare()
    before = snapshot(host.base)
    with pytest.raises(BackendError, match=r"runs VRID 51 here \(macvlan\)"):
        MacSwapBackend("eth0", V4_52, host=host).prepare()
    assert snapshot(host.base) == before
    first.close()


# -- the place --


def test_a_place_that_cannot_be_written_is_an_error_before_anything_is_changed(tmp_path):
    (tmp_path / "file").write_text("")
    host = JournalledHost(memory_host(), tmp_path / "file" / "netns-1")
    with pytest.raises(
        BackendError, match=r"the journal cannot be kept in .*Not a directory; give another place"
    ) as caught:
        MacvlanBackend("eth0", V4, host=host).prepare()
    assert caught.value.errno == errno.ENOTDIR
    assert host.base.performed == []


def test_a_full_disk_is_an_error_before_anything_is_changed(place):
    """A limit on the size of files does what a full disk does: a short write, then a failure."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    host, (backend, _) = journalled(place)
    try:
        for size in range(1, 700, 23):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
            try:
                backend.prepare()
                backend.activate()
            except BackendError as error:
                assert "the journal cannot be kept in" in str(error)  # noqa: PT017
                if host.journals and host.journals[-1].path.exists():
                    assert host.journals[-1].path.read_bytes().endswith(b"\n")
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            backend.close()
            assert snapshot(host.base) == snapshot(memory_host()), f"files of {size} bytes"
            assert not place.exists()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_where_the_journal_lies(monkeypatch):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert str(state_directory(None)) == DEFAULT_STATE_DIR == "/run/vrrplib"
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/a:/run/b")
    assert str(state_directory(None)) == "/run/a"
    assert str(state_directory("/run/given")) == "/run/given"


def test_the_head_says_who_what_and_when(store, place):
    journal = store.claim(claim(), Recorder())
    head = json.loads((place / "2-4-51.journal").read_text())
    assert head == {
        "format": 1, "boot": BOOT, "pid": os.getpid(), "interface": "eth0", "index": 2, "mac": PHYSICAL,
        "family": 4, "vrid": 51, "exclusive": False, "backend": "test",
        "link": "",
    }  # fmt: skip
    assert (place / "2-4-51.journal").stat().st_mode & 0o077 == 0
    journal.finish(Recorder())


def test_recorded_operations_of_every_kind_come_back(store):
    written = [AddAddress("eth0", "10.0.0.1/24"), SetMac("eth0", PHYSICAL, "00:00:5e:00:01:33"), RESTORE]
    journal = store.claim(claim(), Recorder())
    journal.record(written)
    abandon(journal)
    perform = Recorder()
    store.clean(perform)
    assert perform.done == written[::-1]


# -- an interface that is no longer what it was --


def left_by_the_dead(place, link):
    """A store that sees ``link`` at index 2, where a dead process had eth0; what its cleaning did and told."""
    operations = [RESTORE, SetMac("eth0", PHYSICAL, expected=VIRTUAL), DeleteLink("vmac4-2-51", VIRTUAL)]
    journal = JournalStore(place, BOOT).claim(claim(), Recorder())
    journal.record(operations)
    journal.share(RESTORE)
    abandon(journal)
    perform = Recorder()
    store = JournalStore(place, BOOT, lambda index: link if index == 2 else None)
    return perform, store.clean(perform)


@pytest.mark.parametrize("mac", [PHYSICAL, VIRTUAL])
def test_an_interface_with_another_name_is_known_by_a_mac_that_it_had(place, mac):
    perform, told = left_by_the_dead(place, Link("lan0", 2, MacAddress(mac)))
    restore = dataclasses.replace(RESTORE, path=ARP_IGNORE.replace("eth0", "lan0"))
    if mac == PHYSICAL:
        assert perform.done[-1] == restore
        assert {leftover.interface for leftover in told} == {"lan0"}
    assert perform.done[:3] == [
        DeleteLink("vmac4-2-51", VIRTUAL), SetMac("lan0", PHYSICAL, expected=VIRTUAL), restore,
    ]  # fmt: skip
    assert not place.exists()


def test_an_interface_with_another_mac_is_known_by_its_name(place):
    perform, _ = left_by_the_dead(place, Link("eth0", 2, MacAddress("02:00:00:00:00:99")))
    assert len(perform.done) == 4


@pytest.mark.parametrize("link", [None, Link("eth9", 2, MacAddress("02:00:00:00:00:99"))])
def test_what_was_set_on_an_interface_that_is_gone_is_not_done_to_another_with_its_index(place, link):
    perform, told = left_by_the_dead(place, link)
    assert perform.done == [DeleteLink("vmac4-2-51", VIRTUAL)]
    assert all("eth0 is gone" in leftover.left_alone[0] for leftover in told)
    assert len(told) == 2
    assert not place.exists()


@pytest.mark.parametrize("wanted", ["eth0", "lan0"])
def test_an_interface_with_another_name_can_be_cleaned_by_either(place, wanted):
    journal = JournalStore(place, BOOT).claim(claim(), Recorder())
    journal.record(undo(1))
    abandon(journal)
    perform = Recorder()
    JournalStore(place, BOOT, lambda _: Link("lan0", 2, MacAddress(PHYSICAL))).clean(perform, wanted)
    assert perform.done == [RemoveAddress("lan0", "10.0.0.0/24")]


def test_who_holds_an_interface_knows_it_by_its_index_alone(place):
    journal = JournalStore(place, BOOT, lambda _: Link("lan0", 2, MacAddress("02:00:00:00:00:99"))).claim(
        claim(), Recorder()
    )
    journal.share(RESTORE)
    perform = Recorder()
    journal.finish(perform)
    assert perform.done == [dataclasses.replace(RESTORE, path=ARP_IGNORE.replace("eth0", "lan0"))]


def test_an_interface_that_has_another_index_now_is_the_same_by_its_name(place):
    """Unplugged and plugged in again: what was left, and does not lie on it, goes at the next start."""
    rest = [DeleteTable("ip", "vrrplib4-2-51"), DeleteLink("vmac4-2-51", VIRTUAL)]
    there = {2: Link("eth0", 2, MacAddress(PHYSICAL))}
    store = JournalStore(place, BOOT, there.get)
    journal = store.claim(claim(), Recorder())
    journal.record([*rest, RemoveAddress("eth0", "10.0.0.1/24")])
    journal.share(RESTORE)
    abandon(journal)
    other = store.claim(claim(index=3, interface="eth1"), Recorder())
    there |= {2: None, 7: Link("eth0", 7, MacAddress(PHYSICAL))}
    perform = Recorder()
    mine = store.claim(claim(index=7), perform)
    assert perform.done == rest[::-1]
    assert sorted(path.name for path in place.iterdir()) == ["3-4-51.journal", "7-4-51.journal", "lock"]
    other.finish(perform)
    mine.finish(perform)
    assert not place.exists()
