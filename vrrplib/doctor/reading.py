"""Single facts of this host: of links by ioctl(2), of processes and hardware from /proc, /sys and /run.

Functions that speak of a network namespace are called in it; where the files of /proc or /sys may not be read, or
are another namespace's, there is no fact.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import select
import socket
import struct
import time
from pathlib import Path

from vrrplib.doctor.facts import CAPABILITIES, Machine, Privileges, Program

SO_NETNS_COOKIE = 71
_SIOCGIFFLAGS, _SIOCGIFHWADDR, _SIOCETHTOOL, _ETHTOOL_GDRVINFO = 0x8913, 0x8927, 0x8946, 3
_IFF_RUNNING = 0x40
_NS_GET_USERNS = 0xB701
_INITIAL_USER_NAMESPACE = 0xEFFFFFFD  # PROC_USER_INIT_INO
_WAIT, _WAITS = 0.01, 50
_HIGHEST_PRIORITY = 99
_NETWORKD = "systemd-network"  # as long as /proc tells names
_PROGRAMS = {"keepalived", "vrrpd", "uvrrpd", "ucarp", "carp", "holod"}
_MANAGERS = {"NetworkManager", _NETWORKD}


def link_state(interface: str) -> tuple[bool, int, str]:
    """Whether there is a carrier, the ARPHRD type, and the driver's name as ethtool(8) tells it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        name = interface.encode()[:15].ljust(16, b"\0")
        (flags,) = struct.unpack_from("=H", fcntl.ioctl(asking, _SIOCGIFFLAGS, name + bytes(24)), 16)
        (hardware,) = struct.unpack_from("=H", fcntl.ioctl(asking, _SIOCGIFHWADDR, name + bytes(24)), 16)
        return bool(flags & _IFF_RUNNING), hardware, _driver(asking, name)


def _driver(asking: socket.socket, name: bytes) -> str:
    import ctypes  # noqa: PLC0415  # for the address of the answer only

    answer = ctypes.create_string_buffer(struct.pack("=I", _ETHTOOL_GDRVINFO), 196)
    request = struct.pack("@16sP16x", name, ctypes.addressof(answer))
    try:
        fcntl.ioctl(asking, _SIOCETHTOOL, request)
    except OSError:
        return ""
    return answer.raw[4:36].split(b"\0")[0].decode(errors="replace")


def bridge_state(name: str, index: int) -> tuple[bool | None, bool | None]:
    """Whether a bridge snoops multicast, and whether it asks for memberships itself."""
    folder = Path("/sys/class/net", name)
    if _text(folder / "ifindex") != str(index):  # another namespace's /sys
        return None, None
    snooping, querier = (_text(folder / "bridge" / f"multicast_{what}") for what in ("snooping", "querier"))
    return (None if snooping is None else snooping != "0"), (None if querier is None else querier != "0")


def netns_cookie() -> int | None:
    """None before Linux 5.14."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as asking, contextlib.suppress(OSError):
        return int.from_bytes(asking.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), "little")
    return None


def privileges(*, elsewhere: bool) -> Privileges:
    """What this process may do in the network namespace of this thread."""
    status = Path("/proc/self/status").read_text()
    (effective,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    return Privileges(
        capabilities=frozenset(name for name, number in CAPABILITIES.items() if effective >> number & 1),
        foreign_namespace=_is_foreign(),
        initial_user_namespace=os.stat("/proc/self/ns/user").st_ino == _INITIAL_USER_NAMESPACE,
        other_namespace=elsewhere,
        realtime_limit=_HIGHEST_PRIORITY if limit == resource.RLIM_INFINITY else limit,
    )


def _is_foreign() -> bool:
    descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.close(fcntl.ioctl(descriptor, _NS_GET_USERNS))
    except OSError as error:
        return error.errno == errno.EPERM  # it is above ours, or beside it
    finally:
        os.close(descriptor)
    return False


def proc_sys_is_read_only() -> bool:
    return bool(os.statvfs("/proc/sys/net").f_flag & os.ST_RDONLY)


def proc_sys_is_writable(interface: str) -> bool:
    """By this user, as the kernel decides when the file is opened."""
    return os.access(f"/proc/sys/net/ipv4/conf/{interface}/arp_ignore", os.W_OK, effective_ids=True)


def why_no_journal(directory: Path, cookie: int | None) -> str | None:
    """Why ``directory``, which need not be there yet, cannot hold the journal of a namespace; None if it can."""
    mine = directory / f"netns-{cookie}"
    for place in (mine, *mine.parents):
        if not place.exists():
            continue
        if not place.is_dir():
            return f"{place} is no directory"
        if os.statvfs(place).f_flag & os.ST_RDONLY:
            return f"{place} is on a read-only file system"
        if not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
            return f"{place} cannot be written by this user"
        return None
    return "there is no root directory"


def programs(index: int) -> tuple[tuple[Program, ...], tuple[str, ...]]:
    """Programs that move addresses in this thread's namespace, and those that configure its link ``index``."""
    here = os.stat("/proc/thread-self/ns/net")
    found: dict[str, Program] = {}
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        name = _text(folder / "comm")
        if name not in _PROGRAMS | _MANAGERS or name in found:
            continue
        try:
            if not os.path.samestat(os.stat(folder / "ns/net"), here):
                continue
            found[name] = Program(name, int(folder.name))
        except PermissionError:
            found[name] = Program(name, int(folder.name), certain=False)
        except OSError:
            continue  # it has just ended
    managers = []
    if "NetworkManager" in found and _networkmanager_has(index):
        managers.append("NetworkManager")
    if _NETWORKD in found and "\nNETWORK_FILE=" in (_text(Path(f"/run/systemd/netif/links/{index}")) or ""):
        managers.append("systemd-networkd")
    return tuple(program for name, program in found.items() if name in _PROGRAMS), tuple(managers)


def _networkmanager_has(index: int) -> bool:
    lines = (_text(Path(f"/run/NetworkManager/devices/{index}")) or "").splitlines()
    return bool(lines) and "managed=false" not in lines


def machine() -> Machine:
    """Takes half a second: it measures how late short waits end."""
    dmi = Path("/sys/class/dmi/id")
    return Machine(
        vendor=_text(dmi / "sys_vendor") or _text(Path("/sys/hypervisor/type")) or "",
        product=_text(dmi / "product_name") or "",
        clocksource=_text(Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")) or "",
        cpus=len(os.sched_getaffinity(0)),
        cpu_quota=_quota(),
        waited=_WAIT,
        lateness=tuple(_late(_WAIT) for _ in range(_WAITS)),
    )


def _late(seconds: float) -> float:
    end = time.monotonic() + seconds
    select.select([], [], [], seconds)
    return max(0.0, time.monotonic() - end)


def _quota() -> float | None:
    """The least that a control group of ours allows, in CPUs."""
    group = next(
        (line[3:] for line in (_text(Path("/proc/self/cgroup")) or "").splitlines() if line[:3] == "0::"), "/"
    )
    place = Path("/sys/fs/cgroup", group.lstrip("/"))
    shares = []
    for folder in (place, *place.parents):
        words = (_text(folder / "cpu.max") or "").split()
        if len(words) == 2 and words[0].isdecimal():
            shares.append(int(words[0]) / int(words[1]))
    return min(shares, default=None)


def _text(path: Path) -> str | None:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text().strip()
    return None
