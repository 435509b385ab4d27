from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path

import dpkt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.oracle import MADE_CAPTURES, VECTORS, carries_vrrp, frames_of, public_captures
from vrrplib.errors import ConfigError, Problem
from vrrplib.wire.addresses import Family, MacAddress, group_address, virtual_mac
from vrrplib.wire.checksum import ChecksumForm, internet_checksum
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import AnnouncementStyle, advertisement_frame, announcement_frame, parse
from vrrplib.wire.packets import VRRPv2, VRRPv3, inspect

PAYLOAD = bytes.fromhex("3101640100640000c0000201")
V4 = Datagram(PAYLOAD, "192.0.2.251", "224.0.0.18", 255)
V6 = Datagram(PAYLOAD, "fe80::c8", "ff02::12", 255)
FRAME4 = advertisement_frame(V4, virtual_mac(1))
FRAME6 = advertisement_frame(V6, virtual_mac(1, Family.IPV6))
BOTH = pytest.mark.parametrize("frame", [FRAME4, FRAME6], ids=["ipv4", "ipv6"])


def facts(datagram: Datagram | None) -> tuple[object, ...] | None:
    """All of a datagram but its header."""
    return datagram and (datagram.payload, datagram.source, datagram.destination, datagram.ttl)


def of(frame: bytes) -> Datagram:
    return V4 if frame[12:14] == b"\x08\x00" else V6


def tagged(frame: bytes, *tags: str) -> bytes:
    return frame[:12] + b"".join(bytes.fromhex(tag) for tag in tags) + frame[12:]


def ipv4(
    payload: bytes = PAYLOAD,
    *,
    options: bytes = b"",
    fragment: int = 0,
    protocol: int = 112,
    length: int | None = None,
) -> bytes:
    """An Ethernet frame with an IPv4 header made by hand, where each field can be wrong."""
    header_length = 20 + len(options)
    length = header_length + len(payload) if length is None else length
    header = (
        bytes([0x40 | header_length // 4, 0]) + length.to_bytes(2, "big") + b"\0\0" + fragment.to_bytes(2, "big")
    )
    header += bytes([255, protocol, 0, 0]) + V4.source.packed + V4.destination.packed + options
    return FRAME4[:14] + header + payload


def ipv6(payload: bytes = PAYLOAD, *, protocol: int = 112, length: int | None = None) -> bytes:
    length = len(payload) if length is None else length
    header = b"\x60\0\0\0" + length.to_bytes(2, "big") + bytes([protocol, 255]) + V6.source.packed
    return FRAME6[:14] + header + V6.destination.packed + payload


def ah(protocol: int, words: int = 4) -> bytes:
    """An authentication header of RFC 2402: 24 bytes with the 96-bit digest that VRRPv2 uses."""
    return bytes([protocol, words, 0, 0]) + b"spi4" + b"seq4" + b"digest of 96 bits"[: words * 4 - 4]


# -- parse --


@BOTH
def test_what_was_built_parses_to_the_same_datagram(frame: bytes) -> None:
    assert facts(parse(frame)) == facts(of(frame))


@BOTH
@pytest.mark.parametrize("tags", [["81000064"], ["88a80001", "81000064"], ["81000001", "81000002"]], ids=str)
def test_one_or_two_vlan_tags_are_seen_through(frame: bytes, tags: list[str]) -> None:
    assert facts(parse(tagged(frame, *tags))) == facts(of(frame))


@BOTH
def test_three_vlan_tags_are_one_too_many(frame: bytes) -> None:
    assert parse(tagged(frame, "88a80001", "81000001", "81000002")) is None


@BOTH
@pytest.mark.parametrize("padding", [b"\0" * 14, b"\xff" * 40])
def test_ethernet_padding_is_cut_off(frame: bytes, padding: bytes) -> None:
    assert facts(parse(frame + padding)) == facts(of(frame))


def test_the_header_is_kept_as_received() -> None:
    for frame, length in ((FRAME4, 20), (FRAME6, 40)):
        datagram = parse(tagged(frame, "81000064") + b"padding")
        assert datagram is not None
        assert datagram.header == frame[14 : 14 + length]


@pytest.mark.parametrize("options", [b"\x94\x04\0\0", bytes(40)])
def test_ipv4_options_belong_to_the_header(options: bytes) -> None:
    datagram = parse(ipv4(options=options))
    assert facts(datagram) == facts(V4)
    assert datagram is not None
    assert datagram.header.endswith(options)


@pytest.mark.parametrize("fragment", [0x2000, 0x0001, 0x3FFF])
def test_a_fragment_is_not_ours(fragment: int) -> None:
    assert parse(ipv4(fragment=fragment)) is None


def test_the_flag_not_to_fragment_is_no_fragment() -> None:
    assert facts(parse(ipv4(fragment=0x4000))) == facts(V4)


def test_an_ipv6_fragment_is_not_ours() -> None:
    assert parse(ipv6(bytes([112, 0, 0, 1]) + bytes(4) + PAYLOAD, protocol=44)) is None


@pytest.mark.parametrize("extension", [0, 43, 60])
def test_ipv6_extension_headers_are_seen_through(extension: int) -> None:
    # RFC 8200 4: next header, and the length in eights of bytes less one
    one = bytes([112, 0]) + bytes(6)
    two = bytes([extension, 1]) + b"\xff" * 14 + one
    assert facts(parse(ipv6(one + PAYLOAD, protocol=extension))) == facts(V6)
    assert facts(parse(ipv6(two + PAYLOAD, protocol=extension))) == facts(V6)


@pytest.mark.parametrize("words", [1, 4, 7])
def test_an_authentication_header_is_seen_through_and_kept(words: int) -> None:
    header = ah(112, words)[: (words + 2) * 4].ljust((words + 2) * 4, b"\0")
    for frame, plain in ((ipv4(header + PAYLOAD, protocol=51), V4), (ipv6(header + PAYLOAD, protocol=51), V6)):
        datagram = parse(frame)
        assert facts(datagram) == facts(plain)
        assert datagram is not None
        assert datagram.header.endswith(header)


def test_an_authentication_header_before_something_else_is_not_ours() -> None:
    assert parse(ipv4(ah(17) + PAYLOAD, protocol=51)) is None


def test_an_authentication_header_that_is_longer_than_its_packet_is_not_ours() -> None:
    assert parse(ipv4(ah(112)[:8], protocol=51)) is None
    assert parse(ipv4(b"\x70\xff" + bytes(40), protocol=51)) is None


@BOTH
def test_a_frame_that_was_cut_short_is_not_ours_wherever_it_was_cut(frame: bytes) -> None:
    for size in range(len(frame)):
        assert parse(frame[:size]) is None, size
        assert parse(tagged(frame, "81000064")[:size]) is None, size


@pytest.mark.parametrize("protocol", [1, 17, 58])
def test_other_protocols_are_not_ours(protocol: int) -> None:
    assert parse(ipv4(protocol=protocol)) is None
    assert parse(ipv6(protocol=protocol)) is None


@pytest.mark.parametrize("ethertype", ["0806", "0000", "05dc", "88cc", "86dd"])
def test_other_ethertypes_are_not_ours(ethertype: str) -> None:
    assert parse(FRAME4[:12] + bytes.fromhex(ethertype) + FRAME4[14:]) is None


def test_an_ip_version_that_contradicts_the_ethertype_is_not_ours() -> None:
    assert parse(FRAME4[:14] + b"\x65" + FRAME4[15:]) is None
    assert parse(FRAME6[:14] + b"\x40" + FRAME6[15:]) is None


@pytest.mark.parametrize("head", [0x40, 0x44])
def test_an_ipv4_header_below_20_bytes_is_not_ours(head: int) -> None:
    assert parse(FRAME4[:14] + bytes([head]) + FRAME4[15:]) is None


@pytest.mark.parametrize("length", [0, 19, 33])
def test_an_ip_length_outside_its_frame_is_not_ours(length: int) -> None:
    assert parse(ipv4(length=length)) is None


def test_the_ip_length_decides_where_the_message_ends() -> None:
    four, six = parse(ipv4(length=28)), parse(ipv6(length=8))
    assert four is not None
    assert six is not None
    assert four.payload == six.payload == PAYLOAD[:8]
    assert parse(ipv6(length=13)) is None


LIKELY_FRAMES = st.one_of(
    st.binary(max_size=120),
    # a good frame with some bytes overwritten
    st.builds(
        lambda frame, at, patch, cut: (frame[:at] + patch + frame[at + len(patch) :])[:cut],
        st.sampled_from(
            [
                FRAME4,
                FRAME6,
                tagged(FRAME4, "81000064"),
                ipv4(ah(112) + PAYLOAD, protocol=51),
                ipv6(bytes([60, 0]) + bytes(6) + bytes([112, 0]) + bytes(6) + PAYLOAD, protocol=0),
            ]
        ),
        st.integers(12, 70),
        st.binary(max_size=3),
        st.integers(0, 120),
    ),
)


@given(LIKELY_FRAMES)
@example(b"")
@example(FRAME6[:20] + b"\0" + FRAME6[21:])
def test_parse_never_raises_and_gives_back_bytes_of_the_frame(frame: bytes) -> None:
    datagram = parse(frame)
    if datagram is not None:
        assert datagram.header + datagram.payload in frame
        assert 0 <= datagram.ttl <= 255


# -- the frames that a router sends --


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


@pytest.mark.parametrize("style", AnnouncementStyle)
def test_an_unsolicited_na_is_the_oracles_in_every_style(style: AnnouncementStyle) -> None:
    assert announcement_frame("fe80::1", virtual_mac(10, Family.IPV6), style=style).hex() == vector("G4")


def test_a_na_for_a_global_address_differs_from_g5_in_its_source_and_checksum_only() -> None:
    # G5 has the interface's link-local address as its IPv6 source. Here the announced address is the source, as
    # in FRR and keepalived; RFC 9568 gives none. So G5 is not built, but compared without those two fields.
    ours = dpkt.ethernet.Ethernet(announcement_frame("2001:db8::1", virtual_mac(10, Family.IPV6)))
    oracle = dpkt.ethernet.Ethernet(bytes.fromhex(vector("G5")))
    assert ours.data.src == ip_address("2001:db8::1").packed
    assert oracle.data.src == ip_address("fe80::c8").packed
    assert (ours.dst, ours.src, ours.type) == (oracle.dst, oracle.src, oracle.type)
    assert (ours.data.dst, ours.data.hlim, ours.data.nxt) == (oracle.data.dst, 255, 58)
    icmp, theirs = bytes(ours.data.data), bytes(oracle.data.data)
    assert icmp[:2] == theirs[:2] == b"\x88\0"
    assert icmp[4:] == theirs[4:]


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


# -- captures --

# How many frames carry protocol 112 or an AH (a test over nothing would pass), and of which version they are.
PLAIN_V2, PLAIN_V3 = "v2", "v3"
CAPTURES = {
    "crafted-v3-ipv4-no-pseudoheader": (1, PLAIN_V3),
    "failover-v3-ipv4-novmac-sigkill": (29, PLAIN_V3),
    "failover-v3-ipv4-novmac-term": (39, PLAIN_V3),
    "failover-v3-ipv4-vmac-carrier": (29, PLAIN_V3),
    "failover-v3-ipv4-vmac-killvrrp": (29, PLAIN_V3),
    "failover-v3-ipv4-vmac-sigkill": (29, PLAIN_V3),
    "failover-v3-ipv4-vmac-term": (40, PLAIN_V3),
    "failover-v3-ipv4-vmac-xmitbase-sigkill": (26, PLAIN_V3),
    "failover-v3-ipv6-vmac-sigkill": (29, PLAIN_V3),
    "frr-v2-ipv4": (11, PLAIN_V2),
    "frr-v3-ipv4": (11, PLAIN_V3),
    "frr-v3-ipv6": (9, PLAIN_V3),
    "frr-vs-keepalived-v2-ipv4": (14, PLAIN_V2),
    "frr-vs-keepalived-v3-ipv4": (14, PLAIN_V3),
    "keepalived-child-sigkill-respawn": (30, PLAIN_V3),
    "keepalived-v2-ipv4-adv-255": (2, PLAIN_V2),
    "keepalived-v2-ipv4-ah": (4, PLAIN_V2),
    "keepalived-v2-ipv4-novmac": (5, PLAIN_V2),
    "keepalived-v2-ipv4-vmac": (8, PLAIN_V2),
    "keepalived-v2-ipv4-vmac-xmitbase": (4, PLAIN_V2),
    "keepalived-v2-vs-ucarp": (8, PLAIN_V2),
    "keepalived-v3-ipv4-adv-40.95": (2, PLAIN_V3),
    "keepalived-v3-ipv4-novmac": (4, PLAIN_V3),
    "keepalived-v3-ipv4-prio255-owner": (4, PLAIN_V3),
    "keepalived-v3-ipv4-unicast": (4, PLAIN_V3),
    "keepalived-v3-ipv4-vmac": (4, PLAIN_V3),
    "keepalived-v3-ipv4-vmac-noaccept": (4, PLAIN_V3),
    "keepalived-v3-ipv4-vmac-xmitbase": (4, PLAIN_V3),
    "keepalived-v3-ipv6-novmac": (4, PLAIN_V3),
    "keepalived-v3-ipv6-vmac": (4, PLAIN_V3),
    "macswap-veth-up": (1, PLAIN_V3),
    "proto-pair-v3-ipv4-partition": (61, PLAIN_V3),
}
# Problems that are there on purpose: how many frames have them, and why.
PROBLEMS = {
    "keepalived-v2-vs-ucarp": (4, Problem.CARP),  # half of the frames are ucarp's
    # a frame sent by hand after the MAC had changed: its source is 10.77.0.2, its checksum that of 10.77.0.1
    "macswap-veth-up": (1, Problem.CHECKSUM),
}
# Checksum forms other than those of keepalived and FRR.
FORMS = {"crafted-v3-ipv4-no-pseudoheader": ChecksumForm.MESSAGE_ONLY}  # synthetic, as RFC 9568 has it


def test_every_capture_is_in_the_table() -> None:
    assert {path.stem for path in MADE_CAPTURES.glob("*.pcap")} == set(CAPTURES)


@pytest.mark.parametrize("name", CAPTURES)
def test_every_vrrp_frame_of_a_capture_parses_and_decodes_without_a_problem(name: str) -> None:
    frames = [frame for frame in frames_of(MADE_CAPTURES / f"{name}.pcap") if carries_vrrp(frame)]
    count, version = CAPTURES[name]
    assert len(frames) == count
    found = []
    for frame in frames:
        datagram = parse(frame)
        assert datagram is not None
        assert datagram.ttl == 255
        inspection = inspect(datagram.payload, source=datagram.source, destination=datagram.destination)
        assert inspection.notes == ()
        if inspection.problems:
            found += [finding.problem for finding in inspection.problems]
            continue
        assert isinstance(inspection.packet, VRRPv2 if version == PLAIN_V2 else VRRPv3)
        assert inspection.packet.vrid == 51
        usual = ChecksumForm.MESSAGE_ONLY if version == PLAIN_V2 else ChecksumForm.PSEUDO_HEADER
        assert inspection.checksum_form == FORMS.get(name, usual)
        again = inspection.packet.replace().encode(
            datagram.source, datagram.destination, form=inspection.checksum_form
        )
        assert again == datagram.payload
    bad, problem = PROBLEMS.get(name, (0, None))
    assert found == [problem] * bad


@pytest.mark.parametrize("name", CAPTURES)
def test_no_other_frame_of_a_capture_is_taken_for_vrrp(name: str) -> None:
    others = [frame for frame in frames_of(MADE_CAPTURES / f"{name}.pcap") if not carries_vrrp(frame)]
    assert [frame for frame in others if parse(frame)] == []
    assert len(others) >= 1 or name.startswith("crafted")


def test_the_bad_checksum_in_the_macswap_capture_is_that_of_the_other_host() -> None:
    frames = [frame for frame in frames_of(MADE_CAPTURES / "macswap-veth-up.pcap") if carries_vrrp(frame)]
    datagram = parse(frames[0])
    assert datagram is not None
    assert str(datagram.source) == "10.77.0.2"
    found = inspect(datagram.payload, source="10.77.0.1", destination=datagram.destination)
    assert found.checksum_form == ChecksumForm.PSEUDO_HEADER


def test_keepalived_ah_is_kept_in_the_header() -> None:
    for frame in filter(carries_vrrp, frames_of(MADE_CAPTURES / "keepalived-v2-ipv4-ah.pcap")):
        datagram = parse(frame)
        assert datagram is not None
        packet = inspect(datagram.payload).packet
        assert isinstance(packet, VRRPv2)
        assert (packet.auth_type, len(datagram.header), datagram.header[20]) == (2, 44, 112)


@pytest.mark.parametrize(
    "name", ["frr-v3-ipv4", "keepalived-v3-ipv4-vmac", "frr-v3-ipv6", "keepalived-v3-ipv6-vmac"]
)
def test_our_frame_for_a_peers_advertisement_says_the_same(name: str) -> None:
    count = 0
    for frame in filter(carries_vrrp, frames_of(MADE_CAPTURES / f"{name}.pcap")):
        datagram = parse(frame)
        assert datagram is not None
        ours = advertisement_frame(datagram, frame[6:12])
        assert ours[:14] == frame[:14]  # among them the group's MAC
        assert facts(parse(ours)) == facts(datagram)
        assert ours[15] == frame[15] or len(datagram.source.packed) == 16  # the TOS of both daemons is 0xC0
        count += 1
    assert count == CAPTURES[name][0]


def na_or_arp(frame: bytes) -> str | None:
    """The address that a gratuitous ARP or an unsolicited NA announces."""
    if frame[12:14] == b"\x08\x06" and frame[28:32] == frame[38:42] != bytes(4):
        return str(ip_address(frame[28:32]))
    if (
        frame[12:14] == b"\x86\xdd"
        and frame[20] == 58
        and frame[54] == 136
        and frame[38:54] == ip_address("ff02::1").packed
    ):
        return str(ip_address(frame[62:78]))
    return None


@pytest.mark.parametrize(
    ("name", "count"),
    # not keepalived-v3-ipv6-vmac: its host did not forward, and then keepalived leaves out the R flag
    [("frr-v3-ipv4", 2), ("frr-v3-ipv6", 4), ("keepalived-v3-ipv4-vmac", 5), ("keepalived-v2-ipv4-vmac", 20)],
)
def test_our_announcements_are_byte_for_byte_the_daemons(name: str, count: int) -> None:
    found = 0
    for frame in frames_of(MADE_CAPTURES / f"{name}.pcap"):
        address = na_or_arp(frame)
        if address is None or frame[6:10] != b"\0\0\x5e\0":
            continue
        ours = announcement_frame(address, frame[6:12], style=AnnouncementStyle.BROADCAST)
        assert ours == frame[: len(ours)]
        found += 1
    assert found == count


PUBLIC = {
    # VRRP frames, and the frames with a problem: all of CARP; a version 2 message without authentication data
    "libpcap/carp.pcap": (5, [Problem.CARP] * 5),
    "libpcap/vrrp.pcap": (15, []),
    "pcapplusplus/VRRP-V2.pcap": (1, [Problem.LENGTH]),
    "pcapplusplus/VRRP-V3-IPv6.pcap": (1, []),
    "tcpdump/vrrp.pcap": (165, []),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_captures_decode(name: str) -> None:
    frames = frames_of(public_captures() / name)
    datagrams = [datagram for datagram in map(parse, frames) if datagram]
    count, problems = PUBLIC[name]
    assert len(datagrams) == len([frame for frame in frames if carries_vrrp(frame)]) == count
    found = []
    for datagram in datagrams:
        inspection = inspect(datagram.payload, source=datagram.source, destination=datagram.destination)
        found += [finding.problem for finding in inspection.problems]
    assert found == problems


@pytest.mark.parametrize("name", ["VRRP-V2", "VRRP-V3-IPv6"])
def test_public_hex_dumps_are_the_frames_of_their_captures(name: str) -> None:
    folder = public_captures() / "pcapplusplus"
    dump = bytes.fromhex(re.sub(r"\s", "", Path(folder / f"{name}.dat").read_text()))
    assert facts(parse(dump)) == facts(parse(frames_of(folder / f"{name}.pcap")[0]))
    assert parse(dump) is not None
