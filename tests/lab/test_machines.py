"""Clocks drift and jump, what is killed still answers, and what is remembered is bounded."""

from __future__ import annotations

import random

import pytest

from vrrplib.election.states import State
from vrrplib.election.timers import active_down_interval
from vrrplib.errors import ConfigError
from vrrplib.lab.machines import MOST_SEEN, Eyes, LocalClock, Seen, note
from vrrplib.lab.simulator import Conditions, Simulation

LAN = {"vrid": 51, "addresses": ["192.0.2.254/24"]}


@pytest.mark.parametrize("lean", [False, True])
def test_a_clock_that_gains_takes_over_sooner(lean: bool) -> None:
    simulation = Simulation()
    a = simulation.add("a", priority=200, lean=lean, **LAN)
    b = simulation.add("b", priority=100, lean=lean, **LAN)
    simulation.set_clock(b, rate=1.25)
    simulation.run(until=10)
    simulation.pause(a)
    simulation.run(until=active_down_interval(200) + 6 + active_down_interval(100) / 1.25 - 1e-6)
    assert b.state is State.BACKUP
    simulation.run(until=simulation.now + 2e-6)
    assert b.state is State.ACTIVE
    with pytest.raises(ConfigError, match="forward"):
        simulation.set_clock(b, ahead=-1)


@pytest.mark.parametrize("lean", [False, True])
def test_a_clock_that_jumps_brings_its_timers(lean: bool) -> None:
    simulation = Simulation()
    a = simulation.add("a", lean=lean, **LAN)
    simulation.run(until=1)
    simulation.set_clock(a, ahead=2.0)
    assert a.now == 3.0
    simulation.run(until=1.6)
    assert a.state is State.BACKUP
    simulation.run(until=1.61)
    assert a.state is State.ACTIVE


def test_a_clock_counts_both_ways() -> None:
    clock = LocalClock()
    clock.change(10.0, rate=2.0, ahead=1.0)
    assert [clock.local(time) for time in (10.0, 11.0)] == [11.0, 13.0]
    assert clock.simulated(13.0) == 11.0


@pytest.mark.parametrize("lean", [False, True])
def test_what_is_killed_still_answers(lean: bool) -> None:
    simulation = Simulation()
    a = simulation.add("a", priority=200, lean=lean, **LAN)
    simulation.add("b", priority=100, lean=lean, **LAN)
    host = simulation.add_host()
    simulation.run(until=10)
    simulation.kill(a)
    assert (a.state, simulation.active(51)) == (State.INITIALIZE, ())
    ping = host.ping("192.0.2.254")
    simulation.run(until=10.1)
    assert ping.answered is not None  # nobody routes, and the address answers
    simulation.run(until=20)
    assert [node.name for node in simulation.active(51)] == ["b"]
    simulation.restart(a)
    simulation.run(until=30)
    assert simulation.active(51) == (a,)


def test_what_is_remembered_is_bounded() -> None:
    eyes = Eyes()
    frames = [number.to_bytes(64, "big") for number in range(MOST_SEEN + 10)]
    assert eyes.read(frames[0]) is eyes.read(frames[0])
    heard: dict[Seen, float] = {}
    for number, frame in enumerate(frames):
        note(heard, eyes.read(frame), float(number))
    assert len(eyes.known) <= MOST_SEEN
    assert len(heard) == MOST_SEEN
    assert next(iter(heard.values())) == 10.0  # the oldest went


def test_events_are_frames_to_routers_and_timers() -> None:
    for lean in (False, True):
        simulation = Simulation(conditions=Conditions(delay=0.001), dice=random.Random(1))
        for name, priority in (("a", 200), ("b", 100), ("c", 50)):
            simulation.add(name, priority=priority, lean=lean, **LAN)
        simulation.run(until=active_down_interval(200) + 9.5)
        assert simulation.events == 10 + 20
