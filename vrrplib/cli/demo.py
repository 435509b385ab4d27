"""``vrrplib demo``: a virtual MAC that fails over, and a client that notices nothing but a short silence."""

from __future__ import annotations

import time

import click

from vrrplib.backends.dryrun import DryRunBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.memory import MemoryHost
from vrrplib.cli.demo_lan import DemoLan, Pinger, RouterProcess, end_on_sigterm
from vrrplib.cli.demo_links import NotHereError
from vrrplib.cli.output import Output, json_option
from vrrplib.cli.simulate import show_happening
from vrrplib.election.config import RouterConfig
from vrrplib.election.timers import active_down_interval
from vrrplib.errors import BackendError
from vrrplib.lab.simulator import SimulatedNode, Simulation
from vrrplib.wire.addresses import virtual_mac

VRID = 51
ADDRESS = "192.0.2.254"
HOSTS = {"one": "192.0.2.1/24", "two": "192.0.2.2/24", "client": "192.0.2.9/24"}
PRIORITIES = {"one": 150, "two": 100}
PING_INTERVAL = 0.01


@click.command(epilog="Example: vrrplib demo --interval 1")
@click.option("--interval", type=float, default=0.2, show_default=True, help="Seconds between advertisements.")
@click.option(
    "--simulate", "simulated", is_flag=True, help="Use the simulated LAN, also where namespaces can be had."
)
@json_option
def demo(*, interval: float, simulated: bool, as_json: bool) -> None:
    """Show a virtual MAC failing over: two routers, a client that pings, and the Active one killed and cut off.

    In network namespaces that it makes, with a real macvlan; where it has no right to make them, on a simulated
    LAN with the dry-run backend. Nothing on this host is changed, and nothing stays behind.
    """
    config(interval)  # a ConfigError comes before anything is made
    end_on_sigterm()
    output = Output(as_json=as_json)
    if simulated:
        _simulated(output, interval)
        return
    try:
        _real(output, interval)
    except NotHereError as error:
        reason = f"no real LAN here ({error}): this is the simulated one, with the dry-run backend"
        output.event("fallback", f"\n{reason}", reason=str(error), style="yellow")
        _simulated(output, interval)


def config(interval: float, name: str = "one") -> RouterConfig:
    """The virtual router of one of the two."""
    return RouterConfig(
        vrid=VRID,
        addresses=[f"{ADDRESS}/24"],
        primary_address=HOSTS[name],
        priority=PRIORITIES[name],
        advertisement_interval=interval,
    )


# -- in namespaces --


def _real(output: Output, interval: float) -> None:
    with DemoLan(HOSTS) as lan:
        words = "Two routers and a client on a bridge, each in a network namespace of its own."
        output.event("lan", words, kind="namespaces", style="bold")
        one, two = (
            lan.run(
                name,
                *("--vrid", str(VRID), "--address", f"{ADDRESS}/24"),
                *("--priority", str(priority), "--interval", str(interval)),
            )
            for name, priority in PRIORITIES.items()
        )
        one.wait_for_state("active", 10 + 5 * interval)
        _tell_active(output, one)
        with Pinger(lan.namespaces["client"], ADDRESS, every=PING_INTERVAL) as pinger:
            _settle(pinger, interval)
            before = lan.neighbour("client", ADDRESS)
            _tell_neighbour(output, "before", before)
            one.kill()
            lan.unplug("one")
            output.event("crash", "one: SIGKILL, and its link taken away", node="one", style="red")
            two.wait_for_state("active", 5 + 5 * interval)
            _tell_active(output, two)
            time.sleep(max(0.5, 2 * interval))  # answers to be lost, if there are any more
            after = lan.neighbour("client", ADDRESS)
            _tell_neighbour(output, "after", after)
        _tell_takeover(output, pinger, interval)
        status = two.terminate()
        output.event("end", f"two: SIGTERM, exit status {status}", node="two", status=status)
    wanted = str(virtual_mac(VRID))
    if (before, after, status) != (wanted, wanted, 0):
        raise click.ClickException(f"the demo failed: the client must have seen {wanted} before and after")


def _settle(pinger: Pinger, interval: float) -> None:
    """Until answers come, and a moment more."""
    deadline = time.monotonic() + 5
    while not pinger.answered and time.monotonic() < deadline:
        time.sleep(PING_INTERVAL)
    if not pinger.answered:
        raise BackendError(f"nobody answers pings to {ADDRESS}")
    time.sleep(max(1.0, 2.5 * interval))


def _tell_active(output: Output, process: RouterProcess) -> None:
    words = f"{process.host} is Active, priority {PRIORITIES[process.host]}"
    output.event("active", words, node=process.host, style="bold green")


def _tell_neighbour(output: Output, when: str, mac: str | None) -> None:
    words = f"the client's neighbour entry {when}: {ADDRESS} is at {mac}"
    output.event("neighbour", words, when=when, address=ADDRESS, mac=mac)


def _tell_takeover(output: Output, pinger: Pinger, interval: float) -> None:
    heard: dict[str, list[float]] = {name: [] for name in PRIORITIES}
    for when, source, _ in pinger.advertisements:
        for name, times in heard.items():
            if HOSTS[name].startswith(f"{source}/"):
                times.append(when)
    output.event(
        "pings",
        f"{pinger.lost} of {len(pinger.sent)} replies lost, one ping each {PING_INTERVAL * 1000:g} ms; "
        f"the longest silence was {pinger.longest_gap:.3f} s",
        sent=len(pinger.sent),
        lost=pinger.lost,
        longest_gap=pinger.longest_gap,
    )
    if not (heard["one"] and heard["two"]):
        raise BackendError("the client heard no advertisements")
    took = heard["two"][0] - heard["one"][-1]
    theory = active_down_interval(PRIORITIES["two"], interval)
    output.event(
        "takeover",
        f"takeover {took:.4f} s after the last advertisement; theory {theory:.4f} s (active_down_interval)",
        seconds=took,
        theory=theory,
        style="bold",
    )


# -- simulated --


def _simulated(output: Output, interval: float) -> None:
    simulation = Simulation()
    output.event("lan", "Two routers and a host on a switch in memory.", kind="simulated", style="bold")
    nodes = [simulation.add(name, config(interval, name), backend=_dry_run) for name in PRIORITIES]
    host = simulation.add_host("client", "192.0.2.9")
    crash = 10 * interval
    simulation.at(5 * interval, lambda: host.ping(ADDRESS, every=PING_INTERVAL))
    simulation.at(crash, lambda: simulation.crash(nodes[0]))
    simulation.run(until=20 * interval)
    for happening in simulation.log:
        show_happening(output, happening)
    _show_commands(output, nodes)
    for when, mac in (("before", host.changes[0][2]), ("after", host.neighbours[host.pings[0].address])):
        _tell_neighbour(output, when, str(mac))
    output.event(
        "pings",
        f"{host.lost} of {len(host.pings)} replies lost, one ping each {PING_INTERVAL * 1000:g} ms",
        sent=len(host.pings),
        lost=host.lost,
    )
    took = next(item.time for item in simulation.log if item.time > crash) - _last_advert(crash, interval)
    theory = active_down_interval(PRIORITIES["two"], interval)
    output.event(
        "takeover",
        f"takeover {took:.4f} s after the last advertisement; theory {theory:.4f} s (active_down_interval)",
        seconds=took,
        theory=theory,
        style="bold",
    )


def _last_advert(crash: float, interval: float) -> float:
    first = active_down_interval(PRIORITIES["one"], interval)
    return first + (crash - first) // interval * interval


def _dry_run(interface: str, config: RouterConfig) -> DryRunBackend:
    host = MemoryHost()
    host.add_interface(interface, "02:00:00:00:00:01", [HOSTS[interface]])
    return DryRunBackend(MacvlanBackend(interface, config, host=host))


def _show_commands(output: Output, nodes: list[SimulatedNode]) -> None:
    for node in nodes:
        output.line(f"On {node.name} the macvlan backend would have run:")
        for backend in node.backends:
            assert isinstance(backend, DryRunBackend)
            for command in backend.commands:
                output.event("command", f"  {command}", node=node.name, command=command)
