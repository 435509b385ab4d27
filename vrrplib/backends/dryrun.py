"""What a backend would do, without doing it."""

from __future__ import annotations

from vrrplib.backends.base import NetBackend
from vrrplib.backends.memory import MemoryHost
from vrrplib.backends.operations import Operation
from vrrplib.backends.plan import Host, PlannedBackend, kernel_host
from vrrplib.election.config import RouterConfig
from vrrplib.wire.addresses import MacAddress


class DryRunBackend(NetBackend):
    """Runs the plan of another backend against a copy of the host: reads the real one, changes nothing.

    ``operations`` is what would have been done so far, ``commands`` the same as lines for a root shell (ip(8),
    sysctl(8), nft(8)), and ``undo_commands`` the lines that take it back. ``host`` is the host to read; by default
    the kernel's.
    """

    def __init__(self, backend: PlannedBackend, *, host: Host | None = None) -> None:
        self._copy = MemoryHost(host or backend.host or kernel_host(backend.netns))
        self._backend = backend
        backend.host = self._copy
        self.exclusive = backend.exclusive  # type: ignore[misc]  # a ClassVar of the backends that do it
        self.config = backend.config

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Every operation so far, in order."""
        return tuple(self._copy.performed)

    @property
    def commands(self) -> tuple[str, ...]:
        """The operations as lines for a root shell: ``sh -e`` stops at the first that fails."""
        return tuple(operation.command for operation in self._copy.performed)

    @property
    def undo_commands(self) -> tuple[str, ...]:
        """The lines that give the host back, as `vrrplib cleanup` would after a crash just now.

        They may be pasted also if only some of ``commands`` were, and again: a line whose deed is undone, or that
        somebody has overtaken since, does nothing.
        """
        return tuple(operation.command for operation in self._copy.undo)

    @property
    def advertisement_mac(self) -> MacAddress:
        return self._backend.advertisement_mac

    def prepare(self) -> None:
        self._backend.prepare()
        self.mac = self._backend.mac

    def activate(self) -> None:
        self._backend.activate()
        self.active = True

    def deactivate(self) -> None:
        self._backend.deactivate()
        self.active = False

    def close(self) -> None:
        self._backend.close()
        self.active = False

    def reconfigure(self, config: RouterConfig) -> None:
        self._backend.reconfigure(config)
        self.config = config
