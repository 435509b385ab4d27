"""What can be wrong, and whose fault it is: yours, the peer's or the host's."""

from __future__ import annotations

import enum

from vrrplib.values import dataclass


class Problem(enum.StrEnum):
    """What can be wrong with a received message; also the reason of a discard and of a warning."""

    TRUNCATED = "truncated"  # fewer than the eight bytes that every version begins with
    VERSION = "version"
    TYPE = "type"
    VRID = "vrid"
    COUNT = "count"  # no addresses at all
    LENGTH = "length"  # fewer bytes than the address count (and authentication data) calls for
    TRAILING = "trailing"  # more bytes than that
    AUTH_TYPE = "auth-type"
    AUTH_DATA = "auth-data"  # something where authentication of this type has nothing
    INTERVAL = "interval"
    ADDRESS = "address"
    CHECKSUM = "checksum"
    RESERVED = "reserved"
    CARP = "carp"  # CARP, which shares IP protocol 112 and VRRPv2's first byte
    TTL = "ttl"
    SOURCE = "source"  # of the other family; or not from a configured peer to us
    OWNER = "owner"  # the local router owns the addresses, and listens to nobody
    AUTHENTICATION = "authentication"  # missing, malformed, or not of somebody who has the key
    REPLAY = "replay"  # authentic, and seen before
    LOOPED = "looped"  # our own advertisement came back


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a message, the clause that says so, and the value beside what is allowed."""

    problem: Problem
    clause: str
    message: str

    def __str__(self) -> str:
        return f"{self.message} ({self.clause})"


class VRRPError(Exception):
    """The base of every error that this library raises on purpose."""


class ConfigError(VRRPError, ValueError):
    """You gave a value that is not allowed; the message names it and what is."""


class DecodeError(VRRPError, ValueError):
    """The peer sent a message that the rules discard; ``findings`` says all that is wrong with it."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(findings)  # as they are: copy and pickle call this again with the same argument
        self.findings = findings

    def __str__(self) -> str:
        return "; ".join(str(finding) for finding in self.findings)

    @property
    def problem(self) -> Problem:
        """The first problem, in the order in which the RFC checks."""
        return self.findings[0].problem


class BackendError(VRRPError):
    """The host refused: ``operation`` is what was tried, ``errno`` the kernel's answer where it gave one."""

    def __init__(self, message: str, *, operation: object = None, errno: int | None = None) -> None:
        super().__init__(message)
        self.operation = operation
        self.errno = errno


def require_int(name: str, value: object, low: int, high: int) -> None:
    """Raise ConfigError unless ``value`` is an int from ``low`` to ``high``."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"{name} must be {low}-{high}, not {value!r}")
