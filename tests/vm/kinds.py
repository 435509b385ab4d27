"""Hosts of a lab whose interface is not a plain one: a VLAN's, a bond, a bridge, a member of a VRF, a macvlan.

Each kind lies over the host's `eth0`, which is a veth to the lab's switch; the LAN is the same for all of them.
"""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
from collections.abc import Callable
from functools import cached_property
from typing import Any

from tests.linux.dump import IGNORED_FILES, HostDump, read_ip, read_ruleset
from tests.linux.lab import Host, Lab, Namespace, _ip
from tests.linux.process import wait_until

VLAN = 5
MIIMON = 20  # ms between a bond's looks at its ports


class Machine:
    """A host of the lab with its interface of some kind, and one address of each family on it."""

    def __init__(self, lab: Lab, name: str, number: int, kind: str) -> None:
        self.lab = lab
        self.kind = kind
        self.host: Host = lab.host(name)
        # no detection of duplicates while it is built; what is made later has the kernel's default
        self.host.sysctl("net/ipv6/conf/default/accept_dad", 0)
        self.interface = KINDS[kind](lab, self.host)
        self.ipv4 = f"10.77.0.{number}"
        _ip("-n", self.host.namespace, batch=[
            f"address add {self.ipv4}/24 dev {self.interface}",
            f"address add fd77::{number}/64 dev {self.interface} nodad",
        ])  # fmt: skip
        self.host.sysctl("net/ipv6/conf/default/accept_dad", 1)
        self.state_dir = lab.directory / f"{name}-state"

    @cached_property
    def mac(self) -> str:
        (link,) = self.host.ip_json("link", "show", "dev", self.interface)
        return str(link["address"])

    @cached_property
    def link_local(self) -> str:
        def find() -> str | None:
            shown = self.host.ip_json("-6", "address", "show", "dev", self.interface, "scope", "link")
            found = [address["local"] for link in shown for address in link.get("addr_info", ()) if address]
            return found[0] if found else None

        return wait_until(find, 10, f"link-local address of {self.interface}") or ""

    def primary(self, family: int) -> str:
        return self.ipv4 if family == 4 else self.link_local

    # -- a bond's own failover --

    def active_port(self) -> str:
        """The one of the bond's interfaces that it uses now."""
        (link,) = self.host.ip_json("-details", "link", "show", "dev", self.interface)
        return str(link["linkinfo"]["info_data"].get("active_slave", ""))

    def lose_active_port(self) -> str:
        """The switch takes the carrier of the port in use: returns the port, when the bond uses the other."""
        old = self.active_port()
        port = self.host.ports[0 if old == "eth0" else 1]
        self.lab.switch.ip("link", "set", port, "down")
        wait_until(lambda: self.active_port() not in (old, ""), 10, "failover of the bond", pause=0.05)
        return port

    def regain(self, port: str) -> None:
        self.lab.switch.ip("link", "set", port, "up")

    def settle(self) -> None:
        """A bond's failover is told in a dump too: until it is back at its first port."""
        if self.kind == "bond":
            wait_until(lambda: self.active_port() == "eth0", 10, "the bond's first port", pause=0.05)

    def dump(self) -> HostDump:
        self.settle()
        return HostDump(read_all(self.host))


def inside(host: Namespace, script: str) -> str:
    """What a shell prints in a host; with one process less than `ip netns exec` takes."""

    def work() -> str:
        finished = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        return finished.stdout

    return host.call(work)


# -- what a dump reads --

QUESTIONS = {
    "-details": (
        "link show",
        "address show",
        "neighbour show nud permanent",
        "neighbour show proxy",
        "maddress show",
    ),
    "-4": ("route show table all", "rule show"),
    "-6": ("route show table all", "rule show"),
}
COUNTERS = (" link_failure_count", "_timer")
"""What counts by itself in a bond and in a bridge."""


def read_all(host: Host) -> dict[str, str]:
    """What HostDump compares, by few and small processes: each costs a tenth of a second in emulation, or more."""
    asked = [
        f"ip -json {option} -batch - <<'END'\n" + "\n".join(lines) + "\nEND" for option, lines in QUESTIONS.items()
    ]
    script = "\necho =====\n".join([*asked, "nft --stateless list ruleset", "grep -rs '' /proc/sys/net || true"])
    *told, ruleset, sysctls = inside(host, script).split("=====\n")
    answers = {}
    for (option, lines), text in zip(QUESTIONS.items(), told, strict=True):
        for line, rows in zip(lines, read_several(text), strict=True):
            answers[(option if option != "-details" else "", line)] = [row for row in rows if row]

    def answer(*words: str) -> list[dict[str, Any]]:
        option = words[0] if words[0] in ("-4", "-6") else ""
        return answers[(option, " ".join(word for word in words if not word.startswith("-")))]

    entries = {name: value for name, value in read_ip(answer).items() if not name.endswith(COUNTERS)}
    entries |= read_ruleset(ruleset)
    for line in sysctls.splitlines():
        path, _, value = line.partition(":")
        if not any(fnmatch.fnmatchcase(path, pattern) for pattern in IGNORED_FILES):
            entries[path] = f"{entries[path]}\n{value}" if path in entries else value
    return entries


def settle(host: Host) -> None:
    """Until a dump stays as it is for more than the second after which the kernel says that a link is up.

    It goes on with duplicates, groups and a bond's first port, too.
    """
    last: list[dict[str, str]] = [{}]

    def is_settled() -> bool:
        last.append(read_all(host))
        return last[-1] == last[-2]

    wait_until(
        is_settled, 30, lambda: f"end of the changes: {HostDump(last[-2]).diff(HostDump(last[-1]))}", pause=1.1
    )


def read_several(text: str) -> list[list[dict[str, Any]]]:
    """The JSON lists of a text, one after the other."""
    decoder, found = json.JSONDecoder(), []
    while text := text.strip():
        rows, end = decoder.raw_decode(text)
        found.append(rows)
        text = text[end:]
    return found


# -- the kinds --


def plain(lab: Lab, host: Host) -> str:
    return "eth0"


def vlan(lab: Lab, host: Host) -> str:
    """Tagged frames on the wire; the switch's port is in that VLAN alone."""
    tagged = f"{host.port}.{VLAN}"
    _ip("-n", lab.switch.namespace, batch=[
        f"link add link {host.port} name {tagged} type vlan id {VLAN}",
        f"link set {host.port} nomaster",
        f"link set {tagged} master br0 up",
    ])  # fmt: skip
    host.ip("link", "add", "link", "eth0", "name", f"eth0.{VLAN}", "type", "vlan", "id", str(VLAN))
    host.ip("link", "set", f"eth0.{VLAN}", "up")
    return f"eth0.{VLAN}"


def bond(lab: Lab, host: Host) -> str:
    """Two cables to the switch, one of them in use."""
    second = f"{host.port}2"
    _ip("-n", lab.switch.namespace, batch=[
        f"link add {second} type veth peer name eth1 netns {host.namespace}",
        f"link set {second} master br0 up",
    ])  # fmt: skip
    host.ports.append(second)
    _ip("-n", host.namespace, batch=[
        f"link add bond0 type bond mode active-backup miimon {MIIMON}",
        "link set eth0 down", "link set eth1 down",
        "link set eth0 master bond0", "link set eth1 master bond0",
        "link set bond0 type bond primary eth0", f"link set bond0 address {host.mac} up",
    ])  # fmt: skip
    return "bond0"


def bridge(lab: Lab, host: Host) -> str:
    _ip("-n", host.namespace, batch=[
        f"link add lan0 address {host.mac} type bridge", "link set eth0 master lan0", "link set lan0 up",
    ])  # fmt: skip
    return "lan0"


def vrf(lab: Lab, host: Host) -> str:
    _ip("-n", host.namespace, batch=[
        "link add red type vrf table 10", "link set red up", "link set eth0 master red",
    ])  # fmt: skip
    return "eth0"


def macvlan(lab: Lab, host: Host) -> str:
    _ip(
        "-n",
        host.namespace,
        batch=["link add link eth0 name upper0 type macvlan mode bridge", "link set upper0 up"],
    )
    return "upper0"


KINDS: dict[str, Callable[[Lab, Host], str]] = {
    "veth": plain,
    "vlan": vlan,
    "bond": bond,
    "bridge": bridge,
    "vrf": vrf,
    "macvlan": macvlan,
}


def shown_port(name: str | None) -> str | None:
    """The host's name in the name of a port of the switch."""
    return re.sub(rf"(2|\.{VLAN})$", "", name.removeprefix("port-")) if name else None
