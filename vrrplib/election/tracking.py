"""Conditions that change a priority: :class:`Tracker`, pure; who looks at the conditions is the caller's affair."""

from __future__ import annotations

from collections.abc import Iterable

from vrrplib.election.events import Event, PriorityChanged, Shutdown, Startup
from vrrplib.election.states import Reason
from vrrplib.errors import ConfigError, require_int
from vrrplib.values import dataclass

LOWEST_PRIORITY, HIGHEST_PRIORITY = 1, 254  # RFC 9568 5.2.4: 0 and 255 mean something else


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is good or bad, such as an uplink or a health check.

    ``weight`` is added to the priority: a negative one while the condition is bad, a positive one while it is good.
    0: while it is bad the router must not run at all. ``rise`` good looks in a row make it good, ``fall`` bad ones
    bad; the first look decides at once.
    """

    name: str
    weight: int = 0
    rise: int = 1
    fall: int = 1

    def __post_init__(self) -> None:
        require_int("weight", self.weight, -253, 253)
        require_int("rise", self.rise, 1, 1_000_000)
        require_int("fall", self.fall, 1, 1_000_000)


class Tracker:
    """The priority that conditions leave of ``priority``, the configured one.

    :meth:`observe` gives the events for the Router: PriorityChanged, or Shutdown (which resigns) and Startup. An
    address owner (255) stays one whatever the weights (RFC 9568 5.2.4); a condition of weight 0 ends it too. A
    condition that nobody has looked at yet is taken for good. A Router that is started later is given ``priority``
    first, and is started only if ``able``. ConfigError for two conditions of one name.
    """

    def __init__(self, priority: int, conditions: Iterable[Condition]) -> None:
        require_int("priority", priority, 1, 255)
        self.base = priority
        self._conditions: dict[str, Condition] = {}
        for condition in conditions:
            if condition.name in self._conditions:
                raise ConfigError(f"conditions must differ, but {condition.name!r} is there twice")
            self._conditions[condition.name] = condition
        self._good: dict[str, bool] = {}
        self._streaks: dict[str, int] = {}
        self._told = (priority, True)

    @property
    def able(self) -> bool:
        """Whether every condition of weight 0 is good."""
        return all(self.is_good(name) for name, condition in self._conditions.items() if condition.weight == 0)

    @property
    def priority(self) -> int:
        """The configured priority and the weights that count now, between 1 and 254."""
        if self.base == 255:
            return 255
        total = self.base
        for name, condition in self._conditions.items():
            if self.is_good(name) == (condition.weight > 0):
                total += condition.weight
        return min(max(total, LOWEST_PRIORITY), HIGHEST_PRIORITY)

    def is_good(self, name: str) -> bool:
        """What is held of a condition now; ConfigError for one that is not tracked."""
        return self._good.get(self._condition(name).name, True)

    def observe(self, name: str, good: bool) -> tuple[Event, ...]:
        """Somebody looked: what the Router must be told, nothing while the streak is too short."""
        condition = self._condition(name)
        before = self._good.get(name)
        if before is None:
            self._good[name] = good
        elif before == good:
            self._streaks[name] = 0
        else:
            self._streaks[name] = self._streaks.get(name, 0) + 1
            if self._streaks[name] >= (condition.rise if good else condition.fall):
                self._good[name], self._streaks[name] = good, 0
        return self._events()

    def rebase(self, priority: int) -> tuple[Event, ...]:
        """The Router has just been given a configuration with ``priority``: what it must be told besides."""
        require_int("priority", priority, 1, 255)
        self.base = priority
        self._told = (priority, self._told[1])
        return self._events()

    def _events(self) -> tuple[Event, ...]:
        priority, able = self.priority, self.able
        (old_priority, was_able), self._told = self._told, (priority, able)
        events: list[Event] = []
        if was_able and not able:
            events.append(Shutdown(Reason.TRACKING))
        if priority != old_priority:
            events.append(PriorityChanged(priority))
        if able and not was_able:
            events.append(Startup())
        return tuple(events)

    def _condition(self, name: str) -> Condition:
        if name not in self._conditions:
            raise ConfigError(f"condition must be one of {', '.join(self._conditions) or 'none'}, not {name!r}")
        return self._conditions[name]
