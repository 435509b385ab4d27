"""Other people's VRRP daemons, and our own command, as processes in a host of the lab.

    peer = Keepalived(host, Settings(version=3, priority=200, interval=0.1), use_vmac=True)
    peer.start()
    peer.wait_state("active", 5)
    peer.crash()                      # no priority 0, nothing given back
    assert peer.complaints() == []

Each keeps its files in a directory of the lab, and is signalled by the pids that it was started with.
"""

from __future__ import annotations

import abc
import contextlib
import ipaddress
import json
import os
import re
import shutil
import signal
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from tests.linux.capture import Capture, Frame
from tests.linux.lab import Host
from tests.linux.process import Process, wait_until

ROOT = Path(__file__).parents[2]

ADDRESSES = {4: ("10.77.0.100/24",), 6: ("fe80::5e:51/64", "fd77::100/64")}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A virtual router, in words that every daemon understands."""

    version: int = 3
    family: int = 4
    vrid: int = 51
    priority: int = 100
    interval: float = 1.0
    preempt: bool = True

    @property
    def addresses(self) -> tuple[str, ...]:
        """With prefix lengths."""
        return ADDRESSES[self.family]

    @property
    def service_address(self) -> str:
        """The address that a client would use: the last one, which for IPv6 is the global one."""
        return self.addresses[-1].split("/")[0]

    @property
    def virtual_mac(self) -> str:
        return f"00:00:5e:00:{1 if self.family == 4 else 2:02x}:{self.vrid:02x}"

    @property
    def skew_time(self) -> float:
        """RFC 3768 6.1 and RFC 9568 6.1, in seconds; written here anew, as an observer should."""
        return (256 - self.priority) / 256 * (1.0 if self.version == 2 else self.interval)

    @property
    def active_down_interval(self) -> float:
        return 3 * self.interval + self.skew_time

    def but(self, **changes: Any) -> Settings:
        return replace(self, **changes)


class Daemon(abc.ABC):
    """One daemon with one virtual router on a host's eth0. It may be started again after each end."""

    program: ClassVar[str]
    #: What it says about a packet that it does not like. Losing an election is no complaint.
    complaint: ClassVar[re.Pattern[str]]
    #: The resolution of its timers, in seconds.
    resolution: ClassVar[float] = 0.0

    #: Seconds between questions for its state, which take time from the daemons on a small machine.
    state_pause: ClassVar[float] = 0.01
    #: Its first advert after it became Active does not reach the wire.
    loses_first_advert: bool = False

    def __init__(self, host: Host, settings: Settings) -> None:
        self.host = host
        self.settings = settings
        self.directory = host.lab.directory / f"{host.name}-{type(self).__name__.lower()}-{next(host.lab.counter)}"
        self.directory.mkdir(mode=0o755)
        self.processes: list[Process] = []

    @classmethod
    def missing(cls) -> str | None:
        """Why this daemon cannot be used here, or None."""
        return None if shutil.which(cls.program) else f"{cls.program} is not installed"

    @abc.abstractmethod
    def start(self) -> None:
        """Start it; it may take a while to be ready."""

    @abc.abstractmethod
    def crash(self) -> None:
        """Kill it so that it can tell nobody, and gives nothing back."""

    @abc.abstractmethod
    def state(self) -> str | None:
        """ "initialize", "backup" or "active"; None: not known yet, or not running."""

    def resign(self, timeout: float = 10.0) -> None:
        """SIGTERM, and wait for its end."""
        for process in reversed(self.processes):
            process.terminate()
            process.wait(timeout)

    def die(self) -> None:
        """The whole host dies: the process, and with it the link."""
        self.crash()
        self.host.link_down()

    def revive(self) -> None:
        """After die(): the host boots."""
        self.host.link_up()
        self.start()

    @property
    def log(self) -> str:
        """What it has written since its last start."""
        return "".join(process.log for process in self.processes)

    def complaints(self) -> list[str]:
        """Lines of all its logs, from every start, that tell of a bad packet."""
        lines = []
        for path in sorted(self.directory.glob("*.log")):
            lines += [line for line in path.read_text(errors="replace").splitlines() if self.complaint.search(line)]
        return lines

    def wait_state(self, state: str, timeout: float) -> None:
        wait_until(
            lambda: self.state() == state,
            timeout,
            lambda: f"{state} in {self.program}'s log:\n{self.log}",
            pause=self.state_pause,
        )

    def _spawn(self, name: str, *argv: str, environment: dict[str, str] | None = None) -> Process:
        log = self.directory / f"{next(self.host.lab.counter):03}-{name}.log"
        return self.host.spawn(*argv, log=log, environment=environment)


class Keepalived(Daemon):
    """keepalived, its VRRP process only; use_vmac makes it use a macvlan with the virtual MAC."""

    program = "keepalived"
    complaint = re.compile(
        r"^(?!.*lower priority).*(invalid|bogus|bad |dropp|discard|mismatch|checksum|csum|too short|too long"
        r"|not present|\bttl\b|hop limit|incorrect|unexpected|expect|same priority)",
        re.IGNORECASE,
    )
    _STATES: ClassVar = {"BACKUP": "backup", "MASTER": "active", "FAULT": "initialize"}

    def __init__(self, host: Host, settings: Settings, *, use_vmac: bool = False) -> None:
        super().__init__(host, settings)
        self.use_vmac = use_vmac

    def config(self) -> str:
        s = self.settings
        lines = [
            "global_defs {",
            f"  router_id {self.host.name}",
            "}",
            f"vrrp_instance v{s.vrid} {{",
            f"  version {s.version}",
            f"  state {'MASTER' if s.priority == 255 else 'BACKUP'}",  # else an owner waits, as if it were none
            "  interface eth0",
            *(["  use_vmac"] if self.use_vmac else []),
            f"  virtual_router_id {s.vrid}",
            f"  priority {s.priority}",
            f"  advert_int {s.interval:g}",
            *([] if s.preempt else ["  nopreempt"]),
            "  virtual_ipaddress {",
            *(f"    {address}" for address in s.addresses),
            "  }",
            "}",
        ]
        return "\n".join(lines) + "\n"

    def start(self) -> None:
        config = self.directory / "keepalived.conf"
        config.write_text(self.config())
        pids = [self.directory / "parent.pid", self.directory / "vrrp.pid"]
        for path in pids:
            path.unlink(missing_ok=True)  # a killed one's zombie would pass for a running daemon
        # -P: VRRP only; -R: a VRRP process that dies stays dead; -n -l -D: foreground, log here, in detail
        argv = ["keepalived", "-n", "-l", "-D", "-P", "-R", "-f", str(config)]
        self.processes = [self._spawn("keepalived", *argv, "-p", str(pids[0]), "-r", str(pids[1]))]

    def crash(self) -> None:
        """The VRRP process first: it takes its parent's death for an order to resign."""
        (parent,) = self.processes
        for child in parent.children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        parent.kill()
        parent.wait()

    def state(self) -> str | None:
        entered = re.findall(rf"\(v{self.settings.vrid}\) Entering (\w+) STATE", self.log)
        return self._STATES[entered[-1]] if entered else None


class Frr(Daemon):
    """FRR's zebra and vrrpd. They find their macvlan by its MAC; it has to be there, and it stays."""

    program = "/usr/lib/frr/vrrpd"
    complaint = re.compile(r"invalid|bad |incorrect|does not match|should be|not received", re.IGNORECASE)
    resolution = 0.01
    state_pause = 0.1
    _STATES: ClassVar = {"Initialize": "initialize", "Backup": "backup", "Master": "active"}

    def __init__(self, host: Host, settings: Settings) -> None:
        super().__init__(host, settings)
        self.loses_first_advert = settings.family == 6  # its macvlan has no carrier yet
        shutil.chown(self.directory, "frr", "frr")
        self.macvlan = f"vrrp{settings.family}-2-{settings.vrid}"
        host.ip("link", "add", self.macvlan, "link", "eth0", "address", settings.virtual_mac,
                "type", "macvlan", "mode", "bridge")  # fmt: skip
        host.ip("link", "set", self.macvlan, "addrgenmode", "none")
        for address in settings.addresses:
            host.ip("address", "add", address, "dev", self.macvlan, *(["nodad"] if settings.family == 6 else []))
        host.ip("link", "set", self.macvlan, "up")

    def config(self) -> str:
        s = self.settings
        kind = "ip" if s.family == 4 else "ipv6"
        lines = [
            "interface eth0",
            f"vrrp {s.vrid} version {s.version}",
            f"vrrp {s.vrid} priority {s.priority}",
            f"vrrp {s.vrid} advertisement-interval {round(s.interval * 1000)}",
            *([] if s.preempt else [f"no vrrp {s.vrid} preempt"]),
            *(f"vrrp {s.vrid} {kind} {address.split('/')[0]}" for address in s.addresses),
            "exit",
        ]
        return "\n".join(lines) + "\n"

    def start(self) -> None:
        (self.directory / "zebra.conf").write_text("")
        (self.directory / "vrrpd.conf").write_text("debug vrrp protocol\ndebug vrrp packets\n" + self.config())
        for left in [*self.directory.glob("*.vty"), *self.directory.glob("*.pid"), *self.directory.glob("*.api")]:
            left.unlink()
        self.processes = []
        for name in ("zebra", "vrrpd"):
            argv = [
                f"/usr/lib/frr/{name}",
                *("-z", str(self.directory / "zserv.api")),
                *("-i", str(self.directory / f"{name}.pid")),
                *("--vty_socket", str(self.directory)),
                *("-f", str(self.directory / f"{name}.conf")),
                *("-P", "0", "-u", "frr", "-g", "frr"),
                *("--log", "stdout", "--log-level", "debugging"),
            ]
            self.processes.append(self._spawn(name, *argv))
            wait_until((self.directory / f"{name}.vty").exists, 10, lambda: f"vty:\n{self.log}")

    def crash(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    def state(self) -> str | None:
        shown = self.host.run(
            "vtysh", "--vty_socket", str(self.directory), "-d", "vrrpd", "-c", "show vrrp json", check=False
        )
        try:
            (router,) = json.loads(shown.stdout)
        except ValueError:
            return None
        return self._STATES.get(router[f"v{self.settings.family}"]["status"])


class Ucarp(Daemon):
    """ucarp: CARP, which has VRRP's protocol number and first byte, and nothing else in common with it."""

    program = "ucarp"
    complaint = re.compile(r"bad|invalid|mismatch", re.IGNORECASE)
    password = "not so secret"

    def start(self) -> None:
        s = self.settings
        for name, verb in (("up", "add"), ("down", "del")):
            script = self.directory / f"{name}.sh"
            script.write_text(f"#!/bin/sh\nexec ip address {verb} {s.addresses[0]} dev eth0\n")
            script.chmod(0o755)
        source = next(a.split("/")[0] for a in self.host.addresses if ipaddress.ip_interface(a).version == 4)
        argv = [
            *("ucarp", "-i", "eth0", "-s", source, "-v", str(s.vrid), "-p", self.password),
            *("-a", s.service_address, "-b", str(max(1, round(s.interval))), "-k", str(255 - s.priority)),
            *("-P", "-z", "-D"),  # preempt; run the down script at the end; tell what happens
            *("-u", str(self.directory / "up.sh"), "-d", str(self.directory / "down.sh")),
        ]
        self.processes = [self._spawn("ucarp", *argv)]

    def crash(self) -> None:
        self.processes[0].kill()
        self.processes[0].wait()

    def state(self) -> str | None:
        seen = re.findall(r"Switching to state: (\w+)", self.log)
        return {"INIT": "initialize", "BACKUP": "backup", "MASTER": "active"}[seen[-1]] if seen else None


class Vrrplib(Daemon):
    """Our own router, by the command that a user would type."""

    program = sys.executable
    complaint = re.compile(r'"event": "(discarded|warned|error)"|Traceback|^Error', re.MULTILINE)

    def __init__(self, host: Host, settings: Settings, *options: str) -> None:
        super().__init__(host, settings)
        self.options = options

    def argv(self) -> list[str]:
        s = self.settings
        return [
            *(sys.executable, "-m", "vrrplib", "run", "eth0", "--vrid", str(s.vrid)),
            *(word for address in s.addresses for word in ("--address", address)),
            *("--priority", str(s.priority), "--interval", f"{s.interval:g}", "--version", str(s.version)),
            *([] if s.preempt else ["--no-preempt"]),
            *("--state-dir", str(self.directory), "--json", *self.options),
        ]

    def start(self) -> None:
        self.processes = [self._spawn("vrrplib", *self.argv(), environment={"PYTHONPATH": str(ROOT)})]

    def crash(self) -> None:
        self.processes[0].kill()
        self.processes[0].wait()

    def events(self) -> list[dict[str, Any]]:
        """What it has printed since its last start; a line that is not whole yet is left out."""
        events = []
        for line in self.log.splitlines():
            with contextlib.suppress(ValueError):
                events.append(json.loads(line))
        return events

    def state(self) -> str | None:
        states = [event["new"] for event in self.events() if event["event"] == "state"]
        return states[-1] if states else None


# -- what tshark says --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dissection:
    """A VRRP packet in tshark's view."""

    source: str
    version: int
    vrid: int
    priority: int
    checksum: str  #: "good", "bad" or "unverified"
    warnings: tuple[str, ...] = field(default=())

    @property
    def valid(self) -> bool:
        return self.checksum == "good" and not self.warnings


_CHECKSUM = {"0": "bad", "1": "good", "2": "unverified", "3": "not present"}
_FIELDS = (
    "ip.src", "ipv6.src", "vrrp.version", "vrrp.virt_rtr_id", "vrrp.prio", "vrrp.checksum.status",
    "_ws.expert.message",
)  # fmt: skip


def tshark_missing() -> str | None:
    return None if shutil.which("tshark") else "tshark is not installed"


def dissect(capture: Capture, path: Path, frames: list[Frame], preference: str = "") -> list[Dissection]:
    """What tshark says about the VRRP packets among the frames, IP header and Ethernet included.

    It takes checksums of version 3 over IPv4 with the pseudo-header, unless the preference is
    vrrp.v3_checksum_as_in_v2:TRUE.
    """
    capture.write_pcap(path, frames)
    argv = ["tshark", "-n", "-r", str(path), "-Y", "vrrp", "-o", "ip.check_checksum:TRUE"]
    argv += ["-o", preference] if preference else []
    argv += ["-T", "fields", "-E", "separator=/t", "-E", "aggregator=;", "-E", "occurrence=a"]
    argv += [word for name in _FIELDS for word in ("-e", name)]
    shown = capture.lab.switch.run(*argv, timeout=120).stdout
    packets = []
    for line in shown.splitlines():
        ipv4, ipv6, version, vrid, priority, status, messages = line.split("\t")
        warnings = tuple(message for message in messages.split(";") if message)
        packets.append(Dissection(
            ipv4 or ipv6, int(version), int(vrid), int(priority), _CHECKSUM.get(status, status), warnings
        ))  # fmt: skip
    return packets
