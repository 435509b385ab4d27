"""Many simulations, each of a seed: one call for one of them, and sweeps on whatever executor there is.

scenario = Scenario(priorities=(200, 150, 100), duration=3600.0)
outcome = run_seed(7, scenario)                     # an hour of three routers with faults; the same each time
with ProcessPoolExecutor() as pool:
    result = sweep(range(10_000), scenario, pool)
print(result.failures)
print(*shrink_seed(result.failures[0].seed, scenario), sep="\\n")   # the few faults that matter
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import random
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from typing import Any, TypeAlias

from vrrplib.election.actions import StateChanged
from vrrplib.errors import ConfigError
from vrrplib.lab.faults import ALL_KINDS, Fault, FaultKind, Schedule, play, random_schedule, shrink
from vrrplib.lab.invariants import Invariants, Violation
from vrrplib.lab.simulator import Conditions, Simulation
from vrrplib.rules import RFC9568, Rules

MOST_IN_CHUNK = 32
"""Seeds that an executor gets at once: a second's work or so, beside which its own overhead is small."""
MOST_KEPT = 3
"""Violations that an Outcome keeps."""

_Job: TypeAlias = tuple[int, int]
"""The number of a scenario, and a seed."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is simulated, but for the seed: a value, which can be sent to another process.

    There is a router for each of ``priorities``, and ``hosts`` hosts that ping the first address each
    ``ping_interval`` seconds. Frames take what ``conditions`` say; a fault of ``kinds`` comes each ``fault_every``
    seconds on the average and lasts ``fault_lasting``; the last ``calm`` seconds of ``duration`` are without.
    ``lean``: machines without a Node.
    """

    name: str = ""
    priorities: tuple[int, ...] = (200, 150, 100)
    duration: float = 3600.0
    interval: float = 1.0
    vrid: int = 51
    addresses: tuple[str, ...] = ("192.0.2.254/24",)
    preempt: bool = True
    rules: Rules = RFC9568
    hosts: int = 0
    ping_interval: float = 1.0
    conditions: Conditions = Conditions(delay=0.0001, jitter=0.0005)  # noqa: RUF009  # frozen
    fault_every: float = 120.0
    fault_lasting: float = 20.0
    kinds: tuple[FaultKind, ...] = ALL_KINDS
    calm: float = 30.0
    slack: float = 0.0
    lean: bool = True

    def variants(self, **values: Iterable[Any]) -> tuple[Scenario, ...]:
        """One for each combination of ``values`` of its fields, named after them."""
        names = list(values)
        found = []
        for combination in itertools.product(*values.values()):
            fields = dict(zip(names, combination, strict=True))
            words = ", ".join(f"{name}={value}" for name, value in fields.items())
            found.append(dataclasses.replace(self, **{"name": words} | fields))
        return tuple(found)

    def schedule(self, seed: int) -> Schedule:
        """The faults of a seed."""
        names = [_name(number) for number in range(len(self.priorities))]
        return random_schedule(
            random.Random(f"faults {seed}"),  # noqa: S311  # repeatable chance, no secret
            names,
            until=max(0.0, self.duration - self.calm),
            every=self.fault_every,
            lasting=self.fault_lasting,
            kinds=self.kinds,
            calm=self.conditions,
            late=min(0.05, self.interval / 4),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a seed, small enough for ten thousand of them.

    ``transitions`` counts changes of state, ``checks`` how often all was settled and looked at; ``digest`` is a
    checksum of the log, the same wherever it was made. ``error`` is an exception that ended the simulation.
    """

    seed: int
    scenario: str = ""
    events: int = 0
    faults: int = 0
    transitions: int = 0
    checks: int = 0
    lost: int = 0
    violations: tuple[Violation, ...] = ()
    digest: int = 0
    error: str = ""

    @property
    def good(self) -> bool:
        """Whether every invariant held."""
        return not self.violations and not self.error


def build(scenario: Scenario, seed: int, schedule: Iterable[Fault]) -> tuple[Simulation, Invariants]:
    """The simulation of a seed at its beginning, with ``schedule`` for its faults, and who looks on."""
    dice = random.Random(f"frames {seed}")  # noqa: S311
    simulation = Simulation(conditions=scenario.conditions, dice=dice)
    invariants = Invariants(simulation, slack=scenario.slack)
    for number, priority in enumerate(scenario.priorities):
        simulation.add(
            _name(number),
            lean=scenario.lean,
            vrid=scenario.vrid,
            addresses=scenario.addresses,
            priority=priority,
            advertisement_interval=scenario.interval,
            preempt=scenario.preempt,
            rules=scenario.rules,
        )
    target = scenario.addresses[0].partition("/")[0]
    for number in range(scenario.hosts):
        address = f"fe80::{0x1000 + number:x}" if ":" in target else f"192.0.2.{200 + number % 50}"
        simulation.add_host(f"host{number}", address).ping(target, every=scenario.ping_interval)
    play(simulation, schedule)
    return simulation, invariants


def run_seed(seed: int, scenario: Scenario, schedule: Iterable[Fault] | None = None) -> Outcome:
    """Simulate a seed to its end; with a ``schedule``, those faults instead of the seed's own."""
    faults = scenario.schedule(seed) if schedule is None else tuple(schedule)
    simulation, invariants = build(scenario, seed, faults)
    simulation.run(until=scenario.duration)
    violations = invariants.finish()
    digest = 0
    for happening in simulation.log:
        digest = zlib.crc32(str(happening).encode(), digest)
    return Outcome(
        seed=seed,
        scenario=scenario.name,
        events=simulation.events,
        faults=len(faults),
        transitions=len(simulation.history(StateChanged)),
        checks=invariants.checks,
        lost=simulation.switch.lost,
        violations=tuple(violations[:MOST_KEPT]),
        digest=digest,
    )


def shrink_seed(seed: int, scenario: Scenario) -> Schedule:
    """The few faults of a failing seed by which it fails still; ConfigError if it does not fail."""

    def fails(schedule: tuple[Fault, ...]) -> bool:
        return not _try_seed(seed, scenario, schedule).good

    return shrink(scenario.schedule(seed), fails)


@dataclasses.dataclass(frozen=True, slots=True)
class SweepResult:
    """The outcomes, in the order of scenarios and seeds; ``missing``: (scenario, seed) whose workers were lost."""

    outcomes: tuple[Outcome, ...]
    missing: tuple[tuple[str, int], ...] = ()

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """Those in which something did not hold."""
        return tuple(outcome for outcome in self.outcomes if not outcome.good)

    @property
    def events(self) -> int:
        """Of all of them."""
        return sum(outcome.events for outcome in self.outcomes)


def sweep(
    seeds: Iterable[int],
    scenario: Scenario | Sequence[Scenario],
    executor: Executor | Callable[[], Executor] | None = None,
    progress: Callable[[int, int], object] | None = None,
    *,
    retries: int = 3,
    chunk: int | None = None,
) -> SweepResult:
    """Run every seed in every scenario, on any ``concurrent.futures`` executor (Dask: ``client.get_executor()``).

    Without one, here and now. ``progress(done, total)`` is called as outcomes come in, in this thread. What is lost
    with a worker (a BrokenExecutor, a cancelled future) is tried again, ``retries`` times, in smaller pieces: on
    the same executor or, where a callable is given that makes executors, on a fresh one, which is shut down at the
    end. What is lost even so is in ``missing``; the outcomes are the same whatever the executor. ``chunk`` seeds
    are given to a worker at once, by default up to 32.
    """
    scenarios = (scenario,) if isinstance(scenario, Scenario) else tuple(scenario)
    jobs = list(itertools.product(range(len(scenarios)), dict.fromkeys(seeds)))
    if retries < 0 or (chunk is not None and chunk < 1):
        raise ConfigError(f"retries must be 0 or more, and chunk 1 or more, not {retries!r} and {chunk!r}")
    found: dict[_Job, Outcome] = {}

    def collect(chunk_of_jobs: Sequence[_Job], outcomes: Iterable[Outcome]) -> None:
        found.update(zip(chunk_of_jobs, outcomes, strict=True))
        if progress is not None:
            progress(len(found), len(jobs))

    size = chunk or max(1, min(MOST_IN_CHUNK, len(jobs) // 16))
    for _ in range(retries + 1):
        left = [job for job in jobs if job not in found]
        if not left:
            break
        chunks = [left[at : at + size] for at in range(0, len(left), size)]
        if executor is None:
            for piece in chunks:
                collect(piece, _run(scenarios, piece))
        elif isinstance(executor, Executor):
            _run_on(executor, scenarios, chunks, collect)
        else:
            with executor() as fresh:
                _run_on(fresh, scenarios, chunks, collect)
        size = max(1, size // 8)  # one seed may be what the worker was lost with
    missing = tuple((scenarios[number].name, seed) for number, seed in jobs if (number, seed) not in found)
    return SweepResult(tuple(found[job] for job in jobs if job in found), missing)


def _run_on(
    executor: Executor,
    scenarios: Sequence[Scenario],
    chunks: Iterable[Sequence[_Job]],
    collect: Callable[[Sequence[_Job], Iterable[Outcome]], None],
) -> None:
    """Run the chunks; those whose worker is lost are left out."""
    futures: dict[Future[list[Outcome]], Sequence[_Job]] = {}
    try:
        for piece in chunks:
            futures[executor.submit(_run, scenarios, piece)] = piece
    except (concurrent.futures.BrokenExecutor, RuntimeError):
        pass  # it broke while it was given work, or was shut down: the rest is tried again
    for future in concurrent.futures.as_completed(futures):
        # A simulation's own exception is an Outcome: whatever else comes out of a future is the executor's trouble,
        # for which each kind has classes of its own (Dask's KilledWorker is no BrokenExecutor).
        if not future.cancelled() and future.exception() is None:
            collect(futures[future], future.result())


def _run(scenarios: Sequence[Scenario], jobs: Sequence[_Job]) -> list[Outcome]:
    """What a worker does."""
    return [_try_seed(seed, scenarios[number]) for number, seed in jobs]


def _try_seed(seed: int, scenario: Scenario, schedule: Iterable[Fault] | None = None) -> Outcome:
    """As :func:`run_seed`; an exception, which is our fault, is an outcome too."""
    try:
        return run_seed(seed, scenario, schedule)
    except Exception as error:
        return Outcome(seed, scenario.name, error=f"{type(error).__name__}: {error}")


def _name(number: int) -> str:
    """a, b, ... z, r26, r27 ..."""
    return chr(ord("a") + number) if number < 26 else f"r{number}"
