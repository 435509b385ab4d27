"""``vrrplib run``: one virtual router on one interface, until SIGTERM or SIGINT."""

from __future__ import annotations

import gc
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from ipaddress import IPv4Address, IPv6Network
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.dryrun import DryRunBackend
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.cli.macvlan_options import backend_arguments, macvlan_options
from vrrplib.cli.options import CHECKSUMS, choose_source, netns_option, router_fields, virtual_addresses
from vrrplib.cli.output import Output, json_option
from vrrplib.cli.run_options import protocol_fields, protocol_options
from vrrplib.election.config import RouterConfig
from vrrplib.election.router import Router
from vrrplib.errors import BackendError, ConfigError, require_int
from vrrplib.namespaces import Namespace
from vrrplib.node import Node, Notice
from vrrplib.wire.addresses import Family, IPAddress, IPInterface, MacAddress

if TYPE_CHECKING:
    from vrrplib.backends.netlink import NetlinkHost

Backend: TypeAlias = MacvlanBackend | MacSwapBackend | AnnounceBackend

BACKENDS: dict[str, type[Backend]] = {
    "macvlan": MacvlanBackend,
    "macswap": MacSwapBackend,
    "announce": AnnounceBackend,
}
DEFAULT_REALTIME = 50
PATIENCE = 1.0
"""Seconds at the end for a reader that does not read."""


@click.command(
    epilog="Example: vrrplib run eth0 --vrid 51 --address 192.0.2.254/24 --priority 150"
    "  (IPv6: --address fe80::51/64 --address 2001:db8::254/64)"
)
@click.argument("interface", metavar="IFACE")
@click.option("--vrid", type=int, required=True, help="Virtual router ID, 1-255.")
@click.option(
    "--address",
    "addresses",
    multiple=True,
    required=True,
    metavar="A/LEN",
    help="A virtual address; again for more. One family; the first IPv6 one is link-local.",
)
@click.option("--priority", type=int, default=100, show_default=True, help="1-254; 255 owns the addresses.")
@click.option("--interval", type=float, default=1.0, show_default=True, help="Seconds between advertisements.")
@click.option("--version", type=click.Choice(["2", "3"]), default="3", show_default=True, help="VRRP version.")
@click.option(
    "--backend",
    type=click.Choice(list(BACKENDS)),
    default="macvlan",
    show_default=True,
    help="How the host answers: with a macvlan, with the interface's own MAC changed, or by announcing addresses.",
)
@click.option("--source", metavar="ADDRESS", help="What to send from; by default an address of the interface.")
@click.option("--no-preempt", is_flag=True, help="Do not take over from an Active router of lower priority.")
@click.option("--no-accept", is_flag=True, help="Do not accept packets to the virtual addresses.")
@click.option(
    "--checksum",
    type=click.Choice(list(CHECKSUMS)),
    default="pseudo",
    show_default=True,
    help="What a VRRPv3 checksum covers over IPv4; auto: as last heard.",
)
@macvlan_options
@protocol_options
@click.option("--state-dir", type=click.Path(file_okay=False), help="Where the journal of changes is kept.")
@netns_option
@click.option(
    "--realtime",
    is_flag=False,
    flag_value=DEFAULT_REALTIME,
    type=int,
    metavar="[PRIORITY]",
    help=f"Run under SCHED_FIFO, priority 1-99 ({DEFAULT_REALTIME} if not given).",
)
@click.option("--dry-run", is_flag=True, help="Print what would be done to the host, and touch nothing.")
@json_option
def run(
    *,
    interface: str,
    backend: str,
    source: str | None,
    state_dir: str | None,
    netns: Namespace,
    realtime: int | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Run a virtual router on IFACE until SIGTERM or SIGINT, and leave the host as it was.

    IPv4 and IPv6 are two virtual routers: run one process for each, as for each VRID.
    """
    if realtime is not None:
        require_int("realtime", realtime, 1, 99)
    fields = _fields(interface, options)
    arguments = backend_arguments(backend, options)
    _check(interface, BACKENDS[backend], arguments, fields)
    _end_quietly()
    from vrrplib.backends.netlink import NetlinkHost  # noqa: PLC0415  # pyroute2 is slow to load

    host = NetlinkHost(netns, state_dir=state_dir)
    if host.link(interface) is None:
        raise BackendError(f"there is no interface named {interface!r}: see `ip link`", operation="run")
    output = Output(as_json=as_json)
    if not dry_run:
        _give_back(output, host, interface)
    there = host.addresses(interface)
    primary = choose_source(there, fields["addresses"], interface=interface, given=source)
    config = _config(interface, fields, primary, given=source is not None)
    acting = BACKENDS[backend](interface, config, host=host, **arguments)
    if dry_run:
        _show_plan(output, acting, interface, config, netns)
        return
    if realtime is not None:
        _go_realtime(realtime)
    _serve(output, acting, interface, config, netns)


def _give_back(output: Output, host: NetlinkHost, interface: str) -> None:
    """What a dead process has left goes first: an address of its virtual router's is nothing to send from."""
    for leftover in host.clean(interface):
        for words in leftover.left_alone:
            output.event("left-alone", f"left as it is: {words}", interface=interface, message=words)


def _fields(interface: str, options: dict[str, Any]) -> dict[str, Any]:
    addresses = virtual_addresses(options["addresses"], interface=interface, vrid=options["vrid"])
    version = int(options["version"])
    fields = router_fields(
        vrid=options["vrid"],
        addresses=addresses,
        priority=options["priority"],
        interval=options["interval"],
        version=version,
        preempt=not options["no_preempt"],
        accept=not options["no_accept"],
        checksum=options["checksum"],
    )
    return fields | protocol_fields(options, version=version)


def _check(interface: str, backend: type[Backend], arguments: dict[str, Any], fields: dict[str, Any]) -> None:
    """Say what is wrong with the values themselves before the host is asked for anything."""
    config = RouterConfig(**fields, primary_address=_placeholder(fields["addresses"]))
    backend(interface, config, **arguments)


def _config(interface: str, fields: dict[str, Any], primary: IPAddress, *, given: bool) -> RouterConfig:
    """With what the host has to send from; what is wrong with the other values has been said."""
    try:
        return RouterConfig(**fields, primary_address=primary)
    except ConfigError as error:
        if given:
            raise
        raise BackendError(f"{interface} has no address to send from but {primary}: {error}") from None


def _placeholder(virtual: Sequence[IPInterface]) -> IPAddress:
    """An address to check the others with: none of them, or it would be an owner's."""
    if virtual[0].version == Family.IPV4.value:
        return IPv4Address("127.0.0.1")  # which no virtual address can be
    taken = {address.ip for address in virtual}
    return next(address for address in IPv6Network("fe80::/64").hosts() if address not in taken)


def _end_quietly() -> None:
    """Until the loop binds them, SIGTERM and SIGINT find nothing to give back: the exit status is 0 at once."""

    def end(_: int, __: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


def _go_realtime(priority: int) -> None:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        raise BackendError(
            f"--realtime {priority} is refused ({error.strerror}): run as root or with CAP_SYS_NICE, raise "
            "RLIMIT_RTPRIO, or leave it out",
            operation="sched_setscheduler",
            errno=error.errno,
        ) from None


def _show_plan(output: Output, backend: Backend, interface: str, config: RouterConfig, netns: Namespace) -> None:
    """The operations of a life, phase by phase, as lines for a root shell; and those that undo them all."""
    dry = DryRunBackend(backend)
    phases = (
        ("start", dry.prepare, "at the start"),
        ("activate", dry.activate, "when it becomes Active"),
        ("deactivate", dry.deactivate, "when it becomes Backup again"),
        ("close", dry.close, "at the end"),
    )
    output.line(f"# {interface}, vrid {config.vrid}, {_mac(backend)}, from {config.primary_address}")
    if netns is not None:
        output.line(f"# for a shell in the network namespace {netns}")

    def show(phase: str, words: str, commands: Sequence[str]) -> None:
        output.line(f"# {words}")
        where: dict[str, Any] = {"interface": interface, "family": int(config.family), "vrid": config.vrid}
        for command in commands:
            output.event("command", command, **where, phase=phase, command=command)

    shown = 0
    undo: tuple[str, ...] = ()
    for phase, act, words in phases:
        act()
        if phase == "activate":  # when there is most to undo
            undo = dry.undo_commands
        show(phase, words, dry.commands[shown:])
        shown = len(dry.commands)
    show("undo", "to undo it, after any of these lines", undo)


def _serve(output: Output, backend: Backend, interface: str, config: RouterConfig, netns: Namespace) -> None:
    from vrrplib.backends.watch import NetlinkWatch  # noqa: PLC0415
    from vrrplib.drivers.blocking import run as serve  # noqa: PLC0415  # a dry run has no use for these
    from vrrplib.transports.packet import PacketTransport  # noqa: PLC0415

    watch = NetlinkWatch(interface, netns=netns)
    transport = PacketTransport(interface, netns=netns)
    printer = _Printer(output, interface, config, _mac(backend))
    try:
        node = Node(transport, watch=watch)
        node.add(Router(config, unix_time=time.time() - time.monotonic()), backend)
        serve([node], notify=printer)
    finally:
        transport.close()
        watch.close()
        printer.finish()
    if printer.is_stuck:
        os._exit(0)  # all is given back; Python itself would wait for a lock that the stuck thread has, and abort


def _mac(backend: Backend) -> MacAddress:
    """The virtual MAC, the RFC's or another."""
    given = backend.virtual_mac if isinstance(backend, MacvlanBackend) else None
    return given or backend.config.virtual_mac


class _Printer:
    """Prints in a thread of its own: a pipe that is full, or a terminal that is held, stops no advertisement.

    Called in the loop's thread. The first notice comes when all is set up, which is the moment to freeze the
    garbage collector.
    """

    def __init__(self, output: Output, interface: str, config: RouterConfig, mac: MacAddress) -> None:
        self._output = output
        self._interface = interface
        self._config = config
        self._mac = mac
        self._begun = False
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._print, daemon=True, name="printer")
        self._thread.start()

    def __call__(self, notice: Notice) -> None:
        now = notice.time + time.time() - time.monotonic()
        if not self._begun:
            self._begun = True
            self._waiting.put(lambda: self._tell_start(now))
            # a full collection with pyroute2 loaded stalls the loop for 9 ms: longer than an interval may be
            gc.collect()
            gc.freeze()
        self._waiting.put(lambda: self._output.notice(notice, time=now, stamp=_stamp(now)))

    def finish(self) -> None:
        """Print what is left, as far as anybody reads it."""
        self._waiting.put(None)
        self._thread.join(PATIENCE)

    @property
    def is_stuck(self) -> bool:
        """Whether nobody read it, after :meth:`finish`."""
        return self._thread.is_alive()

    def _tell_start(self, now: float) -> None:
        config = self._config
        self._output.event(
            "start",
            f"{_stamp(now)} {self._interface} vrid {config.vrid} IPv{config.family} starts: {self._mac}, "
            f"priority {config.priority}, from {config.primary_address}",
            time=now,
            interface=self._interface,
            family=int(config.family),
            vrid=config.vrid,
            priority=config.priority,
            source=str(config.primary_address),
            virtual_mac=str(self._mac),
        )

    def _print(self) -> None:
        while (act := self._waiting.get()) is not None:
            act()


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%H:%M:%S.%f")[:-3]
