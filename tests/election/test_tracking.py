"""Tracker: what conditions make of a priority, and when the Router is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.election.play import ACTIVE, BACKUP, INITIALIZE, config
from vrrplib.election.events import ConfigChanged, PriorityChanged, Shutdown, Startup, TimerExpired
from vrrplib.election.router import Router
from vrrplib.election.states import Reason
from vrrplib.election.tracking import Condition, Tracker
from vrrplib.errors import ConfigError

END = Shutdown(Reason.TRACKING)


def looks(tracker: Tracker, name: str, *good: bool) -> list[tuple[Any, ...]]:
    return [tracker.observe(name, each) for each in good]


# -- weights --


@pytest.mark.parametrize(
    ("weight", "when_good", "when_bad"),
    [(-30, 100, 70), (30, 130, 100), (1, 101, 100), (-253, 100, 1), (253, 254, 100)],
)
def test_a_negative_weight_counts_while_bad_and_a_positive_one_while_good(weight, when_good, when_bad):
    tracker = Tracker(100, [Condition("uplink", weight)])
    assert tracker.priority == when_good  # nobody has looked: taken for good
    tracker.observe("uplink", False)
    assert tracker.priority == when_bad
    tracker.observe("uplink", True)
    assert tracker.priority == when_good


def test_weights_add_up():
    tracker = Tracker(100, [Condition("one", -10), Condition("two", -20), Condition("three", 5)])
    assert tracker.priority == 105
    assert [looks(tracker, name, False)[0] for name in ("one", "two", "three")] == [
        (PriorityChanged(95),),
        (PriorityChanged(75),),
        (PriorityChanged(70),),
    ]


def test_what_is_beyond_the_bounds_comes_back_as_it_went():
    tracker = Tracker(10, [Condition("one", -20), Condition("two", -20)])
    assert looks(tracker, "one", False) == [(PriorityChanged(1),)]
    assert looks(tracker, "two", False) == [()]  # 1 is the least
    assert looks(tracker, "one", True) == [()]
    assert looks(tracker, "two", True) == [(PriorityChanged(10),)]


def test_a_positive_weight_never_makes_an_owner():
    tracker = Tracker(250, [Condition("link", 100)])
    assert tracker.priority == 254
    assert looks(tracker, "link", True, False) == [(PriorityChanged(254),), (PriorityChanged(250),)]


def test_an_owner_stays_one():
    tracker = Tracker(255, [Condition("link", -100), Condition("disk")])
    assert looks(tracker, "link", False, True) == [(), ()]
    assert looks(tracker, "disk", False, True) == [(END,), (Startup(),)]


# -- weight 0: it must not run --


def test_a_condition_of_weight_0_ends_the_router_and_starts_it():
    tracker = Tracker(100, [Condition("disk")])
    assert tracker.able
    assert looks(tracker, "disk", True, False, False, True) == [(), (END,), (), (Startup(),)]


def test_it_is_started_when_the_last_of_them_is_good():
    tracker = Tracker(100, [Condition("one"), Condition("two"), Condition("uplink", -30)])
    assert looks(tracker, "one", False) == [(END,)]
    assert looks(tracker, "two", False) == [()]
    assert looks(tracker, "one", True) == [()]
    assert looks(tracker, "uplink", False) == [(PriorityChanged(70),)]  # told although it does not run
    assert not tracker.able
    assert looks(tracker, "two", True) == [(Startup(),)]


# -- rise and fall --


def test_rise_and_fall_count_looks_in_a_row():
    tracker = Tracker(100, [Condition("uplink", -30, rise=2, fall=3)])
    up, down, no = (PriorityChanged(100),), (PriorityChanged(70),), ()
    assert looks(tracker, "uplink", True, False, False, True, False, False, False) == [no] * 6 + [down]
    assert looks(tracker, "uplink", True, False, True, True, True) == [no, no, no, up, no]


def test_a_streak_that_decided_does_not_count_again():
    tracker = Tracker(100, [Condition("uplink", -30)])
    up, down = (PriorityChanged(100),), (PriorityChanged(70),)
    assert looks(tracker, "uplink", True, False, True, False, True) == [(), down, up, down, up]


def test_the_first_look_decides_at_once():
    tracker = Tracker(100, [Condition("uplink", -30, rise=9, fall=9)])
    assert looks(tracker, "uplink", False) == [(PriorityChanged(70),)]
    assert not tracker.is_good("uplink")


# -- the configuration --


def test_a_new_configuration_takes_the_weights_with_it():
    router = Router(config(priority=100))
    tracker = Tracker(100, [Condition("uplink", -30)])
    for event in tracker.observe("uplink", False):
        router.handle(event, 0.0)
    router.handle(ConfigChanged(config(priority=150)), 1.0)
    for event in tracker.rebase(150):
        router.handle(event, 1.0)
    assert router.priority == 120
    assert tracker.observe("uplink", True) == (PriorityChanged(150),)
    assert tracker.rebase(150) == ()


def test_a_new_configuration_does_not_end_it_again_nor_start_it():
    tracker = Tracker(100, [Condition("health")])
    assert tracker.observe("health", False) == (END,)
    assert tracker.rebase(150) == ()
    assert tracker.observe("health", True) == (Startup(),)
    assert tracker.rebase(100) == ()


def test_from_owner_to_another_priority_and_back():
    tracker = Tracker(255, [Condition("uplink", -30)])
    tracker.observe("uplink", False)
    assert tracker.rebase(200) == (PriorityChanged(170),)
    assert tracker.rebase(255) == ()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Tracker(0, []), "priority must be 1-255, not 0"),
        (lambda: Tracker(256, []), "priority must be 1-255, not 256"),
        (lambda: Tracker(100, []).rebase(0), "priority must be 1-255, not 0"),
        (lambda: Condition("a", 254), "weight must be -253-253, not 254"),
        (lambda: Condition("a", -254), "weight must be -253-253, not -254"),
        (lambda: Condition("a", rise=0), "rise must be 1-1000000, not 0"),
        (lambda: Condition("a", fall=0), "fall must be 1-1000000, not 0"),
        (lambda: Tracker(1, [Condition("a"), Condition("a")]), "conditions must differ, but 'a' is there twice"),
        (lambda: Tracker(1, [Condition("a")]).observe("b", True), "condition must be one of a, not 'b'"),
        (lambda: Tracker(1, [Condition("a"), Condition("c")]).is_good("b"), "one of a, c, not 'b'"),
        (lambda: Tracker(1, []).is_good("b"), "condition must be one of none, not 'b'"),
    ],
)
def test_what_is_not_allowed(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


# -- a Router that is told --


def test_a_router_that_is_told_yields_and_comes_back():
    router = Router(config(priority=100))
    tracker = Tracker(100, [Condition("disk")])
    router.handle(Startup(), 0.0)
    router.handle(TimerExpired(), 4.0)
    assert router.state is ACTIVE
    for event, state in ((False, INITIALIZE), (True, BACKUP)):
        for told in tracker.observe("disk", event):
            router.handle(told, 5.0)
        assert router.state is state


CONDITIONS = st.lists(
    st.builds(
        Condition,
        st.sampled_from("abcd"),
        st.integers(-253, 253),
        rise=st.integers(1, 3),
        fall=st.integers(1, 3),
    ),
    unique_by=lambda condition: condition.name,
    min_size=1,
)


@given(st.integers(1, 255), CONDITIONS, st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40))
def test_whoever_follows_the_events_has_what_the_tracker_says(base, conditions, observed):
    tracker = Tracker(base, conditions)
    has, runs = base, True
    for event in tracker.rebase(base):
        has = event.priority
    for number, good in observed:
        for event in tracker.observe(conditions[number % len(conditions)].name, good):
            match event:
                case PriorityChanged(priority):
                    assert priority != has  # told once
                    has = priority
                case Startup():
                    assert not runs
                    runs = True
                case Shutdown():
                    assert runs
                    runs = False
        assert (has, runs) == (tracker.priority, tracker.able)
        assert has == 255 if base == 255 else 1 <= has <= 254
        bad = [condition for condition in conditions if not tracker.is_good(condition.name)]
        assert runs == all(condition.weight for condition in bad)
