"""Bad input from the operator, and garbage on the wire."""

from __future__ import annotations

import errno
import os
import random
import select
import struct
import time

import pytest

from tests.linux.lab import Host, Lab
from tests.linux.running import ROOT, V4, V6, VIRTUAL_V4, VIRTUAL_V6, Running, command
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.netlink import NetlinkHost
from vrrplib.election.actions import HostFailed, StateChanged
from vrrplib.election.config import RouterConfig
from vrrplib.election.router import Router
from vrrplib.election.states import State
from vrrplib.errors import Problem
from vrrplib.node import Node, Notice
from vrrplib.transports.packet import PacketTransport
from vrrplib.wire.addresses import Family
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame
from vrrplib.wire.packets import VRRPv3

# -- the operator --

GOOD = {"interface": ["eth0"], "--vrid": ["51"], "--address": ["10.77.0.100/24"]}


def changed(**changes: list[str]) -> list[str]:
    """The arguments of `run`, with some of the good ones replaced or added."""
    options = {**GOOD, **{f"--{name}" if name != "interface" else name: values for name, values in changes.items()}}
    (interface,) = options.pop("interface")
    return [interface, *(word for name, values in options.items() for value in values for word in (name, value))]


WRONG_IN_ITSELF = {
    "VRID 0": (changed(vrid=["0"]), ["vrid must be 1-255, not 0"]),
    "VRID 256": (changed(vrid=["256"]), ["vrid must be 1-255, not 256"]),
    "VRID no number": (changed(vrid=["x"]), ["'x'"]),
    "an address twice": (changed(address=["10.77.0.100/24", "10.77.0.100/24"]), ["10.77.0.100", "twice"]),
    "twice, lengths differ": (changed(address=["10.77.0.100/24", "10.77.0.100/32"]), ["10.77.0.100", "twice"]),
    "IPv4 and IPv6": (
        changed(address=["10.77.0.100/24", "fd77::100/64"]), ["one family", "10.77.0.100", "fd77::100"],
    ),
    "no address": (changed(address=["10.77.0.300/24"]), ["10.77.0.300"]),
    "a group as address": (changed(address=["224.0.0.5/24"]), ["224.0.0.5"]),
    "interval 0": (changed(interval=["0"]), ["0.01", "40.95"]),
    "interval 41": (changed(interval=["41"]), ["0.01 to 40.95", "41"]),
    "interval between": (changed(interval=["0.015"]), ["0.015"]),
    "interval of version 2": (changed(version=["2"], interval=["0.5"]), ["whole seconds", "0.5"]),
    "interval nan": (changed(interval=["nan"]), ["nan"]),
    "priority 0": (changed(priority=["0"]), ["priority must be 1-255, not 0"]),
    "priority 256": (changed(priority=["256"]), ["priority must be 1-255, not 256"]),
}  # fmt: skip

REFUSED_BY_THE_HOST = {
    "unknown interface": (changed(interface=["eth9"]), ["'eth9'", "ip link"]),
    "an interface without a name": (changed(interface=[""]), ["''", "ip link"]),
    "a name too long": (changed(interface=["a" * 40]), ["a" * 40]),
    "no address of the family": (changed(interface=["bare"]), ["bare", "IPv4", "--source"]),
    "no link-local address": (changed(interface=["bare"], address=["fe80::1:1/64"]), ["bare", "link-local IPv6"]),
    "no Ethernet": (changed(interface=["tun0"]), ["tun0"]),
    "a state directory that is a file": (changed(**{"state-dir": ["/dev/null/x"]}), ["/dev/null/x", "--state-dir"]),
    "the interface's own address": (changed(address=["10.77.0.1/24"]), ["10.77.0.1", "eth0"]),
}


def assert_one_line(host: Host, prefix: list[str], arguments: list[str], status: int, words: list[str]) -> str:
    before = host.dump()
    finished = host.run(*prefix, "env", f"PYTHONPATH={ROOT}", *command("run", *arguments), check=False)
    assert finished.returncode == status, finished.stderr
    assert len(finished.stderr.splitlines()) == 1, finished.stderr
    for word in words:
        assert word in finished.stderr
    assert before.diff(host.dump()) == []
    return finished.stderr


@pytest.fixture(scope="module")
def operators_host():
    with Lab() as lab:
        host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
        host.ip("link", "add", "bare", "type", "veth", "peer", "name", "bare-peer")
        host.sysctl("net.ipv6.conf.bare.disable_ipv6", 1)
        host.ip("link", "set", "bare", "up")
        host.ip("tuntap", "add", "dev", "tun0", "mode", "tun")
        host.ip("address", "add", "10.78.0.1/24", "dev", "tun0")
        yield host


@pytest.mark.parametrize(("arguments", "words"), WRONG_IN_ITSELF.values(), ids=WRONG_IN_ITSELF)
def test_a_value_wrong_in_itself(operators_host: Host, arguments: list[str], words: list[str]) -> None:
    assert_one_line(operators_host, [], arguments, 2, words)


@pytest.mark.parametrize(("arguments", "words"), REFUSED_BY_THE_HOST.values(), ids=REFUSED_BY_THE_HOST)
def test_what_the_host_refuses(operators_host: Host, arguments: list[str], words: list[str]) -> None:
    assert_one_line(operators_host, [], arguments, 1, words)


@pytest.mark.parametrize("backend", ["macvlan", "macswap", "announce"])
def test_no_privileges(operators_host: Host, backend: str) -> None:
    if os.geteuid():
        pytest.skip("there are none to drop")
    arguments = changed(backend=[backend], **{"state-dir": [str(operators_host.lab.directory / "state")]})
    without = ["setpriv", "--inh-caps", "-all", "--bounding-set"]
    assert_one_line(operators_host, [*without, "-all"], arguments, 1, ["CAP_NET_RAW", "root"])
    # All but one. What root may write below /proc/sys it writes, and gives back when a link is refused.
    if backend == "macvlan":
        assert_one_line(operators_host, [*without, "-net_admin"], arguments, 1, ["CAP_NET_ADMIN", "vmac4-"])


def test_the_link_s_name_is_taken(operators_host: Host) -> None:
    name = f"vmac4-{NetlinkHost(operators_host.namespace).link('eth0').index}-51"
    operators_host.ip("link", "add", name, "link", "eth0", "type", "macvlan", "mode", "bridge")
    try:
        line = assert_one_line(
            operators_host, [], changed(), 1, [name, "has the MAC", f"ip link delete dev {name}"]
        )
        assert "another name" in line
    finally:
        operators_host.ip("link", "delete", name)


def test_the_virtual_mac_is_taken_by_another_daemon(operators_host: Host) -> None:
    """As with keepalived on the same host: two links of one MAC cannot be up."""
    operators_host.ip(
        "link", "add", "vrrp.51", "link", "eth0", "address", VIRTUAL_V4, "type", "macvlan", "mode", "private"
    )
    operators_host.ip("link", "set", "vrrp.51", "up")
    try:
        assert_one_line(operators_host, [], changed(), 1, ["another VRRP daemon", "VRID"])
    finally:
        operators_host.ip("link", "delete", "vrrp.51")


def test_the_virtual_router_is_another_process_s(lab: Lab) -> None:
    host = lab.host("a", "10.77.0.1/24")
    running = Running(host).start().wait("active")
    assert_one_line(
        host, [], running.argv[4:], 1, [f"VRID 51 is held by process {running.process.pid}", "end it first"]
    )
    assert running.state == "active"
    running.end()


# -- the wire --

PEER = {Family.IPV4: "10.77.0.3", Family.IPV6: "fe80::3"}
ADDRESSES = {Family.IPV4: V4, Family.IPV6: V6}
GROUP = {Family.IPV4: "224.0.0.18", Family.IPV6: "ff02::12"}


def advert(family: Family, *, vrid: int = 51, priority: int = 255, ttl: int = 255, **fields) -> bytes:
    """A whole frame; with priority 255 it would depose anybody, with 0 call a Backup to take over."""
    packet = VRRPv3(
        vrid=vrid, priority=priority, addresses=[address.partition("/")[0] for address in ADDRESSES[family]],
        max_advertise_interval=10, **fields,
    )  # fmt: skip
    return with_payload(family, packet.encode(PEER[family], GROUP[family]), ttl)


def with_payload(family: Family, payload: bytes, ttl: int = 255) -> bytes:
    datagram = Datagram(payload=payload, source=PEER[family], destination=GROUP[family], ttl=ttl)
    return advertisement_frame(datagram, VIRTUAL_V4 if family is Family.IPV4 else VIRTUAL_V6)


def garbage(family: Family, chance: random.Random) -> dict[str, list[bytes]]:
    """Frames by what is wrong with them."""
    good = [advert(family, priority=255), advert(family, priority=0)]
    carp = bytes([0x21, 51, 0, 7, 0, 1]) + struct.pack("!H", 0) + chance.randbytes(28)
    bad_sum = [bytearray(frame) for frame in good]
    for frame in bad_sum:
        frame[-1] ^= 1
    return {
        "random": [with_payload(family, chance.randbytes(chance.randrange(64))) for _ in range(200)],
        "random, ours": [with_payload(family, bytes([0x31, 51]) + chance.randbytes(22)) for _ in range(200)],
        "truncated": [frame[:length] for frame in good for length in range(14, len(frame))],
        "cut short": [with_payload(family, frame[-length:][: length - 1])
                      for frame in good for length in range(2, 12)],
        "CARP": [with_payload(family, carp)],
        "TTL": [advert(family, priority=priority, ttl=254) for priority in (0, 255)],
        "checksum": [bytes(frame) for frame in bad_sum],
        "foreign": [advert(family, vrid=52, priority=priority) for priority in (0, 255)],
        "no frames": [chance.randbytes(chance.randrange(14, 200)) for _ in range(100)],
    }  # fmt: skip


class Party:
    """A host with its Node, stepped by the test."""

    def __init__(self, host: Host, family: Family, priority: int) -> None:
        primary = host.addresses[0].partition("/")[0] if family is Family.IPV4 else host.link_local()
        self.config = RouterConfig(
            vrid=51, addresses=ADDRESSES[family], primary_address=primary, priority=priority,
            advertisement_interval=0.1,
        )  # fmt: skip
        self.router = Router(self.config)
        self.transport = PacketTransport("eth0", netns=host.namespace)
        self.node = Node(self.transport)
        kernel = NetlinkHost(host.namespace, state_dir=host.lab.directory / f"{host.name}-state")
        self.node.add(self.router, MacvlanBackend("eth0", self.config, host=kernel))
        self.notices: list[Notice] = []


def serve(parties: list[Party], seconds: float) -> None:
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        until = min([end, *(party.node.deadline or end for party in parties)])
        select.select([fileno for party in parties for fileno in party.node.filenos], (), (), max(0.0, until - now))
        for party in parties:
            party.notices += party.node.step(time.monotonic())


@pytest.mark.parametrize("family", list(Family))
def test_garbage_on_the_wire(lab: Lab, family: Family, capsys: pytest.CaptureFixture[str]) -> None:
    """At an Active and a Backup at once; the Backup also loses its Active in the end, garbage or not."""
    a, b = (lab.host(name, f"10.77.0.{at}/24", f"fd77::{at}/64") for at, name in enumerate(("a", "b"), start=1))
    peer = lab.host("peer")
    for number in ("", "6"):  # a switch that looks into packets drops the worst of them
        path = f"net/bridge/bridge-nf-call-ip{number}tables"
        if lab.switch.call(os.path.exists, f"/proc/sys/{path}"):
            lab.switch.sysctl(path, 0)
    before = [host.dump() for host in (a, b)]
    active, backup = parties = [Party(a, family, 200), Party(b, family, 100)]
    for party in parties:
        party.node.start(time.monotonic())
    while (active.router.state, backup.router.state) != (State.ACTIVE, State.BACKUP):
        serve(parties, 0.1)
    for party in parties:
        party.notices.clear()
    held = [host.dump() for host in (a, b)]
    wire = garbage(family, random.Random(51))
    heard = {}
    for kind, frames in wire.items():
        counted = [party.node.statistics.frames for party in parties]
        for frame in frames:
            try:
                peer.send(frame)
            except OSError as error:  # too short for the kernel to send
                assert error.errno in (errno.EINVAL, errno.ENOBUFS)  # noqa: PT017
        serve(parties, 0.4)
        heard[kind] = [party.node.statistics.frames - old for party, old in zip(parties, counted, strict=True)]
        assert (active.router.state, backup.router.state) == (State.ACTIVE, State.BACKUP), kind
    assert [old.diff(host.dump()) for old, host in zip(held, (a, b), strict=True)] == [[], []]
    for party in parties:
        assert not [item for item in party.notices if isinstance(item.report, StateChanged | HostFailed)]
        statistics, router = party.node.statistics, party.router.statistics
        assert statistics.foreign >= 2
        # the filter wants the protocol's byte to be there
        assert statistics.not_vrrp >= sum(len(frame) > 24 for frame in wire["truncated"]) - 8
        assert router.discarded[Problem.TTL] >= 2
        assert router.discarded[Problem.CHECKSUM] >= 2
        assert router.discarded[Problem.CARP] >= 1
        assert router.ip_ttl_errors >= 2
        assert router.checksum_errors >= 2
    for kind in ("random", "random, ours", "CARP", "TTL", "checksum", "foreign"):
        assert min(heard[kind]) >= len(wire[kind]), (
            f"{kind}: only {heard[kind]} of {len(wire[kind])} reached the Nodes"
        )
    with capsys.disabled():
        sent = {kind: len(frames) for kind, frames in wire.items()}
        print(f"\nIPv{family}: sent {sent}; the Backup counted {backup.node.statistics}, "
              f"{ {str(kind): count for kind, count in backup.router.statistics.discarded.items()} }")  # fmt: skip

    a.link_down()  # and with it the Active one's adverts: garbage must not keep the Backup quiet
    end = time.monotonic() + 3 * 0.1 + 1.0 + 2.0
    chance = random.Random(52)
    while backup.router.state is State.BACKUP and time.monotonic() < end:
        for kind in ("TTL", "checksum", "foreign", "CARP"):
            peer.send(chance.choice(wire[kind]))
        serve([backup], 0.02)
    assert backup.router.state is State.ACTIVE
    a.link_up()
    for party in parties:
        party.node.stop(time.monotonic())
        party.transport.close()
    assert before[1].diff(b.dump()) == []
    assert [line for line in before[0].diff(a.dump()) if "vmac" in line or "sysctl" in line] == []
