"""Routers and Nodes. For any sequence of datagrams, with any time in between:

* nothing is raised, and the timer comes to rest; see ``check_sequence`` for what holds after each step;
* a Node counts every frame once: taken, discarded, foreign, or no VRRP at all.

The first byte chooses the virtual router, the second the local priority and whether frames come, or datagrams. Then
each datagram: delay, sender, what is done to its checksum, TTL and destination, and length, one byte each, and its
message.
"""

import functools
from collections.abc import Iterator

from tests.fuzz.engine import Bytes, instrumented, main

with instrumented(__name__):
    from tests.lab.playing import SCENES, Timed, check_frames, check_sequence
    from vrrplib.lab.fuzz import Scene, recompute
    from vrrplib.wire.addresses import IPAddress
    from vrrplib.wire.checksum import ChecksumForm
    from vrrplib.wire.datagram import Datagram

DELAYS = (0.0, 0.01, 0.5, 1.0, 3.0, 3.7, 8.0)
TTLS = (255, 255, 255, 254, 0)
MOST = 16


def record(message: bytes, *, delay: int = 3, sender: int = 1, mend: int = 0, where: int = 0) -> bytes:
    """One datagram as :func:`check` reads it."""
    return bytes([delay, sender, mend, where, len(message)]) + message


def check(data: bytes) -> None:
    tape = Bytes(data)
    scene, how = tape.choice(SCENES), tape.byte()
    if how & 1:
        check_frames(scene, list(frames(tape)))
    else:
        check_sequence(scene, list(sequence(tape, scene)), priority=max(1, how))


@functools.cache
def neighbour(address: IPAddress, number: int) -> IPAddress:
    """One of 256."""
    return type(address)(int(address) ^ number)


def frames(tape: Bytes) -> Iterator[bytes]:
    for _ in range(MOST):
        if not tape:
            return
        yield tape.take(tape.byte())


def sequence(tape: Bytes, scene: Scene) -> Iterator[Timed]:
    for _ in range(MOST):
        if not tape:
            return
        delay, sender, mend, where, size = (tape.byte() for _ in range(5))
        message = tape.take(size)
        source = neighbour(scene.source, sender)
        destination = scene.group if where < 128 else source
        if mend < 128 and len(message) >= 8:  # past the checksum is where most of a Router is
            form = (ChecksumForm.PSEUDO_HEADER, ChecksumForm.MESSAGE_ONLY)[mend & 1]
            message = recompute(message, source=source, destination=destination, form=form)
        ttl = TTLS[where % len(TTLS)]
        yield DELAYS[delay % len(DELAYS)] * scene.interval, Datagram(message, source, destination, ttl)


if __name__ == "__main__":
    main(check)
