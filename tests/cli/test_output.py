"""Output: JSON, plain lines, colours on a terminal, and a reader that goes away."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from ipaddress import ip_address

import pytest

from tests.cli.commands import environment
from vrrplib.cli.output import Output
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
from vrrplib.election.states import Reason, State
from vrrplib.errors import Problem
from vrrplib.node import Notice
from vrrplib.wire.addresses import Family

SOURCE = ip_address("192.0.2.1")
REPORTS = [
    (
        StateChanged(State.BACKUP, State.ACTIVE, Reason.NO_RESPONSE),
        {"event": "state", "old": "backup", "new": "active", "reason": "no-response"},
        "backup -> active (no-response)",
    ),
    (
        Discarded(Problem.CHECKSUM, SOURCE),
        {"event": "discarded", "reason": "checksum", "source": "192.0.2.1"},
        "discarded a message from 192.0.2.1: checksum",
    ),
    (
        Warned(Problem.INTERVAL, SOURCE),
        {"event": "warned", "reason": "interval", "source": "192.0.2.1"},
        "odd message from 192.0.2.1: interval",
    ),
    (
        HostFailed("activate", "no", 1),
        {"event": "host-failed", "doing": "activate", "message": "no", "errno": 1},
        "the host failed to activate: no",
    ),
    (HostFailed("prepare", "no"), {"event": "host-failed", "doing": "prepare", "message": "no"}, "prepare: no"),
    (
        HostChanged("address-lost", "192.0.2.9/24 was taken from vmac4-2-51", "repaired"),
        {
            "event": "host-changed",
            "change": "address-lost",
            "message": "192.0.2.9/24 was taken from vmac4-2-51",
            "answer": "repaired",
        },
        "192.0.2.9/24 was taken from vmac4-2-51: put back",
    ),
    (LeftAlone("so it is"), {"event": "left-alone", "message": "so it is"}, "left as it is: so it is"),
    (Stalled(2.5), {"event": "stalled", "late": 2.5}, "stood still: a timer was 2.500 s late"),
    (Ready(), {"event": "ready"}, "would become Active, but for its sync group"),
    (Report(), {"event": "report", "message": "Report()"}, "Report()"),
]


@pytest.mark.parametrize(("report", "fields", "words"), REPORTS, ids=lambda item: type(item).__name__)
def test_notices(report: Report, fields: dict[str, object], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    notice = Notice(5.0, "eth0", Family.IPV6, 51, report)
    Output(as_json=True).notice(notice, time=1000.5, stamp="12:00:00")
    who = {"time": 1000.5, "interface": "eth0", "family": 6, "vrid": 51}
    assert json.loads(capsys.readouterr().out) == who | fields
    Output(as_json=False).notice(notice, time=1000.5, stamp="12:00:00")
    line = capsys.readouterr().out
    assert line.startswith("12:00:00 eth0 vrid 51 IPv6 ")
    assert line.endswith(f"{words}\n")


def test_what_was_suppressed_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    notice = Notice(5.0, "eth0", None, None, Discarded(Problem.TTL, SOURCE), suppressed=7)
    Output(as_json=True).notice(notice, time=1.0, stamp="")
    event = json.loads(capsys.readouterr().out)
    assert event["suppressed"] == 7
    assert "vrid" not in event
    assert "family" not in event
    Output(as_json=False).notice(notice, time=1.0, stamp="now")
    assert capsys.readouterr().out.endswith("ttl (and 7 like it before)\n")


def test_a_reader_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            raise BrokenPipeError

    stdout = Gone()
    output = Output(as_json=True)
    monkeypatch.setattr(sys, "stdout", stdout)
    output.event("one", "one")
    output.event("two", "two")
    assert stdout.writes == 1


@pytest.mark.parametrize(("term", "coloured"), [("xterm-256color", True), ("dumb", False)])
def test_colours_on_a_terminal_only(term: str, coloured: bool) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "vrrplib", "simulate", "--until", "5"],
        stdout=theirs,
        stdin=subprocess.DEVNULL,
        env={name: value for name, value in environment().items() if name != "NO_COLOR"} | {"TERM": term},
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # EIO: the other end is closed
        pass
    os.close(ours)
    assert process.wait(20) == 0
    assert b"backup -> active (no-response)" in shown
    assert (b"\x1b[1;32m" in shown) is coloured
