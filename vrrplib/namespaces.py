"""Doing something in another network namespace, without going there."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import threading
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from vrrplib.errors import BackendError, ConfigError

T = TypeVar("T")
Namespace: TypeAlias = str | os.PathLike[str] | int | None
"""A name that ``ip netns`` knows, a path, a process id, a descriptor of a namespace; None: where we are."""

_NAMES = "/run/netns"
_CLONE_NEWNET = 0x40000000


def run_in(netns: Namespace, function: Callable[[], T]) -> T:
    """What ``function()`` returns or raises when it is called in ``netns``; sockets that it opens stay there.

    It runs in a short-lived thread, for setns(2) moves only the thread that calls it: neither this thread nor the
    process changes its namespace. With None it is simply called. An int is a descriptor if it is an open one of
    a namespace, else a process id. Never creates a namespace; BackendError names one that is missing, or that
    one must not enter.
    """
    if netns is None:
        return function()
    descriptor = hold(netns)
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            _enter(descriptor, netns)
            results.append(function())
        except BaseException as error:  # whatever it is, it belongs to the caller
            errors.append(error)

    try:
        thread = threading.Thread(target=work, name=f"in namespace {netns}", daemon=True)
        thread.start()
        thread.join()
    finally:
        os.close(descriptor)
    if errors:
        try:
            raise errors[0]
        finally:
            errors.clear()  # or the error, its traceback and this list would hold each other
    return results[0]


def is_name(name: str) -> bool:
    """Whether ``ip netns`` knows a namespace of that name."""
    return "/" not in name and os.path.exists(f"{_NAMES}/{name}")


def hold(netns: Namespace) -> int:
    """A new descriptor of a namespace, which stays this one whatever its name or process id comes to mean."""
    if netns is None:
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if isinstance(netns, bool) or not isinstance(netns, str | os.PathLike | int):
        raise ConfigError(f"netns must be a name, a path, a process id or a descriptor, not {netns!r}")
    if isinstance(netns, int):
        if _is_namespace(netns):
            return os.dup(netns)
        path = f"/proc/{netns}/ns/net"
    else:
        path = os.fspath(netns)
        if path in ("", ".", ".."):
            raise ConfigError(f"netns must be a name, a path, a process id or a descriptor, not {netns!r}")
        path = path if "/" in path else f"{_NAMES}/{path}"
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESRCH):
            message = f"no network namespace {str(netns)!r}: there is no {path}"
        else:
            message = f"network namespace {str(netns)!r}: {path}: {error.strerror}"
        raise BackendError(message, operation="open", errno=error.errno) from error


def _is_namespace(descriptor: int) -> bool:
    """Namespaces of every kind lie in a file system of their own."""
    try:
        return os.fstat(descriptor).st_dev == os.stat("/proc/self/ns/net").st_dev
    except (OSError, OverflowError):
        return False


def _enter(descriptor: int, netns: str | os.PathLike[str] | int) -> None:
    try:
        _setns(descriptor)
    except OSError as error:
        why = {
            errno.EPERM: "not permitted: it takes CAP_SYS_ADMIN (run as root, or in a user namespace)",
            errno.EINVAL: "is not a network namespace",
        }.get(error.errno or 0, error.strerror)
        raise BackendError(
            f"network namespace {str(netns)!r}: {why}", operation="setns", errno=error.errno
        ) from error


def _setns(descriptor: int) -> None:
    if sys.version_info >= (3, 12):
        os.setns(descriptor, _CLONE_NEWNET)
    elif ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
