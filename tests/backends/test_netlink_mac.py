"""A change of MAC against the kernel: what it throws away is there again, also where the link must go down."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from tests.linux.conftest import skip_or_fail, why_not
from tests.linux.lab import Host, Lab
from vrrplib.backends import netlink_mac
from vrrplib.backends.netlink_socket import HEADER, NetlinkSocket
from vrrplib.namespaces import run_in

pytestmark = pytest.mark.linux
VIRTUAL = "00:00:5e:00:01:33"
NEWLINK = 16


class Recorded(NetlinkSocket):
    """Counts the calls that change something."""

    calls = 0

    def send_all(self, messages):
        self.calls += 1
        return super().send_all(messages)


class Stubborn(Recorded):
    """As for a driver that changes its MAC only while the link is down: a change that comes first is refused."""

    def send_all(self, messages):
        kind = HEADER.unpack_from(messages[0])[1]
        changes_mac = kind == NEWLINK and len(messages[0]) > HEADER.size + 16
        if not changes_mac:
            return super().send_all(messages)
        rest = super().send_all(messages[1:]) if messages[1:] else []
        return [OSError(errno.EBUSY, "Device or resource busy"), *rest]


@pytest.fixture
def machine() -> Iterator[Host]:
    if reason := why_not():
        skip_or_fail(reason, "VRRPLIB_REQUIRE_LINUX")
    with Lab() as lab:
        yield lab.host("a", "10.77.0.1/24", "10.77.0.2/24", "fd77::1/64")


def index(machine: Host, name: str = "eth0") -> int:
    return int(machine.ip_json("link", "show", "dev", name)[0]["ifindex"])


def swap(machine: Host, kind: type[Recorded], mac: str, **options: bool) -> int:
    """Change the MAC of eth0; how many calls it took."""
    netlink = run_in(machine.namespace, kind)
    try:
        netlink_mac.change_mac(netlink, "eth0", index(machine), mac, **options)
        return netlink.calls
    finally:
        netlink.close()


def but_mac(machine: Host) -> dict[str, str]:
    return {name: value for name, value in machine.dump().entries.items() if name != "link eth0 address"}


def add_many_neighbours(machine: Host, count: int) -> None:
    lines = [
        f"neigh add 10.77.{number // 200}.{number % 200 + 3} lladdr 02:00:00:00:00:99 dev eth0 nud permanent"
        for number in range(count)
    ]
    machine.run("ip", "-batch", "-", text="\n".join(lines) + "\n")


def test_many_neighbours_of_the_operator_come_back_in_the_same_call(machine: Host) -> None:
    """More than the socket's buffer holds at first: nothing is left for a second call, before which one may die."""
    add_many_neighbours(machine, 4000)
    before = machine.dump()
    assert swap(machine, Recorded, VIRTUAL) == 1
    assert len(machine.ip_json("neigh", "show", "nud", "permanent")) == 4000
    assert swap(machine, Recorded, machine.mac) == 1
    assert before.diff(machine.dump()) == []


def test_more_than_one_call_takes_changes_nothing(machine: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    add_many_neighbours(machine, 4000)
    before = machine.dump()
    monkeypatch.setattr(Recorded, "_make_room", lambda *_: None)
    with pytest.raises(OSError, match="Message too long"):
        swap(machine, Recorded, VIRTUAL)
    assert before.diff(machine.dump()) == []


def make_rich(machine: Host) -> None:
    """All that the kernel throws away with a link that goes down."""
    machine.sysctl("net/ipv6/conf/all/forwarding", 1)
    for words in (
        "-6 address add fd77::2/64 dev eth0 nodad",
        "-6 address add fd77::3/64 dev eth0 preferred_lft 0",
        "-6 address add fd77::4/64 dev eth0 valid_lft 4000 preferred_lft 3000",
        "-6 address add fd78::1/64 dev eth0 noprefixroute",
        "-6 address add fd79::1/64 dev eth0 mngtmpaddr metric 300",
        "-6 address add fd80::1/128 dev eth0 home",
        "address add 10.88.0.1/24 dev eth0 noprefixroute",
        "route add 10.88.0.0/24 dev eth0 proto kernel scope link src 10.88.0.1 metric 100",
        "route add default via 10.88.0.254 dev eth0 metric 50",
        "route add 10.99.0.0/16 via 10.77.0.9 dev eth0 metric 77 mtu 1400",
        "route add 10.99.0.0/16 via 10.77.0.10 dev eth0 metric 78 table 77 proto static",
        "route add 10.100.0.0/16 nexthop via 10.77.0.9 dev eth0 nexthop via 10.77.0.10 dev eth0 weight 3",
        "-6 route add fd99::/64 via fd77::9 dev eth0",
        "-6 route add fd9a::/64 dev eth0 metric 100",
        "-6 route add fd9b::/64 nexthop via fd77::9 dev eth0 nexthop via fd77::a dev eth0 weight 3",
        "-6 route add fd9c::/64 via fd77::9 dev eth0 expires 3000 table 77",
        "-6 route add default via fe80::9 dev eth0 proto ra metric 1024",
        "neigh add 10.77.0.9 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
        "neigh add fd77::9 lladdr 02:00:00:00:00:99 dev eth0 router nud permanent",
        "neigh add proxy 10.77.0.8 dev eth0",
        "neigh add proxy fd77::8 dev eth0",
        "link add operators0 link eth0 type macvlan mode bridge",
        "link set operators0 up",
    ):
        machine.ip(*words.split())
    machine.run("ip", "-6", "address", "flush", "dev", "operators0")


def test_a_link_that_must_go_down_comes_up_as_it_was(machine: Host) -> None:
    make_rich(machine)
    machine.ip("link", "set", "eth0", "addrgenmode", "none")  # as the backend has it: no address of the virtual MAC
    before = but_mac(machine)
    for mac in (VIRTUAL, machine.mac):
        assert swap(machine, Stubborn, mac) == 2  # refused, and all of the rest at once
        assert machine.ip_json("link", "show", "dev", "eth0")[0]["address"] == mac
        assert but_mac(machine) == before


def test_routes_by_nexthop_objects_are_not_to_be_had_back(machine: Host) -> None:
    machine.ip("nexthop", "add", "id", "7", "via", "10.77.0.9", "dev", "eth0")
    machine.ip("route", "add", "10.99.0.0/16", "nhid", "7")
    before = machine.dump()
    with pytest.raises(OSError, match="only while down, and a route by a nexthop object uses it"):
        swap(machine, Stubborn, VIRTUAL)
    assert before.diff(machine.dump()) == []
    assert swap(machine, Recorded, VIRTUAL) == 1


def test_by_ioctl(machine: Host) -> None:
    before = machine.dump()
    assert swap(machine, Recorded, VIRTUAL, ioctl=True) == 0
    assert machine.ip_json("link", "show", "dev", "eth0")[0]["address"] == VIRTUAL
    assert swap(machine, Recorded, machine.mac, ioctl=True) == 0
    assert before.diff(machine.dump()) == []
    add_many_neighbours(machine, 1)
    assert swap(machine, Recorded, VIRTUAL, ioctl=True) == 1  # what only netlink can put back


def test_an_interface_whose_mac_cannot_change(machine: Host) -> None:
    machine.ip("link", "add", "fixed0", "type", "ifb")
    machine.ip("link", "set", "fixed0", "up")
    netlink = run_in(machine.namespace, Recorded)
    with pytest.raises(OSError, match="not supported") as caught:
        netlink_mac.change_mac(netlink, "fixed0", index(machine, "fixed0"), VIRTUAL)
    assert caught.value.errno == errno.EOPNOTSUPP
    netlink.close()


def test_what_stands_on_an_interface(machine: Host) -> None:
    machine.ip("link", "add", "child0", "link", "eth0", "address", VIRTUAL, "type", "macvlan", "mode", "bridge")
    netlink = run_in(machine.namespace, NetlinkSocket)
    ((name, kind, mac),) = netlink_mac.stacked(netlink, index(machine))
    assert (name, kind, str(mac)) == ("child0", "macvlan", VIRTUAL)
    assert netlink_mac.stacked(netlink, index(machine, "lo")) == []
    netlink.close()


def test_routes_of_the_operator_without_a_gateway(machine: Host) -> None:
    for words in (
        "route add 192.0.2.0/24 dev eth0",
        "-6 route add fd99::/64 dev eth0",
        "route add 192.0.3.0/24 via 10.77.0.9",
        "route add 192.0.4.0/24 dev lo",
    ):
        machine.ip(*words.split())
    netlink = run_in(machine.namespace, NetlinkSocket)
    assert sorted(map(str, netlink_mac.on_link_routes(netlink, index(machine)))) == ["192.0.2.0/24", "fd99::/64"]
    netlink.close()
