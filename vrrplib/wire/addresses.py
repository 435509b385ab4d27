"""The addresses of VRRP: virtual MACs, multicast groups, the protocol number."""

from __future__ import annotations

import enum
import functools
import ipaddress
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from vrrplib.errors import ConfigError, require_int

TYPE_CHECKING = False  # typing is not loaded: see vrrplib/__init__.py
if TYPE_CHECKING:
    from typing import TypeAlias

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPInterface: TypeAlias = IPv4Interface | IPv6Interface
IPNetwork: TypeAlias = IPv4Network | IPv6Network
AddressLike: TypeAlias = str | IPv4Address | IPv6Address
InterfaceLike: TypeAlias = str | IPv4Address | IPv6Address | IPv4Interface | IPv6Interface

PROTOCOL = 112  # RFC 9568 5.1.1.4 and 5.1.2.4
AH_PROTOCOL = 51  # RFC 2402: RFC 2338 5.3.6 may put an AH between IP and VRRP
ADVERTISEMENT_TTL = 255  # RFC 9568 5.1.1.3 and 5.1.2.3
MAC_LENGTH = 6


class Family(enum.IntEnum):
    """The IP version that carries a message; a VRRPv3 message itself does not say."""

    IPV4 = 4
    IPV6 = 6

    @property
    def address_length(self) -> int:
        """Bytes of one address."""
        return 4 if self is Family.IPV4 else 16


_IPV4, _IPV6 = Family  # where it counts: an enumeration's own attribute takes ten times as long


class MacAddress:
    """An immutable 48-bit Ethernet address: ``str()`` gives ``00:00:5e:00:01:33``, ``.packed`` its six bytes.

    Takes a string with colons or hyphens, six bytes, or another MacAddress; raises ConfigError otherwise.
    """

    __slots__ = ("packed",)
    packed: bytes

    def __init__(self, value: str | bytes | MacAddress) -> None:
        if isinstance(value, MacAddress):
            packed = value.packed
        elif isinstance(value, bytes | bytearray | memoryview):
            packed = bytes(value)
        else:
            packed = _parse_mac(value)
        if len(packed) != MAC_LENGTH:
            raise ConfigError(f"a MAC address must have 6 bytes, not {len(packed)}: {value!r}")
        object.__setattr__(self, "packed", packed)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a MacAddress cannot be changed: {name}")

    def __reduce__(self) -> tuple[type[MacAddress], tuple[bytes]]:
        return MacAddress, (self.packed,)

    def __str__(self) -> str:
        return self.packed.hex(":")

    def __repr__(self) -> str:
        packed: bytes = getattr(self, "packed", b"")  # none yet, in a traceback that shows locals
        return f"MacAddress({packed.hex(':')!r})"

    def __eq__(self, other: object) -> bool:
        return self.packed == other.packed if isinstance(other, MacAddress) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.packed)


MacLike: TypeAlias = str | bytes | MacAddress

BROADCAST_MAC = MacAddress(b"\xff" * MAC_LENGTH)
ALL_NODES = IPv6Address("ff02::1")

_GROUPS: dict[Family, IPAddress] = {
    Family.IPV4: IPv4Address("224.0.0.18"),  # RFC 9568 5.1.1.2
    Family.IPV6: IPv6Address("ff02::12"),  # RFC 9568 5.1.2.2
}
_VIRTUAL_MAC_PREFIXES = {
    Family.IPV4: bytes.fromhex("00005e0001"),  # RFC 9568 7.3
    Family.IPV6: bytes.fromhex("00005e0002"),
}


def virtual_mac(vrid: int, family: Family = Family.IPV4) -> MacAddress:
    """The MAC of virtual router ``vrid`` (1-255): RFC 9568 7.3. Raises ConfigError for any other number."""
    require_int("vrid", vrid, 1, 255)
    return MacAddress(_VIRTUAL_MAC_PREFIXES[Family(family)] + bytes([vrid]))


def group_address(family: Family) -> IPAddress:
    """Where advertisements go: 224.0.0.18 or ff02::12 (RFC 9568 5.1.1.2, 5.1.2.2)."""
    return _GROUPS[family]


def multicast_mac(group: IPAddress) -> MacAddress:
    """The Ethernet address of an IP multicast group (RFC 1112 6.4, RFC 2464 7)."""
    if isinstance(group, IPv4Address):
        low = int(group) & 0x7FFFFF
        return MacAddress(b"\x01\x00\x5e" + low.to_bytes(3, "big"))
    return MacAddress(b"\x33\x33" + group.packed[-4:])


def to_address(value: AddressLike, name: str = "address") -> IPAddress:
    """An address object from a string or another; an IPv6 scope id is dropped. ConfigError names ``name``."""
    kind = value.__class__
    if kind is IPv4Address or (kind is IPv6Address and value.scope_id is None):  # type: ignore[union-attr]
        return value  # type: ignore[return-value]
    try:
        return _parse_address(str(value))
    except ValueError:
        raise ConfigError(f"{name} must be an IPv4 or IPv6 address, not {value!r}") from None


@functools.lru_cache(maxsize=1024)
def _parse_address(text: str) -> IPAddress:
    return ipaddress.ip_address(text.partition("/")[0].partition("%")[0])


def to_interface(value: InterfaceLike, name: str = "address") -> IPInterface:
    """An address with its prefix length (the full length where none is given); the scope id is dropped."""
    host, scope, prefix = str(value).partition("%")
    if scope:
        host += "/" + prefix.partition("/")[2] if "/" in prefix else ""
    try:
        return ipaddress.ip_interface(host)
    except ValueError:
        raise ConfigError(
            f"{name} must be an IPv4 or IPv6 address, with or without /LENGTH, not {value!r}"
        ) from None


def family_of(address: IPAddress | IPInterface) -> Family:
    """The family of an address object."""
    return _IPV4 if isinstance(address, IPv4Address) else _IPV6


def _parse_mac(text: object) -> bytes:
    parts = str(text).replace("-", ":").split(":")
    try:
        if len(parts) == MAC_LENGTH and all(1 <= len(part) <= 2 for part in parts):
            return b"".join(bytes.fromhex(part.zfill(2)) for part in parts)  # int() would take "+1" and " 1"
    except ValueError:
        pass
    raise ConfigError(f"a MAC address must look like 00:00:5e:00:01:33, not {text!r}")
