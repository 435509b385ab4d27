"""The blocking driver on a clock that waiting moves on; test_blocking_real.py has the kernel's part."""

from __future__ import annotations

import os

import pytest

from tests.election.play import ACTIVE, BACKUP, INITIALIZE, config
from tests.node_parts import FakeWatch, Rig, rival_frame
from vrrplib.backends.base import HostChangeKind
from vrrplib.drivers import blocking
from vrrplib.drivers.blocking import TIMER_SLACK, WAIT_SLACK, Loop
from vrrplib.election.actions import StateChanged
from vrrplib.election.events import ConfigChanged, PriorityChanged, Shutdown, Startup
from vrrplib.election.groups import SyncGroup
from vrrplib.election.router import Router
from vrrplib.election.states import Reason
from vrrplib.errors import BackendError, ConfigError

DOWN = 3 + 156 / 256


class World:
    """A clock that waiting moves on, in place of select: ``at(time, act)`` happens when it gets there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        self.plans: list[tuple[float, object]] = []
        self.readable: set[int] = set()
        self.descriptors: tuple[int, ...] = ()
        monkeypatch.setattr(blocking, "_waiter", self._waiter)

    def clock(self) -> float:
        return self.now

    def at(self, when: float, act) -> None:
        self.plans.append((1000.0 + when, act))
        self.plans.sort(key=lambda plan: plan[0])

    def _waiter(self, descriptors):
        self.descriptors = tuple(descriptors)
        return self._wait

    def _wait(self, seconds):
        self.waits.append(seconds)
        end = self.now + seconds
        while self.plans and self.plans[0][0] <= end:
            self.now, act = self.plans.pop(0)
            act()
            if ready := self._ready():
                return ready
        self.now = end
        return self._ready()

    def _ready(self):
        alarm = self.descriptors[0]
        try:
            os.eventfd_write(alarm, os.eventfd_read(alarm))
            rung = [alarm]
        except BlockingIOError:
            rung = []
        ready, self.readable = self.readable, set()
        return [*rung, *ready]


class Wired(Rig):
    """A Rig whose transport has a descriptor: nothing is read from it, it only wakes."""

    def __init__(self, *configs, descriptor: int = 900, **options) -> None:
        super().__init__(*configs, **options)
        self.descriptor = descriptor
        self.transport.fileno = lambda: descriptor  # type: ignore[method-assign]


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


def serve(world: World, *rigs: Rig, until: float, notify=None) -> Loop:
    loop = Loop([rig.node for rig in rigs], clock=world.clock, notify=notify)
    world.at(until, loop.stop)
    loop.run()
    return loop


# -- time --


def test_a_life(world):
    rig, notices = Wired(), []
    serve(world, rig, until=6.0, notify=notices.append)
    changes = [(notice.report.new, notice.time - 1000) for notice in notices]
    assert [new for new, _ in changes] == [BACKUP, ACTIVE, INITIALIZE]
    assert [when for _, when in changes] == pytest.approx([0, DOWN, 6.0])
    assert rig.log == [
        *("prepare 1", "activate 1", "advert 1 100", "announce", "announce"),
        *("advert 1 100", "advert 1 100"),
        *("advert 1 0", "deactivate 1", "close 1"),
    ]


def test_deadlines_are_absolute(world):
    """A late wake-up makes no advert after it late."""
    rig, times = Wired(config(priority=255, advertisement_interval=0.01)), []
    send = rig.transport.send

    def late(frame):
        times.append(world.now - 1000)
        world.now += 0.0007  # a slow host
        send(frame)

    rig.transport.send = late
    serve(world, rig, until=10.0)
    adverts = [when for when, what in zip(times, rig.log[2:], strict=False) if when and what.startswith("advert")]
    assert len(adverts) == pytest.approx(1000, abs=2)
    assert max(when * 100 - round(when * 100) for when in adverts) < 0.08


def test_adverts_that_are_due_together_go_out_in_one_wake_up(world):
    configs = [config(vrid=vrid, priority=255, advertisement_interval=0.01) for vrid in range(1, 51)]
    rigs = [Wired(*configs[:25], descriptor=900), Wired(*configs[25:], descriptor=901)]
    serve(world, *rigs, until=1.0)
    assert sum(rig.routers[0].statistics.advertisement_sent for rig in rigs) == pytest.approx(200, abs=4)
    assert len(world.waits) < 2 * 100 + 5  # two for each: the second is for the rest, the timer's slack


def test_waits_are_shorter_by_the_kernels_slack_and_never_negative(world):
    serve(world, Wired(), until=5.0)
    assert world.waits[0] == pytest.approx(DOWN * (1 - WAIT_SLACK))
    assert all(0 <= wait <= DOWN for wait in world.waits)


def test_a_short_wait_is_shorter_by_the_timer_slack(world):
    serve(world, Wired(config(priority=255, advertisement_interval=0.01)), until=0.1)
    assert world.waits[0] == pytest.approx(0.01 - TIMER_SLACK)


def test_a_long_wait_ends_in_a_short_one_that_the_kernel_keeps(world):
    serve(world, Wired(), until=5.0)
    assert world.waits[1] == pytest.approx(DOWN * WAIT_SLACK, rel=0.01)


def test_without_anything_to_do_it_waits_long(world):
    serve(world, until=5.0)
    assert world.waits == [blocking.LONGEST_WAIT]


def test_what_arrived_is_read_before_the_timer_fires(world):
    rig = Wired()

    def paused():
        rig.transport.deliver(rival_frame(200))
        world.now += 30  # the process was stopped; both the frame and the timer wait
        world.readable.add(rig.descriptor)

    world.at(3.0, paused)
    serve(world, rig, until=35.0)
    assert "activate 1" not in rig.log


def test_only_the_node_that_is_concerned_is_stepped(world):
    quiet, busy = Wired(descriptor=900), Wired(descriptor=901)
    steps = []
    for name, rig in (("quiet", quiet), ("busy", busy)):
        step = rig.node.step
        rig.node.step = lambda now, name=name, step=step: steps.append(name) or step(now)

    def arrive():
        busy.transport.deliver(rival_frame(200))
        world.readable.add(busy.descriptor)

    world.at(1.0, arrive)
    serve(world, quiet, busy, until=2.0)
    assert steps == ["busy"]
    assert busy.router.statistics.advertisement_rcvd == 1


# -- submit and stop --


def test_submitted_events_are_handled_in_order(world):
    rig = Wired(config(priority=255))
    loop = Loop([rig.node], clock=world.clock)
    world.at(1.5, lambda: loop.submit(rig.router, PriorityChanged(120)))
    world.at(2.5, lambda: loop.submit(rig.router, Shutdown()))
    world.at(2.6, lambda: loop.submit(rig.router, Startup()))
    world.at(2.7, loop.stop)
    loop.run()
    adverts = [line for line in rig.log if line.startswith("advert")]
    assert adverts == ["advert 1 255", "advert 1 255", "advert 1 120", "advert 1 0"]
    assert rig.router.state is INITIALIZE


def test_submitted_before_the_start_is_handled_after_it(world):
    rig = Wired()
    loop = Loop([rig.node], clock=world.clock)
    loop.submit(rig.router, PriorityChanged(254))
    world.at(1.0, loop.stop)
    loop.run()
    assert rig.router.priority == 254


def test_wrong_events_are_refused_where_they_are_submitted(world):
    rig = Wired()
    loop = Loop([rig.node], clock=world.clock)
    with pytest.raises(ConfigError, match="priority must be 1-255, not 300"):
        loop.submit(rig.router, PriorityChanged(300))
    with pytest.raises(ConfigError, match="vrid must stay 1 while the router exists, not 2"):
        loop.submit(rig.router, ConfigChanged(config(vrid=2)))
    with pytest.raises(ConfigError, match="must belong to a Node of this loop"):
        loop.submit(Router(config()), Shutdown())


def test_a_router_that_has_gone_is_refused(world):
    rig = Wired(config(vrid=1), config(vrid=2))
    loop = Loop([rig.node], clock=world.clock)
    refused = []

    def remove():
        loop.submit(rig.router, PriorityChanged(7))  # dropped: at its turn the router will have gone
        rig.node.remove(rig.router, world.now)
        try:
            loop.submit(rig.router, PriorityChanged(8))
        except ConfigError as error:
            refused.append(error)
        loop.stop()

    world.at(1.0, remove)
    loop.run()
    assert len(refused) == 1
    assert rig.router.priority == 100
    with pytest.raises(ConfigError, match="the loop has ended"):
        loop.submit(rig.routers[1], Shutdown())
    loop.stop()  # may come too late


def test_stopped_before_it_runs_it_starts_nothing(world):
    rig = Wired()
    loop = Loop([rig.node], clock=world.clock)
    loop.stop()
    loop.run()
    assert rig.log == []


def test_a_loop_runs_once():
    loop = Loop([])
    loop.stop()
    loop.run()
    with pytest.raises(ConfigError, match="a Loop runs once"):
        loop.run()


def test_the_same_node_twice_is_refused():
    node = Wired().node
    with pytest.raises(ConfigError, match="nodes must differ"):
        Loop([node, node])


# -- sync groups --


def grouped(priority: int = 100) -> tuple[SyncGroup, Wired, Wired]:
    """A group across two Nodes, on two interfaces."""
    first = Wired(config(vrid=1, priority=priority), descriptor=900, watch=FakeWatch())
    second = Wired(config(vrid=2, priority=50), descriptor=901, watch=FakeWatch())
    for rig in (first, second):
        rig.transport.log = rig.backend.log = rig.log = first.log
    return SyncGroup(first.router, second.router), first, second


def serve_group(world, group, *rigs, until, notify=None):
    loop = Loop([rig.node for rig in rigs], [group], clock=world.clock, notify=notify)
    world.at(until, loop.stop)
    loop.run()


def told(notices) -> list[tuple]:
    return [
        (notice.vrid, notice.report.new, notice.report.reason)
        for notice in notices
        if isinstance(notice.report, StateChanged)
    ]


@pytest.mark.parametrize("priority", [100, 255])
def test_a_group_becomes_active_together_when_its_leader_does(world, priority):
    group, first, second = grouped(priority)
    notices = []
    serve_group(world, group, first, second, until=9.0, notify=notices.append)
    changes = told(notices)
    reason = Reason.PRIORITY if priority == 255 else Reason.NO_RESPONSE
    assert [change for change in changes if change[1] is ACTIVE] == [(1, ACTIVE, reason), (2, ACTIVE, Reason.GROUP)]
    times = {notice.time for notice in notices if getattr(notice.report, "new", None) is ACTIVE}
    assert len(times) == 1 or priority == 255  # the second Node starts after the first
    assert changes[-2:] == [(1, INITIALIZE, Reason.SHUTDOWN), (2, INITIALIZE, Reason.SHUTDOWN)]


def test_the_group_has_followed_before_anybody_is_told(world):
    group, first, second = grouped()
    seen = []

    def notify(notice):
        seen.append((notice.vrid, first.router.state, second.router.state))

    serve_group(world, group, first, second, until=9.0, notify=notify)
    assert (1, ACTIVE, ACTIVE) in seen
    assert (1, ACTIVE, BACKUP) not in seen


@pytest.mark.parametrize("lost", [0, 1])
def test_a_host_lost_on_one_interface_makes_both_leave_and_its_return_brings_both_back(world, lost):
    group, *rigs = grouped()
    notices = []

    def change(kind):
        rigs[lost].node._watch.add(kind, "eth0")
        world.readable.add(rigs[lost].node._watch.fileno())

    world.at(10.0, lambda: change(HostChangeKind.PARENT_DOWN))
    world.at(20.0, lambda: change(HostChangeKind.PARENT_UP))
    serve_group(world, group, *rigs, until=60.0, notify=notices.append)
    during = [(c, n) for c, n in zip(told(notices), [n for n in notices if told([n])], strict=True)]
    away = [change[:2] for change, notice in during if 1010 <= notice.time < 1020]
    assert sorted(away) == sorted([(lost + 1, INITIALIZE), (2 - lost, BACKUP)])
    back = [change[:2] for change, notice in during if 1020 <= notice.time < 1059]
    assert back == [(lost + 1, BACKUP), (1, ACTIVE), (2, ACTIVE)]
    for rig in rigs:
        rig.node._watch.close()


def test_a_rival_on_the_followers_lan_makes_both_leave_until_it_is_silent(world):
    group, first, second = grouped()
    notices = []

    def arrive():
        second.transport.deliver(rival_frame(200, vrid=2))
        world.readable.add(second.descriptor)

    for tenth in range(100, 300, 10):
        world.at(tenth / 10, arrive)
    serve_group(world, group, first, second, until=60.0, notify=notices.append)
    assert told(notices)[4:-2] == [
        (2, BACKUP, Reason.HIGHER_PRIORITY),
        (1, BACKUP, Reason.GROUP),
        (1, ACTIVE, Reason.NO_RESPONSE),
        (2, ACTIVE, Reason.GROUP),
    ]


def test_a_member_of_another_loop_or_of_two_groups_is_refused():
    group, first, second = grouped()
    with pytest.raises(ConfigError, match="must belong to a Node of this loop"):
        Loop([first.node], [group])
    with pytest.raises(ConfigError, match="groups must share no Router, but two have vrid 1"):
        Loop([first.node, second.node], [group, SyncGroup(first.router, second.router)])


def test_what_happens_to_a_member_that_was_removed_concerns_nobody(world):
    group, first, second = grouped()
    world.at(5.0, lambda: second.node.remove(second.router, world.now))
    world.at(6.0, lambda: first.transport.deliver(rival_frame(200)) or world.readable.add(first.descriptor))
    serve_group(world, group, first, second, until=20.0)
    assert second.log.count("activate 2") == 1
    assert first.log.count("activate 1") == 2


# -- errors --


def test_when_the_second_node_cannot_start_the_first_is_stopped(world):
    first, second = Wired(config(priority=255)), Wired(config(vrid=2), descriptor=901)
    second.backend.failing = {"prepare"}
    notices = []
    with pytest.raises(BackendError, match="prepare refused"):
        serve(world, first, second, until=9.0, notify=notices.append)
    assert first.log[-3:] == ["advert 1 0", "deactivate 1", "close 1"]
    assert second.log == ["prepare 2", "close 2"]
    assert [notice.report.new for notice in notices] == [ACTIVE, INITIALIZE]


def test_everybody_resigns_before_the_first_close(world):
    first, second = Wired(config(priority=255)), Wired(config(vrid=2, priority=255), descriptor=901)
    second.log = first.log
    second.transport.log = second.backend.log = first.log
    serve(world, first, second, until=0.5)
    assert first.log[-6:] == [
        *("advert 1 0", "deactivate 1", "advert 2 0", "deactivate 2"),
        *("close 2", "close 1"),
    ]


@pytest.mark.parametrize("when", [BACKUP, ACTIVE, INITIALIZE])
def test_when_notify_raises_everything_is_stopped_first(world, when):
    first, second = Wired(config(priority=200)), Wired(config(vrid=2, priority=200), descriptor=901)
    calls = []

    def notify(notice):
        calls.append(notice)
        if isinstance(notice.report, StateChanged) and notice.report.new is when:
            raise RuntimeError("full disk")

    with pytest.raises(RuntimeError, match="full disk"):
        serve(world, first, second, until=9.0, notify=notify)
    assert first.log[-1] == "close 1"
    assert {router.state for router in (first.router, second.router)} == {INITIALIZE}
    assert calls[-1].report.new is when  # it is not called again


def test_one_node_that_breaks_at_the_end_does_not_keep_the_others(world):
    first, second = Wired(config(priority=255)), Wired(config(vrid=2, priority=255), descriptor=901)

    def broken(now):
        raise ZeroDivisionError

    second.node.stop = broken
    with pytest.raises(ZeroDivisionError):
        serve(world, first, second, until=1.0)
    assert first.log[-1] == "close 1"


def test_a_transport_without_descriptor_cannot_be_waited_for():
    rig = Rig()
    with pytest.raises(BackendError, match="no file descriptor"):
        Loop([rig.node]).run()
    assert rig.log == ["prepare 1", "close 1"]
