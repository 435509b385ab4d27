"""What operations say of the host as it should be, an interface under another name, repair of a backend."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest
from hypothesis import given

from tests.backends.hosts import (
    CASES,
    NAMES,
    PHYSICAL,
    V4,
    V6,
    V6_CLOSED,
    Adopting,
    Standing,
    TroubledHost,
    memory_host,
    snapshot,
)
from tests.backends.strategies import operations
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.base import ExpectedLink
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.operations import AddAddress, DeleteLink, Filter, RemoveAddress, SetMac, SetSysctl
from vrrplib.backends.upkeep import concerns, foreign, renamed
from vrrplib.errors import BackendError
from vrrplib.wire.addresses import MacAddress, to_interface

OTHER = "02:00:00:00:00:99"
ARP_IGNORE = "net/ipv4/conf/{}/arp_ignore"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            SetSysctl(ARP_IGNORE.format("eth0"), "0", "1", True),
            SetSysctl(ARP_IGNORE.format("lan.0"), "0", "1", True),
        ),
        (SetSysctl(ARP_IGNORE.format("eth01"), "0"), SetSysctl(ARP_IGNORE.format("eth01"), "0")),
        (SetSysctl("net/ipv4/ip_forward", "0"), SetSysctl("net/ipv4/ip_forward", "0")),
        (SetMac("eth0", PHYSICAL, OTHER), SetMac("lan.0", PHYSICAL, OTHER)),
        (RemoveAddress("eth0", "10.0.0.1/24"), RemoveAddress("lan.0", "10.0.0.1/24")),
        (DeleteLink("vmac4-2-51", OTHER), DeleteLink("vmac4-2-51", OTHER)),
    ],
)
def test_an_operation_under_another_name(before, after):
    assert renamed(before, "eth0", "lan.0") == after
    assert concerns(before, "eth0") is (before != after)


@given(operations)
def test_a_name_that_is_not_in_it_changes_nothing(operation):
    assert renamed(operation, "no-such-link", "another") == operation


@pytest.mark.parametrize(
    ("operation", "mac", "value", "said"),
    [
        (SetSysctl(ARP_IGNORE, "0", expected="1"), None, "1", False),
        (SetSysctl(ARP_IGNORE, "0", expected="1"), None, "0", False),  # undone already
        (SetSysctl(ARP_IGNORE, "0", expected="1"), None, None, False),  # gone
        (SetSysctl(ARP_IGNORE, "0", expected="1"), None, "8", True),
        (SetSysctl(ARP_IGNORE, "0"), None, "8", False),  # no undo
        (SetMac("eth0", PHYSICAL, expected=OTHER), PHYSICAL, None, False),
        (SetMac("eth0", PHYSICAL, expected=OTHER), OTHER, None, False),
        (SetMac("eth0", PHYSICAL, expected=OTHER), None, None, False),
        (SetMac("eth0", PHYSICAL, expected=OTHER), "02:00:00:00:00:77", None, True),
        (DeleteLink("vmac4-2-51", OTHER), OTHER, None, False),
        (DeleteLink("vmac4-2-51", OTHER), PHYSICAL, None, True),
        (AddAddress("eth0", "10.0.0.1/24"), PHYSICAL, "8", False),
    ],
)
def test_what_somebody_else_has_changed_since(operation, mac, value, said):
    found = foreign(operation, lambda _: MacAddress(mac) if mac else None, lambda _: value)
    assert (found is not None) is said
    if found:
        assert (mac or value) in found


def test_what_a_macvlan_expects():
    backend = MacvlanBackend("eth0", V4, host=memory_host())
    assert backend.expected() == ()
    backend.prepare()
    link = ExpectedLink("vmac4-2-51", V4.virtual_mac, (), is_up=True)
    assert backend.expected() == (ExpectedLink(None), link)
    backend.activate()
    assert backend.expected()[1] == dataclasses.replace(link, addresses=V4.addresses)
    backend.deactivate()
    assert backend.expected()[1] == link
    backend.close()
    assert backend.expected() == ()


def test_with_xmit_base_the_parent_s_mac_matters():
    backend = MacvlanBackend("eth0", V4, host=memory_host(), xmit_base=True)
    backend.prepare()
    assert backend.expected()[0] == ExpectedLink(None, MacAddress(PHYSICAL))


def test_what_a_swapped_mac_and_an_announcement_expect():
    for kind, mac in ((MacSwapBackend, V4.virtual_mac), (AnnounceBackend, MacAddress(PHYSICAL))):
        backend = kind("eth0", V4, host=memory_host())
        backend.prepare()
        assert backend.expected() == (ExpectedLink(None, MacAddress(PHYSICAL)),)
        backend.activate()
        assert backend.expected() == (ExpectedLink(None, mac, V4.addresses),)


def as_expected(host, backend) -> bool:
    """Whether all is there that the backend expects."""
    for expected in backend.expected():
        link = host.link(expected.name or "eth0")
        if link is None or expected.mac not in (None, link.mac):
            return False
        if not set(expected.addresses) <= set(host.addresses(link.name)):
            return False
    return True


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize(("kind", "config"), CASES, ids=NAMES)
def test_what_is_taken_away_comes_back_and_the_host_is_given_back_all_the_same(kind, config, active):
    is_the_operators = kind is Adopting  # who removes or renames a link of the operator's is no concern of ours
    for take in ("address", "mac") if is_the_operators else ("address", "link", "mac", "renamed"):
        host = memory_host()
        backend = kind("eth0", config, host=host)
        backend.prepare()
        if active:
            backend.activate()
        own = next((link.name for link in backend.expected() if link.name), None)
        mac = backend.mac
        if take == "address" and active:
            host.perform((RemoveAddress(own or "eth0", str(config.addresses[0])),))
        elif take == "link" and own:
            host.perform((DeleteLink(own, str(mac)),))
        elif take == "mac" and own:
            host.perform((SetMac(own, OTHER),))
        elif take == "renamed" and own:
            host._links["mine"] = dataclasses.replace(host._links.pop(own), name="mine")
            host._created.add("mine")
        else:
            continue
        assert not as_expected(host, backend)
        backend.repair("mine" if take == "renamed" else "")
        assert as_expected(host, backend), take
        assert backend.active is active
        assert host.link("mine") is None
        backend.close()
        assert snapshot(host) == snapshot(memory_host()), take


IP6_TABLE, NETDEV_TABLE = ("ip6", "vrrplib6-2-51"), ("netdev", "vrrplib6-2-51")


def test_what_tables_are_expected():
    """That of the input drop always; what keeps a link silent only while Backup."""
    backend = MacvlanBackend("eth0", V6_CLOSED, host=memory_host(), standing=True)
    assert backend.expected_tables() == ()
    backend.prepare()
    assert set(backend.expected_tables()) == {IP6_TABLE, NETDEV_TABLE}
    backend.activate()
    assert backend.expected_tables() == (IP6_TABLE,)
    backend.deactivate()
    assert set(backend.expected_tables()) == {IP6_TABLE, NETDEV_TABLE}
    backend.close()
    assert backend.expected_tables() == ()
    plain = MacvlanBackend("eth0", V4, host=memory_host())
    plain.prepare()
    assert plain.expected_tables() == ()


FILTERED = [case for case in CASES if case[0] in (Standing, Adopting) or not case[1].accept_mode]


@pytest.mark.parametrize("how", ["repair_tables", "repair"])
@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize(("kind", "config"), FILTERED)
def test_tables_that_are_flushed_come_back_with_what_was_in_them(kind, config, active, how):
    host = memory_host()
    backend = kind("eth0", config, host=host)
    backend.prepare()
    if active:
        backend.activate()
    before, done = snapshot(host), len(host.performed)
    tables = {table: dict(chains) for table, chains in host._tables.items() if table in backend.expected_tables()}
    assert len(tables) == len(backend.expected_tables())
    host._tables.clear()
    getattr(backend, how)()
    assert host._tables == tables
    assert {**snapshot(host), "tables": {}} == {**before, "tables": {}}
    if how == "repair_tables":
        assert all(isinstance(operation, Filter) for operation in host.performed[done:]), "something else flapped"
    if active:
        backend.deactivate()
        assert set(backend.expected_tables()) <= set(host._tables)
    backend.close()
    assert snapshot(host) == snapshot(memory_host())


@pytest.mark.parametrize("at", range(1, 5))  # the old table, the new one, and the two drops
def test_wherever_the_repair_of_tables_fails_the_host_is_given_back(at):
    base = memory_host()
    host = TroubledHost(base)
    backend = MacvlanBackend("eth0", V6_CLOSED, host=host, standing=True)
    backend.prepare()
    base._tables.clear()
    host._failing = range(host.count + at, host.count + at + 1)
    with contextlib.suppress(BackendError):
        backend.repair_tables()
    assert set(backend.expected_tables()) <= set(base._tables)
    backend.close()
    assert snapshot(base) == snapshot(memory_host())


def test_tables_are_not_made_for_what_is_closed():
    host = memory_host()
    backend = MacvlanBackend("eth0", V6_CLOSED, host=host)
    backend.repair_tables()
    backend.prepare()
    backend.close()
    backend.repair_tables()
    assert snapshot(host) == snapshot(memory_host())


@pytest.mark.parametrize("active", [True, False])
def test_a_new_mac_of_the_operator_s_is_the_real_one_from_then_on(active):
    """Where ours is not on the interface just now. What an announcement says is that MAC."""
    for kind in (AnnounceBackend, MacSwapBackend):
        host = memory_host()
        backend = kind("eth0", V4, host=host)
        backend.prepare()
        if active:
            backend.activate()
        host.perform((SetMac("eth0", OTHER),))
        backend.repair()
        assert as_expected(host, backend)
        if active and kind is MacSwapBackend:
            assert host.link("eth0").mac == V4.virtual_mac  # it must answer with that; and the first one comes back
            backend.close()
            assert host.link("eth0").mac == MacAddress(PHYSICAL)
        else:
            assert backend.mac == (V4.virtual_mac if kind is MacSwapBackend else MacAddress(OTHER))
            backend.close()
            assert host.link("eth0").mac == MacAddress(OTHER)


@pytest.mark.parametrize(("kind", "config"), CASES, ids=NAMES)
@pytest.mark.parametrize("active", [True, False])
def test_an_interface_that_is_renamed_is_given_back_under_its_new_name(kind, config, active):
    host = memory_host()
    host.add_sysctl("net/ipv4/conf/lan0/accept_local", "0")
    backend = kind("eth0", config, host=host)
    backend.prepare()
    backend.activate()
    host._links = {("lan0" if name == "eth0" else name): link for name, link in host._links.items()}
    host._links["lan0"] = dataclasses.replace(host._links["lan0"], name="lan0")
    host._addresses["lan0"] = host._addresses.pop("eth0")
    backend.renamed("lan0")
    if not active:
        backend.deactivate()
        backend.activate()
        assert as_expected_on(host, backend, "lan0")
    backend.close()
    assert host.link("lan0").mac == MacAddress(PHYSICAL)
    assert not {to_interface(address) for address in config.addresses} & set(host.addresses("lan0"))
    assert [name for name, link in host._links.items() if link] == ["lan0", *list(memory_host()._links)[1:]]


def as_expected_on(host, backend, parent: str) -> bool:
    return all(set(item.addresses) <= set(host.addresses(item.name or parent)) for item in backend.expected())


def test_v6_is_a_case_too():
    assert {config.family for _, config in CASES} == {V4.family, V6.family}
