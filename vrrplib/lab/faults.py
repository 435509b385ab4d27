"""Faults as data: schedules of them, made from a seed, played to a simulation, and shrunk to what matters."""

from __future__ import annotations

import dataclasses
import enum
import functools
import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias, TypeVar

from vrrplib.election.events import PriorityChanged
from vrrplib.errors import ConfigError
from vrrplib.lab.lan import Conditions
from vrrplib.lab.simulator import SimulatedNode, Simulation

T = TypeVar("T")


class FaultKind(enum.StrEnum):
    """What can happen; in brackets the arguments of :class:`Fault`."""

    CRASH = "crash"
    """[node] The machine dies, and its link."""
    KILL = "kill"
    """[node] The process dies; the machine goes on answering for what was active."""
    SHUTDOWN = "shutdown"
    """[node] The process ends in good order."""
    RESTART = "restart"
    """[node] It begins anew, if it is not running."""
    PAUSE = "pause"
    """[node] The process stands still."""
    RESUME = "resume"
    """[node] It goes on."""
    UNPLUG = "unplug"
    """[node] The cable is pulled."""
    PLUG = "plug"
    """[node] The cable is back."""
    BLOCK = "block"
    """[from, to] Nothing comes through in this direction."""
    UNBLOCK = "unblock"
    """[from, to] It does again."""
    CONDITIONS = "conditions"
    """[delay, jitter, loss, duplication, reordering, late] On the whole LAN: the fields of ``Conditions``."""
    PRIORITY = "priority"
    """[node, priority] Of its first virtual router."""
    CLOCK = "clock"
    """[node, rate, ahead] Its clock goes at this rate from now, and jumps so many seconds ahead."""


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """At ``time`` seconds something happens; ``arguments`` are names and numbers, as its kind says."""

    time: float
    kind: FaultKind
    arguments: tuple[str | float, ...] = ()

    def __str__(self) -> str:
        return f"{self.time:g} {self.kind} {' '.join(map(str, self.arguments))}".rstrip()


Schedule: TypeAlias = tuple[Fault, ...]


def play(simulation: Simulation, schedule: Iterable[Fault]) -> None:
    """Let all of ``schedule`` happen in its time. Every part of a schedule can be played without the rest."""
    faults = sorted(schedule, key=lambda fault: fault.time)

    def go_on(number: int) -> None:  # one after another: what waits in the simulation's queue makes it slower
        while number < len(faults) and faults[number].time <= simulation.now:
            inflict(simulation, faults[number])
            number += 1
        if number < len(faults):
            simulation.at(faults[number].time, functools.partial(go_on, number))

    if faults:
        simulation.at(faults[0].time, functools.partial(go_on, 0))


def inflict(simulation: Simulation, fault: Fault) -> None:
    """Let ``fault`` happen now; what makes no sense just now (a restart of what runs) does nothing."""
    arguments = fault.arguments
    match fault.kind:
        case FaultKind.CONDITIONS:
            simulation.switch.conditions = Conditions(*_numbers(arguments))
        case FaultKind.BLOCK:
            simulation.switch.block(str(arguments[0]), str(arguments[1]))
        case FaultKind.UNBLOCK:
            simulation.switch.unblock(str(arguments[0]), str(arguments[1]))
        case FaultKind.UNPLUG:
            simulation.switch.unplug(_node(simulation, arguments).name)
        case FaultKind.PLUG:
            simulation.switch.plug(_node(simulation, arguments).name)
        case FaultKind.CLOCK:
            rate, ahead = _numbers(arguments[1:])
            simulation.set_clock(_node(simulation, arguments), rate=rate, ahead=ahead)
        case _:
            _inflict_on(simulation, _node(simulation, arguments), fault)


def _inflict_on(simulation: Simulation, node: SimulatedNode, fault: Fault) -> None:
    match fault.kind:
        case FaultKind.CRASH:
            simulation.crash(node)
        case FaultKind.KILL if node.alive:
            simulation.kill(node)
        case FaultKind.SHUTDOWN if node.alive and not node.paused:
            simulation.shutdown(node)
        case FaultKind.RESTART if not node.alive:
            simulation.restart(node)
        case FaultKind.PAUSE if node.alive and not node.paused:
            simulation.pause(node)
        case FaultKind.RESUME if node.alive and node.paused:
            simulation.resume(node)
        case FaultKind.PRIORITY if node.alive and not node.paused:
            simulation.handle(node, PriorityChanged(int(fault.arguments[1])))


def _numbers(arguments: Iterable[str | float]) -> list[float]:
    return [float(argument) for argument in arguments]


def _node(simulation: Simulation, arguments: Sequence[str | float]) -> SimulatedNode:
    name = str(arguments[0])
    if name not in simulation.nodes:
        raise ConfigError(f"a fault must be of one of {', '.join(simulation.nodes)}, not of {name!r}")
    return simulation.nodes[name]


# -- made from a seed --

_ENDS = {
    FaultKind.CRASH: FaultKind.RESTART,
    FaultKind.KILL: FaultKind.RESTART,
    FaultKind.SHUTDOWN: FaultKind.RESTART,
    FaultKind.PAUSE: FaultKind.RESUME,
    FaultKind.UNPLUG: FaultKind.PLUG,
    FaultKind.BLOCK: FaultKind.UNBLOCK,
}
"""What has an end, and which."""
_NO_TROUBLE = Conditions()
ALL_KINDS = (*_ENDS, FaultKind.CONDITIONS, FaultKind.PRIORITY, FaultKind.CLOCK)
"""What :func:`random_schedule` may choose from."""


def random_schedule(
    dice: random.Random,
    names: Sequence[str],
    *,
    until: float,
    every: float = 120.0,
    lasting: float = 20.0,
    kinds: Sequence[FaultKind] = ALL_KINDS,
    calm: Conditions = _NO_TROUBLE,
    late: float = 0.05,
) -> Schedule:
    """Faults of ``names``, one each ``every`` seconds on the average, that last ``lasting`` seconds on the average.

    Jitter and lateness are up to ``late`` seconds. All faults have ended by ``until``: conditions are ``calm``
    again, and everything runs.
    """
    faults: list[Fault] = []
    time = dice.expovariate(1 / every)
    while time < until:
        end = min(until, time + dice.expovariate(1 / lasting))
        faults += _random_faults(dice, dice.choice(kinds), names, round(time, 3), round(end, 3), (calm, late))
        time += dice.expovariate(1 / every)
    for number, name in enumerate(names):  # an end may have come to nothing because of another beginning
        last = until + number / 1000
        faults += [Fault(last, kind, (name,)) for kind in (FaultKind.RESUME, FaultKind.RESTART, FaultKind.PLUG)]
    return tuple(sorted(faults, key=lambda fault: fault.time))


def _random_faults(
    dice: random.Random,
    kind: FaultKind,
    names: Sequence[str],
    begin: float,
    end: float,
    weather: tuple[Conditions, float],
) -> list[Fault]:
    """A fault, and its end; ``weather``: the conditions when it is over, and how late frames may be."""
    calm, late = weather
    name = dice.choice(names)
    match kind:
        case FaultKind.BLOCK:
            others = [other for other in names if other != name]
            pairs = [(name, other) for other in (others if dice.random() < 0.5 else [dice.choice(others)])]
            if dice.random() < 0.5:  # both ways
                pairs += [(other, this) for this, other in pairs]
            return [
                Fault(time, what, pair)
                for pair in pairs
                for time, what in ((begin, FaultKind.BLOCK), (end, FaultKind.UNBLOCK))
            ]
        case FaultKind.CONDITIONS:
            bad = dataclasses.replace(
                calm,
                jitter=calm.jitter + round(dice.random() * late, 4),
                loss=round(dice.random() ** 2, 3),
                duplication=round(dice.random() * 0.2, 3),
                reordering=round(dice.random() * 0.2, 3),
                late=calm.late + round(dice.random() * late, 4),
            )
            return [Fault(begin, kind, dataclasses.astuple(bad)), Fault(end, kind, dataclasses.astuple(calm))]
        case FaultKind.PRIORITY:
            return [Fault(begin, kind, (name, dice.randint(1, 254)))]
        case FaultKind.CLOCK:
            ahead = round(dice.random() * 10, 3) if dice.random() < 0.2 else 0.0
            return [Fault(begin, kind, (name, round(1 + dice.uniform(-0.001, 0.001), 6), ahead))]
        case _:
            return [Fault(begin, kind, (name,)), Fault(end, _ENDS[kind], (name,))]


# -- shrunk --


def shrink(items: Sequence[T], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """A part of ``items``, in their order, that still ``fails`` and does not if any one of them is left out.

    Zeller's and Hildebrandt's ddmin. ``fails`` must say the same of the same part each time; it is not asked twice.
    ConfigError if all of ``items`` do not fail.
    """
    known: dict[tuple[int, ...], bool] = {}

    def still_fails(places: tuple[int, ...]) -> bool:
        if places not in known:
            known[places] = fails(tuple(items[place] for place in places))
        return known[places]

    places = tuple(range(len(items)))
    if not still_fails(places):
        raise ConfigError("what is to be shrunk must fail")
    if still_fails(()):
        return ()
    parts = 2
    while len(places) > 1:
        smaller = _smaller(places, parts, still_fails)
        if smaller is not None:
            parts = max(2, parts - 1) if len(smaller) > len(places) / parts else 2
            places = smaller
        elif parts < len(places):
            parts = min(2 * parts, len(places))
        else:
            break
    return tuple(items[place] for place in places)


def _smaller(
    places: tuple[int, ...], parts: int, fails: Callable[[tuple[int, ...]], bool]
) -> tuple[int, ...] | None:
    """One of so many parts of ``places``, or all but one of them, that fails."""
    bounds = [len(places) * part // parts for part in range(parts + 1)]
    for low, high in itertools.pairwise(bounds):
        if fails(places[low:high]):
            return places[low:high]
    for low, high in itertools.pairwise(bounds):
        if parts > 2 and fails(places[:low] + places[high:]):
            return places[:low] + places[high:]
    return None
