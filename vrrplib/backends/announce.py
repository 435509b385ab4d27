"""No virtual MAC: the addresses move, and gratuitous ARP says so: heartbeat, ucarp, keepalived without use_vmac."""

from __future__ import annotations

import dataclasses

from vrrplib.backends.operations import AddAddress, Operation, RemoveAddress
from vrrplib.backends.plan import Host, Link, Plan, PlannedBackend, raise_sysctl
from vrrplib.election.config import RouterConfig


@dataclasses.dataclass(frozen=True, slots=True)
class AddressesOnParent:
    """How virtual addresses come to the interface itself, and go again."""

    prepare: tuple[Operation, ...]
    add: tuple[Operation, ...]
    remove: tuple[Operation, ...]


def on_parent(host: Host, parent: Link, config: RouterConfig) -> AddressesOnParent:
    """The operations for ``config``'s addresses, without those that are there already: an owner keeps its own."""
    there = {address.ip for address in host.addresses(parent.name)}
    mine = [address for address in config.addresses if address.ip not in there]
    # An address of the operator's may become secondary to one of ours: it must not go when ours does.
    prepare = raise_sysctl(host, f"net/ipv4/conf/{parent.name}/promote_secondaries", 1)
    return AddressesOnParent(
        prepare=prepare,
        add=tuple(AddAddress(parent.name, str(address)) for address in mine),
        remove=tuple(RemoveAddress(parent.name, str(address)) for address in reversed(mine)),
    )


class AnnounceBackend(PlannedBackend):
    """Puts the virtual addresses on the interface while Active; its MAC stays, and adverts are sent from it.

    Neighbours must learn a new MAC at each takeover, from the gratuitous ARP or NA that follows it.
    """

    kind = "announce"

    def plan(self, host: Host, parent: Link) -> Plan:
        addresses = on_parent(host, parent, self.config)
        return Plan(parent.mac, addresses.prepare, addresses.add, addresses.remove)
