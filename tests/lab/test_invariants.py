"""The invariants hold for our Router under faults, and each is broken by a router that is wrong in one way."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest

from vrrplib.election.actions import Action, Activate, Deactivate, SendAdvertisement, StateChanged
from vrrplib.election.events import ConfigChanged, Event, TimerExpired
from vrrplib.election.router import Router
from vrrplib.election.states import Reason, State
from vrrplib.election.timers import active_down_interval
from vrrplib.lab.faults import Fault, FaultKind, play
from vrrplib.lab.invariants import Invariant, Invariants
from vrrplib.lab.simulator import Conditions, Simulation
from vrrplib.rules import RFC3768
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame

LAN = {"vrid": 51, "addresses": ["192.0.2.254/24"]}


def lan(*priorities: int, lean: bool = True, **fields: Any) -> tuple[Simulation, Invariants]:
    simulation = Simulation(conditions=Conditions(delay=0.001, jitter=0.001), dice=random.Random(1))
    invariants = Invariants(simulation)
    for number, priority in enumerate(priorities):
        simulation.add("abc"[number], priority=priority, lean=lean, **LAN | fields)
    return simulation, invariants


def broken(invariants: Invariants) -> set[Invariant]:
    return {violation.invariant for violation in invariants.finish()}


@pytest.mark.parametrize("lean", [False, True])
@pytest.mark.parametrize("fields", [{}, {"rules": RFC3768}, {"advertisement_interval": 0.1}, {"preempt": False}])
def test_they_hold_through_what_happens(lean: bool, fields: dict[str, Any]) -> None:
    simulation, invariants = lan(200, 150, 100, lean=lean, **fields)
    schedule = [
        Fault(20.5, FaultKind.KILL, ("a",)),
        Fault(40.2, FaultKind.RESTART, ("a",)),
        Fault(60.7, FaultKind.SHUTDOWN, ("a",)),
        Fault(80.1, FaultKind.RESTART, ("a",)),
        Fault(100.9, FaultKind.PAUSE, ("a",)),
        Fault(120.3, FaultKind.RESUME, ("a",)),
        Fault(140.0, FaultKind.BLOCK, ("a", "b")),
        Fault(160.0, FaultKind.UNBLOCK, ("a", "b")),
        Fault(180.0, FaultKind.PRIORITY, ("b", 250)),
        Fault(200.0, FaultKind.CLOCK, ("c", 1.001, 0.5)),
        Fault(220.0, FaultKind.CRASH, ("b",)),
    ]
    play(simulation, schedule)
    simulation.run(until=250)
    assert invariants.finish() == []
    assert invariants.checks >= len(schedule) - 1  # all but the one-way link, in which it is not asked for


def test_the_bound_is_the_longest_wait_and_one_interval() -> None:
    simulation, invariants = lan(200, 100, advertisement_interval=2.0)
    expected = active_down_interval(100, 2.0) + 2.0 + 2 * 0.002
    assert invariants.bound == pytest.approx(expected, abs=1e-5)
    simulation.set_clock(simulation.nodes["b"], rate=0.5)
    assert invariants.bound == pytest.approx(2 * (expected - 0.004) + 0.004, abs=1e-5)


class Wrong(Router):
    """One that does something else with what the Router wants."""

    def receive(self, datagram: Datagram, now: float) -> tuple[Action, ...]:
        return self.change(super().receive(datagram, now), now)

    def handle(self, event: Event, now: float) -> tuple[Action, ...]:
        return self.change(super().handle(event, now), now)

    def change(self, actions: tuple[Action, ...], now: float) -> tuple[Action, ...]:
        return actions


class Deaf(Wrong):
    """Hears nobody."""

    def receive(self, datagram: Datagram, now: float) -> tuple[Action, ...]:
        return ()


class Silent(Wrong):
    """Sends nothing."""

    def change(self, actions: tuple[Action, ...], now: float) -> tuple[Action, ...]:
        return tuple(action for action in actions if not isinstance(action, SendAdvertisement))


class Hasty(Wrong):
    """Counts two of the three intervals."""

    @property
    def active_down_interval(self) -> float:
        return super().active_down_interval - self.config.advertisement_interval


class Slow(Wrong):
    """Counts four."""

    @property
    def active_down_interval(self) -> float:
        return super().active_down_interval + 0.5


class Asleep(Wrong):
    """Never takes over."""

    def handle(self, event: Event, now: float) -> tuple[Action, ...]:
        if isinstance(event, TimerExpired) and self.state is State.BACKUP:
            self._timer_at = now + 1000
            return ()
        return super().handle(event, now)


class Chatty(Wrong):
    """Says everything twenty times."""

    def change(self, actions: tuple[Action, ...], now: float) -> tuple[Action, ...]:
        sent = [action for action in actions if isinstance(action, SendAdvertisement)]
        return (*actions, *sent * 19)


class Restless(Wrong):
    """Says now and then that it is no longer Active, and again that it is."""

    def change(self, actions: tuple[Action, ...], now: float) -> tuple[Action, ...]:
        if self.state is not State.ACTIVE or not 30 < now < 31.5:
            return actions
        gone = StateChanged(State.ACTIVE, State.BACKUP, Reason.HIGHER_PRIORITY)
        back = StateChanged(State.BACKUP, State.ACTIVE, Reason.NO_RESPONSE)
        return (*actions, Deactivate(), gone, Activate(), back)


@pytest.mark.parametrize(
    ("router", "expected"),
    [
        (Deaf, Invariant.ONE_ACTIVE),
        (Silent, Invariant.ONE_ACTIVE),
        (Asleep, Invariant.ONE_ACTIVE),
        (Hasty, Invariant.TAKEOVER),
        (Slow, Invariant.TAKEOVER),
        (Chatty, Invariant.STORM),
        (Restless, Invariant.STABLE),
    ],
)
def test_a_wrong_router_is_found_out(
    router: Callable[..., Router], expected: Invariant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vrrplib.lab.machines.Router", router)
    simulation, invariants = lan(200, 150, 100)
    play(simulation, [Fault(20.5, FaultKind.CRASH, ("a",))])
    simulation.run(until=60)
    assert expected in broken(invariants)
    assert str(invariants.violations[0]).partition(": ")[0].endswith(str(invariants.violations[0].invariant))


def test_a_mac_that_somebody_else_takes_is_found_out() -> None:
    simulation, invariants = lan(200, 100)
    host = simulation.add_host()
    datagram_mac = simulation.nodes["a"].backends[0].mac
    simulation.run(until=20)
    frame = b"\xff" * 6 + datagram_mac.packed + b"\x88\xb5" + bytes(46)
    simulation.at(20.3, lambda: host.transport.send(frame))
    simulation.run(until=20.5)  # before the next advertisement takes it back
    assert broken(invariants) == {Invariant.MAC_TABLE}


def test_a_forged_advertisement_is_followed_as_the_rfc_says() -> None:
    simulation, invariants = lan(200, 150)
    host = simulation.add_host()
    router = simulation.nodes["a"].router
    forged = dataclasses.replace(
        router.advertisements[0], packet=router.advertisements[0].packet.replace(priority=255)
    )
    frame = advertisement_frame(dataclasses.replace(forged, source=router.config.ips[0] + 1).datagram(), host.mac)
    for tick in range(100):
        simulation.at(20 + tick / 10, lambda: host.transport.send(frame))
    simulation.run(until=29)
    assert simulation.active(51) == ()
    simulation.run(until=40)
    assert simulation.active(51) == (simulation.nodes["a"],)
    assert {violation.invariant for violation in invariants.violations} <= {Invariant.STABLE, Invariant.ONE_ACTIVE}


def test_a_change_of_the_interval_is_taken_into_account() -> None:
    simulation, invariants = lan(200, 100)
    simulation.run(until=20)
    for node in simulation.nodes.values():
        config = dataclasses.replace(node.router.config, advertisement_interval=0.05)
        simulation.handle(node, ConfigChanged(config))
    simulation.run(until=40)
    assert invariants.finish() == []


def test_delays_that_were_asked_for_are_in_the_bound() -> None:
    fields = {"startup_delay": 5.0, "preempt_delay": 7.0, "listen_after_stall": True}
    simulation, invariants = lan(200, 150, **fields)
    assert invariants.bound > 5 + 7 + 3 + 1
    schedule = [
        Fault(40.5, FaultKind.CRASH, ("a",)),
        Fault(60.2, FaultKind.RESTART, ("a",)),
        Fault(90.3, FaultKind.PAUSE, ("a",)),
        Fault(93.3, FaultKind.PAUSE, ("b",)),
        Fault(120.5, FaultKind.RESUME, ("b",)),
        Fault(140.5, FaultKind.RESUME, ("a",)),
    ]
    play(simulation, schedule)
    simulation.run(until=200)
    assert invariants.finish() == []
    assert simulation.active(51) == (simulation.nodes["a"],)


def test_a_backup_that_listens_after_a_stall_takes_a_skew_time_more() -> None:
    simulation, invariants = lan(200, 100, listen_after_stall=True)
    play(simulation, [Fault(20.5, FaultKind.PAUSE, ("b",)), Fault(20.6, FaultKind.CRASH, ("a",))])
    play(simulation, [Fault(40.0, FaultKind.RESUME, ("b",))])
    simulation.run(until=60)
    assert invariants.finish() == []
    [_, (time, name, _)] = [
        item
        for item in simulation.history(StateChanged)
        if isinstance(item[2], StateChanged) and item[2].new is State.ACTIVE
    ]
    assert (name, time) == ("b", pytest.approx(40 + 156 / 256))


def test_nothing_is_asked_for_while_frames_take_longer_than_an_interval() -> None:
    simulation, invariants = lan(200, 100, advertisement_interval=0.01)
    simulation.run(until=5)
    assert invariants.checks == 1
    simulation.switch.conditions = Conditions(delay=0.001, jitter=0.2)
    simulation.run(until=60)
    assert len(simulation.history(StateChanged)) > 5  # in vain
    assert invariants.finish() == []
