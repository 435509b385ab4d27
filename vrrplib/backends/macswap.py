"""The virtual MAC on the interface itself, while Active: vrrpd's way."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv6Address

from vrrplib.backends.announce import OnInterfaceBackend, on_parent
from vrrplib.backends.operations import Operation, SetMac, SetSysctl, SetToken
from vrrplib.backends.plan import Host, Link, Plan, raise_sysctl
from vrrplib.election.config import RouterConfig
from vrrplib.errors import BackendError
from vrrplib.namespaces import Namespace
from vrrplib.wire.addresses import MacAddress

_FIXED = ("ifb", "ipvlan", "ipvtap", "vrf")
"""Kinds of interface whose MAC the kernel does not change, or not without losing what they are for."""


class MacSwapBackend(OnInterfaceBackend):
    """Changes the interface's MAC to the virtual one while Active: for kernels and links without macvlan.

    The real addresses answer with the virtual MAC too while Active; the kernel tells their neighbours of each
    change (``arp_notify``, ``ndisc_notify``). Where the driver changes the MAC only while the link is down, it goes
    down for a moment, and what the kernel forgets with it is put back. An interface has one MAC: a second virtual
    router on it is refused, and so is one with VLANs that would change along. ``ioctl``: by SIOCSIFHWADDR and not
    by netlink, unless the operator has made neighbour entries there, which only netlink can put back.
    """

    kind = "macswap"
    exclusive = True

    def __init__(
        self,
        interface: str,
        config: RouterConfig,
        *,
        ioctl: bool = False,
        netns: Namespace = None,
        host: Host | None = None,
    ) -> None:
        super().__init__(interface, config, netns=netns, host=host)
        self.ioctl = ioctl

    def plan(self, host: Host, parent: Link) -> Plan:
        name, virtual = parent.name, str(self.config.virtual_mac)
        _refuse_unfit(host, parent, self.config.virtual_mac)
        identifiers = _interface_identifiers(host, parent)
        addresses = on_parent(host, parent, self.config)
        prepare = (
            *addresses.prepare,
            # neighbours of the real addresses would go on sending to the MAC that is no longer there
            *raise_sysctl(host, f"net/ipv4/conf/{name}/arp_notify", 1),
            *raise_sysctl(host, f"net/ipv6/conf/{name}/ndisc_notify", 1),
            *identifiers.prepare,
        )
        activate = (*identifiers.keep, SetMac(name, virtual, ioctl=self.ioctl), *addresses.add)
        # The MAC last: the kernel tells the neighbours of each address that is there that it has moved.
        back = SetMac(name, str(parent.mac), expected=virtual, ioctl=self.ioctl)
        return Plan(self.config.virtual_mac, prepare, activate, (*addresses.remove, back, *identifiers.give_back))


def _refuse_unfit(host: Host, parent: Link, virtual: MacAddress) -> None:
    """BackendError for an interface that cannot take the MAC, or not alone."""
    name = parent.name

    def refusal(why: str, what_to_do: str) -> BackendError:
        return BackendError(f"{name}: {why}: {what_to_do}", operation="prepare")

    if parent.mac == MacAddress(bytes(6)):
        raise refusal("it has no Ethernet address", "MAC swap needs an interface that has one")
    if parent.kind in _FIXED:
        raise refusal(f"the MAC of an interface of kind {parent.kind} cannot change", "use the interface below it")
    if parent.kind == "wlan":
        raise refusal("it is wireless, and its access point passes no other MAC", "use the announce backend")
    if parent.kind == "macvlan" and parent.mode in ("bridge", "vepa"):
        # the kernel does not give it multicast frames whose source is its own MAC: another router's adverts
        raise refusal(
            f"as a macvlan in mode {parent.mode} it would not hear other routers", "use the macvlan backend"
        )
    if parent.port_of not in ("", "vrf"):
        raise refusal(f"it is a port of a {parent.port_of}", f"use the {parent.port_of} itself")
    if parent.mac == virtual:
        known = parent.permanent_mac or "MAC"
        raise refusal(
            f"it has the virtual MAC {virtual} already, and nobody knows which it had before",
            f"give it its own again (`ip link set dev {name} address {known}`)",
        )
    for child in host.stacked(name):
        if child.mac in (parent.mac, virtual):
            raise refusal(
                f"{child.name} stands on it with the MAC {child.mac}, and would change along or clash",
                f"give {child.name} a MAC of its own, or use the macvlan backend",
            )


@dataclasses.dataclass(frozen=True, slots=True)
class _InterfaceIdentifiers:
    """What keeps the virtual MAC out of IPv6 interface identifiers (RFC 9568 7.4)."""

    prepare: tuple[Operation, ...] = ()
    keep: tuple[Operation, ...] = ()
    give_back: tuple[Operation, ...] = ()


def _interface_identifiers(host: Host, parent: Link) -> _InterfaceIdentifiers:
    """The kernel would make addresses of the virtual MAC: at Router Advertisements, and when the link comes up."""
    where = f"net/ipv6/conf/{parent.name}"
    mode = host.sysctl(f"{where}/addr_gen_mode")
    if mode not in ("0", "1"):  # a kernel without IPv6; or identifiers that do not come from the MAC
        return _InterfaceIdentifiers()
    prepare: list[Operation] = []
    changed: list[tuple[str, str]] = []
    own = _eui64(parent.mac)
    if _takes_prefixes(host, parent):
        if host.sysctl(f"{where}/router_solicitations") == "0":  # the kernel refuses a token then
            changed.append(("autoconf", "0"))
        else:
            # The addresses that it has so go on being renewed: they are made from the same identifier.
            prepare.append(SetToken(parent.name, str(own)))
    # Writing the mode back makes the kernel add its link-local address: it must be one that was there.
    if mode == "0" and any(
        address.ip == IPv6Address(0xFE80 << 112 | int(own)) for address in host.addresses(parent.name)
    ):
        changed.append(("addr_gen_mode", "1"))
    olds = {name: str(host.sysctl(f"{where}/{name}")) for name, _ in changed}
    return _InterfaceIdentifiers(
        tuple(prepare),
        tuple(SetSysctl(f"{where}/{name}", value) for name, value in changed),
        tuple(SetSysctl(f"{where}/{name}", olds[name], expected=value) for name, value in reversed(changed)),
    )


def _takes_prefixes(host: Host, parent: Link) -> bool:
    """Whether an address is made of each prefix in a Router Advertisement, and of the MAC."""
    accept, forwarding, autoconf = (
        host.sysctl(f"net/ipv6/conf/{parent.name}/{name}") for name in ("accept_ra", "forwarding", "autoconf")
    )
    return (
        (accept == "2" or (accept == "1" and forwarding == "0")) and autoconf != "0" and parent.identifier == "::"
    )


def _eui64(mac: MacAddress) -> IPv6Address:
    """The interface identifier that the kernel makes of a MAC (RFC 4291 appendix A), as a token."""
    octets = mac.packed
    return IPv6Address(bytes(8) + bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:])
