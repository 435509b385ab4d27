"""accept_mode=False: packets to the virtual addresses are not accepted, and everything else goes on."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import time
from collections.abc import Iterator

import pytest

from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.linux.running import V4, V6, Running
from tests.linux.test_silence import BEYOND, CLIENT, SERVICE, VIRTUAL, VIRTUAL_MAC, echo, router

CLOSED = ("--no-accept",)
OWN = {4: "10.77.0.1", 6: "fd77::1"}
LINK_LOCAL = "fe80::5e:51"
PORT = 8080
THEIRS = "table inet theirs { chain input { type filter hook input priority 0; tcp dport 22 counter accept; }; }"


@contextlib.contextmanager
def service(host: Host) -> Iterator[socket.socket]:
    """A TCP service on all addresses of a host; its backlog takes connections without an accept()."""
    with host.call(lambda: socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)) as one:
        yield one


def connects(host: Host, address: str, timeout: float = 0.4) -> bool:
    def work() -> bool:
        with contextlib.suppress(OSError):
            scope = socket.if_nametoindex("eth0") if address.startswith("fe80") else 0
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as one:
                one.settimeout(timeout)
                one.connect((address, PORT, 0, scope) if scope else (address, PORT))
                return True
        return False

    return host.call(work)


def hears(host: Host, sender: Host, address: str) -> bool:
    """Whether UDP from one host to an address of another comes to a program there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def say() -> None:
        with socket.socket(family, socket.SOCK_DGRAM) as one:
            one.sendto(b"hello", (address, PORT))

    with host.call(lambda: socket.socket(family, socket.SOCK_DGRAM)) as ear:
        ear.bind(("", PORT))
        ear.settimeout(0.4)
        sender.call(say)
        try:
            return ear.recv(100) == b"hello"
        except TimeoutError:
            return False


def accepted(a: Host, client: Host, address: str) -> list[bool]:
    """TCP, UDP, and an echo request."""
    return [connects(client, address), hears(a, client, address), client.ping(address, timeout=0.4) == 1]


def forwarded(lab: Lab, client: Host, family: int) -> bool:
    """Whether a packet sent to the virtual MAC, for somebody else, comes out again."""
    mark = f"mark {time.monotonic_ns() % 10**11:011d}".encode()
    with lab.capture() as capture:
        client.send(echo(family, client.mac, VIRTUAL_MAC[family], BEYOND[family], mark))
        with contextlib.suppress(AssertionError, TimeoutError):
            wait_until(lambda: any(mark in f.data for f in capture.select(lambda _: True, port="a")), 2, "it")
            return True
    return False


@pytest.fixture(params=[4, 6])
def family(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture
def people(lab: Lab) -> tuple[Host, Host]:
    a = router(lab, "a", 1, forwarding=True)
    third = lab.host("third", "10.77.0.8/24", "fd77::8/64")
    for address in (f"{BEYOND[4]}/32", f"{BEYOND[6]}/128"):
        third.ip("address", "add", address, "dev", "lo")
    client = lab.host("client", f"{CLIENT[4]}/24", f"{CLIENT[6]}/64")
    a.run("nft", THEIRS)
    for address in (CLIENT[4], CLIENT[6], BEYOND[4], BEYOND[6]):
        assert a.ping(address)
    return a, client


def test_a_router_that_accepts_nothing_forwards_and_answers_discovery(
    lab: Lab, people: tuple[Host, Host], family: int
) -> None:
    a, client = people
    before = a.dump()
    address, mac = SERVICE[family], VIRTUAL_MAC[family]
    with service(a):
        closed = Running(a, VIRTUAL[family], options=CLOSED).start().wait("active")
        assert accepted(a, client, address) == [False, False, False]
        assert accepted(a, client, OWN[family]) == [True, True, True]
        assert not connects(a, address)  # the router's own programs are no exception
        if family == 6:
            assert not connects(client, LINK_LOCAL)
        # ARP and neighbour discovery: the address was resolved, and a question to that MAC alone is answered
        assert client.neighbour(address) == mac
        client.ip("neigh", "replace", address, "lladdr", mac, "dev", "eth0", "nud", "probe")
        wait_until(lambda: state_of(client, address) == ["REACHABLE"], 5, "an answer to a unicast question")
        assert forwarded(lab, client, family)
        assert "theirs" in a.run("nft", "list", "tables").stdout
        closed.end()
    assert before.diff(a.dump()) == []


def state_of(host: Host, address: str) -> list[str]:
    wanted = ipaddress.ip_address(address)
    return next(
        (entry["state"] for entry in host.ip_json("neigh", "show") if ipaddress.ip_address(entry["dst"]) == wanted),
        [],
    )


def test_a_router_that_accepts(people: tuple[Host, Host], family: int) -> None:
    """The same questions, without the option: each of them can be answered."""
    a, client = people
    with service(a):
        Running(a, VIRTUAL[family]).start().wait("active")
        assert accepted(a, client, SERVICE[family]) == [True, True, True]
        if family == 6:
            assert connects(client, LINK_LOCAL)


def test_after_a_crash_nothing_is_accepted_until_it_is_cleaned_up(people: tuple[Host, Host], family: int) -> None:
    a, client = people
    before = a.dump()
    with service(a):
        running = Running(a, VIRTUAL[family], options=CLOSED).start().wait("active")
        running.crash()
        assert accepted(a, client, SERVICE[family]) == [False, False, False]
        assert client.neighbour(SERVICE[family]) == VIRTUAL_MAC[family]  # its kernel has the address still
    assert f"; delete table {'ip' if family == 4 else 'ip6'} vrrplib{family}-" in running.cleanup()
    assert before.diff(a.dump()) == []


@pytest.mark.parametrize(("backend", "family"), [("announce", 6), ("macswap", 4)])
def test_with_the_addresses_on_the_interface_itself(people: tuple[Host, Host], backend: str, family: int) -> None:
    a, client = people
    before = a.dump()
    with service(a):
        running = Running(a, VIRTUAL[family], backend=backend, options=CLOSED).start().wait("active")
        assert accepted(a, client, SERVICE[family]) == [False, False, False]
        assert accepted(a, client, OWN[family]) == [True, True, True]
        assert client.neighbour(SERVICE[family]) is not None
        running.end()
    assert before.diff(a.dump()) == []


def test_an_owner_accepts(lab: Lab) -> None:
    """RFC 9568 6.4.3."""
    a, client = lab.host("a", "10.77.0.1/24", "10.77.0.100/24"), lab.host("client", "10.77.0.9/24")
    with service(a):
        Running(a, V4, priority=255, backend="announce", options=CLOSED).start().wait("active")
        assert accepted(a, client, "10.77.0.100") == [True, True, True]


def test_the_same_link_local_address_elsewhere_is_accepted(lab: Lab) -> None:
    """Gateways have the same one on every interface, and this virtual router's is on this one only."""
    a, client = lab.host("a", "fd77::1/64"), lab.host("client", "fd77::9/64")
    other = lab.host("other", "fd78::9/64")
    a.ip("link", "add", "eth1", "type", "veth", "peer", "name", "far")
    a.ip("link", "set", "far", "netns", other.namespace)
    for host, name in ((a, "eth1"), (other, "far")):
        host.sysctl(f"net.ipv6.conf.{name}.accept_dad", 0)
        host.ip("link", "set", name, "up")
    a.ip("address", "add", f"{LINK_LOCAL}/64", "dev", "eth1", "nodad")
    Running(a, V6, options=CLOSED).start().wait("active")
    assert not client.ping(f"{LINK_LOCAL}%eth0", timeout=0.6)
    assert other.ping(f"{LINK_LOCAL}%far")
