"""keepalived and FRR judge the catalogue: what is right, and fits them, they take, or we know why not."""

from __future__ import annotations

import pytest

from tests.peers.live_catalogue import CONFIGURATIONS, EXPLAINED, Outcome, ought_to_be_taken, trial
from vrrplib import Problem
from vrrplib.lab.fuzz import Entry

TRIALS = [
    pytest.param(name, title, id=f"{name}-{title.replace(' ', '-')}", marks=pytest.mark.needs(name))
    for name in EXPLAINED
    for title in CONFIGURATIONS
]
LIST_AND_LENGTH = {Problem.ADDRESS, Problem.COUNT, Problem.TRUNCATED}
"""What FRR is laxer about than RFC 3768 7.1, and RFC 9568's errata."""


def is_taken_although_wrong(entry: Entry, outcome: Outcome) -> bool:
    return outcome.yielded and bool(entry.problems) and entry.problems[0] not in LIST_AND_LENGTH


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "title"), TRIALS)
def test_a_daemon_takes_what_is_right_or_we_know_why_not(name: str, title: str) -> None:
    seen = trial(name, CONFIGURATIONS[title])
    assert len(seen) > 60
    refused = {
        entry.name: outcome.words for entry, outcome in seen if ought_to_be_taken(entry) and not outcome.yielded
    }
    assert {entry: words for entry, words in refused.items() if entry not in EXPLAINED[name]} == {}
    taken = {entry.name for entry, outcome in seen if is_taken_although_wrong(entry, outcome)}
    assert taken - {"interval-0"} == set()  # erratum 8301 is younger than both
