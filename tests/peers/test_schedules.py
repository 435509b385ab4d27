"""keepalived and FRR do what the simulator predicts of them: the same winners, in the same order, in time."""

from __future__ import annotations

import pytest

from tests.peers.live_schedules import differences, play_until, players
from tests.peers.scenario import Measure
from tests.peers.schedules import SCHEDULES, Schedule, predict

CASTS = [
    pytest.param(
        schedule,
        cast,
        id=f"{schedule.name.replace(' ', '-')}-{'-'.join(cast)}",
        marks=pytest.mark.needs(*sorted({*cast} - {"ours"})),
    )
    for schedule in SCHEDULES
    for cast in schedule.casts
]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("schedule", "cast"), CASTS)
def test_the_daemons_do_what_is_predicted(schedule: Schedule, cast: tuple[str, ...], measure: Measure) -> None:
    predicted = predict(schedule, cast)
    live, before = play_until(schedule, cast, predicted)
    for reign, prediction in zip(live.reigns, predicted, strict=False):
        if reign.gap is not None and prediction.most is not None:
            measure(f"{reign.who} after {reign.since}, {players(schedule, cast)}", reign.gap, prediction.most)
    assert differences(live, predicted) == [], f"{live}; before it {before}"
