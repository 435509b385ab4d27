from __future__ import annotations

import math
from typing import Any

import pytest

from vrrplib.election.announcing import KEEPALIVED, ONCE, AnnouncementPolicy, Announcements
from vrrplib.errors import ConfigError
from vrrplib.wire.addresses import to_address

A, B = ADDRESSES = tuple(map(to_address, ("192.0.2.1", "192.0.2.2")))


def test_the_default_is_the_rfcs_one_announcement_at_once() -> None:
    assert ONCE.series(ONCE.at, ADDRESSES, 5.0) == [(5.0, A), (5.0, B)]  # RFC 9568 6.4.2
    assert (ONCE.after_losing, ONCE.refresh) == ((), None)


def test_keepalived_announces_five_times_and_again_after_five_seconds() -> None:
    times = [time for time, address in KEEPALIVED.series(KEEPALIVED.at, ADDRESSES, 0.0) if address == A]
    assert times == [0.0] * 5 + [5.0] * 5
    assert KEEPALIVED.after_losing == KEEPALIVED.at


def test_a_series_is_paced_and_in_order_whatever_it_was_given_as() -> None:
    policy = AnnouncementPolicy(at=[1.0, 0.0, 0.1], spacing=0.25)
    assert policy.at == (0.0, 0.1, 1.0)
    assert policy.series(policy.at, ADDRESSES, 10.0) == [
        (10.0, A),
        (10.25, B),
        (10.5, A),  # 10.1 would be before the last one's turn is over
        (10.75, B),
        (11.0, A),
        (11.25, B),
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"at": "0"}, "at must be a list of seconds, not '0'"),
        ({"at": 0.0}, "at must be a list of seconds, not 0.0"),
        ({"at": [-1.0]}, "at must be 0-86400 seconds, not -1.0"),
        ({"at": [math.nan]}, "at must be 0-86400 seconds, not nan"),
        ({"after_losing": [math.inf]}, "after_losing must be 0-86400 seconds, not inf"),
        ({"at": [0.0] * 101}, "at must have at most 100 times, not 101"),
        ({"at": [True]}, "at must be 0-86400 seconds, not True"),
        ({"spacing": "1"}, "spacing must be 0-86400 seconds, not '1'"),
        ({"refresh": 0}, "refresh must be 0.01-86400 seconds, not 0"),
    ],
)
def test_what_is_no_time_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        AnnouncementPolicy(**fields)
    assert str(error.value) == message


def test_a_hundred_times_and_a_day_are_allowed() -> None:
    assert len(AnnouncementPolicy(at=[0.0] * 100, refresh=86400).at) == 100


def test_before_a_promotion_and_after_a_change_there_is_nothing_to_announce() -> None:
    left = Announcements()
    assert left.take(ONCE, ADDRESSES, 0.0) == []
    left.promoted(ONCE, ADDRESSES, 1.0)
    left.changed(ONCE, 1.0)
    assert left.take(ONCE, ADDRESSES, 2.0) == []


def test_what_is_late_is_announced_then() -> None:
    policy, left = AnnouncementPolicy(at=(0.0, 1.0, 2.0)), Announcements()
    left.promoted(policy, (A,), 10.0)
    assert left.take(policy, (A,), 11.5) == [A, A]
    assert left.next_at == 12.0


def test_what_is_left_is_announced_when_it_is_due() -> None:
    policy, left = AnnouncementPolicy(at=(0.0, 2.0), refresh=3.0), Announcements()
    assert left.next_at is None
    left.promoted(policy, ADDRESSES, 10.0)
    assert (left.next_at, left.take(policy, ADDRESSES, 10.0)) == (10.0, [A, B])
    assert (left.next_at, left.take(policy, ADDRESSES, 11.9)) == (12.0, [])
    assert (left.take(policy, ADDRESSES, 12.0), left.next_at) == ([A, B], 13.0)
    assert (left.take(policy, ADDRESSES, 13.5), left.next_at) == ([A, B], 16.5)
    left.stop()
    assert (left.next_at, left.take(policy, ADDRESSES, 99.0)) == (None, [])


def test_a_refresh_waits_for_nobody_and_does_not_double_a_series() -> None:
    policy, left = AnnouncementPolicy(at=(0.0, 5.0), refresh=2.0), Announcements()
    left.promoted(policy, (A,), 0.0)
    assert left.take(policy, (A,), 0.0) == [A]
    assert left.next_at == 2.0
    assert left.take(policy, (A,), 2.0) == []  # the one at 5 is to come
    assert left.take(policy, (A,), 5.0) == [A]  # and the refresh of 4 with it
    assert (left.next_at, left.take(policy, (A,), 7.0)) == (7.0, [A])


def test_there_is_one_series_at_most_however_often_a_rival_loses() -> None:
    policy, left = AnnouncementPolicy(after_losing=(0.0, 1.0, 2.0)), Announcements()
    for beat in range(1000):
        left.challenged(policy, ADDRESSES, beat / 100)
        left.take(policy, ADDRESSES, beat / 100)
    assert len(left._waiting) == 4
    left.changed(policy, 10.0)
    assert left.next_at is None


def test_without_a_series_after_losing_the_running_one_goes_on() -> None:
    policy, left = AnnouncementPolicy(at=(1.0,)), Announcements()
    left.promoted(policy, (A,), 0.0)
    left.challenged(policy, (A,), 0.5)
    assert left.next_at == 1.0
