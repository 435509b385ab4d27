"""tshark's dissector reads our packets: with its checksums, and with no remark."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.daemons import Settings
from tests.peers.scenario import our_packets

pytestmark = pytest.mark.needs("tshark")


@pytest.mark.parametrize(
    "settings",
    [Settings(version=2, interval=1), Settings(interval=0.1), Settings(interval=0.1, family=6)],
    ids=["v2", "v3-ipv4", "v3-ipv6"],
)
def test_tshark_finds_our_packets_valid(settings: Settings, tmp_path: Path) -> None:
    packets = our_packets(settings, tmp_path / "ours.pcap")
    assert len(packets) > 2
    assert all(packet.valid for packet in packets), packets
    assert {(packet.version, packet.vrid) for packet in packets} == {(settings.version, settings.vrid)}
    assert [packet.priority for packet in packets] == [settings.priority] * (len(packets) - 1) + [0]


def test_tshark_tells_the_two_checksums_of_version_3_apart(tmp_path: Path) -> None:
    """So that its "good" above means something: it knows RFC 9568's form only as a preference."""
    settings, options = Settings(interval=0.1), ("--checksum", "message")
    (default,) = {p.checksum for p in our_packets(settings, tmp_path / "a.pcap", *options)}
    as_in_v2 = our_packets(settings, tmp_path / "b.pcap", *options, preference="vrrp.v3_checksum_as_in_v2:TRUE")
    assert default == "bad"
    assert all(packet.valid for packet in as_in_v2), as_in_v2
