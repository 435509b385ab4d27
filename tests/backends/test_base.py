"""NetBackend: what every backend promises, with failures and deaths at every operation of the real ones."""

from __future__ import annotations

import contextlib

import pytest

from tests.backends.hosts import (
    CASES,
    NAMES,
    V4,
    V6,
    JournalledHost,
    Killed,
    TroubledHost,
    length_of_life,
    life,
    memory_host,
    snapshot,
    through,
)
from vrrplib.backends.base import NetBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.plan import undo_all
from vrrplib.errors import BackendError
from vrrplib.wire.addresses import MacAddress

every_case = pytest.mark.parametrize(("kind", "config"), CASES, ids=NAMES)


def active_snapshot(kind, config):
    """What the host looks like while Active, when nothing went wrong."""
    host = memory_host()
    through(host, kind, config, 2)
    return snapshot(host)


def live_all(backend) -> None:
    for step in life(backend):
        step()


def live(backend) -> None:
    """A life as a Node would lead it: after what fails, nothing but deactivate."""
    try:
        live_all(backend)
    except BackendError:
        with contextlib.suppress(BackendError):
            backend.deactivate()


def close_at_last(backend) -> None:
    """Close, and once more if that failed: the trouble is over by then."""
    for _ in range(3):
        with contextlib.suppress(BackendError):
            backend.close()
            return
    backend.close()


# -- without trouble --


@every_case
def test_a_life_leaves_the_host_as_it_was(kind, config):
    host = memory_host()
    before = snapshot(host)
    backend = kind("eth0", config, host=host)
    for step in life(backend):
        step()
    assert snapshot(host) == before
    assert not backend.active


@every_case
def test_deactivate_leaves_what_prepare_made(kind, config):
    host = memory_host()
    backend = through(host, kind, config, 1)
    prepared = snapshot(host)
    backend.activate()
    assert backend.active
    assert snapshot(host) != prepared
    backend.deactivate()
    assert not backend.active
    assert snapshot(host) == prepared


@every_case
def test_every_method_may_be_called_again(kind, config):
    host = memory_host()
    before = snapshot(host)
    backend = kind("eth0", config, host=host)
    backend.close()
    backend.deactivate()
    assert host.performed == []
    for step in life(backend):
        step()
        at = len(host.performed)
        step()
        assert len(host.performed) == at
    assert snapshot(host) == before


@every_case
def test_activate_before_prepare_is_refused(kind, config):
    with pytest.raises(BackendError, match=r"eth0: prepare\(\) comes before activate"):
        kind("eth0", config, host=memory_host()).activate()


@every_case
def test_the_mac_is_known_after_prepare(kind, config):
    backend = through(memory_host(), kind, config, 1)
    expected = MacAddress("02:00:00:00:00:01") if kind.kind == "announce" else config.virtual_mac
    assert backend.mac == backend.advertisement_mac == expected


@every_case
def test_an_interface_that_is_not_there_is_named(kind, config):
    host = memory_host()
    with pytest.raises(BackendError, match="no interface is named 'eth9'"):
        kind("eth9", config, host=host).prepare()
    assert snapshot(host) == snapshot(memory_host())


@every_case
def test_close_while_active_and_context_manager(kind, config):
    host = memory_host()
    with kind("eth0", config, host=host) as backend:
        backend.prepare()
        backend.activate()
    assert snapshot(host) == snapshot(memory_host())


@every_case
@pytest.mark.parametrize("was_active", [False, True])
def test_reconfigure_takes_other_addresses(kind, config, was_active):
    host = memory_host()
    backend = through(host, kind, config, 2 if was_active else 1)
    address = "10.77.0.200/24" if config.family == 4 else "fe80::200/64"
    other = type(config)(vrid=51, addresses=(address,), primary_address=config.primary_address)
    backend.reconfigure(other)
    assert backend.active is was_active
    held = {str(found) for name in host._links if host.link(name) for found in host.addresses(name)}
    assert (address in held) is (was_active or kind.kind == "standing")
    assert not held & {str(found) for found in config.addresses}
    backend.close()
    assert snapshot(host) == snapshot(memory_host())


# -- a failure at every operation --


@every_case
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_failure_at_any_operation_leaves_nothing_behind(kind, config, times):
    points = length_of_life(kind, config)
    for at in range(1, points + 1):
        host = TroubledHost(memory_host(), at, times=times)
        backend = kind("eth0", config, host=host)
        live(backend)
        assert host.failed
        close_at_last(backend)
        assert snapshot(host.base) == snapshot(memory_host()), f"operation {at} of {points} failed"


@every_case
def test_after_a_failure_at_any_operation_the_backend_can_be_used_again(kind, config):
    wanted = active_snapshot(kind, config)
    for at in range(1, length_of_life(kind, config) + 1):
        host = TroubledHost(memory_host(), at)
        backend = kind("eth0", config, host=host)
        live(backend)
        close_at_last(backend)
        backend.prepare()
        backend.activate()
        assert snapshot(host.base) == wanted, f"operation {at} failed before"


@every_case
def test_prepare_after_a_prepare_and_a_close_that_failed(kind, config):
    wanted = active_snapshot(kind, config)
    for at in range(1, length_of_life(kind, config) + 1):
        host = TroubledHost(memory_host(), at, times=3)
        backend = kind("eth0", config, host=host)
        for _ in range(6):  # a Node that retries without a close
            with contextlib.suppress(BackendError):
                backend.prepare()
                backend.activate()
                break
            with contextlib.suppress(BackendError):
                backend.deactivate()
        assert snapshot(host.base) == wanted, f"operations {at}-{at + 2} failed before"


@every_case
def test_a_failed_activate_can_be_tried_again_at_once(kind, config):
    prepared = TroubledHost(memory_host())
    through(prepared, kind, config, 1)
    for at in range(prepared.count + 1, length_of_life(kind, config) + 1):
        host = TroubledHost(memory_host(), at)
        backend = through(host, kind, config, 1)
        with contextlib.suppress(BackendError):
            backend.activate()
        backend.activate()
        assert snapshot(host.base) == active_snapshot(kind, config)
        with contextlib.suppress(BackendError):
            backend.deactivate()
        close_at_last(backend)
        assert snapshot(host.base) == snapshot(memory_host())


@every_case
def test_an_interrupt_in_prepare_gives_the_host_back(kind, config):
    for at in range(1, length_of_life(kind, config) + 1):
        host = TroubledHost(memory_host(), at, error=KeyboardInterrupt)
        backend = kind("eth0", config, host=host)
        with contextlib.suppress(KeyboardInterrupt):
            live_all(backend)
        backend.close()
        assert snapshot(host.base) == snapshot(memory_host()), f"interrupted at operation {at}"


# -- a death at every operation --


@every_case
def test_the_journal_undoes_a_death_at_any_operation(kind, config, tmp_path):
    before = snapshot(memory_host())
    points = length_of_life(kind, config)
    for at in range(1, points + 1):
        host = JournalledHost(memory_host(), tmp_path / "journal", at, times=1000, error=Killed)
        with pytest.raises(Killed):
            live_all(kind("eth0", config, host=host))
        host.die()
        host.store.clean(host.base.perform)
        assert snapshot(host.base) == before, f"killed at operation {at} of {points}"
        assert list(tmp_path.iterdir()) == []


@every_case
def test_the_next_start_undoes_a_death_at_any_operation(kind, config, tmp_path):
    wanted = active_snapshot(kind, config)
    for at in range(1, length_of_life(kind, config) + 1):
        dead = JournalledHost(memory_host(), tmp_path / "journal", at, times=1000, error=Killed)
        with pytest.raises(Killed):
            live_all(kind("eth0", config, host=dead))
        dead.die()
        host = JournalledHost(dead.base, tmp_path / "journal")
        backend = through(host, kind, config, 2)
        found = snapshot(host.base)
        assert {name: found[name] for name in ("addresses", "sysctls")} == {
            name: wanted[name] for name in ("addresses", "sysctls")
        }, f"killed at operation {at}"
        backend.close()
        assert snapshot(host.base) == snapshot(memory_host())
        assert list(tmp_path.iterdir()) == []


@every_case
def test_a_second_death_while_the_first_is_undone(kind, config, tmp_path):
    """cleanup may be killed as well, at each of its operations."""
    for at in range(1, length_of_life(kind, config) + 1):
        for then in range(1, 12):
            host = JournalledHost(memory_host(), tmp_path / "journal", at, times=1000, error=Killed)
            with pytest.raises(Killed):
                live_all(kind("eth0", config, host=host))
            host.die()
            cleaner = TroubledHost(host.base, then, error=Killed)
            with contextlib.suppress(Killed):
                host.store.clean(cleaner.perform)
            host.store.clean(host.base.perform)
            assert snapshot(host.base) == snapshot(memory_host()), f"killed at {at}, cleanup at {then}"
            if not cleaner.failed:
                break


def test_what_memory_remembers_is_undone_as_well():
    for kind, config in CASES:
        host = TroubledHost(memory_host())
        through(host, kind, config, 2)
        (journal,) = host.journals
        undo_all(host.base, journal.undo)
        journal.finish(host.base.perform)
        assert snapshot(host.base) == snapshot(memory_host())


# -- several --


@pytest.mark.parametrize("at", range(1, 30))
def test_two_on_one_interface_with_a_failure_anywhere(at):
    host = TroubledHost(memory_host(), at)
    pair = [MacvlanBackend("eth0", V4, host=host), MacvlanBackend("eth0", V6, host=host)]
    pair.append(MacvlanBackend("eth0", type(V4)(vrid=52, addresses=("10.77.0.52/24",), primary_address="10.77.0.1"),
                               host=host))  # fmt: skip
    try:
        MacvlanBackend.prepare_all(pair)
    except BackendError:
        assert snapshot(host.base) == snapshot(memory_host())
    else:
        for backend in pair:
            with contextlib.suppress(BackendError):
                backend.activate()
    with contextlib.suppress(BackendError):
        MacvlanBackend.close_all(pair)
    for backend in pair:
        close_at_last(backend)
    assert snapshot(host.base) == snapshot(memory_host())


def test_prepare_all_closes_those_before_the_one_that_fails():
    host = memory_host()
    pair = [MacvlanBackend("eth0", V4, host=host), MacvlanBackend("eth9", V6, host=host)]
    with pytest.raises(BackendError, match="eth9"):
        MacvlanBackend.prepare_all(pair)
    assert snapshot(host) == snapshot(memory_host())


def test_close_all_closes_all_and_raises_the_first_error():
    class Stubborn(MacvlanBackend):
        def close(self):
            prepared = self._prepared
            super().close()
            if prepared:
                raise BackendError(f"{self.config.vrid} says no")

    host = memory_host()
    pair = [Stubborn("eth0", V4, host=host), MacvlanBackend("eth0", V6, host=host)]
    for backend in pair:
        backend.prepare()
    with pytest.raises(BackendError, match="51 says no"):
        NetBackend.close_all(pair)
    assert snapshot(host) == snapshot(memory_host())
