"""What the four RFCs differ in, as data: everything else asks a :class:`Rules`, and never a version number.

A rule set is a value: ``dataclasses.replace(RFC9568, name="ours", interval_mismatch=Verdict.DISCARD)`` is one too.
"""

from __future__ import annotations

import dataclasses
import enum

from vrrplib.errors import Problem


class Verdict(enum.Enum):
    """What to do about a received message in which something is wrong."""

    DISCARD = "discard"
    WARN = "warn"  # process it, and say so
    IGNORE = "ignore"  # process it


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One RFC's answers. ``version`` is the protocol version, 2 or 3, that these rules speak."""

    name: str
    version: int
    requires_all_addresses: bool = True
    """A message shorter than its address count says is discarded; RFC 2338 7.1 asks for the head only."""
    no_addresses: Verdict = Verdict.IGNORE
    """Address count 0: RFC 9568 5.2.5, erratum 8299; no rule in version 2."""
    zero_interval: Verdict = Verdict.WARN
    """Interval 0 in VRRPv3: RFC 9568 erratum 8301. Without it a Router would promote at once, over and over."""
    global_first_address: Verdict = Verdict.IGNORE
    """VRRPv3 over IPv6 whose first address is not link-local: RFC 9568 erratum 8300."""
    heard_by_owner: Verdict = Verdict.DISCARD
    """Anything that the address owner (local priority 255) hears: 7.1; erratum 8298 makes it a warning."""
    interval_mismatch: Verdict = Verdict.DISCARD
    """The peer's interval is not ours: version 2 discards, version 3 learns it."""
    address_mismatch: Verdict = Verdict.DISCARD
    """The peer's address list is not ours (a MAY check). Discard spares priority 255 (RFC 3768 7.1)."""
    learns_interval: bool = False
    """A Backup times the Active router by the interval that it advertises: RFC 5798 6.1, RFC 9568 6.1."""
    answers_losing_advertisement: bool = False
    """An Active router answers an advertisement that loses with one of its own, at once: RFC 9568 6.4.3."""
    clauses: tuple[tuple[Problem, str], ...] = ()
    """The section behind each kind of discard, where it is not 7.1."""

    def clause(self, problem: Problem) -> str:
        """The section of this RFC that speaks of ``problem``: ``"RFC 9568 5.2.8"``."""
        rfc = self.name.partition(" ")[0].replace("RFC", "RFC ")
        return f"{rfc} {dict(self.clauses).get(problem, '7.1')}"


_V2_CLAUSES = (
    (Problem.VERSION, "5.3.1"),
    (Problem.TYPE, "5.3.2"),
    (Problem.VRID, "5.3.3"),
    (Problem.COUNT, "5.3.5"),
    (Problem.AUTH_TYPE, "5.3.6"),
    (Problem.INTERVAL, "5.3.7"),
    (Problem.CHECKSUM, "5.3.8"),
    (Problem.ADDRESS, "5.3.9"),
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
    (Problem.TTL, "5.1.1.3"),
)

RFC2338 = Rules(
    name="RFC2338",
    version=2,
    requires_all_addresses=False,
    heard_by_owner=Verdict.IGNORE,  # 2338 7.1 has no such check
    clauses=_V2_CLAUSES,
)
RFC3768 = Rules(name="RFC3768", version=2, clauses=_V2_CLAUSES)
RFC5798 = Rules(
    name="RFC5798",
    version=3,
    no_addresses=Verdict.WARN,  # 5.2.5: "minimum value is 1", and no action
    interval_mismatch=Verdict.IGNORE,
    address_mismatch=Verdict.WARN,
    learns_interval=True,
    clauses=_V3_CLAUSES,
)
RFC9568_PUBLISHED = dataclasses.replace(
    RFC5798,
    name="RFC9568 as published",
    no_addresses=Verdict.DISCARD,  # 5.2.5
    interval_mismatch=Verdict.WARN,  # 7.1
    answers_losing_advertisement=True,
)
RFC9568 = dataclasses.replace(
    RFC9568_PUBLISHED,
    name="RFC9568",
    zero_interval=Verdict.DISCARD,  # erratum 8301
    global_first_address=Verdict.DISCARD,  # erratum 8300
    heard_by_owner=Verdict.WARN,  # erratum 8298
)

DEFAULT_RULES: dict[int, Rules] = {2: RFC3768, 3: RFC9568}
"""The rules for a message of which only the version is known."""
