"""cleanup: what is told, and that it is done."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.commands import environment, events, fails, invoke
from tests.linux.lab import Host


@pytest.fixture(autouse=True)
def _the_package_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])


def test_nothing_to_undo(tmp_path: Path) -> None:
    result = invoke("cleanup", "--state-dir", str(tmp_path / "none"))
    assert (result.exit_code, result.stdout) == (0, "nothing to undo\n")
    assert invoke("cleanup", "eth0", "--state-dir", str(tmp_path)).stdout == "nothing to undo on eth0\n"
    assert invoke("cleanup", "--state-dir", str(tmp_path), "--json").stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_state_dir_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    assert "--state-dir" in fails(invoke("cleanup", "--state-dir", str(path)), 2)


@pytest.mark.parametrize("backend", ["macvlan", "macswap", "announce"])
def test_after_sigkill(hosts: tuple[Host, Host], backend: str) -> None:
    host = hosts[0]
    state = str(host.lab.directory / "state")
    before = host.dump()
    vrrplib = [sys.executable, "-m", "vrrplib"]
    run = ["run", "eth0", "--vrid", "51", "--address", "10.77.0.100/24", "--backend", backend, "--interval", "0.1"]
    process = host.spawn(*vrrplib, *run, "--state-dir", state)
    process.wait_for("-> active")
    process.kill()
    process.wait()
    assert before.diff(host.dump()) != []
    cleanup = [*vrrplib, "cleanup", "--state-dir", state, "--json"]
    would = events(host.run(*cleanup, "--dry-run"))
    assert {event["event"] for event in would} == {"would-undo"}
    assert before.diff(host.dump()) != []
    assert events(host.run(*cleanup, "eth9")) == []
    undone = events(host.run(*cleanup))
    assert [(event["interface"], event["command"]) for event in undone] == [
        (event["interface"], event["command"]) for event in would
    ]
    assert before.diff(host.dump()) == []
    assert events(host.run(*cleanup)) == []
