"""The source that is chosen, and the addresses that are taken."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

import click
import pytest

from vrrplib.cli.options import StateType, _namespace, choose_source, virtual_addresses
from vrrplib.election.states import State
from vrrplib.errors import BackendError, ConfigError

THERE = [
    ip_interface(text)
    for text in ("10.66.0.1/24", "10.77.0.1/24", "10.77.0.2/24", "2001:db8::1/64", "fe80::1/64", "fe80::2/64")
]


@pytest.mark.parametrize(
    ("virtual", "source"),
    [
        ("10.77.0.100/24", "10.77.0.1"),  # the first in its subnet
        ("192.0.2.1/24", "10.66.0.1"),  # else the first
        ("10.66.0.1/24", "10.77.0.1"),  # an owner's virtual address is not the machine's own
        ("fe80::51/64", "fe80::1"),
        ("fe80::1/64", "fe80::2"),
    ],
)
def test_the_source(virtual: str, source: str) -> None:
    assert choose_source(THERE, [ip_interface(virtual)], interface="eth0") == ip_address(source)


def test_an_owner_without_another_address_sends_from_its_virtual_one() -> None:
    only = [ip_interface("10.0.0.1/24")]
    assert choose_source(only, only, interface="eth0") == ip_address("10.0.0.1")


def test_a_source_that_is_given_goes_before_all() -> None:
    virtual = [ip_interface("10.77.0.100/24")]
    assert choose_source(THERE, virtual, interface="eth0", given="198.51.100.1") == ip_address("198.51.100.1")
    with pytest.raises(ConfigError, match="IPv4 address"):
        choose_source(THERE, virtual, interface="eth0", given="fe80::1")


@pytest.mark.parametrize(("virtual", "kind"), [("10.0.0.1", "IPv4"), ("fe80::9", "link-local IPv6")])
def test_no_source(virtual: str, kind: str) -> None:
    with pytest.raises(BackendError, match=f"eth0 has no {kind} address .* --source"):
        choose_source([ip_interface("2001:db8::1/64")], [ip_interface(virtual)], interface="eth0")


def test_virtual_addresses() -> None:
    assert virtual_addresses(["fe80::51/64", "2001:db8::1/64"])[1] == ip_interface("2001:db8::1/64")
    with pytest.raises(
        ConfigError, match=r"'vrrplib run eth0 --vrid 9 --address 10\.0\.0\.1/24' and .*fe80::1/128"
    ):
        virtual_addresses(["fe80::1", "10.0.0.1/24"], interface="eth0", vrid=9)
    with pytest.raises(ConfigError, match="link-local, such as fe80::9/64"):
        virtual_addresses(["2001:db8::1"], vrid=9)


@pytest.mark.parametrize(
    ("word", "state"), [("master", State.ACTIVE), ("ACTIVE", State.ACTIVE), ("backup", State.BACKUP)]
)
def test_states(word: str, state: State) -> None:
    assert StateType().convert(word, None, None) is state


def test_no_state() -> None:
    with pytest.raises(click.BadParameter, match="'fault'"):
        StateType().convert("fault", None, None)


def test_a_namespace_s_name_may_be_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vrrplib.cli.options.is_name", lambda name: name == "7")
    assert [_namespace(value) for value in (None, "7", "8", "blue", "/proc/8/ns/net")] == [
        None, "7", 8, "blue", "/proc/8/ns/net",
    ]  # fmt: skip
