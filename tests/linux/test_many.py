"""255 macvlans prepared, activated and closed together; a failure and SIGKILL in the middle of it."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.netlink import NetlinkHost, cleanup
from vrrplib.backends.watch import NetlinkWatch
from vrrplib.election.actions import HostFailed
from vrrplib.election.config import RouterConfig
from vrrplib.election.router import Router
from vrrplib.election.states import State
from vrrplib.errors import BackendError
from vrrplib.member import FIRST_RETRY
from vrrplib.node import Node
from vrrplib.transports.packet import PacketTransport


def many(host: Host, kernel: NetlinkHost, count: int) -> list[MacvlanBackend]:
    """Half of each family."""
    configs = []
    for number in range(1, count + 1):
        vrid = (number + 1) // 2
        if number % 2:
            addresses, primary = (f"10.77.1.{vrid}/24", f"192.0.2.{vrid}/32"), "10.77.0.1"
        else:
            addresses, primary = (f"fe80::5e:{vrid:x}/64", f"fd77::5e:{vrid:x}/64"), host.link_local()
        configs.append(RouterConfig(vrid=vrid, addresses=addresses, primary_address=primary))
    return [MacvlanBackend("eth0", config, host=kernel) for config in configs]


def with_an_operators_links(lab: Lab) -> Host:
    host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
    host.sysctl("net/ipv6/conf/default/disable_ipv6", 1)  # what the kernel gives its links later would be a change
    for words in (
        "link add operators0 link eth0 type macvlan mode bridge",
        "link set operators0 up group 7",
        "link add operators1 link eth0 address 00:00:5e:00:01:14 type macvlan mode bridge",
    ):
        host.ip(*words.split())
    return host


def macvlans(host: Host) -> list[str]:
    return sorted(link["ifname"] for link in host.ip_json("link", "show", "type", "macvlan"))


def test_255_come_and_go_and_leave_no_trace(lab: Lab) -> None:
    host = with_an_operators_links(lab)
    before = host.dump()
    kernel = NetlinkHost(host.namespace, state_dir=lab.directory / "state")
    backends = many(host, kernel, 255)
    MacvlanBackend.prepare_all(backends)
    assert len(macvlans(host)) == 2 + 255
    for backend in backends:
        backend.activate()
    up = [link for link in host.ip_json("-details", "link", "show", "type", "macvlan") if "UP" in link["flags"]]
    assert sum(link["linkinfo"]["info_data"]["mode"] == "private" for link in up) == 255
    held = {item["local"] for link in host.ip_json("address", "show") for item in link["addr_info"] if item}
    assert {str(address.ip) for backend in backends for address in backend.config.addresses} <= held
    MacvlanBackend.close_all(backends)
    assert macvlans(host) == ["operators0", "operators1"]
    assert before.diff(host.dump()) == []
    assert list((lab.directory / "state").glob("*")) == []
    kernel.close()


def test_a_failure_in_the_middle_gives_all_back(lab: Lab) -> None:
    host = with_an_operators_links(lab)
    host.ip("link", "set", "operators1", "up")  # it has the MAC of VRID 20
    before = host.dump()
    kernel = NetlinkHost(host.namespace, state_dir=lab.directory / "state")
    with pytest.raises(BackendError, match="another link on this interface has that MAC") as caught:
        MacvlanBackend.prepare_all(many(host, kernel, 60))
    assert getattr(caught.value.operation, "name", "").endswith("-20")
    assert macvlans(host) == ["operators0", "operators1"]
    assert before.diff(host.dump()) == []
    kernel.close()


def test_when_their_interface_is_there_again_all_are_but_one_whose_mac_is_taken(lab: Lab) -> None:
    host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
    kernel = NetlinkHost(host.namespace, state_dir=lab.directory / "state")
    watch, transport = (kind("eth0", netns=host.namespace) for kind in (NetlinkWatch, PacketTransport))
    node = Node(transport, watch=watch)
    for backend in many(host, kernel, 60):
        node.add(Router(backend.config), backend)
    node.start(0.0)
    host.ip("link", "delete", "eth0")
    wait_until(lambda: node.step(1.0), 5)
    assert {router.state for router in node.routers} == {State.INITIALIZE}
    lab.reconnect(host)
    host.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
    for words in ("add operators0 link eth0 address 00:00:5e:00:01:14 type macvlan", "set operators0 up"):
        host.ip("link", *words.split())
    notices = wait_until(lambda: node.step(2.0), 5)
    ((vrid, family, failed),) = (
        (notice.vrid, notice.family, notice.report) for notice in notices if isinstance(notice.report, HostFailed)
    )
    assert (vrid, family, failed.doing) == (20, 4, "prepare")
    assert "another link on this interface has that MAC" in failed.message
    assert len(macvlans(host)) == 1 + 59
    states = Counter(router.state for router in node.routers)
    assert states == {State.BACKUP: 59, State.INITIALIZE: 1}
    host.ip("link", "delete", "operators0")
    node.step(2.0 + FIRST_RETRY)
    assert {router.state for router in node.routers} == {State.BACKUP}
    node.stop(3.0)
    assert macvlans(host) == []
    assert list((lab.directory / "state").glob("*")) == []
    for each in (watch, transport, kernel):
        each.close()


def live(host: Host, state_dir: Path) -> int:
    """All their life, in a process of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            backends = many(host, NetlinkHost(host.namespace, state_dir=state_dir), 60)
            MacvlanBackend.prepare_all(backends)
            for backend in backends:
                backend.activate()
            MacvlanBackend.close_all(backends)
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    return pid


def test_sigkill_in_the_middle_of_it(lab: Lab) -> None:
    host = with_an_operators_links(lab)
    state_dir = lab.directory / "state"
    before = host.dump()
    begin = time.monotonic()
    assert os.waitpid(live(host, state_dir), 0)[1] == 0
    lifetime = time.monotonic() - begin
    assert before.diff(host.dump()) == []
    seen = set()
    for part in range(1, 16):
        pid = live(host, state_dir)
        time.sleep(lifetime * part / 16)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        seen.add(len(macvlans(host)))
        cleanup(netns=host.namespace, state_dir=state_dir)
        assert before.diff(host.dump()) == [], f"killed after {part}/16 of its life"
        assert list(state_dir.glob("*")) == []
    assert len(seen) > 1, "no kill left anything: the test cannot fail"
