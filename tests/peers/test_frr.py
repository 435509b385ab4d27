"""FRR as the other side."""

from __future__ import annotations

import pytest

from tests.peers.daemons import Frr, Settings
from tests.peers.scenario import Measure, is_refused_without_the_pseudo_header, play

pytestmark = pytest.mark.needs("frr")

CONFIGURATIONS = {
    "v2": Settings(version=2, interval=1),
    "v3-ipv4": Settings(version=3, interval=0.2),
    "v3-ipv6": Settings(version=3, family=6, interval=0.2),
}


@pytest.mark.parametrize("settings", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_frr(settings: Settings, measure: Measure) -> None:
    play(Frr, settings, measure)


def test_frr_wants_the_pseudo_header() -> None:
    is_refused_without_the_pseudo_header(Frr)
