"""A throw-away LAN out of network namespaces: hosts on a switch, and a capture of what each of them sends.

    with Lab() as lab:
        a = lab.host("a", "10.77.0.1/24", "fd77::1/64", mac="02:00:00:00:00:01")
        b = lab.host("b", "10.77.0.2/24", "fd77::2/64", mac="02:00:00:00:00:02")
        with lab.capture() as capture:
            a.run("ping", "-c1", "10.77.0.2")
        print(capture.frames[0].source_mac, lab.fdb("02:00:00:00:00:01"))

Each host has one interface, `eth0`, whose other end is the port `port-NAME` of the bridge `br0` in the switch's
namespace. Everything is in namespaces of its own: two labs may use the same addresses at the same time.

Needs root (or a user namespace with a tmpfs on /run) and ip(8); `HostDump` also needs nft(8). Nothing here
imports vrrplib: a test's observer must not share the bugs of what it observes.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import errno
import fnmatch
import ipaddress
import itertools
import json
import os
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 0x0003
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
VRRP, AUTHENTICATION_HEADER, ICMPV6 = 112, 51, 58

#: What a HostDump leaves out, because it changes without anybody's doing.
IGNORED = (
    "ip -d link: ifindex of the other end of a veth, which is a number in another namespace",
    "ip address: remaining lifetimes of addresses that expire",
    "ip route: remaining lifetimes of routes that expire",
    "ip neighbour: entries that the host learned (only permanent and proxy entries count)",
    "nftables: packet and byte counters",
    "/proc/sys/net/netfilter/nf_conntrack_count: the number of connections just now",
    "/proc/sys/net/ipv4/tcp_fastopen_key, /proc/sys/net/ipv6/conf/*/stable_secret: random secrets",
)
IGNORED_FILES = (
    "/proc/sys/net/netfilter/nf_conntrack_count",
    "/proc/sys/net/ipv4/tcp_fastopen_key",
    "/proc/sys/net/ipv6/conf/*/stable_secret",
)

#: Files that appear in every namespace when some process on the machine makes the kernel load a module.
#: They are left out of a comparison where only one side has them.
ADDED_BY_MODULES = (
    "/proc/sys/net/netfilter/nf_*",
    "/proc/sys/net/nf_conntrack_max",
    "/proc/sys/net/bridge/*",
    "/proc/sys/net/sctp/*",
    "/proc/sys/net/mptcp/*",
    "/proc/sys/net/ipv4/vs/*",
)


class LabError(Exception):
    """The lab could not be built, or was used wrongly; the message says what ip(8) or the kernel said."""


def unavailable() -> str | None:
    """Why no lab can be made here, or None."""
    if shutil.which("ip") is None:
        return "ip(8) is not installed"
    try:
        with Lab() as lab:
            lab.host("probe")
    except (LabError, OSError) as error:
        return f"network namespaces cannot be made here: {error}"
    return None


def _ip(*arguments: str, batch: list[str] | None = None) -> str:
    """Run ip(8); `batch` lines are commands that one process executes in order.

    In a session of its own, so that Ctrl-C reaches us alone and not, say, the `ip` that is just cleaning up.
    """
    finished = subprocess.run(
        ["ip", *arguments, *(["-batch", "-"] if batch else [])],
        input="\n".join(batch) + "\n" if batch else "",
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    if finished.returncode:
        said = finished.stderr.strip() or f"exit status {finished.returncode}"
        raise LabError(f"ip {' '.join(arguments)}: {said}")
    return finished.stdout


def _in_namespace(path: str, function: Callable[..., T], *arguments: Any) -> T:
    """Call function in a thread that has moved into the namespace; setns moves only the thread that calls it.

    Sockets opened there stay in that namespace, and /proc/sys/net is that namespace's while the call lasts.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number), path)
            finally:
                os.close(descriptor)
            outcome.append(function(*arguments))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=work, name=f"in {path}")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


# -- processes ---------------------------------------------------------------------------------------------


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


# -- what a host looks like --------------------------------------------------------------------------------


@dataclass(frozen=True)
class HostDump:
    """Everything that a program may have changed in a namespace, as text by name."""

    entries: dict[str, str]

    def diff(self, other: HostDump) -> list[str]:
        """What differs in other, a line each; empty when the two are alike."""
        lines = []
        for name in sorted(self.entries.keys() | other.entries.keys()):
            before, after = self.entries.get(name), other.entries.get(name)
            if before == after:
                continue
            if None in (before, after) and _matches(name, ADDED_BY_MODULES):
                continue
            lines.append(f"{name}: {_or_absent(before)} -> {_or_absent(after)}")
        return lines


def _or_absent(value: str | None) -> str:
    return "absent" if value is None else value or "empty"


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _read_sysctls() -> dict[str, str]:
    """Every file below /proc/sys/net of this thread's namespace; an unreadable one as the error that it gives."""
    values = {}
    for folder, _, files in os.walk("/proc/sys/net"):
        for file in files:
            path = f"{folder}/{file}"
            if _matches(path, IGNORED_FILES):
                continue
            try:
                values[path] = Path(path).read_text().strip()
            except OSError as error:
                # A file of an interface that has just gone is no file; a write-only one is worth its name.
                if error.errno != errno.ENOENT:
                    values[path] = f"unreadable ({errno.errorcode.get(error.errno or 0)})"
    return values


def _flatten(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flatten(f"{prefix} {key}", inner)
    else:
        yield prefix, json.dumps(sorted(value) if isinstance(value, list) and _plain(value) else value)


def _plain(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _counted(prefix: str, rows: list[dict[str, Any]]) -> dict[str, str]:
    """Rows that have no name are their own name; the value says how often they are there."""
    counts = Counter(f"{prefix} {json.dumps(row, sort_keys=True)}" for row in rows)
    return {name: f"{count} times" for name, count in counts.items()}


def _without(rows: list[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in keys} for row in rows]


def _finite(lifetime: Any) -> bool:
    return lifetime not in (None, 0, 4294967295)


def _dump_addresses(links: list[dict[str, Any]]) -> dict[str, str]:
    entries: dict[str, str] = {}
    for link in links:
        for address in filter(None, link.get("addr_info", ())):
            for timer in ("valid_life_time", "preferred_life_time"):
                if _finite(address.get(timer)):
                    address[timer] = "expires"
            name = f"address {link['ifname']} {address.get('local')}/{address.get('prefixlen')}"
            entries |= dict(_flatten(name, address))
    return entries


# -- hosts -------------------------------------------------------------------------------------------------


class Namespace:
    """A network namespace of the lab: the switch, or a host."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        self.name = name
        self.namespace = f"{lab.prefix}-{name}"
        self.path = f"/run/netns/{self.namespace}"

    def run(
        self, *argv: str, check: bool = True, timeout: float = 60.0, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, `text` being its input; check=True: CalledProcessError, with its output."""
        finished = subprocess.run(
            ["ip", "netns", "exec", self.namespace, *argv],
            capture_output=True,
            text=True,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            timeout=timeout,
            check=False,
            start_new_session=True,
        )
        if check and finished.returncode:
            error = subprocess.CalledProcessError(finished.returncode, argv, finished.stdout, finished.stderr)
            error.add_note(finished.stdout + finished.stderr)
            raise error
        return finished

    def spawn(self, *argv: str, log: Path | None = None, environment: dict[str, str] | None = None) -> Process:
        """Start a program; its output goes to `log`, by default a file in the lab's directory."""
        log = log or self.lab.directory / f"{self.name}-{next(self.lab.counter)}-{Path(argv[0]).name}.log"
        process = Process(self.namespace, list(argv), log, environment)
        self.lab.processes.append(process)
        return process

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a Python function in a thread inside the namespace, for instance to open a socket there."""
        return _in_namespace(self.path, function, *arguments)

    def ip(self, *arguments: str) -> None:
        """ip(8) in this namespace."""
        _ip("-n", self.namespace, *arguments)

    def ip_json(self, *arguments: str) -> list[dict[str, Any]]:
        """What `ip -json` prints in this namespace; ip prints {} or nothing where there is nothing."""
        rows = json.loads(_ip("-n", self.namespace, "-json", *arguments) or "[]")
        return [row for row in rows if row]

    def sysctl(self, name: str, value: object = None) -> str:
        """Read, or write and read, a value below /proc/sys; `name` with dots, or with slashes."""
        path = Path("/proc/sys") / (name if "/" in name else name.replace(".", "/"))

        def access() -> str:
            if value is not None:
                path.write_text(f"{value}\n")
            return path.read_text().strip()

        return self.call(access)

    def dump(self) -> HostDump:
        """All that HostDump.diff compares: see IGNORED and ADDED_BY_MODULES for what it does not."""
        entries: dict[str, str] = {}
        for link in _without(self.ip_json("-details", "link", "show"), "link_index", "ifindex"):
            entries |= dict(_flatten(f"link {link['ifname']}", link))
        entries |= _dump_addresses(self.ip_json("address", "show"))
        for family in ("-4", "-6"):
            entries |= _counted(
                f"route {family}", _without(self.ip_json(family, "route", "show", "table", "all"), "expires")
            )
            entries |= _counted(f"rule {family}", self.ip_json(family, "rule", "show"))
        entries |= _counted("neighbour", self.ip_json("neighbour", "show", "nud", "permanent"))
        entries |= _counted("neighbour proxy", self.ip_json("neighbour", "show", "proxy"))
        for link in self.ip_json("maddress", "show"):
            entries |= _counted(f"group {link['ifname']}", link["maddr"])
        ruleset = self.run("nft", "--stateless", "list", "ruleset").stdout
        entries |= _counted("nftables", [{"table": table} for table in ruleset.split("\n}\n") if table.strip()])
        return HostDump(entries | self.call(_read_sysctls))


class Host(Namespace):
    """A machine on the LAN with one interface, eth0."""

    interface = "eth0"

    def __init__(self, lab: Lab, name: str, addresses: tuple[str, ...], mac: str) -> None:
        super().__init__(lab, name)
        self.mac = mac
        self.addresses = addresses
        self.port = f"port-{name}"

    def _address_commands(self) -> list[str]:
        nodad = {4: "", 6: " nodad"}
        return [
            f"address replace {address} dev eth0{nodad[ipaddress.ip_interface(address).version]}"
            for address in self.addresses
        ]

    def link_down(self) -> None:
        """As if the interface were switched off: the switch's port loses its carrier."""
        self.ip("link", "set", "eth0", "down")

    def link_up(self) -> None:
        """Up again, with the addresses that the host had at first: the kernel drops IPv6 ones with the link."""
        _ip("-n", self.namespace, batch=["link set eth0 up", *self._address_commands()])

    def neighbour(self, address: str, interface: str | None = None) -> str | None:
        """The MAC that this host has for an address in its neighbour cache; None: none, or not resolved."""
        wanted = ipaddress.ip_address(address)
        device = ["dev", interface] if interface else []
        for entry in self.ip_json("neighbour", "show", *device):
            if ipaddress.ip_address(entry["dst"]) == wanted:
                return entry.get("lladdr")
        return None

    def link_local(self) -> str:
        """The IPv6 link-local address of eth0."""
        for link in self.ip_json("-6", "address", "show", "dev", "eth0", "scope", "link"):
            for address in filter(None, link.get("addr_info", ())):  # ip prints {} for what it filters out
                return str(address["local"])
        raise LabError(f"{self.name} has no link-local address")

    def ping(self, address: str, *, count: int = 1, interval: float = 0.2, timeout: float = 1.0) -> int:
        """How many echo requests were answered."""
        finished = self.run(
            "ping", "-nq", f"-c{count}", f"-i{interval}", f"-W{timeout}", address, check=False,
            timeout=count * (interval + timeout) + 10,
        )  # fmt: skip
        for line in finished.stdout.splitlines():
            if "received" in line:
                return int(line.split(",")[1].split()[0])
        return 0

    def send(self, frame: bytes) -> None:
        """Put an Ethernet frame on the wire as it is."""

        def work() -> None:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as packets:
                packets.bind(("eth0", 0))
                packets.send(frame)

        self.call(work)


# -- what is on the wire -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Advertisement:
    """The first fields of a frame of IP protocol 112, unchecked: any version of VRRP, and CARP."""

    family: int  # 4 or 6
    source: str
    destination: str
    ttl: int
    payload: bytes

    @property
    def version(self) -> int:
        return self.payload[0] >> 4

    @property
    def vrid(self) -> int:
        return self.payload[1]

    @property
    def priority(self) -> int:
        return self.payload[2]

    @property
    def interval(self) -> float:
        """Seconds, in version 2 and version 3 alike."""
        if self.version == 2:
            return float(self.payload[5])
        return (int.from_bytes(self.payload[4:6], "big") & 0xFFF) / 100


@dataclass(frozen=True, slots=True)
class Frame:
    """An Ethernet frame that a host has put on the wire."""

    time: float  #: seconds of CLOCK_MONOTONIC, when the switch's port received it (a kernel time stamp)
    port: str  #: the name of the host that sent it
    data: bytes

    @property
    def destination_mac(self) -> str:
        return self.data[0:6].hex(":")

    @property
    def source_mac(self) -> str:
        return self.data[6:12].hex(":")

    @property
    def ether_type(self) -> int:
        return int.from_bytes(self.data[12:14], "big")

    @property
    def ip(self) -> tuple[int, str, str, int, int, bytes] | None:
        """(family, source, destination, TTL, protocol, payload), or None: no IP, or cut short."""
        packet = self.data[14:]
        if self.ether_type == 0x0800 and len(packet) >= 20:
            length, header = int.from_bytes(packet[2:4], "big"), (packet[0] & 15) * 4
            source, destination = (str(ipaddress.IPv4Address(packet[at : at + 4])) for at in (12, 16))
            return 4, source, destination, packet[8], packet[9], packet[header:length]
        if self.ether_type == 0x86DD and len(packet) >= 40:
            length = 40 + int.from_bytes(packet[4:6], "big")
            source, destination = (str(ipaddress.IPv6Address(packet[at : at + 16])) for at in (8, 24))
            return 6, source, destination, packet[7], packet[6], packet[40:length]
        return None

    @property
    def advertisement(self) -> Advertisement | None:
        """None for everything but protocol 112 with at least 8 bytes, behind an authentication header too."""
        if (fields := self.ip) is None:
            return None
        family, source, destination, ttl, protocol, payload = fields
        if protocol == AUTHENTICATION_HEADER and len(payload) > 2:
            protocol, payload = payload[0], payload[(payload[1] + 2) * 4 :]
        if protocol != VRRP or len(payload) < 8:
            return None
        return Advertisement(family, source, destination, ttl, payload)

    @property
    def gratuitous(self) -> tuple[str, str] | None:
        """(address, MAC) that a gratuitous ARP or an unsolicited neighbour advertisement claims, else None."""
        if self.ether_type == 0x0806 and len(self.data) >= 42:
            body = self.data[14:42]
            if body[14:18] == body[24:28]:
                return str(ipaddress.IPv4Address(body[14:18])), body[8:14].hex(":")
            return None
        if (fields := self.ip) is None:
            return None
        family, _, destination, _, protocol, message = fields
        if (family, destination, protocol) != (6, "ff02::1", ICMPV6) or len(message) < 32 or message[0] != 136:
            return None
        if message[24] != 2:  # the first option is not the target's link-layer address
            return None
        return str(ipaddress.IPv6Address(message[8:24])), message[26:32].hex(":")


def _realtime_minus_monotonic() -> float:
    """How far the wall clock is ahead; the pair of readings that lay closest together counts."""
    best = (1 << 62, 0)
    for _ in range(5):
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        best = min(best, (after - before, wall - (before + after) // 2))
    return best[1] / 1e9


class Capture:
    """Every frame that the hosts send, seen at the switch's ports, from __enter__ to __exit__.

    One packet socket for each port that there is at the beginning, read by a thread. Times are the kernel's, so
    a slow reader makes frames late to be seen, not wrong in time.
    """

    BUFFER = 16 << 20

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._frames: list[Frame] = []
        self._stopped = threading.Event()
        self._sockets: dict[socket.socket, str] = {}
        self._thread = threading.Thread(target=self._read, name="lab capture", daemon=True)

    def __enter__(self) -> Capture:
        self.lab.switch.call(self._open)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        for packets in self._sockets:
            packets.close()

    def _open(self) -> None:
        for host in self.lab.hosts.values():
            packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            packets.setblocking(False)
            packets.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            packets.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            try:
                packets.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, self.BUFFER)
            except PermissionError:  # in a user namespace
                packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.BUFFER)
            packets.bind((host.port, ETH_P_ALL))
            self._sockets[packets] = host.name

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for packets in self._sockets:
                selector.register(packets, selectors.EVENT_READ)
            while not self._stopped.is_set():
                if ready := selector.select(0.05):
                    offset = _realtime_minus_monotonic()
                    for key, _ in ready:
                        self._drain(key.fileobj, offset)  # type: ignore[arg-type]
            for packets in self._sockets:
                self._drain(packets, _realtime_minus_monotonic())

    def _drain(self, packets: socket.socket, offset: float) -> None:
        port = self._sockets[packets]
        while True:
            try:
                data, ancillary, _, _ = packets.recvmsg(65535, 128)
            except BlockingIOError:
                return
            except OSError as error:  # ENETDOWN: reported once when the port goes down, and again when it is gone
                if error.errno in (errno.ENETDOWN, errno.ENODEV, errno.ENXIO):
                    return
                raise
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
            self._frames.append(Frame(seconds - offset + nanoseconds / 1e9, port, data))

    @property
    def frames(self) -> list[Frame]:
        """What there is so far, in the order of time."""
        return sorted(self._frames, key=lambda frame: frame.time)

    def select(
        self, condition: Callable[[Frame], object], *, port: str | None = None, since: float = 0.0
    ) -> list[Frame]:
        """The frames for which condition is true, from one host, from a time on."""
        return [
            frame
            for frame in self.frames
            if frame.time >= since and port in (None, frame.port) and condition(frame)
        ]

    def advertisements(
        self, vrid: int | None = None, family: int | None = None, *, port: str | None = None, since: float = 0.0
    ) -> list[Frame]:
        """Frames of protocol 112; `frame.advertisement` has their fields."""

        def wanted(frame: Frame) -> bool:
            packet = frame.advertisement
            return packet is not None and vrid in (None, packet.vrid) and family in (None, packet.family)

        return self.select(wanted, port=port, since=since)

    def from_mac(self, mac: str, *, port: str | None = None, since: float = 0.0) -> list[Frame]:
        return self.select(lambda frame: frame.source_mac == mac, port=port, since=since)

    def gratuitous(
        self, address: str | None = None, *, mac: str | None = None, port: str | None = None, since: float = 0.0
    ) -> list[Frame]:
        """Gratuitous ARPs (requests and replies) and unsolicited neighbour advertisements."""

        def wanted(frame: Frame) -> bool:
            claim = frame.gratuitous
            return claim is not None and address in (None, claim[0]) and mac in (None, claim[1])

        return self.select(wanted, port=port, since=since)

    def wait_for(
        self, condition: Callable[[Frame], object], timeout: float, *, port: str | None = None, since: float = 0.0
    ) -> Frame:
        """The first frame of that kind to be seen; TimeoutError when there is none in time."""
        unseen = 0

        def look() -> list[Frame]:
            nonlocal unseen
            fresh = self._frames[unseen:]  # each frame is looked at once: polling must not disturb what is timed
            unseen += len(fresh)
            return [f for f in fresh if f.time >= since and port in (None, f.port) and condition(f)]

        return wait_until(look, timeout, f"such frame from {port or 'any host'}")[0]

    def write_pcap(self, path: Path | str, frames: list[Frame] | None = None) -> Path:
        """Write a pcap file with nanoseconds; times are wall clock times, as tools expect."""
        path, offset = Path(path), _realtime_minus_monotonic()
        with path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
            for frame in self.frames if frames is None else frames:
                seconds, nanoseconds = divmod(round((frame.time + offset) * 1e9), 10**9)
                file.write(
                    struct.pack("<IIII", seconds, nanoseconds, len(frame.data), len(frame.data)) + frame.data
                )
        return path


# -- the lab -----------------------------------------------------------------------------------------------

_labs: weakref.WeakSet[Lab] = weakref.WeakSet()
_numbers = itertools.count(1)


@atexit.register
def _close_all() -> None:
    """Whatever ended the program in the middle of a lab, the namespaces go."""
    for lab in list(_labs):
        lab.close()


@dataclass(eq=False)
class Lab:
    """A switch and hosts; a context manager that leaves no namespace, process or file behind.

    snooping: the switch forwards multicast only where it was asked for, once it knows a querier.
    querier:  the switch asks, too, with the short times of a lab: it restricts multicast after about two seconds.
    """

    snooping: bool = False
    querier: bool = False
    hosts: dict[str, Host] = field(default_factory=dict, init=False)
    processes: list[Process] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.prefix = f"vl{os.getpid()}x{next(_numbers)}"
        self.counter = itertools.count(1)
        self.switch = Namespace(self, "switch")
        self._namespaces: list[Namespace] = []

    def __enter__(self) -> Lab:
        _labs.add(self)
        try:
            self.directory = Path(tempfile.mkdtemp(prefix=f"{self.prefix}-"))
            self.directory.chmod(0o711)  # daemons that give up root must reach their own directories below it
            self._build_switch()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add_namespace(self, namespace: Namespace) -> None:
        self._namespaces.append(namespace)  # first, so that an interrupt between the two leaves nothing behind
        _ip("netns", "add", namespace.namespace)

    def _build_switch(self) -> None:
        self._add_namespace(self.switch)
        self.switch.sysctl("net.ipv6.conf.default.disable_ipv6", 1)  # a switch's ports say nothing of their own
        times = "mcast_query_response_interval 50 mcast_startup_query_interval 100" if self.querier else ""
        bridge = f"type bridge stp_state 0 mcast_snooping {self.snooping:d} {times}"
        _ip("-n", self.switch.namespace, batch=["link set lo up", f"link add br0 {bridge}", "link set br0 up"])
        if self.querier:
            # The bridge needs a link-local address to ask over IPv6, and one at once: not after DAD. It becomes
            # querier last: then it trusts what it knows after one response interval, else after ten seconds.
            self.switch.sysctl("net.ipv6.conf.br0.accept_dad", 0)
            self.switch.sysctl("net.ipv6.conf.br0.disable_ipv6", 0)
            self.switch.ip("link", "set", "br0", "type", "bridge", "mcast_querier", "1")

    def host(self, name: str, *addresses: str, mac: str | None = None) -> Host:
        """Add a host. Its link-local and other IPv6 addresses are usable at once: no duplicate address detection.

        Interfaces that are made in it later have the kernel's defaults, as on a real host.
        """
        if name in self.hosts or not 1 <= len(name) <= 10:
            raise LabError(f"a host's name is new and has 1-10 characters, not {name!r}")
        for address in addresses:
            ipaddress.ip_interface(address)
        host = Host(self, name, addresses, mac or f"02:00:00:00:00:{len(self.hosts) + 1:02x}")
        self._add_namespace(host)
        _ip("-n", self.switch.namespace, batch=[
            f"link add {host.port} type veth peer name eth0 netns {host.namespace}",
            f"link set {host.port} master br0 up",
        ])  # fmt: skip
        host.sysctl("net.ipv6.conf.eth0.accept_dad", 0)
        commands = ["link set lo up", f"link set eth0 address {host.mac} up", *host._address_commands()]
        _ip("-n", host.namespace, batch=commands)
        self.hosts[name] = host
        return host

    def unplug(self, host: Host) -> None:
        """Pull the cable: the host sees its carrier go."""
        self.switch.ip("link", "set", host.port, "down")

    def plug(self, host: Host) -> None:
        self.switch.ip("link", "set", host.port, "up")

    def isolate(self, host: Host) -> None:
        """The host's frames go nowhere although its carrier stays: it is alone and does not know it."""
        self.switch.ip("link", "set", host.port, "nomaster")

    def rejoin(self, host: Host) -> None:
        self.switch.ip("link", "set", host.port, "master", "br0")

    def fdb(self, mac: str) -> str | None:
        """The host behind whose port the switch believes a MAC to be; None: it has not learned it."""
        shown = self.switch.run("bridge", "-json", "fdb", "show", "br", "br0").stdout
        for entry in json.loads(shown or "[]"):
            if entry["mac"] == mac and entry.get("state") != "permanent":
                return str(entry["ifname"]).removeprefix("port-")
        return None

    def capture(self) -> Capture:
        """A capture of what the hosts that are there now send; a context manager."""
        return Capture(self)

    def close(self) -> None:
        """Kill what runs in the namespaces, remove them and the directory. May be called again."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
        while self._namespaces:
            self._remove(self._namespaces[-1])
            self._namespaces.pop()
        if hasattr(self, "directory"):
            shutil.rmtree(self.directory, ignore_errors=True)
        self.hosts.clear()
        self.processes.clear()
        _labs.discard(self)

    def _remove(self, namespace: Namespace) -> None:
        """The namespaces are ours alone, so what is still in one is a child of something that we started."""
        if not os.path.exists(namespace.path):
            return
        for pid in _ip("netns", "pids", namespace.namespace).split():
            if int(pid) != os.getpid():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        _ip("netns", "delete", namespace.namespace)
