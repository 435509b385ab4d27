"""MacSwapBackend's plan: one MAC, one virtual router."""

from __future__ import annotations

import pytest

from tests.backends.hosts import PHYSICAL, V4, V6, memory_host, snapshot
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.operations import (
    AddAddress,
    AddMacvlan,
    RemoveAddress,
    SetMac,
    SetSysctl,
    SetToken,
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


# -- IPv6 interface identifiers: RFC 9568 7.4 --

OWN = "fe80::ff:fe00:1/64"  # what the kernel makes of PHYSICAL
CONF = "net/ipv6/conf/eth0"


def hearing(link_local: str = OWN, **sysctls: str):
    """A host that takes addresses from Router Advertisements."""
    host = memory_host()
    host.add_interface("eth0", PHYSICAL, ["10.77.0.1/24", link_local])
    for name, value in {"accept_ra": "1", "autoconf": "1", "router_solicitations": "-1", **sysctls}.items():
        host.add_sysctl(f"{CONF}/{name}", value)
    return host


def identifier_operations(host):
    made = plan(V4, host)
    of_interest = ("token", "addr_gen_mode", "autoconf")
    return [
        [item.deed for item in part if any(word in item.deed for word in of_interest)]
        for part in (made.prepare, made.activate, made.deactivate)
    ]


def test_addresses_are_made_of_the_real_mac_while_active():
    mode_none, mode_back = (f"sysctl -w {CONF}/addr_gen_mode={mode}" for mode in "10")
    assert identifier_operations(hearing()) == [["ip token set ::ff:fe00:1 dev eth0"], [mode_none], [mode_back]]
    made = plan(V4, hearing())
    assert made.activate[0].command == mode_none  # before the MAC changes, and back when it has its own again
    assert made.deactivate[-1].deed == mode_back


@pytest.mark.parametrize(
    "sysctls",
    [{"accept_ra": "0"}, {"forwarding": "1"}, {"autoconf": "0"}],
    ids=str,
)
def test_an_interface_that_learns_no_address_needs_no_token(sysctls):
    assert identifier_operations(hearing(**sysctls))[0] == []


def test_a_router_that_hears_advertisements_all_the_same_needs_one():
    assert identifier_operations(hearing(accept_ra="2", forwarding="1"))[0] != []


@pytest.mark.parametrize("mode", ["2", "3"])
def test_identifiers_that_do_not_come_from_the_mac_are_left_alone(mode):
    assert identifier_operations(hearing(addr_gen_mode=mode)) == [[], [], []]


def test_where_the_kernel_takes_no_token_nothing_is_learned_while_active():
    off, on = f"sysctl -w {CONF}/autoconf=0", f"sysctl -w {CONF}/autoconf=1"
    assert identifier_operations(hearing(router_solicitations="0", addr_gen_mode="1")) == [[], [off], [on]]


def test_a_link_local_address_that_the_operator_has_removed_is_not_brought_back():
    assert identifier_operations(hearing("fe80::1/64")) == [["ip token set ::ff:fe00:1 dev eth0"], [], []]


def test_the_token_of_the_operator_stays():
    host = hearing()
    host.perform((SetToken("eth0", "::5"),))
    assert identifier_operations(host)[0] == []


def test_the_token_is_taken_back_at_the_end():
    host = hearing()
    before = snapshot(host)
    with MacSwapBackend("eth0", V4, host=host) as backend:
        backend.prepare()
        assert host.link("eth0").identifier == "::ff:fe00:1"
        backend.activate()
        backend.deactivate()
        assert host.link("eth0").identifier == "::ff:fe00:1"
    assert snapshot(host) == before


# -- what is not fit --


@pytest.mark.parametrize(
    ("facts", "mac", "message"),
    [
        ({"kind": "ifb"}, PHYSICAL, "eth9: the MAC of an interface of kind ifb cannot change"),
        ({"kind": "vrf"}, PHYSICAL, "kind vrf cannot change"),
        ({"port_of": "bond"}, PHYSICAL, "eth9: it is a port of a bond: use the bond itself"),
        (
            {"kind": "macvlan", "mode": "bridge"},
            PHYSICAL,
            "in mode bridge it would not hear.*: use the macvlan backend",
        ),
        ({"kind": "wlan"}, PHYSICAL, "eth9: it is wireless, .*: use the announce backend"),
        ({}, "00:00:00:00:00:00", "eth9: it has no Ethernet address"),
        ({}, str(V4.virtual_mac), "nobody knows which it had before.*ip link set dev eth9 address MAC"),
        ({"permanent_mac": PHYSICAL}, str(V4.virtual_mac), f"ip link set dev eth9 address {PHYSICAL}"),
    ],
)
def test_an_interface_that_is_not_fit_is_refused_before_anything_is_done(facts, mac, message):
    host = memory_host()
    host.add_interface("eth9", mac, ["10.77.0.1/24"], **facts)
    before = snapshot(host)
    with pytest.raises(BackendError, match=message):
        MacSwapBackend("eth9", V4, host=host).prepare()
    assert host.performed == []
    assert snapshot(host) == before


def test_a_member_of_a_vrf_is_fit():
    host = memory_host()
    host.add_interface("eth9", PHYSICAL, port_of="vrf")
    MacSwapBackend("eth9", V4, host=host).prepare()


def test_a_macvlan_that_would_clash_is_named():
    host = memory_host()
    host.perform((AddMacvlan("child0", "eth0", str(V4.virtual_mac), "bridge"),))
    with pytest.raises(BackendError, match="child0 stands on it with the MAC 00:00:5e:00:01:33"):
        MacSwapBackend("eth0", V4, host=host).prepare()


def test_by_ioctl():
    host = memory_host()
    made = MacSwapBackend("eth0", V4, ioctl=True, host=host).plan(host, host.link("eth0"))
    assert [item.ioctl for item in (*made.activate, *made.deactivate) if isinstance(item, SetMac)] == [True, True]
