"""What holds of all the states of a :class:`Search`."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.election.explore.machine import INTERVAL, LOCAL_BITS, TICKS, meant
from tests.election.explore.search import Search

ENDLESS = 1 << 40


def longest(search: Search, bad: bytearray, *, leaving: bool) -> tuple[array[int], bytearray]:
    """For each state, the most ticks that may quietly pass until it is not bad any more; -1: it never is.

    With ``leaving`` until the first state that is not bad, else until the last one that is. ENDLESS: it may be bad
    again and again, or for ever. Tarjan's strongly connected components, each after all that can follow it: a cycle
    with something bad in it or after it is without end. Also returned: which states are on a cycle.
    """
    count = len(search.states)
    at, edge_to, edge_ticks = search.edges_at, search.edge_to, search.edge_ticks
    values = array("q", [-1]) * count
    order, low = array("i", [0]) * count, array("i", [0]) * count
    open_, cyclic, components, number = bytearray(count), bytearray(count), [], 0

    def settle(member: int) -> int:
        found = 0 if bad[member] else -1
        first = at[member] + 1
        for place in range(first, first + edge_to[first - 1]):
            new, ticks = edge_to[place], edge_ticks[place]
            then = values[new] if bad[new] or not leaving else 0
            if then >= 0:
                found = max(found, then + ticks)
            elif bad[member]:
                found = max(found, ticks)
        return min(found, ENDLESS)

    for root in range(count):
        if order[root] or (leaving and not bad[root]):
            continue
        work = [(root, at[root] + 1)]
        number += 1
        order[root] = low[root] = number
        open_[root] = 1
        components.append(root)
        while work:
            node, place = work.pop()
            end = at[node] + 1 + edge_to[at[node]]
            while place < end:
                new = edge_to[place]
                place += 1
                if leaving and not bad[new]:
                    continue
                if not order[new]:
                    work.append((node, place))
                    number += 1
                    order[new] = low[new] = number
                    open_[new] = 1
                    components.append(new)
                    work.append((new, at[new] + 1))
                    break
                if open_[new]:
                    low[node] = min(low[node], order[new])
            else:
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[node])
                if low[node] == order[node]:
                    members: list[int] = []
                    while not members or members[-1] != node:
                        members.append(components.pop())
                        open_[members[-1]] = 0
                    worst = max(settle(member) for member in members)
                    if len(members) > 1 and worst >= 0:
                        worst = ENDLESS
                    for member in members:
                        values[member], cyclic[member] = worst, len(members) > 1
    return values, cyclic


def livelock(search: Search) -> int | None:
    """The first state that may come again before any time has passed."""
    at, edge_to, edge_ticks = search.edges_at, search.edge_to, search.edge_ticks
    seen = bytearray(len(search.states))  # 1: on the way, 2: done
    for root in range(len(search.states)):
        if seen[root]:
            continue
        work = [(root, at[root] + 1)]
        seen[root] = 1
        while work:
            node, place = work.pop()
            end = at[node] + 1 + edge_to[at[node]]
            while place < end:
                new, ticks = edge_to[place], edge_ticks[place]
                place += 1
                if ticks or seen[new] == 2:
                    continue
                if seen[new] == 1:
                    return new
                work.append((node, place))
                seen[new] = 1
                work.append((new, at[new] + 1))
                break
            else:
                seen[node] = 2
    return None


@dataclass
class Worst:
    """The longest that something lasts, in ticks, and the first state in which it does."""

    ticks: int
    state: int

    def __str__(self) -> str:
        return f"{self.ticks / TICKS:.4f} s"


@dataclass
class Found:
    """What there is to say of a search."""

    search: Search
    seconds: float
    flaws: dict[str, int] = field(default_factory=dict)
    """What must not be, and the first state from which it follows."""
    none: Worst | None = None
    """No Active, with a router running and nothing going wrong."""
    many: Worst | None = None
    """More than one, likewise, where that comes to an end."""
    unsettled: Worst | None = None
    """Until for the last time there is not exactly one, where that comes to an end."""
    endless: dict[str, int] = field(default_factory=dict)
    """Where it does not: the priorities of those that are Active again and again, and the first such state."""
    yielded: int | None = None
    """The first state, all running, in which the last Active may yield to one that is not Active any more."""


def examine(search: Search, seconds: float) -> Found:
    """All the invariants that are not those of a single step."""
    system = search.system
    count = len(search.states)
    none, many, bad = bytearray(count), bytearray(count), bytearray(count)
    for number, key in enumerate(search.states):
        actives = system.actives(key)
        many[number] = actives > 1
        none[number] = actives == 0 and system.runs(key)
        bad[number] = many[number] or none[number]
    found = Found(search, seconds, dict(search.flaws))
    again = livelock(search)
    if again is not None:
        found.flaws["the same state comes again, and no time has passed"] = again
    gaps, _ = longest(search, none, leaving=True)
    found.none = _worst(gaps)
    found.many = _worst(value if value < ENDLESS else -1 for value in longest(search, many, leaving=True)[0])
    unsettled, cyclic = longest(search, bad, leaving=False)
    found.unsettled = _worst(value if value < ENDLESS else -1 for value in unsettled)
    for number, value in enumerate(unsettled):
        if value == ENDLESS and bad[number] and cyclic[number]:
            found.endless.setdefault(system.rivals(search.states[number]), number)
    found.flaws |= _over_the_bounds(found)
    late = next((number for number in range(count) if _late_takeover(search, number, gaps)), None)
    if late is not None:
        found.flaws["a resignation does not lead to a takeover within the skew"] = late
    found.yielded = next(
        (
            number
            for number, key in enumerate(search.states)
            if system.actives(key) and system.runs(key, all)
            if any(none[new] for new, _ in search.quiet(number))
        ),
        None,
    )
    return found


def _over_the_bounds(found: Found) -> dict[str, int]:
    """What lasts longer than it may when nothing goes wrong.

    A frame that was sent before a fault arrives within one delay, and starts a down interval again. What was sent
    because of it arrives within two, likewise; and two Backups whose timers then run out together need two more.
    """
    system = found.search.system
    delay, down = system.links.delay, 3 * INTERVAL + 256 - system.least_priority
    bounds = (
        ("nobody is Active for longer than a down interval and a delay", found.none, down + delay),
        ("two are Active for longer than an interval and a delay", found.many, INTERVAL + delay),
        ("it is not settled after a down interval and four delays", found.unsettled, down + 4 * delay),
    )
    return {name: worst.state for name, worst, most in bounds if worst is not None and worst.ticks > most}


def _late_takeover(search: Search, number: int, gaps: array[int]) -> bool:
    """Whether, the only Active being shut down now, none of the Backups is there after its skew and the delay."""
    system, key = search.system, search.states[number]
    if system.actives(key) != 1 or key >> LOCAL_BITS * len(system.machines):
        return False  # frames on the way may tell of others that have been Active
    pairs = list(zip(system.machines, system.locals(key), strict=True))
    skews = [
        256 - machine.priority[local]
        for machine, local in pairs
        if machine.running[local] and not machine.active[local] and machine.priority[local] != 255
    ]
    for new, how in system.disturbances(key)[1] if skews else ():
        kind, who, _ = meant(how)
        if kind == "stop" and pairs[who][0].active[pairs[who][1]]:
            after = search.number(new)
            return after is not None and gaps[after] > min(skews) + system.links.delay
    return False


def _worst(values: Iterable[int]) -> Worst:
    ticks, state = max(((value, -number) for number, value in enumerate(values)), default=(-1, 0))
    return Worst(ticks, -state)
