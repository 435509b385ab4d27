"""What ``run`` takes for its macvlan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from vrrplib.backends.macvlan import LIVE_MODES
from vrrplib.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--mode",
        metavar="|".join(LIVE_MODES),
        help=f"The macvlan's mode while Active; by default {LIVE_MODES[0]}.",
    ),
    click.option("--name", metavar="NAME", help="The macvlan's name; by default vmac4-INDEX-VRID."),
    click.option("--mac", metavar="MAC", help="Another virtual MAC than the RFC's; the same on all routers."),
    click.option("--xmit-base", is_flag=True, help="Send advertisements from the interface's own MAC."),
    click.option("--standing", is_flag=True, help="Have the addresses there while Backup too, behind a filter."),
)


def macvlan_options(function: F) -> F:
    """The options of this module."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def backend_arguments(backend: str, options: dict[str, Any]) -> dict[str, Any]:
    """Those that were given, as keyword arguments; ConfigError where the backend is another than macvlan."""
    names = ("mode", "name", "mac", "xmit_base", "standing")
    given = {name: options[name] for name in names if options[name] not in (None, False)}
    if given and backend != "macvlan":
        option = "--" + next(iter(given)).replace("_", "-")
        raise ConfigError(f"{option} is for --backend macvlan, and not for {backend}")
    return given
