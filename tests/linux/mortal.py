"""A process that is killed just before one of the system calls by which it changes something.

Between two of them nothing of the host or its files changes, so these are all the moments that differ. A call
itself is done or not: the kernel works through what a netlink call brings, all of it, before it looks at signals.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import struct
import time
from collections.abc import Callable
from typing import Any

from vrrplib.backends.netlink_socket import NetlinkSocket

_CALLS: tuple[tuple[Any, str], ...] = (
    (NetlinkSocket, "send"),  # of rtnetlink: one call, however many messages
    (NetlinkSocket, "transact"),  # of nftables: the kernel does all or none
    (fcntl, "ioctl"),
    *((os, name) for name in ("open", "write", "ftruncate", "unlink", "mkdir", "rmdir")),
)


class Mortal:
    """Counts such calls, and dies instead of making the one after ``left`` others; None: of old age."""

    def __init__(self, left: int | None = None) -> None:
        self.left = left
        self.count = 0

    def watch(self) -> None:
        for place, name in _CALLS:
            setattr(place, name, self._counted(name, getattr(place, name)))

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            if name != "open" or arguments[1] & os.O_CREAT:
                self._spend()
            return call(*arguments, **options)

        return counted

    def _spend(self) -> None:
        if self.count == self.left:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(10)  # of a thread: the kill has been sent to the process
        self.count += 1


def die_in(work: Callable[[], object], left: int | None = None) -> int | None:
    """Do ``work`` in a child that dies before its ``left``-th change; None if it did, else how many there were."""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            report = os.write
            mortal = Mortal(left)
            mortal.watch()
            work()
            report(writable, struct.pack("=i", mortal.count))
            status = 0
        except BaseException as error:
            with contextlib.suppress(OSError):
                report(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(status)
    os.close(writable)
    told = os.read(readable, 4)
    os.close(readable)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, -signal.SIGKILL), "the child failed: see above"
    return struct.unpack("=i", told)[0] if code == 0 else None
