"""What stands in for the host and the network around a Node: backends and a watch that record, and that fail."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import Any, ClassVar

from tests.election.play import ACTIVE, BACKUP, config
from vrrplib.backends.base import HostChange, HostChangeKind, NetBackend, Watch
from vrrplib.election.actions import StateChanged
from vrrplib.election.config import RouterConfig
from vrrplib.election.router import Router
from vrrplib.election.states import Reason, State
from vrrplib.errors import BackendError
from vrrplib.node import Node, Notice
from vrrplib.transports.memory import MemoryTransport
from vrrplib.wire.addresses import virtual_mac
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame, parse
from vrrplib.wire.packets import VRRPv3, decode


class FakeBackend(NetBackend):
    """Records what is asked of it in ``log``; what is named in ``failing`` is refused with ENETDOWN."""

    def __init__(self, of: RouterConfig, log: list[str] | None = None) -> None:
        self.config = of
        self.mac = virtual_mac(of.vrid, of.family)
        self.log: list[str] = [] if log is None else log
        self.failing: set[str] = set()
        self.left: list[str] = []

    def _do(self, what: str) -> None:
        self.log.append(f"{what} {self.config.vrid}")
        if what in self.failing:
            raise BackendError(f"{what} refused", operation=what, errno=errno.ENETDOWN)

    def prepare(self) -> None:
        self._do("prepare")

    def activate(self) -> None:
        self.active = True
        self._do("activate")

    def deactivate(self) -> None:
        self.active = False
        self._do("deactivate")

    def close(self) -> None:
        self._do("close")

    def repair(self, renamed_to: str = "") -> None:
        self._do(" ".join(filter(None, ("repair", renamed_to))))

    def renamed(self, interface: str) -> None:
        self.log.append(f"renamed {interface}")

    def left_alone(self) -> tuple[str, ...]:
        left, self.left = tuple(self.left), []
        return left

    def reconfigure(self, of: RouterConfig) -> None:
        self.config = of
        self._do("reconfigure")


class AloneBackend(FakeBackend):
    exclusive: ClassVar[bool] = True


class BatchBackend(FakeBackend):
    """Prepares and closes many at once, and says how many; one that fails to prepare spoils it for all."""

    batches: ClassVar[list[str]] = []

    @classmethod
    def prepare_all(cls, backends: Iterable[NetBackend]) -> None:
        several = list(backends)
        cls.batches.append(f"prepare {len(several)}")
        if any(isinstance(backend, FakeBackend) and "prepare" in backend.failing for backend in several):
            raise BackendError("prepare refused", operation="prepare")

    @classmethod
    def close_all(cls, backends: Iterable[NetBackend]) -> None:
        cls.batches.append(f"close {len(list(backends))}")


class LoggingTransport(MemoryTransport):
    """A MemoryTransport that writes what it sends into the backends' log, and that can fail."""

    def __init__(self, log: list[str] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.log: list[str] = [] if log is None else log
        self.datagrams: list[Datagram] = []
        self.failing = False

    def send(self, frame: bytes) -> None:
        self._may_fail()
        super().send(frame)
        self.log.append(describe(frame))

    def send_datagram(self, datagram: Datagram) -> None:
        self._may_fail()
        self.datagrams.append(datagram)
        self.log.append(f"to {datagram.destination} {datagram.payload[1]} {datagram.payload[2]}")

    def reopen(self) -> None:
        self._may_fail()
        self.log.append("reopen")

    def _may_fail(self) -> None:
        if self.failing:
            raise BackendError("mem0: cannot send", operation="send", errno=errno.ENOBUFS)


class FakeWatch(Watch):
    """Tells what is in ``changes``."""

    def __init__(self) -> None:
        self.changes: list[HostChange] = []
        self.followed: list[NetBackend] = []
        self.reading, self.writing = os.pipe()

    def add(self, kind: HostChangeKind, message: str = "", **more: Any) -> None:
        self.changes.append(HostChange(kind, message, **more))

    def follow(self, backend: NetBackend) -> None:
        self.followed.append(backend)

    def forget(self, backend: NetBackend) -> None:
        self.followed.remove(backend)

    def fileno(self) -> int:
        return self.reading

    def read(self) -> tuple[HostChange, ...]:
        changes, self.changes = tuple(self.changes), []
        return changes

    def close(self) -> None:
        os.close(self.reading)
        os.close(self.writing)


def describe(frame: bytes) -> str:
    """``advert VRID PRIORITY``, or ``announce``."""
    datagram = parse(frame)
    if datagram is None:
        return "announce"
    packet = decode(datagram.payload, source=datagram.source, destination=datagram.destination)
    return f"advert {packet.vrid} {packet.priority}"


def rival_frame(
    priority: int = 200, *, vrid: int = 1, source: str = "192.0.2.3", ttl: int = 255, interval: int = 100
) -> bytes:
    """The advert of another router with the addresses of ``config()``."""
    packet = VRRPv3(
        vrid=vrid, priority=priority, addresses=["192.0.2.100", "192.0.2.101"], max_advertise_interval=interval
    )
    payload = packet.encode(source, "224.0.0.18")
    return advertisement_frame(Datagram(payload, source, "224.0.0.18", ttl), virtual_mac(vrid))


def states(notices: Iterable[Notice]) -> list[tuple[State, State, Reason]]:
    """(old, new, reason) of each change."""
    return [
        (notice.report.old, notice.report.new, notice.report.reason)
        for notice in notices
        if isinstance(notice.report, StateChanged)
    ]


class Rig:
    """A Node on a MemoryTransport with Routers on fake backends; ``log`` has all that was done, in order."""

    def __init__(
        self, *configs: RouterConfig, backend: type[FakeBackend] = FakeBackend, watch: Watch | None = None
    ) -> None:
        self.log: list[str] = []
        self.transport = LoggingTransport(self.log)
        self.node = Node(self.transport, watch=watch)
        self.routers: list[Router] = []
        self.backends: list[FakeBackend] = []
        for of in configs or (config(),):
            self.add(of, backend)

    @property
    def router(self) -> Router:
        return self.routers[0]

    @property
    def backend(self) -> FakeBackend:
        return self.backends[0]

    def add(self, of: RouterConfig, backend: type[FakeBackend] = FakeBackend) -> None:
        made = Router(of), backend(of, self.log)
        self.node.add(*made)
        self.routers.append(made[0])
        self.backends.append(made[1])

    def take_log(self) -> list[str]:
        log, self.log[:] = self.log.copy(), []
        return log


def active(*configs: RouterConfig, **options: Any) -> Rig:
    """Everybody Active at 10.0, the log empty."""
    rig = Rig(*configs, **options)
    rig.node.start(0.0)
    for router in rig.routers:
        if router.state is BACKUP:
            router._timer_at = 10.0
    rig.node.step(10.0)
    assert {router.state for router in rig.routers} == {ACTIVE}
    rig.take_log()
    return rig
