"""What a Router sends: signed as configured, kept while nothing changes, and known again when it comes back."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.election.play import V2, config
from tests.election.test_hearing import AH, CISCO, HMAC, RFC_AH, TEXT, received
from vrrplib.election.actions import Discarded, SendAdvertisement
from vrrplib.election.events import ConfigChanged, Event, GroupMoved, Shutdown, Startup, TimerExpired
from vrrplib.election.hearing import Hearing
from vrrplib.election.router import Router
from vrrplib.election.sending import FORM_MEMORY, Sender
from vrrplib.election.states import State
from vrrplib.errors import Problem
from vrrplib.rules import RFC3768
from vrrplib.wire.authentication import Scheme, verify
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.keys import NOTHING_HEARD, Replay, Verified

PSEUDO, ONLY = ChecksumForm.PSEUDO_HEADER, ChecksumForm.MESSAGE_ONLY
EVERY = pytest.mark.parametrize(
    ("scheme", "changes"),
    [(TEXT, V2), (AH, V2), (RFC_AH, V2), (CISCO, V2), (HMAC, V2), (HMAC, {})],
    ids=["text", "ah", "ah-2402", "cisco", "hmac-2", "hmac-3"],
)


def advertised(scheme: Scheme | None, **changes: Any) -> tuple[Router, SendAdvertisement]:
    router = Router(config(authentication=scheme, **changes), unix_time=1_000_000.0)
    router.handle(Startup(), 0.0)
    actions = router.handle(TimerExpired(), 3.609375)
    return router, next(action for action in actions if isinstance(action, SendAdvertisement))


@EVERY
def test_what_is_sent_is_what_somebody_with_the_key_verifies(scheme: Scheme, changes: dict[str, Any]) -> None:
    router, first = advertised(scheme, **changes)
    replay: Replay = NOTHING_HEARD
    for beat in range(3):
        datagram = first.datagram()
        seen = verify(scheme, datagram, replay, time=1_000_003.6)
        assert isinstance(seen, Verified)
        replay = seen.replay
        hearing = Hearing(config(authentication=scheme, primary_address="192.0.2.9", **changes), 1_000_000.0)
        assert not isinstance(hearing.read(datagram, 4.0), Problem)
        (again,) = router.handle(TimerExpired(), 4.609375 + beat)
        assert isinstance(again, SendAdvertisement)
        assert (again is first) is not scheme.numbered  # so that its frame can be kept
        first = again


@EVERY
def test_what_comes_back_is_known_again(scheme: Scheme, changes: dict[str, Any]) -> None:
    router, first = advertised(scheme, **changes)
    ours = first.datagram()
    assert router.receive(ours, 3.7) == (Discarded(Problem.LOOPED, ours.source),)
    elsewhere = dataclasses.replace(ours, source="192.0.2.77")
    assert router.receive(elsewhere, 3.7) != (Discarded(Problem.LOOPED, elsewhere.source),)


def test_the_trailers_number_is_unix_time_that_grows() -> None:
    router, first = advertised(HMAC)
    assert first.sequence >> 32 == 1_000_003
    (again,) = router.handle(TimerExpired(), 4.609375)
    assert isinstance(again, SendAdvertisement)
    assert again.sequence - first.sequence == 1 << 32


LOSING, RESIGNING = (received(HMAC, 3, priority=priority, sequence=1_000_004 << 32) for priority in (50, 0))
SAID: dict[str, Event | Datagram] = {
    "at the end": Shutdown(),
    "when its group steps down": GroupMoved(State.BACKUP),
    "after a priority of 0": RESIGNING,
    "against what loses": LOSING,
    "of another configuration": ConfigChanged(config(authentication=HMAC, priority=110)),
}


@pytest.mark.parametrize("happens", SAID.values(), ids=SAID)
def test_the_number_is_that_of_the_moment_whatever_is_said(happens: Event | Datagram) -> None:
    router, _ = advertised(HMAC)
    actions = router.receive(happens, 4.25) if isinstance(happens, Datagram) else router.handle(happens, 4.25)
    (said,) = [action for action in actions if isinstance(action, SendAdvertisement)]
    assert said.sequence >> 32 == 1_000_004


def after(*heard: tuple[bytes, int, int]) -> Hearing:
    hearing = Hearing(config(), 0.0)
    hearing.replay = Replay(heard) if heard else None
    return hearing


def test_a_number_is_never_0_whatever_the_clock_says() -> None:
    for scheme, changes in ((AH, V2), (RFC_AH, V2), (HMAC, {})):
        (first,) = Sender(config(authentication=scheme, **changes)).send(100, 0.0, after())
        assert first.sequence == 1


def test_keepalived_s_ah_goes_on_from_what_was_heard() -> None:
    sender = Sender(config(authentication=AH, **V2))
    (first,) = sender.send(100, 0.0, after())
    (second,) = sender.send(100, 0.0, after((b"", 41, 1)))
    assert (first.sequence, second.sequence) == (1, 42)


def test_an_ah_whose_numbers_are_used_up_does_not_begin_again() -> None:
    sender = Sender(config(authentication=AH, **V2))
    (first,) = sender.send(100, 0.0, after((b"", 0xFFFFFFFE, 1)))
    (second,) = sender.send(100, 0.0, after((b"", 0xFFFFFFFF, 1)))
    assert first.sequence == second.sequence == 0xFFFFFFFF  # which peers take for a replay: RFC 2402 3.3.2


@pytest.mark.parametrize("scheme", [TEXT, AH, HMAC], ids=["text", "ah", "hmac"])
def test_no_secret_shows_in_an_action(scheme: Scheme) -> None:
    changes = {} if scheme is HMAC else V2
    assert scheme.key.reveal().decode() not in repr(advertised(scheme, **changes))


def test_one_for_each_peer_and_version_in_order() -> None:
    sender = Sender(config(also=RFC3768, peers=["192.0.2.3", "192.0.2.4"]))
    made = [(str(item.destination), item.packet.version) for item in sender.advertisements(100)]
    assert made == [("192.0.2.3", 3), ("192.0.2.3", 2), ("192.0.2.4", 3), ("192.0.2.4", 2)]


def test_an_answer_from_memory_is_the_same_object_until_something_changes() -> None:
    sender = Sender(config(send_checksum=None))
    first = sender.advertisements(100)
    assert sender.advertisements(100) is first
    assert sender.send(100, 0.0, after()) is first
    assert sender.advertisements(0) != first
    sender.heard(ONLY, 0.0)
    assert sender.advertisements(100)[0].form is ONLY
    sender.change(config())
    assert sender.advertisements(100) == first


def test_a_form_is_followed_until_it_was_not_heard_for_a_while() -> None:
    sender = Sender(config(send_checksum=None, advertisement_interval=2.0))
    for form in (None, ChecksumForm(0), PSEUDO | ONLY):
        sender.heard(form, 0.0)  # says nothing
    sender.heard(ONLY, 1.0)
    assert FORM_MEMORY == 10
    for at in (2.0, 5.0, 1.0 + 2 * FORM_MEMORY):
        sender.heard(PSEUDO, at)
        assert sender.advertisements(100)[0].form is ONLY
    sender.heard(ONLY, 25.0)
    sender.heard(PSEUDO, 25.0 + 2 * FORM_MEMORY)
    assert sender.advertisements(100)[0].form is ONLY
    sender.heard(PSEUDO, 25.1 + 2 * FORM_MEMORY)
    assert sender.advertisements(100)[0].form is PSEUDO
