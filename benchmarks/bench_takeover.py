"""How long after an Active router's last advertisement does the next one take over? Ours beside keepalived.

    python benchmarks/bench_takeover.py [--runs 20] [--interval 0.01 --interval 1] [--json FILE]

VRRPv3 over IPv4, both with a macvlan that has the virtual MAC. In a lab of namespaces the Active router is played
by this program: it advertises priority 200, then falls silent (a crash) or says priority 0 (a resignation). The
router under test, priority 100, has run as Backup all the while. Measured with the kernel's time stamps at the
switch's ports: from the last advertisement that it heard to its first, and to its first gratuitous ARP, less what
RFC 9568 6.1 prescribes. Blocks of runs with ours and with keepalived alternate, so that both meet the same noise.

Then each is Active for ten seconds at 10 ms, three times in turn: how long is an interval, on average and at worst?
Needs root, ip(8) and keepalived. Asserts nothing: times are a machine's.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import platform
import random
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.linux.capture import Capture
from tests.linux.lab import Host, Lab
from tests.peers.daemons import Daemon, Keepalived, Settings, Vrrplib
from vrrplib import Datagram, VRRPv3, advertisement_frame, virtual_mac

ACTIVE_PRIORITY = 200
CAUSES = ("crash", "resignation")
CADENCE_INTERVAL = 0.01
MARGIN = 0.06  # seconds that a takeover may be late and still be seen
BLOCK = 5  # runs with one router before it is the other's turn

CONTENDERS: dict[str, Callable[[Host, Settings], Daemon]] = {
    "vrrplib": Vrrplib,
    "keepalived": lambda host, settings: Keepalived(host, settings, use_vmac=True),
}


class Player(threading.Thread):
    """The Active router: advertises on a host's eth0 while ``speaking``."""

    def __init__(self, host: Host, settings: Settings) -> None:
        super().__init__(daemon=True)
        self._frames = {priority: self._frame(host, settings, priority) for priority in (ACTIVE_PRIORITY, 0)}
        self._interval = settings.interval
        self._socket = host.call(self._open)
        self._speaking = threading.Event()
        self._silence = threading.Lock()
        self._ended = False
        self.start()

    @staticmethod
    def _open() -> socket.socket:
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        packets.bind(("eth0", 0))
        return packets

    @staticmethod
    def _frame(host: Host, settings: Settings, priority: int) -> bytes:
        source, group = host.addresses[0].split("/")[0], "224.0.0.18"
        packet = VRRPv3(
            vrid=settings.vrid,
            priority=priority,
            addresses=[address.split("/")[0] for address in settings.addresses],
            max_advertise_interval=round(settings.interval * 100),
        )
        datagram = Datagram(packet.encode(source, group), source, group, 255)
        return advertisement_frame(datagram, virtual_mac(settings.vrid))

    def run(self) -> None:
        due = time.monotonic()
        while not self._ended:
            self._speaking.wait()
            due = max(due + self._interval, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
            with self._silence:
                if self._speaking.is_set():
                    self._socket.send(self._frames[ACTIVE_PRIORITY])

    def speak(self) -> None:
        """Be Active, at once."""
        self._socket.send(self._frames[ACTIVE_PRIORITY])
        self._speaking.set()

    def die(self, cause: str) -> None:
        """Nothing is sent after this has returned."""
        with self._silence:
            self._speaking.clear()
            if cause == "resignation":
                self._socket.send(self._frames[0])

    def end(self) -> None:
        self._ended = True
        self._speaking.set()
        self.join()
        self._socket.close()


@dataclass
class Takeovers:
    """What one router did in one situation; milliseconds beyond theory."""

    contender: str
    interval: float
    cause: str
    theory: float
    advert: list[float] = field(default_factory=list)
    gratuitous: list[float] = field(default_factory=list)
    spoilt: int = 0

    def take(self, capture: Capture, settings: Settings) -> None:
        last = max((frame.time for frame in capture.advertisements(port="peer")), default=None)
        adverts = capture.advertisements(port="test")
        arps = capture.gratuitous(settings.service_address, port="test", since=last or 0)
        # An advert too early: it was not Backup, for this machine kept the Active one from speaking.
        if last is None or not adverts or adverts[0].time < last or not arps:
            self.spoilt += 1
            return
        self.advert.append((adverts[0].time - last) * 1000 - self.theory)
        self.gratuitous.append((arps[0].time - last) * 1000 - self.theory)


def one_run(lab: Lab, player: Player, settings: Settings, result: Takeovers) -> None:
    """From a Backup that hears its Active router, through that one's death, to the next Backup."""
    player.speak()
    time.sleep(max(0.1, 3 * settings.interval) * random.uniform(1.0, 1.3))
    with lab.capture() as capture:
        time.sleep(settings.interval * random.uniform(2.0, 3.0))
        player.die(result.cause)
        time.sleep(result.theory / 1000 + MARGIN)
    result.take(capture, settings)


def measure(interval: float, runs: int) -> list[Takeovers]:
    settings = Settings(version=3, interval=interval)
    theories = {"crash": settings.active_down_interval * 1000, "resignation": settings.skew_time * 1000}
    results = {
        (name, cause): Takeovers(name, interval, cause, theories[cause]) for name in CONTENDERS for cause in CAUSES
    }
    done = 0
    while done < runs:
        block = min(BLOCK, runs - done)
        for name, make in CONTENDERS.items():
            with Lab() as lab:
                test, peer = lab.host("test", "10.77.0.1/24"), lab.host("peer", "10.77.0.2/24")
                player = Player(peer, settings)
                player.speak()
                contender = make(test, settings)
                contender.start()
                contender.wait_state("backup", 20)
                for _ in range(block):
                    for cause in CAUSES:
                        one_run(lab, player, settings, results[name, cause])
                player.end()
                contender.resign()
        done += block
        print(f"  {interval:g} s: {done} of {runs}", file=sys.stderr)
    return list(results.values())


@dataclass
class Cadence:
    """The intervals between a router's own advertisements, in milliseconds, and its CPU time for each.

    ``deviation`` is what their mean is off by, in percent: the error of the router's clock and, on a busy machine,
    the advertisements that it had to miss.
    """

    contender: str
    count: int
    mean: float
    deviation: float
    p1: float
    p99: float
    worst: float
    cpu_per_advert_us: float


def cpu_seconds(daemon: Daemon) -> float:
    pids = [process.pid for process in daemon.processes]
    pids += [child for process in daemon.processes for child in process.children()]
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def cadence(name: str, seconds: float) -> Cadence:
    settings = Settings(version=3, interval=CADENCE_INTERVAL)
    with Lab() as lab:
        contender = CONTENDERS[name](lab.host("test", "10.77.0.1/24"), settings)
        contender.start()
        contender.wait_state("active", 20)
        time.sleep(0.5)
        with lab.capture() as capture:
            before = cpu_seconds(contender)
            time.sleep(seconds)
            used = cpu_seconds(contender) - before
        times = [frame.time for frame in capture.advertisements(port="test")]
        contender.resign()
    gaps = sorted((after - before) * 1000 for before, after in itertools.pairwise(times))
    mean = statistics.mean(gaps)
    return Cadence(
        name,
        len(times),
        mean,
        (mean / (CADENCE_INTERVAL * 1000) - 1) * 100,
        gaps[len(gaps) // 100],
        gaps[-len(gaps) // 100],
        gaps[-1],
        used / len(times) * 1e6,
    )


# -- what is printed --


def show_takeovers(results: list[Takeovers]) -> None:
    print("Takeover, milliseconds beyond theory: median (least, most)")
    print(f"{'interval':>8} {'cause':<12}{'theory':>8}  {'router':<11}{'runs':>5}  {'first advert':<24}first GARP")
    for result in results:
        runs = f"{len(result.advert)}" + (f" (+{result.spoilt} spoilt)" if result.spoilt else "")
        print(
            f"{result.interval:>8g} {result.cause:<12}{result.theory:>8.1f}  {result.contender:<11}{runs:>5}  "
            f"{spread(result.advert):<24}{spread(result.gratuitous)}"
        )
    print()
    print("keepalived's median over ours: first advert, first GARP")
    ours = {(r.interval, r.cause): r for r in results if r.contender == "vrrplib"}
    for theirs in results:
        if theirs.contender == "vrrplib":
            continue
        own = ours[theirs.interval, theirs.cause]
        if own.advert and theirs.advert:
            pairs = ((theirs.advert, own.advert), (theirs.gratuitous, own.gratuitous))
            ratios = "  ".join(f"{statistics.median(a) / statistics.median(b):6.2f}" for a, b in pairs)
            print(f"{theirs.interval:>8g} {theirs.cause:<12}{ratios}")


def spread(values: list[float]) -> str:
    if not values:
        return "none"
    return f"{statistics.median(values):.2f} ({min(values):.2f}, {max(values):.2f})"


def show_cadence(results: list[Cadence]) -> None:
    print()
    print("Cadence at 10 ms")
    print("router      adverts   mean ms  off by %     1 %    99 %   worst  CPU us")
    for r in results:
        print(
            f"{r.contender:<11}{r.count:>8}{r.mean:>10.4f}{r.deviation:>+10.3f}{r.p1:>8.2f}{r.p99:>8.2f}"
            f"{r.worst:>8.2f}{r.cpu_per_advert_us:>8.0f}"
        )


def as_json(takeovers: list[Takeovers], cadences: list[Cadence]) -> dict[str, Any]:
    machine = {"python": platform.python_version(), "kernel": platform.release(), "cores": os.cpu_count()}
    return {
        "machine": machine,
        "unit": "milliseconds",
        "takeovers": [
            asdict(result)
            | {
                f"{name}_median": statistics.median(values)
                for name, values in (("advert", result.advert), ("gratuitous", result.gratuitous))
                if values
            }
            for result in takeovers
        ],
        "cadence": [asdict(result) for result in cadences],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, help="for each router, interval and cause; default: 20, 10 and 5")
    parser.add_argument("--interval", type=float, action="append", help="seconds; again for more")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the measurement of cadence; 0: none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value there")
    options = parser.parse_args()
    if missing := Keepalived.missing():
        print(f"without keepalived: {missing}", file=sys.stderr)
        del CONTENDERS["keepalived"]
    gc.freeze()
    takeovers: list[Takeovers] = []
    for interval in options.interval or (0.01, 0.1, 1.0):
        usual = 20 if interval < 0.1 else 10 if interval < 1 else 5
        takeovers += measure(interval, options.runs or usual)
    cadences = [cadence(name, options.seconds) for _ in range(3) for name in CONTENDERS if options.seconds]
    show_takeovers(takeovers)
    show_cadence(cadences)
    if options.json:
        options.json.write_text(json.dumps(as_json(takeovers, cadences), indent=1) + "\n")


if __name__ == "__main__":
    main()
