from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.election.play import (
    ACTIVE,
    BACKUP,
    GROUPS,
    INITIALIZE,
    V2,
    V6,
    YIELDING,
    Play,
    active,
    advertisement,
    backup,
    config,
    heard,
    promotion,
    release,
)
from vrrplib.election.actions import (
    Action,
    Activate,
    Announce,
    Deactivate,
    Discarded,
    Reconfigure,
    SendAdvertisement,
    Stalled,
    StateChanged,
    Warned,
)
from vrrplib.election.announcing import AnnouncementPolicy
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
from vrrplib.election.sending import ANSWER_SPACING
from vrrplib.election.states import Reason, State
from vrrplib.errors import ConfigError, Problem
from vrrplib.rules import RFC2338, RFC3768, RFC5798, RFC9568, RFC9568_PUBLISHED, Rules, Verdict
from vrrplib.wire.addresses import to_address, to_interface
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import parse
from vrrplib.wire.packets import VRRPv2, VRRPv3, inspect

# -- the transition matrix --
#
# Every state times every event. RFC 9568, priority 100, own address 192.0.2.2, one second. The Backups began at 0;
# the resigned one heard priority 0 at 0.25; the Active one became so at 0. All events come at 0.5 unless they say
# otherwise. A cell is the exact actions, the state after them, and the deadline in seconds.

OURS = config()
OTHERS = dataclasses.replace(
    OURS, advertisement_interval=2.0, addresses=(*OURS.addresses, to_interface("192.0.2.102/24"))
)
NOW = 0.5
LOWER_ADDRESS, HIGHER_ADDRESS = "192.0.2.1", "192.0.2.3"
DOWN, SKEW = 3.609375, 0.609375


def received(priority: int, source: str = HIGHER_ADDRESS, **changes: Any) -> Datagram:
    return heard(OURS, priority, source=source, **changes)


EVENTS: dict[str, Event | Datagram] = {
    "startup": Startup(),
    "shutdown": Shutdown(),
    "host lost": Shutdown(reason=Reason.HOST, resign=False),
    "timer early": TimerExpired(),
    "timer due": TimerExpired(),
    "priority raised": PriorityChanged(200),
    "priority lowered": PriorityChanged(50),
    "config changed": ConfigChanged(OTHERS),
    "priority 0": received(0),
    "lower": received(99),
    "equal, lower address": received(100, LOWER_ADDRESS),
    "equal, same address": received(100, "192.0.2.2", reserved=1),
    "equal, higher address": received(100),
    "higher": received(101),
    "higher, lower address": received(101, LOWER_ADDRESS),
    "wrong ttl": received(101, ttl=254),
    "other vrid": received(101, vrid=2),
    "group active": GroupMoved(State.ACTIVE),
    "group backup": GroupMoved(State.BACKUP),
    "group holds": GroupHeld(True),
    "group lets go": GroupHeld(False),
}
SOURCE = to_address(HIGHER_ADDRESS)
BAD_TTL, BAD_VRID = Discarded(Problem.TTL, SOURCE), Discarded(Problem.VRID, SOURCE)
CHANGED_TO_BACKUP = StateChanged(INITIALIZE, BACKUP, Reason.STARTUP)
ADV = advertisement(OURS)
Cell = tuple[tuple[Action, ...], State, float | None]


def ended(old: State, reason: Reason) -> StateChanged:
    return StateChanged(old, INITIALIZE, reason)


IN_INITIALIZE: dict[str, Cell] = {
    **dict.fromkeys(EVENTS, ((), INITIALIZE, None)),
    "startup": ((CHANGED_TO_BACKUP,), BACKUP, NOW + DOWN),
    "config changed": ((Reconfigure(OTHERS),), INITIALIZE, None),
}
IN_BACKUP: dict[str, Cell] = {
    "startup": ((), BACKUP, DOWN),
    "shutdown": ((ended(BACKUP, Reason.SHUTDOWN),), INITIALIZE, None),
    "host lost": ((ended(BACKUP, Reason.HOST),), INITIALIZE, None),
    "timer early": ((), BACKUP, DOWN),
    "timer due": (promotion(OURS, Reason.NO_RESPONSE), ACTIVE, DOWN + 1),
    "priority raised": ((), BACKUP, 3.21875),  # 3 + 56/256 from 0: as if it had been so when the timer was set
    "priority lowered": ((), BACKUP, 3.8046875),
    "config changed": ((Reconfigure(OTHERS),), BACKUP, 2 * DOWN),
    "priority 0": ((), BACKUP, NOW + SKEW),
    "lower": ((), BACKUP, DOWN),
    "equal, lower address": ((), BACKUP, NOW + DOWN),
    "equal, same address": ((), BACKUP, NOW + DOWN),
    "equal, higher address": ((), BACKUP, NOW + DOWN),
    "higher": ((), BACKUP, NOW + DOWN),
    "higher, lower address": ((), BACKUP, NOW + DOWN),
    "wrong ttl": ((BAD_TTL,), BACKUP, DOWN),
    "other vrid": ((BAD_VRID,), BACKUP, DOWN),
    "group active": (promotion(OURS, Reason.GROUP), ACTIVE, NOW + 1),
    "group backup": ((), BACKUP, DOWN),
    "group holds": ((), BACKUP, DOWN),
    "group lets go": ((), BACKUP, DOWN),
}
RESIGNED_AT = 0.25
AFTER_RESIGNATION: dict[str, Cell] = {
    **IN_BACKUP,
    "startup": ((), BACKUP, RESIGNED_AT + SKEW),
    "timer early": ((), BACKUP, RESIGNED_AT + SKEW),
    "timer due": (promotion(OURS, Reason.PRIORITY), ACTIVE, RESIGNED_AT + SKEW + 1),
    "priority raised": ((), BACKUP, NOW),  # 0.25 + 56/256 is over already: at once
    "priority lowered": ((), BACKUP, RESIGNED_AT + 0.8046875),
    "config changed": ((Reconfigure(OTHERS),), BACKUP, RESIGNED_AT + 2 * SKEW),
    "lower": ((), BACKUP, RESIGNED_AT + SKEW),
    "wrong ttl": ((BAD_TTL,), BACKUP, RESIGNED_AT + SKEW),
    "other vrid": ((BAD_VRID,), BACKUP, RESIGNED_AT + SKEW),
    **dict.fromkeys(("group backup", "group holds", "group lets go"), ((), BACKUP, RESIGNED_AT + SKEW)),
}
WITHOUT_PREEMPTION: dict[str, Cell] = {**IN_BACKUP, "lower": ((), BACKUP, NOW + DOWN)}
IN_ACTIVE: dict[str, Cell] = {
    "startup": ((), ACTIVE, 1.0),
    "shutdown": (release(OURS), INITIALIZE, None),
    "host lost": ((Deactivate(), ended(ACTIVE, Reason.HOST)), INITIALIZE, None),
    "timer early": ((), ACTIVE, 1.0),
    "timer due": ((ADV,), ACTIVE, 2.0),
    "priority raised": ((), ACTIVE, 1.0),  # the next advertisement says so
    "priority lowered": ((), ACTIVE, 1.0),
    "config changed": (
        (Reconfigure(OTHERS), advertisement(OTHERS), Announce(to_address("192.0.2.102"))),
        ACTIVE,
        NOW + 2.0,
    ),
    "priority 0": ((ADV,), ACTIVE, NOW + 1),
    "lower": ((ADV,), ACTIVE, 1.0),
    "equal, lower address": ((ADV,), ACTIVE, 1.0),
    "equal, same address": ((), ACTIVE, 1.0),
    "equal, higher address": (YIELDING, BACKUP, NOW + DOWN),
    "higher": (YIELDING, BACKUP, NOW + DOWN),
    "higher, lower address": (YIELDING, BACKUP, NOW + DOWN),
    "wrong ttl": ((BAD_TTL,), ACTIVE, 1.0),
    "other vrid": ((BAD_VRID,), ACTIVE, 1.0),
    **dict.fromkeys(("group active", "group holds", "group lets go"), ((), ACTIVE, 1.0)),
    "group backup": (
        (advertisement(OURS, 0), Deactivate(), StateChanged(ACTIVE, BACKUP, Reason.GROUP)),
        BACKUP,
        NOW + DOWN,
    ),
}
SILENT_WHEN_WINNING = dict.fromkeys(("lower", "equal, lower address"), ((), ACTIVE, 1.0))
MATRIX: dict[str, dict[str, Cell]] = {
    "initialize": IN_INITIALIZE,
    "backup": IN_BACKUP,
    "backup, resigned": AFTER_RESIGNATION,
    "backup, no preemption": WITHOUT_PREEMPTION,
    "active": IN_ACTIVE,
    "active, no preemption": IN_ACTIVE,  # 6.4.3 does not ask for Preempt_Mode
    "active, RFC 5798": IN_ACTIVE | SILENT_WHEN_WINNING,
}


def router_in(state: str) -> tuple[Router, Any]:
    """A Router in a state of the matrix, and its configuration."""
    changes: dict[str, Any] = {"preempt": False} if "no preemption" in state else {}
    changes |= {"rules": RFC5798} if "5798" in state else {}
    ours = dataclasses.replace(OURS, **changes)
    router = Router(ours)
    if state.startswith("active"):
        router.handle(Startup(), -DOWN)
        router.handle(TimerExpired(), 0.0)
    elif state.startswith("backup"):
        router.handle(Startup(), 0.0)
    if state == "backup, resigned":
        router.receive(received(0), RESIGNED_AT)
    return router, ours


def test_the_matrix_has_a_cell_for_every_state_and_event() -> None:
    assert {name: set(row) for name, row in MATRIX.items()} == {name: set(EVENTS) for name in MATRIX}
    events = {type(event) for event in EVENTS.values()} - {Datagram} | {AdvertisementReceived}
    assert events == set(Event.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("state", MATRIX)
def test_the_router_does_what_the_matrix_says(state: str, name: str) -> None:
    router, ours = router_in(state)
    actions, after, deadline = MATRIX[state][name]
    event = EVENTS[name]
    if isinstance(event, ConfigChanged):  # to the same rules and preemption as before
        event = ConfigChanged(dataclasses.replace(OTHERS, rules=ours.rules, preempt=ours.preempt))
        actions = tuple(Reconfigure(event.config) if isinstance(act, Reconfigure) else act for act in actions)
    now = router.deadline if name == "timer due" and router.deadline is not None else NOW
    found = router.receive(event, now) if isinstance(event, Datagram) else router.handle(event, now)
    assert found == actions
    assert router.state is after
    assert router.deadline == (None if deadline is None else pytest.approx(deadline, abs=1e-6))


# -- what is sent --


@pytest.mark.parametrize("changes", [{}, V2, V6], ids=["v3", "v2", "ipv6"])
def test_what_is_sent_is_a_datagram_with_ttl_255_that_another_router_hears(changes: dict[str, Any]) -> None:
    sender, receiver = active(**changes), backup(**changes)
    for action in sender.fires(1000).actions:
        assert isinstance(action, SendAdvertisement)
        datagram = action.datagram()
        assert datagram.ttl == 255
        assert receiver.router.receive(datagram, 1.0) == ()
    assert receiver.router.statistics.advertisement_rcvd == 1


def test_an_unchanged_advertisement_is_the_same_object() -> None:
    play = active()
    first = play.fires(1000).actions[0]
    assert play.fires(1100).actions[0] is first
    play.at(1110, PriorityChanged(120))
    changed = play.fires(1200).actions[0]
    assert changed == advertisement(play.config, 120)
    assert play.fires(1300).actions[0] is changed


@pytest.mark.parametrize("form", [ChecksumForm.PSEUDO_HEADER, ChecksumForm.MESSAGE_ONLY])
def test_the_checksum_has_the_configured_form(form: ChecksumForm) -> None:
    play = active(send_checksum=form).fires(1000)
    play.does(advertisement(play.config, form=form), state=ACTIVE, deadline=1100)


def test_a_form_that_follows_is_the_one_heard() -> None:
    play = active(send_checksum=None).fires(1000)
    play.does(advertisement(play.config), state=ACTIVE, deadline=1100)
    only = ChecksumForm.MESSAGE_ONLY
    play.hears(1050, 50, form=only)
    play.does(advertisement(play.config, form=only), state=ACTIVE, deadline=1100)
    # a message that is discarded teaches nothing
    play.hears(1060, 50, vrid=2)
    play.fires(1100).does(advertisement(play.config, form=only), state=ACTIVE, deadline=1200)
    # both are heard: ours does not flap
    play.hears(1150, 50)
    play.does(advertisement(play.config, form=only), state=ACTIVE, deadline=1200)
    # ten intervals after it was heard last, the other one is followed
    for second in range(12, 21):
        play.fires(100 * second)
    play.hears(2055, 50)
    play.does(advertisement(play.config), state=ACTIVE, deadline=2100)


def test_a_form_that_is_not_accepted_is_discarded() -> None:
    play = backup(accept_checksum=ChecksumForm.MESSAGE_ONLY).hears(10, 200)
    play.does(Discarded(Problem.CHECKSUM, SOURCE), state=BACKUP, deadline=360.9375)


def test_an_advertisement_carries_our_own_interval_never_the_learned_one() -> None:
    play = backup().hears(0, 200, interval=3.0).fires(1082.8125)
    assert play.actions[1] == advertisement(play.config)


# -- timers --


@pytest.mark.parametrize("late", [0.0, 0.4, 0.999, 1.0, 17.3, 86400.0])
def test_after_a_pause_one_advertisement_is_sent_and_the_cadence_kept(late: float) -> None:
    router = active().router
    assert router.deadline == pytest.approx(10.0)
    now = router.deadline + late
    # late by more than an interval, it says so: RFC 9568 has no word for it
    told = () if late <= 1.0 else (Stalled(pytest.approx(late)),)
    assert router.handle(TimerExpired(), now) == (*told, ADV)
    assert router.deadline is not None
    assert now < router.deadline <= now + 1.0 + 1e-6
    assert (router.deadline - 10.0) % 1.0 == pytest.approx(0.0, abs=1e-6) or (
        router.deadline - 10.0
    ) % 1.0 == pytest.approx(1.0, abs=1e-6)
    assert router.handle(TimerExpired(), now) == ()


@pytest.mark.parametrize(
    ("deadline", "interval", "now"),
    [(33.432, 0.33, 53.232), (1.206, 2.78, 543.3059999999999), (42.2, 20.61, 639.89)],  # the last: before now
)
def test_the_next_deadline_is_after_now_even_where_floats_round_down(
    deadline: float, interval: float, now: float
) -> None:
    # found by search: so many intervals after the deadline that their number is rounded to one less
    router = active(advertisement_interval=interval).router
    router._timer_at = deadline
    assert [type(action) for action in router.handle(TimerExpired(), now)] == [Stalled, SendAdvertisement]
    assert router.deadline is not None
    assert router.deadline > now
    assert router.handle(TimerExpired(), now) == ()


def test_the_cadence_does_not_drift_when_each_call_is_a_little_late() -> None:
    router = active().router
    for beat in range(10, 1010):
        assert router.deadline == pytest.approx(beat, abs=1e-6)
        assert router.handle(TimerExpired(), router.deadline + 0.0012) == (ADV,)


def test_a_backup_that_was_paused_stays_backup_when_it_hears_before_it_looks_at_its_timer() -> None:
    play = backup().hears(5000, 200)
    assert play.at(5000, TimerExpired()).actions == ()
    assert play.router.state is BACKUP


def test_the_timer_of_a_late_promotion_counts_from_now() -> None:
    play = backup()
    late = Stalled(pytest.approx(10.0 - 3.609375))
    assert play.router.handle(TimerExpired(), 10.0) == (late, *promotion(play.config, Reason.NO_RESPONSE))
    assert play.router.deadline == 11.0


# -- answers --


def test_losing_advertisements_are_answered_at_most_once_in_a_part_of_the_interval() -> None:
    play = active(advertisement_interval=2.0)
    spacing = 200 * ANSWER_SPACING
    assert play.hears(950, 50).actions == (advertisement(play.config),)
    assert play.hears(950, 50).actions == ()
    assert play.hears(950 + spacing * 0.99, 50).actions == ()
    assert play.hears(950 + spacing * 1.01, 50).actions == (advertisement(play.config),)


def test_a_flood_of_losing_advertisements_gives_ten_answers_in_an_interval() -> None:
    play = active()
    answers = sum(len(play.hears(900 + beat / 10, 50).actions) for beat in range(1000))
    assert answers == 10


def test_a_flood_of_priority_0_gives_ten_answers_in_an_interval_and_does_not_silence_us() -> None:
    play = active()
    answers = sum(len(play.hears(900 + beat / 10, 0).actions) for beat in range(1000))
    assert answers == 10
    assert play.router.deadline is not None
    assert 9.99 <= play.router.deadline <= 11.0  # an interval after the last answer, and not after the last message


def test_an_address_that_is_listed_twice_is_another_list() -> None:
    play = active()
    addresses = [address.ip for address in play.config.addresses]
    twice = VRRPv3(vrid=play.config.vrid, priority=50, addresses=[*addresses, addresses[0]])
    payload = twice.encode("192.0.2.1", "224.0.0.18")
    actions = play.router.receive(Datagram(payload, "192.0.2.1", "224.0.0.18", 255), 9.5)
    assert Warned(Problem.ADDRESS, to_address("192.0.2.1")) in actions


# -- own and strange messages --


def test_our_last_message_that_comes_back_is_looped() -> None:
    play = active()
    ours = advertisement(play.config).datagram()
    looped = Discarded(Problem.LOOPED, play.config.primary_address)
    assert play.router.receive(ours, 9.1) == (looped,)
    assert play.router.statistics.discarded == {Problem.LOOPED: 1}
    # the same bytes from another host are a competitor
    another = dataclasses.replace(ours, source="192.0.2.1")
    assert play.router.receive(another, 9.2) != (looped,)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"ttl": 1}, Problem.TTL),
        ({"version": 5}, Problem.VERSION),
        ({"type": 2}, Problem.TYPE),
        ({"count": 3}, Problem.LENGTH),
        ({"checksum": 1}, Problem.CHECKSUM),
        ({"vrid": 0}, Problem.VRID),
        ({"vrid": 2}, Problem.VRID),
        ({"addresses": []}, Problem.COUNT),
        ({"interval": 0}, Problem.INTERVAL),
    ],
)
def test_a_bad_message_is_discarded_counted_and_changes_nothing(changes: dict[str, Any], problem: Problem) -> None:
    for play in (backup(), active()):
        state, deadline = play.router.state, play.router.deadline
        play.hears(10, 200, **changes)
        assert play.actions == (Discarded(problem, SOURCE),)
        assert (play.router.state, play.router.deadline) == (state, deadline)
        assert play.router.statistics.discarded == {problem: 1}
        assert play.router.statistics.advertisement_rcvd == 0
        assert play.router.statistics.last_adv_source is None


@pytest.mark.parametrize("changes", [V2, V6], ids=["v2", "ipv6"])
def test_a_ttl_or_hop_limit_below_255_is_discarded_in_every_version(changes: dict[str, Any]) -> None:
    play = backup(**changes)
    source = to_address("fe80::3" if changes is V6 else "192.0.2.3")
    play.hears(10, 200, ttl=254).does(Discarded(Problem.TTL, source), state=BACKUP, deadline=360.9375)
    play.hears(10, 200).does(state=BACKUP, deadline=370.9375)


@pytest.mark.parametrize("interval", [0.01, 1.0, 40.95])
def test_no_reserved_bit_is_ever_sent_and_none_that_is_heard_matters(interval: float) -> None:
    # RFC 9568 5.2.6
    play = active(advertisement_interval=interval)
    [sent] = [action for action in play.actions if isinstance(action, SendAdvertisement)]
    assert sent.datagram().payload[4] >> 4 == 0
    play = backup(advertisement_interval=interval).hears(10, 200, reserved=15)
    assert play.actions == ()
    assert play.router.active_adver_interval == interval


def test_version_2_without_authentication_sends_zeros_and_ignores_what_it_hears() -> None:
    # RFC 3768 5.3.10
    [sent] = [action for action in active(**V2).actions if isinstance(action, SendAdvertisement)]
    payload = sent.datagram().payload
    assert (payload[4], payload[-8:]) == (0, bytes(8))
    backup(**V2).hears(10, 200, auth_data=b"whatever").does(state=BACKUP, deadline=370.9375)


@pytest.mark.parametrize("changes", [{}, V2, V6], ids=["v3", "v2", "ipv6"])
def test_what_is_sent_carries_the_configuration_and_a_checksum_that_is_right(changes: dict[str, Any]) -> None:
    # RFC 9568 7.2: from our primary address to the group of the family
    play = active(vrid=7, priority=42, advertisement_interval=3, **changes)
    [sent] = [action for action in play.actions if isinstance(action, SendAdvertisement)]
    datagram, ours = sent.datagram(), play.config
    assert (datagram.source, datagram.destination) == (ours.primary_address, GROUPS[ours.family])
    found = inspect(datagram.payload, source=datagram.source, destination=datagram.destination)
    assert (found.problems, found.notes) == ((), ())
    packet = found.packet
    assert packet is not None
    assert (packet.vrid, packet.priority, packet.addresses, packet.interval) == (7, 42, ours.ips, 3.0)


def test_who_sends_from_a_virtual_address_owns_it_and_cannot_have_another_priority() -> None:
    with pytest.raises(ConfigError, match="priority must be 255"):
        config(primary_address="192.0.2.100", priority=100)


@pytest.mark.parametrize(
    ("payload", "problem"), [(b"", Problem.TRUNCATED), (b"\x21\1\0\7" + bytes(32), Problem.CARP)]
)
def test_what_is_no_vrrp_message_is_discarded(payload: bytes, problem: Problem) -> None:
    router = backup().router
    datagram = Datagram(payload, "192.0.2.3", "224.0.0.18", 255)
    assert router.receive(datagram, 0.1) == (Discarded(problem, SOURCE),)


@pytest.mark.parametrize("auth_type", [1, 2])
def test_version_2_authentication_is_not_configured_and_so_discarded(auth_type: int) -> None:
    # Vectors P05, P06 and P08. 3768 7.1: the type MUST be the configured one.
    play = backup(**V2).hears(10, 200, auth_type=auth_type)
    play.does(Discarded(Problem.AUTH_TYPE, SOURCE), state=BACKUP, deadline=360.9375)


def test_an_event_of_the_other_version_is_discarded_too() -> None:
    play = backup().at(10, AdvertisementReceived(VRRPv2(vrid=1, addresses=["192.0.2.100"]), SOURCE))
    assert play.actions == (Discarded(Problem.VERSION, SOURCE),)


def test_the_order_of_the_address_list_does_not_matter() -> None:
    backup().hears(10, 200, addresses=["192.0.2.101", "192.0.2.100"]).does(state=BACKUP, deadline=370.9375)


def test_an_advertisement_that_merely_loses_is_no_report() -> None:
    backup().hears(10, 1).does(state=BACKUP, deadline=360.9375)
    active(rules=RFC5798).hears(950, 1).does(state=ACTIVE, deadline=1000)


# -- changes while running --


def test_a_priority_changes_the_skew_of_a_running_timer() -> None:
    play = backup().hears(100, 200).is_due(460.9375)
    play.at(150, PriorityChanged(200)).is_due(421.875)
    play.at(160, PriorityChanged(1)).is_due(499.609375)
    assert play.router.priority == 1
    assert play.router.config.priority == 100


def test_a_timer_that_a_change_puts_into_the_past_is_due_now() -> None:
    play = backup(priority=1).at(399, PriorityChanged(254))
    play.is_due(399)


@pytest.mark.parametrize("priority", [0, 256, -1, "100", None, 1.5])
def test_a_priority_outside_1_to_255_changes_nothing(priority: Any) -> None:
    play = backup()
    with pytest.raises(ConfigError, match="priority must be 1-255"):
        play.at(10, PriorityChanged(priority))
    assert play.router.priority == 100
    play.is_due(360.9375)


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"vrid": 2}, "vrid"), (V6, "family"), (V2, "version")],
)
def test_what_makes_another_virtual_router_cannot_be_changed(changes: dict[str, Any], name: str) -> None:
    play = active()
    with pytest.raises(ConfigError, match=f"^{name} must stay"):
        play.at(950, ConfigChanged(config(**changes)))
    assert play.router.config == OURS
    play.is_due(1000)


def test_a_backup_keeps_the_learned_interval_when_its_configuration_changes() -> None:
    play = backup().hears(0, 200, interval=3.0).is_due(1082.8125)
    play.at(10, ConfigChanged(config(advertisement_interval=0.5)))
    play.is_due(1082.8125)
    assert play.router.active_adver_interval == 3.0


def test_an_address_that_goes_is_not_announced_and_the_rest_not_again() -> None:
    play = active()
    fewer = config(addresses=["192.0.2.101/24"])
    play.at(950, ConfigChanged(fewer)).does(Reconfigure(fewer), advertisement(fewer), state=ACTIVE, deadline=1050)


# -- starting again --


def test_after_a_shutdown_it_starts_as_new() -> None:
    play = active().hears(910, 101, interval=2.0).at(920, Shutdown())
    assert (play.router.state, play.router.deadline, play.router.active_source) == (INITIALIZE, None, None)
    play.at(1000, Startup()).does(CHANGED_TO_BACKUP, state=BACKUP, deadline=1360.9375)
    assert play.router.active_adver_interval == 1.0
    play.fires(1360.9375)
    assert StateChanged(BACKUP, ACTIVE, Reason.NO_RESPONSE) in play.actions


def test_the_active_source_is_who_is_active_as_far_as_we_know() -> None:
    play = Play()
    seen = [play.router.active_source]
    seen += [play.at(0, Startup()).router.active_source]
    seen += [play.hears(10, 200).router.active_source]
    play.fires(370.9375)
    seen += [play.router.active_source]
    seen += [play.hears(380, 200, source="192.0.2.9").router.active_source]
    seen += [play.at(390, Shutdown()).router.active_source]
    ours = play.config.primary_address
    assert seen == [None, None, SOURCE, ours, to_address("192.0.2.9"), None]


@pytest.mark.parametrize(
    ("play", "reason"),
    [
        (lambda: Play(priority=255).at(0, Startup()), Reason.PRIORITY),
        (lambda: backup().fires(360.9375), Reason.NO_RESPONSE),
        (lambda: backup().hears(0, 0).fires(60.9375), Reason.PRIORITY),
        (lambda: backup().hears(0, 99).fires(360.9375), Reason.PREEMPTED),
        # what was heard last decides
        (lambda: backup().hears(0, 99).hears(0, 200).fires(360.9375), Reason.NO_RESPONSE),
        (lambda: active().hears(950, 200), Reason.NOT_MASTER),
    ],
    ids=["owner", "silence", "priority-0", "preempted", "silence-after-all", "yielded"],
)
def test_the_reason_for_a_new_master_is_rfc_8347s(play: Any, reason: Reason) -> None:
    assert play().router.statistics.new_master_reason is reason


def test_the_reason_of_one_promotion_is_not_that_of_the_next() -> None:
    play = backup().hears(0, 0).fires(60.9375).hears(100, 200).fires(460.9375)
    play.does(*promotion(play.config, Reason.NO_RESPONSE), state=ACTIVE, deadline=560.9375)


def test_an_owner_that_is_backup_preempts_whatever_preempt_mode_says() -> None:
    # 6.1; it can be Backup with erratum 8298, after an owner with a higher address
    play = active(priority=255, preempt=False).hears(950, 255).hears(960, 254, source="192.0.2.9")
    play.does(Warned(Problem.OWNER, to_address("192.0.2.9")), state=BACKUP, deadline=1250.390625)


def test_the_counters_follow_a_life() -> None:
    play = backup().hears(10, 0).fires(70.9375).fires(170.9375).hears(180, 50).hears(190, 200).at(200, Shutdown())
    counted = play.router.statistics
    assert counted.master_transitions == 1
    assert counted.advertisement_rcvd == 3
    assert counted.priority_zero_pkts_rcvd == 1
    assert counted.advertisement_sent == 3  # on promotion, one interval later, and one answer
    assert counted.priority_zero_pkts_sent == 0
    assert counted.last_adv_source == SOURCE
    resigned = active().at(950, Shutdown()).router.statistics
    assert (resigned.advertisement_sent, resigned.priority_zero_pkts_sent) == (2, 1)


# -- properties --

RULE_SETS = (RFC2338, RFC3768, RFC5798, RFC9568_PUBLISHED, RFC9568)
SOURCES = ("192.0.2.1", "192.0.2.2", "192.0.2.3")


@functools.cache  # a strategy is costly to make
def inputs(rules: Rules) -> st.SearchStrategy[Event | Datagram]:
    ours = config(rules=rules)
    sent = st.builds(
        lambda priority, source, interval, ttl, form, extra: heard(
            ours, priority, source=source, interval=interval, ttl=ttl, form=form, **extra
        ),
        st.sampled_from([0, 1, 99, 100, 101, 254, 255]),
        st.sampled_from(SOURCES),
        st.sampled_from([0, 1, 2, 40]),
        st.sampled_from([255, 255, 255, 64]),
        st.sampled_from(list(ChecksumForm.EITHER)),
        st.sampled_from([{}, {}, {}, {"vrid": 2}, {"addresses": []}, {"checksum": 1}, {"version": 4}]),
    )
    garbage = st.builds(
        lambda data, source: Datagram(data, source, "224.0.0.18", 255), st.binary(), st.sampled_from(SOURCES)
    )
    packets = st.sampled_from(
        [VRRPv2(vrid=1), VRRPv3(vrid=1), VRRPv3(vrid=1, max_advertise_interval=0, priority=255)]
    )
    events: list[st.SearchStrategy[Any]] = [
        st.just(Startup()),
        st.builds(Shutdown, st.just(Reason.HOST), st.booleans()),
        st.just(TimerExpired()),
        st.builds(PriorityChanged, st.integers(1, 255)),
        st.builds(AdvertisementReceived, packets, st.sampled_from([to_address(source) for source in SOURCES])),
        st.builds(
            lambda interval, preempt, priority: ConfigChanged(
                config(rules=rules, advertisement_interval=interval, preempt=preempt, priority=priority)
            ),
            st.sampled_from([1, 3, 40]),
            st.booleans(),
            st.sampled_from([1, 100, 255]),
        ),
    ]
    return st.one_of(sent, sent, garbage, *events)


# How time goes on: nothing, a little, to the deadline, beyond it, and far.
STEPS = st.sampled_from([0.0, 0.001, 0.05, 0.11, 1.0, 2.5, 1000.3, "deadline"])


@given(st.data(), st.sampled_from(RULE_SETS), st.sampled_from([1, 100, 255]), st.booleans())
def test_whatever_happens_the_router_keeps_its_promises(
    data: st.DataObject, rules: Rules, priority: int, preempt: bool
) -> None:
    router = Router(config(rules=rules, priority=priority, preempt=preempt))
    now, active_now = 1.0, False
    for _ in range(data.draw(st.integers(1, 25))):
        step = data.draw(STEPS)
        if step == "deadline":
            now = now if router.deadline is None else max(now, router.deadline)
        else:
            now += step
        event = data.draw(inputs(rules))
        done = [router.receive(event, now) if isinstance(event, Datagram) else router.handle(event, now)]
        done.append(router.handle(TimerExpired(), now))  # whoever drives it looks at the timer after all else
        assert router.handle(TimerExpired(), now) == ()  # and once is enough: no burst
        assert (router.deadline is None) is (router.state is INITIALIZE)
        assert router.deadline is None or router.deadline > now
        for action in (action for actions in done for action in actions):
            # Activate and Deactivate come in turns, and nothing is sent while the host is not active.
            if isinstance(action, Activate):
                assert not active_now
                active_now = True
            elif isinstance(action, Deactivate):
                assert active_now
                active_now = False
            elif isinstance(action, SendAdvertisement | Announce):
                assert active_now
        assert active_now is (router.state is ACTIVE)


@given(st.lists(st.tuples(st.floats(0, 0.3), st.sampled_from([1, 50, 99]), st.sampled_from(SOURCES)), max_size=60))
def test_there_is_never_more_than_one_answer_in_a_spacing(heard_later: list[tuple[float, int, str]]) -> None:
    router, now, answered = active().router, 9.0, []
    for delay, priority, source in heard_later:
        now += delay
        if router.receive(heard(OURS, priority, source=source), now):
            answered.append(now)
    assert all(later - earlier >= ANSWER_SPACING - 1e-9 for earlier, later in itertools.pairwise(answered))
    assert bool(answered) is bool(heard_later)


@given(st.binary(max_size=120))
def test_whatever_parses_can_be_received(data: bytes) -> None:
    frame = bytes(12) + b"\x08\x00" + data
    router = backup().router
    datagram = parse(frame)
    if datagram is not None:
        assert all(isinstance(action, Discarded | Warned) for action in router.receive(datagram, 0.1))
    assert router.state is BACKUP


# -- delays --


def test_a_lower_active_is_let_be_for_the_preempt_delay_and_then_replaced_at_once() -> None:
    # RFC 8347, hold-time: from when it is first heard
    play = backup(preempt_delay=5.0).hears(100, 50)
    play.does(state=BACKUP, deadline=100 + 360.9375)  # it is followed meanwhile: if it dies, we need not wait
    for second in range(2, 6):
        play.hears(100 * second, 50).does(state=BACKUP, deadline=min(600, 100 * second + 360.9375))
    play.fires(600).does(*promotion(play.config, Reason.PREEMPTED), state=ACTIVE, deadline=700)


def test_a_lower_active_that_falls_silent_is_replaced_before_the_delay_is_over() -> None:
    play = backup(preempt_delay=50.0).hears(100, 50, interval=2.0)
    play.does(Warned(Problem.INTERVAL, SOURCE), state=BACKUP, deadline=100 + 721.875)  # its interval is learned
    play.fires(821.875).does(*promotion(play.config, Reason.NO_RESPONSE), state=ACTIVE, deadline=921.875)


def test_somebody_better_cancels_the_preempt_delay() -> None:
    play = backup(preempt_delay=5.0).hears(100, 50).hears(200, 150).hears(300, 150).hears(400, 150)
    play.hears(500, 150).does(state=BACKUP, deadline=860.9375)
    play.hears(600, 50).hears(700, 50).does(state=BACKUP, deadline=1060.9375)  # it begins anew
    play.hears(800, 50).hears(900, 50).hears(1000, 50).hears(1090, 50)
    play.fires(1100).does(*promotion(play.config, Reason.PREEMPTED), state=ACTIVE, deadline=1200)


def test_a_resignation_cancels_the_preempt_delay_too() -> None:
    play = backup(preempt_delay=5.0).hears(100, 50).hears(200, 0)
    play.fires(260.9375).does(*promotion(play.config, Reason.PRIORITY), state=ACTIVE, deadline=360.9375)


def test_a_priority_that_sinks_below_the_active_ones_cancels_the_preempt_delay() -> None:
    play = backup(preempt_delay=1.0).hears(100, 50).at(150, PriorityChanged(50))
    play.is_due(100 + 380.46875)
    play = backup(preempt_delay=1.0).hears(100, 50).at(150, PriorityChanged(51))
    play.is_due(200)


def test_without_preemption_there_is_no_preempt_delay() -> None:
    backup(preempt=False, preempt_delay=1.0).hears(100, 50).does(state=BACKUP, deadline=460.9375)


def test_nothing_is_promoted_before_the_start_up_delay_is_over() -> None:
    play = backup(startup_delay=10.0)
    play.does(CHANGED_TO_BACKUP, state=BACKUP, deadline=1360.9375)
    play.hears(100, 200).does(state=BACKUP, deadline=1000)
    play.hears(200, 0).does(state=BACKUP, deadline=1000)
    play.hears(900, 200).does(state=BACKUP, deadline=1260.9375)


def test_an_owner_waits_for_the_start_up_delay() -> None:
    play = Play(priority=255, startup_delay=2.0).at(0, Startup())
    play.does(CHANGED_TO_BACKUP, state=BACKUP, deadline=200)
    play.fires(200).does(*promotion(play.config, Reason.PRIORITY), state=ACTIVE, deadline=300)


def test_a_start_up_delay_holds_a_preempt_delay_back() -> None:
    backup(startup_delay=10.0, preempt_delay=1.0).hears(100, 50).hears(990, 50).is_due(1000)


# -- a process that stood still --


def test_a_backup_that_stood_still_says_so_and_acts() -> None:
    play = backup()
    play.actions = play.router.handle(TimerExpired(), 4.7)
    late = Stalled(pytest.approx(4.7 - 3.609375))
    play.does(late, *promotion(play.config, Reason.NO_RESPONSE), state=ACTIVE, deadline=570)
    play = backup()  # late by no more than the learned interval
    play.actions = play.router.handle(TimerExpired(), 4.6)
    play.does(*promotion(play.config, Reason.NO_RESPONSE), state=ACTIVE, deadline=560)


def test_a_backup_that_stood_still_may_listen_first() -> None:
    play = backup(listen_after_stall=True)
    play.actions = play.router.handle(TimerExpired(), 10.0)
    play.does(Stalled(pytest.approx(10.0 - 3.609375)), state=BACKUP, deadline=1060.9375)
    play.hears(1010, 200).does(state=BACKUP, deadline=1370.9375)  # the Active router was there all the while


def test_it_listens_once_however_often_it_stalls() -> None:
    play = backup(listen_after_stall=True)
    play.router.handle(TimerExpired(), 10.0)
    actions = play.router.handle(TimerExpired(), 20.0)
    assert [type(action) for action in actions[:2]] == [Stalled, Activate]
    assert play.router.state is ACTIVE


# -- announcements --


def announced(play: Play) -> list[str]:
    return [str(action.address) for action in play.actions if isinstance(action, Announce)]


def test_a_policy_announces_again_later() -> None:
    play = active(announcements=AnnouncementPolicy(at=(0.0, 0.0, 2.5)))
    assert announced(play) == ["192.0.2.100", "192.0.2.101"] * 2
    assert announced(play.fires(1000)) == announced(play.fires(1100)) == []
    assert announced(play.fires(1150)) == ["192.0.2.100", "192.0.2.101"]
    play.does(*(Announce(address) for address in play.config.ips), state=ACTIVE, deadline=1200)
    play.fires(1200).does(advertisement(play.config), state=ACTIVE, deadline=1300)


def test_a_policy_paces_its_announcements() -> None:
    play = active(announcements=AnnouncementPolicy(spacing=0.3))
    assert announced(play) == ["192.0.2.100"]
    assert announced(play.fires(930)) == ["192.0.2.101"]
    play.fires(1000).is_due(1100)


def test_a_policy_refreshes_while_active() -> None:
    play = active(announcements=AnnouncementPolicy(refresh=2.5))
    play.fires(1000).fires(1100)
    assert announced(play.fires(1150)) == ["192.0.2.100", "192.0.2.101"]
    play.hears(1160, 200).does(*YIELDING, state=BACKUP, deadline=1520.9375)
    play.hears(1400, 200).is_due(1760.9375)  # a Backup announces nothing


def test_a_policy_announces_after_a_rival_that_loses() -> None:
    play = active(announcements=AnnouncementPolicy(after_losing=(0.0, 0.2)))
    play.hears(950, 50)
    assert play.actions[0] == advertisement(play.config)
    assert announced(play) == ["192.0.2.100", "192.0.2.101"]
    assert announced(play.fires(970)) == ["192.0.2.100", "192.0.2.101"]
    assert announced(play.hears(971, 50)) == ["192.0.2.100", "192.0.2.101"]
    assert announced(play.hears(972, 50)) == []  # answers are bounded


def test_addresses_that_are_gone_are_not_announced_later() -> None:
    play = active(announcements=AnnouncementPolicy(at=(0.0, 5.0)))
    fewer = dataclasses.replace(play.config, addresses=play.config.addresses[:1])
    play.at(950, ConfigChanged(fewer))
    for second in range(5):
        assert announced(play.fires(1050 + 100 * second)) == []


def test_an_active_router_takes_a_new_refresh_and_leaves_an_old_one() -> None:
    play = active(announcements=AnnouncementPolicy(refresh=2.5))
    play.at(950, ConfigChanged(dataclasses.replace(play.config, announcements=AnnouncementPolicy())))
    for second in range(5):
        assert announced(play.fires(1050 + 100 * second)) == []
    play.at(1460, ConfigChanged(dataclasses.replace(play.config, announcements=AnnouncementPolicy(refresh=0.5))))
    assert announced(play.fires(1510)) == ["192.0.2.100", "192.0.2.101"]


# -- unicast peers --

PEERS = {"peers": ["192.0.2.3", "192.0.2.4"]}


def from_peer(of: RouterConfig, priority: int, source: str = "192.0.2.3", ttl: int = 255) -> Datagram:
    destination = of.primary_address
    packet = VRRPv3(vrid=of.vrid, priority=priority, addresses=of.ips)
    return Datagram(packet.encode(source, destination), source, destination, ttl)


def test_each_peer_gets_an_advertisement_of_its_own_checksum() -> None:
    play = active(**PEERS).fires(1000)
    sent = [action for action in play.actions if isinstance(action, SendAdvertisement)]
    assert [str(action.destination) for action in sent] == PEERS["peers"]
    for action in sent:
        payload = action.datagram().payload
        assert inspect(payload, source=action.source, destination=action.destination).valid
    assert sent[0].datagram().payload[6:8] != sent[1].datagram().payload[6:8]  # the destination is summed
    assert play.router.statistics.advertisement_sent == 4  # with those of the promotion


@pytest.mark.parametrize(
    ("source", "ttl", "least", "problem"),
    [
        ("192.0.2.3", 255, 255, None),
        ("192.0.2.3", 254, 255, Problem.TTL),
        ("192.0.2.3", 250, 250, None),
        ("192.0.2.3", 255, 250, None),
        ("192.0.2.3", 249, 250, Problem.TTL),
        ("192.0.2.5", 255, 0, Problem.SOURCE),
    ],
)
def test_only_peers_are_heard_and_from_not_too_far(
    source: str, ttl: int, least: int, problem: Problem | None
) -> None:
    play = backup(**PEERS, least_peer_ttl=least)
    play.actions = play.router.receive(from_peer(play.config, 200, source, ttl), 1.0)
    if problem is None:
        play.does(state=BACKUP, deadline=460.9375)
    else:
        play.does(Discarded(problem, to_address(source)), state=BACKUP, deadline=360.9375)


def test_what_a_peer_sends_to_others_is_not_for_us() -> None:
    play = backup(**PEERS)
    for destination in ("192.0.2.4", "224.0.0.18"):
        datagram = from_peer(play.config, 200)
        sent = VRRPv3(vrid=1, priority=200, addresses=play.config.ips).encode("192.0.2.3", destination)
        datagram = dataclasses.replace(datagram, payload=sent, destination=destination)
        assert play.router.receive(datagram, 1.0) == (Discarded(Problem.SOURCE, SOURCE),)
    play.is_due(360.9375)


# -- version 2 beside version 3: RFC 9568 8.4 --


def from_v2(of: RouterConfig, priority: int, seconds: int, source: str = HIGHER_ADDRESS) -> Datagram:
    packet = VRRPv2(vrid=of.vrid, priority=priority, addresses=of.ips, advertisement_interval=seconds)
    return Datagram(packet.encode(), source, "224.0.0.18", 255)


def test_both_versions_are_sent_at_the_configured_rate() -> None:
    play = active(also=RFC3768, advertisement_interval=0.5).fires(950)
    three, two = (action.packet for action in play.actions if isinstance(action, SendAdvertisement))
    assert isinstance(three, VRRPv3)
    assert three.max_advertise_interval == 50
    assert isinstance(two, VRRPv2)
    assert two.advertisement_interval == 1  # the least that it can say; 8.4.2 leaves it open
    assert (two.vrid, two.priority, two.addresses) == (three.vrid, three.priority, three.addresses)


def test_version_2_of_a_sender_that_says_version_3_too_is_ignored_while_it_does() -> None:
    play = backup(also=RFC3768).hears(0, 200)
    play.actions = play.router.receive(from_v2(play.config, 200, 2), 0.0)
    play.does(state=BACKUP, deadline=360.9375)
    play.actions = play.router.receive(from_v2(play.config, 200, 2, LOWER_ADDRESS), 1.0)  # somebody else
    play.does(state=BACKUP, deadline=100 + 721.875)
    play.actions = play.router.receive(from_v2(play.config, 200, 1), 5.1)  # version 3 was lost since
    play.does(state=BACKUP, deadline=510 + 360.9375)


def test_without_also_version_2_is_discarded() -> None:
    play = backup()
    play.actions = play.router.receive(from_v2(play.config, 200, 2), 1.0)
    play.does(Discarded(Problem.VERSION, SOURCE), state=BACKUP, deadline=360.9375)


# -- what neighbours make of the rules --


def test_reserved_bits_leak_into_the_interval_only_where_the_rules_say_so() -> None:
    leaking = dataclasses.replace(RFC5798, name="leaking", reserved_in_interval=True)
    assert backup().hears(0, 200, reserved=15).router.active_adver_interval == 1.0
    assert backup(rules=leaking).hears(0, 200, reserved=15).router.active_adver_interval == 615.4


def test_timers_are_cut_to_steps_only_where_the_rules_say_so() -> None:
    cut = dataclasses.replace(RFC5798, name="cut", timer_step=0.01)
    play = backup(rules=cut)
    assert play.router.skew_time == pytest.approx(0.60)
    play.is_due(360)
    flat = dataclasses.replace(RFC5798, name="flat", skew_in_down_interval=False)
    backup(rules=flat).is_due(300)


def test_a_wrong_ttl_is_heard_only_where_the_rules_say_so() -> None:
    deaf = dataclasses.replace(RFC5798, name="no look", wrong_ttl=Verdict.IGNORE)
    backup(rules=deaf).hears(10, 200, ttl=1).does(state=BACKUP, deadline=370.9375)


def test_authentication_of_another_type_is_heard_only_where_the_rules_say_so() -> None:
    deaf = dataclasses.replace(RFC3768, name="no look", wrong_auth_type=Verdict.IGNORE)
    backup(rules=deaf).hears(10, 200, auth_type=1).does(state=BACKUP, deadline=370.9375)


def test_a_timer_of_another_unit_than_the_message() -> None:
    slow = dataclasses.replace(RFC5798, name="slow", interval_scale=100.0)
    play = backup(rules=slow, advertisement_interval=0.01).is_due(300 + 0.609375)
    assert play.router.advertisements[0].packet.max_advertise_interval == 1  # type: ignore[union-attr]
    play.fires(300 + 0.609375).is_due(400 + 0.609375).fires(400 + 0.609375).is_due(500 + 0.609375)


def test_an_interval_of_nothing_is_learned_only_where_the_rules_say_as_what() -> None:
    takes = dataclasses.replace(RFC5798, name="takes", zero_interval_as=1e-6)
    play = backup(rules=takes).hears(10, 200, interval=0)
    assert play.router.active_adver_interval == 1e-6
    assert play.is_due(10 + 0.00036).router.state is BACKUP
    backup(rules=RFC5798).hears(10, 200, interval=0).does(
        Discarded(Problem.INTERVAL, to_address(HIGHER_ADDRESS)), state=BACKUP, deadline=360.9375
    )


def test_an_address_list_of_an_owner_is_spared_only_where_the_rules_say_so() -> None:
    hard = dataclasses.replace(RFC3768, name="hard", spares_owner=False)
    discarded = Discarded(Problem.ADDRESS, to_address(HIGHER_ADDRESS))
    play = backup(rules=hard).hears(10, 255, addresses=["192.0.2.9"])
    play.does(discarded, state=BACKUP, deadline=360.9375)


@pytest.mark.parametrize("source", [LOWER_ADDRESS, HIGHER_ADDRESS])
def test_two_owners_settle_by_address_or_the_one_that_hears_gives_way(source: str) -> None:
    meek = dataclasses.replace(RFC9568, name="meek", owner_gives_way_to=254)
    play = active(rules=meek, priority=255).hears(950, 255, source=source)
    assert (play.router.state, play.router.priority) == (BACKUP, 254)
    play = active(rules=meek, priority=255).hears(950, 254, source=source)
    assert (play.router.state, play.router.priority) == (ACTIVE, 255)
    play = active(priority=255).hears(950, 255, source=source)
    assert (play.router.state is ACTIVE, play.router.priority) == (source == LOWER_ADDRESS, 255)
