"""Faults do what they are called, in every part of every schedule, and what is shrunk still fails."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vrrplib.election.states import State
from vrrplib.errors import ConfigError
from vrrplib.lab.faults import ALL_KINDS, Fault, FaultKind, inflict, play, random_schedule, shrink
from vrrplib.lab.lan import Conditions
from vrrplib.lab.simulator import SimulatedNode, Simulation


def lan() -> tuple[Simulation, SimulatedNode, SimulatedNode]:
    simulation = Simulation(dice=random.Random(1))
    fields = {"vrid": 51, "addresses": ["192.0.2.254/24"], "lean": True}
    a, b = (simulation.add(name, priority=priority, **fields) for name, priority in (("a", 200), ("b", 100)))
    return simulation, a, b


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (FaultKind.CRASH, FaultKind.RESTART),
        (FaultKind.KILL, FaultKind.RESTART),
        (FaultKind.SHUTDOWN, FaultKind.RESTART),
        (FaultKind.PAUSE, FaultKind.RESUME),
        (FaultKind.UNPLUG, FaultKind.PLUG),
    ],
)
def test_another_takes_over_and_gives_back(begin: FaultKind, end: FaultKind) -> None:
    simulation, a, b = lan()
    play(simulation, [Fault(10, begin, ("a",)), Fault(20, end, ("a",))])
    simulation.run(until=19)
    assert b.state is State.ACTIVE
    simulation.run(until=30)
    assert (a.state, b.state) == (State.ACTIVE, State.BACKUP)


def test_one_way() -> None:
    simulation, a, b = lan()
    play(simulation, [Fault(10, FaultKind.BLOCK, ("a", "b")), Fault(20, FaultKind.UNBLOCK, ("a", "b"))])
    simulation.run(until=19)
    assert simulation.active(51) == (a, b)  # a hears b, which is lower, and b hears nobody
    simulation.run(until=30)
    assert simulation.active(51) == (a,)


def test_priority_clock_and_conditions() -> None:
    simulation, a, b = lan()
    play(
        simulation,
        [
            Fault(10, FaultKind.PRIORITY, ("a", 50)),
            Fault(10, FaultKind.CLOCK, ("b", 1.5, 2.0)),
            Fault(10, FaultKind.CONDITIONS, (0.5, 0.0, 1.0)),
        ],
    )
    simulation.run(until=11)
    assert a.router.priority == 50
    assert b.now == pytest.approx(10 + 2 + 1.5)
    assert simulation.switch.conditions == Conditions(delay=0.5, loss=1.0)


def test_what_makes_no_sense_does_nothing() -> None:
    simulation, _, b = lan()
    simulation.run(until=10)
    log = list(simulation.log)
    for kind in (FaultKind.RESTART, FaultKind.RESUME):
        inflict(simulation, Fault(0, kind, ("b",)))
    inflict(simulation, Fault(0, FaultKind.KILL, ("b",)))
    for kind in (FaultKind.KILL, FaultKind.SHUTDOWN, FaultKind.PAUSE, FaultKind.RESUME):
        inflict(simulation, Fault(0, kind, ("b",)))
    inflict(simulation, Fault(0, FaultKind.PRIORITY, ("b", 1)))
    assert [happening.what for happening in simulation.log[len(log) :]] == ["killed"]
    with pytest.raises(ConfigError, match="'x'"):
        inflict(simulation, Fault(0, FaultKind.CRASH, ("x",)))
    assert b.state is State.INITIALIZE


def test_a_fault_reads_as_a_line() -> None:
    assert str(Fault(1.5, FaultKind.BLOCK, ("a", "b"))) == "1.5 block a b"


@given(seed=st.integers(0, 2**32), every=st.floats(1, 100))
@settings(max_examples=50, deadline=None)
def test_a_schedule_is_its_seeds_and_in_order(seed: int, every: float) -> None:
    def made() -> tuple[Fault, ...]:
        return random_schedule(random.Random(seed), "abc", until=300, every=every)

    schedule = made()
    assert schedule == made()
    assert [fault.time for fault in schedule] == sorted(fault.time for fault in schedule)
    assert all(0 <= fault.time < 301 for fault in schedule)


def test_every_kind_comes() -> None:
    schedule = random_schedule(random.Random(1), "abc", until=1e5)
    assert {fault.kind for fault in schedule} == set(FaultKind) > set(ALL_KINDS)


@given(seed=st.integers(0, 2**32), data=st.data())
@settings(max_examples=30, deadline=None)
def test_every_part_of_a_schedule_plays(seed: int, data: st.DataObject) -> None:
    schedule = random_schedule(random.Random(seed), "ab", until=100, every=5)
    part = [fault for fault in schedule if data.draw(st.booleans())]
    simulation, _, _ = lan()
    play(simulation, part)
    simulation.run(until=120)


@given(st.lists(st.integers(0, 40), unique=True, min_size=1), st.data())
def test_what_is_shrunk_is_what_matters(items: list[int], data: st.DataObject) -> None:
    needed = data.draw(st.sets(st.sampled_from(items)))
    asked = []

    def fails(part: tuple[int, ...]) -> bool:
        asked.append(part)
        return needed <= set(part)

    assert shrink(items, fails) == tuple(item for item in items if item in needed)
    assert len(asked) == len(set(asked))


def test_what_is_shrunk_fails() -> None:
    with pytest.raises(ConfigError, match="must fail"):
        shrink([1, 2], lambda _: False)
    found = shrink(range(100), lambda part: sum(part) > 150)  # not monotonous in any one of them
    assert sum(found) > 150
    assert all(sum(found) - item <= 150 for item in found)
