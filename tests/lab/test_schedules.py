"""The simulator says of each schedule what docs/schedules.md says that it said beside the live daemons."""

from __future__ import annotations

import pytest

from tests.documents import ROOT
from tests.peers.live_schedules import cells, players
from tests.peers.schedules import PROFILES, SCHEDULES, Schedule, predict, reigns, simulate

PAGE = ROOT / "docs/schedules.md"
CASTS = [
    pytest.param(schedule, cast, id=f"{schedule.name.replace(' ', '-')}-{'-'.join(cast)}")
    for schedule in SCHEDULES
    for cast in schedule.casts
]


def recorded() -> dict[tuple[str, str], list[tuple[str, str, str, str]]]:
    """(who, its timer was set by, predicted, end) of each reign, by schedule and players."""
    found: dict[tuple[str, str], list[tuple[str, str, str, str]]] = {}
    for line in PAGE.read_text().splitlines():
        columns = [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")]
        if len(columns) != 8 or columns[0] in ("schedule", "---"):
            continue
        if columns[0]:
            found[columns[0], columns[1]] = reigned = []
        reigned.append((columns[2], columns[3], columns[4], columns[6]))
    return found


@pytest.mark.parametrize(("schedule", "cast"), CASTS)
def test_the_prediction_is_the_one_that_was_held_against_the_daemons(
    schedule: Schedule, cast: tuple[str, ...]
) -> None:
    assert [cells(item) for item in predict(schedule, cast)] == recorded()[schedule.name, players(schedule, cast)]


def test_the_page_has_every_schedule_and_no_other() -> None:
    wanted = {(schedule.name, players(schedule, cast)) for schedule in SCHEDULES for cast in schedule.casts}
    assert set(recorded()) == wanted
    assert len(SCHEDULES) == 12
    for schedule in SCHEDULES:
        assert schedule.missing or {who for cast in schedule.casts for who in cast} >= {"keepalived", "frr"}


@pytest.mark.parametrize(("schedule", "cast"), CASTS)
def test_takeovers_are_within_theory(schedule: Schedule, cast: tuple[str, ...]) -> None:
    """Three intervals of the last that was heard, and a skew; or the skew alone after a resignation."""
    priorities = {machine.name: machine.priority for machine in schedule.machines}
    played = {machine.name: PROFILES[who] for machine, who in zip(schedule.machines, cast, strict=True)}
    interval = max(
        [schedule.machines[0].interval, *(item.value for item in schedule.steps if item.what == "interval")]
    )
    for reign in reigns(schedule, simulate(schedule, cast)):
        if reign.gap is None:
            continue
        rules = played[reign.who].rules()
        priority = priorities[reign.who]
        resigned = reign.since.endswith(" 0")
        theory = (rules.skew_time if resigned else rules.active_down_interval)(priority, interval)
        assert reign.gap == pytest.approx(theory, abs=1e-6)


def test_a_phase_moves_what_is_done_and_no_takeover() -> None:
    [schedule] = [schedule for schedule in SCHEDULES if schedule.name == "crash"]
    plays = [simulate(schedule, schedule.casts[0], phase) for phase in (0.0, 0.5)]
    crashes = [played.done[2].time for played in plays]
    assert crashes[1] - crashes[0] == pytest.approx(0.1)
    first, second = (reigns(schedule, played) for played in plays)
    assert [reign.story for reign in first] == [reign.story for reign in second]
    assert first[1].gap == pytest.approx(second[1].gap, abs=1e-9)
