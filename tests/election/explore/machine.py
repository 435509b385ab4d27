"""One Router as a value: its local states, what it does in each, and what must hold of each such step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, TypeAlias

from vrrplib.election.actions import (
    Activate,
    Announce,
    Deactivate,
    Discarded,
    Reconfigure,
    SendAdvertisement,
)
from vrrplib.election.config import RouterConfig
from vrrplib.election.events import Event, PriorityChanged, Shutdown, Startup, TimerExpired
from vrrplib.election.router import Router
from vrrplib.election.sending import ANSWER_SPACING
from vrrplib.election.states import Reason, State
from vrrplib.election.statistics import Statistics
from vrrplib.wire.datagram import Datagram

TICKS = 256  # in a second
INTERVAL = TICKS
PRIORITIES = (50, 100, 255)
NOW = 4096.0  # when everything happens: a Router is brought here before each step, its times shifted
HORIZON = 8.0  # seconds; no timer is longer, so what is further past is over for good
DOWN = 0  # the local state of a router that has crashed
NAMES = "ABC"  # of the routers
LOCAL_BITS = 20  # of the number of a local state
LOCAL_MASK = (1 << LOCAL_BITS) - 1

Values: TypeAlias = dict[str, Any]
Outcome: TypeAlias = tuple[int, tuple[int, ...]]
"""A local state and the frames sent on the way to it, by number."""

FORGOTTEN = {
    "statistics": "they count, and decide nothing",
    "active_source": "to read, and for a change of configuration",
    "active_priority": "for preempt_delay",
    "_followed": "a cache",
    "_followed_for": "a cache",
    "_hearing._read": "a cache",
    "_hearing._screened": "a cache",
    "_sender._made": "a cache",
    "_sender._made_for": "a cache",
    "_sender._payloads": "a cache",
    "_sender._sent": "to know one's own frames by, and no link here brings any",
    "_sender._heard_form": "for send_checksum None",
    "_sender._heard_form_at": "for send_checksum None",
}
"""What does not decide what a Router does here. A test holds that nothing is missed by it."""
CONSTANT = {
    "config",
    "_sender.config",
    "_sender._numbers",
    "_hearing.config",
    "_hearing._rules",
    "_hearing.ips",
    "_hearing._unix_time",
}
ONLY_IN_BACKUP = {"_timer_set_at": 0.0, "_promotion_reason": Reason.NO_RESPONSE}
"""What is set whenever a Router becomes Backup, and asked for only there."""
ALIKE = {Reason.PREEMPTED: Reason.NO_RESPONSE}
"""Why a Backup is going to promote: of these only its report differs."""
OVER = {"_sender._answered_at": ANSWER_SPACING * INTERVAL / TICKS, "_not_before": 0.0}
"""How many seconds after an instant it no longer matters; for all others HORIZON."""


def values_of(router: Router) -> Values:
    """Its attributes, and those of its parts."""
    values: Values = {}
    for name, value in vars(router).items():
        if _is_part(value):
            values |= {f"{name}.{inner}": held for inner, held in vars(value).items()}
        else:
            values[name] = value
    return values


def _is_part(value: object) -> bool:
    own = type(value).__module__.startswith("vrrplib.election")
    return own and hasattr(value, "__dict__") and not isinstance(value, Enum)


def is_time(name: str, value: object) -> bool:
    """Whether an attribute holds an instant."""
    return name.endswith(("_at", "_before")) and isinstance(value, float)


def canonical(values: Values) -> tuple[Any, ...]:
    """What tells one local state from another; times in ticks from now."""
    key = []
    for name, value in sorted(values.items()):
        if name in FORGOTTEN or name in CONSTANT:
            continue
        assert not isinstance(value, list) or not value, f"{name} may hold instants"
        moment = isinstance(value, float) and is_time(name, value) and math.isfinite(value)
        key.append(_ticks(value) if moment else value or 0)
    return tuple(key)


def _ticks(instant: float) -> int:
    ticks = (instant - NOW) * TICKS
    assert ticks.is_integer(), "the clock of 1/256 s is too coarse for this configuration"
    return int(ticks)


# -- what must hold of each step --

_EFFECTS = (Activate, Deactivate, Announce, Reconfigure, SendAdvertisement)


def flaws(
    machine: Machine, before: Values, event: Event | Datagram, actions: Iterable[object], after: Router
) -> Iterator[str]:
    """What is wrong with a step that was taken at ``NOW``."""
    old, new, deadline = before["state"], after.state, after.deadline
    effects = [action for action in actions if isinstance(action, _EFFECTS)]
    sent = [action.packet.priority for action in effects if isinstance(action, SendAdvertisement)]
    discarded = any(isinstance(action, Discarded) for action in actions)
    interval = after.config.advertisement_interval
    if old is State.INITIALIZE and not isinstance(event, Startup) and (effects or new is not old):
        yield "a router in Initialize does something unasked"
    if sent and State.ACTIVE not in (old, new):
        yield "one that is not Active sends"
    if new is State.INITIALIZE and deadline is not None:
        yield "a timer runs in Initialize"
    if new is State.BACKUP and (deadline is None or not NOW <= deadline <= NOW + after.active_down_interval):
        yield "a Backup's timer is not within the down interval"
    if new is State.ACTIVE and (deadline is None or not NOW <= deadline <= NOW + interval):
        yield "an Active's timer is not within its interval"
    if isinstance(event, TimerExpired) and (deadline is None or deadline <= NOW):
        yield "a timer fires, and is due again at once"
    if (Activate() in effects, Deactivate() in effects) != (
        old is not State.ACTIVE and new is State.ACTIVE,
        old is State.ACTIVE and new is not State.ACTIVE,
    ):
        yield "the host is not told what the Router is"
    resigns = isinstance(event, Shutdown) and old is State.ACTIVE
    if sent and set(sent) != {0 if resigns else after.priority}:
        yield "it sends another priority than its own, or 0 without an end"
    if len(sent) > 1:
        yield "one step sends twice"
    if discarded and (effects or machine.key(values_of(after)) != machine.key(before)):
        yield "a discarded message changes something"
    if isinstance(event, Datagram) and not discarded and event.payload[2] == 0:
        if new is State.BACKUP and deadline is not None and deadline > NOW + after.skew_time:
            yield "priority 0 does not lead to a takeover within the skew"
        if new is not old:
            yield "priority 0 changes the state"


# -- what can happen to one router, by number --

SPOKEN = {
    "time": "{other} s pass",
    "deliver": "{who} hears {other}",
    "lose": "{who} misses {other}",
    "timer": "{who}'s timer",
    "start": "{who} starts",
    "restart": "{who} starts anew",
    "crash": "{who} crashes",
    "stop": "{who} is shut down",
    "priority": "{who} gets priority {other}",
}
"""What may happen to a router; ``other`` is a sender, a priority or the ticks that pass."""


KINDS = tuple(SPOKEN)


def labels(kind: str) -> tuple[int, ...]:
    """The steps of a kind by number, one for each router, to which ``other`` is added."""
    return tuple((KINDS.index(kind) * len(NAMES) + who) << 10 for who in range(len(NAMES)))


TIME, DELIVER, LOSE, TIMER, START, RESTART, CRASH, STOP, PRIORITY = map(labels, KINDS)


def meant(step: int) -> tuple[str, int, int]:
    """Kind, router and other of a step."""
    which, other = step >> 10, step & 1023
    return KINDS[which // len(NAMES)], which % len(NAMES), other


def spoken(step: int) -> str:
    """A step in words."""
    kind, who, other = meant(step)
    named = NAMES[other] if kind in ("deliver", "lose") else f"{other / TICKS:g}" if kind == "time" else other
    return SPOKEN[kind].format(who=NAMES[who], other=named)


class Machine:
    """One router: its local states by number, and what it does in each, asked of a real Router once."""

    def __init__(self, config: RouterConfig, frames: Numbers, priorities: Iterable[int] = PRIORITIES) -> None:
        self.config = config
        self.values: list[Values] = [{}]  # DOWN
        self.deadline = [-1]  # ticks from now; -1: none
        self.running = [False]
        self.active = [False]
        self.priority = [0]
        self.flaws: dict[str, tuple[int, str]] = {}  # the local state and the event of each
        self._frames = frames
        self._priorities = tuple(priorities)
        self._number: dict[tuple[Any, ...], int] = {}
        self._later: dict[int, int] = {}
        self._fired: dict[int, Outcome] = {}
        self._heard: dict[int, Outcome] = {}
        self._disturbed: dict[int, list[tuple[int, Outcome]]] = {}
        router = Router(config)
        self._new = values_of(router)
        self._parts = {name: type(value) for name, value in vars(router).items() if _is_part(value)}
        self.fresh = self._enter(self._shifted(self._new, 0.0))

    def later(self, local: int, ticks: int) -> int:
        """The local state when so much time has passed and nothing has happened."""
        if local == DOWN:
            return DOWN
        known = self._later.get(local << 10 | ticks)
        if known is None:
            known = self._later[local << 10 | ticks] = self._enter(self._shifted(self.values[local], ticks / TICKS))
        return known

    def fired(self, local: int) -> Outcome:
        """What it does when its timer is due."""
        known = self._fired.get(local)
        if known is None:
            known = self._fired[local] = self._ask(local, TimerExpired())
        return known

    def heard(self, local: int, frame: int) -> Outcome:
        """What it does about a frame."""
        known = self._heard.get(local << 10 | frame)
        if known is None:
            known = self._heard[local << 10 | frame] = self._ask(local, self._frames.values[frame])
        return known

    def disturbed(self, local: int) -> list[tuple[int, Outcome]]:
        """What can be done to it, each with what comes of it."""
        known = self._disturbed.get(local)
        if known is None:
            known = self._disturbed[local] = list(self._disturb(local))
        return known

    def _disturb(self, local: int) -> Iterator[tuple[int, Outcome]]:
        if local == DOWN:
            yield RESTART[0], self._ask(self.fresh, Startup())
            return
        yield CRASH[0], (DOWN, ())
        if self.running[local]:
            yield STOP[0], self._ask(local, Shutdown())
        else:
            yield START[0], self._ask(local, Startup())
        for priority in self._priorities:
            if priority != self.priority[local]:
                yield PRIORITY[0] | priority, self._ask(local, PriorityChanged(priority))

    def _ask(self, local: int, event: Event | Datagram) -> Outcome:
        before = self.values[local]
        router = self.restored(before)
        actions = router.receive(event, NOW) if isinstance(event, Datagram) else router.handle(event, NOW)
        for flaw in flaws(self, before, event, actions, router):
            self.flaws.setdefault(flaw, (local, repr(event)))
        sent = [action.datagram() for action in actions if isinstance(action, SendAdvertisement)]
        after = self._enter(self._shifted(values_of(router), 0.0))
        return after, tuple(self._frames.of(datagram) for datagram in sent)

    def restored(self, values: Values) -> Router:
        """A Router with these values."""
        router = Router.__new__(Router)
        for name, kind in self._parts.items():
            setattr(router, name, object.__new__(kind))
        for name, value in values.items():
            part, _, inner = name.rpartition(".")
            setattr(getattr(router, part) if part else router, inner, value)
        return router

    def key(self, values: Values) -> tuple[Any, ...]:
        """What tells the local state apart."""
        return canonical(self._shifted(values, 0.0))

    def _shifted(self, values: Values, seconds: float) -> Values:
        """The same Router some time later, brought back to the same instant, without what no longer matters."""
        result = dict(values)
        for name, value in values.items():
            if name in FORGOTTEN:
                result[name] = self._new[name] if name != "statistics" else Statistics()
            elif name in ONLY_IN_BACKUP and values["state"] is not State.BACKUP:
                result[name] = ONLY_IN_BACKUP[name]
            elif is_time(name, value):
                past = NOW - (value - seconds)
                result[name] = -math.inf if past >= OVER.get(name, HORIZON) else value - seconds
            elif isinstance(value, Reason):
                result[name] = ALIKE.get(value, value)
        return result

    def _enter(self, values: Values) -> int:
        key = canonical(values)
        number = self._number.get(key)
        if number is None:
            number = self._number[key] = len(self.values)
            assert number <= LOCAL_MASK
            deadline = self.restored(values).deadline
            self.values.append(values)
            self.deadline.append(-1 if deadline is None else _ticks(deadline))
            self.running.append(values["state"] is not State.INITIALIZE)
            self.active.append(values["state"] is State.ACTIVE)
            self.priority.append(values["priority"])
        return number


class Numbers:
    """Values by number, in the order in which they came."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._number: dict[Any, int] = {}

    def of(self, value: Any) -> int:
        number = self._number.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number
