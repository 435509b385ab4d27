"""demo: in namespaces, simulated, and interrupted; nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.cli.commands import environment, events, fails, spawn
from tests.linux.conftest import skip_or_fail, why_not
from tests.linux.process import wait_until

MAC = "00:00:5e:00:01:33"


@pytest.fixture
def _namespaces() -> None:
    if reason := why_not():
        skip_or_fail(reason, "VRRPLIB_REQUIRE_LINUX")


def left_behind(pid: int) -> list[str]:
    """Files of that demo, and processes that speak of it."""
    name = f"vrrplib-demo-{pid}-"
    found = [str(path) for path in Path(tempfile.gettempdir()).glob(f"{name}*")]
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if name.encode() in command.read_bytes():
                found.append(str(command))
        except OSError:
            continue  # it has just ended
    return found


@pytest.mark.linux
@pytest.mark.usefixtures("_namespaces")
def test_in_namespaces() -> None:
    done = spawn("demo", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = {event["event"]: event for event in events(done)}
    assert found["lan"]["kind"] == "namespaces"
    assert [event["node"] for event in events(done) if event["event"] == "active"] == ["one", "two"]
    neighbours = [(event["when"], event["mac"]) for event in events(done) if event["event"] == "neighbour"]
    assert neighbours == [("before", MAC), ("after", MAC)]
    takeover = found["takeover"]
    assert takeover["theory"] == pytest.approx(0.721875)
    assert takeover["theory"] - 0.001 < takeover["seconds"] < takeover["theory"] + 0.25  # a busy machine is slow
    pings = found["pings"]
    assert 0 < pings["lost"] < pings["sent"]
    assert abs(pings["lost"] * 0.01 - pings["longest_gap"]) < 0.2
    assert found["end"]["status"] == 0


def test_simulated() -> None:
    done = spawn("demo", "--simulate")
    assert (done.returncode, done.stderr) == (0, "")
    assert "takeover 0.7219 s after the last advertisement; theory 0.7219 s" in done.stdout
    for when in ("before", "after"):
        assert f"the client's neighbour entry {when}: 192.0.2.254 is at {MAC}" in done.stdout
    assert f"ip link add link one name vmac4-2-51 address {MAC} type macvlan" in done.stdout


def test_without_the_right_it_says_so_and_simulates() -> None:
    if os.geteuid() != 0:
        pytest.skip("there is nothing to drop")
    drop = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
    done = subprocess.run(
        [*drop, sys.executable, "-m", "vrrplib", "demo", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(),
    )
    assert (done.returncode, done.stderr) == (0, "")
    kinds = [event["event"] for event in events(done)]
    if "fallback" not in kinds:
        pytest.skip("this kernel lets everybody make namespaces")
    assert {"command", "active", "takeover"} - set(kinds) == {"active"}
    assert "not permitted" in next(event["reason"] for event in events(done) if event["event"] == "fallback")


@pytest.mark.linux
@pytest.mark.usefixtures("_namespaces")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["lan", "active", "crash"])
def test_nothing_stays_behind(number: signal.Signals, moment: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "vrrplib", "demo", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stdout:
        if f'"{moment}"' in line:
            break
    process.send_signal(number)
    process.stdout.read()
    assert process.wait(20) == 128 + number
    assert "Traceback" not in process.stderr.read()
    wait_until(lambda: not left_behind(process.pid), 5, "nothing left behind")


@pytest.mark.linux
@pytest.mark.usefixtures("_namespaces")
def test_no_process_survives_sigkill() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "vrrplib", "demo", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    for line in process.stdout:
        if '"active"' in line:
            break
    process.kill()
    process.wait()
    wait_until(lambda: not [item for item in left_behind(process.pid) if "/proc" in item], 5, "no process left")
    for path in left_behind(process.pid):
        subprocess.run(["rm", "-r", path], check=True)


def test_an_interval_that_is_not_allowed() -> None:
    assert "0.001" in fails(spawn("demo", "--interval", "0.001"), 2)
