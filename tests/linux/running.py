"""`vrrplib run` as a process in a host of the lab."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.linux.lab import Host
from tests.linux.process import Process, wait_until

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"PYTHONPATH": str(ROOT)}
V4, V6 = ("10.77.0.100/24",), ("fe80::5e:51/64", "fd77::100/64")
VIRTUAL_V4, VIRTUAL_V6 = "00:00:5e:00:01:33", "00:00:5e:00:02:33"  # VRID 51


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "vrrplib", *arguments]


class Running:
    """One virtual router. Its journal lies in a directory of its own below the lab's."""

    def __init__(
        self,
        host: Host,
        addresses: tuple[str, ...] = V4,
        *,
        vrid: int = 51,
        priority: int = 100,
        interval: float = 0.1,
        backend: str = "macvlan",
        options: tuple[str, ...] = (),
    ) -> None:
        self.host = host
        self.state_dir = host.lab.directory / f"{host.name}-state"
        words = [word for address in addresses for word in ("--address", address)]
        self.argv = command(
            "run", "eth0", "--vrid", str(vrid), *words, "--priority", str(priority), "--interval", str(interval),
            "--backend", backend, "--state-dir", str(self.state_dir), "--json", *options,
        )  # fmt: skip
        self.process: Process

    def start(self) -> Running:
        self.process = self.host.spawn(*self.argv, environment=ENVIRONMENT)
        return self

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.process.log.splitlines() if line.startswith("{")]

    @property
    def state(self) -> str | None:
        return next((event["new"] for event in reversed(self.events) if event["event"] == "state"), None)

    def wait(self, state: str, timeout: float = 30.0) -> Running:
        wait_until(lambda: self.state == state, timeout, lambda: f"{state} of {self.argv}:\n{self.process.log}")
        return self

    def end(self) -> None:
        """SIGTERM, and a good end."""
        self.process.terminate()
        assert self.process.wait() == 0, self.process.log

    def crash(self) -> None:
        self.process.kill()
        self.process.wait()

    def cleanup(self) -> str:
        """`vrrplib cleanup`; what it printed."""
        finished = self.host.run(
            "env", f"PYTHONPATH={ROOT}", *command("cleanup", "--state-dir", str(self.state_dir))
        )
        return finished.stdout

    def leavings(self) -> list[str]:
        """The files that are left of its journal."""
        return sorted(str(path.relative_to(self.state_dir)) for path in self.state_dir.rglob("*"))
