"""Network namespaces without a name, and the few links that the demo needs in them, by rtnetlink messages.

Made by hand: a bridge, veth pairs and addresses are all there is, and the library itself has no use for them.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import socket
import struct
import threading
from pathlib import Path

from vrrplib.errors import BackendError

_CAP_SYS_ADMIN = 21
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_NEWLINK, _NEWADDR = 16, 20
_REQUEST_ACK, _CREATE_EXCL = 0x5, 0x600
_IFF_UP = 1
_IFNAME, _MASTER, _LINKINFO, _NET_NS_FD = 3, 10, 18, 28  # IFLA_*
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBi")  # ifaddrmsg: family, prefix length, flags, scope, index


class NotHereError(BackendError):
    """This machine cannot show the demo: no right to make namespaces, or a kernel without what it takes."""


def new_namespace() -> int:
    """A descriptor of a new network namespace, which nobody is in: it lives as long as the descriptor."""
    made: list[int] = []
    errors: list[NotHereError] = []

    def make() -> None:
        try:
            _unshare("making a network namespace", _CLONE_NEWNET)
            made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        except NotHereError as error:
            errors.append(error)

    thread = threading.Thread(target=make)  # unshare(2) moves the thread that calls it, and that one ends
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return made[0]


def get_the_right() -> None:
    """Who may not make network namespaces may in a user namespace of its own, where the kernel allows that.

    For a process with one thread (unshare(2)). NotHereError where it does not.
    """
    status = Path("/proc/self/status").read_text()
    capabilities = int(status.partition("CapEff:")[2].split()[0], 16)
    if capabilities >> _CAP_SYS_ADMIN & 1:
        return
    uid, gid = os.geteuid(), os.getegid()
    _unshare("making a user namespace", _CLONE_NEWUSER)
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    except OSError as error:
        raise NotHereError(f"making a user namespace: {error.strerror}", errno=error.errno) from None


def add_bridge(name: str) -> None:
    """A bridge, down, in the namespace of this thread."""
    kind = _attribute(_INFO_KIND, b"bridge")
    _ask(_NEWLINK, _CREATE_EXCL, _link() + _name(name) + _attribute(_LINKINFO, kind), f"making bridge {name}")


def add_veth(name: str, peer: str, peer_namespace: int) -> None:
    """A cable: one end here, the other, ``peer``, in the namespace of that descriptor; both down."""
    other = _link() + _name(peer) + _attribute(_NET_NS_FD, struct.pack("=I", peer_namespace))
    data = _attribute(_INFO_DATA, _attribute(_VETH_PEER, other))
    info = _attribute(_LINKINFO, _attribute(_INFO_KIND, b"veth") + data)
    _ask(_NEWLINK, _CREATE_EXCL, _link() + _name(name) + info, f"making veth {name}")


def set_link(name: str, *, up: bool, master: str | None = None) -> None:
    """Set a link up or down, and make it a port of the bridge ``master``."""
    message = _link(socket.if_nametoindex(name), _IFF_UP if up else 0, _IFF_UP)
    if master is not None:
        message += _attribute(_MASTER, struct.pack("=I", socket.if_nametoindex(master)))
    _ask(_NEWLINK, 0, message, f"setting {name} {'up' if up else 'down'}")


def add_address(name: str, address: str) -> None:
    """Give a link an IPv4 address with its length."""
    interface = ipaddress.IPv4Interface(address)
    packed = interface.ip.packed
    head = _ADDRESS.pack(socket.AF_INET, interface.network.prefixlen, 0, 0, socket.if_nametoindex(name))
    message = head + _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
    _ask(_NEWADDR, _CREATE_EXCL, message, f"giving {name} the address {address}")


def _link(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return _LINK.pack(socket.AF_UNSPEC, 0, index, flags, change)


def _name(name: str) -> bytes:
    return _attribute(_IFNAME, name.encode() + b"\0")


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _ask(kind: int, flags: int, message: bytes, doing: str) -> None:
    """Send one request from this thread's namespace, and wait for its acknowledgement."""
    request = _HEADER.pack(_HEADER.size + len(message), kind, flags | _REQUEST_ACK, 1, 0) + message
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as netlink:
        netlink.send(request)
        number = -struct.unpack_from("=i", netlink.recv(8192), _HEADER.size)[0]
    if number:
        raise NotHereError(f"{doing}: {os.strerror(number)}", operation=doing, errno=number)


def _unshare(doing: str, flag: int) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(flag):
        number = ctypes.get_errno()
        raise NotHereError(f"{doing}: {os.strerror(number)}", operation="unshare", errno=number)
