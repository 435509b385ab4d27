"""Forged advertisements in a storm against a Router, judged by a model of RFC 9568 6.4 of its own."""

from __future__ import annotations

import dataclasses
import random
from ipaddress import IPv4Address

from vrrplib.election.actions import SendAdvertisement, StateChanged
from vrrplib.election.config import RouterConfig
from vrrplib.election.events import Startup, TimerExpired
from vrrplib.election.router import Router
from vrrplib.election.states import State
from vrrplib.wire.addresses import ADVERTISEMENT_TTL, Family, group_address
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.packets import VRRPv3

_ADDRESS, _PRIMARY, _SOURCES = "192.0.2.254", "192.0.2.100", int(IPv4Address("192.0.2.1"))
_VRID = 51
_GROUP = group_address(Family.IPV4)
_TOLERANCE = 1e-9


@dataclasses.dataclass(frozen=True, slots=True)
class Forgery:
    """A datagram, and what its maker knows of it: ``good`` if the Router must take it for an advertisement."""

    datagram: Datagram
    priority: int
    interval: float
    good: bool


def forge(dice: random.Random, most_priority: int = 255) -> Forgery:
    """Priority, source, VRID and interval at random; half of them to VRID 51, and every eighth damaged."""
    vrid = _VRID if dice.random() < 0.5 else dice.randint(1, 255)
    interval = dice.choice((0, 1, 100, 100, 100, dice.randint(1, 4095)))
    address = _ADDRESS if dice.random() < 0.9 else "192.0.2.253"  # another one is warned of, and followed
    priority = dice.randint(0, most_priority)
    source = IPv4Address(_SOURCES + dice.randrange(99))
    packet = VRRPv3(vrid=vrid, priority=priority, addresses=[address], max_advertise_interval=interval)
    payload = packet.encode(source, _GROUP)
    ttl = ADVERTISEMENT_TTL
    damage = dice.randrange(24)
    if damage == 0:
        ttl = dice.randrange(255)
    elif damage == 1:
        payload = payload[: dice.randrange(len(payload))]
    elif damage == 2:
        payload = payload[:6] + bytes([payload[6] ^ 0x55]) + payload[7:]
    good = damage > 2 and vrid == _VRID and interval > 0
    return Forgery(Datagram(payload, source, _GROUP, ttl), priority, interval / 100, good)


@dataclasses.dataclass(frozen=True, slots=True)
class StormOutcome:
    """What a storm did: advertisements that were sent, and changes of state.

    ``wrong`` says where state or timer were first not what the RFC says, which ended the storm; empty: nowhere.
    """

    datagrams: int
    sent: int
    changes: tuple[tuple[float, State], ...]
    wrong: str = ""


def storm(
    seed: int, count: int, *, seconds: float = 1.0, priority: int = 200, most_priority: int = 255
) -> StormOutcome:
    """Let ``count`` forgeries arrive in so many ``seconds`` at a Router that is Active, with an interval of 1 s.

    ``most_priority`` bounds theirs: below the Router's own, it must remain Active.
    """
    dice = random.Random(seed)  # noqa: S311  # repeatable chance, no secret
    router = Router(RouterConfig(vrid=_VRID, addresses=[_ADDRESS], primary_address=_PRIMARY, priority=priority))
    router.handle(Startup(), 0.0)
    begin = router.deadline or 0.0
    router.handle(TimerExpired(), begin)
    model = _Model(priority)
    changes: list[tuple[float, State]] = []
    sent = 0
    for number in range(count):
        now = begin + seconds * number / count
        forgery = forge(dice, most_priority)
        actions = model.expire(router, now)
        actions += router.receive(forgery.datagram, now)
        model.receive(forgery, now)
        for action in actions:
            if isinstance(action, SendAdvertisement):
                sent += 1
            elif isinstance(action, StateChanged):
                changes.append((now - begin, action.new))
        if not model.agrees(router):
            wrong = f"{now - begin:.6f}: {router.state} until {router.deadline}, not {model} ({forgery})"
            return StormOutcome(number, sent, tuple(changes), wrong)
    return StormOutcome(count, sent, tuple(changes))


class _Model:
    """The Router as RFC 9568 6.4.2 and 6.4.3 describe it, but for what it sends."""

    def __init__(self, priority: int) -> None:
        self.priority = priority
        self.active = True
        self.until = 0.0
        self.learned = 1.0

    def __str__(self) -> str:
        return "active" if self.active else f"backup until {self.until}"

    def expire(self, router: Router, now: float) -> tuple[object, ...]:
        """Serve the timers that are due, the Router's and this one's."""
        actions: tuple[object, ...] = ()
        while router.deadline is not None and router.deadline <= now:
            actions += router.handle(TimerExpired(), router.deadline)
        if not self.active and self.until <= now:
            self.active = True
        return actions

    def receive(self, forgery: Forgery, now: float) -> None:
        if not forgery.good:
            return
        skew = (256 - self.priority) / 256
        if self.active:
            # the sources are all smaller than the Router's address, so equal priorities lose
            if forgery.priority > self.priority:
                self.active, self.learned = False, forgery.interval
                self.until = now + 3 * self.learned + skew * self.learned
        elif forgery.priority == 0:
            self.until = now + skew * self.learned
        elif forgery.priority >= self.priority:
            self.learned = forgery.interval
            self.until = now + 3 * self.learned + skew * self.learned

    def agrees(self, router: Router) -> bool:
        if self.active or router.state is State.ACTIVE:
            return self.active and router.state is State.ACTIVE
        return router.deadline is not None and abs(router.deadline - self.until) < _TOLERANCE
