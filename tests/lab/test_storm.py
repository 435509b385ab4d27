"""A storm of forged advertisements moves a Router only where the RFC says so; it neither talks much nor grows."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from vrrplib.election.actions import Action
from vrrplib.election.router import Router
from vrrplib.election.states import State
from vrrplib.lab.invariants import MOST_ADVERTISEMENTS
from vrrplib.lab.storm import forge, storm
from vrrplib.wire.datagram import Datagram


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("seconds", [1.0, 300.0])
def test_the_winner_is_the_rfcs_and_the_rate_is_bounded(seed: int, seconds: float) -> None:
    outcome = storm(seed, 3000, seconds=seconds)
    assert outcome.wrong == ""
    assert outcome.changes
    takeovers = sum(state is State.ACTIVE for _, state in outcome.changes)
    assert takeovers == 0 or seconds > 1
    assert outcome.sent <= MOST_ADVERTISEMENTS * seconds + takeovers


def test_lower_priorities_change_nothing() -> None:
    outcome = storm(1, 10_000, most_priority=200)  # equal ones too: their addresses are smaller
    assert (outcome.wrong, outcome.changes) == ("", ())
    assert 1 < outcome.sent <= MOST_ADVERTISEMENTS


def test_memory_does_not_grow() -> None:
    storm(1, 5000)
    tracemalloc.start()
    try:
        storm(2, 5000)
        before = tracemalloc.get_traced_memory()[0]
        storm(3, 5000)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 100_000


def test_half_of_the_forgeries_are_for_us_and_most_are_good() -> None:
    dice = random.Random(1)
    forgeries = [forge(dice) for _ in range(2000)]
    assert 700 < sum(forgery.good for forgery in forgeries) < 1000
    assert {forgery.priority for forgery in forgeries} == set(range(256))


class Deaf(Router):
    """Does not yield."""

    def receive(self, datagram: Datagram, now: float) -> tuple[Action, ...]:
        return () if self.state is State.ACTIVE else super().receive(datagram, now)


def test_a_router_that_does_not_yield_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vrrplib.lab.storm.Router", Deaf)
    assert "active until" in storm(1, 3000).wrong
