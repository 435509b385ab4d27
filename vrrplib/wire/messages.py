"""VRRP messages as values, and how they become bytes."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from vrrplib.errors import ConfigError, require_int
from vrrplib.values import dataclass, field
from vrrplib.wire.addresses import PROTOCOL, AddressLike, Family, IPAddress, family_of, to_address
from vrrplib.wire.checksum import ChecksumForm, ones_sum, pseudo_header_for

TYPE_CHECKING = False  # typing is not loaded: see vrrplib/__init__.py
if TYPE_CHECKING:
    from typing import Any, Self, TypeAlias, final
else:

    def final(kind):
        return kind


HEADER_LENGTH = 8
IPV4_FRAME, IPV6_FRAME = 14 + 20, 14 + 40  # what is around a message: Ethernet, and IP without options
AUTH_DATA_LENGTH = 8
ADVERTISEMENT = 1
NO_AUTH_DATA = bytes(AUTH_DATA_LENGTH)
_MOST_ADDRESSES = 255
HEAD = struct.Struct("!BBBBHH")  # RFC 3768 5.1, RFC 9568 5.1
_IPV4 = Family.IPV4  # an enumeration's own attribute takes ten times as long
_VERSION_2, _VERSION_3, _NONE = 2, 3, 0  # for the short way: what is this very number needs no check
_PSEUDO_HEADER, _MESSAGE_ONLY = ChecksumForm.PSEUDO_HEADER, ChecksumForm.MESSAGE_ONLY


def _opened(kind: type) -> Any:
    """A class with the slots of ``kind``, in which they can be set.

    A packet is filled as one of these, and then made what it is to be by setting its ``__class__``: that takes a
    quarter of what ``object.__setattr__`` would for each field.
    """
    return type(f"Open{kind.__name__}", kind.__bases__, {"__slots__": kind.__slots__})  # type: ignore[attr-defined]


class _Packet:
    """What both versions share; the subclasses are the values."""

    __slots__: tuple[str, ...] = ()

    vrid: int
    priority: int
    addresses: tuple[Any, ...]
    version: int
    type: int
    count: int | None
    checksum: int | None
    trailing: bytes

    def __reduce__(self) -> tuple[Any, ...]:
        # through the constructor again: a frozen class has no other way in
        return functools.partial(self.__class__, **self._values()), ()

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def replace(self, **changes: Any) -> Self:
        """A copy with other values. Checksum and count are computed anew unless they are among ``changes``."""
        return self.__class__(**self._values() | {"checksum": None, "count": None} | changes)

    def _encode(self, word: int, rest: bytes, pseudo_header: int) -> bytes:
        """The bytes of the message: ``word`` are bytes 4 and 5, ``rest`` is what follows the addresses.

        Summed as numbers: 2**16 is 1 modulo 65535, so a number of any even length is worth the sum of its words.
        """
        addresses, vrid, priority, count = self.addresses, self.vrid, self.priority, self.count
        first = self.version << 4 | self.type
        held = len(addresses)
        if count is None:
            count = held
        bits = 128 if held and addresses[0].__class__ is IPv6Address else 32
        body = 0
        for address in addresses:
            body = body << bits | address.__int__()
        packed = body.to_bytes(held * bits >> 3, "big")
        if rest:
            packed += rest
        checksum = self.checksum
        if checksum is None:
            total = (first + priority << 8) + vrid + count + word + body + pseudo_header
            if rest:
                total += ones_sum(rest)
            checksum = -total % 65535 if total else 0xFFFF  # checksum_of_sum(), without a call
        return HEAD.pack(first, vrid, priority, count, word, checksum) + packed


@final
@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class VRRPv3(_Packet):
    """A VRRPv3 message (RFC 9568 5.1). Every field can be given any value that fits into its bits.

    ``max_advertise_interval`` is in centiseconds, as on the wire. ``addresses`` may be any iterable of strings or
    addresses. ``None`` means compute: the count from ``addresses``, the checksum when encoding. ConfigError names
    a value that does not fit.
    """

    vrid: int
    priority: int = 100
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    max_advertise_interval: int = 100
    version: int = 3
    type: int = ADVERTISEMENT
    reserved: int = 0
    count: int | None = None
    checksum: int | None = None
    trailing: bytes = b""

    def __new__(
        cls,
        *,
        vrid: int,
        priority: int = 100,
        addresses: Iterable[AddressLike] = (),
        max_advertise_interval: int = 100,
        version: int = 3,
        type: int = ADVERTISEMENT,
        reserved: int = 0,
        count: int | None = None,
        checksum: int | None = None,
        trailing: bytes = b"",
    ) -> VRRPv3:
        held = _to_addresses(addresses)
        if not (
            version is _VERSION_3
            and type is ADVERTISEMENT
            and reserved is _NONE
            and vrid.__class__ is priority.__class__ is max_advertise_interval.__class__ is int
            and 0 <= vrid <= 255
            and 0 <= priority <= 255
            and 0 <= max_advertise_interval <= 0xFFF
        ):  # the usual case is not it
            _check_head(vrid, priority, version, type)
            require_int("max_advertise_interval", max_advertise_interval, 0, 0xFFF)
            require_int("reserved", reserved, 0, 15)
        if count is not None or checksum is not None or len(held) > _MOST_ADDRESSES:
            _check_computed(count, checksum, held)
        if trailing.__class__ is not bytes:
            trailing = _to_bytes("trailing", trailing)
        return v3_packet(
            vrid, priority, held, max_advertise_interval, version, type, reserved, count, checksum, trailing
        )

    @property
    def interval(self) -> float:
        """Seconds between advertisements (Max Advertise Interval; Max Adver Int in RFC 5798)."""
        return self.max_advertise_interval / 100

    def encode(
        self,
        source: AddressLike | None = None,
        destination: AddressLike | None = None,
        *,
        form: ChecksumForm = _PSEUDO_HEADER,
    ) -> bytes:
        """The bytes of the message; its checksum is computed unless it was given.

        ``source`` and ``destination`` are those of the IP packet: a pseudo-header needs them (RFC 9568 5.2.8).
        ``form`` counts for IPv4 only. Raises ConfigError naming an address that is needed and missing.
        """
        addresses = self.addresses
        kind = addresses[0].__class__ if addresses else None
        length = HEADER_LENGTH + len(addresses) * (4 if kind is IPv4Address else 16) + len(self.trailing)
        if self.checksum is not None:
            pseudo_header = 0
        elif form is _PSEUDO_HEADER and source.__class__ is destination.__class__ is kind:
            # pseudo_header_sum(), without three calls: there is nothing to convert or to refuse
            pseudo_header = source.__int__() + destination.__int__() + PROTOCOL + length
        else:
            family = family_of(addresses[0]) if addresses else family_of_way(source, destination)
            pseudo_header = pseudo_header_for(family, source, destination, form, length)
        return self._encode(self.reserved << 12 | self.max_advertise_interval, self.trailing, pseudo_header)


@final
@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class VRRPv2(_Packet):
    """A VRRPv2 message (RFC 3768 5.1). Every field can be given any value that fits into its bits.

    ``advertisement_interval`` is in seconds, as on the wire. ``auth_data`` holds up to eight bytes: all of them
    in a whole message. ``addresses`` and ``None`` are as in :class:`VRRPv3`.
    """

    vrid: int
    priority: int = 100
    addresses: tuple[IPv4Address, ...] = ()
    advertisement_interval: int = 1
    version: int = 2
    type: int = ADVERTISEMENT
    auth_type: int = 0
    auth_data: bytes = field(default=NO_AUTH_DATA, repr=False)  # it may be a password,
    count: int | None = None
    checksum: int | None = None
    trailing: bytes = field(default=b"", repr=False)  # and where addresses are miscounted, this too

    def __new__(
        cls,
        *,
        vrid: int,
        priority: int = 100,
        addresses: Iterable[AddressLike] = (),
        advertisement_interval: int = 1,
        version: int = 2,
        type: int = ADVERTISEMENT,
        auth_type: int = 0,
        auth_data: bytes = NO_AUTH_DATA,
        count: int | None = None,
        checksum: int | None = None,
        trailing: bytes = b"",
    ) -> VRRPv2:
        held = _to_addresses(addresses)
        if held and held[0].__class__ is not IPv4Address:
            raise ConfigError(f"addresses must be IPv4 in VRRPv2, not {held[0]}")
        if not (
            version is _VERSION_2
            and type is ADVERTISEMENT
            and auth_type is _NONE
            and vrid.__class__ is priority.__class__ is advertisement_interval.__class__ is int
            and 0 <= vrid <= 255
            and 0 <= priority <= 255
            and 0 <= advertisement_interval <= 255
        ):
            _check_head(vrid, priority, version, type)
            require_int("advertisement_interval", advertisement_interval, 0, 255)
            require_int("auth_type", auth_type, 0, 255)
        if count is not None or checksum is not None or len(held) > _MOST_ADDRESSES:
            _check_computed(count, checksum, held)
        if not (auth_data.__class__ is trailing.__class__ is bytes):
            auth_data, trailing = _to_bytes("auth_data", auth_data), _to_bytes("trailing", trailing)
        if len(auth_data) > AUTH_DATA_LENGTH:
            # the length alone: the bytes may be a password
            raise ConfigError(f"auth_data must have 0-8 bytes, not {len(auth_data)}")
        return v2_packet(
            vrid,
            priority,
            held,
            advertisement_interval,
            version,
            type,
            auth_type,
            auth_data,
            count,
            checksum,
            trailing,
        )

    @property
    def interval(self) -> float:
        """Seconds between advertisements (Adver Int)."""
        return float(self.advertisement_interval)

    def encode(
        self,
        source: AddressLike | None = None,
        destination: AddressLike | None = None,
        *,
        form: ChecksumForm = _MESSAGE_ONLY,
    ) -> bytes:
        """The bytes of the message. Addresses and form are taken for symmetry, and not used: RFC 3768 5.3.8."""
        return self._encode(self.auth_type << 8 | self.advertisement_interval, self.auth_data + self.trailing, 0)


Packet: TypeAlias = VRRPv2 | VRRPv3

_OpenV3, _OpenV2 = _opened(VRRPv3), _opened(VRRPv2)


def v3_packet(
    vrid: int,
    priority: int,
    addresses: tuple[IPAddress, ...],
    max_advertise_interval: int,
    version: int,
    type: int,
    reserved: int,
    count: int | None,
    checksum: int | None,
    trailing: bytes,
) -> VRRPv3:
    """A VRRPv3 of values that are known to fit, as those out of a message are."""
    packet = _OpenV3()
    packet.vrid = vrid
    packet.priority = priority
    packet.addresses = addresses
    packet.max_advertise_interval = max_advertise_interval
    packet.version = version
    packet.type = type
    packet.reserved = reserved
    packet.count = count
    packet.checksum = checksum
    packet.trailing = trailing
    packet.__class__ = VRRPv3
    return packet  # type: ignore[no-any-return]


def v2_packet(
    vrid: int,
    priority: int,
    addresses: tuple[IPAddress, ...],
    advertisement_interval: int,
    version: int,
    type: int,
    auth_type: int,
    auth_data: bytes,
    count: int | None,
    checksum: int | None,
    trailing: bytes,
) -> VRRPv2:
    """A VRRPv2 of values that are known to fit."""
    packet = _OpenV2()
    packet.vrid = vrid
    packet.priority = priority
    packet.addresses = addresses
    packet.advertisement_interval = advertisement_interval
    packet.version = version
    packet.type = type
    packet.auth_type = auth_type
    packet.auth_data = auth_data
    packet.count = count
    packet.checksum = checksum
    packet.trailing = trailing
    packet.__class__ = VRRPv2
    return packet  # type: ignore[no-any-return]


def family_of_way(source: AddressLike | None, destination: AddressLike | None) -> Family:
    """The family of an IP packet, by its addresses as far as they are known; else IPv4."""
    address = destination if source is None else source
    return _IPV4 if address is None else family_of(to_address(address))


def _to_addresses(given: Iterable[AddressLike]) -> tuple[IPAddress, ...]:
    """Address objects of one family, without scope ids, from whatever the caller gave."""
    listed = given.__class__ is tuple or given.__class__ is list
    if not listed and (isinstance(given, str) or not isinstance(given, Iterable)):
        raise ConfigError(f"addresses must be a list of addresses, not {given!r}")
    held: tuple[Any, ...] = tuple(given)
    for item in held:
        if item.__class__ is not IPv4Address:
            break
    else:
        return held  # the usual case: nothing to convert
    held = tuple([to_address(item) for item in held])
    if len(set(map(type, held))) > 1:
        # RFC 9568 5.2.9: one family, that of the IP header
        raise ConfigError(f"addresses must be of one family, not {', '.join(map(str, held))}")
    return held


def _check_head(vrid: int, priority: int, version: int, type: int) -> None:
    require_int("vrid", vrid, 0, 255)
    require_int("priority", priority, 0, 255)
    require_int("version", version, 0, 15)
    require_int("type", type, 0, 15)


def _check_computed(count: int | None, checksum: int | None, addresses: tuple[IPAddress, ...]) -> None:
    if count is not None:
        require_int("count", count, 0, 255)
    elif len(addresses) > _MOST_ADDRESSES:
        raise ConfigError(f"addresses must be 255 at most, not {len(addresses)}; or give count")
    if checksum is not None:
        require_int("checksum", checksum, 0, 0xFFFF)


def _to_bytes(name: str, value: object) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise ConfigError(f"{name} must be bytes, not {value.__class__.__name__}")  # and not what it is: a password?
