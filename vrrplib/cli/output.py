"""What commands print: colours on a terminal, plain lines in a pipe, or one JSON object a line."""

from __future__ import annotations

import json
import sys
import time as clock
from collections.abc import Callable
from typing import Any, TypeVar

import click

from vrrplib.election.actions import (
    Discarded,
    HostChanged,
    HostFailed,
    LeftAlone,
    Ready,
    Report,
    Stalled,
    StateChanged,
    Warned,
)
from vrrplib.node import Notice

F = TypeVar("F", bound=Callable[..., Any])

_ANSWERS = {
    "went-on": "goes on",
    "repaired": "put back",
    "waits": "waits for it",
    "restarts": "starts again",
    "gave-up": "gave up, and tries again later",
}
_ANSWER_STYLES = {"repaired": "yellow", "waits": "bold red", "gave-up": "bold red"}
_STYLES = {"active": "bold green", "backup": "cyan", "initialize": "yellow"}


def json_option(function: F) -> F:
    """``--json``, as every command has it."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")(function)


class Output:
    """Where a command's events go. A reader that goes away ends the printing, and never the command."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._gone = False
        self._console: Any = None
        if not as_json and sys.stdout.isatty():
            from rich.console import Console  # noqa: PLC0415  # slow to load, and of no use in a pipe

            self._console = Console(highlight=False, soft_wrap=True)

    def event(
        self, event: str, text: str | None, *, time: float | None = None, style: str = "", **fields: Any
    ) -> None:
        """Tell that ``event`` happened at ``time`` (Unix seconds; None: now).

        People read ``text`` (None: nothing), programs ``fields``; what is None in there is left out.
        """
        if self.as_json:
            time = clock.time() if time is None else time
            known = {name: value for name, value in fields.items() if value is not None}
            self._write(json.dumps({"event": event, "time": time, **known}))
        elif text is not None:
            self.line(text, style=style)

    def line(self, text: str, *, style: str = "") -> None:
        """A line for people; nothing where JSON is asked for."""
        if self.as_json:
            return
        if self._console is None:
            self._write(text)
        else:
            self._console.print(text, style=style or None, markup=False)

    def notice(self, notice: Notice, *, time: float, stamp: str) -> None:
        """A Node's notice: ``time`` in Unix seconds for programs, ``stamp`` for people."""
        event, words, fields, style = describe(notice.report)
        who = f"{notice.interface} " if notice.interface else ""
        if notice.vrid is not None:
            who += f"vrid {notice.vrid} "
        if notice.family is not None:
            who += f"IPv{notice.family} "
        if notice.suppressed:
            words += f" (and {notice.suppressed} like it before)"
            fields["suppressed"] = notice.suppressed
        self.event(
            event,
            f"{stamp} {who}{words}",
            time=time,
            style=style,
            interface=notice.interface,
            family=None if notice.family is None else int(notice.family),
            vrid=notice.vrid,
            **fields,
        )

    def _write(self, line: str) -> None:
        if self._gone:
            return
        try:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            self._gone = True


def describe(report: Report) -> tuple[str, str, dict[str, Any], str]:
    """A report's event name, its words, its fields and its style."""
    match report:
        case StateChanged(old, new, reason):
            fields: dict[str, Any] = {"old": str(old), "new": str(new), "reason": str(reason)}
            return "state", f"{old} -> {new} ({reason})", fields, _STYLES[new]
        case Discarded(problem, source):
            fields = {"reason": str(problem), "source": str(source)}
            return "discarded", f"discarded a message from {source}: {problem}", fields, "red"
        case Warned(problem, source):
            fields = {"reason": str(problem), "source": str(source)}
            return "warned", f"odd message from {source}: {problem}", fields, "yellow"
        case HostFailed(doing, message, errno):
            fields = {"doing": doing, "message": message, "errno": errno}
            return "host-failed", f"the host failed to {doing}: {message}", fields, "bold red"
        case HostChanged(change, message, answer):
            fields = {"change": str(change), "message": message, "answer": answer}
            return (
                "host-changed",
                f"{message}: {_ANSWERS.get(answer, answer)}",
                fields,
                _ANSWER_STYLES.get(answer, ""),
            )
        case LeftAlone(message):
            return "left-alone", f"left as it is: {message}", {"message": message}, "yellow"
        case Stalled(late):
            return "stalled", f"stood still: a timer was {late:.3f} s late", {"late": late}, "yellow"
        case Ready():
            return "ready", "would become Active, but for its sync group", {}, ""
        case _:  # an open set
            return "report", str(report), {"message": str(report)}, ""
