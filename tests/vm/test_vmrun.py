"""The scripts that boot the kernel, as far as they can be tried without booting."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCRIPTS = [HERE / "vmrun", HERE / "run"]


def call(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck(script: Path) -> None:
    finished = call("shellcheck", script)
    assert finished.returncode == 0, finished.stdout


def test_usage() -> None:
    finished = call(HERE / "vmrun", "--wrong")
    assert finished.returncode == 2
    assert "vmrun [--timeout S]" in finished.stderr
    assert call(HERE / "run", "some").returncode == 2


@pytest.mark.parametrize(("required", "status"), [("", 0), ("0", 0), ("1", 1)])
def test_without_a_vm(tmp_path: Path, required: str, status: int) -> None:
    """A PATH with neither apt-get nor qemu: said, and skipped, or a failure where it is required."""
    for name in ("bash", "dirname", "id", "env"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    finished = call(HERE / "run", "main", PATH=str(tmp_path), VRRPLIB_REQUIRE_VM=required)
    assert finished.returncode == status
    assert "no VM:" in finished.stdout
