"""The options of the macvlan backend, side by side: what neighbours and the switch see, and the host afterwards.

One process a host runs a virtual router for each option, so that all of them are tried in one failover.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.linux.capture import Capture, Frame
from tests.linux.lab import Host, Lab
from tests.linux.process import Process, wait_until
from tests.linux.running import ENVIRONMENT
from tests.linux.test_given_back import assert_same, make_odd, settled
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.netlink import NetlinkHost, cleanup
from vrrplib.election.config import RouterConfig
from vrrplib.errors import BackendError

PROGRAM = """
import json, sys
from vrrplib import MacvlanBackend, Node, PacketTransport, Router, RouterConfig
from vrrplib.backends.netlink import NetlinkHost, primary_address
from vrrplib.drivers.blocking import run
state_dir, priority, cases = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
host, node = NetlinkHost(state_dir=state_dir), Node(PacketTransport("eth0"))
for vrid, family, addresses, options in cases:
    config = RouterConfig(vrid=vrid, addresses=addresses, priority=priority, advertisement_interval=0.1,
                          primary_address=primary_address("eth0", family))
    node.add(Router(config), MacvlanBackend("eth0", config, host=host, **options))
def tell(notice):
    if hasattr(notice.report, "new"):
        print(notice.vrid, notice.report.new, flush=True)
    elif hasattr(notice.report, "doing"):  # HostFailed
        print(0, repr(notice), flush=True)
run([node], notify=tell)
"""


@dataclass(frozen=True)
class Case:
    """One virtual router with one option."""

    name: str
    vrid: int
    family: int
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"10.77.0.{100 + self.vrid}" if self.family == 4 else f"fd77::{100 + self.vrid}"

    @property
    def addresses(self) -> list[str]:
        if self.family == 4:
            return [f"{self.address}/24", f"192.0.2.{self.vrid}/24"]
        return [f"fe80::5e:{self.vrid}/64", f"{self.address}/64"]

    @property
    def mac(self) -> str:
        return self.options.get("mac", f"00:00:5e:00:0{1 if self.family == 4 else 2}:{self.vrid:02x}")

    @property
    def mode(self) -> str:
        return self.options.get("mode", "private")

    def link(self, host: Host) -> dict[str, Any] | None:
        for link in host.ip_json("-details", "link", "show", "type", "macvlan"):
            if link.get("address") == self.mac:
                return link
        return None


CASES = [
    Case("bridge", 1, 4, {"mode": "bridge"}),
    Case("vepa", 2, 6, {"mode": "vepa"}),
    Case("xmit_base", 3, 4, {"xmit_base": True}),
    Case("xmit_base, IPv6", 4, 6, {"xmit_base": True}),
    Case("own MAC and name", 5, 4, {"mac": "02:00:5e:10:00:05", "name": "vip5"}),
    Case("standing", 7, 4, {"standing": True}),
    Case("standing, IPv6", 8, 6, {"standing": True, "mode": "bridge", "xmit_base": True}),
    Case("own MAC and name, IPv6", 6, 6, {"mac": "02:00:5e:20:00:06", "name": "vip6"}),
]


class Fleet:
    """All cases on one host, in one process."""

    def __init__(self, host: Host, priority: int) -> None:
        self.host = host
        self.state_dir = host.lab.directory / f"{host.name}-state"
        cases = [(case.vrid, case.family, case.addresses, case.options) for case in CASES]
        self.argv = [sys.executable, "-c", PROGRAM, str(self.state_dir), str(priority), json.dumps(cases)]
        self.process: Process

    def start(self) -> Fleet:
        self.process = self.host.spawn(*self.argv, environment=ENVIRONMENT)
        return self

    @property
    def states(self) -> dict[int, str]:
        whole, _, _ = self.process.log.rpartition("\n")
        lines = [line.split(maxsplit=1) for line in whole.splitlines()]
        assert all(line[0].isdecimal() and line[0] != "0" for line in lines), self.process.log
        return {int(vrid): state for vrid, state in lines}

    def wait(self, state: str) -> Fleet:
        wanted = {case.vrid: state for case in CASES}
        wait_until(lambda: self.states == wanted, 30, lambda: f"{wanted}:\n{self.process.log}")
        return self

    def end(self) -> None:
        self.process.terminate()
        assert self.process.wait() == 0, self.process.log

    def crash(self) -> None:
        self.process.kill()
        self.process.wait()


def silent(capture: Capture, case: Case, port: str, since: float) -> None:
    frames = capture.from_mac(case.mac, port=port, since=since)
    assert not frames, "\n".join([case.name, *(frame.data.hex() for frame in frames)])


def advertisements(capture: Capture, case: Case, port: str) -> list[Frame]:
    def is_its(frame: Frame) -> bool:
        found = frame.advertisement
        return found is not None and (found.family, found.vrid) == (case.family, case.vrid)

    return capture.select(is_its, port=port)


def assert_active(observer: Host, host: Host, case: Case) -> None:
    wait_until(lambda: observer.ping(case.address), 5, f"answer of {case.name}")
    assert observer.neighbour(case.address) == case.mac, case.name
    link = case.link(host)
    assert link is not None
    assert link["linkinfo"]["info_data"]["mode"] == case.mode
    assert link["ifname"] == case.options.get("name", link["ifname"])


def test_each_option_through_a_failover_and_a_crash(lab: Lab) -> None:
    a, b = lab.host("a", "10.77.0.1/24", "fd77::1/64"), lab.host("b", "10.77.0.2/24", "fd77::2/64")
    observer = lab.host("observer", "10.77.0.7/24", "fd77::7/64")
    for host in (a, b):
        make_odd(host)
        for family in ("ipv4", "ipv6"):
            host.sysctl(f"net/{family}/conf/default/forwarding", 0)
        host.ip("address", "del", "10.77.0.3/24", "dev", "eth0")  # of which each host may have one
        host.ip("address", "del", "fd77::3/64", "dev", "eth0")
    before = {host.name: settled(host) for host in (a, b)}
    with lab.capture() as capture:
        high = Fleet(a, 200).start().wait("active")
        low = Fleet(b, 100).start().wait("backup")
        began = time.monotonic()
        for case in CASES:
            assert_active(observer, a, case)
            assert case.link(b)["linkinfo"]["info_data"]["mode"] == "source"
            assert lab.fdb(case.mac) == "a"
        time.sleep(max(0.0, began + 1.5 - time.monotonic()))  # MLD, DAD and router solicitations come in a second
        for case in CASES:
            silent(capture, case, "b", 0.0)
        high.crash()
        low.wait("active")
        high.start().wait("active")
        low.wait("backup")
        for case in CASES:
            assert_active(observer, a, case)
            wait_until(lambda case=case: lab.fdb(case.mac) == "a", 5, f"way of {case.name} back")
        yielded = time.monotonic()
        time.sleep(0.5)
        for case in CASES:
            silent(capture, case, "b", yielded)
        high.end()
        assert_same(before["a"], a, "terminated while Active")
        low.wait("active")
        for case in CASES:
            assert_active(observer, b, case)
            wait_until(lambda case=case: lab.fdb(case.mac) == "b", 5, f"way of {case.name} to b")
        low.crash()
        for case in CASES:
            wanted = {host.mac for host in (a, b)} if "xmit_base" in case.options else {case.mac}
            sent = advertisements(capture, case, "a") + advertisements(capture, case, "b")
            assert {frame.source_mac for frame in sent} == wanted, case.name
    assert before["b"].diff(b.dump()), "the kill left nothing to clean: the test cannot fail"
    cleanup(netns=b.namespace, state_dir=low.state_dir)
    assert_same(before["b"], b, "killed while Active, cleaned")
    assert not [*high.state_dir.rglob("*"), *low.state_dir.rglob("*")]


def test_standing_ipv6_behind_a_switch_that_snoops_and_asks() -> None:
    """Silent while Backup, whoever asks; and found at once when Active, for it says then what it listens to."""
    with Lab(snooping=True, querier=True) as lab:
        host, observer = lab.host("a", "10.77.0.1/24", "fd77::1/64"), lab.host("b", "10.77.0.7/24", "fd77::7/64")
        case = Case("standing", 51, 6, {"standing": True})
        config = RouterConfig(vrid=51, addresses=case.addresses, primary_address=host.link_local())
        kernel = NetlinkHost(host.namespace, state_dir=lab.directory / "state")
        before = host.dump()
        backend = MacvlanBackend("eth0", config, host=kernel, **case.options)
        with lab.capture() as capture:
            backend.prepare()
            time.sleep(3.0)  # the switch asks each second, and restricts multicast then
            silent(capture, case, "a", 0.0)
            assert not observer.ping(case.address, timeout=0.3)
            assert lab.fdb(case.mac) is None
            for _ in range(2):
                backend.activate()
                wait_until(lambda: observer.ping(case.address, timeout=0.2), 5, "answer")
                assert observer.neighbour(case.address) == case.mac
                backend.deactivate()
                since = time.monotonic()
                observer.run("ip", "neigh", "flush", "dev", "eth0")
                assert not observer.ping(case.address, timeout=0.3)
                time.sleep(0.7)
                silent(capture, case, "a", since)
            since = time.monotonic()
            backend.close()
            time.sleep(0.5)
            silent(capture, case, "a", since)
        kernel.close()
        assert_same(before, host, "closed")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("link set eth0 master operators1", "eth0 is a bridge's port"),
        ("link set eth0 name operators2", "no interface is named 'eth0'"),
    ],
)
def test_a_parent_that_cannot_carry_it_is_refused_and_nothing_changed(lab: Lab, words: str, problem: str) -> None:
    host = lab.host("a", "10.77.0.1/24")
    host.ip("link", "add", "operators1", "type", "bridge")
    host.ip("link", "set", "eth0", "down")
    host.ip(*words.split())
    before = settled_link(host)
    finished = host.run(
        "env", f"PYTHONPATH={ENVIRONMENT['PYTHONPATH']}", sys.executable, "-c", REFUSED, check=False
    )
    assert problem in finished.stdout, finished.stderr
    assert_same(before, host, problem)


def settled_link(host: Host) -> Any:
    host.sysctl("net/ipv6/conf/all/disable_ipv6", 1)
    return host.dump()


REFUSED = """
from vrrplib import BackendError, MacvlanBackend, RouterConfig
from vrrplib.backends.netlink import NetlinkHost
config = RouterConfig(vrid=1, addresses=["10.77.0.100/24"], primary_address="10.77.0.1")
try:
    MacvlanBackend("eth0", config, host=NetlinkHost(state_dir="/nowhere/to/be")).prepare()
except BackendError as error:
    print(error)
"""


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("state", ["as it came up", "address removed", "ipv6 off"])
def test_an_adopted_link_gets_no_address_of_the_virtual_mac_and_is_given_back(
    lab: Lab, family: int, state: str
) -> None:
    """RFC 9568 7.4; what the operator's link has of that kind already is the operator's."""
    host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
    host.sysctl("net/ipv6/conf/default/accept_dad", 0)
    make_mine(host, family)
    host.sysctl("net/ipv6/conf/mine/disable_ipv6", int(state == "ipv6 off"))
    host.ip("link", "set", "mine", "up")
    if state != "ipv6 off":
        wait_until(lambda: made_of_mac(host), 5)
    if state == "address removed":
        host.ip("-6", "address", "flush", "dev", "mine")
    before, had = host.dump(), made_of_mac(host)
    assert bool(had) is (state == "as it came up")
    addresses, primary = (["10.78.0.51/32"], "10.77.0.1") if family == 4 else (["fe80::5e/64"], host.link_local())
    config = RouterConfig(vrid=51, addresses=addresses, primary_address=primary)
    kernel = NetlinkHost(host.namespace, state_dir=lab.directory / "state")
    with MacvlanBackend("eth0", config, name="mine", host=kernel) as backend:
        for step in (backend.prepare, backend.activate, backend.deactivate):
            step()
            assert made_of_mac(host) == had
        assert before.diff(host.dump())
    assert_same(before, host, f"{state}, IPv{family}")
    kernel.close()


def make_mine(host: Host, family: int) -> None:
    words = f"link add mine link eth0 address 00:00:5e:00:0{family // 2 - 1}:33 type macvlan mode source"
    host.ip(*words.split())


def made_of_mac(host: Host) -> list[str]:
    """The addresses of `mine` whose interface identifier is its MAC."""
    links = host.ip_json("-6", "address", "show", "dev", "mine")
    return [item["local"] for link in links for item in link["addr_info"] if ":5eff:fe00:" in item.get("local", "")]


@pytest.mark.parametrize("was_up", [False, True])
def test_a_link_that_is_down_is_not_adopted(lab: Lab, was_up: bool) -> None:
    host = lab.host("a", "10.77.0.1/24")
    make_mine(host, 4)
    for state in ("up", "down") if was_up else ():
        host.ip("link", "set", "mine", state)
    before = host.dump()
    config = RouterConfig(vrid=51, addresses=["10.78.0.51/32"], primary_address="10.77.0.1")
    kernel = NetlinkHost(host.namespace, state_dir=lab.directory / "state")
    with pytest.raises(
        BackendError, match=r"mine is there already, and is down, .*`ip link set dev mine up` first"
    ):
        MacvlanBackend("eth0", config, name="mine", host=kernel).prepare()
    assert_same(before, host, "refused")
    kernel.close()
