"""The blocking driver on a clock that waiting moves on; test_blocking_real.py has the kernel's part."""

from __future__ import annotations

import os

import pytest

from tests.election.play import ACTIVE, BACKUP, INITIALIZE, config
from tests.node_parts import Rig, rival_frame
from vrrplib.drivers import blocking
from vrrplib.drivers.blocking import TIMER_SLACK, WAIT_SLACK, Loop
from vrrplib.election.actions import StateChanged
from vrrplib.election.events import ConfigChanged, PriorityChanged, Shutdown, Startup
from vrrplib.election.router import Router
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
