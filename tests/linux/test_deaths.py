"""SIGKILL before any of the system calls that change something, of every backend and option: the host comes back.

`make failures` tries all of them; else a few of each case are, other ones in the middle of each life.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.linux.lab import Host, Lab
from tests.linux.mortal import die_in
from tests.linux.process import wait_until
from tests.linux.test_given_back import assert_same, make_odd, settled, shifted
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.netlink import NetlinkHost, cleanup
from vrrplib.backends.plan import PlannedBackend
from vrrplib.election.config import RouterConfig

EVERY_POINT = "VRRPLIB_EVERY_POINT"
"""Set: all points, a quarter of an hour; else as many of each case as FEW."""
FEW = 5
FAMILIES = (4, 6)
LINK_LOCAL = "fe80::ff:fe00:1"  # of the MAC 02:00:00:00:00:01


class DownWhileBackup(MacvlanBackend):
    """As with a kernel that has no source mode."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._has_source_mode = False


@dataclasses.dataclass(frozen=True)
class Case:
    """Backends of one kind; ``setup`` is what the operator did before: arguments of ip(8), or a sysctl."""

    kind: Callable[..., PlannedBackend]
    family: int
    setup: tuple[str, ...] = ()
    accept: bool = True
    interface: str = "eth0"
    vrids: tuple[int, ...] = (51,)

    def backends(self, host: Host, state_dir: Path) -> list[PlannedBackend]:
        kernel = NetlinkHost(host.namespace, state_dir=state_dir)
        primary = "10.77.0.1" if self.family == 4 else LINK_LOCAL
        configs = [
            RouterConfig(
                vrid=vrid, addresses=shifted(self.family, vrid), primary_address=primary, accept_mode=self.accept
            )
            for vrid in self.vrids
        ]
        return [self.kind(self.interface, config, host=kernel) for config in configs]


def every(kind: Callable[..., PlannedBackend], **facts: Any) -> Iterator[Case]:
    for family in FAMILIES:
        yield Case(kind, family, **facts)


def adopted(family: int) -> tuple[str, ...]:
    """A link of the operator's for the virtual router, with an address and a route of theirs."""
    name, mac = f"mine{family}", f"00:00:5e:00:0{1 if family == 4 else 2}:33"
    address, route = ("10.88.0.5/24", "10.98.0.0/16") if family == 4 else ("fd88::5/64", "fd98::/64")
    return (
        f"link add {name} link eth0 address {mac} type macvlan mode bridge",
        f"link set {name} addrgenmode none",
        f"net/ipv6/conf/{name}/disable_ipv6 {6 - family}",
        f"link set {name} up",
        f"address add {address} dev {name} {'nodad' if family == 6 else ''}",
        f"-{family} route add {route} dev {name}",
    )


OPTIONS = {"mode": "bridge", "xmit_base": True, "mac": "02:00:5e:00:00:33"}
STANDING = functools.partial(MacvlanBackend, standing=True)
NO_NEIGHBOURS = ("neigh del 10.77.0.9 dev eth0", "neigh del fd77::9 dev eth0")  # else it is done by netlink
NO_TOKEN = ("net/ipv6/conf/eth0/router_solicitations 0",)
CASES = {
    f"{name}-v{case.family}": case
    for name, cases in {
        "macvlan": every(MacvlanBackend),
        "macvlan-bridge-xmit-base-mac": every(functools.partial(MacvlanBackend, **OPTIONS)),
        "macvlan-vepa-name": [Case(functools.partial(MacvlanBackend, mode="vepa", name="ours"), 4)],
        "macvlan-standing": every(STANDING),
        "macvlan-down": every(DownWhileBackup),
        "macvlan-no-accept": every(MacvlanBackend, accept=False),
        "macvlan-standing-no-accept": [Case(STANDING, 6, accept=False)],
        "macvlan-adopted": [
            Case(functools.partial(MacvlanBackend, name=f"mine{family}"), family, adopted(family))
            for family in FAMILIES
        ],
        "macvlan-on-macvlan": every(MacvlanBackend, interface="operators0"),
        "macvlan-four-at-once": every(MacvlanBackend, vrids=(51, 52, 53, 54)),
        "standing-four-at-once": [Case(STANDING, 4, vrids=(51, 52, 53, 54))],
        "macswap": every(MacSwapBackend),
        "macswap-ioctl": [Case(functools.partial(MacSwapBackend, ioctl=True), 4, NO_NEIGHBOURS)],
        "macswap-no-token": [Case(MacSwapBackend, 6, setup=NO_TOKEN)],
        "macswap-no-accept": every(MacSwapBackend, accept=False),
        "announce": every(AnnounceBackend),
        "announce-no-accept": every(AnnounceBackend, accept=False),
        "announce-four-at-once": [Case(AnnounceBackend, 4, vrids=(51, 52, 53, 54))],
    }.items()
    for case in cases
}


def as_another(config: RouterConfig) -> RouterConfig:
    """One address stays, one comes, and the others go."""
    address = "10.77.0.222/32" if config.family == 4 else "fd79::222/64"
    return dataclasses.replace(config, addresses=(config.addresses[0], address))


def wait_for_new_addresses(host: Host) -> None:
    """Until the kernel has finished with them, which it does later, in a queue of its own.

    On a router it joins the prefix's anycast group then, and leaves it when an address is removed, joined or not:
    an address that was removed in between takes another one's membership along (seen on 6.18).
    """

    def tentative() -> bool:
        lines = Path("/proc/thread-self/net/if_inet6").read_text().splitlines()
        return any(int(line.split()[4], 16) & 0x40 for line in lines)

    wait_until(lambda: not host.call(tentative), 5, "end of detection")
    time.sleep(0.03)  # one without detection is never tentative, and joins as late


def live(case: Case, host: Host, state_dir: Path) -> None:
    """All that a backend is ever asked."""
    backends = case.backends(host, state_dir)
    first, config = backends[0], backends[0].config
    acts: list[Callable[[], None]] = [
        lambda: type(first).prepare_all(backends),
        *(backend.activate for backend in backends),
        lambda: first.reconfigure(as_another(config)),
        first.deactivate,
        lambda: first.reconfigure(config),
        first.activate,
        lambda: type(first).close_all(backends),
    ]
    for act in acts:
        act()
        if case.family == 6:
            wait_for_new_addresses(host)


def start_and_stop(case: Case, host: Host, state_dir: Path) -> None:
    """The next start, which takes over what the dead one left, and its end."""
    backends = case.backends(host, state_dir)
    type(backends[0]).prepare_all(backends)
    if case.family == 6:
        wait_for_new_addresses(host)
    type(backends[0]).close_all(backends)


def begin(lab: Lab, case: Case) -> tuple[Host, Path]:
    """A host of the operator's making, and the directory for the journals."""
    state_dir = lab.directory / "state"
    state_dir.mkdir()
    host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
    make_odd(host)
    for words in case.setup:
        (host.sysctl if words.startswith("net/") else host.ip)(*words.split())
    return host, state_dir


def some_of(points: int, name: str) -> range:
    """All of them, or a few: the first one depends on the case, so that those of like cases differ."""
    step = 1 if os.environ.get(EVERY_POINT) else max(1, points // FEW)
    return range(list(CASES).index(name) % step, points, step)


@pytest.mark.parametrize("name", CASES)
def test_a_death_before_any_change(lab: Lab, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    case = CASES[name]
    host, state_dir = begin(lab, case)
    before = settled(host)
    points = die_in(lambda: live(case, host, state_dir))
    assert points is not None
    assert_same(before, host, "not killed at all")
    assert list(state_dir.rglob("*")) == []
    tried = some_of(points, name)
    touched = 0
    for number, point in enumerate(tried):
        assert die_in(lambda point=point: live(case, host, state_dir), point) is None
        touched += any(len(journal.read_text().splitlines()) > 1 for journal in state_dir.glob("*/*-*"))
        if case.family == 6:
            wait_for_new_addresses(host)
        if number % 2:
            start_and_stop(case, host, state_dir)
        else:
            cleanup(netns=host.namespace, state_dir=state_dir)
        assert_same(before, host, f"killed before change {point + 1} of {points}")
        assert list(state_dir.rglob("*")) == []
    assert touched >= len(tried) // 2, "there was hardly anything to undo: the test cannot fail"
    with capsys.disabled():
        print(f"\n{name}: killed before {len(tried)} of {points} changes, {touched} times with something to undo")


@pytest.mark.parametrize("name", ["macvlan-standing-no-accept-v6", "macvlan-adopted-v4", "macswap-v4"])
def test_cleanup_may_be_killed_too(lab: Lab, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    case = CASES[name]
    host, state_dir = begin(lab, case)
    before = settled(host)
    points = die_in(lambda: live(case, host, state_dir))
    assert points is not None

    def clean() -> None:
        cleanup(netns=host.namespace, state_dir=state_dir)

    def die_active() -> None:
        assert die_in(lambda: live(case, host, state_dir), points * 2 // 5) is None
        if case.family == 6:
            wait_for_new_addresses(host)

    die_active()
    changes = die_in(clean)
    assert changes is not None
    assert_same(before, host, "cleaned")
    tried = some_of(changes, name)
    for point in tried:
        die_active()
        assert die_in(clean, point) is None
        clean()
        assert_same(before, host, f"cleanup was killed before change {point + 1} of {changes}")
    assert changes > 4
    with capsys.disabled():
        print(f"\n{name}: cleanup killed before {len(tried)} of {changes} changes")
