"""Files below /proc/sys, of the namespace that this thread is in."""

from __future__ import annotations

import pathlib

from vrrplib.backends.netlink_errors import failure
from vrrplib.backends.operations import SetSysctl


def read_sysctl(path: str) -> str | None:
    """What a file holds, stripped; None if it is not there. Raises BackendError."""
    try:
        return _file(path).read_text().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failure(f"reading {path}", error) from error


def write_sysctl(operation: SetSysctl) -> None:
    """Do ``operation``. Raises BackendError."""
    try:
        file = _file(operation.path)
        if operation.expected is not None and file.read_text().strip() != operation.expected:
            return  # somebody has changed it since: it is theirs
        file.write_text(operation.value)
    except FileNotFoundError as error:
        if operation.expected is None:
            raise failure(operation.command, error, operation) from error
    except OSError as error:
        raise failure(operation.command, error, operation) from error


def _file(path: str) -> pathlib.Path:
    return pathlib.Path("/proc/sys", path)
