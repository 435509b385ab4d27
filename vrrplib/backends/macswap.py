"""The virtual MAC on the interface itself, while Active: vrrpd's way."""

from __future__ import annotations

from vrrplib.backends.announce import on_parent
from vrrplib.backends.operations import SetMac
from vrrplib.backends.plan import Host, Link, Plan, PlannedBackend, raise_sysctl


class MacSwapBackend(PlannedBackend):
    """Changes the interface's MAC to the virtual one while Active: for kernels and links without macvlan.

    The real addresses answer with the virtual MAC too while Active; the kernel tells their neighbours of each
    change (``arp_notify``, ``ndisc_notify``). An interface has one MAC: a second virtual router on it is refused.
    """

    kind = "macswap"
    exclusive = True

    def plan(self, host: Host, parent: Link) -> Plan:
        name, virtual = parent.name, str(self.config.virtual_mac)
        prepare = [
            # neighbours of the real addresses would go on sending to the MAC that is no longer there
            *raise_sysctl(host, f"net/ipv4/conf/{name}/arp_notify", 1),
            *raise_sysctl(host, f"net/ipv6/conf/{name}/ndisc_notify", 1),
        ]
        addresses = on_parent(host, parent, self.config)
        activate = (SetMac(name, virtual), *addresses.add)
        deactivate = (*addresses.remove, SetMac(name, str(parent.mac), expected=virtual))
        return Plan(self.config.virtual_mac, (*addresses.prepare, *prepare), activate, deactivate)
