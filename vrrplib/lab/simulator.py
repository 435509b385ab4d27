"""A LAN in memory under a virtual clock: routers, a switch with its MAC table, hosts with their caches, faults.

Nothing here reads a clock, and chance comes from dice that are passed: the same program gives the same log, to the
last digit.
"""

from __future__ import annotations

import dataclasses
import heapq
import ipaddress
import itertools
import random
from collections.abc import Callable
from typing import Any, Protocol

from vrrplib.election.actions import Report
from vrrplib.election.config import RouterConfig
from vrrplib.election.events import Event
from vrrplib.election.router import Router
from vrrplib.election.states import State
from vrrplib.errors import ConfigError
from vrrplib.lab.hosts import Ping, SimulatedHost
from vrrplib.lab.lan import AGEING, Conditions, Observer, Switch
from vrrplib.lab.lean import LeanNode
from vrrplib.lab.machines import BackendFactory, Eyes, LocalClock, SimulatedBackend, SimulatedNode
from vrrplib.node import Notice
from vrrplib.wire.addresses import AddressLike, Family, IPAddress, MacAddress, to_address, to_interface

__all__ = [
    "Conditions",
    "Happening",
    "LeanNode",
    "LocalClock",
    "Ping",
    "SimulatedBackend",
    "SimulatedHost",
    "SimulatedNode",
    "Simulation",
    "Watcher",
]

TOLD = "told of "
"""What the log says of an event that a Node was given begins so."""
_AFTER_FRAMES = 1 << 62  # in the order of what is due at one time


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


class Watcher(Observer, Protocol):
    """Who looks on (:class:`vrrplib.lab.invariants.Invariants`): told of all that the log says, as it happens."""

    def happened(self, node: SimulatedNode, happening: Happening) -> None:
        """A line was added to the log."""


class Simulation:
    """Nodes and hosts on one switch, and the clock: ``now``, in seconds from 0.

    Frames that arrive at an instant are seen before timers that are due at it. ``log`` tells all that happened, and
    ``events`` counts: a frame delivered to a Router, or a timer that expired.

    ``delay`` is that of every frame; ``conditions`` say more of what becomes of frames, and ``dice`` decides what
    they leave to chance. The switch forgets a MAC after ``ageing`` seconds.
    """

    def __init__(
        self,
        *,
        delay: float = 0.0,
        conditions: Conditions | None = None,
        dice: random.Random | None = None,
        ageing: float = AGEING,
    ) -> None:
        self.now = 0.0
        self.events = 0
        self.eyes = Eyes()
        self.switch = Switch(
            delay=delay,
            conditions=conditions,
            dice=dice,
            schedule=self.after,
            clock=lambda: self.now,
            ageing=ageing,
        )
        self.nodes: dict[str, SimulatedNode] = {}
        self.hosts: dict[str, SimulatedHost] = {}
        self.log: list[Happening] = []
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._late_order = itertools.count(_AFTER_FRAMES)
        self._watcher: Watcher | None = None

    def add(
        self,
        name: str,
        *configs: RouterConfig,
        backend: BackendFactory = SimulatedBackend,
        lean: bool = False,
        **fields: Any,
    ) -> SimulatedNode:
        """Start a Node with these virtual routers at once; ``fields`` make one more RouterConfig.

        Its ``primary_address`` has a default: the number of the Node in the first virtual address's subnet, for
        IPv6 below fe80::. ``backend(interface, config)`` makes a NetBackend for each. ``lean``: do without the
        Node, with the same outcome in much less time; the backend must be one that never fails. ConfigError for a
        name that is taken.
        """
        number, mac = self._new(name)
        if fields:
            if "primary_address" not in fields:
                fields["primary_address"] = _primary(fields["addresses"], number)
            configs = (*configs, RouterConfig(**fields))
        node = (LeanNode if lean else SimulatedNode)(self, name, mac, configs, backend)
        self.nodes[name] = node
        self._boot(node)
        return node

    def add_host(
        self, name: str = "host", address: AddressLike = "192.0.2.200", *, ageing: float | None = None
    ) -> SimulatedHost:
        """Plug in a host that speaks IPv4 or IPv6 from ``address``; it keeps what it learned ``ageing`` seconds."""
        _, mac = self._new(name)
        host = self.hosts[name] = SimulatedHost(self, name, mac, to_address(address), ageing)
        return host

    def watch(self, watcher: Watcher) -> None:
        """Let ``watcher`` look on from now; before the first :meth:`add`, if it is to know all."""
        self._watcher = self.switch.observer = watcher
        for node in self.nodes.values():
            node.heard = {}

    def run(self, until: float) -> None:
        """Let time go on to ``until`` seconds, and everything that is due happen."""
        queue, pop = self._queue, heapq.heappop
        while queue and queue[0][0] <= until:
            time, _, act = pop(queue)
            if time > self.now:  # noqa: PLR1730  # max() takes three times as long
                self.now = time
            act()
        self.now = max(self.now, until)

    def after(self, delay: float, act: Callable[[], object]) -> None:
        """Call ``act`` in ``delay`` seconds."""
        heapq.heappush(self._queue, (self.now + delay, next(self._order), act))

    def at(self, time: float, act: Callable[[], object]) -> None:
        """Call ``act`` at ``time`` seconds."""
        self.after(max(0.0, time - self.now), act)

    def wake(self, time: float, act: Callable[[], object]) -> None:
        """Call ``act`` at ``time`` seconds, after the frames that arrive then."""
        heapq.heappush(self._queue, (time, next(self._late_order), act))

    # -- what may happen to a Node --

    def crash(self, node: SimulatedNode) -> None:
        """The machine dies without a word, and its link with it."""
        self._note(node, "crashed")
        node.kill()
        self.switch.unplug(node.name)

    def kill(self, node: SimulatedNode) -> None:
        """The process dies without a word (SIGKILL); the machine goes on answering for what was active."""
        self._note(node, "killed")
        self._disturb()
        node.kill()

    def shutdown(self, node: SimulatedNode) -> None:
        """The Node stops in good order, which resigns what is Active; the machine stays."""
        self._note(node, "shut down")
        self._disturb()
        node.stop()

    def restart(self, node: SimulatedNode) -> None:
        """Everything begins anew, after a crash, a shutdown, or killed just now."""
        self._note(node, "restarted")
        node.kill()
        self.switch.plug(node.name)
        self._boot(node)

    def pause(self, node: SimulatedNode) -> None:
        """The process is stopped; frames wait for it, and its timers run on."""
        self._note(node, "paused")
        self._disturb()
        node.paused = True

    def resume(self, node: SimulatedNode) -> None:
        """It goes on: reads what waited, then looks at its timers."""
        self._note(node, "resumed")
        self._disturb()
        node.resume()

    def handle(self, node: SimulatedNode, event: Event, router: Router | None = None) -> None:
        """Give ``event`` to a Router of ``node``, by default its first."""
        self._note(node, f"{TOLD}{event}")
        self._disturb()
        node.handle(router or node.router, event)

    def set_clock(self, node: SimulatedNode, *, rate: float = 1.0, ahead: float = 0.0) -> None:
        """Let the clock of ``node`` drift (``rate`` 1.01: it gains 1 %), and jump ``ahead`` seconds."""
        self._note(node, f"{TOLD}a clock of rate {rate:g}, {ahead:g} s ahead")
        self._disturb()
        node.set_clock(rate=rate, ahead=ahead)

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

    def tell(self, node: SimulatedNode, notices: tuple[Notice, ...]) -> None:
        """Add what a Node has to say to the log."""
        for notice in notices:
            self._add(node, Happening(self.now, node.name, notice))

    # -- inside --

    def _boot(self, node: SimulatedNode) -> None:
        node.heard = None if self._watcher is None else {}
        self._disturb()
        node.boot()

    def _new(self, name: str) -> tuple[int, MacAddress]:
        if not name or name in self.nodes or name in self.hosts:
            raise ConfigError(f"name must be new on this LAN, not {name!r}")
        number = len(self.nodes) + len(self.hosts) + 1
        return number, MacAddress(b"\x02" + number.to_bytes(5, "big"))

    def _note(self, node: SimulatedNode, words: str) -> None:
        self._add(node, Happening(self.now, node.name, words))

    def _add(self, node: SimulatedNode, happening: Happening) -> None:
        self.log.append(happening)
        if self._watcher is not None:
            self._watcher.happened(node, happening)

    def _disturb(self) -> None:
        if self._watcher is not None:
            self._watcher.disturbed()


def _primary(addresses: Any, number: int) -> IPAddress:
    """A real address for the machine of this number, beside its virtual ones."""
    network = to_interface(next(iter(addresses))).network
    if network.version == Family.IPV6.value:
        return ipaddress.ip_address((0xFE80 << 112) + number)
    return network[number] if network.num_addresses > number + 1 else ipaddress.ip_address(0xC0000200 + number)
