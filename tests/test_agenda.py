from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vrrplib.agenda import Agenda
from vrrplib.backends.base import NetBackend
from vrrplib.member import Member

TIMES = st.one_of(st.none(), st.integers(0, 20).map(float))
STEPS = st.lists(st.tuples(st.integers(0, 4), TIMES, TIMES, st.integers(0, 3)), max_size=60)


def member(number: int, deadline: float | None = None) -> Member:
    router: Any = SimpleNamespace(deadline=deadline)
    backend: Any = NetBackend
    return Member(router, backend, number=number)


@given(STEPS)
def test_it_is_as_if_all_were_looked_at_each_time(steps: list[tuple[int, float | None, float | None, int]]) -> None:
    agenda, members, now = Agenda(), [member(number) for number in range(5)], 0.0
    for which, deadline, retry, passed in steps:
        now += passed
        members[which].router.deadline = None if deadline is None else now + deadline  # type: ignore[misc]
        members[which].retry_at = retry
        agenda.note(members[which])
        earliest = min(each.due for each in members)
        assert agenda.earliest() == (None if earliest == math.inf else earliest)
        wanted = sorted((each.due, each.number) for each in members if each.due <= now)
        taken = agenda.take(now)
        assert [(each.due, each.number) for each in taken] == wanted
        for each in taken:
            agenda.note(each)


def test_a_deadline_that_moves_away_is_looked_at_once_when_it_would_have_come() -> None:
    agenda, one = Agenda(), member(0, 1.0)
    for deadline in range(1, 1000):
        one.router.deadline = float(deadline)  # type: ignore[misc]
        agenda.note(one)
    assert len(agenda._times) == 1
    assert agenda.take(998.0) == []
    assert agenda.earliest() == 999.0


def test_what_is_forgotten_does_not_come() -> None:
    agenda, one = Agenda(), member(0, 1.0)
    agenda.note(one)
    agenda.forget(one)
    assert agenda.earliest() is None
    assert agenda.take(2.0) == []


def test_a_host_that_is_to_be_tried_never_again_is_not_due() -> None:
    one = member(0, None)
    assert one.due == math.inf
    one.retry_at = math.inf
    assert one.due == math.inf
    one.router.deadline = 3.0  # type: ignore[misc]
    assert one.due == 3.0
    one.retry_at = 2.0
    assert one.due == 2.0
