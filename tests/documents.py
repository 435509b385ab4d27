"""The python code of a document, run as it is printed: each block is a program of its own, in its own process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import environment
from tests.linux.conftest import skip_or_fail, why_not
from tests.linux.lab import Lab

ROOT = Path(__file__).parents[1]
NEEDS_A_LAN = "PacketTransport("
BECAME_ACTIVE = "new=<State.ACTIVE"


def blocks(path: Path) -> list[Any]:
    """Its python blocks as parameters, named by the heading above them."""
    found = []
    heading = path.stem
    text = path.read_text()
    for match in re.finditer(
        r"^#+ (?P<heading>[^\n]+)$|^```python\n(?P<code>.*?)^```$", text, re.MULTILINE | re.DOTALL
    ):
        if match["heading"]:
            heading = match["heading"]
        else:
            found.append(pytest.param(match["code"], id=f"{path.name}: {heading}"))
    return found


def run(code: str, tmp_path: Path) -> None:
    """Run a program to its end; one that serves an interface on a LAN, until it is Active and is told to end."""
    program = tmp_path / "program.py"
    program.write_text(code)
    if NEEDS_A_LAN in code:
        run_on_a_lan(program)
        return
    done = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
        env=environment(),
    )
    assert (done.returncode, done.stderr) == (0, "")


def run_on_a_lan(program: Path) -> None:
    if reason := why_not():
        skip_or_fail(reason, "VRRPLIB_REQUIRE_LINUX")
    with Lab() as lab:
        host = lab.host("router", "192.0.2.1/24")
        before = host.dump()
        state = {"RUNTIME_DIRECTORY": str(lab.directory / "state")}
        with lab.capture() as capture:
            process = host.spawn(sys.executable, str(program), environment=environment() | state)
            process.wait_for(BECAME_ACTIVE)
            capture.wait_for(lambda frame: frame.gratuitous == ("192.0.2.254", "00:00:5e:00:01:33"), 5)
            assert capture.advertisements(51, 4)[0].source_mac == "00:00:5e:00:01:33"
        process.interrupt()
        status = process.wait()
        if "while True" not in program.read_text():  # that one is ended by KeyboardInterrupt, as any loop
            assert status == 0, process.log
        assert before.diff(host.dump()) == []
