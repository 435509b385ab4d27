"""The group of commands: each is loaded when it is asked for, and every error is one line and an exit status."""

from __future__ import annotations

import errno
import importlib
import platform
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any

import click

from vrrplib import __version__
from vrrplib.errors import BackendError, VRRPError

COMMANDS = {
    "cleanup": "Give the host back after a crash.",
    "decode": "Show what is in VRRP messages, and what is wrong with them.",
    "demo": "Show a virtual MAC failing over, in throw-away namespaces.",
    "doctor": "Say what will not work on an interface, before trouble.",
    "encode": "Build a VRRP message from its fields, right or wrong.",
    "explain": "Tell what happened in a capture, and why.",
    "mutate": "Change VRRP messages at random, reproducibly.",
    "run": "Run a virtual router on an interface.",
    "simulate": "Run virtual routers on a simulated LAN.",
    "timers": "Compute skew_time and active_down_interval.",
}
"""The help line of each command; its function of the same name is in the module of that name."""


class Group(click.Group):
    """Commands by name, without loading those that are not asked for; errors in one line.

    Exit status 2 for a value that is wrong in itself, 1 for what the host refuses.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"vrrplib.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        act: Callable[..., Any] = super().main
        if not standalone_mode:
            return act(*args, standalone_mode=False, **extra)
        try:
            status = act(*args, standalone_mode=False, **extra)
        except click.Abort:
            sys.exit(130)  # interrupted before anything was done
        except click.ClickException as error:
            _complain(_message(error))
            sys.exit(error.exit_code)
        except BackendError as error:
            _complain(_advice(error))
            sys.exit(1)
        except VRRPError as error:
            _complain(str(error))
            sys.exit(2)
        except BrokenPipeError:
            sys.stdout = None  # whoever read us has gone: nothing is left to flush
            sys.exit(1)
        sys.exit(status if isinstance(status, int) else 0)


def _complain(message: str) -> None:
    click.echo("vrrplib: " + " ".join(message.split()), err=True)


def _message(error: click.ClickException) -> str:
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
    return (
        f"{error.format_message().rstrip('.')} (see {command} --help)"
        if command
        else error.format_message().rstrip(".")
    )


def _advice(error: BackendError) -> str:
    """The error, with what to do about a lack of privilege where it does not say so itself."""
    message = str(error)
    if error.errno in (errno.EPERM, errno.EACCES) and "CAP_" not in message and "root" not in message:
        message += "; run as root, or with CAP_NET_ADMIN and CAP_NET_RAW"
    return message


def _show_versions(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    click.echo(f"vrrplib {__version__}")
    click.echo(f"Python {platform.python_version()}")
    click.echo(f"{platform.system()} {platform.release()}")
    for package in ("pyroute2", "dpkt", "click", "rich"):
        try:
            click.echo(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            click.echo(f"{package} is missing")
    ctx.exit()


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: vrrplib run eth0 --vrid 51 --address 192.0.2.254/24",
)
@click.version_option(__version__, prog_name="vrrplib")
@click.option(
    "--version-info",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_versions,
    help="Show the versions of all that matters in a report, and exit.",
)
def cli() -> None:
    """VRRP and virtual MACs: run a virtual router, look into messages, compute timers, simulate."""
