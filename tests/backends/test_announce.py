"""AnnounceBackend's plan: the addresses move, the MAC stays."""

from __future__ import annotations

import dataclasses
import ipaddress

import pytest

from tests.backends.hosts import PHYSICAL, V4, V6, memory_host, snapshot
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.operations import AddAddress, RemoveAddress, SetSysctl
from vrrplib.election.config import RouterConfig
from vrrplib.errors import BackendError


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


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"port_of": "bond"}, "eth9: it is a port of a bond, .* use the bond itself"),
        ({"port_of": "bridge"}, "eth9: it is a port of a bridge, .* use the bridge itself"),
        ({"kind": "vrf"}, "eth9: it is a VRF device, .* use the member"),
    ],
)
def test_an_interface_where_no_address_answers_is_refused_before_anything_is_done(facts, words):
    host = memory_host()
    host.add_interface("eth9", PHYSICAL, ["10.77.0.1/24"], **facts)
    before = snapshot(host)
    with pytest.raises(BackendError, match=words):
        AnnounceBackend("eth9", V4, host=host).prepare()
    assert host.performed == []
    assert snapshot(host) == before


def test_an_ipvlan_a_wireless_interface_and_a_member_of_a_vrf_are_fit():
    for facts in ({"kind": "ipvlan"}, {"kind": "wlan"}, {"port_of": "vrf"}):
        host = memory_host()
        host.add_interface("eth9", PHYSICAL, **facts)
        AnnounceBackend("eth9", V4, host=host).prepare()


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


# -- the operator's own addresses and routes --


def added(config, *own: str) -> dict[str, tuple[bool, bool]]:
    """Whether each virtual address brings a route to its prefix, and is a source; ``own`` are the operator's."""
    host = memory_host()
    host.add_interface("eth0", PHYSICAL, own)
    return {item.address: (item.prefix_route, item.source) for item in plan(config, host).activate}


def test_ipv6_addresses_are_never_a_source_of_what_the_host_sends_by_itself():
    """The kernel would choose the youngest."""
    assert added(V6, "fe80::1/64") == {"fe80::51/64": (False, False), "fd77::100/64": (True, False)}


def test_an_ipv6_prefix_that_is_routed_already_is_not_routed_again():
    """When one of two such addresses goes, the kernel may take the other's route along, or leave ours."""
    assert added(V6, "fe80::1/64", "fd77::1/48")["fd77::100/64"] == (False, False)
    assert added(V6, "fe80::1/64", "fd77::1/128")["fd77::100/64"] == (True, False)


def test_an_ipv4_address_in_the_operator_s_subnet_is_a_secondary_one():
    """It brings no route, unless the operator takes the primary one away: then it must."""
    assert set(added(V4, "10.77.0.1/24").values()) == {(True, True)}


def test_an_ipv4_subnet_inside_the_operator_s_is_not_routed_from_ours():
    assert set(added(V4, "10.77.0.1/16").values()) == {(False, True)}
    assert set(added(V4, "10.78.0.1/16").values()) == {(True, True)}


def test_the_address_of_another_virtual_router_is_no_reason():
    host = memory_host()
    host.add_interface("eth0", PHYSICAL, ["fe80::1/64"])
    other = RouterConfig(vrid=52, addresses=("fe80::52/64", "fd77::52/64"), primary_address="fe80::1")
    first = AnnounceBackend("eth0", other, host=host)
    first.prepare()
    first.activate()
    assert plan(V6, host).activate[1] == AddAddress("eth0", "fd77::100/64", source=False)


# -- another configuration --


@pytest.mark.parametrize("kind", [AnnounceBackend, MacSwapBackend])
@pytest.mark.parametrize(
    ("config", "kept", "other"),
    [(V4, "10.77.0.100/24", "10.77.0.200/24"), (V6, "fe80::51/64", "fd77::200/64")],
    ids=["v4", "v6"],
)
def test_other_addresses_are_taken_while_the_rest_stays(kind, config, kept, other):
    """No MAC changes back and forth, and what stays answers all the time."""
    host = memory_host()
    before = snapshot(host)
    with kind("eth0", config, host=host) as backend:
        backend.prepare()
        backend.activate()
        at = len(host.performed)
        backend.reconfigure(dataclasses.replace(config, addresses=(kept, other)))
        assert {type(item) for item in host.performed[at:]} == {AddAddress, RemoveAddress}
        assert kept not in [item.address for item in host.performed[at:]]
        held = set(map(str, host.addresses("eth0")))
        assert {kept, other} <= held
        assert not {str(address) for address in config.addresses[1:]} & held
        backend.deactivate()
        backend.activate()
        assert set(map(str, host.addresses("eth0"))) == held
    assert snapshot(host) == before


def test_an_address_inside_the_operator_s_subnet_stays_as_it_is():
    host = memory_host()
    host.add_interface("eth0", PHYSICAL, ["10.77.0.1/16"])
    backend = AnnounceBackend("eth0", V4, host=host)
    backend.prepare()
    backend.activate()
    at = len(host.performed)
    backend.reconfigure(dataclasses.replace(V4, addresses=("10.77.0.100/24",)))
    assert [item.deed for item in host.performed[at:]] == ["ip address delete 10.77.0.101/24 dev eth0"]


def test_another_priority_touches_nothing():
    host = memory_host()
    backend = AnnounceBackend("eth0", V4, host=host)
    backend.prepare()
    backend.activate()
    at = len(host.performed)
    backend.reconfigure(dataclasses.replace(V4, priority=7))
    assert len(host.performed) == at


def test_an_interface_whose_routes_would_go_with_its_last_address_is_refused():
    host = memory_host()
    host.add_interface("eth0", PHYSICAL, ["fe80::1/64"])
    plan(V4, host)  # no route, no harm
    host.subnets = lambda name: (ipaddress.ip_network("192.0.2.0/24"),)
    with pytest.raises(BackendError, match=r"route to 192\.0\.2\.0/24 and no IPv4 address"):
        plan(V4, host)
    plan(V6, host)
