"""``--key`` and ``--key-file``: secrets of the command line, and what they say of a message."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vrrplib.errors import ConfigError, Finding, Problem
from vrrplib.wire.ah import AuthenticationHeader
from vrrplib.wire.authentication import CiscoMD5, HMACTrailer, Scheme, SimpleText, verify
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.keys import NOTHING_HEARD, Key, Replay
from vrrplib.wire.packets import Packet, VRRPv2

F = TypeVar("F", bound=Callable[..., Any])

SCHEMES: dict[str, Callable[[Key], Scheme]] = {
    "text": SimpleText,
    "ah": AuthenticationHeader,
    "md5": CiscoMD5,
    "hmac": HMACTrailer,
}
_BY_AUTH_TYPE = {1: "text", 2: "ah", 254: "md5"}
_TRAILER_LENGTH = 28


def key_options(function: F) -> F:
    """``--key`` and ``--key-file``."""
    for option in (
        click.option(
            "--key-file",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="A file with the secret; the line's end is not part of it.",
        ),
        click.option(
            "--key",
            metavar="SECRET",
            help="The secret, as text or hex:DIGITS; others can see it in the list of processes: prefer a file.",
        ),
    ):
        function = option(function)
    return function


def read_key(key: str | None, key_file: Path | None) -> Key | None:
    """The secret, None without one; ConfigError, which does not show it, for both options or bad hex digits."""
    if key is not None and key_file is not None:
        raise ConfigError("key must be given by one of --key and --key-file, not by both")
    if key_file is not None:
        return _key_of(key_file.read_bytes().removesuffix(b"\n").removesuffix(b"\r"))
    return None if key is None else _key_of(key.encode("utf-8", "surrogateescape"))


def _key_of(secret: bytes) -> Key:
    if not secret.startswith(b"hex:"):
        return Key(secret)
    try:
        return Key(bytes.fromhex(secret[4:].decode("ascii")))
    except ValueError:
        raise ConfigError("key must have pairs of hex digits after hex:") from None


@dataclasses.dataclass(slots=True)
class Verifier:
    """Tells whether messages are authentic, each by the scheme that it names; remembers what was heard of whom."""

    key: Key
    replays: dict[str, Replay] = dataclasses.field(default_factory=dict)

    def check(self, packet: Packet, datagram: Datagram) -> tuple[str, int, Finding | None]:
        """The scheme ("" for none), the trailing bytes that it accounts for, and what is wrong."""
        name = _scheme_of(packet)
        if not name:
            return "", 0, Finding(Problem.AUTHENTICATION, "RFC 2338 7.1", "the message is not authenticated")
        try:
            scheme = SCHEMES[name](self.key)
        except ConfigError as error:
            return name, 0, Finding(Problem.AUTHENTICATION, "RFC 2338 7.1", str(error))
        seen = verify(scheme, datagram, self.replays.get(name, NOTHING_HEARD))
        if isinstance(seen, Finding):
            return name, 0, seen
        self.replays[name] = seen.replay
        return name, seen.trailing, None


def _scheme_of(packet: Packet) -> str:
    if isinstance(packet, VRRPv2) and packet.auth_type:
        return _BY_AUTH_TYPE.get(packet.auth_type, "")
    return "hmac" if len(packet.trailing) == _TRAILER_LENGTH and packet.trailing[0] == 1 else ""
