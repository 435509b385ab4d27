"""A host in memory that fails or dies when it is told to, and the backends that are tried on it."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vrrplib.backends.announce import AnnounceBackend
from vrrplib.backends.journal import FileJournal, JournalStore
from vrrplib.backends.macswap import MacSwapBackend
from vrrplib.backends.macvlan import MacvlanBackend
from vrrplib.backends.memory import MemoryHost
from vrrplib.backends.operations import Filter, Operation
from vrrplib.backends.plan import Claim, Host, Journal, Link, PlannedBackend
from vrrplib.election.config import RouterConfig
from vrrplib.errors import BackendError

PHYSICAL = "02:00:00:00:00:01"
BOOT = "6f5f2b9c-this-boot"
V4 = RouterConfig(vrid=51, addresses=("10.77.0.100/24", "10.77.0.101/24"), primary_address="10.77.0.1")
V6 = RouterConfig(vrid=51, addresses=("fe80::51/64", "fd77::100/64"), primary_address="fe80::1")
V4_CLOSED, V6_CLOSED = (dataclasses.replace(config, accept_mode=False) for config in (V4, V6))


class Standing(MacvlanBackend):
    kind = "standing"

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, standing=True, **options)


class DownWhileBackup(MacvlanBackend):
    kind = "down"

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self._has_source_mode = False


class Adopting(MacvlanBackend):
    """Takes a link of the operator's."""

    kind = "adopting"

    def __init__(self, interface, config, **options) -> None:
        super().__init__(interface, config, name=f"operators{config.family}", **options)


BACKENDS = (MacvlanBackend, Standing, Adopting, DownWhileBackup, MacSwapBackend, AnnounceBackend)
CASES = [
    *((kind, config) for kind in BACKENDS for config in (V4, V6)),
    *((MacvlanBackend, V4_CLOSED), (Standing, V6_CLOSED), (AnnounceBackend, V6_CLOSED)),
]
NAMES = [
    f"{kind.kind}-{config.family.name.lower()}" + "-no-accept" * (not config.accept_mode) for kind, config in CASES
]


def memory_host(kind: type[MemoryHost] = MemoryHost) -> MemoryHost:
    """eth0 as the kernel makes it, with addresses of both families, and eth1."""
    host = kind()
    host.add_interface("eth0", PHYSICAL, ["10.77.0.1/24", "10.77.0.2/24", "fe80::1/64", "fd77::1/64"])
    host.add_interface("eth1", "02:00:00:00:01:01", ["10.78.0.1/24", "fe80::1/64"])
    for config, facts in ((V4, {"mode": "bridge"}), (V6, {"mode": "private"})):
        name = f"operators{config.family}"
        addresses = ["10.77.0.50/24", "10.77.0.101/32"] if config is V4 else ["fe80::50/64", "fd77::50/64"]
        host.add_interface(name, str(config.virtual_mac), addresses, kind="macvlan", parent=2, **facts)
        host.add_sysctl(f"net/ipv6/conf/{name}/disable_ipv6", "1" if config is V4 else "0")
    return host


def snapshot(host: MemoryHost) -> dict[str, object]:
    """Everything that a backend may change, and what it may leave behind; a value of 0 is no value."""
    there = {name: link for name, link in host._links.items() if link is not None}
    return {
        "links": {
            name: (link.mac, link.kind, link.identifier, link.mode, link.is_up) for name, link in there.items()
        },
        # of the operator's own links the order counts: the first address is the primary one
        "addresses": {
            name: (set if link.kind == "macvlan" else tuple)(host.addresses(name)) for name, link in there.items()
        },
        "sysctls": {path: value for path, value in host._sysctls.items() if value != "0"},
        "tables": {table: dict(chains) for table, chains in host._tables.items()},
        "claims": dict(host.claims),
        "shared": {index: undo for index, undo in host.shared.items() if undo},
    }


class Killed(BaseException):
    """The process has been killed: nothing that it tries after that happens."""


class TroubledHost:
    """Does the operations of a MemoryHost one by one, and fails at the ``at``-th, counted from 1.

    ``times`` operations fail from there on, with ``error``; a failed operation has done nothing.
    """

    def __init__(
        self, base: MemoryHost, at: int = 0, *, times: int = 1, error: type[BaseException] = BackendError
    ) -> None:
        self.base = base
        self.count = 0
        self.journals: list[Journal] = []
        self._failing = range(at, at + times) if at else range(0)
        self._error = error

    @property
    def failed(self) -> bool:
        return bool(self._failing) and self.count >= self._failing.start

    def link(self, name: str) -> Link | None:
        return self.base.link(name)

    def addresses(self, name: str):
        return self.base.addresses(name)

    def subnets(self, name: str):
        return self.base.subnets(name)

    def stacked(self, name: str):
        return self.base.stacked(name)

    def sysctl(self, path: str) -> str | None:
        return self.base.sysctl(path)

    def claim(self, claim: Claim) -> Journal:
        self.journals.append(self.base.claim(claim))
        return self.journals[-1]

    def together(self):
        return self.base.together()

    def leftovers(self, interface: str):
        return self.base.leftovers(interface)

    def perform(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            self.count += 1
            if self.count in self._failing:
                raise self._error(f"the host refuses {operation.command}")
            self.base.perform((operation,))

    def take_left_alone(self) -> tuple[str, ...]:
        return self.base.take_left_alone()

    def batch(self, operations: Sequence[Operation]) -> Callable[[], None]:
        return functools.partial(self.perform, tuple(operations))

    def probe(self, filters: Sequence[Filter]) -> None:
        self.base.probe(filters)


class JournalledHost(TroubledHost):
    """The same with a real journal, in files."""

    def __init__(self, base: MemoryHost, directory: Path, *args, **options) -> None:
        super().__init__(base, *args, **options)
        self.store = JournalStore(directory, BOOT)

    def claim(self, claim: Claim) -> Journal:
        self.journals.append(self.store.claim(claim, self.base.perform))
        return self.journals[-1]

    def kill(self) -> None:
        """Whatever the process tries from now on does not happen."""

        def locked():
            raise Killed

        self._failing, self._error = range(10**9), Killed
        self.store.locked = locked  # type: ignore[method-assign]

    def die(self) -> None:
        """The kernel closes what the process had open, and with it goes the lock."""
        for journal in self.journals:
            assert isinstance(journal, FileJournal)
            abandon(journal)
        vars(self.store).pop("locked", None)  # others go on


def abandon(journal: FileJournal) -> None:
    """What the death of its process does to a journal."""
    journal._store.forget(journal)
    os.close(journal._descriptor)


def life(backend: PlannedBackend) -> Iterator[Callable[[], None]]:
    """All that a Node ever asks of a backend, step by step."""
    yield backend.prepare
    yield backend.activate
    yield backend.deactivate
    yield backend.activate
    yield backend.close


def length_of_life(kind: type[PlannedBackend], config: RouterConfig) -> int:
    """How many operations there are in a life without trouble."""
    host = TroubledHost(memory_host())
    for step in life(kind("eth0", config, host=host)):
        step()
    return host.count


def through(host: Host, kind: type[PlannedBackend], config: RouterConfig, upto: int) -> PlannedBackend:
    """A backend that has taken the first steps of its life."""
    backend = kind("eth0", config, host=host)
    for step, _ in zip(life(backend), range(upto), strict=False):
        step()
    return backend
