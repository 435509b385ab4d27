"""One cell, measured once: two routers, an observer that pings through them, a fault, and who is Active then."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import json
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.linux.capture import Capture, Frame
from tests.linux.lab import Host, Lab
from tests.linux.process import Process, wait_until
from tests.matrix.cells import Cell
from tests.peers.daemons import Daemon

PINGER = Path(__file__).with_name("pinger.py")
BEHIND = {4: "10.99.0.1", 6: "fd99::1"}
"""On both routers' loopback: what the observer reaches through the virtual address."""
SO_ATTACH_FILTER = 26
PATIENCE = 15.0
QUIET = 0.1
"""Seconds before the fault in which nothing may be lost."""


def run(cell: Cell) -> dict[str, Any]:
    """Measure the cell in a lab of its own. Times in seconds, MACs and hosts by name."""
    with Lab() as lab:
        return Trial(lab, cell).play()


class Trial:
    """The lab of one cell."""

    def __init__(self, lab: Lab, cell: Cell) -> None:
        self.lab = lab
        self.cell = cell
        self.settings = cell.settings
        family = self.settings.family
        self.hosts = {"ours": lab.host("ours", "10.77.0.1/24", "fd77::1/64"),
                      "peer": lab.host("peer", "10.77.0.2/24", "fd77::2/64")}  # fmt: skip
        for host in self.hosts.values():
            host.sysctl("net.ipv6.conf.eth0.accept_ra", 0)  # FRR sends Router Advertisements while Active
            host.ip("address", "add", f"{BEHIND[family]}/{32 if family == 4 else 128}", "dev", "lo")
        self.observer = lab.host("observer", "10.77.0.3/24", "fd77::3/64")
        self.observer.sysctl("net.ipv6.conf.eth0.accept_ra", 0)
        if cell.peer == "frr":
            # Its links are the operator's affair, and the address stands on them in a Backup too: with the kernel's
            # defaults that host answers ARP for it all the time, with its own MAC, and nothing could be measured.
            self.hosts["peer"].sysctl("net.ipv4.conf.eth0.arp_ignore", 1)
        #: For IPv6 the link-local one, as a default route has it; what is pinged is the global one.
        self.gateway = self.settings.addresses[0].split("/")[0]
        self.observer.ip("route", "add", BEHIND[family], "via", self.gateway, "dev", "eth0")
        self.names = {self.settings.virtual_mac: "virtual"} | {h.mac: name for name, h in self.hosts.items()}
        self.daemons = {where: cell.daemon(where, host) for where, host in self.hosts.items()}
        self.failing, self.other = self.daemons[cell.failing], self.daemons[cell.other]
        #: Long enough for three adverts to be missed, and for a start.
        self.patience = 4 * self.settings.interval + 3
        #: So long nothing is done, that what is to come may come; longer than an interval, to see who is silent.
        self.settling = max(0.45, 1.3 * self.settings.interval)

    def play(self) -> dict[str, Any]:
        neighbours = self.observer.spawn("ip", "monitor", "neigh", "dev", "eth0")
        table = self.lab.switch.spawn("bridge", "monitor", "fdb")
        with QuietCapture(self.lab) as self.capture:
            self.start()
            with self.pinging() as ping:
                before = self.lab.fdb(self.settings.virtual_mac)  # the table's monitor tells only of what changes
                time.sleep(QUIET)
                marks = len(neighbours.log.splitlines()), len(table.log.splitlines())
                since = time.monotonic()
                record = self.fail()
                ended = time.monotonic()
            record["pings"] = self.pings(ping, since, ended)
        record["neighbour"] = self.neighbour(neighbours.log.splitlines(), marks[0])
        record["moves"] = self.moves(before, table.log.splitlines()[marks[1] :])
        record["complaints"] = {where: daemon.complaints()[:3] for where, daemon in self.daemons.items()}
        return record

    def start(self) -> None:
        """First the one that is to fail; it becomes Active first too, so that nothing moves before the fault."""
        self.failing.start()
        wait_until(self.has_begun(self.failing), PATIENCE, lambda: f"start:\n{self.failing.log}")
        self.other.start()
        self.advert_of(self.failing, 0.0, PATIENCE)
        self.other.wait_state("backup", PATIENCE)

    def has_begun(self, daemon: Daemon) -> Callable[[], object]:
        if daemon.program != sys.executable:  # they are quick, or (FRR) wait themselves
            return lambda: True
        return lambda: '"event": "start"' in daemon.log

    def advert_of(self, daemon: Daemon, since: float, patience: float) -> Frame:
        return self.capture.wait_for(is_advert, patience, port=daemon.host.name, since=since)

    # -- the fault -----------------------------------------------------------------------------------------

    def fail(self) -> dict[str, Any]:
        """Let it fail, and wait for what comes of it."""
        since = time.monotonic()
        inject(self.cell.fault, self.lab, self.failing, self.other.host)
        record: dict[str, Any] = {"takeover": self.takeover(since)}
        time.sleep(self.settling)
        record["active"] = self.active()
        if self.cell.fault == "stop-cont":
            record["while_stopped"] = record.pop("active")
            since = time.monotonic()
            for pid in pids(self.failing):
                os.kill(pid, signal.SIGCONT)
            with contextlib.suppress(TimeoutError):
                self.advert_of(self.failing, since, self.patience)
            time.sleep(self.settling)
            record["active"] = self.active()
        record["believe"] = {where: self.belief(daemon) for where, daemon in self.daemons.items()}
        return record

    def takeover(self, since: float) -> float | None:
        """From the fault to the other one's first advert; None: there was none."""
        try:
            return round(self.advert_of(self.other, since, self.patience).time - since, 4)
        except TimeoutError:
            return None

    def active(self) -> list[str]:
        """Who advertises, as the switch has seen it during the last interval and a little more."""
        since = time.monotonic() - self.settings.interval - max(0.1, 0.2 * self.settings.interval)
        return sorted({frame.port for frame in self.capture.select(is_advert, since=since)})

    def belief(self, daemon: Daemon) -> str | None:
        """What a router says of itself; None: it says nothing any more."""
        if daemon.processes[-1].returncode is not None:
            return None
        return daemon.state()

    # -- what the observer and the switch see --------------------------------------------------------------

    @contextlib.contextmanager
    def pinging(self) -> Iterator[Process]:
        argv = [
            sys.executable,
            "-I",
            "-S",
            str(PINGER),
            self.settings.service_address,
            BEHIND[self.settings.family],
        ]
        ping = self.observer.spawn(*argv)
        ping.wait_for("ready", 10)
        yield ping
        ping.terminate()
        ping.wait()

    def pings(self, ping: Process, since: float, ended: float) -> dict[str, Any]:
        """Requests lost from the fault on, to the virtual address and through it; longest: seconds, of either."""
        result = json.loads(ping.log.splitlines()[-1])
        found: dict[str, Any] = {"late": round(result["late"], 4), "lost_before": 0, "longest": 0.0}
        for name, address in (("to", self.settings.service_address), ("through", BEHIND[self.settings.family])):
            lost = result["lost"][address]
            found["lost_before"] += sum(1 for time in lost if since - QUIET <= time < since)
            after = [time for time in lost if since <= time <= ended]
            found[name] = len(after)
            found["longest"] = max(found["longest"], longest(after))
        return found

    def neighbour(self, lines: list[str], mark: int) -> dict[str, Any]:
        """What MACs the observer had for the virtual address, and for the gateway where that is another one."""
        found: dict[str, Any] = {}
        for what, address in (("address", self.settings.service_address), ("gateway", self.gateway)):
            seen = [name for at, name in self.neighbour_macs(lines, address) if at >= mark]
            before = [name for at, name in self.neighbour_macs(lines, address) if at < mark]
            found[what] = [name for name, _ in itertools.groupby([*before[-1:], *seen])]
        if self.gateway == self.settings.service_address:
            del found["gateway"]
        return found

    def neighbour_macs(self, lines: list[str], address: str) -> Iterator[tuple[int, str]]:
        for at, line in enumerate(lines):
            words = line.split()
            if "lladdr" not in words or words[0] == "Deleted":
                continue
            if ipaddress.ip_address(words[0]) == ipaddress.ip_address(address):
                mac = words[words.index("lladdr") + 1]
                yield at, self.names.get(mac, mac)

    def moves(self, before: str | None, lines: list[str]) -> int:
        """How often the switch saw the virtual MAC behind another port than before, from the fault on."""
        ports = [before] if before else []
        for line in lines:
            words = line.split()
            if words[:1] == [self.settings.virtual_mac]:
                ports.append(words[words.index("dev") + 1].removeprefix("port-"))
        return sum(1 for old, new in itertools.pairwise(ports) if old != new)


def is_advert(frame: Frame) -> bool:
    advertisement = frame.advertisement
    return advertisement is not None and advertisement.priority > 0


def longest(times: list[float]) -> float:
    """The longest time in which nothing was answered, where requests are lost one after the other."""
    best = start = last = None
    for when in times:
        if last is None or when - last > 0.01:
            start = when
        last = when
        best = max(best or 0.0, when - (start or when))
    return round(best or 0.0, 4)


# -- faults ------------------------------------------------------------------------------------------------


def pids(daemon: Daemon) -> list[int]:
    """All processes of a daemon, parents first."""
    return [pid for process in daemon.processes for pid in (process.pid, *process.children())]


def inject(fault: str, lab: Lab, failing: Daemon, other: Host) -> None:
    """Let the Active one fail. What it does itself at SIGTERM is not waited for."""
    host = failing.host
    match fault:
        case "sigterm":
            for process in reversed(failing.processes):
                process.terminate()
        case "sigkill":
            failing.crash()
        case "port-down":
            lab.unplug(host)
        case "link-down":
            host.link_down()
        case "one-way":
            cut = f'iifname "{host.port}" oifname "{other.port}" drop'
            rules = f"table bridge cut {{ chain c {{ type filter hook forward priority 0; {cut}; }}; }}"
            lab.switch.run("nft", "-f", "-", text=rules + "\n")
        case "stop-cont":
            for pid in pids(failing):
                os.kill(pid, signal.SIGSTOP)
        case _:
            raise ValueError(f"no such fault: {fault}")


# -- a capture without the pings ---------------------------------------------------------------------------


class QuietCapture(Capture):
    """Without echo requests and replies: a thousand a second would take the time that the routers need."""

    def _open(self) -> None:
        super()._open()
        program = _without_echo()
        for packets in self._sockets:
            packets.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program[0])


def _without_echo() -> tuple[bytes, Any]:
    """struct sock_fprog, and the instructions that it points to, which must live as long."""
    import ctypes

    load_half, load_byte, jump, give = 0x28, 0x30, 0x15, 0x06
    code = [
        (load_half, 0, 0, 12),
        (jump, 0, 2, 0x0800),
        (load_byte, 0, 0, 23),
        (jump, 6, 5, 1),  # IPv4: ICMP goes
        (jump, 0, 4, 0x86DD),
        (load_byte, 0, 0, 20),
        (jump, 0, 2, 58),
        (load_byte, 0, 0, 54),
        (jump, 1, 2, 128),  # IPv6: echo request goes, and
        (give, 0, 0, 0xFFFF),
        (give, 0, 0, 0),
        (jump, 0, 1, 129),  # echo reply
        (give, 0, 0, 0),
        (give, 0, 0, 0xFFFF),
    ]
    raw = b"".join(struct.pack("HBBI", *step) for step in code)
    buffer = ctypes.create_string_buffer(raw)
    return struct.pack("HL", len(code), ctypes.addressof(buffer)), buffer
