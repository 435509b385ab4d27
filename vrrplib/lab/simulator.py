"""A LAN in memory under a virtual clock: Nodes, a switch with its MAC table, hosts with their ARP and ND caches.

Nothing here reads a clock or a random number: the same program gives the same log, to the last digit.
"""

from __future__ import annotations

import dataclasses
import heapq
import ipaddress
import itertools
import math
from collections.abc import Callable
from typing import Any, TypeAlias

from vrrplib.backends.base import NetBackend
from vrrplib.election.actions import Report
from vrrplib.election.config import RouterConfig
from vrrplib.election.events import Event
from vrrplib.election.router import Router
from vrrplib.election.states import State
from vrrplib.errors import ConfigError
from vrrplib.lab.lan import Echo, Question, Switch, read_claim, read_echo, read_question
from vrrplib.node import Node, Notice
from vrrplib.transports.memory import MemoryTransport
from vrrplib.wire.addresses import AddressLike, Family, IPAddress, MacAddress, to_address, to_interface

BackendFactory: TypeAlias = Callable[[str, RouterConfig], NetBackend]


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


class SimulatedNode:
    """A machine with one interface, and the Node that runs on it; made by :meth:`Simulation.add`.

    ``alive`` says whether the VRRP process runs, ``paused`` whether it is stopped as by SIGSTOP: the machine goes
    on answering for what is active then, and frames wait.
    """

    def __init__(
        self, name: str, mac: MacAddress, configs: tuple[RouterConfig, ...], backend: BackendFactory
    ) -> None:
        self.name = name
        self.mac = mac
        self.configs = configs
        self.alive = False
        self.paused = False
        self._backend = backend

    @property
    def router(self) -> Router:
        """The first, and often only, virtual router."""
        return self.routers[0]

    @property
    def state(self) -> State:
        """The state of ``router``; Initialize while nothing runs."""
        return self.router.state if self.alive else State.INITIALIZE

    def boot(self, switch: Switch, now: float) -> tuple[Notice, ...]:
        """Begin anew, with new Routers and backends."""
        self.transport = MemoryTransport(switch, interface=self.name, mac=self.mac)
        self.node = Node(self.transport)
        self.routers = tuple(Router(config) for config in self.configs)
        self.backends = tuple(self._backend(self.name, config) for config in self.configs)
        for router, backend in zip(self.routers, self.backends, strict=True):
            self.node.add(router, backend)
        self.alive, self.paused = True, False
        return self.node.start(now)

    def answer(self, frame: bytes) -> None:
        """What the machine's kernel does about a frame: answer ARP, NS and pings for what is active."""
        for backend in self.backends:
            if not backend.active:
                continue
            ours = {address.ip for address in backend.config.addresses}
            question, echo = read_question(frame), read_echo(frame)
            if question is not None and question.target in ours:
                # RFC 9568 8.1.2: the reply names the virtual MAC, and its frame comes from the physical one
                self.transport.send(question.reply(backend.mac, self.mac))
            if echo is not None and not echo.reply and echo.address in ours and frame[:6] == backend.mac.packed:
                answer = dataclasses.replace(echo, reply=True)
                self.transport.send(answer.frame(self.mac, MacAddress(frame[6:12])))


@dataclasses.dataclass(slots=True)
class Ping:
    """One question of a host; ``answered`` is when the answer came, in seconds, None if it did not."""

    time: float
    address: IPAddress
    answered: float | None = None


class SimulatedHost:
    """A host that notices nothing, one hopes; made by :meth:`Simulation.add_host`.

    ``neighbours`` is its ARP and ND cache: filled by replies, updated by gratuitous ARP and by NA.
    ``changes`` lists every change of it as (time, address, MAC), ``pings`` every ping.
    """

    def __init__(self, simulation: Simulation, name: str, mac: MacAddress, address: IPAddress) -> None:
        self.name = name
        self.mac = mac
        self.address = address
        self.neighbours: dict[IPAddress, MacAddress] = {}
        self.changes: list[tuple[float, IPAddress, MacAddress]] = []
        self.pings: list[Ping] = []
        self._simulation = simulation
        self._waiting: dict[IPAddress, list[int]] = {}
        self.transport = MemoryTransport(simulation.switch, interface=name, mac=mac)

    @property
    def lost(self) -> int:
        """How many pings have had no answer so far."""
        return sum(ping.answered is None for ping in self.pings)

    def ping(self, address: AddressLike, *, every: float | None = None) -> Ping:
        """Send one ping now and, with ``every``, another each so many seconds until the simulation ends."""
        target = to_address(address)
        ping = Ping(self._simulation.now, target)
        self.pings.append(ping)
        number = len(self.pings) - 1
        mac = self.neighbours.get(target)
        if mac is None:
            self._waiting.setdefault(target, []).append(number)
            self.transport.send(Question(target, self.address, self.mac).frame())
        else:
            self.transport.send(Echo(number, target).frame(self.mac, mac))
        if every is not None:
            self._simulation.after(every, lambda: self.ping(target, every=every))
        return ping

    def receive(self) -> None:
        """Look at every frame that has arrived."""
        while (frame := self.transport.receive()) is not None:
            echo, claim = read_echo(frame), read_claim(frame)
            if echo is not None and echo.reply and frame[:6] == self.mac.packed:
                self.pings[echo.number].answered = self._simulation.now
            if claim is not None:
                self._learn(*claim)

    def _learn(self, address: IPAddress, mac: MacAddress) -> None:
        """As Linux does it: an entry begins with a question of ours, and whoever speaks for it may change it."""
        if address not in self.neighbours and address not in self._waiting:
            return
        if self.neighbours.get(address) != mac:
            self.neighbours[address] = mac
            self.changes.append((self._simulation.now, address, mac))
        for number in self._waiting.pop(address, ()):
            self.transport.send(Echo(number, address).frame(self.mac, mac))


@dataclasses.dataclass(frozen=True, slots=True)
class Happening:
    """A line of the log: at ``time`` seconds a Node's notice, or in words what was done to it."""

    time: float
    node: str
    what: Notice | str

    @property
    def report(self) -> Report | None:
        """The notice's report."""
        return self.what.report if isinstance(self.what, Notice) else None


class Simulation:
    """Nodes and hosts on one switch, and the clock: ``now``, in seconds from 0.

    Frames that arrive at an instant are seen before timers that are due at it. ``log`` tells all that happened.
    """

    def __init__(self, *, delay: float = 0.0) -> None:
        self.now = 0.0
        self.switch = Switch(delay=delay, schedule=self.after, arrived=self._arrived)
        self.nodes: dict[str, SimulatedNode] = {}
        self.hosts: dict[str, SimulatedHost] = {}
        self.log: list[Happening] = []
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()

    def add(
        self, name: str, *configs: RouterConfig, backend: BackendFactory = SimulatedBackend, **fields: Any
    ) -> SimulatedNode:
        """Start a Node with these virtual routers at once; ``fields`` make one more RouterConfig.

        Its ``primary_address`` has a default: the number of the Node in the first virtual address's subnet, for
        IPv6 below fe80::. ``backend(interface, config)`` makes a NetBackend for each. ConfigError for a name that
        is taken.
        """
        number, mac = self._new(name)
        if fields:
            if "primary_address" not in fields:
                fields["primary_address"] = _primary(fields["addresses"], number)
            configs = (*configs, RouterConfig(**fields))
        node = self.nodes[name] = SimulatedNode(name, mac, configs, backend)
        self._tell(node, node.boot(self.switch, self.now))
        return node

    def add_host(self, name: str = "host", address: AddressLike = "192.0.2.200") -> SimulatedHost:
        """Plug in a host that speaks IPv4 or IPv6 from ``address``."""
        _, mac = self._new(name)
        host = self.hosts[name] = SimulatedHost(self, name, mac, to_address(address))
        return host

    def run(self, until: float) -> None:
        """Let time go on to ``until`` seconds, and everything that is due happen."""
        while True:
            running = [node for node in self.nodes.values() if node.alive and not node.paused]
            due = [(_or_never(node.node.deadline), node) for node in running]
            timer, node = min(due, key=lambda item: item[0], default=(math.inf, None))
            queued = self._queue[0][0] if self._queue else math.inf
            if min(timer, queued) > until:
                break
            self.now = max(self.now, min(timer, queued))
            if queued <= self.now:
                heapq.heappop(self._queue)[2]()
            elif node is not None:
                self._tell(node, node.node.step(self.now))
        self.now = max(self.now, until)

    def after(self, delay: float, act: Callable[[], object]) -> None:
        """Call ``act`` in ``delay`` seconds."""
        heapq.heappush(self._queue, (self.now + delay, next(self._order), act))

    def at(self, time: float, act: Callable[[], object]) -> None:
        """Call ``act`` at ``time`` seconds."""
        self.after(max(0.0, time - self.now), act)

    # -- what may happen to a Node --

    def crash(self, node: SimulatedNode) -> None:
        """The machine dies without a word, and its link with it."""
        self._note(node, "crashed")
        node.alive = False
        self.switch.unplug(node.name)

    def shutdown(self, node: SimulatedNode) -> None:
        """The Node stops in good order, which resigns what is Active; the machine stays."""
        self._note(node, "shut down")
        self._tell(node, node.node.stop(self.now))
        node.alive = False

    def restart(self, node: SimulatedNode) -> None:
        """After a crash or a shutdown: everything begins anew."""
        self._note(node, "restarted")
        self.switch.plug(node.name)
        self._tell(node, node.boot(self.switch, self.now))

    def pause(self, node: SimulatedNode) -> None:
        """The process is stopped; frames wait for it, and its timers run on."""
        self._note(node, "paused")
        node.paused = True

    def resume(self, node: SimulatedNode) -> None:
        """It goes on: reads what waited, then looks at its timers."""
        self._note(node, "resumed")
        node.paused = False
        if node.alive:
            self._tell(node, node.node.step(self.now))

    def handle(self, node: SimulatedNode, event: Event, router: Router | None = None) -> None:
        """Give ``event`` to a Router of ``node``, by default its first."""
        self._tell(node, node.node.handle(router or node.router, event, self.now))

    # -- what one asks --

    def active(self, vrid: int, family: Family = Family.IPV4) -> tuple[SimulatedNode, ...]:
        """The living Nodes that are Active for a virtual router: one, when all is well."""
        return tuple(
            node
            for node in self.nodes.values()
            for router in node.routers
            if node.alive and (router.config.vrid, router.config.family) == (vrid, family)
            if router.state is State.ACTIVE
        )

    def history(self, kind: type[Report]) -> list[tuple[float, str, Report]]:
        """(time, Node, report) for each report of that kind, such as StateChanged."""
        return [(item.time, item.node, item.report) for item in self.log if isinstance(item.report, kind)]

    # -- inside --

    def _new(self, name: str) -> tuple[int, MacAddress]:
        if not name or name in self.nodes or name in self.hosts:
            raise ConfigError(f"name must be new on this LAN, not {name!r}")
        number = len(self.nodes) + len(self.hosts) + 1
        return number, MacAddress(b"\x02" + number.to_bytes(5, "big"))

    def _arrived(self, port: str, frame: bytes) -> None:
        if port in self.hosts:
            self.hosts[port].receive()
            return
        node = self.nodes[port]
        node.answer(frame)
        if node.alive and not node.paused:
            self._tell(node, node.node.step(self.now))

    def _tell(self, node: SimulatedNode, notices: tuple[Notice, ...]) -> None:
        self.log.extend(Happening(notice.time, node.name, notice) for notice in notices)

    def _note(self, node: SimulatedNode, words: str) -> None:
        self.log.append(Happening(self.now, node.name, words))


def _primary(addresses: Any, number: int) -> IPAddress:
    """A real address for the machine of this number, beside its virtual ones."""
    network = to_interface(next(iter(addresses))).network
    if network.version == Family.IPV6.value:
        return ipaddress.ip_address((0xFE80 << 112) + number)
    return network[number] if network.num_addresses > number + 1 else ipaddress.ip_address(0xC0000200 + number)


def _or_never(deadline: float | None) -> float:
    return math.inf if deadline is None else deadline
