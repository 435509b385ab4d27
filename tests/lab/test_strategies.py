"""The strategies: what they promise of what they draw; and Routers and Nodes that stand all of it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lab.playing import check_frames, check_sequence
from vrrplib import ConfigError, Family, VRRPv2, VRRPv3, decode, inspect, parse
from vrrplib.lab import strategies
from vrrplib.lab.scenes import Scene
from vrrplib.lab.strategies import Timed

VERSIONS = [(None, None), (2, None), (2, Family.IPV4), (3, Family.IPV4), (3, Family.IPV6), (None, Family.IPV6)]
each_version = pytest.mark.parametrize(("version", "family"), VERSIONS)


@each_version
def test_a_valid_packet_is_decoded(version: int | None, family: Family | None) -> None:
    @given(strategies.valid_datagrams(version=version, family=family))
    def holds(datagram) -> None:  # type: ignore[no-untyped-def]
        packet = decode(datagram.payload, source=datagram.source, destination=datagram.destination)
        assert version in (None, packet.version)
        assert family in (None, datagram.family)
        assert datagram.ttl == 255

    holds()


@each_version
def test_packets_of_every_kind_can_be_encoded(version: int | None, family: Family | None) -> None:
    kinds = (strategies.valid_packets, strategies.almost_valid_packets, strategies.arbitrary_packets)

    @given(st.one_of([kind(version=version, family=family) for kind in kinds]), st.data())
    def holds(packet, data) -> None:  # type: ignore[no-untyped-def]
        assert isinstance(packet, VRRPv2 | VRRPv3)
        assert version is None or isinstance(packet, VRRPv2 if version == 2 else VRRPv3)
        for address in packet.addresses:
            assert family in (None, Family(address.version))
        mine = Family(packet.addresses[0].version) if packet.addresses else family or Family.IPV4
        source, destination = (data.draw(strategies.ip_addresses(mine)) for _ in range(2))
        assert len(packet.encode(source, destination)) >= 8

    holds()


@each_version
def test_datagrams_and_frames_of_every_kind(version: int | None, family: Family | None) -> None:
    kinds = (strategies.valid_frames, strategies.almost_valid_frames)

    @given(strategies.datagrams(version=version, family=family), st.one_of([kind() for kind in kinds]))
    def holds(datagram, frame) -> None:  # type: ignore[no-untyped-def]
        assert family in (None, datagram.family)
        inspect(datagram.payload, source=datagram.source, destination=datagram.destination)
        parse(frame)

    holds()


def test_a_valid_frame_carries_a_valid_datagram() -> None:
    @given(strategies.valid_frames())
    def holds(frame) -> None:  # type: ignore[no-untyped-def]
        datagram = parse(frame)
        assert datagram is not None
        decode(datagram.payload, source=datagram.source, destination=datagram.destination)

    holds()


def test_almost_valid_is_wrong_about_as_often_as_odd() -> None:
    seen: Counter[bool] = Counter()

    @settings(max_examples=300, database=None, derandomize=True)
    @given(strategies.almost_valid_datagrams())
    def count(datagram) -> None:  # type: ignore[no-untyped-def]
        seen[inspect(datagram.payload, source=datagram.source, destination=datagram.destination).valid] += 1

    count()
    assert min(seen.values()) > 20
    assert len(seen) == 2


def test_version_2_has_no_ipv6() -> None:
    with pytest.raises(ConfigError, match="version must be 3 over IPv6, not 2"):
        strategies.valid_packets(version=2, family=Family.IPV6)


def test_without_hypothesis_the_error_says_how_to_get_it() -> None:
    code = "import sys; sys.modules['hypothesis'] = None; import vrrplib.lab.strategies"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ImportError: vrrplib.lab.strategies needs hypothesis: pip install 'vrrplib[test]'" in done.stderr


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_router_stands_any_sequence(data: st.DataObject) -> None:
    scene: Scene = data.draw(strategies.scenes())
    sequence: list[Timed] = data.draw(strategies.sequences(scene))
    check_sequence(scene, sequence)


@settings(max_examples=100, deadline=None)
@given(strategies.scenes(), st.lists(strategies.frames(), max_size=8))
def test_a_node_stands_any_frames(scene: Scene, frames: list[bytes]) -> None:
    check_frames(scene, frames)
