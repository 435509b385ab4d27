"""The demo's LAN: a bridge and three hosts in network namespaces without a name, which end with their last user."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vrrplib.cli.demo_links import (
    NotHereError,
    add_address,
    add_bridge,
    add_veth,
    get_the_right,
    new_namespace,
    set_link,
)
from vrrplib.errors import BackendError
from vrrplib.namespaces import run_in
from vrrplib.transports.packet import PacketTransport
from vrrplib.wire.checksum import internet_checksum
from vrrplib.wire.frames import parse

_ECHO_REQUEST, _ECHO_REPLY = 8, 0
_ECHO = struct.Struct("!BBHHH")  # RFC 792: type, code, checksum, identifier, sequence number

# In the child: go into the namespace, die with the demo whatever ends it, and become the program.
_SHIM = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.setns(int(sys.argv[1]), 0x40000000) or libc.prctl(1, signal.SIGKILL):
    sys.exit(f"cannot enter the namespace: {os.strerror(ctypes.get_errno())}")
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


class DemoLan:
    """Hosts on a bridge; a context manager that kills what it started, and keeps no name, process or file.

    ``hosts`` gives the IPv4 address, with its length, of each. NotHereError when the kernel refuses.
    """

    def __init__(self, hosts: dict[str, str]) -> None:
        self.hosts = hosts
        self.namespaces: dict[str, int] = {}
        self.processes: list[RouterProcess] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            get_the_right()
            for name in ("", *self.hosts):  # "" is the switch's
                self.namespaces[name] = descriptor = new_namespace()
                self._stack.callback(os.close, descriptor)
            self.directory = tempfile.mkdtemp(prefix=f"vrrplib-demo-{os.getpid()}-")
            self._stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
            run_in(self.namespaces[""], self._make_switch)
            for name, address in self.hosts.items():
                run_in(self.namespaces[name], functools.partial(_configure, address))
            self._stack.callback(self._kill_all)  # first to go
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(self, host: str, *arguments: str) -> RouterProcess:
        """Start ``vrrplib run --json`` with these arguments on a host."""
        state = os.path.join(self.directory, host)
        command = ["-m", "vrrplib", "run", "eth0", *arguments, "--state-dir", state, "--json"]
        process = RouterProcess(host, self.namespaces[host], command)
        self.processes.append(process)
        return process

    def unplug(self, host: str) -> None:
        """Take the link of a host away."""
        run_in(self.namespaces[""], lambda: set_link(_port(host), up=False))

    def neighbour(self, host: str, address: str) -> str | None:
        """The MAC that a host's ARP cache holds for an address."""
        # /proc/net would be that of this process, and not of the thread that is in the namespace
        table = run_in(self.namespaces[host], Path("/proc/thread-self/net/arp").read_text)
        for line in table.splitlines()[1:]:
            fields = line.split()
            if fields[0] == address:
                return fields[3]
        return None

    def _make_switch(self) -> None:
        add_bridge("br0")
        set_link("br0", up=True)
        for host in self.hosts:
            add_veth(_port(host), "eth0", self.namespaces[host])
            set_link(_port(host), up=True, master="br0")

    def _kill_all(self) -> None:
        for process in self.processes:
            process.kill()


class RouterProcess:
    """A ``vrrplib run`` and the events that it prints; ``events`` is read by a thread of its own."""

    def __init__(self, host: str, namespace: int, command: list[str]) -> None:
        self.host = host
        self.events: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(  # noqa: S603  # ourselves
            [sys.executable, "-c", _SHIM, str(namespace), *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(namespace,),
            start_new_session=True,  # Ctrl-C is for the demo, which ends its processes itself
        )
        threading.Thread(target=self._read, daemon=True, name=f"events of {host}").start()

    def wait_for_state(self, state: str, timeout: float) -> dict[str, Any]:
        """The last change of state once it is one to ``state``; BackendError if that does not come in time."""

        def there() -> bool:
            changes = [event for event in self.events if event["event"] == "state"]
            return self._ended or bool(changes and changes[-1]["new"] == state)

        with self._changed:
            self._changed.wait_for(there, timeout)
            changes = [event for event in self.events if event["event"] == "state"]
            if changes and changes[-1]["new"] == state:
                return changes[-1]
        if self._process.poll() is not None:
            assert self._process.stderr is not None
            words = f"{self.host}: {self._process.stderr.read().strip() or 'vrrplib run ended'}"
            raise BackendError(words) if changes else NotHereError(words)
        raise BackendError(f"{self.host} did not become {state} within {timeout:g} s")

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """SIGTERM; the exit status."""
        self._process.terminate()
        return self._process.wait(10)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()
        self._process.wait()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class Pinger:
    """Pings an address from a namespace, in a thread, and notes which advertisements the host sees meanwhile.

    ``sent`` and ``answered`` hold a time for each sequence number, ``advertisements`` (time, source, priority); all
    times are ``time.monotonic()`` seconds.
    """

    def __init__(self, namespace: int, address: str, *, every: float = 0.01) -> None:
        self.sent: dict[int, float] = {}
        self.answered: dict[int, float] = {}
        self.advertisements: list[tuple[float, str, int]] = []
        self._address = address
        self._every = every
        self._stopping = threading.Event()
        # sockets stay in the namespace in which they were opened
        self._icmp = run_in(namespace, lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
        self._icmp.setblocking(False)
        self._transport = PacketTransport("eth0", netns=namespace)
        self._thread = threading.Thread(target=self._run, daemon=True, name="pinger")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the pings, after a last moment for answers."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._icmp.close()
        self._transport.close()

    @property
    def lost(self) -> int:
        """Pings without an answer."""
        return len(self.sent.keys() - self.answered.keys())

    @property
    def longest_gap(self) -> float:
        """Seconds between two answers, at most."""
        times = sorted(self.answered.values())
        return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)

    def _run(self) -> None:
        icmp, packets = self._icmp.fileno(), self._transport.fileno()
        due = time.monotonic()
        end = None
        while end is None or time.monotonic() < end:
            if end is None and self._stopping.is_set():
                end = time.monotonic() + 0.05
            if end is None and time.monotonic() >= due:
                self._send()
                due += self._every
            wait = min(max(0.0, due - time.monotonic()), self._every)
            ready = select.select([icmp, packets], (), (), wait)[0]
            now = time.monotonic()
            if icmp in ready:
                self._receive(now)
            if packets in ready:
                self._watch(now)

    def _send(self) -> None:
        number = len(self.sent) + 1
        head = _ECHO.pack(_ECHO_REQUEST, 0, 0, os.getpid() & 0xFFFF, number & 0xFFFF)
        packet = _ECHO.pack(_ECHO_REQUEST, 0, internet_checksum(head), os.getpid() & 0xFFFF, number & 0xFFFF)
        self.sent[number] = time.monotonic()
        with contextlib.suppress(OSError):  # no neighbour just now: it counts as lost
            self._icmp.sendto(packet, (self._address, 0))

    def _receive(self, now: float) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = self._icmp.recv(2048)
                at = (packet[0] & 0xF) * 4
                kind, _, _, identifier, number = _ECHO.unpack_from(packet, at)
                if kind == _ECHO_REPLY and identifier == os.getpid() & 0xFFFF:
                    self.answered.setdefault(number, now)

    def _watch(self, now: float) -> None:
        while (frame := self._transport.receive()) is not None:
            datagram = parse(frame)
            if datagram is not None:
                self.advertisements.append((now, str(datagram.source), datagram.payload[2]))


def _configure(address: str) -> None:
    set_link("lo", up=True)
    set_link("eth0", up=True)
    add_address("eth0", address)


def _port(host: str) -> str:
    return f"port-{host}"


def end_on_sigterm() -> None:
    """SIGTERM ends the program as Ctrl-C does: by an exception, so that everything is given back."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
