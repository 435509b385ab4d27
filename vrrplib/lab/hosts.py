"""Hosts on a simulated LAN, which ask for addresses and ping them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

from vrrplib.lab.lan import Switch
from vrrplib.lab.neighbours import Echo, Question, read_claim, read_echo
from vrrplib.transports.memory import MemoryTransport
from vrrplib.wire.addresses import AddressLike, IPAddress, MacAddress, to_address


class Surroundings(Protocol):
    """What a host needs of its simulation."""

    now: float
    switch: Switch

    def after(self, delay: float, act: Callable[[], object]) -> None:
        """Call ``act`` in ``delay`` seconds."""


@dataclasses.dataclass(slots=True)
class Ping:
    """One question of a host; ``answered`` is when the answer came, in seconds, None if it did not."""

    time: float
    address: IPAddress
    answered: float | None = None


class SimulatedHost:
    """A host that notices nothing, one hopes; made by :meth:`Simulation.add_host`.

    ``neighbours`` is its ARP and ND cache: filled by replies, updated by gratuitous ARP and by NA; an entry that is
    older than ``ageing`` seconds is asked for again (None: never). ``changes`` lists every change of it as (time,
    address, MAC), ``pings`` every ping.
    """

    def __init__(
        self, world: Surroundings, name: str, mac: MacAddress, address: IPAddress, ageing: float | None = None
    ) -> None:
        self.name = name
        self.mac = mac
        self.address = address
        self.ageing = ageing
        self.neighbours: dict[IPAddress, MacAddress] = {}
        self.changes: list[tuple[float, IPAddress, MacAddress]] = []
        self.pings: list[Ping] = []
        self._world = world
        self._waiting: dict[IPAddress, list[int]] = {}
        self._learned: dict[IPAddress, float] = {}
        self.transport = MemoryTransport(world.switch, interface=name, mac=mac)
        world.switch.connect(name, self.receive, groups=False)

    @property
    def lost(self) -> int:
        """How many pings have had no answer so far."""
        return sum(ping.answered is None for ping in self.pings)

    def ping(self, address: AddressLike, *, every: float | None = None) -> Ping:
        """Send one ping now and, with ``every``, another each so many seconds until the simulation ends."""
        target = to_address(address)
        ping = Ping(self._world.now, target)
        self.pings.append(ping)
        number = len(self.pings) - 1
        mac = self._look_up(target)
        if mac is None:
            self._waiting.setdefault(target, []).append(number)
            self.transport.send(Question(target, self.address, self.mac).frame())
        else:
            self.transport.send(Echo(number, target).frame(self.mac, mac))
        if every is not None:
            self._world.after(every, lambda: self.ping(target, every=every))
        return ping

    def receive(self, frame: bytes) -> None:
        """A frame arrives."""
        echo, claim = read_echo(frame), read_claim(frame)
        if echo is not None and echo.reply and frame[:6] == self.mac.packed and echo.number < len(self.pings):
            self.pings[echo.number].answered = self._world.now
        if claim is not None:
            self._learn(*claim)

    def _look_up(self, address: IPAddress) -> MacAddress | None:
        if self.ageing is not None and self._world.now > self._learned.get(address, 0.0) + self.ageing:
            return None
        return self.neighbours.get(address)

    def _learn(self, address: IPAddress, mac: MacAddress) -> None:
        """As Linux does it: an entry begins with a question of ours, and whoever speaks for it may change it."""
        if address not in self.neighbours and address not in self._waiting:
            return
        self._learned[address] = self._world.now
        if self.neighbours.get(address) != mac:
            self.neighbours[address] = mac
            self.changes.append((self._world.now, address, mac))
        for number in self._waiting.pop(address, ()):
            self.transport.send(Echo(number, address).frame(self.mac, mac))
