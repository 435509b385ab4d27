"""The rules notice what is wrong, each measured thing by itself."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.matrix.cells import ALL, SIXTY, Cell
from tests.matrix.expect import RULES, expected, surprises

CELL = Cell.named("fails/private/v3-ipv4/ours/sigterm")
GOOD = {
    "takeover": 0.062, "active": ["peer"], "believe": {"ours": None, "peer": "active"},
    "pings": {"late": 0.002, "lost_before": 0, "longest": 0.06, "to": 31, "through": 30},
    "neighbour": {"address": ["virtual"]}, "moves": 1, "complaints": {"ours": [], "peer": []},
}  # fmt: skip
STOPPED = Cell.named("fails/private/v3-ipv4/keepalived/stop-cont")


def test_every_cell_has_an_expectation_for_everything_and_every_rule_a_cell() -> None:
    for cell in ALL + SIXTY:
        assert expected(cell).keys() >= {"active", "takeover", "to", "through", "neighbour", "moves"}, cell.name
    for rule in RULES:
        assert any(rule.fits(cell) for cell in ALL + SIXTY), rule.why


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("takeover", None, "no takeover"),
        ("takeover", 0.02, "takeover after"),
        ("takeover", 0.3, "takeover after"),
        ("active", ["ours", "peer"], "active: ours and peer, not peer"),
        ("pings to", 0, "to: 0 lost"),
        ("pings to", 120, "to: 120 lost"),
        ("pings through", 120, "through: 120 lost"),
        ("pings lost_before", 1, "before the fault"),
        ("neighbour address", ["virtual", "ours"], "had ours"),
        ("neighbour address", [], "ends with nothing"),
        ("moves", 0, "0 moves"),
        ("moves", 5, "5 moves"),
        ("complaints peer", ["bad checksum"], "complaint of peer: bad checksum"),
    ],
)
def test_what_differs_is_said(path: str, value: object, said: str) -> None:
    assert surprises(CELL, GOOD) == []
    record: dict[str, Any] = copy.deepcopy(GOOD)
    *above, last = path.split()
    place = record[above[0]] if above else record
    place[last] = value
    assert [line for line in surprises(CELL, record) if said in line]


def test_a_neighbour_that_is_left_with_the_wrong_one_after_a_stall_is_said() -> None:
    record = GOOD | {"takeover": 0.3, "while_stopped": ["peer"], "active": ["ours"], "moves": 0}
    record["pings"] = {"late": 0.002, "lost_before": 0, "longest": 0.0, "to": 0, "through": 0}
    back, left = ({"address": ["virtual", "peer", *more]} for more in (["virtual"], []))
    assert surprises(STOPPED, record | {"neighbour": back}) == []
    assert surprises(STOPPED, record | {"neighbour": left}) == ["the observer ends with peer for the address"]


def test_one_that_has_lost_its_carrier_and_does_not_know_it_is_said() -> None:
    cell = Cell.named("fails/private/v3-ipv4/ours/port-down")
    record = GOOD | {"takeover": 0.3, "pings": GOOD["pings"] | {"to": 150, "through": 150}}  # type: ignore[operator]
    assert surprises(cell, record | {"believe": {"ours": "initialize", "peer": "active"}}) == []
    told = surprises(cell, record | {"believe": {"ours": "active", "peer": "active"}})
    assert told == ["ours still believes that it is Active"]


def test_who_cannot_send_may_complain_of_that() -> None:
    record = GOOD | {"takeover": 0.3, "neighbour": {"address": ["peer", "virtual"]}, "moves": 0}
    record |= {"active": ["ours"], "pings": GOOD["pings"] | {"to": 150, "through": 150}}  # type: ignore[operator]
    record |= {"complaints": {"ours": [], "peer": ["send advert error"]}}
    assert surprises(Cell.named("takes-over/private/v3-ipv4/keepalived/link-down"), record) == []
    assert surprises(Cell.named("takes-over/private/v3-ipv4/keepalived/sigkill"), record)


def test_an_error_is_a_surprise() -> None:
    assert surprises(CELL, {"error": "TimeoutError: no advert"}) == ["TimeoutError: no advert"]


def test_a_machine_that_was_held_up_is_forgiven_by_as_much() -> None:
    record = copy.deepcopy(GOOD)
    record["takeover"] = 0.3
    record["pings"]["late"] = 0.1  # type: ignore[index]
    assert surprises(CELL, record) == []
