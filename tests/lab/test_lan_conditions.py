"""Frames are lost, late, doubled and out of order as often as was asked for, and on one link if that was asked."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from vrrplib.errors import ConfigError
from vrrplib.lab.lan import Conditions, Switch
from vrrplib.wire.addresses import MacAddress, virtual_mac

A, B = MacAddress("02:00:00:00:00:01"), MacAddress("02:00:00:00:00:02")
FRAMES = 2000


def frame(number: int, destination: MacAddress | str = "ff:ff:ff:ff:ff:ff", source: MacAddress = A) -> bytes:
    return MacAddress(destination).packed + source.packed + b"\x88\xb5" + number.to_bytes(4, "big")


class Clock:
    """What is scheduled, in the order of time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.planned: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, delay: float, act: Callable[[], None]) -> None:
        self.planned.append((self.now + delay, len(self.planned), act))

    def run(self) -> None:
        for time, _, act in sorted(self.planned, key=lambda item: item[:2]):
            self.now = time
            act()


def played(conditions: Conditions, seed: int = 1) -> tuple[list[tuple[float, int]], Switch]:
    """When each of many frames arrives, one sent each millisecond."""
    clock = Clock()
    found: list[tuple[float, int]] = []
    switch = Switch(conditions=conditions, dice=random.Random(seed), schedule=clock.after, clock=lambda: clock.now)
    port = switch.connect("a", lambda _: None)
    switch.connect("b", lambda data: found.append((clock.now, int.from_bytes(data[14:], "big"))))
    for number in range(FRAMES):
        clock.now = number / 1000
        switch.forward(port, frame(number))
    clock.run()
    return found, switch


def test_loss() -> None:
    found, switch = played(Conditions(loss=0.25))
    assert len(found) + switch.lost == FRAMES
    assert 0.2 < switch.lost / FRAMES < 0.3


def test_duplication() -> None:
    found, _ = played(Conditions(duplication=0.25, late=0.01))
    assert 1.2 < len(found) / FRAMES < 1.3
    assert {number for _, number in found} == set(range(FRAMES))


def test_jitter_keeps_the_order() -> None:
    found, _ = played(Conditions(delay=0.01, jitter=0.02))
    assert [number for _, number in found] == list(range(FRAMES))
    delays = [time - number / 1000 for time, number in found]
    assert min(delays) >= 0.01 - 1e-9
    assert max(delays) <= 0.03 + 1e-9
    assert max(delays) - min(delays) > 0.01


def test_reordering_does_not() -> None:
    conditions = Conditions(delay=0.01, reordering=0.25, late=0.02)
    found, _ = played(conditions)
    numbers = [number for _, number in found]
    assert sorted(numbers) == list(range(FRAMES)) != numbers
    assert max(time - number / 1000 for time, number in found) <= conditions.longest + 1e-9


def test_the_same_dice_fall_the_same() -> None:
    conditions = Conditions(delay=0.01, jitter=0.02, loss=0.1, duplication=0.1, reordering=0.1, late=0.1)
    assert played(conditions)[0] == played(conditions)[0] != played(conditions, 2)[0]


def test_one_link_has_conditions_of_its_own() -> None:
    switch = Switch(dice=random.Random(1))
    got: list[str] = []
    ports = [switch.connect(name, lambda _, name=name: got.append(name)) for name in "abc"]
    switch.set_link("a", "b", Conditions(loss=1.0))
    switch.forward(ports[0], frame(0))
    switch.forward(ports[1], frame(0, source=B))
    assert got == ["c", "a", "c"]
    switch.set_link("a", "b", None)
    switch.forward(ports[0], frame(0))
    assert got[3:] == ["b", "c"]


def test_a_block_is_for_one_direction() -> None:
    switch = Switch()
    got: list[str] = []
    a, b, _ = (switch.connect(name, lambda _, name=name: got.append(name)) for name in "abc")
    switch.block("a", "b")
    assert (switch.reaches("a", "b"), switch.reaches("b", "a")) == (False, True)
    switch.forward(b, frame(0, source=B))
    switch.forward(a, frame(0))
    switch.forward(a, frame(0, destination=B))  # where it is known to be does not help
    assert got == ["a", "c", "c"]
    switch.unblock("a", "b")
    switch.forward(a, frame(0, destination=B))
    assert got[3:] == ["b"]
    with pytest.raises(ConfigError, match="'x'"):
        switch.block("a", "x")


def test_a_mac_that_is_not_heard_is_forgotten() -> None:
    clock = Clock()
    switch = Switch(clock=lambda: clock.now, ageing=100)
    port = switch.connect("a", lambda _: None)
    switch.forward(port, frame(0, source=virtual_mac(51)))
    clock.now = 100
    assert switch.port_of(virtual_mac(51)) == "a"
    clock.now = 100.1
    assert switch.table == {}
    assert switch.port_of(virtual_mac(51)) is None


def test_a_tap_sees_what_comes_in() -> None:
    switch = Switch(dice=random.Random(1), conditions=Conditions(loss=1.0))
    seen: list[tuple[str, bytes]] = []
    switch.taps.append(lambda port, data: seen.append((port, data)))
    switch.forward(switch.connect("a", lambda _: None), frame(7))
    assert seen == [("a", frame(7))]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"loss": 1.5}, "loss"),
        ({"delay": -1}, "delay"),
        ({"jitter": float("nan")}, "jitter"),
        ({"late": -1}, "late"),
    ],
)
def test_wrong_conditions(fields: dict[str, float], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Conditions(**fields)


def test_chance_needs_dice() -> None:
    with pytest.raises(ConfigError, match="dice"):
        Switch(conditions=Conditions(loss=0.1))
    with pytest.raises(ConfigError, match="dice"):
        Switch().set_link("a", "b", Conditions(jitter=0.1))
