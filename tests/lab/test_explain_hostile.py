"""explain on what nobody sends by mistake: garbage, floods, broken times. Nothing raises, and memory is bounded."""

from __future__ import annotations

import random
import tracemalloc
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.recording import EPOCH, VIRTUAL, Recording
from vrrplib import VRRPv2, VRRPv3
from vrrplib.lab import explain as module
from vrrplib.lab.explain import Note, explain
from vrrplib.lab.fuzz import Mutator
from vrrplib.lab.timeline import svg
from vrrplib.wire.capture import CaptureReader
from vrrplib.wire.linktypes import Captured, Interface

MADE = Path(__file__).parents[1] / "data/captures/made"
_ETHERNET = Interface()


def consistent(records: list[Captured]) -> None:
    """What holds of every explanation; and its picture is XML."""
    story = explain(records)
    assert story.records == len(records)
    assert story.start <= story.end
    for router in story.routers:
        for tenure in router.tenures:
            assert story.start <= tenure.start <= tenure.end <= story.end
        for conflict in router.conflicts:
            assert conflict.winner != conflict.loser
            assert conflict.end is None or conflict.start <= conflict.end
        for transition in router.transitions:
            assert story.start <= transition.time <= story.end
            assert transition.measured is None or transition.measured >= 0
        assert [item.time for item in router.transitions] == sorted(item.time for item in router.transitions)
    assert story.to_dict()["records"] == len(records)
    ET.fromstring(svg(story))


@given(st.lists(st.tuples(st.none() | st.integers(-5, 2**65), st.binary(max_size=120))))
def test_garbage(records: list[tuple[int | None, bytes]]) -> None:
    consistent([Captured(time, _ETHERNET, data, len(data)) for time, data in records])


@given(st.sampled_from([0, 1, 12, 101, 108, 113, 147, 276]), st.lists(st.binary(max_size=80)))
def test_garbage_of_every_link_type(link_type: int, records: list[bytes]) -> None:
    interface = Interface(3, link_type, "\x00<&>\U0001f600")
    consistent([Captured(number, interface, data, len(data)) for number, data in enumerate(records)])


@pytest.mark.parametrize("name", ["proto-pair-v3-ipv4-partition", "frr-v3-ipv6", "keepalived-v2-ipv4-ah"])
def test_mutated_captures(name: str) -> None:
    with (MADE / f"{name}.pcap").open("rb") as file:
        records = list(CaptureReader(file))[:200]
    mutator, dice = Mutator(7), random.Random(7)
    for _ in range(20):
        changed = [
            record._replace(
                data=mutator.frame(record.data) if dice.random() < 0.3 else record.data,
                time_ns=None if dice.random() < 0.02 else (record.time_ns or 0) + dice.randrange(-(10**8), 10**8),
            )
            for record in records
        ]
        consistent(changed)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3_000),  # milliseconds after the one before
            st.integers(0, 3),  # sender
            st.sampled_from([0, 1, 100, 254, 255]),
            st.sampled_from([0, 1, 10, 100, 4095]),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_every_order_of_adverts_and_announcements(
    steps: list[tuple[int, int, int, int, bool]],
) -> None:
    recording, now = Recording(), 0.0
    for delay, number, priority, interval, announced in steps:
        now += delay / 1000
        source = f"192.0.2.{number + 1}"
        recording.advert(now, source, priority=priority, max_advertise_interval=interval)
        if announced:
            recording.announcement(now + 0.0001)
    consistent(recording.records)


def flood(count: int) -> Iterator[Captured]:
    dice, recording = random.Random(1), Recording()
    for number in range(count):
        source = f"10.{dice.randrange(256)}.{dice.randrange(256)}.{1 + dice.randrange(254)}"
        packet = VRRPv3(vrid=1 + dice.randrange(255), priority=dice.randrange(256), addresses=[source])
        recording.advert(number / 1000, source, packet)
        yield recording.records.pop()


def test_a_flood_of_forged_adverts_is_counted_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SENDERS", 2)
    monkeypatch.setattr(module, "MOST_VALUES", 300)
    peaks = []
    for count in (2_000, 6_000):
        tracemalloc.start()
        story = explain(flood(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert story.adverts == count
    assert peaks[1] < peaks[0] * 1.2 + 500_000
    assert {item.note for item in story.observations} == {Note.LEFT_OUT}
    values = sum(
        len(router.tenures) + len(router.transitions) + len(router.conflicts) + len(router.observations)
        for router in story.routers
    )
    assert values <= 300


def test_a_long_capture_of_one_pair_takes_no_more_memory() -> None:
    def adverts(count: int) -> Iterator[Captured]:
        recording = Recording()
        recording.advert(0)
        [(_, interface, frame, length)] = recording.records
        for number in range(count):
            yield Captured((EPOCH + number) * 10**9, interface, frame, length)

    explain(adverts(10))
    tracemalloc.start()
    story = explain(adverts(50_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert story.routers[0].adverts == 50_000
    assert len(story.transitions) == 1
    assert peak < 1_000_000


def test_more_virtual_routers_than_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROUTERS", 3)
    recording = Recording()
    for vrid in range(1, 9):
        recording.advert(vrid, packet=VRRPv3(vrid=vrid, addresses=[VIRTUAL]))
    story = recording.explain()
    assert len(story.routers) == 3
    [left_out] = story.observations
    assert left_out.note is Note.LEFT_OUT


def test_messages_that_are_no_adverts() -> None:
    recording = Recording()
    recording.advert(0, packet=VRRPv3(vrid=0, addresses=[VIRTUAL]))
    recording.advert(1, packet=VRRPv3(vrid=51, type=2, addresses=[VIRTUAL]))
    recording.advert(2, packet=VRRPv3(vrid=51, version=7, addresses=[VIRTUAL]))
    story = recording.explain()
    assert story.routers == ()
    assert {item.note for item in story.observations} == {Note.DISCARDED}


def test_times_that_go_back_are_told() -> None:
    recording = Recording()
    for second in (10, 11, 2, 3):
        recording.advert(second, packet=VRRPv2(vrid=51, addresses=[VIRTUAL]))
    [clock] = recording.explain().observations
    assert clock.note is Note.CLOCK


def test_an_empty_capture() -> None:
    story = explain([])
    assert (story.start, story.end, story.routers, story.observations) == (0.0, 0.0, (), ())
    assert "No VRRP" in svg(story)
