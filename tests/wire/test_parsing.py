"""parse(): which frames are ours, seen through what, cut where; and VLAN tags."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.wire.made_frames import FRAME4, FRAME6, PAYLOAD, V4, V6, ah, facts, ipv4, ipv6, of, tagged
from vrrplib.errors import ConfigError
from vrrplib.wire.checksum import internet_checksum
from vrrplib.wire.parsing import VlanTag, network_layer, parse, vlan_tags

BOTH = pytest.mark.parametrize("frame", [FRAME4, FRAME6], ids=["ipv4", "ipv6"])
BACKBONE = "88e70a012345" + "020000000009" + "02000000000a"  # IEEE 802.1ah: service 0x012345, the customer's MACs


@BOTH
def test_what_was_built_parses_to_the_same_datagram(frame: bytes) -> None:
    assert facts(parse(frame)) == facts(of(frame))


@BOTH
@pytest.mark.parametrize("tags", [["81000064"], ["88a80001", "81000064"], ["81000001", "81000002"]], ids=str)
def test_one_or_two_vlan_tags_are_seen_through(frame: bytes, tags: list[str]) -> None:
    assert facts(parse(tagged(frame, *tags))) == facts(of(frame))


@BOTH
def test_a_backbones_tags_are_seen_through(frame: bytes) -> None:
    for tags in ([BACKBONE], ["88a80007", BACKBONE], ["88a80007", BACKBONE, "88a80001", "81000064"]):
        assert facts(parse(tagged(frame, *tags))) == facts(of(frame))


@BOTH
def test_the_tags_of_the_old_ethertype_are_seen_through(frame: bytes) -> None:
    assert facts(parse(tagged(frame, "91000064", "81000001"))) == facts(of(frame))


@BOTH
def test_five_tags_are_one_too_many(frame: bytes) -> None:
    assert facts(parse(tagged(frame, *["81000001"] * 4))) == facts(of(frame))
    assert parse(tagged(frame, *["81000001"] * 5)) is None


def test_the_tags_of_a_frame_can_be_asked_for() -> None:
    assert vlan_tags(FRAME4) == ()
    assert vlan_tags(tagged(FRAME4, "8100f064")) == (VlanTag(100, pcp=7, dei=True),)
    found = vlan_tags(tagged(FRAME4, "88a80007", BACKBONE, "81002fff"))
    assert found == (VlanTag(7, ethertype=0x88A8), VlanTag(4095, pcp=1))
    assert vlan_tags(tagged(FRAME4, *["81000001"] * 5)) == (VlanTag(1),) * 4


@pytest.mark.parametrize("length", range(20))
def test_a_tag_that_was_cut_short_is_none(length: int) -> None:
    frame = tagged(FRAME4, "81000064", "81000065")[:length]
    assert vlan_tags(frame) == (VlanTag(100),) * (length >= 16)
    assert network_layer(frame)[0] in (b"", b"\x81", b"\x81\0", b"\x08")


@pytest.mark.parametrize(("name", "value"), [("vid", 4096), ("vid", -1), ("pcp", 8), ("ethertype", 65536)])
def test_a_tag_out_of_range_is_refused(name: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be 0-.*, not {value}"):
        VlanTag(**{"vid": 1} | {name: value})


@given(
    st.builds(VlanTag, st.integers(0, 4095), st.integers(0, 7), st.booleans(), st.sampled_from([0x8100, 0x88A8]))
)
def test_a_tag_is_read_as_it_was_written(tag: VlanTag) -> None:
    assert vlan_tags(FRAME4[:12] + tag.packed + FRAME4[12:]) == (tag,)


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


@pytest.mark.parametrize("offset", ["0001", "0008", "fff8"])
def test_an_ipv6_fragment_is_not_ours(offset: str) -> None:
    assert parse(ipv6(bytes([112, 0]) + bytes.fromhex(offset) + bytes(4) + PAYLOAD, protocol=44)) is None


@pytest.mark.parametrize("reserved", ["0000", "0006"])
def test_an_ipv6_packet_in_one_fragment_is_whole(reserved: str) -> None:
    # RFC 6946: offset 0 and no more of them; two bits are reserved
    header = bytes([112, 9]) + bytes.fromhex(reserved) + b"iden"
    datagram = parse(ipv6(header + PAYLOAD, protocol=44))
    assert facts(datagram) == facts(V6)
    assert datagram is not None
    assert datagram.header.endswith(header)


def test_eight_ipv6_extension_headers_are_seen_through_and_no_more() -> None:
    assert facts(parse(ipv6(bytes([60, 0, 0, 0, 0, 0, 0, 0]) * 7 + bytes([112]) + bytes(7) + PAYLOAD, protocol=60)))
    assert (
        parse(ipv6(bytes([60, 0, 0, 0, 0, 0, 0, 0]) * 8 + bytes([112]) + bytes(7) + PAYLOAD, protocol=60)) is None
    )


def test_an_extension_header_that_is_longer_than_its_packet_is_not_ours() -> None:
    assert parse(ipv6(bytes([112, 9]) + bytes(6) + PAYLOAD, protocol=60)) is None
    assert parse(ipv6(bytes([112, 0, 0, 0]), protocol=60)) is None


def test_an_authentication_header_may_stand_among_ipv6_extensions() -> None:
    after = bytes([112, 0]) + bytes(6)
    datagram = parse(ipv6(bytes([51, 0]) + bytes(6) + ah(60) + after + PAYLOAD, protocol=0))
    assert facts(datagram) == facts(V6)


@pytest.mark.parametrize("options", [b"", b"\x94\x04\0\0"])
def test_the_ipv4_header_checksum_is_looked_at_only_when_asked(options: bytes) -> None:
    zero = ipv4(options=options)
    checksum = internet_checksum(zero[14 : 34 + len(options)])
    good = zero[:24] + checksum.to_bytes(2, "big") + zero[26:]
    bad = zero[:24] + (checksum ^ 1).to_bytes(2, "big") + zero[26:]
    for frame in (good, zero, bad):
        assert facts(parse(frame)) == facts(V4)
        assert facts(parse(frame, verify_header=True)) == (facts(V4) if frame is good else None)
    assert facts(parse(FRAME6, verify_header=True)) == facts(V6)


@pytest.mark.parametrize("extension", [0, 43, 60, 135])
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
