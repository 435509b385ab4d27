"""Which cells there are, and that each is what it says."""

from __future__ import annotations

import itertools

import pytest

from tests.matrix.cells import ALL, CI, FAULTS, KINDS, PEERS, SIXTY, TECHNIQUES, Cell


def test_all_cells_sixty_and_twenty_four() -> None:
    assert len(set(ALL)) == len(ALL) == 6 * 3 * 4 * 6
    assert len(set(SIXTY)) == len(SIXTY) == 60
    assert len(set(CI)) == len(CI) == 24
    assert set(CI) <= set(ALL)


@pytest.mark.parametrize(
    ("cells", "pairs"),
    [
        (SIXTY, ("technique", "fault")), (SIXTY, ("peer", "fault")), (SIXTY, ("kind", "fault")),
        (SIXTY, ("technique", "peer")), (SIXTY, ("technique", "kind")),
        (CI, ("technique", "peer")), (CI, ("peer", "fault")),
    ],
)  # fmt: skip
def test_the_choice_has_every_pair(cells: list[Cell], pairs: tuple[str, str]) -> None:
    values = {"technique": TECHNIQUES, "kind": KINDS, "peer": PEERS, "fault": FAULTS}
    held = {tuple(getattr(cell, name) for name in pairs) for cell in cells}
    assert held == set(itertools.product(*(values[name] for name in pairs)))


def test_a_cell_by_its_name() -> None:
    for cell in ALL + SIXTY:
        assert Cell.named(cell.name) == cell
    taking = Cell.named("takes-over/standing/v3-ipv6/frr/sigkill")
    assert (taking.failing, taking.fails_as, taking.other, taking.takes_over_as) == (
        "peer",
        "frr",
        "ours",
        "standing",
    )
    assert Cell.named("fails/announce/v2/keepalived-vmac/one-way").has_virtual_mac("peer")
    assert not Cell.named("fails/announce/v2/ours/one-way").has_virtual_mac("peer")
