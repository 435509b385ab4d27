"""A switch learns, floods and forgets."""

from __future__ import annotations

import pytest

from vrrplib.lab.lan import Switch
from vrrplib.transports.memory import MemoryTransport
from vrrplib.wire.addresses import MacAddress, virtual_mac

A, B, C = (MacAddress(f"02:00:00:00:00:0{number}") for number in (1, 2, 3))


def frame(source: MacAddress, destination: MacAddress | str) -> bytes:
    return MacAddress(destination).packed + source.packed + b"\x88\xb5" + bytes(46)


@pytest.fixture
def switch() -> Switch:
    return Switch()


@pytest.fixture
def ports(switch: Switch) -> list[MemoryTransport]:
    return [MemoryTransport(switch, interface=name, mac=mac) for name, mac in (("a", A), ("b", B), ("c", C))]


def arrived(ports: list[MemoryTransport]) -> list[int]:
    counts = []
    for port in ports:
        count = 0
        while port.receive() is not None:
            count += 1
        counts.append(count)
    return counts


def test_what_is_unknown_or_for_many_is_flooded(switch: Switch, ports: list[MemoryTransport]) -> None:
    for destination in (B, "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:12"):
        ports[0].send(frame(A, destination))
        assert arrived(ports) == [0, 1, 1]


def test_what_is_known_goes_to_its_port_alone(switch: Switch, ports: list[MemoryTransport]) -> None:
    ports[1].send(frame(B, "ff:ff:ff:ff:ff:ff"))
    arrived(ports)
    ports[0].send(frame(A, B))
    assert arrived(ports) == [0, 1, 0]
    assert switch.table == {B: "b", A: "a"}


def test_a_mac_that_moves_is_learned_anew(switch: Switch, ports: list[MemoryTransport]) -> None:
    mac = virtual_mac(51)
    ports[0].send(frame(mac, "ff:ff:ff:ff:ff:ff"))
    assert switch.port_of(mac) == "a"
    ports[1].send(frame(mac, "ff:ff:ff:ff:ff:ff"))
    assert switch.port_of(mac) == "b"


def test_a_frame_to_a_mac_behind_its_own_port_goes_nowhere(switch: Switch, ports: list[MemoryTransport]) -> None:
    ports[0].send(frame(B, "ff:ff:ff:ff:ff:ff"))
    arrived(ports)
    ports[0].send(frame(A, B))
    assert arrived(ports) == [0, 0, 0]


def test_an_unplugged_port_is_dead_and_forgotten(switch: Switch, ports: list[MemoryTransport]) -> None:
    ports[0].send(frame(A, "ff:ff:ff:ff:ff:ff"))
    arrived(ports)
    switch.unplug("a")
    assert switch.port_of(A) is None
    ports[0].send(frame(A, "ff:ff:ff:ff:ff:ff"))
    ports[1].send(frame(B, "ff:ff:ff:ff:ff:ff"))
    assert arrived(ports) == [0, 0, 1]
    switch.plug("a")
    ports[1].send(frame(B, "ff:ff:ff:ff:ff:ff"))
    assert arrived(ports) == [1, 0, 1]


def test_delay_is_left_to_the_schedule(ports: list[MemoryTransport]) -> None:
    planned = []
    switch = Switch(delay=0.25, schedule=lambda delay, act: planned.append((delay, act)))
    a, b = (MemoryTransport(switch, interface=name) for name in "ab")
    a.send(frame(A, B))
    assert b.receive() is None
    [(delay, act)] = planned
    act()
    assert (delay, b.receive()) == (0.25, frame(A, B))
