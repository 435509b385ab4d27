"""The simulator keeps the RFC's times to the microsecond, and what a host on the LAN sees is one virtual MAC."""

from __future__ import annotations

import random
from ipaddress import ip_address

import pytest

from vrrplib.election.actions import Discarded, HostFailed, StateChanged
from vrrplib.election.config import RouterConfig
from vrrplib.election.events import PriorityChanged
from vrrplib.election.states import Reason, State
from vrrplib.election.timers import active_down_interval, skew_time
from vrrplib.errors import BackendError, ConfigError
from vrrplib.lab.simulator import SimulatedBackend, SimulatedNode, Simulation
from vrrplib.rules import DEFAULT_RULES
from vrrplib.wire.addresses import Family, virtual_mac

VRID = 51
ADDRESS = "192.0.2.254"
MICROSECOND = 1e-6


def lan(*priorities: int, delay: float = 0.0, **fields: object) -> tuple[Simulation, list[SimulatedNode]]:
    """Nodes a, b, ... with these priorities."""
    simulation = Simulation(delay=delay)
    fields = {"vrid": VRID, "addresses": [f"{ADDRESS}/24"]} | fields
    nodes = [simulation.add(chr(97 + at), priority=priority, **fields) for at, priority in enumerate(priorities)]
    return simulation, nodes


def changes(simulation: Simulation, node: SimulatedNode) -> list[tuple[float, State, Reason]]:
    found = []
    for time, name, report in simulation.history(StateChanged):
        assert isinstance(report, StateChanged)
        if name == node.name:
            found.append((time, report.new, report.reason))
    return found


def last_advertisement(node: SimulatedNode, before: float) -> float:
    """When an Active node that began at its active_down_interval advertised last."""
    config = node.router.config
    first = active_down_interval(config.priority, config.advertisement_interval, version=config.version)
    return first + (before - first) // config.advertisement_interval * config.advertisement_interval


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(("high", "low"), [(200, 100), (254, 1), (101, 100)])
@pytest.mark.parametrize("interval", [1.0, 3.0])
def test_failover_takes_the_active_down_interval(version: int, high: int, low: int, interval: float) -> None:
    simulation, (a, b) = lan(high, low, advertisement_interval=interval, rules=DEFAULT_RULES[version])
    crash = 20.3
    simulation.at(crash, lambda: simulation.crash(a))
    simulation.run(until=60)
    time, state, reason = changes(simulation, b)[-1]
    expected = last_advertisement(a, crash) + active_down_interval(low, interval, version=version)
    assert abs(time - expected) < MICROSECOND
    assert (state, reason) == (State.ACTIVE, Reason.NO_RESPONSE)


@pytest.mark.parametrize("family", list(Family))
def test_a_host_notices_nothing_but_the_silence(family: Family) -> None:
    addresses = [f"{ADDRESS}/24"] if family is Family.IPV4 else ["fe80::51/64", "2001:db8::51/64"]
    simulation, (a, b, _) = lan(200, 150, 100, addresses=addresses)
    target = addresses[0].partition("/")[0]
    host = simulation.add_host("host", "192.0.2.9" if family is Family.IPV4 else "fe80::9")
    simulation.at(5, lambda: host.ping(target, every=0.1))
    simulation.run(until=10)
    assert simulation.active(VRID, family) == (a,)
    assert simulation.switch.port_of(virtual_mac(VRID, family)) == "a"
    simulation.crash(a)
    simulation.run(until=20)
    assert simulation.active(VRID, family) == (b,)
    assert simulation.switch.port_of(virtual_mac(VRID, family)) == "b"
    simulation.restart(a)
    simulation.run(until=30)
    assert simulation.active(VRID, family) == (a,)
    assert simulation.switch.port_of(virtual_mac(VRID, family)) == "a"
    assert [(address, mac) for _, address, mac in host.changes] == [(ip_address(target), virtual_mac(VRID, family))]
    (silent_from, silent_to) = 10, changes(simulation, b)[1][0]
    lost = [ping.time for ping in host.pings if ping.answered is None]
    assert lost == [ping.time for ping in host.pings if silent_from <= ping.time < silent_to]
    assert len(lost) == host.lost > 20


def test_the_higher_priority_preempts_and_the_other_yields() -> None:
    simulation, (a,) = lan(100)
    simulation.run(until=10)
    b = simulation.add("b", vrid=VRID, addresses=[f"{ADDRESS}/24"], priority=200)
    simulation.run(until=20)
    took_over = 10 + active_down_interval(200)
    assert changes(simulation, b)[-1] == (pytest.approx(took_over, abs=MICROSECOND), State.ACTIVE, Reason.PREEMPTED)
    assert changes(simulation, a)[-1] == (
        pytest.approx(took_over, abs=MICROSECOND),
        State.BACKUP,
        Reason.HIGHER_PRIORITY,
    )
    assert simulation.active(VRID) == (b,)


def test_without_preemption_the_higher_priority_waits() -> None:
    simulation, (a,) = lan(100)
    simulation.run(until=10)
    b = simulation.add("b", vrid=VRID, addresses=[f"{ADDRESS}/24"], priority=200, preempt=False)
    simulation.run(until=30)
    assert simulation.active(VRID) == (a,)
    assert b.state is State.BACKUP


def test_a_resignation_takes_skew_time() -> None:
    simulation, (a, b, c) = lan(200, 150, 100)
    simulation.run(until=10)
    simulation.shutdown(a)
    simulation.run(until=20)
    assert changes(simulation, b)[-1] == (
        pytest.approx(10 + skew_time(150), abs=MICROSECOND),
        State.ACTIVE,
        Reason.PRIORITY,
    )
    assert changes(simulation, c) == [(0.0, State.BACKUP, Reason.STARTUP)]
    assert a.state is State.INITIALIZE


def test_a_paused_backup_with_queued_advertisements_stays_backup() -> None:
    simulation, (a, b) = lan(200, 100)
    simulation.run(until=10)
    simulation.pause(b)
    simulation.run(until=20)
    assert b.router.deadline is not None
    assert b.router.deadline < 20  # its timer ran out meanwhile
    simulation.resume(b)
    simulation.run(until=30)
    assert changes(simulation, b) == [(0.0, State.BACKUP, Reason.STARTUP)]
    assert simulation.active(VRID) == (a,)


def test_a_paused_active_is_replaced_and_yields_when_it_goes_on() -> None:
    simulation, (a, b) = lan(100, 100)
    simulation.run(until=10)
    [first] = simulation.active(VRID)
    other = b if first is a else a
    simulation.pause(first)
    simulation.run(until=20)
    assert other in simulation.active(VRID)
    simulation.resume(first)
    simulation.run(until=22)
    assert simulation.active(VRID) == (b,)  # the greater address wins: RFC 9568 6.4.3


def test_an_owner_is_active_at_once() -> None:
    simulation, (a, b) = lan(255, 100)
    assert changes(simulation, a) == [(0.0, State.ACTIVE, Reason.PRIORITY)]
    simulation.run(until=10)
    assert b.state is State.BACKUP


def test_a_delay_is_the_wires() -> None:
    simulation, (a, b) = lan(200, 100, delay=0.005)
    simulation.at(10.1, lambda: simulation.crash(a))
    simulation.run(until=20)
    expected = last_advertisement(a, 10.1) + 0.005 + active_down_interval(100)
    assert changes(simulation, b)[-1][0] == pytest.approx(expected, abs=MICROSECOND)


def test_a_partition_makes_two_and_its_end_one() -> None:
    simulation, (a, b) = lan(200, 100)
    simulation.run(until=10)
    simulation.switch.unplug("b")
    simulation.run(until=20)
    assert simulation.active(VRID) == (a, b)
    simulation.switch.plug("b")
    simulation.run(until=22)
    assert simulation.active(VRID) == (a,)


def test_several_virtual_routers_have_actives_of_their_own() -> None:
    simulation = Simulation()
    four = {"addresses": ["192.0.2.254/24"]}
    six = {"addresses": ["fe80::51/64"]}
    nodes = []
    for number, (first, second, third) in enumerate([(200, 100, 100), (100, 200, 150)], 1):
        configs = [
            RouterConfig(vrid=51, priority=first, primary_address=f"192.0.2.{number}", **four),
            RouterConfig(
                vrid=52, priority=second, primary_address=f"192.0.2.{number}", addresses=["192.0.2.253/24"]
            ),
            RouterConfig(vrid=51, priority=third, primary_address=f"fe80::{number}", **six),
        ]
        nodes.append(simulation.add(f"node{number}", *configs))
    simulation.run(until=10)
    assert simulation.active(51) == (nodes[0],)
    assert simulation.active(52) == (nodes[1],)
    assert simulation.active(51, Family.IPV6) == (nodes[1],)
    assert simulation.switch.port_of(virtual_mac(51)) == "node1"
    assert simulation.switch.port_of(virtual_mac(52)) == "node2"


def test_a_priority_can_change() -> None:
    simulation, (a, b) = lan(200, 100)
    simulation.run(until=10)
    simulation.handle(a, PriorityChanged(50))
    simulation.run(until=20)
    assert simulation.active(VRID) == (b,)


def test_a_backend_of_ones_own_that_refuses() -> None:
    class Refusing(SimulatedBackend):
        def activate(self) -> None:
            raise BackendError("no")

    simulation = Simulation()
    fields = {"vrid": VRID, "addresses": [f"{ADDRESS}/24"]}
    a = simulation.add("a", backend=Refusing, priority=200, **fields)
    b = simulation.add("b", priority=100, **fields)
    simulation.run(until=20)
    assert simulation.active(VRID) == (b,)
    assert a.state is not State.ACTIVE
    assert {name for _, name, _ in simulation.history(HostFailed)} == {"a"}


def test_nobody_answers_for_a_virtual_address_without_an_active() -> None:
    simulation, (a,) = lan(100)
    host = simulation.add_host()
    ping = host.ping(ADDRESS)
    simulation.run(until=1)
    assert ping.answered is None
    assert host.neighbours == {}
    simulation.run(until=10)
    assert ping.answered is not None  # it waited for the gratuitous ARP
    simulation.shutdown(a)
    assert simulation.switch.port_of(virtual_mac(VRID)) == "a"
    lost = host.ping(ADDRESS)
    simulation.run(until=11)
    assert lost.answered is None


def test_garbage_changes_nothing() -> None:
    simulation, (a, b) = lan(200, 100)
    host = simulation.add_host()
    dice = random.Random(1)
    for tick in range(2000):
        simulation.at(tick / 100, lambda: host.transport.send(b"\xff" * 6 + dice.randbytes(dice.randrange(6, 90))))
    simulation.run(until=20)
    assert changes(simulation, b) == [(0.0, State.BACKUP, Reason.STARTUP)]
    assert simulation.active(VRID) == (a,)
    assert simulation.history(Discarded) == []


def test_the_same_program_gives_the_same_log() -> None:
    def play() -> list[str]:
        simulation, (a, *_) = lan(200, 150, 150, 100, delay=0.0001)
        simulation.at(7.7, lambda: simulation.crash(a))
        simulation.run(until=30)
        return [str(happening) for happening in simulation.log]

    assert play() == play()


def test_names_are_taken_once() -> None:
    simulation, _ = lan(100)
    with pytest.raises(ConfigError, match="'a'"):
        simulation.add_host("a")
    with pytest.raises(ConfigError, match="''"):
        simulation.add("", vrid=1, addresses=["192.0.2.1/24"])


def test_time_goes_forward_only() -> None:
    simulation, _ = lan(100)
    simulation.run(until=5)
    simulation.run(until=3)
    assert simulation.now == 5
