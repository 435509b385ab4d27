"""parse_announcement(): who claims which address, in every style, and what a host would ignore."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.oracle import VECTORS
from tests.wire.made_frames import FRAME4, FRAME6, tagged
from vrrplib.wire.addresses import Family, virtual_mac
from vrrplib.wire.announcements import (
    Announcement,
    AnnouncementKind,
    AnnouncementStyle,
    NAFlags,
    parse_announcement,
)
from vrrplib.wire.checksum import internet_checksum
from vrrplib.wire.frames import announcement_frame

MAC4, MAC6 = virtual_mac(1), virtual_mac(1, Family.IPV6)
ARP = announcement_frame("192.0.2.1", MAC4)
NA = announcement_frame("fe80::1", MAC6)
SENT_BY_ROUTER = NAFlags.ROUTER | NAFlags.OVERRIDE


def patched(frame: bytes, at: int, data: bytes | str) -> bytes:
    data = bytes.fromhex(data) if isinstance(data, str) else data
    return frame[:at] + data + frame[at + len(data) :]


def summed(frame: bytes) -> bytes:
    """An NA with its ICMPv6 checksum made good again, and its length."""
    message = frame[54:56] + b"\0\0" + frame[58:]
    length = len(message).to_bytes(2, "big")
    pseudo = frame[22:54] + b"\0\0" + length + bytes([0, 0, 0, 58])
    checksum = internet_checksum(pseudo + message).to_bytes(2, "big")
    return frame[:18] + length + frame[20:56] + checksum + frame[58:]


# -- claims --


@pytest.mark.parametrize("style", AnnouncementStyle)
def test_a_gratuitous_arp_of_every_style_is_read(style: AnnouncementStyle) -> None:
    operation = 2 if style in (AnnouncementStyle.CISCO, AnnouncementStyle.GOVRRP) else 1
    expected = Announcement(ip_address("192.0.2.1"), MAC4, MAC4, AnnouncementKind.ARP, operation)
    assert parse_announcement(announcement_frame("192.0.2.1", MAC4, style=style)) == expected


@pytest.mark.parametrize("style", AnnouncementStyle)
def test_an_unsolicited_na_of_every_style_is_read(style: AnnouncementStyle) -> None:
    flags = NAFlags.OVERRIDE if style is AnnouncementStyle.KEEPALIVED_HOST else SENT_BY_ROUTER
    mac = None if style is AnnouncementStyle.GOVRRP else MAC6
    expected = Announcement(ip_address("fe80::1"), mac, MAC6, AnnouncementKind.NA, 136, flags)
    assert parse_announcement(announcement_frame("fe80::1", MAC6, style=style)) == expected


def test_the_oracles_announcements_are_read() -> None:
    claims = {}
    for entry in VECTORS["frames"]:
        if found := parse_announcement(bytes.fromhex(entry["hex"])):
            claims[entry["id"]] = (str(found.address), found.mac)
    arp = ("192.0.2.1", virtual_mac(1))
    mac6 = virtual_mac(10, Family.IPV6)
    assert claims == {"G1": arp, "G2": arp, "G3": arp, "G4": ("fe80::1", mac6), "G5": ("2001:db8::1", mac6)}


@pytest.mark.parametrize("frame", [ARP, NA], ids=["arp", "na"])
def test_tags_and_padding_are_seen_through(frame: bytes) -> None:
    assert parse_announcement(tagged(frame, "88a80001", "81000064") + bytes(18)) == parse_announcement(frame)


def test_the_sender_of_the_frame_may_be_another() -> None:
    for address in ("192.0.2.1", "fe80::1"):
        found = parse_announcement(announcement_frame(address, MAC4, source_mac="02:00:00:00:00:01"))
        assert found is not None
        assert (found.mac, str(found.sender)) == (MAC4, "02:00:00:00:00:01")


def test_a_request_and_a_reply_are_claims_only_when_asked_for() -> None:
    asks = patched(ARP, 38, ip_address("192.0.2.9").packed)
    answers = patched(asks, 20, "0002")
    for frame, operation in ((asks, 1), (answers, 2)):
        assert parse_announcement(frame) is None
        found = parse_announcement(frame, any_claim=True)
        assert found is not None
        assert (str(found.address), found.mac, found.operation) == ("192.0.2.1", MAC4, operation)
        assert not found.unsolicited


def test_a_na_that_was_asked_for_is_a_claim_only_when_asked_for() -> None:
    solicited = summed(patched(patched(NA, 58, "e0"), 38, ip_address("fe80::9").packed))
    assert parse_announcement(solicited) is None
    found = parse_announcement(solicited, any_claim=True)
    assert found is not None
    assert found.flags == SENT_BY_ROUTER | NAFlags.SOLICITED
    assert not found.unsolicited
    # RFC 4861 7.1.2: to many, the flag must not be set
    assert parse_announcement(summed(patched(NA, 58, "e0")), any_claim=True) is None


def test_other_options_of_a_na_are_passed_over_and_the_first_address_counts() -> None:
    other = b"\x0e\x01nonce!"
    frame = summed(NA[:78] + other + NA[78:] + b"\x02\x01" + bytes(6))
    assert parse_announcement(frame) == parse_announcement(NA)
    without = parse_announcement(summed(NA[:78]))
    assert without is not None
    assert without.mac is None


# -- what is none --


@pytest.mark.parametrize(
    ("at", "data"),
    [(14, "0006"), (16, "86dd"), (18, "08"), (19, "10"), (20, "0003"), (20, "0000"), (28, "00000000")],
    ids=["hardware", "protocol", "hardware length", "protocol length", "reverse", "no operation", "probe"],
)
def test_arp_of_another_kind_claims_nothing(at: int, data: str) -> None:
    assert parse_announcement(patched(ARP, at, data), any_claim=True) is None


@pytest.mark.parametrize(
    ("at", "data"),
    [(14, "40"), (20, "11"), (21, "fe"), (54, "87"), (55, "01"), (62, "ff")],
    ids=["version", "protocol", "hop limit", "type", "code", "multicast target"],
)
def test_a_na_that_a_host_discards_claims_nothing(at: int, data: str) -> None:
    assert parse_announcement(summed(patched(NA, at, data)), any_claim=True) is None


def test_a_na_with_a_wrong_checksum_claims_nothing() -> None:
    assert parse_announcement(patched(NA, 56, bytes([NA[56] ^ 1]))) is None


@pytest.mark.parametrize("option", ["0200", "02", "0202" + "00" * 13])
def test_a_na_with_an_empty_or_short_option_claims_nothing(option: str) -> None:
    assert parse_announcement(summed(NA[:78] + bytes.fromhex(option))) is None


def test_a_na_that_is_shorter_than_its_fields_claims_nothing() -> None:
    assert parse_announcement(patched(NA, 18, "0017")) is None


@pytest.mark.parametrize("frame", [ARP, NA], ids=["arp", "na"])
def test_a_frame_that_was_cut_short_claims_nothing(frame: bytes) -> None:
    for size in range(len(frame)):
        assert parse_announcement(frame[:size], any_claim=True) is None, size
        assert parse_announcement(tagged(frame, "81000064")[:size], any_claim=True) is None, size


def test_advertisements_claim_nothing() -> None:
    assert parse_announcement(FRAME4) is None
    assert parse_announcement(FRAME6) is None


@given(
    st.binary(max_size=120)
    | st.builds(
        lambda frame, at, patch, cut: patched(frame, at, patch)[:cut],
        st.sampled_from([ARP, NA, tagged(ARP, "81000064"), tagged(NA, "88a80001", "81000064")]),
        st.integers(12, 90),
        st.binary(max_size=3),
        st.integers(0, 120),
    ),
    st.booleans(),
)
@example(b"", True)
def test_reading_never_raises_and_finds_what_is_there(frame: bytes, any_claim: bool) -> None:
    found = parse_announcement(frame, any_claim=any_claim)
    if found is not None:
        assert found.address.packed in frame
        assert found.sender.packed == frame[6:12]
        assert found.mac is None or found.mac.packed in frame


@given(
    st.ip_addresses(),
    st.binary(min_size=6, max_size=6),
    st.sampled_from(AnnouncementStyle),
)
def test_what_is_written_is_read(address: object, mac: bytes, style: AnnouncementStyle) -> None:
    found = parse_announcement(announcement_frame(str(address), mac, style=style))
    if str(address) == "0.0.0.0" or (found is None and str(address).startswith("ff")):
        return  # a probe; no target may be a group
    assert found is not None
    assert (found.address, found.unsolicited) == (address, True)
    assert found.mac is None or found.mac.packed == mac
