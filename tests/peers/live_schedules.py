"""The schedules of :mod:`tests.peers.schedules`, played by live daemons, beside what the simulator predicts.

python -m tests.peers.live_schedules > docs/schedules.md      # as root; needs keepalived and FRR
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.linux.capture import Capture
from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.peers.daemons import Daemon, Frr, Keepalived, Settings, Vrrplib
from tests.peers.live_catalogue import version_of
from tests.peers.schedules import (
    PHASES,
    SCHEDULES,
    VRID,
    Done,
    Machine,
    Played,
    Prediction,
    Reign,
    Schedule,
    Step,
    predict,
    reigns,
)

EARLY, LATE = 0.005, 0.005
PATIENCE = 15.0


class TrackingKeepalived(Keepalived):
    """keepalived with a file whose number is added to its priority, and whose configuration can be read again."""

    def config(self) -> str:
        lines = super().config().splitlines()
        tracked = [f"track_file weight {{\n  file {self.file}\n  weight 1\n  init_file 0\n}}"]
        return "\n".join([*lines[:3], *tracked, *lines[3:-1], "  track_file {\n    weight\n  }", "}"]) + "\n"

    @property
    def file(self) -> Path:
        return self.directory / "weight"

    def set_priority(self, priority: int) -> None:
        self.file.write_text(f"{priority - self.settings.priority}\n")

    def set_interval(self, interval: float) -> None:
        self.settings = self.settings.but(interval=interval)
        (self.directory / "keepalived.conf").write_text(self.config())
        self.processes[0].signal(signal.SIGHUP)


class ToldFrr(Frr):
    """FRR, and its command line."""

    def set_interval(self, interval: float) -> None:
        words = ["configure terminal", "interface eth0"]
        words.append(f"vrrp {self.settings.vrid} advertisement-interval {round(interval * 1000)}")
        argv = [word for line in words for word in ("-c", line)]
        self.host.run("vtysh", "--vty_socket", str(self.directory), "-d", "vrrpd", *argv)


MAKERS: dict[str, Callable[[Host, Settings], Daemon]] = {
    "keepalived": TrackingKeepalived,
    "frr": ToldFrr,
    "ours": Vrrplib,
}

# -- a machine that others use too ------------------------------------------------------------------------------


def realtime(pid: int) -> None:
    """Let a process go before all that has no real-time priority, if we may: the scheduler is not under test."""
    with contextlib.suppress(PermissionError, ProcessLookupError, FileNotFoundError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # zebra's netlink has one of its own
            os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(10))


_BARE = """
import signal, sys, time
late, due = [], time.monotonic()
def end(*_):
    ordered = sorted(late)
    print(ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100], ordered[-1], flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
while True:
    due += 0.005
    time.sleep(max(0.0, due - time.monotonic()))
    now = time.monotonic()
    late.append(now - due)
    due = max(due, now)
"""


@dataclass(frozen=True)
class Lateness:
    """Seconds by which a process that only sleeps, as the daemons are run, woke late each 5 ms during a play."""

    median: float
    p99: float
    worst: float


class BareTimer:
    """A process beside the daemons that does nothing but sleep; a context manager."""

    def __enter__(self) -> BareTimer:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BARE], stdout=subprocess.PIPE, text=True
        )
        realtime(self._process.pid)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        said, _nothing = self._process.communicate(timeout=10)
        self.lateness = Lateness(*map(float, said.split()))


# -- the play ----------------------------------------------------------------------------------------------


DEAF = """table bridge {} {{
  set links {{ type ifname . ifname; }}
  chain deaf {{ type filter hook forward priority 0; iifname . oifname @links drop; }}
}}
"""
"""Lets nothing through from one port of the switch to another, where the set says so."""


@dataclass(frozen=True)
class Live:
    """What the daemons did, and how late a bare timer was meanwhile."""

    reigns: list[Reign]
    lateness: Lateness
    complaints: tuple[str, ...]


def play(schedule: Schedule, cast: tuple[str, ...]) -> Live:
    with Lab() as lab:
        lab.switch.run("nft", "-f", "-", text=DEAF.format(lab.prefix))
        daemons = {}
        for machine, who in zip(schedule.machines, cast, strict=True):
            host = lab.host(machine.name, f"{machine.address}/24")
            host.sysctl("net.ipv6.conf.eth0.disable_ipv6", 1)
            daemons[machine.name] = MAKERS[who](host, _settings(machine))
        played = Played()
        with lab.capture() as capture, BareTimer() as bare:
            for step in schedule.steps:
                _calm(capture, step)
                at = time.monotonic()
                _do(lab, daemons, step)
                played.done.append(Done(at if step.what not in ("deafen", "hear") else time.monotonic(), step))
                if step.what == "start":
                    wait_until(lambda who=step.who: daemons[who].state(), PATIENCE, "a state", pause=0.05)  # type: ignore[misc]
                    for process in daemons[step.who].processes:
                        for pid in (process.pid, *process.children()):
                            realtime(pid)
                time.sleep(schedule.rest(step))
            played.end = time.monotonic()
        played.frames = [frame for frame in capture.advertisements(VRID) if frame.time <= played.end]
        complaints = [line for daemon in daemons.values() for line in daemon.complaints()]
        return Live(reigns(schedule, played), bare.lateness, tuple(complaints))


def _settings(machine: Machine) -> Settings:
    return Settings(
        version=machine.version,
        vrid=VRID,
        priority=machine.priority,
        interval=machine.interval,
        preempt=machine.preempt,
    )


def _calm(capture: Capture, step: Step) -> None:
    """A link is changed, and a machine started, when an advert has just been: not while one is on its way."""
    now = time.monotonic()
    if step.what in ("deafen", "hear") or (step.what == "start" and capture.advertisements(VRID, since=now - 1.2)):
        capture.wait_for(lambda frame: frame.advertisement, PATIENCE, port=step.other or None, since=now)


def _do(lab: Lab, daemons: dict[str, Daemon], step: Step) -> None:
    daemon = daemons[step.who]
    match step.what:
        case "start":
            daemon.start()
        case "crash":
            daemon.crash()
        case "resign":
            daemon.resign()
        case "deafen" | "hear":
            verb = "add" if step.what == "deafen" else "delete"
            link = f"{{ port-{step.other} . port-{step.who} }}"
            lab.switch.run("nft", f"{verb} element bridge {lab.prefix} links {link}")
        case "priority":
            assert isinstance(daemon, TrackingKeepalived)
            daemon.set_priority(int(step.value))
        case "interval":
            assert isinstance(daemon, TrackingKeepalived | ToldFrr)
            daemon.set_interval(step.value)
        case _:
            raise AssertionError(f"not a step: {step.what}")


def differences(live: Live, predicted: list[Prediction]) -> list[str]:
    """What was otherwise than predicted: the whole story, or who took how many milliseconds."""
    stories = [reign.story for reign in live.reigns]
    wanted = [prediction.story for prediction in predicted]
    if stories != wanted:
        return [", then ".join(" ".join(map(str, filter(None, story))) for story in stories)]
    slack = max(LATE, live.lateness.p99)
    found = []
    for reign, prediction in zip(live.reigns, predicted, strict=True):
        if reign.gap is None or prediction.least is None or prediction.most is None:
            continue
        if not prediction.least - EARLY <= reign.gap <= prediction.most + slack:
            found.append(f"{reign.who} {reign.gap * 1e3:.1f}")
    return found


MOST_TRIES = 5


def play_until(schedule: Schedule, cast: tuple[str, ...], predicted: list[Prediction]) -> tuple[Live, list[str]]:
    """A play as predicted, if there is one in a few; and what was wrong with those before it.

    A machine that others use stands still for some milliseconds at times, the kernel's locks included: only what
    is so each time is a daemon's doing.
    """
    before: list[str] = []
    for _ in range(MOST_TRIES - 1):
        live = play(schedule, cast)
        wrong = differences(live, predicted)
        if not wrong:
            return live, before
        before += wrong
    return play(schedule, cast), before


# -- docs/schedules.md -------------------------------------------------------------------------------------

ROUNDS = 3
HEAD = """# Twelve schedules, predicted and live

Each schedule ([`tests/peers/schedules.py`](../tests/peers/schedules.py)) is written once and played twice: by
`vrrplib.lab.simulator` with the [profile](profiles.md) of each daemon, and by keepalived {keepalived} and
FRR {frr} in network namespaces, {rounds} times. Both leave frames at a switch and nothing else, which are read
alike: who advertised, in which order, until when, and how long after the last frame to which its timer was set.
*Predicted* is what the simulator says in all of {phases} phases of the schedule against the rhythm of adverts;
*measured* are the kernel's times of the frames. The address of a is lower than that of b. Milliseconds.

The daemons had a real-time priority, and so had a process beside them that only sleeps: how late it woke is in the
last column (99th percentile, worst of all {rounds} plays). A play is as predicted when all is within {late:g} ms,
or within that percentile if it is more. One that was not was played again, and what it measured stands there too:
other programs ran on the same two cores.

Made by `python -m tests.peers.live_schedules`, held by `tests/peers/test_schedules.py`; that the simulator still
predicts the same is held by `tests/lab/test_schedules.py`, which needs no daemon.

A timer that was set by "its start" is not measured: a start is not on the wire. "Answers": it sends adverts out of
its rhythm when it hears others that lose.

| schedule | players | Active | its timer was set by | predicted | measured | end | bare timer |
|---|---|---|---|---|---|---|---|"""
NAMES = {"keepalived": "keepalived", "frr": "FRR", "ours": "vrrplib"}


def players(schedule: Schedule, cast: tuple[str, ...]) -> str:
    return ", ".join(f"{machine.name} {NAMES[who]}" for machine, who in zip(schedule.machines, cast, strict=True))


def cells(prediction: Prediction) -> tuple[str, str, str, str]:
    """(who, its timer was set by, predicted, end) of a reign, as docs/schedules.md has them."""
    who, since, end, beside, answers = prediction.story
    words = str(end) + (f", beside {', '.join(beside)}" if isinstance(beside, tuple) and beside else "")
    gap = ""
    if prediction.least is not None and prediction.most is not None:
        gap = f"{prediction.least * 1e3:.1f}"
        gap += "" if prediction.most - prediction.least < 1e-4 else f"-{prediction.most * 1e3:.1f}"
    return str(who), str(since), gap, words + (", answers" if answers else "")


def rows(schedule: Schedule, cast: tuple[str, ...]) -> list[str]:
    predicted = predict(schedule, cast)
    plays = [play_until(schedule, cast, predicted) for _ in range(ROUNDS)]
    for live, before in plays:
        for line in before:
            print(f"{schedule.name}, {cast}: {line}", file=sys.stderr)
        wrong = differences(live, predicted)
        assert not wrong, f"{schedule.name}, {cast}: {wrong}"
    p99, worst = (max(getattr(live.lateness, name) for live, _ in plays) * 1e3 for name in ("p99", "worst"))
    again = [line for _, before in plays for line in before]
    bare = f"{p99:.1f}, {worst:.1f}" + (f"; again after {', '.join(again)}" if again else "")
    lines = []
    for at, prediction in enumerate(predicted):
        who, since, gap, end = cells(prediction)
        gaps = [live.reigns[at].gap for live, _ in plays]
        measured = ", ".join(f"{seconds * 1e3:.1f}" for seconds in gaps if seconds is not None)
        named = [schedule.name, players(schedule, cast)] if at == 0 else ["", ""]
        lines.append("| " + " | ".join([*named, who, since, gap, measured, end, bare if at == 0 else ""]) + " |")
    return lines


def main() -> None:
    versions = {"keepalived": version_of(Keepalived.program), "frr": version_of(Frr.program)}
    print(HEAD.format(**versions, rounds=ROUNDS, phases=PHASES, late=LATE * 1e3))
    for schedule in SCHEDULES:
        for cast in schedule.casts:
            for line in rows(schedule, cast):
                print(line, flush=True)
            print(f"{schedule.name}, {cast}: done", file=sys.stderr)
    print("\n## The schedules\n")
    for schedule in SCHEDULES:
        missing = f". {schedule.missing[0].upper()}{schedule.missing[1:]}" if schedule.missing else ""
        print(f"* **{schedule.name}**: {schedule.about}{missing}.")


if __name__ == "__main__":
    main()
