"""A machine without a Node does what one with a Node does; clocks drift, and what is killed still answers."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vrrplib.election.config import RouterConfig
from vrrplib.election.events import PriorityChanged
from vrrplib.election.router import Router
from vrrplib.election.states import State
from vrrplib.election.timers import active_down_interval
from vrrplib.errors import ConfigError
from vrrplib.lab.lean import LeanNode
from vrrplib.lab.machines import MOST_SEEN, Eyes, LocalClock, Seen, note
from vrrplib.lab.simulator import Conditions, Simulation
from vrrplib.lab.sweep import Scenario, build, run_seed
from vrrplib.rules import RFC3768

LAN = {"vrid": 51, "addresses": ["192.0.2.254/24"]}


@given(
    seed=st.integers(0, 2**32),
    fields=st.fixed_dictionaries(
        {
            "interval": st.sampled_from([1.0, 3.0]),
            "preempt": st.booleans(),
            "rules": st.sampled_from([Scenario().rules, RFC3768]),
            "priorities": st.sampled_from([(200, 100), (255, 100), (100, 100, 100), (200, 150, 100)]),
            "hosts": st.integers(0, 1),
        }
    ),
)
@settings(max_examples=30, deadline=None)
def test_a_lean_machine_is_a_node_but_quicker(seed: int, fields: dict[str, object]) -> None:
    lean = Scenario(duration=200.0, fault_every=15.0, fault_lasting=10.0, **fields)  # type: ignore[arg-type]
    through_nodes = dataclasses.replace(lean, lean=False)
    logs, frames = [], []
    for scenario in (lean, through_nodes):
        simulation, _ = build(scenario, seed, scenario.schedule(seed))
        seen: list[tuple[float, str, bytes]] = []
        simulation.switch.taps.append(
            lambda port, frame, seen=seen, simulation=simulation: seen.append((simulation.now, port, frame))
        )
        simulation.run(until=scenario.duration)
        logs.append(list(map(str, simulation.log)))
        frames.append(seen)
    assert logs[0] == logs[1]
    assert frames[0] == frames[1]
    assert run_seed(seed, lean) == run_seed(seed, through_nodes)


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


def test_a_host_asks_again_for_what_is_old() -> None:
    simulation = Simulation()
    simulation.add("a", lean=True, **LAN)
    host = simulation.add_host(ageing=5)
    asked = []
    simulation.switch.taps.append(lambda port, _: asked.append(port) if port == "host" else None)
    simulation.run(until=5)
    host.ping("192.0.2.254", every=1.0)
    simulation.run(until=30.5)
    assert host.lost == 0
    assert len(asked) == len(host.pings) + 5


def test_a_lean_machine_refuses_what_it_cannot_do() -> None:
    simulation = Simulation()
    config = RouterConfig(primary_address="192.0.2.1", **LAN)
    with pytest.raises(ConfigError, match="twice"):
        simulation.add("a", config, config, lean=True)
    with pytest.raises(ConfigError, match="peers"):
        simulation.add("b", lean=True, peers=["192.0.2.2"], **LAN)
    node = simulation.add("c", config, lean=True)
    assert isinstance(node, LeanNode)
    with pytest.raises(ConfigError, match="c's"):
        simulation.handle(node, PriorityChanged(1), Router(config))


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
