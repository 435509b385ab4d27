"""What a plan is done to: a host, its links, and the journal in which it keeps how to undo what is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

from vrrplib.backends.operations import Filter, Operation
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

    def perform(self, operations: Sequence[Operation]) -> None:
        """Do these, in order; BackendError at the first that fails."""

    def take_left_alone(self) -> tuple[str, ...]:
        """What was not undone since the last call, for somebody else has changed it meanwhile."""

    def batch(self, operations: Sequence[Operation]) -> Callable[[], None]:
        """Get everything ready to do these when the result is called."""

    def probe(self, filters: Sequence[Filter]) -> None:
        """BackendError if the kernel could not do these, on any interface; nothing is changed."""
