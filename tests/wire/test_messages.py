from __future__ import annotations

import copy
import dataclasses
import enum
import pickle
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrplib.errors import ConfigError
from vrrplib.wire.addresses import Family
from vrrplib.wire.checksum import ChecksumForm, internet_checksum, pseudo_header_sum
from vrrplib.wire.messages import HEAD, VRRPv2, VRRPv3, family_of_way

V4 = {"source": "192.0.2.251", "destination": "224.0.0.18"}
V6 = {"source": "fe80::c8", "destination": "ff02::12"}
PACKETS = [
    VRRPv2(vrid=1, addresses=["192.0.2.1"], auth_type=1, auth_data=b"secret\0\0", trailing=b"more"),
    VRRPv3(vrid=1, addresses=["fe80::1", "2001:db8::1"], count=7, checksum=0, reserved=1, trailing=b"more"),
]


def test_the_constructor_takes_strings_and_addresses_and_makes_a_tuple() -> None:
    packet = VRRPv3(vrid=1, addresses=iter(["192.0.2.1", IPv4Address("192.0.2.2")]))
    assert packet.addresses == (IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))
    assert VRRPv3(vrid=1, addresses=["fe80::1%eth0"]).addresses == (IPv6Address("fe80::1"),)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (VRRPv3, {"vrid": 256}, "vrid must be 0-255, not 256"),
        (VRRPv3, {"vrid": 1, "priority": -1}, "priority must be 0-255, not -1"),
        (VRRPv3, {"vrid": 1, "version": 16}, "version must be 0-15, not 16"),
        (VRRPv3, {"vrid": 1, "type": 16}, "type must be 0-15, not 16"),
        (VRRPv3, {"vrid": 1, "count": 256}, "count must be 0-255, not 256"),
        (VRRPv3, {"vrid": 1, "checksum": 65536}, "checksum must be 0-65535, not 65536"),
        (VRRPv3, {"vrid": 1, "reserved": 16}, "reserved must be 0-15, not 16"),
        (
            VRRPv3,
            {"vrid": 1, "max_advertise_interval": 4096},
            "max_advertise_interval must be 0-4095, not 4096",
        ),
        (VRRPv3, {"vrid": 1, "addresses": ["192.0.2.1", "fe80::1"]}, "addresses must be of one family"),
        (VRRPv3, {"vrid": 1, "addresses": "192.0.2.1"}, "addresses must be a list of addresses"),
        (VRRPv3, {"vrid": 1, "addresses": ["192.0.2.1"] * 256}, "addresses must be 255 at most, not 256"),
        (VRRPv2, {"vrid": 1, "addresses": ["fe80::1"]}, "addresses must be IPv4 in VRRPv2, not fe80::1"),
        (VRRPv2, {"vrid": 1, "advertisement_interval": 256}, "advertisement_interval must be 0-255, not 256"),
        (VRRPv2, {"vrid": 1, "auth_type": 256}, "auth_type must be 0-255, not 256"),
        (VRRPv2, {"vrid": 1, "auth_data": b"123456789"}, "auth_data must have 0-8 bytes, not 9"),
    ],
)
def test_a_value_that_does_not_fit_into_its_bits_is_refused_by_name(
    kind: type, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        kind(**fields)
    assert message in str(caught.value)


def test_a_password_that_is_too_long_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        VRRPv2(vrid=1, auth_data=b"my password")
    assert "password" not in str(caught.value)


def test_none_means_compute_and_zero_means_zero() -> None:
    packet = VRRPv3(vrid=1, count=7, checksum=0, addresses=["192.0.2.1", "192.0.2.2"])
    assert packet.encode().hex() == "3101640700640000" + "c0000201c0000202"
    assert VRRPv2(vrid=1, count=0, checksum=0, addresses=["192.0.2.1"]).encode().hex()[6:8] == "00"


def test_replace_computes_count_and_checksum_anew_unless_they_are_given() -> None:
    packet = VRRPv3(vrid=1, count=7, checksum=9, addresses=["192.0.2.1"])
    assert packet.replace(priority=5) == VRRPv3(vrid=1, priority=5, addresses=["192.0.2.1"])
    assert packet.replace(count=3, checksum=4) == VRRPv3(vrid=1, count=3, checksum=4, addresses=["192.0.2.1"])


@pytest.mark.parametrize(
    "packet", [VRRPv2(vrid=1, addresses=["192.0.2.1"]), VRRPv3(vrid=1, addresses=["fe80::1"])], ids=repr
)
def test_a_packet_is_a_value(packet: VRRPv2 | VRRPv3) -> None:
    assert pickle.loads(pickle.dumps(packet)) == packet
    assert hash(packet.replace()) == hash(packet)
    assert packet.replace(priority=1) != packet
    with pytest.raises(AttributeError):
        packet.vrid = 2  # type: ignore[misc]


def test_the_interval_is_in_seconds_whatever_the_wire_says() -> None:
    assert VRRPv2(vrid=1, advertisement_interval=3).interval == 3.0
    assert VRRPv3(vrid=1, max_advertise_interval=3).interval == 0.03


@pytest.mark.parametrize(
    ("packet", "given", "missing"),
    [
        (VRRPv3(vrid=1, addresses=["192.0.2.1"]), {}, "source"),
        (VRRPv3(vrid=1, addresses=["192.0.2.1"]), {"source": "192.0.2.2"}, "destination"),
        (VRRPv3(vrid=1, addresses=["fe80::1"]), {"form": ChecksumForm.MESSAGE_ONLY}, "source"),
        (VRRPv3(vrid=1, addresses=["fe80::1"]), {"source": "fe80::2"}, "destination"),
        (
            VRRPv3(vrid=1, addresses=["192.0.2.1"]),
            {"destination": "192.0.2.3", "form": ChecksumForm.MULTICAST_PSEUDO_HEADER},
            "source",
        ),
    ],
)
def test_encode_names_the_address_that_its_checksum_needs(
    packet: VRRPv3, given: dict[str, Any], missing: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{missing} must be given"):
        packet.encode(**given)


def test_encode_needs_no_address_where_the_sum_covers_none() -> None:
    assert VRRPv2(vrid=1).encode()
    assert VRRPv3(vrid=1, checksum=1, addresses=["fe80::1"]).encode()[6:8] == b"\0\1"
    assert VRRPv3(vrid=1).encode(form=ChecksumForm.MESSAGE_ONLY)


@pytest.mark.parametrize("way", [V4, V6], ids=["ipv4", "ipv6"])
def test_encode_takes_strings_and_objects_alike(way: dict[str, str]) -> None:
    packet = VRRPv3(vrid=1, addresses=["192.0.2.1" if way is V4 else "fe80::1"])
    objects = {name: ip_address(value) for name, value in way.items()}
    assert packet.encode(**objects) == packet.encode(**way)  # type: ignore[arg-type]


def test_encode_refuses_addresses_of_another_family() -> None:
    with pytest.raises(ConfigError, match="source must be an IPv4 address, not fe80::c8"):
        VRRPv3(vrid=1, addresses=["192.0.2.1"]).encode(**V6)


def test_encode_refuses_two_forms_at_once() -> None:
    with pytest.raises(ConfigError, match="form must be one ChecksumForm"):
        VRRPv3(vrid=1, addresses=["192.0.2.1"]).encode(**V4, form=ChecksumForm.EITHER)


# -- what makes it a value --


class Level(enum.IntEnum):
    HIGH = 200


@pytest.mark.parametrize("packet", PACKETS, ids=lambda packet: f"v{packet.version}")
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda packet: pickle.loads(pickle.dumps(packet))])
def test_a_copy_equals_its_original(again: Any, packet: VRRPv2 | VRRPv3) -> None:
    other = again(packet)
    assert (type(other), other, hash(other)) == (type(packet), packet, hash(packet))
    assert dataclasses.asdict(other) == dataclasses.asdict(packet)


@pytest.mark.parametrize("packet", PACKETS, ids=lambda packet: f"v{packet.version}")
def test_no_field_can_be_set_deleted_or_added(packet: VRRPv2 | VRRPv3) -> None:
    for field in dataclasses.fields(packet):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(packet, field.name, getattr(packet, field.name))
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(packet, field.name)
    with pytest.raises((AttributeError, TypeError)):
        packet.other = 1  # type: ignore[union-attr]
    assert not hasattr(packet, "__dict__")


@pytest.mark.parametrize("kind", [VRRPv2, VRRPv3])
def test_the_constructor_takes_names_only_and_the_field_are_its_parameters(kind: type) -> None:
    with pytest.raises(TypeError):
        kind(1)
    with pytest.raises(TypeError):
        kind()
    fields = {field.name: field.default for field in dataclasses.fields(kind)}
    made = kind(vrid=1)
    del fields["vrid"]
    assert {name: getattr(made, name) for name in fields} == fields
    assert kind(vrid=1, **fields) == made


def test_the_two_versions_are_never_equal() -> None:
    assert VRRPv2(vrid=1, version=3) != VRRPv3(vrid=1, version=3)
    assert VRRPv2(vrid=1) != (1, 100)


def test_a_repr_shows_the_fields_and_hides_what_may_be_a_password() -> None:
    v2, v3 = map(repr, PACKETS)
    assert v2.startswith("VRRPv2(vrid=1, priority=100, addresses=(IPv4Address('192.0.2.1'),)")
    assert "auth_type=1" in v2
    assert "secret" not in v2
    assert "more" not in v2
    assert "reserved=1" in v3


def test_numbers_of_a_subclass_of_int_are_taken_and_bool_is_not() -> None:
    assert VRRPv3(vrid=1, priority=Level.HIGH).encode(form=ChecksumForm.MESSAGE_ONLY)[2] == 200
    assert VRRPv2(vrid=1, priority=Level.HIGH).encode()[2] == 200
    for kind in (VRRPv2, VRRPv3):
        for value in (True, 1.0, "1", None):
            with pytest.raises(ConfigError, match="vrid must be 0-255"):
                kind(vrid=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [7, object(), None])
def test_addresses_that_are_no_list_are_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="addresses must be a list"):
        VRRPv3(vrid=1, addresses=given)


@pytest.mark.parametrize("name", ["auth_data", "trailing"])
def test_bytes_may_come_in_a_buffer_and_must_be_bytes(name: str) -> None:
    assert getattr(VRRPv2(vrid=1, **{name: bytearray(b"12")}), name) == b"12"
    with pytest.raises(ConfigError, match=f"{name} must be bytes, not str"):
        VRRPv2(vrid=1, **{name: "password"})  # type: ignore[arg-type]
    assert VRRPv3(vrid=1, trailing=memoryview(b"12")).trailing == b"12"  # type: ignore[arg-type]


# -- encoding --


@given(
    st.lists(st.ip_addresses(v=4), max_size=4) | st.lists(st.ip_addresses(v=6), max_size=4),
    st.integers(0, 255),
    st.integers(0, 0xFFF),
    st.binary(max_size=5),
)
def test_the_bytes_are_those_that_the_rfc_draws_and_the_sum_is_over_them(
    addresses: list[Any], priority: int, interval: int, trailing: bytes
) -> None:
    packet = VRRPv3(
        vrid=9, priority=priority, addresses=addresses, max_advertise_interval=interval, trailing=trailing
    )
    way = V6 if addresses and addresses[0].version == 6 else V4
    blank = HEAD.pack(0x31, 9, priority, len(addresses), interval, 0)
    blank += b"".join(address.packed for address in addresses) + trailing
    pseudo = pseudo_header_sum(*(type(packet)(vrid=1, addresses=way.values()).addresses), len(blank))
    checksum = internet_checksum(blank, pseudo)
    assert packet.encode(**way) == blank[:6] + checksum.to_bytes(2, "big") + blank[8:]


@given(st.binary(max_size=8), st.binary(max_size=5), st.lists(st.ip_addresses(v=4), max_size=4))
def test_version_2_is_summed_from_its_first_byte_to_its_last(
    auth_data: bytes, trailing: bytes, addresses: list[IPv4Address]
) -> None:
    data = VRRPv2(vrid=9, addresses=addresses, auth_data=auth_data, trailing=trailing).encode()
    assert data[8 + 4 * len(addresses) :] == auth_data + trailing
    assert internet_checksum(data) == 0


def test_a_message_of_nothing_but_zeros_has_a_checksum_of_ffff() -> None:
    packet = VRRPv3(vrid=0, version=0, type=0, priority=0, max_advertise_interval=0)
    assert packet.encode(form=ChecksumForm.MESSAGE_ONLY).hex() == "000000000000ffff"


def test_more_than_255_addresses_can_be_sent_under_a_count_that_is_given() -> None:
    data = VRRPv3(vrid=1, addresses=["192.0.2.1"] * 300, count=44).encode(**V4)
    assert (len(data), data[3]) == (8 + 1200, 44)


@pytest.mark.parametrize(
    ("source", "destination", "family"),
    [
        (None, None, Family.IPV4),
        ("fe80::1", None, Family.IPV6),
        (None, "fe80::1", Family.IPV6),
        ("192.0.2.1", "fe80::1", Family.IPV4),
    ],
)
def test_the_family_is_that_of_the_source_else_of_the_destination(
    source: str | None, destination: str | None, family: Family
) -> None:
    assert family_of_way(source, destination) is family
