"""What every scheme of authentication shares: a secret that does not show, and the memory against replays."""

from __future__ import annotations

import dataclasses
import hmac
from typing import TypeAlias

from vrrplib.errors import ConfigError

_SENDERS = 16  # more than a virtual router ever has; one who knows the key could grow the state without it


class Key:
    """A secret, from text (UTF-8) or bytes. Its repr is ``Key(hidden)``; it compares in constant time.

    Making one never raises, lest a traceback show what was given: the scheme that takes it checks its length.
    """

    __slots__ = ("_secret",)
    _secret: bytes | None

    def __init__(self, secret: str | bytes | Key) -> None:
        object.__setattr__(self, "_secret", _bytes_of(secret))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Key cannot be changed: {name}")

    def __reduce__(self) -> tuple[type[Key], tuple[bytes]]:
        return Key, (self._secret or b"",)

    def __repr__(self) -> str:
        return "Key(hidden)"

    def __eq__(self, other: object) -> bool:
        return hmac.compare_digest(self.reveal(), other.reveal()) if isinstance(other, Key) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._secret)

    def reveal(self) -> bytes:
        """The secret: hand it on at once, and keep it in no variable."""
        return self._secret or b""

    def require_length(self, low: int, high: int, why: str) -> None:
        """Raise ConfigError, which says how long it is and ``why`` that is wrong, unless it has that many bytes."""
        if self._secret is None:
            raise ConfigError("key must be text or bytes")
        if not low <= len(self._secret) <= high:
            allowed = f"{low}-{high}" if low != high else f"{low}"
            raise ConfigError(f"key must have {allowed} bytes, not {len(self._secret)}: {why}")


KeyLike: TypeAlias = str | bytes | Key


@dataclasses.dataclass(frozen=True, slots=True)
class Replay:
    """What was accepted before, of each sender: a value that the caller keeps, and replaces by the one handed back.

    ``marks`` are (sender, highest sequence number, bits of those below it that were seen), last heard last.
    """

    marks: tuple[tuple[bytes, int, int], ...] = ()

    def highest(self, sender: bytes = b"") -> int:
        """The highest sequence number accepted of ``sender``; 0 if there is none."""
        return next((high for who, high, _ in self.marks if who == sender), 0)

    def accept(self, sender: bytes, sequence: int, *, window: int = 1, bits: int = 64) -> Replay | None:
        """The state after ``sequence``, a number of ``bits`` that may wrap; None if it was seen, or is too old."""
        others = tuple(mark for mark in self.marks if mark[0] != sender)
        highest, seen = sequence, 1
        if len(others) < len(self.marks):
            highest, seen = next((high, old) for who, high, old in self.marks if who == sender)
            ahead = (sequence - highest + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)  # RFC 1982
            if ahead > 0:
                highest, seen = sequence, (seen << ahead | 1) % (1 << window) if ahead < window else 1
            elif -ahead >= window or seen >> -ahead & 1:
                return None
            else:
                seen |= 1 << -ahead
        return Replay((*others, (sender, highest, seen))[-_SENDERS:])


@dataclasses.dataclass(frozen=True, slots=True)
class Verified:
    """The message is that of somebody who has the key.

    ``replay`` is the state to keep for the next one, ``sequence`` the sender's number, None where the scheme has
    none. ``trailing`` is how many bytes after the message the scheme accounts for: no reason to warn of them.
    """

    replay: Replay
    sequence: int | None = None
    trailing: int = 0


NOTHING_HEARD = Replay()


def _bytes_of(secret: object) -> bytes | None:
    """None for what is no secret: the encoder's own error would carry the text."""
    if isinstance(secret, Key):
        return secret._secret
    if isinstance(secret, str):
        try:
            return secret.encode("utf-8", "surrogateescape")  # as the command line decoded it
        except UnicodeEncodeError:
            return None
    return bytes(secret) if isinstance(secret, bytes | bytearray | memoryview) else None
