"""Who advertises each virtual router, as a host on the LAN hears it, and every gap that is too long."""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from tests.linux.capture import SO_RCVBUFFORCE, SO_TIMESTAMPNS, _realtime_minus_monotonic
from tests.linux.lab import Host

ETH_P_ALL = 0x0003
SO_ATTACH_FILTER = 26


@dataclass(frozen=True, slots=True)
class Gap:
    """No advert of a virtual router for a time; seconds of CLOCK_MONOTONIC."""

    vrid: int
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass
class Observer:
    """Reads on a host's eth0 in a thread of its own, from __enter__ to __exit__.

    Only frames whose source is the virtual MAC of what they advertise count, and no resignation does. Times are the
    kernel's: a reader that is slow is not wrong.
    """

    host: Host
    most: float  #: seconds; a longer gap is noted
    gaps: list[Gap] = field(default_factory=list)
    adverts: int = 0
    #: (time, priority) of the last advert, by VRID
    last: dict[int, tuple[float, int]] = field(default_factory=dict)

    def __enter__(self) -> Observer:
        self._ended = threading.Event()
        self._socket = self.host.call(_open)
        self._thread = threading.Thread(target=self._read, name="observer", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def all_from(self, priority: int, count: int, *, within: float = 0.25) -> bool:
        """Whether so many virtual routers are advertised with this priority, each of them lately."""
        since = time.monotonic() - within
        now = list(self.last.values())
        return len(now) == count and all(when >= since and held == priority for when, held in now)

    def still_missing(self, now: float) -> list[Gap]:
        """The gaps that have not ended, at the end."""
        return [Gap(vrid, when, now) for vrid, (when, _) in self.last.items() if now - when > self.most]

    def _read(self) -> None:
        offset, checked = _realtime_minus_monotonic(), time.monotonic()
        while not self._ended.is_set():
            if time.monotonic() - checked > 1:
                offset, checked = _realtime_minus_monotonic(), time.monotonic()
            try:
                data, ancillary, _, _ = self._socket.recvmsg(256, 128)
            except TimeoutError:
                continue
            payload = data[34:] if data[12] == 0x08 else data[54:]
            if len(payload) < 8 or payload[1] != data[11] or not payload[2]:
                continue
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
            self._heard(payload[1], payload[2], seconds - offset + nanoseconds / 1e9)

    def _heard(self, vrid: int, priority: int, when: float) -> None:
        self.adverts += 1
        before = self.last.get(vrid)
        if before is not None and when - before[0] > self.most:
            self.gaps.append(Gap(vrid, before[0], when))
        self.last[vrid] = (when, priority)


def _open() -> socket.socket:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.settimeout(0.05)
    wire.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    try:
        wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    except PermissionError:  # in a user namespace
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
    # Protocol 112 over IPv4 without options or over IPv6, from a virtual MAC; the rest is not even copied.
    load_word, load_half, load_byte, jump, give = 0x20, 0x28, 0x30, 0x15, 0x06
    code: list[tuple[int, int, int, int]] = [
        (load_word, 0, 0, 6),
        (jump, 0, 7, 0x00005E00),
        (load_half, 0, 0, 12),
        (jump, 0, 2, 0x0800),
        (load_byte, 0, 0, 23),
        (jump, 2, 3, 112),
        (load_byte, 0, 0, 20),
        (jump, 0, 1, 112),
        (give, 0, 0, 0xFFFF),
        (give, 0, 0, 0),
    ]
    raw = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in code))
    program: Any = struct.pack("HL", len(code), ctypes.addressof(raw))
    wire.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    wire.bind(("eth0", ETH_P_ALL))
    return wire
