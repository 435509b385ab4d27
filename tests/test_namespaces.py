"""run_in: a function in another namespace, and everybody else where they were."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux.conftest import skip_or_fail, why_not
from tests.linux.lab import Host, Lab
from vrrplib.errors import BackendError, ConfigError
from vrrplib.namespaces import run_in


def here() -> tuple[int, int]:
    """Device and inode of the calling thread's namespace."""
    status = os.stat("/proc/thread-self/ns/net")
    return status.st_dev, status.st_ino


def inode(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    if reason := why_not():
        skip_or_fail(reason, "VRRPLIB_REQUIRE_LINUX")
    with Lab() as lab:
        yield lab.host("a")


@pytest.mark.linux
class TestEntering:
    def test_by_name_and_path(self, host):
        there = inode(host.path)
        assert there != here()
        assert run_in(host.namespace, here) == run_in(host.path, here) == run_in(Path(host.path), here) == there

    def test_by_descriptor_which_stays_open(self, host):
        descriptor = os.open(host.path, os.O_RDONLY)
        try:
            assert run_in(descriptor, here) == run_in(descriptor, here) == inode(host.path)
        finally:
            os.close(descriptor)

    def test_by_process_id(self, host):
        process = host.spawn("sleep", "60")
        while inode(f"/proc/{process.pid}/ns/net") == here():  # ip has not entered it yet
            pass
        assert run_in(process.pid, here) == inode(host.path)

    def test_nobody_else_moves(self, host):
        before = here()
        run_in(host.path, here)
        assert here() == inode("/proc/self/ns/net") == before

    def test_no_thread_or_descriptor_is_left(self, host):
        before = threading.active_count(), len(os.listdir("/proc/self/fd"))
        run_in(host.path, here)
        assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before

    def test_errors_come_back(self, host):
        with pytest.raises(ZeroDivisionError):
            run_in(host.path, lambda: 1 / 0)
        with pytest.raises(SystemExit):
            run_in(host.path, sys.exit)

    def test_sysctls_are_those_of_the_namespace(self, host):
        path = Path("/proc/sys/net/ipv4/ip_forward")
        other = "0" if path.read_text().strip() == "1" else "1"
        host.sysctl("net.ipv4.ip_forward", other)
        assert run_in(host.path, path.read_text).strip() == other != path.read_text().strip()

    def test_without_the_right_it_says_which_one_is_missing(self, host):
        program = (
            "import os, sys\n"
            "from vrrplib.namespaces import run_in\n"
            "from vrrplib.errors import BackendError\n"
            "descriptor = os.open(sys.argv[1], os.O_RDONLY)\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "try: run_in(descriptor, os.getpid)\n"
            "except BackendError as error: print(error, error.errno)\n"
        )
        finished = subprocess.run(
            [sys.executable, "-c", program, host.path], capture_output=True, text=True, check=False
        )
        assert "CAP_SYS_ADMIN" in finished.stdout, finished.stderr
        assert finished.stdout.strip().endswith("1")


def test_none_is_where_we_are():
    thread = run_in(None, threading.current_thread)
    assert thread is threading.current_thread()


@pytest.mark.parametrize("missing", ["vl-missing", "/run/netns/vl-missing", 2**31 - 1, "/proc/0/ns/net"])
def test_a_missing_namespace_is_named_and_not_made(missing):
    with pytest.raises(BackendError, match=f"no network namespace '{missing}': there is no ") as caught:
        run_in(missing, here)
    assert caught.value.errno == 2
    assert not os.path.exists("/run/netns/vl-missing")


def test_a_file_is_no_namespace():
    with pytest.raises(BackendError, match="'/etc/passwd'"):
        run_in("/etc/passwd", here)


@pytest.mark.parametrize("wrong", [True, 1.5, b"name", "", "..", ()])
def test_what_cannot_be_a_namespace_is_refused(wrong):
    with pytest.raises(ConfigError, match="netns must be a name, a path, a process id or a descriptor"):
        run_in(wrong, here)
