"""The simulator: events a second, many virtual routers, a Router that hears the same again, storms, sweeps.

    python benchmarks/bench_simulator.py                                   # all but the long ones
    python benchmarks/bench_simulator.py rate receive
    python benchmarks/bench_simulator.py storm --datagrams 1000000
    python benchmarks/bench_simulator.py sweep --seeds 10000 --on process --workers 2
    python benchmarks/bench_simulator.py sweep --seeds 10000 --on dask --workers 2

An event is a frame delivered to one Router, or a timer that expired. What is compared takes turns in one process,
by that process's own time; medians are printed, and shares of a bare loop (a heap, a table of MACs, and bytes
unpacked at each of two receivers) in the same turns, so that a slow or busy machine shows.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import gc
import heapq
import importlib
import itertools
import json
import logging
import platform
import resource
import statistics
import struct
import sys
import time
import tracemalloc
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from vrrplib.election.config import RouterConfig
from vrrplib.election.events import Startup
from vrrplib.election.router import Router
from vrrplib.election.states import State
from vrrplib.lab.simulator import Conditions, Simulation
from vrrplib.lab.storm import storm
from vrrplib.lab.sweep import Scenario, build, run_seed, sweep
from vrrplib.wire.frames import advertisement_frame, parse

HOUR = 3600.0
LAN = {"vrid": 51, "addresses": ["192.0.2.254/24"]}
Figures = dict[str, Any]


def timed(run: Callable[[], float]) -> float:
    """What ``run`` counts, a second of processor time."""
    gc.collect()
    begin = time.process_time()
    count = run()
    return count / (time.process_time() - begin)


# -- events a second --


def bare() -> float:
    """As little as an event can cost in Python, with a heap and bytes."""
    queue: list[tuple[float, int, int]] = [(1.0, 0, 0)]
    order = itertools.count(1)
    frame = bytes(46)
    head = struct.Struct("!BBBBHH4s")
    table: dict[bytes, int] = {}
    deadlines = [0.0, 0.0]
    events = 0
    while queue[0][0] < HOUR:
        now, _, kind = heapq.heappop(queue)
        if kind == 0:
            events += 1
            table[frame[6:12]] = 0
            heapq.heappush(queue, (now + 0.0001, next(order), 1))
            heapq.heappush(queue, (now + 1.0, next(order), 0))
        else:
            for receiver in (0, 1):
                events += 1
                head.unpack_from(frame, 34)
                deadlines[receiver] = now + 3.5
    return events


def hour(scenario: Scenario, *, faults: bool, watched: bool) -> float:
    """The events of an hour of a scenario."""
    simulation, invariants = build(scenario, 1, scenario.schedule(1) if faults else ())
    if not watched:
        simulation._watcher = simulation.switch.observer = None
        for node in simulation.nodes.values():
            node.heard = None
    simulation.run(until=scenario.duration)
    assert not invariants.violations
    return simulation.events


def rate(arguments: argparse.Namespace) -> Figures:
    calm = Scenario(conditions=Conditions(delay=0.0001))
    lossy = Scenario(conditions=Conditions(delay=0.0001, jitter=0.0005, loss=0.001, duplication=0.001))
    faulty = Scenario()
    cases: dict[str, Callable[[], float]] = {
        "bare loop": bare,
        "calm": lambda: hour(calm, faults=False, watched=False),
        "calm, invariants on": lambda: hour(calm, faults=False, watched=True),
        "jitter, loss, duplication, invariants on": lambda: hour(lossy, faults=False, watched=True),
        "all faults, invariants on": lambda: hour(faulty, faults=True, watched=True),
        "all faults, invariants on, through Nodes": lambda: hour(
            dataclasses.replace(faulty, lean=False), faults=True, watched=True
        ),
        "one call: run_seed()": lambda: run_seed(1, faulty).events,
    }
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(arguments.rounds):
        for name, run in cases.items():
            found[name].append(timed(run))
    figures = {}
    for name, values in found.items():
        ratios = [mine / floor for mine, floor in zip(values, found["bare loop"], strict=True)]
        figures[name] = {"median": statistics.median(values), "best": max(values)}
        print(
            f"{name:44} {statistics.median(values):9,.0f} events a second (best {max(values):9,.0f}), "
            f"{statistics.median(ratios):.2f} of the bare loop's"
        )
    return figures


# -- many virtual routers --


def many(arguments: argparse.Namespace) -> Figures:
    """255 virtual routers on each of 20 machines, and on each of 3 with 20 hosts that ping."""
    figures = {}
    for machines, hosts in ((20, 0), (3, 20)):
        tracemalloc.start()
        simulation = _many(machines, hosts)
        simulation.run(until=10.005)
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del simulation
        gc.collect()
        begin = time.process_time()
        simulation = _many(machines, hosts)
        built = time.process_time() - begin
        begin = time.process_time()
        simulation.run(until=10.005)
        ran = time.process_time() - begin
        active = sum(router.state is State.ACTIVE for node in simulation.nodes.values() for router in node.routers)
        assert active == 255, active
        lost = sum(host.lost for host in simulation.hosts.values())
        assert lost == 0, lost
        title = f"255 virtual routers on each of {machines} machines, {hosts} hosts"
        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{title}: built in {built:.2f} s; 10 s in {ran:.2f} s, {simulation.events:,} events; "
            f"{held / 2**20:.1f} MiB held (peak {peak / 2**20:.1f}), process {largest:.0f} MiB at most"
        )
        figures[title] = {"build": built, "run": ran, "events": simulation.events, "held": held, "peak": peak}
    return figures


def _many(machines: int, hosts: int) -> Simulation:
    simulation = Simulation(conditions=Conditions(delay=0.0001))
    for number in range(machines):
        configs = [
            RouterConfig(
                vrid=vrid,
                addresses=[f"10.1.{vrid}.254/24"],
                primary_address=f"10.1.0.{number + 1}",
                priority=100 + number,
            )
            for vrid in range(1, 256)
        ]
        simulation.add(f"machine{number}", *configs, lean=True)
    for number in range(hosts):
        host = simulation.add_host(f"host{number}", f"10.1.0.{100 + number}")
        simulation.at(
            6 + number / 100, lambda host=host, number=number: host.ping(f"10.1.{number + 1}.254", every=0.1)
        )
    return simulation


# -- a Router that hears the same again --


def receive(arguments: argparse.Namespace) -> Figures:
    """Microseconds for an advertisement that repeats, of a Backup."""
    sender = Router(RouterConfig(priority=200, primary_address="192.0.2.1", **LAN))
    frame = advertisement_frame(sender.advertisements[0].datagram(), sender.config.virtual_mac)
    router = Router(RouterConfig(priority=100, primary_address="192.0.2.2", **LAN))
    router.handle(Startup(), 0.0)
    datagram = parse(frame)
    assert datagram is not None
    runs: dict[str, Callable[[], object]] = {
        "Router.receive, the same object": lambda: router.receive(datagram, 1.0),
        "parse and Router.receive, the same bytes": lambda: router.receive(parse(frame, verify_header=True), 1.0),
    }
    try:
        runs |= os_ken(frame)
    except ImportError as error:
        print(f"os-ken is not measured: {error}")
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            number = 2000
            begin = time.process_time()
            for _ in range(number):
                run()
            found[name].append((time.process_time() - begin) / number * 1e6)
    for name, values in found.items():
        print(f"{name:58} {statistics.median(values):8.2f} us (best {min(values):.2f})")
    return {name: statistics.median(values) for name, values in found.items()}


def os_ken(frame: bytes) -> dict[str, Callable[[], object]]:
    """Its monitor's reading of a frame and its Backup state, without its event queues, threads and timers."""
    monitor = importlib.import_module("os_ken.services.protocols.vrrp.monitor")
    machine = importlib.import_module("os_ken.services.protocols.vrrp.router")
    event = importlib.import_module("os_ken.services.protocols.vrrp.event")
    config = event.VRRPConfig(vrid=51, ip_addresses=["192.0.2.254"], priority=100)
    interface = event.VRRPInterfaceNetworkDevice("02:00:00:00:00:02", "192.0.2.2", None, "eth0")
    logger = logging.getLogger("os_ken")
    logger.setLevel(logging.WARNING)
    timer = types.SimpleNamespace(start=lambda _: None, cancel=lambda: None, is_running=lambda: False)
    router = types.SimpleNamespace(
        config=config,
        params=machine.VRRPParams(config),
        logger=logger,
        master_down_timer=timer,
        preempt_delay_timer=timer,
    )
    backup = machine.VRRPV3StateBackup(router)
    events: list[Any] = []
    reader = types.SimpleNamespace(
        config=config,
        interface=interface,
        logger=logger,
        router_name="",
        send_event=lambda _, what: events.append(what),
        statistics=types.SimpleNamespace(rx_vrrp_zero_prio_packets=0),
    )
    parse_frame = monitor.VRRPInterfaceMonitor._parse_received_packet
    assert parse_frame(reader, frame) is True
    received = events.pop()

    def whole() -> None:
        parse_frame(reader, frame)
        backup.vrrp_received(events.pop())

    return {
        "os-ken's state machine alone, the packet decoded": lambda: backup.vrrp_received(received),
        "os-ken's monitor and state machine, the same bytes": whole,
    }


# -- storms --


def storms(arguments: argparse.Namespace) -> Figures:
    """Forged advertisements within a simulated second."""
    figures = {}
    for most in (255, 200):
        storm(2, 10_000, most_priority=most)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        begin = time.process_time()
        outcome = storm(1, arguments.datagrams, most_priority=most)
        took = time.process_time() - begin
        held, peak = (value - before for value in tracemalloc.get_traced_memory())
        tracemalloc.stop()
        title = f"{outcome.datagrams:,} forged advertisements in a second, priorities to {most}, ours 200"
        print(
            f"{title}: {outcome.sent} sent, {len(outcome.changes)} changes of state, "
            f"wrong: {outcome.wrong or 'nothing'}; {held / 1024:.0f} KiB kept, {peak / 1024:.0f} at most; "
            f"{took:.0f} s"
        )
        figures[title] = {"sent": outcome.sent, "changes": len(outcome.changes), "held": held, "peak": peak}
        assert not outcome.wrong
    return figures


# -- sweeps --


def sweeps(arguments: argparse.Namespace) -> Figures:
    """Seeds of the three-router hour, with faults, on an executor."""
    scenario = Scenario()
    begin, used = time.monotonic(), _used()
    last = [begin]

    def progress(done: int, total: int) -> None:
        if time.monotonic() > last[0] + 30:
            last[0] = time.monotonic()
            print(f"  {done:,} of {total:,} after {last[0] - begin:.0f} s", flush=True)

    if arguments.on == "here":
        result = sweep(range(arguments.seeds), scenario, None, progress)
    elif arguments.on == "process":
        with concurrent.futures.ProcessPoolExecutor(arguments.workers) as pool:
            result = sweep(range(arguments.seeds), scenario, pool, progress)
    else:
        distributed = importlib.import_module("distributed")
        with (
            distributed.LocalCluster(
                n_workers=arguments.workers, threads_per_worker=1, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            result = sweep(range(arguments.seeds), scenario, client.get_executor(), progress)
    took = time.monotonic() - begin
    digest = 0
    for outcome in result.outcomes:
        digest = (digest * 31 + outcome.digest) % 2**64
    print(
        f"{len(result.outcomes):,} hours of three routers, {arguments.on}, {arguments.workers} workers: "
        f"{took:.0f} s, {_used() - used:.0f} s of processor; {result.events:,} events; "
        f"{len(result.failures)} failures, {len(result.missing)} missing; digest {digest:016x}"
    )
    for outcome in result.failures[:10]:
        print(" ", outcome)
    return {"on": arguments.on, "seconds": took, "events": result.events, "digest": f"{digest:016x}"}


def _used() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


SECTIONS = {"rate": rate, "many": many, "receive": receive, "storm": storms, "sweep": sweeps}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--datagrams", type=int, default=50_000)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--on", choices=("here", "process", "dask"), default="process")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, {arguments.rounds} rounds")
    figures = {}
    for name in arguments.sections or SECTIONS:
        if name not in SECTIONS:
            parser.error(f"a section is one of {', '.join(SECTIONS)}, not {name!r}")
        print(f"-- {name}")
        figures[name] = SECTIONS[name](arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
