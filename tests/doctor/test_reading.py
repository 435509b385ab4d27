"""Single facts of whatever host this is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vrrplib.doctor import reading


def test_a_journal_s_place(tmp_path: Path) -> None:
    assert reading.why_no_journal(tmp_path / "a" / "b", 7) is None
    (tmp_path / "file").write_text("")
    assert reading.why_no_journal(tmp_path / "file", 7) == f"{tmp_path}/file is no directory"
    assert reading.why_no_journal(tmp_path / "file" / "a", 7) == f"{tmp_path}/file is no directory"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_journal_s_place_on_a_read_only_file_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class ReadOnly:
        f_flag = os.ST_RDONLY

    monkeypatch.setattr(os, "statvfs", lambda _: ReadOnly)
    assert "read-only file system" in (reading.why_no_journal(tmp_path, 7) or "")


def test_the_machine() -> None:
    machine = reading.machine()
    assert machine.cpus >= 1
    assert len(machine.lateness) >= 10
    assert all(0 <= late < 10 for late in machine.lateness)
    assert machine.cpu_quota is None or machine.cpu_quota > 0


def test_the_least_quota_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/self/cgroup": "0::/system.slice/vrrp.service",
        "/sys/fs/cgroup/cpu.max": None,
        "/sys/fs/cgroup/system.slice/cpu.max": "20000 100000",
        "/sys/fs/cgroup/system.slice/vrrp.service/cpu.max": "max 100000",
    }
    monkeypatch.setattr(reading, "_text", lambda path: files.get(str(path)))
    assert reading._quota() == 0.2


def test_privileges_are_those_of_this_process() -> None:
    mine = reading.privileges(elsewhere=False)
    assert ("CAP_NET_ADMIN" in mine.capabilities) <= (os.geteuid() == 0 or not mine.initial_user_namespace)
    assert reading.privileges(elsewhere=True).other_namespace
    assert not mine.other_namespace


def test_the_loopback() -> None:
    _, hardware, _ = reading.link_state("lo")
    assert hardware == 772
    with pytest.raises(OSError, match="No such device"):
        reading.link_state("nosuch0")
