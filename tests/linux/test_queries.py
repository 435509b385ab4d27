"""A multicast querier asks every host for its groups: with the virtual MAC only an Active router may answer."""

from __future__ import annotations

import ipaddress
import struct
import time

import pytest

from tests.linux.capture import Capture, Frame
from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.linux.running import Running
from tests.linux.test_silence import VIRTUAL, VIRTUAL_MAC, ones_complement, router, shown

TENTHS = 3  # within which whoever has joined a group is to report it


def query(family: int, querier: Host) -> bytes:
    """A general query: IGMPv2 (RFC 2236 2) or MLD (RFC 2710 3), which Linux takes with a router alert only."""
    mac = bytes.fromhex(querier.mac.replace(":", ""))
    if family == 4:
        body = struct.pack("!BBH4x", 0x11, TENTHS, 0)
        body = body[:2] + struct.pack("!H", ones_complement(body)) + body[4:]
        ends = ipaddress.ip_address("10.77.0.9").packed + ipaddress.ip_address("224.0.0.1").packed
        head = struct.pack("!BBHHHBBH", 0x46, 0xC0, 24 + len(body), 1, 0, 1, 2, 0) + ends + b"\x94\x04\0\0"
        head = head[:10] + struct.pack("!H", ones_complement(head)) + head[12:]
        return bytes.fromhex("01005e000001") + mac + b"\x08\x00" + head + body
    ends = ipaddress.ip_address(querier.link_local()).packed + ipaddress.ip_address("ff02::1").packed
    body = struct.pack("!BBHHH16x", 130, 0, 0, TENTHS * 100, 0)
    body = body[:2] + struct.pack("!H", ones_complement(ends + struct.pack("!II", len(body), 58) + body)) + body[4:]
    alert = bytes.fromhex("3a00050200000100")
    head = struct.pack("!IHBB", 6 << 28, len(alert + body), 0, 1) + ends
    return bytes.fromhex("333300000001") + mac + b"\x86\xdd" + head + alert + body


def is_report(frame: Frame) -> bool:
    """IGMP, or what has the hop-by-hop header that MLD has."""
    kind = frame.data[12:14]
    return (kind == b"\x08\x00" and frame.data[23] == 2) or (kind == b"\x86\xdd" and frame.data[20] == 0)


def asked(capture: Capture, family: int, querier: Host, a: Host) -> list[Frame]:
    """Ask twice; what has come from the virtual MAC by then. The interface's own MAC does answer."""
    since = time.monotonic()
    for _ in range(2):
        querier.send(query(family, querier))
        time.sleep(TENTHS / 10 + 0.2)
    own = [frame for frame in capture.from_mac(a.mac, port="a", since=since) if is_report(frame)]
    assert own, "the question has not come"
    return capture.from_mac(VIRTUAL_MAC[family], port="a", since=since)


@pytest.mark.parametrize(
    ("family", "options"),
    [(6, ()), (4, ("--standing",)), (6, ("--standing",))],
    ids=["IPv6", "IPv4 standing", "IPv6 standing"],
)
def test_a_backup_answers_no_querier_with_the_virtual_mac(family: int, options: tuple[str, ...]) -> None:
    """RFC 9568 6.4.2; one report, and a switch sends what is for the Active router here."""
    with Lab(snooping=True, querier=True) as lab:
        a, b = router(lab, "a", 1, forwarding=True), router(lab, "b", 2, forwarding=True)
        querier = lab.host("querier", "10.77.0.9/24", "fd77::9/64")
        with lab.capture() as capture:
            low = Running(a, VIRTUAL[family], priority=100, interval=40.0, options=options).start().wait("backup")
            assert not (frames := asked(capture, family, querier, a)), shown(frames)
            low.end()
            low = Running(a, VIRTUAL[family], priority=100, options=options).start().wait("active")
            reports = [frame for frame in asked(capture, family, querier, a) if is_report(frame)]
            # Active, the address's solicited-node group is reported from where the address is: it has to be, or a
            # snooping switch would keep neighbour solicitations away. IPv4 has no such group.
            assert bool(reports) is (family == 6), shown(reports)
            Running(b, VIRTUAL[family], priority=200, options=options).start().wait("active")
            low.wait("backup")
            wait_until(lambda: lab.fdb(VIRTUAL_MAC[family]) == "b", 5, "way of the virtual MAC to b")
            assert not (frames := asked(capture, family, querier, a)), shown(frames)
            assert lab.fdb(VIRTUAL_MAC[family]) == "b"
