"""A switch in memory: it learns, floods and forgets, and loses, delays, doubles and reorders what it is told to."""

from __future__ import annotations

import dataclasses
import functools
import random
from collections.abc import Callable
from typing import Protocol, TypeAlias

from vrrplib.errors import ConfigError
from vrrplib.transports.memory import MemoryTransport
from vrrplib.wire.addresses import Family, MacAddress, MacLike, group_address, multicast_mac

Schedule: TypeAlias = Callable[[float, Callable[[], None]], None]
Tap: TypeAlias = Callable[[str, bytes], None]

AGEING = 300.0
"""Seconds after which a MAC that was not heard is forgotten: IEEE 802.1Q's recommendation."""
_ADVERTISEMENT_GROUPS = frozenset(multicast_mac(group_address(family)).packed for family in Family)


@dataclasses.dataclass(frozen=True, slots=True)
class Conditions:
    """What becomes of frames on their way from one port to another.

    ``delay`` and ``jitter`` are seconds: each takes ``delay`` and up to ``jitter`` more, and none overtakes one
    that was sent before. ``loss``, ``duplication`` and ``reordering`` are probabilities: a reordered frame takes up
    to ``late`` seconds more, and others may pass it; the copy of a duplicated one takes as much more.
    """

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    late: float = 0.0

    def __post_init__(self) -> None:
        """ConfigError for what is no time or no probability."""
        for name in ("delay", "jitter", "late"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be 0 seconds or more, not {getattr(self, name)!r}")
        for name in ("loss", "duplication", "reordering"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be a probability from 0 to 1, not {getattr(self, name)!r}")

    @property
    def random(self) -> bool:
        """Whether dice are needed."""
        return bool(self.jitter or self.loss or self.duplication or self.reordering)

    @property
    def longest(self) -> float:
        """Seconds that a frame is under way at most."""
        return self.delay + self.jitter + (self.late if self.reordering or self.duplication else 0.0)


class Observer(Protocol):
    """Who is told what the switch does (see :mod:`vrrplib.lab.invariants`)."""

    def disturbed(self) -> None:
        """A frame was lost, or who reaches whom has changed."""

    def advertised(self, port: str, frame: bytes) -> None:
        """A frame to the group of VRRP came in at ``port``."""


class Port:
    """Where something is plugged in: ``receive`` is called with each frame that goes out there.

    ``groups``: whether it wants the group of VRRP; a network card filters out what its host has not joined.
    """

    __slots__ = ("flooded", "groups", "latest", "name", "plugged", "receive", "routers", "transport")

    def __init__(self, name: str) -> None:
        self.name = name
        self.plugged = True
        self.groups = True
        self.receive: Callable[[bytes], None] = _nowhere
        self.transport: MemoryTransport | None = None
        self.flooded: tuple[Port, ...] | None = None
        self.routers: tuple[Port, ...] = ()
        self.latest: dict[Port, float] = {}

    def arrive(self, frame: bytes) -> None:
        """A frame goes out here, if the cable is there."""
        if self.plugged:
            self.receive(frame)


def _nowhere(_: bytes) -> None:
    pass


def _at_once(_: float, act: Callable[[], None]) -> None:
    act()


def _no_dice() -> float:
    raise AssertionError("conditions that leave something to chance are refused without dice")


class Switch:
    """A learning switch (a ``Lan``): it floods what is for a group, for everybody, or for a MAC it does not know.

    Ports bear the names of the transports' interfaces. Frames take what ``conditions`` say, in ``links`` those from
    one port to another; ``delay`` alone will do for the first. Without a ``schedule`` they arrive at once. All
    chance comes from ``dice``. ``clock`` gives the time by which a MAC is forgotten after ``ageing`` seconds.
    """

    def __init__(
        self,
        *,
        delay: float = 0.0,
        conditions: Conditions | None = None,
        dice: random.Random | None = None,
        schedule: Schedule | None = None,
        clock: Callable[[], float] = lambda: 0.0,
        ageing: float = AGEING,
    ) -> None:
        self.ageing = ageing
        self.ports: dict[str, Port] = {}
        self.taps: list[Tap] = []
        """Each is called with the port and the bytes of every frame that comes in."""
        self.observer: Observer | None = None
        self.lost = 0
        """Frames that chance took, each counted for each port that it would have reached."""
        self.longest = self.longest_now = 0.0
        """Seconds that a frame may have been under way at most: so far, and as conditions are."""
        self._schedule = schedule
        self._clock = clock
        self._chance = _no_dice if dice is None else dice.random
        self._learned: dict[bytes, tuple[Port, float]] = {}
        self._blocked: set[tuple[str, str]] = set()
        self._links: dict[tuple[str, str], Conditions] = {}
        self.conditions = conditions or Conditions(delay=delay)

    # -- what is plugged in --

    def attach(self, transport: MemoryTransport) -> None:
        """Connect a transport to the port of its interface's name, instead of the one that is there."""
        self.connect(transport.interface, transport.deliver).transport = transport

    def connect(self, name: str, receive: Callable[[bytes], None], *, groups: bool = True) -> Port:
        """Call ``receive`` with what goes out at the port of this name."""
        port = self.ports.get(name)
        if port is None:
            port = self.ports[name] = Port(name)
        port.receive, port.groups = receive, groups
        self._rewire()
        return port

    def unplug(self, port: str) -> None:
        """Pull the cable: nothing goes in or out, and the switch forgets what it learned there."""
        self._port(port).plugged = False
        self._learned = {mac: known for mac, known in self._learned.items() if known[0].name != port}
        self._disturb()

    def plug(self, port: str) -> None:
        """Put the cable back."""
        self._port(port).plugged = True
        self._disturb()

    # -- who reaches whom, and how --

    @property
    def conditions(self) -> Conditions:
        """Those of every link that has none of its own."""
        return self._conditions

    @conditions.setter
    def conditions(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._recondition()

    @property
    def delay(self) -> float:
        """Seconds from one port to another."""
        return self._conditions.delay

    def set_link(self, sender: str, receiver: str, conditions: Conditions | None) -> None:
        """Conditions from one port to another, in this direction; None: those of all."""
        self._links.pop((sender, receiver), None)
        if conditions is not None:
            self._links[sender, receiver] = conditions
        self._recondition()

    def block(self, sender: str, receiver: str) -> None:
        """Let nothing through from one port to another; the other direction stays as it is."""
        self._blocked.add((self._port(sender).name, self._port(receiver).name))
        self._rewire()
        self._disturb()

    def unblock(self, sender: str, receiver: str) -> None:
        """Undo :meth:`block`."""
        self._blocked.discard((sender, receiver))
        self._rewire()
        self._disturb()

    def reaches(self, sender: str, receiver: str) -> bool:
        """Whether a frame can come from one port to another, but for chance."""
        plugged = self.ports[sender].plugged and self.ports[receiver].plugged
        return plugged and sender != receiver and (sender, receiver) not in self._blocked

    # -- the table --

    @property
    def table(self) -> dict[MacAddress, str]:
        """Which MAC is behind which port."""
        known = {MacAddress(mac): self._find(mac) for mac in list(self._learned)}
        return {mac: port.name for mac, port in known.items() if port is not None}

    def port_of(self, mac: MacLike) -> str | None:
        """Where the switch believes ``mac`` to be; None: it has not learned it, or has forgotten it."""
        port = self._find(MacAddress(mac).packed)
        return None if port is None else port.name

    # -- frames --

    def transmit(self, sender: MemoryTransport, frame: bytes) -> None:
        """A frame of a transport that is plugged in."""
        port = self.ports.get(sender.interface)
        if port is not None and port.transport is sender:
            self.forward(port, frame)

    def forward(self, port: Port, frame: bytes) -> None:
        """A frame comes in at ``port``: learn the source, and deliver to whom the destination is."""
        if not port.plugged:
            return
        if not frame[6] & 1:
            self._learned[frame[6:12]] = (port, self._clock())
        flooded = port.flooded
        if flooded is None:
            flooded = self._wire(port)
        destination = frame[:6]
        if destination in _ADVERTISEMENT_GROUPS:
            targets = port.routers
            if self.observer is not None:
                self.observer.advertised(port.name, frame)
        else:
            known = None if frame[0] & 1 else self._find(destination)
            targets = flooded
            if known is not None:
                targets = (known,) if known in flooded else ()
        for tap in self.taps:
            tap(port.name, frame)
        if not self._calm:
            for target in targets:
                self._impair(port, target, frame)
        elif self._schedule is None:
            self._deliver(targets, frame)
        elif targets:
            self._schedule(self._conditions.delay, functools.partial(self._deliver, targets, frame))

    def _impair(self, port: Port, target: Port, frame: bytes) -> None:
        conditions = self._conditions
        if self._links:
            conditions = self._links.get((port.name, target.name), conditions)
        delay, chance = conditions.delay, self._chance
        if conditions.loss and chance() < conditions.loss:
            self.lost += 1
            self._disturb()
            return
        if conditions.jitter:
            delay += conditions.jitter * chance()
        if conditions.reordering and chance() < conditions.reordering:
            delay += conditions.late * chance()
        elif conditions.jitter:
            now = self._clock()
            delay = max(delay, target.latest.get(port, 0.0) - now)
            target.latest[port] = now + delay
        schedule = self._schedule or _at_once
        schedule(delay, functools.partial(target.arrive, frame))
        if conditions.duplication and chance() < conditions.duplication:
            schedule(delay + conditions.late * chance(), functools.partial(target.arrive, frame))

    def _deliver(self, targets: tuple[Port, ...], frame: bytes) -> None:
        for port in targets:
            if port.plugged:
                port.receive(frame)

    # -- inside --

    def _find(self, mac: bytes) -> Port | None:
        learned = self._learned.get(mac)
        if learned is None:
            return None
        if self._clock() > learned[1] + self.ageing:
            del self._learned[mac]
            return None
        return learned[0]

    def _port(self, name: str) -> Port:
        if name not in self.ports:
            raise ConfigError(f"a port must be one of {', '.join(self.ports) or 'none'}, not {name!r}")
        return self.ports[name]

    def _rewire(self) -> None:
        for port in self.ports.values():
            port.flooded = None

    def _wire(self, port: Port) -> tuple[Port, ...]:
        """Who gets a frame that is flooded, looked up once for each port."""
        others = [
            other
            for other in self.ports.values()
            if other is not port and (port.name, other.name) not in self._blocked
        ]
        port.routers = tuple(other for other in others if other.groups)
        port.flooded = tuple(others)
        return port.flooded

    def _recondition(self) -> None:
        all_conditions = (self._conditions, *self._links.values())
        self._calm = not self._links and not self._conditions.random
        if self._chance is _no_dice and any(conditions.random for conditions in all_conditions):
            raise ConfigError("dice must be a random.Random when conditions leave something to chance, not None")
        self.longest_now = max(conditions.longest for conditions in all_conditions)
        self.longest = max(self.longest, self.longest_now)
        self._disturb()

    def _disturb(self) -> None:
        if self.observer is not None:
            self.observer.disturbed()
