"""Why somebody became Active: what was measured beside what the RFC has, and what may be behind it."""

from __future__ import annotations

import dataclasses

from vrrplib.election.timers import active_down_interval, skew_time
from vrrplib.lab.heard import Sender
from vrrplib.lab.story import NANOSECONDS, Cause, Suspect, Suspicion, seconds

GAP = 1.5
"""Intervals without an advert after which something is missing."""

# A router that computes in whole centiseconds (RFC 9568 6.1 has them) is up to one of them early.
_RESIGNATION = "the resignation"
_EARLY, _EARLY_SHARE = 0.011, 0.02
_LATE, _LATE_SHARE = 0.2, 0.5  # a busy host's timers are not worth a word below that


@dataclasses.dataclass(slots=True)
class Verdict:
    """Why it began; ``since``, which ``since_words`` names, is nanoseconds, ``theory`` seconds."""

    cause: Cause
    since: int | None = None
    theory: float | None = None
    basis: str = ""
    since_words: str = "the last advert"
    suspicions: list[Suspicion] = dataclasses.field(default_factory=list)

    def suspect(self, suspect: Suspect, because: str) -> None:
        self.suspicions.append(Suspicion(suspect, because))


@dataclasses.dataclass(slots=True)
class Departed:
    """Who resigned last: when, and when it had sent its last advert before."""

    sender: Sender
    time: int
    before: int


def is_gap(sender: Sender, now: int) -> bool:
    """Whether its last advert is longer ago than it should be."""
    return now - sender.last > GAP * sender.pace * NANOSECONDS


def down(priority: int, interval: float, version: int) -> tuple[float, str]:
    """Active_Down_Interval in seconds (Master_Down_Interval in RFC 5798 6.1), and what it is made of."""
    value = active_down_interval(priority, interval, version=version)
    return value, f"Active_Down_Interval: three intervals of {interval:g} s, and Skew_Time of priority {priority}"


def after_silence(now: int, taker: Sender, old: Sender, version: int, alive: int) -> Verdict:
    """``taker`` begins at ``now``, and ``old`` has been silent for more than 1.5 intervals.

    ``alive`` is when ``old``, or the virtual address, last sent anything.
    """
    since = old.last
    theory, basis = down(taker.priority, old.pace, version)
    measured = seconds(now - since)
    verdict = Verdict(Cause.MISSED_ADVERTISEMENTS, since, theory, basis)
    early = _is_early(measured, theory, old.pace)
    if early and taker.beats(old):
        verdict = Verdict(Cause.PREEMPTION)
        verdict.suspect(
            Suspect.PREEMPTION, f"it beats {old.speaker.source}, and began before {theory:.6g} s were over"
        )
        verdict.suspect(
            Suspect.MISSED, f"or it had not heard adverts that are here, and {old.speaker.source} had stopped"
        )
        return verdict
    _who_died(verdict, old, alive)
    if early:
        lost = round((theory - measured) / old.pace)
        words = "its timer is shorter than the RFC's"
        if lost:
            words = f"as if it had not heard the last {lost} of the adverts, or {words}"
        verdict.suspect(Suspect.EARLY, words)
    _if_late(verdict, measured, theory, old.pace)
    return verdict


def _who_died(verdict: Verdict, old: Sender, alive: int) -> None:
    since, source = old.last, old.speaker.source
    due = since + int(1.1 * old.pace * NANOSECONDS)
    if alive > due:
        words = f"{source}'s machine sent other frames for {seconds(alive - since):.3f} s more: only adverts ended"
        verdict.suspect(Suspect.PROCESS, words)
    elif alive >= 0 and alive > since - int(2 * old.pace * NANOSECONDS):
        words = "no other frames came from it either: the link or the machine"
        if alive > since:
            words = f"its other frames ended too, {seconds(alive - since):.3f} s after: the link or the machine"
        verdict.suspect(Suspect.LINK, words)
    else:
        words = f"{source} sent nothing but adverts before, and the capture cannot tell these"
        verdict.suspect(Suspect.PROCESS, words)
        verdict.suspect(Suspect.LINK, words)


def after_resignation(now: int, taker: Sender, gone: Departed, version: int) -> Verdict:
    """``taker`` begins at ``now``, and nobody was Active after a resignation."""
    if taker is gone.sender:
        return _same_after_resignation(now, taker, gone, version)
    interval = gone.sender.pace
    skew = skew_time(taker.priority, interval, version=version)
    measured = seconds(now - gone.time)
    if measured <= skew + GAP * interval:
        basis = f"Skew_Time of priority {taker.priority}"
        verdict = Verdict(Cause.RESIGNATION, gone.time, skew, basis, _RESIGNATION)
        if _is_early(measured, skew, interval):
            verdict.suspect(Suspect.EARLY, "its timer is shorter than the RFC's, or was about to expire anyway")
        _if_late(verdict, measured, skew, interval)
        return verdict
    theory, basis = down(taker.priority, interval, version)
    since = gone.before if gone.before >= 0 else gone.time
    measured = seconds(now - since)
    if measured <= theory + max(_LATE, _LATE_SHARE * interval):
        verdict = Verdict(Cause.MISSED_ADVERTISEMENTS, since, theory, basis)
        verdict.suspect(Suspect.LOSS, "it had the last advert, and not the resignation")
        return verdict
    verdict = Verdict(Cause.NOBODY_ACTIVE, gone.time, since_words=_RESIGNATION)
    verdict.suspect(Suspect.LATE, "it began to listen after the resignation, or it heard none of the adverts")
    return verdict


def _same_after_resignation(now: int, taker: Sender, gone: Departed, version: int) -> Verdict:
    """The same addresses again: the same router, or (FRR over IPv6 has it) two with one source address."""
    interval = gone.sender.pace
    theory, basis = down(taker.priority, taker.pace, version)
    measured = seconds(now - gone.time)
    too_soon = _is_early(measured, theory, taker.pace) and taker.priority != 255
    if too_soon and taker.priority != taker.resigned_priority:
        skew = skew_time(taker.priority, interval, version=version)
        basis = f"Skew_Time of priority {taker.priority}"
        verdict = Verdict(Cause.RESIGNATION, gone.time, skew, basis, _RESIGNATION)
        words = f"another priority, and too soon for the same router, which would have waited {theory:.6g} s"
        verdict.suspect(Suspect.SHARED_ADDRESS, words)
        verdict.suspect(Suspect.RESTART, "unless it came back Active at once, against RFC 9568 6.4.1")
        return verdict
    verdict = Verdict(Cause.RESTARTED, gone.time, theory, basis, _RESIGNATION)
    if taker.priority == 255:
        verdict.theory, verdict.basis = None, ""  # an owner waits for nothing
    elif too_soon:
        verdict.suspect(Suspect.EARLY, f"sooner than {theory:.6g} s: it did not wait as RFC 9568 6.4.1 has it")
    return verdict


def after_gap(now: int, sender: Sender, pace: float, alive: int) -> Verdict:
    """The same one goes on after a gap without another Active; ``pace`` is its interval before it."""
    verdict = Verdict(Cause.STALLED, sender.last, pace, "one interval")
    intervals = seconds(now - sender.last) / pace
    whole = round(intervals)
    if whole >= 2 and abs(intervals - whole) * pace <= max(0.003, 0.01 * pace):
        words = f"it kept its cadence: {whole - 1} advert{'s' * (whole > 2)} may have been lost on the way"
        verdict.suspect(Suspect.LOSS, words)
    if alive > sender.last + int(1.1 * pace * NANOSECONDS):
        verdict.suspect(Suspect.PROCESS, "its machine sent other frames meanwhile: the process stood still")
        return verdict
    words = "the process, or the machine, stood still"
    words = "or " + words if verdict.suspicions else "its cadence is another one after it: " + words
    verdict.suspect(Suspect.PROCESS, words)
    verdict.suspect(Suspect.LINK, "or its link was down")
    return verdict


def beside(taker: Sender, old: Sender, version: int) -> Verdict:
    """``taker`` begins while ``old`` is to be heard: because it beats it, or because it did not hear it."""
    if taker.beats(old):
        return Verdict(Cause.PREEMPTION)
    verdict = Verdict(Cause.UNHEARD)
    theory, _ = down(taker.priority, old.pace, version)
    words = f"by the RFC it had heard no advert of {old.speaker.source} for {theory:.6g} s, or dropped them"
    verdict.suspect(Suspect.ONE_WAY, words)
    return verdict


def yielding(heard: int, again: int) -> Verdict:
    """The first advert that it may have yielded to is of ``heard``, the last of ``again`` (-1: there is one)."""
    verdict = Verdict(Cause.YIELDED)
    if again > heard:
        later = f"or up to {seconds(again - heard):.6f} s later: there are more adverts that it may have yielded to"
        verdict.suspect(Suspect.LATER, later)
    return verdict


def another_mac(now: int, taker: Sender, old: Sender) -> Verdict:
    """The source address of the one before, from another MAC."""
    verdict = Verdict(Cause.RESTARTED, old.last)
    verdict.suspect(Suspect.RESTART, f"{taker.speaker.source} came back with another MAC")
    verdict.suspect(Suspect.SHARED_ADDRESS, "or another machine has its address")
    return verdict


def _is_early(measured: float, theory: float, interval: float) -> bool:
    return measured < theory - _EARLY - _EARLY_SHARE * interval


def _if_late(verdict: Verdict, measured: float, theory: float, interval: float) -> None:
    if measured > theory + max(_LATE, _LATE_SHARE * interval):
        words = "its timer fired late, began later, or it heard an advert that is not here"
        verdict.suspect(Suspect.LATE, words)
