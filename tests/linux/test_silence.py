"""Backup is silent: no frame from the virtual MAC, and a frame to it is neither answered nor forwarded."""

from __future__ import annotations

import ipaddress
import struct
import time

import pytest

from tests.linux.capture import Capture, Frame
from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.linux.running import V4, V6, VIRTUAL_V4, VIRTUAL_V6, Running

VIRTUAL_MAC = {4: VIRTUAL_V4, 6: VIRTUAL_V6}
VIRTUAL = {4: V4, 6: V6}
SERVICE = {4: "10.77.0.100", 6: "fd77::100"}
CLIENT = {4: "10.77.0.9", 6: "fd77::9"}
BEYOND = {4: "10.99.0.1", 6: "fd99::1"}  # behind the third host, and reached through the virtual router
both_families = pytest.mark.parametrize("family", [4, 6])


def router(lab: Lab, name: str, number: int, *, forwarding: bool) -> Host:
    host = lab.host(name, f"10.77.0.{number}/24", f"fd77::{number}/64")
    host.sysctl("net.ipv4.ip_forward", int(forwarding))
    host.sysctl("net.ipv6.conf.all.forwarding", int(forwarding))
    host.sysctl("net.ipv4.conf.all.send_redirects", 0)
    host.sysctl("net.ipv4.conf.eth0.send_redirects", 0)
    host.ip("route", "add", "10.99.0.0/24", "via", "10.77.0.8")
    host.ip("-6", "route", "add", "fd99::/64", "via", "fd77::8")
    return host


def ones_complement(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def echo(family: int, source_mac: str, destination_mac: str, destination: str, mark: bytes) -> bytes:
    """An ICMP echo request in an Ethernet frame; `mark` is its payload, of 16 bytes."""
    source, target = (ipaddress.ip_address(address).packed for address in (CLIENT[family], destination))
    macs = bytes.fromhex((destination_mac + source_mac).replace(":", ""))
    head = struct.pack("!BBHHH", 8 if family == 4 else 128, 0, 0, 7, 1)
    if family == 4:
        body = head[:2] + struct.pack("!H", ones_complement(head + mark)) + head[4:] + mark
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, 1, 0) + source + target
        ip = ip[:10] + struct.pack("!H", ones_complement(ip)) + ip[12:]
        return macs + b"\x08\x00" + ip + body
    pseudo = source + target + struct.pack("!IHBB", len(head + mark), 0, 0, 58)
    body = head[:2] + struct.pack("!H", ones_complement(pseudo + head + mark)) + head[4:] + mark
    return macs + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(body), 58, 64) + source + target + body


def virtual_frames(capture: Capture, family: int, *, port: str, since: float = 0.0) -> list[Frame]:
    return capture.from_mac(VIRTUAL_MAC[family], port=port, since=since)


def shown(frames: list[Frame]) -> str:
    return "\n".join(f"{frame.port} {frame.time:.3f} {frame.data.hex()}" for frame in frames)


@both_families
@pytest.mark.parametrize(
    ("forwarding", "snooping"),
    [(False, False), (True, True)],
    ids=["host, flooding switch", "router, snooping switch"],
)
def test_no_frame_from_the_virtual_mac_but_while_active(family: int, forwarding: bool, snooping: bool) -> None:
    """b is Backup from its start, Active after a's end, Backup again when a is back, and closes."""
    with Lab(snooping=snooping, querier=snooping) as lab:
        a, b = (router(lab, name, at, forwarding=forwarding) for at, name in enumerate(("a", "b"), start=1))
        lab.host("c", "10.77.0.9/24", "fd77::9/64")
        if snooping:
            time.sleep(2.5)  # until the switch restricts multicast, and asks each host for its groups
        with lab.capture() as capture:
            high = Running(a, VIRTUAL[family], priority=200).start().wait("active")
            low = Running(b, VIRTUAL[family], priority=100).start().wait("backup")
            began = time.monotonic()
            time.sleep(3.0)  # MLD and IGMP reports, DAD and router solicitations come within a second or two
            assert low.state == "backup", "it does not hear the other: is the group joined?"
            assert not (frames := virtual_frames(capture, family, port="b")), shown(frames)
            assert lab.fdb(VIRTUAL_MAC[family]) == "a"

            high.end()
            ended = time.monotonic()
            low.wait("active")
            wait_until(lambda: virtual_frames(capture, family, port="b"), 5, "frame from the virtual MAC of b")
            assert lab.fdb(VIRTUAL_MAC[family]) == "b"
            assert not (frames := virtual_frames(capture, family, port="a", since=ended)), shown(frames)

            high.start().wait("active")
            low.wait("backup")
            wait_until(lambda: lab.fdb(VIRTUAL_MAC[family]) == "a", 5, "way of the virtual MAC back to a")
            yielded = time.monotonic()
            time.sleep(1.5)
            low.end()
            time.sleep(0.5)
            assert not (frames := virtual_frames(capture, family, port="b", since=yielded)), shown(frames)
            assert lab.fdb(VIRTUAL_MAC[family]) == "a"
            resigned = time.monotonic()
            high.end()
            closed = time.monotonic()
            time.sleep(1.0)
            assert not (frames := virtual_frames(capture, family, port="a", since=closed)), shown(frames)
            last = virtual_frames(capture, family, port="a", since=resigned)
            packets = [frame.advertisement for frame in last if frame.advertisement]
            assert packets[-1].priority == 0
            assert last[-1].advertisement == packets[-1], f"something after the resignation:\n{shown(last)}"
        assert began < yielded


@both_families
def test_nothing_from_the_virtual_mac_after_a_crash_is_cleaned_up(lab: Lab, family: int) -> None:
    """The other host is Active by then: one frame would lead the switch astray."""
    a, b = router(lab, "a", 1, forwarding=True), router(lab, "b", 2, forwarding=True)
    with lab.capture() as capture:
        high = Running(a, VIRTUAL[family], priority=200).start().wait("active")
        low = Running(b, VIRTUAL[family], priority=100).start().wait("backup")
        high.crash()
        low.wait("active")
        # The dead one's kernel speaks on: it repeats the reports of the groups that it joined as Active.
        time.sleep(2.5)
        wait_until(lambda: lab.fdb(VIRTUAL_MAC[family]) == "b", 5, "way of the virtual MAC to b")
        since = time.monotonic()
        assert "ip link delete" in high.cleanup()
        time.sleep(1.0)
        assert not (frames := virtual_frames(capture, family, port="a", since=since)), shown(frames)
        assert lab.fdb(VIRTUAL_MAC[family]) == "b"


@both_families
def test_a_backup_neither_answers_nor_forwards(lab: Lab, family: int) -> None:
    """One router alone, sent the same frames as a Backup, as Active, and after it has yielded."""
    a = router(lab, "a", 1, forwarding=True)
    third = lab.host("third", "10.77.0.8/24", "fd77::8/64")
    client = lab.host("client", f"{CLIENT[family]}/{24 if family == 4 else 64}")
    third.ip(
        *("-6",) * (family == 6), "address", "add", f"{BEYOND[family]}/{32 if family == 4 else 128}", "dev", "lo"
    )
    assert a.ping(CLIENT[family])  # a knows both neighbours: whatever it wants to send can leave at once
    assert a.ping(BEYOND[family])
    marks = iter(range(1, 1000))

    def try_it(capture: Capture) -> tuple[int, int]:
        """How many of four requests to the virtual address were answered, and of four for others forwarded."""
        since = time.monotonic()
        sent = {SERVICE[family]: set(), BEYOND[family]: set()}
        for destination, mine in sent.items():
            for _ in range(4):
                mark = f"mark {next(marks):011d}".encode()
                mine.add(mark)
                client.send(echo(family, client.mac, VIRTUAL_MAC[family], destination, mark))
        time.sleep(0.5)
        seen = [frame.data for frame in capture.select(lambda frame: True, port="a", since=since)]
        answered, forwarded = (sum(any(mark in data for data in seen) for mark in mine) for mine in sent.values())
        return answered, forwarded

    with lab.capture() as capture:
        assert try_it(capture) == (0, 0)  # nothing runs: the frames are flooded, and not for us
        backup = Running(a, VIRTUAL[family], interval=40.0).start().wait("backup")
        assert try_it(capture) == (0, 0)
        backup.end()
        active = Running(a, VIRTUAL[family], interval=0.1).start().wait("active")
        assert try_it(capture) == (4, 4)
        b = router(lab, "b", 2, forwarding=False)
        other = Running(b, VIRTUAL[family], priority=254, interval=0.1).start().wait("active")
        active.wait("backup")
        # Sent to every port, as a switch that has forgotten does: b answers, a must not.
        lab.switch.ip("link", "set", b.port, "type", "bridge_slave", "learning", "off")
        lab.switch.run("bridge", "fdb", "flush", "dev", b.port, check=False)
        assert try_it(capture) == (0, 0)
        active.end()
        assert try_it(capture) == (0, 0)
        other.end()
