"""Everything that a program may have changed in a network namespace, read and compared."""

from __future__ import annotations

import errno
import fnmatch
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def read_sysctls() -> dict[str, str]:
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


def read_ip(ip_json: Callable[..., list[dict[str, Any]]]) -> dict[str, str]:
    """What ip(8) tells; ip_json(*arguments) calls it."""
    entries: dict[str, str] = {}
    for link in _without(ip_json("-details", "link", "show"), "link_index", "ifindex"):
        entries |= dict(_flatten(f"link {link['ifname']}", link))
    entries |= _dump_addresses(ip_json("address", "show"))
    for family in ("-4", "-6"):
        routes = ip_json(family, "route", "show", "table", "all")
        entries |= _counted(f"route {family}", _without(routes, "expires"))
        entries |= _counted(f"rule {family}", ip_json(family, "rule", "show"))
    entries |= _counted("neighbour", ip_json("neighbour", "show", "nud", "permanent"))
    entries |= _counted("neighbour proxy", ip_json("neighbour", "show", "proxy"))
    for link in ip_json("maddress", "show"):
        entries |= _counted(f"group {link['ifname']}", link["maddr"])
    return entries


def read_ruleset(ruleset: str) -> dict[str, str]:
    """What nft(8) lists, a table at a time."""
    return _counted("nftables", [{"table": table} for table in ruleset.split("\n}\n") if table.strip()])


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
