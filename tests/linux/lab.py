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
import ipaddress
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.linux.capture import Capture
from tests.linux.dump import HostDump, read_ip, read_ruleset, read_sysctls
from tests.linux.process import Process

T = TypeVar("T")

CLONE_NEWNET = 0x40000000


class LabError(Exception):
    """The lab could not be built, or was used wrongly; the message says what ip(8) or the kernel said."""


def unavailable() -> str | None:
    """Why no lab can be made here, or None."""
    for program, package in (("ip", "iproute2"), ("nft", "nftables"), ("ping", "iputils-ping")):
        if shutil.which(program) is None:
            return f"{program}(8) is not installed: on Debian, apt install {package}"
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
        ruleset = self.run("nft", "--stateless", "list", "ruleset").stdout
        return HostDump(read_ip(self.ip_json) | read_ruleset(ruleset) | self.call(read_sysctls))


class Host(Namespace):
    """A machine on the LAN with one interface, eth0."""

    interface = "eth0"

    def __init__(self, lab: Lab, name: str, addresses: tuple[str, ...], mac: str) -> None:
        super().__init__(lab, name)
        self.mac = mac
        self.addresses = addresses
        self.port = f"port-{name}"
        self.ports = [self.port]  #: all of them: a host may get more

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
        host = self._new_host(name, addresses, mac)
        self._add_namespace(host)
        return self._connect(host)

    def adopt(self, name: str, process: Process, *addresses: str) -> Host:
        """Add a host whose namespace is that of a process that the lab started, which may belong to a user."""
        host = self._new_host(name, addresses, None)
        self._namespaces.append(host)
        _ip("netns", "attach", host.namespace, str(process.pid))
        return self._connect(host)

    def _new_host(self, name: str, addresses: tuple[str, ...], mac: str | None) -> Host:
        if name in self.hosts or not 1 <= len(name) <= 10:
            raise LabError(f"a host's name is new and has 1-10 characters, not {name!r}")
        for address in addresses:
            ipaddress.ip_interface(address)
        return Host(self, name, addresses, mac or f"02:00:00:00:00:{len(self.hosts) + 1:02x}")

    def _connect(self, host: Host) -> Host:
        _ip("-n", self.switch.namespace, batch=[
            f"link add {host.port} type veth peer name eth0 netns {host.namespace}",
            f"link set {host.port} master br0 up",
        ])  # fmt: skip
        host.sysctl("net.ipv6.conf.eth0.accept_dad", 0)
        commands = ["link set lo up", f"link set eth0 address {host.mac} up", *host._address_commands()]
        _ip("-n", host.namespace, batch=commands)
        self.hosts[host.name] = host
        return host

    def reconnect(self, host: Host) -> None:
        """A new eth0 with what the old one had at first, after that was removed."""
        self._connect(host)

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
