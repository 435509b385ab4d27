"""The lines of a journal, how they get into its file, and what its head says to others."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
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


def begin(path: pathlib.Path, descriptor: int, head: bytes) -> None:
    """Write the first line, or leave no file and no descriptor."""
    try:
        append(descriptor, head)
    except OSError:
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
