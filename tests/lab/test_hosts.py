"""Hosts learn by asking, believe who speaks for an address, and ask again for what is old."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from vrrplib.lab.neighbours import Echo
from vrrplib.lab.simulator import Simulation
from vrrplib.wire.addresses import MacAddress, virtual_mac
from vrrplib.wire.frames import announcement_frame

LAN = {"vrid": 51, "addresses": ["192.0.2.254/24"]}


def test_a_host_asks_again_for_what_is_old() -> None:
    simulation = Simulation()
    simulation.add("a", lean=True, **LAN)
    host = simulation.add_host(ageing=5)
    asked = []
    simulation.switch.taps.append(lambda port, _: asked.append(port) if port == "host" else None)
    simulation.run(until=5)
    host.ping("192.0.2.254", every=1.0)
    simulation.run(until=30.5)
    assert host.lost == 0
    assert len(asked) == len(host.pings) + 5


@pytest.mark.parametrize("address", ["192.0.2.254", "fe80::51"])
def test_a_host_learns_only_what_it_asked_for(address: str) -> None:
    simulation = Simulation()
    host = simulation.add_host()
    claim = announcement_frame(address, virtual_mac(51))
    host.receive(claim)
    assert host.neighbours == {}
    ping = host.ping(address)
    host.receive(claim)
    assert host.neighbours == {ip_address(address): virtual_mac(51)}
    other = MacAddress("02:00:00:00:00:09")
    simulation.run(until=1)
    host.receive(announcement_frame(address, other))
    assert host.changes == [(0.0, ip_address(address), virtual_mac(51)), (1.0, ip_address(address), other)]
    assert (ping.answered, host.lost) == (None, 1)


def test_an_answer_that_nobody_asked_for_is_nothing() -> None:
    simulation = Simulation()
    host = simulation.add_host()
    host.receive(Echo(5, ip_address("192.0.2.254"), reply=True).frame(virtual_mac(51), host.mac))
    assert host.pings == []
