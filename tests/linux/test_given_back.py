"""The host is given back after every way to end; test_deaths.py has a death at any moment.

A dump of everything that a program may change in a namespace, before and after; a test prints what it leaves out.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import pytest

from tests.linux.dump import ADDED_BY_MODULES, IGNORED, HostDump
from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.linux.running import V4, V6, Running
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.macvlan import MacvlanBackend

CASES = [
    ("macvlan", 4), ("macvlan", 6), ("macswap", 4), ("macswap", 6), ("announce", 4), ("announce", 6),
]  # fmt: skip
NAMES = [f"{backend}-v{family}" for backend, family in CASES]
VIRTUAL = {4: V4, 6: V6}
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


def test_the_next_run_does_not_send_from_an_address_that_a_dead_one_has_left(lab: Lab) -> None:
    host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
    own, before = host.link_local(), settled(host)
    dead = Running(host, ("fe80::1/64",), vrid=52, backend="announce").start().wait("active")
    dead.process.kill()
    dead.process.wait()
    running = Running(host, V6, backend="announce")
    assert running.state_dir == dead.state_dir
    running.start().wait("active")
    (source,) = [event["source"] for event in running.events if "source" in event]
    assert source == own
    running.end()
    assert_same(before, host, "both are gone")
