from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrplib.election.timers import active_down_interval, skew_time
from vrrplib.errors import ConfigError

PRIORITIES = st.integers(1, 255)
CENTISECONDS = st.integers(1, 4095)

# The worked values T01-T17 of the oracle are in test_cases.py.


@given(PRIORITIES, CENTISECONDS)
def test_version_3_is_exact_to_less_than_a_nanosecond(priority: int, centiseconds: int) -> None:
    skew = Fraction((256 - priority) * centiseconds, 256 * 100)
    assert abs(Fraction(skew_time(priority, centiseconds / 100)) - skew) < Fraction(1, 10**9)
    down = 3 * Fraction(centiseconds, 100) + skew
    assert abs(Fraction(active_down_interval(priority, centiseconds / 100)) - down) < Fraction(1, 10**9)


@given(PRIORITIES, st.integers(1, 255))
def test_the_skew_of_version_2_is_below_a_second_whatever_the_interval(priority: int, seconds: int) -> None:
    assert skew_time(priority, seconds, version=2) == (256 - priority) / 256 < 1
    assert active_down_interval(priority, seconds, version=2) == 3 * seconds + (256 - priority) / 256


@given(st.integers(1, 254), CENTISECONDS, st.sampled_from([2, 3]))
def test_a_higher_priority_is_always_earlier(priority: int, centiseconds: int, version: int) -> None:
    interval = centiseconds / 100
    later = active_down_interval(priority, interval, version=version)
    assert active_down_interval(priority + 1, interval, version=version) < later


def test_the_defaults_are_one_second_and_version_3() -> None:
    assert skew_time(100) == skew_time(100, 1.0, version=3) == 0.609375
    assert skew_time(100, 2.0) == 2 * 0.609375
    assert active_down_interval(100, 2.0) == 2 * active_down_interval(100) == 2 * 3.609375
    assert active_down_interval(100) == 3.609375


@pytest.mark.parametrize("function", [skew_time, active_down_interval])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"priority": 0}, "priority must be 1-255, not 0"),
        ({"priority": 256}, "priority must be 1-255, not 256"),
        ({"priority": 100, "version": 1}, "version must be 2-3, not 1"),
        ({"priority": 100, "version": 4}, "version must be 2-3, not 4"),
        ({"priority": 100, "active_adver_interval": 0}, "active_adver_interval must be a positive number"),
        ({"priority": 100, "active_adver_interval": -1.0}, "active_adver_interval must be a positive number"),
        ({"priority": 100, "active_adver_interval": float("nan")}, "not nan"),
        ({"priority": 100, "active_adver_interval": float("inf")}, "not inf"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(
    function: object, arguments: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        function(**arguments)  # type: ignore[operator]
    assert message in str(caught.value)
