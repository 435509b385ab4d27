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
from vrrplib.wire.addresses import MacAddress


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
    PARENT_UP = "parent-up"
    LINK_LOST = "link-lost"
    ADDRESS_LOST = "address-lost"


@dataclasses.dataclass(frozen=True, slots=True)
class HostChange:
    """One such change, in words an operator understands."""

    kind: HostChangeKind
    message: str = ""


class Watch(abc.ABC):
    """Tells what the host does by itself to what a Node relies on."""

    @abc.abstractmethod
    def fileno(self) -> int:
        """Readable when :meth:`read` has something."""

    @abc.abstractmethod
    def read(self) -> tuple[HostChange, ...]:
        """What has changed since the last call; never blocks."""

    @abc.abstractmethod
    def close(self) -> None:
        """Stop watching."""
