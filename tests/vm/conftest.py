"""Everything in this directory needs a kernel with all kinds of interface, and runs in one that is ours alone.

`make test-vm` boots it and sets VRRPLIB_VM to `main`, `make matrix-vm` to `all`; elsewhere all of it is skipped.
Each result is a line of JSON in the file that VRRPLIB_VM_RESULTS names.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.linux.lab import Lab

HERE = Path(__file__).parent
CELLS = os.environ.get("VRRPLIB_VM", "")
needs_vm = pytest.mark.skipif(CELLS not in ("main", "all"), reason="needs a kernel of its own: make test-vm")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.path.name not in ("test_vmrun.py", "test_page.py"):
            item.add_marker("vm")
            item.add_marker(needs_vm)
    if CELLS:
        share_out(config, items)


def weight(items: list[pytest.Item]) -> int:
    """How long they take, beside each other: a minute for deaths and dry runs, a quarter of one for the others."""
    return sum(4 if item.path.name == "test_crash.py" else 1 for item in items)


def share_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave our part of the tests, where several processes share them; what is on one LAN stays together.

    VRRPLIB_VM_PART is our number, a slash and how many we are. Without VRRPLIB_VM=all, main cells only.
    """
    part, parts = map(int, os.environ.get("VRRPLIB_VM_PART", "0/1").split("/"))
    groups: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        if CELLS == "all" or not item.get_closest_marker("every_cell"):
            kind = re.split("[]-]", item.name.partition("[")[2])[0]
            groups.setdefault((item.path.name, kind), []).append(item)
    shares: list[list[pytest.Item]] = [[] for _ in range(parts)]
    for group in sorted(groups.values(), key=weight, reverse=True):
        min(shares, key=weight).extend(group)
    ours = [item for item in items if item in shares[part]]
    config.hook.pytest_deselected(items=[item for item in items if item not in ours])
    items[:] = ours


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="session")
def record() -> Callable[..., None]:
    """Keep what was seen, as a line of JSON."""

    def write(**values: Any) -> None:
        if path := os.environ.get("VRRPLIB_VM_RESULTS"):
            with open(path, "a") as file:
                file.write(json.dumps({"kernel": platform.release(), **values}) + "\n")

    return write
