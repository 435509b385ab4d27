"""The group: versions, help, and every error in one line."""

from __future__ import annotations

import errno
import subprocess
import sys

import click
import pytest

import vrrplib
from tests.cli.commands import environment, fails, invoke, spawn
from vrrplib.cli.main import COMMANDS, cli
from vrrplib.errors import BackendError, ConfigError


def test_version() -> None:
    assert invoke("--version").stdout == f"vrrplib, version {vrrplib.__version__}\n"


def test_version_info_names_what_matters_in_a_report() -> None:
    shown = invoke("--version-info").stdout
    assert shown.startswith(f"vrrplib {vrrplib.__version__}\nPython ")
    for package in ("pyroute2", "dpkt", "click", "rich"):
        assert f"\n{package} " in shown


def test_help_lists_every_command() -> None:
    shown = invoke("--help").stdout
    for name, words in COMMANDS.items():
        assert name in shown
        assert words in shown


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_has_an_example_and_json(name: str) -> None:
    shown = invoke(name, "--help").stdout
    assert f"Example: vrrplib {name}" in " ".join(shown.split())
    assert "--json" in shown


def test_an_unknown_command_is_one_line() -> None:
    assert "bogus" in fails(invoke("bogus"), 2)


def test_an_unknown_option_is_one_line() -> None:
    assert "--bogus" in fails(invoke("timers", "--bogus"), 2)


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ConfigError("vrid must be 1-255, not 0"), 2, "vrid must be 1-255, not 0"),
        (BackendError("eth0 is gone"), 1, "eth0 is gone"),
        (
            BackendError("eth0: refused", errno=errno.EPERM),
            1,
            "eth0: refused; run as root, or with CAP_NET_ADMIN and CAP_NET_RAW",
        ),
        (BackendError("run as root", errno=errno.EPERM), 1, "run as root"),
    ],
)
def test_errors_are_one_line_and_a_status(
    error: Exception, status: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setattr(type(cli), "get_command", lambda *_: failing)
    assert fails(invoke("timers"), status) == line


def test_a_reader_that_goes_away_leaves_no_traceback() -> None:
    command = f"{sys.executable} -m vrrplib simulate --until 2000 --crash a@10 --restart a@20 --json | head -c 1"
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60, env=environment()
    )
    assert (done.stdout, done.stderr) == ("{", "")


def test_python_m() -> None:
    done = spawn("--version")
    assert (done.returncode, done.stdout) == (0, f"vrrplib, version {vrrplib.__version__}\n")


@pytest.mark.parametrize("package", ["click", "rich"])
def test_without_the_extra_it_says_how_to_get_it(package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from vrrplib.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment()
    )
    assert fails(done, 1) == f"the command line needs {package}: pip install 'vrrplib[cli]'"


def test_a_command_loads_only_itself() -> None:
    code = (
        "import sys; from vrrplib.cli.main import cli; cli(['timers'], standalone_mode=False); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    loaded = set(done.stdout.split())
    assert "vrrplib.cli.timers" in loaded
    assert loaded & {"pyroute2", "rich", "vrrplib.cli.run", "vrrplib.backends.netlink"} == set()
