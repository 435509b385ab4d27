"""Tests against other people's daemons: they need a network lab, and the daemons.

VRRPLIB_REQUIRE_PEERS=1 makes a missing program a failure instead of a skip, as VRRPLIB_REQUIRE_LINUX=1 does for
the lab. Measured times are printed at the end, beside theory.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.linux.conftest import skip_or_fail, why_not
from tests.peers import daemons

HERE = Path(__file__).parent
NEEDS = {
    "keepalived": daemons.Keepalived.missing,
    "frr": daemons.Frr.missing,
    "ucarp": daemons.Ucarp.missing,
    "tshark": daemons.tshark_missing,
}
measured = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*programs): of keepalived, frr, ucarp, tshark; skipped without them")
    config.stash[measured] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("linux")
            item.add_marker("peer")


@pytest.fixture(autouse=True)
def _programs(request: pytest.FixtureRequest) -> None:
    if reason := why_not():
        skip_or_fail(reason, "VRRPLIB_REQUIRE_LINUX")
    for marker in request.node.iter_markers("needs"):
        for program in marker.args:
            if reason := NEEDS[program]():
                skip_or_fail(reason, "VRRPLIB_REQUIRE_PEERS")


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Callable[[str, float, float], None]:
    """Note a measured time beside its theory, both in seconds, for the table at the end."""

    def note(what: str, seconds: float, theory: float) -> None:
        line = f"{request.node.name}: {what} {seconds * 1e3:.1f} ms, theory {theory * 1e3:.1f} ms"
        request.config.stash[measured].append(line)

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if lines := config.stash.get(measured, []):
        terminalreporter.section("measured at the switch")
        for line in lines:
            terminalreporter.line(line)
