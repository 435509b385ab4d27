"""The picture: XML of its own, whose texts have a place each."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.lab.recording import VIRTUAL, Recording
from vrrplib.lab.explain import Explanation, explain
from vrrplib.lab.timeline import WIDTH, spread, svg, tick, wrap
from vrrplib.wire.capture import CaptureReader
from vrrplib.wire.linktypes import Interface

MADE = Path(__file__).parents[1] / "data/captures/made"
SVG = "{http://www.w3.org/2000/svg}"
_WIDE = 7.2  # pixels of a character of 12 pixels, as the picture reckons
_HIGH = 11


def read(name: str) -> Explanation:
    with (MADE / f"{name}.pcap").open("rb") as file:
        return explain(CaptureReader(file))


def crowded() -> Explanation:
    """More changes within a second than there is room for numbers, after a long time without any."""
    recording = Recording()
    recording.advert(0)
    for number in range(100):
        recording.advert(1000 + number / 100, f"192.0.2.{1 + number % 40}", priority=1 + number)
    return recording.explain()


def boxes(text: str) -> list[tuple[float, float, float, float, str]]:
    """Left, top, right and bottom of every text, at its widest."""
    found = []
    for item in ET.fromstring(text).iter(f"{SVG}text"):
        words = item.text or ""
        style = item.get("class", "")
        wide = len(words) * _WIDE * (1.17 if "head" in style else 0.92 if "small" in style else 1)
        x, y = float(item.get("x", "0")), float(item.get("y", "0"))
        if "digits" in style:
            wide, x = 18, x - 9
        elif item.get("text-anchor") == "middle":
            x -= wide / 2
        elif item.get("text-anchor") == "end":
            x -= wide
        found.append((x, y - _HIGH, x + wide, y, words))
    return found


PICTURES = {path.stem: path for path in sorted(MADE.glob("*.pcap"))}


@pytest.mark.parametrize("name", [*PICTURES, "crowded"])
def test_no_text_is_over_another_or_outside(name: str) -> None:
    places = boxes(svg(crowded() if name == "crowded" else read(name), name))
    assert places
    for one, other in itertools.combinations(places, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, (one, other)
    for left, _, right, _, words in places:
        assert left >= 0, words
        assert right <= WIDTH, words


def test_it_stands_alone_and_says_what_it_shows() -> None:
    text = svg(read("proto-pair-v3-ipv4-partition"), "a.pcap")
    root = ET.fromstring(text)
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "title desc"
    assert root.findtext(f"{SVG}title") == "VRRP in a.pcap"
    assert "two were Active at once" in (root.findtext(f"{SVG}desc") or "")
    assert "prefers-color-scheme: dark" in text
    for word in ("<script", "@import", "@font-face", "href", "<image", "url(http"):
        assert word not in text


def test_names_are_escaped() -> None:
    recording = Recording(Interface(0, name='<script>&"\x00\x1b'))
    other = Recording(Interface(1, name="]]>"))
    recording.advert(0, addresses=[VIRTUAL])
    other.advert(1, addresses=[VIRTUAL])
    story = explain(recording.records + other.records)
    text = svg(story, "\x07<b>")
    root = ET.fromstring(text)
    assert root.findtext(f"{SVG}title") == "VRRP in ?<b>"
    assert "<script" not in text


def test_bars_are_as_long_as_tenures() -> None:
    story = read("frr-vs-keepalived-v3-ipv4")
    bars = re.findall(r'<rect class="c(\d)" x="([\d.]+)" y="\d+" width="([\d.]+)"', svg(story))
    scale = (928 - 168) / (story.end - story.start)
    assert len(bars) == 4
    for (lane, x, width), tenure in zip(bars, story.tenures, strict=True):
        assert float(x) == pytest.approx(168 + (tenure.start - story.start) * scale, abs=0.1)
        assert float(width) == pytest.approx((tenure.end - tenure.start) * scale, abs=0.1)
        assert str(tenure.speaker.source).endswith(str(int(lane) + 1))


def test_places_are_apart_and_in_bounds() -> None:
    places = spread([0, 1, 2, 95, 99, 100], 0, 100, 15)
    assert places == [0, 15, 30, 70, 85, 100]
    assert spread([], 0, 1, 1) == []


@pytest.mark.parametrize(("span", "step"), [(10, 1), (5.5, 1), (3.1, 0.5), (313, 50), (0.001, 0.0001), (1e9, 1e8)])
def test_ticks(span: float, step: float) -> None:
    assert tick(span) == pytest.approx(step)


def test_lines() -> None:
    assert wrap("one two three", 7) == ["one two", "three"]
    assert wrap("abcdefghij", 4) == ["abcd", "efgh", "ij"]
    assert wrap("", 4) == [""]
