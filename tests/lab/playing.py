"""Sequences of datagrams into a Router, and of frames into a Node, and what must hold after each of them.

python -m tests.lab.playing --count 100000      # that many sequences, by a Mutator, from a seed
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections.abc import Iterable
from typing import TypeAlias

from vrrplib import Datagram, MemoryTransport, Node, Router, RouterConfig, State
from vrrplib.election import actions, events
from vrrplib.lab.fuzz import CATALOGUE, Mutator, Scene
from vrrplib.lab.simulator import SimulatedBackend
from vrrplib.wire.addresses import IPAddress

Timed: TypeAlias = tuple[float, Datagram]  # as strategies has it, which needs hypothesis
ENDLESS = 1_000_000  # more actions than any sequence may cause


def config_for(scene: Scene, *, priority: int = 100) -> RouterConfig:
    """That of the router which ``scene`` speaks to."""
    return RouterConfig(
        vrid=scene.vrid,
        addresses=scene.addresses,
        primary_address=_own(scene.source),
        priority=priority,
        advertisement_interval=scene.interval,
        rules=scene.rules,
    )


def _own(source: IPAddress) -> IPAddress:
    """An address beside the sender's, which is that of another router only by a rare chance."""
    other = type(source)(int(source) ^ 0x80)
    return other if not (other.is_multicast or other.is_unspecified or other.is_loopback) else source


def check_sequence(scene: Scene, sequence: Iterable[Timed], *, priority: int = 100) -> Router:
    """Each datagram in its turn, and the timer whenever it is due before the next one.

    A deadline is there exactly outside Initialize, and never in the past after the timer was served; a datagram
    causes at most one advert and one change of state; Activate and Deactivate alternate; what is discarded changes
    nothing; and at the end a Shutdown resigns.
    """
    router = Router(config_for(scene, priority=priority))
    now, active = 0.0, False
    active = _told(router, router.handle(events.Startup(), now), active)
    for delay, datagram in sequence:
        until = now + delay
        for _ in range(ENDLESS):
            assert router.deadline is not None
            if router.deadline > until:
                break
            now = max(now, router.deadline)
            active = _told(router, router.handle(events.TimerExpired(), now), active)
            assert router.deadline > now
        else:
            raise AssertionError("the timer never came to rest")
        now = until
        active = _heard(router, datagram, now, active)
    last = router.handle(events.Shutdown(), now)
    assert any(isinstance(item, actions.SendAdvertisement) for item in last) is active
    assert (router.state, router.deadline) == (State.INITIALIZE, None)
    return router


def _heard(router: Router, datagram: Datagram, now: float, active: bool) -> bool:
    before = (router.state, router.deadline, router.active_adver_interval, router.active_source)
    done = router.receive(datagram, now)
    if any(isinstance(item, actions.Discarded) for item in done):
        assert len(done) == 1
        assert (router.state, router.deadline, router.active_adver_interval, router.active_source) == before
    return _told(router, done, active)


def _told(router: Router, done: tuple[actions.Action, ...], active: bool) -> bool:
    """What came back holds together; whether the router is Active after it."""
    kinds = [type(item) for item in done]
    assert kinds.count(actions.SendAdvertisement) <= 1
    assert kinds.count(actions.StateChanged) <= 1
    for item in done:
        if isinstance(item, actions.Activate):
            assert not active
            active = True
        elif isinstance(item, actions.Deactivate):
            assert active
            active = False
        elif isinstance(item, actions.SendAdvertisement):
            assert active or item.packet.priority == 0
    assert active is (router.state is State.ACTIVE)
    assert (router.deadline is None) is (router.state is State.INITIALIZE)
    return active


def check_frames(scene: Scene, frames: Iterable[bytes]) -> Node:
    """Each frame to a Node with that virtual router: it counts all of them, and raises nothing."""
    config, transport = config_for(scene), MemoryTransport()
    node = Node(transport)
    node.add(Router(config), SimulatedBackend("mem0", config))
    node.start(0.0)
    number = 0
    for number, frame in enumerate(frames, 1):
        transport.deliver(frame)
        node.step(number * scene.interval / 3)
    assert node.statistics.frames == number
    (router,) = node.routers
    taken = router.statistics.advertisement_rcvd + sum(router.statistics.discarded.values())
    assert taken + node.statistics.not_vrrp + node.statistics.foreign == number
    node.stop(number * scene.interval)
    return node


SCENES = (
    Scene(vrid=51, addresses=["192.0.2.254"], source="192.0.2.1"),
    Scene(vrid=51, addresses=["192.0.2.254", "192.0.2.253"], source="192.0.2.1", version=2),
    Scene(vrid=51, addresses=["fe80::51", "2001:db8::51"], source="fe80::1", interval=0.05),
)


def sequence_of(seed: int, scene: Scene, mutator: Mutator) -> list[Timed]:
    """Up to twelve datagrams: adverts of peers that come and go, the catalogue's, and mutations of both."""
    dice = random.Random(seed)
    sequence: list[Timed] = []
    for _ in range(dice.randrange(13)):
        sent = scene.but(
            priority=dice.randrange(256), source=type(scene.source)(int(scene.source) ^ dice.randrange(4))
        )
        datagram = sent.datagram()
        kind = dice.randrange(4)
        if kind == 1:
            specimen = dice.choice(CATALOGUE).build(sent)
            datagram = specimen.datagram if specimen else datagram
        elif kind >= 2:
            datagram = mutator.datagram(datagram)
        delay = dice.choice([0.0, 0.01, 0.5, 1.0, 3.0, 4.0]) * scene.interval
        sequence.append((delay, datagram))
    return sequence


def main() -> None:
    parser = argparse.ArgumentParser(description="Play sequences of datagrams to a Router.")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=9568)
    options = parser.parse_args()
    start, heard, memory = time.monotonic(), 0, 0
    mutator = Mutator(options.seed)
    for number in range(options.count):
        scene = SCENES[number % len(SCENES)]
        sequence = sequence_of(options.seed + number, scene, mutator)
        check_sequence(scene, sequence, priority=1 + number % 255)
        heard += len(sequence)
        if number == options.count // 10:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    seconds = time.monotonic() - start
    print(f"{options.count} sequences, {heard} datagrams, {seconds:.0f} s; since a tenth of them {grown} KiB more")


if __name__ == "__main__":
    main()
