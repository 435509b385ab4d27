"""Single changes of a host, as values: each knows the line of ip(8), sysctl(8) or nft(8) that does the same."""

from __future__ import annotations

import abc
import dataclasses
import shlex
from ipaddress import ip_address
from typing import Any

from vrrplib.wire.addresses import Family, IPInterface, to_interface


class Operation(abc.ABC):
    """One change of the host. ``command`` is the line of ip(8), sysctl(8) or nft(8) that does the same."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def command(self) -> str:
        """A line for a root shell."""

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
        words = ["ip link add link", self.parent, "name", self.name, "address", self.mac]
        if self.master is not None:
            words += ["master", self.master]
        return _line(*words, "type macvlan mode", self.mode)


@dataclasses.dataclass(frozen=True, slots=True)
class DeleteLink(Operation):
    """Remove a link, if it is there and has this MAC: one that somebody else made since is left alone."""

    name: str
    mac: str

    @property
    def command(self) -> str:
        return _line("ip link delete dev", self.name)


@dataclasses.dataclass(frozen=True, slots=True)
class SetMacvlanMode(Operation):
    """``source`` with its empty list makes a macvlan inert, if it is there; ``private`` and others make it live.

    With ``expected``, only if it is there and has that mode now.
    """

    name: str
    mode: str
    expected: str | None = None

    @property
    def command(self) -> str:
        return _line("ip link set dev", self.name, "type macvlan mode", self.mode)


@dataclasses.dataclass(frozen=True, slots=True)
class SetLinkUp(Operation):
    """Set a link administratively up."""

    name: str

    @property
    def command(self) -> str:
        return _line("ip link set dev", self.name, "up")


@dataclasses.dataclass(frozen=True, slots=True)
class SetLinkDown(Operation):
    """Set a link administratively down, if it is there."""

    name: str

    @property
    def command(self) -> str:
        return _line("ip link set dev", self.name, "down")


@dataclasses.dataclass(frozen=True, slots=True)
class SetMac(Operation):
    """Change an interface's MAC; with ``expected``, only if it is that one now. ``ioctl``: by SIOCSIFHWADDR."""

    name: str
    mac: str
    expected: str | None = None
    ioctl: bool = False

    @property
    def command(self) -> str:
        return _line("ip link set dev", self.name, "address", self.mac)


@dataclasses.dataclass(frozen=True, slots=True)
class SetToken(Operation):
    """What addresses that come by Router Advertisement end in, in place of the MAC; ``::`` is the MAC again.

    With ``expected``, only if it is that one now.
    """

    name: str
    token: str
    expected: str | None = None

    @property
    def command(self) -> str:
        return _line("ip token set", self.token, "dev", self.name)


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
        words = ["ip address replace", self.address, "dev", self.name]
        if self.interface.version == Family.IPV6.value:
            words.append("nodad")
        if not self.prefix_route:
            words.append("noprefixroute")
        if not self.source:
            words.append("preferred_lft 0")
        return _line(*words)


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
    def command(self) -> str:
        return _line("ip address delete", self.address, "dev", self.name)


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
    def command(self) -> str:
        # slashes: a dot in an interface's name is one of its letters then, and not a separator
        return _line("sysctl -w", f"{self.path}={self.value}")


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
        return _line("nft create table", self.family, self.table)


@dataclasses.dataclass(frozen=True, slots=True)
class DeleteTable(Filter):
    """Remove a table with all that is in it, if it is there."""

    family: str
    table: str

    @property
    def command(self) -> str:
        return _line("nft delete table", self.family, self.table)


@dataclasses.dataclass(frozen=True, slots=True)
class AddEgressDrop(Filter):
    """Nothing leaves by the link ``device`` while this is there, not even what the kernel says of itself.

    ``table`` is a netdev table; it is made again if the operator has flushed the rules. What is sent through the
    parent with the link's MAC does not pass here.
    """

    table: str
    device: str

    @property
    def command(self) -> str:
        hook = f'type filter hook egress device "{self.device}" priority 0; policy drop;'
        return _nft(f"add table netdev {self.table}", f"add chain netdev {self.table} egress {{ {hook} }}")


@dataclasses.dataclass(frozen=True, slots=True)
class RemoveEgressDrop(Filter):
    """Let it leave again, if it is kept from it; the table stays."""

    table: str

    @property
    def command(self) -> str:
        return _line("nft delete chain netdev", self.table, "egress")


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
        return _nft(
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


def _line(*words: str) -> str:
    return " ".join(word if " " in word else shlex.quote(word) for word in words)


def _nft(*steps: str) -> str:
    return f"nft {shlex.quote('; '.join(steps))}"
