"""SyncGroup: what it orders, and groups against each other on simulated LANs, whatever happens and in any order."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.election.play import ACTIVE, BACKUP, INITIALIZE
from vrrplib.election.actions import Discarded, Ready, Report, SendAdvertisement, StateChanged
from vrrplib.election.config import RouterConfig
from vrrplib.election.events import (
    AdvertisementReceived,
    Event,
    GroupHeld,
    GroupMoved,
    Shutdown,
    Startup,
    TimerExpired,
)
from vrrplib.election.groups import SyncGroup
from vrrplib.election.router import Router
from vrrplib.election.states import Reason, State
from vrrplib.errors import ConfigError, Problem
from vrrplib.wire.packets import VRRPv3

DOWN = 4.0  # Active_Down_Interval at the most


def config(lan: int, machine: int, priority: int, **changes: Any) -> RouterConfig:
    fields = {"vrid": lan + 1, "addresses": [f"10.0.{lan}.254/24"], "primary_address": f"10.0.{lan}.{machine + 1}"}
    return RouterConfig(**fields | {"priority": priority} | changes)


# -- what it orders --


def pair() -> tuple[SyncGroup, Router, Router]:
    leader, follower = Router(config(0, 0, 100)), Router(config(1, 0, 100))
    return SyncGroup(leader, follower), leader, follower


def test_a_group_has_two_routers_at_least_each_once():
    group, leader, follower = pair()
    assert group.routers == (leader, follower)
    for routers in ((leader,), (leader, leader), (leader, follower, follower)):
        with pytest.raises(ConfigError, match=f"at least two Routers, each once, not {len(routers)}"):
            SyncGroup(*routers)


def test_at_the_beginning_followers_wait_for_their_leader():
    group, _, follower = pair()
    assert group.begin() == ((follower, GroupHeld(True)),)


def test_what_a_stranger_reports_and_what_moves_nobody_is_nothing():
    group, leader, follower = pair()
    assert group.react(Router(config(0, 0, 1)), StateChanged(BACKUP, ACTIVE, Reason.NO_RESPONSE)) == ()
    for router in (leader, follower):
        assert group.react(router, Discarded(Problem.TTL, router.config.primary_address)) == ()
        assert group.react(router, StateChanged(ACTIVE, BACKUP, Reason.GROUP)) == (
            () if router is follower else ((follower, GroupMoved(BACKUP)),)
        )


def test_a_stranger_s_end_and_defeat_are_nothing_too():
    group, leader, _ = pair()
    stranger = Router(config(0, 0, 1))
    for old, new, reason in ((BACKUP, INITIALIZE, Reason.SHUTDOWN), (ACTIVE, BACKUP, Reason.HIGHER_PRIORITY)):
        assert group.react(stranger, StateChanged(old, new, reason)) == ()
    assert group.react(leader, Ready()) == ((leader, GroupHeld(False)),)


def test_all_that_were_beaten_must_be_silent():
    leader, one, other = (Router(config(lan, 0, 100)) for lan in range(3))
    group = SyncGroup(leader, one, other)
    for router in (leader, one, other):
        router.handle(GroupHeld(True), 0.0)
        router.handle(Startup(), 0.0)
    for router in (one, other):
        group.react(router, StateChanged(ACTIVE, BACKUP, Reason.HIGHER_PRIORITY))
    for router in (leader, other):
        router.handle(TimerExpired(), DOWN)
        assert group.react(router, Ready()) == ()
    one.handle(TimerExpired(), DOWN)
    assert group.react(one, Ready()) == ((leader, GroupHeld(False)),)


# -- LANs --


@dataclass
class Machine:
    """A group with a Router on each LAN."""

    world: World
    number: int
    routers: list[Router]
    group: SyncGroup = field(init=False)
    changes: list[tuple[float, int, State]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.group = SyncGroup(*self.routers)

    def start(self) -> None:
        for router, event in self.group.begin():
            self.handle(router, event)
        for router in self.routers:
            self.handle(router, Startup())
        self.check()

    def handle(self, router: Router, event: Event) -> None:
        """As a driver does: the effects, then the group's orders for each report, and those for their reports."""
        happened = [(router, report) for report in self._do(router, event)]
        for reporter, report in happened:  # it grows meanwhile
            for other, order in self.group.react(reporter, report):
                happened += [(other, each) for each in self._do(other, order)]
            assert len(happened) < 50, "the group gives orders without end"

    def _do(self, router: Router, event: Event) -> list[Report]:
        lan, reports = self.routers.index(router), []
        for action in router.handle(event, self.world.now):
            if isinstance(action, SendAdvertisement):
                self.world.send(self.number, lan, action)
            elif isinstance(action, Report):
                reports.append(action)
            if isinstance(action, StateChanged):
                self.changes.append((self.world.now, lan, action.new))
        self.world.watch(self, router)
        return reports

    def check(self) -> None:
        """All move together: settled, they are all Active, or none is."""
        states = {router.state for router in self.routers}
        assert states == {ACTIVE} or ACTIVE not in states, (self.world.now, self.number, states)

    @property
    def is_active(self) -> bool:
        return self.routers[0].state is ACTIVE


class World:
    """Machines on the same LANs; each message takes ``delay(lan)`` seconds. A stranger can be on each LAN."""

    def __init__(self, priorities: list[list[int]], delay: Callable[[int], float]) -> None:
        self.now = 0.0
        self.delay = delay
        self.lans = len(priorities[0])
        self.cut: set[tuple[int, int]] = set()  # (machine, lan) where nothing passes
        self.strangers: set[int] = set()  # LANs with a router that beats all others
        self.due: list[tuple[float, int, Callable[[], object]]] = []
        self.numbers = itertools.count()
        self.machines = [
            Machine(self, number, [Router(config(lan, number, each)) for lan, each in enumerate(row)])
            for number, row in enumerate(priorities)
        ]
        for machine in self.machines:
            machine.start()

    def at(self, when: float, act: Callable[[], object]) -> None:
        heapq.heappush(self.due, (when, next(self.numbers), act))

    def run(self, until: float) -> None:
        while self.due and self.due[0][0] <= until:
            self.now, _, act = heapq.heappop(self.due)
            act()
            for machine in self.machines:
                machine.check()
        self.now = until

    def watch(self, machine: Machine, router: Router) -> None:
        when = router.deadline
        if when is not None:
            self.at(when, lambda: router.deadline == when and machine.handle(router, TimerExpired()))

    def send(self, sender: int, lan: int, action: SendAdvertisement) -> None:
        if (sender, lan) in self.cut:
            return
        for machine in self.machines:
            if machine.number != sender:
                self._deliver(machine, lan, action.packet, action.source)

    def _deliver(self, machine: Machine, lan: int, packet: VRRPv3, source: Any) -> None:
        def arrive() -> None:
            if (machine.number, lan) not in self.cut:
                machine.handle(machine.routers[lan], AdvertisementReceived(packet, source))

        self.at(self.now + self.delay(lan), arrive)

    # -- faults --

    def fault(self, kind: str, machine: int, lan: int) -> None:
        one = self.machines[machine]
        match kind:
            case "link down":
                self.cut.add((machine, lan))
                one.handle(one.routers[lan], Shutdown(Reason.HOST, resign=False))
            case "link up":
                self.cut.discard((machine, lan))
                one.handle(one.routers[lan], Startup())
            case "cut":  # and nobody is told
                self.cut.add((machine, lan))
            case "mend":
                self.cut.discard((machine, lan))
            case "shutdown":
                one.handle(one.routers[lan], Shutdown())
            case "startup":
                one.handle(one.routers[lan], Startup())
            case "stranger comes":
                if lan not in self.strangers:
                    self.strangers.add(lan)
                    self._stranger(lan)
            case "stranger goes":
                self.strangers.discard(lan)
        one.check()

    def _stranger(self, lan: int) -> None:
        if lan not in self.strangers:
            return
        packet = VRRPv3(vrid=lan + 1, priority=254, addresses=[f"10.0.{lan}.254"])
        for machine in self.machines:
            self._deliver(machine, lan, packet, config(lan, 199, 1).primary_address)
        self.at(self.now + 1.0, lambda: self._stranger(lan))

    def repair(self) -> None:
        for machine, lan in itertools.product(range(len(self.machines)), range(self.lans)):
            self.fault("link up", machine, lan)
            self.fault("stranger goes", machine, lan)

    def changes_after(self, time: float) -> int:
        return sum(when > time for machine in self.machines for when, *_ in machine.changes)

    @property
    def active(self) -> list[int]:
        return [machine.number for machine in self.machines if machine.is_active]


# -- each thing alone --

SOON = 30.0


def world(*priorities: list[int], delays: tuple[float, ...] = (0.001, 0.001)) -> World:
    """Settled."""
    made = World(list(priorities) or [[200, 200], [100, 100]], lambda lan: delays[lan])
    made.run(SOON)
    made.machines[0].changes.clear()
    made.machines[1].changes.clear()
    return made


def changes(machine: Machine) -> list[tuple[int, State]]:
    return [(lan, state) for _, lan, state in machine.changes]


def test_the_better_leader_s_group_is_active():
    assert world([200, 100], [100, 200]).active == [0]


@pytest.mark.parametrize("lan", [0, 1])
def test_a_link_goes_down_and_all_leave_and_come_back_when_it_does(lan):
    lans = world()
    first, second = lans.machines
    lans.fault("link down", 0, lan)
    assert {router.state for router in first.routers} == {INITIALIZE, BACKUP}
    lans.run(lans.now + 5)
    assert lans.active == [1]
    assert changes(second) == [(0, ACTIVE), (1, ACTIVE)]
    lans.fault("link up", 0, lan)
    lans.run(lans.now + SOON)
    assert lans.active == [0]
    assert len(changes(first)) == 2 + 1 + 2  # out, the link back, in
    assert len(changes(second)) == 2 + 2


def test_a_resignation_is_followed_on_all_lans_within_one_skew_time():
    lans = world()
    lans.fault("link down", 0, 1)  # LAN 0 hears of it, LAN 1 does not
    lans.run(lans.now + 0.7)
    assert lans.active == [1]


def test_a_rival_on_one_lan_makes_the_group_leave_until_it_is_silent():
    lans = world()
    lans.fault("stranger comes", 0, 1)
    lans.run(lans.now + SOON)
    assert lans.active == []  # it would beat the other group too
    before = lans.changes_after(0)
    lans.run(lans.now + 10 * SOON)
    assert lans.changes_after(0) == before
    lans.fault("stranger goes", 0, 1)
    lans.run(lans.now + 2 * DOWN)
    assert lans.active == [0]


def test_followers_of_the_opposite_order_do_not_make_it_come_and_go():
    """The leader comes back; its follower loses to one that has not yet heard that its own leader lost."""
    lans = world([200, 100], [100, 200], delays=(0.02, 0.001))
    lans.fault("link down", 0, 0)
    lans.run(lans.now + SOON)
    lans.fault("link up", 0, 0)
    lans.run(lans.now + SOON)
    before = lans.changes_after(0)
    assert before < 20
    lans.run(lans.now + 10 * SOON)
    assert lans.changes_after(0) == before
    assert len(lans.active) == 1


def test_a_leader_that_is_started_last_and_one_that_owns_its_addresses():
    lans = world([255, 100], [100, 200])
    assert lans.active == [0]
    lans.fault("shutdown", 0, 0)
    lans.run(lans.now + 5)
    assert lans.active == [1]
    lans.fault("startup", 0, 0)
    lans.machines[0].check()
    assert lans.machines[0].is_active


def test_a_follower_steps_down_without_a_word_and_a_leader_resigns():
    group, leader, follower = pair()
    for router in group.routers:
        router.handle(GroupHeld(router is follower), 0.0)
        router.handle(Startup(), 0.0)
        router.handle(GroupMoved(ACTIVE), 1.0)
        assert router.state is ACTIVE
        sent = [
            action.packet.priority
            for action in router.handle(GroupMoved(BACKUP), 2.0)
            if isinstance(action, SendAdvertisement)
        ]
        assert sent == ([0] if router is leader else [])


def test_two_rivals_that_beat_two_groups_in_turn_do_not_make_them_come_and_go():
    """What the one group says when it leaves must not pass for the silence of the other's rival."""
    lans = World([[200, 200, 100], [150, 200, 200]], lambda lan: (0.0005, 0.0005, 0.005)[lan])
    lans.run(SOON)
    lans.fault("stranger comes", 0, 1)
    lans.run(lans.now + 0.7)
    lans.fault("stranger comes", 0, 2)
    lans.run(lans.now + SOON)
    before = lans.changes_after(0)
    lans.run(lans.now + SOON)
    assert lans.changes_after(0) == before


def alone() -> tuple[World, Machine]:
    """One group, Active, and whoever a test lets it hear."""
    lans = World([[100, 100]], lambda lan: 0.0)
    lans.run(10.0)
    machine = lans.machines[0]
    assert machine.is_active
    machine.changes.clear()
    return lans, machine


def hears(lans: World, lan: int, priority: int, first: float, last: float) -> None:
    """Somebody advertises each second on a LAN."""
    packet = VRRPv3(vrid=lan + 1, priority=priority, addresses=[f"10.0.{lan}.254"])
    event = AdvertisementReceived(packet, config(lan, 199, 1).primary_address)
    machine = lans.machines[0]
    for step in range(round(last - first) + 1):
        lans.at(first + step, lambda: machine.handle(machine.routers[lan], event))


def test_a_group_that_was_beaten_waits_for_the_silence_of_the_rival():
    lans, machine = alone()
    hears(lans, 1, 254, 10.5, 20.5)
    lans.run(20.5 + 3.6)
    assert not machine.is_active
    lans.run(20.5 + 3.62)
    assert machine.is_active


def test_a_group_that_was_beaten_does_not_preempt_and_waits_for_its_leader_s_silence_too():
    lans, machine = alone()
    hears(lans, 1, 254, 10.5, 10.5)
    hears(lans, 0, 50, 11.0, 20.0)
    lans.run(20.0 + 3.6)
    assert not machine.is_active
    lans.run(20.0 + 3.62)
    assert machine.is_active


def test_a_group_whose_leader_followed_a_better_one_tries_when_that_is_silent_but_once():
    lans, machine = alone()
    hears(lans, 1, 254, 10.5, 40.5)
    hears(lans, 0, 254, 11.0, 15.0)
    lans.run(15.0 + 3.62)
    assert machine.is_active
    lans.run(20.0)
    assert not machine.is_active
    before = lans.changes_after(0)
    lans.run(40.5)
    assert lans.changes_after(0) == before


@pytest.mark.parametrize(
    "bad", [StateChanged(BACKUP, INITIALIZE, Reason.HOST), StateChanged(ACTIVE, BACKUP, Reason.HIGHER_PRIORITY)]
)
def test_a_report_that_comes_after_another_was_followed(bad):
    """A Node hands over all of one step at once: the leader became Active before it could be told not to."""
    group, leader, follower = pair()
    leave = (
        (leader, GroupMoved(BACKUP)),
        (follower, GroupMoved(BACKUP)),
        (leader, GroupHeld(True)),
    )
    assert group.react(follower, bad) == leave
    assert group.react(leader, StateChanged(BACKUP, ACTIVE, Reason.NO_RESPONSE)) == leave


# -- everything together --

KINDS = ("link down", "link up", "cut", "mend", "shutdown", "startup", "stranger comes", "stranger goes")
FAULTS = st.tuples(
    st.sampled_from([0.0, 0.003, 0.3, 0.7, 1.0, 3.7, 9.0]),
    st.sampled_from(KINDS),
    st.integers(0, 1),
    st.integers(0, 1),
)
PRIORITIES = st.lists(
    st.lists(st.sampled_from([50, 100, 150, 200]), min_size=2, max_size=2), min_size=2, max_size=2
)
MOST_CHANGES = 20
"""Of the four Routers of two groups after the last fault; 18 is the most that was seen in 2,500 plays."""


def played(priorities: list[list[int]], faults: list[tuple[float, str, int, int]], seed: int) -> World:
    chance = random.Random(seed)  # the order of what arrives: jitter on each LAN
    slow = [chance.choice([0.0005, 0.005, 0.05]) for _ in priorities[0]]
    lans = World(priorities, lambda lan: slow[lan] * chance.uniform(0.5, 1.5))
    for gap, kind, machine, lan in faults:
        lans.run(lans.now + gap)
        lans.fault(kind, machine, lan)
    return lans


@given(PRIORITIES, st.lists(FAULTS, max_size=8), st.integers(0, 1 << 32))
@settings(max_examples=60)
def test_all_move_together_and_rest_after_the_last_fault(priorities, faults, seed):
    lans = played(priorities, faults, seed)
    last = lans.now
    lans.run(last + 30)
    assert lans.changes_after(last) <= MOST_CHANGES
    lans.run(last + 60)
    assert lans.changes_after(last + 30) == 0


@given(PRIORITIES, st.lists(FAULTS, max_size=8), st.integers(0, 1 << 32))
@settings(max_examples=60)
def test_when_all_is_well_again_one_group_is_active(priorities, faults, seed):
    lans = played(priorities, faults, seed)
    lans.repair()
    lans.run(lans.now + 40)
    assert len(lans.active) == 1


@given(st.permutations([50, 100, 150]), st.lists(FAULTS, max_size=8), st.integers(0, 1 << 32))
@settings(max_examples=20)
def test_three_groups_on_three_lans_rest_when_followers_have_their_leaders_order(priorities, faults, seed):
    lans = played([[priority] * 3 for priority in priorities], faults, seed)
    last = lans.now
    lans.run(last + 30)
    assert lans.changes_after(last) <= MOST_CHANGES * 3 * 3 / 4
    lans.run(last + 60)
    assert lans.changes_after(last + 30) == 0
