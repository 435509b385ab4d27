"""Single changes of a host, as values: each knows the line for a root shell that does the same.

Where an operation is done only if something is so, or keeps what the kernel would throw away, its line does too.
"""

from __future__ import annotations

import abc
import dataclasses
from ipaddress import ip_address
from typing import Any

from vrrplib.backends.shell import (
    change_mac,
    has_address,
    has_mac,
    has_mode,
    holds,
    line,
    nft,
    only_if,
    take_token_back,
)
from vrrplib.wire.addresses import Family, IPInterface, to_interface


class Operation(abc.ABC):
    """One change of the host."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def command(self) -> str:
        """The line for a root shell that does the same: POSIX sh, ip(8), sysctl(8) and nft(8)."""

    @property
    def deed(self) -> str:
        """What is done, in short: as messages name it."""
        return self.command

    def to_dict(self) -> dict[str, Any]:
        """The operation as JSON-able values; :func:`from_dict` takes it back."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        plain = {
            name: value if isinstance(value, int) else list(value) if isinstance(value, tuple) else str(value)
            for name, value in fields.items()
            if value is not None
        }
        return {"operation": type(self).__name__, **plain}


@dataclasses.dataclass(frozen=True, slots=True)
class AddMacvlan(Operation):
    """Create a macvlan link, down, in ``mode``; ``master`` is the VRF that its parent is a member of."""

    name: str
    parent: str
    mac: str
    mode: str
    master: str | None = None

    @property
    def command(self) -> str:
        master = "" if self.master is None else line(" master {}", self.master)
        begin = line("ip link add link {} name {} address {}", self.parent, self.name, self.mac)
        return begin + master + line(" type macvlan mode {}", self.mode)


@dataclasses.dataclass(frozen=True, slots=True)
class DeleteLink(Operation):
    """Remove a link, if it is there and has this MAC: one that somebody else made since is left alone."""

    name: str
    mac: str

    @property
    def deed(self) -> str:
        return line("ip link delete dev {}", self.name)

    @property
    def command(self) -> str:
        return only_if(has_mac(self.name, self.mac), self.deed)


@dataclasses.dataclass(frozen=True, slots=True)
class SetMacvlanMode(Operation):
    """``source`` with its empty list makes a macvlan inert, if it is there; ``private`` and others make it live.

    With ``expected``, only if it is there and has that mode now.
    """

    name: str
    mode: str
    expected: str | None = None

    @property
    def deed(self) -> str:
        return line("ip link set dev {} type macvlan mode {}", self.name, self.mode)

    @property
    def command(self) -> str:
        return self.deed if self.expected is None else only_if(has_mode(self.name, self.expected), self.deed)


@dataclasses.dataclass(frozen=True, slots=True)
class SetLinkUp(Operation):
    """Set a link administratively up."""

    name: str

    @property
    def command(self) -> str:
        return line("ip link set dev {} up", self.name)


@dataclasses.dataclass(frozen=True, slots=True)
class SetLinkDown(Operation):
    """Set a link administratively down, if it is there."""

    name: str

    @property
    def command(self) -> str:
        return line("ip link set dev {} down", self.name)


@dataclasses.dataclass(frozen=True, slots=True)
class SetMac(Operation):
    """Change an interface's MAC; with ``expected``, only if it is that one now. ``ioctl``: by SIOCSIFHWADDR."""

    name: str
    mac: str
    expected: str | None = None
    ioctl: bool = False

    @property
    def deed(self) -> str:
        return line("ip link set dev {} address {}", self.name, self.mac)

    @property
    def command(self) -> str:
        change = change_mac(self.name, self.deed)
        return change if self.expected is None else only_if(has_mac(self.name, self.expected), change)


@dataclasses.dataclass(frozen=True, slots=True)
class SetToken(Operation):
    """What addresses that come by Router Advertisement end in, in place of the MAC; ``::`` is the MAC again.

    With ``expected``, only if it is that one now.
    """

    name: str
    token: str
    expected: str | None = None

    @property
    def deed(self) -> str:
        return line("ip token set {} dev {}", self.token, self.name)

    @property
    def command(self) -> str:
        return self.deed if self.expected is None else take_token_back(self.name, self.expected, self.deed)


@dataclasses.dataclass(frozen=True, slots=True)
class AddAddress(Operation):
    """Give an interface an address, without duplicate address detection.

    ``prefix_route`` False keeps the kernel from routing the prefix to this interface, ``source`` False from
    choosing the address as the source of what it sends by itself (IPv6: deprecated).
    """

    name: str
    address: str
    prefix_route: bool = True
    source: bool = True

    @property
    def interface(self) -> IPInterface:
        """``address``, parsed."""
        return to_interface(self.address)

    @property
    def command(self) -> str:
        words = [line("ip address replace {} dev {}", self.address, self.name)]
        if self.interface.version == Family.IPV6.value:
            words.append("nodad")
        if not self.prefix_route:
            words.append("noprefixroute")
        if not self.source:
            words.append("preferred_lft 0")
        return " ".join(words)


@dataclasses.dataclass(frozen=True, slots=True)
class RemoveAddress(Operation):
    """Take an address from an interface, if it is there."""

    name: str
    address: str

    @property
    def interface(self) -> IPInterface:
        """``address``, parsed."""
        return to_interface(self.address)

    @property
    def deed(self) -> str:
        return line("ip address delete {} dev {}", self.address, self.name)

    @property
    def command(self) -> str:
        return only_if(has_address(self.name, self.address), self.deed)


@dataclasses.dataclass(frozen=True, slots=True)
class SetSysctl(Operation):
    """Write a file below /proc/sys (``path`` begins with ``net/``); with ``expected``, only if it holds that now.

    ``shared`` ones belong to all virtual routers on an interface: the last to go restores them.
    """

    path: str
    value: str
    expected: str | None = None
    shared: bool = False

    @property
    def deed(self) -> str:
        # slashes: a dot in an interface's name is one of its letters then, and not a separator
        return line("sysctl -w {}", f"{self.path}={self.value}")

    @property
    def command(self) -> str:
        return self.deed if self.expected is None else only_if(holds(self.path, self.expected), self.deed)


class Filter(Operation):
    """A change of the packet filter, in an nftables table of our own; those that follow each other are one step."""

    __slots__ = ()


@dataclasses.dataclass(frozen=True, slots=True)
class AddTable(Filter):
    """Create an empty nftables table of ``family`` netdev, ip or ip6. One that is there already is not ours."""

    family: str
    table: str

    @property
    def command(self) -> str:
        return line("nft create table {} {}", self.family, self.table)


@dataclasses.dataclass(frozen=True, slots=True)
class DeleteTable(Filter):
    """Remove a table with all that is in it, if it is there."""

    family: str
    table: str

    @property
    def deed(self) -> str:
        return line("nft delete table {} {}", self.family, self.table)

    @property
    def command(self) -> str:
        within = f"{self.family} {self.table}"
        return nft(f"add table {within}", f"delete table {within}")  # none that is there: no error


@dataclasses.dataclass(frozen=True, slots=True)
class AddEgressDrop(Filter):
    """Nothing leaves by the link ``device`` while this is there, not even what the kernel says of itself.

    ``table`` is a netdev table; it is made again if the operator has flushed the rules. What is sent through the
    parent with the link's MAC does not pass here.
    """

    table: str
    device: str

    @property
    def family(self) -> str:
        """The table's."""
        return "netdev"

    @property
    def command(self) -> str:
        hook = f'type filter hook egress device "{self.device}" priority 0; policy drop;'
        return nft(f"add table netdev {self.table}", f"add chain netdev {self.table} egress {{ {hook} }}")


@dataclasses.dataclass(frozen=True, slots=True)
class RemoveEgressDrop(Filter):
    """Let it leave again, if it is kept from it; the table stays."""

    table: str

    @property
    def command(self) -> str:
        return line("nft delete chain netdev {} egress", self.table)


@dataclasses.dataclass(frozen=True, slots=True)
class AddInputDrop(Filter):
    """The host accepts no packet to ``addresses``, which are of one family, while this is there; it forwards on.

    ``table`` is of their family. An IPv6 link-local address is that on ``device``: another interface may have the
    same. Neighbour solicitations and advertisements are let in (RFC 9568 6.1).
    """

    table: str
    addresses: tuple[str, ...]
    device: str

    @property
    def family(self) -> str:
        """The table's."""
        return table_family(ip_address(self.addresses[0]).version)

    @property
    def everywhere(self) -> tuple[str, ...]:
        """The addresses that mean the same on every interface."""
        return tuple(address for address in self.addresses if not _is_link_local(address))

    @property
    def on_device(self) -> tuple[str, ...]:
        """The IPv6 link-local addresses."""
        return tuple(address for address in self.addresses if _is_link_local(address))

    @property
    def command(self) -> str:
        family, everywhere = self.family, ", ".join(self.everywhere)
        kind = {"ip": "ipv4_addr", "ip6": "ipv6_addr"}[family]
        rules = ["icmpv6 type 135-136 accept"] if family == "ip6" else []
        rules += [f'iif "{self.device}" ip6 daddr {address} drop' for address in self.on_device]
        rules += [f"{family} daddr @addresses drop"] if everywhere else []
        within = f"{family} {self.table}"
        return nft(
            *([f"add set {within} addresses {{ type {kind}; elements = {{ {everywhere} }}; }}"] * bool(everywhere)),
            f"add chain {within} input {{ type filter hook input priority 0; policy accept; }}",
            *(f"add rule {within} input {rule}" for rule in rules),
        )


_OPERATIONS: dict[str, type[Operation]] = {
    kind.__name__: kind
    for kind in (
        *(AddMacvlan, DeleteLink, SetMacvlanMode, SetLinkUp, SetLinkDown),
        *(SetMac, SetToken, AddAddress, RemoveAddress, SetSysctl),
        *(AddTable, DeleteTable, AddEgressDrop, RemoveEgressDrop, AddInputDrop),
    )
}


def table_family(version: int) -> str:
    """What nftables calls IP of this version."""
    return "ip" if version == Family.IPV4.value else "ip6"


def _is_link_local(address: str) -> bool:
    ip = ip_address(address)
    return ip.version == Family.IPV6.value and ip.is_link_local


def from_dict(values: dict[str, Any]) -> Operation:
    """The operation that ``to_dict`` wrote. KeyError or TypeError for what no version of it wrote."""
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return _OPERATIONS[values.pop("operation")](**values)
