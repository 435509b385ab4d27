"""The facts of this host, gathered. Nothing of it is changed; what may not be read is left out."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence

from vrrplib.backends.journal import state_directory
from vrrplib.backends.netlink import NetlinkHost, cleanup
from vrrplib.backends.operations import AddEgressDrop, AddMacvlan, AddTable, Filter
from vrrplib.backends.plan import Link
from vrrplib.doctor import reading
from vrrplib.doctor.facts import Ability, Facts, Interface, Kernel, Lan, State
from vrrplib.doctor.listen import listen
from vrrplib.errors import BackendError
from vrrplib.namespaces import Namespace, run_in

_SYSCTLS = (
    *(
        f"net/ipv4/conf/{{}}/{name}"
        for name in ("arp_ignore", "arp_filter", "rp_filter", "proxy_arp", "drop_gratuitous_arp", "forwarding")
    ),
    "net/ipv6/conf/{}/disable_ipv6",
    "net/ipv6/conf/{}/forwarding",
)
_PROBE = "vrrplib-probe"
_NO_LINK_S_MAC = "01:00:5e:00:00:12"
_FILTERS: dict[str, tuple[Filter, ...]] = {
    "nftables": (AddTable("ip", _PROBE),),
    "egress": (AddTable("netdev", _PROBE), AddEgressDrop(_PROBE, "lo")),
}


def gather(
    interface: str,
    *,
    netns: Namespace = None,
    state_dir: str | os.PathLike[str] | None = None,
    wanted: Sequence[int] = (),
    seconds: float = 4.0,
) -> Facts:
    """All that can be known of ``interface`` and its host; takes half a second, and ``seconds`` to listen (or 0).

    BackendError if there is no such interface, or its namespace cannot be entered.
    """
    host = NetlinkHost(netns, state_dir=state_dir)
    try:
        link = host.link(interface)
        if link is None:
            raise BackendError(f"there is no interface named {interface!r}: see `ip link`", operation="doctor")
        cookie = run_in(netns, reading.netns_cookie)
        programs, managers = run_in(netns, lambda: reading.programs(link.index))
        return Facts(
            interface=_interface(host, link, netns),
            state=_state(interface, netns, state_dir, cookie),
            privileges=run_in(netns, lambda: reading.privileges(elsewhere=netns is not None)),
            kernel=Kernel(release=os.uname().release, abilities=_abilities(host, interface, cookie)),
            machine=reading.machine(),
            programs=programs,
            managers=managers,
            sysctls=_sysctls(host, interface),
            sysctls_writable=run_in(netns, lambda: reading.proc_sys_is_writable(interface)),
            sysctls_read_only=reading.proc_sys_is_read_only(),
            wanted=tuple(wanted),
            lan=listen(interface, netns=netns, seconds=seconds) if seconds > 0 else Lan(),
        )
    finally:
        host.close()


def _interface(host: NetlinkHost, link: Link, netns: Namespace) -> Interface:
    carrier, hardware, driver = run_in(netns, lambda: reading.link_state(link.name))
    names = [name for _, name in run_in(netns, socket.if_nameindex) if name != link.name]
    neighbours = tuple(found for name in names if (found := host.link(name)) is not None)
    bridges = [
        one for one in (link, *neighbours) if one.kind == "bridge" and one.index in (link.index, link.master)
    ]
    snooping, querier = reading.bridge_state(bridges[0].name, bridges[0].index) if bridges else (None, None)
    return Interface(
        link=link,
        carrier=carrier,
        hardware=hardware,
        driver=driver,
        addresses=host.addresses(link.name),
        neighbours=neighbours,
        snooping=snooping,
        querier=querier,
    )


def _sysctls(host: NetlinkHost, interface: str) -> dict[str, str]:
    paths = [path.format(where) for path in _SYSCTLS for where in ("all", interface)]
    return {path: value for path in paths if (value := host.sysctl(path)) is not None}


def _state(interface: str, netns: Namespace, state_dir: str | os.PathLike[str] | None, cookie: int | None) -> State:
    directory = state_directory(state_dir)
    refused = reading.why_no_journal(directory, cookie)
    try:
        leftovers = cleanup(interface, netns=netns, state_dir=state_dir, dry_run=True) if refused is None else []
    except BackendError as error:
        return State(directory=str(directory), refused=refused, unread=str(error))
    commands = tuple(operation.command for leftover in leftovers for operation in leftover.operations)
    return State(directory=str(directory), refused=refused, leftovers=commands)


def _abilities(host: NetlinkHost, interface: str, cookie: int | None) -> dict[str, Ability]:
    return {
        "macvlan": _can_macvlan(host, interface),
        **{name: _can_filter(host, filters) for name, filters in _FILTERS.items()},
        "cookie": Ability.LACKS if cookie is None else Ability.WORKS,
    }


def _can_macvlan(host: NetlinkHost, interface: str) -> Ability:
    """The kernel looks for the kind of link first, and then refuses a multicast MAC: nothing is made."""
    try:
        host.perform((AddMacvlan(_PROBE, interface, _NO_LINK_S_MAC, "source"),))
    except BackendError as error:
        known = {errno.EADDRNOTAVAIL: Ability.WORKS, errno.EOPNOTSUPP: Ability.LACKS}
        return known.get(error.errno or 0, Ability.UNKNOWN)
    return Ability.UNKNOWN


def _can_filter(host: NetlinkHost, filters: tuple[Filter, ...]) -> Ability:
    """A transaction that is never committed."""
    try:
        host.probe(filters)
    except BackendError as error:
        return Ability.UNKNOWN if error.errno in (errno.EPERM, errno.EACCES) else Ability.LACKS
    return Ability.WORKS
