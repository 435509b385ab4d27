"""explain: on captures of real daemons, of others' test suites, and of simulated LANs whose schedule is known."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.lab.recording import EPOCH, VIRTUAL, Recording, TappedLan, seconds
from vrrplib import RFC3768, ChecksumForm, State, VRRPv2, VRRPv3
from vrrplib.election.actions import StateChanged
from vrrplib.lab.explain import (
    Cause,
    ConflictReason,
    Explanation,
    Note,
    RouterStory,
    Suspect,
    Transition,
    explain,
)
from vrrplib.wire.capture import CaptureReader
from vrrplib.wire.linktypes import Interface

MADE = Path(__file__).parents[1] / "data/captures/made"
PUBLIC = os.environ.get("VRRPLIB_PUBLIC_CAPTURES", "")
A, B = "10.77.0.1", "10.77.0.2"
LL_A, LL_B = "fe80::ff:fe00:1", "fe80::ff:fe00:2"
VMAC = "00:00:5e:00:01:33"
_MS = 0.001


class Expected(NamedTuple):
    """A transition by hand. ``since`` is what is measured from; times are seconds from the first record."""

    time: float
    cause: Cause
    old: str | None
    new: str | None
    since: float | None = None
    theory: float | None = None
    suspects: Sequence[Suspect] = ()


def down(priority: int, interval: float) -> float:
    """RFC 9568 6.1, written out again."""
    return 3 * interval + (256 - priority) / 256 * interval


def skew(priority: int, interval: float) -> float:
    return (256 - priority) / 256 * interval


def began(time: float, who: str) -> Expected:
    return Expected(time, Cause.NOBODY_ACTIVE, None, who)


def was(time: float, who: str) -> Expected:
    return Expected(time, Cause.ALREADY_ACTIVE, None, who)


def resigned(time: float, who: str) -> Expected:
    return Expected(time, Cause.RESIGNED, who, None)


def missed(time: float, since: float, interval: float, *suspects: Suspect, old: str = A, new: str = B) -> Expected:
    return Expected(time, Cause.MISSED_ADVERTISEMENTS, old, new, since, down(100, interval), suspects)


def after_resignation(time: float, since: float, interval: float, old: str = A, new: str = B) -> Expected:
    return Expected(time, Cause.RESIGNATION, old, new, since, skew(100, interval))


# Read off by hand from `tshark -r FILE -T fields -e frame.time_relative -e ip.src -e ipv6.src -e vrrp.prio
# -e arp.opcode -e icmpv6.type`, and the causes from what was done to the daemons when the captures were made: the
# suffix of a name is the fault. Whether the machine lived on is in the pings of the virtual address every 5 ms.
EXPECTED: dict[str, list[Expected]] = {
    "failover-v3-ipv4-novmac-sigkill": [was(0.055699, A), missed(1.318630, 0.956446, 0.1, Suspect.PROCESS)],
    "failover-v3-ipv4-novmac-term": [was(0.060944, A), after_resignation(1.090979, 1.027720, 0.1)],
    "failover-v3-ipv4-vmac-carrier": [was(0.045500, A), missed(1.309757, 0.947625, 0.1, Suspect.LINK)],
    "failover-v3-ipv4-vmac-killvrrp": [was(0.029679, A), missed(1.295211, 0.933339, 0.1, Suspect.PROCESS)],
    "failover-v3-ipv4-vmac-sigkill": [was(0.056961, A), missed(1.319941, 0.958050, 0.1, Suspect.PROCESS)],
    "failover-v3-ipv4-vmac-term": [was(0.044642, A), after_resignation(1.082234, 1.019116, 0.1)],
    "failover-v3-ipv4-vmac-xmitbase-sigkill": [
        was(0.065372, A),
        missed(1.330993, 0.968373, 0.1, Suspect.PROCESS),
    ],
    "failover-v3-ipv6-vmac-sigkill": [
        was(0.055791, LL_A),
        missed(1.318465, 0.956531, 0.1, Suspect.PROCESS, old=LL_A, new=LL_B),
    ],
    # FRR computes in centiseconds, and is up to one early
    "frr-v2-ipv4": [began(4.074267, A), after_resignation(9.357664, 8.753693, 1.0), resigned(12.878884, B)],
    "frr-v3-ipv4": [began(3.971764, A), after_resignation(9.215854, 8.615234, 1.0), resigned(12.725218, B)],
    # both send from the same address, and each one's first advert never reached the wire: the NAs did
    "frr-v3-ipv6": [
        began(3.961019, "fe80::5e:51"),
        Expected(
            *(9.304701, Cause.RESIGNATION, "fe80::5e:51", "fe80::5e:51", 8.699740, skew(100, 1.0)),
            (Suspect.SHARED_ADDRESS, Suspect.RESTART),
        ),
        resigned(12.797806, "fe80::5e:51"),
    ],
    # SIGKILL, restart, SIGTERM of the first; SIGTERM of the second. Nobody sent anything but VRRP and ARP
    "frr-vs-keepalived-v2-ipv4": [
        began(3.412506, A),
        missed(10.020173, 6.415005, 1.0, Suspect.PROCESS, Suspect.LINK),
        Expected(13.577227, Cause.PREEMPTION, B, A),
        after_resignation(15.288184, 14.687604, 1.0),
        resigned(17.026662, B),
    ],
    "frr-vs-keepalived-v3-ipv4": [
        began(3.406323, A),
        missed(10.010490, 6.409766, 1.0, Suspect.PROCESS, Suspect.LINK),
        Expected(13.569403, Cause.PREEMPTION, B, A),
        after_resignation(15.278431, 14.676593, 1.0),
        resigned(17.028879, B),
    ],
    "keepalived-child-sigkill-respawn": [began(0.350708, A)],
    "keepalived-v2-ipv4-adv-255": [began(0.0, A), resigned(2.012669, A)],
    "keepalived-v2-ipv4-ah": [began(3.403025, A), resigned(5.974954, A)],
    "keepalived-v2-ipv4-novmac": [began(3.404992, A), resigned(6.958090, A)],
    "keepalived-v2-ipv4-vmac": [began(3.410644, A), resigned(10.364401, A)],
    "keepalived-v2-ipv4-vmac-xmitbase": [began(3.407172, A), resigned(5.995442, A)],
    # its adverts are at 3.407, 4.988 and 6.990: two gaps, in the second of which one may just be missing
    "keepalived-v2-vs-ucarp": [
        began(3.407386, A),
        Expected(4.987793, Cause.STALLED, A, A, 3.407386, 1.0, (Suspect.PROCESS, Suspect.LINK)),
        Expected(6.989799, Cause.STALLED, A, A, 4.987793, 1.0, (Suspect.LOSS, Suspect.PROCESS, Suspect.LINK)),
        resigned(6.998938, A),
    ],
    "keepalived-v3-ipv4-adv-40.95": [began(0.0, A), resigned(2.028321, A)],
    "keepalived-v3-ipv4-prio255-owner": [began(0.026689, A), resigned(2.043265, A)],
    "keepalived-v3-ipv4-unicast": [began(3.408521, A), resigned(5.961518, A)],
    "keepalived-v3-ipv6-vmac": [began(3.466264, LL_A), resigned(6.104738, LL_A)],
    "crafted-v3-ipv4-no-pseudoheader": [was(0.0, A)],
    # one-way from the first to the second: the second begins beside it, and yields when it hears it again. The
    # first one's adverts of 4.722823 and 4.922757 have none between them
    "proto-pair-v3-ipv4-partition": [
        began(0.921211, A),
        Expected(2.585845, Cause.UNHEARD, A, B, suspects=(Suspect.ONE_WAY,)),
        Expected(3.922722, Cause.YIELDED, B, A),
        Expected(4.922757, Cause.STALLED, A, A, 4.722823, 0.1, (Suspect.LOSS, Suspect.PROCESS)),
        resigned(5.402150, A),
    ],
}


def read(path: Path) -> Explanation:
    with path.open("rb") as file:
        return explain(CaptureReader(file))


def only(story: Explanation) -> RouterStory:
    [router] = story.routers
    return router


def check(transitions: Sequence[Transition], expected: Sequence[Expected], start: float) -> None:
    assert [item.cause for item in transitions] == [item.cause for item in expected]
    for found, hand in zip(transitions, expected, strict=True):
        assert found.time - start == pytest.approx(hand.time, abs=_MS)
        assert (found.old and str(found.old.source), found.new and str(found.new.source)) == (hand.old, hand.new)
        assert found.suspects == tuple(hand.suspects)
        if hand.since is None:
            assert found.measured is None
        else:
            assert found.measured == pytest.approx(hand.time - hand.since, abs=_MS)
            assert found.theory == pytest.approx(hand.theory, abs=_MS / 10)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_capture_of_real_daemons(name: str) -> None:
    story = read(MADE / f"{name}.pcap")
    check(only(story).transitions, EXPECTED[name], story.start)


def test_measurement_is_near_theory_in_every_takeover_of_real_daemons() -> None:
    takeovers = [
        item
        for name in EXPECTED
        for item in read(MADE / f"{name}.pcap").transitions
        if item.cause in (Cause.MISSED_ADVERTISEMENTS, Cause.RESIGNATION)
    ]
    assert len(takeovers) == 15
    for item in takeovers:
        assert item.measured is not None
        assert item.theory is not None
        assert -0.010 < item.measured - item.theory < 0.005  # FRR is early, the others a little late


def test_two_actives_in_a_one_way_partition() -> None:
    story = read(MADE / "proto-pair-v3-ipv4-partition.pcap")
    [conflict] = only(story).conflicts
    assert (str(conflict.winner.source), str(conflict.loser.source)) == (A, B)
    assert conflict.start - story.start == pytest.approx(2.585845, abs=_MS)
    assert conflict.end is not None
    assert conflict.end - story.start == pytest.approx(3.922722, abs=_MS)
    assert [reason.reason for reason in conflict.reasons] == [ConflictReason.ONE_WAY]
    tenures = [(str(item.speaker.source), item.adverts, item.ended) for item in only(story).tenures]
    assert tenures == [(A, 45, Cause.RESIGNED), (B, 15, Cause.YIELDED)]


def notes(story: Explanation, kind: Note) -> list[str]:
    found = [*story.observations, *(item for router in story.routers for item in router.observations)]
    return [item.words for item in found if item.note is kind]


def test_the_announcements_of_a_takeover_and_the_mac_they_name() -> None:
    for name, macs in {
        "failover-v3-ipv4-vmac-sigkill": [VMAC],
        "failover-v3-ipv4-vmac-xmitbase-sigkill": [VMAC],
        "failover-v3-ipv4-novmac-sigkill": ["02:00:00:00:00:02"],
    }.items():
        announced = only(read(MADE / f"{name}.pcap")).transitions[-1].announced
        assert announced is not None
        assert (announced.count, [str(mac) for mac in announced.macs], announced.missing) == (5, macs, ())
        assert 0.003 < announced.first < 0.005  # tshark: 4.4 ms, 4.4 ms, 3.3 ms


def test_adverts_from_a_physical_mac() -> None:
    [first, second] = notes(read(MADE / "failover-v3-ipv4-vmac-xmitbase-sigkill.pcap"), Note.PHYSICAL_SOURCE)
    assert first.startswith(f"{A} sends its adverts from 02:00:00:00:00:01")
    assert "vmac_xmit_base" in first
    assert "vmac_xmit_base" in second
    [words] = notes(read(MADE / "keepalived-v3-ipv4-novmac.pcap"), Note.PHYSICAL_SOURCE)
    assert "without use_vmac" in words
    assert notes(read(MADE / "keepalived-v3-ipv4-vmac.pcap"), Note.PHYSICAL_SOURCE) == []


def test_a_killed_process_whose_machine_goes_on_answering() -> None:
    [words] = notes(read(MADE / "failover-v3-ipv4-vmac-sigkill.pcap"), Note.STILL_ANSWERS)
    assert words.startswith("02:00:00:00:00:01 goes on answering")
    assert notes(read(MADE / "failover-v3-ipv4-vmac-carrier.pcap"), Note.STILL_ANSWERS) == []
    assert notes(read(MADE / "failover-v3-ipv6-vmac-sigkill.pcap"), Note.STILL_ANSWERS) == []


def test_carp_beside_vrrp() -> None:
    story = read(MADE / "keepalived-v2-vs-ucarp.pcap")
    [item] = [item for item in story.observations if item.note is Note.CARP]
    assert item.count == 4
    assert item.words.startswith("CARP from 10.77.0.2 (00:00:5e:00:00:33), vhid 51")


def test_who_drops_what_is_from_the_catalogue() -> None:
    [words] = notes(read(MADE / "crafted-v3-ipv4-no-pseudoheader.pcap"), Note.REFUSED)
    assert "the message alone" in words
    assert "keepalived, frr" in words
    [words, *_] = notes(read(MADE / "keepalived-v3-ipv4-unicast.pcap"), Note.REFUSED)
    assert "holo drops it" in words
    [words] = notes(read(MADE / "macswap-veth-up.pcap"), Note.DISCARDED)
    assert "fits no accepted form" in words


# -- captures of others --


@pytest.mark.skipif(not PUBLIC, reason="VRRPLIB_PUBLIC_CAPTURES does not say where they are")
class TestPublic:
    """From the test suites of tcpdump, libpcap and PcapPlusPlus; by hand from tshark, as above."""

    def test_seven_routers_each_of_which_preempts_the_one_before(self) -> None:
        story = read(Path(PUBLIC) / "tcpdump/vrrp.pcap")
        assert [item.router.vrid for item in story.routers] == [42, 43, 44, 45, 46]
        # vrid 42: 10.0.0.91 with priority 191, then .92 with 192, ...; the first advert of each
        times = [0.0, 28.027700, 57.897641, 94.619140, 143.452772, 177.716109, 223.186650]
        expected = [was(0.0, "10.0.0.91")] + [
            Expected(time, Cause.PREEMPTION, f"10.0.0.{90 + number}", f"10.0.0.{91 + number}")
            for number, time in enumerate(times)
            if number
        ]
        check(story.routers[0].transitions, expected, story.start)
        for router in story.routers:
            assert [item.priority for item in router.transitions] == [191, 192, 193, 194, 195, 196, 197]
            assert router.conflicts == ()

    def test_what_a_filter_left_out_is_not_said_to_be_missing(self) -> None:
        story = read(Path(PUBLIC) / "tcpdump/vrrp.pcap")
        assert notes(story, Note.NOT_ANNOUNCED) == []
        assert len(notes(story, Note.UNSEEN)) == 5

    def test_a_cut_of_it(self) -> None:
        story = read(Path(PUBLIC) / "libpcap/vrrp.pcap")
        [router] = [item for item in story.routers if item.router.vrid == 44]
        expected = [was(0.010250, "10.0.0.91"), Expected(7.976153, Cause.PREEMPTION, "10.0.0.91", "10.0.0.92")]
        check(router.transitions, expected, story.start)

    def test_carp_with_a_mac_of_vrrp(self) -> None:
        story = read(Path(PUBLIC) / "libpcap/carp.pcap")
        assert story.routers == ()
        [words] = notes(story, Note.CARP)
        assert "its MAC is that of VRRP's vrid 1" in words

    def test_single_messages(self) -> None:
        story = read(Path(PUBLIC) / "pcapplusplus/VRRP-V3-IPv6.pcap")
        check(only(story).transitions, [was(0.0, "fe80::1")], story.start)
        assert len(notes(story, Note.OTHER_VIRTUAL_MAC)) == 1  # an IPv4 one
        [words] = notes(read(Path(PUBLIC) / "pcapplusplus/VRRP-V2.pcap"), Note.DISCARDED)
        assert "authentication data must have 8 bytes" in words
        assert read(Path(PUBLIC) / "tcpdump/vrrp-vrrp_print-oobr.pcap").routers == ()


# -- simulated LANs, whose schedule is known --


def pair() -> tuple[TappedLan, Any, Any]:
    lan = TappedLan()
    return lan, lan.router("one", 200), lan.router("two", 100)


def crashed() -> TappedLan:
    lan, one, _ = pair()
    lan.run(10.5)
    lan.crash(one)
    lan.run(20.2)
    lan.restart(one)
    lan.run(40)
    return lan


def shut_down() -> TappedLan:
    lan, one, _ = pair()
    lan.run(10.5)
    lan.shutdown(one)
    lan.run(20)
    return lan


def stood_still() -> TappedLan:
    lan, one, _ = pair()
    lan.run(10.5)
    lan.pause(one)
    lan.run(12.6)
    lan.resume(one)
    lan.run(20)
    return lan


def stood_still_for_long() -> TappedLan:
    lan, one, _ = pair()
    lan.run(10.5)
    lan.pause(one)
    lan.run(18.2)
    lan.resume(one)
    lan.run(30)
    return lan


def cut_off() -> TappedLan:
    lan, _, _ = pair()
    lan.run(10.5)
    lan.switch.unplug("one")
    lan.run(18.1)
    lan.switch.plug("one")
    lan.run(30)
    return lan


def one_way() -> TappedLan:
    lan, _, _ = pair()
    lan.run(10.5)
    lan.switch.block("one", "two")
    lan.run(17.5)
    lan.switch.unblock("one", "two")
    lan.run(30)
    return lan


def three() -> TappedLan:
    lan, one, two = pair()
    lan.router("three", 50)
    lan.run(10.5)
    lan.crash(one)
    lan.run(20.5)
    lan.shutdown(two)
    lan.run(30)
    return lan


ONE, TWO, THREE = "192.0.2.1", "192.0.2.2", "192.0.2.3"
_BOTH = (Suspect.PROCESS, Suspect.LINK)
_BACK = (Suspect.LINK, Suspect.PROCESS)
# `one` starts with the simulation and is Active 3 + 56/256 s later: its adverts are at 3.21875, 4.21875, ...
_FIRST = 3 + 56 / 256
_DOWN = 3 + 156 / 256


def taken(time: float, since: float, *suspects: Suspect, new: str = TWO, priority: int = 100) -> Expected:
    return Expected(time, Cause.MISSED_ADVERTISEMENTS, ONE, new, since, down(priority, 1), suspects)


# By the rules of RFC 9568 6.4 and the schedule; the last advert before 10.5 is at 10.21875.
SIMULATED: dict[Callable[[], TappedLan], list[Expected]] = {
    crashed: [
        began(_FIRST, ONE),
        taken(10.21875 + _DOWN, 10.21875, *_BOTH),
        Expected(20.2 + _FIRST, Cause.PREEMPTION, TWO, ONE),
    ],
    shut_down: [
        began(_FIRST, ONE),
        Expected(10.5 + 156 / 256, Cause.RESIGNATION, ONE, TWO, 10.5, 156 / 256),
    ],
    stood_still: [
        began(_FIRST, ONE),
        Expected(12.6, Cause.STALLED, ONE, ONE, 10.21875, 1.0, (Suspect.PROCESS, Suspect.LINK)),
    ],
    stood_still_for_long: [
        began(_FIRST, ONE),
        taken(10.21875 + _DOWN, 10.21875, *_BACK),
        Expected(18.2, Cause.PREEMPTION, TWO, ONE, suspects=_BACK),
    ],
    # while it is cut off it goes on: the next after 18.1 is at 18.21875
    cut_off: [
        began(_FIRST, ONE),
        taken(10.21875 + _DOWN, 10.21875, *_BACK),
        Expected(18.21875, Cause.PREEMPTION, TWO, ONE, suspects=_BACK),
    ],
    one_way: [
        began(_FIRST, ONE),
        Expected(10.21875 + _DOWN, Cause.UNHEARD, ONE, TWO, suspects=(Suspect.ONE_WAY,)),
        # RFC 9568 6.4.3: `one` answers the advert of `two`, at once; its own next one is due before that of `two`
        Expected(17.828125, Cause.YIELDED, TWO, ONE, suspects=(Suspect.LATER,)),
    ],
    three: [
        began(_FIRST, ONE),
        taken(10.21875 + _DOWN, 10.21875, *_BOTH),
        Expected(20.5 + 206 / 256, Cause.RESIGNATION, TWO, THREE, 20.5, 206 / 256),
    ],
}


@pytest.mark.parametrize("scenario", SIMULATED, ids=lambda scenario: scenario.__name__)
def test_a_simulated_lan(scenario: Callable[[], TappedLan]) -> None:
    lan = scenario()
    transitions = only(lan.explain()).transitions
    check(transitions, SIMULATED[scenario], EPOCH)


@pytest.mark.parametrize("scenario", SIMULATED, ids=lambda scenario: scenario.__name__)
def test_the_routers_own_log_agrees(scenario: Callable[[], TappedLan]) -> None:
    lan = scenario()
    own = [
        (round(time, 6), name)
        for time, name, report in lan.history(StateChanged)
        if isinstance(report, StateChanged) and report.new is State.ACTIVE
    ]
    names = {ONE: "one", TWO: "two", THREE: "three"}
    found = [
        (round(seconds(item.time), 6), names[str(item.new.source)])
        for item in only(lan.explain()).transitions
        if item.new is not None and item.old != item.new and item.cause is not Cause.YIELDED
        if not (item.cause is Cause.PREEMPTION and item.suspects == _BACK)  # to itself it had never ceased to be
    ]
    assert [name for _, name in found] == [name for _, name in own]
    for (time, _), (told, _) in zip(found, own, strict=True):
        assert time == pytest.approx(told, abs=_MS)


OWN_REASONS = {
    "no-response": {Cause.NOBODY_ACTIVE, Cause.MISSED_ADVERTISEMENTS, Cause.RESTARTED},
    "priority": {Cause.RESIGNATION},
    "preempted": {Cause.PREEMPTION},
}


@pytest.mark.parametrize("seed", range(40))
def test_routers_that_die_and_come_back_at_random_give_the_same_reasons_themselves(seed: int) -> None:
    dice = random.Random(seed)
    lan, now = TappedLan(), 5.0
    priorities = dice.sample(range(1, 255), 3)
    nodes = {name: lan.router(name, priority) for name, priority in zip("abc", priorities, strict=True)}
    for _ in range(6):
        now += dice.uniform(4.5, 9)
        lan.run(now)
        node = nodes[dice.choice("abc")]
        dice.choice([lan.crash, lan.kill, lan.shutdown])(node) if node.alive else lan.restart(node)
    lan.run(now + 8)
    own = [
        (time, f"192.0.2.{'abc'.index(name) + 1}", str(report.reason))
        for time, name, report in lan.history(StateChanged)
        if isinstance(report, StateChanged) and report.new is State.ACTIVE
    ]
    story = only(lan.explain())
    found = [item for item in story.transitions if item.new is not None]
    assert [(str(item.new and item.new.source)) for item in found] == [source for _, source, _ in own]
    for item, (time, _, reason) in zip(found, own, strict=True):
        assert seconds(item.time) == pytest.approx(time, abs=_MS)
        assert item.cause in OWN_REASONS[reason]
    assert story.conflicts == ()


def test_where_two_adverts_may_have_made_it_yield_both_are_named() -> None:
    lan, _, _ = pair()
    lan.run(10.5)
    lan.switch.block("one", "two")
    lan.run(18.1)
    lan.switch.unblock("one", "two")
    lan.run(30)
    [yielded] = [item for item in lan.explain().transitions if item.cause is Cause.YIELDED]
    assert seconds(yielded.time) == pytest.approx(17.828125, abs=_MS)
    assert "0.390625 s later" in yielded.suspicions[0].because  # at 18.21875, as it was


# -- two at once, and why --


def fight(**fields: Any) -> Recording:
    """Two that do not hear each other; the fields of the second are those of the first but for ``fields``."""
    recording = Recording()
    first = fields.pop("first", {})
    for second in range(10):
        recording.advert(second, ONE, **{"priority": 200, **first})
        recording.advert(second + 0.5, TWO, **{"priority": 100, **fields})
    return recording


V2 = {"vrid": 51, "addresses": [VIRTUAL]}
FIGHTS: dict[str, tuple[Recording, list[ConflictReason], list[str]]] = {
    "one way": (fight(), [ConflictReason.ONE_WAY], []),
    "checksum forms": (
        fight(form=ChecksumForm.MESSAGE_ONLY),
        [ConflictReason.CHECKSUM_FORM],
        [ONE, TWO],
    ),
    "TTL": (fight(first={"ttl": 64}), [ConflictReason.TTL], [ONE]),
    # the winner is to be heard by the loser all the same
    "TTL of the loser": (fight(ttl=64), [ConflictReason.ONE_WAY, ConflictReason.TTL], []),
    "checksum": (fight(first={"checksum": 1}), [ConflictReason.CHECKSUM], [ONE]),
    "addresses in version 3": (
        fight(addresses=["192.0.2.253"]),
        [ConflictReason.ONE_WAY, ConflictReason.ADDRESSES],
        [],
    ),
    "interval in version 2": (
        fight(
            first={"packet": VRRPv2(**V2, priority=200)},
            packet=VRRPv2(**V2, priority=100, advertisement_interval=2),
        ),
        [ConflictReason.INTERVAL],
        [ONE, TWO],
    ),
    "interval in version 3": (fight(max_advertise_interval=50), [ConflictReason.ONE_WAY], []),
    "authentication": (
        fight(
            first={"packet": VRRPv2(**V2, priority=200)},
            packet=VRRPv2(**V2, priority=100, auth_type=1, auth_data=b"password"),
        ),
        [ConflictReason.AUTHENTICATION],
        [ONE, TWO],
    ),
    "addresses in version 2": (
        fight(
            first={"packet": VRRPv2(**V2, priority=255)},
            packet=VRRPv2(vrid=51, addresses=["192.0.2.253"], priority=100),
        ),
        [ConflictReason.ONE_WAY, ConflictReason.ADDRESSES],
        [],
    ),
    "unicast to another": (
        fight(first={"destination": "192.0.2.77"}),
        [ConflictReason.UNICAST],
        [ONE],
    ),
}


@pytest.mark.parametrize("name", FIGHTS)
def test_two_at_once_and_why(name: str) -> None:
    recording, reasons, refused = FIGHTS[name]
    [conflict] = only(recording.explain()).conflicts
    assert [reason.reason for reason in conflict.reasons] == reasons
    assert [str(speaker.source) for speaker in conflict.reasons[0].refused] == refused
    assert (str(conflict.winner.source), str(conflict.loser.source)) == (ONE, TWO)
    assert (seconds(conflict.start), conflict.end) == (0.5, None)


def test_no_password_is_told() -> None:
    recording, _, _ = FIGHTS["authentication"]
    assert "password" not in str(recording.explain().to_dict())


def test_the_same_source_from_two_machines() -> None:
    recording = Recording()
    for second in range(6):
        recording.advert(second, ONE, priority=100, mac="02:00:00:00:00:01")
        recording.advert(second + 0.5, ONE, priority=100, mac="02:00:00:00:00:02")
    [conflict] = only(recording.explain()).conflicts
    assert conflict.reasons[0].reason is ConflictReason.SHARED_ADDRESS


def test_two_versions_of_one_virtual_router() -> None:
    lan = TappedLan()
    lan.router("one", 200, rules=RFC3768)
    lan.router("two", 100)
    lan.run(20)
    story = lan.explain()
    assert [router.router.version for router in story.routers] == [2, 3]
    [conflict] = story.conflicts
    assert conflict.router.version == 3
    assert [reason.reason for reason in conflict.reasons] == [ConflictReason.VERSION]
    assert seconds(conflict.start) == pytest.approx(_DOWN, abs=_MS)


def test_a_router_that_speaks_both_versions_is_no_conflict() -> None:
    recording = Recording()
    for second in range(5):
        recording.advert(second, ONE, VRRPv2(**V2))
        recording.advert(second, ONE, VRRPv3(**V2))
    assert recording.explain().conflicts == ()


def test_forms_as_configured() -> None:
    lan = TappedLan()
    message = ChecksumForm.MESSAGE_ONLY
    lan.router("one", 200, send_checksum=message, accept_checksum=message)
    lan.router("two", 100, accept_checksum=ChecksumForm.PSEUDO_HEADER)
    lan.run(20)
    [conflict] = only(lan.explain()).conflicts
    assert [reason.reason for reason in conflict.reasons] == [ConflictReason.CHECKSUM_FORM]
    assert "keepalived, frr" in conflict.reasons[0].words


# -- single rules --


def causes(recording: Recording) -> list[Cause]:
    return [item.cause for item in only(recording.explain()).transitions]


def test_a_preemption_whose_adverts_cross_is_no_conflict() -> None:
    recording = Recording()
    for second in range(3):
        recording.advert(second, ONE, priority=100)
    recording.advert(2.9999, TWO, priority=200)
    recording.advert(3.0, ONE, priority=100)
    for second in range(3, 8):
        recording.advert(second + 0.0001, TWO, priority=200)
    assert causes(recording) == [Cause.ALREADY_ACTIVE, Cause.PREEMPTION]
    assert recording.explain().conflicts == ()


def test_a_capture_that_has_each_frame_twice_makes_no_conflict() -> None:
    recording = Recording()
    for second in range(3):
        recording.advert(second, ONE, priority=100)
    recording.advert(2.9999, TWO, priority=200)
    recording.advert(3.0, ONE, priority=100)
    for second in range(3, 8):
        recording.advert(second + 0.0001, TWO, priority=200)
    recording.records = [record for record in recording.records for _ in range(2)]
    assert causes(recording) == [Cause.ALREADY_ACTIVE, Cause.PREEMPTION]
    assert recording.explain().conflicts == ()


def test_one_that_begins_beside_a_better_one_and_yields_at_once() -> None:
    recording = Recording()
    for second in range(12):
        recording.advert(second, ONE, priority=200)
        if second == 4:
            recording.advert(4.5, TWO, priority=100)
    assert causes(recording) == [Cause.ALREADY_ACTIVE, Cause.UNHEARD, Cause.YIELDED]
    assert recording.explain().conflicts == ()


def test_the_better_one_dies_just_before() -> None:
    """The taker had missed the last two adverts when the Active died: it is early, and not beside it."""
    recording = Recording()
    for second in range(6):
        recording.advert(second, ONE, priority=200)
    for second in range(6, 16):
        recording.advert(second + 0.4, TWO, priority=100)
    transition = only(recording.explain()).transitions[-1]
    assert transition.cause is Cause.MISSED_ADVERTISEMENTS
    assert transition.measured == pytest.approx(1.4)
    assert Suspect.EARLY in transition.suspects


def test_silence_without_a_successor() -> None:
    recording = Recording()
    for second in range(3):
        recording.advert(second, ONE)
    recording.announcement(30, "192.0.2.9")
    silent = only(recording.explain()).transitions[-1]
    assert (silent.cause, silent.new, seconds(silent.time)) == (Cause.SILENT, None, 2.0)


def test_a_restart_announces_and_a_stall_does_not() -> None:
    recording = Recording()
    for second in (0, 1, 2, 7, 8):
        recording.advert(second, ONE)
    recording.announcement(7.001)
    assert causes(recording) == [Cause.ALREADY_ACTIVE, Cause.RESTARTED]
    del recording.records[-1]
    assert causes(recording) == [Cause.ALREADY_ACTIVE, Cause.STALLED]


def test_without_announcements_a_long_gap_may_be_a_restart() -> None:
    for gap, suspected in ((3.0, False), (5.3, True)):
        recording = Recording()
        for second in (0, 1, 1 + gap, 2 + gap):
            recording.advert(second, ONE)
        assert (Suspect.RESTART in only(recording.explain()).transitions[-1].suspects) is suspected
        recording.announcement(2.5 + gap, "192.0.2.9")
        assert Suspect.RESTART not in only(recording.explain()).transitions[-1].suspects


def test_the_same_router_after_its_resignation() -> None:
    recording = Recording()
    recording.advert(0, ONE)
    recording.advert(0.5, ONE, priority=0)
    recording.advert(10, ONE)
    transition = only(recording.explain()).transitions[-1]
    assert (transition.cause, transition.measured) == (Cause.RESTARTED, pytest.approx(9.5))


def test_a_resignation_that_was_not_heard() -> None:
    recording = Recording()
    recording.advert(0, ONE, priority=200)
    recording.advert(0.5, ONE, priority=0)
    recording.advert(_DOWN, TWO, priority=100)
    transition = only(recording.explain()).transitions[-1]
    assert transition.cause is Cause.MISSED_ADVERTISEMENTS
    assert transition.suspects == (Suspect.LOSS,)
    assert transition.measured == pytest.approx(_DOWN)


def test_one_that_comes_long_after_a_resignation() -> None:
    recording = Recording()
    recording.advert(0, ONE, priority=200)
    recording.advert(0.5, ONE, priority=0)
    recording.advert(60, TWO, priority=100)
    transition = only(recording.explain()).transitions[-1]
    assert (transition.cause, transition.suspects) == (Cause.NOBODY_ACTIVE, (Suspect.LATE,))


def test_both_causes_where_a_better_one_comes_before_its_time() -> None:
    recording = Recording()
    for second in range(3):
        recording.advert(second, ONE, priority=100)
    recording.advert(4.0, TWO, priority=200)
    transition = only(recording.explain()).transitions[-1]
    assert transition.cause is Cause.PREEMPTION
    assert transition.suspects == (Suspect.PREEMPTION, Suspect.MISSED)


def test_an_announcement_that_is_missing_for_one_of_two_addresses() -> None:
    recording = Recording()
    recording.announcement(0, "192.0.2.9")
    for second in range(5, 9):
        recording.advert(second, ONE, addresses=[VIRTUAL, "192.0.2.253"])
        if second == 5:
            recording.announcement(5.001)
    [words] = notes(recording.explain(), Note.NOT_ANNOUNCED)
    assert "192.0.2.253" in words
    assert VIRTUAL not in words


def test_an_announcement_in_a_frame_from_elsewhere() -> None:
    recording = Recording()
    recording.advert(0, ONE)
    recording.announcement(0.1)
    stamp, interface, frame, length = recording.records.pop()
    recording.records.append(
        type(recording.records[0])(stamp, interface, frame[:6] + b"\x02\0\0\0\0\1" + frame[12:], length)
    )
    [words] = notes(recording.explain(), Note.ANNOUNCED_FROM)
    assert VMAC in words
    assert "02:00:00:00:00:01" in words


def test_changes_of_an_active_router() -> None:
    recording = Recording()
    recording.advert(0, ONE, priority=100)
    recording.advert(1, ONE, priority=90)
    recording.advert(2, ONE, priority=90, max_advertise_interval=200)
    recording.advert(4, ONE, priority=90, max_advertise_interval=200, addresses=[VIRTUAL, "192.0.2.253"])
    assert notes(recording.explain(), Note.CHANGED) == [
        "192.0.2.1 changes its priority from 100 to 90",
        "192.0.2.1 changes its interval from 1 to 2 s",
        "192.0.2.1 changes its addresses, 1 of them to 2",
    ]


def test_vlans_and_interfaces_are_lans_of_their_own() -> None:
    one, two = Recording(Interface(0, name="left")), Recording(Interface(1, name="right\x1b[31m"))
    for second in range(4):
        one.advert(second, ONE, priority=200)
        two.advert(second, TWO, priority=100)
    for stamp, interface, frame, length in list(one.records):
        tagged = frame[:12] + b"\x81\x00\x00\x07" + frame[12:]
        one.records.append(type(one.records[0])(stamp, interface, tagged, length + 4))
    records = sorted(one.records + two.records, key=lambda item: item.time_ns or 0)
    story = explain(records)
    assert [(item.router.interface, item.router.vlans) for item in story.routers] == [
        ("left", ()),
        ("left", (7,)),
        ("right?[31m", ()),
    ]
    assert story.conflicts == ()
