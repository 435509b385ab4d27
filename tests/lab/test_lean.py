"""A machine without a Node does what one with a Node does: the same frames, the same log, the same outcome."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vrrplib.election.config import RouterConfig
from vrrplib.election.events import PriorityChanged
from vrrplib.election.router import Router
from vrrplib.errors import ConfigError
from vrrplib.lab.lean import LeanNode
from vrrplib.lab.simulator import Simulation
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
