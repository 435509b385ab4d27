"""Recorded traffic: every frame of every capture, and what its advertisements decode to."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.oracle import MADE_CAPTURES, carries_vrrp, frames_of, public_captures
from tests.wire.made_frames import facts
from vrrplib.errors import Problem
from vrrplib.wire.addresses import Family, MacAddress, virtual_mac
from vrrplib.wire.announcements import AnnouncementKind, AnnouncementStyle, NAFlags, parse_announcement
from vrrplib.wire.capture import CaptureReader
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.frames import advertisement_frame, announcement_frame
from vrrplib.wire.packets import VRRPv2, VRRPv3, inspect
from vrrplib.wire.parsing import parse

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


# Whose announcements a capture has, where they are not keepalived's; its hosts do not forward IPv6.
STYLES = {
    "frr-v2-ipv4": AnnouncementStyle.FRR,
    "frr-v3-ipv4": AnnouncementStyle.FRR,
    "frr-v3-ipv6": AnnouncementStyle.FRR,
    "proto-pair-v3-ipv4-partition": AnnouncementStyle.RFC5227,
}
# How many announcements there are.
ANNOUNCEMENTS = {
    "crafted-v3-ipv4-no-pseudoheader": 0,
    "failover-v3-ipv4-novmac-sigkill": 5,
    "failover-v3-ipv4-novmac-term": 5,
    "failover-v3-ipv4-vmac-carrier": 5,
    "failover-v3-ipv4-vmac-killvrrp": 5,
    "failover-v3-ipv4-vmac-sigkill": 5,
    "failover-v3-ipv4-vmac-term": 5,
    "failover-v3-ipv4-vmac-xmitbase-sigkill": 5,
    "failover-v3-ipv6-vmac-sigkill": 10,
    "frr-v2-ipv4": 2,
    "frr-v3-ipv4": 2,
    "frr-v3-ipv6": 4,
    "frr-vs-keepalived-v2-ipv4": 12,
    "frr-vs-keepalived-v3-ipv4": 12,
    "keepalived-child-sigkill-respawn": 5,
    "keepalived-v2-ipv4-adv-255": 5,
    "keepalived-v2-ipv4-ah": 5,
    "keepalived-v2-ipv4-novmac": 10,
    "keepalived-v2-ipv4-vmac-xmitbase": 5,
    "keepalived-v2-ipv4-vmac": 20,
    "keepalived-v2-vs-ucarp": 7,
    "keepalived-v3-ipv4-adv-40.95": 5,
    "keepalived-v3-ipv4-novmac": 5,
    "keepalived-v3-ipv4-prio255-owner": 5,
    "keepalived-v3-ipv4-unicast": 5,
    "keepalived-v3-ipv4-vmac-noaccept": 5,
    "keepalived-v3-ipv4-vmac-xmitbase": 5,
    "keepalived-v3-ipv4-vmac": 5,
    "keepalived-v3-ipv6-novmac": 10,
    "keepalived-v3-ipv6-vmac": 10,
    "macswap-veth-up": 0,
    "proto-pair-v3-ipv4-partition": 2,
}
UCARPS = "10.77.0.101"


@pytest.mark.parametrize("name", CAPTURES)
def test_every_announcement_is_byte_for_byte_ours_in_that_style(name: str) -> None:
    count = 0
    for frame in frames_of(MADE_CAPTURES / f"{name}.pcap"):
        found = parse_announcement(frame)
        if found is None:
            continue
        assert found.mac is not None
        style = STYLES.get(name, AnnouncementStyle.KEEPALIVED_HOST)
        if name == "keepalived-v2-vs-ucarp" and str(found.address) == UCARPS:
            style = AnnouncementStyle.UCARP
        assert announcement_frame(found.address, found.mac, style=style, source_mac=found.sender) == frame
        count += 1
    assert count == ANNOUNCEMENTS[name]


def test_who_claims_the_address_before_and_after_a_failover() -> None:
    claims = []
    for frame in frames_of(MADE_CAPTURES / "failover-v3-ipv4-novmac-sigkill.pcap"):
        found = parse_announcement(frame, any_claim=True)
        if found and str(found.address) == "10.77.0.100" and (not claims or claims[-1] != found.mac):
            claims.append(found.mac)
    assert claims == [MacAddress("02:00:00:00:00:01"), MacAddress("02:00:00:00:00:02")]


def test_solicited_answers_are_claims_too() -> None:
    kinds: Counter[tuple[AnnouncementKind, int, NAFlags]] = Counter()
    for frame in frames_of(MADE_CAPTURES / "failover-v3-ipv6-vmac-sigkill.pcap"):
        found = parse_announcement(frame, any_claim=True)
        if found and not found.unsolicited:
            kinds[found.kind, found.operation, found.flags] += 1
            answers = {"fd77::100": virtual_mac(51, Family.IPV6), "fd77::3": MacAddress("02:00:00:00:00:03")}
            assert found.mac == answers[str(found.address)]
    assert kinds == {(AnnouncementKind.NA, 136, NAFlags.SOLICITED | NAFlags.OVERRIDE): 2}


@pytest.mark.parametrize("name", CAPTURES)
def test_every_made_capture_is_read_to_its_end_with_its_datagrams(name: str) -> None:
    path = MADE_CAPTURES / f"{name}.pcap"
    with path.open("rb") as file:
        reader = CaptureReader(file)
        records = list(reader)
    assert (reader.broken, reader.offset) == (None, path.stat().st_size)
    assert [record.data for record in records] == frames_of(path)
    assert len([record for record in records if record.datagram]) == CAPTURES[name][0]
    times = [record.time_ns for record in records]
    assert all(time and time > 1_600_000_000 * 10**9 for time in times) or name.startswith("crafted")


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


def test_public_captures_are_read_to_their_ends() -> None:
    ends = {}
    for path in sorted(public_captures().glob("*/*.pcap")):
        with path.open("rb") as file:
            reader = CaptureReader(file)
            for record in reader:
                assert record.frame is None or record.frame == record.data
        assert reader.broken is None
        ends[f"{path.parent.name}/{path.name}"] = {interface.link_type for interface in reader.interfaces}
    assert ends.pop("tcpdump/vrrp-vrrp_print-oobr.pcap") == {107}  # Frame Relay
    assert set(ends) >= set(PUBLIC)
    assert all(types == {1} for types in ends.values())
