"""Twenty-four cells of the interoperation matrix: `make matrix` measures all of them, docs/matrix.md shows them."""

from __future__ import annotations

import pytest

from tests.linux.conftest import skip_or_fail
from tests.matrix.__main__ import lacking, measure, missing_daemon
from tests.matrix.cells import CI, TECHNIQUES, Cell
from tests.matrix.expect import surprises


@pytest.mark.parametrize("cell", CI, ids=lambda cell: cell.name)
def test_a_cell(cell: Cell) -> None:
    if reason := missing_daemon(cell):
        skip_or_fail(reason, "VRRPLIB_REQUIRE_PEERS")
    if reason := lacking(TECHNIQUES[cell.technique]):
        pytest.skip(reason)
    record = measure(cell, times=3)  # again only if the first run surprises
    found = [surprises(cell, run) for run in record["runs"]]
    assert not found[0] or found.count([]) == 2, found
