"""Frames in, speakers out; the real socket is in tests/linux/test_doctor.py."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.made_frames import FRAME4, FRAME6, V4
from vrrplib.doctor.facts import Protocol, Speaker
from vrrplib.doctor.listen import Hearing, listen
from vrrplib.wire.addresses import Family, MacAddress, virtual_mac
from vrrplib.wire.carp import CARP
from vrrplib.wire.checksum import internet_checksum
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame

MULTICAST, BASE = bytes.fromhex("01005e000002"), bytes.fromhex("020000000009")
V1 = bytes([0, 0, 16, 3, 10, 110, 7, 0]) + b"cisco\0\0\0" + bytes([10, 0, 0, 254])
V2 = struct.pack("!BBBBBBH6xI", 1, 40, 2, 0, 6, 4, 4000, 120) + bytes(24)


def udp(payload: bytes, port: int = 1985) -> bytes:
    return struct.pack("!HHHH", port, port, 8 + len(payload), 0) + payload


def ipv4(protocol: int, body: bytes, *, mac: bytes = BASE, source: str = "10.0.0.9") -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 1, protocol, 0)
    head += ip_address(source).packed + ip_address("224.0.0.2").packed
    summed = head[:10] + internet_checksum(head).to_bytes(2, "big") + head[12:]  # a switch that snoops looks at it
    return MULTICAST + mac + b"\x08\x00" + summed + body


def ipv6(protocol: int, body: bytes, *, group: str = "ff02::1", source: str = "fe80::9") -> bytes:
    head = struct.pack("!IHBB", 6 << 28, len(body), protocol, 1)
    return MULTICAST + BASE + b"\x86\xdd" + head + ip_address(source).packed + ip_address(group).packed + body


def heard(*frames: bytes) -> tuple[Speaker, ...]:
    hearing = Hearing()
    for frame in frames:
        hearing.take(frame)
    return hearing.lan(1.0).speakers


def test_vrrp() -> None:
    one, other = heard(FRAME4, FRAME6, FRAME4)
    assert (one.protocol, one.family, one.vrid, one.version, one.priority) == (
        Protocol.VRRP, Family.IPV4, 1, 3, 100,
    )  # fmt: skip
    assert (one.source, one.mac, one.addresses) == (
        ip_address("192.0.2.251"), virtual_mac(1), (ip_address("192.0.2.1"),),
    )  # fmt: skip
    assert (other.family, other.source, other.mac) == (
        Family.IPV6, ip_address("fe80::c8"), virtual_mac(1, Family.IPV6),
    )  # fmt: skip


def test_what_is_broken_is_said() -> None:
    bad = Datagram(V4.payload[:6] + b"\x12\x34" + V4.payload[8:], V4.source, V4.destination, 255)
    far = Datagram(V4.payload, V4.source, V4.destination, 64)
    assert "checksum" in heard(advertisement_frame(bad, virtual_mac(1)))[0].broken
    assert "TTL is 64, not 255" in heard(advertisement_frame(far, virtual_mac(1)))[0].broken
    near = Datagram(V4.payload, V4.source, "192.0.2.3", 64)  # to a unicast peer, perhaps behind a router
    assert "TTL" not in heard(advertisement_frame(near, BASE, BASE))[0].broken


def test_carp() -> None:
    datagram = Datagram(CARP(vhid=9).encode(), "10.0.0.9", "224.0.0.18", 255)
    (one,) = heard(advertisement_frame(datagram, "00:00:5e:00:01:09"))
    assert (one.protocol, one.vrid, one.source) == (Protocol.CARP, 9, ip_address("10.0.0.9"))


@pytest.mark.parametrize(
    ("frame", "version", "group", "priority"),
    [
        (ipv4(17, udp(V1)), 1, 7, 110),
        (ipv4(17, udp(V2)), 2, 4000, 120),
        (ipv6(17, udp(V2, 2029), group="ff02::66"), 2, 4000, 120),
    ],
)
def test_hsrp(frame: bytes, version: int, group: int, priority: int) -> None:
    (one,) = heard(frame)
    assert (one.protocol, one.version, one.vrid, one.priority) == (Protocol.HSRP, version, group, priority)


def test_other_datagrams_are_nobody() -> None:
    assert heard(ipv4(17, udp(V1, 53)), ipv4(17, udp(b"")), ipv4(6, V1), b"", b"\0" * 14) == ()


def test_queriers() -> None:
    hearing = Hearing()
    query, report = bytes([0x11, 100]) + bytes(6), bytes([0x16, 0]) + bytes(6)
    for frame in (ipv4(2, query), ipv4(2, query), ipv4(2, report, source="10.0.0.8")):
        hearing.take(frame)
    router_alert = bytes([58, 0, 5, 2, 0, 0, 1, 0])
    hearing.take(ipv6(0, router_alert + bytes([130, 0]) + bytes(26)))
    hearing.take(ipv6(0, router_alert + bytes([143, 0]) + bytes(26), source="fe80::8"))
    assert hearing.lan(1.0).queriers == (ip_address("10.0.0.9"), ip_address("fe80::9"))
    assert hearing.lan(1.0).speakers == ()


def test_a_virtual_mac_without_a_speaker() -> None:
    data = ipv4(6, b"", mac=virtual_mac(1).packed)
    (one,) = heard(data)
    assert (one.protocol, one.family, one.vrid, one.mac) == (Protocol.UNKNOWN, Family.IPV4, 1, virtual_mac(1))
    assert [one.protocol for one in heard(data, FRAME4)] == [Protocol.VRRP]
    assert [one.protocol for one in heard(data, FRAME6)] == [Protocol.VRRP, Protocol.UNKNOWN]


def test_memory_is_bounded() -> None:
    frames = (ipv4(17, udp(V1), source=f"10.0.{n >> 8}.{n & 255}") for n in range(3000))
    assert len(heard(*frames)) == 1024


@given(st.binary(max_size=120), st.sampled_from([FRAME4, FRAME6, ipv4(17, udp(V1)), ipv6(0, bytes(20))]), st.data())
def test_nothing_that_arrives_raises(noise: bytes, frame: bytes, data: st.DataObject) -> None:
    hearing = Hearing()
    hearing.take(noise)
    hearing.take(frame[: data.draw(st.integers(0, len(frame)))])
    hearing.take(frame[:14] + noise)
    assert all(isinstance(one.mac, MacAddress) for one in hearing.lan(0.1).speakers)


def test_who_cannot_listen_says_why() -> None:
    assert "'nosuch0'" in (listen("nosuch0", seconds=0.1).deaf or "")
