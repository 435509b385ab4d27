"""Each criterion fails when it should, and what excuses a gap excuses no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.soak.observer import Gap
from tests.soak.verdict import Fault, Sample, Stall, Starved, bursts, excuse, growth, judge

FAULT = Fault("a-stopped", 10.0, 11.0, 11.2, interrupts=True)


@pytest.mark.parametrize(
    ("gap", "why"),
    [
        (Gap(7, 9.5, 10.4), "a-stopped"),  # the advert before the fault was the last
        (Gap(7, 11.1, 11.5), "a-stopped"),
        (Gap(7, 9.5, 9.9), None),
        (Gap(7, 11.3, 11.7), None),
    ],
)
def test_a_fault_excuses_the_gaps_of_its_time(gap: Gap, why: str | None) -> None:
    assert excuse(gap, [FAULT], []) == why
    assert excuse(gap, [replace(FAULT, interrupts=False)], []) is None
    assert excuse(gap, [replace(FAULT, vrid=7)], []) == why
    assert excuse(gap, [replace(FAULT, vrid=8)], []) is None


def test_a_stall_excuses_a_gap_of_the_same_100_ms() -> None:
    gap = Gap(7, 20.0, 20.4)
    for stall, why in ((Stall(20.45, 20.6), "stall"), (Stall(19.5, 19.95), "stall"), (Stall(20.6, 20.7), None)):
        assert excuse(gap, [], [stall]) == why


def test_a_process_that_got_no_processor_is_excused_for_so_long() -> None:
    gap = Gap(7, 20.0, 20.5)
    waits = [Starved(19.9, 20.1, 0.1), Starved(20.1, 20.3, 0.15), Starved(20.6, 20.7, 0.1)]
    assert excuse(gap, [], [], waits) is None
    assert excuse(gap, [], [], [*waits, Starved(20.3, 20.5, 0.06)]) == "starved"
    assert excuse(gap, [], [], [*waits, Starved(20.3, 20.5, 0.06, pid=2)]) is None  # that is another process


def test_gaps_at_one_time_are_one_burst() -> None:
    gaps = [Gap(1, 1.0, 1.4), Gap(2, 1.1, 1.5), Gap(1, 1.45, 1.9), Gap(1, 3.0, 3.4)]
    assert bursts(reversed(gaps)) == [gaps[:3], gaps[3:]]


def test_what_has_not_recovered_excuses_for_five_seconds_and_fails_by_itself() -> None:
    stuck = replace(FAULT, recovered=None)
    assert excuse(Gap(7, 15.0, 15.5), [stuck], []) == "a-stopped"
    assert excuse(Gap(7, 16.5, 17.0), [stuck], []) is None
    assert holding(faults=[stuck]) == [True, True, True, False, True, True]


SAMPLES = [Sample(time, 1, 40_000 + 10 * time, 12) for time in range(10)]


def holding(**changes: Any) -> list[bool]:
    noted: dict[str, Any] = {
        "gaps": [], "faults": [FAULT], "stalls": [], "samples": SAMPLES, "warm": 5.0,
        "left_behind": [], "failures": [],
    }  # fmt: skip
    return [criterion["holds"] for criterion in judge(**noted | changes)]


def test_each_criterion_by_itself() -> None:
    assert holding() == [True] * 6
    assert holding(gaps=[Gap(7, 1.0, 1.4)]) == [False, *[True] * 5]
    fat = [replace(sample, rss=sample.rss + (1024 if sample.time > 7 else 0)) for sample in SAMPLES]
    assert holding(samples=fat) == [True, False, *[True] * 4]
    leaking = [replace(sample, descriptors=12 + (sample.time > 5)) for sample in SAMPLES]
    assert holding(samples=leaking) == [True, True, False, *[True] * 3]
    assert holding(samples=[*SAMPLES, replace(SAMPLES[-1], descriptors=13)]) == [True] * 6
    assert holding(faults=[replace(FAULT, recovered=16.1)]) == [True] * 3 + [False, True, True]
    assert holding(left_behind=["a: link"]) == [True] * 4 + [False, True]
    assert holding(failures=["a: exit status 1"]) == [True] * 5 + [False]


def test_a_process_that_was_started_anew_is_compared_with_itself() -> None:
    first = [Sample(time, 9, 90_000, 50) for time in range(3)]
    assert growth([*first, *SAMPLES[3:]], 5.0) == (40, 0)
    with pytest.raises(ValueError, match="before and after"):
        growth(SAMPLES, 20.0)
