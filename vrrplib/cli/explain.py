"""``vrrplib explain``: what happened in a capture, and why."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from vrrplib.cli.output import Output, json_option
from vrrplib.cli.sources import Progress
from vrrplib.errors import ConfigError
from vrrplib.lab.explain import Explainer
from vrrplib.lab.story import Cause, Conflict, Explanation, Observation, RouterStory, Transition
from vrrplib.lab.timeline import svg
from vrrplib.lab.wording import (
    conflict_words,
    observation_words,
    reason_lines,
    router_words,
    suspicion_lines,
    transition_words,
)
from vrrplib.wire.capture import Break, CaptureReader

_STYLES = {
    Cause.MISSED_ADVERTISEMENTS: "bold yellow",
    Cause.UNHEARD: "bold red",
    Cause.STALLED: "yellow",
    Cause.SILENT: "yellow",
}


@click.command(epilog="Example: vrrplib explain --svg failover.svg failover.pcapng")
@click.argument("file", metavar="FILE|-")
@click.option(
    "--svg", "picture", type=click.Path(path_type=Path, dir_okay=False), help="Draw a timeline into this file."
)
@click.option("-q", "--changes", is_flag=True, help="Only who became Active and why, without notes.")
@json_option
def explain(*, file: str, picture: Path | None, changes: bool, as_json: bool) -> None:
    """Tell what happened in a pcap or pcapng file (- for stdin), and why: who was Active when, each change with its
    cause and the theory beside what was measured, two Actives at once and why, and what is odd.

    Seconds count from the first record.
    """
    if file == "-":
        story, broken = _read(sys.stdin.buffer, file, 0)
    else:
        path = Path(file)
        try:
            with path.open("rb") as opened:
                story, broken = _read(opened, file, path.stat().st_size)
        except OSError as error:
            raise click.ClickException(f"{file} cannot be read: {error.strerror or error}") from None
    output = Output(as_json=as_json)
    _show(output, story, changes=changes)
    if broken is not None:
        words = f"{file} is {broken}"
        output.event("broken", words, time=story.end, style="red", message=words)
    if picture is not None:
        try:
            picture.write_text(svg(story, "" if file == "-" else Path(file).name), encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"{picture} cannot be written: {error.strerror or error}") from None


def _read(file: BinaryIO, name: str, size: int) -> tuple[Explanation, Break | None]:
    try:
        reader = CaptureReader(file)
    except ConfigError:
        raise ConfigError(f"{name} must be a pcap or pcapng file, whole at its beginning") from None
    explainer, progress = Explainer(), Progress(name, size)
    for number, record in enumerate(reader, 1):
        progress.at(number, reader.offset)
        explainer.feed(record)
    progress.done()
    return explainer.finish(), reader.broken


def _show(output: Output, story: Explanation, *, changes: bool) -> None:
    began = _date(story.start)
    words = f"{story.records} records, {story.adverts} adverts, {story.end - story.start:.6f} s from {began}"
    output.event(
        "capture",
        words,
        time=story.start,
        end=story.end,
        records=story.records,
        adverts=story.adverts,
        routers=len(story.routers),
    )
    for router in story.routers:
        _show_router(output, router, story.start, changes=changes)
    if not changes:
        for note in story.observations:
            _show_note(output, note, story.start)


def _date(time: float) -> str:
    """A file may claim any time, and the calendar ends in 9999."""
    try:
        return datetime.fromtimestamp(time, UTC).isoformat(sep=" ", timespec="microseconds")
    except (ValueError, OverflowError, OSError):
        return f"{time:g} s after 1970"


def _show_router(output: Output, story: RouterStory, start: float, *, changes: bool) -> None:
    known = story.router.to_dict() | {
        "addresses": [str(address) for address in story.addresses],
        "adverts": story.adverts,
        "speakers": [speaker.to_dict() for speaker in story.speakers],
    }
    first = story.tenures[0].start if story.tenures else start
    output.event("router", router_words(story), time=first, style="bold", **known)
    happened: list[tuple[float, Transition | Conflict]] = [(item.time, item) for item in story.transitions]
    happened += [(item.start, item) for item in story.conflicts]
    for time, item in sorted(happened, key=lambda pair: pair[0]):
        stamp = f"{time - start:12.6f} "
        if isinstance(item, Conflict):
            output.event("conflict", stamp + conflict_words(item), style="bold red", **item.to_dict())
            lines = reason_lines(item)
        else:
            style = _STYLES.get(item.cause, "green")
            output.event("transition", stamp + transition_words(item), style=style, **item.to_dict())
            lines = suspicion_lines(item)
        for line in lines:
            output.line(" " * len(stamp) + line)
    if changes:
        return
    if output.as_json:
        for tenure in story.tenures:
            output.event("tenure", None, **tenure.to_dict())
    for note in story.observations:
        _show_note(output, note, start)


def _show_note(output: Output, note: Observation, start: float) -> None:
    words = f"{note.time - start:12.6f} note: {observation_words(note)}"
    known: dict[str, Any] = note.to_dict()
    output.event("observation", words, style="yellow", **known)
