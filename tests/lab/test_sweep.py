"""A seed's outcome is its own, whatever it is run on; lost workers cost nothing but time; a failure shrinks."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import pickle
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from vrrplib.errors import ConfigError
from vrrplib.lab import sweep as module
from vrrplib.lab.faults import Fault, FaultKind
from vrrplib.lab.sweep import Outcome, Scenario, build, run_seed, shrink_seed, sweep
from vrrplib.rules import RFC3768, RFC5798

SHORT = Scenario(duration=120.0, fault_every=10.0, fault_lasting=10.0, calm=20.0)
SEEDS = range(100)


@pytest.fixture(scope="module")
def expected() -> tuple[Outcome, ...]:
    return sweep(SEEDS, SHORT).outcomes


def test_the_invariants_hold_in_a_hundred_seeds(expected: tuple[Outcome, ...]) -> None:
    assert [outcome for outcome in expected if not outcome.good] == []
    assert [outcome.seed for outcome in expected] == list(SEEDS)
    assert min(outcome.checks for outcome in expected) >= 1
    assert min(outcome.transitions for outcome in expected) > 3
    assert len({outcome.digest for outcome in expected}) == len(SEEDS)


def test_an_hour_of_three_routers_is_one_call() -> None:
    outcome = run_seed(1, Scenario())
    assert outcome.good
    assert outcome == run_seed(1, Scenario())
    assert outcome.events > 10_000
    assert len(pickle.dumps(outcome)) < 1000


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_the_executor_does_not_matter(pool: Callable[[int], Executor], expected: tuple[Outcome, ...]) -> None:
    told: list[tuple[int, int]] = []
    with pool(2) as executor:
        result = sweep(SEEDS, SHORT, executor, lambda done, total: told.append((done, total)))
    assert result.outcomes == expected
    assert result.missing == ()
    assert result.events == sum(outcome.events for outcome in expected)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (100, 100)


def test_on_dask(expected: tuple[Outcome, ...]) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert sweep(SEEDS, SHORT, client.get_executor()).outcomes == expected


class Losing(Executor):
    """Loses so many of what it is given, each in another way."""

    def __init__(self, lose: int) -> None:
        self.lose = lose
        self.sizes: list[int] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.sizes.append(len(args[1]))
        self.lose -= 1
        if self.lose < 0:
            future.set_result(fn(*args, **kwargs))
        elif self.lose % 3 == 0:
            future.cancel()
            future.set_running_or_notify_cancel()
        elif self.lose % 3 == 1:
            future.set_exception(BrokenProcessPool("gone"))
        else:
            future.set_exception(OSError("the scheduler says so"))
        return future


def test_what_is_lost_is_tried_again_in_smaller_pieces(expected: tuple[Outcome, ...]) -> None:
    executor = Losing(4)
    result = sweep(SEEDS, SHORT, executor, chunk=10)
    assert (result.outcomes, result.missing) == (expected, ())
    assert executor.sizes == [10] * 10 + [1] * 40


def test_what_is_lost_for_good_is_named() -> None:
    result = sweep([3, 4, 4], SHORT, Losing(100), retries=2)
    assert (result.outcomes, result.missing) == ((), (("", 3), ("", 4)))
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    assert sweep([3], SHORT, executor).missing == (("", 3),)


class Fragile(ProcessPoolExecutor):
    """Its workers have gone by the second submission."""

    broken = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if Fragile.broken < 2:
            Fragile.broken += 1
            return super().submit(_die)
        return super().submit(fn, *args, **kwargs)


def _die() -> None:
    import os

    os._exit(1)


def test_a_broken_pool_is_replaced(expected: tuple[Outcome, ...]) -> None:
    Fragile.broken = 0
    made: list[Executor] = []

    def make() -> Executor:
        made.append(Fragile(2))
        return made[-1]

    result = sweep(SEEDS, SHORT, make)
    assert (result.outcomes, result.missing) == (expected, ())
    assert len(made) >= 2
    assert all(isinstance(executor, concurrent.futures.Executor) for executor in made)


def test_parameters_vary() -> None:
    scenarios = SHORT.variants(preempt=[True, False], priorities=[(200, 100), (100, 100)])
    assert scenarios[0].name == "preempt=True, priorities=(200, 100)"
    result = sweep([1, 2], scenarios)
    assert [(outcome.scenario, outcome.seed) for outcome in result.outcomes] == [
        (scenario.name, seed) for scenario in scenarios for seed in (1, 2)
    ]
    assert result.failures == ()


def test_ipv6_with_hosts() -> None:
    outcome = run_seed(1, dataclasses.replace(SHORT, addresses=("fe80::51/64",), hosts=2))
    assert outcome.good


def test_a_failing_seed_shrinks(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = dataclasses.replace(SHORT, kinds=(FaultKind.PRIORITY, FaultKind.PAUSE, FaultKind.CRASH))
    monkeypatch.setattr("vrrplib.lab.invariants.Invariants.bound", property(lambda _: 1.0))  # a wrong claim
    failing = next(outcome for outcome in sweep(SEEDS, scenario).outcomes if not outcome.good)
    schedule = shrink_seed(failing.seed, scenario)
    assert schedule == shrink_seed(failing.seed, scenario)
    assert len(schedule) <= 2 < failing.faults
    assert not run_seed(failing.seed, scenario, schedule).good


def test_what_does_not_fail_does_not_shrink() -> None:
    with pytest.raises(ConfigError, match="must fail"):
        shrink_seed(1, SHORT)


def test_an_exception_is_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(module, "build", fail)
    [outcome] = sweep([1], SHORT).failures
    assert outcome == Outcome(1, error="ZeroDivisionError: oh")


def test_a_schedule_of_ones_own() -> None:
    schedule = (Fault(50, FaultKind.CRASH, ("a",)),)
    simulation, invariants = build(SHORT, 1, schedule)
    simulation.run(until=100)
    assert [node.name for node in simulation.active(51)] == ["b"]
    assert invariants.finish() == []
    assert run_seed(1, SHORT, schedule).faults == 1


@pytest.mark.parametrize("wrong", [{"retries": -1}, {"chunk": 0}])
def test_wrong_values(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="retries"):
        sweep([1], SHORT, **wrong)


def test_a_fast_cadence_and_other_rules() -> None:
    quick = dataclasses.replace(SHORT, duration=60.0)
    scenarios = quick.variants(interval=[0.01], preempt=[True, False])
    scenarios += quick.variants(rules=[RFC3768, RFC5798], priorities=[(100, 100), (255, 100)])
    assert sweep([1], scenarios).failures == ()
