"""What must hold on a LAN of routers, stated and checked while a simulation runs.

A **disturbance** is whatever is done to a router, its clock, its link or the conditions, and every frame that
chance takes. The **bound** is how long its consequences may last: the longest active_down_interval of any router
there (by its own clock, with the interval that it has learned and the delays of its configuration), one
advertisement interval more, in which two who took over at once hear each other, and twice the longest time that a
frame is under way.

The routers that run fall into **components** of those that reach each other both ways. Where a link works in one
direction only, or frames are under way for an interval and more, no RFC promises anything, and ONE_ACTIVE, STABLE
and MAC_TABLE are not asked for.
"""

from __future__ import annotations

import dataclasses
import enum
import math

from vrrplib.election.actions import StateChanged
from vrrplib.election.config import OWNER_PRIORITY, RouterConfig
from vrrplib.election.router import Router
from vrrplib.election.states import State
from vrrplib.lab.machines import MOST_SEEN, Seen, SimulatedNode, key_of
from vrrplib.lab.simulator import TOLD, Happening, Simulation
from vrrplib.rules import Verdict
from vrrplib.wire.addresses import ADVERTISEMENT_TTL, Family
from vrrplib.wire.packets import Packet, inspect

MOST_ADVERTISEMENTS = 12
"""In one advertisement interval, for each router: its own, ten answers (``ANSWER_SPACING``), one at the edge."""
MOST_VIOLATIONS = 100
TOLERANCE = 1e-6
"""Seconds: what rounding may cost."""


class Invariant(enum.StrEnum):
    """What must hold."""

    ONE_ACTIVE = "one-active"
    """Each component of routers has exactly one Active, once the bound has passed since the last disturbance."""
    STABLE = "stable"
    """From then on nobody changes its state until the next disturbance."""
    TAKEOVER = "takeover"
    """A Backup becomes Active exactly active_down_interval after the last advertisement that it had to follow
    reached it (skew_time after a resignation), or when its process goes on after a pause: not sooner, not later."""
    MAC_TABLE = "mac-table"
    """Once the bound has passed, the switch sends what is for the virtual MAC to the Active router."""
    STORM = "storm"
    """No router sends more than twelve advertisements in an interval, those of a takeover not counted."""


@dataclasses.dataclass(frozen=True, slots=True)
class Violation:
    """At ``time`` seconds something did not hold."""

    time: float
    invariant: Invariant
    message: str

    def __str__(self) -> str:
        return f"{self.time:.6f} {self.invariant}: {self.message}"


class Invariants:
    """Looks on at a simulation from its beginning; ``violations`` lists the first hundred, ``checks`` counts.

    Make it before the first router is added. ``slack`` seconds are added to the bound and to what a takeover may
    take. Call :meth:`finish` at the end. TAKEOVER is not asked for of routers with a start-up or preempt delay,
    authentication, or two versions.
    """

    def __init__(self, simulation: Simulation, *, slack: float = 0.0) -> None:
        self.violations: list[Violation] = []
        self.checks = 0
        self.slack = slack
        self._simulation = simulation
        self._disturbed = simulation.now
        self._settled = False
        self._looking = False
        self._windows: dict[tuple[str, int], _Window] = {}
        self._started: dict[tuple[str, int], float] = {}
        self._resumed: dict[str, float] = {}
        self._excused: dict[str, float] = {}
        simulation.watch(self)

    @property
    def bound(self) -> float:
        """Seconds after the last disturbance from which everything is settled."""
        down = interval = 0.0
        for node in self._simulation.nodes.values():
            for router in node.routers:
                config = router.config
                longest = max(config.advertisement_interval, router.active_adver_interval)
                waits = config.rules.active_down_interval(router.priority, longest)
                waits += config.startup_delay + config.preempt_delay
                if config.listen_after_stall:
                    waits += config.rules.skew_time(router.priority, longest)
                down, interval = max(down, waits / node.clock.rate), max(interval, longest / node.clock.rate)
        return down + interval + 2 * self._simulation.switch.longest + self.slack + TOLERANCE

    def finish(self) -> list[Violation]:
        """Check once more, if all is settled; the violations."""
        if self._simulation.now >= self._disturbed + self.bound:
            self._check()
        return self.violations

    # -- what the simulation tells --

    def disturbed(self) -> None:
        """Something was done to the LAN, or a frame was lost."""
        self._disturbed = self._simulation.now
        self._settled = False
        if not self._looking:
            self._looking = True
            self._simulation.at(self._disturbed + self.bound, self._look)

    def advertised(self, port: str, frame: bytes) -> None:
        """A frame to the group came in at a port: count it."""
        simulation = self._simulation
        seen = simulation.eyes.known.get(frame) or simulation.eyes.read(frame)
        window = self._windows.get((port, seen.key))
        if window is None:
            window = self._windows[port, seen.key] = _Window(self._interval(port, seen.key))
        if simulation.now >= window.end:
            window.count = 1
            window.end = simulation.now + window.interval
            return
        window.count += 1
        if window.count > MOST_ADVERTISEMENTS:
            window.count = 1
            self._add(Invariant.STORM, f"{port} sends more than {MOST_ADVERTISEMENTS} in an interval")

    def happened(self, node: SimulatedNode, happening: Happening) -> None:
        """A line was added to the log."""
        what = happening.what
        if what == "resumed":
            self._resumed[node.name] = happening.time
        elif isinstance(what, str):
            if what.startswith(TOLD):
                self._excused[node.name] = happening.time
                self._windows.clear()  # its interval may be another
        elif isinstance(what.report, StateChanged):
            for router in node.routers:
                if (router.config.family, router.config.vrid) == (what.family, what.vrid):
                    self._changed(node, router, what.report)

    # -- at every change of state --

    def _changed(self, node: SimulatedNode, router: Router, report: StateChanged) -> None:
        config = router.config
        key = key_of(config.family, config.vrid)
        if self._settled:
            self._add(Invariant.STABLE, f"{node.name} became {report.new} ({report.reason})")
        if report.old is State.INITIALIZE:
            self._started[node.name, key] = self._simulation.now
        if report.new is not State.ACTIVE:
            return
        window = self._windows.get((node.name, key))
        if window is not None:
            window.count -= 1
        expected = self._expected(node, router, key)
        if expected is None:
            return
        now, late = self._simulation.now, self._resumed.get(node.name, -math.inf)
        if config.listen_after_stall:
            late += config.rules.skew_time(router.priority, router.active_adver_interval) / node.clock.rate
        if not expected - TOLERANCE <= now <= max(expected, late) + self.slack + TOLERANCE:
            words = f"{node.name} became active ({report.reason}) at {now:.6f}, not at {expected:.6f}"
            self._add(Invariant.TAKEOVER, words)

    def _expected(self, node: SimulatedNode, router: Router, key: int) -> float | None:
        """When a Backup was to take over, by what it has heard; None: that cannot be said.

        Written from RFC 9568 6.4.2 (RFC 3768 6.4.2), and not from ``Router``.
        """
        config, rate = router.config, node.clock.rate
        base = self._started[node.name, key]
        heard = (node.heard or {}).get(key, {})
        if len(heard) > MOST_SEEN // 2:
            return None  # a storm, of which not all is remembered
        if config.startup_delay or config.preempt_delay or config.authentication or config.also:
            return None  # no RFC times the first two, and the others take what cannot be judged by itself
        preempts = config.preempt or router.priority == OWNER_PRIORITY
        learned = config.advertisement_interval
        rules = config.rules
        delay = rules.active_down_interval(router.priority, learned)
        if router.priority == OWNER_PRIORITY and not heard:
            delay = 0.0  # 6.4.1
        for seen, time in heard.items():
            packet = _accepted(seen, config)
            if packet is None:
                continue
            if packet.priority == 0:
                base, delay = time, rules.skew_time(router.priority, learned)
            elif packet.priority >= router.priority or not preempts:
                learned = packet.interval if rules.learns_interval else learned
                base, delay = time, rules.active_down_interval(router.priority, learned)
        return None if self._excused.get(node.name, -math.inf) >= base else base + delay / rate

    # -- when all is settled --

    def _look(self) -> None:
        due = self._disturbed + self.bound
        if self._simulation.now < due:
            self._simulation.at(due, self._look)
            return
        self._looking = False
        self._check()

    def _check(self) -> None:
        self.checks += 1
        self._settled = True
        running: dict[tuple[Family, int], list[tuple[SimulatedNode, Router]]] = {}
        for node in self._simulation.nodes.values():
            for router in node.routers if node.alive and not node.paused else ():
                running.setdefault((router.config.family, router.config.vrid), []).append((node, router))
        for (family, vrid), members in running.items():
            states = {node.name: router.state for node, router in members}
            components = self._components(list(states))
            shortest = min(router.config.advertisement_interval / node.clock.rate for node, router in members)
            if components is None or self._simulation.switch.longest_now >= shortest:
                self._settled = False
                continue
            for names in components:
                active = [name for name in names if states[name] is State.ACTIVE]
                if len(active) != 1:
                    words = f"VRID {vrid} over IPv{family:d}: {', '.join(active) or 'none'} of {', '.join(names)}"
                    self._add(Invariant.ONE_ACTIVE, words)
            self._check_table(family, vrid, members)

    def _components(self, names: list[str]) -> list[tuple[str, ...]] | None:
        """Who reaches whom; None where a link works in one direction only, or for some of a component."""
        reaches = self._simulation.switch.reaches
        found = set()
        for name in names:
            peers = tuple(other for other in names if other == name or reaches(name, other))
            if any(not reaches(other, name) for other in peers if other != name):
                return None
            found.add(peers)
        # each is in its own; if two had one in common, or differed within one, there would be more
        return sorted(found) if sum(map(len, found)) == len(names) else None

    def _check_table(self, family: Family, vrid: int, members: list[tuple[SimulatedNode, Router]]) -> None:
        switch = self._simulation.switch
        active = [
            (node, node.backends[node.routers.index(router)].mac)
            for node, router in members
            if router.state is State.ACTIVE and switch.ports[node.name].plugged
        ]
        if len(active) != 1:
            return  # several components share the switch
        [(node, mac)] = active
        port = switch.port_of(mac)
        if port != node.name:
            words = f"VRID {vrid} over IPv{family:d}: {mac} is sent to {port}, and {node.name} is Active"
            self._add(Invariant.MAC_TABLE, words)

    # -- inside --

    def _interval(self, port: str, key: int) -> float:
        """The advertisement interval of the virtual router that sends; 0 for who is none."""
        node = self._simulation.nodes.get(port)
        for router in () if node is None else node.routers:
            if key_of(router.config.family, router.config.vrid) == key:
                return router.config.advertisement_interval
        return 0.0

    def _add(self, invariant: Invariant, message: str) -> None:
        if len(self.violations) < MOST_VIOLATIONS:
            self.violations.append(Violation(self._simulation.now, invariant, message))


class _Window:
    """How many advertisements came since a first one; at ``end`` it begins anew."""

    __slots__ = ("count", "end", "interval")

    def __init__(self, interval: float) -> None:
        self.count = 0
        self.end = -math.inf
        self.interval = interval


def _accepted(seen: Seen, config: RouterConfig) -> Packet | None:
    """The message in a frame, if a router of this configuration follows it: 7.1, and 6.4.2."""
    datagram = seen.datagram
    if datagram is None or datagram.ttl != ADVERTISEMENT_TTL:
        return None
    found = inspect(
        datagram.payload,
        source=datagram.source,
        destination=datagram.destination,
        accept_checksum=config.accept_checksum,
        rules=config.rules,
    )
    packet, rules = found.packet, config.rules
    if packet is None or found.problems or packet.version != config.version or packet.interval == 0:
        return None
    ours = {address.ip for address in config.addresses}
    if ours != set(packet.addresses) and rules.address_mismatch is Verdict.DISCARD:
        return packet if packet.priority == OWNER_PRIORITY else None
    differs = abs(packet.interval - config.advertisement_interval) > TOLERANCE
    return None if differs and rules.interval_mismatch is Verdict.DISCARD else packet
