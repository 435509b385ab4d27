"""What a tracker found, as the values of a story."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator

from vrrplib.errors import Problem
from vrrplib.lab.heard import Seen, rules_of
from vrrplib.lab.story import (
    NANOSECONDS,
    Announced,
    Cause,
    Conflict,
    ConflictReason,
    Note,
    Observation,
    Reason,
    RouterKey,
    RouterStory,
    Tenure,
    Transition,
    seconds,
)
from vrrplib.lab.tracking import Change, Pair, Term, Tracker
from vrrplib.wire.addresses import Family, virtual_mac

_MUST_ANNOUNCE = (
    Cause.NOBODY_ACTIVE,
    Cause.MISSED_ADVERTISEMENTS,
    Cause.RESIGNATION,
    Cause.PREEMPTION,
    Cause.UNHEARD,
)
_ANNOUNCED_WITHIN = NANOSECONDS // 2  # a capture that ends sooner does not show what is missing
_MOST_BETWEEN_VERSIONS = 100


def tell(key: RouterKey, tracker: Tracker, end: int, neighbours_seen: bool) -> RouterStory:
    """The story of a closed tracker; ``neighbours_seen``: the capture has ARP or ND."""
    for change in tracker.changes:
        _note_announcements(key, tracker, change, end, neighbours_seen)
    return RouterStory(
        router=key,
        addresses=tracker.addresses,
        adverts=tracker.adverts,
        speakers=tuple(sender.speaker for sender in tracker.senders.values()),
        tenures=tuple(_tenure(key, term) for term in sorted(tracker.terms, key=lambda item: item.start)),
        transitions=tuple(_transition(key, change) for change in tracker.changes),
        conflicts=tuple(_conflict(key, pair) for pair in sorted(tracker.conflicts, key=lambda item: item.start)),
        observations=tuple(_observation(key, seen) for seen in _by_time(tracker.notes.values())),
    )


def tell_loose(tracker: Tracker) -> tuple[Observation, ...]:
    """The observations that are of no virtual router."""
    return tuple(_observation(None, seen) for seen in _by_time(tracker.notes.values()))


def _by_time(notes: Iterable[Seen]) -> list[Seen]:
    return sorted(notes, key=lambda item: item.time)


def _note_announcements(key: RouterKey, tracker: Tracker, change: Change, end: int, neighbours_seen: bool) -> None:
    """RFC 9568 6.4.1 and 6.4.2: a new Active announces each of its addresses."""
    burst, new = change.burst, change.new
    if burst is None or new is None or change.verdict.cause not in _MUST_ANNOUNCE or change.returns_from:
        return
    what = "gratuitous ARP" if key.family is Family.IPV4 else "unsolicited neighbour advertisement"
    clause = f"RFC {rules_of(key.version).rfc} 6.4.2"
    if not neighbours_seen:
        words = (
            f"the capture has no {'ARP' if key.family is Family.IPV4 else 'ND'} at all: a capture filter, perhaps"
        )
        tracker.note(Note.UNSEEN, change.time, words, clause)
    elif end - change.time >= _ANNOUNCED_WITHIN:
        missing = [address for address in change.addresses if address not in burst.addresses]
        if missing:
            shown = ", ".join(map(str, missing[:8])) + (" ..." if len(missing) > 8 else "")
            words = f"{new.source} became Active, and no {what} for {shown} was seen"
            tracker.note(Note.NOT_ANNOUNCED, change.time, words, clause, new)
    for mac in burst.macs:
        if mac in (new.mac, virtual_mac(key.vrid, key.family)):
            continue
        words = f"{new.source}'s announcements name {mac}, which is neither the virtual MAC nor that of its adverts"
        tracker.note(Note.ANNOUNCED_OTHER, change.time, words, clause, new)


def _transition(key: RouterKey, change: Change) -> Transition:
    verdict = change.verdict
    return Transition(
        router=key,
        time=seconds(change.time),
        cause=verdict.cause,
        old=change.old,
        new=change.new,
        priority=change.priority,
        since=None if verdict.since is None else seconds(verdict.since),
        measured=None if verdict.since is None else seconds(change.time - verdict.since),
        since_words="" if verdict.since is None else verdict.since_words,
        theory=verdict.theory,
        basis=verdict.basis,
        by_announcement=change.by_announcement,
        announced=_announced(change),
        suspicions=tuple(verdict.suspicions),
    )


def _announced(change: Change) -> Announced | None:
    burst = change.burst
    if burst is None or not burst.count:
        return None
    return Announced(
        count=burst.count,
        first=seconds(burst.first - change.time),
        last=seconds(burst.last - change.time),
        macs=tuple(burst.macs),
        missing=tuple(address for address in change.addresses if address not in burst.addresses),
    )


def _tenure(key: RouterKey, term: Term) -> Tenure:
    return Tenure(
        router=key,
        speaker=term.sender.speaker,
        start=seconds(term.start),
        end=seconds(max(term.start, term.last if term.end is None else term.end)),
        priority=term.priority,
        interval=term.interval,
        adverts=term.adverts,
        began=term.change.verdict.cause,
        ended=term.ended,
    )


def _conflict(key: RouterKey, pair: Pair) -> Conflict:
    assert pair.winner is not None
    assert pair.loser is not None  # it is confirmed
    return Conflict(
        router=key,
        start=seconds(pair.start),
        end=None if pair.end is None else seconds(max(pair.start, pair.end)),
        winner=pair.winner.speaker,
        loser=pair.loser.speaker,
        adverts=sum(pair.counts),
        reasons=pair.reasons,
    )


def _observation(key: RouterKey | None, seen: Seen) -> Observation:
    return Observation(
        note=seen.note,
        time=seconds(seen.time),
        words=seen.words,
        clause=seen.clause,
        count=seen.count,
        router=key,
        speaker=seen.speaker if key is not None else None,
    )


# -- two versions of one virtual router --


def with_other_versions(stories: list[RouterStory]) -> tuple[RouterStory, ...]:
    """The stories, each with the conflicts that its virtual router has with itself in an older version."""
    groups: dict[object, list[RouterStory]] = defaultdict(list)
    for story in stories:
        key = story.router
        groups[key.interface, key.vlans, key.family, key.vrid].append(story)
    told = []
    for story in stories:
        key = story.router
        older = [
            other
            for other in groups[key.interface, key.vlans, key.family, key.vrid]
            if other.router.version < key.version
        ]
        found = [conflict for other in older for conflict in _between(other, story)]
        if found:
            conflicts = tuple(sorted((*story.conflicts, *found), key=lambda item: item.start))
            story = dataclasses.replace(story, conflicts=conflicts)  # noqa: PLW2901
        told.append(story)
    return tuple(told)


def _between(old: RouterStory, new: RouterStory) -> Iterator[Conflict]:
    """RFC 5798 8.4: a router that speaks both hears both; two that speak one each are Active both."""
    for one in old.tenures[:_MOST_BETWEEN_VERSIONS]:
        for other in new.tenures[:_MOST_BETWEEN_VERSIONS]:
            start, end = max(one.start, other.start), min(one.end, other.end)
            if one.speaker.source == other.speaker.source or end <= start:
                continue
            ranks = [(item.priority, int(item.speaker.source)) for item in (one, other)]
            winner, loser = (one, other) if ranks[0] > ranks[1] else (other, one)
            words = (
                f"{one.speaker.source} speaks version {one.router.version}, {other.speaker.source} version "
                f"{other.router.version}: each drops the adverts of the other"
            )
            clause = rules_of(other.router.version).clause(Problem.VERSION)
            reason = Reason(ConflictReason.VERSION, words, clause, (one.speaker, other.speaker))
            yield Conflict(
                router=new.router,
                start=start,
                end=None if one.ended is None and other.ended is None else end,
                winner=winner.speaker,
                loser=loser.speaker,
                adverts=one.adverts + other.adverts,
                reasons=(reason,),
            )
