"""A loop for programs that have none: waits with select(2) for frames and deadlines, in the thread that runs it."""

from __future__ import annotations

import collections
import contextlib
import os
import select
import signal
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterable
from types import FrameType

from vrrplib.election.events import ConfigChanged, Event, PriorityChanged, Shutdown
from vrrplib.election.groups import SyncGroup
from vrrplib.election.router import Router
from vrrplib.errors import ConfigError, require_int
from vrrplib.node import Node, Notice
from vrrplib.wire.addresses import Family

Clock = Callable[[], float]
Notify = Callable[[Notice], object]

FIRST_TOO_LARGE = 1024
"""select(2) takes no descriptor from here on (FD_SETSIZE)."""
LONGEST_WAIT = 3600.0
TIMER_SLACK = 50e-6
"""Seconds by which the kernel may be late of its own will, and is: prctl(2), PR_SET_TIMERSLACK."""
WAIT_SLACK = 1 / 200
"""The part of a wait by which select(2) and poll(2) may be late besides: 1/1000, and 1/200 for a niced process."""


class Loop:
    """Runs Nodes in one thread until :meth:`stop`; :meth:`submit` and :meth:`stop` are for any thread.

    ``clock`` gives seconds and only goes forward; waiting takes its seconds for real ones. ``notify`` is called in
    the thread of :meth:`run` with each Notice; it may call :meth:`submit` and :meth:`stop`, and should not take
    long, for nothing is advertised meanwhile. A Loop runs once. The Nodes' transports stay the caller's to close.

    ``groups`` are sync groups of Routers of these Nodes, each in one at most. What a member does, the others follow
    before ``notify`` is called: on the LANs they are one machine, and a slow ``notify`` must not part them.
    ConfigError for a member that no Node has.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        groups: Iterable[SyncGroup] = (),
        *,
        clock: Clock = time.monotonic,
        notify: Notify | None = None,
    ) -> None:
        self._nodes = tuple(nodes)
        if len({id(node) for node in self._nodes}) != len(self._nodes):
            raise ConfigError("nodes must differ, but one is there twice")
        self._groups = tuple(groups)
        self._members: dict[tuple[int, Family | None, int | None], tuple[SyncGroup, Router]] = {}
        for group in self._groups:
            for router in group.routers:
                place = (id(self._node_of(router)), router.config.family, router.config.vrid)
                if place in self._members:
                    raise ConfigError(f"groups must share no Router, but two have vrid {router.config.vrid}")
                self._members[place] = group, router
        self._clock = clock
        self._notify = notify
        self._submitted: collections.deque[tuple[Node, Router, Event]] = collections.deque()
        self._begun = threading.Lock()  # never released: once only
        self._stopping = self._ended = False
        self._alarm = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # Not closed when run() ends: another thread may just be about to write to it.
        weakref.finalize(self, os.close, self._alarm)

    def submit(self, router: Router, event: Event) -> None:
        """Have ``event`` handled by a Router of these Nodes soon; from any thread or signal handler.

        ConfigError at once if no Node here has the Router (any more), if the loop has ended, or if the event's
        value is not allowed.
        """
        if self._ended:
            raise ConfigError(f"the loop has ended: it cannot take {event!r}")
        node = self._node_of(router)
        _check(router, event)
        self._submitted.append((node, router, event))
        os.eventfd_write(self._alarm, 1)

    def stop(self) -> None:
        """End :meth:`run` soon, or before it begins; from any thread or signal handler, any number of times."""
        self._stopping = True
        os.eventfd_write(self._alarm, 1)

    def run(self) -> None:
        """Start the Nodes, serve them until :meth:`stop`, stop them.

        BackendError when a Node cannot start. Whatever is raised, also by ``notify``, all Nodes that were started
        are stopped first.
        """
        if not self._begun.acquire(blocking=False):
            raise ConfigError("a Loop runs once: make another")
        with contextlib.ExitStack() as stack:
            stack.callback(self._end)
            if self._stopping:
                return
            for group in self._groups:
                for router, event in group.begin():
                    self._node_of(router).handle(router, event, self._clock())
            for node in self._nodes:
                notices = node.start(self._clock())
                stack.callback(self._stop, node)
                self._settle(node, notices)
            stack.callback(self._resign)  # the last in is the first out: all resign before the first one closes
            self._serve()

    # -- while it runs --

    def _serve(self) -> None:
        owners = {descriptor: node for node in self._nodes for descriptor in node.filenos}
        wait = _waiter((self._alarm, *owners))
        while not self._stopping:
            ready = wait(self._patience())
            if self._alarm in ready:
                self._take_submitted()
            roused = {id(owners[descriptor]) for descriptor in ready if descriptor in owners}
            for node in self._nodes:
                now = self._clock()
                deadline = node.deadline
                if id(node) in roused or (deadline is not None and deadline <= now):
                    self._settle(node, node.step(now))

    def _patience(self) -> float:
        """Seconds to wait at most."""
        deadlines = [deadline for node in self._nodes if (deadline := node.deadline) is not None]
        if not deadlines:
            return LONGEST_WAIT
        remaining = min(deadlines) - self._clock()
        if remaining > 2 * TIMER_SLACK:
            # If that is too early after all, the next wait is for the rest.
            remaining -= max(TIMER_SLACK, remaining * WAIT_SLACK)
        return min(max(remaining, 0.0), LONGEST_WAIT)

    def _take_submitted(self) -> None:
        os.eventfd_read(self._alarm)  # before looking: what is added from now on wakes us again
        for _ in range(len(self._submitted)):
            node, router, event = self._submitted.popleft()
            if router in node.routers:  # it may have been removed meanwhile
                self._settle(node, node.handle(router, event, self._clock()))

    def _settle(self, node: Node, notices: Iterable[Notice]) -> None:
        """Have the groups follow what happened, and what comes of that; then tell it all, in its order."""
        happened = [(node, notice) for notice in notices]
        for at, notice in happened:  # it grows meanwhile
            group, reporter = self._members.get((id(at), notice.family, notice.vrid), (None, None))
            if group is None or reporter is None or reporter not in at.routers:
                continue
            for router, event in group.react(reporter, notice.report):
                with contextlib.suppress(ConfigError):  # it was removed from its Node
                    other = self._node_of(router)
                    happened += [(other, each) for each in other.handle(router, event, self._clock())]
        self._tell(notice for _, notice in happened)

    def _node_of(self, router: Router) -> Node:
        for node in self._nodes:
            if router in node.routers:
                return node
        raise ConfigError(f"router must belong to a Node of this loop, not {router!r}")

    def _tell(self, notices: Iterable[Notice]) -> None:
        notify = self._notify
        if notify is None:
            return
        try:
            for notice in notices:
                notify(notice)
        except BaseException:
            self._notify = None  # it is broken, and must not hinder the end
            raise

    # -- the end --

    def _resign(self) -> None:
        # Groups are not asked any more: all that they could say is that all leave.
        for node in self._nodes:
            for router in node.routers:
                self._tell(node.handle(router, Shutdown(), self._clock()))

    def _stop(self, node: Node) -> None:
        self._tell(node.stop(self._clock()))

    def _end(self) -> None:
        self._ended = True
        self._submitted.clear()


def run(
    nodes: Iterable[Node],
    groups: Iterable[SyncGroup] = (),
    *,
    clock: Clock = time.monotonic,
    notify: Notify | None = None,
) -> None:
    """Run a :class:`Loop` that SIGTERM and SIGINT end; afterwards they do again what they did before.

    For the main thread only, which alone may handle signals: ConfigError elsewhere.
    """
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError("run() must be called in the main thread, for its signals; use Loop elsewhere")
    loop = Loop(nodes, groups, clock=clock, notify=notify)

    def end(number: int, frame: FrameType | None) -> None:
        loop.stop()

    previous = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        loop.run()
    finally:
        for number, handler in previous.items():
            # None: not set from Python, and cannot be set again from here
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _check(router: Router, event: Event) -> None:
    """Refuse here, where the caller hears of it, what the Router would refuse in the loop's thread."""
    if isinstance(event, PriorityChanged):
        require_int("priority", event.priority, 1, 255)
    elif isinstance(event, ConfigChanged):
        router.config.require_same_router(event.config)


def _waiter(descriptors: Collection[int]) -> Callable[[float], Collection[int]]:
    """A function that waits for seconds, or until some descriptors are readable, and says which."""
    if max(descriptors) < FIRST_TOO_LARGE:
        return lambda seconds: select.select(descriptors, (), (), seconds)[0]
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)

    def wait(seconds: float) -> Collection[int]:
        # poll(2) counts whole milliseconds, and Python rounds them up: late by 0.5 ms on average. So it waits for
        # the whole ones, and the rest is slept; what arrives in that last millisecond is read after it.
        whole = int(seconds * 1000)
        if not (ready := poll.poll(whole)) and (rest := seconds - whole / 1000) > 0:
            time.sleep(rest)
            ready = poll.poll(0)
        return [descriptor for descriptor, _ in ready]

    return wait
