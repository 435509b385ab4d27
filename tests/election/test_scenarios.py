"""The scenarios of two other implementations' test suites, and of public captures, that speak of the pure Router.

H: holo's recorded events. R: vrrp-rs's unit tests. W: timings measured in captures. The numbers are theirs. Not
here, because they speak of the host and not of the election: R-15, R-16 and R-18 (ARP replies, forwarding,
accepting: the kernel does them, in tests/linux/test_observer.py and test_silence.py). H-T4's bytes are in the
peers' vectors (holo-conf-v3v4-p20).
"""

from __future__ import annotations

import dataclasses

import pytest

from tests.election.play import (
    ACTIVE,
    BACKUP,
    INITIALIZE,
    V2,
    YIELDING,
    Play,
    active,
    advertisement,
    backup,
    promotion,
    release,
)
from vrrplib.election.actions import Announce, Deactivate, Discarded, Reconfigure, StateChanged, Warned
from vrrplib.election.announcing import AnnouncementPolicy
from vrrplib.election.events import ConfigChanged, Shutdown, Startup
from vrrplib.election.states import Reason
from vrrplib.errors import Problem
from vrrplib.rules import RFC2338, RFC5798, RFC9568, Rules
from vrrplib.wire.addresses import to_address, to_interface
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.packets import VRRPv2

# -- H: VRID 1, 10.0.1.5, version 2, interval 1 s; rt1, rt2, rt3 are 10.0.1.1-3 with priority 10, 20, 30 --


def rt(number: int, **changes: object) -> dict[str, object]:
    usual = {"addresses": ["10.0.1.5"], "primary_address": f"10.0.1.{number}", "priority": number * 10}
    return usual | V2 | changes


@pytest.mark.parametrize("number", [1, 2])
def test_h_t1_the_lower_priorities_stay_backup_and_silent(number: int) -> None:
    play = backup(**rt(number))
    down = 300 + (256 - number * 10) / 2.56
    for beat in range(10):
        play.hears(100 * beat, 30, source="10.0.1.3").does(state=BACKUP, deadline=100 * beat + down)
    assert play.router.statistics.new_master_reason is Reason.NOT_MASTER
    assert play.router.statistics.last_adv_source == to_address("10.0.1.3")


def test_h_t1_the_recorded_checksum_is_that_of_the_message() -> None:
    packet = VRRPv2(vrid=1, priority=30, addresses=["10.0.1.5"])
    assert int.from_bytes(packet.encode()[6:8], "big") == 46583


def test_h_t2_silence_makes_the_highest_priority_active() -> None:
    play = backup(**rt(3)).fires(300 + 226 / 2.56)
    play.does(*promotion(play.config, Reason.NO_RESPONSE), state=ACTIVE, deadline=400 + 226 / 2.56)
    sent = play.actions[1].datagram()  # type: ignore[union-attr]
    assert 20 + len(sent.payload) == 40
    assert play.router.statistics.new_master_reason is Reason.NO_RESPONSE


def test_h_t4_message_only_checksums_over_ipv4_are_heard() -> None:
    play = backup(**rt(1, addresses=["10.0.1.5", "10.0.1.6"], advertisement_interval=0.01, rules=RFC9568))
    for source, priority, checksum in (("10.0.1.2", 20, 42224), ("10.0.1.3", 30, 39664)):
        for _ in range(2):
            play.hears(1, priority, source=source, form=ChecksumForm.MESSAGE_ONLY, checksum=checksum)
            play.does(state=BACKUP, deadline=1 + 3 + 246 / 256)


def test_h_s1_a_down_timer_makes_rt1_active() -> None:
    play = backup(**rt(1)).fires(300 + 246 / 2.56)
    play.does(*promotion(play.config, Reason.NO_RESPONSE), state=ACTIVE, deadline=400 + 246 / 2.56)


def test_h_s2_priority_0_is_answered_and_nothing_else() -> None:
    play = active(**rt(3)).hears(950, 0, source="10.0.1.2")
    play.does(advertisement(play.config), state=ACTIVE, deadline=1050)


@pytest.mark.parametrize("rules", [V2["rules"], RFC5798], ids=lambda rules: rules.name)
def test_h_s3_a_lower_priority_gets_no_answer_before_rfc_9568(rules: Rules) -> None:
    active(**rt(3, rules=rules)).hears(950, 1, source="10.0.1.2").does(state=ACTIVE, deadline=1000)


def test_h_s5_an_unknown_version_is_an_error_and_no_event() -> None:
    play = backup(**rt(2)).hears(10, 30, source="10.0.1.3", version=7)
    play.does(Discarded(Problem.VERSION, to_address("10.0.1.3")), state=BACKUP, deadline=300 + 236 / 2.56)


def test_h_s6_another_interval_is_an_error_in_version_2() -> None:
    play = backup(**rt(2)).hears(10, 30, source="10.0.1.3", interval=99)
    play.does(Discarded(Problem.INTERVAL, to_address("10.0.1.3")), state=BACKUP, deadline=300 + 236 / 2.56)


def test_h_s8_a_second_virtual_router_begins_in_initialize_and_leaves_the_first_alone() -> None:
    first = active(**rt(3))
    second = Play(**rt(3, vrid=2, addresses=["10.0.1.10"])).does(state=INITIALIZE, deadline=None)
    assert str(second.config.virtual_mac) == "00:00:5e:00:01:02"
    first.fires(1000).does(advertisement(first.config), state=ACTIVE, deadline=1100)
    # what the second one sends is not for the first, and changes nothing there
    first.actions = first.router.receive(advertisement(second.config, 254).datagram(), 10.5)
    assert isinstance(first.actions[0], Discarded)
    assert (len(first.actions), first.actions[0].reason) == (1, Problem.VRID)
    first.is_due(1100)


def test_h_s10_an_address_added_while_active_is_installed() -> None:
    # holo records the installation alone. Here the new list is advertised and the new address announced as well, at
    # once: else the switches and hosts would learn of it with the next advertisement, or not at all.
    play = active(**rt(3))
    more = dataclasses.replace(play.config, addresses=(*play.config.addresses, to_interface("10.0.1.6")))
    play.at(950, ConfigChanged(more))
    announced = Announce(to_address("10.0.1.6"))
    play.does(Reconfigure(more), advertisement(more), announced, state=ACTIVE, deadline=1050)


@pytest.mark.parametrize("addresses", [["10.0.1.5", "10.0.1.6"], ["10.0.1.7"]], ids=["H-S12", "H-S13"])
def test_h_s12_and_s13_addresses_changed_while_backup_send_nothing(addresses: list[str]) -> None:
    # H-S13 leaves no address at all, which a RouterConfig does not allow: here the address is replaced.
    play = backup(**rt(1))
    changed = dataclasses.replace(play.config, addresses=addresses)  # type: ignore[arg-type]
    play.at(10, ConfigChanged(changed))
    play.does(Reconfigure(changed), state=BACKUP, deadline=300 + 246 / 2.56)


def test_h_s14_a_lost_interface_ends_without_an_advertisement() -> None:
    play = active(**rt(3)).at(950, Shutdown(reason=Reason.HOST, resign=False))
    play.does(Deactivate(), StateChanged(ACTIVE, INITIALIZE, Reason.HOST), state=INITIALIZE, deadline=None)


# -- R: VRID 1, 1.1.1.1 and 2.2.2.2, own address 42.42.42.42, priority 100, preempt --

RS = {"addresses": ["1.1.1.1", "2.2.2.2"], "primary_address": "42.42.42.42"}
RIVAL = to_address("42.42.42.43")


def test_r_1_it_begins_in_initialize() -> None:
    Play(**RS).does(state=INITIALIZE, deadline=None)


def test_r_2_a_router_that_is_no_owner_begins_as_backup() -> None:
    play = Play(**RS).at(500, Startup())
    play.does(StateChanged(INITIALIZE, BACKUP, Reason.STARTUP), state=BACKUP, deadline=500 + 300 + 156 / 2.56)
    assert play.router.active_adver_interval == 1.0


def test_r_3_an_owner_begins_as_active() -> None:
    play = Play(priority=255, **RS).at(500, Startup())
    play.does(*promotion(play.config, Reason.PRIORITY, old=INITIALIZE), state=ACTIVE, deadline=600)
    assert str(play.config.virtual_mac) == "00:00:5e:00:01:01"


def test_r_4_silence_makes_active() -> None:
    play = backup(**RS).fires(300 + 156 / 2.56)
    play.does(*promotion(play.config, Reason.NO_RESPONSE), state=ACTIVE, deadline=400 + 156 / 2.56)


def test_r_6_an_active_router_that_ends_says_so() -> None:
    play = active(**RS).at(950, Shutdown())
    play.does(*release(play.config), state=INITIALIZE, deadline=None)


def test_r_7_nothing_is_learned_from_priority_0() -> None:
    # The peer is wrong here: it sets the timer to 156 * 10 s / 256, with the interval of the priority-0 message.
    # RFC 9568 6.4.2 learns in the other branch alone: the skew is that of the interval learned before (T26).
    play = backup(**RS).hears(10, 0, interval=10.0, source="42.42.42.43")
    play.does(Warned(Problem.INTERVAL, RIVAL), state=BACKUP, deadline=10 + 156 / 2.56)
    assert play.router.active_adver_interval == 1.0


def test_r_9_a_lower_priority_is_ignored_completely() -> None:
    # RFC 9568 7.1 has the interval told before 6.4.2 looks at the priority
    play = backup(**RS).hears(10, 1, interval=5.0, source="42.42.42.43")
    play.does(Warned(Problem.INTERVAL, RIVAL), state=BACKUP, deadline=300 + 156 / 2.56)
    assert play.router.active_adver_interval == 1.0


def test_r_12_priority_0_is_answered_by_an_owner_with_erratum_8298() -> None:
    # The peer has no owner check at all; with the erratum the outcome is the same, and a warning.
    play = active(priority=255, **RS).hears(950, 0, source="42.42.42.43")
    play.does(Warned(Problem.OWNER, RIVAL), advertisement(play.config), state=ACTIVE, deadline=1050)


def test_r_14_advertisements_come_each_interval() -> None:
    play = active(**RS)
    for time in (1000, 1100, 1200):
        play.fires(time).does(advertisement(play.config), state=ACTIVE, deadline=time + 100)


# -- W: what captures show, in seconds --


def test_w_1_the_faster_backup_wins_and_of_two_equals_the_higher_address() -> None:
    # 3.609 s by the formula. The capture shows 3.641, and 8 ms later the other backup: both advertise, one stays.
    addresses = {"addresses": ["192.168.0.1"]}
    thirty, twenty = (backup(primary_address=f"192.168.0.{host}", **addresses, **V2) for host in (30, 20))
    for play in (thirty, twenty):
        play.hears(0, 200, source="192.168.0.10").does(state=BACKUP, deadline=360.9375)
    for play in (thirty, twenty):
        play.fires(360.9375)
        play.does(*promotion(play.config, Reason.NO_RESPONSE), state=ACTIVE, deadline=460.9375)
    thirty.hears(361.7, 100, source="192.168.0.20").does(state=ACTIVE, deadline=460.9375)
    twenty.hears(361.7, 100, source="192.168.0.30").does(*YIELDING, state=BACKUP, deadline=361.7 + 360.9375)


def test_w_2_the_router_that_returned_preempts_after_its_down_interval() -> None:
    # 0.336 s after the last advertisement of priority 100: the returned one counts from its own start
    play = Play(priority=200, **V2).at(933.6 - 321.875, Startup())
    for time in (700, 800, 900):
        play.hears(time, 100).does(state=BACKUP, deadline=933.6)
    play.fires(933.6).does(*promotion(play.config, Reason.PREEMPTED), state=ACTIVE, deadline=1033.6)


def test_w_2_the_preempted_router_is_silent_at_once() -> None:
    active(**V2).hears(933.6, 200).does(*YIELDING, state=BACKUP, deadline=933.6 + 360.9375)


def test_w_3_after_priority_0_the_skew_is_waited_for() -> None:
    # measured: 0.804 s
    play = backup(priority=50, **V2).hears(0, 0).does(state=BACKUP, deadline=80.46875)
    play.fires(80.46875)
    play.does(*promotion(play.config, Reason.PRIORITY), state=ACTIVE, deadline=180.46875)


def test_w_3_the_addresses_are_announced_again_one_and_two_seconds_later() -> None:
    # The Cisco of the capture announces before it advertises; RFC 3768 6.4.2 has it the other way round.
    play = backup(priority=50, announcements=AnnouncementPolicy(at=(0.0, 1.0, 2.0)), **V2).hears(0, 0)
    announced = [Announce(address) for address in play.config.ips]
    play.fires(80.46875).does(*promotion(play.config, Reason.PRIORITY), state=ACTIVE, deadline=180.46875)
    play.fires(180.46875).does(advertisement(play.config), *announced, state=ACTIVE, deadline=280.46875)
    play.fires(280.46875).does(advertisement(play.config), *announced, state=ACTIVE, deadline=380.46875)
    play.fires(380.46875).does(advertisement(play.config), state=ACTIVE, deadline=480.46875)


def test_w_4_an_owner_answers_priority_0_at_once() -> None:
    # The owner of the capture does, although RFC 3768 7.1 has an owner discard what it hears; RFC 2338 does not.
    answer = active(priority=255, rules=RFC2338).hears(950, 0)
    answer.does(advertisement(answer.config), state=ACTIVE, deadline=1050)
    play = active(priority=255).hears(950, 0)
    warned = Warned(Problem.OWNER, to_address("192.0.2.3"))
    play.does(warned, advertisement(play.config), state=ACTIVE, deadline=1050)
