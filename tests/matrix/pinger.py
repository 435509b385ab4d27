"""Pings two addresses each 2 ms until SIGTERM, and then prints which requests were not answered, and when.

    python pinger.py 10.77.0.100 10.99.0.1

ping(8) would do, but it spins at such an interval, and takes the processor from what it measures. Prints "ready"
once both answer; the last line is an object in JSON, whose times are CLOCK_MONOTONIC's seconds.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import sys
import time

STEP = 0.002
STRAGGLERS = 0.05  # how long answers may be under way at the end
READY = 5  # so many answers of both
REQUEST = {4: 8, 6: 128}
REPLY = {4: 0, 6: 129}


class Target:
    """One address, and the requests to it."""

    def __init__(self, address: str, identifier: int) -> None:
        self.address = address
        self.version = 6 if ":" in address else 4
        self.identifier = identifier
        self.sent: list[float] = []
        self.answered = bytearray()

    def request(self) -> bytes:
        sequence = len(self.sent) & 0xFFFF
        kind = REQUEST[self.version]
        # The kernel makes ICMPv6's checksum; RFC 792's is the complement of the sum of three words.
        total = (kind << 8) + self.identifier + sequence
        total = (total & 0xFFFF) + (total >> 16)
        checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
        return struct.pack("!BBHHH", kind, 0, checksum, self.identifier, sequence)

    def lost(self) -> list[float]:
        """When the requests that were not answered were sent."""
        return [time for time, answered in zip(self.sent, self.answered, strict=True) if not answered]


def main(addresses: list[str]) -> None:
    targets = [Target(address, (os.getpid() + at) & 0xFFFF) for at, address in enumerate(addresses)]
    version = targets[0].version
    family, protocol = (
        (socket.AF_INET, socket.IPPROTO_ICMP) if version == 4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
    )
    wire = socket.socket(family, socket.SOCK_RAW, protocol)
    wire.setblocking(False)
    ends: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ends.append(1))
    by_identifier = {target.identifier: target for target in targets}
    told, latest = False, 0.0
    due = time.monotonic()
    while not ends:
        now = time.monotonic()
        if now >= due:
            latest = max(latest, now - due)
            for target in targets:
                send(wire, target, now)
            while due <= now:  # what is late is left out, and makes no burst
                due += STEP
        readable = select.select([wire], (), (), max(0.0, due - time.monotonic()))[0]
        if readable:
            receive(wire, version, by_identifier)
        if not told and all(sum(target.answered[-READY - 1 :]) >= READY for target in targets):
            told, latest = True, 0.0
            print("ready", flush=True)
    until = time.monotonic() + STRAGGLERS
    while (left := until - time.monotonic()) > 0:
        if select.select([wire], (), (), left)[0]:
            receive(wire, version, by_identifier)
    lost = {target.address: target.lost() for target in targets}
    print(json.dumps({"sent": len(targets[0].sent), "lost": lost, "late": latest}), flush=True)


def send(wire: socket.socket, target: Target, now: float) -> None:
    request = target.request()
    target.sent.append(now)
    target.answered.append(0)
    try:
        wire.sendto(request, (target.address, 0))
    except OSError:  # no route, no neighbour, no room: an answer that is missing
        return


def receive(wire: socket.socket, version: int, by_identifier: dict[int, Target]) -> None:
    while True:
        try:
            data, source = wire.recvfrom(2048)
        except OSError:
            return
        message = data[(data[0] & 15) * 4 :] if version == 4 else data
        if len(message) < 8 or message[0] != REPLY[version]:
            continue
        identifier, sequence = struct.unpack("!HH", message[4:8])
        target = by_identifier.get(identifier)
        if target is not None and source[0] == target.address and sequence < len(target.answered):
            target.answered[sequence] = 1


if __name__ == "__main__":
    main(sys.argv[1:])
