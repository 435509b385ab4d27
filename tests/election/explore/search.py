"""All states within reach of a :class:`System`."""

from __future__ import annotations

import gc
import sys
from array import array
from collections.abc import Callable, Iterator

from tests.election.explore.system import System


class Search:
    """All states within reach, by faults and then by steps, each with the way to it and what follows quietly.

    At ``limit`` states no further fault is added, and what follows quietly is followed to its end: the states that
    are known are then closed under all that can happen without a fault. ``faults``: all schedules with at most so
    many are covered; ``complete``: all schedules.
    """

    def __init__(
        self, system: System, limit: int = sys.maxsize, progress: Callable[[Search], None] = lambda search: None
    ) -> None:
        self.system = system
        self._progress = progress
        self.states: list[int] = []
        self.faults, self.complete = -1, False
        self.transitions = 0
        self.flaws: dict[str, int] = {}  # what is wrong with a state, and the first such state
        self._index: dict[int, int] = {}
        self._parent, self._how = array("i"), array("h")
        self.edges_at, self.edge_to, self.edge_ticks = array("q"), array("i"), array("h")
        self._limit = limit
        self._layers: dict[int, list[int]] = {0: [self._add(system.initial, -1, -1)]}  # by the number of steps
        self._waiting: dict[int, dict[int, int]] = {}  # likewise, with one fault more
        enabled = gc.isenabled()
        gc.disable()  # nothing here is a cycle, and there are millions of tuples to look at
        try:
            self._run()
        finally:
            if enabled:
                gc.enable()

    def quiet(self, number: int) -> Iterator[tuple[int, int]]:
        """The states that may follow when nothing goes wrong, and the ticks until then."""
        at = self.edges_at[number]
        for place in range(at + 1, at + 1 + self.edge_to[at]):
            yield self.edge_to[place], self.edge_ticks[place]

    def number(self, key: int) -> int | None:
        """Of a state, if it has been reached."""
        return self._index.get(key)

    def way(self, number: int) -> list[tuple[int, int]]:
        """The schedule to a state: (step, state after it)."""
        result = []
        while self._parent[number] >= 0:
            result.append((self._how[number], number))
            number = self._parent[number]
        return result[::-1]

    def _add(self, key: int, parent: int, how: int) -> int:
        number = self._index[key] = len(self.states)
        self.states.append(key)
        self._parent.append(parent)
        self._how.append(how)
        self.edges_at.append(-1)
        return number

    @property
    def _full(self) -> bool:
        return len(self.states) >= self._limit

    def _run(self) -> None:
        dropped = False
        while self._layers:
            while self._layers:
                depth = min(self._layers)
                for number in self._layers.pop(depth):
                    dropped |= self._full
                    self._expand(number, depth + 1)
            if dropped:
                return
            self.faults += 1
            self._progress(self)
            for depth, found in sorted(self._waiting.items()):
                fresh = ((key, way) for key, way in found.items() if not self._known(key))
                self._layers[depth] = [self._add(key, way >> 15, way & 0x7FFF) for key, way in fresh]
            dropped = self._full
            self._waiting.clear()
        self.complete = True

    def _known(self, key: int) -> bool:
        return key in self._index or self._full

    def _expand(self, number: int, depth: int) -> None:
        key = self.states[number]
        quiet = self.system.quiet(key)
        self.edges_at[number] = len(self.edge_to)
        self.edge_to.append(len(quiet))
        self.edge_ticks.append(0)
        self.transitions += len(quiet)
        for new, how, ticks in quiet:
            self.edge_to.append(self._reach(new, number, how, depth))
            self.edge_ticks.append(ticks)
        if not quiet and self.system.runs(key):
            self.flaws.setdefault("nothing more can happen, with a router running", number)
        if self._full:
            return
        starts, faults = self.system.disturbances(key)
        self.transitions += len(starts) + len(faults)
        for new, how in starts:
            self._reach(new, number, how, depth)
        index, waiting = self._index, self._waiting.setdefault(depth, {})
        for new, how in faults:
            if new not in index and new not in waiting:
                waiting[new] = number << 15 | how

    def _reach(self, key: int, parent: int, how: int, depth: int) -> int:
        number = self._index.get(key)
        if number is None:
            number = self._add(key, parent, how)
            self._layers.setdefault(depth, []).append(number)
        return number
