"""The helpers themselves: what they start, see and end, without any of our own code on the wire."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.peers.daemons import Daemon, Frr, Keepalived, Settings, Ucarp, dissect

FAST = Settings(interval=0.1, priority=150)


def keepalived(host: Host, settings: Settings) -> Daemon:
    return Keepalived(host, settings)


def keepalived_vmac(host: Host, settings: Settings) -> Daemon:
    return Keepalived(host, settings, use_vmac=True)


PEERS = [
    pytest.param(keepalived, marks=pytest.mark.needs("keepalived")),
    pytest.param(keepalived_vmac, marks=pytest.mark.needs("keepalived")),
    pytest.param(Frr, marks=pytest.mark.needs("frr")),
]


@pytest.mark.parametrize("make", PEERS)
@pytest.mark.parametrize("family", [4, 6])
def test_a_daemon_starts_crashes_and_resigns(make: Callable[[Host, Settings], Daemon], family: int) -> None:
    with Lab() as lab:
        host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
        observer = lab.host("o", "10.77.0.3/24", "fd77::3/64")
        peer = make(host, FAST.but(family=family))
        with lab.capture() as capture:
            assert peer.state() is None
            peer.start()
            peer.wait_state("active", 10)
            wait_until(lambda: observer.ping(peer.settings.service_address, timeout=0.2), 5, "answer")
            wait_until(lambda: capture.advertisements(51, family), 2, "advert")
            peer.crash()
            crashed = capture.advertisements(51, family)
            peer.start()
            peer.wait_state("active", 10)
            wait_until(lambda: len(capture.advertisements(51, family)) > len(crashed), 2, "advert")
            peer.resign()
            capture.wait_for(lambda frame: frame.advertisement and frame.advertisement.priority == 0, 2, port="a")
        priorities = [frame.advertisement.priority for frame in crashed if frame.advertisement]
        assert set(priorities) == {150}
        assert {frame.advertisement.interval for frame in crashed if frame.advertisement} == {0.1}
        assert peer.complaints() == []
        peer.start()
        peer.wait_state("active", 10)
        peer.die()
        assert observer.ping(peer.settings.service_address, timeout=0.2) == 0
        peer.revive()
        peer.wait_state("active", 10)


@pytest.mark.parametrize("make", PEERS)
@pytest.mark.parametrize("damage", ["none", "ttl", "checksum", "count"])
def test_complaints_are_noticed(make: Callable[[Host, Settings], Daemon], damage: str) -> None:
    with Lab() as lab:
        sender = lab.host("a", "10.77.0.1/24")
        peer = make(lab.host("b", "10.77.0.2/24"), FAST)
        peer.start()
        peer.wait_state("active", 10)
        assert peer.complaints() == []
        sender.send(advertisement(damage))
        if damage == "none":
            peer.wait_state("backup", 3)
            assert peer.complaints() == []
        else:
            wait_until(peer.complaints, 3, lambda: f"complaint about {damage}:\n{peer.log}")


def advertisement(damage: str) -> bytes:
    """Priority 200, each 100 ms, of 10.77.0.1 for 10.77.0.100: all right but for the damage."""
    ttl, count = (254 if damage == "ttl" else 255), (2 if damage == "count" else 1)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0xC0, 32, 1, 0, ttl, 112, 0, SOURCE, GROUP)
    payload = struct.pack("!BBBBHH4s", 0x31, 51, 200, count, 10, 0, VIRTUAL)
    checksum = internet_checksum(SOURCE + GROUP + bytes([0, 112, 0, 12]) + payload) ^ (damage == "checksum")
    header = header[:10] + internet_checksum(header).to_bytes(2, "big") + header[12:]
    return ETHERNET + header + payload[:6] + checksum.to_bytes(2, "big") + payload[8:]


ETHERNET = bytes.fromhex("01005e00001200005e0001330800")
SOURCE, GROUP, VIRTUAL = (bytes(map(int, text.split("."))) for text in ("10.77.0.1", "224.0.0.18", "10.77.0.100"))


def internet_checksum(data: bytes) -> int:
    total: int = sum(word for (word,) in struct.iter_unpack("!H", data))
    return ~(total % 0xFFFF) & 0xFFFF


@pytest.mark.needs("keepalived", "frr", "tshark")
def test_keepalived_and_frr_get_on_with_each_other(tmp_path: Path) -> None:
    with Lab() as lab:
        ours, theirs = lab.host("a", "10.77.0.1/24"), lab.host("b", "10.77.0.2/24")
        first, second = Keepalived(ours, FAST.but(priority=200)), Frr(theirs, FAST)
        with lab.capture() as capture:
            first.start()
            first.wait_state("active", 5)
            second.start()
            second.wait_state("backup", 5)
            first.die()
            second.wait_state("active", 5)
            first.revive()
            second.wait_state("backup", 5)
        assert first.complaints() == second.complaints() == []
        packets = dissect(capture, tmp_path / "peers.pcap", capture.frames)
        assert {packet.source for packet in packets} == {"10.77.0.1", "10.77.0.2"}
        assert all(packet.valid for packet in packets), packets


@pytest.mark.needs("ucarp")
def test_ucarp_takes_its_address_and_gives_it_back() -> None:
    with Lab() as lab:
        peer = Ucarp(lab.host("a", "10.77.0.1/24"), Settings(interval=1, priority=200))
        observer = lab.host("o", "10.77.0.3/24")
        with lab.capture() as capture:
            peer.start()
            peer.wait_state("active", 15)
            frame = capture.wait_for(lambda frame: frame.advertisement, 5, port="a")
            assert frame.advertisement is not None
            assert len(frame.advertisement.payload) == 36
            wait_until(lambda: observer.ping("10.77.0.100", timeout=0.2), 5, "answer")
            peer.resign()
        assert observer.ping("10.77.0.100", timeout=0.2) == 0
