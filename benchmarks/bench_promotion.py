"""From the timer to the last gratuitous ARP that a neighbour sees: what does a promotion cost on this host?

    python benchmarks/bench_promotion.py [--rounds 40] [--addresses 1 --addresses 50] [--ipv6] [--json FILE]

A virtual router with 1, 20 and 50 addresses on a macvlan becomes Active, in turn by

    vrrplib      Node.step when the timer is due: journal, netlink, advertisement, announcements
    standing     the same with MacvlanBackend(standing=True), whose addresses are there already
    floor        a bare loop that sends the very bytes that vrrplib sent, made before: no journal, no state machine
    floor, standing    the same for the other
    ip -batch    ip(8) in one process, then the floor's frames
    pyroute2     its addr() for each address and its link(), then the floor's frames
    vrrplib run  the command as a process, from what RFC 9568 6.1 prescribes after a priority 0
    keepalived   the same with keepalived's use_vmac

and each has its turn in every round, after a pause and in no order, so that all meet the same noise and equally
cold caches. The time is the kernel's at the neighbour's interface, when every address has been announced once with
the virtual MAC. Needs root, ip(8) and for the last one keepalived. Asserts nothing: times are a machine's.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import inspect
import json
import os
import platform
import random
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from pyroute2 import IPRoute

from tests.linux.lab import Host, Lab
from tests.peers.daemons import Daemon, Keepalived, Settings, Vrrplib
from vrrplib import Datagram, MacvlanBackend, Node, PacketTransport, Router, RouterConfig, VRRPv3
from vrrplib.backends.netlink import NetlinkHost
from vrrplib.election.events import Shutdown, Startup
from vrrplib.wire.announcements import parse_announcement
from vrrplib.wire.frames import advertisement_frame

SO_TIMESTAMPNS = 35
PLAYED_PRIORITY, PRIORITY = 255, 254
INTERVAL = 10.0  # a Backup that has heard one advertisement stays it for a round, and says nothing as Active
PAUSE = 0.02
PATIENCE = 0.4  # seconds after which a promotion must have been seen


@dataclasses.dataclass(frozen=True, kw_only=True)
class Many(Settings):
    """A virtual router with as many addresses as one likes."""

    count: int = 1

    @property
    def addresses(self) -> tuple[str, ...]:
        if self.family == 4:
            return tuple(f"10.77.{self.vrid}.{number}/16" for number in range(1, self.count + 1))
        host = (f"fd77::{self.vrid:x}:{number:x}/64" for number in range(1, self.count))
        return (f"fe80::5e:{self.vrid:x}/64", *host)


class Neighbour:
    """Another host on the LAN, that notes who announces which address, and when."""

    def __init__(self, host: Host) -> None:
        self._packets = host.call(self._open)

    @staticmethod
    def _open() -> socket.socket:
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        packets.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        packets.bind(("eth0", 0x0003))
        packets.setblocking(False)
        return packets

    def forget(self) -> None:
        """All that has come until now."""
        for _ in self._frames():
            pass

    def complete(self, settings: Settings, *, wait: float = 0.0) -> int | None:
        """When the last of the addresses was announced with the virtual MAC: nanoseconds of the wall clock."""
        missing = {address.split("/")[0] for address in settings.addresses}
        last, end = 0, time.monotonic() + wait
        while missing:
            for stamp, frame in self._frames():
                seen = parse_announcement(frame)
                if seen and str(seen.mac) == settings.virtual_mac and str(seen.address) in missing:
                    missing.discard(str(seen.address))
                    last = max(last, stamp)
            if missing and time.monotonic() > end:
                return None
            if missing:
                time.sleep(0.002)
        return last

    def send(self, frame: bytes) -> None:
        self._packets.send(frame)

    def _frames(self) -> list[tuple[int, bytes]]:
        frames = []
        while True:
            try:
                data, extra, _, _ = self._packets.recvmsg(2048, 64)
            except BlockingIOError:
                return frames
            for level, kind, value in extra:
                if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                    seconds, nanoseconds = struct.unpack("=qq", value[:16])
                    frames.append((seconds * 10**9 + nanoseconds, data))


class Contender:
    """One way to become Active; ``promote`` returns when its timer fired, in nanoseconds of the wall clock."""

    wait = 0.0

    def __init__(self, host: Host, settings: Many) -> None:
        self.host, self.settings = host, settings

    def promote(self) -> int:
        raise NotImplementedError

    def demote(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


class Ours(Contender):
    """A Node; its clock is ours, so that the timer fires when we say."""

    def __init__(self, host: Host, settings: Many, state_dir: Path, **options: bool) -> None:
        super().__init__(host, settings)
        primary = host.link_local() if settings.family == 6 else host.addresses[0].split("/")[0]
        config = RouterConfig(
            vrid=settings.vrid, priority=PRIORITY, addresses=settings.addresses, primary_address=primary
        )
        self.kernel = NetlinkHost(host.namespace, state_dir=state_dir)
        self.transport = PacketTransport("eth0", netns=host.namespace)
        self.backend = MacvlanBackend("eth0", config, host=self.kernel, **options)
        self.router = Router(config)
        self.node = Node(self.transport)
        self.node.add(self.router, self.backend)
        self.now = 0.0
        self.node.start(self.now)

    def promote(self) -> int:
        due = self.router.deadline
        assert due is not None
        self.now = due
        fired = time.time_ns()
        self.node.step(due)
        return fired

    def demote(self) -> None:
        self.node.handle(self.router, Shutdown(), self.now)
        self.node.handle(self.router, Startup(), self.now)

    def close(self) -> None:
        self.node.stop(self.now)
        self.transport.close()
        self.kernel.close()


class Tap:
    """Stands before a socket, and keeps what is sent."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.sent = inner, []

    def send(self, data: bytes) -> int:
        self.sent.append(bytes(data))
        return self.inner.send(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Floor(Contender):
    """The bytes that ours sent, and nothing else."""

    def __init__(self, host: Host, settings: Many, state_dir: Path, **options: bool) -> None:
        super().__init__(host, settings)
        self.ours = ours = Ours(host, settings, state_dir, **options)
        netlink, packets = ours.kernel._open(), ours.transport
        self.netlink_tap, self.packet_tap = Tap(netlink._socket), Tap(packets._packets)
        netlink._socket, packets._packets = self.netlink_tap, self.packet_tap
        ours.promote()
        self.messages, self.frames = tuple(self.netlink_tap.sent), tuple(self.packet_tap.sent)
        self.netlink_tap.sent.clear()
        ours.demote()
        self.demotion = tuple(self.netlink_tap.sent)
        netlink._socket, packets._packets = self.netlink_tap.inner, self.packet_tap.inner
        self.sysctl = f"/proc/sys/net/ipv6/conf/{ours.backend._own_link}/disable_ipv6"
        self.ipv6 = host.call(os.open, self.sysctl, os.O_WRONLY) if settings.family == 6 else -1
        self.netlink, self.packets = netlink._socket, packets._packets

    def promote(self) -> int:
        netlink, packets, frames = self.netlink, self.packets, self.frames
        fired = time.time_ns()
        if self.ipv6 >= 0:
            os.write(self.ipv6, b"0")
        for message in self.messages:
            netlink.send(message)
        for frame in frames:
            packets.send(frame)
        return fired

    def demote(self) -> None:
        self._drain()
        for message in self.demotion:
            self.netlink.send(message)
        if self.ipv6 >= 0:
            os.pwrite(self.ipv6, b"1", 0)
            os.lseek(self.ipv6, 0, os.SEEK_SET)
        self._drain()

    def _drain(self) -> None:
        while True:
            try:
                answer = self.netlink.recv(1 << 16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            number = struct.unpack_from("=i", answer, 16)[0]
            if struct.unpack_from("=H", answer, 4)[0] == 2 and number:
                raise OSError(-number, os.strerror(-number))

    def close(self) -> None:
        if self.ipv6 >= 0:
            os.close(self.ipv6)
        self.ours.close()


class IpBatch(Floor):
    """ip(8) with all of its commands at once."""

    def __init__(self, host: Host, settings: Many, state_dir: Path) -> None:
        super().__init__(host, settings, state_dir)
        link = self.ours.backend._own_link
        nodad = " nodad preferred_lft 0" if settings.family == 6 else ""
        lines = [f"address replace {address} dev {link} noprefixroute{nodad}" for address in settings.addresses]
        lines.append(f"link set dev {link} type macvlan mode private")
        self.file = state_dir / f"batch-{settings.vrid}"
        self.file.write_text("\n".join(lines) + "\n")

    def promote(self) -> int:
        fired = time.time_ns()
        if self.ipv6 >= 0:
            os.write(self.ipv6, b"0")
        subprocess.run(["ip", "-n", self.host.namespace, "-batch", str(self.file)], check=True)
        for frame in self.frames:
            self.packets.send(frame)
        return fired

    def close(self) -> None:
        self.file.unlink()
        super().close()


class Pyroute2(Floor):
    """A script as pyroute2's documentation would have it."""

    def __init__(self, host: Host, settings: Many, state_dir: Path) -> None:
        super().__init__(host, settings, state_dir)
        self.route = IPRoute(netns=host.namespace, flags=0)
        (self.index,) = self.route.link_lookup(ifname=self.ours.backend._own_link)

    def promote(self) -> int:
        fired = time.time_ns()
        if self.ipv6 >= 0:
            os.write(self.ipv6, b"0")
        for address in self.settings.addresses:
            value, length = address.split("/")
            self.route.addr("replace", index=self.index, address=value, prefixlen=int(length))
        self.route.link("set", index=self.index, kind="macvlan", macvlan_mode="private")
        for frame in self.frames:
            self.packets.send(frame)
        return fired

    def close(self) -> None:
        self.route.close()
        super().close()


class Process(Contender):
    """A daemon that has been told that the Active router resigns; its timer fires skew_time later."""

    wait = PATIENCE

    def __init__(self, host: Host, settings: Many, daemon: Daemon, neighbour: Neighbour) -> None:
        super().__init__(host, settings)
        self.neighbour = neighbour
        self.frames = {priority: self._frame(priority) for priority in (PLAYED_PRIORITY, 0)}
        self.daemon = daemon
        daemon.start()
        self._keep_backup(lambda: daemon.state() == "backup")

    def _frame(self, priority: int) -> bytes:
        settings = self.settings
        source, group = ("10.77.0.2", "224.0.0.18") if settings.family == 4 else ("fe80::2", "ff02::12")
        packet = VRRPv3(
            vrid=settings.vrid,
            priority=priority,
            addresses=[address.split("/")[0] for address in settings.addresses],
            max_advertise_interval=round(settings.interval * 100),
        )
        datagram = Datagram(packet.encode(source, group), source, group, 255)
        return advertisement_frame(datagram, "02:00:00:00:00:99")

    def _keep_backup(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + 20
        while True:  # at least once: what the daemon says of itself comes later than what it does
            self.neighbour.send(self.frames[PLAYED_PRIORITY])
            time.sleep(0.05)
            if done():
                return
            if time.monotonic() > end:
                raise TimeoutError(f"no Backup:\n{self.daemon.log}")

    def promote(self) -> int:
        told = time.time_ns()
        self.neighbour.send(self.frames[0])
        return told + round(self.settings.skew_time * 1e9)

    def demote(self) -> None:
        self._keep_backup(lambda: self.daemon.state() == "backup")

    def close(self) -> None:
        self.daemon.resign()


def contenders(lab: Lab, family: int, count: int, neighbour: Neighbour, state_dir: Path) -> dict[str, Contender]:
    numbers = iter(range(11, 100))

    def settings() -> Many:
        return Many(family=family, vrid=next(numbers), count=count, priority=PRIORITY, interval=INTERVAL)

    test = lab.hosts["test"]
    found: dict[str, Contender] = {
        "vrrplib": Ours(test, settings(), state_dir),
        "floor": Floor(test, settings(), state_dir),
    }
    if "standing" in inspect.signature(MacvlanBackend).parameters:
        found["standing"] = Ours(test, settings(), state_dir, standing=True)
        found["floor, standing"] = Floor(test, settings(), state_dir, standing=True)
    found["ip -batch"] = IpBatch(test, settings(), state_dir)
    found["pyroute2"] = Pyroute2(test, settings(), state_dir)
    own = settings()
    run = Vrrplib(lab.hosts["run"], own, "--state-dir", str(state_dir / "run"))
    found["vrrplib run"] = Process(lab.hosts["run"], own, run, neighbour)
    if not Keepalived.missing():
        theirs = settings()
        keepalived = Keepalived(lab.hosts["theirs"], theirs, use_vmac=True)
        found["keepalived"] = Process(lab.hosts["theirs"], theirs, keepalived, neighbour)
    return found


@dataclasses.dataclass
class Result:
    contender: str
    family: int
    addresses: int
    milliseconds: list[float]
    unseen: int = 0


def measure(family: int, count: int, rounds: int) -> list[Result]:
    state_dir = Path(tempfile.mkdtemp(prefix="bench-promotion-", dir="/run"))  # where the journal usually lies
    try:
        with Lab() as lab:
            for number, name in enumerate(("test", "peer", "run", "theirs"), start=1):
                lab.host(name, f"10.77.0.{number}/16", f"fd77::{number}/64")
            neighbour = Neighbour(lab.hosts["peer"])
            found = contenders(lab, family, count, neighbour, state_dir)
            results = {name: Result(name, family, count, []) for name in found}
            gc.collect()
            gc.freeze()
            for at in range(rounds + 1):
                for name, contender in random.sample(sorted(found.items()), len(found)):
                    time.sleep(PAUSE)
                    neighbour.forget()
                    fired = contender.promote()
                    seen = neighbour.complete(contender.settings, wait=contender.wait)
                    contender.demote()
                    if at == 0:
                        continue  # the first time everything is cold
                    if seen is None:
                        results[name].unseen += 1
                    else:
                        results[name].milliseconds.append((seen - fired) / 1e6)
            for contender in found.values():
                contender.close()
        return list(results.values())
    finally:
        shutil.rmtree(state_dir, ignore_errors=True)


def show(results: Sequence[Result]) -> None:
    print("From the timer to the last announcement seen, milliseconds")
    print(f"{'family':>6} {'addresses':>9}  {'':<16}{'least':>8}{'median':>8}{'p90':>8}{'most':>8}  to the floor")
    for result in results:
        values = sorted(result.milliseconds)
        if not values:
            print(f"{result.family:>6} {result.addresses:>9}  {result.contender:<16} not seen")
            continue
        name = "floor, standing" if result.contender == "standing" else "floor"
        floors = [each for each in results if (each.contender, each.family, each.addresses)
                  == (name, result.family, result.addresses)]  # fmt: skip
        floor = statistics.median(floors[0].milliseconds)
        median = statistics.median(values)
        unseen = f", {result.unseen} not seen" if result.unseen else ""
        print(
            f"{result.family:>6} {result.addresses:>9}  {result.contender:<16}{values[0]:>8.3f}{median:>8.3f}"
            f"{values[int(len(values) * 0.9)]:>8.3f}{values[-1]:>8.3f}  x {median / floor:.2f}, "
            f"{median - floor:+.3f} ms{unseen}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--addresses", type=int, action="append", help="again for more; default: 1, 20 and 50")
    parser.add_argument("--ipv6", action="store_true", help="IPv6 instead of IPv4")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value there")
    options = parser.parse_args()
    load = os.getloadavg()
    results = []
    for count in options.addresses or (1, 20, 50):
        results += measure(6 if options.ipv6 else 4, count, options.rounds)
    print(f"load before {load[0]:.1f}, after {os.getloadavg()[0]:.1f}, on {os.cpu_count()} cores")
    show(results)
    if options.json:
        machine = {"python": platform.python_version(), "kernel": platform.release(), "cores": os.cpu_count()}
        values = {"machine": machine, "load": load, "results": [dataclasses.asdict(result) for result in results]}
        options.json.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()
