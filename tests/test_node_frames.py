"""Node: frames in and out, floods, notices and garbage."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.election.play import ACTIVE, BACKUP, config
from tests.node_parts import Rig, active, rival_frame
from vrrplib.election.actions import Discarded
from vrrplib.election.events import ConfigChanged, PriorityChanged
from vrrplib.errors import Problem
from vrrplib.node import MOST_FRAMES_PER_STEP, Node
from vrrplib.transports.memory import MemoryTransport
from vrrplib.wire.frames import announcement_frame

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
        patch.setattr("vrrplib.node.advertisement_frame", late)
        patch.setattr("vrrplib.node.announcement_frame", late)
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
