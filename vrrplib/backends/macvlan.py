"""The virtual MAC on a macvlan link of its own: keepalived's use_vmac."""

from __future__ import annotations

import dataclasses
import errno
import re
from collections.abc import Iterable

from vrrplib.backends.accepting import table_name
from vrrplib.backends.exchange import removals_of
from vrrplib.backends.operations import (
    AddAddress,
    AddEgressDrop,
    AddMacvlan,
    AddTable,
    Operation,
    RemoveAddress,
    RemoveEgressDrop,
    SetLinkDown,
    SetLinkUp,
    SetMacvlanMode,
    SetSysctl,
)
from vrrplib.backends.plan import Host, Link, Plan, PlannedBackend, beside, quiet, raise_sysctl
from vrrplib.election.config import RouterConfig
from vrrplib.errors import BackendError, ConfigError
from vrrplib.namespaces import Namespace
from vrrplib.wire.addresses import Family, IPInterface, MacAddress

_OUR_NAMES = re.compile(r"vmac[46]-\d+-\d+")
LONGEST_NAME = 15  # IFNAMSIZ, less its terminating zero
INERT_MODE = "source"
"""With an empty list of sources a macvlan receives nothing while it is up, and is one message away from Active."""
LIVE_MODES = ("private", "bridge", "vepa")
_MODES_THAT_HEAR = ("bridge", "vepa")
"""Of a macvlan that carries a virtual router: what has the source MAC of a sibling in vepa mode comes to these."""
_NO_SUCH_MODE = (errno.EINVAL, errno.EOPNOTSUPP)
_PASSTHRU = (
    "mode cannot be passthru, which gives the interface itself the virtual MAC, and cuts the host off from its LAN "
    "while the link is down: use one of {}, or the MAC-swap backend"
)
_NO_MACVLAN = {
    # what IFLA_INFO_SLAVE_KIND says of a port
    "bond": "is a bond's port, which the kernel lets carry no macvlan: use the bond itself",
    "team": "is a team's port, which the kernel lets carry no macvlan: use the team itself",
    "bridge": "is a bridge's port, which the kernel lets carry no macvlan: use the bridge itself",
    "openvswitch": "is a switch's port, which the kernel lets carry no macvlan: use the switch's internal port",
}
_NO_MACVLAN_ON = {
    "vrf": "is a VRF device, which has no LAN: use the member interface",
    "ipvlan": "is an ipvlan, which can carry no macvlan: use its parent",
    "wlan": "is wireless, and access points drop every MAC but its own: use --backend announce (AnnounceBackend)",
}

_SYSCTLS = {
    # The macvlan must not answer ARP for the addresses of its parent or siblings.
    "ipv4/{}/arp_ignore": "1",
    # Nor by proxy (default.proxy_arp, all.proxy_arp): the route to every host of the LAN is by another interface,
    # the parent, so it would claim them all. An unknown medium (-1) stops that, whatever all.proxy_arp is.
    "ipv4/{}/medium_id": "-1",
    "ipv4/{}/proxy_arp_pvlan": "0",
    # Silence until Active: no MLD, no neighbour or router discovery may leave with the virtual MAC of a Backup.
    "ipv6/{}/disable_ipv6": "1",
}
_SYSCTLS_OF = {
    Family.IPV4: {
        # It must not ask with their addresses as the sender either: that would teach the virtual MAC for them.
        "ipv4/{}/arp_announce": "2",
        # The answer leaves by the parent, where the route is: with arp_filter there would be none.
        "ipv4/{}/arp_filter": "0",
        # Packets come in here whose way back is the parent. The kernel takes the greater of this and
        # all.rp_filter: 0 would be strict where all.rp_filter is 1, and 2 (loose) never is.
        "ipv4/{}/rp_filter": "2",
        # Removing one of several addresses of a subnet must not take the others along.
        "ipv4/{}/promote_secondaries": "1",
    },
    Family.IPV6: {
        # RFC 9568 7.4: the virtual MAC must not be used for interface identifiers. 1 is "none".
        "ipv6/{}/addr_gen_mode": "1",
        "ipv6/{}/accept_ra": "0",
        "ipv6/{}/autoconf": "0",
    },
}


class MacvlanBackend(PlannedBackend):
    """One macvlan for the virtual router, with its virtual MAC; the parent keeps its own MAC and addresses.

    While Backup the link is up and inert: ``source`` mode with an empty list, no addresses, IPv6 off. Activation
    adds the addresses and switches to ``mode`` (private, bridge or vepa). Where the kernel has no source mode the
    link is down while Backup, and activation takes milliseconds more. On the parent ``arp_ignore`` and
    ``arp_announce`` are raised while any IPv4 virtual router is there. ``name`` defaults to ``vmac4-INDEX-VRID``; a
    macvlan of that name that is there with this MAC is adopted, and gets back what it had.

    With ``xmit_base`` advertisements have the interface's own MAC as their source (against RFC 9568 7.2: for
    hypervisors and port security that let no other through); ARP and ND still name the virtual one. ``mac`` is
    another virtual MAC than the RFC's, for all routers alike. With ``standing`` the addresses are there while
    Backup too, behind a filter that lets nothing out: promotion is then the same whatever their number, and the
    Backup's own processes reach themselves when they ask for a virtual address.

    On an interface that is a macvlan itself the link is down while Backup, with its addresses away, and its mode is
    vepa, whatever was asked for: else that interface would not hear another router's advertisements.

    docs/backends.md tells when to choose what.
    """

    kind = "macvlan"

    def __init__(
        self,
        interface: str,
        config: RouterConfig,
        *,
        name: str | None = None,
        mode: str = "private",
        xmit_base: bool = False,
        mac: MacAddress | str | None = None,
        standing: bool = False,
        netns: Namespace = None,
        host: Host | None = None,
    ) -> None:
        super().__init__(interface, config, netns=netns, host=host)
        if mode == "passthru":
            raise ConfigError(_PASSTHRU.format(", ".join(LIVE_MODES)))
        if mode not in LIVE_MODES:
            raise ConfigError(f"mode must be one of {', '.join(LIVE_MODES)}, not {mode!r}")
        if name is not None and not re.fullmatch(f"[!-.0-~]{{1,{LONGEST_NAME}}}", name):
            raise ConfigError(f"name must have 1-{LONGEST_NAME} letters, no space and no slash, not {name!r}")
        self.name = name
        self.mode = mode
        self.xmit_base = xmit_base
        self.virtual_mac = None if mac is None else _unicast(mac)
        self.standing = standing
        self._parent_mac: MacAddress | None = None
        self._adopted = False
        self._has_source_mode = True  # until the kernel says otherwise, or beside another macvlan
        self._live_mode = mode

    @property
    def advertisement_mac(self) -> MacAddress:
        return self._parent_mac if self.xmit_base and self._parent_mac else self.mac

    def prepare(self) -> None:
        try:
            super().prepare()
        except BackendError as error:
            if not self._lacks_source_mode(error):
                raise
            super().prepare()

    def activate(self) -> None:
        try:
            super().activate()
        except BackendError as error:
            self._lacks_source_mode(error)  # the next prepare() will do without
            raise

    def _lacks_source_mode(self, error: BackendError) -> bool:
        """Whether the kernel has just said so: it has come with Linux 3.18."""
        refused = isinstance(error.operation, AddMacvlan | SetMacvlanMode) and error.errno in _NO_SUCH_MODE
        if not (refused and self._has_source_mode):
            return False
        self._has_source_mode = False
        return True

    def replan(self, host: Host, parent: Link) -> Plan | None:
        return None if self._adopted else self._plan(host, parent, self.link_name(parent))

    def plan(self, host: Host, parent: Link) -> Plan:
        if why := why_no_macvlan(parent):
            raise BackendError(f"{parent.name} {why}", operation="prepare")
        if parent.kind == "macvlan":
            # The two are siblings then, and hear a multicast frame by its source: that of a link that is up and has
            # the virtual MAC itself, so another router's advert, is for that link alone; in vepa mode for all.
            self._has_source_mode, self._live_mode = False, "vepa"
        name = self.link_name(parent)
        there = host.link(name)
        self._adopted = there is not None
        return self._adopt(host, parent, there) if there else self._plan(host, parent, name)

    def shared_name(self) -> str:
        return self.name or ""

    def link_name(self, parent: Link) -> str:
        return self.name or f"vmac{self.config.family}-{parent.index}-{self.config.vrid}"

    def _adopt(self, host: Host, parent: Link, link: Link) -> Plan:
        """Of a link that is there nothing is taken away: it is silenced while Backup, and gets back what it had."""
        self._parent_mac = parent.mac
        self._refuse_owned(host, parent)
        virtual = self.virtual_mac or self.config.virtual_mac
        addresses = host.addresses(link.name)
        if why := self._why_not_ours(parent, link, virtual, addresses):
            raise BackendError(
                f"a link named {link.name} is there already, and {why}: remove it "
                f"(`ip link delete dev {link.name}`) or choose another name",
                operation="prepare",
            )
        live, inert = SetMacvlanMode(link.name, self.mode), SetMacvlanMode(link.name, INERT_MODE)
        guard, shut, let_out = self._filter(parent, link.name)
        held = {address.ip for address in addresses}
        added = tuple(item for item in self._addresses(host, parent, link.name) if item.interface.ip not in held)
        sysctls = self._link_sysctls(host, parent, link.name, initial=link.name)
        # Silent first and longest: what the kernel says of changes, and of the way back, stays in the host.
        prepare = (guard, shut, inert, *self._parent_sysctls(host, parent), *sysctls, SetLinkUp(link.name))
        return Plan(virtual, prepare, (let_out, *added, live), (shut, inert, *_removals(added)))

    def _why_not_ours(
        self, parent: Link, link: Link, virtual: MacAddress, addresses: Iterable[IPInterface]
    ) -> str | None:
        wrong = {
            "is no macvlan": link.kind != "macvlan",
            f"does not lie on {parent.name}": link.parent != parent.index,
            f"has the MAC {link.mac}, not {virtual}": link.mac != virtual,
            "has a mode that cannot be changed": link.mode == "passthru",
            "hears a list of sources, which a change of mode would empty": link.sources != 0,
            f"is not in the VRF of {parent.name}": parent.port_of == "vrf" and link.master != parent.master,
            # for what it has is the operator's, and stays
            "has virtual addresses, to which packets would be accepted": not self.config.accept_mode
            and any(item.ip in {address.ip for address in self.config.addresses} for item in addresses),
            # going up gives it a queue, and with IPv6 an address made of the virtual MAC (against RFC 9568 7.4)
            f"is down, and would not be again exactly (`ip link set dev {link.name} up` first)": not link.is_up,
            "cannot be made inert: the kernel has no source mode, or the interface is a macvlan itself": (
                not self._has_source_mode
            ),
        }
        return next((why for why, is_so in wrong.items() if is_so), None)

    def _filter(self, parent: Link, name: str) -> tuple[AddTable, AddEgressDrop, RemoveEgressDrop]:
        """The table, and what keeps the link silent and lets it speak."""
        table = table_name(self.config, parent.index)
        return AddTable("netdev", table), AddEgressDrop(table, name), RemoveEgressDrop(table)

    def _parent_sysctls(self, host: Host, parent: Link) -> tuple[SetSysctl, ...]:
        if self.config.family is Family.IPV6:
            return ()
        # Else the parent answers ARP for the virtual addresses, and asks in their name, with its own MAC; and so do
        # its neighbours on this host. Other virtual routers' links were made quiet when they were made.
        others = (name for name in beside(host, parent) if not _OUR_NAMES.fullmatch(name))
        ignore = quiet(host, (parent.name, *(name for name in others if name != self.link_name(parent))))
        return (*ignore, *raise_sysctl(host, f"net/ipv4/conf/{parent.name}/arp_announce", 2))

    def _plan(self, host: Host, parent: Link, name: str) -> Plan:
        config = self.config
        self._refuse_owned(host, parent)
        self._parent_mac = parent.mac
        virtual = self.virtual_mac or config.virtual_mac
        prepare: list[Operation] = [*self._parent_sysctls(host, parent)]
        first_mode = INERT_MODE if self._has_source_mode else self._live_mode
        prepare.append(AddMacvlan(name, parent.name, str(virtual), first_mode, master=_vrf(host, parent)))
        prepare += self._link_sysctls(host, parent, name)
        if not self._has_source_mode:
            return self._down_while_backup(Plan(virtual, tuple(prepare), (), (), name), host, parent)
        live, inert = SetMacvlanMode(name, self._live_mode), SetMacvlanMode(name, INERT_MODE)
        addresses = self._addresses(host, parent, name)
        if self.standing:
            there = [item for item in addresses if not item.prefix_route or item.interface.ip.is_link_local]
            added = tuple(item for item in addresses if item not in there)
            guard, shut, let_out = self._filter(parent, name)
            # The table outlives the link, which must have no moment without the filter: it is made first.
            prepare = [guard, *prepare, shut, *there, SetLinkUp(name)]
            activate = (let_out, *added, live)
            return Plan(virtual, tuple(prepare), activate, (shut, inert, *_removals(added)), name)
        prepare.append(SetLinkUp(name))
        if config.family is Family.IPV4:
            return Plan(virtual, tuple(prepare), (*addresses, live), (inert, *_removals(addresses)), name)
        on, off = _ipv6_switch(name)
        # Turning IPv6 off takes the addresses away too, and not even a last MLD report gets out.
        return Plan(virtual, tuple(prepare), (on, *addresses, live), (inert, off), name)

    def _down_while_backup(self, plan: Plan, host: Host, parent: Link) -> Plan:
        name = str(plan.own_link)
        up, down = SetLinkUp(name), SetLinkDown(name)
        addresses = self._addresses(host, parent, name)
        if self.config.family is Family.IPV4:
            return dataclasses.replace(plan, activate=(*addresses, up), deactivate=(down, *_removals(addresses)))
        on, off = _ipv6_switch(name)
        return dataclasses.replace(plan, activate=(on, *addresses, up), deactivate=(down, off))

    def _link_sysctls(self, host: Host, parent: Link, name: str, *, initial: str = "default") -> list[Operation]:
        family = self.config.family
        values = _SYSCTLS | _SYSCTLS_OF[family]
        values |= _forwarding(host, parent, family, initial)
        if family is Family.IPV6 and (self._adopted or (self.standing and self._has_source_mode)):
            del values["ipv6/{}/disable_ipv6"]
            values["ipv6/{}/disable_ipv6"] = "0"  # last: an adopted link is up, and would make itself an address
            if self._adopted and host.sysctl(f"net/ipv6/conf/{name}/disable_ipv6") == "0":
                del values["ipv6/{}/addr_gen_mode"]  # the way back would add an address
        elif self._adopted:
            del values["ipv6/{}/disable_ipv6"]  # which would cost it the addresses that it has
        if host.sysctl("net/ipv6/conf/default/disable_ipv6") is None:  # a kernel without IPv6
            values = {path: value for path, value in values.items() if path.startswith("ipv4")}
        return [SetSysctl(f"net/{path.format('conf/' + name)}", value) for path, value in values.items()]

    def _addresses(self, host: Host, parent: Link, name: str) -> list[AddAddress]:
        """The virtual addresses; where the parent is in their subnet, the host's own traffic stays there."""
        networks = {address.network for address in host.addresses(parent.name)}
        return [
            AddAddress(
                name,
                str(address),
                prefix_route=address.network not in networks or address.ip.is_link_local,
                source=address.version == Family.IPV4.value,
            )
            for address in self.config.addresses
        ]

    def _refuse_owned(self, host: Host, parent: Link) -> None:
        owned = {address.ip for address in host.addresses(parent.name)}
        for address in self.config.addresses:
            if address.ip in owned:
                raise BackendError(
                    f"{address.ip} is an address of {parent.name} itself, which answers for it with its own MAC: "
                    "remove it there, or use the MAC-swap backend",
                    operation="prepare",
                )


def _removals(addresses: Iterable[AddAddress]) -> tuple[RemoveAddress, ...]:
    return removals_of(addresses)[::-1]


def _ipv6_switch(name: str) -> tuple[SetSysctl, SetSysctl]:
    path = f"net/ipv6/conf/{name}/disable_ipv6"
    return SetSysctl(path, "0"), SetSysctl(path, "1", expected="0")


def why_no_macvlan(parent: Link) -> str | None:
    """Why an interface cannot carry a macvlan, as what follows its name in a sentence; None if it can."""
    if parent.kind == "macvlan" and parent.mode not in ("", *_MODES_THAT_HEAR):
        return (
            f"is a macvlan in mode {parent.mode}, which would not hear other routers: use the interface below it, "
            f"or one in mode {' or '.join(_MODES_THAT_HEAR)}"
        )
    return _NO_MACVLAN.get(parent.port_of) or _NO_MACVLAN_ON.get(parent.kind)


def _vrf(host: Host, parent: Link) -> str | None:
    """What comes in by a VRF's member is looked up in the VRF's tables only if the macvlan is a member too."""
    master = host.link(parent.master) if parent.port_of == "vrf" else None
    return master.name if master else None


def _unicast(mac: MacAddress | str) -> MacAddress:
    value = MacAddress(mac)
    if value.packed[0] & 1 or not any(value.packed):
        raise ConfigError(f"mac must be a unicast address and not zero, not {value}")
    return value


def _forwarding(host: Host, parent: Link, family: Family, link: str) -> dict[str, str]:
    """What arrives for the virtual MAC is forwarded as if it had come in on the parent (RFC 9568 6.4.3).

    ``link`` is whose values it has now: ``default``'s, if it is new.
    """
    found = {}
    for name in ("forwarding", "force_forwarding"):  # the latter since Linux 6.17, IPv6 only
        value, initial, everywhere = (
            host.sysctl(f"net/ipv{family}/conf/{where}/{name}") for where in (parent.name, link, "all")
        )
        if value in (None, initial):
            continue
        # In IPv6 this only says whether the kernel's answers carry the router flag, and no host is a router while
        # all.forwarding is 0. Each 1 that is written, a new one or not, makes the kernel throw away the default
        # routes that other interfaces have learned from Router Advertisements.
        if family is Family.IPV6 and name == "forwarding" and value != "0" and everywhere == "0":
            continue
        found[f"ipv{family}/{{}}/{name}"] = str(value)
    return found
