"""The lines of a dry run, run by a shell on a host of its own, do what the backend does on its twin.

Both hosts are compared after each step of a life; then the undo lines are tried after every line of it.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from tests.documents import ROOT
from tests.linux.dump import HostDump
from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.linux.running import Running
from tests.linux.test_given_back import assert_same, make_odd, shifted
from tests.linux.test_on_the_interface import advertise, ipv6_addresses
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.dryrun import DryRunBackend
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.netlink import NetlinkHost, cleanup
from vrrplib.backends.plan import PlannedBackend
from vrrplib.election.config import RouterConfig

LINK_LOCAL = "fe80::ff:fe00:1"


class DownWhileBackup(MacvlanBackend):
    """As where the kernel has no source mode."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._has_source_mode = False


def plain(host: Host) -> None:
    """Addresses, and no more."""


def forwarding(host: Host) -> None:
    host.sysctl("net/ipv4/ip_forward", 1)
    host.sysctl("net/ipv6/conf/all/forwarding", 1)


def quiet_routers(host: Host) -> None:
    """Then the kernel takes no token, and autoconf goes off meanwhile."""
    host.sysctl("net/ipv6/conf/eth0/router_solicitations", 0)


def crowded(host: Host) -> None:
    """Routes that have no address, addresses that have no route, and neighbours of every kind."""
    for words in (
        "address add 10.88.0.1/24 dev eth0 noprefixroute",
        "route add 10.88.0.0/24 dev eth0 proto kernel scope link src 10.88.0.1 metric 100",
        "-6 route add fd78::/64 dev eth0 metric 100",
        "-6 address add fd66::1/64 dev eth0 nodad valid_lft 4000 preferred_lft 3000",
        "neigh add 10.77.0.9 lladdr 03:bf:00:00:00:99 dev eth0 nud permanent protocol 99",
        "neigh add fd77::9 lladdr 02:00:00:00:00:99 dev eth0 router nud permanent",
        "neigh add 10.77.0.8 lladdr 02:00:00:00:00:98 dev eth0 nud noarp",
        "neigh add proxy 10.77.0.7 dev eth0",
    ):
        host.ip(*words.split())


def adoptable(host: Host) -> None:
    """Links of the operator's with the virtual MACs: one is up, has an address and values of its own."""
    for words in (
        "link add vip4 link eth0 address 00:00:5e:00:01:33 type macvlan mode bridge",
        "link add vip6 link eth0 address 00:00:5e:00:02:33 type macvlan mode vepa",
        "link set vip6 addrgenmode none up",
        "address add 10.77.0.151/24 dev vip4",
        "link set vip4 addrgenmode none up",
    ):
        host.ip(*words.split())
    host.sysctl("net/ipv4/conf/vip4/rp_filter", 1)


@dataclasses.dataclass(frozen=True)
class Case:
    """A backend with its options, on a host that was set up so."""

    kind: type[PlannedBackend]
    family: int
    setup: Callable[[Host], None] = plain
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    config: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        words = [self.kind.__name__, f"IPv{self.family}", self.setup.__name__, *self.options.values()]
        return "-".join(str(word) for word in (*words, *self.config))

    def backend(self, host: NetlinkHost) -> PlannedBackend:
        primary = "10.77.0.1" if self.family == 4 else LINK_LOCAL
        config = RouterConfig(vrid=51, addresses=shifted(self.family, 51), primary_address=primary, **self.config)
        return self.kind("eth0", config, host=host, **self.options)


CLOSED = {"accept_mode": False}
CASES = [
    Case(MacvlanBackend, 4, make_odd),
    Case(MacvlanBackend, 6, make_odd, {"mode": "bridge", "mac": "02:00:5e:10:00:05"}, CLOSED),
    Case(MacvlanBackend, 4, plain, {"mode": "vepa", "xmit_base": True, "name": "v;$(x)'.5"}, CLOSED),
    Case(MacvlanBackend, 6, forwarding),
    Case(MacvlanBackend, 4, forwarding, {"standing": True}, CLOSED),
    Case(MacvlanBackend, 6, make_odd, {"standing": True}),
    Case(MacvlanBackend, 4, adoptable, {"name": "vip4"}),
    Case(MacvlanBackend, 6, adoptable, {"name": "vip6", "mode": "bridge"}, CLOSED),
    Case(DownWhileBackup, 4, plain),
    Case(DownWhileBackup, 6, make_odd),
    Case(MacSwapBackend, 4, make_odd, {"ioctl": True}, CLOSED),
    Case(MacSwapBackend, 6, make_odd),
    Case(MacSwapBackend, 4, crowded),
    Case(MacSwapBackend, 6, quiet_routers, {}, CLOSED),
    Case(AnnounceBackend, 4, crowded),
    Case(AnnounceBackend, 6, make_odd, {}, CLOSED),
]


STEPS = ("prepare", "activate", "deactivate", "activate", "close")


def ready(host: Host) -> HostDump:
    """A dump that will stay: the link-local address is there, and detection of duplicates is over."""
    wait_until(lambda: host.ip_json("-6", "address", "show", "scope", "link"), 5, "link-local address")
    wait_until(lambda: not host.ip_json("-6", "address", "show", "tentative"), 5, "end of detection")
    return host.dump()


def run_lines(host: Host, lines: Iterable[str]) -> None:
    """As pasted into a root shell that stops at the first line that fails."""
    host.run("sh", "-ec", "\n".join(lines))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_lines_do_what_the_backend_does(lab: Lab, case: Case) -> None:
    with Lab() as other:
        host, twin = (each.host("a", "10.77.0.1/24", "fd77::1/64") for each in (lab, other))
        for each in (host, twin):
            case.setup(each)
        before = ready(twin)
        assert_same(ready(host), twin, "before anything was done")
        dry = DryRunBackend(case.backend(NetlinkHost(twin.namespace)))
        lines: dict[str, tuple[str, ...]] = {}
        undo: tuple[str, ...] = ()
        for step in STEPS:
            done = len(dry.commands)
            getattr(dry, step)()
            lines[step] = dry.commands[done:]
            undo = dry.undo_commands or undo
        backend = case.backend(NetlinkHost(host.namespace, state_dir=lab.directory / "state"))
        for number, step in enumerate(STEPS):
            getattr(backend, step)()
            run_lines(twin, lines[step])
            if number == STEPS.index(step) and step != "close":  # once is enough
                assert_same(host.dump(), twin, step)
        assert_same(before, twin, "closed")
        assert_undone(twin, (*lines["prepare"], *lines["activate"]), undo, before)


def assert_undone(host: Host, lines: Sequence[str], undo: Sequence[str], before: HostDump) -> None:
    """After some of the lines or all of them, and again when nothing is left to undo. What one leaves stays."""
    for upto in (len(lines) // 3, 2 * len(lines) // 3, len(lines)):
        run_lines(host, (*lines[:upto], *undo, *undo))
    assert_same(before, host, "undone")


def test_an_address_by_router_advertisement_outlives_the_undo(lab: Lab) -> None:
    """The kernel throws it away with the token that it was made with."""
    host, provider = lab.host("a", "10.77.0.1/24", "fd77::1/64"), lab.host("provider")
    advertise(lab, provider, "fd01::")
    wait_until(lambda: "fd01::ff:fe00:1" in ipv6_addresses(host), 5, "address by Router Advertisement")
    before = ready(host)
    dry = DryRunBackend(Case(MacSwapBackend, 4).backend(NetlinkHost(host.namespace)))
    dry.prepare()
    dry.activate()
    run_lines(host, dry.commands)
    provider.ip("link", "set", "eth0", "down")  # nobody advertises it again
    host.sysctl("net/ipv6/conf/eth0/accept_ra", 0)  # then the kernel does not take a token back without ado
    run_lines(host, dry.undo_commands)
    assert host.sysctl("net/ipv6/conf/eth0/accept_ra") == "0"
    host.sysctl("net/ipv6/conf/eth0/accept_ra", 1)
    provider.ip("link", "set", "eth0", "up")
    assert before.diff(ready(host)) == []
    assert 0 < ipv6_addresses(host)["fd01::ff:fe00:1"] <= 3600


def test_a_value_that_somebody_has_changed_since_is_left_alone(lab: Lab) -> None:
    host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
    ready(host)
    dry = DryRunBackend(Case(MacSwapBackend, 4, plain, {}, CLOSED).backend(NetlinkHost(host.namespace)))
    dry.prepare()
    dry.activate()
    run_lines(host, dry.commands)
    host.sysctl("net/ipv4/conf/eth0/arp_notify", 2)
    host.ip("link", "set", "eth0", "address", "02:00:00:00:00:77")
    host.ip("address", "delete", "10.77.0.151/24", "dev", "eth0")
    host.run("ip", "token", "set", "::5", "dev", "eth0")
    host.run("nft", "flush", "ruleset")
    run_lines(host, dry.undo_commands)
    assert host.sysctl("net/ipv4/conf/eth0/arp_notify") == "2"
    assert host.sysctl("net/ipv6/conf/eth0/ndisc_notify") == "0"
    assert host.ip_json("link", "show", "dev", "eth0")[0]["address"] == "02:00:00:00:00:77"
    assert "::5 " in host.run("ip", "token", "get", "dev", "eth0").stdout
    assert host.run("nft", "list", "ruleset").stdout == ""


def test_names_and_values_are_quoted(lab: Lab) -> None:
    """An interface may have nearly any name, and none of it is for the shell to run."""
    host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
    name = "a.b'&\\;$(id)`"
    host.ip("link", "set", "eth0", "down")
    host.ip("link", "set", "eth0", "name", name)
    host.ip("link", "set", name, "up")
    host.ip("neigh", "add", "10.77.0.9", "lladdr", "02:00:00:00:00:99", "dev", name, "nud", "permanent")
    before = ready(host)
    for case in (Case(MacSwapBackend, 4), Case(MacvlanBackend, 4, plain, {"name": "v$(id)#~'"}, CLOSED)):
        backend = case.backend(NetlinkHost(host.namespace))
        backend.interface = name
        dry = DryRunBackend(backend)
        dry.prepare()
        dry.activate()
        run_lines(host, dry.commands)
        assert before.diff(host.dump())
        run_lines(host, dry.undo_commands)
        assert_same(before, host, "undone")


def test_the_page_shows_what_is_printed(lab: Lab) -> None:
    host = lab.host("a", "192.0.2.1/24")
    host.link_local()
    words = "run eth0 --vrid 51 --address 192.0.2.254/24 --dry-run"
    argv = [sys.executable, "-m", "vrrplib", *words.split(), "--state-dir", str(lab.directory)]
    printed = host.run("env", f"PYTHONPATH={ROOT}", *argv).stdout
    page = (ROOT / "docs/running.md").read_text()
    assert f"`vrrplib {words}`" in page
    assert f"```text\n{printed}```" in page


def dry_run(running: Running) -> list[str]:
    """The lines of a whole life."""
    printed = running.host.run("env", f"PYTHONPATH={ROOT}", *running.argv, "--dry-run").stdout
    events = [json.loads(line) for line in printed.splitlines()]
    return [event["command"] for event in events if event["phase"] != "undo"]


@pytest.mark.parametrize(("backend", "options"), [("macvlan", ("--standing", "--no-accept")), ("announce", ())])
def test_what_a_dead_process_left_is_undone_first(lab: Lab, backend: str, options: tuple[str, ...]) -> None:
    """As at a start: its link is not adopted, and its addresses are nobody's."""
    host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
    before = ready(host)
    addresses = shifted(4, 51)
    running = Running(host, addresses, backend=backend, options=options)
    dry = dry_run(running)
    running.start().wait("active").crash()
    after_a_crash = dry_run(running)
    leftovers = len(after_a_crash) - len(dry)
    assert leftovers > 0
    assert after_a_crash[leftovers:] == dry
    run_lines(host, after_a_crash)
    assert_same(before, host, "closed")


def test_what_cleanup_would_do(lab: Lab) -> None:
    host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
    make_odd(host)
    before = ready(host)
    running = Running(host, shifted(4, 51), backend="macswap").start().wait("active")
    running.crash()
    leftovers = cleanup(netns=host.namespace, state_dir=running.state_dir, dry_run=True)
    assert before.diff(host.dump())
    run_lines(host, [operation.command for leftover in leftovers for operation in leftover.operations])
    assert_same(before, host, "undone")
    cleanup(netns=host.namespace, state_dir=running.state_dir)
    assert_same(before, host, "cleaned")
