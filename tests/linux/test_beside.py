"""Other interfaces of the host on the same LAN: none answers ARP for a virtual address with a MAC of its own."""

from __future__ import annotations

import pytest

from tests.linux.lab import Host, Lab
from tests.linux.test_observer import claims
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.netlink import NetlinkHost
from vrrplib.election.config import RouterConfig

CONFIG = RouterConfig(vrid=51, addresses=["10.77.0.100/24"], primary_address="10.77.0.1")
ADDRESS = str(CONFIG.ips[0])


@pytest.fixture
def machine(lab: Lab) -> Host:
    """With three macvlans of the operator's on eth0; `upper0` has the address, and so should answer for it."""
    machine = lab.host("a")
    for name in ("upper0", "upper1", "upper2"):
        machine.ip("link", "add", "link", "eth0", "name", name, "type", "macvlan", "mode", "bridge")
        machine.ip("link", "set", name, "up")
    machine.ip("address", "add", "10.77.0.1/24", "dev", "upper0")
    return machine


def answers(lab: Lab, machine: Host) -> set[str]:
    """The MACs by which the host claims the virtual address when it is asked for it."""
    observer = lab.hosts.get("observer") or lab.host("observer", "10.77.0.9/24")
    with lab.capture() as capture:
        observer.ip("neighbour", "flush", "dev", "eth0")
        assert observer.ping(ADDRESS)
        frames = capture.select(lambda frame: ADDRESS in dict(claims(frame)), port=machine.name)
    return {mac for frame in frames for address, mac in claims(frame) if address == ADDRESS}


@pytest.mark.parametrize("kind", [MacvlanBackend, AnnounceBackend], ids=["macvlan", "announce"])
@pytest.mark.parametrize("parent", ["upper0", "eth0"])
def test_one_mac_answers(lab: Lab, machine: Host, kind: type, parent: str) -> None:
    if parent == "eth0":
        machine.ip("address", "delete", "10.77.0.1/24", "dev", "upper0")
        machine.ip("address", "add", "10.77.0.1/24", "dev", "eth0")
        machine.sysctl("net/ipv4/conf/eth0/arp_ignore", 1)  # the operator knows, and has forgotten the others
        machine.sysctl("net/ipv4/conf/eth0/arp_announce", 2)
    before = machine.dump()
    with kind(parent, CONFIG, host=NetlinkHost(machine.namespace, state_dir=lab.directory / "state")) as backend:
        backend.prepare()
        backend.activate()
        (link,) = machine.ip_json("link", "show", "dev", parent)
        assert answers(lab, machine) == {str(CONFIG.virtual_mac) if kind is MacvlanBackend else link["address"]}
    assert before.diff(machine.dump()) == []


def test_without_that_each_of_them_would(lab: Lab, machine: Host) -> None:
    machine.ip("address", "add", f"{ADDRESS}/24", "dev", "upper0")
    assert len(answers(lab, machine)) > 1
