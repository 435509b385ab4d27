"""The two formulas of VRRP (RFC 3768 6.1, RFC 9568 6.1), in float seconds."""

from __future__ import annotations

from vrrplib.errors import ConfigError, require_int


def skew_time(priority: int, active_adver_interval: float = 1.0, *, version: int = 3) -> float:
    """Skew_Time in seconds, for the local ``priority`` (1-255).

    Version 3: (256 - priority) / 256 of ``active_adver_interval``, the interval learned from the Active router
    (Master_Adver_Interval in RFC 5798 6.1). Version 2: (256 - priority) / 256 of a second, whatever the interval.
    ConfigError for other priorities and versions, and for an interval that is not positive.
    """
    require_int("priority", priority, 1, 255)
    _check(active_adver_interval, version)
    return skew_of(priority, active_adver_interval if version == 3 else 1.0)


def active_down_interval(priority: int, active_adver_interval: float = 1.0, *, version: int = 3) -> float:
    """Active_Down_Interval in seconds: three intervals and the skew (Master_Down_Interval in RFC 5798 6.1)."""
    return 3 * active_adver_interval + skew_time(priority, active_adver_interval, version=version)


def skew_of(priority: int, seconds: float) -> float:
    """The part of ``seconds`` that is the skew of a valid ``priority``: for each advertisement that is heard."""
    return (256 - priority) / 256 * seconds


def _check(interval: float, version: int) -> None:
    require_int("version", version, 2, 3)
    if not 0 < interval < float("inf"):
        raise ConfigError(f"active_adver_interval must be a positive number of seconds, not {interval!r}")
