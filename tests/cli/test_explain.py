"""explain: what happened in a capture, as text, as JSON and as a picture."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.cli.commands import ROOT, events, fails, invoke

MADE = Path(__file__).parents[1] / "data/captures/made"
FAILOVER = MADE / "failover-v3-ipv4-vmac-sigkill.pcap"
PARTITION = MADE / "proto-pair-v3-ipv4-partition.pcap"


def test_a_failover_in_words() -> None:
    result = invoke("explain", "--changes", str(FAILOVER))
    assert result.exit_code == 0
    capture, router, *lines = result.stdout.splitlines()
    assert capture == "1122 records, 29 adverts, 3.140601 s from 2026-11-21 19:32:55.836210+00:00"
    assert router == "vrid 51, IPv4, version 3: 10.77.0.100; 29 adverts of 2 senders"
    assert lines == [
        "    0.056961 10.77.0.1 (priority 150) is Active, and was before the capture began",
        "    1.319941 10.77.0.2 (priority 100) took over because the adverts of 10.77.0.1 ended, 361.9 ms after "
        "the last advert (theory 360.9 ms); 5 gratuitous ARPs from 4.4 ms on named 00:00:5e:00:01:33",
        "             process: 10.77.0.1's machine sent other frames for 0.358 s more: only adverts ended",
    ]


def test_notes_are_told_unless_only_changes_are_wanted() -> None:
    assert "note: 02:00:00:00:00:01 goes on answering" in invoke("explain", str(FAILOVER)).stdout
    assert "note:" not in invoke("explain", "-q", str(FAILOVER)).stdout


def test_one_object_a_line() -> None:
    found = events(invoke("explain", "--json", str(PARTITION)))
    kinds = [event["event"] for event in found]
    assert kinds == ["capture", "router", *kinds[2:]]
    assert kinds.count("transition") == 5
    assert kinds.count("conflict") == 1
    assert kinds.count("tenure") == 2
    assert kinds.count("observation") == 1
    [conflict] = [event for event in found if event["event"] == "conflict"]
    assert conflict["reasons"][0]["reason"] == "one-way"
    assert (conflict["family"], conflict["vrid"]) == (4, 51)
    assert conflict["winner"] == {"source": "10.77.0.1", "mac": "00:00:5e:00:01:33"}
    [stalled] = [event for event in found if event.get("cause") == "stalled"]
    assert stalled["time"] == pytest.approx(1795291363.755352, abs=1000)
    assert stalled["measured"] == pytest.approx(0.199934)
    assert stalled["theory"] == pytest.approx(0.1)


def test_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "a.svg"
    assert invoke("explain", "--svg", str(picture), str(PARTITION)).exit_code == 0
    root = ET.parse(picture).getroot()
    assert root.find("{http://www.w3.org/2000/svg}title").text == f"VRRP in {PARTITION.name}"  # type: ignore[union-attr]


def test_the_readme_shows_what_it_prints(tmp_path: Path) -> None:
    picture, capture = tmp_path / "timeline.svg", MADE / "frr-vs-keepalived-v3-ipv4.pcap"
    printed = invoke("explain", "--svg", str(picture), str(capture)).stdout
    readme = (ROOT / "README.md").read_text()
    shown = [line for line in printed.splitlines() if line in readme.splitlines()]
    assert len(shown) == 3
    assert picture.read_text() == (ROOT / "docs/timeline.svg").read_text()


def test_stdin() -> None:
    whole = invoke("explain", str(FAILOVER)).stdout
    assert invoke("explain", "-", stdin=FAILOVER.read_bytes()).stdout == whole


def test_a_broken_file_is_told_up_to_its_break(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(FAILOVER.read_bytes()[:-7])
    result = invoke("explain", str(cut))
    assert result.exit_code == 0
    assert "took over" in result.stdout
    assert f"{cut} is broken at byte" in result.stdout
    assert events(invoke("explain", "--json", str(cut)))[-1]["event"] == "broken"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("no capture")
    assert "must be a pcap or pcapng file" in fails(invoke("explain", str(other)), 2)
    assert "cannot be read" in fails(invoke("explain", str(tmp_path / "missing")), 1)


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    result = invoke("explain", "--svg", str(tmp_path / "none" / "a.svg"), str(FAILOVER))
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_a_time_beyond_the_calendar(tmp_path: Path) -> None:
    """A pcapng block with the largest time stamp there is, in units of 2**-0 seconds."""
    file = tmp_path / "far.pcapng"
    options = struct.pack("<HHB3x", 9, 1, 0x80) + bytes(4)
    section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    interface = (
        struct.pack("<IIHHI", 1, 20 + len(options), 1, 0, 0) + options + struct.pack("<I", 20 + len(options))
    )
    packet = struct.pack("<IIIIIII", 6, 32, 0, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0) + struct.pack("<I", 32)
    file.write_bytes(section + interface + packet)
    result = invoke("explain", str(file))
    assert result.exit_code == 0
    assert "s after 1970" in result.stdout
