"""What the judgements go by: a host, an interface and its LAN, as values. Who gathers them is another module's."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from vrrplib.backends.plan import Link
from vrrplib.wire.addresses import Family, IPAddress, IPInterface, MacAddress

CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_ADMIN": 21, "CAP_SYS_NICE": 23}
"""Those that matter, with their numbers in <linux/capability.h>."""


class Ability(enum.StrEnum):
    """Whether the kernel can do a thing."""

    WORKS = "works"
    LACKS = "lacks"
    UNKNOWN = "unknown"  # it may not be asked


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """The interface, and what it lies between.

    ``hardware`` is its ARPHRD type, ``driver`` what ethtool(8) calls it. ``neighbours`` are the other links of the
    namespace; ``snooping`` and ``querier`` those of the bridge that it is, or is a port of, None if there is none.
    """

    link: Link
    carrier: bool = True
    hardware: int = 1
    driver: str = ""
    addresses: tuple[IPInterface, ...] = ()
    neighbours: tuple[Link, ...] = ()
    snooping: bool | None = None
    querier: bool | None = None

    @property
    def children(self) -> tuple[Link, ...]:
        """The links that lie on it."""
        return tuple(link for link in self.neighbours if link.parent == self.link.index)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Privileges:
    """``capabilities`` are the effective ones, by name. ``foreign_namespace``: they do not count in the network
    namespace, which belongs to another user namespace. ``realtime_limit`` is RLIMIT_RTPRIO."""

    capabilities: frozenset[str] = frozenset(CAPABILITIES)
    foreign_namespace: bool = False
    initial_user_namespace: bool = True
    other_namespace: bool = False  # --netns was given
    realtime_limit: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """What it can do, by the names ``macvlan``, ``nftables``, ``egress``, ``cookie``; what is absent is unknown."""

    release: str = ""
    abilities: Mapping[str, Ability] = dataclasses.field(default_factory=dict)

    def can(self, name: str) -> Ability:
        return self.abilities.get(name, Ability.UNKNOWN)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The hardware, real or not. ``cpu_quota`` is the share of one CPU that a control group allows, None for all.

    ``lateness``: how late, in seconds, a number of waits of ``waited`` seconds ended.
    """

    vendor: str = ""
    product: str = ""
    clocksource: str = "tsc"
    cpus: int = 1
    cpu_quota: float | None = None
    waited: float = 0.01
    lateness: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    """A process in the same network namespace, or one (``certain`` False) of which that cannot be told."""

    name: str
    pid: int
    certain: bool = True


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The journal's place. ``refused`` says why it cannot be written; ``leftovers`` the commands that would undo
    what dead processes left on the interface, ``unread`` why that cannot be told."""

    directory: str
    refused: str | None = None
    leftovers: tuple[str, ...] = ()
    unread: str | None = None


class Protocol(enum.StrEnum):
    """Who speaks."""

    VRRP = "VRRP"
    CARP = "CARP"
    HSRP = "HSRP"
    UNKNOWN = "virtual MAC"  # a frame with a virtual MAC as its source, and not of these


@dataclasses.dataclass(frozen=True, slots=True)
class Speaker:
    """One who was heard: ``vrid`` is VRRP's VRID, CARP's VHID, HSRP's group, or the last byte of a virtual MAC."""

    protocol: Protocol
    family: Family
    vrid: int
    source: IPAddress | None
    mac: MacAddress
    version: int = 0
    priority: int | None = None
    addresses: tuple[IPAddress, ...] = ()
    broken: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lan:
    """What was heard in ``seconds``; ``queriers`` are who asks for memberships (IGMP, MLD), as a snooping switch
    wants it. ``deaf`` says why nothing could be heard."""

    seconds: float = 0.0
    speakers: tuple[Speaker, ...] = ()
    queriers: tuple[IPAddress, ...] = ()
    deaf: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All of it. ``managers`` are the names of those that configure the link (``NetworkManager``,
    ``systemd-networkd``). ``sysctls`` has paths below /proc/sys, those that are there; ``sysctls_writable`` is
    about this user, ``sysctls_read_only`` about the mount. ``wanted`` are the VRIDs that are to be run."""

    interface: Interface
    state: State
    privileges: Privileges = Privileges()
    kernel: Kernel = Kernel()
    machine: Machine = Machine()
    programs: tuple[Program, ...] = ()
    managers: tuple[str, ...] = ()
    sysctls: Mapping[str, str] = dataclasses.field(default_factory=dict)
    sysctls_writable: bool = True
    sysctls_read_only: bool = False
    lan: Lan = Lan()
    wanted: tuple[int, ...] = ()
