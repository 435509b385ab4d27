"""The edges of a Router's rules: exact moments, second times, what was there before. Found by mutation testing."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.election.play import (
    ACTIVE,
    BACKUP,
    MICROSECOND,
    OTHER,
    V2,
    Play,
    active,
    advertisement,
    backup,
    config,
    promotion,
)
from tests.election.test_hearing import AH, HMAC, received
from vrrplib.election.actions import Announce, Ready, Reconfigure, SendAdvertisement, Warned
from vrrplib.election.announcing import AnnouncementPolicy
from vrrplib.election.events import (
    AdvertisementReceived,
    ConfigChanged,
    GroupHeld,
    PriorityChanged,
    Shutdown,
    Startup,
    TimerExpired,
)
from vrrplib.election.router import Router
from vrrplib.election.states import Reason
from vrrplib.errors import Problem
from vrrplib.rules import RFC3768, RFC5798, RFC9568
from vrrplib.wire.addresses import to_address
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.packets import VRRPv2, VRRPv3

SOURCE = to_address(OTHER[4])


def test_a_new_router_knows_nobody_and_is_not_held() -> None:
    router = Router(config())
    assert (router.active_source, router.active_priority, router.held) == (None, None, False)
    assert router.priority == 100


def test_what_is_no_event_is_refused() -> None:
    with pytest.raises(AssertionError, match="not an event: 'tick'"):
        Router(config()).handle("tick", 0.0)  # type: ignore[arg-type]


# -- moments --


def test_late_by_an_interval_and_no_more_is_no_stall() -> None:
    play = backup()
    play.actions = play.router.handle(TimerExpired(), 3.609375 + 1.0)
    play.does(*promotion(play.config, Reason.NO_RESPONSE), state=ACTIVE, deadline=560.9375)
    play.actions = play.router.handle(TimerExpired(), 5.609375 + 1.0)
    play.does(advertisement(play.config), state=ACTIVE, deadline=760.9375)


def test_another_priority_does_not_end_the_listening_after_a_stall() -> None:
    play = backup(listen_after_stall=True)
    play.router.handle(TimerExpired(), 10.0)
    play.is_due(1060.9375).at(1010, PriorityChanged(120)).does(state=BACKUP, deadline=1060.9375)


def test_a_router_that_starts_again_waits_for_the_whole_down_interval_whatever_its_priority_becomes() -> None:
    play = backup().hears(10, 0).at(20, Shutdown()).at(100, Startup()).at(110, PriorityChanged(200))
    play.does(state=BACKUP, deadline=100 + 321.875)


def test_rules_that_answer_nothing_leave_the_announcements_after_a_rival_that_loses() -> None:
    play = active(rules=RFC5798, announcements=AnnouncementPolicy(after_losing=(0.0,))).hears(950, 50)
    play.does(*(Announce(address) for address in play.config.ips), state=ACTIVE, deadline=1000)


def test_the_next_answer_may_come_when_the_spacing_is_over() -> None:
    play = active(advertisement_interval=2.5)  # whose tenth is exact
    for time, answered in ((925, True), (949, False), (950, True)):
        assert bool(play.hears(time, 50).actions) is answered


def test_a_preempt_delay_that_is_over_since_a_while_counts_too() -> None:
    play = backup(preempt_delay=1.0).hears(100, 50).is_due(200)
    play.at(205, TimerExpired()).does(*promotion(play.config, Reason.PREEMPTED), state=ACTIVE, deadline=305)


def test_a_priority_far_below_the_active_ones_cancels_the_preempt_delay() -> None:
    backup(preempt_delay=1.0).hears(100, 50).at(150, PriorityChanged(40)).is_due(100 + 384.375)


def test_another_priority_does_not_shorten_the_start_up_delay() -> None:
    play = backup(startup_delay=10.0).hears(100, 200).is_due(1000)
    play.at(150, PriorityChanged(200)).is_due(1000)


def test_version_2_is_a_double_for_two_learned_intervals() -> None:
    play = backup(also=RFC3768, advertisement_interval=2.0).hears(0, 200).is_due(721.875)
    packet = VRRPv2(vrid=1, priority=200, addresses=play.config.ips, advertisement_interval=1)
    for time, deadline in ((300, 721.875), (400, 721.875), (401, 401 + 360.9375)):
        play.actions = play.router.receive(Datagram(packet.encode(), SOURCE, "224.0.0.18", 255), time / 100)
        play.is_due(deadline)


# -- a group that holds --


def test_a_held_backup_waits_until_it_is_let_go() -> None:
    play = backup().at(10, GroupHeld(True))
    assert play.router.held is True
    play.fires(360.9375).does(Ready(), state=BACKUP, deadline=None)
    assert play.router.deadline is None
    play.at(900, GroupHeld(True)).does(state=BACKUP, deadline=None)
    play.at(950, GroupHeld(False)).does(*promotion(play.config, Reason.NO_RESPONSE), state=ACTIVE, deadline=1050)
    assert play.router.held is False
    play.at(960, GroupHeld(False)).does(state=ACTIVE, deadline=1050)


def test_a_held_backup_that_is_let_go_in_time_goes_on() -> None:
    play = backup().at(10, GroupHeld(True)).at(100, GroupHeld(False)).does(state=BACKUP, deadline=360.9375)
    play.fires(360.9375).does(*promotion(play.config, Reason.NO_RESPONSE), state=ACTIVE, deadline=460.9375)


def test_a_held_router_that_was_shut_down_is_not_promoted_when_it_is_let_go() -> None:
    play = backup().at(10, GroupHeld(True)).fires(360.9375).at(400, Shutdown())
    assert play.at(500, GroupHeld(False)).actions == ()
    assert play.router.deadline is None


def test_the_reason_is_kept_while_it_is_held() -> None:
    play = backup().hears(100, 0).at(110, GroupHeld(True)).fires(160.9375)
    play.at(500, GroupHeld(False)).does(*promotion(play.config, Reason.PRIORITY), state=ACTIVE, deadline=600)


# -- counts --


def test_a_warning_counts_but_not_among_the_discards() -> None:
    play = backup().hears(10, 200, interval=2.0)
    assert play.actions == (Warned(Problem.INTERVAL, SOURCE),)
    assert play.router.statistics.interval_errors == 1
    assert play.router.statistics.discarded == {}


def test_every_resignation_counts() -> None:
    play = active(priority=255).at(950, Shutdown()).at(1000, Startup()).at(1010, Shutdown())
    assert play.router.statistics.priority_zero_pkts_sent == 2
    assert play.router.statistics.advertisement_sent == 4


# -- what is known from before --


def test_a_router_numbers_its_messages_after_those_that_it_heard() -> None:
    router = Router(config(authentication=AH, **V2))
    router.handle(Startup(), 0.0)
    router.receive(received(AH, sequence=41), 0.0)
    [sent] = [item for item in router.handle(TimerExpired(), 3.609375) if isinstance(item, SendAdvertisement)]
    assert sent.sequence == 42  # keepalived's peers hear nothing lower


def test_without_unix_time_the_routers_own_clock_is_taken() -> None:
    router = Router(config(authentication=HMAC))
    router.handle(Startup(), 0.0)
    [sent] = [item for item in router.handle(TimerExpired(), 3.609375) if isinstance(item, SendAdvertisement)]
    assert sent.sequence == int(3.609375 * 65536) << 16


def test_an_owner_does_not_give_way_to_its_own_address() -> None:
    meek = dataclasses.replace(RFC9568, name="meek", owner_gives_way_to=254)
    play = active(rules=meek, priority=255)
    play.at(
        950,
        AdvertisementReceived(VRRPv3(vrid=1, priority=255, addresses=play.config.ips), play.config.primary_address),
    )
    assert (play.router.state, play.router.priority) == (ACTIVE, 255)


@pytest.mark.parametrize(
    ("play", "changes"),
    [(lambda: backup(**V2).hears(10, 200), V2), (active, {}), (Play, {})],
    ids=["version 2, which learns nothing", "active", "not begun"],
)
def test_a_new_interval_counts_where_none_is_learned(play: Any, changes: dict[str, Any]) -> None:
    played, slower = play(), config(advertisement_interval=2.0, **changes)
    assert Reconfigure(slower) in played.at(950, ConfigChanged(slower)).actions
    assert played.router.active_adver_interval == 2.0
    assert played.router.active_down_interval == pytest.approx(6.609375 if changes else 7.21875, abs=MICROSECOND)
