"""NetlinkHost against the kernel: every operation, its undo, its refusals, and what MemoryHost makes of it."""

from __future__ import annotations

import dataclasses
import errno
import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.backends.hosts import CASES, NAMES, life
from tests.linux.conftest import skip_or_fail, why_not
from tests.linux.lab import Host, Lab
from vrrplib.backends import netlink
from vrrplib.backends.dryrun import DryRunBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.memory import MemoryHost
from vrrplib.backends.netlink import NetlinkHost, cleanup, primary_address
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
from vrrplib.backends.plan import undo_of
from vrrplib.election.config import RouterConfig
from vrrplib.errors import BackendError, ConfigError
from vrrplib.wire.addresses import Family

pytestmark = pytest.mark.linux
VIRTUAL = "00:00:5e:00:01:33"
MADE = AddMacvlan("v", "eth0", VIRTUAL, "source")
ARP_IGNORE = "net/ipv4/conf/eth0/arp_ignore"


@pytest.fixture
def machine() -> Iterator[Host]:
    if reason := why_not():
        skip_or_fail(reason, "VRRPLIB_REQUIRE_LINUX")
    with Lab() as lab:
        yield lab.host("a", "10.77.0.1/24", "10.77.0.2/24", "fd77::1/64")


@pytest.fixture
def kernel(machine: Host) -> Iterator[NetlinkHost]:
    host = NetlinkHost(machine.namespace, state_dir=machine.lab.directory / "state")
    yield host
    host.close()


def shown(machine: Host, name: str) -> dict:
    (link,) = machine.ip_json("-details", "link", "show", "dev", name)
    return link


# -- reading --


def test_a_link(machine: Host, kernel: NetlinkHost) -> None:
    link = kernel.link("eth0")
    assert (link.name, link.index, str(link.mac), link.kind) == (
        "eth0", shown(machine, "eth0")["ifindex"], machine.mac, "veth",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["eth9", "", "a" * 16, "a" * 300, "ü", "a/b", "%d"])
def test_no_link_of_that_name(kernel: NetlinkHost, name: str) -> None:
    assert kernel.link(name) is None
    assert kernel.addresses(name) == ()


def test_addresses_in_the_kernel_s_order(machine: Host, kernel: NetlinkHost) -> None:
    assert [str(address) for address in kernel.addresses("eth0")] == [
        "10.77.0.1/24", "10.77.0.2/24", "fd77::1/64", f"{machine.link_local()}/64",
    ]  # fmt: skip
    machine.ip("address", "add", "10.1.0.1", "peer", "10.1.0.2/32", "dev", "eth0")
    assert "10.1.0.1/32" in map(str, kernel.addresses("eth0"))


def test_more_addresses_than_one_answer_holds(machine: Host, kernel: NetlinkHost) -> None:
    many = [f"10.80.{number // 200}.{number % 200 + 1}/16" for number in range(600)]
    kernel.perform([AddAddress("eth0", address) for address in many])
    assert [item for item in map(str, kernel.addresses("eth0")) if item.startswith("10.80.")] == many


def test_sysctls(machine: Host, kernel: NetlinkHost) -> None:
    machine.sysctl(ARP_IGNORE, 2)
    assert kernel.sysctl(ARP_IGNORE) == "2"
    assert kernel.sysctl("net/ipv4/conf/eth9/arp_ignore") is None


def test_an_interface_with_a_dot_in_its_name(machine: Host, kernel: NetlinkHost) -> None:
    machine.ip("link", "set", "eth0", "down")
    machine.ip("link", "set", "eth0", "name", "lan.5")
    path = "net/ipv4/conf/lan.5/arp_ignore"
    kernel.perform((SetSysctl(path, "1"),))
    assert machine.sysctl(path) == kernel.sysctl(path) == "1"
    machine.run(*SetSysctl(path, "2").command.split())
    assert kernel.sysctl(path) == "2"


def test_primary_address(machine: Host) -> None:
    assert str(primary_address("eth0", Family.IPV4, netns=machine.namespace)) == "10.77.0.1"
    assert str(primary_address("eth0", Family.IPV6, netns=machine.namespace)) == machine.link_local()
    with pytest.raises(BackendError, match="lo has no IPv6 link-local address of its own to send from"):
        primary_address("lo", Family.IPV6, netns=machine.namespace)
    with pytest.raises(BackendError, match="no interface is named 'eth9'"):
        primary_address("eth9", Family.IPV4, netns=machine.namespace)


# -- operations --


def test_each_operation_does_what_its_command_says(machine: Host, kernel: NetlinkHost) -> None:
    """Once by netlink and once by ip(8) and sysctl(8), in two hosts: the same dump."""
    other = machine.lab.host("b", "10.77.0.1/24", "10.77.0.2/24", "fd77::1/64", mac=machine.mac)
    operations = (
        MADE,
        SetSysctl("net/ipv6/conf/v/addr_gen_mode", "1"),
        SetLinkUp("v"),
        AddAddress("v", "10.77.0.100/24", prefix_route=False),
        AddAddress("v", "192.0.2.1/24"),
        AddAddress("v", "fd77::100/64", prefix_route=False, source=False),
        AddAddress("v", "fe80::51/64", source=False),
        SetMacvlanMode("v", "private"),
        RemoveAddress("v", "192.0.2.1/24"),
        SetMac("eth0", "02:00:00:00:00:77"),
        SetSysctl(ARP_IGNORE, "1"),
        SetMacvlanMode("v", "source"),
        DeleteLink("v", VIRTUAL),
    )
    for operation in operations:
        kernel.perform((operation,))
        other.run("sh", "-ec", operation.command)
        assert machine.dump().diff(other.dump()) == [], operation.command


def test_every_undo_takes_its_operation_back(machine: Host, kernel: NetlinkHost) -> None:
    before = machine.dump()
    for operation in (
        MADE,
        SetMac("eth0", VIRTUAL),
        AddAddress("eth0", "10.77.0.9/24"),
        SetSysctl(ARP_IGNORE, "1"),
    ):
        undo = undo_of(operation, kernel)
        kernel.perform((undo,))
        assert before.diff(machine.dump()) == []
        kernel.perform((operation,))
        assert before.diff(machine.dump()) != []
        kernel.perform((undo,))
        kernel.perform((undo,))
        assert before.diff(machine.dump()) == []


@pytest.mark.parametrize(
    ("operation", "number", "hint"),
    [
        (AddMacvlan("eth0", "eth0", VIRTUAL, "source"), errno.EEXIST, "File exists"),
        (AddMacvlan("v", "eth9", VIRTUAL, "source"), errno.ENODEV, "No such device"),
        (AddMacvlan("v", "eth0", "01:00:5e:00:00:12", "source"), errno.EADDRNOTAVAIL, ""),
        (AddMacvlan("v" * 16, "eth0", VIRTUAL, "source"), errno.ERANGE, ""),
        (SetMacvlanMode("eth0", "private"), errno.EOPNOTSUPP, "this kind of interface cannot"),
        (SetMacvlanMode("v", "private"), errno.ENODEV, ""),
        (SetLinkUp("v"), errno.ENODEV, ""),
        (AddAddress("v", "10.0.0.1/24"), errno.ENODEV, ""),
        (SetSysctl("net/ipv4/conf/v/arp_ignore", "1"), errno.ENOENT, ""),
        (SetSysctl(ARP_IGNORE, "much"), errno.EINVAL, ""),
    ],
)
def test_refusals_name_the_operation(machine: Host, kernel: NetlinkHost, operation, number: int, hint: str) -> None:
    before = machine.dump()
    with pytest.raises(BackendError) as caught:
        kernel.perform((operation,))
    assert caught.value.errno == number
    assert operation.command in str(caught.value)
    assert hint in str(caught.value)
    assert before.diff(machine.dump()) == []


@pytest.mark.parametrize(
    "operation",
    [
        DeleteLink("v", VIRTUAL),
        DeleteLink("eth0", VIRTUAL),  # another MAC: not ours
        RemoveAddress("v", "10.0.0.1/24"),
        RemoveAddress("eth0", "10.0.0.1/24"),
        RemoveAddress("eth0", "fd00::1/64"),
        SetMacvlanMode("v", "source"),
        SetMac("eth0", VIRTUAL, expected="02:00:00:00:00:99"),
        SetMac("v", VIRTUAL, expected="02:00:00:00:00:99"),
        SetSysctl("net/ipv4/conf/v/arp_ignore", "1", expected="0"),
        SetSysctl(ARP_IGNORE, "1", expected="7"),
    ],
)
def test_what_is_undone_already_is_no_error(machine: Host, kernel: NetlinkHost, operation) -> None:
    before = machine.dump()
    kernel.perform((operation,))
    assert before.diff(machine.dump()) == []


def test_two_links_with_one_mac(kernel: NetlinkHost) -> None:
    kernel.perform((MADE, SetLinkUp("v"), AddMacvlan("w", "eth0", VIRTUAL, "private")))
    with pytest.raises(BackendError, match="another link on this interface has that MAC") as caught:
        kernel.perform((SetLinkUp("w"),))
    assert caught.value.errno == errno.EADDRINUSE


def test_a_batch_is_made_first_and_done_later(machine: Host, kernel: NetlinkHost) -> None:
    kernel.perform((MADE,))
    before = machine.dump()
    act = kernel.batch((AddAddress("v", "10.77.0.100/24"), SetMacvlanMode("v", "private")))
    assert before.diff(machine.dump()) == []
    act()
    assert shown(machine, "v")["linkinfo"]["info_data"]["mode"] == "private"
    act()  # and again: an activation may be tried twice
    assert [str(address) for address in kernel.addresses("v")] == ["10.77.0.100/24"]


def test_a_batch_of_more_than_one_call(machine: Host, kernel: NetlinkHost) -> None:
    kernel.perform((MADE,))
    many = [f"10.80.0.{number}/24" for number in range(1, 201)]
    kernel.batch([AddAddress("v", address) for address in many])()
    assert [str(address) for address in kernel.addresses("v")] == many


def test_a_batch_names_the_operation_that_failed(machine: Host, kernel: NetlinkHost) -> None:
    """A conflict that only the kernel can know: IPv6 is off on the link."""
    kernel.perform((MADE, SetSysctl("net/ipv6/conf/v/disable_ipv6", "1")))
    act = kernel.batch((AddAddress("v", "10.77.0.100/24"), AddAddress("v", "fd77::100/64"), SetLinkUp("v")))
    with pytest.raises(BackendError, match="fd77::100/64") as caught:
        act()
    assert caught.value.operation == AddAddress("v", "fd77::100/64")
    kernel.perform((SetLinkUp("v"),))  # the socket is in step with the kernel after that
    assert kernel.link("v") is not None


def test_a_mac_change_keeps_the_operator_s_neighbours(machine: Host, kernel: NetlinkHost) -> None:
    for number in range(100, 180):  # more than one call takes
        machine.ip("neigh", "add", f"10.77.0.{number}", "lladdr", "02:00:00:00:00:99", "dev", "eth0")
    machine.ip("neigh", "add", "fd77::9", "lladdr", "02:00:00:00:00:99", "dev", "eth0", "router")
    machine.ip("neigh", "add", "10.77.0.8", "lladdr", "02:00:00:00:00:98", "dev", "eth0", "nud", "noarp")
    machine.ip("neigh", "add", "10.77.0.7", "lladdr", "02:00:00:00:00:97", "dev", "eth0", "nud", "reachable")
    machine.ip("neigh", "add", "proxy", "10.77.0.6", "dev", "eth0")
    before = machine.dump()
    assert len(machine.ip_json("neigh", "show", "nud", "permanent")) == 81
    kernel.perform((SetMac("eth0", VIRTUAL),))
    kernel.perform((SetMac("eth0", machine.mac, expected=VIRTUAL),))
    assert before.diff(machine.dump()) == []
    shown_now = {entry["dst"]: entry["state"] for entry in machine.ip_json("neigh", "show", "nud", "all")}
    assert shown_now["10.77.0.8"] == ["NOARP"]
    assert "10.77.0.7" not in shown_now  # learned: it may have changed with the MAC
    (router,) = [
        entry for entry in machine.ip_json("neigh", "show", "nud", "permanent") if entry["dst"] == "fd77::9"
    ]
    assert "router" in router


# -- the rest of a Host --


@pytest.mark.parametrize(("kind", "config"), CASES, ids=NAMES)
def test_a_dry_run_s_operations_are_the_real_ones(machine: Host, kernel: NetlinkHost, kind, config) -> None:
    class Recording(NetlinkHost):
        done: list = []  # noqa: RUF012

        def batch(self, operations):
            act = super().batch(operations)

            def record():
                self.done.extend(operations)
                act()

            return record

    config = dataclasses.replace(
        config, primary_address=primary_address("eth0", config.family, netns=machine.namespace)
    )
    before = machine.dump()
    dry = DryRunBackend(kind("eth0", config), host=kernel)
    for step in life(dry):
        step()
    assert before.diff(machine.dump()) == []
    recording = Recording(machine.namespace, state_dir=machine.lab.directory / "state")
    recording.done = []
    for step in life(kind("eth0", config, host=recording)):
        step()
    recording.close()
    assert before.diff(machine.dump()) == []
    # what was there no longer, or held another value, is not recorded in a dry run
    assert [operation for operation in recording.done if operation in dry.operations] == list(dry.operations)
    assert len(recording.done) == len(dry.operations)


def test_a_copy_in_memory_sees_what_a_new_link_begins_with(machine: Host, kernel: NetlinkHost) -> None:
    machine.sysctl("net/ipv4/conf/default/rp_filter", 1)
    copy = MemoryHost(kernel)
    copy.perform((MADE,))
    kernel.perform((MADE,))
    for name in ("ipv4/conf/v/rp_filter", "ipv4/conf/v/arp_ignore", "ipv6/conf/v/accept_ra"):
        assert copy.sysctl(f"net/{name}") == kernel.sysctl(f"net/{name}")


def test_the_journal_of_each_namespace_is_its_own(machine: Host, kernel: NetlinkHost) -> None:
    other = machine.lab.host("b", "10.77.0.3/24")
    state_dir = machine.lab.directory / "state"
    config = RouterConfig(vrid=51, addresses=("10.77.0.100/24",), primary_address="10.77.0.1")
    hosts = [kernel, NetlinkHost(other.namespace, state_dir=state_dir)]
    backends = [MacvlanBackend("eth0", config, host=host) for host in hosts]
    for backend in backends:
        backend.prepare()
    assert len(list(state_dir.iterdir())) == 2
    assert cleanup(netns=machine.namespace, state_dir=state_dir) == []  # both live
    for backend in backends:
        backend.close()
    assert list(state_dir.iterdir()) == []
    hosts[1].close()


def test_a_host_may_be_closed_and_used_again(kernel: NetlinkHost) -> None:
    assert kernel.link("lo") is not None
    kernel.close()
    kernel.close()
    assert kernel.link("lo") is not None


def test_hosts_are_shared_by_namespace(machine: Host) -> None:
    host = netlink.shared_host(machine.namespace)
    assert netlink.shared_host(machine.path) is host
    assert netlink.shared_host(machine.lab.switch.namespace) is not host
    assert netlink.shared_host() is not host


def test_a_name_that_comes_to_mean_another_namespace_is_the_other_one_s(machine: Host) -> None:
    before = netlink.shared_host(machine.namespace)
    assert before.link("eth0") is not None
    machine.ip("link", "add", "mine", "type", "bridge")
    subprocess.run(["ip", "netns", "delete", machine.namespace], check=True)
    subprocess.run(["ip", "netns", "add", machine.namespace], check=True)
    assert netlink.shared_host(machine.namespace).link("mine") is None
    assert before.link("mine") is not None
    assert before.sysctl("net/ipv4/conf/mine/arp_ignore") == "0"


def test_a_shared_host_does_not_outlive_its_backends(machine: Host) -> None:
    before = len(os.listdir("/proc/self/fd"))
    host = netlink.shared_host(machine.namespace)
    assert host.link("eth0") is not None
    assert len(os.listdir("/proc/self/fd")) == before + 2
    del host
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_namespace_that_is_not_there_is_named() -> None:
    with pytest.raises(BackendError, match="no network namespace 'no-such-place'"):
        NetlinkHost("no-such-place").link("lo")


def test_an_operation_that_netlink_does_not_know(kernel: NetlinkHost) -> None:
    with pytest.raises(ConfigError, match="operation must be one that netlink knows"):
        kernel.perform((object(),))


def test_no_descriptor_is_left_open(machine: Host) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        cleanup(netns=machine.namespace, state_dir=machine.lab.directory / "state")
        primary_address("eth0", Family.IPV4, netns=machine.namespace)
        with pytest.raises(BackendError):
            primary_address("eth9", Family.IPV4, netns=machine.namespace)
    assert len(os.listdir("/proc/self/fd")) == before
