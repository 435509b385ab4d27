"""What cannot work is refused before anything is changed, with what to do instead."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.linux.dump import HostDump
from tests.linux.lab import Lab
from tests.vm.kinds import read_all, settle
from tests.vm.speaker import TECHNIQUES, VIRTUALS
from vrrplib.backends.netlink import NetlinkHost
from vrrplib.doctor.diagnosis import Severity
from vrrplib.doctor.gather import gather
from vrrplib.doctor.judge import diagnose
from vrrplib.errors import BackendError

#: Kinds with the name of the interface and, for each backend that refuses it, words of the error.
REFUSED = {
    "bond slave": ("port0", {
        "private": "bond's port.*use the bond",
        "macswap": "port of a bond: use the bond",
        "announce": "port of a bond, .* use the bond",
    }),
    "bridge port": ("port1", {
        "private": "bridge's port.*use the bridge",
        "macswap": "port of a bridge: use the bridge",
        "announce": "port of a bridge, .* use the bridge",
    }),
    "VRF device": ("red", {
        "private": "VRF device.*member",
        "macswap": "kind vrf cannot change: use",
        "announce": "VRF device.*member",
    }),
    "ipvlan": ("ipvlan0", {"private": "ipvlan.*parent", "macswap": "kind ipvlan cannot change: use"}),
    "beside an ipvlan": ("busy0", {"private": "busy|ipvlan", "macswap": "ipvlan0 stands on it"}),
}  # fmt: skip
SETUP = (
    "link add bond0 type bond mode active-backup miimon 20",
    "link add port0 type dummy", "link set port0 master bond0", "link set bond0 up",
    "link add lan0 type bridge", "link add port1 type dummy", "link set port1 master lan0",
    "link set lan0 up", "link set port1 up",
    "link add red type vrf table 10", "link set red up",
    "link add busy0 type dummy", "link set busy0 up",
    "link add ipvlan0 link busy0 type ipvlan mode l2", "link set ipvlan0 up",
)  # fmt: skip
CASES = [(kind, technique) for kind, (_, refused) in REFUSED.items() for technique in refused]


@pytest.fixture(scope="module")
def host():
    with Lab() as lab:
        host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
        for line in SETUP:
            host.ip(*line.split())
        settle(host)
        yield host


class Here:
    """The VM itself, read like a host of a lab: a wireless card lives there."""

    @staticmethod
    def call(function: Callable[[], str]) -> str:
        return function()

    @staticmethod
    def run(*argv: str) -> None:
        subprocess.run(argv, check=True, capture_output=True)


def refuses(
    host: NetlinkHost, interface: str, technique: str, words: str, dump: Callable[[], dict[str, str]]
) -> str:
    """Every family is refused with these words, and the dump stays what it was."""
    before = dump()
    said = ""
    for virtual in (VIRTUALS["v3-ipv4"], VIRTUALS["v3-ipv6"]):
        config = virtual.config_from("10.77.0.1" if virtual.family == 4 else "fe80::1", 100)
        with pytest.raises(BackendError) as caught:
            TECHNIQUES[technique].make(interface, config, host).prepare()
        said = str(caught.value)
        assert re.search(words, said, re.IGNORECASE), said
    assert HostDump(before).diff(HostDump(dump())) == []
    return said


@pytest.mark.parametrize(("kind", "technique"), CASES)
def test_refused(host, kind: str, technique: str, tmp_path: Path, record: Callable[..., None]) -> None:
    interface, refused = REFUSED[kind]
    kernel = NetlinkHost(host.namespace, state_dir=tmp_path)
    said = refuses(kernel, interface, technique, refused[technique], lambda: read_all(host))
    record(test="refusal", kind=kind, technique=technique, said=said)


@pytest.mark.parametrize("kind", REFUSED)
def test_the_doctor_says_so_before(host, kind: str, tmp_path: Path) -> None:
    interface, _ = REFUSED[kind]
    before = read_all(host)
    found = diagnose(gather(interface, netns=host.namespace, state_dir=tmp_path, seconds=0))
    assert "interface-kind" in [each.topic for each in found if each.severity is Severity.PROBLEM], found
    assert HostDump(before).diff(HostDump(read_all(host))) == []


def test_wireless(tmp_path: Path, record: Callable[..., None]) -> None:
    """mac80211_hwsim: an access point passes no frame of a MAC that has not joined."""
    Here.run("modprobe", "mac80211_hwsim", "radios=1")
    try:
        kernel = NetlinkHost(state_dir=tmp_path)
        for technique in ("private", "macswap"):
            said = refuses(kernel, "wlan0", technique, "wireless", lambda: read_all(Here()))
            record(test="refusal", kind="WLAN", technique=technique, said=said)
    finally:
        Here.run("modprobe", "-r", "mac80211_hwsim")
