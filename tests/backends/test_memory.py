"""MemoryHost: does what the kernel would, as values, and never touches the host that it copies."""

from __future__ import annotations

import errno

import pytest

from tests.backends.hosts import PHYSICAL, memory_host, snapshot
from vrrplib.backends.memory import MemoryHost
from vrrplib.backends.operations import (
    AddAddress,
    AddMacvlan,
    DeleteLink,
    RemoveAddress,
    SetLinkUp,
    SetMac,
    SetMacvlanMode,
    SetSysctl,
)
from vrrplib.backends.plan import Claim
from vrrplib.errors import BackendError

VIRTUAL = "00:00:5e:00:01:33"
ADD = AddMacvlan("v", "eth0", VIRTUAL, "source")


def claim(vrid: int = 51, *, index: int = 2, family: int = 4, exclusive: bool = False) -> Claim:
    return Claim("eth0", index, PHYSICAL, family, vrid, exclusive, "test")


def test_a_macvlan_comes_and_goes():
    host = memory_host()
    before = snapshot(host)
    host.perform((ADD, SetLinkUp("v"), SetMacvlanMode("v", "private"), AddAddress("v", "10.77.0.100/24")))
    link = host.link("v")
    assert (str(link.mac), link.kind) == (VIRTUAL, "macvlan")
    assert [str(address) for address in host.addresses("v")] == ["10.77.0.100/24"]
    host.perform((DeleteLink("v", "02:00:00:00:00:99"),))  # somebody else's by now
    assert host.link("v") is not None
    host.perform((DeleteLink("v", VIRTUAL), DeleteLink("v", VIRTUAL)))
    assert host.link("v") is None
    assert host.addresses("v") == ()
    assert snapshot(host) == before


@pytest.mark.parametrize(
    ("operation", "number"),
    [
        (AddMacvlan("eth0", "eth1", VIRTUAL, "source"), errno.EEXIST),
        (AddAddress("eth9", "10.0.0.1/24"), errno.ENODEV),
        (SetLinkUp("eth9"), errno.ENODEV),
        (SetMacvlanMode("eth9", "private"), errno.ENODEV),
        (SetMac("eth9", VIRTUAL), errno.ENODEV),
        (SetSysctl("net/ipv4/conf/eth9/arp_ignore", "1"), errno.ENOENT),
    ],
)
def test_what_the_kernel_refuses_is_refused(operation, number):
    host = memory_host()
    with pytest.raises(BackendError) as caught:
        host.perform((operation,))
    assert caught.value.errno == number
    assert caught.value.operation == operation
    assert host.performed == []


@pytest.mark.parametrize(
    "operation",
    [
        DeleteLink("eth9", VIRTUAL),
        RemoveAddress("eth9", "10.0.0.1/24"),
        RemoveAddress("eth0", "10.0.0.1/24"),
        SetMacvlanMode("eth9", "source"),
        SetSysctl("net/ipv4/conf/eth9/arp_ignore", "1", expected="0"),
        SetSysctl("net/ipv4/conf/eth0/arp_ignore", "1", expected="7"),
        SetMac("eth0", VIRTUAL, expected="02:00:00:00:00:99"),
    ],
)
def test_what_is_undone_already_is_no_error(operation):
    host = memory_host()
    host.perform((operation,))
    assert snapshot(host) == snapshot(memory_host())


def test_ipv6_off_takes_the_ipv6_addresses_away():
    host = memory_host()
    host.perform((SetSysctl("net/ipv6/conf/eth0/disable_ipv6", "1"),))
    assert [str(address) for address in host.addresses("eth0")] == ["10.77.0.1/24", "10.77.0.2/24"]


def test_sysctls_are_those_of_interfaces_that_exist():
    host = memory_host()
    assert host.sysctl("net/ipv4/conf/eth0/arp_ignore") == "0"
    assert host.sysctl("net/ipv4/conf/eth9/arp_ignore") is None
    host.perform((ADD, SetSysctl("net/ipv4/conf/v/arp_ignore", "1"), DeleteLink("v", VIRTUAL), ADD))
    assert host.sysctl("net/ipv4/conf/v/arp_ignore") == "0"  # a new link's


def test_a_copy_reads_its_base_and_leaves_it_as_it_is():
    base = memory_host()
    base.add_sysctl("net/ipv4/conf/default/rp_filter", "1")
    base.add_sysctl("net/ipv4/conf/eth0/arp_announce", "2")
    before = snapshot(base)
    copy = MemoryHost(base)
    assert copy.link("eth0") == base.link("eth0")
    assert copy.link("eth9") is None
    assert copy.sysctl("net/ipv4/conf/eth0/arp_announce") == "2"
    copy.perform((
        ADD, SetMac("eth0", VIRTUAL), AddAddress("eth0", "10.77.0.100/24"), RemoveAddress("eth0", "10.77.0.1/24"),
        SetSysctl("net/ipv4/conf/eth0/arp_announce", "1"), DeleteLink("eth1", "02:00:00:00:01:01"),
    ))  # fmt: skip
    assert copy.sysctl("net/ipv4/conf/v/rp_filter") == "1"  # what a new link begins with
    assert copy.link("eth1") is None
    assert [str(item) for item in copy.addresses("eth0")][::3] == ["10.77.0.2/24", "10.77.0.100/24"]
    assert snapshot(base) == before
    assert base.performed == []


def test_a_virtual_router_is_claimed_once():
    host = memory_host()
    journal = host.claim(claim())
    with pytest.raises(BackendError, match="VRID 51 is taken"):
        host.claim(claim())
    others = [host.claim(claim(52)), host.claim(claim(family=6)), host.claim(claim(index=3))]
    for held in (journal, *others):
        held.finish(host.perform)
    assert host.claims == {}


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True), (True, True)])
def test_who_needs_the_whole_interface_is_alone_on_it(first, second):
    host = memory_host()
    host.claim(claim(exclusive=first))
    with pytest.raises(BackendError, match="one MAC has room for one VRID, and 51 is there"):
        host.claim(claim(52, exclusive=second))
    host.claim(claim(52, index=3, exclusive=second))
