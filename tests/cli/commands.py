"""Running the command line, in this process and in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from vrrplib.cli.main import cli

ROOT = Path(__file__).parents[2]


def invoke(*arguments: str, stdin: str | bytes | None = None) -> Result:
    """In this process: stdout, stderr and exit_code."""
    result = CliRunner().invoke(cli, arguments, input=stdin, prog_name="vrrplib")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def events(result: Result | subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The objects that --json printed; each has at least an event and a time."""
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for event in found:
        assert isinstance(event["event"], str)
        assert isinstance(event["time"], int | float)
    return found


def fails(result: Result | subprocess.CompletedProcess[str], status: int) -> str:
    """The one line that a failure prints; nothing else, and the exit status."""
    code = result.returncode if isinstance(result, subprocess.CompletedProcess) else result.exit_code
    assert code == status, result.stderr
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("vrrplib: ")
    return line.removeprefix("vrrplib: ")


def spawn(*arguments: str, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
    """In a process of its own, as ``python -m vrrplib``."""
    return subprocess.run(
        [sys.executable, "-m", "vrrplib", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env=environment(),
        **options,
    )


def environment() -> dict[str, str]:
    """One in which the package is found whatever the working directory is."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
