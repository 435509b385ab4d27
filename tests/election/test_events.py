from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.election.play import config
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
from vrrplib.election.states import Reason, State
from vrrplib.wire.addresses import to_address
from vrrplib.wire.packets import VRRPv3

EVENTS = [
    Startup(),
    Shutdown(),
    TimerExpired(),
    PriorityChanged(5),
    AdvertisementReceived(VRRPv3(vrid=1), to_address("192.0.2.3")),
    ConfigChanged(config()),
    GroupMoved(State.ACTIVE),
    GroupHeld(True),
]


def test_these_are_all_the_events_there_are() -> None:
    assert {type(event) for event in EVENTS} == set(Event.__args__)  # type: ignore[attr-defined]


def test_a_shutdown_resigns_unless_it_is_told_not_to() -> None:
    assert Shutdown() == Shutdown(reason=Reason.SHUTDOWN, resign=True)
    assert Shutdown(reason=Reason.HOST, resign=False) != Shutdown()


def test_a_checksum_that_was_not_judged_has_no_form() -> None:
    assert AdvertisementReceived(VRRPv3(vrid=1), to_address("192.0.2.3")).form is None


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_is_a_value(event: Any) -> None:
    assert dataclasses.replace(event) == event
    assert hash(dataclasses.replace(event)) == hash(event)
    assert not hasattr(event, "__dict__")
    for field in dataclasses.fields(event):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(event, field.name, None)
