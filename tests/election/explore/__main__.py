"""``python -m tests.election.explore``: what is explored, and what is said of it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tests.election import explore
from tests.election.explore.findings import Found, examine
from tests.election.explore.machine import PRIORITIES, TICKS, meant, spoken
from tests.election.explore.search import Search
from tests.election.explore.system import DELAY, System
from vrrplib.election.config import RouterConfig
from vrrplib.rules import RFC2338, RFC3768, RFC5798, RFC9568, RFC9568_PUBLISHED, Rules

RULES = {
    "RFC2338": RFC2338,
    "RFC3768": RFC3768,
    "RFC5798": RFC5798,
    "RFC9568_PUBLISHED": RFC9568_PUBLISHED,
    "RFC9568": RFC9568,
}


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is explored: ``limit`` is a number of states, None: all of them. ``delay`` is in ticks.

    ``priorities`` are those that each router may be given; the last of them are those of all that follow.
    """

    name: str
    routers: int
    priorities: tuple[tuple[int, ...], ...] = (PRIORITIES,)
    delay: int = DELAY
    limit: int | None = None
    preempt: bool = True

    def explore(self, rules: Rules, progress: Callable[[Search], None] = lambda search: None) -> Found:
        """Search, and look at what was found."""
        start = time.monotonic()
        configs = [
            RouterConfig(
                vrid=1,
                addresses=["192.0.2.254/24"],
                primary_address=f"192.0.2.{number + 1}",
                priority=self._first_priority(number),
                preempt=self.preempt,
                rules=rules,
            )
            for number in range(self.routers)
        ]
        search = Search(System(configs, self.priorities, self.delay), self.limit or sys.maxsize, progress)
        found = examine(search, 0.0)
        found.seconds = time.monotonic() - start
        return found

    def _first_priority(self, number: int) -> int:
        if number == 0:
            return self.priorities[0][1 % len(self.priorities[0])]
        return self.priorities[min(number, len(self.priorities) - 1)][0]


SCOPES = (
    Scope("two at once", 2, delay=0),
    Scope("two", 2, priorities=((50, 100),)),
    Scope("an owner and another", 2, priorities=((255,), (50, 100))),
    Scope("two owners", 2, priorities=((255,),)),
    Scope("two with owners", 2, limit=1_000_000),
    Scope("three", 3, limit=1_000_000),
)


def told(found: Found, number: int) -> Iterator[str]:
    """The schedule to a state, a line for each instant."""
    system, now = found.search.system, 0
    line: list[str] = []
    for how, _ in found.search.way(number):
        kind, _, ticks = meant(how)
        if kind == "time":
            yield f"{now / TICKS:9.4f}  {', '.join(line)}"
            now, line = now + ticks, []
        else:
            line.append(spoken(how))
    yield f"{now / TICKS:9.4f}  {', '.join(line)}"
    yield f"           -> {system.describe(found.search.states[number])}"


def report(found: Found) -> Iterator[str]:
    """What was found, in lines."""
    search = found.search
    covered = "all" if search.complete else f"all with at most {search.faults} faults, and more"
    size = f"{len(search.states):,} states, {search.transitions:,} transitions, {found.seconds:.0f} s"
    yield f"{size}; schedules: {covered}"
    for machine in search.system.machines:
        for flaw, (local, event) in machine.flaws.items():
            yield f"WRONG: {flaw}: {event} in {machine.values[local]}"
    for flaw, number in found.flaws.items():
        yield f"WRONG: {flaw}"
        yield from told(found, number)
    for name, worst in (("no", found.none), ("more than one", found.many), ("not one", found.unsettled)):
        assert worst is not None
        yield f"{name} Active for at most {worst}"
        yield from told(found, worst.state)
    for rivals, number in found.endless.items():
        yield f"Active for ever: {rivals or 'none'}"
        yield from told(found, number)
    if found.yielded is not None:
        yield "the last Active may yield to one that is Active no more"
        yield from told(found, found.yielded)


def main(arguments: list[str] | None = None) -> int:
    """The command; 1 if an invariant does not hold."""
    description = (explore.__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m tests.election.explore", description=description)
    parser.add_argument("--scope", choices=[scope.name for scope in SCOPES], help="one only (all)")
    parser.add_argument("--routers", type=int, choices=(2, 3), help="the scopes of so many only")
    parser.add_argument("--rules", choices=RULES, help="one rule set only (all five)")
    parser.add_argument("--states", type=int, help="instead of the scope's own number of states")
    parser.add_argument("--no-preempt", action="store_true", help="with Preempt_Mode False")
    options = parser.parse_args(arguments)
    wrong = False
    for scope in SCOPES:
        if options.scope not in (None, scope.name) or options.routers not in (None, scope.routers):
            continue
        chosen = replace(scope, limit=options.states or scope.limit, preempt=not options.no_preempt)
        for name in [options.rules] if options.rules else RULES:
            found = chosen.explore(RULES[name])
            print(f"== {name}, {scope.name}", *report(found), sep="\n", flush=True)
            wrong |= bool(found.flaws or any(machine.flaws for machine in found.search.system.machines))
    return wrong


if __name__ == "__main__":
    sys.exit(main())
