"""When an Active router tells the LAN where its addresses are, as data: :class:`AnnouncementPolicy`."""

from __future__ import annotations

from collections.abc import Iterable

from vrrplib.errors import ConfigError
from vrrplib.values import dataclass
from vrrplib.wire.addresses import IPAddress

_MOST = 100
_LONGEST = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncementPolicy:
    """How often, and when, each virtual address is announced by gratuitous ARP or unsolicited NA. Times in seconds.

    ``at``: once at each of these times after the promotion; RFC 9568 6.4.2 asks for one, at once.
    ``after_losing``: likewise after an advertisement that loses against ours: its sender may have told the LAN
    otherwise. ``refresh``: again each so many seconds; None: never. ``spacing``: at least so long between two
    announcements of a series, for neighbours that drop what comes too fast. ConfigError for what is no time, or
    for more than a hundred of them.
    """

    at: tuple[float, ...] = (0.0,)
    after_losing: tuple[float, ...] = ()
    refresh: float | None = None
    spacing: float = 0.0

    def __post_init__(self) -> None:
        for name in ("at", "after_losing"):
            times = getattr(self, name)
            if isinstance(times, str) or not isinstance(times, Iterable):
                raise ConfigError(f"{name} must be a list of seconds, not {times!r}")
            held = tuple(times)
            if len(held) > _MOST:
                raise ConfigError(f"{name} must have at most {_MOST} times, not {len(held)}")
            for time in held:
                _require_seconds(name, time, 0.0)
            object.__setattr__(self, name, tuple(sorted(held)))
        _require_seconds("spacing", self.spacing, 0.0)
        if self.refresh is not None:
            _require_seconds("refresh", self.refresh, 0.01)

    def series(
        self, times: Iterable[float], addresses: Iterable[IPAddress], now: float
    ) -> list[tuple[float, IPAddress]]:
        """(when, address) for each announcement of ``times`` after ``now``, in the order in which they are due."""
        due, series, held = now, [], tuple(addresses)
        for time in times:
            due = max(due, now + time)
            for address in held:
                series.append((due, address))
                due += self.spacing
        return series


def _require_seconds(name: str, value: object, least: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= _LONGEST:
        raise ConfigError(f"{name} must be {least:g}-{_LONGEST:g} seconds, not {value!r}")


class Announcements:
    """What one Active router still has to announce, by its policy. ``next_at`` is when the next is due, or None."""

    def __init__(self) -> None:
        self.next_at: float | None = None
        self._waiting: list[tuple[float, IPAddress]] = []
        self._refresh_at: float | None = None

    def promoted(self, policy: AnnouncementPolicy, addresses: tuple[IPAddress, ...], now: float) -> None:
        """Begin with the series that a promotion calls for."""
        self._plan(policy.series(policy.at, addresses, now), policy.refresh, now)

    def challenged(self, policy: AnnouncementPolicy, addresses: tuple[IPAddress, ...], now: float) -> None:
        """Begin the series after a losing advertisement, in place of one that runs: there is one at most."""
        if policy.after_losing:
            self._waiting = policy.series(policy.after_losing, addresses, now)
            self._look()

    def take(self, policy: AnnouncementPolicy, addresses: tuple[IPAddress, ...], now: float) -> list[IPAddress]:
        """The addresses to announce now, in order."""
        if self._refresh_at is not None and policy.refresh is not None and self._refresh_at <= now:
            self._refresh_at = now + policy.refresh
            if not self._waiting:  # else they are being announced
                self._waiting = policy.series((0.0,), addresses, now)
        due = [address for time, address in self._waiting if time <= now]
        self._waiting = self._waiting[len(due) :]
        self._look()
        return due

    def changed(self, policy: AnnouncementPolicy, now: float) -> None:
        """Forget a series of addresses that may be gone; refresh as the new policy has it."""
        self._plan([], policy.refresh, now)

    def stop(self) -> None:
        """Announce nothing more."""
        self._waiting, self._refresh_at, self.next_at = [], None, None

    def _plan(self, waiting: list[tuple[float, IPAddress]], refresh: float | None, now: float) -> None:
        self._waiting = waiting
        self._refresh_at = None if refresh is None else now + refresh
        self._look()

    def _look(self) -> None:
        due = self._waiting[0][0] if self._waiting else None
        self.next_at = (
            self._refresh_at if due is None else due if self._refresh_at is None else min(due, self._refresh_at)
        )


ONCE = AnnouncementPolicy()
"""RFC 9568 6.4.2."""
KEEPALIVED = AnnouncementPolicy(at=(0.0,) * 5 + (5.0,) * 5, after_losing=(0.0,) * 5 + (5.0,) * 5)
"""What keepalived does unless it is told otherwise: five times at once, and again five seconds later."""
