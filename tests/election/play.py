"""A Router played through time, step by step, each step with all that it must do."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Self

import pytest

from vrrplib.election.actions import (
    Action,
    Activate,
    Announce,
    Deactivate,
    SendAdvertisement,
    StateChanged,
)
from vrrplib.election.config import RouterConfig
from vrrplib.election.events import Event, Startup, TimerExpired
from vrrplib.election.router import Router
from vrrplib.election.states import Reason, State
from vrrplib.rules import RFC3768
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.packets import VRRPv2, VRRPv3

INITIALIZE, BACKUP, ACTIVE = State.INITIALIZE, State.BACKUP, State.ACTIVE
MICROSECOND = 1e-6
GROUPS = {4: ip_address("224.0.0.18"), 6: ip_address("ff02::12")}
OTHER = {4: "192.0.2.3", 6: "fe80::3"}  # higher than our own address below
V6 = {"addresses": ["fe80::1/64", "2001:db8::1/64"], "primary_address": "fe80::2"}
V2 = {"rules": RFC3768}


def config(**changes: Any) -> RouterConfig:
    """VRID 1, priority 100, one second, two addresses, 192.0.2.2: what the oracle's cases begin with."""
    usual = {"vrid": 1, "addresses": ["192.0.2.100/24", "192.0.2.101/24"], "primary_address": "192.0.2.2"}
    return RouterConfig(**usual | changes)


def advertisement(
    of: RouterConfig, priority: int | None = None, *, form: ChecksumForm = ChecksumForm.PSEUDO_HEADER
) -> SendAdvertisement:
    """What a router with this configuration is to send, put together without a Router."""
    head: dict[str, Any] = {"vrid": of.vrid, "priority": of.priority if priority is None else priority}
    head["addresses"] = [address.ip for address in of.addresses]
    packet = (
        VRRPv2(**head, advertisement_interval=round(of.advertisement_interval))
        if of.version == 2
        else VRRPv3(**head, max_advertise_interval=round(of.advertisement_interval * 100))
    )
    return SendAdvertisement(packet, of.primary_address, GROUPS[of.family], form)


def promotion(of: RouterConfig, reason: Reason, *, old: State = BACKUP) -> tuple[Action, ...]:
    """The host, the advertisement, each address in order, and the report."""
    announcements = [Announce(address.ip) for address in of.addresses]
    return (Activate(), advertisement(of), *announcements, StateChanged(old, ACTIVE, reason))


YIELDING = (Deactivate(), StateChanged(ACTIVE, BACKUP, Reason.HIGHER_PRIORITY))


def release(of: RouterConfig) -> tuple[Action, ...]:
    return (advertisement(of, 0), Deactivate(), StateChanged(ACTIVE, INITIALIZE, Reason.SHUTDOWN))


def heard(
    of: RouterConfig,
    priority: int,
    *,
    source: str | None = None,
    interval: float | None = None,
    ttl: int = 255,
    form: ChecksumForm = ChecksumForm.PSEUDO_HEADER,
    **changes: Any,
) -> Datagram:
    """A datagram from another router; all that is not given is as in our own configuration."""
    seconds = of.advertisement_interval if interval is None else interval
    fields: dict[str, Any] = {"vrid": of.vrid, "addresses": [address.ip for address in of.addresses]}
    fields |= {"priority": priority} | changes
    packet = (
        VRRPv2(**{"advertisement_interval": round(seconds)} | fields)
        if of.version == 2
        else VRRPv3(**{"max_advertise_interval": round(seconds * 100)} | fields)
    )
    source = source or OTHER[of.family]
    return Datagram(packet.encode(source, GROUPS[of.family], form=form), source, GROUPS[of.family], ttl)


class Play:
    """A Router and the actions of its last step. Times are in centiseconds, as in the oracle."""

    def __init__(self, **changes: Any) -> None:
        self.config = config(**changes)
        self.router = Router(self.config)
        self.actions: tuple[Action, ...] = ()

    def at(self, time: float, event: Event) -> Self:
        self.actions = self.router.handle(event, time / 100)
        return self

    def fires(self, time: float) -> Self:
        """The timer, at the microsecond where it is due; just before it nothing happens."""
        self.is_due(time)
        assert self.router.deadline is not None
        before = self.router.state
        assert self.router.handle(TimerExpired(), self.router.deadline - MICROSECOND) == ()
        assert self.router.state is before
        self.actions = self.router.handle(TimerExpired(), self.router.deadline)
        return self

    def hears(self, time: float, priority: int, **changes: Any) -> Self:
        """A whole datagram, through all the checks; ``interval`` in seconds."""
        self.actions = self.router.receive(heard(self.config, priority, **changes), time / 100)
        return self

    def is_due(self, time: float | None) -> Self:
        wanted = None if time is None else pytest.approx(time / 100, abs=MICROSECOND)
        assert self.router.deadline == wanted
        return self

    def does(self, *actions: Action, state: State, deadline: float | None) -> Self:
        """The last step gave exactly these actions, and left this state and deadline."""
        assert self.actions == actions
        assert self.router.state is state
        return self.is_due(deadline)


def backup(**changes: Any) -> Play:
    """A Backup since 0 that has heard nothing."""
    return Play(**changes).at(0, Startup())


def active(since: float = 900, **changes: Any) -> Play:
    """Active since 900, so that its next advertisement is due one interval later: at 1000 by default."""
    play = Play(**changes)
    if play.config.priority == 255:
        return play.at(since, Startup())
    play.at(since - play.router.active_down_interval * 100, Startup())
    play.fires(since)
    assert play.router.state is ACTIVE
    return play
