"""One virtual router, advert by advert: who is Active, and what changes it. Times are nanoseconds in here."""

from __future__ import annotations

import dataclasses

from vrrplib.lab import causes
from vrrplib.lab.causes import Departed, Verdict, is_gap
from vrrplib.lab.heard import MOST_MACS, Budget, Burst, Seen, Sender, conflict_reasons
from vrrplib.lab.story import NANOSECONDS, Cause, Note, Reason, Speaker, Suspect, Suspicion
from vrrplib.wire.addresses import IPAddress, MacAddress
from vrrplib.wire.announcements import Announcement

MOST_SENDERS = 64
"""Senders of one virtual router: what is more is a flood, and only counted."""
_MOST_NOTES = 512
_MOST_PAIRS = 32
_AGAIN = 0.05  # intervals, within which it is the same advert: some captures have each frame twice
_VIRTUAL = bytes.fromhex("00005e00")  # virtual MACs begin so: RFC 9568 7.3
_GONE = 4.0  # intervals: more than every Active_Down_Interval


@dataclasses.dataclass(slots=True, eq=False)
class Change:
    """A transition in the making."""

    time: int
    verdict: Verdict
    old: Speaker | None
    new: Speaker | None
    priority: int | None = None
    addresses: tuple[IPAddress, ...] = ()
    burst: Burst | None = None
    by_announcement: bool = False
    window: int = 0
    returns_from: Change | None = None


@dataclasses.dataclass(slots=True, eq=False)
class Term:
    """A tenure in the making; ``last`` is its last advert, ``answered`` the first one of somebody else after it.

    ``again`` is another of these before its own next one was due.
    """

    sender: Sender
    start: int
    last: int
    change: Change
    latest: Change
    priority: int
    interval: float
    adverts: int = 0
    answered: tuple[int, Sender] | None = None
    again: int = -1
    end: int | None = None
    ended: Cause | None = None


@dataclasses.dataclass(slots=True, eq=False)
class Pair:
    """Two terms that overlap: a conflict once the one that should yield has had the occasion and did not."""

    first: Term
    second: Term
    start: int
    counts: list[int]
    confirmed: bool = False
    winner: Sender | None = None
    loser: Sender | None = None
    end: int | None = None
    reasons: tuple[Reason, ...] = ()

    def has(self, term: Term) -> bool:
        return term is self.first or term is self.second

    def other(self, term: Term) -> Term:
        return self.second if term is self.first else self.first


class Tracker:
    """Follows one virtual router. ``budget`` is shared by all of a capture."""

    def __init__(self, version: int, began: int, budget: Budget) -> None:
        self.version = version
        self.adverts = 0
        self.ignored = 0
        self.senders: dict[tuple[bytes, bytes], Sender] = {}
        self.terms: list[Term] = []
        self.changes: list[Change] = []
        self.conflicts: list[Pair] = []
        self.notes: dict[tuple[Note, Speaker | None, str], Seen] = {}
        self.addresses: tuple[IPAddress, ...] = ()
        self.answered_at = -1
        self._began = began
        self._budget = budget
        self._open: dict[Sender, Term] = {}
        self._pairs: list[Pair] = []
        self._gone: Departed | None = None
        self._pending: Burst | None = None
        self._pace = 1.0
        self._answers: dict[MacAddress, int] = {}
        self._old_answers: tuple[MacAddress, ...] = ()
        self._lost: dict[Sender, Change] = {}

    # -- what comes in --

    def note(
        self, note: Note, now: int, words: str, clause: str = "", speaker: Speaker | None = None, key: str = ""
    ) -> None:
        """Something to be said once, and counted."""
        place = (note, speaker, key or words)
        seen = self.notes.get(place)
        if seen is not None:
            seen.count += 1
        elif len(self.notes) < _MOST_NOTES and self._budget.take():
            self.notes[place] = Seen(note, now, words, clause, speaker)

    def advert(self, now: int, sender: Sender, priority: int, pace: float) -> None:
        """An advert of ``sender``, which has learned from it already; ``pace``: its interval before that."""
        self.adverts += 1
        for other, term in tuple(self._open.items()):
            if other is sender:
                continue
            if term.answered is None:
                term.answered = (now, sender)
            elif now - term.last < other.pace * NANOSECONDS:
                term.again = now
            silence = (now - term.last) / NANOSECONDS / other.pace
            if silence > causes.GAP and len(self._open) > 1 and (silence > _GONE or self._is_preempted(term)):
                self._fell_silent(term)
        if priority == 0:
            self._resigned(now, sender)
        else:
            self._claimed(now, sender, pace)
        sender.last = now
        self._pace = sender.pace

    def announcement(self, now: int, announcement: Announcement) -> None:
        """A gratuitous ARP or NA for one of the addresses."""
        present = [term for term in self._open.values() if not is_gap(term.sender, now)]
        if not present:
            if self._pending is None or now - self._pending.first > causes.GAP * self._pace * NANOSECONDS:
                self._pending = Burst()
            self._pending.add(now, announcement)
            return
        named = [term for term in present if term.sender.speaker.mac == announcement.sender]
        term = max(named or present, key=lambda item: item.latest.time)
        change = term.latest
        if change.burst is not None and now - change.time <= change.window:
            change.burst.add(now, announcement)

    def is_active(self, sender: Sender) -> bool:
        """Whether its last advert claimed the virtual router."""
        return sender in self._open

    def answered(self, now: int, mac: MacAddress) -> None:
        """Something else came from one of the virtual addresses."""
        self.answered_at = now
        if mac.packed[:4] == _VIRTUAL:
            return  # it may be anybody's
        if mac in self._answers or len(self._answers) < MOST_MACS:
            self._answers[mac] = now
        if mac in self._old_answers:
            words = f"{mac} goes on answering for the virtual addresses after another took over"
            self.note(Note.STILL_ANSWERS, now, words)

    # -- an advert --

    def _claimed(self, now: int, sender: Sender, pace: float) -> None:
        term, again = self._open.get(sender), False
        if term is not None and now - sender.last > causes.GAP * pace * NANOSECONDS and self._is_preempted(term):
            self._fell_silent(term)  # and comes back
            term = None
        if term is None:
            term = self._begin(now, sender)
        elif now - term.last < _AGAIN * pace * NANOSECONDS:
            again = True
        elif now - sender.last > causes.GAP * pace * NANOSECONDS:
            self._goes_on(now, term, pace)
        term.adverts += 1
        term.last, term.answered, term.again = now, None, -1
        term.priority, term.interval = sender.priority, sender.interval
        self.addresses = sender.addresses
        self._pending = None
        for pair in self._pairs:
            if pair.has(term) and not again:
                self._count(pair, term)

    def _begin(self, now: int, sender: Sender) -> Term:
        start, burst = now, Burst()
        present = [term for term in self._open.values() if not is_gap(term.sender, now)]
        silent = [term for term in self._open.values() if term not in present]
        pending = self._pending
        # what was announced before the one before it stopped was not its doing
        before = max([term.last for term in silent] + [self._gone.time if self._gone else -1])
        before = max(before, now - int(causes.GAP * sender.pace * NANOSECONDS))
        if pending and not present and before < pending.first <= now:
            start, burst = pending.first, pending
        old, verdict = self._why(start, sender, present, silent)
        change = self._changed(start, verdict, old.speaker if old else None, sender.speaker)
        self._is_beginning(change, now, sender, burst)
        change.returns_from = self._lost.pop(sender, None)
        term = Term(sender, start, now, change, change, sender.priority, sender.interval)
        if self._budget.take():
            self.terms.append(term)
        self._displace(silent, change)
        room = max(0, _MOST_PAIRS - len(self._pairs))
        self._pairs += [Pair(other, term, start, [0, 0]) for other in present[:room]]
        self._open[sender] = term
        self._gone = None
        return term

    def _is_beginning(self, change: Change, now: int, sender: Sender, burst: Burst) -> None:
        change.priority, change.addresses, change.burst = sender.priority, sender.addresses, burst
        change.by_announcement = change.time != now
        change.window = now - change.time + int(max(1.0, sender.pace) * NANOSECONDS)

    def _why(
        self, start: int, sender: Sender, present: list[Term], silent: list[Term]
    ) -> tuple[Sender | None, Verdict]:
        if present or silent:
            old = max(present or silent, key=lambda term: term.last).sender
            if old.speaker.source == sender.speaker.source:
                return old, causes.another_mac(start, sender, old)
            if silent and not present:
                alive = max(old.alive, self.answered_at)
                return old, causes.after_silence(start, sender, old, self.version, alive)
            return old, causes.beside(sender, old, self.version)
        if self._gone is not None:
            return self._gone.sender, causes.after_resignation(start, sender, self._gone, self.version)
        heard_nobody = start - self._began > causes.GAP * sender.pace * NANOSECONDS
        return None, Verdict(Cause.NOBODY_ACTIVE if heard_nobody else Cause.ALREADY_ACTIVE)

    def _displace(self, silent: list[Term], change: Change) -> None:
        """Those that had fallen silent are Active no more: ``change`` says who is."""
        for term in silent:
            if self._open.get(term.sender) is term:
                self._lost[term.sender] = change
                self._ends(term, term.last, change.verdict.cause)
        if change.verdict.cause is Cause.MISSED_ADVERTISEMENTS:
            self._old_answers = tuple(self._answers)
        else:
            self._old_answers = ()
        self._answers.clear()

    def _goes_on(self, now: int, term: Term, pace: float) -> None:
        pending, sender = self._pending, term.sender
        verdict = causes.after_gap(now, sender, pace, max(sender.alive, self.answered_at))
        start = pending.first if pending and pending.first > sender.last else now
        change = self._changed(start, verdict, sender.speaker, sender.speaker)
        self._is_beginning(change, now, sender, pending or Burst())
        term.latest = change

    def _resigned(self, now: int, sender: Sender) -> None:
        term = self._open.get(sender)
        before, self._pending = sender.last, None
        if term is not None:
            for other in [pair.first for pair in self._pairs if pair.second is term]:
                if self._is_preempted(other):
                    self._fell_silent(other)
            self._ends(term, now, Cause.RESIGNED)
        if self._open:
            if term is not None:
                self._changed(now, Verdict(Cause.RESIGNED), sender.speaker, None)
        elif self._gone is None or self._gone.sender is not sender:
            self._gone = Departed(sender, now, before)

    # -- two at once --

    def _is_preempted(self, term: Term) -> bool:
        """Whether somebody that beats it has begun, and it has sent nothing since."""
        return term.answered is not None and any(
            pair.first is term and not pair.confirmed and pair.second.sender.beats(term.sender)
            for pair in self._pairs
        )

    def _count(self, pair: Pair, term: Term) -> None:
        pair.counts[term is pair.second] += 1
        if pair.confirmed:
            return
        second_wins = pair.second.sender.beats(pair.first.sender)
        winner, loser = (pair.second, pair.first) if second_wins else (pair.first, pair.second)
        # One of the loser's may cross the winner's on the way, or be on it already; after that it has heard it.
        if pair.counts[not second_wins] < 2 or not pair.counts[second_wins]:
            return
        pair.confirmed = True
        pair.winner, pair.loser = winner.sender, loser.sender
        pair.reasons = conflict_reasons(self.version, winner.sender, loser.sender)
        if self._budget.take():
            self.conflicts.append(pair)

    def _fell_silent(self, term: Term) -> None:
        """One of several has sent nothing for long: it yielded, or was preempted, or died just then."""
        pairs = [pair for pair in self._pairs if pair.has(term)]
        heard, by = term.answered or (term.last, term.sender)
        pair = max(pairs, key=lambda item: (item.confirmed, item.start), default=None)
        if pair is None:
            self._ends(term, term.last, Cause.SILENT)
            return
        other = pair.other(term)
        if not pair.confirmed and term is pair.first:
            if other.sender.beats(term.sender):
                self._ends(term, pair.start, other.change.verdict.cause)
                return
            # it was about to be silent for good when the other began, before its time
            if other.change.verdict.cause is Cause.UNHEARD and term.last <= pair.start:
                alive = max(term.sender.alive, self.answered_at if self.answered_at < pair.start else -1)
                other.change.verdict = causes.after_silence(
                    pair.start, other.sender, term.sender, self.version, alive
                )
                self._ends(term, term.last, other.change.verdict.cause)
                return
        if term.sender.beats(by):  # which is no reason to yield
            self._ends(term, term.last, Cause.SILENT)
            change = self._changed(term.last, Verdict(Cause.SILENT), term.sender.speaker, by.speaker)
        else:
            self._ends(term, heard, Cause.YIELDED)
            verdict = causes.yielding(heard, term.again)
            change = self._changed(heard, verdict, term.sender.speaker, by.speaker)
        change.priority = by.priority

    def _ends(self, term: Term, end: int, cause: Cause) -> None:
        term.end, term.ended = end, cause
        self._open.pop(term.sender, None)
        for pair in self._pairs:
            if pair.has(term):
                pair.end = end
        self._pairs = [pair for pair in self._pairs if not pair.has(term)]

    def _changed(self, now: int, verdict: Verdict, old: Speaker | None, new: Speaker | None) -> Change:
        change = Change(now, verdict, old, new)
        if self._budget.take():
            self.changes.append(change)
        return change

    # -- the end --

    def close(self, end: int, announcements_seen: bool) -> None:
        """The capture ends at ``end``; ``announcements_seen``: it has ARP or ND, and not only adverts."""
        for term in sorted(self._open.values(), key=lambda item: item.last):
            self._at_the_end(term, end)
        if self._gone is not None:
            self._changed(self._gone.time, Verdict(Cause.RESIGNED), self._gone.sender.speaker, None)
        for change in self.changes:
            self._reconsider(change, announcements_seen)
        self.changes.sort(key=lambda item: item.time)

    def _at_the_end(self, term: Term, end: int) -> None:
        alone = len(self._open) == 1
        if alone:
            if end - term.last > _GONE * term.sender.pace * NANOSECONDS:
                self._ends(term, term.last, Cause.SILENT)
                change = self._changed(term.last, Verdict(Cause.SILENT), term.sender.speaker, None)
                change.verdict.theory, change.verdict.basis = term.sender.pace, "one interval"
            return
        if term.answered is not None and (self._is_preempted(term) or is_gap(term.sender, end)):
            self._fell_silent(term)

    def _reconsider(self, change: Change, announcements_seen: bool) -> None:
        """What only came to be known later."""
        verdict, announced = change.verdict, bool(change.burst and change.burst.count)
        if verdict.cause is Cause.STALLED and announced:
            words = "it announced its addresses anew"
            verdict.cause, verdict.suspicions = Cause.RESTARTED, [Suspicion(Suspect.RESTART, words)]
        elif verdict.cause is Cause.STALLED and not announcements_seen and change.priority:
            # RFC 9568 6.4.1: one that begins anew waits first, unless it owns the addresses
            wait, _ = causes.down(change.priority, verdict.theory or 1.0, self.version)
            if change.priority == 255 or change.time - (verdict.since or 0) >= wait * NANOSECONDS:
                words = "or it began anew: the capture shows no announcements at all"
                verdict.suspect(Suspect.RESTART, words)
        elif verdict.cause is Cause.ALREADY_ACTIVE and announced:
            verdict.cause = Cause.NOBODY_ACTIVE
        if change.returns_from is None or change.new is None or announced or not announcements_seen:
            return
        words = f"{change.new.source} came back without announcing anything: it had been Active all along"
        lost = change.returns_from.verdict
        told = [one for one in lost.suspicions if one.suspect in (Suspect.PROCESS, Suspect.LINK)]
        kinds = [told[0].suspect] if len(told) == 1 else [Suspect.LINK, Suspect.PROCESS]
        ways = {Suspect.LINK: ", cut off", Suspect.PROCESS: ", standing still"}
        added = [Suspicion(kind, words + ways[kind]) for kind in kinds]
        verdict.suspicions += added
        if len(told) != 1:
            lost.suspicions = added + [one for one in lost.suspicions if one not in told]
