"""The three states, and why a Router goes from one to another."""

from __future__ import annotations

import enum


class State(enum.StrEnum):
    """RFC 9568 6.4."""

    INITIALIZE = "initialize"
    BACKUP = "backup"
    ACTIVE = "active"  # Master in RFC 5798


INITIALIZE, BACKUP, ACTIVE = State  # where it counts: an enumeration's own attribute takes ten times as long


class Reason(enum.StrEnum):
    """Why a state changed; the first four are RFC 8347's new-master-reason."""

    NOT_MASTER = "not-master"
    PRIORITY = "priority"  # the Active router resigned with priority 0, or we own the addresses
    PREEMPTED = "preempted"  # we took over from an Active router of lower priority
    NO_RESPONSE = "no-response"  # silence for Active_Down_Interval
    STARTUP = "startup"
    SHUTDOWN = "shutdown"
    HIGHER_PRIORITY = "higher-priority"  # we yielded
    HOST = "host"  # the host could not do what being Active asks for
    TRACKING = "tracking"  # a condition without which it must not run is bad
    GROUP = "group"  # its sync group moved it
