"""What one virtual router is told: :class:`RouterConfig`."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from vrrplib.election.announcing import ONCE, AnnouncementPolicy
from vrrplib.errors import ConfigError, require_int
from vrrplib.rules import RFC9568, Rules
from vrrplib.values import dataclass
from vrrplib.wire.addresses import (
    ADVERTISEMENT_TTL,
    AddressLike,
    Family,
    InterfaceLike,
    IPAddress,
    IPInterface,
    MacAddress,
    to_address,
    to_interface,
    virtual_mac,
)
from vrrplib.wire.checksum import ChecksumForm

TYPE_CHECKING = False  # typing is not loaded: see vrrplib/__init__.py
if TYPE_CHECKING:
    from typing import Any, Self

    from vrrplib.wire.authentication import Scheme

_LONGEST_DELAY = 86400.0
OWNER_PRIORITY = 255
MOST_ADDRESSES = 255  # the count has eight bits: RFC 3768 5.3.5, RFC 9568 5.2.5
_INTERVAL_UNITS = {
    2: (1.0, 255, "whole seconds from 1 to 255"),
    3: (0.01, 4095, "whole centiseconds from 0.01 to 40.95 s"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterConfig:
    """The configuration of one virtual router on one interface (RFC 9568 6.1); ConfigError for what it forbids.

    ``addresses`` are the virtual addresses with their prefix lengths, strings or ``ipaddress`` objects, all of
    one family; the first IPv6 one is link-local. ``primary_address`` is what advertisements are sent from: a real
    address of the interface, for IPv6 its link-local. ``priority`` is 1-254, or 255 for the address owner.
    ``advertisement_interval`` is in seconds: whole ones in version 2, whole centiseconds in version 3.

    ``accept_mode`` defaults to True, as in every Linux daemon (RFC 9568 6.1: False), and ``send_checksum`` to the
    pseudo-header, which is what keepalived and FRR send and demand (RFC 9568 5.2.8: the message alone);
    :meth:`strict` has the RFC's own. ``send_checksum`` None follows the form that is heard in valid advertisements.

    ``preempt_delay`` is how many seconds an Active router of lower priority is let be after it was first heard (RFC
    8347 hold-time); ``startup_delay`` how many seconds after Startup nothing is promoted, whoever is silent. With
    ``listen_after_stall`` a Backup whose timer fires late by more than an interval, because the process or the
    machine stood still, listens for one Skew_Time before it acts.

    ``authentication`` is a scheme of :mod:`vrrplib.wire.authentication`: what is sent is signed, and what is not
    signed with the same key is discarded. ``peers`` are unicast addresses to send to instead of the group, and then
    only they are heard, with a TTL of at least ``least_peer_ttl``. ``also`` is a rule set of version 2 to speak
    beside version 3 during a migration (RFC 9568 8.4). ``announcements`` says when the LAN is told where the
    addresses are.
    """

    vrid: int
    addresses: tuple[IPv4Interface | IPv6Interface, ...]
    primary_address: IPv4Address | IPv6Address
    priority: int = 100
    advertisement_interval: float = 1.0
    preempt: bool = True
    accept_mode: bool = True
    rules: Rules = RFC9568
    send_checksum: ChecksumForm | None = ChecksumForm.PSEUDO_HEADER
    accept_checksum: ChecksumForm = ChecksumForm.EITHER
    preempt_delay: float = 0.0
    startup_delay: float = 0.0
    listen_after_stall: bool = False
    authentication: Scheme | None = None
    peers: tuple[IPAddress, ...] = ()
    least_peer_ttl: int = ADVERTISEMENT_TTL
    also: Rules | None = None
    announcements: AnnouncementPolicy = ONCE

    if TYPE_CHECKING:  # the constructor takes more than the fields hold

        def __init__(
            self,
            *,
            vrid: int,
            addresses: Iterable[InterfaceLike],
            primary_address: AddressLike,
            priority: int = 100,
            advertisement_interval: float = 1.0,
            preempt: bool = True,
            accept_mode: bool = True,
            rules: Rules = RFC9568,
            send_checksum: ChecksumForm | None = ChecksumForm.PSEUDO_HEADER,
            accept_checksum: ChecksumForm = ChecksumForm.EITHER,
            preempt_delay: float = 0.0,
            startup_delay: float = 0.0,
            listen_after_stall: bool = False,
            authentication: Scheme | None = None,
            peers: Iterable[AddressLike] = (),
            least_peer_ttl: int = ADVERTISEMENT_TTL,
            also: Rules | None = None,
            announcements: AnnouncementPolicy = ONCE,
        ) -> None: ...

    def __post_init__(self) -> None:
        require_int("vrid", self.vrid, 1, 255)
        require_int("priority", self.priority, 1, 255)
        self._check_addresses()
        if self.version == 2 and self.family is Family.IPV6:
            raise ConfigError(f"version must be 3 for IPv6 addresses, not 2 ({self.rules.name})")
        self._check_interval()
        if self.send_checksum is not None and len(ChecksumForm(self.send_checksum)) != 1:
            raise ConfigError(f"send_checksum must be one ChecksumForm or None, not {self.send_checksum!r}")
        if not self.accept_checksum:
            raise ConfigError(f"accept_checksum must name at least one ChecksumForm, not {self.accept_checksum!r}")
        for name in ("preempt_delay", "startup_delay"):
            delay = getattr(self, name)
            if not isinstance(delay, int | float) or isinstance(delay, bool) or not 0 <= delay <= _LONGEST_DELAY:
                raise ConfigError(f"{name} must be 0-{_LONGEST_DELAY:g} seconds, not {delay!r}")
        self._check_peers()
        self._check_versions()

    @classmethod
    def strict(cls, **fields: Any) -> Self:
        """RFC 9568's own defaults: checksums over the message alone (5.2.8), Accept_Mode False (6.1)."""
        defaults: dict[str, Any] = {
            "send_checksum": ChecksumForm.MESSAGE_ONLY,
            "accept_checksum": ChecksumForm.MESSAGE_ONLY,
            "accept_mode": False,
        }
        return cls(**defaults | fields)

    @property
    def version(self) -> int:
        """The protocol version: 2 or 3."""
        return self.rules.version

    @property
    def family(self) -> Family:
        """The family of all the addresses."""
        return Family(self.addresses[0].version)

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions that are sent and heard: one, or 3 and 2 (RFC 9568 8.4)."""
        return (self.version,) if self.also is None else (self.version, self.also.version)

    @property
    def ips(self) -> tuple[IPAddress, ...]:
        """The virtual addresses without their prefix lengths."""
        return tuple([address.ip for address in self.addresses])

    @property
    def auth_type(self) -> int:
        """What the Authentication Type of VRRPv2 must be: RFC 2338 5.3.6."""
        return 0 if self.authentication is None else self.authentication.auth_type

    @property
    def numbers_messages(self) -> bool:
        """Whether each message is signed with a number of its own."""
        return self.authentication is not None and self.authentication.numbered

    @property
    def virtual_mac(self) -> MacAddress:
        """RFC 9568 7.3."""
        return virtual_mac(self.vrid, self.family)

    @property
    def adver_timer(self) -> float:
        """Seconds from one advertisement to the next: Adver_Timer of 6.4.3."""
        return self.advertisement_interval * self.rules.interval_scale

    @property
    def wire_interval(self) -> int:
        """``advertisement_interval`` in the units of the packet: seconds in version 2, centiseconds in 3."""
        return round(self.advertisement_interval / _INTERVAL_UNITS[self.version][0])

    def require_same_router(self, other: RouterConfig) -> None:
        """Raise ConfigError unless ``other`` can replace this one while the router exists."""
        for name in ("vrid", "family", "version"):
            if getattr(other, name) != getattr(self, name):
                raise ConfigError(
                    f"{name} must stay {getattr(self, name)} while the router exists, not {getattr(other, name)}"
                )

    def _check_addresses(self) -> None:
        if isinstance(self.addresses, str) or not isinstance(self.addresses, Iterable):
            raise ConfigError(f"addresses must be a list of addresses, not {self.addresses!r}")
        addresses = tuple(to_interface(item) for item in self.addresses)
        primary = to_address(self.primary_address, "primary_address")
        object.__setattr__(self, "addresses", addresses)
        object.__setattr__(self, "primary_address", primary)
        if not 1 <= len(addresses) <= MOST_ADDRESSES:
            raise ConfigError(f"addresses must be 1-{MOST_ADDRESSES}, not {len(addresses)}")
        seen: set[object] = set()
        for address in addresses:
            self._check_address(address)
            if address.ip in seen:
                raise ConfigError(f"addresses must differ, but {address.ip} is there twice")
            seen.add(address.ip)
        if primary.version != self.family:
            raise ConfigError(f"primary_address must be an IPv{self.family} address, not {primary}")
        if isinstance(primary, IPv6Address) and not primary.is_link_local:
            raise ConfigError(f"primary_address must be link-local (RFC 9568 5.1.2.1), not {primary}")
        if primary.is_multicast or primary.is_unspecified:
            raise ConfigError(f"primary_address must be an address of the interface, not {primary}")
        if primary in {address.ip for address in addresses} and self.priority != OWNER_PRIORITY:
            # RFC 9568 5.2.4, RFC 3768 5.3.4: MUST
            raise ConfigError(
                f"priority must be 255 for the owner of {primary}, not {self.priority}; or give a primary_address "
                "that is no virtual address"
            )
        if isinstance(addresses[0], IPv6Interface) and not addresses[0].ip.is_link_local:
            raise ConfigError(f"the first IPv6 address must be link-local (RFC 9568 5.2.9), not {addresses[0]}")

    def _check_address(self, address: IPInterface) -> None:
        if address.version != self.family:
            raise ConfigError(
                f"addresses must be of one family, but {self.addresses[0].ip} is IPv{self.family} "
                f"and {address.ip} is not: give each family a virtual router of its own"
            )
        ip = address.ip
        if ip.is_multicast or ip.is_unspecified or ip.is_loopback or ip == IPv4Address("255.255.255.255"):
            raise ConfigError(f"addresses must be unicast addresses, not {ip}")

    def _check_peers(self) -> None:
        if isinstance(self.peers, str) or not isinstance(self.peers, Iterable):
            raise ConfigError(f"peers must be a list of addresses, not {self.peers!r}")
        peers = tuple(to_address(peer, "peers") for peer in self.peers)
        for peer in peers:
            if peer.version != self.family or peer.is_multicast or peer.is_unspecified:
                raise ConfigError(f"peers must be unicast IPv{self.family} addresses, not {peer}")
            if peer == self.primary_address:
                raise ConfigError(f"peers must be other routers, and {peer} is our own address")
        if len(set(peers)) != len(peers):
            raise ConfigError(f"peers must differ, not {', '.join(map(str, peers))}")
        object.__setattr__(self, "peers", peers)
        require_int("least_peer_ttl", self.least_peer_ttl, 0, 255)

    def _check_versions(self) -> None:
        if self.also is not None and (self.also.version != 2 or self.version != 3 or self.family is Family.IPV6):
            # RFC 9568 8.4: version 2 beside version 3, and there is none over IPv6
            raise ConfigError(
                f"also must be rules of version 2 beside version 3 over IPv4, not {self.also.name} beside "
                f"{self.rules.name} over IPv{self.family}"
            )
        if self.auth_type != 0 and self.version != 2:
            name = type(self.authentication).__name__
            raise ConfigError(f"authentication must be None or an HMACTrailer in version 3, not a {name}")

    def _check_interval(self) -> None:
        unit, most, allowed = _INTERVAL_UNITS[self.version]
        try:
            units = self.advertisement_interval / unit
            fits = 1 <= round(units) <= most and abs(units - round(units)) < 1e-6
        except (TypeError, ValueError, OverflowError):
            fits = False
        if not fits:
            raise ConfigError(
                f"advertisement_interval must be {allowed} in version {self.version}, "
                f"not {self.advertisement_interval!r}"
            )
