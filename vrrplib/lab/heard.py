"""What was heard of one sender of adverts, who would refuse it, and why two of them do not yield to each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from vrrplib.errors import Finding, Problem
from vrrplib.lab.catalogue import BY_NAME, Answer
from vrrplib.lab.story import ConflictReason, Note, Reason, Speaker
from vrrplib.rules import DEFAULT_RULES, RFC9568, Rules
from vrrplib.wire.addresses import ADVERTISEMENT_TTL, Family, IPAddress, MacAddress, group_address
from vrrplib.wire.announcements import Announcement
from vrrplib.wire.checksum import ChecksumForm, names_of
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.packets import Inspection, Packet, VRRPv2

_MOST_SHOWN = 8  # addresses in a sentence
MOST_MACS = 8
_DESTINATION = {
    (2, Family.IPV4): "RFC 3768 5.2.2",
    (2, Family.IPV6): "RFC 3768 5.2.2",
    (3, Family.IPV4): "RFC 9568 5.1.1.2",
    (3, Family.IPV6): "RFC 9568 5.1.2.2",
}
FORM = "checksum form"
"""The key of the remark about it: the same for every sender."""
_FORM_ENTRIES = {
    ChecksumForm.PSEUDO_HEADER: "checksum-pseudo-header",
    ChecksumForm.MESSAGE_ONLY: "checksum-message-only",
}


class Budget:
    """How many values the explanation of a whole capture may still take, and how many did not fit."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.left_out = 0

    def take(self) -> bool:
        """Whether there is room for one more."""
        if self.left:
            self.left -= 1
            return True
        self.left_out += 1
        return False


@dataclasses.dataclass(slots=True, eq=False)
class Sender:
    """The last that was heard of one; times are nanoseconds, -1 for never."""

    speaker: Speaker
    first: int = -1
    last: int = -1
    priority: int = 0
    interval: float = 0.0
    addresses: tuple[IPAddress, ...] = ()
    ttl: int = ADVERTISEMENT_TTL
    destination: IPAddress | None = None
    form: ChecksumForm | None = None
    authentication: str = "none"
    problems: tuple[Finding, ...] = ()
    alive: int = -1
    """When it sent anything but adverts."""
    resigned_priority: int = 0
    """Its priority before it resigned last."""

    @property
    def pace(self) -> float:
        """Its interval in seconds, or 1 where it says that it has none."""
        return self.interval or 1.0

    def beats(self, other: Sender) -> bool:
        """RFC 9568 6.4.3: the higher priority, then the higher primary address."""
        return (self.priority, int(self.speaker.source)) > (other.priority, int(other.speaker.source))

    def learn(self, datagram: Datagram, packet: Packet, seen: Inspection) -> None:
        """Take over what an advert says; one of priority 0 speaks of nothing but the sender's end."""
        self.ttl, self.destination = datagram.ttl, datagram.destination
        if packet.priority:
            self.priority, self.interval, self.addresses = packet.priority, packet.interval, packet.addresses
            self.form = seen.checksum_form
            self.authentication = _authentication(datagram, packet)
            self.problems = seen.problems
        else:
            self.resigned_priority = self.priority


def _authentication(datagram: Datagram, packet: Packet) -> str:
    if datagram.header and len(datagram.header) > (datagram.header[0] & 0xF) * 4 and datagram.family is Family.IPV4:
        return "an authentication header (AH)"
    if not isinstance(packet, VRRPv2) or packet.auth_type == 0:
        return "none"
    return {1: "simple text", 2: "type 2 (AH)", 254: "Cisco's MD5"}.get(
        packet.auth_type, f"type {packet.auth_type}"
    )


@dataclasses.dataclass(slots=True)
class Burst:
    """Announcements of one beginning."""

    count: int = 0
    first: int = 0
    last: int = 0
    macs: dict[MacAddress, None] = dataclasses.field(default_factory=dict)
    addresses: set[IPAddress] = dataclasses.field(default_factory=set)

    def add(self, now: int, announcement: Announcement) -> None:
        if not self.count:
            self.first = now
        self.count, self.last = self.count + 1, now
        if announcement.mac is not None and len(self.macs) < MOST_MACS:
            self.macs[announcement.mac] = None
        self.addresses.add(announcement.address)  # those of the virtual router, 255 at most


@dataclasses.dataclass(slots=True)
class Seen:
    """An observation in the making."""

    note: Note
    time: int
    words: str
    clause: str
    speaker: Speaker | None
    count: int = 1


def rules_of(version: int) -> Rules:
    """The RFC by which a message of this version is judged."""
    return DEFAULT_RULES.get(version, RFC9568)


def ttl_finding(datagram: Datagram, version: int) -> Finding | None:
    """The first check of 7.1, which is about the packet and not about the message."""
    if datagram.ttl == ADVERTISEMENT_TTL:
        return None
    words = f"the TTL or hop limit must be {ADVERTISEMENT_TTL}, not {datagram.ttl}"
    return Finding(Problem.TTL, rules_of(version).clause(Problem.TTL), words)


def refusers(name: str, version: int) -> tuple[str, ...]:
    """Who rejects the catalogue's entry of this name, as far as it says."""
    entry = BY_NAME.get(name)
    if entry is None:
        return ()
    return tuple(who for who, answer in entry.answers(version).items() if answer is Answer.REJECTS)


def remarks(datagram: Datagram, packet: Packet, seen: Inspection) -> Iterator[tuple[Note, str, str, str]]:
    """What is to be said of an advert: note, a key that is the same for the same, words, clause."""
    wrong = ttl_finding(datagram, packet.version)
    for finding in ([wrong] if wrong else []) + list(seen.problems):
        yield Note.DISCARDED, finding.problem, finding.message, finding.clause
    for finding in seen.notes:
        name = "trailing-4" if finding.problem is Problem.TRAILING else ""
        yield _with_refusers(finding.problem, finding.message, finding.clause, name, packet.version)
    if packet.version == 3 and datagram.family is Family.IPV4 and seen.checksum_form:
        form = seen.checksum_form & ChecksumForm.EITHER
        if form in _FORM_ENTRIES:
            words = "the checksum covers " + (
                "the message alone, as RFC 9568 has it"
                if form is ChecksumForm.MESSAGE_ONLY
                else "an IPv4 pseudo-header too, as RFC 5798 was read"
            )
            yield _with_refusers(FORM, words, "RFC 9568 5.2.8", _FORM_ENTRIES[form], 3)
    if datagram.destination != group_address(datagram.family):
        words = f"sent to {datagram.destination}, and not to the group"
        yield _with_refusers(
            "unicast", words, _DESTINATION[packet.version, datagram.family], "unicast", packet.version
        )


def _with_refusers(key: str, words: str, clause: str, name: str, version: int) -> tuple[Note, str, str, str]:
    who = refusers(name, version)
    if not who:
        return Note.ODD, key, words, clause
    return Note.REFUSED, key, f"{words}: {', '.join(who)} drop{'s' if len(who) == 1 else ''} it", clause


def conflict_reasons(version: int, winner: Sender, loser: Sender) -> tuple[Reason, ...]:
    """Why ``loser`` does not yield to ``winner``, the likeliest first.

    Something that has the loser drop the winner's adverts, or else a way between them that is not open.
    """
    found = sorted(_reasons(version, winner, loser), key=lambda item: winner.speaker not in item.refused)
    if any(winner.speaker in reason.refused for reason in found):
        return tuple(found)
    words = (
        f"the adverts of {winner.speaker.source} are to be heard here, and nothing in them makes "
        f"{loser.speaker.source} drop them: they do not reach it (a one-way link, a filter, a switch that "
        "withholds the group), or it minds what a capture cannot show"
    )
    return (Reason(ConflictReason.ONE_WAY, words, "RFC 9568 6.4.3" if version == 3 else "RFC 3768 6.4.3"), *found)


def _reasons(version: int, winner: Sender, loser: Sender) -> Iterator[Reason]:
    rules = rules_of(version)
    both = (winner.speaker, loser.speaker)
    if winner.speaker.source == loser.speaker.source:
        words = f"both send from {winner.speaker.source}: each takes the adverts of the other for its own"
        yield Reason(ConflictReason.SHARED_ADDRESS, words, "", both)
    for one, other in ((winner, loser), (loser, winner)):
        yield from _of_one(rules, one, other)
    if version == 3 and winner.form and loser.form and not winner.form & loser.form:
        clause = rules.clause(Problem.CHECKSUM)
        yield Reason(ConflictReason.CHECKSUM_FORM, _forms(winner, loser), clause, both)
    if winner.authentication != loser.authentication:
        words = f"authentication: {_each(winner, winner.authentication, loser, loser.authentication)}"
        yield Reason(ConflictReason.AUTHENTICATION, words, rules.clause(Problem.AUTH_TYPE), both)
    elif winner.authentication != "none":
        words = f"both have {winner.authentication}; whether with the same key, a capture does not tell"
        yield Reason(ConflictReason.AUTHENTICATION, words, rules.clause(Problem.AUTH_TYPE))
    if version == 2 and winner.interval != loser.interval:
        words = f"intervals: {_each(winner, f'{winner.interval:g} s', loser, f'{loser.interval:g} s')}"
        yield Reason(
            ConflictReason.INTERVAL, words + "; version 2 drops another interval than its own", "RFC 3768 7.1", both
        )
    if set(winner.addresses) != set(loser.addresses):
        words = f"addresses: {_each(winner, _shown(winner.addresses), loser, _shown(loser.addresses))}"
        if version == 2:
            # RFC 3768 7.1 spares the owner, who has priority 255
            refused = tuple(one.speaker for one in (winner, loser) if one.priority != 255)
            yield Reason(ConflictReason.ADDRESSES, words + "; a receiver may drop that", "RFC 3768 7.1", refused)
        else:
            words += "; RFC 9568 has that logged, and some drop it"
            yield Reason(ConflictReason.ADDRESSES, words, "RFC 9568 7.1")


def _of_one(rules: Rules, one: Sender, other: Sender) -> Iterator[Reason]:
    """What makes everybody drop the adverts of ``one``."""
    source, refused = one.speaker.source, (one.speaker,)
    if one.ttl != ADVERTISEMENT_TTL:
        words = f"{source} sends with TTL {one.ttl}, and everybody drops what has not {ADVERTISEMENT_TTL}"
        yield Reason(ConflictReason.TTL, words, rules.clause(Problem.TTL), refused)
    for finding in one.problems:
        kind = ConflictReason.CHECKSUM if finding.problem is Problem.CHECKSUM else ConflictReason.MALFORMED
        yield Reason(kind, f"{source}: {finding.message}", finding.clause, refused)
    group = group_address(Family(source.version))
    if one.destination is not None and one.destination not in (group, other.speaker.source):
        words = f"{source} sends to {one.destination}, which is not {other.speaker.source}"
        yield Reason(ConflictReason.UNICAST, words, "", refused)


def _forms(winner: Sender, loser: Sender) -> str:
    words, ends = [], []
    for one in (winner, loser):
        assert one.form is not None
        words.append(f"{one.speaker.source} sends the {names_of(one.form)} form")
        name = _FORM_ENTRIES.get(one.form & ChecksumForm.EITHER, "")
        if who := refusers(name, 3):
            ends.append(f"{', '.join(who)} drop{'s' if len(who) == 1 else ''} {names_of(one.form)}")
    return f"checksums: {', '.join(words)}; who accepts only its own drops the other's ({'; '.join(ends)})"


def _each(one: Sender, value: str, other: Sender, other_value: str) -> str:
    return f"{one.speaker.source} has {value}, {other.speaker.source} {other_value}"


def _shown(addresses: tuple[IPAddress, ...]) -> str:
    text = ", ".join(map(str, addresses[:_MOST_SHOWN])) or "none"
    return text + (f" and {len(addresses) - _MOST_SHOWN} more" if len(addresses) > _MOST_SHOWN else "")
