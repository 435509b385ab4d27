"""Everything that a backend asks of a host may fail, at any time: the host is given back all the same."""

from __future__ import annotations

import contextlib
import dataclasses
import functools

import pytest

from tests.backends import hosts
from tests.backends.frail import FrailHost, lost, operators_host
from tests.backends.hosts import V4, V6, Adopting, Standing, snapshot
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.errors import BackendError

FOREVER = 10**6
OPTIONS = {
    "bridge": (functools.partial(MacvlanBackend, mode="bridge", xmit_base=True, mac="02:00:5e:00:00:33"), V4),
    "vepa": (functools.partial(MacvlanBackend, mode="vepa", name="of-ours"), V6),
    "adopting-ipv6-no-accept": (Adopting, hosts.V6_CLOSED),
    "ioctl": (functools.partial(MacSwapBackend, ioctl=True), V6),
    "macswap-ipv4-no-accept": (MacSwapBackend, hosts.V4_CLOSED),
}
CASES = [*hosts.CASES, *OPTIONS.values()]
NAMES = [*hosts.NAMES, *OPTIONS]
every_case = pytest.mark.parametrize(("kind", "config"), CASES, ids=NAMES)


def other(config, number=200):
    """The same virtual router with an address that stays and another one."""
    address = f"10.77.0.{number}/24" if config.family == 4 else f"fd77::{number}/64"
    return dataclasses.replace(config, addresses=(config.addresses[0], address))


def steps(backend, config):
    """All that can be asked of a backend, while Backup and while Active."""
    yield backend.prepare
    yield lambda: backend.reconfigure(other(config))
    yield backend.activate
    yield lambda: backend.reconfigure(config)
    yield lambda: backend.reconfigure(dataclasses.replace(config, accept_mode=not config.accept_mode))
    yield backend.deactivate
    yield backend.activate
    yield backend.close


def live(backend, config) -> None:
    """As a Node does it: after what fails, deactivate, and another attempt from prepare on."""
    for step in steps(backend, config):
        try:
            step()
        except BackendError:
            for attempt in (backend.deactivate, backend.prepare, backend.activate):
                with contextlib.suppress(BackendError):
                    attempt()


def points(kind, config, **options) -> int:
    host = FrailHost(**options)
    live(kind("eth0", config, host=host), config)
    assert snapshot(host.base) == snapshot(operators_host())
    return host.count


@every_case
@pytest.mark.parametrize("times", [1, FOREVER])
def test_whatever_fails_the_host_is_given_back(kind, config, times):
    """``FOREVER``: until the virtual router is given up, and the way back fails too, at first."""
    for at in range(1, points(kind, config) + 1):
        host = FrailHost(at, times=times)
        backend = kind("eth0", config, host=host)
        live(backend, config)
        assert host.failed
        with contextlib.suppress(BackendError):
            backend.close()
        assert lost(host) == [], f"{at} fails, {times} times"
        host.mend()
        backend.close()
        assert snapshot(host.base) == snapshot(operators_host()), f"{at} fails, {times} times"


@every_case
@pytest.mark.parametrize("only", ["operation", "journal"])
def test_a_host_that_refuses_every_change_from_then_on(kind, config, only):
    """Reads go on working: as with a file system that has become read-only, or a capability that was dropped."""
    for at in range(1, points(kind, config, only=only) + 1):
        host = FrailHost(at, times=FOREVER, only=only, goes_on=True)
        backend = kind("eth0", config, host=host)
        live(backend, config)
        assert lost(host) == [], f"{only} {at} fails"
        host.mend()
        backend.close()
        assert snapshot(host.base) == snapshot(operators_host()), f"{only} {at} fails"


@every_case
def test_one_message_of_a_batch_fails_and_the_rest_is_done(kind, config):
    for at in range(1, points(kind, config, only="operation", goes_on=True) + 1):
        host = FrailHost(at, only="operation", goes_on=True)
        backend = kind("eth0", config, host=host)
        live(backend, config)
        with contextlib.suppress(BackendError):
            backend.close()
        backend.close()
        assert snapshot(host.base) == snapshot(operators_host()), f"operation {at} fails"


@every_case
@pytest.mark.parametrize("was_active", [False, True])
def test_a_reconfiguration_that_failed_is_made_good_by_the_next_attempt(kind, config, was_active):
    """Whoever asks for it again, or prepares again as a Node does, has the new addresses and no old one."""

    def begun(host):
        backend = kind("eth0", config, host=host)
        backend.prepare()
        if was_active:
            backend.activate()
        return backend

    wanted = FrailHost()
    begun(wanted).reconfigure(other(config))
    before = FrailHost()
    begun(before)
    for at in range(before.count + 1, wanted.count + 1):
        for again in ("reconfigure", "prepare"):
            host = FrailHost(at)
            backend = begun(host)
            try:
                backend.reconfigure(other(config))
            except BackendError:
                if again == "reconfigure":
                    backend.reconfigure(other(config))
                else:
                    backend.deactivate()
                    backend.prepare()
                if was_active:
                    backend.activate()
            found, expected = snapshot(host.base), snapshot(wanted.base)
            for place in ("sysctls", "tables"):
                assert found[place] == expected[place], f"{at} fails, then {again}"
            assert in_any_order(found["addresses"]) == in_any_order(expected["addresses"]), f"{at}, then {again}"
            backend.close()
            assert snapshot(host.base) == snapshot(operators_host())


def in_any_order(addresses):
    return {name: set(held) for name, held in addresses.items()}


V4_52 = dataclasses.replace(V4, vrid=52, addresses=("10.77.0.52/24",))


def several(host):
    pair = [MacvlanBackend("eth0", config, host=host) for config in (V4, V6, V4_52)]
    return [*pair, Standing("eth0", dataclasses.replace(V4, vrid=53, addresses=("10.77.0.53/24",)), host=host)]


def live_together(backends) -> None:
    with contextlib.suppress(BackendError):
        MacvlanBackend.prepare_all(backends)
        for backend in backends:
            backend.activate()
        backends[1].close()
        MacvlanBackend.prepare_all(backends)
    with contextlib.suppress(BackendError):
        MacvlanBackend.close_all(backends)


@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize("times", [1, 4, FOREVER])
def test_several_at_once_and_whatever_fails(times, goes_on):
    quiet = FrailHost(goes_on=goes_on)
    live_together(several(quiet))
    assert snapshot(quiet.base) == snapshot(operators_host())
    for at in range(1, quiet.count + 1):
        host = FrailHost(at, times=times, goes_on=goes_on)
        backends = several(host)
        live_together(backends)
        assert host.failed
        assert lost(host) == [], f"{at} fails, {times} times"
        host.mend()
        MacvlanBackend.close_all(backends)
        assert snapshot(host.base) == snapshot(operators_host()), f"{at} fails, {times} times"


def test_how_many_points_there_are(capsys):
    with capsys.disabled():
        found = [points(kind, config) for kind, config in CASES]
        each = (f"{name} {count}" for name, count in zip(NAMES, found, strict=True))
        print(f"\n{sum(found)} points at which a life may fail:", ", ".join(each))
