"""One interface with its virtual routers: frames in, frames out, host changed; still without a loop or a clock."""

from __future__ import annotations

import collections
import itertools
import math
from collections.abc import Sequence
from typing import assert_never

from vrrplib.agenda import Agenda
from vrrplib.backends.base import HostChange, HostChangeKind, NetBackend, Watch
from vrrplib.election.actions import (
    Action,
    Activate,
    Announce,
    Deactivate,
    Effect,
    HostChanged,
    HostFailed,
    LeftAlone,
    Reconfigure,
    Report,
    SendAdvertisement,
)
from vrrplib.election.events import Event, Shutdown, Startup, TimerExpired
from vrrplib.election.router import Router
from vrrplib.election.states import Reason, State
from vrrplib.errors import BackendError, ConfigError
from vrrplib.member import FIRST_RETRY, LAST_RETRY, Member, NodeStatistics, by_kind, prepare_all, rebuild_all
from vrrplib.member import Notice as Notice  # noqa: PLC0414  # it is public here
from vrrplib.transports.base import Transport
from vrrplib.wire.addresses import Family
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import parse

MOST_FRAMES_PER_STEP = 1024
MOST_CHANGES_PER_STEP = 16  # of the host, each of which may take a millisecond to answer
LONGEST_KEPT, MOST_KEPT = 256, 2
"""Bytes of a frame that is known again when it repeats, and how many such for each virtual router."""
_TIMER_EXPIRED = TimerExpired()


class Node:
    """Binds Routers to one interface: a Transport, and a NetBackend for each of them.

    Call :meth:`start`, then :meth:`step` whenever one of ``filenos`` is readable or ``deadline`` has come, and
    :meth:`stop` at the end. ``now`` is in seconds on any clock that only goes forward. A Node belongs to one
    thread at a time; the transport (and the watch) stay the caller's to close.
    """

    def __init__(self, transport: Transport, *, watch: Watch | None = None) -> None:
        self.transport = transport
        self.statistics = NodeStatistics()
        self._watch = watch
        self._members: dict[tuple[Family, int], Member] = {}
        self._numbers = itertools.count()
        self._agenda = Agenda()
        self._known: dict[bytes, tuple[Member, Datagram]] = {}
        self._started = False
        self._drained = True
        self._absent: HostChange | None = None  # why the interface cannot be used
        self._changes: collections.deque[HostChange] = collections.deque()  # to be answered
        self._is_gone = False  # the interface, and with it what the transport was bound to

    @property
    def routers(self) -> tuple[Router, ...]:
        """The Routers, in the order in which they were added."""
        return tuple(member.router for member in tuple(self._members.values()))  # a copy: other threads may ask

    def add(self, router: Router, backend: NetBackend) -> None:
        """Add a Router before :meth:`start`; ConfigError for a second one of its family and VRID.

        Also for company that an exclusive backend (MAC swap) does not stand.
        """
        if self._started:
            raise ConfigError("a Router must be added before the Node is started")
        key = (router.config.family, router.config.vrid)
        name = self.transport.interface
        if key in self._members:
            raise ConfigError(f"vrid must differ on {name}, but {key[1]} is there twice for IPv{key[0]}")
        for exclusive in (*(member.backend for member in self._members.values()), backend):
            if exclusive.exclusive and self._members:
                raise ConfigError(
                    f"{type(exclusive).__name__} must be alone on {name}: an interface has one MAC address, "
                    "and it cannot be that of two virtual routers"
                )
        self._members[key] = Member(router, backend, number=next(self._numbers))
        if self._watch is not None:
            self._watch.follow(backend)

    def remove(self, router: Router, now: float) -> tuple[Notice, ...]:
        """Shut ``router`` down, give the host back, and forget it."""
        member = self._member(router)
        notices: list[Notice] = []
        self._end(member, now, notices)
        self._close(member, now, notices)
        self._tell_left(member, now, notices)
        if self._watch is not None:
            self._watch.forget(member.backend)
        self._members.pop((router.config.family, router.config.vrid))
        self._agenda.forget(member)
        self._known.clear()
        return tuple(notices)

    @property
    def deadline(self) -> float | None:
        """When :meth:`step` must be called at the latest; None while nothing is pending."""
        if self._changes or not self._drained:
            return -math.inf  # something waits: now
        return self._agenda.earliest()

    @property
    def filenos(self) -> tuple[int, ...]:
        """The descriptors to wait on for reading."""
        descriptors = (self.transport.fileno(),)
        return descriptors if self._watch is None else (*descriptors, self._watch.fileno())

    def start(self, now: float) -> tuple[Notice, ...]:
        """Prepare every backend and start every Router; the first BackendError, after all was given back."""
        prepare_all(self._members.values())
        self._started = True
        notices: list[Notice] = []
        self._look(now, notices)
        for member in self._members.values():
            if self._absent is None:
                self._handle(member, Startup(), now, notices)
            else:
                self._wait(member, self._absent, now, notices)
        return tuple(notices)

    def step(self, now: float) -> tuple[Notice, ...]:
        """Read what has arrived, then look at the timers: in this order, or a Backup that was paused would flap."""
        notices: list[Notice] = []
        self._look(now, notices)
        self._drained = self._read(now, notices)
        taken = self._agenda.take(now)
        for member in taken:
            router = member.router
            # While frames wait, a Backup must not promote itself before it has read them, one skew_time at most;
            # an Active router goes on advertising whatever the flood.
            if (
                self._drained
                or router.state is not State.BACKUP
                or (router.deadline is not None and now >= router.deadline + router.skew_time)
            ):
                self._perform(member, router.handle(_TIMER_EXPIRED, now), now, notices)
            else:
                self._agenda.note(member)
        if again := [each for each in taken if each.retry_at is not None and now >= each.retry_at]:
            self._retry(again, now, notices)
        return tuple(notices)

    def stop(self, now: float) -> tuple[Notice, ...]:
        """Resign wherever we are Active, then give the host back. The transport stays open."""
        notices: list[Notice] = []
        for member in self._members.values():  # all resign before the first link is removed, which takes long
            self._end(member, now, notices)
        for kind, members in by_kind(self._members.values()).items():
            try:
                kind.close_all([member.backend for member in members])
            except BackendError:
                for member in members:  # once more, to say which
                    self._close(member, now, notices)
            for member in members:
                self._tell_left(member, now, notices)
        self._started, self._drained = False, True
        self._changes.clear()
        self._known.clear()
        return tuple(notices)

    def handle(self, router: Router, event: Event, now: float) -> tuple[Notice, ...]:
        """Give ``event`` to a Router of this Node and do what it asks for."""
        notices: list[Notice] = []
        member = self._member(router)
        if self._absent is not None and isinstance(event, Startup):
            self._wait(member, self._absent, now, notices)
        else:
            self._handle(member, event, now, notices)
        return tuple(notices)

    # -- frames in --

    def _read(self, now: float, notices: list[Notice]) -> bool:
        """Read up to a bound; whether nothing is left."""
        for _ in range(MOST_FRAMES_PER_STEP):
            frame = self.transport.receive()
            if frame is None:
                return True
            self._receive(frame, now, notices)
        return False

    def _receive(self, frame: bytes, now: float, notices: list[Notice]) -> None:
        self.statistics.frames += 1
        known = self._known.get(frame)  # adverts repeat, and so do their frames where IP does not number them
        if known is not None:
            self._perform(known[0], known[0].router.receive(known[1], now), now, notices)
            return
        # A packet socket sees frames before the kernel checks them, and a checksum over the message alone does not
        # cover the source address, by which elections are decided: RFC 1122 3.2.1.2.
        datagram = parse(frame, verify_header=True)
        if datagram is None:
            self.statistics.not_vrrp += 1
            return
        vrid = datagram.payload[1] if len(datagram.payload) > 1 else 0
        member = self._members.get((datagram.family, vrid))
        if member is None:
            self.statistics.foreign += 1
            return
        if len(frame) <= LONGEST_KEPT:
            if len(self._known) >= MOST_KEPT * len(self._members):
                self._known.clear()
            self._known[frame] = member, datagram
        self._perform(member, member.router.receive(datagram, now), now, notices)

    # -- actions out --

    def _handle(self, member: Member, event: Event, now: float, notices: list[Notice]) -> None:
        if isinstance(event, Startup | Shutdown):
            member.retry_at = None
        self._perform(member, member.router.handle(event, now), now, notices)
        if member.router.state is State.BACKUP:
            member.encode_ahead()

    def _perform(self, member: Member, actions: tuple[Action, ...], now: float, notices: list[Notice]) -> None:
        for action in actions:
            if isinstance(action, Report):
                self._report(member, action, now, notices)
                continue
            try:
                self._effect(member, action, now)
            except BackendError as error:
                self._report(member, _failure(action, error), now, notices)
                if isinstance(action, Activate | Reconfigure):
                    # nothing was advertised, or what was no longer holds: give up without a word, and try again
                    self._lose_host(member, now, notices)
                    return
        self._agenda.note(member)

    def _effect(self, member: Member, effect: Effect, now: float) -> None:
        match effect:
            case SendAdvertisement():  # the first two, for there are many
                encoded = member.encode(effect)
                if isinstance(encoded, Datagram):
                    self.transport.send_datagram(encoded)
                else:
                    self.transport.send(encoded)
            case Announce():
                self.transport.send(member.announcement(effect.address))
            case Activate():
                member.backend.activate()
                member.activated(now)
            case Deactivate():
                member.backend.deactivate()
            case Reconfigure():
                member.backend.reconfigure(effect.config)
            case _:
                assert_never(effect)

    # -- the host --

    def _look(self, now: float, notices: list[Notice]) -> None:
        """Answer what the host did by itself."""
        if not self._changes and self._watch is not None:  # else it would tell again what is still to be answered
            self._changes += self._watch.read()
        for _ in range(min(MOST_CHANGES_PER_STEP, len(self._changes))):  # adverts must not wait for hundreds
            change = self._changes.popleft()
            match change.kind:
                case HostChangeKind.PARENT_DOWN | HostChangeKind.CARRIER_LOST | HostChangeKind.PARENT_GONE:
                    self._lose_parent(change, now, notices)
                case HostChangeKind.PARENT_UP:
                    self._regain_parent(change, now, notices)
                case HostChangeKind.PARENT_RENAMED | HostChangeKind.PARENT_MAC:
                    self._go_on(change, now, notices)
                case _:
                    for member in self._members.values():
                        if change.backend in (None, member.backend):
                            self._repair(member, change, now, notices)

    def _lose_parent(self, change: HostChange, now: float, notices: list[Notice]) -> None:
        """Nobody hears us: nothing is resigned, and until the parent is back nothing is tried."""
        self._absent = change
        self._is_gone |= change.kind is HostChangeKind.PARENT_GONE
        for member in self._members.values():
            if member.router.state is not State.INITIALIZE:
                self._wait(member, change, now, notices)
            elif member.retry_at is not None:
                member.retry_at = math.inf
            member.rebuild |= self._is_gone

    def _wait(self, member: Member, change: HostChange, now: float, notices: list[Notice]) -> None:
        self._report(member, HostChanged(change.kind, change.message, "waits"), now, notices)
        self._handle(member, Shutdown(Reason.HOST, resign=False), now, notices)
        member.retry_at = math.inf

    def _regain_parent(self, change: HostChange, now: float, notices: list[Notice]) -> None:
        if self._is_gone:
            try:
                self.transport.reopen()
            except BackendError as error:
                failed = HostFailed("reopen", str(error), error.errno)
                notices.append(Notice(now, self.transport.interface, None, None, failed))
                return
        self._absent, self._is_gone = None, False
        waiting = [member for member in self._members.values() if member.retry_at is not None]
        for member in waiting:
            self._report(member, HostChanged(change.kind, change.message, "restarts"), now, notices)
            member.retry_after = FIRST_RETRY
        self._retry(waiting, now, notices)

    def _go_on(self, change: HostChange, now: float, notices: list[Notice]) -> None:
        if change.kind is HostChangeKind.PARENT_RENAMED:  # sockets and prepared messages go by its index
            self.transport.interface = change.value
            for member in self._members.values():
                member.backend.renamed(change.value)
        went_on = HostChanged(change.kind, change.message, "went-on")
        notices.append(Notice(now, self.transport.interface, None, None, went_on))

    def _repair(self, member: Member, change: HostChange, now: float, notices: list[Notice]) -> None:
        """Put back what somebody took away, or, where that becomes a fight, resign: the parent still carries it."""
        is_idle, is_filter = member.router.state is State.INITIALIZE, change.kind is HostChangeKind.FILTER_LOST
        if is_idle and (not is_filter or member.rebuild):  # a link that stands must be kept silent even then
            member.rebuild = True
            return
        answer, failed = "gave-up", None
        if member.may_repair(now):
            try:
                if is_filter:
                    member.backend.repair_tables()
                else:
                    member.backend.repair(change.value)
                answer = "repaired"
            except BackendError as error:
                failed = HostFailed("repair", str(error), error.errno)
        self._report(member, HostChanged(change.kind, change.message, answer), now, notices)
        if failed is not None:
            self._report(member, failed, now, notices)
        if answer != "repaired":
            if is_idle:
                member.rebuild = True
            else:
                self._lose_host(member, now, notices, resign=True)
            return
        member.encode_ahead()  # its MAC may be another
        if member.router.state is State.ACTIVE:
            announcements = (Announce(address.ip) for address in member.router.config.addresses)
            self._perform(member, tuple(announcements), now, notices)

    def _lose_host(self, member: Member, now: float, notices: list[Notice], *, resign: bool = False) -> None:
        self._handle(member, Shutdown(Reason.HOST, resign=resign), now, notices)
        member.rebuild = True
        self._retry_later(member, now)

    def _retry_later(self, member: Member, now: float) -> None:
        # Without its parent a virtual router would become Active and be heard by nobody: wait for PARENT_UP.
        member.retry_at = now + member.retry_after if self._absent is None else math.inf
        member.retry_after = min(2 * member.retry_after, LAST_RETRY)
        self._agenda.note(member)

    def _retry(self, members: Sequence[Member], now: float, notices: list[Notice]) -> None:
        rebuild_all(members)
        for member in members:
            try:
                member.rebuild_alone()
            except BackendError as error:
                self._report(member, HostFailed("prepare", str(error), error.errno), now, notices)
                self._retry_later(member, now)
            else:
                self._handle(member, Startup(), now, notices)

    def _end(self, member: Member, now: float, notices: list[Notice]) -> None:
        self._handle(member, Shutdown(), now, notices)

    def _close(self, member: Member, now: float, notices: list[Notice]) -> None:
        try:
            member.backend.close()
        except BackendError as error:
            self._report(member, HostFailed("close", str(error), error.errno), now, notices)

    def _tell_left(self, member: Member, now: float, notices: list[Notice]) -> None:
        for message in member.backend.left_alone():
            self._report(member, LeftAlone(message), now, notices)

    # -- notices --

    def _report(self, member: Member, report: Report, now: float, notices: list[Notice]) -> None:
        notice = member.notice(report, self.transport.interface, now)
        if notice is not None:
            notices.append(notice)

    def _member(self, router: Router) -> Member:
        member = self._members.get((router.config.family, router.config.vrid))
        if member is None or member.router is not router:
            raise ConfigError(f"router must have been added to this Node, not {router!r}")
        return member


def _failure(effect: Effect, error: BackendError) -> HostFailed:
    return HostFailed(type(effect).__name__.lower(), str(error), error.errno)
