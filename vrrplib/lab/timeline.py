"""A story as a picture: a lane for each sender, a bar while it was Active, a number for each change.

Light and dark by ``prefers-color-scheme``; no script, no font, no image from elsewhere. What a bar's colour says
its lane says too (the colours are Okabe and Ito's, which colour-blind people tell apart), and every text has a
place of its own.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

from vrrplib.lab.story import Cause, Conflict, Explanation, RouterStory, Speaker, Tenure, Transition
from vrrplib.lab.wording import (
    conflict_words,
    duration,
    reason_lines,
    router_words,
    suspicion_lines,
    transition_words,
)

WIDTH = 960
MOST_ROUTERS = 16
_MOST_LANES, _MOST_BARS, _MOST_NUMBERS = 16, 400, 30
_MARGIN, _LEFT, _RIGHT = 16, 168, 928
_LANE, _BAR = 34, 16
_LINE = 18
_NUMBER_GAP = 22
# A wide character of a 12 pixel sans-serif is 0.62 of it on average at most: no text leaves its place.
_PER_CHARACTER = 7.2
_TEXT_WIDTH = int((WIDTH - 2 * _MARGIN - 30) / _PER_CHARACTER)
_COLOURS = 6
_KEY = (
    "bar: Active, as far as its adverts show; dashes: from the last that was heard; upright stroke: when theory "
    "has the change; hatched: two Active at once"
)

_STYLE = """
svg { --paper: #ffffff; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --clash: #b3261e; --gap: #8c959f;
  --c0: #0072b2; --c1: #e69f00; --c2: #009e73; --c3: #cc79a7; --c4: #56b4e9; --c5: #d55e00; }
@media (prefers-color-scheme: dark) { svg { --paper: #12161c; --ink: #e6edf3; --soft: #9da7b3; --line: #343c46;
  --clash: #ff8a80; --gap: #768390; --c0: #56b4e9; --c1: #e69f00; --c2: #2fc79a; --c3: #e39cc4; --c4: #8ecdf5;
  --c5: #ff8f3d; } }
text { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; font-size: 12px; fill: var(--ink); }
.head { font-size: 14px; font-weight: 600; } .soft { fill: var(--soft); } .small { font-size: 11px; }
.paper { fill: var(--paper); } .line { stroke: var(--line); } .gap { stroke: var(--gap); stroke-dasharray: 3 3; }
.clash { fill: url(#clash); stroke: var(--clash); } .hatch { stroke: var(--clash); stroke-width: 1.5; }
.number { fill: var(--ink); }
.digits { fill: var(--paper); font-size: 11px; font-weight: 600; text-anchor: middle; }
.leader { stroke: var(--soft); fill: none; } .theory { stroke: var(--ink); stroke-width: 2; }
""" + "".join(f".c{number} {{ fill: var(--c{number}); }}\n" for number in range(_COLOURS))


def svg(explanation: Explanation, name: str = "") -> str:
    """The picture of an explanation as the text of an SVG file; ``name`` is the capture's, for the title.

    At most 16 virtual routers, 16 lanes each and 30 numbered changes each are drawn; what is left out is said.
    """
    drawing = _Drawing(explanation)
    for story in explanation.routers[:MOST_ROUTERS]:
        drawing.router(story)
    if len(explanation.routers) > MOST_ROUTERS:
        drawing.line(f"and {len(explanation.routers) - MOST_ROUTERS} more virtual routers", "soft")
    if explanation.routers:
        for text in wrap(_KEY, _TEXT_WIDTH):
            drawing.line(text, "soft small")
    else:
        drawing.line("No VRRP in this capture.", "soft")
    return drawing.document(name)


class _Drawing:
    """Grows downwards."""

    def __init__(self, explanation: Explanation) -> None:
        self.parts: list[str] = []
        self.told: list[str] = []
        self.y = _MARGIN
        self._start = explanation.start
        self._end = max(explanation.end, explanation.start + 1e-3)

    def document(self, name: str) -> str:
        title = _escape(f"VRRP in {name}" if name else "VRRP in a capture")
        told = _escape(" ".join(self.told))
        height = self.y + _MARGIN
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title desc">\n'
            f'<title id="title">{title}</title>\n<desc id="desc">{told}</desc>\n<style>{_STYLE}</style>\n'
            '<defs><pattern id="clash" width="6" height="6" patternUnits="userSpaceOnUse" '
            'patternTransform="rotate(45)"><line class="hatch" x1="0" y1="0" x2="0" y2="6"/></pattern></defs>\n'
            f'<rect class="paper" width="{WIDTH}" height="{height}"/>\n'
        )
        return head + "\n".join(self.parts) + "\n</svg>\n"

    # -- a virtual router --

    def router(self, story: RouterStory) -> None:
        head = router_words(story)
        self.told.append(head + ".")
        for at, text in enumerate(wrap(head, int(_TEXT_WIDTH * 0.82))):
            self.line(text, "head" if at == 0 else "soft")
        lanes = {speaker: at for at, speaker in enumerate(_speakers(story)[:_MOST_LANES])}
        numbered = _numbered(story)
        self.y += 10
        top = self.y + 26  # below the numbers
        bottom = top + len(lanes) * _LANE
        self._axis(top, bottom)
        for conflict in story.conflicts[:_MOST_BARS]:
            self._clash(conflict, lanes, top)
        for speaker, at in lanes.items():
            self._lane(speaker, top + at * _LANE)
        for tenure in story.tenures[:_MOST_BARS]:
            if tenure.speaker in lanes:
                self._bar(tenure, lanes[tenure.speaker], top)
        for item in story.transitions[:_MOST_BARS]:
            self._waiting(item, lanes, top)
        self._numbers(numbered, lanes, self.y + 8, top)
        self.y = bottom + 24
        self._legend(story, numbered)
        self.y += 14

    def _axis(self, top: int, bottom: int) -> None:
        step = tick(self._end - self._start)
        for number in range(int((self._end - self._start) / step) + 1):
            x = self._x(self._start + number * step)
            self.parts.append(f'<line class="line" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>')
            label = f"{number * step:g} s"
            anchor = "end" if x > _RIGHT - 20 else "middle"
            self.parts.append(
                f'<text class="soft small" x="{x:.1f}" y="{bottom + 14}" text-anchor="{anchor}">{label}</text>'
            )

    def _lane(self, speaker: Speaker, y: int) -> None:
        source, mac = str(speaker.source), "" if speaker.mac is None else str(speaker.mac)
        room = int((_LEFT - _MARGIN - 8) / 6.6)
        shown = source if len(source) <= room else source[: room - 1] + "…"
        self.parts.append(f'<text class="small" x="{_MARGIN}" y="{y + 14}">{_escape(shown)}</text>')
        self.parts.append(f'<text class="small soft" x="{_MARGIN}" y="{y + 27}">{_escape(mac)}</text>')
        self.parts.append(f'<line class="line" x1="{_LEFT}" y1="{y + 17}" x2="{_RIGHT}" y2="{y + 17}"/>')

    def _bar(self, tenure: Tenure, lane: int, top: int) -> None:
        x, end = self._x(tenure.start), self._x(tenure.end)
        words = (
            f"{tenure.speaker} was Active for {duration(tenure.end - tenure.start)}, "
            f"priority {tenure.priority}, {tenure.adverts} adverts"
        )
        self.parts.append(
            f'<rect class="c{lane % _COLOURS}" x="{x:.1f}" y="{top + lane * _LANE + 9}" '
            f'width="{max(end - x, 2):.1f}" height="{_BAR}" rx="2"><title>{_escape(words)}</title></rect>'
        )

    def _clash(self, conflict: Conflict, lanes: dict[Speaker, int], top: int) -> None:
        x = self._x(conflict.start)
        end = self._x(self._end if conflict.end is None else conflict.end)
        rows = sorted(lanes[one] for one in (conflict.winner, conflict.loser) if one in lanes)
        if not rows:
            return
        y, height = top + rows[0] * _LANE + 2, (rows[-1] - rows[0] + 1) * _LANE - 4
        self.parts.append(
            f'<rect class="clash" x="{x:.1f}" y="{y}" width="{max(end - x, 2):.1f}" height="{height}">'
            f"<title>{_escape(conflict_words(conflict))}</title></rect>"
        )

    def _waiting(self, item: Transition, lanes: dict[Speaker, int], top: int) -> None:
        """From the last that was heard to the takeover, and a stroke where theory has it."""
        if item.since is None or item.new not in lanes or item.cause is Cause.NOBODY_ACTIVE:
            return
        y = top + lanes[item.new] * _LANE + 17
        x, end = self._x(item.since), self._x(item.time)
        if item.old == item.new and end - x > 2:
            self.parts.append(
                f'<rect class="paper" x="{x:.1f}" y="{y - 8}" width="{end - x:.1f}" height="{_BAR}"/>'
            )
        self.parts.append(f'<line class="gap" x1="{x:.1f}" y1="{y}" x2="{end:.1f}" y2="{y}"/>')
        if item.theory is not None and item.since + item.theory <= self._end:
            at = self._x(item.since + item.theory)
            words = f"theory: {duration(item.theory)}; {item.basis}"
            self.parts.append(
                f'<line class="theory" x1="{at:.1f}" y1="{y - 12}" x2="{at:.1f}" y2="{y + 12}">'
                f"<title>{_escape(words)}</title></line>"
            )

    def _numbers(self, items: Sequence[Transition], lanes: dict[Speaker, int], y: int, top: int) -> None:
        """In a row above the lanes, never nearer than their size; a leader goes to where each belongs."""
        places = spread([self._x(item.time) for item in items], _LEFT, _RIGHT, _NUMBER_GAP)
        for number, (item, place) in enumerate(zip(items, places, strict=True), 1):
            speaker = item.new or item.old
            lane = lanes.get(speaker, 0) if speaker is not None else 0
            x, foot = self._x(item.time), top + lane * _LANE + 9
            self.parts.append(
                f'<path class="leader" d="M{place:.1f} {y + 9}L{x:.1f} {top - 2}L{x:.1f} {foot}"/>'
                f'<circle class="number" cx="{place:.1f}" cy="{y}" r="9"/>'
                f'<text class="digits" x="{place:.1f}" y="{y + 4}">{number}</text>'
            )

    def _legend(self, story: RouterStory, numbered: Sequence[Transition]) -> None:
        for number, item in enumerate(numbered, 1):
            words = f"{item.time - self._start:.6f} s: {transition_words(item)}"
            self._item(str(number), words, suspicion_lines(item))
        if len(story.transitions) > len(numbered):
            self.line(f"and {len(story.transitions) - len(numbered)} more changes", "soft")
        for conflict in story.conflicts[:_MOST_NUMBERS]:
            words = f"{conflict.start - self._start:.6f} s: {conflict_words(conflict)}"
            self._item("!", words, reason_lines(conflict))
        if len(story.conflicts) > _MOST_NUMBERS:
            self.line(f"and {len(story.conflicts) - _MOST_NUMBERS} more times with two Actives", "soft")

    def _item(self, mark: str, words: str, more: Iterable[str]) -> None:
        self.told.append(words + ".")
        self.parts.append(
            f'<text class="head" x="{_MARGIN + 14}" y="{self.y + 13}" text-anchor="end">{_escape(mark)}</text>'
        )
        for text in wrap(words, _TEXT_WIDTH - 2):
            self.line(text, "", _MARGIN + 24)
        for reason in more:
            self.told.append(reason + ".")
            for text in wrap(reason, _TEXT_WIDTH - 4):
                self.line(text, "soft", _MARGIN + 38)

    def line(self, text: str, style: str, x: int = _MARGIN) -> None:
        """A line of text in a row of its own."""
        self.parts.append(f'<text class="{style}" x="{x}" y="{self.y + 13}">{_escape(text)}</text>')
        self.y += _LINE

    def _x(self, time: float) -> float:
        share = (min(max(time, self._start), self._end) - self._start) / (self._end - self._start)
        return _LEFT + share * (_RIGHT - _LEFT)


def _speakers(story: RouterStory) -> list[Speaker]:
    """Those that were Active, in the order of their first time."""
    return list(dict.fromkeys(tenure.speaker for tenure in story.tenures))


def _numbered(story: RouterStory) -> tuple[Transition, ...]:
    return story.transitions[:_MOST_NUMBERS]


def spread(wanted: Sequence[float], low: float, high: float, gap: float) -> list[float]:
    """Places near those wanted, which ascend, each at least ``gap`` from the next, between ``low`` and ``high``.

    The caller sees to it that there is room for all.
    """
    places: list[float] = []
    for place in wanted:
        places.append(max(place, low, places[-1] + gap if places else low))
    limit = high
    for at in range(len(places) - 1, -1, -1):
        places[at] = min(places[at], limit)
        limit = places[at] - gap
    return places


def tick(span: float) -> float:
    """The seconds from tick to tick: 1, 2 or 5 times a power of ten, at most ten of them in ``span`` (positive)."""
    rough = span / 10
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= rough * 0.999999)


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` characters, broken at spaces, and within a word only where it is longer."""
    lines: list[str] = []
    current = ""
    for word in text.split():
        while len(word) > width:
            if current:
                lines.append(current)
                current = ""
            lines.append(word[:width])
            word = word[width:]  # noqa: PLW2901
        if current and len(current) + 1 + len(word) > width:
            lines.append(current)
            current = word
        else:
            current = f"{current} {word}" if current else word
    return [*lines, current] if current or not lines else lines


def _escape(text: str) -> str:
    """For XML, which cannot hold control characters at all, however they are written."""
    return html.escape("".join(char if char.isprintable() else "?" for char in text))
