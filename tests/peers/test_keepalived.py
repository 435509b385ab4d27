"""keepalived as the other side."""

from __future__ import annotations

import pytest

from tests.linux.lab import Host
from tests.peers.daemons import Daemon, Keepalived, Settings
from tests.peers.scenario import Measure, is_refused_without_the_pseudo_header, play

pytestmark = pytest.mark.needs("keepalived")

CONFIGURATIONS = {
    "v2": Settings(version=2, interval=1),
    "v3-ipv4": Settings(version=3, interval=0.2),
    "v3-ipv6": Settings(version=3, family=6, interval=0.2),
}


@pytest.mark.parametrize("use_vmac", [False, True], ids=["base-mac", "use_vmac"])
@pytest.mark.parametrize("settings", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_keepalived(settings: Settings, use_vmac: bool, measure: Measure) -> None:
    def keepalived(host: Host, settings: Settings) -> Daemon:
        return Keepalived(host, settings, use_vmac=use_vmac)

    play(keepalived, settings, measure)


def test_keepalived_wants_the_pseudo_header() -> None:
    is_refused_without_the_pseudo_header(Keepalived)
