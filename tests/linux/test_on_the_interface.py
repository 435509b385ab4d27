"""Backends that put the virtual addresses on the interface itself: MAC swap and announce.

What an observer sees of base and virtual addresses, what becomes of the operator's addresses and routes, and of
Router Advertisements that arrive while the interface has the virtual MAC.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux.capture import Capture
from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.linux.running import V4, V6, VIRTUAL_V4, VIRTUAL_V6, Running
from tests.linux.test_observer import (
    ADDRESSES,
    NOT_LINK_LOCAL,
    Sampler,
    claims,
    crowded,
    host_part,
    keep_pinging,
    make_it_ask,
    observer_of,
)
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.netlink import NetlinkHost, cleanup
from vrrplib.backends.plan import PlannedBackend
from vrrplib.election.config import RouterConfig
from vrrplib.election.router import Router
from vrrplib.errors import BackendError
from vrrplib.node import Node
from vrrplib.transports.memory import MemoryTransport

VIRTUAL_MAC = {4: VIRTUAL_V4, 6: VIRTUAL_V6}
CONFIG = {
    4: RouterConfig(vrid=51, addresses=V4, primary_address="10.77.0.1"),
    6: RouterConfig(vrid=51, addresses=V6, primary_address="fe80::ff:fe00:1"),
}
both_families = pytest.mark.parametrize("family", [4, 6])
both_backends = pytest.mark.parametrize("kind", [MacSwapBackend, AnnounceBackend], ids=["macswap", "announce"])


@pytest.fixture
def machine(lab: Lab) -> Host:
    return lab.host("a", "10.77.0.1/24", "fd77::1/64")


@pytest.fixture
def kernel(machine: Host) -> Iterator[NetlinkHost]:
    host = NetlinkHost(machine.namespace, state_dir=machine.lab.directory / "state")
    yield host
    host.close()


# -- what an observer sees --


@both_families
@pytest.mark.parametrize(("backend", "forwarding"), [("macswap", True), ("announce", False)])
def test_what_an_observer_sees_of_a_failover(
    lab: Lab, backend: str, forwarding: bool, family: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """b is Active, a preempts and resigns; both ask everybody from every address meanwhile."""
    a, b = crowded(lab, "a", 1), crowded(lab, "b", 2)
    for host in (a, b):
        host.sysctl("net/ipv4/ip_forward", int(forwarding))
        host.sysctl("net/ipv6/conf/all/forwarding", int(forwarding))
    observer = observer_of(lab, family)
    watched = NOT_LINK_LOCAL[family]
    real = {host: [host_part(item) for item in host.addresses] for host in (a, b)}
    with lab.capture() as capture, Sampler(observer, (*watched, *real[a], *real[b])) as sampler:
        low = Running(b, ADDRESSES[family], priority=100, backend=backend).start().wait("active")
        pings = keep_pinging(observer, watched)
        wait_until(lambda: all(observer.neighbour(address) for address in watched), 5, "neighbours")
        make_it_ask(b, observer, family, lab)
        high = Running(a, ADDRESSES[family], priority=200, backend=backend).start().wait("active")
        low.wait("backup")
        make_it_ask(a, observer, family, lab)
        asked = {}
        for host in (a, b):  # what the real addresses are known by while a is Active
            address = real[host][0 if family == 4 else 3]
            assert observer.ping(address)
            asked[host] = observer.neighbour(address)
        high.end()
        low.wait("active")
        # told by the kernel that a has its own MAC again: no ping to a waits until the entry is old
        assert observer.ping(real[a][0 if family == 4 else 3])
        assert observer.neighbour(real[a][0 if family == 4 else 3]) == a.mac
        low.end()
        for ping in pings:
            ping.interrupt()
            ping.wait()
    found = sampler.macs()
    virtual = VIRTUAL_MAC[family]
    if backend == "macswap":
        assert asked == {a: virtual, b: b.mac}
        for address in watched:
            assert found[address] == {virtual}
    else:
        assert asked == {a: a.mac, b: b.mac}
        for address in watched:
            assert found[address] == {a.mac, b.mac}
    for host in (a, b):
        for address in real[host]:
            assert found.get(address, set()) <= ({host.mac, virtual} if backend == "macswap" else {host.mac})
    checked = assert_each_speaks_for_itself(capture, backend, family, (a, b))
    with capsys.disabled():
        lost = [ping.log.splitlines()[-2] for ping in pings]
        print(f"\n{backend} IPv{family}: {checked} claims in {len(capture.frames)} frames; {'; '.join(lost)}")


def assert_each_speaks_for_itself(capture: Capture, backend: str, family: int, hosts: tuple[Host, ...]) -> int:
    """Who claims an address claims it for a MAC that it has: virtual ones for the virtual MAC, if there is one."""
    virtual = {str(ipaddress.ip_interface(address).ip) for address in ADDRESSES[family]}
    ports = {host.name: host for host in hosts}
    checked = 0
    for frame in capture.frames:
        if frame.port not in ports:
            continue
        for address, mac in claims(frame):
            host = ports[frame.port]
            checked += 1
            allowed = {host.mac}
            if backend == "macswap":
                allowed = {VIRTUAL_MAC[family]} if address in virtual else {host.mac, VIRTUAL_MAC[family]}
            assert mac in allowed, (
                f"{frame.port} at {frame.time:.3f} claims {address} for {mac}: {frame.data.hex()}"
            )
    assert checked > 20
    return checked


# -- the operator's addresses and routes --


@both_families
@both_backends
def test_the_operator_s_own_address_stays_the_source(
    machine: Host, kernel: NetlinkHost, kind: type[PlannedBackend], family: int
) -> None:
    for words in ("address add 10.88.0.1/16 dev eth0", "-6 address add fd88::1/48 dev eth0 nodad"):
        machine.ip(*words.split())
    config = RouterConfig(
        vrid=51,
        addresses=(*V4, "10.88.0.100/24", "192.0.2.100/24")
        if family == 4
        else (*V6, "fd88::100/64", "fd99::100/64"),
        primary_address=CONFIG[family].primary_address,
    )
    own = {"10.77.0.9": "10.77.0.1", "10.88.0.9": "10.88.0.1", "192.0.2.9": "192.0.2.100"} if family == 4 else {
        "fd77::9": "fd77::1", "fd88::9": "fd88::1", "fe80::9": "fe80::ff:fe00:1",
    }  # fmt: skip
    before = machine.dump()
    with kind("eth0", config, host=kernel) as backend:
        backend.prepare()
        backend.activate()
        for destination, source in own.items():
            assert machine.ip_json("route", "get", destination, "oif", "eth0")[0]["prefsrc"] == source
        backend.deactivate()
    assert before.diff(machine.dump()) == []


@both_families
@both_backends
def test_an_operator_s_routes_outlive_our_addresses(
    machine: Host, kernel: NetlinkHost, kind: type[PlannedBackend], family: int
) -> None:
    """Routes as NetworkManager makes them, beside addresses that bring none, and routes without an address."""
    for words in (
        "address add 10.88.0.1/24 dev eth0 noprefixroute",
        "route add 10.88.0.0/24 dev eth0 proto kernel scope link src 10.88.0.1 metric 100",
        "-6 address add fd88::1/64 dev eth0 nodad noprefixroute",
        "-6 route add fd88::/64 dev eth0 proto kernel metric 100",
        "-6 route add fd99::/64 dev eth0 metric 100",
        "route add 192.0.2.0/24 dev eth0 metric 100",
        "-6 address add fd66::1/64 dev eth0 nodad valid_lft 4000 preferred_lft 3000",
    ):
        machine.ip(*words.split())
    addresses = {
        4: ("10.88.0.100/24", "192.0.2.100/24"),
        6: ("fe80::5e:51/64", "fd88::100/64", "fd99::100/64", "fd66::100/64"),
    }
    config = RouterConfig(vrid=51, addresses=addresses[family], primary_address=CONFIG[family].primary_address)
    before = machine.dump()
    with kind("eth0", config, host=kernel) as backend:
        backend.prepare()
        backend.activate()
        assert before.diff(machine.dump())
        assert not [name for name in before.entries.keys() - machine.dump().entries if name.startswith("route")]
        backend.deactivate()
    assert before.diff(machine.dump()) == []


def test_two_virtual_routers_in_a_subnet_that_is_nobody_s(machine: Host, kernel: NetlinkHost) -> None:
    """One is prepared while the other is Active: each must bring the route, and neither take it along."""
    before = machine.dump()
    backends = []
    for vrid in (51, 52):
        config = RouterConfig(
            vrid=vrid, addresses=(f"fe80::5e:{vrid}/64", f"fd99::{vrid}/64"), primary_address="fe80::ff:fe00:1"
        )
        backends.append(AnnounceBackend("eth0", config, host=kernel))
        backends[-1].prepare()
        backends[-1].activate()
    backends[0].close()
    assert machine.ip_json("route", "get", "fd99::9", "from", "fd99::52")[0]["dev"] == "eth0"
    backends[1].close()
    assert before.diff(machine.dump()) == []


# -- IPv6 interface identifiers: RFC 9568 7.4 --


def advertise(lab: Lab, host: Host, prefix: str) -> None:
    """A Router Advertisement of a /64 to live for an hour, from fe80::99 behind the switch."""
    source, group = (socket.inet_pton(socket.AF_INET6, address) for address in ("fe80::99", "ff02::1"))
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    body += struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 1800, 0) + socket.inet_pton(socket.AF_INET6, prefix)
    pseudo = source + group + struct.pack("!IHBB", len(body), 0, 0, 58)
    total = sum(struct.unpack(f"!{len(pseudo + body) // 2}H", pseudo + body))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    body = body[:2] + struct.pack("!H", total ^ 0xFFFF) + body[4:]
    frame = bytes.fromhex("33330000000102000000009986dd")
    host.send(frame + struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + source + group + body)


def ipv6_addresses(machine: Host) -> dict[str, int]:
    """Each with the rest of its life in seconds."""
    links = machine.ip_json("-6", "address", "show", "dev", "eth0")
    return {item["local"]: item["valid_life_time"] for link in links for item in link["addr_info"]}


@both_families
@pytest.mark.parametrize("mode", ["0", "1"], ids=["eui64", "none"])
def test_no_address_is_made_of_the_virtual_mac(
    lab: Lab, machine: Host, kernel: NetlinkHost, family: int, mode: str
) -> None:
    provider = lab.host("provider")
    machine.sysctl("net/ipv6/conf/eth0/addr_gen_mode", mode)
    advertise(lab, provider, "fd01::")
    wait_until(lambda: "fd01::ff:fe00:1" in ipv6_addresses(machine), 5, "address by Router Advertisement")
    before = machine.dump()
    identifier = "200:5eff:fe00:133" if family == 4 else "200:5eff:fe00:233"
    state_dir = lab.directory / "state"
    with MacSwapBackend("eth0", CONFIG[family], host=kernel) as backend:
        backend.prepare()
        backend.activate()
        aged = ipv6_addresses(machine)["fd01::ff:fe00:1"]
        assert 0 < aged <= 3600
        machine.ip(
            "address", "change", "fd01::ff:fe00:1/64", "dev", "eth0", "valid_lft", "1000", "preferred_lft", "900"
        )
        advertise(lab, provider, "fd01::")
        advertise(lab, provider, "fd02::")  # first heard of now
        wait_until(lambda: "fd02::ff:fe00:1" in ipv6_addresses(machine), 5, "address of the new prefix")
        assert ipv6_addresses(machine)["fd01::ff:fe00:1"] > 1000, "its life is not renewed"
        if mode == "0":
            machine.ip("link", "set", "eth0", "down")
            machine.ip("link", "set", "eth0", "up")
            time.sleep(0.2)
        assert not [address for address in ipv6_addresses(machine) if address.endswith(identifier)]
        if mode == "0":
            backend.deactivate()
            wait_until(lambda: "fe80::ff:fe00:1" in ipv6_addresses(machine), 5, "link-local address")
            assert not [address for address in ipv6_addresses(machine) if address.endswith(identifier)]
            return
        backend.deactivate()
    # what was learned meanwhile is the host's own, and stays
    assert {"fd01::ff:fe00:1", "fd02::ff:fe00:1"} <= set(ipv6_addresses(machine))
    machine.ip("address", "del", "fd02::ff:fe00:1/64", "dev", "eth0")
    machine.run("ip", "-6", "route", "flush", "fd02::/64")
    assert not [line for line in before.diff(machine.dump()) if "fd01::" not in line]
    assert not state_dir.exists() or not list(state_dir.rglob("*journal"))


# -- one MAC, one virtual router; and what cannot be --


def test_a_second_one_is_refused_in_another_process_and_in_another_node(machine: Host, kernel: NetlinkHost) -> None:
    first = Running(machine, backend="macswap").start().wait("active")
    state_dir = first.state_dir
    before = machine.dump()
    second = Running(machine, ("10.77.0.52/24",), vrid=52, backend="macswap").start()
    assert second.process.wait() == 1
    assert "room for one virtual router only" in second.process.log
    other = NetlinkHost(machine.namespace, state_dir=state_dir)
    for kind in (MacSwapBackend, MacvlanBackend, AnnounceBackend):
        config = RouterConfig(vrid=52, addresses=("10.77.0.52/24",), primary_address="10.77.0.1")
        node = Node(MemoryTransport(interface="eth0"))
        node.add(Router(config), kind("eth0", config, host=other))
        with pytest.raises(BackendError, match="room for one virtual router only"):
            node.start(0.0)
    other.close()
    assert before.diff(machine.dump()) == []
    first.end()


def test_two_nodes_in_one_process(machine: Host, kernel: NetlinkHost) -> None:
    nodes = []
    for vrid in (51, 52):
        config = RouterConfig(vrid=vrid, addresses=(f"10.77.0.{vrid}/24",), primary_address="10.77.0.1")
        nodes.append(Node(MemoryTransport(interface="eth0")))
        nodes[-1].add(Router(config), MacSwapBackend("eth0", config, host=kernel))
    nodes[0].start(0.0)
    with pytest.raises(BackendError, match="room for one virtual router only"):
        nodes[1].start(0.0)
    nodes[0].stop(1.0)
    nodes[1].start(2.0)
    nodes[1].stop(3.0)


UNFIT = {
    "lo": ([], "lo", "it has no Ethernet address"),
    "ifb": (["link add fixed0 type ifb"], "fixed0", "the MAC of an interface of kind ifb cannot change"),
    "port": (
        ["link add br0 type bridge", "link add p0 type veth peer name p1", "link set p0 master br0"], "p0",
        "it is a port of a bridge: use the bridge itself",
    ),
    "passthru": (
        ["link add child0 link eth0 type macvlan mode passthru"], "eth0",
        "child0 stands on it with the MAC 02:00:00:00:00:01",
    ),
    "clash": (
        [f"link add child0 link eth0 address {VIRTUAL_V4} type macvlan mode bridge"], "eth0",
        f"child0 stands on it with the MAC {VIRTUAL_V4}",
    ),
    "virtual": ([f"link set eth0 address {VIRTUAL_V4}"], "eth0", "it has the virtual MAC"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNFIT)
def test_an_interface_that_is_not_fit_is_refused_before_anything_is_done(
    machine: Host, kernel: NetlinkHost, case: str
) -> None:
    setup, interface, message = UNFIT[case]
    for words in setup:
        machine.ip(*words.split())
    before = machine.dump()
    with pytest.raises(BackendError) as caught:
        MacSwapBackend(interface, CONFIG[4], host=kernel).prepare()
    assert message in str(caught.value)
    assert before.diff(machine.dump()) == []
    assert cleanup(netns=machine.namespace, state_dir=machine.lab.directory / "state") == []


def test_by_ioctl(machine: Host, kernel: NetlinkHost) -> None:
    before = machine.dump()
    with MacSwapBackend("eth0", CONFIG[4], ioctl=True, host=kernel) as backend:
        backend.prepare()
        backend.activate()
        assert machine.ip_json("link", "show", "dev", "eth0")[0]["address"] == VIRTUAL_V4
    assert before.diff(machine.dump()) == []


def test_the_token_goes_also_where_advertisements_are_no_longer_heard(machine: Host, kernel: NetlinkHost) -> None:
    """The kernel takes a token only where they are heard: the operator may have made it a router since."""
    with MacSwapBackend("eth0", CONFIG[4], host=kernel) as backend:
        backend.prepare()
        assert kernel.link("eth0").identifier == "::ff:fe00:1"
        machine.sysctl("net/ipv6/conf/all/forwarding", 1)
        before = machine.dump()
    assert kernel.link("eth0").identifier == "::"
    assert not [line for line in before.diff(machine.dump()) if "accept_ra" in line or "forwarding" in line]


@both_backends
def test_routes_that_would_go_with_the_last_address(
    machine: Host, kernel: NetlinkHost, kind: type[PlannedBackend]
) -> None:
    machine.ip("address", "flush", "dev", "eth0", "scope", "global")
    machine.ip("route", "add", "192.0.2.0/24", "dev", "eth0")
    before = machine.dump()
    with pytest.raises(BackendError, match=r"eth0 has a route to 192\.0\.2\.0/24 and no IPv4 address"):
        kind("eth0", CONFIG[4], host=kernel).prepare()
    assert before.diff(machine.dump()) == []
    machine.ip("route", "del", "192.0.2.0/24", "dev", "eth0")
    with kind("eth0", CONFIG[4], host=kernel) as backend:
        backend.prepare()
        backend.activate()


# -- SIGKILL in the middle of a swap --


def swap_without_end(machine: Host, state_dir: Path, ready: int) -> None:
    """In a child: Active and Backup by turns until it is killed."""
    host = NetlinkHost(machine.namespace, state_dir=state_dir)
    backend = MacSwapBackend("eth0", CONFIG[4], host=host)
    backend.prepare()
    os.write(ready, b".")
    while True:
        backend.activate()
        backend.deactivate()


def test_neighbours_of_the_operator_outlive_a_kill_at_any_moment(machine: Host) -> None:
    lines = [
        f"neigh add 10.77.{number // 200}.{number % 200 + 3} lladdr 02:00:00:00:00:99 dev eth0 nud permanent"
        for number in range(200)
    ]
    machine.run("ip", "-batch", "-", text="\n".join(lines) + "\n")
    before = machine.dump()
    state_dir = machine.lab.directory / "state"
    interrupted = 0
    for attempt in range(8):
        readable, writable = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                swap_without_end(machine, state_dir, writable)
            finally:
                os._exit(1)
        os.close(writable)
        assert os.read(readable, 1)
        os.close(readable)
        time.sleep(0.0053 * attempt)
        os.kill(pid, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        interrupted += bool(cleanup(netns=machine.namespace, state_dir=state_dir))
        assert len(machine.ip_json("neigh", "show", "nud", "permanent")) == 200
    assert interrupted
    assert before.diff(machine.dump()) == []
