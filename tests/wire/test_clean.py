"""The short way says what the full inspection says, remembers what comes again, and never keeps much."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vrrplib.rules import RFC2338, RFC3768, RFC5798, RFC9568, RFC9568_PUBLISHED
from vrrplib.wire import clean
from vrrplib.wire.addresses import Family
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.clean import find_clean
from vrrplib.wire.messages import VRRPv2, VRRPv3
from vrrplib.wire.packets import Inspection, _inspect_in_full, decode, inspect

V4 = (IPv4Address("192.0.2.251"), IPv4Address("224.0.0.18"))
UNICAST = (IPv4Address("192.0.2.251"), IPv4Address("192.0.2.252"))
V6 = (IPv6Address("fe80::c8"), IPv6Address("ff02::12"))
WAYS = (V4, UNICAST, V6, (V4[0], V6[1]), (None, V4[1]), (None, None), ("192.0.2.251", "224.0.0.18"))
ONE = VRRPv3(vrid=1, addresses=["192.0.2.1"])
FORMS = (None, *(ChecksumForm(value) for value in range(8)))
RULE_SETS = (
    None,
    RFC2338,
    RFC3768,
    RFC5798,
    RFC9568_PUBLISHED,
    RFC9568,
    dataclasses.replace(RFC5798, most_addresses=1),
    dataclasses.replace(RFC5798, longest_frame=34 + 8 + 2 * 4),
    dataclasses.replace(RFC3768, auth_types=(1, 254)),
)


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    forget()
    yield
    forget()


def forget() -> None:
    for kept in (clean._answers, clean._held_v2, clean._held_v3, clean._held_ipv6):
        kept.clear()
    clean._marks[:] = [0] * len(clean._marks)


# Addresses at and beside the borders of what can be virtual.
EDGES_V4 = ["0.0.0.0", "0.255.255.255", "1.0.0.0", "126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"]
EDGES_V4 += ["223.255.255.255", "224.0.0.0", "240.0.0.0", "255.255.255.255"]
EDGES_V6 = ["::", "::1", "fe80::1", "febf::1", "fec0::1", "fe7f::1", "ff02::1", "feff::1", "100::1", "2001:db8::1"]


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes, tuple[Any, Any]]:
    """A message that is right, or nearly, and the addresses of its packet."""
    way = draw(st.sampled_from(WAYS))
    family = draw(st.sampled_from([4, 6])) if way[0] is None else 6 if way[0] == V6[0] else 4
    edges = st.sampled_from(
        [IPv4Address(edge) for edge in EDGES_V4] if family == 4 else [*map(IPv6Address, EDGES_V6)]
    )
    held = draw(st.lists(st.one_of(edges, st.ip_addresses(v=family)), max_size=3))
    fields: dict[str, Any] = {
        "vrid": draw(st.sampled_from([0, 1, 255])),
        "priority": draw(st.sampled_from([0, 100, 255])),
        "type": draw(st.sampled_from([1, 1, 1, 2])),
        "count": draw(st.sampled_from([None, None, 0, 1, 2])),
        "trailing": draw(st.sampled_from([b"", b"", b"\0", b"12"])),
        "checksum": draw(st.sampled_from([None, None, None, 0, 0xFFFF])),
    }
    form = draw(st.sampled_from(list(ChecksumForm(7))))
    sent = V6 if family == 6 else V4 if way in ((None, None), WAYS[-1]) else way
    if sent[0] is None or sent[0].version != sent[1].version:
        sent = V4 if family == 4 else V6
    if family == 4 and draw(st.booleans()):
        made: Any = VRRPv2(
            **fields,
            addresses=held,
            advertisement_interval=draw(st.sampled_from([0, 1, 255])),
            auth_type=draw(st.sampled_from([0, 0, 1, 254])),
            auth_data=draw(st.sampled_from([bytes(8), bytes(8), b"password", b"1"])),
            version=draw(st.sampled_from([2, 2, 2, 4])),
        )
    else:
        made = VRRPv3(
            **fields,
            addresses=held,
            max_advertise_interval=draw(st.sampled_from([0, 1, 4095])),
            reserved=draw(st.sampled_from([0, 0, 1])),
            version=draw(st.sampled_from([3, 3, 3, 4])),
        )
    return made.encode(*sent, form=form), way


@given(
    messages(),
    st.sampled_from([None, Family.IPV4, Family.IPV6]),
    st.sampled_from(FORMS),
    st.sampled_from(RULE_SETS),
)
@example((VRRPv2(vrid=1, addresses=["192.0.2.1"]).encode(), V4), None, ChecksumForm.EITHER, RULE_SETS[-1])
@example((VRRPv3(vrid=1, addresses=["192.0.2.1"]).encode(*V4), V6), None, ChecksumForm.EITHER, None)
def test_both_ways_say_the_same(
    made: tuple[bytes, tuple[Any, Any]], family: Family | None, accepted: ChecksumForm | None, rules: Any
) -> None:
    data, way = made
    full = _inspect_in_full(data, family, *way, accepted, rules)
    arguments = {
        "family": family,
        "source": way[0],
        "destination": way[1],
        "accept_checksum": accepted,
        "rules": rules,
    }
    for _ in range(3):  # read, remembered, and answered from memory
        found = find_clean(data, family, *way, accepted, rules)
        if found is not None:
            assert Inspection(found[5], (), (), ChecksumForm(found[6])) == full
        assert inspect(data, **arguments) == full
        assert inspect(bytearray(data), **arguments) == full


@pytest.mark.parametrize(
    ("packet", "way"),
    [
        (ONE, V4),
        (ONE, UNICAST),
        (VRRPv3(vrid=255, priority=0, addresses=["10.0.0.1"] * 255, max_advertise_interval=4095), V4),
        (VRRPv2(vrid=1, addresses=["192.0.2.1", "192.0.2.2"], advertisement_interval=255), V4),
        (VRRPv3(vrid=1, addresses=["fe80::1", "2001:db8::1", "fe80::2"]), V6),
    ],
)
def test_what_is_right_takes_the_short_way(packet: VRRPv2 | VRRPv3, way: tuple[Any, Any]) -> None:
    data = packet.encode(*way)
    for _ in range(3):
        found = find_clean(data, None, *way, ChecksumForm.EITHER, None)
        assert found is not None
        assert found[5].replace() == packet


def test_a_message_is_remembered_when_it_comes_again() -> None:
    data = ONE.encode(*V4)
    first, second, third = (decode(data, source=V4[0], destination=V4[1]) for _ in range(3))
    assert first == second
    assert second is third
    # asked by others who mean the same, it is not read anew either
    others = [IPv4Address(int(address)) for address in V4]
    assert decode(data, source=others[0], destination=others[1], rules=RFC9568) is third


def test_what_is_remembered_is_judged_by_who_asks() -> None:
    data = ONE.encode(*V4)
    for _ in range(3):
        assert inspect(data, source=V4[0], destination=V4[1]).valid
    assert not inspect(data, source=V4[0], destination=UNICAST[1]).valid
    assert not inspect(data, source=V4[0], destination=V4[1], rules=RFC3768).valid
    only = ChecksumForm.MESSAGE_ONLY
    assert not inspect(data, source=V4[0], destination=V4[1], accept_checksum=only).valid
    assert not inspect(data, source=V6[0], destination=V6[1]).valid
    assert inspect(data, source=V4[0], destination=V4[1]).valid


def test_a_flood_of_different_messages_leaves_nothing_behind() -> None:
    known = ONE.encode(*V4)
    for _ in range(2):
        decode(known, source=V4[0], destination=V4[1])
    for host in range(5000):
        address = IPv4Address(0x0A000001 + host)
        decode(VRRPv3(vrid=1, addresses=[address]).encode(*V4), source=V4[0], destination=V4[1])
    assert list(clean._answers) == [known]
    assert 0 < len(clean._held_v3) <= clean._MOST_REMEMBERED


def test_a_flood_of_messages_that_come_twice_is_bounded() -> None:
    most = 0
    for host in range(5000):
        data = VRRPv3(vrid=1, addresses=[IPv4Address(0x0A000001 + host)]).encode(*V4)
        for _ in range(2):
            decode(data, source=V4[0], destination=V4[1])
        most = max(most, len(clean._answers))
    assert most == clean._MOST_REMEMBERED
    assert len(clean._marks) == clean._MOST_REMEMBERED


def test_a_long_message_is_not_remembered() -> None:
    data = VRRPv3(vrid=1, addresses=["10.0.0.1"] * 255).encode(*V4)
    for _ in range(5):
        decode(data, source=V4[0], destination=V4[1])
    assert clean._answers == clean._held_v3 == {}


@pytest.mark.parametrize(
    ("packet", "way", "other", "there"),
    [
        (
            VRRPv2(vrid=1, addresses=["192.0.2.1"]),
            V4,
            VRRPv3(vrid=1, addresses=["192.0.2.1", "0.0.0.0", "0.0.0.0"]),
            V4,
        ),
        (
            VRRPv2(vrid=1, addresses=["192.0.2.1"]),
            V4,
            VRRPv3(vrid=1, addresses=["192.0.2.1"], trailing=bytes(8)),
            V4,
        ),
        (
            VRRPv3(vrid=1, addresses=["fe80::1"]),
            V6,
            VRRPv3(vrid=1, addresses=["254.128.0.0", *["0.0.0.0"] * 2, "0.0.0.1"]),
            V4,
        ),
    ],
)
def test_a_known_address_list_is_not_taken_for_the_same_bytes_of_another_kind(
    packet: Any, way: tuple[Any, Any], other: VRRPv3, there: tuple[Any, Any]
) -> None:
    decode(packet.encode(*way), source=way[0], destination=way[1])
    data = other.encode(*there)
    assert data[8:] == packet.encode(*way)[8:]
    assert inspect(data, source=there[0], destination=there[1]) == _inspect_in_full(
        data, None, *there, ChecksumForm.EITHER, None
    )


@pytest.mark.parametrize("edge", [*EDGES_V4, *EDGES_V6])
def test_addresses_at_the_borders_are_left_to_the_full_inspection_or_judged_alike(edge: str) -> None:
    way = V6 if ":" in edge else V4
    addresses = ["fe80::1", edge] if ":" in edge else ["192.0.2.1", edge]
    for held in (addresses, addresses[::-1]):
        data = VRRPv3(vrid=1, addresses=held).encode(*way)
        full = _inspect_in_full(data, None, *way, ChecksumForm.EITHER, None)
        assert inspect(data, source=way[0], destination=way[1]) == full
        if find_clean(data, None, *way, ChecksumForm.EITHER, None) is not None:
            assert (full.problems, full.notes) == ((), ())


@pytest.mark.parametrize(
    ("packet", "way"),
    [
        (ONE.replace(vrid=0), V4),
        (ONE.replace(addresses=()), V4),
        (ONE.replace(max_advertise_interval=0), V4),
        (ONE.replace(reserved=1), V4),
        (ONE.replace(trailing=b"1"), V4),
        (ONE.replace(count=2), V4),
        (ONE.replace(type=2), V4),
        (ONE.replace(version=4), V4),
        (ONE.replace(checksum=0xFFFF), V4),
        (ONE.replace(checksum=1), V4),
        (VRRPv2(vrid=1, addresses=["192.0.2.1"], advertisement_interval=0), V4),
        (VRRPv2(vrid=1, addresses=["192.0.2.1"], auth_type=3), V4),
        (VRRPv2(vrid=1, addresses=["192.0.2.1"], auth_data=b"password"), V4),
        (VRRPv2(vrid=1, addresses=["192.0.2.1"], trailing=b"1"), V4),
        (VRRPv2(vrid=1, addresses=["192.0.2.1"], type=2), V4),
        (VRRPv3(vrid=1, addresses=["fe80::1"], max_advertise_interval=0), V6),
        (VRRPv3(vrid=1, addresses=["fe80::1"], trailing=b"1"), V6),
        (VRRPv3(vrid=1, addresses=["fe80::1"], type=2), V6),
        (VRRPv3(vrid=1, addresses=["2001:db8::1"]), V6),
    ],
    ids=repr,
)
def test_what_is_not_quite_right_does_not_take_the_short_way(packet: VRRPv2 | VRRPv3, way: tuple[Any, Any]) -> None:
    data = packet.encode(*way)
    assert find_clean(data, None, *way, ChecksumForm.EITHER, None) is None
    full = _inspect_in_full(data, None, *way, ChecksumForm.EITHER, None)
    assert full.problems or full.notes


def test_addresses_may_be_text_here_too() -> None:
    data = ONE.encode(*V4)
    found = [find_clean(data, None, *map(str, V4), ChecksumForm.EITHER, None) for _ in range(3)]
    assert found[0] is not None
    assert found[1] is found[2]


def test_authentication_is_no_fault_and_takes_the_long_way_all_the_same() -> None:
    data = VRRPv2(vrid=1, addresses=["192.0.2.1"], auth_type=1, auth_data=b"password").encode()
    assert find_clean(data, None, *V4, ChecksumForm.EITHER, None) is None
    assert inspect(data, source=V4[0], destination=V4[1]).valid
