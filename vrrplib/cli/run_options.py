"""What ``run`` takes beyond the bare virtual router: unicast peers, keys, delays, announcements."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vrrplib.cli.keys import SCHEMES, read_key
from vrrplib.election.announcing import AnnouncementPolicy
from vrrplib.errors import ConfigError
from vrrplib.rules import DEFAULT_RULES
from vrrplib.wire.addresses import ADVERTISEMENT_TTL
from vrrplib.wire.authentication import Scheme

F = TypeVar("F", bound=Callable[..., Any])

_USUAL_AUTH = {2: "text", 3: "hmac"}

_OPTIONS = (
    click.option(
        "--peer",
        "peers",
        multiple=True,
        metavar="ADDRESS",
        help="A router to send to, and to hear, instead of the group; again for more. The kernel routes it.",
    ),
    click.option(
        "--least-peer-ttl",
        type=int,
        metavar="TTL",
        help="Hear peers with this TTL or more: 254 for one router between. By default 255.",
    ),
    click.option(
        "--key-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Sign, and hear only what is signed, with the secret in this file: text, or hex:DIGITS.",
    ),
    click.option(
        "--auth",
        type=click.Choice(["text", "ah", "hmac"]),
        help="How: RFC 2338's simple text or AH (version 2), keepalived's HMAC trailer. "
        "By default text in version 2, hmac in version 3.",
    ),
    click.option(
        "--preempt-delay",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="Let an Active router of lower priority be for so long.",
    ),
    click.option(
        "--startup-delay",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="Do not become Active before this time after the start.",
    ),
    click.option(
        "--announce",
        default="0",
        show_default=True,
        metavar="SECONDS,...",
        help="When each address is announced (ARP, NA) after becoming Active; keepalived: 0,0,0,0,0,5,5,5,5,5.",
    ),
    click.option(
        "--announce-after-losing",
        default="0,0.1,1",
        show_default=True,
        metavar="SECONDS,...",
        help="Likewise after an advertisement of a rival with a lower priority, who may have announced itself.",
    ),
    click.option(
        "--announce-refresh",
        type=float,
        metavar="SECONDS",
        help="Announce each address again so often.",
    ),
    click.option("--also-v2", is_flag=True, help="Speak version 2 beside version 3, during a migration."),
)


def protocol_options(function: F) -> F:
    """The options of this module."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def protocol_fields(options: dict[str, Any], *, version: int) -> dict[str, Any]:
    """The options as RouterConfig's fields; ConfigError for what cannot be together."""
    if options["least_peer_ttl"] is not None and not options["peers"]:
        raise ConfigError("--least-peer-ttl is for --peer: without peers the TTL must be 255 (RFC 9568 5.1.1.3)")
    if options["also_v2"] and version != 3:
        raise ConfigError("--also-v2 is for --version 3")
    ttl = options["least_peer_ttl"]
    return {
        "peers": options["peers"],
        "least_peer_ttl": ADVERTISEMENT_TTL if ttl is None else ttl,
        "authentication": _scheme(options["key_file"], options["auth"], version),
        "preempt_delay": options["preempt_delay"],
        "startup_delay": options["startup_delay"],
        "announcements": _policy(
            options["announce"], options["announce_after_losing"], options["announce_refresh"]
        ),
        "also": DEFAULT_RULES[2] if options["also_v2"] else None,
        "listen_after_stall": True,
    }


def _scheme(key_file: Path | None, auth: str | None, version: int) -> Scheme | None:
    if key_file is None:
        if auth is not None:
            raise ConfigError(f"--auth {auth} needs the key: give --key-file")
        return None
    key = read_key(None, key_file)
    assert key is not None
    return SCHEMES[auth or _USUAL_AUTH[version]](key)


def _policy(announce: str, after_losing: str, refresh: float | None) -> AnnouncementPolicy:
    at = _seconds("--announce", announce)
    again = _seconds("--announce-after-losing", after_losing)
    try:
        return AnnouncementPolicy(at=at, after_losing=again, refresh=refresh)
    except ConfigError as error:
        raise ConfigError(f"--announce: {error}") from None


def _seconds(option: str, times: str) -> tuple[float, ...]:
    try:
        return tuple(float(time) for time in times.split(",")) if times else ()
    except ValueError:
        raise ConfigError(f"{option} must be seconds with commas between, such as 0,0,5, not {times!r}") from None
