"""Our own virtual routers as a process of a machine, without an interpreter that starts anew.

In emulation Python takes seconds to read what a router needs. A fork of the test's process has it already, and is
a process like any other: it moves into the machine's namespace, and is ended or killed by its pid.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.linux.lab import CLONE_NEWNET
from tests.linux.process import wait_until
from tests.vm.kinds import Machine
from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.base import NetBackend
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.netlink import NetlinkHost
from vrrplib.backends.watch import NetlinkWatch
from vrrplib.drivers.blocking import run as serve
from vrrplib.election.actions import StateChanged
from vrrplib.election.config import RouterConfig
from vrrplib.election.router import Router
from vrrplib.node import Node, Notice
from vrrplib.rules import RFC3768, RFC9568
from vrrplib.transports.packet import PacketTransport

Make = Callable[[str, RouterConfig, NetlinkHost], NetBackend]


@dataclasses.dataclass(frozen=True)
class Technique:
    """A way to answer for a virtual router: a backend with its options."""

    backend: type
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def exclusive(self) -> bool:
        return bool(self.backend.exclusive)

    @property
    def has_virtual_mac(self) -> bool:
        return self.backend is not AnnounceBackend

    def make(self, interface: str, config: RouterConfig, host: NetlinkHost) -> Any:
        return self.backend(interface, config, host=host, **self.options)


TECHNIQUES = {
    "private": Technique(MacvlanBackend),
    "bridge": Technique(MacvlanBackend, {"mode": "bridge"}),
    "xmit_base": Technique(MacvlanBackend, {"xmit_base": True}),
    "standing": Technique(MacvlanBackend, {"standing": True}),
    "macswap": Technique(MacSwapBackend),
    "announce": Technique(AnnounceBackend),
}


@dataclasses.dataclass(frozen=True)
class Virtual:
    """A virtual router, in one version and family."""

    name: str
    version: int
    family: int
    vrid: int
    addresses: tuple[str, ...]
    interval: float

    @property
    def service(self) -> str:
        """What a client would use: the last address, which for IPv6 is the global one."""
        return self.addresses[-1].split("/")[0]

    @property
    def mac(self) -> str:
        return f"00:00:5e:00:0{1 if self.family == 4 else 2}:{self.vrid:02x}"

    def config(self, machine: Machine, priority: int) -> RouterConfig:
        return self.config_from(machine.primary(self.family), priority)

    def config_from(self, primary: str, priority: int) -> RouterConfig:
        return RouterConfig(
            vrid=self.vrid,
            addresses=self.addresses,
            primary_address=primary,
            priority=priority,
            advertisement_interval=self.interval,
            rules=RFC3768 if self.version == 2 else RFC9568,
        )


VIRTUALS = {
    "v2": Virtual("v2", 2, 4, 52, ("10.77.0.102/24",), 1.0),
    "v3-ipv4": Virtual("v3-ipv4", 3, 4, 51, ("10.77.0.101/24",), 0.2),
    "v3-ipv6": Virtual("v3-ipv6", 3, 6, 53, ("fe80::5e:53/64", "fd77::103/64"), 0.2),
}


def enter(machine: Machine) -> None:
    """Move this thread into the machine's namespace."""
    descriptor = os.open(machine.host.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)


def fork(machine: Machine, log: Path, function: Callable[[], None]) -> int:
    """The pid of a process in the machine that does this and ends; its output goes to ``log``."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setsid()
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        enter(machine)
        function()
        status = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


class Speaker:
    """Virtual routers of one machine in one process, by one technique."""

    def __init__(
        self, machine: Machine, technique: Technique, virtuals: tuple[Virtual, ...], priority: int
    ) -> None:
        self.machine = machine
        self.technique = technique
        self.virtuals = virtuals
        self.priority = priority
        self.log_path = machine.lab.directory / f"{machine.host.name}-{next(machine.lab.counter)}.log"
        self._pid: int | None = None

    def start(self) -> Speaker:
        configs = [virtual.config(self.machine, self.priority) for virtual in self.virtuals]
        self._pid = fork(self.machine, self.log_path, lambda: self._serve(configs))
        return self

    def _serve(self, configs: list[RouterConfig]) -> None:
        host = NetlinkHost(state_dir=self.machine.state_dir)
        interface = self.machine.interface
        with NetlinkWatch(interface) as watch, PacketTransport(interface) as transport:
            node = Node(transport, watch=watch)
            for config in configs:
                node.add(Router(config), self.technique.make(interface, config, host))
            serve([node], notify=_tell)

    @property
    def log(self) -> str:
        return self.log_path.read_text() if self.log_path.exists() else ""

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]

    @property
    def changes(self) -> list[tuple[int, str]]:
        """(VRID, new state), in their order."""
        return [(event["vrid"], event["new"]) for event in self.events if "new" in event]

    def reason(self, virtual: Virtual) -> str:
        """Why it changed its state last."""
        return str(
            [event["reason"] for event in self.events if event["vrid"] == virtual.vrid and "new" in event][-1]
        )

    def wait(self, state: str, timeout: float = 60.0) -> Speaker:
        """Until all its virtual routers are in that state."""

        def there() -> bool:
            if self._pid and os.waitpid(self._pid, os.WNOHANG)[0]:
                self._pid = None
                raise AssertionError(f"it has ended:\n{self.log}")
            now = dict(self.changes)
            return all(now.get(virtual.vrid) == state for virtual in self.virtuals)

        wait_until(there, timeout, lambda: f"{state} on {self.machine.host.name}:\n{self.log}", pause=0.1)
        return self

    def end(self) -> None:
        """SIGTERM, and a good end."""
        assert self._signal(signal.SIGTERM) == 0, self.log

    def crash(self) -> None:
        if self._pid:
            assert self._signal(signal.SIGKILL) == -signal.SIGKILL

    def _signal(self, number: int) -> int:
        assert self._pid
        pid, self._pid = self._pid, None
        os.kill(pid, number)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _tell(notice: Notice) -> None:
    event: dict[str, Any] = {"time": notice.time, "vrid": notice.vrid}
    if isinstance(notice.report, StateChanged):
        event |= {"new": str(notice.report.new), "reason": str(notice.report.reason)}
    else:
        event |= {"report": repr(notice.report)}
    os.write(1, json.dumps(event).encode() + b"\n")
