from __future__ import annotations

import dataclasses
import math
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any

import pytest

from tests.election.play import V2, V6, config
from vrrplib.election.announcing import ONCE
from vrrplib.election.config import RouterConfig
from vrrplib.errors import ConfigError
from vrrplib.rules import RFC2338, RFC3768, RFC5798, RFC9568, Rules
from vrrplib.wire.addresses import Family
from vrrplib.wire.authentication import SimpleText
from vrrplib.wire.checksum import ChecksumForm


def test_addresses_may_be_text_or_objects_and_keep_their_prefixes() -> None:
    made = config(addresses=iter(["192.0.2.100/24", IPv4Address("192.0.2.101"), IPv4Interface("192.0.2.102/25")]))
    assert made.addresses == (
        IPv4Interface("192.0.2.100/24"),
        IPv4Interface("192.0.2.101/32"),
        IPv4Interface("192.0.2.102/25"),
    )
    assert made.primary_address == IPv4Address("192.0.2.2")


def test_scope_ids_are_dropped() -> None:
    made = config(addresses=["fe80::1%eth0/64"], primary_address="fe80::2%eth0")
    assert made.addresses == (IPv6Interface("fe80::1/64"),)
    assert made.primary_address == IPv6Address("fe80::2")


def test_the_defaults_are_those_of_linux_daemons() -> None:
    made = config()
    assert (made.priority, made.advertisement_interval, made.preempt, made.accept_mode) == (100, 1.0, True, True)
    assert (made.rules, made.send_checksum, made.accept_checksum) == (
        RFC9568,
        ChecksumForm.PSEUDO_HEADER,
        ChecksumForm.EITHER,
    )


def test_what_is_beyond_the_rfc_is_off_by_default() -> None:
    made = config()
    assert (made.preempt_delay, made.startup_delay, made.listen_after_stall) == (0.0, 0.0, False)
    assert (made.authentication, made.peers, made.least_peer_ttl, made.also) == (None, (), 255, None)
    assert made.announcements is ONCE


def test_the_longest_that_is_allowed_is_allowed() -> None:
    made = config(addresses=[f"10.0.0.{n}" for n in range(255)], preempt_delay=86400, startup_delay=86400.0)
    assert (len(made.addresses), made.preempt_delay, made.startup_delay) == (255, 86400, 86400.0)


def test_addresses_and_peers_may_lie_on_either_side_of_our_own() -> None:
    made = config(primary_address="192.0.2.5", peers=["192.0.2.4", "192.0.2.6"])
    assert [str(peer) for peer in made.peers] == ["192.0.2.4", "192.0.2.6"]


def test_only_the_first_of_ipv6_addresses_must_be_link_local() -> None:
    made = config(addresses=["fe80::1", "2001:db8::1"], primary_address="fe80::2")
    assert made.family is Family.IPV6


def test_strict_has_the_defaults_of_rfc_9568_and_takes_others() -> None:
    fields: dict[str, Any] = {"vrid": 1, "addresses": ["192.0.2.100"], "primary_address": "192.0.2.2"}
    made = RouterConfig.strict(**fields)
    only = ChecksumForm.MESSAGE_ONLY
    assert (made.send_checksum, made.accept_checksum, made.accept_mode) == (only, only, False)
    assert RouterConfig.strict(**fields, accept_mode=True, priority=200) == dataclasses.replace(
        made, accept_mode=True, priority=200
    )


@pytest.mark.parametrize(
    ("changes", "version", "family", "mac"),
    [
        ({}, 3, Family.IPV4, "00:00:5e:00:01:01"),
        (V2, 2, Family.IPV4, "00:00:5e:00:01:01"),
        (V6, 3, Family.IPV6, "00:00:5e:00:02:01"),
        ({"vrid": 255}, 3, Family.IPV4, "00:00:5e:00:01:ff"),
    ],
)
def test_version_family_and_mac_follow_from_the_rest(
    changes: dict[str, Any], version: int, family: Family, mac: str
) -> None:
    made = config(**changes)
    assert (made.version, made.family, str(made.virtual_mac)) == (version, family, mac)


@pytest.mark.parametrize(
    ("rules", "interval", "on_the_wire"),
    [
        (RFC9568, 0.01, 1),
        (RFC9568, 0.29, 29),  # 28.999999999999996 in floats
        (RFC9568, 1, 100),
        (RFC9568, 40.95, 4095),
        (RFC5798, 0.57, 57),
        (RFC3768, 1, 1),
        (RFC3768, 1.0, 1),
        (RFC2338, 255, 255),
    ],
)
def test_an_interval_has_whole_units_on_the_wire(rules: Rules, interval: float, on_the_wire: int) -> None:
    assert config(rules=rules, advertisement_interval=interval).wire_interval == on_the_wire


@pytest.mark.parametrize("interval", [0, -1, 0.005, 0.015, 40.96, float("nan"), float("inf"), "1", None])
def test_an_interval_that_version_3_cannot_send_is_refused(interval: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        config(advertisement_interval=interval)
    assert str(caught.value) == (
        f"advertisement_interval must be whole centiseconds from 0.01 to 40.95 s in version 3, not {interval!r}"
    )


@pytest.mark.parametrize("interval", [0, 0.5, 1.5, 256])
def test_an_interval_that_version_2_cannot_send_is_refused(interval: float) -> None:
    with pytest.raises(ConfigError, match="whole seconds from 1 to 255 in version 2"):
        config(advertisement_interval=interval, **V2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vrid": 0}, "vrid must be 1-255, not 0"),
        ({"vrid": 300}, "vrid must be 1-255, not 300"),
        ({"vrid": "51"}, "vrid must be 1-255, not '51'"),
        ({"priority": 0}, "priority must be 1-255, not 0"),
        ({"priority": 256}, "priority must be 1-255, not 256"),
        ({"addresses": []}, "addresses must be 1-255, not 0"),
        ({"addresses": [f"10.0.{n // 256}.{n % 256}" for n in range(1, 257)]}, "addresses must be 1-255, not 256"),
        ({"addresses": "192.0.2.100"}, "addresses must be a list of addresses, not '192.0.2.100'"),
        ({"addresses": ["router"]}, "address must be an IPv4 or IPv6 address, with or without /LENGTH"),
        ({"addresses": ["192.0.2.100/24", "192.0.2.100/25"]}, "192.0.2.100 is there twice"),
        (
            {"addresses": ["192.0.2.100", "fe80::1", "fe80::2"]},
            "addresses must be of one family, but 192.0.2.100 is IPv4 and fe80::1 is not: "
            "give each family a virtual router of its own",
        ),
        (
            {**V6, "addresses": ["fe80::1", "192.0.2.100"]},
            "addresses must be of one family, but fe80::1 is IPv6 and 192.0.2.100 is not: "
            "give each family a virtual router of its own",
        ),
        ({"addresses": ["224.0.0.18"]}, "addresses must be unicast addresses, not 224.0.0.18"),
        ({"addresses": ["0.0.0.0"]}, "addresses must be unicast addresses"),
        ({"addresses": ["127.0.0.1"]}, "addresses must be unicast addresses"),
        ({"addresses": ["255.255.255.255"]}, "addresses must be unicast addresses"),
        (
            {"addresses": ["2001:db8::1", "fe80::1"], "primary_address": "fe80::2"},
            "the first IPv6 address must be link-local (RFC 9568 5.2.9), not 2001:db8::1/128",
        ),
        ({"primary_address": "fe80::2"}, "primary_address must be an IPv4 address, not fe80::2"),
        ({**V6, "primary_address": "192.0.2.2"}, "primary_address must be an IPv6 address, not 192.0.2.2"),
        ({"primary_address": "eth0"}, "primary_address must be an IPv4 or IPv6 address, not 'eth0'"),
        ({"primary_address": "224.0.0.18"}, "primary_address must be an address of the interface"),
        ({"primary_address": "0.0.0.0"}, "primary_address must be an address of the interface"),
        ({**V6, "primary_address": "2001:db8::2"}, "primary_address must be link-local (RFC 9568 5.1.2.1)"),
        ({**V6, **V2}, "version must be 3 for IPv6 addresses, not 2 (RFC3768)"),
        ({"send_checksum": ChecksumForm.EITHER}, "send_checksum must be one ChecksumForm or None"),
        ({"send_checksum": ChecksumForm(0)}, "send_checksum must be one ChecksumForm or None"),
        ({"accept_checksum": ChecksumForm(0)}, "accept_checksum must name at least one ChecksumForm"),
        ({"accept_checksum": None}, "accept_checksum must name at least one ChecksumForm"),
    ],
)
def test_what_is_not_allowed_is_refused_with_the_field_the_value_and_the_range(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**changes)
    assert message in str(caught.value)


def test_an_owner_may_send_from_a_virtual_address() -> None:
    made = config(priority=255, primary_address="192.0.2.100")
    assert made.primary_address == made.addresses[0].ip


def test_a_configuration_is_a_value() -> None:
    assert config() == config()
    assert hash(config()) == hash(config())
    assert dataclasses.replace(config(), priority=5) == config(priority=5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config().priority = 5  # type: ignore[misc]
    with pytest.raises(ConfigError):
        dataclasses.replace(config(), priority=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preempt_delay": -1}, "preempt_delay must be 0-86400 seconds, not -1"),
        ({"startup_delay": "1"}, "startup_delay must be 0-86400 seconds, not '1'"),
        ({"startup_delay": math.nan}, "startup_delay must be 0-86400 seconds, not nan"),
        ({"peers": "192.0.2.3"}, "peers must be a list of addresses, not '192.0.2.3'"),
        ({"peers": ["router"]}, "peers must be an IPv4 or IPv6 address, not 'router'"),
        ({"peers": ["fe80::1"]}, "peers must be unicast IPv4 addresses, not fe80::1"),
        ({**V6, "peers": ["192.0.2.3"]}, "peers must be unicast IPv6 addresses, not 192.0.2.3"),
        ({"peers": ["224.0.0.18"]}, "peers must be unicast IPv4 addresses, not 224.0.0.18"),
        ({"peers": ["192.0.2.2"]}, "peers must be other routers, and 192.0.2.2 is our own address"),
        ({"peers": ["192.0.2.3"] * 2}, "peers must differ, not 192.0.2.3, 192.0.2.3"),
        (
            {"primary_address": "192.0.2.101"},
            "priority must be 255 for the owner of 192.0.2.101, not 100; or give a primary_address that is no "
            "virtual address",
        ),
        ({"least_peer_ttl": 256}, "least_peer_ttl must be 0-255, not 256"),
        (
            {"also": RFC5798},
            "also must be rules of version 2 beside version 3 over IPv4, not RFC5798 beside RFC9568 over IPv4",
        ),
        (
            V2 | {"also": RFC2338},
            "also must be rules of version 2 beside version 3 over IPv4, not RFC2338 beside RFC3768 over IPv4",
        ),
        (
            V6 | {"also": RFC3768},
            "also must be rules of version 2 beside version 3 over IPv4, not RFC3768 beside RFC9568 over IPv6",
        ),
        (
            {"authentication": SimpleText("secret")},
            "authentication must be None or an HMACTrailer in version 3, not a SimpleText",
        ),
    ],
)
def test_an_option_that_cannot_be_had_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        config(**changes)
    assert str(error.value) == message


def test_a_configuration_shows_no_secret() -> None:
    made = config(authentication=SimpleText("sesame"), **V2)
    assert "sesame" not in repr(made)
    assert made == config(authentication=SimpleText("sesame"), **V2) != config(**V2)
    assert (made.auth_type, made.numbers_messages, config().auth_type) == (1, False, 0)


def test_both_versions_are_spoken_where_one_stands_beside_the_other() -> None:
    assert (config().versions, config(also=RFC3768).versions) == ((3,), (3, 2))
