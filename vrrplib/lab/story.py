"""What :func:`vrrplib.lab.explain.explain` says of a capture, as values: who was Active when, and why it changed.

All times are Unix seconds, all durations seconds. Every value has ``to_dict()``, of what JSON can hold.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

from vrrplib.wire.addresses import Family, IPAddress, MacAddress

NANOSECONDS = 1_000_000_000


class Cause(enum.StrEnum):
    """Why it changed who is Active. Those after ``RESTARTED`` are ends: somebody stops, and nobody begins."""

    ALREADY_ACTIVE = "already-active"  # the first advert in the capture, of one that was Active before it
    NOBODY_ACTIVE = "nobody-active"  # it began while nobody was to be heard
    MISSED_ADVERTISEMENTS = "missed-advertisements"  # Active_Down_Interval after the last advert of the one before
    RESIGNATION = "resignation"  # Skew_Time after a priority of 0
    PREEMPTION = "preemption"  # it beats the one that was Active, and that was there
    UNHEARD = "unheard"  # it began beside one that beats it, and that it therefore did not hear
    STALLED = "stalled"  # the same sender goes on after more than 1.5 intervals
    RESTARTED = "restarted"  # the same sender begins anew
    RESIGNED = "resigned"  # priority 0, and no successor
    YIELDED = "yielded"  # one of two stopped
    SILENT = "silent"  # it stopped without a word, and no successor


class Suspect(enum.StrEnum):
    """What may be behind it: a capture seldom tells all of them apart."""

    PROCESS = "process"  # the VRRP process died or stood still; the machine and its link were up
    LINK = "link"  # the link, or the machine
    ONE_WAY = "one-way"  # what is heard here is not heard, or not accepted, there
    LOSS = "loss"  # single adverts that did not arrive at the taker, or here
    LATE = "late"  # a timer that fired late, or that began later
    LATER = "later"  # or another advert, later, brought it about
    EARLY = "early"  # a shorter timer than the RFC's, or adverts that the taker did not hear
    SHARED_ADDRESS = "shared-address"  # two machines with one source address
    RESTART = "restart"  # the same machine once more
    PREEMPTION = "preemption"
    MISSED = "missed-advertisements"


class ConflictReason(enum.StrEnum):
    """Why two routers are Active at once."""

    CHECKSUM = "checksum"
    CHECKSUM_FORM = "checksum-form"
    AUTHENTICATION = "authentication"
    INTERVAL = "interval"
    ADDRESSES = "addresses"
    TTL = "ttl"
    MALFORMED = "malformed"
    VERSION = "version"
    SHARED_ADDRESS = "shared-address"
    UNICAST = "unicast"
    ONE_WAY = "one-way"


class Note(enum.StrEnum):
    """What else is worth a line."""

    DISCARDED = "discarded"  # an advert that the RFC has everybody drop
    REFUSED = "refused"  # one that the RFC lets pass, and some implementation drops
    ODD = "odd"
    PHYSICAL_SOURCE = "physical-source"
    OTHER_VIRTUAL_MAC = "other-virtual-mac"
    ANNOUNCED_FROM = "announced-from"  # an announcement whose frame comes from another MAC than it names
    ANNOUNCED_OTHER = "announced-other"  # one that names a MAC which nobody advertises from
    NOT_ANNOUNCED = "not-announced"
    UNSEEN = "unseen"  # no ARP or ND at all: a capture filter, perhaps
    STILL_ANSWERS = "still-answers"
    CHANGED = "changed"  # priority, interval or addresses
    CARP = "carp"
    CLOCK = "clock"
    LEFT_OUT = "left-out"


def seconds(ns: int) -> float:
    return ns / NANOSECONDS


@dataclasses.dataclass(frozen=True, slots=True)
class RouterKey:
    """A virtual router as seen on one LAN: ``vlans`` outermost first, ``interface`` by its name or number.

    ``interface`` is "" in a capture of one interface.
    """

    vrid: int
    family: Family
    version: int
    vlans: tuple[int, ...] = ()
    interface: str = ""

    def __str__(self) -> str:
        where = "".join(f", VLAN {vlan}" for vlan in self.vlans)
        where += f", on {self.interface}" if self.interface else ""
        return f"vrid {self.vrid}, IPv{int(self.family)}, version {self.version}{where}"

    def to_dict(self) -> dict[str, Any]:
        """``interface``, ``family``, ``vrid``, ``version``, ``vlans``; the first is None for the only one."""
        return {
            "interface": self.interface or None,
            "family": int(self.family),
            "vrid": self.vrid,
            "version": self.version,
            "vlans": list(self.vlans),
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Speaker:
    """Who sends adverts, by the addresses of its packets; ``mac`` is None where the capture has no MACs."""

    source: IPAddress
    mac: MacAddress | None

    def __str__(self) -> str:
        return f"{self.source}" if self.mac is None else f"{self.source} ({self.mac})"

    def to_dict(self) -> dict[str, Any]:
        """``source`` and ``mac``."""
        return {"source": str(self.source), "mac": None if self.mac is None else str(self.mac)}


@dataclasses.dataclass(frozen=True, slots=True)
class Announced:
    """The gratuitous ARPs or NAs of a new Active, within a second or an interval of its beginning.

    ``first`` and ``last`` are seconds after it, negative before the advert; ``macs`` those that they name,
    ``missing`` the advertised addresses that none was for.
    """

    count: int
    first: float
    last: float
    macs: tuple[MacAddress, ...]
    missing: tuple[IPAddress, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields, MACs and addresses as strings."""
        return {
            "count": self.count,
            "first": self.first,
            "last": self.last,
            "macs": [str(mac) for mac in self.macs],
            "missing": [str(address) for address in self.missing],
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Suspicion:
    """One thing that may be behind a transition, and what speaks for it."""

    suspect: Suspect
    because: str

    def to_dict(self) -> dict[str, str]:
        """``suspect`` and ``because``."""
        return {"suspect": str(self.suspect), "because": self.because}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """It changed who is Active: ``old`` stopped and ``new`` began; the same one where it goes on.

    ``time`` is that of the first sign of it: an advert, or (``by_announcement``) a gratuitous ARP or NA that was
    there before one. ``measured`` counts from ``since``, which ``since_words`` names ("the last advert"), and
    ``theory`` is what the RFC says it should be; ``basis`` says how that is computed. None where there is none.
    ``suspicions`` has more than one where the capture does not tell.
    """

    router: RouterKey
    time: float
    cause: Cause
    old: Speaker | None
    new: Speaker | None
    priority: int | None = None
    since: float | None = None
    since_words: str = ""
    measured: float | None = None
    theory: float | None = None
    basis: str = ""
    by_announcement: bool = False
    announced: Announced | None = None
    suspicions: tuple[Suspicion, ...] = ()

    @property
    def suspects(self) -> tuple[Suspect, ...]:
        """The suspicions without their reasons, the likeliest first."""
        return tuple(item.suspect for item in self.suspicions)

    def to_dict(self) -> dict[str, Any]:
        """The fields; ``old`` and ``new`` by source and MAC."""
        return {
            "time": self.time,
            **self.router.to_dict(),
            "cause": str(self.cause),
            "old": None if self.old is None else self.old.to_dict(),
            "new": None if self.new is None else self.new.to_dict(),
            "priority": self.priority,
            "since": self.since,
            "since_words": self.since_words or None,
            "measured": self.measured,
            "theory": self.theory,
            "basis": self.basis or None,
            "by_announcement": self.by_announcement,
            "announced": None if self.announced is None else self.announced.to_dict(),
            "suspicions": [item.to_dict() for item in self.suspicions],
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tenure:
    """How long somebody was Active, as far as can be seen: to its resignation, to the advert to which it yielded,
    else to its last advert. ``ended`` is None for one that was Active when the capture ended."""

    router: RouterKey
    speaker: Speaker
    start: float
    end: float
    priority: int
    interval: float
    adverts: int
    began: Cause
    ended: Cause | None

    def to_dict(self) -> dict[str, Any]:
        """The fields, and ``time``, which is the start."""
        return {
            "time": self.start,
            **self.router.to_dict(),
            **self.speaker.to_dict(),
            "end": self.end,
            "priority": self.priority,
            "interval": self.interval,
            "adverts": self.adverts,
            "began": str(self.began),
            "ended": None if self.ended is None else str(self.ended),
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Reason:
    """Why one Active does not yield to another; ``refused`` are those whose adverts are dropped for it."""

    reason: ConflictReason
    words: str
    clause: str = ""
    refused: tuple[Speaker, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields; ``refused`` by source and MAC."""
        return {
            "reason": str(self.reason),
            "words": self.words,
            "clause": self.clause,
            "refused": [speaker.to_dict() for speaker in self.refused],
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two were Active at once, from ``start`` to ``end`` (None: to the end of the capture).

    ``winner`` is whom RFC 9568 6.4.3 has stay: the higher priority, then the higher address. ``reasons`` say why
    ``loser`` did not yield; the first is the likeliest.
    """

    router: RouterKey
    start: float
    end: float | None
    winner: Speaker
    loser: Speaker
    adverts: int
    reasons: tuple[Reason, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields, and ``time``, which is the start."""
        return {
            "time": self.start,
            **self.router.to_dict(),
            "end": self.end,
            "winner": self.winner.to_dict(),
            "loser": self.loser.to_dict(),
            "adverts": self.adverts,
            "reasons": [reason.to_dict() for reason in self.reasons],
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Something else that was seen ``count`` times, first at ``time``; ``router`` None: not of one of them."""

    note: Note
    time: float
    words: str
    clause: str = ""
    count: int = 1
    router: RouterKey | None = None
    speaker: Speaker | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields; without a router those of its key are absent."""
        return {
            "time": self.time,
            **({} if self.router is None else self.router.to_dict()),
            "note": str(self.note),
            "words": self.words,
            "clause": self.clause or None,
            "count": self.count,
            **({} if self.speaker is None else self.speaker.to_dict()),
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RouterStory:
    """All of one virtual router, each list in the order of time."""

    router: RouterKey
    addresses: tuple[IPAddress, ...]
    adverts: int
    speakers: tuple[Speaker, ...]
    tenures: tuple[Tenure, ...]
    transitions: tuple[Transition, ...]
    conflicts: tuple[Conflict, ...]
    observations: tuple[Observation, ...]

    def to_dict(self) -> dict[str, Any]:
        """The key, addresses, number of adverts, and the lists of values."""
        return {
            **self.router.to_dict(),
            "addresses": [str(address) for address in self.addresses],
            "adverts": self.adverts,
            "speakers": [speaker.to_dict() for speaker in self.speakers],
            "tenures": [item.to_dict() for item in self.tenures],
            "transitions": [item.to_dict() for item in self.transitions],
            "conflicts": [item.to_dict() for item in self.conflicts],
            "observations": [item.to_dict() for item in self.observations],
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What happened in a capture, from ``start`` to ``end`` (0 and 0 for one without times).

    ``records`` counts its records, ``adverts`` those that are VRRP (or CARP); ``observations`` are of no virtual
    router.
    """

    start: float
    end: float
    records: int
    adverts: int
    routers: tuple[RouterStory, ...]
    observations: tuple[Observation, ...]

    @property
    def transitions(self) -> tuple[Transition, ...]:
        """Those of all virtual routers, in the order of time."""
        return tuple(sorted((item for story in self.routers for item in story.transitions), key=lambda it: it.time))

    @property
    def tenures(self) -> tuple[Tenure, ...]:
        """Those of all virtual routers, in the order of their beginning."""
        return tuple(sorted((item for story in self.routers for item in story.tenures), key=lambda it: it.start))

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """Those of all virtual routers, in the order of their beginning."""
        return tuple(sorted((item for story in self.routers for item in story.conflicts), key=lambda it: it.start))

    def to_dict(self) -> dict[str, Any]:
        """The fields, down to strings and numbers."""
        return {
            "start": self.start,
            "end": self.end,
            "records": self.records,
            "adverts": self.adverts,
            "routers": [story.to_dict() for story in self.routers],
            "observations": [item.to_dict() for item in self.observations],
        }
