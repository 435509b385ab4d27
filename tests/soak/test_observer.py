"""What counts as a gap, without a wire."""

from __future__ import annotations

import time
from typing import cast

from tests.linux.lab import Host
from tests.soak.observer import Gap, Observer


def observer() -> Observer:
    return Observer(cast(Host, None), 0.3)


def test_a_gap_is_longer_than_it_may_be_and_of_one_virtual_router() -> None:
    seen = observer()
    for vrid, when in ((1, 0.0), (2, 0.05), (1, 0.3), (2, 0.36), (1, 0.4)):
        seen._heard(vrid, 200, when)
    assert seen.gaps == [Gap(2, 0.05, 0.36)]
    assert [gap.vrid for gap in seen.still_missing(0.68)] == [2]
    assert [gap.vrid for gap in seen.still_missing(0.75)] == [1, 2]


def test_all_are_active_when_each_was_heard_lately_with_that_priority() -> None:
    seen, now = observer(), time.monotonic()
    seen._heard(1, 200, now)
    assert not seen.all_from(200, 2)
    seen._heard(2, 200, now)
    assert seen.all_from(200, 2)
    seen._heard(2, 100, now)
    assert not seen.all_from(200, 2)
    seen._heard(2, 200, now - 1)
    assert not seen.all_from(200, 2)
