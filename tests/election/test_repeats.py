"""A Router remembers what it follows, to be quick with adverts that repeat: nothing else may change by that.

Each step is done by two Routers, one of which hears a copy of every message, and so remembers none.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.election.explore.machine import values_of
from tests.election.play import config
from vrrplib.election.config import RouterConfig
from vrrplib.election.events import (
    AdvertisementReceived,
    ConfigChanged,
    Event,
    GroupHeld,
    GroupMoved,
    PriorityChanged,
    Shutdown,
    Startup,
    TimerExpired,
)
from vrrplib.election.router import Router
from vrrplib.election.states import State
from vrrplib.rules import RFC3768, RFC9568_PUBLISHED
from vrrplib.wire.addresses import to_address, to_interface
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.packets import VRRPv2, VRRPv3

OURS = config()
CONFIGS = {
    "as usual": OURS,
    "no preemption": config(preempt=False),
    "preemption later": config(preempt_delay=5.0),
    "start-up delay": config(startup_delay=7.0),
    "listens after a stall": config(listen_after_stall=True),
    "owner as published": config(priority=255, rules=RFC9568_PUBLISHED),
    "with version 2": config(also=RFC3768),
    "checksum as heard": config(send_checksum=None),
}
VRRP2_OF_C = VRRPv2(vrid=1, priority=200, addresses=OURS.ips)


def advert(priority: int, source: str, **changes: Any) -> AdvertisementReceived:
    fields: dict[str, Any] = {"vrid": 1, "priority": priority, "addresses": OURS.ips} | changes
    return AdvertisementReceived(VRRPv3(**fields), to_address(source), ChecksumForm.PSEUDO_HEADER)


HEARD = {
    "higher": advert(150, "192.0.2.3"),
    "higher, slower": advert(150, "192.0.2.3", max_advertise_interval=200),
    "another": advert(200, "192.0.2.4"),
    "another's version 2": AdvertisementReceived(VRRP2_OF_C, to_address("192.0.2.4")),
    "other form": dataclasses.replace(advert(150, "192.0.2.3"), form=ChecksumForm.MESSAGE_ONLY),
    "other addresses": advert(150, "192.0.2.3", addresses=["192.0.2.100"]),
    "lower": advert(50, "192.0.2.5"),
    "resigning": advert(0, "192.0.2.3"),
    "owner": advert(255, "192.0.2.100"),
    "wrong VRID": advert(150, "192.0.2.3", vrid=2),
}
EVENTS: dict[str, Event] = HEARD | {
    "timer": TimerExpired(),
    "shutdown": Shutdown(),
    "startup": Startup(),
    "raised": PriorityChanged(170),
    "lowered": PriorityChanged(40),
    "slower": ConfigChanged(config(advertisement_interval=2.0)),
    "one address": ConfigChanged(dataclasses.replace(OURS, addresses=(to_interface("192.0.2.100/24"),))),
    "held": GroupHeld(True),
    "let go": GroupHeld(False),
    "group active": GroupMoved(State.ACTIVE),
    "group backup": GroupMoved(State.BACKUP),
}
CACHES = ("_followed", "_followed_for", "_hearing._screened")


class Pair:
    """The two Routers, started."""

    def __init__(self, of: RouterConfig) -> None:
        self.remembering, self.plain = Router(of), Router(of)
        self.config, self.now = of, 0.0
        self.does(Startup())

    def does(self, event: Event, after: float = 0.0) -> None:
        """Both do the same, and wait for the same instant."""
        self.now += after
        if isinstance(event, ConfigChanged):
            event = ConfigChanged(
                dataclasses.replace(
                    self.config,
                    addresses=event.config.addresses,
                    advertisement_interval=event.config.advertisement_interval,
                )
            )
        again = copy.copy(event) if isinstance(event, AdvertisementReceived) else event
        assert self.remembering.handle(event, self.now) == self.plain.handle(again, self.now)
        assert self.remembering.deadline == self.plain.deadline

    def are_equal(self) -> None:
        """In all that they know."""
        states = [values_of(router) for router in (self.remembering, self.plain)]
        for name in CACHES:
            for state in states:
                state.pop(name)
        assert states[0] == states[1]


@pytest.mark.parametrize("of", CONFIGS)
def test_whatever_comes_between_what_repeats(of: str) -> None:
    for first, between in itertools.product(("higher", "other form", "other addresses", "lower"), EVENTS):
        pair = Pair(CONFIGS[of])
        for event in (first, first, between, first, "let go", first):
            pair.does(EVENTS[event], 0.5)
        for _ in range(2):
            if pair.plain.deadline is not None:
                pair.does(EVENTS["timer"], max(0.0, pair.plain.deadline - pair.now))
        pair.are_equal()


def test_what_repeats_is_remembered_and_counted() -> None:
    router = Router(OURS)
    router.handle(Startup(), 0.0)
    for now in (0.5, 1.5, 2.5):
        assert router.handle(HEARD["higher"], now) == ()
        assert router._followed is HEARD["higher"]
        assert router.deadline == now + router.active_down_interval
    assert router.statistics.advertisement_rcvd == 3


def test_what_repeats_is_followed_after_the_router_stalled_and_listened() -> None:
    pair = Pair(CONFIGS["listens after a stall"])
    for _ in range(3):
        pair.does(HEARD["higher"], 0.5)
        pair.does(TimerExpired(), 10.0)
        assert pair.plain.state is State.BACKUP
    pair.are_equal()


STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(EVENTS)), st.sampled_from([0.0, 0.25, 1.0, 4.0, 9.0])), max_size=40
)


@given(of=st.sampled_from(sorted(CONFIGS)), steps=STEPS)
def test_any_history(of: str, steps: list[tuple[str, float]]) -> None:
    pair = Pair(CONFIGS[of])
    for event, after in steps:
        pair.does(EVENTS[event], after)
        pair.are_equal()
