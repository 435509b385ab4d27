"""AnnounceBackend's plan: the addresses move, the MAC stays."""

from __future__ import annotations

import pytest

from tests.backends.hosts import PHYSICAL, V4, V6, memory_host
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.operations import AddAddress, RemoveAddress, SetSysctl
from vrrplib.election.config import RouterConfig


def plan(config, host=None):
    host = host or memory_host()
    return AnnounceBackend("eth0", config, host=host).plan(host, host.link("eth0"))


@pytest.mark.parametrize("config", [V4, V6])
def test_the_addresses_come_and_go_on_the_interface(config):
    addresses = [str(address) for address in config.addresses]
    made = plan(config)
    assert str(made.mac) == PHYSICAL
    assert made.activate == tuple(
        AddAddress("eth0", address, prefix_route=config is V4, source=config is V4) for address in addresses
    )
    assert made.deactivate == tuple(RemoveAddress("eth0", address) for address in reversed(addresses))


def test_secondary_addresses_of_the_operator_outlive_ours():
    promote = "net/ipv4/conf/eth0/promote_secondaries"
    assert plan(V4).prepare == (SetSysctl(promote, "1", shared=True),)
    host = memory_host()
    host.add_sysctl(promote, "1")
    assert plan(V4, host).prepare == ()


def test_an_owner_keeps_its_own_addresses():
    config = RouterConfig(vrid=51, addresses=("10.77.0.1/24",), primary_address="10.77.0.1", priority=255)
    host = memory_host()
    with AnnounceBackend("eth0", config, host=host) as backend:
        backend.prepare()
        backend.activate()
        backend.deactivate()
    assert str(host.addresses("eth0")[0]) == "10.77.0.1/24"


def test_an_address_that_is_there_with_another_prefix_length_is_there():
    config = RouterConfig(vrid=51, addresses=("10.77.0.2/32",), primary_address="10.77.0.1")
    assert plan(config).activate == plan(config).deactivate == ()


def test_two_with_the_same_interface_live_side_by_side():
    host = memory_host()
    pair = [AnnounceBackend("eth0", config, host=host) for config in (V4, V6)]
    for backend in pair:
        backend.prepare()
        backend.activate()
    assert len(host.addresses("eth0")) == 8
    for backend in pair:
        backend.close()
    assert host.sysctl("net/ipv4/conf/eth0/promote_secondaries") == "0"
    assert len(host.addresses("eth0")) == 4
