"""The election, the only file with transitions: events in, actions out; I/O and the clock are the caller's."""

from __future__ import annotations

import math

from vrrplib.election import timers
from vrrplib.election.actions import (
    Action,
    Activate,
    Announce,
    Deactivate,
    Discarded,
    Reconfigure,
    SendAdvertisement,
    StateChanged,
    Warned,
)
from vrrplib.election.config import RouterConfig
from vrrplib.election.events import (
    AdvertisementReceived,
    ConfigChanged,
    Event,
    PriorityChanged,
    Shutdown,
    Startup,
    TimerExpired,
)
from vrrplib.election.states import Reason, State
from vrrplib.election.statistics import Statistics
from vrrplib.errors import Problem, require_int
from vrrplib.rules import Verdict
from vrrplib.wire.addresses import ADVERTISEMENT_TTL, IPAddress, group_address
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.packets import Packet, VRRPv2, VRRPv3, inspect

TYPE_CHECKING = False  # typing is not loaded: see vrrplib/__init__.py
if TYPE_CHECKING:
    from typing import Never, TypeAlias

OWNER_PRIORITY = 255
ANSWER_SPACING = 0.1
"""An Active router answers advertisements at most once in this part of its own interval.

RFC 9568 6.4.3 answers at once each that loses, and every version each with priority 0; unbounded, one bad host
makes a storm. The first is always answered.
"""

Actions: TypeAlias = tuple[Action, ...]


class Router:
    """One virtual router on one interface, driven by its caller; it belongs to one thread at a time.

    Give it what arrives (:meth:`receive`, :meth:`handle`) with the time in seconds on any clock that only goes
    forward, do the actions that come back in their order, and call again with ``TimerExpired`` at ``deadline``.
    Hand over all that has arrived before the timer: a Backup that was paused must see the adverts that waited.
    """

    def __init__(self, config: RouterConfig) -> None:
        self.config = config
        self.state = State.INITIALIZE
        self.priority = config.priority
        self.active_adver_interval = config.advertisement_interval  # RFC 9568 6.1: the initial value
        self.active_source: IPAddress | None = None
        self.statistics = Statistics()
        self.deadline: float | None = None
        self._timer_set_at = 0.0
        self._promotion_reason = Reason.NO_RESPONSE
        self._answered_at = -math.inf
        self._heard_form: ChecksumForm | None = None
        self._advertisement: tuple[SendAdvertisement, bytes] | None = None
        self._last_payload = b""

    @property
    def skew_time(self) -> float:
        """Skew_Time in seconds: the local priority and the learned interval (RFC 9568 6.1)."""
        return timers.skew_time(self.priority, self.active_adver_interval, version=self.config.version)

    @property
    def active_down_interval(self) -> float:
        """Active_Down_Interval in seconds (Master_Down_Interval in RFC 5798 6.1)."""
        return timers.active_down_interval(self.priority, self.active_adver_interval, version=self.config.version)

    @property
    def advertisement(self) -> SendAdvertisement:
        """What it sends while Active, or would; the same object until something in it changes.

        Whoever asks ahead of the promotion, and encodes it, has one thing less to do then.
        """
        return self._built(self.priority)[0]

    def receive(self, datagram: Datagram, now: float) -> Actions:
        """A datagram arrived: the checks of RFC 9568 7.1 (3768 7.1), and then the state machine."""
        if self.state is State.INITIALIZE:
            return ()  # RFC 9568 6.4.1 knows only Startup
        if datagram.source == self.config.primary_address and datagram.payload == self._last_payload:
            return self._discard(Problem.LOOPED, datagram.source)
        if datagram.ttl != ADVERTISEMENT_TTL:  # 7.1: the first check
            return self._discard(Problem.TTL, datagram.source)
        inspection = inspect(
            datagram.payload,
            family=self.config.family,
            source=datagram.source,
            destination=datagram.destination,
            accept_checksum=self.config.accept_checksum,
            rules=self.config.rules,
        )
        if inspection.packet is None or inspection.problems:
            return self._discard(inspection.problems[0].problem, datagram.source)
        event = AdvertisementReceived(inspection.packet, datagram.source, inspection.checksum_form)
        return self.handle(event, now)

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
                return self._shutdown(event)
            case PriorityChanged():
                return self._change_priority(event.priority, now)
            case ConfigChanged():
                return self._change_config(event.config, now)
            case _:
                never: Never = event  # assert_never(), which typing would have to be loaded for
                raise AssertionError(f"not an event: {never!r}")

    # -- Initialize, and the ends (6.4.1, 6.4.2 (110), 6.4.3 (410)) --

    def _startup(self, now: float) -> Actions:
        if self.state is not State.INITIALIZE:
            return ()
        self.active_adver_interval = self.config.advertisement_interval
        if self.priority == OWNER_PRIORITY:
            return self._promote(Reason.PRIORITY, now)  # 6.4.1: the owner does not wait
        self._promotion_reason = Reason.NO_RESPONSE
        self._set_timer(now, self.active_down_interval)
        return (self._enter(State.BACKUP, Reason.STARTUP),)

    def _shutdown(self, event: Shutdown) -> Actions:
        if self.state is State.INITIALIZE:
            return ()
        self.deadline = None
        self.active_source = None
        if self.state is State.BACKUP:
            return (self._enter(State.INITIALIZE, event.reason),)  # 6.4.2: nothing is sent
        release = (self._advertise(priority=0),) if event.resign else ()  # 6.4.3
        return (*release, Deactivate(), self._enter(State.INITIALIZE, event.reason))

    # -- timers --

    def _timer(self, now: float) -> Actions:
        if self.deadline is None or now < self.deadline:
            return ()
        if self.state is State.BACKUP:
            return self._promote(self._promotion_reason, now)  # 6.4.2: Active_Down_Timer
        # 6.4.3: Adver_Timer. The cadence is kept: after a pause one advertisement, not those that were missed.
        interval = self.config.advertisement_interval
        self.deadline += (math.floor((now - self.deadline) / interval) + 1) * interval
        if self.deadline <= now:  # the division was rounded
            self.deadline += interval
        return (self._advertise(),)

    def _set_timer(self, now: float, delay: float) -> None:
        self._timer_set_at = now
        self.deadline = now + delay

    # -- transitions --

    def _promote(self, reason: Reason, now: float) -> Actions:
        # The host first: a takeover that it refuses is not advertised.
        # On the wire, 6.4.2: ADVERTISEMENT, then ARP or NA.
        self.active_source = self.config.primary_address
        self.statistics.new_master_reason = reason
        self._set_timer(now, self.config.advertisement_interval)
        announcements = [Announce(address.ip) for address in self.config.addresses]
        return (Activate(), self._advertise(), *announcements, self._enter(State.ACTIVE, reason))

    def _yield(self, now: float) -> Actions:
        self.statistics.new_master_reason = Reason.NOT_MASTER
        self._promotion_reason = Reason.NO_RESPONSE
        self._set_timer(now, self.active_down_interval)
        return (Deactivate(), self._enter(State.BACKUP, Reason.HIGHER_PRIORITY))

    def _enter(self, state: State, reason: Reason) -> StateChanged:
        change = StateChanged(self.state, state, reason)
        self.state = state
        if state is State.ACTIVE:
            self.statistics.master_transitions += 1
        return change

    # -- advertisements heard --

    def _advertised(self, event: AdvertisementReceived, now: float) -> Actions:
        if self.state is State.INITIALIZE:
            return ()
        packet, source = event.packet, event.source
        warnings = []
        for problem, verdict in self._judge(packet):
            if verdict is Verdict.DISCARD:
                return self._discard(problem, source)
            if verdict is Verdict.WARN:
                self.statistics.count_problem(problem, discarded=False)
                warnings.append(Warned(problem, source))
        self.statistics.advertisement_rcvd += 1
        self.statistics.priority_zero_pkts_rcvd += packet.priority == 0
        self.statistics.last_adv_source = source
        self._follow_checksum(event.form)
        listen = self._heard_in_backup if self.state is State.BACKUP else self._heard_in_active
        return (*warnings, *listen(packet, source, now))

    def _judge(self, packet: Packet) -> list[tuple[Problem, Verdict]]:
        """The checks that need the configuration, in the order of RFC 9568 7.1 and RFC 3768 7.1."""
        config, rules = self.config, self.config.rules
        found = []
        if packet.version != config.version:
            found.append((Problem.VERSION, Verdict.DISCARD))
        if packet.vrid != config.vrid:
            found.append((Problem.VRID, Verdict.DISCARD))
        if self.priority == OWNER_PRIORITY:
            found.append((Problem.OWNER, rules.heard_by_owner))
        if isinstance(packet, VRRPv2) and packet.auth_type != 0:
            found.append((Problem.AUTH_TYPE, Verdict.DISCARD))  # 3768 7.1: not the configured type, which is none
        ours = {address.ip for address in config.addresses}  # in any order: 5.2.9 only recommends the same one
        if len(packet.addresses) != len(ours) or ours != set(packet.addresses):
            spared = rules.address_mismatch is Verdict.DISCARD and packet.priority == OWNER_PRIORITY
            found.append((Problem.ADDRESS, Verdict.WARN if spared else rules.address_mismatch))
        if packet.interval == 0:
            # RFC 5798 has no rule; learning it would make skew and down interval 0, and promote without end
            found.append((Problem.INTERVAL, Verdict.DISCARD))
        elif abs(packet.interval - config.advertisement_interval) > 1e-6:
            found.append((Problem.INTERVAL, rules.interval_mismatch))
        return found

    def _heard_in_backup(self, packet: Packet, source: IPAddress, now: float) -> Actions:
        if packet.priority == 0:
            # 6.4.2: Skew_Time with the interval learned before; that of this packet is not learned
            self._promotion_reason = Reason.PRIORITY
            self._set_timer(now, self.skew_time)
            return ()
        preempts = self.config.preempt or self.priority == OWNER_PRIORITY  # 6.1: an owner always preempts
        if preempts and packet.priority < self.priority:
            self._promotion_reason = Reason.PREEMPTED  # 6.4.2: discarded; the timer keeps running
            return ()
        self._follow(packet, source)
        self._promotion_reason = Reason.NO_RESPONSE
        self._set_timer(now, self.active_down_interval)
        return ()

    def _heard_in_active(self, packet: Packet, source: IPAddress, now: float) -> Actions:
        if packet.priority == 0:
            if not self._may_answer(now):
                return ()  # nor is the timer reset: a flood of these would silence us
            self._set_timer(now, self.config.advertisement_interval)  # 6.4.3: sent at once, and the timer reset
            return (self._advertise(),)
        # 6.4.3: unsigned integers in network byte order. Preempt_Mode is not asked for.
        ours = (self.priority, int(self.config.primary_address))
        if (packet.priority, int(source)) > ours:
            self._follow(packet, source)
            return self._yield(now)
        same_sender = (packet.priority, int(source)) == ours  # two FRR routers can share a source address
        if self.config.rules.answers_losing_advertisement and not same_sender and self._may_answer(now):
            return (self._advertise(),)  # 6.4.3; the Adver_Timer is not reset
        return ()

    def _may_answer(self, now: float) -> bool:
        if now < self._answered_at + ANSWER_SPACING * self.config.advertisement_interval:
            return False
        self._answered_at = now
        return True

    def _follow(self, packet: Packet, source: IPAddress) -> None:
        self.active_source = source
        if self.config.rules.learns_interval:
            self.active_adver_interval = packet.interval

    def _follow_checksum(self, form: ChecksumForm | None) -> None:
        if form in (ChecksumForm.PSEUDO_HEADER, ChecksumForm.MESSAGE_ONLY):
            self._heard_form = form

    def _discard(self, problem: Problem, source: IPAddress) -> Actions:
        self.statistics.count_problem(problem, discarded=True)
        return (Discarded(problem, source),)

    # -- what is sent --

    def _advertise(self, *, priority: int | None = None) -> SendAdvertisement:
        priority = self.priority if priority is None else priority
        self.statistics.advertisement_sent += 1
        self.statistics.priority_zero_pkts_sent += priority == 0
        known, self._last_payload = self._built(priority)
        return known

    def _built(self, priority: int) -> tuple[SendAdvertisement, bytes]:
        """With its bytes, made anew only when something has changed."""
        form = self.config.send_checksum or self._heard_form or ChecksumForm.PSEUDO_HEADER
        known = self._advertisement
        if known is None or known[0].packet.priority != priority or known[0].form is not form:
            built = self._build(priority, form)
            known = self._advertisement = (built, built.datagram().payload)
        return known

    def _build(self, priority: int, form: ChecksumForm) -> SendAdvertisement:
        config = self.config
        addresses = tuple(address.ip for address in config.addresses)
        packet: Packet
        if config.version == 2:
            packet = VRRPv2(
                vrid=config.vrid,
                priority=priority,
                addresses=addresses,
                advertisement_interval=config.wire_interval,
            )
        else:
            # always our own interval, never the learned one: RFC 9568 5.2.7
            packet = VRRPv3(
                vrid=config.vrid,
                priority=priority,
                addresses=addresses,
                max_advertise_interval=config.wire_interval,
            )
        return SendAdvertisement(packet, config.primary_address, group_address(config.family), form)

    # -- changes while running --

    def _change_priority(self, priority: int, now: float) -> Actions:
        require_int("priority", priority, 1, 255)
        self.priority = priority
        self._retime(now)
        return ()

    def _change_config(self, config: RouterConfig, now: float) -> Actions:
        old = self.config
        old.require_same_router(config)
        self.config = config
        self.priority = config.priority
        self._advertisement = None
        if not config.rules.learns_interval or self.state is not State.BACKUP or self.active_source is None:
            self.active_adver_interval = config.advertisement_interval
        self._retime(now)
        if self.state is not State.ACTIVE:
            return (Reconfigure(config),)
        self.active_source = config.primary_address
        self._set_timer(now, config.advertisement_interval)
        before = {address.ip for address in old.addresses}
        added = [Announce(address.ip) for address in config.addresses if address.ip not in before]
        return (Reconfigure(config), self._advertise(), *added)

    def _retime(self, now: float) -> None:
        """A Backup's running timer becomes what it would have been, had it been set with the new values."""
        if self.state is State.BACKUP:
            resigned = self._promotion_reason is Reason.PRIORITY
            delay = self.skew_time if resigned else self.active_down_interval
            self.deadline = max(now, self._timer_set_at + delay)
