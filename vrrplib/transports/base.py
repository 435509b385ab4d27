"""The seam between a Node and the LAN: :class:`Transport`."""

from __future__ import annotations

import abc

from vrrplib.errors import BackendError
from vrrplib.wire.addresses import MacAddress
from vrrplib.wire.datagram import Datagram


class Transport(abc.ABC):
    """Moves the Ethernet frames of one interface; knows nothing about VRRP."""

    interface: str
    mac: MacAddress

    @abc.abstractmethod
    def send(self, frame: bytes) -> None:
        """Send a whole frame, without FCS. Raises only BackendError."""

    def send_datagram(self, datagram: Datagram) -> None:
        """Send to a unicast address, which the kernel routes; not every transport can."""
        raise BackendError(
            f"{self.interface}: {type(self).__name__} cannot send to the unicast address {datagram.destination}",
            operation=datagram,
        )

    @abc.abstractmethod
    def receive(self) -> bytes | None:
        """The next frame that arrived, or None; never blocks, and never gives back what was sent here."""

    @abc.abstractmethod
    def fileno(self) -> int:
        """Readable when a frame waits."""

    def reopen(self) -> None:
        """Begin anew on the interface of this name, which was gone and is there again; the descriptor stays."""
        raise BackendError(f"{self.interface}: {type(self).__name__} cannot be opened again", operation="reopen")

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of the interface."""
