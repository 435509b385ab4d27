"""A machine on a simulated LAN without a Node in it, and so without most of what time goes by in."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import assert_never

from vrrplib.backends.base import NetBackend
from vrrplib.election.actions import (
    Action,
    Activate,
    Announce,
    Deactivate,
    Discarded,
    Reconfigure,
    Report,
    SendAdvertisement,
    Warned,
)
from vrrplib.election.events import Event, Shutdown, Startup, TimerExpired
from vrrplib.election.router import Router
from vrrplib.errors import ConfigError
from vrrplib.lab.lan import Port
from vrrplib.lab.machines import MOST_SEEN, Seen, SimulatedNode, key_of
from vrrplib.member import MOST_FRAMES_KEPT, REPORT_SPACING
from vrrplib.node import Notice
from vrrplib.wire.addresses import IPAddress, MacAddress
from vrrplib.wire.frames import advertisement_frame, announcement_frame

_TIMER_EXPIRED = TimerExpired()


class _Member:
    """A virtual router of a lean machine, and what the machine remembers about it."""

    __slots__ = (
        "announcements",
        "backend",
        "deadline",
        "due",
        "frames",
        "heard",
        "reported",
        "router",
        "wake",
    )

    def __init__(self, node: LeanNode, router: Router, backend: NetBackend) -> None:
        self.router = router
        self.backend = backend
        self.frames: dict[int, tuple[SendAdvertisement, bytes]] = {}
        self.announcements: dict[tuple[IPAddress, MacAddress], bytes] = {}
        self.reported: dict[tuple[object, ...], tuple[float, int]] = {}
        self.heard: dict[Seen, float] | None = None
        self.deadline = self.due = math.inf  # for which it is to be woken, and when that is
        self.wake: Callable[[], None] = functools.partial(node.expire, self)


class LeanNode(SimulatedNode):
    """A machine whose Routers are driven directly, with the same frames and notices as through a Node.

    It takes a fraction of the time. Its backends must be such that never fail; it has no ``node`` and no
    ``transport``.
    """

    _members: dict[int, _Member]

    def receive(self, frame: bytes) -> None:
        seen = self._world.eyes.known.get(frame)
        if seen is None:
            seen = self._world.eyes.read(frame)
        if self.alive and not self.paused:
            member = self._members.get(seen.key)
            if member is not None:
                self._hear(member, seen)
                return
        if seen.datagram is None:
            self.answer(frame)
        elif self.alive and self.paused:
            self._waiting.append(frame)

    def kill(self) -> None:
        super().kill()
        for member in self._members.values():
            member.deadline = member.due = math.inf

    def stop(self) -> None:
        for member in self._members.values():
            self._run(member, Shutdown())
        for backend in self.backends:
            backend.close()
        self.kill()

    def resume(self) -> None:
        self.paused = False
        if self.alive:
            while self._waiting:
                seen = self._world.eyes.read(self._waiting.popleft())
                member = self._members.get(seen.key)
                if member is not None:
                    self._hear(member, seen)
            for member in self._members.values():
                self._run(member, _TIMER_EXPIRED)

    def handle(self, router: Router, event: Event) -> None:
        for member in self._members.values():
            if member.router is router:
                self._run(member, event)
                return
        raise ConfigError(f"router must be one of {self.name}'s, not {router!r}")

    def set_clock(self, *, rate: float = 1.0, ahead: float = 0.0) -> None:
        self.clock.change(self._world.now, rate=rate, ahead=ahead)
        self._rate, self._offset = self.clock.rate, self.clock.offset
        for member in self._members.values():
            member.deadline = member.due = math.inf
            self._arm(member, member.router.deadline)

    # -- inside --

    def _start(self) -> None:
        self._port: Port = self._world.switch.connect(self.name, self.receive)
        self._rate, self._offset = self.clock.rate, self.clock.offset
        self._members = {}
        for router, backend in zip(self.routers, self.backends, strict=True):
            key = key_of(router.config.family, router.config.vrid)
            if router.config.peers:
                raise ConfigError("peers must be none for a lean machine: there is nothing that routes to them")
            if key in self._members:
                raise ConfigError(f"vrid must differ on {self.name}, but {router.config.vrid} is there twice")
            member = self._members[key] = _Member(self, router, backend)
            if self.heard is not None:
                member.heard = self.heard.setdefault(key, {})
            backend.prepare()
        for member in self._members.values():
            self._run(member, Startup())

    def _send(self, frame: bytes) -> None:
        self._world.switch.forward(self._port, frame)

    def _hear(self, member: _Member, seen: Seen) -> None:
        world, heard, router = self._world, member.heard, member.router
        world.events += 1
        now = world.now
        if heard is not None:
            heard.pop(seen, None)  # as note(), which would take a tenth of all the time
            heard[seen] = now
            if len(heard) > MOST_SEEN:
                del heard[next(iter(heard))]
        local = self._offset + self._rate * now
        actions = router.receive(seen.datagram, local)  # type: ignore[arg-type]  # it has a key
        if actions:
            self._perform(member, actions, local)
        deadline = router.deadline
        if deadline is not None and deadline < member.deadline:
            self._arm(member, deadline)

    def expire(self, member: _Member) -> None:
        """The time has come at which ``member`` was to be woken."""
        now = self._world.now
        if member.due != now:
            return  # another call has come meanwhile
        member.deadline = member.due = math.inf
        router = member.router
        deadline = router.deadline
        if deadline is None or self.paused or not self.alive:
            return
        if (deadline - self._offset) / self._rate <= now:
            self._world.events += 1
            local = self._offset + self._rate * now
            if local < deadline:  # noqa: PLR1730  # rounded; max() takes three times as long
                local = deadline
            self._perform(member, router.handle(_TIMER_EXPIRED, local), local)
            deadline = router.deadline
        self._arm(member, deadline)

    def _run(self, member: _Member, event: Event) -> None:
        now = self.now
        self._perform(member, member.router.handle(event, now), now)
        self._arm(member, member.router.deadline)

    def _arm(self, member: _Member, deadline: float | None) -> None:
        """Ask to be woken, unless that is done. A deadline that moves away is seen to when the old one comes."""
        if deadline is None or deadline >= member.deadline or self.paused or not self.alive:
            return
        due = (deadline - self._offset) / self._rate
        if due < self._world.now:  # noqa: PLR1730
            due = self._world.now
        member.deadline, member.due = deadline, due
        self._world.wake(due, member.wake)

    def _perform(self, member: _Member, actions: tuple[Action, ...], local: float) -> None:
        for action in actions:
            match action:
                case SendAdvertisement():
                    self._advertise(member, action)
                case Report():
                    self._report(member, action, local)
                case Announce():
                    self._announce(member, action.address)
                case Activate():
                    member.backend.activate()
                case Deactivate():
                    member.backend.deactivate()
                case Reconfigure():
                    member.backend.reconfigure(action.config)
                case _:
                    assert_never(action)

    def _advertise(self, member: _Member, action: SendAdvertisement) -> None:
        known = member.frames.get(id(action))  # the same object while nothing changes
        if known is None or known[0] is not action:
            if len(member.frames) >= MOST_FRAMES_KEPT:
                member.frames.clear()
            frame = advertisement_frame(action.datagram(), member.backend.mac)
            known = member.frames[id(action)] = (action, frame)
        self._world.switch.forward(self._port, known[1])

    def _announce(self, member: _Member, address: IPAddress) -> None:
        key = (address, member.backend.mac)
        if key not in member.announcements:
            member.announcements[key] = announcement_frame(*key)
        self._send(member.announcements[key])

    def _report(self, member: _Member, report: Report, local: float) -> None:
        """As a Node does it: what can come with every message is told once in a while."""
        suppressed = 0
        if isinstance(report, Discarded | Warned):
            key = (type(report), report.reason)
            last, suppressed = member.reported.get(key, (-math.inf, 0))
            if local < last + REPORT_SPACING:
                member.reported[key] = (last, suppressed + 1)
                return
            member.reported[key] = (local, 0)
        config = member.router.config
        self._tell((Notice(local, self.name, config.family, config.vrid, report, suppressed),))
