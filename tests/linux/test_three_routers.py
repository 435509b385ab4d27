"""Three virtual routers on one interface of two hosts, IPv4 and IPv6 with the same VRID among them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.linux.running import ENVIRONMENT, ROOT, V4, V6, Running

#: name: (addresses, VRID, virtual MAC, an address to ping, who shall be Active)
ROUTERS = {
    "v4-51": (V4, 51, "00:00:5e:00:01:33", "10.77.0.100", "a"),
    "v6-51": (V6, 51, "00:00:5e:00:02:33", "fd77::100", "b"),
    "v4-52": (("10.77.0.52/24",), 52, "00:00:5e:00:01:34", "10.77.0.52", "b"),
}
PRIORITY = {True: 200, False: 100}

NODE = """
import sys
from vrrplib import MacvlanBackend, Node, PacketTransport, Router, RouterConfig
from vrrplib.backends.netlink import NetlinkHost, primary_address
from vrrplib.drivers.blocking import run
from vrrplib.wire.addresses import Family
host = NetlinkHost(state_dir=sys.argv[1])
node = Node(PacketTransport("eth0"))
for vrid, priority, addresses in eval(sys.argv[2]):
    family = Family.IPV6 if ":" in addresses[0] else Family.IPV4
    config = RouterConfig(vrid=vrid, addresses=addresses, priority=priority, advertisement_interval=0.1,
                          primary_address=primary_address("eth0", family))
    node.add(Router(config), MacvlanBackend("eth0", config, host=host))
def tell(notice):
    print(notice.family, notice.vrid, getattr(notice.report, "new", notice.report), flush=True)
run([node], notify=tell)
"""


def pair(lab: Lab) -> tuple[Host, Host, Host]:
    a, b = (lab.host(name, f"10.77.0.{at}/24", f"fd77::{at}/64") for at, name in enumerate(("a", "b"), start=1))
    return a, b, lab.host("client", "10.77.0.9/24", "fd77::9/64")


def assert_served(lab: Lab, client: Host, active: dict[str, str]) -> None:
    """Each virtual address is answered from its virtual MAC, behind the port of its Active host."""
    for name, (_, _, mac, address, _) in ROUTERS.items():
        client.run("ip", "neigh", "flush", "dev", "eth0")
        assert client.ping(address, count=2) == 2, name
        assert client.neighbour(address) == mac, name
        assert lab.fdb(mac) == active[name], name


def test_three_processes_on_each_host(lab: Lab) -> None:
    a, b, client = pair(lab)
    before = {host.name: host.dump() for host in (a, b)}
    runs = {
        (host.name, name): Running(host, addresses, vrid=vrid, priority=PRIORITY[host.name == wanted]).start()
        for name, (addresses, vrid, _, _, wanted) in ROUTERS.items()
        for host in (a, b)
    }
    for (host_name, name), running in runs.items():
        wanted = ROUTERS[name][-1]
        wait_until(
            lambda r=running, h=host_name, w=wanted: r.state == ("active" if h == w else "backup"), 30,
            lambda r=running: r.process.log,
        )  # fmt: skip
    assert_served(lab, client, {name: fields[-1] for name, fields in ROUTERS.items()})

    runs["a", "v4-51"].end()  # one of three goes: the other two stay as they are
    runs["b", "v4-51"].wait("active")
    assert_served(lab, client, dict.fromkeys(ROUTERS, "b"))
    runs["a", "v4-51"].start().wait("active")
    assert_served(lab, client, {name: fields[-1] for name, fields in ROUTERS.items()})

    runs["b", "v6-51"].crash()
    b.link_down()  # the whole host is gone; what it ran must be run by a
    for name in ROUTERS:
        runs["a", name].wait("active")
    assert_served(lab, client, dict.fromkeys(ROUTERS, "a"))
    b.link_up()
    for (host_name, name), running in runs.items():
        if (host_name, name) != ("b", "v6-51"):
            running.end()
    runs["b", "v6-51"].cleanup()
    for host in (a, b):
        assert before[host.name].diff(host.dump()) == []


def test_one_node_on_each_host(lab: Lab) -> None:
    a, b, client = pair(lab)
    before = {host.name: host.dump() for host in (a, b)}
    processes = {}
    for host in (a, b):
        routers = [
            (vrid, PRIORITY[host.name == wanted], addresses) for addresses, vrid, _, _, wanted in ROUTERS.values()
        ]
        state_dir = str(lab.directory / f"{host.name}-state")
        processes[host.name] = host.spawn(
            sys.executable, "-c", NODE, state_dir, repr(routers), environment=ENVIRONMENT
        )

    def last_states(name: str) -> dict[str, str]:
        lines = [line.split() for line in processes[name].log.splitlines()]
        return {f"v{words[0]}-{words[1]}": words[2] for words in lines if len(words) == 3}

    for host in (a, b):
        wanted = {name: "active" if fields[-1] == host.name else "backup" for name, fields in ROUTERS.items()}
        wait_until(
            lambda h=host.name, w=wanted: last_states(h) == w, 30, lambda h=host.name: processes[h].log
        )  # fmt: skip
    assert_served(lab, client, {name: fields[-1] for name, fields in ROUTERS.items()})
    processes["b"].terminate()
    assert processes["b"].wait() == 0, processes["b"].log
    wait_until(lambda: set(last_states("a").values()) == {"active"}, 10, lambda: processes["a"].log)
    assert_served(lab, client, dict.fromkeys(ROUTERS, "a"))
    processes["a"].interrupt()
    assert processes["a"].wait() == 0, processes["a"].log
    for host in (a, b):
        assert before[host.name].diff(host.dump()) == []


@pytest.mark.parametrize(
    ("first", "second"), [("macswap", "macswap"), ("macswap", "macvlan"), ("macvlan", "macswap")]
)
def test_mac_swap_refuses_company_from_another_process(lab: Lab, first: str, second: str) -> None:
    a = lab.host("a", "10.77.0.1/24", "fd77::1/64")
    running = Running(a, V4, backend=first).start().wait("active")
    held = a.dump()
    refused = Running(a, ("10.77.0.52/24",), vrid=52, backend=second)
    finished = a.run("env", f"PYTHONPATH={ROOT}", *refused.argv, check=False)
    assert finished.returncode == 1
    (line,) = finished.stderr.splitlines()
    assert f"process {running.process.pid} runs VRID 51 here ({first})" in line
    assert "with MAC swap an interface has room for one virtual router only" in line
    assert held.diff(a.dump()) == []
    running.end()


def test_mac_swap_refuses_company_in_a_node(tmp_path: Path) -> None:
    """A ConfigError: no host is asked for anything."""
    program = """
from vrrplib import ConfigError, MacSwapBackend, MemoryTransport, Node, Router, RouterConfig
node = Node(MemoryTransport(interface="eth0"))
for vrid in (51, 52):
    config = RouterConfig(vrid=vrid, addresses=[f"10.77.0.{vrid}/24"], primary_address="10.77.0.1")
    try:
        node.add(Router(config), MacSwapBackend("eth0", config))
    except ConfigError as error:
        print(error)
"""
    finished = subprocess.run(
        [sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert finished.stdout == (
        "MacSwapBackend must be alone on eth0: an interface has one MAC address, and it cannot be that of two "
        "virtual routers\n"
    )
