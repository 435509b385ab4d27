"""Files below /proc/sys, of the namespace that this thread is in."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable

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


def write_sysctls(operations: Iterable[SetSysctl]) -> list[SetSysctl]:
    """Do ``operations``, in order; which of them were not done. Raises BackendError at the first that fails."""
    return [operation for operation in operations if not write_sysctl(operation)]


def write_sysctl(operation: SetSysctl) -> bool:
    """Do ``operation``; False if somebody has changed it since, so that it is theirs. Raises BackendError."""
    try:
        file = _file(operation.path)
        if operation.expected is not None and file.read_text().strip() != operation.expected:
            return False
        descriptor = os.open(file, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(descriptor, operation.value.encode())
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        if operation.expected is None:
            raise failure(operation.deed, error, operation) from error
    except OSError as error:
        raise failure(operation.deed, error, operation) from error
    return True


def _file(path: str) -> pathlib.Path:
    return pathlib.Path("/proc/sys", path)
