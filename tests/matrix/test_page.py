"""docs/matrix.md is what the JSON lines say; and a word of each cell of a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.matrix import __main__ as program
from tests.matrix.page import page
from tests.matrix.test_expect import CELL, GOOD

DOCUMENT = program.ROOT / "docs/matrix.md"


@pytest.mark.skipif(not DOCUMENT.exists(), reason="the matrix has not been measured yet")
def test_the_page_is_made_of_the_lines() -> None:
    assert DOCUMENT.read_text() == page(program.read(program.LINES)), "python -m tests.matrix --docs"


def test_a_cell_and_a_surprise() -> None:
    good = {CELL.name: {"cell": CELL.name, "runs": [GOOD]}}
    assert "| v3-ipv4 ours | peer 31/30 V 1 |" in page(good)
    bad = GOOD | {"moves": 7}
    shown = page({CELL.name: {"cell": CELL.name, "runs": [bad, bad, GOOD, bad, bad]}})
    assert "| **peer 31/30 V 7** |" in shown
    assert f"* `{CELL.name}`, 4 of 5 runs: 7 moves, not 1 to 1" in shown


def test_what_was_interrupted_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text('{"cell": "a", "runs": []}\n{"cell": "b", "ru')
    assert set(program.read(path)) == {"a"}
    assert program.read(tmp_path / "none") == {}
