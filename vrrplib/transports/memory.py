"""A transport without a network: for tests, simulations and fuzzers."""

from __future__ import annotations

import collections
from typing import Protocol

from vrrplib.errors import BackendError
from vrrplib.transports.base import Transport
from vrrplib.wire.addresses import MacAddress, MacLike

MOST_FRAMES = 65536  # in each direction; what is older is dropped, as in a socket that nobody reads


class Lan(Protocol):
    """Where the frames of MemoryTransports go."""

    def attach(self, transport: MemoryTransport) -> None:
        """A transport was plugged in."""

    def transmit(self, sender: MemoryTransport, frame: bytes) -> None:
        """``sender`` sent ``frame``: deliver it to whom it reaches."""


class MemoryTransport(Transport):
    """Frames go to ``lan``, where there is one, and into ``sent``; they come from :meth:`deliver`.

    ``sent`` holds the last 65,536 frames that were sent, oldest first. There is no file descriptor to wait on.
    """

    def __init__(
        self, lan: Lan | None = None, *, interface: str = "mem0", mac: MacLike = "02:00:00:00:00:01"
    ) -> None:
        self.interface = interface
        self.mac = MacAddress(mac)
        self.sent: collections.deque[bytes] = collections.deque(maxlen=MOST_FRAMES)
        self._arrived: collections.deque[bytes] = collections.deque(maxlen=MOST_FRAMES)
        self._lan = lan
        self._closed = False
        if lan is not None:
            lan.attach(self)

    def deliver(self, frame: bytes) -> None:
        """``frame`` arrives, as if from the network."""
        if not self._closed:
            self._arrived.append(bytes(frame))

    def send(self, frame: bytes) -> None:
        if self._closed:
            raise BackendError(f"{self.interface} is closed", operation="send")
        self.sent.append(frame)
        if self._lan is not None:
            self._lan.transmit(self, frame)

    def receive(self) -> bytes | None:
        return self._arrived.popleft() if self._arrived else None

    def fileno(self) -> int:
        raise BackendError(f"{self.interface} is in memory: it has no file descriptor", operation="fileno")

    def close(self) -> None:
        self._closed = True
        self._arrived.clear()
