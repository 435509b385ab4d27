"""The journal in trouble: files of other versions, torn lines, a full disk, no directory, many at once."""

from __future__ import annotations

import dataclasses
import errno
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.backends.hosts import (
    BACKENDS,
    BOOT,
    V4,
    JournalledHost,
    Killed,
    abandon,
    life,
    memory_host,
    snapshot,
)
from tests.backends.test_journal import RESTORE, ROOT, SHARED, Recorder, claim, journalled, shared_now
from vrrplib.backends.journal import FORMAT, JournalStore
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.operations import _OPERATIONS, RemoveAddress, SetSysctl
from vrrplib.backends.plan import Claim
from vrrplib.errors import BackendError


@pytest.fixture
def place(tmp_path):
    """A directory that the store makes, and removes when it is empty."""
    return tmp_path / "netns-1"


@pytest.fixture
def store(place):
    return JournalStore(place, BOOT)


# -- what this version cannot read --


def of_another_version(path):
    """As if a later version had written it."""
    path.write_bytes(path.read_bytes().replace(b'{"format":1,', b'{"format":2,'))


def of_nobody(path):
    path.write_bytes(b"\0\xff\n\n")


def with_an_unknown_operation(path):
    path.write_bytes(path.read_bytes() + b'{"operation":"AddRoute","to":"10.0.0.0/8"}\n')


def with_an_unknown_field(path):
    path.write_bytes(path.read_bytes().replace(b'{"operation":"', b'{"since":2,"operation":"'))


def with_a_line_that_is_none(path):
    path.write_bytes(path.read_bytes() + b"half of a li\n")


UNREADABLE = {
    of_another_version: "of another version of vrrplib (format 2, not 1)",
    of_nobody: "no journal that can be read",
    with_an_unknown_operation: "line 3 cannot be read",
    with_an_unknown_field: "line 2 cannot be read",
    with_a_line_that_is_none: "line 3 cannot be read",
}


@pytest.mark.parametrize("change", UNREADABLE)
def test_what_this_version_cannot_read_is_refused_and_stays(store, place, change):
    """Neither ignored nor guessed at; what can be read is undone, on this interface and on others."""
    for index in (2, 3):
        journal = store.claim(claim(index=index, interface=f"eth{index}"), Recorder())
        journal.record([RemoveAddress(f"eth{index}", "10.0.0.0/24")])
        abandon(journal)
    change(place / "2-4-51.journal")
    left = (place / "2-4-51.journal").read_bytes()
    (words,) = [word for told in store.clean(Recorder(), keep=True) for word in told.left_alone]
    assert UNREADABLE[change] in words
    perform = Recorder()
    with pytest.raises(BackendError, match=re.escape(UNREADABLE[change])) as caught:
        store.clean(perform)
    assert str(place / "2-4-51.journal") in str(caught.value)
    assert "let the version that wrote it clean up" in str(caught.value)
    assert RemoveAddress("eth3", "10.0.0.0/24") in perform.done
    is_known = change in (with_an_unknown_operation, with_a_line_that_is_none)
    assert (RemoveAddress("eth2", "10.0.0.0/24") in perform.done) is is_known
    assert sorted(path.name for path in place.glob("*.journal")) == ["2-4-51.journal"]
    assert (place / "2-4-51.journal").read_bytes() == left
    with pytest.raises(BackendError, match=re.escape(UNREADABLE[change])):
        store.claim(claim(52), Recorder())


def test_what_is_shared_with_another_version_is_refused(store, place):
    """By cleanup, and by a start beside a process of that version, before anything is changed."""
    other = store.claim(claim(), Recorder())
    other.share(RESTORE)
    of_another_version(place / "2-shared")
    mine = store.claim(claim(52), Recorder())
    with pytest.raises(BackendError, match="of another version"):
        mine.share(RESTORE)
    mine.finish(Recorder())
    abandon(other)
    perform = Recorder()
    (words,) = [word for told in store.clean(perform, keep=True) for word in told.left_alone]
    assert "of another version" in words
    with pytest.raises(BackendError, match="of another version"):
        store.clean(perform)
    assert perform.done == []
    assert (place / "2-shared").exists()


def test_another_way_to_write_operations_is_another_format():
    """If this fails, raise FORMAT with the change: journals of the version before would be misread."""
    written = {
        kind.__name__: [(field.name, str(field.type)) for field in dataclasses.fields(kind)]
        for kind in (*_OPERATIONS.values(), Claim)
    }
    digest = hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()[:12]
    assert (FORMAT, digest) == (1, "0d52a2171f36")


# -- torn lines --


def test_what_is_shared_survives_a_torn_line_of_another_process(tmp_path):
    """Torn at every byte; a process that lives goes on writing behind it."""
    lines = [SetSysctl(f"net/ipv4/conf/eth0/{name}", "0", expected="1", shared=True) for name in ("a", "b", "c")]
    at, length = 0, 1
    while at <= length:
        store = JournalStore(tmp_path / f"torn{at}", BOOT)
        dead, alive = store.claim(claim(), Recorder()), store.claim(claim(52), Recorder())
        path = store.directory / "2-shared"
        dead.share(lines[0])
        first = path.stat().st_size
        dead.share(lines[1])
        whole = path.read_bytes()
        length = len(whole)
        path.write_bytes(whole[:at])
        abandon(dead)
        alive.share(lines[2])
        store.clean(Recorder())
        perform = Recorder()
        alive.finish(perform)
        survived = lines[: (at >= first) + (at == length)]
        assert perform.done == [lines[2], *survived[::-1]], f"torn after {at} bytes"
        assert not store.directory.exists()
        at += 1


@pytest.mark.parametrize("kind", [MacvlanBackend, MacSwapBackend])
def test_a_death_in_the_middle_of_any_line(kind, place, monkeypatch):
    """What a torn line would undo has not been done."""
    real, written = os.write, []
    at = cut = 0

    def write(descriptor, data):
        written.append(len(data))
        if len(written) == at:
            real(descriptor, data[:cut])
            host.kill()
            raise Killed
        return real(descriptor, data)

    def live(host):
        written.clear()
        for step in life(kind("eth0", V4, host=host)):
            step()

    monkeypatch.setattr(os, "write", write)
    host = JournalledHost(memory_host(), place)
    live(host)
    lengths, before, torn = tuple(written), snapshot(memory_host()), 0
    for at, length in list(enumerate(lengths, start=1))[1:]:  # a torn head: test_what_was_not_begun...
        for cut in range(0, length + 1, 7):
            host = JournalledHost(memory_host(), place)
            with pytest.raises(Killed):
                live(host)
            host.die()
            host.store.clean(host.base.perform)
            assert snapshot(host.base) == before, f"line {at} torn after {cut} bytes"
            assert not place.exists()
            torn += 1
    assert torn > 50


# -- a full disk --


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("kind", BACKENDS)
def test_a_disk_that_is_full_from_some_line_on(kind, at_once, place, monkeypatch):
    """Half a line gets in. What it would undo is not done, and giving back needs no room."""
    real = os.write
    count = full = 0

    def write(descriptor, data):
        nonlocal count
        count += 1
        if not full or count < full:
            return real(descriptor, data)
        real(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def live(host):
        nonlocal count
        count = 0
        backend = kind("eth0", V4, host=host)
        start = functools.partial(kind.prepare_all, [backend]) if at_once else backend.prepare
        try:
            for step in (start, backend.activate, backend.deactivate, backend.activate):
                step()
        except BackendError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017
            assert "the journal cannot be kept in" in str(error)  # noqa: PT017
        backend.close()

    monkeypatch.setattr(os, "write", write)
    live(JournalledHost(memory_host(), place))
    lines = count
    for full in range(1, lines + 1):
        host = JournalledHost(memory_host(), place)
        live(host)
        assert snapshot(host.base) == snapshot(memory_host()), f"from line {full} on"
        assert not place.exists()
        if full == 1:
            assert host.base.performed == []
    assert lines > 1


# -- a directory that somebody removes --


@pytest.mark.parametrize("kind", BACKENDS)
@pytest.mark.parametrize("when", [1, 2, 3, 4])
def test_without_its_directory_the_host_is_given_back_all_the_same(kind, when, place):
    host = JournalledHost(memory_host(), place)
    backend = kind("eth0", V4, host=host)
    for number, step in enumerate(life(backend), start=1):
        step()
        if number == when:
            shutil.rmtree(place)
    assert snapshot(host.base) == snapshot(memory_host())
    assert not place.exists()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_without_the_directory_the_last_of_a_process_restores_what_is_shared(place, order):
    host, backends = journalled(place)
    for backend in backends:
        backend.prepare()
    shutil.rmtree(place)
    backends[order[0]].close()
    assert shared_now(host) == SHARED
    backends[order[1]].close()
    assert snapshot(host.base) == snapshot(memory_host())
    assert not place.exists()


def test_a_promotion_writes_again_what_was_removed(place):
    """So that a crash can be undone from then on."""
    host = JournalledHost(memory_host(), place)
    backend = MacSwapBackend("eth0", V4, host=host)
    backend.prepare()
    there = {path.name: path.read_bytes() for path in place.iterdir()}
    shutil.rmtree(place)
    backend.activate()
    assert {name: (place / name).read_bytes()[: len(data)] for name, data in there.items()} == there
    with pytest.raises(BackendError, match="is held by process"):
        host.store.claim(claim(), Recorder())
    host.die()
    host.store.clean(host.base.perform)
    assert snapshot(host.base) == snapshot(memory_host())
    assert not place.exists()


def test_who_finds_another_in_its_place_is_not_promoted_and_leaves_it_alone(place):
    host = JournalledHost(memory_host(), place)
    backend = MacSwapBackend("eth0", V4, host=host)
    backend.prepare()
    shutil.rmtree(place)
    other = JournalStore(place, BOOT).claim(claim(), Recorder())
    with pytest.raises(BackendError, match="another process has taken the virtual router since"):
        backend.activate()
    backend.close()
    assert other.path.exists()
    other.finish(Recorder())
    assert host.base.performed
    assert host.link("eth0").mac == memory_host().link("eth0").mac


# -- many at once --

RACER = """
import os, pathlib, random, sys
sys.path[:0] = [{root!r}]
from tests.backends.test_journal import BOOT, RESTORE, BackendError, JournalStore, claim, undo
value, place = os.open({value!r}, os.O_RDWR), pathlib.Path({place!r})
def read():
    return os.pread(value, 1, 0)
def perform(operations):
    for operation in operations:
        if operation == RESTORE and read() == b"1":
            os.pwrite(value, b"0", 0)
store, refused = JournalStore(place, BOOT), 0
for number in range({times}):
    vrid = random.choice((51, 52, 53))
    try:
        journal = store.claim(claim(vrid), perform)
    except BackendError as error:
        assert "is held by process" in str(error), error
        refused += 1
        continue
    (place.parent / str(vrid)).touch(exist_ok=False)  # nobody else has it
    if read() == b"0":
        journal.share(RESTORE)
        os.pwrite(value, b"1", 0)
    journal.record(undo(1))
    assert read() == b"1", "restored while it was needed"
    (place.parent / str(vrid)).unlink()
    journal.finish(perform)
print(refused)
"""


def test_processes_that_come_and_go_at_the_same_time(tmp_path, place):
    """One has a virtual router, and what they share is there for as long as one of them is."""
    value = tmp_path / "arp_ignore"
    value.write_text("0")
    code = RACER.format(root=str(ROOT), place=str(place), value=str(value), times=150)
    racers = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    told = [racer.communicate(timeout=60) for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 4, told
    assert sum(int(refused) for refused, _ in told) > 0, "they never met: the test cannot fail"
    assert value.read_text() == "0"
    assert not place.exists()
