"""timers: the two formulas."""

from __future__ import annotations

import pytest

from tests.cli.commands import events, fails, invoke


def test_for_people() -> None:
    assert invoke("timers").stdout == "skew_time 0.609375 s\nactive_down_interval 3.609375 s\n"


@pytest.mark.parametrize(
    ("arguments", "skew", "down"),
    [
        ([], 0.609375, 3.609375),
        (["--priority", "254", "--interval", "0.01"], 0.000078125, 0.030078125),
        (["--version", "2", "--interval", "3"], 0.609375, 9.609375),
        (["--version", "3", "--interval", "3"], 1.828125, 10.828125),
    ],
)
def test_for_programs(arguments: list[str], skew: float, down: float) -> None:
    [event] = events(invoke("timers", *arguments, "--json"))
    assert event["event"] == "timers"
    assert event["skew_time"] == pytest.approx(skew, abs=1e-9)
    assert event["active_down_interval"] == pytest.approx(down, abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--priority", "0"], "not 0"),
        (["--priority", "256"], "1-255"),
        (["--interval", "0"], "not 0.0"),
        (["--interval", "nan"], "not nan"),
        (["--interval", "soon"], "'soon'"),
        (["--version", "4"], "'4'"),
    ],
)
def test_wrong_values(arguments: list[str], named: str) -> None:
    assert named in fails(invoke("timers", *arguments), 2)
