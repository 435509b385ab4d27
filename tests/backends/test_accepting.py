"""Accept_Mode off, as operations: tests/linux/test_no_accept.py has what becomes of packets."""

from __future__ import annotations

import dataclasses

import pytest

from tests.backends.hosts import BACKENDS, V4, V6, Adopting, TroubledHost, memory_host, snapshot
from vrrplib.backends.accepting import around, input_drop, instead, kept_out
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.operations import (
    AddAddress,
    AddInputDrop,
    AddTable,
    DeleteTable,
    Filter,
    Operation,
    SetLinkUp,
)
from vrrplib.election.config import RouterConfig
from vrrplib.errors import BackendError

TABLE = "vrrplib4-7-51"


def is_of(family: str, operation: Operation) -> bool:
    """Whether it changes what comes in; a standing address has a filter on what goes out, too."""
    return isinstance(operation, Filter) and getattr(operation, "family", None) == family


def closed(config: RouterConfig, **changes) -> RouterConfig:
    return dataclasses.replace(config, accept_mode=False, **changes)


@pytest.mark.parametrize("kind", BACKENDS)
@pytest.mark.parametrize(("config", "family"), [(V4, "ip"), (V6, "ip6")], ids=["ipv4", "ipv6"])
def test_no_accept_is_a_table_around_all_the_rest(kind, config, family):
    """It is there before the first address is, and goes after the last: the newest is undone first."""
    host = memory_host()
    backend = kind("eth0", closed(config), host=host)
    if kind is Adopting and config is V4:
        pytest.skip("the operator's link has one of the virtual addresses, and is refused")
    backend.prepare()
    table = f"vrrplib{config.family}-2-51"
    device = backend.link_name(host.link("eth0")) or "eth0"
    addresses = tuple(str(address.ip) for address in config.addresses)
    assert host.performed[0] == AddTable(family, table)
    assert host.performed[-1] == AddInputDrop(table, addresses, device)
    before = len(host.performed)
    backend.activate()
    backend.deactivate()
    assert not any(is_of(family, operation) for operation in host.performed[before:])
    backend.close()
    own = [operation for operation in host.performed if not getattr(operation, "shared", False)]
    assert own[-1] == DeleteTable(family, table)
    assert snapshot(host)["tables"] == {}


def test_accepting_needs_no_table():
    for kind in BACKENDS:
        host = memory_host()
        kind("eth0", V4, host=host).prepare()
        assert not any(is_of("ip", operation) for operation in host.performed)


def test_an_owner_accepts_whatever_the_mode():
    """RFC 9568 6.4.3: of priority 255, and what it has of its own otherwise too."""
    host = memory_host()
    AnnounceBackend("eth0", closed(V4, priority=255), host=host).prepare()
    assert not any(is_of("ip", operation) for operation in host.performed)
    host = memory_host()
    own = closed(V4, addresses=("10.77.0.2/24", "10.77.0.100/24"))
    AnnounceBackend("eth0", own, host=host).prepare()
    assert host.performed[-1] == AddInputDrop("vrrplib4-2-51", ("10.77.0.100",), "eth0")
    host = memory_host()
    AnnounceBackend("eth0", closed(V4, addresses=("10.77.0.2/24",)), host=host).prepare()
    assert not any(is_of("ip", operation) for operation in host.performed)


@pytest.mark.parametrize("kind", BACKENDS)
def test_a_kernel_that_cannot_keep_packets_out_says_so_before_anything_is_changed(kind):
    class Older(TroubledHost):
        def probe(self, filters):
            raise BackendError("this kernel has no nftables", operation=filters[0])

    host = Older(memory_host())
    backend = kind("eth0", closed(V6), host=host)
    with pytest.raises(BackendError, match="no nftables"):
        backend.prepare()
    assert host.base.performed == []
    assert snapshot(host.base) == snapshot(memory_host())


@pytest.mark.parametrize("was_active", [False, True])
def test_addresses_that_are_exchanged_are_kept_out_all_the_while(was_active):
    """First the old and the new, then the new: at no time is one of them on the host and not kept out."""

    class Watched(TroubledHost):
        """Looks at the address and the rules after each operation."""

        def perform(self, operations):
            for operation in operations:
                super().perform((operation,))
                drop = self.base._tables.get(("ip", "vrrplib4-2-51"), {}).get("input")
                there = {str(held.ip) for held in self.base.addresses("vmac4-2-51")}
                # the table is made again in one transaction, which a host in memory does step by step
                if not isinstance(operation, DeleteTable | AddTable):
                    assert drop is None or there <= set(drop.addresses), operation

    host = Watched(memory_host())
    backend = MacvlanBackend("eth0", closed(V4), host=host)
    backend.prepare()
    if was_active:
        backend.activate()
    made = host.base.link("vmac4-2-51")
    backend.reconfigure(closed(V4, addresses=("10.77.0.101/24", "10.77.0.200/24")))
    assert host.base.link("vmac4-2-51") == made  # in place
    drop = host.base._tables["ip", "vrrplib4-2-51"]["input"]
    assert drop == AddInputDrop("vrrplib4-2-51", ("10.77.0.101", "10.77.0.200"), "vmac4-2-51")
    backend.close()
    assert snapshot(host.base) == snapshot(memory_host())


def test_who_becomes_the_owner_accepts():
    host = memory_host()
    backend = MacvlanBackend("eth0", closed(V4), host=host)
    backend.prepare()
    assert snapshot(host)["tables"] != {}
    backend.reconfigure(closed(V4, priority=255))
    assert snapshot(host)["tables"] == {}
    backend.reconfigure(closed(V4))
    assert snapshot(host)["tables"] != {}
    backend.close()
    assert snapshot(host) == snapshot(memory_host())


# -- the parts --


def test_what_is_kept_out():
    added = (AddAddress("v", "10.77.0.100/24"), AddAddress("v", "10.77.0.101/24"))
    drop = input_drop(closed(V4), 7, added)
    assert drop == AddInputDrop(TABLE, ("10.77.0.100", "10.77.0.101"), "v")
    assert input_drop(V4, 7, added) is None
    assert input_drop(closed(V4, priority=255), 7, added) is None
    assert input_drop(closed(V4), 7, ()) is None
    prepare = around((SetLinkUp("v"),), drop)
    assert prepare == (AddTable("ip", TABLE), SetLinkUp("v"), drop)
    assert kept_out(prepare) is drop
    assert around([SetLinkUp("v")], None) == (SetLinkUp("v"),)
    assert kept_out((SetLinkUp("v"),)) is None


def test_one_in_the_place_of_another():
    old, new = (
        AddInputDrop(TABLE, ("10.0.0.1", "10.0.0.2"), "v"),
        AddInputDrop(TABLE, ("10.0.0.2", "10.0.0.3"), "v"),
    )
    again = DeleteTable("ip", TABLE), AddTable("ip", TABLE)
    assert instead(None, new) == (*again, new)
    assert instead(old, new) == (*again, AddInputDrop(TABLE, ("10.0.0.1", "10.0.0.2", "10.0.0.3"), "v"))


@pytest.mark.parametrize("kind", BACKENDS)
@pytest.mark.parametrize("config", [V4, V6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("is_active", [False, True])
def test_of_other_addresses_those_that_have_come_are_kept_out(kind, config, is_active):
    address = "10.77.0.200/24" if config is V4 else "fd77::200/64"
    host = memory_host()
    backend = kind("eth0", closed(config), host=host)
    if kind is Adopting and config is V4:
        pytest.skip("the operator's link has one of the virtual addresses, and is refused")
    backend.prepare()
    if is_active:
        backend.activate()
    for addresses in ((config.addresses[0], address), (config.addresses[0], config.addresses[1], address)):
        backend.reconfigure(closed(config, addresses=addresses))
        (drop,) = [chains["input"] for chains in host._tables.values() if "input" in chains]
        assert drop.addresses == tuple(str(item.ip) for item in backend.config.addresses)
    backend.close()
    assert snapshot(host) == snapshot(memory_host())
