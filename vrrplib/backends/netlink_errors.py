"""What the kernel refuses, as a BackendError that says what is missing."""

from __future__ import annotations

import errno

from vrrplib.backends.operations import AddAddress, Operation, SetSysctl
from vrrplib.errors import BackendError

_HINTS = {
    errno.EPERM: "this takes CAP_NET_ADMIN: run as root, or in a user namespace",
    errno.EROFS: "/proc/sys is read-only here, as in a container: mount it writable, or set the value outside",
    errno.EADDRINUSE: "another link on this interface has that MAC: is another VRRP daemon running this VRID?",
    errno.EOPNOTSUPP: "this kind of interface cannot",
    errno.EBUSY: "the interface is a bond's or a bridge's port, or has an ipvlan: use the bond or bridge itself",
}
_NO_ACCESS: dict[type, str] = {
    # the mode of a file below /proc/sys/net is for whoever lacks the capability
    SetSysctl: _HINTS[errno.EPERM],
    AddAddress: "IPv6 is switched off on this interface (disable_ipv6)",
}


def failure(doing: str, error: OSError, operation: Operation | None = None) -> BackendError:
    """What went wrong with ``operation``, or else in ``doing``, and what to do about it."""
    hint = _HINTS.get(error.errno or 0)
    if error.errno == errno.EACCES:
        hint = _NO_ACCESS.get(type(operation))
    message = f"{doing}: {error.strerror}" + (f"; {hint}" if hint else "")
    return BackendError(message, operation=operation or doing, errno=error.errno)
