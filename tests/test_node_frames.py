"""Node: frames in and out, floods, notices and garbage."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.election.play import ACTIVE, BACKUP, V2, config
from tests.node_parts import Rig, active, rival_frame, states
from vrrplib.election.actions import Discarded, HostFailed, Ready, Stalled
from vrrplib.election.events import ConfigChanged, GroupHeld, PriorityChanged
from vrrplib.election.states import Reason
from vrrplib.errors import Finding, Problem
from vrrplib.member import MOST_FRAMES_KEPT
from vrrplib.node import LONGEST_KEPT, MOST_FRAMES_PER_STEP, MOST_KEPT, Node
from vrrplib.rules import RFC3768
from vrrplib.transports.memory import MemoryTransport
from vrrplib.wire.ah import AuthenticationHeader
from vrrplib.wire.authentication import HMACTrailer, sign, verify
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.frames import advertisement_frame, announcement_frame, parse
from vrrplib.wire.keys import Replay
from vrrplib.wire.packets import VRRPv2, decode

DOWN = 3 + 156 / 256  # Active_Down_Interval of config()


def test_what_arrived_is_read_before_the_timer_fires():
    rig = Rig()
    rig.node.start(0.0)
    rig.transport.deliver(rival_frame(200))
    rig.node.step(DOWN + 5)  # a pause: the advert waited
    assert rig.router.state is BACKUP
    assert rig.node.deadline == pytest.approx(2 * DOWN + 5)


def test_a_frame_whose_ip_header_was_damaged_elects_nobody():
    rig = active()
    frame = bytearray(rival_frame(200))
    frame[14 + 15] ^= 1  # the sender's address: RFC 1122 3.2.1.2
    rig.transport.deliver(bytes(frame))
    rig.node.step(10.1)
    assert rig.router.state is ACTIVE
    assert rig.node.statistics.not_vrrp == 1
    rig.transport.deliver(rival_frame(200))
    rig.node.step(10.2)
    assert rig.router.state is BACKUP


def test_an_advertisement_is_encoded_once():
    rig = active()
    rig.node.step(11.0)
    rig.node.step(12.0)
    assert rig.transport.sent[-1] is rig.transport.sent[-2]


def test_what_a_promotion_sends_is_made_before_it(monkeypatch):
    rig = Rig()
    rig.node.start(0.0)
    rig.node.handle(rig.router, PriorityChanged(120), 0.1)
    rig.node.handle(rig.router, ConfigChanged(config(addresses=["192.0.2.100/24", "192.0.2.9/24"])), 0.2)

    def late(*_):
        raise AssertionError("encoded during the promotion")

    with monkeypatch.context() as patch:
        patch.setattr("vrrplib.member.advertisement_frame", late)
        patch.setattr("vrrplib.member.announcement_frame", late)
        rig.node.step(10.0)
    assert rig.take_log()[-4:] == ["activate 1", "advert 1 100", "announce", "announce"]
    assert list(rig.transport.sent)[1:] == [
        announcement_frame(address, rig.backend.mac) for address in ("192.0.2.100", "192.0.2.9")
    ]


def test_the_frame_follows_the_backends_mac():
    rig = active()
    rig.backend.mac = type(rig.backend.mac)("02:00:00:00:00:99")
    rig.node.step(11.0)
    assert rig.transport.sent[-1][6:12].hex(":") == "02:00:00:00:00:99"


def test_a_flood_is_read_in_parts_and_the_deadline_is_now():
    rig = Rig(config(vrid=9))
    rig.node.start(0.0)
    for _ in range(MOST_FRAMES_PER_STEP + 1):
        rig.transport.deliver(b"noise")
    rig.node.step(0.1)
    assert rig.node.statistics.frames == MOST_FRAMES_PER_STEP
    assert rig.node.deadline == -math.inf
    rig.node.step(0.1)
    assert rig.node.statistics.frames == MOST_FRAMES_PER_STEP + 1
    assert rig.node.deadline == pytest.approx(DOWN)


def flood(rig: Rig) -> None:
    for _ in range(MOST_FRAMES_PER_STEP + 1):
        rig.transport.deliver(b"noise")


def test_a_flood_does_not_silence_an_active_router():
    rig = active()
    flood(rig)
    rig.node.step(11.0)
    assert rig.take_log() == ["advert 1 100"]


def test_a_backup_waits_for_the_drain_for_one_skew_time_at_most():
    rig = Rig()
    rig.node.start(0.0)
    flood(rig)
    rig.node.step(DOWN + rig.router.skew_time - 0.001)
    assert rig.router.state is BACKUP
    flood(rig)
    rig.node.step(DOWN + rig.router.skew_time + 0.001)
    assert rig.router.state is ACTIVE


def test_a_backup_that_finds_the_advert_behind_the_flood_stays_backup():
    rig = Rig()
    rig.node.start(0.0)
    flood(rig)
    rig.transport.deliver(rival_frame(200))
    rig.node.step(DOWN)
    rig.node.step(DOWN)
    assert rig.router.state is BACKUP


def test_what_belongs_to_nobody_is_counted():
    rig = Rig()
    rig.node.start(0.0)
    rig.transport.deliver(b"\0" * 60)
    rig.transport.deliver(rival_frame(vrid=7))
    rig.node.step(0.1)
    statistics = rig.node.statistics
    assert (statistics.frames, statistics.not_vrrp, statistics.foreign) == (2, 1, 1)


def test_discards_are_told_at_most_every_ten_seconds_for_each_reason():
    rig = Rig()
    rig.node.start(0.0)
    told = []
    for second in range(12):
        rig.transport.deliver(rival_frame(ttl=254))
        told += rig.node.step(second / 1.0)
        rig.transport.deliver(rival_frame(200))  # keeps it Backup
        rig.node.step(second / 1.0)
    assert [(notice.time, notice.report.reason, notice.suppressed) for notice in told] == [
        (0.0, Problem.TTL, 0),
        (10.0, Problem.TTL, 9),
    ]
    assert rig.router.statistics.discarded[Problem.TTL] == 12
    broken = bytearray(rival_frame(200))
    broken[40] ^= 1
    rig.transport.deliver(bytes(broken))
    (notice,) = rig.node.step(12.0)  # another reason is told at once
    assert isinstance(notice.report, Discarded)
    assert (notice.report.reason, notice.interface, notice.family, notice.vrid) == (Problem.CHECKSUM, "mem0", 4, 1)


def test_events_of_the_caller_are_performed():
    rig = active()
    rig.node.handle(rig.router, PriorityChanged(120), 10.5)
    rig.node.step(11.0)
    assert rig.take_log() == ["advert 1 120"]


# -- signed, and to peers --

PEERS = ["192.0.2.3", "192.0.2.4"]


def test_an_ah_is_sent_as_it_was_signed():
    scheme = AuthenticationHeader("s3cr3t")
    rig = active(config(**V2, authentication=scheme))
    rig.node.step(11.0)
    replay, numbers = Replay(), []
    for frame in rig.transport.sent:
        datagram = parse(frame, verify_header=True)
        if datagram is not None:
            found = verify(scheme, datagram, replay)
            assert not isinstance(found, Finding), found
            replay = found.replay
            numbers.append(found.sequence)
    assert numbers == [1, 2]


def test_an_ah_is_heard_with_its_header_and_only_once():
    scheme = AuthenticationHeader("s3cr3t")
    rig = active(config(**V2, authentication=scheme))
    packet = VRRPv2(vrid=1, priority=200, addresses=["192.0.2.100", "192.0.2.101"])
    signed = sign(scheme, packet, "192.0.2.3", "224.0.0.18", sequence=7)
    frame = advertisement_frame(signed, "02:00:00:00:00:03", header=signed.header)
    rig.transport.deliver(frame)
    rig.transport.deliver(frame)
    (_, again) = rig.node.step(10.5)
    assert rig.router.state is BACKUP
    assert again.report.reason is Problem.REPLAY
    bare = advertisement_frame(signed, "02:00:00:00:00:03")
    rig.transport.deliver(bare)
    (notice,) = rig.node.step(10.6)
    assert notice.report.reason is Problem.AUTHENTICATION


def test_numbered_messages_are_not_kept():
    rig = active(config(authentication=HMACTrailer(bytes(32))))
    for second in range(11, 40):
        rig.node.step(float(second))
    (member,) = rig.node._members.values()
    assert member.encoded == {}
    assert len({frame for frame in rig.transport.sent if parse(frame)}) == 30


def test_peers_get_datagrams_which_are_encoded_once():
    rig = active(config(peers=PEERS))
    rig.node.step(11.0)
    rig.node.step(12.0)
    assert rig.take_log() == ["to 192.0.2.3 1 100", "to 192.0.2.4 1 100"] * 2
    assert rig.transport.datagrams[-1] is rig.transport.datagrams[-3]
    assert decode(
        rig.transport.datagrams[-1].payload, source="192.0.2.2", destination="192.0.2.4",
        accept_checksum=ChecksumForm.PSEUDO_HEADER,
    )  # fmt: skip


def test_what_peers_are_sent_is_made_before_the_promotion(monkeypatch):
    rig = Rig(config(peers=PEERS))
    rig.node.start(0.0)
    with monkeypatch.context() as patch:
        patch.setattr("vrrplib.election.actions.SendAdvertisement.datagram", lambda _: pytest.fail("encoded late"))
        rig.node.step(DOWN)
    assert rig.take_log()[1:4] == ["activate 1", "to 192.0.2.3 1 100", "to 192.0.2.4 1 100"]


def test_a_peer_that_cannot_be_reached_keeps_nobody_from_the_others_and_is_told():
    rig = Rig(config(peers=PEERS))
    rig.node.start(0.0)
    rig.transport.failing = True
    notices = rig.node.step(DOWN)
    assert [notice.report.doing for notice in notices if isinstance(notice.report, HostFailed)] == [
        "sendadvertisement",
        "announce",
    ]
    assert rig.router.state is ACTIVE


def test_what_is_kept_is_bounded_whatever_changes():
    rig = active(config(peers=PEERS, also=RFC3768))
    for step in range(200):
        rig.node.handle(rig.router, PriorityChanged(1 + step), 10.5)
        rig.node.step(11.0 + step)
    (member,) = rig.node._members.values()
    assert len(member.encoded) <= 2 * MOST_FRAMES_KEPT


# -- the machine stood still --


def test_a_stall_is_told_at_most_every_ten_seconds_unless_it_is_twice_as_long():
    rig = active(config(advertisement_interval=0.01))
    told, now = [], 10.0
    for late in (0.05, 0.05, 0.05, 0.5, 0.05, 20.0, 0.05):
        now += 0.01 + late
        told += rig.node.step(now)
    assert [round(notice.report.late, 1) for notice in told if isinstance(notice.report, Stalled)] == (
        pytest.approx([0.1, 0.5, 20.0, 0.1], abs=0.06)
    )


def test_a_held_backup_reports_that_it_is_ready():
    rig = Rig()
    rig.node.handle(rig.router, GroupHeld(True), 0.0)
    rig.node.start(0.0)
    (notice,) = rig.node.step(DOWN)
    assert notice.report == Ready()
    assert rig.node.deadline is None
    assert states(rig.node.handle(rig.router, GroupHeld(False), 9.0)) == [(BACKUP, ACTIVE, Reason.NO_RESPONSE)]


# -- garbage: counted, never raised, and the state stays what it was --

CARP = bytes.fromhex("2101000701010000") + bytes(28)
GOOD = rival_frame(100, source="192.0.2.1")  # of equal priority and a lower address: loses against us


def ip_frame(payload: bytes, protocol: int = 112, ttl: int = 255) -> bytes:
    head = bytearray(GOOD[:34])
    head[16:18] = (20 + len(payload)).to_bytes(2, "big")
    head[22], head[23] = ttl, protocol
    return bytes(head) + payload


def flipped(bit: int) -> bytes:
    """An advert that would win, with one bit of its message wrong."""
    frame = bytearray(rival_frame(200))
    frame[34 + bit // 8] ^= 1 << bit % 8
    return bytes(frame)


GARBAGE = st.one_of(
    st.binary(max_size=200),
    st.builds(ip_frame, st.binary(max_size=120), st.sampled_from([112, 51]), st.sampled_from([255, 254, 0])),
    st.integers(0, len(GOOD) - 1).map(lambda length: GOOD[:length]),
    st.just(ip_frame(CARP)),
    st.builds(lambda ttl: rival_frame(255, ttl=ttl), st.integers(0, 254)),
    st.builds(lambda vrid: rival_frame(255, vrid=vrid), st.integers(2, 255)),
    st.integers(0, 8 * (len(GOOD) - 34) - 1).map(flipped),  # RFC 1071 finds each single bit
)


@given(st.lists(GARBAGE, min_size=1, max_size=20), st.booleans())
def test_garbage_never_raises_and_never_changes_the_state(frames, be_active):
    rig = active() if be_active else Rig()
    if not be_active:
        rig.node.start(10.0)
    state, deadline = rig.router.state, rig.node.deadline
    rig.take_log()
    for frame in frames:
        rig.transport.deliver(frame)
    rig.node.step(10.1)
    assert rig.router.state is state
    assert rig.node.deadline == deadline
    assert rig.take_log() == []
    statistics = rig.node.statistics
    discarded = sum(rig.router.statistics.discarded.values())
    assert statistics.frames == len(frames) == statistics.not_vrrp + statistics.foreign + discarded


def test_a_node_without_routers_does_nothing():
    node = Node(MemoryTransport())
    assert node.start(0.0) == node.step(1.0) == node.stop(2.0) == ()
    assert node.deadline is None


def test_a_frame_that_repeats_is_parsed_once(monkeypatch):
    rig = Rig()
    rig.node.start(0.0)
    parsed = []
    monkeypatch.setattr("vrrplib.node.parse", lambda frame, **options: parsed.append(1) or parse(frame, **options))
    for now in (0.5, 1.5, 2.5):
        rig.transport.deliver(bytes(bytearray(rival_frame(200))))
        rig.node.step(now)
    assert len(parsed) == 1
    assert rig.router.statistics.advertisement_rcvd == 3
    assert rig.node.deadline == pytest.approx(2.5 + DOWN)


def test_a_router_that_was_removed_hears_no_frame_that_it_knew():
    rig = Rig()
    rig.node.start(0.0)
    rig.transport.deliver(rival_frame(200))
    rig.node.step(0.5)
    rig.node.remove(rig.router, 0.6)
    rig.transport.deliver(rival_frame(200))
    rig.node.step(0.7)
    assert rig.node.statistics.foreign == 1
    assert rig.node.deadline is None


def test_frames_that_never_repeat_are_not_kept_for_ever():
    rig = Rig()
    rig.node.start(0.0)
    for priority in range(1, 255):
        rig.transport.deliver(rival_frame(priority))
        rig.node.step(0.5)
        assert len(rig.node._known) <= MOST_KEPT
    long = rival_frame(200) + bytes(LONGEST_KEPT)
    rig.transport.deliver(long)
    rig.node.step(0.6)
    assert long not in rig.node._known
