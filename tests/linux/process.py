"""Programs that the lab started, ended by their pid; and waiting for what is bound to happen."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class Process:
    """A process that the lab started, in a session of its own, with its output in a file.

    It is only ever signalled by its own pid; what is left at the lab's end is killed.
    """

    def __init__(self, namespace: str, argv: list[str], log: Path, environment: dict[str, str] | None) -> None:
        self.argv = argv
        self.log_path = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                ["ip", "netns", "exec", namespace, *argv],  # executes argv in place: the pid is argv's
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self.pid = self._popen.pid

    @property
    def log(self) -> str:
        """Everything it has written so far, on both streams."""
        return self.log_path.read_text(errors="replace")

    @property
    def returncode(self) -> int | None:
        """None while it runs; -N when signal N ended it."""
        return self._popen.poll()

    def children(self) -> tuple[int, ...]:
        """Pids of its direct children."""
        try:
            return tuple(int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split())
        except OSError:
            return ()

    def signal(self, number: int) -> None:
        """Nothing happens when it has ended already."""
        self._popen.send_signal(number)

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def interrupt(self) -> None:
        self.signal(signal.SIGINT)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def wait(self, timeout: float = 10.0) -> int:
        """Its return code; TimeoutError with the end of its log when it does not end."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.argv[0]} has not ended after {timeout} s:\n{self.log[-2000:]}") from None

    def wait_for(self, text: str, timeout: float = 10.0) -> None:
        """Until its output contains the text."""
        wait_until(lambda: text in self.log, timeout, lambda: f"{text!r} in the log of {self.argv}:\n{self.log}")


def wait_until(
    condition: Callable[[], T], timeout: float, what: str | Callable[[], str] = "it", *, pause: float = 0.005
) -> T:
    """The first true value of condition(), asked every `pause`; TimeoutError names what was waited for."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"after {timeout} s still no {what if isinstance(what, str) else what()}")
        time.sleep(pause)
    return value
