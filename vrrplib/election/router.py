"""The election, the only file with transitions: events in, actions out; I/O and the clock are the caller's."""

from __future__ import annotations

import math

from vrrplib.election.actions import (
    Action,
    Activate,
    Announce,
    Deactivate,
    Discarded,
    Ready,
    Reconfigure,
    SendAdvertisement,
    Stalled,
    StateChanged,
    Warned,
)
from vrrplib.election.announcing import Announcements
from vrrplib.election.config import OWNER_PRIORITY, RouterConfig
from vrrplib.election.events import (
    AdvertisementReceived,
    ConfigChanged,
    Event,
    GroupHeld,
    GroupMoved,
    PriorityChanged,
    Shutdown,
    Startup,
    TimerExpired,
)
from vrrplib.election.hearing import Hearing, heard_interval
from vrrplib.election.sending import Sender
from vrrplib.election.states import ACTIVE, BACKUP, INITIALIZE, Reason, State
from vrrplib.election.statistics import Statistics
from vrrplib.errors import Problem, require_int
from vrrplib.rules import Rules, Verdict
from vrrplib.wire.addresses import IPAddress
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.packets import Packet

TYPE_CHECKING = False  # typing is not loaded: see vrrplib/__init__.py
if TYPE_CHECKING:
    from typing import Never, TypeAlias

Actions: TypeAlias = tuple[Action, ...]


class Router:
    """One virtual router on one interface, driven by its caller; it belongs to one thread at a time.

    Give it what arrives (:meth:`receive`, :meth:`handle`) with the time in seconds on any clock that only goes
    forward, do the actions that come back in their order, and call again with ``TimerExpired`` at ``deadline``.
    Hand over all that has arrived before the timer: a Backup that was paused must see the adverts that waited.

    ``unix_time`` is Unix time less that clock's, in seconds: the HMAC trailer needs it, and nothing else.
    """

    def __init__(self, config: RouterConfig, *, unix_time: float = 0.0) -> None:
        self.config = config
        self.state = INITIALIZE
        self.priority = config.priority
        self.active_adver_interval = config.advertisement_interval  # RFC 9568 6.1: the initial value
        self.active_source: IPAddress | None = None
        self.active_priority: int | None = None
        self.held = False
        self.statistics = Statistics()
        self._timer_at: float | None = None  # Adver_Timer or Active_Down_Timer
        self._timer_set_at = 0.0
        self._preempt_at: float | None = None
        self._not_before = -math.inf
        self._resigned = False  # the Active router did, and the timer is Skew_Time
        self._listened = False
        self._announcements = Announcements()
        self._promotion_reason = Reason.NO_RESPONSE
        self._followed: AdvertisementReceived | None = None  # what set the timer, while it would do so again
        self._followed_for = 0.0
        self._sender = Sender(config)
        self._hearing = Hearing(config, unix_time)

    @property
    def deadline(self) -> float | None:
        """When the earliest of its timers is due; None while nothing is pending."""
        due, preempt, announce = self._timer_at, self._preempt_at, self._announcements.next_at
        if announce is None and preempt is None:
            return due
        return min(time for time in (due, preempt, announce) if time is not None)

    @property
    def skew_time(self) -> float:
        """Skew_Time in seconds: the local priority and the learned interval (RFC 9568 6.1)."""
        return self.config.rules.skew_time(self.priority, self.active_adver_interval)

    @property
    def active_down_interval(self) -> float:
        """Active_Down_Interval in seconds (Master_Down_Interval in RFC 5798 6.1)."""
        return self.config.rules.active_down_interval(self.priority, self.active_adver_interval)

    @property
    def advertisements(self) -> tuple[SendAdvertisement, ...]:
        """What it sends while Active, or would; the same objects until something changes, to be encoded ahead."""
        return self._sender.advertisements(self.priority)

    def receive(self, datagram: Datagram, now: float) -> Actions:
        """A datagram arrived: the checks of RFC 9568 7.1 (3768 7.1), and then the state machine."""
        if self.state is INITIALIZE:
            return ()  # RFC 9568 6.4.1 knows only Startup
        if self._sender.is_ours(datagram):
            return self._discard(Problem.LOOPED, datagram.source)
        heard = self._hearing.read(datagram, now)
        if isinstance(heard, Problem):
            return self._discard(heard, datagram.source)
        return self._advertised(heard, now)

    def handle(self, event: Event, now: float) -> Actions:
        """Something happened at ``now``. ConfigError for a priority or configuration that is not allowed."""
        match event:
            case TimerExpired():
                return self._timer(now)
            case AdvertisementReceived():
                return self._advertised(event, now)
            case Startup():
                return self._startup(now)
            case Shutdown():
                return self._shutdown(event, now)
            case PriorityChanged():
                return self._change_priority(event.priority, now)
            case ConfigChanged():
                return self._change_config(event.config, now)
            case GroupMoved():
                return self._move_with_group(event.state, now)
            case GroupHeld():
                return self._hold(event.held, now)
            case _:
                never: Never = event  # assert_never(), which typing would have to be loaded for
                raise AssertionError(f"not an event: {never!r}")

    # -- Initialize, and the ends (6.4.1, 6.4.2 (110), 6.4.3 (410)) --

    def _startup(self, now: float) -> Actions:
        if self.state is not INITIALIZE:
            return ()
        self.active_adver_interval = self.config.advertisement_interval
        self._not_before = now + self.config.startup_delay
        owner = self.priority == OWNER_PRIORITY and not self.held
        if owner and not self.config.startup_delay:
            return self._promote(Reason.PRIORITY, now)  # 6.4.1: the owner does not wait
        self._set_timer(self._not_before, 0.0 if owner else self.active_down_interval)
        self._promotion_reason = Reason.NO_RESPONSE
        return (self._enter(BACKUP, Reason.STARTUP, now),)

    def _shutdown(self, event: Shutdown, now: float) -> Actions:
        if self.state is INITIALIZE:
            return ()
        was_active = self.state is ACTIVE
        self._stop_timers()
        self.active_source = self.active_priority = None
        if not was_active:
            return (self._enter(INITIALIZE, event.reason, now),)  # 6.4.2: nothing is sent
        release = self._advertise(now, priority=0) if event.resign else ()  # 6.4.3
        return (*release, Deactivate(), self._enter(INITIALIZE, event.reason, now))

    # -- timers --

    def _timer(self, now: float) -> Actions:
        if self.state is ACTIVE:
            return self._active_timers(now)
        deadline = self.deadline
        return () if deadline is None or now < deadline else self._down_timer(now)

    def _down_timer(self, now: float) -> Actions:
        """6.4.2: Active_Down_Timer; or an Active router of lower priority was let be for long enough."""
        if self._preempt_at is not None and self._preempt_at <= now:
            self._promotion_reason = Reason.PREEMPTED
        elif self._timer_at is not None and now - self._timer_at > self.active_adver_interval:
            stalled = Stalled(now - self._timer_at)
            if self.config.listen_after_stall and not self._listened:
                self._listened = True  # once: a machine that stalls again and again must not wait for ever
                self._timer_at = now + self.skew_time
                return (stalled,)
            return (stalled, *self._expire(now))
        return self._expire(now)

    def _expire(self, now: float) -> Actions:
        if not self.held:
            owner = self._timer_at == self._timer_set_at  # that waited for its start-up delay, and for nobody
            return self._promote(Reason.PRIORITY if owner else self._promotion_reason, now)
        self._timer_at = self._preempt_at = None  # until an advertisement is heard, or the group lets go
        return (Ready(),)

    def _active_timers(self, now: float) -> Actions:
        actions: Actions = ()
        if self._timer_at is not None and self._timer_at <= now:
            late, interval = now - self._timer_at, self.config.adver_timer
            # 6.4.3: Adver_Timer. The cadence is kept: after a pause one advertisement, not those that were missed.
            self._timer_at += interval
            if late > interval:
                actions = (Stalled(late),)
                self._timer_at += math.floor(late / interval) * interval
            if self._timer_at <= now:  # late by one interval exactly, or the division was rounded
                self._timer_at += interval
            actions += self._advertise(now)
        if self._announcements.next_at is not None:
            actions += self._announce(now)
        return actions

    def _set_timer(self, now: float, delay: float) -> None:
        self._timer_set_at = now
        self._timer_at = now + delay
        self._listened = False

    def _listen(self, now: float, delay: float, *, resigned: bool = False) -> None:
        """Set Active_Down_Timer; nothing is promoted before the start-up delay is over."""
        self._resigned = resigned
        self._set_timer(now, max(delay, self._not_before - now))

    def _stop_timers(self) -> None:
        self._timer_at = self._preempt_at = None
        self._resigned = False
        self._announcements.stop()

    # -- transitions --

    def _promote(self, reason: Reason, now: float) -> Actions:
        # The host first: a takeover that it refuses is not advertised.
        # On the wire, 6.4.2: ADVERTISEMENT, then ARP or NA.
        self._stop_timers()
        self.active_source, self.active_priority = self.config.primary_address, self.priority
        self.statistics.new_master_reason = reason
        self._set_timer(now, self.config.adver_timer)
        self._announcements.promoted(self.config.announcements, self._hearing.ips, now)
        changed = self._enter(ACTIVE, reason, now)
        return (Activate(), *self._advertise(now), *self._announce(now), changed)

    def _step_down(self, reason: Reason, now: float, *, resign: bool = False) -> Actions:
        self.statistics.new_master_reason = Reason.NOT_MASTER
        self._promotion_reason = Reason.NO_RESPONSE
        self._stop_timers()
        self._listen(now, self.active_down_interval)
        release = self._advertise(now, priority=0) if resign else ()
        return (*release, Deactivate(), self._enter(BACKUP, reason, now))

    def _enter(self, state: State, reason: Reason, now: float) -> StateChanged:
        self._followed = None
        change = StateChanged(self.state, state, reason)
        self.statistics.count_time(self.state, state, now)
        self.state = state
        return change

    # -- advertisements heard --

    def _advertised(self, event: AdvertisementReceived, now: float) -> Actions:
        if event is self._followed:  # the same object again, and nothing else since: it repeats each interval
            self.statistics.advertisement_rcvd += 1
            self._timer_set_at, self._timer_at, self._listened = now, now + self._followed_for, False
            return ()
        self._followed = None
        if self.state is INITIALIZE:
            return ()
        packet, source = event.packet, event.source
        rules, found = self._hearing.screen(packet, self.priority)
        warnings = []
        for problem, verdict in found:
            if verdict is Verdict.DISCARD:
                return self._discard(problem, source)
            if verdict is Verdict.WARN:
                self.statistics.count_problem(problem, discarded=False)
                warnings.append(Warned(problem, source))
        assert rules is not None  # else there was a problem
        self.statistics.advertisement_rcvd += 1
        self.statistics.priority_zero_pkts_rcvd += packet.priority == 0
        self.statistics.last_adv_source = source
        if self.config.also and self._hearing.is_double(packet, source, now, 2 * self.active_adver_interval):
            return ()
        if self.config.send_checksum is None:
            self._sender.heard(event.form, now)
        if self.state is ACTIVE:
            return (*warnings, *self._heard_in_active(packet, source, rules, now))
        followed = self._heard_in_backup(packet, source, rules, now)
        if followed and not warnings and not self.config.also and self.config.send_checksum is not None:
            self._followed, self._followed_for = event, self.active_down_interval
        return tuple(warnings)

    def _heard_in_backup(self, packet: Packet, source: IPAddress, rules: Rules, now: float) -> bool:
        """Whether the same message would do the same again: set Active_Down_Timer, and nothing else."""
        if packet.priority == 0:
            # 6.4.2: Skew_Time with the interval learned before; that of this packet is not learned
            self._promotion_reason = Reason.PRIORITY
            self._preempt_at = None
            self._listen(now, self.skew_time, resigned=True)
            return False
        preempts = self.config.preempt or self.priority == OWNER_PRIORITY  # 6.1: an owner always preempts
        if preempts and packet.priority < self.priority and not self.held:
            if not self.config.preempt_delay:
                if not self._resigned:
                    self._promotion_reason = Reason.PREEMPTED
                return False  # 6.4.2: discarded; the timer keeps running
            if self._preempt_at is None:
                self._preempt_at = max(now + self.config.preempt_delay, self._not_before)
        else:
            self._preempt_at = None  # somebody better is there: RFC 8347 hold-time begins anew after it
        self._follow(packet, source, rules)
        self._promotion_reason = Reason.NO_RESPONSE
        self._listen(now, self.active_down_interval)
        return now >= self._not_before

    def _heard_in_active(self, packet: Packet, source: IPAddress, rules: Rules, now: float) -> Actions:
        if packet.priority == 0:
            if not self._sender.may_answer(now):
                return ()  # nor is the timer reset: a flood of these would silence us
            self._set_timer(now, self.config.adver_timer)  # 6.4.3: sent at once, and the timer reset
            return self._advertise(now)
        self.priority = self._hearing.priority_beside(packet, source, self.priority)
        # 6.4.3: unsigned integers in network byte order. Preempt_Mode is not asked for.
        ours = (self.priority, int(self.config.primary_address))
        if (packet.priority, int(source)) > ours:
            self._follow(packet, source, rules)
            return self._step_down(Reason.HIGHER_PRIORITY, now)
        if (packet.priority, int(source)) == ours:
            return ()  # no loser: two FRR routers can share a source address
        answers = rules.answers_losing_advertisement or self.config.announcements.after_losing
        if not answers or not self._sender.may_answer(now):
            return ()
        self._announcements.challenged(self.config.announcements, self._hearing.ips, now)
        answer = self._advertise(now) if rules.answers_losing_advertisement else ()
        return (*answer, *self._announce(now))  # 6.4.3; the Adver_Timer is not reset

    def _follow(self, packet: Packet, source: IPAddress, rules: Rules) -> None:
        self.active_source, self.active_priority = source, packet.priority
        if rules.learns_interval or self.config.also is not None:
            self.active_adver_interval = heard_interval(packet, rules)

    def _discard(self, problem: Problem, source: IPAddress) -> Actions:
        self.statistics.count_problem(problem, discarded=True)
        return (Discarded(problem, source),)

    # -- what is sent --

    def _advertise(self, now: float, *, priority: int | None = None) -> tuple[SendAdvertisement, ...]:
        priority = self.priority if priority is None else priority
        sent = self._sender.send(priority, now, self._hearing)
        self.statistics.advertisement_sent += len(sent)
        self.statistics.priority_zero_pkts_sent += len(sent) if priority == 0 else 0
        return sent

    def _announce(self, now: float) -> Actions:
        due = self._announcements.take(self.config.announcements, self._hearing.ips, now)
        return tuple([Announce(address) for address in due])

    # -- changes while running --

    def _change_priority(self, priority: int, now: float) -> Actions:
        require_int("priority", priority, 1, 255)
        if priority == self.priority:
            return ()
        self.priority, self._followed = priority, None
        if self._preempt_at is not None and self.active_priority is not None and priority <= self.active_priority:
            self._preempt_at = None
        self._retime(now)
        return ()

    def _change_config(self, config: RouterConfig, now: float) -> Actions:
        old = self.config
        old.require_same_router(config)
        self.config, self.priority, self._followed = config, config.priority, None
        self._sender.change(config)
        self._hearing.change(config)
        if not config.rules.learns_interval or self.state is not BACKUP or self.active_source is None:
            self.active_adver_interval = config.advertisement_interval
        self._retime(now)
        if self.state is not ACTIVE:
            return (Reconfigure(config),)
        self.active_source, self.active_priority = config.primary_address, config.priority
        self._set_timer(now, config.adver_timer)
        self._announcements.changed(config.announcements, now)
        before = set(old.ips)
        added = [Announce(address) for address in config.ips if address not in before]
        return (Reconfigure(config), *self._advertise(now), *added)

    def _retime(self, now: float) -> None:
        """A Backup's running timer becomes what it would have been, had it been set with the new values."""
        if self.state is BACKUP and self._timer_at is not None and not self._listened:
            delay = self.skew_time if self._resigned else self.active_down_interval
            self._timer_at = max(now, self._timer_set_at + delay, self._not_before)

    # -- sync groups: no RFC knows them --

    def _move_with_group(self, state: State, now: float) -> Actions:
        if state is ACTIVE and self.state is BACKUP:
            return self._promote(Reason.GROUP, now)
        if state is BACKUP and self.state is ACTIVE:
            return self._step_down(Reason.GROUP, now, resign=not self.held)  # only leaders' peers may act on it
        return ()

    def _hold(self, held: bool, now: float) -> Actions:
        waited = self.held and self.state is BACKUP and self._timer_at is None
        self.held, self._followed = held, None
        return self._promote(self._promotion_reason, now) if waited and not held else ()
