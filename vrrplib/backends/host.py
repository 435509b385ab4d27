"""What a plan is done to: a host, its links, and the journal in which it keeps how to undo what is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from vrrplib.backends.operations import (
    AddAddress,
    AddMacvlan,
    AddTable,
    DeleteLink,
    DeleteTable,
    Filter,
    Operation,
    RemoveAddress,
    SetLinkDown,
    SetLinkUp,
    SetMac,
    SetMacvlanMode,
    SetSysctl,
    SetToken,
)
from vrrplib.errors import BackendError
from vrrplib.wire.addresses import IPInterface, IPNetwork, MacAddress


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """What a plan needs to know of an interface. Numbers of other interfaces are indexes, 0 for none.

    ``kind`` is rtnetlink's, and ``wlan`` for a wireless one that the kernel tells no kind of. ``parent`` is what
    it lies on, ``master`` what it is a port or member of, and ``port_of`` that one's kind. ``mode`` is a macvlan's,
    and ``sources`` the length of the list of whom it hears in source mode.
    ``identifier`` is what its addresses by Router Advertisement end in (ip(8)'s token), ``::`` for what the MAC
    says; ``permanent_mac`` is the hardware's, where it has one.
    """

    name: str
    index: int
    mac: MacAddress
    kind: str = ""
    is_up: bool = True
    parent: int = 0
    master: int = 0
    port_of: str = ""
    mode: str = ""
    sources: int = 0
    identifier: str = "::"
    permanent_mac: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """Who wants to be the only one for a virtual router on an interface, as the journal's head keeps it."""

    interface: str
    index: int
    mac: str
    family: int
    vrid: int
    exclusive: bool
    backend: str
    link: str = ""
    """A link that is used, whoever made it: no other virtual router may."""


class Journal(Protocol):
    """The undo operations of one backend that must survive a crash, oldest first."""

    def record(self, undo: Sequence[Operation]) -> None:
        """Keep these too, before what they undo is done."""

    def ready(self, undo: Sequence[Operation]) -> Callable[[], None]:
        """Encode these now; they are kept when the result is called."""

    def share(self, undo: Operation) -> None:
        """Keep this for the last backend on the interface."""

    def mark(self) -> int:
        """Where the record ends now."""

    def rewind(self, mark: int) -> None:
        """Forget what was recorded since ``mark``: it has been undone."""

    def finish(self, perform: Callable[[Sequence[Operation]], None]) -> None:
        """All of ours is undone: undo what was shared if nobody else needs it, and give up the claim."""


class Host(Protocol):
    """A host that operations can be done to: the kernel (``netlink.NetlinkHost``) or one in memory."""

    def link(self, name: str | int) -> Link | None:
        """The interface of that name or index."""

    def addresses(self, name: str) -> tuple[IPInterface, ...]:
        """Its addresses."""

    def subnets(self, name: str) -> tuple[IPNetwork, ...]:
        """What is routed to it without a gateway: its addresses' networks, and routes that the operator made.

        Deprecated addresses do not count: IPv6 ones of virtual routers are.
        """

    def stacked(self, name: str) -> tuple[Link, ...]:
        """What stands on it in its namespace: VLANs, macvlans."""

    def sysctl(self, path: str) -> str | None:
        """What a file below /proc/sys holds, stripped; None if it is not there."""

    def claim(self, claim: Claim) -> Journal:
        """Take a virtual router, undoing first what a dead process left; BackendError if a live one has it."""

    def leftovers(self, interface: str) -> tuple[Operation, ...]:
        """What taking a virtual router there would undo first, as far as this process may look; nothing is done."""

    def perform(self, operations: Sequence[Operation]) -> None:
        """Do these, in order; BackendError at the first that fails."""

    def take_left_alone(self) -> tuple[str, ...]:
        """What was not undone since the last call, for somebody else has changed it meanwhile."""

    def batch(self, operations: Sequence[Operation]) -> Callable[[], None]:
        """Get everything ready to do these when the result is called."""

    def together(self) -> AbstractContextManager[None]:
        """While this lasts many are claimed, planned and got ready, or given up: what is read holds for all."""

    def probe(self, filters: Sequence[Filter]) -> None:
        """BackendError if the kernel could not do these, on any interface; nothing is changed."""


def undo_of(operation: Operation, host: Host) -> Operation | None:
    """The operation that takes ``operation`` back on ``host`` as it is now; None if there is nothing to do."""
    match operation:
        case AddMacvlan(name=name, mac=mac):
            return DeleteLink(name, mac)
        case AddTable(family=family, table=table):
            return DeleteTable(family, table)
        case SetMac(name=name, mac=mac):
            link = host.link(name)
            return SetMac(name, str(link.mac), expected=mac) if link else None
        case SetToken(name=name, token=token):
            link = host.link(name)
            return SetToken(name, link.identifier, expected=token) if link else None
        case SetMacvlanMode(name=name, mode=mode):  # of one that was there before, as the next
            link = host.link(name)
            return SetMacvlanMode(name, link.mode, expected=mode) if link and link.mode != mode else None
        case SetLinkUp(name=name):
            link = host.link(name)
            return SetLinkDown(name) if link and not link.is_up else None
        case AddAddress(name=name, address=address):
            return None if operation.interface in host.addresses(name) else RemoveAddress(name, address)
        case SetSysctl(path=path, value=value, shared=shared):
            old = host.sysctl(path)
            return None if old in (None, value) else SetSysctl(path, str(old), expected=value, shared=shared)
        case _:
            return None  # of a link that its own undo removes


def undo_all(host: Host, undo: Iterable[Operation]) -> None:
    """Do all of ``undo``, newest first, whatever fails; the first BackendError is raised at the end."""
    errors = []
    for operation in reversed(tuple(undo)):
        try:
            host.perform((operation,))
        except BackendError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def raise_sysctl(host: Host, path: str, least: int) -> tuple[SetSysctl, ...]:
    """The operation that raises a shared sysctl to ``least``, if it is there and lower."""
    value = host.sysctl(path)
    if value is None or (value.lstrip("-").isdigit() and int(value) >= least):
        return ()
    return (SetSysctl(path, str(least), shared=True),)


def beside(host: Host, parent: Link) -> tuple[str, ...]:
    """Other interfaces that hear the LAN of ``parent``, on which the kernel would answer ARP for its addresses.

    Unless told otherwise it answers on each for every address of the host, with that interface's own MAC. They
    are the macvlans on ``parent``, or, if that is a macvlan itself, what it lies on and the others there.
    """
    below = host.link(parent.parent) if parent.kind == "macvlan" and parent.parent else None
    macvlans = (link.name for link in host.stacked((below or parent).name) if link.kind == "macvlan")
    return tuple(name for name in (*((below.name,) if below else ()), *macvlans) if name != parent.name)


def quiet(host: Host, names: Iterable[str]) -> tuple[SetSysctl, ...]:
    """The operations by which interfaces answer ARP for their own addresses only."""
    return tuple(item for name in names for item in raise_sysctl(host, f"net/ipv4/conf/{name}/arp_ignore", 1))
