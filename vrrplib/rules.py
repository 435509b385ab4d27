"""What the four RFCs differ in, as data: everything else asks a :class:`Rules`, and never a version number.

Some fields are alike in all four: they are about neighbours, which :mod:`vrrplib.profiles` describes. A rule set is
a value: ``dataclasses.replace(RFC9568, name="ours", interval_mismatch=Verdict.DISCARD)`` is one too.
"""

from __future__ import annotations

import enum
import math

from vrrplib.election import timers
from vrrplib.errors import Problem
from vrrplib.values import dataclass


class Verdict(enum.Enum):
    """What to do about a received message in which something is wrong."""

    DISCARD = "discard"
    WARN = "warn"  # process it, and say so
    IGNORE = "ignore"  # process it


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One RFC's answers. ``version`` is the protocol version, 2 or 3, that these rules speak."""

    name: str
    version: int
    rfc: int
    """The document that :meth:`clause` names."""
    requires_all_addresses: bool = True
    """A message shorter than its address count says is discarded; RFC 2338 7.1 asks for the head only."""
    trailing_bytes: Verdict = Verdict.WARN
    """More bytes than the address count says: no RFC forbids them, keepalived and FRR discard."""
    authentication_before_vrid: bool = False
    """RFC 2338 7.1 checks the authentication first, RFC 3768 7.1 the VRID."""
    auth_types: tuple[int, ...] = (0, 1, 2)
    """What is not discarded as unknown: none, simple text, AH (RFC 2338 5.3.6). 254 is Cisco's MD5, in no RFC."""
    wrong_auth_type: Verdict = Verdict.DISCARD
    """An authentication type that is not the configured one: RFC 3768 7.1. Some read it and do not care."""
    most_addresses: int = 255
    """A message of more addresses is discarded. No RFC has a bound; the count has eight bits."""
    longest_frame: int = 65535
    """A message in a longer frame is cut, and so discarded: in bytes, Ethernet and IP headers without options."""
    no_addresses: Verdict = Verdict.IGNORE
    """Address count 0: RFC 9568 5.2.5, erratum 8299; no rule in version 2."""
    zero_interval: Verdict = Verdict.WARN
    """Interval 0 in VRRPv3: RFC 9568 erratum 8301. Without it a Router would promote at once, over and over."""
    zero_interval_as: float = 0.0
    """What a Backup takes an interval of 0 for, in seconds, where ``zero_interval`` lets it pass; 0: it cannot."""
    global_first_address: Verdict = Verdict.IGNORE
    """VRRPv3 over IPv6 whose first address is not link-local: RFC 9568 erratum 8300."""
    heard_by_owner: Verdict = Verdict.DISCARD
    """Anything that the address owner (local priority 255) hears: 7.1; erratum 8298 makes it a warning."""
    owner_gives_way_to: int = 255
    """The priority that an owner takes when it hears another owner. RFCs let it keep 255, and compare addresses."""
    interval_mismatch: Verdict = Verdict.DISCARD
    """The peer's interval is not ours: version 2 discards, version 3 learns it."""
    interval_before_addresses: bool = False
    """RFC 9568 7.1 compares the interval first, RFC 3768 7.1 the addresses."""
    address_mismatch: Verdict = Verdict.DISCARD
    """The peer's address list is not ours (a MAY check)."""
    spares_owner: bool = True
    """Where that discards, a message of priority 255 is only warned of: RFC 3768 7.1."""
    learns_interval: bool = False
    """A Backup times the Active router by the interval that it advertises: RFC 5798 6.1, RFC 9568 6.1."""
    skew_per_interval: bool = False
    """Skew_Time is a part of the interval, as in version 3; else of a second: RFC 3768 6.1."""
    wrong_ttl: Verdict = Verdict.DISCARD
    """A TTL or hop limit other than 255: 7.1. Some routers do not look."""
    wrong_type: Verdict = Verdict.DISCARD
    """A type other than 1: RFC 3768 5.3.2, RFC 9568 7.1. Some routers do not look."""
    ones_checksum: Verdict = Verdict.WARN
    """0xFFFF where the sum is 0x0000: both verify (RFC 1071). Who compares it with its own sum discards."""
    timer_step: float = 0.0
    """Skew_Time and Active_Down_Interval are cut to multiples of it, in seconds; no RFC rounds."""
    timer_wraps_at: float = 0.0
    """Active_Down_Interval begins again at 0 when it gets so long, in seconds; 0: no RFC's does."""
    skew_in_down_interval: bool = True
    """Active_Down_Interval has its skew: 6.1. Without it Backups of all priorities promote themselves at once."""
    interval_scale: float = 1.0
    """The timers run for this many times the interval that messages tell of. No RFC has another than 1."""
    reserved_in_interval: bool = False
    """The four reserved bits are read as part of the interval, against RFC 9568 5.2.6."""
    answers_losing_advertisement: bool = False
    """An Active router answers an advertisement that loses with one of its own, at once: RFC 9568 6.4.3."""
    clauses: tuple[tuple[Problem, str], ...] = ()
    """The section behind each kind of problem, where it is not 7.1."""
    errata: tuple[tuple[Problem, int], ...] = ()
    """The verified errata that these rules follow, each by the check that it made or changed."""

    def skew_time(self, priority: int, active_adver_interval: float) -> float:
        """Skew_Time in seconds: :func:`vrrplib.skew_time`, and what some routers make of it."""
        skew = timers.skew_of(priority, active_adver_interval if self.skew_per_interval else 1.0)
        return self._cut(skew) if self.timer_step else skew

    def active_down_interval(self, priority: int, active_adver_interval: float) -> float:
        """Active_Down_Interval in seconds, likewise (Master_Down_Interval in RFC 5798)."""
        skew = self.skew_time(priority, active_adver_interval) if self.skew_in_down_interval else 0.0
        down = 3 * active_adver_interval * self.interval_scale + skew
        down = self._cut(down) if self.timer_step else down
        return down % self.timer_wraps_at if self.timer_wraps_at else down

    def _cut(self, seconds: float) -> float:
        return math.floor(seconds / self.timer_step + 1e-6) * self.timer_step

    def section(self, problem: Problem) -> str:
        """The section of this RFC that speaks of ``problem``: ``"RFC 9568 5.2.7"``."""
        return f"RFC {self.rfc} {dict(self.clauses).get(problem, '7.1')}"

    def clause(self, problem: Problem) -> str:
        """What makes ``problem`` one: the erratum, where these rules have one, else the :meth:`section`.

        ``"RFC 9568 erratum 8301"`` for an interval of 0. The errata are about that, a count of 0, a first IPv6
        address that is not link-local, and what an owner hears; anything else about an interval or an address has
        its section.
        """
        erratum = dict(self.errata).get(problem)
        return f"RFC {self.rfc} erratum {erratum}" if erratum else self.section(problem)


_V2_CLAUSES = (
    (Problem.VERSION, "5.3.1"),
    (Problem.TYPE, "5.3.2"),
    (Problem.VRID, "5.3.3"),
    (Problem.COUNT, "5.3.5"),
    (Problem.AUTH_TYPE, "5.3.6"),
    (Problem.INTERVAL, "5.3.7"),
    (Problem.CHECKSUM, "5.3.8"),
    (Problem.ADDRESS, "5.3.9"),
    (Problem.AUTH_DATA, "5.3.10"),
    (Problem.TTL, "5.2.3"),
)
_V3_CLAUSES = (
    (Problem.VERSION, "5.2.1"),
    (Problem.TYPE, "5.2.2"),
    (Problem.VRID, "5.2.3"),
    (Problem.COUNT, "5.2.5"),
    (Problem.RESERVED, "5.2.6"),
    (Problem.INTERVAL, "5.2.7"),
    (Problem.CHECKSUM, "5.2.8"),
    (Problem.ADDRESS, "5.2.9"),
    (Problem.TTL, "5.1.1.3"),  # over IPv6 it is 5.1.2.3, of the same words
)

RFC2338 = Rules(
    name="RFC2338",
    version=2,
    rfc=2338,
    requires_all_addresses=False,
    authentication_before_vrid=True,
    heard_by_owner=Verdict.IGNORE,  # 2338 7.1 has no such check
    clauses=_V2_CLAUSES,
)
RFC3768 = Rules(name="RFC3768", version=2, rfc=3768, clauses=_V2_CLAUSES)
RFC5798 = Rules(
    name="RFC5798",
    version=3,
    rfc=5798,
    no_addresses=Verdict.WARN,  # 5.2.5: "minimum value is 1", and no action
    interval_mismatch=Verdict.IGNORE,
    address_mismatch=Verdict.WARN,
    learns_interval=True,
    skew_per_interval=True,
    clauses=_V3_CLAUSES,
)
RFC9568_PUBLISHED = Rules(
    name="RFC9568 as published",
    version=3,
    rfc=9568,
    no_addresses=Verdict.DISCARD,  # 5.2.5
    interval_mismatch=Verdict.WARN,  # 7.1
    interval_before_addresses=True,
    address_mismatch=Verdict.WARN,
    learns_interval=True,
    skew_per_interval=True,
    answers_losing_advertisement=True,
    clauses=_V3_CLAUSES,
)
RFC9568 = Rules(
    name="RFC9568",
    version=3,
    rfc=9568,
    no_addresses=Verdict.DISCARD,
    zero_interval=Verdict.DISCARD,  # erratum 8301
    global_first_address=Verdict.DISCARD,  # erratum 8300
    heard_by_owner=Verdict.WARN,  # erratum 8298
    interval_mismatch=Verdict.WARN,
    interval_before_addresses=True,
    address_mismatch=Verdict.WARN,
    learns_interval=True,
    skew_per_interval=True,
    answers_losing_advertisement=True,
    clauses=_V3_CLAUSES,
    errata=(
        (Problem.OWNER, 8298),
        (Problem.COUNT, 8299),  # makes a check of what 5.2.5 says already
        (Problem.ADDRESS, 8300),
        (Problem.INTERVAL, 8301),
    ),
)

DEFAULT_RULES: dict[int, Rules] = {2: RFC3768, 3: RFC9568}
"""The rules for a message of which only the version is known."""
