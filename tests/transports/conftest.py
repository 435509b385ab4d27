"""The tests marked ``linux`` here need what those of tests/linux need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.linux.conftest import skip_or_fail, why_not
from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts on a LAN of their own, 10.77.0.1 and 10.77.0.2."""
    if reason := why_not():
        skip_or_fail(reason, "VRRPLIB_REQUIRE_LINUX")
    with Lab() as lab:
        a, b = lab.host("a", "10.77.0.1/24", "fd77::1/64"), lab.host("b", "10.77.0.2/24", "fd77::2/64")
        wait_until(lambda: a.ping("10.77.0.2"), 5, "answer")
        yield a, b
