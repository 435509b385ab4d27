"""No virtual MAC: the addresses move, and gratuitous ARP says so: heartbeat, ucarp, keepalived without use_vmac."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from ipaddress import IPv6Interface

from vrrplib.backends.exchange import addresses_of, without_addresses
from vrrplib.backends.operations import AddAddress, Operation, RemoveAddress
from vrrplib.backends.plan import Host, Link, Plan, PlannedBackend, beside, quiet, raise_sysctl
from vrrplib.election.config import RouterConfig
from vrrplib.errors import BackendError
from vrrplib.wire.addresses import Family, IPInterface, IPNetwork


@dataclasses.dataclass(frozen=True, slots=True)
class AddressesOnParent:
    """How virtual addresses come to the interface itself, and go again."""

    prepare: tuple[Operation, ...]
    add: tuple[Operation, ...]
    remove: tuple[Operation, ...]


def on_parent(host: Host, parent: Link, config: RouterConfig, ours: Sequence[AddAddress] = ()) -> AddressesOnParent:
    """The operations for ``config``'s addresses, without those that are there already: an owner keeps its own.

    ``ours`` are there for an earlier configuration of the same virtual router.

    What the host sends of itself goes on coming from its own addresses, and its routes stay as they are: the kernel
    would choose the youngest of IPv6 addresses, and take an operator's route to a prefix along with ours.
    """
    there = {address.ip for address in host.addresses(parent.name)} - {item.interface.ip for item in ours}
    mine = [address for address in config.addresses if address.ip not in there]
    _refuse_routes_without_address(host, parent, config)
    # An address of the operator's may become secondary to one of ours: it must not go when ours does.
    prepare = raise_sysctl(host, f"net/ipv4/conf/{parent.name}/promote_secondaries", 1)
    if config.family is Family.IPV4:
        prepare += quiet(host, beside(host, parent))
    subnets = list(host.subnets(parent.name))
    for item in ours:
        if item.source and item.interface.network in subnets:  # the others are no reason
            subnets.remove(item.interface.network)
    return AddressesOnParent(
        prepare=prepare,
        add=tuple(_added(parent.name, address, subnets) for address in mine),
        remove=tuple(RemoveAddress(parent.name, str(address)) for address in reversed(mine)),
    )


def _refuse_routes_without_address(host: Host, parent: Link, config: RouterConfig) -> None:
    """With the last IPv4 address of an interface the kernel takes all its IPv4 routes away, the operator's too."""
    if config.family is Family.IPV6 or any(item.version == 4 for item in host.addresses(parent.name)):
        return
    for network in host.subnets(parent.name):
        if network.version == 4:
            raise BackendError(
                f"{parent.name} has a route to {network} and no IPv4 address: when the virtual ones go the kernel "
                "removes that route with them: give the interface an IPv4 address of its own",
                operation="prepare",
            )


def _added(name: str, address: IPInterface, subnets: Sequence[IPNetwork]) -> AddAddress:
    network = address.network
    is_ipv6 = isinstance(address, IPv6Interface)
    # In IPv4 an address is secondary in the subnet of another and brings no route, unless it becomes the first.
    is_secondary = not is_ipv6 and network in subnets
    routed = any(known.version == network.version and _covers(known, network) for known in subnets)
    return AddAddress(name, str(address), prefix_route=is_secondary or not routed, source=not is_ipv6)


def _covers(known: IPNetwork, network: IPNetwork) -> bool:
    return known.prefixlen <= network.prefixlen and network.network_address in known


class OnInterfaceBackend(PlannedBackend):
    """What backends have in common that put the virtual addresses on the interface itself."""

    def replan(self, host: Host, parent: Link) -> Plan | None:
        """With other addresses; the rest was planned for the interface as it is while Backup, and stays."""
        old = self._plan_now
        if old is None:
            return None
        ours = addresses_of(old.activate) if self._touched else ()
        addresses = on_parent(host, parent, self.config, ours)
        return dataclasses.replace(
            old,
            activate=(*without_addresses(old.activate), *addresses.add),
            deactivate=(*addresses.remove, *without_addresses(old.deactivate)),
        )


class AnnounceBackend(OnInterfaceBackend):
    """Puts the virtual addresses on the interface while Active; its MAC stays, and adverts are sent from it.

    Neighbours must learn a new MAC at each takeover, from the gratuitous ARP or NA that follows it.
    """

    kind = "announce"

    def plan(self, host: Host, parent: Link) -> Plan:
        if why := _why_no_address(parent):
            raise BackendError(f"{parent.name}: {why}", operation="prepare")
        addresses = on_parent(host, parent, self.config)
        return Plan(parent.mac, addresses.prepare, addresses.add, addresses.remove)


def _why_no_address(parent: Link) -> str | None:
    """Why an address on the interface would answer nobody; None if it does."""
    if parent.port_of not in ("", "vrf"):
        return f"it is a port of a {parent.port_of}, and no address on it answers: use the {parent.port_of} itself"
    if parent.kind == "vrf":
        return "it is a VRF device, which has no LAN: use the member interface"
    return None
