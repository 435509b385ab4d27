"""The seam between election and host: :class:`NetBackend`, and :class:`Watch` for what the host does by itself."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import enum
from collections.abc import Iterable
from types import TracebackType
from typing import ClassVar, Self

from vrrplib.election.config import RouterConfig
from vrrplib.errors import BackendError
from vrrplib.wire.addresses import IPInterface, MacAddress


@dataclasses.dataclass(frozen=True, slots=True)
class ExpectedLink:
    """What a backend relies on, of a link of its own or (``name`` None) of the parent.

    ``mac`` None is any; ``addresses`` must be among those that the link has. Without ``is_up`` it may be down.
    """

    name: str | None
    mac: MacAddress | None = None
    addresses: tuple[IPInterface, ...] = ()
    is_up: bool = False


class NetBackend(abc.ABC):
    """How this host starts and stops answering for one virtual router.

    Every method may be called again; all raise BackendError only. ``deactivate`` works after half an ``activate``
    too. ``mac`` is known after ``prepare``. Also a context manager that closes at the end.
    """

    exclusive: ClassVar[bool] = False
    """True: a Node refuses a second virtual router on the interface."""

    config: RouterConfig
    mac: MacAddress
    """What ARP, neighbour discovery and their frames say, after ``prepare``."""
    active: bool = False
    """Whether ``activate`` was called, also in vain, and ``deactivate`` has not been since."""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Create what must exist before the first frame is sent."""

    @abc.abstractmethod
    def activate(self) -> None:
        """Answer for the virtual MAC and addresses (RFC 9568 6.4.3)."""

    @abc.abstractmethod
    def deactivate(self) -> None:
        """Stop answering (RFC 9568 6.4.2)."""

    @abc.abstractmethod
    def close(self) -> None:
        """Leave the host as ``prepare`` found it."""

    @property
    def advertisement_mac(self) -> MacAddress:
        """The Ethernet source of advertisements: RFC 9568 7.2."""
        return self.mac

    def reconfigure(self, config: RouterConfig) -> None:
        """Take another configuration of the same virtual router."""
        was_active = self.active
        self.close()
        self.config = config
        self.prepare()
        if was_active:
            self.activate()

    def expected(self) -> tuple[ExpectedLink, ...]:
        """What must be so on the host just now, for a Watch to compare with; nothing before ``prepare``."""
        return ()

    def expected_tables(self) -> tuple[tuple[str, str], ...]:
        """Family and name of the nftables tables that must be there just now, likewise."""
        return ()

    def repair(self, renamed_to: str = "") -> None:
        """Put back what somebody else took away from what was prepared and, while active, from what answers.

        ``renamed_to`` is what the backend's own link is called now, if that is what was done to it.
        """
        was_active = self.active
        self.close()
        self.prepare()
        if was_active:
            self.activate()

    def repair_tables(self) -> None:
        """Put back ``expected_tables``, with what was in them, where nothing else was taken away."""
        self.repair()

    def renamed(self, interface: str) -> None:  # noqa: B027  # most need not know
        """The interface has another name now."""

    def left_alone(self) -> tuple[str, ...]:
        """What was not given back since the last call, for somebody else has changed it meanwhile; in words."""
        return ()

    @classmethod
    def prepare_all(cls, backends: Iterable[NetBackend]) -> None:
        """Prepare several; if one fails, those before it are closed again."""
        done: list[NetBackend] = []
        try:
            for backend in backends:
                done.append(backend)
                backend.prepare()
        except BackendError:
            with contextlib.suppress(BackendError):  # the first error is the one that is raised
                cls.close_all(done)
            raise

    @classmethod
    def close_all(cls, backends: Iterable[NetBackend]) -> None:
        """Close several, all of them whatever happens; raise the first error at the end."""
        errors = []
        for backend in backends:
            try:
                backend.close()
            except BackendError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class HostChangeKind(enum.StrEnum):
    """What a host can do by itself."""

    PARENT_DOWN = "parent-down"
    """Set down by somebody."""
    CARRIER_LOST = "carrier-lost"
    PARENT_UP = "parent-up"
    """Usable again: up, and with a carrier."""
    PARENT_GONE = "parent-gone"
    """Removed, or moved to another network namespace; PARENT_UP when one of its name is there again."""
    PARENT_RENAMED = "parent-renamed"
    PARENT_MAC = "parent-mac"
    """The parent has another MAC, and no backend minds."""
    LINK_LOST = "link-lost"
    """A backend's own link was removed, renamed or moved."""
    LINK_DOWN = "link-down"
    MAC_CHANGED = "mac-changed"
    """Of a backend's own link, or of the parent that is to have this one."""
    ADDRESS_LOST = "address-lost"
    FILTER_LOST = "filter-lost"
    """A backend's nftables tables were removed, as reloading a firewall does to all that there are."""


@dataclasses.dataclass(frozen=True, slots=True)
class HostChange:
    """One such change, in words an operator understands.

    ``value`` is the new MAC of a parent, or the new name of a link; ``backend`` whom it concerns, None: all on the
    interface.
    """

    kind: HostChangeKind
    message: str = ""
    value: str = ""
    backend: NetBackend | None = None


class Watch(abc.ABC):
    """Tells what the host does by itself to what a Node relies on. The Node says which backends there are."""

    def follow(self, backend: NetBackend) -> None:  # noqa: B027  # a Watch of the parent alone need not know
        """Watch what this backend expects, too."""

    def forget(self, backend: NetBackend) -> None:  # noqa: B027
        """No longer."""

    @abc.abstractmethod
    def fileno(self) -> int:
        """Readable when :meth:`read` has something."""

    @abc.abstractmethod
    def read(self) -> tuple[HostChange, ...]:
        """What has changed since the last call; never blocks, and does a bounded amount of work."""

    @abc.abstractmethod
    def close(self) -> None:
        """Stop watching."""
