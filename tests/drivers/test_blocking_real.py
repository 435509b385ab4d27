"""The blocking driver on the real select, poll, threads and signals; those in processes of their own."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from tests.election.play import config
from tests.node_parts import Rig, rival_frame
from vrrplib.drivers import blocking
from vrrplib.drivers.blocking import Loop
from vrrplib.election.events import PriorityChanged
from vrrplib.errors import ConfigError
from vrrplib.transports.memory import MemoryTransport


class SocketTransport(MemoryTransport):
    """Frames through a real socket pair: ``peer`` is the LAN."""

    def __init__(self, high: bool = False) -> None:
        super().__init__()
        self.ours, self.peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        if high:
            number = os.dup2(self.ours.fileno(), 2000)
            self.ours.close()
            self.ours = socket.socket(fileno=number)
        for end in (self.ours, self.peer):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)

    def receive(self) -> bytes | None:
        try:
            return self.ours.recv(9000)
        except BlockingIOError:
            return None

    def fileno(self) -> int:
        return self.ours.fileno()

    def close(self) -> None:
        self.ours.close()
        self.peer.close()


def real(high: bool = False, **changes) -> Rig:
    rig = Rig(config(**changes))
    rig.transport.close()
    rig.transport = rig.node.transport = SocketTransport(high)
    return rig


@pytest.fixture(params=["select", "poll"])
def high(request):
    """Whether a descriptor is beyond what select can take."""
    if request.param == "select":
        return False
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2100:
        pytest.skip(f"the hard limit of open files is {hard}")
    if soft != resource.RLIM_INFINITY and soft < 2100:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2100, hard))
    return True


class Served:
    """A Loop in a thread of its own."""

    def __init__(self, *rigs: Rig) -> None:
        self.steps = 0
        for rig in rigs:
            self._count(rig)
        self.notices: list = []
        self.rigs = rigs
        self.loop = Loop([rig.node for rig in rigs], notify=self.notices.append)
        self.thread = threading.Thread(target=self.loop.run)

    def _count(self, rig: Rig) -> None:
        deadline = type(rig.node).deadline

        class Counting(type(rig.node)):
            @property
            def deadline(node):
                self.steps += 1  # asked at each turn of the loop
                return deadline.__get__(node)

        rig.node.__class__ = Counting

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.loop.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()
        for rig in self.rigs:
            rig.transport.close()


def test_it_does_not_spin(high):
    with Served(real(high, priority=254)) as served:
        time.sleep(0.5)
        assert served.steps < 20
        served.rigs[0].transport.peer.send(b"noise")
        time.sleep(0.2)
        assert served.steps < 20


def test_an_interval_of_a_centisecond_costs_a_few_turns_each(high):
    with Served(real(high, priority=255, advertisement_interval=0.01)) as served:
        time.sleep(1.0)
        sent = len(served.rigs[0].transport.sent)
        assert served.steps < 6 * sent


def test_frames_and_events_wake_it_at_once(high):
    with Served(real(high)) as served:
        router, transport = served.rigs[0].router, served.rigs[0].transport
        for rouse, done in (
            (lambda: transport.peer.send(rival_frame(200)), lambda: router.statistics.advertisement_rcvd),
            (lambda: served.loop.submit(router, PriorityChanged(77)), lambda: router.priority == 77),
        ):
            rouse()
            end = time.monotonic() + 2
            while not done() and time.monotonic() < end:
                time.sleep(0.001)
            assert done()


def test_events_from_many_threads_all_arrive():
    with Served(real()) as served:
        router, handled = served.rigs[0].router, []
        handle = served.rigs[0].node.handle
        served.rigs[0].node.handle = lambda *given: handled.append(given) or handle(*given)

        def submit():
            for priority in range(1, 201):
                served.loop.submit(router, PriorityChanged(priority))

        threads = [threading.Thread(target=submit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        end = time.monotonic() + 5
        while len(handled) < 800 and time.monotonic() < end:
            time.sleep(0.001)
        assert len(handled) == 800


# -- run(), with real signals --

PROGRAM = """
import os, signal, sys, threading, time
sys.path.insert(0, os.getcwd())
from tests.drivers.test_blocking_real import real
from vrrplib.drivers.blocking import run
from vrrplib.election.states import State
before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
rig = real(priority=255)
def notify(notice):
    print(notice.report.new, flush=True)
"""


def program(body: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM + textwrap.dedent(body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_handlers_are_restored(number):
    process = program("""
        run([rig.node], notify=notify)
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
        print(rig.log[-3:])
        """)
    assert process.stdout is not None
    assert process.stdout.readline() == "active\n"
    process.send_signal(number)
    out, error = process.communicate(timeout=20)
    assert (out, process.returncode) == ("initialize\n['activate 1', 'deactivate 1', 'close 1']\n", 0), error


def test_handlers_are_restored_after_an_error_too():
    process = program("""
        rig.backend.failing = {"prepare"}
        try: run([rig.node])
        except Exception as error: print(type(error).__name__)
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
        """)
    out, error = process.communicate(timeout=20)
    assert (out, process.returncode) == ("BackendError\n", 0), error


def test_signals_during_the_end_do_not_cut_it_short():
    process = program("""
        def close():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            print("closed", flush=True)
        rig.backend.close = close
        run([rig.node], notify=notify)
        """)
    assert process.stdout is not None
    assert process.stdout.readline() == "active\n"
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=20)
    assert (out, process.returncode) == ("initialize\nclosed\n", 0), error


def test_submit_works_in_a_signal_handler():
    process = program("""
        from vrrplib.drivers import blocking
        from vrrplib.election.events import Shutdown
        loop = blocking.Loop([rig.node], notify=notify)
        def handler(*_):
            loop.submit(rig.router, Shutdown())
            threading.Timer(0.1, loop.stop).start()
        signal.signal(signal.SIGUSR1, handler)
        loop.run()
        """)
    assert process.stdout is not None
    assert process.stdout.readline() == "active\n"
    process.send_signal(signal.SIGUSR1)
    out, error = process.communicate(timeout=20)
    assert (out, process.returncode) == ("initialize\n", 0), error


def test_run_is_for_the_main_thread():
    errors = []

    def work():
        try:
            blocking.run([])
        except ConfigError as error:
            errors.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == ["run() must be called in the main thread, for its signals; use Loop elsewhere"]
