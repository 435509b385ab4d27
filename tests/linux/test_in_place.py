"""Real links: addresses exchanged while Active, a kernel without source mode, a link that the operator made."""

from __future__ import annotations

import dataclasses
import errno
import time

import pytest

from tests.backends.hosts import abandon
from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.linux.test_given_back import assert_same, make_odd, settled, shifted
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.netlink import NetlinkHost, cleanup
from vrrplib.backends.operations import AddMacvlan
from vrrplib.election.config import RouterConfig
from vrrplib.errors import BackendError

both_families = pytest.mark.parametrize("family", [4, 6])
MAC = {4: "00:00:5e:00:01:33", 6: "00:00:5e:00:02:33"}
STAYS = {4: "10.77.0.151", 6: "fd77::151"}
COMES = {4: "10.77.0.160", 6: "fd77::160"}
GOES = {4: "192.0.2.51", 6: "fd78::51"}


def config_of(host: Host, family: int) -> RouterConfig:
    primary = "10.77.0.1" if family == 4 else host.link_local()
    return RouterConfig(vrid=51, addresses=shifted(family, 51), primary_address=primary)


def observer_of(lab: Lab) -> Host:
    return lab.host("observer", "10.77.0.7/24", "fd77::7/64", "192.0.2.7/24", "fd78::7/64")


@both_families
def test_other_addresses_while_active(lab: Lab, family: int) -> None:
    """The address that stays answers all the time, on the same link, and its neighbours need not be told."""
    host, observer = lab.host("a", "10.77.0.1/24", "fd77::1/64"), observer_of(lab)
    make_odd(host)
    before = settled(host)
    kernel = NetlinkHost(host.namespace, state_dir=lab.directory / "state")
    config = config_of(host, family)
    new = f"{COMES[family]}/{24 if family == 4 else 64}"
    other = dataclasses.replace(config, priority=90, addresses=(*map(str, config.addresses[:-1]), new))
    backend = MacvlanBackend("eth0", config, host=kernel)
    backend.prepare()
    backend.activate()
    name = f"vmac{family}-{kernel.link('eth0').index}-51"
    made = kernel.link(name).index
    wait_until(lambda: observer.ping(STAYS[family]) and observer.ping(GOES[family]), 5, "answer")
    pinging = observer.spawn("ping", "-n", "-i0.002", "-c400", "-W1", STAYS[family])
    pinging.wait_for("icmp_seq=20 ")
    for _ in range(5):
        backend.reconfigure(other)
        backend.reconfigure(config)
    backend.reconfigure(other)
    assert pinging.wait() == 0
    assert "400 received, 0% packet loss" in pinging.log
    assert kernel.link(name).index == made
    wait_until(lambda: observer.ping(COMES[family]), 5, "answer")
    assert observer.neighbour(COMES[family]) == observer.neighbour(STAYS[family]) == MAC[family]
    assert not observer.ping(GOES[family], timeout=0.3)
    backend.deactivate()
    assert not observer.ping(COMES[family], timeout=0.3)
    backend.close()
    kernel.close()
    assert_same(before, host, "closed")


class NoSourceMode(NetlinkHost):
    """A kernel from before Linux 3.18, as far as macvlan goes."""

    def batch(self, operations):
        for operation in operations:
            if isinstance(operation, AddMacvlan) and operation.mode == "source":
                raise BackendError("Invalid argument", operation=operation, errno=errno.EINVAL)
        return super().batch(operations)


@both_families
def test_without_source_mode(lab: Lab, family: int) -> None:
    host, observer = lab.host("a", "10.77.0.1/24", "fd77::1/64"), observer_of(lab)
    make_odd(host)
    before = settled(host)
    state_dir = lab.directory / "state"
    kernel = NoSourceMode(host.namespace, state_dir=state_dir)
    backend = MacvlanBackend("eth0", config_of(host, family), host=kernel)
    with lab.capture() as capture:
        backend.prepare()
        time.sleep(0.5)
        assert not capture.from_mac(MAC[family], port="a")
        assert not observer.ping(STAYS[family], timeout=0.3)
        for _ in range(2):
            backend.activate()
            wait_until(lambda: observer.ping(STAYS[family]), 5, "answer")
            assert observer.neighbour(STAYS[family]) == MAC[family]
            backend.deactivate()
            since = time.monotonic()
            assert not observer.ping(STAYS[family], timeout=0.3)
            assert not capture.from_mac(MAC[family], port="a", since=since)
    backend.close()
    assert_same(before, host, "closed")
    backend.prepare()
    backend.activate()
    abandon(backend._journal)
    cleanup(netns=host.namespace, state_dir=state_dir)
    assert_same(before, host, "dead, and cleaned")
    kernel.close()


def make_operators_link(host: Host, family: int) -> None:
    """With the virtual MAC, as some make it for a daemon that makes none."""
    for words in (
        f"link add vip0 link eth0 address {MAC[family]} type macvlan mode bridge",
        "link set vip0 alias of-the-operator",
        "address add 10.77.0.60/24 dev vip0 label vip0:old",
        f"address add {STAYS[4]}/32 dev vip0",
    ):
        host.ip(*words.split())
    host.sysctl("net/ipv4/conf/vip0/arp_ignore", 2)
    host.sysctl("net/ipv6/conf/vip0/accept_dad", 0)
    for words in (
        "link set vip0 up",
        "address add fd77::60/64 dev vip0 nodad valid_lft 7000 preferred_lft 6000",
        "route add 10.98.0.0/24 via 10.77.0.7 dev vip0",
    ):
        host.ip(*words.split())
    wait_until(lambda: not host.ip_json("-6", "address", "show", "dev", "vip0", "tentative"), 5, "link-local")


@both_families
def test_a_link_that_the_operator_made(lab: Lab, family: int) -> None:
    host, observer = lab.host("a", "10.77.0.1/24", "fd77::1/64"), observer_of(lab)
    make_operators_link(host, family)
    before = settled(host)
    state_dir = lab.directory / "state"
    kernel = NetlinkHost(host.namespace, state_dir=state_dir)
    backend = MacvlanBackend("eth0", config_of(host, family), host=kernel, name="vip0")
    with lab.capture() as capture:
        backend.prepare()
        since = time.monotonic()  # until now it was the operator's, and spoke as it liked
        assert not observer.ping(STAYS[family], timeout=0.3)
        time.sleep(0.7)
        assert not capture.from_mac(MAC[family], port="a", since=since)
        for _ in range(2):
            backend.activate()
            wait_until(lambda: observer.ping(STAYS[family]), 5, "answer")
            assert observer.neighbour(STAYS[family]) == MAC[family]
            backend.deactivate()
            since = time.monotonic()
            assert not observer.ping(STAYS[family], timeout=0.3)
            assert not capture.from_mac(MAC[family], port="a", since=since)
    backend.close()
    assert_same(before, host, "closed")
    backend.prepare()
    backend.activate()
    assert before.diff(host.dump())
    abandon(backend._journal)
    cleanup(netns=host.namespace, state_dir=state_dir)
    assert_same(before, host, "dead, and cleaned")
    kernel.close()
