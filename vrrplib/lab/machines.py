"""The machines on a simulated LAN that run virtual routers, through a Node; and what they share."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Callable
from typing import Protocol, TypeAlias

from vrrplib.backends.base import NetBackend
from vrrplib.election.config import RouterConfig
from vrrplib.election.events import Event
from vrrplib.election.router import Router
from vrrplib.election.states import State
from vrrplib.errors import ConfigError
from vrrplib.lab.lan import Switch
from vrrplib.lab.neighbours import read_echo, read_question
from vrrplib.node import Node, Notice
from vrrplib.transports.memory import MOST_FRAMES, MemoryTransport
from vrrplib.wire.addresses import MacAddress
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import parse

BackendFactory: TypeAlias = Callable[[str, RouterConfig], NetBackend]

MOST_SEEN = 4096
"""Frames that are remembered: by what is in them, and by when a machine read them."""


class SimulatedBackend(NetBackend):
    """Makes the simulated machine answer for the virtual MAC and addresses while active."""

    def __init__(self, interface: str, config: RouterConfig) -> None:
        self.interface = interface
        self.config = config
        self.mac = config.virtual_mac

    def prepare(self) -> None:
        self.mac = self.config.virtual_mac

    def activate(self) -> None:
        self.active = True

    def deactivate(self) -> None:
        self.active = False

    def close(self) -> None:
        self.active = False


def key_of(family: int, vrid: int) -> int:
    """A virtual router as a number, which is quicker to look up than a pair."""
    return family << 8 | vrid


class Seen:
    """A frame as all machines see it, read once: what it carries, and for which virtual router (-1: for none)."""

    __slots__ = ("datagram", "frame", "key")

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.datagram: Datagram | None = parse(frame, verify_header=True)
        self.key = -1
        if self.datagram is not None and len(self.datagram.payload) > 1:
            self.key = key_of(self.datagram.family, self.datagram.payload[1])


class Eyes:
    """Reads frames, and knows again the last ones: the same bytes reach many machines, and again each second."""

    def __init__(self) -> None:
        self.known: dict[bytes, Seen] = {}

    def read(self, frame: bytes) -> Seen:
        """What is in a frame."""
        seen = self.known.get(frame)
        if seen is None:
            if len(self.known) >= MOST_SEEN:
                self.known.clear()
            seen = self.known[frame] = Seen(frame)
        return seen


class World(Protocol):
    """What a machine needs of its simulation."""

    now: float
    events: int
    switch: Switch
    eyes: Eyes

    def wake(self, time: float, act: Callable[[], None]) -> None:
        """Call ``act`` at ``time``, after the frames that arrive then."""

    def tell(self, node: SimulatedNode, notices: tuple[Notice, ...]) -> None:
        """Log what a machine has to say."""


@dataclasses.dataclass(slots=True)
class LocalClock:
    """A machine's own time: ``rate`` seconds of it go by in one of the simulation's."""

    rate: float = 1.0
    offset: float = 0.0

    def local(self, time: float) -> float:
        """Its time at a time of the simulation."""
        return self.offset + self.rate * time

    def simulated(self, local: float) -> float:
        """When it shows ``local``."""
        return (local - self.offset) / self.rate

    def change(self, now: float, *, rate: float, ahead: float = 0.0) -> None:
        """Go at ``rate`` from now on, ``ahead`` seconds further than before."""
        if not 0 < rate < math.inf or not 0 <= ahead < math.inf:
            raise ConfigError(f"a clock goes forward: rate {rate!r}, ahead {ahead!r} seconds")
        local = self.local(now) + ahead
        self.rate, self.offset = rate, local - rate * now


class SimulatedNode:
    """A machine with one interface, and the Node that runs on it; made by :meth:`Simulation.add`.

    ``alive`` says whether the VRRP process runs, ``paused`` whether it is stopped as by SIGSTOP: the machine goes
    on answering for what is active then, and frames wait. ``clock`` is the machine's.
    """

    def __init__(
        self, world: World, name: str, mac: MacAddress, configs: tuple[RouterConfig, ...], backend: BackendFactory
    ) -> None:
        self.name = name
        self.mac = mac
        self.configs = configs
        self.alive = False
        self.paused = False
        self.clock = LocalClock()
        self.routers: tuple[Router, ...] = ()
        self.backends: tuple[NetBackend, ...] = ()
        self.heard: dict[int, dict[Seen, float]] | None = None
        """When it read each frame last, for each virtual router; None: nobody wants to know."""
        self._world = world
        self._backend = backend
        self._waiting: collections.deque[bytes] = collections.deque(maxlen=MOST_FRAMES)
        self._due = math.inf

    @property
    def router(self) -> Router:
        """The first, and often only, virtual router."""
        return self.routers[0]

    @property
    def state(self) -> State:
        """The state of ``router``; Initialize while nothing runs."""
        return self.router.state if self.alive else State.INITIALIZE

    @property
    def now(self) -> float:
        """The machine's own time."""
        return self.clock.local(self._world.now)

    # -- what the simulation does to it --

    def boot(self) -> None:
        """Begin anew, with new Routers and backends."""
        self.routers = tuple(Router(config) for config in self.configs)
        self.backends = tuple(self._backend(self.name, config) for config in self.configs)
        self._waiting.clear()
        self.alive, self.paused = True, False
        self._start()

    def receive(self, frame: bytes) -> None:
        """A frame arrives: for the kernel, and for the process."""
        seen = self._world.eyes.known.get(frame) or self._world.eyes.read(frame)
        if seen.datagram is None:
            self.answer(frame)
        elif not self.alive:
            return
        elif self.paused:
            self._waiting.append(frame)
        else:
            self._take(seen)
            self._step()

    def kill(self) -> None:
        """The process is gone, and what it did to the host stays."""
        self.alive, self._due = False, math.inf

    def stop(self) -> None:
        """The process ends in good order."""
        self._tell(self.node.stop(self.now))
        self.kill()

    def resume(self) -> None:
        """The process goes on: it reads what waited, then looks at its timers."""
        self.paused = False
        if self.alive:
            while self._waiting:
                self._take(self._world.eyes.read(self._waiting.popleft()))
            self._step()

    def handle(self, router: Router, event: Event) -> None:
        """Give an event to one of its Routers."""
        self._tell(self.node.handle(router, event, self.now))
        self._rearm()

    def set_clock(self, *, rate: float = 1.0, ahead: float = 0.0) -> None:
        """Let the machine's clock go at another rate, and jump ahead."""
        self.clock.change(self._world.now, rate=rate, ahead=ahead)
        self._due = math.inf
        self._rearm()

    # -- the machine's kernel --

    def answer(self, frame: bytes) -> None:
        """What the machine's kernel does about a frame: answer ARP, NS and pings for what is active."""
        question, echo = read_question(frame), read_echo(frame)
        if question is None and echo is None:
            return
        for backend in self.backends:
            if not backend.active:
                continue
            ours = {address.ip for address in backend.config.addresses}
            if question is not None and question.target in ours:
                # RFC 9568 8.1.2: the reply names the virtual MAC, and its frame comes from the physical one
                self._send(question.reply(backend.mac, self.mac))
            if echo is not None and not echo.reply and echo.address in ours and frame[:6] == backend.mac.packed:
                answer = dataclasses.replace(echo, reply=True)
                self._send(answer.frame(self.mac, MacAddress(frame[6:12])))

    # -- through a Node --

    def _start(self) -> None:
        self.transport = MemoryTransport(self._world.switch, interface=self.name, mac=self.mac)
        self._world.switch.connect(self.name, self.receive)
        self.node = Node(self.transport)
        for router, backend in zip(self.routers, self.backends, strict=True):
            self.node.add(router, backend)
        self._tell(self.node.start(self.now))
        self._rearm()

    def _send(self, frame: bytes) -> None:
        self.transport.send(frame)

    def _take(self, seen: Seen) -> None:
        if self.heard is not None:
            note(self.heard.setdefault(seen.key, {}), seen, self._world.now)
        self._world.events += 1
        self.transport.deliver(seen.frame)

    def _step(self) -> None:
        self._tell(self.node.step(self.now))
        self._rearm()

    def _rearm(self) -> None:
        """Ask to be woken, unless that is done. A deadline that moves away is seen to when the old one comes."""
        deadline = self.node.deadline
        if deadline is None or self.paused or not self.alive:
            return
        due = max(self._world.now, self.clock.simulated(deadline))
        if due < self._due:
            self._due = due
            self._world.wake(due, self._wake)

    def _wake(self) -> None:
        world = self._world
        if self._due != world.now:
            return  # another call has come meanwhile
        self._due = math.inf
        if self.paused or not self.alive:
            return
        deadline = self.node.deadline
        if deadline is not None and self.clock.simulated(deadline) <= world.now:
            world.events += 1
            self._tell(self.node.step(max(self.now, deadline)))
        self._rearm()

    def _tell(self, notices: tuple[Notice, ...]) -> None:
        if notices:
            self._world.tell(self, notices)


def note(heard: dict[Seen, float], seen: Seen, now: float) -> None:
    """Remember when a frame was read last, in that order; the oldest is forgotten."""
    heard.pop(seen, None)
    heard[seen] = now
    if len(heard) > MOST_SEEN:
        del heard[next(iter(heard))]
