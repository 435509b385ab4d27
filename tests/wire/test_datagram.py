from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv6Address

import pytest

from vrrplib.errors import ConfigError
from vrrplib.wire.addresses import Family
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.packets import VRRPv2


def test_addresses_may_be_text_and_become_objects() -> None:
    datagram = Datagram(b"payload", "192.0.2.1", "224.0.0.18", 255)
    assert datagram.source == IPv4Address("192.0.2.1")
    assert datagram.destination == IPv4Address("224.0.0.18")
    assert (datagram.payload, datagram.ttl, datagram.header) == (b"payload", 255, b"")
    assert datagram == Datagram(b"payload", IPv4Address("192.0.2.1"), IPv4Address("224.0.0.18"), 255, b"")


def test_the_scope_of_a_link_local_address_is_dropped() -> None:
    datagram = Datagram(b"", "fe80::1%eth0", IPv6Address("ff02::12%eth0"), 255)
    assert (str(datagram.source), str(datagram.destination)) == ("fe80::1", "ff02::12")


@pytest.mark.parametrize(
    ("source", "destination", "family"),
    [("192.0.2.1", "224.0.0.18", Family.IPV4), ("fe80::1", "ff02::12", Family.IPV6)],
)
def test_the_family_is_that_of_the_addresses(source: str, destination: str, family: Family) -> None:
    assert Datagram(b"", source, destination, 255).family is family


def test_bytes_are_copied_out_of_a_buffer() -> None:
    buffer = bytearray(b"1")
    datagram = Datagram(buffer, "192.0.2.1", "224.0.0.18", 255, memoryview(buffer))  # type: ignore[arg-type]
    buffer[0] = 0
    assert (datagram.payload, datagram.header) == (b"1", b"1")


def test_two_families_in_one_datagram_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"one family, not 192\.0\.2\.1 and ff02::12"):
        Datagram(b"", "192.0.2.1", "ff02::12", 255)


@pytest.mark.parametrize(
    ("source", "destination", "name"), [("x", "224.0.0.18", "source"), ("192.0.2.1", "y", "destination")]
)
def test_what_is_no_address_is_refused_by_its_name(source: str, destination: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} must be"):
        Datagram(b"", source, destination, 255)


def test_a_datagram_is_a_value() -> None:
    datagram = Datagram(b"1", "192.0.2.1", "224.0.0.18", 255)
    assert hash(datagram) == hash(Datagram(b"1", "192.0.2.1", "224.0.0.18", 255))
    assert dataclasses.replace(datagram, ttl=1) != datagram
    with pytest.raises(dataclasses.FrozenInstanceError):
        datagram.ttl = 1  # type: ignore[misc]


def test_repr_tells_where_from_and_not_what_it_says() -> None:
    password = VRRPv2(vrid=51, addresses=["192.0.2.254"], auth_type=1, auth_data=b"s3cr3t\0\0").encode()
    shown = repr(Datagram(password, "192.0.2.1", "224.0.0.18", 255))
    assert shown == "Datagram(<20 bytes>, source='192.0.2.1', destination='224.0.0.18', ttl=255, header=<0 bytes>)"
