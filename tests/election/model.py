"""One VRRP router as the RFCs tell it: slow, plain, in exact fractions, and without a line of vrrplib.

Each step names its clause, and the event or condition there that it answers; the names are those of RFC 9568. A
message and an action are plain values (see :class:`Advert` and :class:`Model`), addresses are integers, times are
fractions of a second.

Where vrrplib departs from the text on purpose, there is a switch with the reason, at the top; switched off, the
model is the text. Of what is off by default the two delays are here, by docs/election.md: no RFC has them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

OWNER = 255
SWITCHES = {
    "answers are bounded": "RFC 9568 6.4.3 answers each losing advertisement; one bad host would make a storm "
    "(docs/rfc-notes.md). So with priority 0, whose answer all versions send.",
    "its own address is not answered": "equal priority and equal address: two routers that share a source address "
    "would answer each other for ever (docs/rfc-notes.md).",
    "what it sent itself is dropped": "no RFC speaks of frames that come back; answered, they are a storm.",
    "interval 0 is refused": "RFC 5798 and RFC 9568 as published have no rule; learned, it would make both timers "
    "0 (docs/rfc-notes.md; erratum 8301 says so).",
    "an owner preempts": "6.1 says it of Preempt_Mode, the text of 6.4.2 does not.",
    "the cadence is kept": "6.4.3 sets Adver_Timer anew when it fires; a late one would make all later ones late. "
    "Late by whole intervals, those that were missed are not made up for.",
    "a change of priority moves the timer": "no RFC changes a priority at run time: a Backup's timer becomes what "
    "it would be, had it been set with the new skew; what is past is due at once.",
    "a stall is reported": "no RFC has a clock that jumps: late by more than an interval is told first.",
    "bytes first": "7.1 looks at the VRID before count, interval and addresses; here what is wrong with the "
    "message by itself is found before what is wrong for this router. Only the report differs.",
}
"""Where vrrplib leaves the text, and why."""

TENTH = Fraction(1, 10)
ROUNDING = Fraction(1, 10**9)
"""Seconds: vrrplib's clock is a float, so a timer that is due so much later is due."""

# What each document says. "checks" are those of 7.1 and of section 5, in its order, each with what a failure means.
BOOKS: dict[str, dict[str, Any]] = {
    "RFC2338": {
        "version": 2,
        "checks": {  # 7.1; no check of the owner
            "ttl": "discard",
            "version": "discard",
            "auth": "discard",
            "vrid": "discard",
            "list": "discard unless from the owner",
            "interval": "discard",
        },
        "learns": False,
        "answers": False,
    },
    "RFC3768": {
        "version": 2,
        "checks": {  # 7.1
            "ttl": "discard",
            "version": "discard",
            "vrid": "discard",
            "owner": "discard",
            "auth": "discard",
            "list": "discard unless from the owner",
            "interval": "discard",
        },
        "learns": False,
        "answers": False,
    },
    "RFC5798": {
        "version": 3,
        "checks": {  # 7.1; the interval is learned, whatever it is
            "ttl": "discard",
            "version": "discard",
            "vrid": "discard",
            "owner": "discard",
            "list": "log",
        },
        "learns": True,
        "answers": False,
    },
    "RFC9568 as published": {
        "version": 3,
        "checks": {  # 7.1, and 5.2.5
            "ttl": "discard",
            "version": "discard",
            "vrid": "discard",
            "owner": "discard",
            "count": "discard",
            "interval": "log",
            "list": "log",
        },
        "learns": True,
        "answers": True,
    },
    "RFC9568": {
        "version": 3,
        "checks": {  # 7.1 with errata 8298 (owner), 8299 (count), 8300 (link-local), 8301 (zero)
            "ttl": "discard",
            "version": "discard",
            "vrid": "discard",
            "owner": "log",
            "count": "discard",
            "link-local": "discard",
            "zero": "discard",
            "interval": "log",
            "list": "log",
        },
        "learns": True,
        "answers": True,
    },
}
OF_THE_MESSAGE = ("ttl", "version", "bad vrid", "unknown auth", "count", "zero", "link-local")
"""Checks that need no configuration but the version."""
PROBLEM = {"bad vrid": "vrid", "unknown auth": "auth", "zero": "interval", "link-local": "list"}
"""What a failed check is called where that is not its own name."""


class Advert(NamedTuple):
    """A message that arrived, and what its IP header says. ``interval`` in seconds."""

    version: int
    vrid: int
    priority: int
    interval: Fraction
    addresses: tuple[int, ...]
    auth_type: int
    source: int
    ttl: int


@dataclass
class Model:
    """The configuration of 6.1, and the state. Each method is an event, and returns its actions in order.

    Actions: ("activate",) ("deactivate",) ("send", priority) ("announce", address) ("state", old, new, why)
    ("discard", problem) ("warn", problem) ("stalled",).
    """

    book: str
    vrid: int
    addresses: tuple[int, ...]
    primary: int
    priority: int
    interval: Fraction
    preempt: bool = True
    link_local: tuple[int, ...] = ()
    """Which addresses are link-local, for IPv6."""
    ipv6: bool = False
    preempt_delay: Fraction = Fraction(0)
    startup_delay: Fraction = Fraction(0)
    off: frozenset[str] = frozenset()
    """The switches, and the departures, that are off."""
    state: str = "initialize"
    learned: Fraction = field(default=Fraction(0))
    _timer: Fraction | None = None
    _hold: Fraction | None = None  # until when an Active router of lower priority is let be
    _followed: int = 0  # the priority of the Active router
    _not_before: Fraction = field(default=Fraction(0))
    _timer_is: str = "down"  # or "skew", or an owner's "startup": what a Backup's timer was last set to
    _timer_set_at: Fraction = field(default=Fraction(0))
    _why: str = "no-response"  # RFC 8347's reason, for when the timer fires
    _answered: Fraction | None = None
    _last_sent: Advert | None = None

    def __post_init__(self) -> None:
        self.learned = self.interval
        self.rules = BOOKS[self.book]

    def on(self, name: str) -> bool:
        """Whether vrrplib's way is to be followed."""
        assert name in SWITCHES
        return name not in self.off

    @property
    def deadline(self) -> Fraction | None:
        """When the next timer is due."""
        due = [time for time in (self._timer, self._hold) if time is not None]
        return min(due, default=None)

    # -- 6.1 --

    def skew_time(self) -> Fraction:
        share = Fraction(256 - self.priority, 256)
        return share if self.rules["version"] == 2 else share * self.learned

    def active_down_interval(self) -> Fraction:
        return 3 * self.learned + self.skew_time()

    # -- 6.4.1 Initialize --

    def startup(self, now: Fraction) -> list[Any]:
        if self.state != "initialize":
            return []
        self.learned = self.interval  # 6.4.1: the initial value, as 6.1 has it
        self._not_before = now + self.startup_delay
        if self.priority == OWNER and not self.startup_delay:
            return self._become_active(now, "priority")  # 6.4.1: the owner goes at once
        self._set_down_timer(now)  # 6.4.1: all others wait
        self._why = "no-response"
        self._timer_set_at = self._not_before  # both begin when the delay is over
        self._timer = self._not_before + self.active_down_interval()
        if self.priority == OWNER:
            self._timer, self._timer_is, self._why = self._not_before, "startup", "priority"
        self.state = "backup"
        return [("state", "initialize", "backup", "startup")]

    # -- 6.4.2 and 6.4.3: Shutdown --

    def shutdown(self, resign: bool = True) -> list[Any]:
        old, self.state = self.state, "initialize"
        self._timer = self._hold = None  # 6.4.2, 6.4.3: either timer is cancelled
        why = "shutdown"
        if old == "initialize":
            return []
        if old == "backup":
            return [("state", old, "initialize", why)]  # 6.4.2: nothing is sent
        release = [self._send(0)] if resign else []  # 6.4.3: priority 0
        return [*release, ("deactivate",), ("state", old, "initialize", why)]

    # -- the timers --

    def timer(self, now: Fraction) -> list[Any]:
        if self.deadline is None or now < self.deadline - ROUNDING:
            return []
        late, usual = now - (self._timer or now), self.learned if self.state == "backup" else self.interval
        held = self._hold is not None and self._hold <= now + ROUNDING
        if held:
            self._why = "preempted"
        stalled = [("stalled",)] if late > usual and not held and self.on("a stall is reported") else []
        fires = self.active_down_timer if self.state == "backup" else self.adver_timer
        return [*stalled, *fires(now)]

    def active_down_timer(self, now: Fraction) -> list[Any]:
        """6.4.2: Active_Down_Timer fires."""
        return self._become_active(now, self._why)

    def adver_timer(self, now: Fraction) -> list[Any]:
        """6.4.3: Adver_Timer fires."""
        assert self._timer is not None
        if not self.on("the cadence is kept"):
            self._timer = now + self.interval
        while self._timer <= now + ROUNDING:
            self._timer += self.interval
        return [self._send(self.priority)]

    def _become_active(self, now: Fraction, why: str) -> list[Any]:
        old, self.state = self.state, "active"
        self._timer, self._hold = now + self.interval, None
        announced = [("announce", address) for address in self.addresses]
        return [("activate",), self._send(self.priority), *announced, ("state", old, "active", why)]

    def _set_down_timer(self, now: Fraction) -> None:
        self._timer_is, self._timer_set_at = "down", now
        self._timer = max(now + self.active_down_interval(), self._not_before)

    def _send(self, priority: int) -> tuple[str, int]:
        version = self.rules["version"]
        self._last_sent = Advert(
            version, self.vrid, priority, self.interval, self.addresses, 0, self.primary, OWNER
        )
        return ("send", priority)

    # -- an ADVERTISEMENT --

    def advert(self, heard: Advert, now: Fraction) -> list[Any]:
        if self.state == "initialize":
            return []  # 6.4.1 has no such event
        if self.on("what it sent itself is dropped") and heard._replace(ttl=OWNER) == self._last_sent:
            return [("discard", "looped")]
        logged = []
        for check, verdict in self.checks(heard):
            problem = PROBLEM.get(check, check)
            spared = verdict == "discard unless from the owner" and heard.priority == OWNER  # 3768 7.1
            if verdict != "log" and not spared:
                return [("discard", problem)]
            logged.append(("warn", problem))
        in_this_state = self.advert_in_backup if self.state == "backup" else self.advert_in_active
        return [*logged, *in_this_state(heard, now)]

    def checks(self, heard: Advert) -> list[tuple[str, str]]:
        """The checks of 7.1 that fail, in order, each with what is to be done about it."""
        failed = {
            "ttl": heard.ttl != 255,
            "version": heard.version != self.rules["version"],
            "bad vrid": heard.vrid == 0,  # 5.2.3: 1-255
            "vrid": heard.vrid != self.vrid,
            "owner": self.priority == OWNER,
            "unknown auth": heard.auth_type not in (0, 1, 2),  # 2338 5.3.6
            "auth": heard.auth_type != 0,  # what is configured
            "count": not heard.addresses,
            "link-local": self.ipv6 and bool(heard.addresses) and heard.addresses[0] not in self.link_local,
            "zero": heard.interval == 0,
            "interval": heard.interval != self.interval,
            "list": sorted(heard.addresses) != sorted(self.addresses),
        }
        verdicts = dict(self.rules["checks"])
        if self.on("interval 0 is refused") and self.rules["version"] == 3:
            verdicts["zero"] = "discard"
        order = list(verdicts)
        verdicts |= {"bad vrid": "discard", "unknown auth": "discard"}
        if self.on("bytes first"):
            mine = [check for check in self._of_the_message() if check in verdicts]
            order = [*mine, *(check for check in order if check not in mine)]
        return [(check, verdicts[check]) for check in order if failed[check]]

    def _of_the_message(self) -> tuple[str, ...]:
        own = list(self.rules["checks"])
        checks = [check for check in OF_THE_MESSAGE if check != "zero" or "zero" in own]
        if "auth" in own and own.index("auth") < own.index("vrid"):  # 2338 7.1
            checks.remove("bad vrid")
            checks.append("bad vrid")
        return tuple(checks)

    def advert_in_backup(self, heard: Advert, now: Fraction) -> list[Any]:
        """6.4.2: three cases, in the order of the text."""
        preempt = self.preempt or (self.priority == OWNER and self.on("an owner preempts"))
        if heard.priority == 0:  # Skew_Time, and nothing is learned
            self._timer_is, self._timer_set_at = "skew", now
            self._timer = max(now + self.skew_time(), self._not_before)
            self._why, self._hold = "priority", None
        elif not preempt or heard.priority >= self.priority:  # the addresses are not compared here
            self._learn(heard)
            self._set_down_timer(now)
            self._why, self._hold = "no-response", None
        elif self.preempt_delay:  # not in the text: let be for a while, and followed
            if self._hold is None:
                self._hold = max(now + self.preempt_delay, self._not_before)
            self._learn(heard)
            self._set_down_timer(now)
            self._why = "no-response"
        else:  # discarded: the timer goes on
            self._why = "priority" if self._why == "priority" else "preempted"
        return []

    def advert_in_active(self, heard: Advert, now: Fraction) -> list[Any]:
        """6.4.3: three cases, in the order of the text. Preempt_Mode is not asked for."""
        if heard.priority == 0:  # one ADVERTISEMENT, and Adver_Timer anew
            if not self._may_answer(now):
                return []
            self._timer = now + self.interval
            return [self._send(self.priority)]
        theirs, ours = (heard.priority, heard.source), (self.priority, self.primary)
        if theirs > ours:  # the greater priority, then the greater address: unsigned integers
            self._learn(heard)
            self._set_down_timer(now)
            self._why = "no-response"
            self.state = "backup"
            return [("deactivate",), ("state", "active", "backup", "higher-priority")]
        if theirs == ours and self.on("its own address is not answered"):
            return []
        if not self.rules["answers"]:
            return []
        # 9568 alone: discarded and answered; Adver_Timer is left alone
        return [self._send(self.priority)] if self._may_answer(now) else []

    def _learn(self, heard: Advert) -> None:
        self._followed = heard.priority
        if self.rules["learns"]:
            self.learned = heard.interval

    def _may_answer(self, now: Fraction) -> bool:
        if self.on("answers are bounded"):
            if self._answered is not None and now < self._answered + TENTH * self.interval - ROUNDING:
                return False
            self._answered = now
        return True

    # -- what no RFC speaks of --

    def priority_changed(self, priority: int, now: Fraction) -> list[Any]:
        if priority == self.priority:
            return []
        self.priority = priority
        if self._timer_is == "startup":  # no owner now: it waits as whoever starts
            self._timer_is, self._why = "down", "no-response"
        if self._hold is not None and priority <= self._followed:
            self._hold = None
        if self.state == "backup" and self.on("a change of priority moves the timer"):
            delay = self.skew_time() if self._timer_is == "skew" else self.active_down_interval()
            self._timer = max(now, self._timer_set_at + delay, self._not_before)
        return []
