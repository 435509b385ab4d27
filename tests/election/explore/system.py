"""Routers and the links between them: what may come next in each state of all of them together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from tests.election.explore.machine import (
    DELIVER,
    LOCAL_BITS,
    LOCAL_MASK,
    LOSE,
    NAMES,
    PRIORITIES,
    TIME,
    TIMER,
    Machine,
    Numbers,
)
from vrrplib.election.config import RouterConfig

DELAY = 32  # ticks that a frame takes at most: 1/8 s, less than what the skews of 50 and 100 are apart
IN_FLIGHT = 2  # frames on each link
Edge: TypeAlias = tuple[int, int, int]
"""Where to, the step by number, and the ticks that pass."""
LINK_BITS = 16
LINK_MASK = (1 << LINK_BITS) - 1
FOREVER = 1 << 30


class Links:
    """The contents of a link by number, 0 being empty: frames in order, each with the ticks that it has left."""

    def __init__(self, delay: int) -> None:
        self.delay = delay
        self._numbers = Numbers()
        self._numbers.of(())
        self._pushed: dict[int, int] = {}
        self._later: dict[int, int] = {}
        self.first = [-1]  # the frame that comes next
        self.left = [-1]  # and its ticks
        self.rest = [0]  # the link without it
        self.count = [0]

    def _of(self, queue: tuple[tuple[int, int], ...]) -> int:
        number = self._numbers.of(queue)
        if number == len(self.first):
            assert number <= LINK_MASK
            self.first.append(queue[0][0])
            self.left.append(queue[0][1])
            self.count.append(len(queue))
            self.rest.append(0)
            self.rest[number] = self._of(queue[1:])
        return number

    def pushed(self, link: int, frame: int) -> int:
        """With one more frame."""
        known = self._pushed.get(link << 10 | frame)
        if known is None:
            known = self._pushed[link << 10 | frame] = self._of((*self._numbers.values[link], (frame, self.delay)))
        return known

    def later(self, link: int, ticks: int) -> int:
        """When so much time has passed."""
        known = self._later.get(link << 10 | ticks)
        if known is None:
            queue = tuple((frame, left - ticks) for frame, left in self._numbers.values[link])
            known = self._later[link << 10 | ticks] = self._of(queue)
        return known


class System:
    """Routers and the links between them.

    A state is one number: the local states, and then the contents of the links, by number, each in its own bits.
    """

    def __init__(
        self,
        configs: Sequence[RouterConfig],
        priorities: Sequence[Iterable[int]] = (PRIORITIES,),
        delay: int = DELAY,
    ) -> None:
        """``priorities``: what each router's may become; the last is that of all that follow."""
        self.frames = Numbers()
        self.links = Links(delay)
        self.machines = [
            Machine(config, self.frames, priorities[min(number, len(priorities) - 1)])
            for number, config in enumerate(configs)
        ]
        self.least_priority = min(itertools.chain(*priorities))
        everyone = range(len(self.machines))
        self._at = [LOCAL_BITS * who for who in everyone]
        base = LOCAL_BITS * len(self.machines)
        pairs = [(i, j) for i in everyone for j in everyone if i != j]
        self._places = [base + LINK_BITS * number for number in range(len(pairs))]
        places = list(zip(self._places, pairs, strict=True))
        self._out = [[(place, self._at[j], j) for place, (i, j) in places if i == who] for who in everyone]
        self._in = [[(place, i) for place, (i, j) in places if j == who] for who in everyone]
        self.initial = sum(machine.fresh << at for machine, at in zip(self.machines, self._at, strict=True))

    def locals(self, state: int) -> list[int]:
        """The local state of each router."""
        return [state >> at & LOCAL_MASK for at in self._at]

    def _sent(self, state: int, who: int, sent: tuple[int, ...], most: int = IN_FLIGHT) -> int:
        """With these frames on the links to all that run; negative: too much on a link."""
        links = self.links
        for frame in sent:
            for place, at, receiver in self._out[who]:
                if self.machines[receiver].running[state >> at & LOCAL_MASK]:
                    link = state >> place & LINK_MASK
                    if links.count[link] >= most:
                        return -1
                    state += links.pushed(link, frame) - link << place
        return state

    def quiet(self, state: int, most: int = IN_FLIGHT) -> list[Edge]:
        """What may come next when nothing goes wrong: timers, deliveries, time.

        What would put a third frame on a link waits for another delivery, unless all wait for each other.
        """
        edges: list[Edge] = []
        links, wait = self.links, FOREVER
        for who, machine in enumerate(self.machines):
            at = self._at[who]
            local = state >> at & LOCAL_MASK
            due = machine.deadline[local]
            if due == 0:
                new, sent = machine.fired(local)
                after = self._sent(state + (new - local << at), who, sent, most)
                if after >= 0:
                    edges.append((after, TIMER[who], 0))
                wait = 0
            elif 0 < due < wait:
                wait = due
            for place, sender in self._in[who]:
                link = state >> place & LINK_MASK
                if not link:
                    continue
                new, sent = machine.heard(local, links.first[link])
                after = state + (new - local << at) + (links.rest[link] - link << place)
                if sent:
                    after = self._sent(after, who, sent, most)
                if after >= 0:
                    edges.append((after, DELIVER[who] | sender, 0))
                if links.left[link] < wait:
                    wait = links.left[link]
        if 0 < wait < FOREVER:
            edges.append((self._later(state, wait), TIME[0] | wait, wait))
        return edges or (self.quiet(state, most + 1) if wait == 0 else edges)

    def _later(self, state: int, ticks: int) -> int:
        for machine, at in zip(self.machines, self._at, strict=True):
            local = state >> at & LOCAL_MASK
            state += machine.later(local, ticks) - local << at
        for place in self._places:
            link = state >> place & LINK_MASK
            if link:
                state += self.links.later(link, ticks) - link << place
        return state

    def disturbances(self, state: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """What is done to the routers: starts, and faults. Each is the state after it, and the step."""
        starts: list[tuple[int, int]] = []
        faults: list[tuple[int, int]] = []
        for who, machine in enumerate(self.machines):
            at = self._at[who]
            local = state >> at & LOCAL_MASK
            deaf = state
            for place, sender in self._in[who]:
                link = state >> place & LINK_MASK
                if link:
                    deaf -= link << place
                    faults.append((state + (self.links.rest[link] - link << place), LOSE[who] | sender))
            for step, (new, sent) in machine.disturbed(local):
                after = (state if machine.running[new] else deaf) + (new - local << at)
                if sent:
                    after = self._sent(after, who, sent)
                if after >= 0:
                    begins = machine.running[new] and not machine.running[local]
                    (starts if begins else faults).append((after, step | who << 10))
        return starts, faults

    def actives(self, state: int) -> int:
        """How many routers are Active."""
        return sum(machine.active[local] for machine, local in zip(self.machines, self.locals(state), strict=True))

    def runs(self, state: int, how_many: Callable[[Iterable[bool]], bool] = any) -> bool:
        """Whether any router is running, or all are."""
        return how_many(
            machine.running[local] for machine, local in zip(self.machines, self.locals(state), strict=True)
        )

    def rivals(self, state: int) -> str:
        """The priorities of those that are Active."""
        pairs = zip(self.machines, self.locals(state), strict=True)
        return " and ".join(map(str, sorted(m.priority[local] for m, local in pairs if m.active[local])))

    def describe(self, state: int) -> str:
        """Who is what, in a line."""
        words = []
        for name, machine, local in zip(NAMES, self.machines, self.locals(state), strict=False):
            values = machine.values[local]
            words.append(f"{name} {values['state'].title()} {values['priority']}" if values else f"{name} down")
        return ", ".join(words)
