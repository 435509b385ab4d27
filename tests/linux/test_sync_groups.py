"""A sync group on two interfaces: one link goes, both virtual routers leave; it comes back, both return."""

from __future__ import annotations

import sys
import time

import pytest

from tests.linux.lab import Host, Lab
from tests.linux.process import Process, wait_until
from tests.linux.running import ENVIRONMENT

PROGRAM = """
import socket, struct, sys
from vrrplib import MacvlanBackend, Node, PacketTransport, Router, RouterConfig, Watch
from vrrplib.backends.base import HostChange, HostChangeKind
from vrrplib.backends.netlink import NetlinkHost, primary_address
from vrrplib.drivers.blocking import run
from vrrplib.election.groups import SyncGroup
from vrrplib.wire.addresses import Family

class Carrier(Watch):
    def __init__(self, interface):
        self.index, self.up = socket.if_nametoindex(interface), True
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.socket.setblocking(False)
        self.socket.bind((0, 1))  # RTMGRP_LINK
    def fileno(self):
        return self.socket.fileno()
    def read(self):
        found = []
        try:
            while True:
                data = self.socket.recv(65536)
                kind, = struct.unpack_from("H", data, 4)
                index, flags = struct.unpack_from("iI", data, 20)
                if kind == 16 and index == self.index and bool(flags & 0x10000) != self.up:  # IFF_LOWER_UP
                    self.up = not self.up
                    found.append(HostChange(
                        HostChangeKind.PARENT_UP if self.up else HostChangeKind.PARENT_DOWN, "the carrier"))
        except BlockingIOError:
            return tuple(found)
    def close(self):
        self.socket.close()

host, nodes, routers = NetlinkHost(state_dir=sys.argv[1]), [], []
for vrid, interface in enumerate(("eth0", "eth1"), 1):
    config = RouterConfig(vrid=vrid, addresses=[f"10.7{vrid}.0.100/24"], priority=int(sys.argv[2]),
                          advertisement_interval=0.1, primary_address=primary_address(interface, Family.IPV4))
    nodes.append(Node(PacketTransport(interface), watch=Carrier(interface)))
    routers.append(Router(config))
    nodes[-1].add(routers[-1], MacvlanBackend(interface, config, host=host))
def tell(notice):
    if hasattr(notice.report, "new"):
        print(notice.vrid, notice.report.new, flush=True)
run(nodes, [SyncGroup(*routers)], notify=tell)
"""
ACTIVE, BACKUP, LOST = "active", "backup", "initialize"


def second_lan(host: Host, address: str) -> None:
    switch = host.lab.switch
    if not any(link["ifname"] == "br1" for link in switch.ip_json("link")):
        switch.ip("link", "add", "br1", "type", "bridge")
        switch.ip("link", "set", "br1", "up")
    switch.ip("link", "add", f"lan1-{host.name}", "type", "veth", "peer", "name", "eth1", "netns", host.namespace)
    switch.ip("link", "set", f"lan1-{host.name}", "master", "br1", "up")
    host.sysctl("net.ipv6.conf.eth1.accept_dad", 0)
    host.ip("address", "add", address, "dev", "eth1")
    host.ip("link", "set", "eth1", "up")


def changes(process: Process) -> list[tuple[int, str]]:
    whole, _, _ = process.log.rpartition("\n")
    lines = [line.split() for line in whole.splitlines()]
    assert all(len(line) == 2 for line in lines), process.log
    return [(int(vrid), state) for vrid, state in lines]


def states(process: Process) -> dict[int, str]:
    return dict(changes(process))


def both(state: str) -> dict[int, str]:
    return {1: state, 2: state}


@pytest.mark.parametrize("lost", [1, 2], ids=["the leader's link", "the follower's link"])
def test_one_link_goes_and_comes_back(lab: Lab, lost: int) -> None:
    processes, before = {}, {}
    for at, (name, priority) in enumerate((("a", 200), ("b", 100)), 1):
        host = lab.host(name, f"10.71.0.{at}/24")
        second_lan(host, f"10.72.0.{at}/24")
        before[name] = host.dump()
        state_dir = str(lab.directory / f"{name}-state")
        processes[name] = host.spawn(
            sys.executable, "-c", PROGRAM, state_dir, str(priority), environment=ENVIRONMENT
        )
    a, b = processes["a"], processes["b"]

    def until(a_is: dict[int, str], b_is: dict[int, str]) -> None:
        wait_until(lambda: (states(a), states(b)) == (a_is, b_is), 30, lambda: f"{a_is} {b_is}:\n{a.log}\n{b.log}")
        time.sleep(2.0)  # twenty intervals in which nothing more may happen
        assert (states(a), states(b)) == (a_is, b_is)

    until(both(ACTIVE), both(BACKUP))
    seen = len(changes(a)), len(changes(b))

    port = "port-a" if lost == 1 else "lan1-a"
    lab.switch.ip("link", "set", port, "down")
    until({lost: LOST, 3 - lost: BACKUP}, both(ACTIVE))
    assert sorted(changes(a)[seen[0] :]) == sorted([(lost, LOST), (3 - lost, BACKUP)])
    assert changes(b)[seen[1] :] == [(1, ACTIVE), (2, ACTIVE)]

    seen = len(changes(a)), len(changes(b))
    lab.switch.ip("link", "set", port, "up")
    until(both(ACTIVE), both(BACKUP))
    assert changes(a)[seen[0] :] == [(lost, BACKUP), (1, ACTIVE), (2, ACTIVE)]
    assert sorted(changes(b)[seen[1] :]) == [(1, BACKUP), (2, BACKUP)]

    for process in (a, b):
        process.terminate()
        assert process.wait() == 0
    assert changes(a)[-2:] == changes(b)[-2:] == [(1, LOST), (2, LOST)]
    assert [before[name].diff(lab.hosts[name].dump()) for name in "ab"] == [[], []]
