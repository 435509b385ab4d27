"""255 virtual routers, adverts each 100 ms, and faults all the while: what holds after half an hour?

    python -m tests.soak --minutes 30

Prints JSON lines: each fault, each gap, a sample of the processes each second, and a verdict for each criterion at
the end; the exit status is 1 if one of them does not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from tests.linux.lab import Host, Lab, unavailable
from tests.linux.process import Process, wait_until
from tests.soak.observer import Gap, Observer
from tests.soak.verdict import RECOVERY, Fault, Sample, Stall, Starved, bursts, excuse, judge

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
HIGH, LOW = 200, 100
INTERVAL = 0.1
WARM = 300.0
START = 60.0  # patience with a start


@dataclass(frozen=True)
class Kind:
    """What can be done to the routers. Undone after some time, if there is anything to undo."""

    begin: Callable[[Soak], int | None]  #: the VRID that alone it is about, 0 for none at all, None for all
    end: Callable[[Soak], None] = lambda soak: None
    interrupts: bool = False  #: whether adverts may be missing meanwhile
    longest: float = 2.0  #: seconds


class Router:
    """One of the two processes, and what it has said."""

    def __init__(self, host: Host, priority: int, count: int) -> None:
        self.host = host
        self.priority = priority
        state = host.lab.directory / f"{host.name}-state"
        self.argv = [sys.executable, "-m", "tests.soak.router", "eth0", str(priority), str(count), str(state)]
        self.logs: list[Path] = []
        self.process: Process

    def start(self) -> None:
        self.started = time.monotonic()
        self.process = self.host.spawn(*self.argv, environment={"PYTHONPATH": str(ROOT)})
        self.logs.append(self.process.log_path)

    def begun(self) -> bool:
        if self.process.returncode is not None:
            raise RuntimeError(f"the router of {self.host.name} ended:\n{self.process.log[-3000:]}")
        return '"begun"' in self.process.log

    def restart(self) -> None:
        self.start()
        wait_until(self.begun, START, lambda: f"start of {self.host.name}:\n{self.process.log[-2000:]}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def links(self) -> list[str]:
        return [link["ifname"] for link in self.host.ip_json("link", "show", "type", "macvlan")]

    def sample(self) -> Sample:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        return Sample(time.monotonic(), self.process.pid, rss, len(os.listdir(f"/proc/{self.process.pid}/fd")))

    def waited(self) -> tuple[int, float]:
        """Its pid, and for how many seconds its main thread has waited for a processor so far."""
        pid = self.process.pid
        return pid, int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e9

    def failures(self) -> list[str]:
        """What no fault explains: it must not raise, and it ends well."""
        text = "".join(path.read_text(errors="replace") for path in self.logs)
        at = text.find("Traceback")
        found = [f"{self.host.name}: {text[at : at + 2000]}"] if at >= 0 else []
        if self.process.returncode != 0:
            found.append(f"{self.host.name}: exit status {self.process.returncode}")
        return found


class Watcher:
    """Looks at the processes all the while, in a thread of its own."""

    STEP = 0.05

    def __init__(self, soak: Soak) -> None:
        self.soak = soak
        self.samples: list[Sample] = []  #: of the one with the higher priority, each second
        self.waits: list[Starved] = []
        self._last: dict[int, tuple[float, float]] = {}

    def __enter__(self) -> Watcher:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self.STEP):
            for router in (self.soak.a, self.soak.b):
                with contextlib.suppress(AttributeError, OSError, StopIteration):  # not begun, or just killed
                    self._look(router)

    def _look(self, router: Router) -> None:
        pid, waited = router.waited()
        now = time.monotonic()
        then, before = self._last.get(pid, (now, waited))
        self._last[pid] = now, waited
        if waited - before > 0.005:
            self.waits.append(Starved(then, now, waited - before, pid))
        if router is self.soak.a and (not self.samples or now - self.samples[-1].time >= 1.0):
            self.samples.append(router.sample())
            sample = {key: value for key, value in asdict(self.samples[-1]).items() if key != "time"}
            self.soak.tell("sample", **sample)


class Soak:
    """The lab, the processes and what is noted."""

    def __init__(self, lab: Lab, *, seed: int, count: int, out: TextIO) -> None:
        self.lab, self.seed, self.count, self.out = lab, seed, count, out
        self.chance = random.Random(seed)
        self.a = Router(lab.host("a", "10.77.0.1/16", "fd77::1/64"), HIGH, count)
        self.b = Router(lab.host("b", "10.77.0.2/16", "fd77::2/64"), LOW, count)
        self.noise = lab.host("noise", "10.77.0.9/16", "fd77::9/64")
        self.observer = Observer(lab.host("observer", "10.77.0.3/16", "fd77::3/64"), 3 * INTERVAL)
        self.faults: list[Fault] = []
        self.watcher = Watcher(self)
        self.timers = [lab.switch.spawn(sys.executable, "-I", "-S", str(HERE / "timer.py"), str(cpu))
                       for cpu in sorted(os.sched_getaffinity(0))]  # fmt: skip

    def tell(self, event: str, **fields: Any) -> None:
        print(json.dumps({"event": event, "at": round(time.monotonic() - self.began, 2), **fields}), file=self.out,
              flush=True)  # fmt: skip

    def play(self, seconds: float) -> bool:
        """Soak for so long; whether every criterion holds."""
        self.began = time.monotonic()
        routers = (self.a, self.b)
        before = [router.host.dump() for router in routers]
        with self.observer, self.watcher:
            for router in routers:
                router.restart()
                self.tell("started", host=router.host.name)
            wait_until(self.stable, START, "all Active")
            self.observer.gaps.clear()  # while they started
            self.began = time.monotonic()
            self.tell("stable", seed=self.seed, virtual_routers=self.count)
            self.inject_until(self.began + seconds)
            gaps = self.observer.gaps + self.observer.still_missing(time.monotonic())
            adverts = self.observer.adverts
        since = time.monotonic()
        for router in routers:
            router.process.terminate()
        for router in routers:
            router.process.wait(START)
        self.tell("ended", seconds=round(time.monotonic() - since, 3), adverts=adverts, gaps=len(gaps))
        left = [f"{router.host.name}: {line}" for router, dump in zip(routers, before, strict=True)
                for line in dump.diff(router.host.dump())]  # fmt: skip
        verdict = judge(
            gaps=gaps,
            faults=self.faults,
            stalls=self.stalls(),
            waits=self.watcher.waits,
            samples=self.watcher.samples,
            warm=self.warm(since),
            left_behind=left,
            failures=[line for router in routers for line in router.failures()],
            # a run that is too short to become warm meets each fault for the first time
            **({} if seconds >= 2 * WARM else {"most_growth": 8 << 10}),
        )
        self.tell_gaps(gaps)
        for criterion in verdict:
            self.tell("verdict", **criterion)
        return all(criterion["holds"] for criterion in verdict)

    def warm(self, ended: float) -> float:
        """Until when memory may grow: five minutes, or half of what the process lives in a short run."""
        return min(self.began + WARM, (self.a.started + ended) / 2)

    def stable(self) -> bool:
        return self.observer.all_from(HIGH, self.count)

    def stalls(self) -> list[Stall]:
        rows = [json.loads(line) for timer in self.timers for line in timer.log.splitlines() if line.endswith("}")]
        return [Stall(row["from"], row["until"]) for row in rows]

    def tell_gaps(self, gaps: list[Gap]) -> None:
        """How many and how long: by each fault, and of each burst that no fault explains."""
        stalls = self.stalls()
        for fault in self.faults:
            caused = [gap.seconds for gap in gaps if fault.excuses(gap)]
            if caused:
                self.tell("gaps", fault=fault.kind, number=len(caused), longest=round(max(caused), 3),
                          begin=round(fault.begin - self.began, 2))  # fmt: skip
        for burst in bursts(gap for gap in gaps if not any(fault.excuses(gap) for fault in self.faults)):
            begin = burst[0].begin
            during = [fault.kind for fault in self.faults if fault.begin <= begin <= fault.end]
            why = {excuse(gap, (), stalls, self.watcher.waits) or "nothing" for gap in burst}
            self.tell("burst", number=len(burst), longest=round(max(gap.seconds for gap in burst), 3),
                      begin=round(begin - self.began, 2), during=during, excused_by=sorted(why))  # fmt: skip

    # -- faults --------------------------------------------------------------------------------------------

    def inject_until(self, end: float) -> None:
        """One fault after the other, each in its turn, in an order that the seed chooses, until the time is up."""
        for name in self.order():
            if not self.rest_until(min(end, time.monotonic() + self.chance.uniform(0.5, 2.5)), end):
                return
            self.inject(name, KINDS[name])

    def order(self) -> Any:
        """The names of faults, without end. The one that is watched dies first, and then no more."""
        yield "a-killed"
        for _ in itertools.count():
            names = [name for name in KINDS if name != "a-killed"]
            self.chance.shuffle(names)
            yield from names

    def inject(self, name: str, kind: Kind) -> None:
        begin = time.monotonic()
        vrid = kind.begin(self)
        self.rest_until(time.monotonic() + self.chance.uniform(0.1, kind.longest), None)
        kind.end(self)
        end = time.monotonic()
        try:
            wait_until(self.stable, RECOVERY, "recovery", pause=0.02)
            recovered: float | None = time.monotonic()
        except TimeoutError:
            recovered = None
        fault = Fault(name, begin, end, recovered, kind.interrupts, vrid)
        self.faults.append(fault)
        self.tell("fault", kind=name, seconds=round(end - begin, 3), vrid=vrid,
                  recovery=None if recovered is None else round(recovered - end, 3))  # fmt: skip

    def rest_until(self, until: float, end: float | None) -> bool:
        """Wait; whether it is not the end yet."""
        time.sleep(max(0.0, until - time.monotonic()))
        return end is None or time.monotonic() < end

    def cut(self, one: Host, other: Host) -> None:
        """Nothing of what one sends reaches the other."""
        rule = f'iifname "{one.port}" oifname "{other.port}" drop'
        text = f"table bridge cut {{ chain c {{ type filter hook forward priority 0; {rule}; }}; }}\n"
        self.lab.switch.run("nft", "-f", "-", text=text)

    def heal(self) -> None:
        self.lab.switch.run("nft", "delete", "table", "bridge", "cut")

    def remove_link(self, router: Router) -> int:
        """Somebody else removes a virtual router's link."""
        links = router.links()
        if not links:
            return 0
        name = self.chance.choice(links)
        router.host.ip("link", "delete", "dev", name)
        return int(name.rsplit("-", 1)[1])

    def remove_address(self, router: Router) -> int:
        """Somebody else removes a virtual address; a Backup has none."""
        links = router.links()
        if not links:
            return 0
        name = self.chance.choice(links)
        for link in router.host.ip_json("address", "show", "dev", name):
            for address in filter(None, link.get("addr_info", ())):
                router.host.ip("address", "delete", f"{address['local']}/{address['prefixlen']}", "dev", name)
                return int(name.rsplit("-", 1)[1])
        return 0

    def make_noise(self) -> None:
        argv = ("-I", "-S", str(HERE / "noise.py"), "eth0", "1", str(self.chance.randrange(1 << 30)))
        self.noise.spawn(sys.executable, *argv).wait()


def _kinds() -> dict[str, Kind]:
    def both(name: str, make: Callable[[Callable[[Soak], Router]], Kind], *, interrupts: bool) -> dict[str, Kind]:
        """The same done to the Active one, which may interrupt, and to the Backup, which must not."""
        a, b = make(lambda soak: soak.a), make(lambda soak: soak.b)
        return {
            f"a-{name}": Kind(a.begin, a.end, interrupts, a.longest),
            f"b-{name}": Kind(b.begin, b.end, False, b.longest),
        }

    def nothing(act: Callable[..., object]) -> Callable[[Soak], None]:
        def wrapped(soak: Soak) -> None:
            act(soak)

        return wrapped

    kinds: dict[str, Kind] = {}
    kinds |= both(
        "port-down",
        lambda of: Kind(nothing(lambda s: s.lab.unplug(of(s).host)), nothing(lambda s: s.lab.plug(of(s).host))),
        interrupts=True,
    )
    kinds |= both(
        "parent-down",
        lambda of: Kind(nothing(lambda s: of(s).host.link_down()), nothing(lambda s: of(s).host.link_up())),
        interrupts=True,
    )
    kinds |= both(
        "stopped",
        lambda of: Kind(
            nothing(lambda s: of(s).process.signal(signal.SIGSTOP)),
            nothing(lambda s: of(s).process.signal(signal.SIGCONT)),
        ),
        interrupts=True,
    )
    kinds |= both(
        "killed",
        lambda of: Kind(nothing(lambda s: of(s).kill()), nothing(lambda s: of(s).restart())),
        interrupts=True,
    )
    kinds |= both("link-removed", lambda of: Kind(lambda s: s.remove_link(of(s))), interrupts=True)
    kinds |= both("address-removed", lambda of: Kind(lambda s: s.remove_address(of(s))), interrupts=True)
    kinds["cut-a-b"] = Kind(nothing(lambda s: s.cut(s.a.host, s.b.host)), Soak.heal)
    kinds["cut-b-a"] = Kind(nothing(lambda s: s.cut(s.b.host, s.a.host)), Soak.heal)
    kinds["garbage"] = Kind(nothing(Soak.make_noise), longest=0.2)
    return kinds


KINDS = _kinds()


def soak(seconds: float, *, seed: int = 1, count: int = 255, out: TextIO = sys.stdout) -> bool:
    """Whether every criterion holds after so long."""
    with Lab() as lab:
        return Soak(lab, seed=seed, count=count, out=out).play(seconds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="chooses the faults (%(default)s)")
    parser.add_argument("--count", type=int, default=255, help="virtual routers (%(default)s)")
    options = parser.parse_args()
    if reason := unavailable():
        print(reason, file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the lab goes, whatever ends us
    return 0 if soak(options.minutes * 60, seed=options.seed, count=options.count) else 1


if __name__ == "__main__":
    sys.exit(main())
