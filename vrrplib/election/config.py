"""What one virtual router is told: :class:`RouterConfig`."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from vrrplib.errors import ConfigError, require_int
from vrrplib.rules import RFC9568, Rules
from vrrplib.values import dataclass
from vrrplib.wire.addresses import (
    AddressLike,
    Family,
    InterfaceLike,
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
    :meth:`strict` has the RFC's own. ``send_checksum`` None follows the form heard last in a valid advertisement.
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
    def virtual_mac(self) -> MacAddress:
        """RFC 9568 7.3."""
        return virtual_mac(self.vrid, self.family)

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
