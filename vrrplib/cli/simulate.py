"""``vrrplib simulate``: who becomes Active when, on a LAN in memory and a clock that nobody waits for."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click

from vrrplib.cli.options import StateType, virtual_addresses
from vrrplib.cli.output import Output, describe, json_option
from vrrplib.election.states import State
from vrrplib.election.timers import active_down_interval
from vrrplib.errors import BackendError, ConfigError
from vrrplib.lab.faults import Fault, FaultKind, play
from vrrplib.lab.invariants import Invariants
from vrrplib.lab.simulator import Conditions, Happening, SimulatedHost, SimulatedNode, Simulation
from vrrplib.node import Notice
from vrrplib.rules import DEFAULT_RULES
from vrrplib.wire.addresses import Family
from vrrplib.wire.capture import PcapWriter

_DEFAULT_ADDRESS = "192.0.2.254/24"
_PING_INTERVAL = 0.01


@click.command(
    epilog="Example: vrrplib simulate --router a=200 --router b=100 --crash a@10 --restart a@20 --until 30"
)
@click.option(
    "--router", "routers", multiple=True, metavar="NAME=PRIORITY", help="A router; again for more. [a=200, b=100]"
)
@click.option("--crash", multiple=True, metavar="NAME@SECONDS", help="Its machine dies then, and its link.")
@click.option(
    "--kill", multiple=True, metavar="NAME@SECONDS", help="Its process dies then, and the address answers."
)
@click.option("--shutdown", multiple=True, metavar="NAME@SECONDS", help="It ends then, and resigns if Active.")
@click.option("--restart", multiple=True, metavar="NAME@SECONDS", help="It begins anew then.")
@click.option("--pause", multiple=True, metavar="NAME@SECONDS", help="Its process is stopped then (SIGSTOP).")
@click.option("--resume", multiple=True, metavar="NAME@SECONDS", help="It goes on then (SIGCONT).")
@click.option(
    "--partition",
    "partitions",
    multiple=True,
    metavar="NAME>NAME@SECONDS[-SECONDS]",
    help="Nothing comes from the first to the second then, until the second time.",
)
@click.option("--until", type=float, default=30.0, show_default=True, help="Seconds to simulate.")
@click.option("--vrid", type=int, default=51, show_default=True, help="Virtual router ID, 1-255.")
@click.option("--address", "addresses", multiple=True, metavar="A/LEN", help=f"[{_DEFAULT_ADDRESS}]")
@click.option("--interval", type=float, default=1.0, show_default=True, help="Seconds between advertisements.")
@click.option("--version", type=click.Choice(["2", "3"]), default="3", show_default=True, help="VRRP version.")
@click.option("--no-preempt", is_flag=True, help="Do not take over from an Active router of lower priority.")
@click.option("--delay", type=float, default=0.0, show_default=True, help="Seconds from port to port.")
@click.option("--jitter", type=float, default=0.0, show_default=True, help="Up to so many seconds more, at random.")
@click.option("--loss", type=float, default=0.0, show_default=True, help="Share of the frames lost, 0-1.")
@click.option("--duplication", type=float, default=0.0, show_default=True, help="Share that comes twice, 0-1.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is left to chance.")
@click.option("--check", is_flag=True, help="Check the invariants too; end with status 1 if one is broken.")
@click.option(
    "--pcap",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the frames of the LAN there, for vrrplib explain.",
)
@click.option(
    "--expect", multiple=True, metavar="NAME=STATE", help="End with status 1 unless it is in this state at last."
)
@json_option
def simulate(
    *,
    routers: tuple[str, ...],
    until: float,
    vrid: int,
    addresses: tuple[str, ...],
    interval: float,
    version: str,
    no_preempt: bool,
    delay: float,
    jitter: float,
    loss: float,
    duplication: float,
    seed: int,
    check: bool,
    pcap: Path | None,
    partitions: tuple[str, ...],
    expect: tuple[str, ...],
    as_json: bool,
    **events: tuple[str, ...],
) -> None:
    """Simulate routers on a LAN, and print who becomes Active when, in seconds from their start.

    A host pings the virtual address every 10 ms, once each router has had the time to take over.
    """
    conditions = Conditions(
        delay=_seconds("delay", delay), jitter=_seconds("jitter", jitter), loss=loss, duplication=duplication
    )
    simulation = Simulation(conditions=conditions, dice=random.Random(seed))  # noqa: S311  # repeatable, no secret
    invariants = Invariants(simulation) if check else None
    until = _seconds("until", until)
    virtual = virtual_addresses(addresses or (_DEFAULT_ADDRESS,), vrid=vrid)
    for name, priority in _pairs(routers or ("a=200", "b=100"), "=", "--router", "NAME=PRIORITY"):
        simulation.add(
            name,
            vrid=vrid,
            addresses=virtual,
            priority=_number("priority", priority, int),
            advertisement_interval=interval,
            preempt=not no_preempt,
            rules=DEFAULT_RULES[int(version)],
        )
    expected = [(_node(simulation, name), StateType().convert(word, None, None)) for name, word in _states(expect)]
    _schedule(simulation, events, partitions)
    family = Family(virtual[0].version)
    host = simulation.add_host("host", "192.0.2.200" if family is Family.IPV4 else "fe80::200")
    settled = max(
        active_down_interval(node.router.priority, interval, version=int(version))
        for node in simulation.nodes.values()
    )
    simulation.at(settled, lambda: host.ping(virtual[0].ip, every=_PING_INTERVAL))
    output = Output(as_json=as_json)
    with _captured(simulation, pcap, output):
        simulation.run(until=until)
        for happening in simulation.log:
            show_happening(output, happening)
        show_summary(output, simulation, host, vrid, family)
    _judge(output, expected, invariants)


def show_happening(output: Output, happening: Happening) -> None:
    """A line of the simulation's log; its seconds count from 0."""
    stamp = f"{happening.time:12.6f}"
    if isinstance(happening.what, Notice):
        notice = happening.what
        words, style = describe(notice.report)[1], describe(notice.report)[3]
        if output.as_json:
            output.notice(notice, time=happening.time, stamp=stamp)
        else:
            output.line(f"{stamp} {happening.node}: {words}", style=style)
        return
    event = happening.what.replace(" ", "-")
    output.event(
        event, f"{stamp} {happening.node}: {happening.what}", time=happening.time, interface=happening.node
    )


def show_summary(output: Output, simulation: Simulation, host: SimulatedHost, vrid: int, family: Family) -> None:
    """Who is Active at last, and what the host saw."""
    active = [node.name for node in simulation.active(vrid, family)]
    macs = [str(mac) for _, _, mac in host.changes]
    output.event(
        "summary",
        f"Active at {simulation.now:g} s: {', '.join(active) or 'none'}; "
        f"the host's neighbour entry: {' then '.join(macs) or 'none'}; "
        f"{host.lost} of {len(host.pings)} pings without an answer, one each {_PING_INTERVAL * 1000:g} ms",
        time=simulation.now,
        family=int(family),
        vrid=vrid,
        active=active,
        neighbour=macs,
        pings=len(host.pings),
        lost=host.lost,
    )


def _schedule(simulation: Simulation, events: dict[str, tuple[str, ...]], partitions: Iterable[str]) -> None:
    faults = []
    for kind, values in events.items():
        for name, when in _pairs(values, "@", f"--{kind}", "NAME@SECONDS"):
            time = _seconds(kind, _number(kind, when, float))
            faults.append(Fault(time, FaultKind(kind), (_node(simulation, name).name,)))
    for value in partitions:
        faults += _partition(simulation, value)
    play(simulation, sorted(faults, key=lambda fault: fault.time))


def _partition(simulation: Simulation, value: str) -> Iterator[Fault]:
    form = "NAME>NAME@SECONDS or NAME>NAME@SECONDS-SECONDS"
    [(link, times)] = _pairs([value], "@", "--partition", form)
    [(sender, receiver)] = _pairs([link], ">", "--partition", form)
    ends = (_node(simulation, sender).name, _node(simulation, receiver).name)
    begin, _, end = times.partition("-")
    yield Fault(_seconds("partition", _number("partition", begin, float)), FaultKind.BLOCK, ends)
    if end:
        yield Fault(_seconds("partition", _number("partition", end, float)), FaultKind.UNBLOCK, ends)


@contextlib.contextmanager
def _captured(simulation: Simulation, path: Path | None, output: Output) -> Iterator[None]:
    """Write what comes in at any port to a file, second 0 of the simulation as that of 1970."""
    if path is None:
        yield
        return
    try:
        file = path.open("wb")
    except OSError as error:
        raise BackendError(f"{path}: {error.strerror}", errno=error.errno) from None
    with file:
        writer, count = PcapWriter(file), 0

        def write(_: str, frame: bytes) -> None:
            nonlocal count
            count += 1
            writer.write(round(simulation.now * 1e9), frame)

        simulation.switch.taps.append(write)
        yield
    output.event("written", f"{count} frames written to {path}", path=str(path), frames=count)


def _pairs(values: Iterable[str], separator: str, option: str, form: str) -> list[tuple[str, str]]:
    pairs = []
    for value in values:
        name, found, rest = value.partition(separator)
        if not (name and found and rest):
            raise ConfigError(f"{option} must look like {form}, not {value!r}")
        pairs.append((name, rest))
    return pairs


def _states(values: Iterable[str]) -> list[tuple[str, str]]:
    return _pairs(values, "=", "--expect", "NAME=STATE")


def _number(name: str, text: str, kind: Callable[[str], float]) -> float:
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(f"{name} must be a number, not {text!r}") from None


def _seconds(name: str, value: float) -> float:
    if not 0 <= value < 1e6:
        raise ConfigError(f"{name} must be 0-1000000 seconds, not {value!r}")
    return value


def _node(simulation: Simulation, name: str) -> SimulatedNode:
    if name not in simulation.nodes:
        raise ConfigError(f"a router must be one of {', '.join(simulation.nodes)}, not {name!r}")
    return simulation.nodes[name]


def _judge(output: Output, expected: Iterable[tuple[SimulatedNode, State]], invariants: Invariants | None) -> None:
    violations = invariants.finish() if invariants is not None else []
    for violation in violations:
        output.event("violation", str(violation), time=violation.time, invariant=str(violation.invariant))
    wrong = [(node, state) for node, state in expected if node.state is not state]
    for node, state in wrong:
        words = f"{node.name} is {node.state}, not {state}"
        output.event("unexpected", words, interface=node.name, state=str(node.state), expected=str(state))
    if wrong or violations:
        click.get_current_context().exit(1)
