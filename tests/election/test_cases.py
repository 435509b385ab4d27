"""The conformance cases of the oracle: the prose of each, turned once into a play. Times in centiseconds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.election.play import (
    ACTIVE,
    BACKUP,
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
from tests.oracle import CASES
from vrrplib.election.actions import Activate, Announce, Discarded, StateChanged, Warned
from vrrplib.election.events import AdvertisementReceived, Shutdown, Startup, TimerExpired
from vrrplib.election.router import Router
from vrrplib.election.states import Reason
from vrrplib.election.timers import active_down_interval, skew_time
from vrrplib.errors import Problem
from vrrplib.rules import RFC2338, RFC3768, RFC5798, RFC9568, RFC9568_PUBLISHED
from vrrplib.wire.addresses import to_address, virtual_mac
from vrrplib.wire.frames import announcement_frame
from vrrplib.wire.packets import VRRPv3

# version, priority, interval, skew, down; version 2 in seconds, version 3 in centiseconds
TIMERS = {
    "T01": (2, 100, 1, 0.609375, 3.609375),
    "T02": (2, 254, 1, 0.0078125, 3.0078125),
    "T03": (2, 1, 1, 0.99609375, 3.99609375),
    "T04": (2, 255, 1, 0.00390625, 3.00390625),
    "T05": (2, 150, 3, 0.4140625, 9.4140625),
    "T06": (2, 100, 10, 0.609375, 30.609375),
    "T07": (3, 100, 100, 60.9375, 360.9375),
    "T08": (3, 254, 100, 0.78125, 300.78125),
    "T09": (3, 1, 100, 99.609375, 399.609375),
    "T10": (3, 200, 100, 21.875, 321.875),
    "T11": (3, 255, 100, 0.390625, 300.390625),
    "T12": (3, 100, 1, 0.609375, 3.609375),
    "T13": (3, 100, 10, 6.09375, 36.09375),
    "T14": (3, 150, 300, 124.21875, 1024.21875),
    "T15": (3, 100, 4095, 2495.390625, 14780.390625),
    "T16": (3, 1, 4095, 4079.00390625, 16364.00390625),
    "T17": (3, 254, 4095, 31.9921875, 12316.9921875),
}

PLAYS: dict[str, Callable[[], object]] = {}


def case(name: str) -> Callable[[Callable[[], object]], Callable[[], object]]:
    def register(play: Callable[[], object]) -> Callable[[], object]:
        assert name not in PLAYS
        PLAYS[name] = play
        return play

    return register


def test_every_case_of_the_oracle_is_executed() -> None:
    assert sorted([*TIMERS, *PLAYS]) == sorted(entry["id"] for entry in CASES)
    assert len(CASES) == 67


@pytest.mark.parametrize("name", TIMERS)
def test_the_timers_of_the_case_are_exact(name: str) -> None:
    version, priority, interval, skew, down = TIMERS[name]
    unit = 1 if version == 2 else 0.01
    assert skew_time(priority, interval * unit, version=version) == pytest.approx(skew * unit, abs=1e-9)
    assert active_down_interval(priority, interval * unit, version=version) == pytest.approx(down * unit, abs=1e-9)


@pytest.mark.parametrize("name", PLAYS)
def test_the_router_does_what_the_case_says(name: str) -> None:
    PLAYS[name]()


# -- Initialize (6.4.1) --


@case("T18")
def an_owner_is_active_at_once() -> None:
    play = Play(priority=255).at(0, Startup())
    play.does(*promotion(play.config, Reason.PRIORITY, old=INITIALIZE), state=ACTIVE, deadline=100)


@case("T19")
def an_ipv6_owner_announces_each_address_with_an_advertisement_of_its_own() -> None:
    play = Play(priority=255, **V6).at(0, Startup())
    play.does(*promotion(play.config, Reason.PRIORITY, old=INITIALIZE), state=ACTIVE, deadline=100)
    announced = [action.address for action in play.actions if isinstance(action, Announce)]
    assert [str(address) for address in announced] == ["fe80::1", "2001:db8::1"]
    for address in announced:
        frame = announcement_frame(address, play.config.virtual_mac)
        assert frame[58:62] == b"\xa0\0\0\0"  # R=1 S=0 O=1
        assert frame[80:86] == virtual_mac(1, play.config.family).packed


@case("T20")
def a_backup_waits_for_its_down_interval() -> None:
    play = Play().at(0, Startup())
    play.does(StateChanged(INITIALIZE, BACKUP, Reason.STARTUP), state=BACKUP, deadline=360.9375)
    assert play.router.active_adver_interval == 1.0


@case("T21")
def a_version_2_backup_waits_for_its_down_interval() -> None:
    play = Play(priority=254, **V2).at(0, Startup())
    play.does(StateChanged(INITIALIZE, BACKUP, Reason.STARTUP), state=BACKUP, deadline=300.78125)


@case("T62")
def an_advertisement_in_initialize_is_ignored() -> None:
    Play().hears(0, 200).does(state=INITIALIZE, deadline=None)


# -- Backup (6.4.2) --


@case("T22")
def a_timer_that_fires_makes_active() -> None:
    play = backup().fires(360.9375)
    play.does(*promotion(play.config, Reason.NO_RESPONSE), state=ACTIVE, deadline=460.9375)


@case("T23")
def a_timer_that_fires_makes_active_over_ipv6() -> None:
    # Joining the solicited-node groups is part of Activate: the host joins when it takes an address.
    play = backup(**V6).fires(360.9375)
    play.does(*promotion(play.config, Reason.NO_RESPONSE), state=ACTIVE, deadline=460.9375)


@case("T24")
def an_interval_that_differs_is_learned_and_forgotten_when_active() -> None:
    play = backup().hears(50, 200, interval=3.0)
    play.does(Warned(Problem.INTERVAL, to_address("192.0.2.3")), state=BACKUP, deadline=1132.8125)
    assert play.router.active_adver_interval == 3.0
    assert play.router.skew_time == pytest.approx(1.828125)
    play.fires(1132.8125)
    play.does(*promotion(play.config, Reason.NO_RESPONSE), state=ACTIVE, deadline=1232.8125)
    sent = play.actions[1].packet  # type: ignore[union-attr]
    assert isinstance(sent, VRRPv3)
    assert sent.max_advertise_interval == 100


@case("T25")
def priority_0_shortens_the_wait_to_the_skew() -> None:
    play = backup().hears(10, 0).does(state=BACKUP, deadline=70.9375)
    play.fires(70.9375)
    play.does(*promotion(play.config, Reason.PRIORITY), state=ACTIVE, deadline=170.9375)


@case("T26")
def the_interval_of_a_priority_0_message_is_not_learned() -> None:
    play = backup().hears(10, 0, interval=40.95)
    play.does(Warned(Problem.INTERVAL, to_address("192.0.2.3")), state=BACKUP, deadline=70.9375)
    assert play.router.active_adver_interval == 1.0
    assert play.router.skew_time == pytest.approx(0.609375)


@case("T27")
def the_skew_of_version_2_does_not_grow_with_the_interval() -> None:
    backup(advertisement_interval=3, **V2).hears(10, 0).does(state=BACKUP, deadline=10 + 60.9375)


@case("T28")
def a_backup_follows_an_equal_priority_whatever_its_address() -> None:
    backup(primary_address="192.0.2.200").hears(10, 100).does(state=BACKUP, deadline=370.9375)


@case("T29")
def a_backup_that_preempts_is_deaf_to_a_lower_priority() -> None:
    play = backup().hears(10, 99, interval=3.0)
    # the interval is told before the priority is looked at: 7.1 comes before 6.4.2
    play.does(Warned(Problem.INTERVAL, to_address("192.0.2.3")), state=BACKUP, deadline=360.9375)
    assert play.router.active_adver_interval == 1.0
    backup().hears(10, 99).does(state=BACKUP, deadline=360.9375)
    play.fires(360.9375)
    play.does(*promotion(play.config, Reason.PREEMPTED), state=ACTIVE, deadline=460.9375)


@case("T30")
def a_backup_that_does_not_preempt_follows_a_lower_priority() -> None:
    play = backup(preempt=False).hears(10, 1, interval=0.5)
    play.does(Warned(Problem.INTERVAL, to_address("192.0.2.3")), state=BACKUP, deadline=190.46875)
    assert play.router.skew_time == pytest.approx(0.3046875)


@case("T31")
def priority_0_comes_before_preempt_mode() -> None:
    backup(preempt=False).hears(10, 0).does(state=BACKUP, deadline=70.9375)


@case("T32")
def an_equal_priority_restarts_the_timer() -> None:
    backup(priority=200).hears(300, 200).does(state=BACKUP, deadline=621.875)


@case("T33")
def a_backup_that_ends_says_nothing() -> None:
    backup().at(10, Shutdown()).does(
        StateChanged(BACKUP, INITIALIZE, Reason.SHUTDOWN), state=INITIALIZE, deadline=None
    )


@case("T34")
def rfc_5798_has_the_skew_computed_anew_too() -> None:
    # RFC 5798 has no word about an interval that differs, so nothing is told.
    backup(rules=RFC5798).hears(0, 150, interval=10.0).does(state=BACKUP, deadline=3609.375)


# -- Active (6.4.3) --


@case("T35")
def advertisements_come_at_their_interval() -> None:
    play = active().fires(1000)
    play.does(advertisement(play.config), state=ACTIVE, deadline=1100)


@case("T36")
def priority_0_is_answered_and_resets_the_timer() -> None:
    play = active().hears(950, 0)
    play.does(advertisement(play.config), state=ACTIVE, deadline=1050)


@case("T37")
def a_higher_priority_is_yielded_to_and_learned_from() -> None:
    play = active().hears(950, 101, interval=2.0)
    warned = Warned(Problem.INTERVAL, to_address("192.0.2.3"))
    play.does(warned, *YIELDING, state=BACKUP, deadline=1671.875)
    assert play.router.active_adver_interval == 2.0
    assert play.router.skew_time == pytest.approx(1.21875)


@case("T38")
def a_higher_priority_is_yielded_to_in_version_2() -> None:
    active(**V2).hears(950, 101).does(*YIELDING, state=BACKUP, deadline=950 + 360.9375)


@case("T39")
def an_equal_priority_from_a_higher_address_is_yielded_to_in_every_version() -> None:
    for rules in (RFC2338, RFC3768, RFC5798, RFC9568_PUBLISHED, RFC9568):
        active(rules=rules).hears(950, 100).does(*YIELDING, state=BACKUP, deadline=950 + 360.9375)


@case("T40")
def an_equal_priority_from_a_lower_address_is_ignored_before_rfc_9568() -> None:
    for rules in (RFC2338, RFC3768, RFC5798):
        active(rules=rules).hears(950, 100, source="192.0.2.1").does(state=ACTIVE, deadline=1000)


@case("T41")
def an_equal_priority_from_a_lower_address_is_answered_by_rfc_9568() -> None:
    for rules in (RFC9568_PUBLISHED, RFC9568):
        play = active(rules=rules).hears(950, 100, source="192.0.2.1")
        play.does(advertisement(play.config), state=ACTIVE, deadline=1000)


@case("T42")
def the_priority_decides_before_the_address() -> None:
    for rules in (RFC2338, RFC3768, RFC5798):
        active(rules=rules).hears(950, 50, source="192.0.2.99").does(state=ACTIVE, deadline=1000)
    for rules in (RFC9568_PUBLISHED, RFC9568):
        play = active(rules=rules).hears(950, 50, source="192.0.2.99", interval=2.0)
        warned = Warned(Problem.INTERVAL, to_address("192.0.2.99"))
        play.does(warned, advertisement(play.config), state=ACTIVE, deadline=1000)
        assert play.router.active_adver_interval == 1.0


@case("T43")
def addresses_are_compared_as_numbers_not_as_text() -> None:
    play = active(primary_address="10.0.0.9").hears(950, 100, source="9.255.255.255")
    play.does(advertisement(play.config), state=ACTIVE, deadline=1000)
    play.hears(960, 100, source="10.0.0.10").does(*YIELDING, state=BACKUP, deadline=960 + 360.9375)


@case("T44")
def addresses_are_compared_unsigned_and_big_endian() -> None:
    play = active().hears(950, 100, source="10.0.0.200")
    play.does(advertisement(play.config), state=ACTIVE, deadline=1000)


@case("T45")
def ipv6_addresses_are_compared_with_all_their_bits() -> None:
    active(**V6).hears(950, 100, source="fe80::1:0:0:0:1").does(*YIELDING, state=BACKUP, deadline=1310.9375)
    play = active(**V6 | {"primary_address": "fe80::ff"}).hears(950, 100, source="fe80::a")
    play.does(advertisement(play.config), state=ACTIVE, deadline=1000)


@case("T46")
def our_own_advertisement_is_never_answered() -> None:
    play = active()
    ours = play.actions[1].datagram()  # type: ignore[union-attr]
    play.actions = play.router.receive(ours, 9.5)
    play.does(Discarded(Problem.LOOPED, play.config.primary_address), state=ACTIVE, deadline=1000)
    # and one that only looks like ours: the same address and priority, but other bytes
    play.hears(951, 100, source="192.0.2.2", reserved=1).does(state=ACTIVE, deadline=1000)


@case("T47")
def preempt_mode_says_nothing_in_active() -> None:
    active(preempt=False).hears(950, 101).does(*YIELDING, state=BACKUP, deadline=1310.9375)


@case("T48")
def an_active_router_that_ends_says_so_once() -> None:
    play = active().at(950, Shutdown())
    play.does(*release(play.config), state=INITIALIZE, deadline=None)


# -- the checks (7.1) --


@case("T49")
def an_owner_hears_no_other_owner_unless_by_rfc_2338() -> None:
    for rules in (RFC3768, RFC5798, RFC9568_PUBLISHED):
        play = active(priority=255, rules=rules).hears(950, 255)
        play.does(Discarded(Problem.OWNER, to_address("192.0.2.3")), state=ACTIVE, deadline=1000)
    active(priority=255, rules=RFC2338).hears(950, 255).does(*YIELDING, state=BACKUP, deadline=950 + 300.390625)


@case("T50")
def two_owners_settle_by_their_addresses_with_erratum_8298() -> None:
    play = active(priority=255).hears(950, 255)
    play.does(Warned(Problem.OWNER, to_address("192.0.2.3")), *YIELDING, state=BACKUP, deadline=1250.390625)
    assert play.router.skew_time == pytest.approx(0.00390625)


@case("T51")
def an_owner_answers_a_losing_advertisement_with_erratum_8298() -> None:
    source = to_address("192.0.2.3")
    play = active(priority=255, rules=RFC9568_PUBLISHED).hears(950, 100)
    play.does(Discarded(Problem.OWNER, source), state=ACTIVE, deadline=1000)
    play = active(priority=255).hears(950, 100)
    play.does(Warned(Problem.OWNER, source), advertisement(play.config, 255), state=ACTIVE, deadline=1000)


@case("T52")
def an_owner_does_not_hear_priority_0() -> None:
    play = active(priority=255, rules=RFC5798).hears(950, 0)
    play.does(Discarded(Problem.OWNER, to_address("192.0.2.3")), state=ACTIVE, deadline=1000)


@case("T53")
def a_ttl_below_255_is_discarded() -> None:
    play = backup().hears(10, 200, ttl=254)
    play.does(Discarded(Problem.TTL, to_address("192.0.2.3")), state=BACKUP, deadline=360.9375)
    assert play.router.statistics.ip_ttl_errors == 1


@case("T54")
def version_2_discards_another_interval() -> None:
    play = backup(**V2).hears(10, 200, interval=2)
    play.does(Discarded(Problem.INTERVAL, to_address("192.0.2.3")), state=BACKUP, deadline=360.9375)
    assert play.router.statistics.interval_errors == 1
    play.fires(360.9375)
    play.does(*promotion(play.config, Reason.NO_RESPONSE), state=ACTIVE, deadline=460.9375)


@case("T55")
def rfc_9568_learns_another_interval_and_tells() -> None:
    play = backup().hears(10, 200, interval=2.0)
    play.does(Warned(Problem.INTERVAL, to_address("192.0.2.3")), state=BACKUP, deadline=10 + 721.875)
    assert play.router.statistics.interval_errors == 1


@case("T56")
def version_2_discards_another_address_list_unless_it_is_the_owners() -> None:
    source, other = to_address("192.0.2.3"), {"addresses": ["192.0.2.77"]}
    play = backup(**V2).hears(10, 200, **other)
    play.does(Discarded(Problem.ADDRESS, source), state=BACKUP, deadline=360.9375)
    play.hears(20, 255, **other).does(Warned(Problem.ADDRESS, source), state=BACKUP, deadline=20 + 360.9375)
    assert play.router.statistics.address_list_errors == 2


@case("T57")
def version_3_tells_of_another_address_list_and_goes_on() -> None:
    for rules in (RFC5798, RFC9568_PUBLISHED, RFC9568):
        play = backup(rules=rules).hears(10, 200, addresses=["192.0.2.77"])
        play.does(Warned(Problem.ADDRESS, to_address("192.0.2.3")), state=BACKUP, deadline=370.9375)
        assert play.router.statistics.address_list_errors == 1


@case("T58")
def rfc_9568_ignores_an_advertisement_without_addresses() -> None:
    source = to_address("192.0.2.3")
    for rules in (RFC9568_PUBLISHED, RFC9568):
        play = backup(rules=rules).hears(10, 200, addresses=[])
        play.does(Discarded(Problem.COUNT, source), state=BACKUP, deadline=360.9375)
    # RFC 5798 has no rule; that the list is not ours is told all the same
    play = backup(rules=RFC5798).hears(10, 200, addresses=[])
    play.does(Warned(Problem.ADDRESS, source), state=BACKUP, deadline=370.9375)


@case("T59")
def an_interval_of_zero_is_discarded_by_any_rules() -> None:
    # Without the erratum the text would set every timer to 0 and promote without end. The oracle tells what the
    # letter gives; spec Q4 decides against it, and so does the Router.
    for rules in (RFC5798, RFC9568_PUBLISHED, RFC9568):
        play = backup(rules=rules).hears(10, 200, interval=0)
        play.does(Discarded(Problem.INTERVAL, to_address("192.0.2.3")), state=BACKUP, deadline=360.9375)


@case("T60")
def erratum_8300_discards_a_global_first_address() -> None:
    other_order = {"addresses": ["2001:db8::1", "fe80::1"]}
    play = backup(**V6).hears(10, 200, **other_order)
    play.does(Discarded(Problem.ADDRESS, to_address("fe80::3")), state=BACKUP, deadline=360.9375)
    for rules in (RFC5798, RFC9568_PUBLISHED):
        backup(rules=rules, **V6).hears(10, 200, **other_order).does(state=BACKUP, deadline=370.9375)


@case("T61")
def a_version_3_router_discards_version_2() -> None:
    play = backup()
    play.actions = play.router.receive(heard(config(**V2), 200), 0.1)
    play.does(Discarded(Problem.VERSION, to_address("192.0.2.3")), state=BACKUP, deadline=360.9375)
    assert play.router.statistics.version_errors == 1


# -- two routers --


def deliver(play: Play, other: Play, time: float) -> Play:
    """What ``play`` sent in its last step arrives at ``other``."""
    other.actions = ()
    for action in play.actions:
        if hasattr(action, "datagram"):
            other.actions += other.router.receive(action.datagram(), time / 100)
    return other


@case("T63")
def a_release_hands_over_after_the_skew() -> None:
    a, b = backup(priority=200, primary_address="192.0.2.3"), backup()
    a.fires(321.875)
    deliver(a, b, 321.875).does(state=BACKUP, deadline=682.8125)
    a.at(400, Shutdown())
    deliver(a, b, 400).does(state=BACKUP, deadline=460.9375)
    b.fires(460.9375).does(*promotion(b.config, Reason.PRIORITY), state=ACTIVE, deadline=560.9375)


@case("T64")
def a_silent_death_is_noticed_after_the_down_interval() -> None:
    b = backup().hears(0, 200).hears(100, 200).does(state=BACKUP, deadline=460.9375)
    b.fires(460.9375).does(*promotion(b.config, Reason.NO_RESPONSE), state=ACTIVE, deadline=560.9375)


@case("T65")
def a_higher_priority_that_returns_preempts_after_its_down_interval() -> None:
    a, b = Play(priority=200, primary_address="192.0.2.3"), active(since=1950)
    a.at(2000, Startup()).is_due(2321.875)
    for time in (2050, 2150, 2250):
        b.fires(time)
        deliver(b, a, time).does(state=BACKUP, deadline=2321.875)
    a.fires(2321.875).does(*promotion(a.config, Reason.PREEMPTED), state=ACTIVE, deadline=2421.875)
    deliver(a, b, 2321.875).does(*YIELDING, state=BACKUP, deadline=2321.875 + 360.9375)


@case("T66")
def a_higher_priority_that_does_not_preempt_waits() -> None:
    a, b = Play(priority=200, primary_address="192.0.2.3", preempt=False), active(since=1950)
    a.at(2000, Startup())
    for time in range(2050, 2951, 100):
        b.fires(time)
        deliver(b, a, time).does(state=BACKUP, deadline=time + 321.875)
    a.is_due(3271.875)
    assert a.router.active_source == b.config.primary_address


# -- version 2 beside version 3 (8.4.2) --


@case("T67")
def the_seconds_of_version_2_are_centiseconds_to_a_router_of_both() -> None:
    play = backup(also=RFC3768)
    for time in (100, 300, 500):
        play.actions = play.router.receive(heard(config(advertisement_interval=2, **V2), 200), time / 100)
        play.does(state=BACKUP, deadline=time + 721.875)
        assert play.router.active_adver_interval == 2.0
        assert play.router.skew_time == pytest.approx(1.21875)
    play.fires(500 + 721.875)
    ours, theirs = advertisement(play.config), advertisement(config(**V2))  # at our own rate again
    announced = [Announce(address) for address in play.config.ips]
    changed = StateChanged(BACKUP, ACTIVE, Reason.NO_RESPONSE)
    play.does(Activate(), ours, theirs, *announced, changed, state=ACTIVE, deadline=600 + 721.875)


def test_a_decoded_advertisement_may_be_handed_over_as_an_event_too() -> None:
    router = Router(config())
    router.handle(Startup(), 0.0)
    packet = VRRPv3(vrid=1, priority=200, addresses=["192.0.2.100", "192.0.2.101"])
    assert router.handle(AdvertisementReceived(packet, to_address("192.0.2.3")), 0.5) == ()
    assert router.deadline == pytest.approx(4.109375)
    assert router.handle(TimerExpired(), 1.0) == ()
