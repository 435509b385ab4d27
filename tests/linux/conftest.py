"""Everything in this directory needs network namespaces. Without them it is skipped, and says why.

VRRPLIB_REQUIRE_LINUX=1 makes a missing right or program a failure instead: continuous integration sets it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux.lab import Lab, unavailable

HERE = Path(__file__).parent
why_not = functools.cache(unavailable)


def skip_or_fail(reason: str, variable: str) -> None:
    """Skip the test, or fail it where the environment says that what is missing has to be there."""
    if os.environ.get(variable, "") not in ("", "0"):
        pytest.fail(f"{variable} is set, but: {reason}", pytrace=False)
    pytest.skip(reason)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("linux")


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    if reason := why_not():
        skip_or_fail(reason, "VRRPLIB_REQUIRE_LINUX")


@pytest.fixture
def lab(_namespaces: None) -> Iterator[Lab]:
    """A switch without hosts."""
    with Lab() as lab:
        yield lab
