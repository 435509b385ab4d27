"""Twelve schedules, each written once and played twice: by the simulator, and by live daemons in a lab.

Of both there are the frames at the switch and nothing else, and :func:`reigns` reads them alike: who advertised
from when to when, and how long after the last frame to which its timer was set. A schedule is simulated once for
each of many phases of what is done to it, against the rhythm of adverts, so that a prediction is a range of times.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from tests.linux.capture import Frame
from vrrplib.election.events import ConfigChanged, PriorityChanged
from vrrplib.lab.simulator import SimulatedNode, Simulation
from vrrplib.profiles import FRR_8_4, KEEPALIVED_2_2, Profile
from vrrplib.rules import RFC3768, RFC9568
from vrrplib.wire.checksum import ChecksumForm

VRID, ADDRESS = 51, "10.77.0.100/24"
OURS = Profile(name="vrrplib", version_2=RFC3768, version_3=RFC9568, accept_checksum=ChecksumForm.EITHER)
PROFILES = {"keepalived": KEEPALIVED_2_2, "frr": FRR_8_4, "ours": OURS}
PHASES = 16


@dataclass(frozen=True)
class Machine:
    """A router of a schedule. Its address is 10.77.0.1 for a, .2 for b, .3 for c."""

    name: str
    priority: int
    interval: float = 0.2
    version: int = 3
    preempt: bool = True

    @property
    def address(self) -> str:
        return f"10.77.0.{'abc'.index(self.name) + 1}"

    @property
    def patience(self) -> float:
        """Longer than any router needs to find out that nobody else is there."""
        return 4.2 * self.interval if self.version == 3 else 3 * self.interval + 1.2


@dataclass(frozen=True)
class Step:
    """Something is done to a machine; then nothing for ``rest`` seconds, by default until all is calm."""

    what: str
    """start, crash (SIGKILL), resign (SIGTERM), deafen or hear (``other``), priority or interval (``value``)."""
    who: str
    other: str = ""
    value: float = 0.0
    rest: float | None = None


@dataclass(frozen=True)
class Schedule:
    """``casts`` says who plays a, b and c; ``missing`` why a cast that one would expect is not there."""

    name: str
    about: str
    machines: tuple[Machine, ...]
    steps: tuple[Step, ...]
    casts: tuple[tuple[str, ...], ...] = (("keepalived", "frr"), ("frr", "keepalived"))
    missing: str = ""

    def rest(self, step: Step) -> float:
        """Seconds until all is calm after a step."""
        slowest = max(machine.patience for machine in self.machines)
        changed = [4.2 * item.value for item in self.steps if item.what == "interval"]
        return max([slowest, *changed]) + 0.5 if step.rest is None else step.rest


A, B, C = Machine("a", 200), Machine("b", 100), Machine("c", 50)
START_A, START_B = Step("start", "a"), Step("start", "b")

SCHEDULES = (
    Schedule(
        "crash",
        "a dies, and comes back",
        (A, B),
        (START_A, START_B, Step("crash", "a"), START_A),
    ),
    Schedule("resignation", "a resigns", (A, B), (START_A, START_B, Step("resign", "a"))),
    Schedule(
        "both owners",
        "two of priority 255, the second of which has the lower address",
        (Machine("a", 255, 1.0), Machine("b", 255, 1.0)),
        (START_B, START_A),
        casts=(("keepalived", "keepalived"), ("keepalived", "ours")),
        missing="FRR cannot own an address: its priorities end at 254",
    ),
    Schedule(
        "equal priority",
        "the higher address comes later, and waits; then the other dies, and comes back",
        (Machine("a", 100), B),
        (START_A, START_B, Step("crash", "a"), START_A, Step("crash", "b")),
    ),
    Schedule(
        "preempt off",
        "a comes later, and waits until b dies",
        (replace(A, preempt=False), B),
        (START_B, START_A, Step("crash", "b")),
    ),
    Schedule(
        "one-way",
        "b does not hear a for a while, and a hears b",
        (A, B),
        (START_A, START_B, Step("deafen", "b", "a"), Step("hear", "b", "a")),
    ),
    Schedule(
        "priority change",
        "a tracked file takes 150 from a, and gives it back",
        (A, B),
        (START_A, START_B, Step("priority", "a", value=50), Step("priority", "a", value=200)),
        casts=(("keepalived", "frr"), ("keepalived", "keepalived")),
        missing="FRR has no tracked files, and takes part as the other one",
    ),
    Schedule(
        "interval change",
        "a advertises at half the rate from now on, and dies: b has learned that",
        (A, B),
        (START_A, START_B, Step("interval", "a", value=0.4), Step("crash", "a")),
    ),
    Schedule(
        "restart while Backup",
        "b dies and comes back, unheard; then a dies",
        (A, B),
        (START_A, START_B, Step("crash", "b"), START_B, Step("crash", "a")),
    ),
    Schedule(
        "three routers",
        "a dies, then b resigns: c is last, and waits through the first",
        (A, Machine("b", 150), C),
        (START_A, START_B, Step("start", "c"), Step("crash", "a"), Step("resign", "b")),
        casts=(("keepalived", "frr", "ours"), ("frr", "keepalived", "ours")),
    ),
    Schedule(
        "10 ms",
        "adverts each 10 ms: a dies",
        (Machine("a", 200, 0.01), Machine("b", 100, 0.01)),
        (START_A, START_B, Step("crash", "a")),
    ),
    Schedule(
        "v2 with v3",
        "one speaks version 2, the other version 3: neither hears the other",
        (Machine("a", 200, 1.0, version=2), Machine("b", 100, 1.0)),
        (START_A, START_B, Step("resign", "a")),
    ),
)
"""In the order of issue and documentation."""


# -- what was on the wire ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """A step, and when it was done."""

    time: float
    step: Step


@dataclass
class Played:
    """All that is known of a play: frames at the switch, and what was done."""

    frames: list[Frame] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    end: float = 0.0


@dataclass(frozen=True)
class Reign:
    """A series of adverts of one machine.

    ``since`` is what set its timer last: the machine and the priority of a frame, or "its start", which is not on
    the wire; ``gap`` the seconds from there to its first advert. ``end`` is "resigned", "gave way" (to a better one
    that it heard), "crashed" or "goes on"; ``beside`` those who advertised before and went on to. ``answers`` says
    whether it answered others with adverts out of its rhythm.
    """

    who: str
    first: float
    last: float
    since: str
    gap: float | None
    end: str
    beside: tuple[str, ...] = ()
    answers: bool = False

    @property
    def story(self) -> tuple[object, ...]:
        """All but the times."""
        return self.who, self.since, self.end, self.beside, self.answers


BREAK = 3.0
"""Own intervals of silence after which a new reign begins: no Backup would have waited for longer."""
CALM = 0.05
"""Seconds that a process may take to hear, or to be killed."""


def reigns(schedule: Schedule, played: Played) -> list[Reign]:
    """The reigns of a play, in the order of their first adverts."""
    machines = {machine.name: machine for machine in schedule.machines}
    series = [run for name in machines for run in _runs(frame for frame in played.frames if frame.port == name)]
    series.sort(key=lambda run: run[0].time)
    spans = [(run[0].port, run[0].time, run[-1].time) for run in series]
    found = []
    for run in series:
        who, first, last = run[0].port, run[0].time, run[-1].time
        since, gap = _cause(machines[who], run[0], played)
        calm = max(0.5 * machines[who].interval, CALM)
        beside = tuple(name for name, begin, end in spans if name != who and begin < first and end > first + calm)
        end = _end(machines[who], run[-1], played)
        found.append(Reign(who, first, last, since, gap, end, beside, _answers(run, played)))
    return found


def _runs(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    run: list[Frame] = []
    for frame in frames:
        advert = frame.advertisement
        if advert is None:
            continue
        if run:
            before = run[-1].advertisement
            assert before is not None
            if before.priority == 0 or frame.time - run[-1].time > BREAK * before.interval:
                yield run
                run = []
        run.append(frame)
    if run:
        yield run


def _heard(machine: Machine, played: Played, until: float) -> list[Frame]:
    """What a machine could hear until then, since it was started last."""
    begun = max(
        (item.time for item in _done(played, machine, until) if item.step.what == "start"), default=math.inf
    )
    heard = []
    for frame in played.frames:
        advert = frame.advertisement
        if frame.port == machine.name or not begun <= frame.time < until or advert is None:
            continue
        links = [item.step.what for item in _done(played, machine, frame.time) if item.step.other == frame.port]
        if advert.version == machine.version and links[-1:] != ["deafen"]:
            heard.append(frame)
    return heard


def _done(played: Played, machine: Machine, until: float) -> list[Done]:
    return [item for item in played.done if item.step.who == machine.name and item.time <= until]


def _cause(machine: Machine, first: Frame, played: Played) -> tuple[str, float | None]:
    """The last frame before ``first`` that sets the timer of a Backup, and how long ago it was."""
    ours = first.advertisement
    assert ours is not None
    if ours.priority == 255:
        return "its start", None  # an owner waits for nobody
    for frame in reversed(_heard(machine, played, first.time)):
        advert = frame.advertisement
        assert advert is not None
        if advert.priority == 0 or not machine.preempt or advert.priority >= _priority(machine, played, frame.time):
            return f"{frame.port} {advert.priority}", first.time - frame.time
    return "its start", None


def _priority(machine: Machine, played: Played, time: float) -> int:
    changed = [item.step.value for item in _done(played, machine, time) if item.step.what == "priority"]
    return int(changed[-1]) if changed else machine.priority


def _answers(run: list[Frame], played: Played) -> bool:
    for before, frame in itertools.pairwise(run):
        advert = frame.advertisement
        assert advert is not None
        if advert.priority and frame.time - before.time < 0.9 * advert.interval:
            others = [other.time for other in played.frames if other.port != frame.port]
            soon = min(CALM, 0.5 * advert.interval)
            if any(frame.time - soon < time <= frame.time for time in others):
                return True
    return False


def _end(machine: Machine, last: Frame, played: Played) -> str:
    advert = last.advertisement
    assert advert is not None
    if advert.priority == 0:
        return "resigned"
    soon = last.time + BREAK * advert.interval
    crashes = [item.time for item in _done(played, machine, soon) if item.step.what == "crash"]
    if any(last.time - CALM <= crash for crash in crashes):
        return "crashed"
    return "goes on" if played.end - last.time < max(1.5 * advert.interval, CALM) else "gave way"


# -- the simulator's play ----------------------------------------------------------------------------------


def simulate(schedule: Schedule, cast: tuple[str, ...], phase: float = 0.0) -> Played:
    """A play in the simulator; ``phase`` is the part of an interval by which each step but a start comes later."""
    simulation = Simulation()
    played = Played()
    simulation.switch.taps.append(
        lambda port, frame: (
            played.frames.append(Frame(simulation.now, port, frame))
            if Frame(0.0, port, frame).advertisement
            else None
        )
    )
    machines = {
        machine.name: (machine, PROFILES[who]) for machine, who in zip(schedule.machines, cast, strict=True)
    }
    nodes: dict[str, SimulatedNode] = {}
    for step in schedule.steps:
        machine, profile = machines[step.who]
        if step.what != "start":
            simulation.run(until=simulation.now + phase * machine.interval)
        played.done.append(Done(simulation.now, step))
        _do(simulation, nodes, machine, profile, step)
        simulation.run(until=simulation.now + schedule.rest(step))
    played.end = simulation.now
    return played


def _do(
    simulation: Simulation, nodes: dict[str, SimulatedNode], machine: Machine, profile: Profile, step: Step
) -> None:
    config = profile.config(
        version=machine.version,
        vrid=VRID,
        addresses=[ADDRESS],
        primary_address=machine.address,
        priority=machine.priority,
        advertisement_interval=machine.interval,
        preempt=machine.preempt,
    )
    match step.what:
        case "start" if step.who in nodes:
            simulation.restart(nodes[step.who])
        case "start":
            nodes[step.who] = simulation.add(step.who, config)
        case "crash":
            simulation.kill(nodes[step.who])
        case "resign":
            simulation.shutdown(nodes[step.who])
        case "deafen":
            simulation.switch.block(step.other, step.who)
        case "hear":
            simulation.switch.unblock(step.other, step.who)
        case "priority":
            simulation.handle(nodes[step.who], PriorityChanged(int(step.value)))
        case "interval":
            simulation.handle(nodes[step.who], ConfigChanged(replace(config, advertisement_interval=step.value)))
        case _:
            raise AssertionError(f"not a step: {step.what}")


@dataclass(frozen=True)
class Prediction:
    """A reign as the simulator has it in every phase, and the least and the greatest of its gaps."""

    story: tuple[object, ...]
    least: float | None
    most: float | None


def predict(schedule: Schedule, cast: tuple[str, ...]) -> list[Prediction]:
    """What the simulator says of a schedule; it must say the same in every phase, but for times."""
    plays = [reigns(schedule, simulate(schedule, cast, number / PHASES)) for number in range(PHASES)]
    stories = {tuple(reign.story for reign in play) for play in plays}
    if len(stories) != 1:
        raise AssertionError(f"{schedule.name} depends on the phase: {stories}")
    predictions = []
    for same in zip(*plays, strict=True):
        gaps = [reign.gap for reign in same if reign.gap is not None]
        predictions.append(Prediction(same[0].story, min(gaps, default=None), max(gaps, default=None)))
    return predictions
