"""MacSwapBackend's plan: one MAC, one virtual router."""

from __future__ import annotations

import pytest

from tests.backends.hosts import PHYSICAL, V4, V6, memory_host, snapshot
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.operations import (
    AddAddress,
    RemoveAddress,
    SetMac,
    SetSysctl,
)
from vrrplib.election.config import RouterConfig
from vrrplib.election.router import Router
from vrrplib.errors import BackendError, ConfigError
from vrrplib.node import Node
from vrrplib.transports.memory import MemoryTransport

V4_52 = RouterConfig(vrid=52, addresses=("10.77.0.52/24",), primary_address="10.77.0.1")


def plan(config, host=None):
    host = host or memory_host()
    return MacSwapBackend("eth0", config, host=host).plan(host, host.link("eth0"))


@pytest.mark.parametrize("config", [V4, V6])
def test_the_mac_changes_first_and_changes_back_last(config):
    virtual, addresses = str(config.virtual_mac), [str(address) for address in config.addresses]
    made = plan(config)
    assert made.mac == config.virtual_mac
    assert made.own_link is None
    added = [AddAddress("eth0", address, prefix_route=config is V4, source=config is V4) for address in addresses]
    assert made.activate == (SetMac("eth0", virtual), *added)
    assert made.deactivate == (
        *(RemoveAddress("eth0", address) for address in reversed(addresses)),
        SetMac("eth0", PHYSICAL, expected=virtual),
    )


def test_neighbours_of_the_real_addresses_are_told():
    assert plan(V4).prepare == (
        SetSysctl("net/ipv4/conf/eth0/promote_secondaries", "1", shared=True),
        SetSysctl("net/ipv4/conf/eth0/arp_notify", "1", shared=True),
        SetSysctl("net/ipv6/conf/eth0/ndisc_notify", "1", shared=True),
    )


def test_an_address_that_is_there_already_stays():
    config = RouterConfig(
        vrid=51, addresses=("10.77.0.2/24", "10.77.0.100/24"), primary_address="10.77.0.1", priority=255
    )
    made = plan(config)
    assert [item.address for item in made.activate[1:]] == ["10.77.0.100/24"]
    assert [item.address for item in made.deactivate[:-1]] == ["10.77.0.100/24"]


def test_a_mac_that_the_operator_set_while_active_is_left_alone():
    host = memory_host()
    backend = MacSwapBackend("eth0", V4, host=host)
    backend.prepare()
    backend.activate()
    assert host.link("eth0").mac == V4.virtual_mac
    host.perform((SetMac("eth0", "02:00:00:00:00:77"),))
    backend.close()
    assert str(host.link("eth0").mac) == "02:00:00:00:00:77"


def test_a_second_one_on_the_interface_is_refused_by_the_host():
    host = memory_host()
    first = MacSwapBackend("eth0", V4, host=host)
    first.prepare()
    before = snapshot(host)
    for kind in (MacSwapBackend, MacvlanBackend, AnnounceBackend):
        with pytest.raises(BackendError, match="one MAC has room for one VRID, and 51 is there"):
            kind("eth0", V4_52, host=host).prepare()
        assert snapshot(host) == before
    first.close()
    MacvlanBackend("eth0", V4, host=host).prepare()
    with pytest.raises(BackendError, match="one MAC has room for one VRID"):
        MacSwapBackend("eth0", V4_52, host=host).prepare()


@pytest.mark.parametrize("kinds", [(MacSwapBackend, MacvlanBackend), (MacvlanBackend, MacSwapBackend)])
def test_a_second_one_is_refused_by_the_node(kinds):
    host = memory_host()
    first, second = kinds
    node = Node(MemoryTransport(interface="eth0"))
    node.add(Router(V4), first("eth0", V4, host=host))
    with pytest.raises(ConfigError, match="MacSwapBackend must be alone on eth0: an interface has one MAC address"):
        node.add(Router(V4_52), second("eth0", V4_52, host=host))
