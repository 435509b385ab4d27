"""`nft flush ruleset`, which reloading a firewall does, takes our tables too; they are put back, and it is said."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.linux.running import V6, VIRTUAL_V6, Running
from vrrplib.backends import netlink_tables
from vrrplib.backends.base import NetBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.netlink import NetlinkHost
from vrrplib.backends.watch import NetlinkWatch
from vrrplib.election.config import RouterConfig
from vrrplib.member import MOST_REPAIRS

CLOSED, STANDING = ("--no-accept",), ("--standing",)
LISTEN = 1.2  # seconds: a question or two
OPERATORS = "table inet theirs { chain input { type filter hook input priority 0; tcp dport 22 accept; }; }"


def ruleset(host: Host) -> list[str]:
    """Its tables, in whatever order."""
    return sorted(host.run("nft", "--stateless", "list", "ruleset").stdout.split("\n}\n"))


def flush(host: Host) -> None:
    host.run("nft", "flush", "ruleset")


def told(running: Running) -> list[dict[str, Any]]:
    return [event for event in running.events if event["event"] == "host-changed"]


def repaired(running: Running, times: int, seconds: float = 5.0) -> dict[str, Any]:
    wait_until(lambda: len(told(running)) >= times, seconds, lambda: f"repair {times}:\n{running.process.log}")
    event = told(running)[times - 1]
    assert (event["change"], event["answer"]) == ("filter-lost", "repaired")
    return event


def states(running: Running) -> int:
    return sum(event["event"] == "state" for event in running.events)


def test_packets_are_kept_out_again_while_active_and_while_backup(lab: Lab) -> None:
    a, b, client = (lab.host(name, f"10.77.0.{at}/24") for at, name in ((1, "a"), (2, "b"), (9, "client")))
    before = a.dump(), b.dump()
    pair = Running(a, priority=200, options=CLOSED).start(), Running(b, options=CLOSED).start()
    active, backup = pair[0].wait("active"), pair[1].wait("backup")
    changes = [states(running) for running in pair]
    for running in pair:
        rules = ruleset(running.host)
        for times in (1, 2):
            flush(running.host)
            event = repaired(running, times, 1.0)
            assert event["message"].startswith("table ip vrrplib4-")
            assert event["message"].endswith("-51 was removed")
            assert ruleset(running.host) == rules
    assert client.ping("10.77.0.100", timeout=0.4) == 0
    assert client.neighbour("10.77.0.100") is not None
    a.run("nft", OPERATORS)  # a firewall of others that comes and goes is nothing to tell of
    a.run("nft", "delete", "table", "inet", "theirs")
    time.sleep(0.2)
    assert [len(told(running)) for running in pair] == [2, 2]
    assert [states(running) for running in pair] == changes, "somebody resigned or took over"
    # who removes it again and again is let have it for a while
    for times in range(3, MOST_REPAIRS + 1):
        flush(a)
        repaired(active, times)
    flush(a)
    wait_until(lambda: len(told(active)) > MOST_REPAIRS, 5)
    assert told(active)[-1]["answer"] == "gave-up"
    backup.wait("active")
    for running, dump in zip(pair, before, strict=True):
        running.end()
        assert dump.diff(running.host.dump()) == []


def test_a_backup_s_link_falls_silent_again() -> None:
    """A switch that asks for groups each second, and links with addresses that would answer."""
    with Lab(snooping=True, querier=True) as lab:
        a, b, c = (lab.host(name, f"fd77::{at}/64") for at, name in enumerate("abc", start=1))
        create = ("name", "theirs", "address", VIRTUAL_V6, "type", "macvlan", "mode", "source")
        c.ip("link", "add", "link", "eth0", *create)
        c.sysctl("net/ipv6/conf/theirs/accept_dad", 0)
        c.ip("link", "set", "theirs", "up")
        c.ip("address", "add", "fd77::50/64", "dev", "theirs", "nodad")
        before = {host.name: host.dump() for host in (a, c)}
        b_runs = Running(b, V6, priority=200).start()
        standing = Running(a, V6, options=STANDING).start()
        adopted = Running(c, V6, options=("--name", "theirs")).start()
        for running in (standing, adopted):
            running.wait("backup")
        b_runs.wait("active")
        rules = [ruleset(host) for host in (a, c)]
        with lab.capture() as capture:
            since = time.monotonic()
            for running in (standing, adopted):
                flush(running.host)
                repaired(running, 1, 1.0)
            back = time.monotonic()
            assert back - since < 1.0
            assert [ruleset(host) for host in (a, c)] == rules
            time.sleep(LISTEN)
            spoken = [frame for port in "ac" for frame in capture.from_mac(VIRTUAL_V6, port=port, since=back)]
            assert not spoken
        assert lab.fdb(VIRTUAL_V6) == "b"
        for running in (standing, adopted):
            assert running.state == "backup"
            running.end()
            assert before[running.host.name].diff(running.host.dump()) == []


def test_a_death_before_or_after_the_repair_leaves_nothing(lab: Lab) -> None:
    a, b = (lab.host(name, f"fd77::{at}/64") for at, name in ((1, "a"), (2, "b")))
    before = a.dump(), b.dump()
    pair = [Running(host, V6, options=(*CLOSED, *STANDING)).start() for host in (a, b)]
    for running in pair:
        wait_until(lambda running=running: running.state, 30)
    pair[0].process.signal(signal.SIGSTOP)
    for running in pair:
        flush(running.host)
    repaired(pair[1], 1)
    for running, dump in zip(pair, before, strict=True):
        running.crash()
        running.cleanup()
        assert dump.diff(running.host.dump()) == []
        assert running.leavings() == []


# -- the Watch alone --

Made = Callable[..., tuple[Host, list[MacvlanBackend], NetlinkWatch]]


@pytest.fixture
def watched(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Made:
    def make(count: int = 1) -> tuple[Host, list[MacvlanBackend], NetlinkWatch]:
        a = lab.host("a", "10.77.0.1/24")
        host = NetlinkHost(a.path, state_dir=lab.directory / "state")
        watch = NetlinkWatch("eth0", netns=a.path)
        backends = []
        for vrid in range(1, count + 1):
            config = RouterConfig(
                vrid=vrid, addresses=[f"10.77.1.{vrid}/24"], primary_address="10.77.0.1", accept_mode=False
            )
            backends.append(MacvlanBackend("eth0", config, host=host, standing=True))
            watch.follow(backends[-1])
        return a, backends, watch

    return make


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One for each time that all tables were read."""
    calls: list[int] = []
    there = netlink_tables.Tables.there

    def count(self: netlink_tables.Tables) -> Any:
        calls.append(1)
        return there(self)

    monkeypatch.setattr(netlink_tables.Tables, "there", count)
    return calls


def other(backend: NetBackend) -> RouterConfig:
    config = backend.config
    return RouterConfig(
        vrid=config.vrid, addresses=["10.77.1.200/24"], primary_address="10.77.0.1", accept_mode=False
    )


def test_our_own_doing_is_not_somebody_else_s(watched: Made) -> None:
    _, (backend,), watch = watched()
    with watch, backend:
        for _ in range(3):
            for step in (
                backend.prepare,
                backend.activate,
                lambda: backend.reconfigure(other(backend)),
                backend.deactivate,
                lambda: backend.reconfigure(other(backend)),
                backend.repair,
                backend.close,
            ):
                step()
                assert watch.read() == ()


def test_what_active_does_without_is_no_loss_and_is_there_for_the_backup(watched: Made) -> None:
    a, (backend,), watch = watched()
    with watch, backend:
        backend.prepare()
        backend.activate()
        assert watch.read() == ()
        flush(a)
        (change,) = watch.read()
        assert change.message.startswith("table ip vrrplib4-")  # and not netdev, in which there is nothing now
        backend.repair_tables()
        assert "egress" not in a.run("nft", "list", "ruleset").stdout
        assert watch.read() == ()
        flush(a)
        backend.deactivate()
        assert "egress" in a.run("nft", "list", "ruleset").stdout
        assert len(watch.read()) == 1
        backend.repair_tables()
        a.run("nft", "delete", "table", "netdev", f"vrrplib4-{a.ip_json('link', 'show', 'eth0')[0]['ifindex']}-1")
        (change,) = watch.read()
        assert change.message.startswith("table netdev ")


def test_many_are_watched_by_one_look_and_each_is_told_of(watched: Made, asked: list[int]) -> None:
    a, backends, watch = watched(64)
    with watch:
        MacvlanBackend.prepare_all(backends)
        try:
            fileno = watch.fileno()
            assert watch.read() == ()
            for backend in backends:
                backend.activate()
                backend.deactivate()
                assert watch.read() == ()
            assert len(asked) == 1
            rules = ruleset(a)
            flush(a)
            changes = watch.read()
            assert [str(change.kind) for change in changes] == ["filter-lost"] * 64
            assert changes[6].message == "table netdev vrrplib4-2-7 and table ip vrrplib4-2-7 were removed"
            for change in changes:
                assert change.backend is not None
                change.backend.repair_tables()
            assert ruleset(a) == rules
            for _ in range(64):  # what was said of all that, in parts
                assert watch.read() == ()
            assert len(asked) == 3
            assert watch.fileno() == fileno
            assert watch.read() == ()
        finally:
            MacvlanBackend.close_all(backends)
