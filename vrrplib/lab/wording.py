"""A story in English: one sentence for each thing that happened."""

from __future__ import annotations

from collections.abc import Iterator

from vrrplib.lab.story import Announced, Cause, Conflict, Observation, RouterStory, Speaker, Transition
from vrrplib.wire.addresses import Family

_MOST_ADDRESSES = 4


def duration(seconds: float) -> str:
    """``361.9 ms``, ``3.605 s``."""
    if abs(seconds) >= 1:
        return f"{seconds:.3f} s"
    return f"{seconds * 1000:.1f} ms"


def router_words(story: RouterStory) -> str:
    """The virtual router, its addresses, and how much was heard of it."""
    addresses = ", ".join(map(str, story.addresses[:_MOST_ADDRESSES])) or "no address"
    if len(story.addresses) > _MOST_ADDRESSES:
        addresses += f" and {len(story.addresses) - _MOST_ADDRESSES} more"
    return (
        f"{story.router}: {addresses}; {_many(story.adverts, 'advert')} of {_many(len(story.speakers), 'sender')}"
    )


def transition_words(item: Transition) -> str:
    """One sentence: who, why, how long it took, and how it was announced."""
    words = _who(item)
    if item.measured is not None:
        words += f", {duration(item.measured)} after {item.since_words}"
        if item.theory is not None:
            words += f" (theory {duration(item.theory)})"
    if item.by_announcement:
        words += "; told by an announcement, for its first advert is not in the capture"
    if item.announced is not None:
        words += "; " + _announced(item.announced, item.router.family)
    return words


def _who(item: Transition) -> str:
    new = f"{_name(item.new)} (priority {item.priority})"
    old = _name(item.old)
    match item.cause:
        case Cause.ALREADY_ACTIVE:
            return f"{new} is Active, and was before the capture began"
        case Cause.NOBODY_ACTIVE:
            return f"{new} became Active while nobody was"
        case Cause.MISSED_ADVERTISEMENTS:
            return f"{new} took over because the adverts of {old} ended"
        case Cause.RESIGNATION:
            return f"{new} took over because {old} resigned"
        case Cause.PREEMPTION:
            return f"{new} preempted {old}"
        case Cause.UNHEARD:
            return f"{new} became Active beside {old}, whose adverts it did not hear, or dropped"
        case Cause.STALLED:
            return f"{new} goes on after a gap"
        case Cause.RESTARTED:
            return f"{new} began anew"
        case Cause.RESIGNED:
            return f"{old} resigned" if item.new is None else f"{old} resigned beside {_name(item.new)}"
        case Cause.YIELDED:
            return f"{old} yielded to {new}"
        case Cause.SILENT:
            return f"{old} fell silent, and " + ("nobody took over" if item.new is None else f"{new} goes on")


def _announced(item: Announced, family: Family) -> str:
    what = "gratuitous ARP" if family is Family.IPV4 else "unsolicited NA"
    macs = ", ".join(map(str, item.macs)) or "no MAC"
    words = f"{_many(item.count, what)} from {duration(item.first)} on named {macs}"
    return words + (f", and none was for {len(item.missing)} of the addresses" if item.missing else "")


def suspicion_lines(item: Transition) -> Iterator[str]:
    """What may be behind it, the likeliest first; suspects of one reason share a line."""
    reasons: dict[str, list[str]] = {}
    for one in item.suspicions:
        reasons.setdefault(one.because, []).append(str(one.suspect))
    for because, suspects in reasons.items():
        yield f"{' or '.join(suspects)}: {because}"


def conflict_words(item: Conflict) -> str:
    """Who were Active at once, and how long; the reasons are :func:`reason_lines`."""
    lasted = "to the end of the capture" if item.end is None else f"for {duration(item.end - item.start)}"
    winner, loser = _name(item.winner), _name(item.loser)
    return f"two were Active at once {lasted}: {winner}, and {loser}, which should have yielded"


def reason_lines(item: Conflict) -> Iterator[str]:
    """Why it did not yield, the likeliest first."""
    for reason in item.reasons:
        yield f"{reason.reason}: {reason.words}" + (f" ({reason.clause})" if reason.clause else "")


def observation_words(item: Observation) -> str:
    """A note, with its clause, and how often it was seen."""
    words = item.words + (f" ({item.clause})" if item.clause else "")
    return words + (f", {item.count} times" if item.count > 1 else "")


def _name(speaker: Speaker | None) -> str:
    return "nobody" if speaker is None else str(speaker.source)


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
