"""DryRunBackend: the same plan with a recorder in place of the host, so that it cannot drift."""

from __future__ import annotations

import pytest

from tests.backends.hosts import BACKENDS, CASES, NAMES, V4, V6, TroubledHost, life, memory_host, snapshot
from vrrplib.backends.dryrun import DryRunBackend
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.memory import MemoryHost
from vrrplib.errors import BackendError

every_case = pytest.mark.parametrize(("kind", "config"), CASES, ids=NAMES)


@every_case
def test_operations_are_those_that_the_real_one_performs(kind, config):
    host = memory_host()
    before = snapshot(host)
    dry = DryRunBackend(kind("eth0", config), host=host)
    for step in life(dry):
        step()
    assert snapshot(host) == before
    assert host.performed == []
    for step in life(kind("eth0", config, host=host)):
        step()
    assert list(dry.operations) == host.performed
    assert list(dry.commands) == [operation.command for operation in host.performed]


@every_case
def test_a_host_with_odd_values(kind, config):
    def odd():
        host = memory_host()
        for name, value in {
            "arp_ignore": "2",
            "arp_announce": "1",
            "promote_secondaries": "1",
            "forwarding": "1",
        }.items():
            host.add_sysctl(f"net/ipv4/conf/eth0/{name}", value)
        host.add_sysctl("net/ipv6/conf/eth0/forwarding", "1")
        return host

    real, copied = odd(), odd()
    dry = DryRunBackend(kind("eth0", config), host=copied)
    backend = kind("eth0", config, host=real)
    for step, dry_step in zip(life(backend), life(dry), strict=True):
        step()
        dry_step()
        assert list(dry.operations) == real.performed
    assert snapshot(real) == snapshot(copied) == snapshot(odd())


@every_case
def test_it_says_what_the_other_would(kind, config):
    dry = DryRunBackend(kind("eth0", config), host=memory_host())
    assert dry.config is config
    assert dry.exclusive is kind.exclusive
    dry.prepare()
    real = kind("eth0", config, host=memory_host())
    real.prepare()
    assert dry.mac == real.mac
    assert dry.advertisement_mac == real.advertisement_mac
    assert not dry.active
    dry.activate()
    assert dry.active
    dry.deactivate()
    assert not dry.active


@pytest.mark.parametrize("kind", BACKENDS)
def test_errors_are_those_of_the_other(kind):
    with pytest.raises(BackendError, match="no interface is named 'eth9'"):
        DryRunBackend(kind("eth9", V4), host=memory_host()).prepare()


def test_the_backends_own_host_is_read():
    host = memory_host()
    dry = DryRunBackend(MacvlanBackend("eth0", V4, host=host))
    dry.prepare()
    assert dry.operations
    assert host.performed == []


def test_a_dry_run_claims_nothing():
    host = TroubledHost(memory_host())
    dry = DryRunBackend(MacSwapBackend("eth0", V4, host=host))
    dry.prepare()
    assert host.journals == []
    assert host.base.claims == {}


def test_reconfigure():
    dry = DryRunBackend(MacvlanBackend("eth0", V6, host=memory_host()))
    dry.prepare()
    dry.activate()
    other = type(V6)(vrid=51, addresses=("fe80::200/64",), primary_address="fe80::1")
    dry.reconfigure(other)
    assert dry.config is other
    assert any("fe80::200/64" in command for command in dry.commands)


def test_the_commands_of_a_macvlan_as_a_root_shell_takes_them():
    dry = DryRunBackend(MacvlanBackend("eth0", V4, host=memory_host()))
    dry.prepare()
    assert dry.commands == (
        "sysctl -w net/ipv4/conf/eth0/arp_ignore=1",
        "sysctl -w net/ipv4/conf/eth0/arp_announce=2",
        "ip link add link eth0 name vmac4-2-51 address 00:00:5e:00:01:33 type macvlan mode source",
        "sysctl -w net/ipv4/conf/vmac4-2-51/arp_ignore=1",
        "sysctl -w net/ipv4/conf/vmac4-2-51/medium_id=-1",
        "sysctl -w net/ipv4/conf/vmac4-2-51/proxy_arp_pvlan=0",
        "sysctl -w net/ipv6/conf/vmac4-2-51/disable_ipv6=1",
        "sysctl -w net/ipv4/conf/vmac4-2-51/arp_announce=2",
        "sysctl -w net/ipv4/conf/vmac4-2-51/arp_filter=0",
        "sysctl -w net/ipv4/conf/vmac4-2-51/rp_filter=2",
        "sysctl -w net/ipv4/conf/vmac4-2-51/promote_secondaries=1",
        "ip link set dev vmac4-2-51 up",
    )


class Crashed(MemoryHost):
    """A host on which a process has died."""

    left = ()

    def leftovers(self, interface):
        return self.left


@every_case
def test_what_a_dead_process_left_is_undone_first(kind, config):
    host = memory_host(Crashed)
    fresh = DryRunBackend(kind("eth0", config), host=host)
    dead = kind("eth0", config, host=host)
    for each in (fresh, dead):
        each.prepare()
        each.activate()
    assert [operation.command for operation in host.undo] == list(fresh.undo_commands)
    host.left = host.undo
    assert host.left
    after = DryRunBackend(kind("eth0", config), host=host)
    after.prepare()
    after.activate()
    undone = len(after.operations) - len(fresh.operations)
    assert undone > 0
    assert after.operations[undone:] == fresh.operations
    assert set(after.operations[:undone]) <= set(host.left)
    assert after.undo_commands == fresh.undo_commands


@every_case
def test_what_is_to_be_undone(kind, config):
    """Nothing before and after; and what is done again is not undone twice."""
    dry = DryRunBackend(kind("eth0", config), host=memory_host())
    assert dry.undo_commands == ()
    dry.prepare()
    while_backup = dry.undo_commands
    dry.activate()
    while_active = dry.undo_commands
    assert set(while_backup) <= set(while_active)
    assert len(set(while_active)) == len(while_active)
    dry.deactivate()
    assert dry.undo_commands == while_backup
    dry.close()
    assert dry.undo_commands == ()
