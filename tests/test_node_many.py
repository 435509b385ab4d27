"""Node: every virtual router there can be on one interface, 255 of each family, also under a flood."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from tests.node_parts import FakeBackend
from vrrplib.election.config import RouterConfig
from vrrplib.election.router import Router
from vrrplib.election.states import State
from vrrplib.node import MOST_FRAMES_PER_STEP, Node
from vrrplib.transports.memory import MemoryTransport
from vrrplib.wire.addresses import Family
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame, parse
from vrrplib.wire.packets import VRRPv3

INTERVAL = 0.1
ALL = 2 * 255


class Endless(MemoryTransport):
    """A LAN on which there is always one more frame; ``read`` counts."""

    flood: itertools.cycle[bytes] | None = None
    read = 0

    def receive(self) -> bytes | None:
        if self.flood is None:
            return super().receive()
        self.read += 1
        return next(self.flood)


def config(vrid: int, family: Family, priority: int) -> RouterConfig:
    v4 = family is Family.IPV4
    return RouterConfig(
        vrid=vrid,
        addresses=[f"10.78.0.{vrid}/32" if v4 else f"fe80::5e:{vrid:x}/64"],
        primary_address="10.77.0.1" if v4 else "fe80::1",
        priority=priority,
        advertisement_interval=INTERVAL,
    )


def node(priority: int) -> tuple[Node, Endless]:
    transport = Endless()
    made = Node(transport)
    for family, vrid in itertools.product(Family, range(1, 256)):
        of = config(vrid, family, priority)
        made.add(Router(of), FakeBackend(of))
    made.start(0.0)
    return made, transport


def forged(priority: int) -> bytes:
    packet = VRRPv3(vrid=7, priority=priority, addresses=["10.78.0.7"], max_advertise_interval=10)
    datagram = Datagram(packet.encode("10.77.0.9", "224.0.0.18"), "10.77.0.9", "224.0.0.18", 255)
    return advertisement_frame(datagram, config(7, Family.IPV4, 1).virtual_mac)


def promoted(priority: int = 200) -> tuple[Node, Endless, float]:
    made, transport = node(priority)
    now = made.deadline
    assert now is not None
    made.step(now)
    assert {router.state for router in made.routers} == {State.ACTIVE}
    transport.sent.clear()
    return made, transport, now


def test_they_advertise_together_and_wake_the_caller_once_an_interval() -> None:
    made, transport, now = promoted()
    for _ in range(5):
        due = made.deadline
        assert due == pytest.approx(now + INTERVAL)
        made.step(due)
        now = due
        heard = Counter((parsed.family, parsed.payload[1]) for parsed in map(parse, transport.sent) if parsed)
        assert len(heard) == ALL
        assert set(heard.values()) == {1}
        transport.sent.clear()


def test_a_frame_is_made_once_for_each() -> None:
    made, transport, now = promoted()
    for _ in range(3):
        made.step(now := now + INTERVAL)
    frames = list(transport.sent)
    assert len(frames) == 3 * ALL
    assert len({id(frame) for frame in frames}) == ALL


def test_a_flood_neither_silences_them_nor_is_read_without_bound() -> None:
    made, transport, now = promoted()
    transport.flood = itertools.cycle([forged(100), forged(0), bytes(60), forged(200)[:40]])
    steps = 50
    for step in range(1, steps + 1):
        before = transport.read
        made.step(now + step * INTERVAL + 1e-6)
        assert transport.read - before <= MOST_FRAMES_PER_STEP
        assert made.deadline == float("-inf")  # there is more: step again at once
    assert {router.state for router in made.routers} == {State.ACTIVE}
    sent = Counter(parsed.payload[1] for parsed in map(parse, transport.sent) if parsed)
    assert {vrid: count for vrid, count in sent.items() if count < 2 * steps} == {}


def test_a_flood_promotes_nobody_before_what_waits_was_read() -> None:
    made, transport = node(100)
    (router,) = (each for each in made.routers if (each.config.family, each.config.vrid) == (Family.IPV4, 7))
    transport.flood = itertools.cycle([bytes(60)])
    due, patience = router.deadline, router.skew_time
    assert due is not None
    made.step(due + 0.5 * patience)
    assert {each.state for each in made.routers} == {State.BACKUP}
    transport.flood = itertools.cycle([forged(200)])  # it was in the queue
    made.step(due + 0.9 * patience)
    made.step(due + 1.1 * patience)
    assert router.state is State.BACKUP
    assert {each.state for each in made.routers if each is not router} == {State.ACTIVE}
