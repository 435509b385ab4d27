from __future__ import annotations

import pickle
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrplib.errors import ConfigError
from vrrplib.wire.addresses import (
    ADVERTISEMENT_TTL,
    ALL_NODES,
    PROTOCOL,
    Family,
    MacAddress,
    family_of,
    group_address,
    multicast_mac,
    to_address,
    to_interface,
    virtual_mac,
)


def test_the_numbers_are_those_of_rfc_9568_5_1() -> None:
    assert (PROTOCOL, ADVERTISEMENT_TTL) == (112, 255)


@pytest.mark.parametrize("vrid", [1, 51, 255])
def test_a_virtual_mac_is_the_prefix_of_its_family_and_the_vrid(vrid: int) -> None:
    # RFC 9568 7.3
    assert str(virtual_mac(vrid)) == f"00:00:5e:00:01:{vrid:02x}"
    assert virtual_mac(vrid, Family.IPV4) == virtual_mac(vrid)
    assert str(virtual_mac(vrid, Family.IPV6)) == f"00:00:5e:00:02:{vrid:02x}"


@pytest.mark.parametrize("vrid", [0, 256, -1, "51", None, True])
def test_a_vrid_outside_1_to_255_has_no_virtual_mac(vrid: object) -> None:
    with pytest.raises(ConfigError, match="vrid must be 1-255"):
        virtual_mac(vrid)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    ["00:00:5e:00:01:33", "00-00-5E-00-01-33", "0:0:5e:0:1:33", bytes.fromhex("00005e000133"), virtual_mac(51)],
    ids=str,
)
def test_a_mac_address_can_be_written_in_several_ways(value: str | bytes | MacAddress) -> None:
    assert MacAddress(value) == virtual_mac(51)
    assert MacAddress(value).packed == bytes.fromhex("00005e000133")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00:00:5e:00:01",
        "00:00:5e:00:01:33:44",
        "00:00:5e:00:01:333",
        "00:00:5e:00:01:",
        "00:00:5e:00:01:gg",
        "00:00:5e:00:01:+3",
        "00:00:5e:00:01: 3",
        "00:00:5e:00:01:\uff13",
        b"",
        b"12345",
        b"1234567",
        51,
        None,
    ],
)
def test_what_is_no_mac_address_is_refused_with_its_value(value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        MacAddress(value)  # type: ignore[arg-type]
    assert repr(value) in str(caught.value)


@given(st.binary(min_size=6, max_size=6))
def test_a_mac_address_survives_text_repr_and_pickle(packed: bytes) -> None:
    mac = MacAddress(packed)
    assert MacAddress(str(mac)) == mac
    assert eval(repr(mac), {"MacAddress": MacAddress}) == mac
    assert pickle.loads(pickle.dumps(mac)) == mac


def test_a_mac_address_is_a_value() -> None:
    assert hash(MacAddress("0:0:5e:0:1:33")) == hash(virtual_mac(51))
    assert virtual_mac(51) != virtual_mac(52)
    assert virtual_mac(51) != "00:00:5e:00:01:33"
    with pytest.raises(AttributeError):
        virtual_mac(51).packed = bytes(6)


@pytest.mark.parametrize(
    ("family", "group", "mac"),
    [(Family.IPV4, "224.0.0.18", "01:00:5e:00:00:12"), (Family.IPV6, "ff02::12", "33:33:00:00:00:12")],
)
def test_each_family_has_its_group_and_the_groups_mac(family: Family, group: str, mac: str) -> None:
    assert str(group_address(family)) == group
    assert str(multicast_mac(group_address(family))) == mac


def test_an_ipv4_group_gives_23_bits_to_its_mac() -> None:
    # RFC 1112 6.4: the high bit of the second byte is lost
    assert multicast_mac(IPv4Address("239.255.1.2")) == MacAddress("01:00:5e:7f:01:02")
    assert multicast_mac(IPv4Address("224.128.0.18")) == MacAddress("01:00:5e:00:00:12")


def test_all_nodes_has_the_mac_of_rfc_2464() -> None:
    assert multicast_mac(ALL_NODES) == MacAddress("33:33:00:00:00:01")


def test_addresses_have_the_length_of_their_family() -> None:
    assert [(int(family), family.address_length) for family in Family] == [(4, 4), (6, 16)]
    assert family_of(IPv4Address("10.0.0.1")) is Family.IPV4
    assert family_of(IPv6Interface("fe80::1/64")) is Family.IPV6


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("10.0.0.1", IPv4Address("10.0.0.1")),
        ("10.0.0.1/24", IPv4Address("10.0.0.1")),
        (IPv4Address("10.0.0.1"), IPv4Address("10.0.0.1")),
        (IPv4Interface("10.0.0.1/24"), IPv4Address("10.0.0.1")),
        ("fe80::1%eth0", IPv6Address("fe80::1")),
        (IPv6Address("fe80::1%eth0"), IPv6Address("fe80::1")),
        ("fe80::1%eth0/64", IPv6Address("fe80::1")),
        (IPv6Interface("fe80::1%eth0/64"), IPv6Address("fe80::1")),
    ],
    ids=str,
)
def test_an_address_may_be_text_or_an_object_and_loses_scope_and_prefix(value: str, address: IPv4Address) -> None:
    found = to_address(value)
    assert found == address
    assert type(found) is type(address)


@pytest.mark.parametrize("value", ["", "10.0.0", "10.0.0.256", "router", 10, None, "fe80::1::"])
def test_what_is_no_address_is_refused_by_the_name_of_its_field(value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        to_address(value, "primary_address")  # type: ignore[arg-type]
    assert str(caught.value) == f"primary_address must be an IPv4 or IPv6 address, not {value!r}"


@pytest.mark.parametrize(
    ("value", "interface"),
    [
        ("10.0.0.1/24", IPv4Interface("10.0.0.1/24")),
        ("10.0.0.1/255.255.255.0", IPv4Interface("10.0.0.1/24")),
        ("10.0.0.1", IPv4Interface("10.0.0.1/32")),
        (IPv4Address("10.0.0.1"), IPv4Interface("10.0.0.1/32")),
        (IPv6Interface("fe80::1%eth0/64"), IPv6Interface("fe80::1/64")),
        ("fe80::1%eth0/64", IPv6Interface("fe80::1/64")),
        ("fe80::1%eth0", IPv6Interface("fe80::1/128")),
    ],
    ids=str,
)
def test_an_interface_address_keeps_its_prefix_and_loses_its_scope(value: str, interface: IPv4Interface) -> None:
    assert to_interface(value) == interface


@pytest.mark.parametrize("value", ["", "10.0.0.1/33", "10.0.0.1/", "fe80::1/129", "eth0", 10, None])
def test_what_is_no_interface_address_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="with or without /LENGTH"):
        to_interface(value)  # type: ignore[arg-type]


def test_a_mac_that_was_never_finished_has_a_repr_for_tracebacks() -> None:
    assert repr(MacAddress.__new__(MacAddress)) == "MacAddress('')"
