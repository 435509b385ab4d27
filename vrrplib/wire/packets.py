"""VRRP messages: values, and the one parser behind :func:`decode` and :func:`inspect`."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from vrrplib.errors import ConfigError, DecodeError, Finding, Problem, require_int
from vrrplib.rules import DEFAULT_RULES, RFC9568, Rules, Verdict
from vrrplib.wire.addresses import AddressLike, Family, IPAddress, to_address
from vrrplib.wire.checksum import (
    ChecksumForm,
    checksum_of_sum,
    forms_that_fit,
    have_addresses,
    names_of,
    ones_sum,
    pseudo_header_for,
    with_checksum,
)

HEADER_LENGTH = 8
AUTH_DATA_LENGTH = 8
ADVERTISEMENT = 1
_HEADER = struct.Struct("!BBBBHH")
_CARP_LENGTH, _CARP_AUTH_WORDS = 36, 7
_AUTH_TYPES = 3  # 0 none, 1 simple text, 2 AH: RFC 2338 5.3.6; 3768 only reserves 1 and 2


class _Packet:
    """What both versions share; the subclasses are the values."""

    __slots__ = ()

    vrid: int
    priority: int
    addresses: tuple[Any, ...]
    version: int
    type: int
    count: int | None
    checksum: int | None
    trailing: bytes

    def _store_addresses(self, addresses: object) -> None:
        if isinstance(addresses, str) or not isinstance(addresses, Iterable):
            raise ConfigError(f"addresses must be a list of addresses, not {addresses!r}")
        object.__setattr__(self, "addresses", tuple(to_address(item) for item in addresses))

    def _check_head(self) -> None:
        require_int("vrid", self.vrid, 0, 255)
        require_int("priority", self.priority, 0, 255)
        require_int("version", self.version, 0, 15)
        require_int("type", self.type, 0, 15)
        if self.count is not None:
            require_int("count", self.count, 0, 255)
        elif len(self.addresses) > 255:
            raise ConfigError(f"addresses must be 255 at most, not {len(self.addresses)}; or give count")
        if self.checksum is not None:
            require_int("checksum", self.checksum, 0, 0xFFFF)

    def _first_word(self) -> tuple[int, int, int, int]:
        count = len(self.addresses) if self.count is None else self.count
        return self.version << 4 | self.type, self.vrid, self.priority, count

    def replace(self, **changes: Any) -> Self:
        """A copy with other values. Checksum and count are computed anew unless they are among ``changes``."""
        return dataclasses.replace(self, **{"checksum": None, "count": None} | changes)  # type: ignore[type-var]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VRRPv3(_Packet):
    """A VRRPv3 message (RFC 9568 5.1). Every field can be given any value that fits into its bits.

    ``max_advertise_interval`` is in centiseconds, as on the wire. ``None`` means compute: the count from
    ``addresses``, the checksum when encoding. ConfigError names a value that does not fit.
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

    if TYPE_CHECKING:  # the constructor takes more than the fields hold

        def __init__(
            self,
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
        ) -> None: ...

    def __post_init__(self) -> None:
        self._store_addresses(self.addresses)
        self._check_head()
        if len({address.version for address in self.addresses}) > 1:
            # RFC 9568 5.2.9: one family, that of the IP header
            raise ConfigError(f"addresses must be of one family, not {', '.join(map(str, self.addresses))}")
        require_int("max_advertise_interval", self.max_advertise_interval, 0, 0xFFF)
        require_int("reserved", self.reserved, 0, 15)

    @property
    def interval(self) -> float:
        """Seconds between advertisements (Max Advertise Interval; Max Adver Int in RFC 5798)."""
        return self.max_advertise_interval / 100

    def encode(
        self,
        source: AddressLike | None = None,
        destination: AddressLike | None = None,
        *,
        form: ChecksumForm = ChecksumForm.PSEUDO_HEADER,
    ) -> bytes:
        """The bytes of the message; its checksum is computed unless it was given.

        ``source`` and ``destination`` are those of the IP packet: a pseudo-header needs them (RFC 9568 5.2.8).
        ``form`` counts for IPv4 only. Raises ConfigError naming an address that is needed and missing.
        """
        head = _HEADER.pack(
            *self._first_word(), self.reserved << 12 | self.max_advertise_interval, self.checksum or 0
        )
        data = head + b"".join(address.packed for address in self.addresses) + self.trailing
        if self.checksum is not None:
            return data
        total = ones_sum(data)
        family = _family(None, self.addresses, source, destination)
        if family is Family.IPV6 or form is not ChecksumForm.MESSAGE_ONLY:
            total += pseudo_header_for(family, source, destination, form, len(data))
        return with_checksum(data, checksum_of_sum(total))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VRRPv2(_Packet):
    """A VRRPv2 message (RFC 3768 5.1). Every field can be given any value that fits into its bits.

    ``advertisement_interval`` is in seconds, as on the wire. ``auth_data`` holds up to eight bytes: all of them
    in a whole message. ``None`` means compute, as in :class:`VRRPv3`.
    """

    vrid: int
    priority: int = 100
    addresses: tuple[IPv4Address, ...] = ()
    advertisement_interval: int = 1
    version: int = 2
    type: int = ADVERTISEMENT
    auth_type: int = 0
    auth_data: bytes = dataclasses.field(default=bytes(AUTH_DATA_LENGTH), repr=False)
    count: int | None = None
    checksum: int | None = None
    trailing: bytes = dataclasses.field(default=b"", repr=False)

    if TYPE_CHECKING:  # the constructor takes more than the fields hold

        def __init__(
            self,
            *,
            vrid: int,
            priority: int = 100,
            addresses: Iterable[AddressLike] = (),
            advertisement_interval: int = 1,
            version: int = 2,
            type: int = ADVERTISEMENT,
            auth_type: int = 0,
            auth_data: bytes = bytes(AUTH_DATA_LENGTH),
            count: int | None = None,
            checksum: int | None = None,
            trailing: bytes = b"",
        ) -> None: ...

    def __post_init__(self) -> None:
        self._store_addresses(self.addresses)
        self._check_head()
        for address in self.addresses:
            if not isinstance(address, IPv4Address):
                raise ConfigError(f"addresses must be IPv4 in VRRPv2, not {address}")
        require_int("advertisement_interval", self.advertisement_interval, 0, 255)
        require_int("auth_type", self.auth_type, 0, 255)
        if len(self.auth_data) > AUTH_DATA_LENGTH:
            # the length alone: the bytes may be a password
            raise ConfigError(f"auth_data must have 0-8 bytes, not {len(self.auth_data)}")

    @property
    def interval(self) -> float:
        """Seconds between advertisements (Adver Int)."""
        return float(self.advertisement_interval)

    def encode(
        self,
        source: AddressLike | None = None,
        destination: AddressLike | None = None,
        *,
        form: ChecksumForm = ChecksumForm.MESSAGE_ONLY,
    ) -> bytes:
        """The bytes of the message. Addresses and form are taken for symmetry, and not used: RFC 3768 5.3.8."""
        head = _HEADER.pack(
            *self._first_word(), self.auth_type << 8 | self.advertisement_interval, self.checksum or 0
        )
        body = b"".join(address.packed for address in self.addresses)
        data = head + body + self.auth_data + self.trailing
        return data if self.checksum is not None else with_checksum(data, checksum_of_sum(ones_sum(data)))


Packet: TypeAlias = VRRPv2 | VRRPv3


@dataclasses.dataclass(frozen=True, slots=True)
class Inspection:
    """All that can be said of a message.

    ``packet`` is None below eight bytes and for CARP. ``problems`` are what the rules discard, in the order of
    their checks; ``notes`` what they log or ignore. ``checksum_form`` holds the forms that fit, none of them as
    ``ChecksumForm(0)``, or is None where it was not judged. ``covers_trailing`` says whether the sum that fits
    includes the trailing bytes; None where there are none, or no sum fits.
    """

    packet: Packet | None
    problems: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    checksum_form: ChecksumForm | None
    covers_trailing: bool | None = None

    @property
    def valid(self) -> bool:
        """Whether the rules let the message pass."""
        return not self.problems


def decode(
    data: bytes | bytearray | memoryview,
    *,
    family: Family | None = None,
    source: AddressLike | None = None,
    destination: AddressLike | None = None,
    accept_checksum: ChecksumForm | None = ChecksumForm.EITHER,
    rules: Rules | None = None,
) -> Packet:
    """The message in ``data``; DecodeError, with every finding, exactly when :func:`inspect` lists a problem."""
    inspection = inspect(
        data,
        family=family,
        source=source,
        destination=destination,
        accept_checksum=accept_checksum,
        rules=rules,
    )
    if inspection.problems:
        raise DecodeError(inspection.problems)
    assert inspection.packet is not None  # without a packet there is a problem
    return inspection.packet


def inspect(
    data: bytes | bytearray | memoryview,
    *,
    family: Family | None = None,
    source: AddressLike | None = None,
    destination: AddressLike | None = None,
    accept_checksum: ChecksumForm | None = ChecksumForm.EITHER,
    rules: Rules | None = None,
) -> Inspection:
    """Everything that is right and wrong with the VRRP message in ``data`` (no IP header); never raises.

    ``family`` is that of the IP packet: by default source's, else destination's, else IPv4. ``source`` and
    ``destination`` are its addresses, for a pseudo-header. ``accept_checksum`` names the forms that are good in
    VRRPv3 over IPv4; None leaves every checksum unjudged. ``rules`` default to RFC 9568, for version 2 RFC 3768.
    """
    data = bytes(data)
    source = None if source is None else to_address(source, "source")
    destination = None if destination is None else to_address(destination, "destination")
    version = data[0] >> 4 if data else 0
    judged_by = rules or DEFAULT_RULES.get(version, RFC9568)
    if len(data) < HEADER_LENGTH:
        message = f"a message must have at least {HEADER_LENGTH} bytes, not {len(data)}"
        return Inspection(None, (_finding(judged_by, Problem.TRUNCATED, message),), (), None)
    if _is_carp(data):
        message = "this is CARP: 36 bytes, with an authentication length of 7"
        return Inspection(None, (_finding(judged_by, Problem.CARP, message),), (), None)
    family = _family(family, (), source, destination)
    packet = _parse_v2(data) if version == 2 else _parse_v3(data, family)
    sums = _Checksum.judge(packet, data, family, source, destination, accept_checksum)
    problems: list[Finding] = []
    notes: list[Finding] = []
    for verdict, problem, message in _checks(packet, family, judged_by, sums):
        if verdict is not Verdict.IGNORE:
            found = _finding(judged_by, problem, message)
            (problems if verdict is Verdict.DISCARD else notes).append(found)
    return Inspection(packet, tuple(problems), tuple(notes), sums.form, sums.covers_trailing)


def _checks(
    packet: Packet, family: Family, rules: Rules, sums: _Checksum
) -> Iterable[tuple[Verdict, Problem, str]]:
    """Every rule that the message breaks, in the order of RFC 9568 7.1 (RFC 3768 7.1, with type after version)."""
    discard, warn = Verdict.DISCARD, Verdict.WARN
    if packet.version != rules.version:
        yield discard, Problem.VERSION, f"version must be {rules.version}, not {packet.version}"
    elif packet.version == 2 and family is Family.IPV6:
        yield discard, Problem.VERSION, "version must be 3 over IPv6, not 2"
    if packet.type != ADVERTISEMENT:
        yield discard, Problem.TYPE, f"type must be 1 (ADVERTISEMENT), not {packet.type}"
    missing = _missing(packet)
    if missing:
        verdict = discard if rules.requires_all_addresses else warn
        yield verdict, Problem.LENGTH, missing
    if packet.trailing:
        yield warn, Problem.TRAILING, f"{len(packet.trailing)} bytes follow the message"
    if sums.problem:
        yield discard, Problem.CHECKSUM, sums.problem
    elif packet.checksum == 0xFFFF and sums.form:
        yield warn, Problem.CHECKSUM, "checksum must be 0x0000, not 0xffff, although both verify (RFC 1071)"
    if packet.vrid == 0:
        yield discard, Problem.VRID, "vrid must be 1-255, not 0"
    if packet.count == 0:
        yield rules.no_addresses, Problem.COUNT, "address count must be 1-255, not 0"
    if isinstance(packet, VRRPv2):
        if packet.auth_type >= _AUTH_TYPES:
            yield discard, Problem.AUTH_TYPE, f"authentication type must be 0-2, not {packet.auth_type}"
        return
    if packet.reserved:
        yield warn, Problem.RESERVED, f"reserved bits must be 0, not {packet.reserved}"
    if family is Family.IPV6 and packet.addresses and not packet.addresses[0].is_link_local:
        message = f"the first IPv6 address must be link-local, not {packet.addresses[0]}"
        yield rules.global_first_address, Problem.ADDRESS, message
    if packet.max_advertise_interval == 0:
        yield rules.zero_interval, Problem.INTERVAL, "interval must be 1-4095 centiseconds, not 0"


def _missing(packet: Packet) -> str:
    """What the address count, and the authentication data of version 2, call for and is not there."""
    if packet.count != len(packet.addresses):
        return f"{packet.count} addresses are announced, but there are bytes for {len(packet.addresses)}"
    if isinstance(packet, VRRPv2) and len(packet.auth_data) < AUTH_DATA_LENGTH:
        return f"authentication data must have 8 bytes, not {len(packet.auth_data)}"
    return ""


def _parse_v2(data: bytes) -> VRRPv2:
    first, vrid, priority, count, word, checksum = _HEADER.unpack_from(data)
    end = HEADER_LENGTH + 4 * min(count, (len(data) - HEADER_LENGTH) // 4)
    return VRRPv2(
        vrid=vrid,
        priority=priority,
        addresses=tuple(IPv4Address(data[at : at + 4]) for at in range(HEADER_LENGTH, end, 4)),
        advertisement_interval=word & 0xFF,
        version=first >> 4,
        type=first & 0xF,
        auth_type=word >> 8,
        auth_data=data[end : end + AUTH_DATA_LENGTH],
        count=count,
        checksum=checksum,
        trailing=data[end + AUTH_DATA_LENGTH :],
    )


def _parse_v3(data: bytes, family: Family) -> VRRPv3:
    first, vrid, priority, count, word, checksum = _HEADER.unpack_from(data)
    size = family.address_length
    address = IPv4Address if family is Family.IPV4 else IPv6Address
    end = HEADER_LENGTH + size * min(count, (len(data) - HEADER_LENGTH) // size)
    return VRRPv3(
        vrid=vrid,
        priority=priority,
        addresses=tuple(address(data[at : at + size]) for at in range(HEADER_LENGTH, end, size)),
        max_advertise_interval=word & 0xFFF,  # RFC 9568 5.2.6: the reserved bits are ignored
        version=first >> 4,
        type=first & 0xF,
        reserved=word >> 12,
        count=count,
        checksum=checksum,
        trailing=data[end:],
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Checksum:
    """The verdict on a checksum: the forms that fit, and the problem if none that is accepted does."""

    form: ChecksumForm | None
    covers_trailing: bool | None = None
    problem: str = ""

    @classmethod
    def judge(
        cls,
        packet: Packet,
        data: bytes,
        family: Family,
        source: IPAddress | None,
        destination: IPAddress | None,
        accepted: ChecksumForm | None,
    ) -> _Checksum:
        if accepted is None:
            return cls(None)
        if isinstance(packet, VRRPv2):
            accepted = ChecksumForm.MESSAGE_ONLY  # RFC 3768 5.3.8
        elif family is Family.IPV6:
            accepted = ChecksumForm.PSEUDO_HEADER  # RFC 9568 5.2.8
        parts = (data, data[: len(data) - len(packet.trailing)]) if packet.trailing else (data,)
        forms = ChecksumForm(0)
        covers_trailing = None
        for part in parts:
            forms = forms_that_fit(part, family, source, destination)
            if forms & accepted:
                covers_trailing = (part is data) if packet.trailing else None
                break
        if forms & accepted:
            return cls(forms, covers_trailing)
        if accepted & ~ChecksumForm.MESSAGE_ONLY and not have_addresses(family, source, destination):
            return cls(None)  # it may be right with a pseudo-header that nobody gave us
        fits = f"; the {names_of(forms)} form, which fits, is not accepted" if forms else ""
        wrong = f"checksum 0x{packet.checksum:04x} fits no accepted form ({names_of(accepted)}){fits}"
        return cls(forms, None, wrong)


def _family(
    family: Family | None,
    addresses: tuple[IPAddress, ...],
    source: AddressLike | None,
    destination: AddressLike | None,
) -> Family:
    if family is not None:
        return Family(family)
    for address in (*addresses[:1], source, destination):
        if address is not None:
            return Family(to_address(address).version)
    return Family.IPV4


def _finding(rules: Rules, problem: Problem, message: str) -> Finding:
    return Finding(problem, rules.clause(problem), message)


def _is_carp(data: bytes) -> bool:
    # A VRRPv2 message that announces seven addresses has 44 bytes; CARP has 36, and 7 words of counter and digest.
    return len(data) == _CARP_LENGTH and data[0] == 0x21 and data[3] == _CARP_AUTH_WORDS
