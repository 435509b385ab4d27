"""What the commands' tests need of a LAN."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.linux.conftest import skip_or_fail, why_not
from tests.linux.lab import Host, Lab


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts on a LAN of their own, 10.77.0.1 and 10.77.0.2; the first has another address before that."""
    if reason := why_not():
        skip_or_fail(reason, "VRRPLIB_REQUIRE_LINUX")
    with Lab() as lab:
        yield lab.host("a", "10.66.0.1/24", "10.77.0.1/24", "fd77::1/64"), lab.host("b", "10.77.0.2/24")
