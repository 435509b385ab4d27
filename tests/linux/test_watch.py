"""What others do to the interface, link and addresses of `vrrplib run`, and what it and its peer answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.linux.running import V4, V6, VIRTUAL_V4, Running
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.netlink import NetlinkHost
from vrrplib.backends.watch import NetlinkWatch
from vrrplib.election.config import RouterConfig

ADDRESS = V4[0].partition("/")[0]
ARP_IGNORE = "net/ipv4/conf/eth0/arp_ignore"


class Pair:
    """An Active router on `a`, its peer on `b`, and somebody who pings the address from `c`."""

    def __init__(self, lab: Lab, backend: str = "macvlan", addresses: tuple[str, ...] = V4) -> None:
        self.lab = lab
        self.a, self.b = (lab.host(name, f"10.77.0.{at}/24", f"fd77::{at}/64") for at, name in ((1, "a"), (2, "b")))
        self.c = lab.host("c", "10.77.0.3/24")
        for host in (self.a, self.b):
            wait_until(host.link_local, 5)
        self.before = self.a.dump()
        self.active = Running(self.a, addresses, backend=backend, priority=200).start()
        self.backup = Running(self.b, addresses, backend=backend).start()
        self.active.wait("active")
        self.backup.wait("backup")
        self.seen = 0

    @property
    def link(self) -> str:
        return next(link["ifname"] for link in self.a.ip_json("link") if link["ifname"].startswith("vmac"))

    def told(self, change: str, answer: str) -> dict[str, Any]:
        """The next notice of a host's change, which must be this one."""

        def found() -> list[dict[str, Any]]:
            return [event for event in self.active.events if event["event"] == "host-changed"][self.seen :]

        wait_until(found, 5, lambda: f"{change}:\n{self.active.process.log}")
        event = found()[0]
        assert (event["change"], event["answer"]) == (change, answer), self.active.process.log
        self.seen += 1
        return event

    def takes_over(self) -> None:
        """The peer does."""
        self.backup.wait("active", 5)

    def returns(self) -> None:
        self.active.wait("active", 5)
        self.backup.wait("backup", 5)

    def end(self) -> None:
        self.active.end()
        assert self.before.diff(self.a.dump()) == []
        assert self.active.leavings() == []


def states(running: Running) -> int:
    return sum(event["event"] == "state" for event in running.events)


def test_what_is_taken_from_a_macvlan_is_put_back(lab: Lab) -> None:
    pair = Pair(lab)
    a, link = pair.a, pair.link
    changes = states(pair.active), states(pair.backup)
    for words, change in (
        (("address", "delete", V4[0], "dev", link), "address-lost"),
        (("link", "set", link, "down"), "link-down"),
        (("link", "set", link, "address", "02:00:00:00:99:99"), "mac-changed"),
        (("link", "delete", link), "link-lost"),
        (("link", "set", link, "name", "mine"), "link-lost"),
    ):
        a.ip(*words)
        pair.told(change, "repaired")
        (row,) = a.ip_json("address", "show", "dev", link)
        assert row["address"] == VIRTUAL_V4
        assert "UP" in row["flags"]
        assert [item["local"] for item in row["addr_info"]] == [ADDRESS]
        assert pair.c.ping(ADDRESS) == 1, words
        assert pair.c.neighbour(ADDRESS) == VIRTUAL_V4
    assert [
        link["ifname"] for link in a.ip_json("link") if "vmac" in link["ifname"] or link["ifname"] == "mine"
    ] == [link]
    assert (states(pair.active), states(pair.backup)) == changes, "somebody resigned or took over"
    pair.end()


def test_an_ipv6_address_and_a_link_that_was_down_come_back(lab: Lab) -> None:
    pair = Pair(lab, addresses=V6)
    a, link = pair.a, pair.link
    for words, change in (
        (("address", "delete", V6[1], "dev", link), "address-lost"),
        (("link", "set", link, "down"), "link-down"),  # the kernel takes the addresses with it
    ):
        a.ip(*words)
        pair.told(change, "repaired")
        there = {item["local"] for item in a.ip_json("address", "show", "dev", link)[0]["addr_info"]}
        assert there == {address.partition("/")[0] for address in V6}
    pair.end()


@pytest.mark.parametrize("backend", ["macvlan", "macswap"])
def test_the_interface_goes_and_comes(lab: Lab, backend: str) -> None:
    """Carrier, up and down, name, MAC: and at the end the host is as it was."""
    pair = Pair(lab, backend)
    a = pair.a
    for lose, regain, change in (
        (lambda: lab.unplug(a), lambda: lab.plug(a), "carrier-lost"),
        (a.link_down, a.link_up, "parent-down"),
    ):
        lose()
        pair.told(change, "waits")
        assert pair.active.wait("initialize", 5).events[-1]["reason"] == "host"
        pair.takes_over()
        regain()
        pair.told("parent-up", "restarts")
        pair.returns()
    a.ip("link", "set", "eth0", "name", "lan0")
    assert pair.told("parent-renamed", "went-on")["interface"] == "lan0"
    a.ip("link", "set", "lan0", "address", "02:00:00:00:99:01")
    pair.told(*{"macvlan": ("parent-mac", "went-on")}.get(backend, ("mac-changed", "repaired")))
    assert pair.c.ping(ADDRESS) == 1
    pair.active.end()
    (row,) = a.ip_json("address", "show", "dev", "lan0")
    assert row["address"] == (
        "02:00:00:00:00:01" if backend == "macswap" else "02:00:00:00:99:01"
    )  # the operator's
    a.ip("link", "set", "lan0", "name", "eth0")
    a.ip("link", "set", "eth0", "address", "02:00:00:00:00:01")
    assert pair.before.diff(a.dump()) == []
    assert pair.active.leavings() == []


def test_the_interface_is_moved_away_and_comes_back_and_is_removed(lab: Lab) -> None:
    pair = Pair(lab)
    a, elsewhere = pair.a, lab.host("elsewhere")
    a.ip("link", "set", "eth0", "netns", elsewhere.namespace, "name", "eth9")
    assert pair.told("parent-gone", "waits")["message"] == "eth0 was moved to another network namespace"
    pair.takes_over()
    elsewhere.ip("link", "set", "eth9", "netns", a.namespace, "name", "eth0")
    a.link_up()
    pair.told("parent-up", "restarts")
    pair.returns()
    assert pair.c.ping(ADDRESS) == 1
    a.ip("link", "delete", "eth0")
    assert pair.told("parent-gone", "waits")["message"] == "eth0 was removed"
    pair.takes_over()
    pair.active.end()
    assert [link["ifname"] for link in a.ip_json("link")] == ["lo"]
    assert pair.active.leavings() == []


def test_without_a_carrier_it_does_not_start(lab: Lab) -> None:
    a = lab.host("a", "10.77.0.1/24")
    lab.unplug(a)
    wait_until(lambda: "LOWER_UP" not in a.ip_json("link", "show", "eth0")[0]["flags"], 5)
    before = a.dump()
    run = Running(a, priority=255).start()
    wait_until(lambda: [event for event in run.events if event["event"] == "host-changed"], 10)
    time.sleep(0.3)  # an owner of the addresses would have been Active at once
    assert run.state is None
    lab.plug(a)
    run.wait("active")
    lab.unplug(a)
    run.wait("initialize")
    run.end()
    assert before.diff(a.dump()) == []


def test_a_fight_is_given_up_and_the_peer_takes_over(lab: Lab) -> None:
    """Somebody removes the address as often as it comes back."""
    pair = Pair(lab)
    changes = states(pair.backup)
    for _ in range(5):
        pair.a.ip("address", "delete", V4[0], "dev", pair.link)
        pair.told("address-lost", "repaired")
    assert states(pair.backup) == changes
    with lab.capture() as capture:
        pair.a.ip("address", "delete", V4[0], "dev", pair.link)
        pair.told("address-lost", "gave-up")
        pair.takes_over()
        last = capture.advertisements(51, 4, port="a")[-1].advertisement
    assert last is not None
    assert last.priority == 0, "the peer was not told"
    pair.active.wait("backup", 5)  # tried again, from the beginning
    pair.end()


def test_what_the_operator_changed_is_left_alone_and_said(lab: Lab) -> None:
    a = lab.host("a", "10.77.0.1/24")
    ended, killed = Running(a).start(), Running(a, ("10.77.0.101/24",), vrid=52)
    ended.wait("active")
    a.sysctl(ARP_IGNORE, 8)
    ended.end()
    (left,) = [event for event in ended.events if event["event"] == "left-alone"]
    assert left["message"] == f"{ARP_IGNORE} is 8 now, not the 1 that was set"
    assert a.sysctl(ARP_IGNORE) == "8"
    a.sysctl(ARP_IGNORE, 0)
    killed.start().wait("active")
    killed.crash()
    a.sysctl(ARP_IGNORE, 8)
    said = killed.cleanup()
    assert f"left as it is: {ARP_IGNORE} is 8 now, not the 1 that was set" in said
    assert a.sysctl(ARP_IGNORE) == "8"


def test_what_is_shared_stays_while_one_of_two_lives(lab: Lab) -> None:
    a = lab.host("a", "10.77.0.1/24")
    before = a.dump()
    one, two = Running(a).start(), Running(a, ("10.77.0.101/24",), vrid=52)
    two.state_dir = one.state_dir
    two.argv = [str(one.state_dir) if word.endswith("-state") else word for word in two.argv]
    two.start()
    one.wait("active")
    two.wait("active")
    one.crash()
    one.cleanup()
    assert a.sysctl(ARP_IGNORE) == "1", "the other one needs it still"
    one.start().wait("active")
    two.end()
    assert a.sysctl(ARP_IGNORE) == "1"
    one.end()
    assert before.diff(a.dump()) == []


@pytest.mark.parametrize("backend", ["macvlan", "macswap"])
def test_cleanup_finds_an_interface_that_has_another_name(lab: Lab, backend: str) -> None:
    a = lab.host("a", "10.77.0.1/24")
    a.sysctl("net/ipv4/conf/eth0/promote_secondaries", 0)
    before = a.dump()
    run = Running(a, backend=backend).start().wait("active")
    run.crash()
    a.ip("link", "set", "eth0", "name", "lan0")
    said = run.cleanup()
    assert "lan0" in said
    assert run.leavings() == []
    a.ip("link", "set", "lan0", "name", "eth0")
    assert before.diff(a.dump()) == []


def test_cleanup_says_what_has_gone_away(lab: Lab) -> None:
    a, elsewhere = lab.host("a", "10.77.0.1/24"), lab.host("elsewhere")
    run = Running(a).start().wait("active")
    run.crash()
    a.ip("link", "set", "eth0", "netns", elsewhere.namespace, "name", "eth9")
    said = run.cleanup()
    assert "eth0 is gone, or moved to another network namespace" in said
    assert [link["ifname"] for link in a.ip_json("link")] == ["lo"], "the macvlan stayed behind"
    assert run.leavings() == []


@pytest.fixture
def watched(lab: Lab) -> Callable[[], tuple[Host, MacvlanBackend, NetlinkWatch]]:
    def make() -> tuple[Host, MacvlanBackend, NetlinkWatch]:
        a = lab.host("a", "10.77.0.1/24")
        config = RouterConfig(vrid=51, addresses=V4, primary_address="10.77.0.1")
        backend = MacvlanBackend("eth0", config, host=NetlinkHost(a.path, state_dir=lab.directory / "state"))
        watch = NetlinkWatch("eth0", netns=a.path)
        watch.follow(backend)
        return a, backend, watch

    return make


def test_our_own_doing_is_not_somebody_else_s(watched: Callable[[], Any]) -> None:
    """From another namespace, and read after each step as well as after all."""
    _, backend, watch = watched()
    with watch, backend:
        for often in (True, False):
            for _ in range(3):
                for step in (
                    backend.prepare,
                    backend.activate,
                    backend.deactivate,
                    backend.activate,
                    backend.close,
                ):
                    step()
                    if often:
                        assert watch.read() == ()
            assert watch.read() == ()


def test_more_than_the_socket_holds_is_made_up_for(watched: Callable[[], Any]) -> None:
    a, backend, watch = watched()
    with watch, backend:
        backend.prepare()
        backend.activate()
        assert watch.read() == ()
        watch._told.setsockopt(1, 8, 4096)  # SO_RCVBUF: SOL_SOCKET is 1
        lines = "".join(f"link set eth0 alias x{at}\n" for at in range(300))
        a.run("ip", "-batch", "-", text=lines)
        a.ip("link", "delete", f"vmac4-{a.ip_json('link', 'show', 'eth0')[0]['ifindex']}-51")
        changes: tuple[Any, ...] = ()
        for _ in range(20):
            changes += watch.read()
        assert [str(change.kind) for change in changes] == ["link-lost"]
