"""Measure the matrix, or make its page.

python -m tests.matrix                    all cells, one JSON line each; goes on where it was interrupted
python -m tests.matrix --only frr/sigkill --only takes-over
python -m tests.matrix --docs             docs/matrix.md from the lines
"""

from __future__ import annotations

import argparse
import functools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.linux.lab import unavailable
from tests.matrix import page, trial
from tests.matrix.cells import ALL, CI, SIXTY, TECHNIQUES, Cell
from tests.matrix.expect import surprises
from tests.peers.daemons import Frr, Keepalived

ROOT = Path(__file__).parents[2]
LINES = ROOT / "tests/data/matrix.jsonl"
AGAIN = 5
"""How often a cell that surprises is measured."""


def measure(cell: Cell, times: int = AGAIN) -> dict[str, Any]:
    """The record of a cell: one run, or where that one surprises `times` of them."""
    runs: list[dict[str, Any]] = []
    while not runs or (surprises(cell, runs[0]) and len(runs) < times):
        try:
            runs.append(trial.run(cell))
        except (TimeoutError, OSError, subprocess.SubprocessError) as error:
            runs.append({"error": f"{type(error).__name__}: {error}"[:2000]})
    return {"cell": cell.name, "runs": runs}


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The records so far, by the cells' names; a line that was cut short is measured again."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        found[record["cell"]] = record
    return found


def missing(cell: Cell) -> str | None:
    """Why a cell cannot be measured here, or None."""
    return lacking(TECHNIQUES[cell.technique]) or missing_daemon(cell)


def missing_daemon(cell: Cell) -> str | None:
    daemon = {"frr": Frr, "keepalived": Keepalived, "keepalived-vmac": Keepalived}.get(cell.peer)
    return daemon.missing() if daemon else None


@functools.cache
def lacking(options: tuple[str, ...]) -> str | None:
    """Which of these options `vrrplib run` does not have, or None."""
    shown = _help()
    lacking = [option for option in options if option.startswith("--") and option not in shown]
    return f"`vrrplib run` has no {', '.join(lacking)}" if lacking else None


@functools.cache
def _help() -> str:
    argv = [sys.executable, "-m", "vrrplib", "run", "--help"]
    return subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def wanted(cells: Iterable[Cell], only: list[str]) -> Iterator[Cell]:
    for cell in cells:
        if not only or any(text in cell.name for text in only):
            yield cell


def run(cells: list[Cell], path: Path) -> int:
    """Measure what is not in the file yet; how many cells surprise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done = read(path)
    left = [cell for cell in cells if cell.name not in done]
    print(f"{len(cells)} cells, of which {len(cells) - len(left)} are in {path}", flush=True)
    surprised = 0
    for number, cell in enumerate(left, 1):
        if reason := missing(cell):
            print(f"{number}/{len(left)} {cell.name}: not measured: {reason}", flush=True)
            continue
        began = time.monotonic()
        record = measure(cell)
        with path.open("a") as file:  # opened anew each time, so that the file may be looked at, and moved
            file.write(json.dumps(record) + "\n")
        found = surprises(cell, record["runs"][0])
        surprised += bool(found)
        verdict = (
            f"{page.surprising(cell, record)} of {len(record['runs'])} runs surprise: {found}" if found else "ok"
        )
        print(f"{number}/{len(left)} {cell.name} {time.monotonic() - began:.1f} s: {verdict}", flush=True)
    return surprised


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, default=LINES, help="the JSON lines (%(default)s)")
    parser.add_argument(
        "--only", action="append", default=[], help="cells whose name contains this; may be repeated"
    )
    parser.add_argument("--ci", action="store_true", help="the cells of continuous integration")
    parser.add_argument("--list", action="store_true", help="print the names of the cells, and end")
    parser.add_argument("--docs", action="store_true", help="write docs/matrix.md from the JSON lines, and end")
    options = parser.parse_args()
    cells = list(wanted(CI if options.ci else ALL + SIXTY, options.only))
    if options.list:
        print("\n".join(cell.name for cell in cells))
        return 0
    if options.docs:
        (ROOT / "docs/matrix.md").write_text(page.page(read(options.file)))
        return 0
    if reason := unavailable():
        print(reason, file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the lab goes, whatever ends us
    run(cells, options.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
