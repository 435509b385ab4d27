"""The mutator: it repeats itself, changes what it says, and what comes back can always be sent."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrplib import ChecksumForm, ConfigError, Datagram, VRRPv2, VRRPv3, advertisement_frame, inspect, parse
from vrrplib.lab.fuzz import CATALOGUE, Checksums, Mutator, Scene, recompute
from vrrplib.wire.checksum import internet_checksum

SOURCE, GROUP = "192.0.2.1", "224.0.0.18"
V3 = VRRPv3(vrid=51, addresses=["192.0.2.254"])
V2 = VRRPv2(vrid=51, addresses=["192.0.2.254"])
PAYLOAD = V3.encode(SOURCE, GROUP)
DATAGRAM = Datagram(PAYLOAD, SOURCE, GROUP, 255)
DATAGRAM6 = Datagram(
    VRRPv3(vrid=51, addresses=["fe80::51"]).encode("fe80::1", "ff02::12"), "fe80::1", "ff02::12", 255
)
FRAME = advertisement_frame(DATAGRAM, "00:00:5e:00:01:33")
FRAME6 = advertisement_frame(DATAGRAM6, "00:00:5e:00:02:33")


def digest_of(seed: int) -> str:
    """All that a Mutator does in a few hundred calls, in one number."""
    mutator = Mutator(seed)
    digest = hashlib.sha256()
    for _ in range(200):
        digest.update(repr(mutator.packet(V3)).encode())
        digest.update(mutator.packet(V2).encode())
        digest.update(mutator.payload(PAYLOAD, source=SOURCE, destination=GROUP))
        changed = mutator.datagram(DATAGRAM6)
        digest.update(repr((changed.payload, str(changed.source), str(changed.destination), changed.ttl)).encode())
        digest.update(mutator.frame(FRAME) + mutator.frame(FRAME6))
    return digest.hexdigest()


def test_a_seed_gives_the_same_sequence_on_every_version_of_python() -> None:
    assert digest_of(9568)[:16] == "a7cfc1c690ae261f"
    assert digest_of(9568) != digest_of(9569)


def test_the_callers_own_dice_are_left_alone() -> None:
    random.seed(1)
    before = random.getstate()
    Mutator(1).frame(FRAME)
    assert random.getstate() == before


def test_most_calls_give_something_new() -> None:
    mutator = Mutator(1)
    frames = {mutator.frame(FRAME) for _ in range(2000)}
    assert len(frames) > 1500


@pytest.mark.parametrize(("checksums", "kept"), [(Checksums.KEEP, True), (Checksums.RECOMPUTE, False)])
def test_a_packets_checksum_is_kept_or_recomputed_by_choice(checksums: Checksums, kept: bool) -> None:
    mutator = Mutator(2, checksums=checksums)
    packet = V3.replace(checksum=0x1234)
    assert {mutator.packet(packet).checksum for _ in range(100)} == {0x1234 if kept else None}


def test_a_messages_checksum_is_recomputed_over_all_its_bytes() -> None:
    mutator = Mutator(3, checksums=Checksums.RECOMPUTE)
    for _ in range(500):
        data = mutator.payload(PAYLOAD, form=ChecksumForm.MESSAGE_ONLY)
        assert len(data) < 8 or internet_checksum(data) == 0
    for _ in range(500):
        data = mutator.payload(PAYLOAD, source=SOURCE, destination=GROUP)
        seen = inspect(data, source=SOURCE, destination=GROUP)
        assert seen.packet is None or seen.checksum_form


def test_every_field_of_a_packet_is_reached() -> None:
    mutator = Mutator(4)
    for packet in (V2.replace(checksum=7, count=1), V3.replace(checksum=7, count=1)):
        seen = {name: {getattr(packet, name)} for name in packet.__slots__}
        for _ in range(3000):
            changed = mutator.packet(packet)
            for name, values in seen.items():
                values.add(getattr(changed, name))
        assert {name for name, values in seen.items() if len(values) == 1} <= {"auth_data"}


def test_headers_are_mended_around_a_changed_message() -> None:
    mutator = Mutator(5)
    heard = 0
    for frame in (FRAME, FRAME6):
        for _ in range(1000):
            datagram = parse(mutator.frame(frame))
            if datagram is None:
                continue
            heard += datagram.payload not in (DATAGRAM.payload, DATAGRAM6.payload)
            if datagram.header[0] >> 4 == 4 and len(datagram.header) == 20:
                assert datagram.payload == datagram.payload[: int.from_bytes(datagram.header[2:4], "big") - 20]
    assert heard > 1000


def test_a_frame_without_vrrp_is_changed_too() -> None:
    mutator = Mutator(6)
    assert {mutator.frame(b"\xff" * 60) for _ in range(50)} != {b"\xff" * 60}
    assert isinstance(mutator.frame(b""), bytes)


@given(st.binary(max_size=80), st.integers(0, 1 << 32))
def test_any_bytes_can_be_mutated(data: bytes, seed: int) -> None:
    mutator = Mutator(seed)
    assert isinstance(mutator.payload(data), bytes)
    assert isinstance(mutator.frame(data), bytes)
    assert mutator.pick([data]) == data


def test_the_whole_catalogue_can_be_mutated() -> None:
    mutator = Mutator(7)
    for scene in (
        Scene(vrid=1, addresses=["192.0.2.254"], source=SOURCE),
        Scene(vrid=1, addresses=["fe80::1"], source="fe80::2"),
    ):
        for entry in CATALOGUE:
            if specimen := entry.build(scene):
                for _ in range(20):
                    parse(mutator.frame(specimen.frame()))


@pytest.mark.parametrize("form", [*ChecksumForm])
def test_recompute_agrees_with_encode(form: ChecksumForm) -> None:
    right = V3.encode(SOURCE, "192.0.2.9", form=form)
    broken = right[:6] + b"\x12\x34" + right[8:]
    assert recompute(broken, source=SOURCE, destination="192.0.2.9", form=form) == right


def test_recompute_needs_a_head() -> None:
    with pytest.raises(ConfigError, match="at least 8 bytes, not 7"):
        recompute(bytes(7))
