"""The frames that a router sends, compared with the oracle and with what dpkt reads; every field set wrong."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import VECTORS
from tests.wire.made_frames import FRAME4, FRAME6, PAYLOAD, V4, V6, facts
from vrrplib.errors import ConfigError
from vrrplib.wire.addresses import Family, MacAddress, group_address, virtual_mac
from vrrplib.wire.announcements import AnnouncementStyle, NAFlags, parse_announcement
from vrrplib.wire.checksum import internet_checksum
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import IPv4Header, IPv6Header, advertisement_frame, announcement_frame
from vrrplib.wire.packets import VRRPv2
from vrrplib.wire.parsing import VlanTag, parse, vlan_tags


@pytest.mark.parametrize("vrid", [1, 255])
def test_an_ipv4_advertisement_is_what_dpkt_reads(vrid: int) -> None:
    payload = VRRPv2(vrid=vrid, addresses=["192.0.2.1"]).encode()
    frame = advertisement_frame(Datagram(payload, "192.0.2.251", "224.0.0.18", 255), virtual_mac(vrid))
    ethernet = dpkt.ethernet.Ethernet(frame)
    ip = ethernet.data
    assert (ethernet.src, ethernet.dst) == (virtual_mac(vrid).packed, bytes.fromhex("01005e000012"))
    assert (ip.src, ip.dst) == (V4.source.packed, V4.destination.packed)
    assert (ip.p, ip.ttl, ip.tos, ip.len, ip.hl, ip.df, ip.mf, ip.offset) == (112, 255, 0xC0, 40, 5, 1, 0, 0)
    assert internet_checksum(frame[14:34]) == 0
    assert frame[34:] == payload


def test_an_ipv6_advertisement_is_what_dpkt_reads() -> None:
    ethernet = dpkt.ethernet.Ethernet(FRAME6)
    ip = ethernet.data
    assert (ethernet.src, ethernet.dst) == (virtual_mac(1, Family.IPV6).packed, bytes.fromhex("333300000012"))
    assert (ip.src, ip.dst) == (V6.source.packed, V6.destination.packed)
    assert (ip.v, ip.nxt, ip.hlim, ip.fc, ip.plen) == (6, 112, 255, 0xC0, len(PAYLOAD))
    assert FRAME6[54:] == PAYLOAD


@pytest.mark.parametrize("ttl", [0, 1, 64, 254])
def test_a_ttl_that_is_wrong_is_sent_as_it_is(ttl: int) -> None:
    for source, destination in (("192.0.2.1", "224.0.0.18"), ("fe80::1", "ff02::12")):
        datagram = Datagram(PAYLOAD, source, destination, ttl)
        assert facts(parse(advertisement_frame(datagram, virtual_mac(1)))) == facts(datagram)


@given(st.binary(max_size=100), st.ip_addresses(v=4), st.ip_addresses(v=6))
def test_any_payload_arrives_unchanged(payload: bytes, four: object, six: object) -> None:
    for source, family in ((four, Family.IPV4), (six, Family.IPV6)):
        datagram = Datagram(payload, str(source), group_address(family), 255)
        assert facts(parse(advertisement_frame(datagram, virtual_mac(1)))) == facts(datagram)


def test_a_unicast_advertisement_needs_to_be_told_its_mac() -> None:
    datagram = Datagram(PAYLOAD, "192.0.2.251", "192.0.2.252", 255)
    with pytest.raises(ConfigError, match=r"destination_mac must be given: 192\.0\.2\.252"):
        advertisement_frame(datagram, virtual_mac(1))
    frame = advertisement_frame(datagram, "02:00:00:00:00:01", "02:00:00:00:00:02")
    assert frame[:12].hex() == "020000000002" + "020000000001"


def vector(name: str) -> str:
    return next(entry["hex"] for entry in VECTORS["frames"] if entry["id"] == name)


@pytest.mark.parametrize(
    ("name", "style"),
    [("G1", AnnouncementStyle.RFC9568), ("G2", AnnouncementStyle.BROADCAST), ("G3", AnnouncementStyle.ZERO)],
)
def test_a_gratuitous_arp_is_the_oracles_in_each_style(name: str, style: AnnouncementStyle) -> None:
    assert announcement_frame("192.0.2.1", virtual_mac(1), style=style).hex() == vector(name)


def test_the_rfcs_style_is_the_default() -> None:
    assert announcement_frame("192.0.2.1", virtual_mac(1)).hex() == vector("G1")


OTHER_STYLES = [
    style
    for style in AnnouncementStyle
    if style not in (AnnouncementStyle.KEEPALIVED_HOST, AnnouncementStyle.GOVRRP)
]


@pytest.mark.parametrize("style", OTHER_STYLES)
def test_an_unsolicited_na_is_the_oracles_in_every_other_style(style: AnnouncementStyle) -> None:
    assert announcement_frame("fe80::1", virtual_mac(10, Family.IPV6), style=style).hex() == vector("G4")


def test_the_oracles_na_from_the_interfaces_own_address() -> None:
    mac = virtual_mac(10, Family.IPV6)
    assert announcement_frame("2001:db8::1", mac, source="fe80::c8").hex() == vector("G5")


def test_the_router_flag_can_be_left_out() -> None:
    mac = virtual_mac(10, Family.IPV6)
    host = announcement_frame("fe80::1", mac, style=AnnouncementStyle.KEEPALIVED_HOST)
    assert host[58:62].hex() == "20000000"
    assert host == announcement_frame("fe80::1", mac, router=False)
    back = announcement_frame("fe80::1", mac, style=AnnouncementStyle.KEEPALIVED_HOST, router=True)
    assert back.hex() == vector("G4")
    assert announcement_frame("fe80::1", mac, router=True).hex() == vector("G4")
    for frame in (host, back):
        found = parse_announcement(frame)
        assert found is not None
        assert found.flags == NAFlags(frame[58])


def test_govrrps_na_has_the_option_of_a_source() -> None:
    frame = announcement_frame("fe80::1", virtual_mac(10, Family.IPV6), style=AnnouncementStyle.GOVRRP)
    assert frame[78:80] == b"\x01\x01"
    assert dpkt.ethernet.Ethernet(frame).data.data.type == 136


@pytest.mark.parametrize(
    ("style", "operation", "target_mac", "target_address"),
    [
        (AnnouncementStyle.KEEPALIVED, 1, "ff:ff:ff:ff:ff:ff", "192.0.2.1"),
        (AnnouncementStyle.KEEPALIVED_HOST, 1, "ff:ff:ff:ff:ff:ff", "192.0.2.1"),
        (AnnouncementStyle.FRR, 1, "ff:ff:ff:ff:ff:ff", "192.0.2.1"),
        (AnnouncementStyle.UCARP, 1, "00:00:5e:00:01:01", "192.0.2.1"),
        (AnnouncementStyle.CISCO, 2, "ff:ff:ff:ff:ff:ff", "192.0.2.1"),
        (AnnouncementStyle.GOVRRP, 2, "ff:ff:ff:ff:ff:ff", "192.0.2.1"),
        (AnnouncementStyle.RVRRPD, 1, "ff:ff:ff:ff:ff:ff", "255.255.255.255"),
    ],
)
def test_the_arp_of_every_style(
    style: AnnouncementStyle, operation: int, target_mac: str, target_address: str
) -> None:
    frame = announcement_frame("192.0.2.1", virtual_mac(1), style=style)
    arp = dpkt.ethernet.Ethernet(frame).data
    assert (arp.op, arp.sha, arp.spa) == (operation, virtual_mac(1).packed, ip_address("192.0.2.1").packed)
    assert (arp.tha, arp.tpa) == (MacAddress(target_mac).packed, ip_address(target_address).packed)
    assert frame[:12] == b"\xff" * 6 + virtual_mac(1).packed


def test_the_old_names_of_two_styles() -> None:
    assert AnnouncementStyle.BROADCAST is AnnouncementStyle.FRR
    assert AnnouncementStyle.ZERO is AnnouncementStyle.RFC5227


@pytest.mark.parametrize("address", ["192.0.2.1", "fe80::1"])
def test_an_announcement_from_another_mac_with_a_tag_and_padding(address: str) -> None:
    plain = announcement_frame(address, virtual_mac(1))
    frame = announcement_frame(address, virtual_mac(1), source_mac="02:00:00:00:00:01", vlan=100, pad=True)
    assert frame == (plain[:6] + bytes.fromhex("020000000001 81000064") + plain[12:]).ljust(60, b"\0")
    found = parse_announcement(frame)
    assert found is not None
    assert (str(found.address), found.mac, str(found.sender)) == (address, virtual_mac(1), "02:00:00:00:00:01")


@pytest.mark.parametrize(
    ("address", "wrong", "message"),
    [
        ("192.0.2.1", {"source": "192.0.2.2"}, "source must be None for an IPv4 address, not '192.0.2.2'"),
        ("192.0.2.1", {"router": False}, "router must be None for an IPv4 address, not False"),
        ("fe80::1", {"source": "192.0.2.2"}, "source must be an IPv6 address, not 192.0.2.2"),
    ],
)
def test_what_an_announcement_cannot_have(address: str, wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        announcement_frame(address, virtual_mac(1), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["fe80::1", "2001:db8::1"])
def test_a_na_has_a_good_checksum_and_its_flags_and_option(address: str) -> None:
    frame = announcement_frame(address, virtual_mac(10, Family.IPV6))
    icmp = frame[54:]
    pseudo = frame[22:54] + len(icmp).to_bytes(4, "big") + bytes([0, 0, 0, 58])
    assert internet_checksum(pseudo + icmp) == 0
    assert icmp[4:8] == b"\xa0\0\0\0"  # R=1, S=0, O=1
    assert icmp[8:24] == ip_address(address).packed
    assert icmp[24:] == b"\x02\x01" + virtual_mac(10, Family.IPV6).packed
    assert MacAddress(frame[:6]) == MacAddress("33:33:00:00:00:01")


# -- every field --


def test_tags_in_front_of_an_advertisement() -> None:
    for vlan, hex_tags in (
        (100, "81000064"),
        (VlanTag(100, pcp=6, dei=True), "8100d064"),
        ((7, 100), "88a80007 81000064"),
        ([VlanTag(7, ethertype=0x9100), 100], "91000007 81000064"),
        ([1, 2, 3], "88a80001 88a80002 81000003"),
        ([], ""),
    ):
        frame = advertisement_frame(V4, virtual_mac(1), vlan=vlan)  # type: ignore[arg-type]
        assert frame == FRAME4[:12] + bytes.fromhex(hex_tags) + FRAME4[12:]
        assert facts(parse(frame)) == facts(V4)
        assert b"".join(tag.packed for tag in vlan_tags(frame)) == bytes.fromhex(hex_tags)


def test_padding_fills_a_frame_up_to_60_bytes() -> None:
    assert advertisement_frame(V4, virtual_mac(1), pad=True) == FRAME4 + bytes(60 - len(FRAME4))
    assert advertisement_frame(V6, virtual_mac(1, Family.IPV6), pad=True) == FRAME6
    assert len(FRAME6) > 60


def test_every_field_of_an_ipv4_header() -> None:
    header = IPv4Header(
        version=6,
        header_length=3,
        tos=1,
        length=2,
        identification=3,
        flags=0b101,
        fragment_offset=0x1ABC,
        protocol=4,
        checksum=0,
        options=b"odd",
    )
    frame = advertisement_frame(V4, virtual_mac(1), header=header, ethertype=0x0806)
    assert frame[12:14] == b"\x08\x06"
    assert frame[14:26].hex() == "63010002" + "0003babc" + "ff040000"
    assert frame[26:] == V4.source.packed + V4.destination.packed + b"odd" + PAYLOAD


@pytest.mark.parametrize("options", [b"\x94\x04\0\0", b"\x01", bytes(40)])
def test_ipv4_options_are_filled_up_and_counted(options: bytes) -> None:
    frame = advertisement_frame(V4, virtual_mac(1), header=IPv4Header(options=options, identification=7))
    datagram = parse(frame, verify_header=True)
    assert facts(datagram) == facts(V4)
    assert datagram is not None
    assert datagram.header[4:6] == b"\0\7"
    assert datagram.header[20:] == options + bytes(-len(options) % 4)
    assert dpkt.ip.IP(frame[14:]).opts == datagram.header[20:]


def test_every_field_of_an_ipv6_header() -> None:
    header = IPv6Header(
        version=4, traffic_class=0xAB, flow_label=0x12345, length=7, next_header=60, extensions=b"ext"
    )
    frame = advertisement_frame(V6, virtual_mac(1), header=header)
    assert frame[14:22].hex() == "4ab12345" + "00073cff"
    assert frame[22:] == V6.source.packed + V6.destination.packed + b"ext" + PAYLOAD


def test_ipv6_extension_headers_are_counted() -> None:
    header = IPv6Header(next_header=60, extensions=bytes([112, 0]) + bytes(6))
    datagram = parse(advertisement_frame(V6, virtual_mac(1), header=header))
    assert facts(datagram) == facts(V6)


@pytest.mark.parametrize("frame", [FRAME4, FRAME6], ids=["ipv4", "ipv6"])
def test_the_header_as_received_gives_the_frame_as_received(frame: bytes) -> None:
    datagram = parse(frame)
    assert datagram is not None
    assert advertisement_frame(datagram, frame[6:12], header=datagram.header) == frame


@pytest.mark.parametrize(
    ("datagram", "wrong", "message"),
    [
        (V4, {"header": IPv4Header(options=bytes(44))}, "header_length must be 5-15, not 16"),
        (V4, {"header": IPv6Header()}, "header must be an IPv4Header for 192.0.2.251, not IPv6Header"),
        (V6, {"header": IPv4Header()}, "header must be an IPv6Header for fe80::c8"),
        (V6, {"ethertype": -1}, "ethertype must be 0-65535, not -1"),
        (V4, {"vlan": 4096}, "vid must be 0-4095, not 4096"),
        (Datagram(PAYLOAD, "192.0.2.1", "224.0.0.18", 256), {}, "ttl must be 0-255, not 256"),
        (Datagram(bytes(65536), "192.0.2.1", "224.0.0.18", 255), {}, "length must be 0-65535, not 65556"),
        (Datagram(bytes(65536), "fe80::1", "ff02::12", 255), {}, "length must be 0-65535, not 65536"),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_refused(
    datagram: Datagram, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        advertisement_frame(datagram, virtual_mac(1), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "wrong", "message"),
    [
        (IPv4Header, {"tos": 256}, "tos must be 0-255, not 256"),
        (IPv4Header, {"flags": 8}, "flags must be 0-7, not 8"),
        (IPv4Header, {"checksum": 65536}, "checksum must be 0-65535, not 65536"),
        (IPv4Header, {"header_length": -1}, "header_length must be 0-15, not -1"),
        (IPv6Header, {"flow_label": 1 << 20}, "flow_label must be 0-1048575, not 1048576"),
        (IPv6Header, {"length": "7"}, "length must be 0-65535, not '7'"),
    ],
)
def test_a_header_field_out_of_range_is_refused(header: type, wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        header(**wrong)


HEADERS4 = st.builds(
    IPv4Header,
    version=st.integers(0, 15),
    header_length=st.none() | st.integers(0, 15),
    tos=st.integers(0, 255),
    length=st.none() | st.integers(0, 65535),
    identification=st.integers(0, 65535),
    flags=st.integers(0, 7),
    fragment_offset=st.integers(0, 0x1FFF),
    protocol=st.integers(0, 255),
    checksum=st.none() | st.integers(0, 65535),
    options=st.binary(max_size=40),
)


@given(HEADERS4, st.binary(max_size=40), st.booleans())
def test_any_ipv4_header_is_sent_as_it_is_told(header: IPv4Header, payload: bytes, pad: bool) -> None:
    datagram = Datagram(payload, "192.0.2.1", "224.0.0.18", 255)
    frame = advertisement_frame(datagram, virtual_mac(1), header=header, pad=pad)
    assert len(frame) >= 60 * pad
    parse(frame)
    v_hl, tos, length, identification, flags, ttl, protocol, checksum = struct.unpack_from("!BBHHHBBH", frame, 14)
    assert (v_hl >> 4, tos, identification, ttl, protocol) == (
        header.version,
        header.tos,
        header.identification,
        255,
        header.protocol,
    )
    assert flags == header.flags << 13 | header.fragment_offset
    assert header.length in (None, length)
    assert header.checksum in (None, checksum)
    assert header.header_length in (None, v_hl & 15)
    assert payload in frame
