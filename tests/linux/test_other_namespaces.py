"""Backends and transports in another network namespace, by each form of naming it: nobody moves there."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.linux.dump import HostDump
from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.linux.running import ENVIRONMENT, ROOT, command
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.dryrun import DryRunBackend
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.netlink import NetlinkHost, primary_address
from vrrplib.backends.watch import NetlinkWatch
from vrrplib.election.config import RouterConfig
from vrrplib.transports.packet import PacketTransport
from vrrplib.wire.addresses import Family

V4 = RouterConfig(vrid=51, addresses=["10.77.0.100/24"], primary_address="10.77.0.1")
V6 = RouterConfig(vrid=51, addresses=["fe80::51/64", "fd77::100/64"], primary_address="fe80::1")
VIRTUAL = {Family.IPV4: ("10.77.0.100", "00:00:5e:00:01:33"), Family.IPV6: ("fd77::100", "00:00:5e:00:02:33")}
FORMS = ("name", "path", "path object", "descriptor", "process id")
every_form = pytest.mark.parametrize("form", FORMS)


@pytest.fixture(autouse=True)
def state_dir(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = lab.directory / "state"
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(directory))
    return directory


@contextmanager
def named(host: Host, form: str) -> Iterator[Any]:
    """The host's namespace as ``netns=`` takes it."""
    if form == "descriptor":
        descriptor = os.open(host.path, os.O_RDONLY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    elif form == "process id":
        process = host.spawn("sleep", "60")
        there = os.stat(host.path).st_ino
        wait_until(
            lambda: os.stat(f"/proc/{process.pid}/ns/net").st_ino == there, 5, "the process in its namespace"
        )
        yield process.pid
        process.kill()
        process.wait()
    else:
        yield {"name": host.namespace, "path": host.path, "path object": Path(host.path)}[form]


def where_we_are() -> tuple[int, ...]:
    """Process, thread, and how many threads there are."""
    return (
        os.stat("/proc/self/ns/net").st_ino, os.stat("/proc/thread-self/ns/net").st_ino, threading.active_count(),
    )  # fmt: skip


def settled(host: Host) -> HostDump:
    """A dump that will stay: the kernel has made up its mind about the link-local address."""
    wait_until(lambda: host.ip_json("-6", "address", "show", "tentative") == [], 5, "an end of detection")
    return host.dump()


def holds(host: Host, address: str) -> bool:
    return any(item.get("local") == address for link in host.ip_json("address") for item in link["addr_info"])


@every_form
def test_backends(lab: Lab, form: str, state_dir: Path) -> None:
    host, observer = lab.host("a", "10.77.0.1/24", "fd77::1/64"), lab.host("b", "10.77.0.2/24", "fd77::2/64")
    before, here = settled(host), where_we_are()
    cookie = NetlinkHost(host.namespace)._open().cookie
    cases = [(MacvlanBackend, V4), (MacvlanBackend, V6), (MacSwapBackend, V4), (AnnounceBackend, V4)]
    with named(host, form) as netns:
        for kind, config in cases:
            address, mac = VIRTUAL[config.family]
            backend = kind("eth0", config, netns=netns)
            backend.prepare()
            assert [path.name for path in state_dir.iterdir()] == [f"netns-{cookie}"]
            backend.activate()
            assert holds(host, address)
            wait_until(lambda: observer.ping(address) == 1, 10, "answer")  # noqa: B023  # called at once
            assert observer.neighbour(address) == (host.mac if kind is AnnounceBackend else mac)
            assert where_we_are() == here
            backend.close()
            assert not state_dir.exists() or list(state_dir.iterdir()) == []
            observer.ip("neighbour", "flush", "dev", "eth0")
    assert before.diff(host.dump()) == []
    assert where_we_are() == here


@every_form
def test_what_reads(lab: Lab, form: str) -> None:
    host, observer = lab.host("a", "10.77.0.1/24"), lab.host("b", "10.77.0.2/24")
    before, here = settled(host), where_we_are()
    host.sysctl("net/ipv4/conf/eth0/arp_announce", 2)  # one write less is planned than here
    with named(host, form) as netns:
        assert str(primary_address("eth0", Family.IPV4, netns=netns)) == "10.77.0.1"
        dry = DryRunBackend(MacvlanBackend("eth0", V4, netns=netns))
        dry.prepare()
        assert not [command for command in dry.commands if "arp_announce" in command and "/eth0/" in command]
        dry.close()
        with PacketTransport("eth0", netns=netns) as transport:
            assert str(transport.mac) == host.mac
            transport.send(bytes.fromhex("020000000002") + transport.mac.packed + b"\x08\x00" + bytes(46))
            assert where_we_are() == here
        host.sysctl("net/ipv4/conf/eth0/arp_announce", 0)
        assert before.diff(host.dump()) == []
        assert observer.ping("10.77.0.1") == 1
        with NetlinkWatch("eth0", netns=netns) as watch:
            assert watch.read() == ()
            assert where_we_are() == here
            lab.unplug(host)
            assert wait_until(watch.read, 5, "word of it") != ()


def test_two_namespaces_with_one_interface_name_in_one_process(lab: Lab, state_dir: Path) -> None:
    """The same VRID on two LANs that know nothing of each other, under names that the process has too."""
    hosts = [lab.host("a", "10.77.0.1/24"), lab.host("b", "10.77.0.1/24")]
    for host in hosts:
        lab.isolate(host)
    before = [settled(host) for host in hosts]
    backends = [MacvlanBackend("eth0", V4, netns=host.namespace) for host in hosts]
    for backend in backends:
        backend.prepare()
    assert len(list(state_dir.iterdir())) == 2
    backends[0].activate()
    assert [holds(host, "10.77.0.100") for host in hosts] == [True, False]
    backends[1].activate()
    backends[0].deactivate()
    assert [holds(host, "10.77.0.100") for host in hosts] == [False, True]
    for backend in backends:
        backend.close()
    assert [dump.diff(host.dump()) for dump, host in zip(before, hosts, strict=True)] == [[], []]


@pytest.mark.parametrize("form", ["descriptor", "process id"])
def test_what_named_it_may_go(lab: Lab, form: str) -> None:
    """After prepare() the backend needs neither: not for sysctls, and not for the way back."""
    host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
    before = settled(host)
    with named(host, form) as netns:
        backend = MacvlanBackend("eth0", V6, netns=netns)
        backend.prepare()
    other = os.open("/proc/self/ns/net", os.O_RDONLY)  # the same number, most likely
    try:
        backend.activate()
        assert holds(host, "fd77::100")
        backend.deactivate()
        backend.close()
    finally:
        os.close(other)
    assert before.diff(host.dump()) == []


def test_threads_do_not_disturb_each_other(lab: Lab) -> None:
    hosts = [lab.host("a", "10.77.0.1/24"), lab.host("b", "10.77.0.2/24")]
    before = [settled(host) for host in hosts]
    errors: list[BaseException] = []

    def work(host: Host) -> None:
        try:
            for _ in range(3):
                with MacvlanBackend("eth0", V4, netns=host.path) as backend:
                    backend.prepare()
                    backend.activate()
                    assert holds(host, "10.77.0.100")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [dump.diff(host.dump()) for dump, host in zip(before, hosts, strict=True)] == [[], []]


def test_the_command_line(lab: Lab, state_dir: Path) -> None:
    """The process is in a namespace that has an eth0, too."""
    host, outside = lab.host("a", "10.77.0.1/24"), lab.host("b", "10.77.0.2/24")
    before, there = settled(host), settled(outside)
    options = ["--netns", host.namespace, "--state-dir", str(state_dir)]
    run = command("run", "eth0", "--vrid", "51", "--address", "10.77.0.100/24", "--interval", "0.1", *options)
    shown = outside.run("env", f"PYTHONPATH={ROOT}", *run, "--dry-run").stdout.splitlines()
    assert f"# for a shell in the network namespace {host.namespace}" in shown
    assert before.diff(host.dump()) == []
    process = outside.spawn(*run, environment=ENVIRONMENT)
    process.wait_for("-> active")
    assert os.stat(f"/proc/{process.pid}/ns/net").st_ino == os.stat(outside.path).st_ino
    assert holds(host, "10.77.0.100")
    process.terminate()
    assert process.wait() == 0, process.log
    assert before.diff(host.dump()) == []
    process = outside.spawn(*run, environment=ENVIRONMENT)
    process.wait_for("-> active")
    process.kill()
    process.wait()
    with named(host, "process id") as pid:
        cleanup = ["cleanup", "--netns", str(pid), "--state-dir", str(state_dir)]
        finished = outside.run("env", f"PYTHONPATH={ROOT}", *command(*cleanup))
    assert "ip link delete dev vmac4-" in finished.stdout
    assert before.diff(host.dump()) == []
    assert there.diff(outside.dump()) == []
