"""What 255 virtual routers on one interface cost, beside keepalived: processor time of an advert, lateness, memory.

    python benchmarks/bench_load.py [send receive] [--seconds 60] [--rounds 3] [--interval 0.01] [--json FILE]

VRRPv3 over IPv4 in two namespaces with a switch between them. ``send``: the one under test is Active for all of
them. ``receive``: it is Backup, and the other side, which is ours, Active. Contenders take turns, each with the
same macvlans or with none; ``bare`` is a loop around select(2) that sends one frame each interval, for what the
machine itself is late. Processor time is that of the process, by the kernel's accounts; adverts are counted by the
interface. Lateness is that of virtual router 1, by the kernel's time stamps at the other side: how much later than
its place on a grid of exact intervals, or for keepalived, which keeps no such grid, of its own mean interval.
Needs root, ip(8) and keepalived. Asserts nothing: times are a machine's.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import platform
import select
import socket
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.linux.lab import Host, Lab
from tests.linux.process import Process, wait_until
from vrrplib import (
    Datagram,
    MacvlanBackend,
    Node,
    PacketTransport,
    Router,
    RouterConfig,
    VRRPv3,
    advertisement_frame,
    virtual_mac,
)
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.drivers.blocking import run

MOST = 255
WATCHED = 1  # the virtual router whose adverts are timed
BACKENDS = {"macvlan": MacvlanBackend, "announce": AnnounceBackend}
TICK = os.sysconf("SC_CLK_TCK")
Row = dict[str, Any]


def address(vrid: int) -> str:
    return f"10.78.0.{vrid}/32"


# -- what is under test --


def be_router(arguments: argparse.Namespace) -> None:
    """Many virtual routers in one Node: what a user of the library would write."""
    transport = PacketTransport("eth0")
    node = Node(transport)
    for vrid in range(1, arguments.routers + 1):
        config = RouterConfig(
            vrid=vrid,
            addresses=[address(vrid)],
            primary_address=arguments.source,
            priority=arguments.priority,
            advertisement_interval=arguments.interval,
        )
        node.add(Router(config), BACKENDS[arguments.backend]("eth0", config))
    gc.freeze()
    run([node])


def be_bare(arguments: argparse.Namespace) -> None:
    """Nothing but a timer, and a frame."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    packets.bind(("eth0", 0))
    packet = VRRPv3(vrid=WATCHED, addresses=[address(WATCHED)[:-3]], max_advertise_interval=1)
    datagram = Datagram(packet.encode(arguments.source, "224.0.0.18"), arguments.source, "224.0.0.18", 255)
    frame = advertisement_frame(datagram, virtual_mac(WATCHED))
    due = time.monotonic()
    while True:
        due += arguments.interval
        while (rest := due - time.monotonic()) > 0:
            select.select((packets,), (), (), rest)
        packets.send(frame)


def spawn_self(host: Host, role: str, arguments: argparse.Namespace, **options: Any) -> list[Process]:
    settings = {
        "source": host.addresses[0].split("/")[0],
        "interval": arguments.interval,
        "routers": arguments.routers,
        "priority": 200,
        "backend": "macvlan",
    } | options
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return [host.spawn(sys.executable, __file__, "--role", role, *words)]


def spawn_keepalived(
    host: Host, arguments: argparse.Namespace, *, vmac: bool, priority: int = 200
) -> list[Process]:
    directory = host.lab.directory / f"keepalived-{next(host.lab.counter)}"
    directory.mkdir()
    lines = ["global_defs {", "  router_id a", "  vrrp_garp_master_delay 0", "}"]
    for vrid in range(1, arguments.routers + 1):
        lines += [
            f"vrrp_instance v{vrid} {{",
            "  version 3",
            "  state BACKUP",
            "  interface eth0",
            *(["  use_vmac"] if vmac else []),
            f"  virtual_router_id {vrid}",
            f"  priority {priority}",
            f"  advert_int {arguments.interval:g}",
            f"  virtual_ipaddress {{ {address(vrid)} }}",
            "}",
        ]
    (directory / "keepalived.conf").write_text("\n".join(lines) + "\n")
    argv = ["keepalived", "-n", "-l", "-P", "-R", "-f", str(directory / "keepalived.conf")]
    parent = host.spawn(*argv, "-p", str(directory / "parent.pid"), "-r", str(directory / "vrrp.pid"))
    return [parent]


CONTENDERS: dict[str, Callable[..., list[Process]]] = {
    "vrrplib": lambda host, arguments, priority: spawn_self(host, "router", arguments, priority=priority),
    "vrrplib, no macvlan": lambda host, arguments, priority: spawn_self(
        host, "router", arguments, priority=priority, backend="announce"
    ),
    "keepalived": lambda host, arguments, priority: spawn_keepalived(host, arguments, vmac=True, priority=priority),
    "keepalived, no macvlan": lambda host, arguments, priority: spawn_keepalived(
        host, arguments, vmac=False, priority=priority
    ),
}


# -- what is measured --


def pids(processes: list[Process]) -> list[int]:
    return [pid for process in processes for pid in (process.pid, *process.children())]


def used(processes: list[Process]) -> float:
    """Seconds of processor time so far."""
    total = 0
    for pid in pids(processes):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def resident(processes: list[Process]) -> float:
    """MiB of the largest of its processes."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids(processes)]
    return max(pages) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def arrived(host: Host) -> int:
    """Frames that eth0 has received."""
    return int(host.ip_json("-s", "link", "show", "dev", "eth0")[0]["stats64"]["rx"]["packets"])


class Ear:
    """The times at which adverts of one virtual router arrive."""

    def __init__(self, host: Host) -> None:
        self.times: list[float] = []
        self._socket = host.call(self._open)

    @staticmethod
    def _open() -> socket.socket:
        ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        code = [  # IPv4, protocol 112, this VRID
            (0x30, 0, 0, 23),
            (0x15, 0, 3, 112),
            (0x30, 0, 0, 35),
            (0x15, 0, 1, WATCHED),
            (0x06, 0, 0, 64),
            (0x06, 0, 0, 0),
        ]
        program = b"".join(struct.pack("=HBBI", *line) for line in code)
        held = ctypes.create_string_buffer(program)
        ear.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HxxxxxxP", len(code), ctypes.addressof(held)))
        ear.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        ear.setblocking(False)
        ear.bind(("eth0", 0x0800))
        return ear

    def listen(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0:
            select.select((self._socket,), (), (), min(rest, 0.5))
            self._drain()

    def _drain(self) -> None:
        while True:
            try:
                _, ancillary, _, _ = self._socket.recvmsg(64, 64)
            except BlockingIOError:
                return
            for _, kind, data in ancillary:
                if kind == 35:
                    seconds, nanoseconds = struct.unpack("=qq", data)
                    self.times.append(seconds + nanoseconds / 1e9)

    def close(self) -> None:
        self._socket.close()


def lateness(times: list[float], interval: float, *, own_mean: bool) -> tuple[float, float, float]:
    """p50, p99 and the most, in milliseconds; what is missing counts as nothing."""
    start = times[0]
    if own_mean:
        interval = (times[-1] - start) / (len(times) - 1)
        places = list(range(len(times)))
    else:
        places = [round((at - start) / interval) for at in times]
    off = [at - start - place * interval for at, place in zip(times, places, strict=True)]
    # The grid begins where one in a hundred is earlier: the first may have been late itself.
    zero = sorted(off)[len(off) // 100]
    late = sorted(1000 * (each - zero) for each in off)
    return late[len(late) // 2], late[len(late) * 99 // 100], late[-1]


@contextmanager
def running(processes: list[Process]) -> Iterator[list[Process]]:
    try:
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)


def measure(observer: Host, processes: list[Process], counted: Host, arguments: argparse.Namespace) -> Row:
    """Once adverts flow at their rate: a time of it. ``counted`` is whose interface receives them."""
    rate = arguments.routers / arguments.interval

    seen = [0]

    def flows() -> bool:
        before = arrived(counted)
        time.sleep(0.5)
        seen.append(arrived(counted) - before)
        return seen[-1] > rate / 8  # keepalived falls behind on a busy machine

    wait_until(
        flows,
        60.0,
        lambda: f"{rate / 2:,.0f} adverts in half a second, but {seen[-9:]}:\n{processes[0].log}",
        pause=0.0,
    )
    time.sleep(1.0)
    ear = Ear(observer) if counted is observer else None
    adverts, cpu, begin = -arrived(counted), -used(processes), time.monotonic()
    if ear is None:
        time.sleep(arguments.seconds)
    else:
        ear.listen(arguments.seconds)
    adverts += arrived(counted)
    cpu += used(processes)
    assert all(process.returncode is None for process in processes), processes[0].log
    row: Row = {
        "adverts": adverts,
        "seconds": time.monotonic() - begin,
        "microseconds": 1e6 * cpu / adverts,
        "resident": resident(processes),
        "times": [],
    }
    if ear is not None:
        row["times"] = ear.times
        ear.close()
    return row


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """New ones for each contender: what the last one left is not its business."""
    with Lab() as lab:
        yield lab.host("a", "10.77.0.1/24"), lab.host("b", "10.77.0.2/24")


def sending(arguments: argparse.Namespace) -> Iterator[tuple[str, Row]]:
    for name, spawn in CONTENDERS.items():
        with two_hosts() as (a, b), running(spawn(a, arguments, 200)) as processes:
            yield name, measure(b, processes, b, arguments)
    with two_hosts() as (a, b), running(spawn_self(a, "bare", arguments)) as processes:
        alone = argparse.Namespace(**vars(arguments) | {"routers": 1})
        yield "bare", measure(b, processes, b, alone)


def receiving(arguments: argparse.Namespace) -> Iterator[tuple[str, Row]]:
    for name, spawn in CONTENDERS.items():
        with two_hosts() as (a, b):
            other = spawn_self(b, "router", arguments, priority=250, backend="announce")
            with running(other), running(spawn(a, arguments, 100)) as processes:
                yield name, measure(b, processes, a, arguments)


SECTIONS = {"send": sending, "receive": receiving}


def show(section: str, rows: dict[str, list[Row]], arguments: argparse.Namespace) -> Row:
    print(f"-- {section}: {arguments.routers} virtual routers, an advert each {1000 * arguments.interval:g} ms")
    figures: Row = {}
    base = min(row["microseconds"] for name in rows if name.startswith("keepalived") for row in rows[name])
    for name, several in rows.items():
        cost = statistics.median(row["microseconds"] for row in several)
        figures[name] = figure = {"microseconds": cost, "resident": max(row["resident"] for row in several)}
        rate = statistics.median(row["adverts"] / row["seconds"] for row in several)
        words = f"{name:24} {rate:8,.0f} a second, {cost:6.2f} us each ({cost / base:4.2f} of keepalived's best)"
        words += f", {figure['resident']:5.1f} MiB"
        late = [
            lateness(row["times"], arguments.interval, own_mean=name.startswith("keepalived"))
            for row in several
            if row["times"]
        ]
        if late:
            figure["late"] = [statistics.median(values) for values in zip(*late, strict=True)]
            words += ", late p50 {:.2f} p99 {:.2f} most {:.2f} ms".format(*figure["late"])
        print(words)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--interval", type=float, default=0.01)
    parser.add_argument("--routers", type=int, default=MOST)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    for name in ("role", "source", "backend"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    parser.add_argument("--priority", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        {"router": be_router, "bare": be_bare}[arguments.role](arguments)
        return
    print(f"Python {platform.python_version()}, kernel {platform.release()}")
    figures: Row = {}
    for section in arguments.sections or SECTIONS:
        rows: dict[str, list[Row]] = {}
        for _ in range(arguments.rounds):
            for name, row in SECTIONS[section](arguments):
                print(f"   {name}: {row['adverts']:,} adverts, {row['microseconds']:.2f} us", flush=True)
                rows.setdefault(name, []).append(row)
        figures[section] = show(section, rows, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
