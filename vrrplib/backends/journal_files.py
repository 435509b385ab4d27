"""The lines of a journal, how they get into its file, and what its head says to others."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from vrrplib.backends.host import Claim
from vrrplib.errors import BackendError


def encode_line(values: dict[str, Any]) -> bytes:
    """One line of a journal."""
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def decode_lines(data: bytes) -> list[dict[str, Any]]:
    """The lines of a journal; a last one that was torn is left out: what it would have undone was not begun."""
    lines = []
    for line in data.split(b"\n")[:-1]:
        try:
            values = json.loads(line)
        except ValueError:
            break
        if not isinstance(values, dict):
            break
        lines.append(values)
    return lines


def append(descriptor: int, lines: bytes) -> None:
    """All of ``lines`` or, on a full disk, none of them: what comes after a torn line could not be read."""
    size = os.fstat(descriptor).st_size
    try:
        written = 0
        while written < len(lines):
            written += os.write(descriptor, lines[written:])  # writes less before it fails
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def cut_torn_end(descriptor: int) -> bytes:
    """The whole lines of a file that others go on writing, without a last one whose writer died."""
    data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.ftruncate(descriptor, len(whole))
    return whole


def locked_file(path: pathlib.Path, data: bytes) -> int:
    """A new file with ``data``, locked; or no file, and OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    begin(path, descriptor, data)
    return descriptor


def begin(path: pathlib.Path, descriptor: int, head: bytes) -> None:
    """Write the first line, or leave no file and no descriptor."""
    try:
        append(descriptor, head)
    except BaseException:  # Ctrl-C too
        path.unlink(missing_ok=True)
        os.close(descriptor)
        raise


def is_at(descriptor: int, path: pathlib.Path) -> bool:
    """Whether an open file is still the one at ``path``."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False


def refuse_company(claim: Claim, path: pathlib.Path, company: dict[pathlib.Path, dict[str, Any]]) -> None:
    """BackendError if one of the heads of ``company`` leaves no room for ``claim``, whose journal is ``path``."""
    if (mine := company.get(path)) is not None:
        raise BackendError(
            f"{claim.interface}: IPv{claim.family} VRID {claim.vrid} is held by {who(mine)}: end it first",
            operation="claim",
        )
    for head in company.values():
        if claim.exclusive or head.get("exclusive"):
            raise BackendError(
                f"{claim.interface}: {who(head)} runs VRID {head.get('vrid')} here ({head.get('backend')}), and "
                "with MAC swap an interface has room for one virtual router only",
                operation="claim",
            )


def who(head: dict[str, Any]) -> str:
    """Whose journal it is."""
    return f"process {head.get('pid', '?')}"


@contextlib.contextmanager
def explained(path: pathlib.Path) -> Iterator[None]:
    """An OSError as a BackendError that says what to do."""
    try:
        yield
    except OSError as error:
        raise BackendError(
            f"the journal cannot be kept in {path}: {error.strerror}; give another place (--state-dir)",
            operation="journal",
            errno=error.errno,
        ) from error
