"""The host is given back: after every way to end, and after a death between any two operations.

A dump of everything that a program may change in a namespace, before and after; a test prints what it leaves out.
"""

from __future__ import annotations

import functools
import os
import socket
import struct
import time
from collections.abc import Callable

import pytest

from tests.linux.dump import ADDED_BY_MODULES, IGNORED, HostDump
from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.linux.running import V4, V6, Running
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.netlink import NetlinkHost, cleanup
from vrrplib.election.config import RouterConfig

CASES = [
    ("macvlan", 4), ("macvlan", 6), ("macswap", 4), ("macswap", 6), ("announce", 4), ("announce", 6),
]  # fmt: skip
NAMES = [f"{backend}-v{family}" for backend, family in CASES]
VIRTUAL = {4: V4, 6: V6}
EVERY_POINT = "VRRPLIB_EVERY_POINT"
"""Set: options are killed at every operation too, and not at every fifth: half a minute each."""
STANDING = {"standing": functools.partial(MacvlanBackend, standing=True)}
BACKENDS = {"macvlan": MacvlanBackend, "macswap": MacSwapBackend, "announce": AnnounceBackend}

ODD_SYSCTLS = {
    "net/ipv4/conf/all/rp_filter": 1,
    "net/ipv4/conf/eth0/rp_filter": 1,
    "net/ipv4/conf/eth0/arp_ignore": 2,
    "net/ipv4/conf/eth0/arp_announce": 1,
    "net/ipv4/conf/eth0/arp_filter": 1,
    "net/ipv4/conf/eth0/promote_secondaries": 0,
    "net/ipv4/conf/eth0/arp_notify": 0,
    "net/ipv4/conf/eth0/proxy_arp": 1,
    "net/ipv4/ip_forward": 1,
    "net/ipv6/conf/all/forwarding": 1,
    "net/ipv6/conf/eth0/ndisc_notify": 0,
    "net/ipv6/conf/eth0/accept_ra": 2,
    "net/ipv4/neigh/eth0/gc_stale_time": 77,
    # what a new link begins with
    "net/ipv4/conf/default/arp_ignore": 1,
    "net/ipv4/conf/default/arp_announce": 1,
    "net/ipv4/conf/default/rp_filter": 1,
    "net/ipv4/conf/default/proxy_arp": 1,
    "net/ipv4/conf/default/promote_secondaries": 1,
    "net/ipv6/conf/default/accept_ra": 2,
    "net/ipv6/conf/default/addr_gen_mode": 1,
    "net/ipv6/conf/default/use_tempaddr": 2,
    "net/ipv6/conf/default/disable_ipv6": 1,
}

TABLE = """
table inet operators {
    set friends { type ipv4_addr; elements = { 10.77.0.9, 10.77.0.100 } }
    chain input { type filter hook input priority 0; policy accept; ip saddr @friends counter accept; }
}
"""


def make_odd(host: Host) -> None:
    """What an operator may have set up before us."""
    for path, value in ODD_SYSCTLS.items():
        assert host.sysctl(path, value) == str(value)
    for words in (
        "address add 10.77.0.3/24 dev eth0 label eth0:old",
        "address add 172.16.5.1/30 dev eth0",
        "address add fd77::3/64 dev eth0 nodad",
        "route add 10.99.0.0/16 via 10.77.0.9 dev eth0 metric 77",
        "-6 route add fd99::/64 via fd77::9 dev eth0",
        "rule add from 10.77.0.3 lookup 77",
        "neigh add 10.77.0.9 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
        "neigh add fd77::9 lladdr 02:00:00:00:00:99 dev eth0 router nud permanent",
        "neigh add proxy 10.77.0.8 dev eth0",
        "link add operators0 link eth0 address 02:00:00:00:07:01 type macvlan mode bridge",
        "link set operators0 up alias of-the-operator",
    ):
        host.ip(*words.split())
    host.run("nft", "-f", "-", text=TABLE)


def assert_same(before: HostDump, host: Host, what: str) -> None:
    differences = before.diff(host.dump())
    assert not differences, "\n".join([what, *differences])


def settled(host: Host) -> HostDump:
    """A dump that will stay: the kernel is done with joining groups and detecting duplicates."""
    for link in ("eth0", "operators0"):
        host.run("ip", "-6", "address", "flush", "dev", link, "tentative", check=False)
    return host.dump()


def test_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(
            "\nnot compared:",
            *IGNORED,
            *(f"{path}: made by a kernel module" for path in ADDED_BY_MODULES),
            sep="\n  ",
        )


@pytest.mark.parametrize(
    ("backend", "family", "odd"),
    [*((*case, True) for case in CASES), ("macvlan", 4, False)],
    ids=[*(f"{name}-odd" for name in NAMES), "macvlan-v4"],
)
def test_every_way_to_end(lab: Lab, backend: str, family: int, odd: bool) -> None:
    """One host for each way, all in the same LAN at the same time, each with a VRID of its own."""
    ways: dict[str, Callable[[Running], None]] = {
        "terminated": lambda run: run.process.terminate(),
        "interrupted": lambda run: run.process.interrupt(),
        "killed, cleaned": lambda run: run.process.kill(),
        "killed, restarted": lambda run: run.process.kill(),
    }
    stories = [("backup", "terminated"), ("backup", "killed, cleaned"), *(("active", way) for way in ways)]
    runs: list[tuple[Running, HostDump, str, str]] = []
    for number, (state, way) in enumerate(stories, start=1):
        host = lab.host(f"h{number}", f"10.77.0.{10 + number}/24", f"fd77::{10 + number}/64")
        if odd:
            make_odd(host)
        before = settled(host)
        interval = 0.1 if state == "active" else 40.0
        running = Running(
            host, shifted(family, number), vrid=number, interval=interval, backend=backend, priority=254
        )
        runs.append((running, before, state, way))
    for running, *_ in runs:
        running.start()
    for running, _, state, _ in runs:
        running.wait(state)
    for running, before, _, way in runs:
        assert before.diff(running.host.dump()), "nothing was done to the host: the test cannot fail"
        assert running.leavings()
        ways[way](running)
    for running, before, state, way in runs:
        status = running.process.wait()
        if way.startswith("killed"):
            assert status == -9
            if state == "active" or backend == "macvlan":
                assert before.diff(running.host.dump()), "the kill left nothing to clean: the test cannot fail"
        else:
            assert status == 0, running.process.log
    for running, _, _, way in runs:
        if way == "killed, restarted":
            running.start()
    for running, before, state, way in runs:
        if way == "killed, cleaned":
            running.cleanup()
        elif way == "killed, restarted":
            running.wait(state).end()
        assert_same(before, running.host, f"{state}, {way}")
        assert running.leavings() == []


def shifted(family: int, number: int) -> tuple[str, ...]:
    """Virtual addresses of their own for each virtual router."""
    if family == 4:
        return (f"10.77.0.{100 + number}/24", f"192.0.2.{number}/24")
    return (f"fe80::5e:{number}/64", f"fd77::{100 + number}/64", f"fd78::{number}/64")


def router_advertisement() -> bytes:
    """A frame that offers fe80::99 as the default router for half an hour."""
    source, group = (socket.inet_pton(socket.AF_INET6, address) for address in ("fe80::99", "ff02::1"))
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    pseudo = source + group + struct.pack("!IHBB", len(body), 0, 0, 58)
    total = sum(struct.unpack(f"!{len(pseudo + body) // 2}H", pseudo + body))
    total = (total & 0xFFFF) + (total >> 16)
    body = body[:2] + struct.pack("!H", total ^ 0xFFFF) + body[4:]
    ethernet = bytes.fromhex("33330000000102000000009986dd")
    return ethernet + struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + source + group + body


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("router", ["all", "eth0"])
def test_a_default_route_that_another_interface_has_learned(lab: Lab, backend: str, router: str) -> None:
    """An uplink that is no router's interface itself: its route by Router Advertisement must outlive our start."""
    host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
    provider = lab.host("provider")
    host.ip("link", "add", "wan", "type", "veth", "peer", "name", "customer", "netns", provider.namespace)
    host.sysctl(f"net/ipv6/conf/{router}/forwarding", 1)
    host.sysctl("net/ipv6/conf/wan/forwarding", 0)
    host.sysctl("net/ipv6/conf/wan/accept_dad", 0)
    provider.ip("link", "set", "customer", "up")
    host.ip("link", "set", "wan", "up")

    def offer() -> bool:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as packets:
            packets.bind(("customer", 0))
            packets.send(router_advertisement())
        return bool(learned())

    def learned() -> list[str]:
        return [route["gateway"] for route in host.ip_json("-6", "route", "show", "default")]

    wait_until(lambda: provider.call(offer), 10, "route from the Router Advertisement")
    before = learned()
    running = Running(host, V6, backend=backend).start().wait("active")
    assert learned() == before == ["fe80::99"]
    running.end()
    assert learned() == before


# -- a death between any two operations --


class Mortal(NetlinkHost):
    """Dies instead of doing its n-th operation: os._exit() is as little of a farewell as SIGKILL."""

    left = 0

    def perform(self, operations):
        for operation in operations:
            self.spend()
            super().perform((operation,))

    def batch(self, operations):
        each = [super(Mortal, self).batch((operation,)) for operation in operations]

        def act():
            for operation in each:
                self.spend()
                operation()

        return act

    def spend(self):
        if self.left == 0:
            os._exit(9)
        self.left -= 1


def wait_for_new_addresses(host: Host) -> None:
    """Until the kernel has finished with them, which it does later, in a queue of its own.

    On a router it joins the prefix's anycast group then, and leaves it when an address is removed, joined or not:
    an address that was removed in between takes another one's membership along (seen on 6.18).
    """
    wait_until(lambda: not host.ip_json("-6", "address", "show", "dev", "eth0", "tentative"), 5, "end of detection")
    time.sleep(0.03)  # one without detection is never tentative, and joins as late


def live_and_die(host: Host, backend: str, config: RouterConfig, state_dir: str, operations: int) -> bool:
    """In a process of its own: prepare, activate, deactivate, activate, close. Whether it died before the end."""
    pid = os.fork()
    if pid == 0:
        try:
            mortal = Mortal(host.namespace, state_dir=state_dir)
            mortal.left = operations
            acting = (BACKENDS | STANDING)[backend]("eth0", config, host=mortal)
            for act in (acting.prepare, acting.activate, acting.deactivate, acting.activate, acting.close):
                act()
                wait_for_new_addresses(host)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    wait_for_new_addresses(host)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 9), "the child failed: see above"
    return code == 9


@pytest.mark.parametrize(
    ("backend", "family"),
    [*CASES, ("standing", 4), ("standing", 6)],
    ids=[*NAMES, "standing-v4", "standing-v6"],
)
def test_a_death_between_any_two_operations(
    lab: Lab, backend: str, family: int, capsys: pytest.CaptureFixture[str]
) -> None:
    host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
    make_odd(host)
    primary = "10.77.0.1" if family == 4 else host.link_local()
    config = RouterConfig(vrid=51, addresses=shifted(family, 51), primary_address=primary)
    state_dir = lab.directory / "state"
    before = settled(host)
    points = touched = tried = 0
    step = 1 if backend in BACKENDS or os.environ.get(EVERY_POINT) else 5
    while live_and_die(host, backend, config, str(state_dir), points):
        points += step
        tried += 1
        touched += any(len(journal.read_text().splitlines()) > 1 for journal in state_dir.glob("*/*-*"))
        cleanup(netns=host.namespace, state_dir=state_dir)
        assert_same(before, host, f"killed before operation {points - step + 1}")
        assert list(state_dir.rglob("*")) == []
    assert_same(before, host, "not killed at all")
    assert touched >= tried // 2
    with capsys.disabled():
        print(f"\n{backend} IPv{family}: killed at {tried} points, {touched} of them with something to undo")


@pytest.mark.parametrize("backend", ["macvlan", "macswap"])
def test_cleanup_may_be_killed_too(lab: Lab, backend: str) -> None:
    host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
    make_odd(host)
    config = RouterConfig(vrid=51, addresses=V4, primary_address="10.77.0.1")
    state_dir = str(lab.directory / "state")
    before = settled(host)
    operations = 0
    while True:
        host_operations = 12 if backend == "macvlan" else 6
        assert live_and_die(host, backend, config, state_dir, host_operations)
        pid = os.fork()
        if pid == 0:
            mortal = Mortal(host.namespace, state_dir=state_dir)
            mortal.left = operations
            mortal.clean()
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
            break
        operations += 1
        cleanup(netns=host.namespace, state_dir=state_dir)
        assert_same(before, host, f"cleanup was killed before its operation {operations}")
    assert operations > 2
    assert_same(before, host, "cleaned")
