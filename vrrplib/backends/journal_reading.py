"""What dead processes have left in their files. Another version's is refused, not ignored or guessed at."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vrrplib.backends.journal_files import decode_lines
from vrrplib.backends.operations import Operation, SetMac, from_dict
from vrrplib.errors import BackendError

FORMAT = 1
"""Of journals: another one for each change of what operations and heads are written as."""
_WAY_OUT = "let the version that wrote it clean up (`vrrplib cleanup`), or undo by hand what it says and remove it"
Perform = Callable[[Sequence[Operation]], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Content:
    """A journal's head, and its operations, oldest first; ``problem`` says why there may be more to undo."""

    head: dict[str, Any]
    operations: tuple[Operation, ...]
    problem: str = ""


def content_of(path: pathlib.Path, data: bytes, boot: str) -> Content | None:
    """What is in a file; None where there is nothing to undo.

    That is so when the head has not been written whole, which goes before all else, or the kernel has been started
    again since: it has forgotten all of it.
    """
    whole = data.count(b"\n")
    if not whole:
        return None
    lines = decode_lines(data)
    head = lines[0] if lines else {}
    if "boot" in head and head["boot"] != boot:
        return None
    if "boot" not in head:
        return Content(head, (), f"{path} is no journal that can be read: {_WAY_OUT}")
    if head.get("format") != FORMAT:
        problem = f"{path} is of another version of vrrplib (format {head.get('format')}, not {FORMAT}): {_WAY_OUT}"
        return Content(head, (), problem)
    operations: list[Operation] = []
    unknown = range(len(lines) + 1, whole + 1)[:1]  # where reading them ended
    for number, line in enumerate(lines[1:], start=2):
        try:
            operations.append(from_dict(line))
        except (KeyError, TypeError):
            unknown = unknown or range(number, number + 1)
    problem = f"{path}: line {unknown[0]} cannot be read: {_WAY_OUT}" if unknown else ""
    return Content(head, tuple(operations), problem)


@dataclasses.dataclass(frozen=True, slots=True)
class Dead:
    """The journal of a dead process: what it says for the interface as it is called now."""

    path: pathlib.Path
    interface: str
    operations: tuple[Operation, ...]
    left_alone: tuple[str, ...]
    problem: str

    def undo(self, perform: Perform) -> None:
        """Newest first; the file goes only when all of it is undone."""
        undo_lines(self.path, self.operations[::-1], self.problem, perform)


def macs_of(content: Content) -> set[str]:
    """Those that the interface had: its own, and what it was given while Active."""
    swaps = [operation for operation in content.operations if isinstance(operation, SetMac)]
    return {str(content.head.get("mac")), *(mac for swap in swaps for mac in (swap.mac, swap.expected) if mac)}


def undo_lines(path: pathlib.Path, undo: Sequence[Operation], problem: str, perform: Perform) -> None:
    """Each of them, whatever fails; the first BackendError is raised at the end, and else the file removed."""
    errors = []
    for operation in undo:
        try:
            perform((operation,))
        except BackendError as error:
            errors.append(error)
    if problem:
        errors.append(BackendError(problem, operation="journal"))
    if errors:
        raise errors[0]
    path.unlink(missing_ok=True)


@contextlib.contextmanager
def if_dead(path: pathlib.Path) -> Iterator[bytes | None]:
    """What is in a journal whose process is dead, locked meanwhile; None for one whose process lives."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        yield None
        return
    try:
        yield path.read_bytes()
    finally:
        os.close(descriptor)
