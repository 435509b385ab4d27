"""What the hosts of a lab send, as frames with the kernel's times."""

from __future__ import annotations

import errno
import ipaddress
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.linux.process import wait_until

if TYPE_CHECKING:
    from tests.linux.lab import Lab

ETH_P_ALL = 0x0003
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
VRRP, AUTHENTICATION_HEADER, ICMPV6 = 112, 51, 58


@dataclass(frozen=True, slots=True)
class Advertisement:
    """The first fields of a frame of IP protocol 112, unchecked: any version of VRRP, and CARP."""

    family: int  # 4 or 6
    source: str
    destination: str
    ttl: int
    payload: bytes

    @property
    def version(self) -> int:
        return self.payload[0] >> 4

    @property
    def vrid(self) -> int:
        return self.payload[1]

    @property
    def priority(self) -> int:
        return self.payload[2]

    @property
    def interval(self) -> float:
        """Seconds, in version 2 and version 3 alike."""
        if self.version == 2:
            return float(self.payload[5])
        return (int.from_bytes(self.payload[4:6], "big") & 0xFFF) / 100


@dataclass(frozen=True, slots=True)
class Frame:
    """An Ethernet frame that a host has put on the wire."""

    time: float  #: seconds of CLOCK_MONOTONIC, when the switch's port received it (a kernel time stamp)
    port: str  #: the name of the host that sent it
    data: bytes

    @property
    def destination_mac(self) -> str:
        return self.data[0:6].hex(":")

    @property
    def source_mac(self) -> str:
        return self.data[6:12].hex(":")

    @property
    def ether_type(self) -> int:
        return int.from_bytes(self.data[12:14], "big")

    @property
    def ip(self) -> tuple[int, str, str, int, int, bytes] | None:
        """(family, source, destination, TTL, protocol, payload), or None: no IP, or cut short."""
        packet = self.data[14:]
        if self.ether_type == 0x0800 and len(packet) >= 20:
            length, header = int.from_bytes(packet[2:4], "big"), (packet[0] & 15) * 4
            source, destination = (str(ipaddress.IPv4Address(packet[at : at + 4])) for at in (12, 16))
            return 4, source, destination, packet[8], packet[9], packet[header:length]
        if self.ether_type == 0x86DD and len(packet) >= 40:
            length = 40 + int.from_bytes(packet[4:6], "big")
            source, destination = (str(ipaddress.IPv6Address(packet[at : at + 16])) for at in (8, 24))
            return 6, source, destination, packet[7], packet[6], packet[40:length]
        return None

    @property
    def advertisement(self) -> Advertisement | None:
        """None for everything but protocol 112 with at least 8 bytes, behind an authentication header too."""
        if (fields := self.ip) is None:
            return None
        family, source, destination, ttl, protocol, payload = fields
        if protocol == AUTHENTICATION_HEADER and len(payload) > 2:
            protocol, payload = payload[0], payload[(payload[1] + 2) * 4 :]
        if protocol != VRRP or len(payload) < 8:
            return None
        return Advertisement(family, source, destination, ttl, payload)

    @property
    def gratuitous(self) -> tuple[str, str] | None:
        """(address, MAC) that a gratuitous ARP or an unsolicited neighbour advertisement claims, else None."""
        if self.ether_type == 0x0806 and len(self.data) >= 42:
            body = self.data[14:42]
            if body[14:18] == body[24:28]:
                return str(ipaddress.IPv4Address(body[14:18])), body[8:14].hex(":")
            return None
        if (fields := self.ip) is None:
            return None
        family, _, destination, _, protocol, message = fields
        if (family, destination, protocol) != (6, "ff02::1", ICMPV6) or len(message) < 32 or message[0] != 136:
            return None
        if message[24] != 2:  # the first option is not the target's link-layer address
            return None
        return str(ipaddress.IPv6Address(message[8:24])), message[26:32].hex(":")


def _realtime_minus_monotonic() -> float:
    """How far the wall clock is ahead; the pair of readings that lay closest together counts."""
    best = (1 << 62, 0)
    for _ in range(5):
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        best = min(best, (after - before, wall - (before + after) // 2))
    return best[1] / 1e9


class Capture:
    """Every frame that the hosts send, seen at the switch's ports, from __enter__ to __exit__.

    One packet socket for each port that there is at the beginning, read by a thread. Times are the kernel's, so
    a slow reader makes frames late to be seen, not wrong in time.
    """

    BUFFER = 16 << 20

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._frames: list[Frame] = []
        self._stopped = threading.Event()
        self._sockets: dict[socket.socket, str] = {}
        self._thread = threading.Thread(target=self._read, name="lab capture", daemon=True)

    def __enter__(self) -> Capture:
        self.lab.switch.call(self._open)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        for packets in self._sockets:
            packets.close()

    def _open(self) -> None:
        for name, port in [(host.name, port) for host in self.lab.hosts.values() for port in host.ports]:
            packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            packets.setblocking(False)
            packets.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            packets.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            try:
                packets.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, self.BUFFER)
            except PermissionError:  # in a user namespace
                packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.BUFFER)
            packets.bind((port, ETH_P_ALL))
            self._sockets[packets] = name

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for packets in self._sockets:
                selector.register(packets, selectors.EVENT_READ)
            while not self._stopped.is_set():
                if ready := selector.select(0.05):
                    offset = _realtime_minus_monotonic()
                    for key, _ in ready:
                        self._drain(key.fileobj, offset)  # type: ignore[arg-type]
            for packets in self._sockets:
                self._drain(packets, _realtime_minus_monotonic())

    def _drain(self, packets: socket.socket, offset: float) -> None:
        port = self._sockets[packets]
        while True:
            try:
                data, ancillary, _, _ = packets.recvmsg(65535, 128)
            except BlockingIOError:
                return
            except OSError as error:  # ENETDOWN: reported once when the port goes down, and again when it is gone
                if error.errno in (errno.ENETDOWN, errno.ENODEV, errno.ENXIO):
                    return
                raise
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
            self._frames.append(Frame(seconds - offset + nanoseconds / 1e9, port, data))

    @property
    def frames(self) -> list[Frame]:
        """What there is so far, in the order of time."""
        return sorted(self._frames, key=lambda frame: frame.time)

    def select(
        self, condition: Callable[[Frame], object], *, port: str | None = None, since: float = 0.0
    ) -> list[Frame]:
        """The frames for which condition is true, from one host, from a time on."""
        return [
            frame
            for frame in self.frames
            if frame.time >= since and port in (None, frame.port) and condition(frame)
        ]

    def advertisements(
        self, vrid: int | None = None, family: int | None = None, *, port: str | None = None, since: float = 0.0
    ) -> list[Frame]:
        """Frames of protocol 112; `frame.advertisement` has their fields."""

        def wanted(frame: Frame) -> bool:
            packet = frame.advertisement
            return packet is not None and vrid in (None, packet.vrid) and family in (None, packet.family)

        return self.select(wanted, port=port, since=since)

    def from_mac(self, mac: str, *, port: str | None = None, since: float = 0.0) -> list[Frame]:
        return self.select(lambda frame: frame.source_mac == mac, port=port, since=since)

    def gratuitous(
        self, address: str | None = None, *, mac: str | None = None, port: str | None = None, since: float = 0.0
    ) -> list[Frame]:
        """Gratuitous ARPs (requests and replies) and unsolicited neighbour advertisements."""

        def wanted(frame: Frame) -> bool:
            claim = frame.gratuitous
            return claim is not None and address in (None, claim[0]) and mac in (None, claim[1])

        return self.select(wanted, port=port, since=since)

    def wait_for(
        self, condition: Callable[[Frame], object], timeout: float, *, port: str | None = None, since: float = 0.0
    ) -> Frame:
        """The first frame of that kind to be seen; TimeoutError when there is none in time."""
        unseen = 0

        def look() -> list[Frame]:
            nonlocal unseen
            fresh = self._frames[unseen:]  # each frame is looked at once: polling must not disturb what is timed
            unseen += len(fresh)
            return [f for f in fresh if f.time >= since and port in (None, f.port) and condition(f)]

        return wait_until(look, timeout, f"such frame from {port or 'any host'}")[0]

    def write_pcap(self, path: Path | str, frames: list[Frame] | None = None) -> Path:
        """Write a pcap file with nanoseconds; times are wall clock times, as tools expect."""
        path, offset = Path(path), _realtime_minus_monotonic()
        with path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
            for frame in self.frames if frames is None else frames:
                seconds, nanoseconds = divmod(round((frame.time + offset) * 1e9), 10**9)
                file.write(
                    struct.pack("<IIII", seconds, nanoseconds, len(frame.data), len(frame.data)) + frame.data
                )
        return path
