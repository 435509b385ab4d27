"""What the interface says: its kind, its neighbours, its addresses and ARP settings, and what it is made of."""

from __future__ import annotations

from collections.abc import Iterator

from vrrplib.backends.macvlan import why_no_macvlan
from vrrplib.doctor.diagnosis import Diagnosis, note, ok, problem, warning
from vrrplib.doctor.facts import Facts, Interface, Machine
from vrrplib.wire.addresses import Family, MacAddress

ETHERNET, LOOPBACK = 1, 772
_VIRTUAL = {bytes.fromhex("00005e0001"): Family.IPV4, bytes.fromhex("00005e0002"): Family.IPV6}
_DROPS = "frames from and to a MAC that is not the interface's own may be dropped"
_DRIVERS = {
    "vmxnet3": (
        "VMware",
        "in the port group accept forged transmits, MAC changes and promiscuous mode (or MAC learning)",
    ),
    "hv_netvsc": ("Hyper-V or Azure", "enable MAC address spoofing on the adapter; in Azure there is no way"),
    "ena": ("Amazon EC2", "there is no multicast either: use --backend announce with --peer, and its API"),
    "gve": ("Google Cloud", "there is no multicast either: use --backend announce with --peer, and its API"),
    "xen_netfront": ("Xen", "in a cloud use --backend announce with --peer"),
    "vif": ("Xen", "in a cloud use --backend announce with --peer"),
    "virtio_net": (
        "a virtual machine",
        "libvirt: no filterref clean-traffic, and trustGuestRxFilters='yes' with macvtap; OpenStack: allowed "
        "address pairs; Proxmox: no MAC filter in the firewall",
    ),
    **dict.fromkeys(
        ("iavf", "i40evf", "ixgbevf", "igbvf", "bnx2x_vf", "mlx4_core_vf"),
        ("a virtual function of the card", "on its host: ip link set PF vf N trust on spoofchk off"),
    ),
}
_VENDORS = {
    # how DMI begins -> what it is, what to do
    "Amazon EC2": _DRIVERS["ena"],
    "Google": _DRIVERS["gve"],
    "VMware": _DRIVERS["vmxnet3"],
    "Microsoft Corporation": _DRIVERS["hv_netvsc"],
    "DigitalOcean": ("DigitalOcean", "use --backend announce with --peer, and its API for the address"),
    "Hetzner": ("Hetzner Cloud", "use --backend announce with --peer, and its API for the address"),
    "OpenStack": ("OpenStack", "allow the virtual MAC and addresses on the port (allowed address pairs)"),
    "QEMU": _DRIVERS["virtio_net"],
    "KVM": _DRIVERS["virtio_net"],
    "Xen": _DRIVERS["vif"],
    "innotek": ("VirtualBox", "set the adapter's promiscuous mode to 'allow all'"),
    "Parallels": ("Parallels", "let the adapter be bridged"),
}
_NO_LAN = {"veth", "bridge", "macvlan", "dummy", "vxlan", "tun"}
"""Kinds whose frames do not meet the hypervisor by themselves."""


def virtual_router_of(mac: MacAddress) -> tuple[Family, int] | None:
    """The family and VRID that a MAC belongs to (RFC 9568 7.3), or None."""
    family = _VIRTUAL.get(mac.packed[:5])
    return (family, mac.packed[5]) if family is not None and mac.packed[5] else None


def judge_link(facts: Facts) -> Iterator[Diagnosis]:
    yield from _kind(facts.interface)
    yield from _company(facts)
    yield from _presence(facts.interface, facts)
    yield from _arp(facts)
    yield from _forwarding(facts)
    yield from _snooping(facts.interface)
    if facts.interface.link.kind not in _NO_LAN:
        yield from _hypervisor(facts.interface, facts.machine)


def _kind(interface: Interface) -> Iterator[Diagnosis]:
    link = interface.link
    if interface.hardware != ETHERNET:
        what = (
            "the loopback" if interface.hardware == LOOPBACK else f"no Ethernet (ARPHRD type {interface.hardware})"
        )
        yield problem(
            "interface-kind",
            f"{link.name} is {what}",
            "it has no MAC that could move, and no LAN",
            "name the interface on the LAN",
        )
        return
    if (why := why_no_macvlan(link)) is not None:
        reason, _, remedy = why.rpartition(": ")
        yield problem(
            "interface-kind",
            f"{link.name} {reason}",
            "the macvlan backend refuses it before anything is changed",
            remedy,
        )
    elif link.port_of not in ("", "vrf"):
        yield problem(
            "interface-kind",
            f"{link.name} is a port of a {link.port_of}",
            "what arrives there goes to its master, so there can be no macvlan on it",
            "use the master itself",
        )
    elif link.port_of == "vrf":
        yield note("interface-kind", f"{link.name} is a VRF's member", "the macvlan becomes a member too")
    for child in interface.children:
        if child.kind in ("ipvlan", "ipvtap"):
            yield problem(
                "interface-kind",
                f"{child.name} is an ipvlan on {link.name}",
                "the kernel allows no macvlan beside an ipvlan",
                "make that one a macvlan, or use --backend macswap or announce",
            )
        elif child.kind in ("macvlan", "macvtap") and child.mode == "passthru":
            yield problem(
                "interface-kind",
                f"{child.name} is a macvlan in mode passthru on {link.name}",
                "the kernel allows no second macvlan beside it",
                "put the virtual router on it instead, or change its mode",
            )


def _company(facts: Facts) -> Iterator[Diagnosis]:
    """Virtual MACs that this host has already."""
    interface = facts.interface
    for link in (interface.link, *interface.neighbours):
        found = virtual_router_of(link.mac)
        if found is None:
            continue
        family, vrid = found
        here = interface.link.index in (link.index, link.parent)
        say = warning if here and vrid in facts.wanted else note
        yield say(
            "virtual-mac-here",
            f"{link.name} has the virtual MAC of IPv{family} VRID {vrid} ({link.mac})",
            "two links of one MAC cannot be up on one interface",
            "if it is not ours, and not from a run that goes on: find whose it is, or take another VRID",
        )


def _presence(interface: Interface, facts: Facts) -> Iterator[Diagnosis]:
    link = interface.link
    if not link.is_up:
        yield problem(
            "link-down", f"{link.name} is down", "nothing is sent or heard", f"ip link set {link.name} up"
        )
    elif not interface.carrier:
        yield problem(
            "no-carrier", f"{link.name} has no carrier", "nothing is sent or heard", "see to cable, switch or peer"
        )
    else:
        yield ok(
            "link",
            f"{link.name} is up" + (f" ({link.kind or interface.driver})" if link.kind or interface.driver else ""),
        )
    if all(address.version != Family.IPV4.value for address in interface.addresses):
        yield warning(
            "no-address",
            f"{link.name} has no IPv4 address",
            "IPv4 advertisements have to be sent from one, which must not be a virtual one",
            f"ip address add A/LEN dev {link.name}; IPv6 needs none",
        )
    if any(address.version == Family.IPV6.value and address.ip.is_link_local for address in interface.addresses):
        return
    name = link.name
    off = facts.sysctls.get(f"net/ipv6/conf/{name}/disable_ipv6") == "1"
    if f"net/ipv6/conf/{name}/disable_ipv6" not in facts.sysctls:
        yield note("no-ipv6", "this kernel has no IPv6", "virtual routers can be of IPv4 only")
    else:
        yield note(
            "no-ipv6",
            f"{name} has no IPv6 link-local address" + (", for disable_ipv6 is 1" if off else ""),
            "IPv6 advertisements have to be sent from one (RFC 9568 5.1.2.1); IPv4 does without",
            f"sysctl -w net/ipv6/conf/{name}/disable_ipv6=0" if off else f"ip address add fe80::N/64 dev {name}",
        )


def _arp(facts: Facts) -> Iterator[Diagnosis]:
    name = facts.interface.link.name

    def value(where: str, what: str) -> int:
        text = facts.sysctls.get(f"net/ipv4/conf/{where}/{what}", "0")
        return int(text) if text.isdecimal() else 0

    everywhere = value("all", "arp_ignore")
    if value("all", "arp_filter") > 0:
        yield problem(
            "arp-filter",
            "all.arp_filter is 1",
            f"the way back of every ARP request is by {name}, so a macvlan answers none; its own arp_filter=0 does "
            "not count then",
            "sysctl -w net.ipv4.conf.all.arp_filter=0, and 1 on the interfaces that need it",
        )
    if everywhere == 8 or value(name, "arp_ignore") == 8:
        where = "all" if everywhere == 8 else name
        yield problem(
            "arp-ignore",
            f"{where}.arp_ignore is 8",
            "no ARP request is answered"
            + (" on any interface" if everywhere == 8 else f" on {name}: macswap and announce need that"),
            f"sysctl -w net/ipv4/conf/{where}/arp_ignore=1",
        )
    elif everywhere == 3:
        yield problem(
            "arp-ignore",
            "all.arp_ignore is 3",
            f"{name} answers ARP for the virtual addresses too, with its own MAC",
            "sysctl -w net.ipv4.conf.all.arp_ignore=1",
        )
    elif everywhere == 2:
        yield warning(
            "arp-ignore",
            "all.arp_ignore is 2",
            "a macvlan answers ARP only for addresses whose prefix the asking host is in: not for a /32",
            "give virtual addresses the length of the LAN's prefix, or set all.arp_ignore=1",
        )
    if max(value("all", "rp_filter"), value(name, "rp_filter")) == 1:
        yield note(
            "rp-filter",
            f"reverse-path filtering is strict on {name}",
            "our macvlan is set loose, but what arrives on the interface itself is dropped where the way back is "
            "another one, as for hosts that are reached by two routers",
            f"if routes are asymmetric: sysctl -w net/ipv4/conf/{name}/rp_filter=2",
        )
    if value("all", "proxy_arp") or value(name, "proxy_arp"):
        yield note(
            "proxy-arp",
            f"proxy ARP is on for {name}",
            "the interface answers for hosts behind others with its own MAC; our macvlan is kept out of it",
        )
    if value("all", "drop_gratuitous_arp") or value(name, "drop_gratuitous_arp"):
        yield note(
            "gratuitous-arp",
            "this host drops gratuitous ARP",
            "its own entries of addresses that move without a MAC (--backend announce) go stale",
        )


def _forwarding(facts: Facts) -> Iterator[Diagnosis]:
    for family in (4, 6):
        everywhere = facts.sysctls.get(f"net/ipv{family}/conf/all/forwarding")
        here = facts.sysctls.get(f"net/ipv{family}/conf/{facts.interface.link.name}/forwarding", everywhere)
        if everywhere is not None and "0" in ((here,) if family == 4 else (everywhere, here)):
            yield note(
                "forwarding",
                f"IPv{family} forwarding is off",
                "an Active router answers for the addresses, and forwards nothing: right for a service, not for a "
                "default gateway",
                f"for a gateway: sysctl -w net.ipv{family}.conf.all.forwarding=1",
            )


def _snooping(interface: Interface) -> Iterator[Diagnosis]:
    if interface.snooping:
        asks = "and asks for memberships" if interface.querier else "and asks nobody"
        yield note(
            "snooping",
            f"the bridge of {interface.link.name} snoops multicast, {asks}",
            "ff02::12 goes only to ports that asked for it; our transport does, but a Backup whose reports are "
            "lost hears nothing and takes over",
            "see `bridge mdb show`; mcast_snooping 0 on the bridge floods instead",
        )


def _hypervisor(interface: Interface, machine: Machine) -> Iterator[Diagnosis]:
    text = f"{machine.vendor} {machine.product}".strip()
    known = _DRIVERS.get(interface.driver)
    if known is None:
        known = next((found for begin, found in _VENDORS.items() if begin.lower() in text.lower()), None)
    if known is None:
        return
    what, remedy = known
    seen = ", ".join(filter(None, (interface.driver and f"driver {interface.driver}", text)))
    yield warning(
        "hypervisor",
        f"{interface.link.name} may be behind a switch that filters: {what} ({seen})",
        f"{_DROPS}, and multicast too",
        f"{remedy}. To see: `vrrplib run` on two hosts; the Backup must hear the other. --xmit-base or "
        "--backend announce do without a foreign source",
    )
