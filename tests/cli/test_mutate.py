"""mutate: the same seed, the same mutations; messages stay messages, and frames frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import events, fails, invoke
from vrrplib import Datagram, VRRPv3, advertisement_frame, parse
from vrrplib.lab.fuzz import Checksums, Mutator
from vrrplib.wire.capture import read_pcap
from vrrplib.wire.packets import inspect

CAPTURE = Path(__file__).parents[1] / "data/captures/made/keepalived-v3-ipv4-vmac.pcap"
SOURCE, GROUP = "192.0.2.1", "224.0.0.18"
PAYLOAD = VRRPv3(vrid=51, addresses=["192.0.2.254"]).encode(SOURCE, GROUP)
FRAME = advertisement_frame(Datagram(PAYLOAD, SOURCE, GROUP, 255), "00:00:5e:00:01:33")


def frames_of(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return [frame for _, frame in read_pcap(file)]


def test_a_seed_repeats_itself() -> None:
    first = invoke("mutate", "--seed", "7", PAYLOAD.hex()).stdout
    assert invoke("mutate", "--seed", "7", PAYLOAD.hex()).stdout == first
    assert invoke("mutate", "--seed", "8", PAYLOAD.hex()).stdout != first
    assert len(first.splitlines()) == 10


def test_it_is_the_librarys_mutator() -> None:
    mutator = Mutator(7, checksums=Checksums.EITHER)
    expected = [mutator.frame(mutator.pick([FRAME])).hex() for _ in range(5)]
    assert invoke("mutate", "--seed", "7", "--count", "5", FRAME.hex()).stdout.splitlines() == expected


def test_recomputed_checksums_fit() -> None:
    options = ("--checksum", "recompute", "--count", "50", "--source", SOURCE, "--destination", GROUP)
    lines = invoke("mutate", *options, PAYLOAD.hex()).stdout.splitlines()
    for line in lines:
        seen = inspect(bytes.fromhex(line), source=SOURCE, destination=GROUP)
        assert seen.packet is None or seen.checksum_form
    assert len(lines) == 50


def test_from_a_capture_to_a_capture(tmp_path: Path) -> None:
    path = tmp_path / "out.pcap"
    result = invoke("mutate", "--count", "40", "-o", str(path), str(CAPTURE))
    assert result.stdout == f"40 frames written to {path}\n"
    frames = frames_of(path)
    assert len(frames) == 40
    assert sum(parse(frame) is not None for frame in frames) > 15


@pytest.mark.parametrize(("destination", "mac"), [(GROUP, "01005e000012"), ("192.0.2.9", "ffffffffffff")])
def test_a_bare_message_becomes_a_frame(destination: str, mac: str, tmp_path: Path) -> None:
    path = tmp_path / "out.pcap"
    options = ("--source", SOURCE, "--destination", destination, "-o", str(path))
    assert invoke("mutate", *options, PAYLOAD.hex()).exit_code == 0
    assert any(frame.startswith(bytes.fromhex(mac)) for frame in frames_of(path))


def test_json_and_stdin() -> None:
    found = events(invoke("mutate", "--json", "--count", "2", "-", stdin=PAYLOAD.hex() + "\n"))
    assert [(event["event"], event["number"], event["seed"]) for event in found] == [
        ("encoded", 0, 0),
        ("encoded", 1, 0),
    ]


def test_what_cannot_be_mutated(tmp_path: Path) -> None:
    assert "has none" in fails(invoke("mutate", "-", stdin="# nothing\n"), 2)
    out = str(tmp_path / "out.pcap")
    result = invoke("mutate", "-o", out, PAYLOAD.hex())
    assert "source and destination must be given" in fails(result, 2)
