"""The point of it all: whoever is Active, a neighbour of the virtual address knows it by its virtual MAC alone."""

from __future__ import annotations

import ipaddress
import itertools
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.linux.capture import Capture, Frame
from tests.linux.lab import Host, Lab
from tests.linux.process import Process, wait_until
from tests.linux.running import V4, V6, VIRTUAL_V4, VIRTUAL_V6, Running

VIRTUAL_MAC = {4: VIRTUAL_V4, 6: VIRTUAL_V6}
OUTSIDE = {4: ("192.0.2.100/24", "192.0.2.9/24"), 6: ("fd99::100/64", "fd99::9/64")}
ADDRESSES = {4: (*V4, OUTSIDE[4][0]), 6: (*V6, OUTSIDE[6][0])}
NOT_LINK_LOCAL = {4: ("10.77.0.100", "192.0.2.100"), 6: ("fd77::100", "fd99::100")}
both_families = pytest.mark.parametrize("family", [4, 6])


class Sampler:
    """Every MAC that a host's neighbour cache has had for some addresses: each change, and a look every few ms."""

    def __init__(self, host: Host, addresses: tuple[str, ...]) -> None:
        self.host = host
        self.addresses = {ipaddress.ip_address(address) for address in addresses}
        self.seen: list[tuple[float, str, str]] = []
        self.looks = 0
        self._ended = threading.Event()

    def __enter__(self) -> Sampler:
        self._monitor: Process = self.host.spawn("ip", "monitor", "neigh", "dev", "eth0")
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._monitor.terminate()
        self._monitor.wait()

    def _look(self) -> None:
        """ARP's table is a file, and cheap; for IPv6 the changes must do, with a look now and then."""
        with self.host.call(open, "/proc/thread-self/net/arp") as table:
            while not self._ended.wait(0.005):
                table.seek(0)
                for words in itertools.islice(map(str.split, table), 1, None):
                    self._note(words[0], words[3] if words[2] != "0x0" else "00:00:00:00:00:00")
                self.looks += 1

    def _note(self, address: str, mac: str) -> None:
        if mac != "00:00:00:00:00:00":  # not resolved yet
            self.seen.append((time.monotonic(), address, mac))

    def macs(self) -> dict[str, set[str]]:
        """What each address was known by."""
        found: dict[str, set[str]] = {}
        told = [line.split() for line in self._monitor.log.splitlines() if "lladdr" in line]
        changes = [(words[0], words[words.index("lladdr") + 1]) for words in told if words[0] != "Deleted"]
        for address, mac in [*changes, *((address, mac) for _, address, mac in self.seen)]:
            if ipaddress.ip_address(address) in self.addresses:
                found.setdefault(address, set()).add(mac)
        return found

    @property
    def changes(self) -> int:
        return self._monitor.log.count("lladdr")


def claims(frame: Frame) -> Iterator[tuple[str, str]]:
    """(address, MAC) pairs that a frame would have its receivers believe: ARP's sender, ND's options."""
    if frame.ether_type == 0x0806 and len(frame.data) >= 42:
        mac, address = frame.data[22:28].hex(":"), str(ipaddress.IPv4Address(frame.data[28:32]))
        if address != "0.0.0.0":  # a probe claims nothing
            yield address, mac
            yield address, frame.source_mac
    if (fields := frame.ip) is None:
        return
    family, source, _, _, protocol, message = fields
    if (family, protocol) != (6, 58) or not message or message[0] not in (133, 134, 135, 136):
        return
    start = {133: 8, 134: 16, 135: 24, 136: 24}[message[0]]
    claimed = str(ipaddress.IPv6Address(message[8:24])) if message[0] == 136 else source
    if claimed != "::":
        yield claimed, frame.source_mac
    while start + 8 <= len(message) and message[start + 1]:
        if message[start] in (1, 2):
            yield claimed, message[start + 2 : start + 8].hex(":")
        start += 8 * message[start + 1]


def assert_honest(capture: Capture, family: int, hosts: tuple[Host, ...]) -> int:
    """No frame claims a virtual address for another MAC, nor an address of a host for the virtual MAC."""
    virtual = {str(ipaddress.ip_interface(address).ip) for address in ADDRESSES[family]}
    checked = 0
    for frame in capture.frames:
        for address, mac in claims(frame):
            checked += 1
            assert (address in virtual) == (mac == VIRTUAL_MAC[family]), (
                f"{frame.port} at {frame.time:.3f} claims {address} for {mac}: {frame.data.hex()}"
            )
    return checked


def crowded(lab: Lab, name: str, number: int) -> Host:
    """A router with several addresses, also in the same subnet, as real ones have."""
    return lab.host(
        name, f"10.77.0.{number}/24", f"10.77.0.{number + 20}/24", f"10.88.0.{number}/24",
        f"fd77::{number}/64", f"fd77::{number + 20}/64", f"fd88::{number}/64",
    )  # fmt: skip


def observer_of(lab: Lab, family: int) -> Host:
    observer = lab.host("observer", "10.77.0.9/24", "fd77::9/64", OUTSIDE[family][1])
    for version in (4, 6):
        # it asks again soon: an entry is stale after a blink, and then confirmed by unicast, then by broadcast
        observer.sysctl(f"net/ipv{version}/neigh/eth0/base_reachable_time_ms", 300)
        observer.sysctl(f"net/ipv{version}/neigh/eth0/delay_first_probe_time", 0)
        observer.sysctl(f"net/ipv{version}/neigh/eth0/locktime", 0)  # believes the last word at once
    observer.sysctl("net/ipv4/conf/eth0/arp_accept", 1)  # and whoever it has not asked
    return observer


def keep_pinging(observer: Host, addresses: tuple[str, ...]) -> list[Process]:
    return [observer.spawn("ping", "-n", "-i0.02", "-W1", address) for address in addresses]


def make_it_ask(active: Host, observer: Host, family: int, lab: Lab) -> None:
    """Have the Active host's own kernel ask who is who, from every address that it has, each time afresh."""
    if family == 4:
        sources = ("10.77.0.100", active.addresses[0].split("/")[0], active.addresses[1].split("/")[0])
        targets = ("10.77.0.9",)
    else:
        sources = ("fd77::100", active.addresses[3].split("/")[0], active.addresses[4].split("/")[0])
        targets = ("fd77::9",)
    others = (NOT_LINK_LOCAL[family][1], OUTSIDE[family][1].split("/")[0])
    for source, target in [
        *itertools.product(sources, targets),
        others,
        (sources[1], others[1]),
        (others[0], targets[0]),
    ]:
        for device in [link["ifname"] for link in active.ip_json("link", "show") if link["ifname"] != "lo"]:
            active.run("ip", "neigh", "flush", "dev", device, check=False)
        active.run("ping", "-n", "-c1", "-W1", "-I", source, target, check=False)
    unknown = "10.77.0.77" if family == 4 else "fd77::77"  # nobody answers: asked for again and again
    active.run("ping", "-n", "-c1", "-W1", "-I", sources[0], unknown, check=False)
    active.run("ping", "-n", "-c1", "-W1", unknown, check=False)


@both_families
def test_the_whole_way_through_a_failover(lab: Lab, family: int, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = crowded(lab, "a", 1), crowded(lab, "b", 2)
    observer = observer_of(lab, family)
    watched = NOT_LINK_LOCAL[family]
    with (
        lab.capture() as capture,
        Sampler(observer, (*watched, *map(host_part, a.addresses + b.addresses))) as sampler,
    ):
        low = Running(b, ADDRESSES[family], priority=100).start().wait("active")
        pings = keep_pinging(observer, watched)
        wait_until(lambda: all(observer.neighbour(address) for address in watched), 5, "neighbours")
        make_it_ask(b, observer, family, lab)
        high = Running(a, ADDRESSES[family], priority=200).start().wait("active")  # preempts
        low.wait("backup")
        make_it_ask(a, observer, family, lab)
        high.crash()
        a.link_down()  # the whole host is gone
        low.wait("active")
        make_it_ask(b, observer, family, lab)
        a.link_up()
        high.start().wait("active")  # returns, and gives back what its dead self left
        low.wait("backup")
        make_it_ask(a, observer, family, lab)
        wait_until(lambda: observer.ping(watched[0]), 5, "answer")
        found = sampler.macs()
        for host in (a, b):  # the real addresses answer with the real MAC
            base = host_part(host.addresses[0 if family == 4 else 3])
            assert observer.ping(base)
            assert observer.neighbour(base) == host.mac
        high.end()
        low.wait("active").end()
        for ping in pings:
            ping.interrupt()
            ping.wait()
    for address in watched:
        assert found[address] == {VIRTUAL_MAC[family]}, found
    virtual = sampler.macs()
    for host in (a, b):
        for address in map(host_part, host.addresses):
            assert virtual.get(address, {host.mac}) == {host.mac}
    checked = assert_honest(capture, family, (a, b))
    with capsys.disabled():
        lost = [ping.log.splitlines()[-2] for ping in pings]
        print(f"\nIPv{family}: {sampler.looks} looks, {sampler.changes} changes at the observer's, {checked} "
              f"claims in {len(capture.frames)} frames; {'; '.join(lost)}")  # fmt: skip
    assert checked > 40
    assert sampler.looks > 200


def host_part(address: str) -> str:
    return address.partition("/")[0]


@both_families
@pytest.mark.parametrize("operator", ["rp_filter", "proxy_arp", "arp_ignore"])
def test_sysctls_of_the_operator_do_not_spoil_it(lab: Lab, family: int, operator: str) -> None:
    """Strict reverse paths, forwarding and proxy ARP everywhere, an arp_ignore of 2."""
    a = crowded(lab, "a", 1)
    for scope in ("all", "default", "eth0"):
        if operator == "rp_filter":
            a.sysctl(f"net/ipv4/conf/{scope}/rp_filter", 1)
        elif operator == "arp_ignore":
            a.sysctl(f"net/ipv4/conf/{scope}/arp_ignore", 2)
        else:
            a.sysctl(f"net/ipv4/conf/{scope}/forwarding", 1)
            a.sysctl(f"net/ipv6/conf/{scope}/forwarding", 1)
            a.sysctl(f"net/ipv4/conf/{scope}/proxy_arp", 1)
    observer = observer_of(lab, family)
    bystander = lab.host("c", "10.77.0.8/24", "fd77::8/64")
    with lab.capture() as capture:
        running = Running(a, ADDRESSES[family]).start().wait("active")
        for address in NOT_LINK_LOCAL[family]:
            assert observer.ping(address, count=3) == 3
            assert observer.neighbour(address) == VIRTUAL_MAC[family]
        real = {"10.77.0.1": a.mac, "10.77.0.8": bystander.mac, "fd77::1": a.mac, "fd77::8": bystander.mac}
        for address, mac in real.items():
            observer.run("ip", "neigh", "flush", "dev", "eth0")
            assert observer.ping(address)
            time.sleep(1.0 if operator == "proxy_arp" else 0.1)  # a proxy answers late: proxy_delay is 0.8 s
            assert observer.neighbour(address) == mac
        running.end()
    assert_honest(capture, family, (a,))


def test_the_claims_of_a_frame() -> None:
    """The reading above finds a slip: ARP's sender and the frame's, and ND's options."""
    arp = bytes.fromhex(
        "ffffffffffff0200000000010806000108000604000102000000000 10a4d0064000000000000 0a4d0009".replace(" ", "")
    )
    assert set(claims(Frame(0, "a", arp))) == {("10.77.0.100", "02:00:00:00:00:01")}
    body = (
        bytes([136, 0, 0, 0, 0xA0, 0, 0, 0])
        + socket.inet_pton(socket.AF_INET6, "fd77::100")
        + bytes([2, 1])
        + bytes(6)
    )
    header = bytes([0x60, 0, 0, 0, 0, len(body), 58, 255]) + socket.inet_pton(socket.AF_INET6, "fd77::1") * 2
    frame = bytes.fromhex("333300000001 020000000001 86dd".replace(" ", "")) + header + body
    assert set(claims(Frame(0, "a", frame))) == {
        ("fd77::100", "02:00:00:00:00:01"),
        ("fd77::100", "00:00:00:00:00:00"),
    }
