"""What was noted during a soak, judged: a line for each criterion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.soak.observer import Gap

MOST_GROWTH = 1024  # KiB
WHILE = 10  # samples
RECOVERY = 5.0  # seconds after the end of a fault until all is as it was before


@dataclass(frozen=True)
class Fault:
    """One that was injected; seconds of CLOCK_MONOTONIC."""

    kind: str
    begin: float
    end: float  #: when it was taken away
    recovered: float | None  #: when the router with the higher priority was Active for all again
    interrupts: bool  #: adverts may be missing meanwhile
    vrid: int | None = None  #: of this virtual router only

    def excuses(self, gap: Gap) -> bool:
        until = self.end + RECOVERY if self.recovered is None else self.recovered
        return self.interrupts and self.vrid in (None, gap.vrid) and gap.begin <= until and gap.end >= self.begin


@dataclass(frozen=True)
class Stall:
    """A time in which a bare timer did not run."""

    begin: float
    end: float

    def excuses(self, gap: Gap) -> bool:
        """Whether it lay in the same 100 ms."""
        return self.begin - 0.1 <= gap.end and self.end + 0.1 >= gap.begin


@dataclass(frozen=True)
class Starved:
    """A time in which a router's process wanted a processor, and for how much of it it did not get one."""

    begin: float
    end: float
    waited: float  #: seconds
    pid: int = 0


def starved(gap: Gap, times: Iterable[Starved], interval: float) -> bool:
    """Whether the kernel kept one router from running for so much of a gap that the rest is none."""
    waited: dict[int, float] = {}
    for time in times:
        if time.begin <= gap.end and time.end >= gap.begin:
            waited[time.pid] = waited.get(time.pid, 0.0) + time.waited
    return gap.seconds - max(waited.values(), default=0.0) <= 2 * interval


@dataclass(frozen=True)
class Sample:
    """A process at some time."""

    time: float
    pid: int
    rss: int  #: KiB
    descriptors: int


def excuse(
    gap: Gap, faults: Iterable[Fault], stalls: Iterable[Stall], waits: Iterable[Starved] = (), interval: float = 0.1
) -> str | None:
    """Why a gap is none of ours, or None: a fault, a stall that a bare timer saw, or no processor for ours."""
    for fault in faults:
        if fault.excuses(gap):
            return fault.kind
    if any(stall.excuses(gap) for stall in stalls):
        return "stall"
    return "starved" if starved(gap, waits, interval) else None


def bursts(gaps: Iterable[Gap]) -> list[list[Gap]]:
    """Gaps of several virtual routers at the same time, together."""
    found: list[list[Gap]] = []
    for gap in sorted(gaps, key=lambda gap: gap.begin):
        if found and gap.begin <= found[-1][-1].end:
            found[-1].append(gap)
        else:
            found.append([gap])
    return found


def growth(samples: Sequence[Sample], warm: float) -> tuple[int, int]:
    """By how much memory (KiB) and descriptors exceed what they were until `warm`, in the process that is left.

    Descriptors are the fewest of a while at the end: one that leaks is there all the time, and a file below
    /proc/sys that is being written shows in one sample only.
    """
    pid = samples[-1].pid
    before = [sample for sample in samples if sample.pid == pid and sample.time <= warm]
    after = [sample for sample in samples if sample.pid == pid and sample.time > warm]
    if not before or not after:
        raise ValueError("the process has not run both before and after the warm-up")
    return (
        max(sample.rss for sample in after) - max(sample.rss for sample in before),
        min(sample.descriptors for sample in after[-WHILE:]) - max(sample.descriptors for sample in before),
    )


def judge(
    *,
    gaps: Sequence[Gap],
    faults: Sequence[Fault],
    stalls: Sequence[Stall],
    waits: Sequence[Starved] = (),
    samples: Sequence[Sample],
    warm: float,
    left_behind: Sequence[str],
    failures: Sequence[str],
    most_growth: int = MOST_GROWTH,
) -> list[dict[str, Any]]:
    """One object for each criterion: its name, whether it holds, and the figures."""
    excuses = [(gap, excuse(gap, faults, stalls, waits)) for gap in gaps]
    bare = [gap for gap, why in excuses if why is None]
    memory, descriptors = growth(samples, warm)
    slow = [fault for fault in faults if fault.recovered is None or fault.recovered - fault.end > RECOVERY]
    return [
        {"criterion": "no gap above three intervals without a fault or a stall of the machine", "holds": not bare,
         "gaps": len(gaps), "stalls": len(stalls), "unexcused": len(bare),
         "by stalls": sum(why == "stall" for _, why in excuses),
         "without a processor": sum(why == "starved" for _, why in excuses)},
        {"criterion": f"memory grows by less than {most_growth} KiB after the warm-up",
         "holds": memory < most_growth, "KiB": memory},
        {"criterion": "descriptors do not grow", "holds": descriptors <= 0, "more": descriptors},
        {"criterion": f"all is as before within {RECOVERY:g} s after each fault", "holds": not slow,
         "faults": len(faults), "slow": [asdict(fault) for fault in slow[:20]]},
        {"criterion": "the host is restored", "holds": not left_behind, "differs": list(left_behind[:20])},
        {"criterion": "no process failed", "holds": not failures, "failures": list(failures[:20])},
    ]  # fmt: skip
