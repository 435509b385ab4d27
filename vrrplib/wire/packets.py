"""VRRP messages out of bytes: the one parser behind :func:`decode` and :func:`inspect`."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from vrrplib.errors import DecodeError, Finding, Problem
from vrrplib.rules import DEFAULT_RULES, RFC9568, Rules, Verdict
from vrrplib.values import dataclass
from vrrplib.wire.addresses import AddressLike, Family, IPAddress, to_address
from vrrplib.wire.checksum import (
    FORMS,
    ChecksumForm,
    forms_that_fit,
    have_addresses,
    names_of,
    ones_sum,
    verifies,
)
from vrrplib.wire.clean import find_clean
from vrrplib.wire.messages import (
    ADVERTISEMENT,
    AUTH_DATA_LENGTH,
    HEAD,
    HEADER_LENGTH,
    IPV4_FRAME,
    IPV6_FRAME,
    Packet,
    VRRPv2,
    VRRPv3,
    family_of_way,
    v2_packet,
    v3_packet,
)

TYPE_CHECKING = False  # typing is not loaded: see vrrplib/__init__.py
if TYPE_CHECKING:
    from typing import Any, TypeAlias

__all__ = [
    "AUTH_DATA_LENGTH",
    "HEADER_LENGTH",
    "Inspection",
    "Packet",
    "VRRPv2",
    "VRRPv3",
    "decode",
    "inspect",
    "is_carp",
]

_CARP_LENGTH, _CARP_AUTH_WORDS = 36, 7
_CISCO_MD5 = 254
_BROADCAST = IPv4Address("255.255.255.255")
_IPV4, _IPV6 = Family  # an enumeration's own attribute takes ten times as long

_Check: TypeAlias = tuple[Verdict, Problem, str, str]
"""What to do about something, what it is, the clause, and the message."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """All that can be said of a message.

    ``packet`` is None below eight bytes and for CARP. ``problems`` are what the rules discard, in the order of
    their checks; ``notes`` what they log or ignore. ``checksum_form`` holds the forms that fit, none of them as
    ``ChecksumForm(0)``, or is None where it was not judged. ``covers_trailing`` says whether the sum that fits
    includes the trailing bytes (True also where it fits with and without them, for they are zero); None where
    there are none, or no sum fits.
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
    answer = find_clean(data, family, source, destination, accept_checksum, rules)
    if answer is not None:
        return answer[5]
    inspection = _inspect_in_full(data, family, source, destination, accept_checksum, rules)
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
    answer = find_clean(data, family, source, destination, accept_checksum, rules)
    if answer is not None:
        return Inspection(answer[5], (), (), FORMS[answer[6]])
    return _inspect_in_full(data, family, source, destination, accept_checksum, rules)


def is_carp(data: bytes, family: Family = _IPV4) -> bool:
    """Whether this is CARP, which shares protocol 112 and VRRPv2's first byte: 36 bytes, the fourth of them 7.

    The first byte decides nothing where no VRRP message can look like that. In version 2, seven addresses make
    44 bytes. Over IPv6 they make 120, and the checksum, which in CARP covers the message alone, settles it. Over
    IPv4, 36 bytes are what seven addresses make in VRRPv3, and then it is not CARP. A VRRPv2 sender that leaves
    the authentication data out, with seven addresses, cannot be told.
    """
    if len(data) != _CARP_LENGTH or data[3] != _CARP_AUTH_WORDS:
        return False
    return data[0] >> 4 == 2 or (family is _IPV6 and verifies(ones_sum(data)))


def _inspect_in_full(
    data: bytes | bytearray | memoryview,
    family: Family | None,
    source: AddressLike | None,
    destination: AddressLike | None,
    accepted: ChecksumForm | None,
    rules: Rules | None,
) -> Inspection:
    data = bytes(data)
    source = None if source is None else to_address(source, "source")
    destination = None if destination is None else to_address(destination, "destination")
    version = data[0] >> 4 if data else 0
    if rules is None:
        rules = DEFAULT_RULES.get(version, RFC9568)
    if len(data) < HEADER_LENGTH:
        message = f"a message must have at least {HEADER_LENGTH} bytes, not {len(data)}"
        return _without_packet(rules, Problem.TRUNCATED, message)
    family = family_of_way(source, destination) if family is None else Family(family)
    if is_carp(data, family):
        return _without_packet(rules, Problem.CARP, "this is CARP: 36 bytes, with an authentication length of 7")
    packet = _read(data, family)
    sums = _Checksum.judge(packet, data, family, source, destination, accepted)
    found: dict[Verdict, list[Finding]] = {verdict: [] for verdict in Verdict}
    for verdict, problem, clause, message in _checks(packet, len(data), family, rules, sums):
        found[verdict].append(Finding(problem, clause, message))
    problems, notes = tuple(found[Verdict.DISCARD]), tuple(found[Verdict.WARN])
    return Inspection(packet, problems, notes, sums.form, sums.covers_trailing)


def _without_packet(rules: Rules, problem: Problem, message: str) -> Inspection:
    return Inspection(None, (Finding(problem, rules.clause(problem), message),), (), None)


def _read(data: bytes, family: Family) -> Packet:
    """What a message of at least eight bytes says, right or wrong: every byte of it is in the packet."""
    first, vrid, priority, count, word, checksum = HEAD.unpack_from(data)
    version, kind = first >> 4, first & 0xF
    size = 4 if version == 2 or family is _IPV4 else 16
    address: Any = IPv4Address if size == 4 else IPv6Address
    end = HEADER_LENGTH + size * min(count, (len(data) - HEADER_LENGTH) // size)
    addresses = tuple([address(data[at : at + size]) for at in range(HEADER_LENGTH, end, size)])
    packet: Packet
    if version == 2:
        auth, rest = data[end : end + AUTH_DATA_LENGTH], data[end + AUTH_DATA_LENGTH :]
        packet = v2_packet(
            vrid, priority, addresses, word & 0xFF, version, kind, word >> 8, auth, count, checksum, rest
        )
    else:  # RFC 9568 5.2.6: the reserved bits are no part of the interval
        packet = v3_packet(
            vrid, priority, addresses, word & 0xFFF, version, kind, word >> 12, count, checksum, data[end:]
        )
    return packet


def _checks(packet: Packet, size: int, family: Family, rules: Rules, sums: _Checksum) -> Iterator[_Check]:
    """What can be said against a message, in the order of RFC 9568 7.1 and 3768 7.1 (type after version)."""
    discard, warn, clause = Verdict.DISCARD, Verdict.WARN, rules.clause
    if packet.version != rules.version:
        wrong = f"version must be {rules.version}, not {packet.version}"
        yield discard, Problem.VERSION, clause(Problem.VERSION), wrong
    elif packet.version == 2 and family is _IPV6:
        yield discard, Problem.VERSION, clause(Problem.VERSION), "version must be 3 over IPv6, not 2"
    if packet.type != ADVERTISEMENT:
        wrong = f"type must be 1 (ADVERTISEMENT), not {packet.type}"
        yield rules.wrong_type, Problem.TYPE, clause(Problem.TYPE), wrong
    if missing := _missing(packet):
        yield discard if rules.requires_all_addresses else warn, Problem.LENGTH, clause(Problem.LENGTH), missing
    frame = size + (IPV6_FRAME if family is _IPV6 else IPV4_FRAME)
    if frame > rules.longest_frame:
        wrong = f"the frame must have at most {rules.longest_frame} bytes, not {frame}"
        yield discard, Problem.LENGTH, clause(Problem.LENGTH), wrong
    if (packet.count or 0) > rules.most_addresses:
        wrong = f"at most {rules.most_addresses} addresses are taken, not {packet.count}"
        yield discard, Problem.COUNT, clause(Problem.COUNT), wrong
    if packet.trailing:
        zero = "" if any(packet.trailing) else ", all zero, as Ethernet padding is"
        wrong = f"no bytes must follow the {packet.count} announced addresses, not {len(packet.trailing)}{zero}"
        yield rules.trailing_bytes, Problem.TRAILING, clause(Problem.TRAILING), wrong
    if sums.problem:
        yield discard, Problem.CHECKSUM, clause(Problem.CHECKSUM), sums.problem
    elif packet.checksum == 0xFFFF and sums.form:
        wrong = "checksum must be 0x0000, not 0xffff, although both verify (RFC 1071)"
        yield rules.ones_checksum, Problem.CHECKSUM, clause(Problem.CHECKSUM), wrong
    authentication = tuple(_authentication_checks(packet, rules)) if isinstance(packet, VRRPv2) else ()
    if rules.authentication_before_vrid:
        yield from authentication
    if packet.vrid == 0:
        yield discard, Problem.VRID, clause(Problem.VRID), "vrid must be 1-255, not 0"
    if not rules.authentication_before_vrid:
        yield from authentication
    if packet.count == 0:
        wrong = "address count must be 1-255, not 0"
        yield rules.no_addresses, Problem.COUNT, rules.clause(Problem.COUNT), wrong
    yield from _address_checks(packet, family, rules)
    if isinstance(packet, VRRPv2):
        if packet.advertisement_interval == 0:
            # no rule of its own: it is discarded as another one than ours, and ours is never 0
            wrong = "interval must be 1-255 seconds, not 0"
            yield warn, Problem.INTERVAL, clause(Problem.INTERVAL), wrong
        return
    if packet.max_advertise_interval == 0:
        wrong = "interval must be 1-4095 centiseconds, not 0"
        yield rules.zero_interval, Problem.INTERVAL, rules.clause(Problem.INTERVAL), wrong
    if packet.reserved:  # MUST be ignored: no check, and so the last
        wrong = f"reserved bits must be 0, not {packet.reserved}"
        yield warn, Problem.RESERVED, clause(Problem.RESERVED), wrong


def _missing(packet: Packet) -> str:
    """What the address count, and the authentication data of version 2, call for and is not there."""
    if packet.count != len(packet.addresses):
        return f"{packet.count} addresses are announced, but there are bytes for {len(packet.addresses)}"
    if isinstance(packet, VRRPv2) and len(packet.auth_data) < AUTH_DATA_LENGTH:
        return f"authentication data must have 8 bytes, not {len(packet.auth_data)}"
    return ""


def _authentication_checks(packet: VRRPv2, rules: Rules) -> Iterator[_Check]:
    if packet.auth_type not in rules.auth_types:
        known = ", ".join(map(str, rules.auth_types))
        cisco = ", which is Cisco's MD5" if packet.auth_type == _CISCO_MD5 else ""
        wrong = f"authentication type must be one of {known}, not {packet.auth_type}{cisco}"
        yield Verdict.DISCARD, Problem.AUTH_TYPE, rules.clause(Problem.AUTH_TYPE), wrong
    elif packet.auth_type in (0, 2) and any(packet.auth_data):
        # how many, and not which: they may be the password of somebody who forgot to set the type
        set_bytes = sum(map(bool, packet.auth_data))
        wrong = f"authentication data must be zero with type {packet.auth_type}; {set_bytes} bytes of it are not"
        yield Verdict.WARN, Problem.AUTH_DATA, rules.clause(Problem.AUTH_DATA), wrong


def _address_checks(packet: Packet, family: Family, rules: Rules) -> Iterator[_Check]:
    if packet.version != 2 and family is _IPV6 and packet.addresses and not packet.addresses[0].is_link_local:
        wrong = f"the first IPv6 address must be link-local, not {packet.addresses[0]}"
        yield rules.global_first_address, Problem.ADDRESS, rules.clause(Problem.ADDRESS), wrong
    for address in packet.addresses:
        if address.is_unspecified or address.is_loopback or address.is_multicast or address == _BROADCAST:
            wrong = f"a virtual address must be a unicast address of a host on the LAN, not {address}"
            yield Verdict.WARN, Problem.ADDRESS, rules.section(Problem.ADDRESS), wrong


@dataclass(frozen=True, slots=True)
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
        elif family is _IPV6:
            accepted = ChecksumForm.PSEUDO_HEADER  # RFC 9568 5.2.8
        forms = forms_that_fit(data, family, source, destination)
        covers_trailing: bool | None = None
        if packet.trailing:
            without = forms_that_fit(data[: -len(packet.trailing)], family, source, destination)
            covers_trailing = bool(forms & accepted) or (bool(forms) and not without & accepted)
            forms = forms if covers_trailing else without
            covers_trailing = covers_trailing if forms else None
        if forms & accepted:
            return cls(forms, covers_trailing)
        if accepted & ~ChecksumForm.MESSAGE_ONLY and not have_addresses(family, source, destination):
            return cls(None)  # it may be right with a pseudo-header that nobody gave us
        fits = f"; the {names_of(forms)} form, which fits, is not accepted" if forms else ""
        wrong = f"checksum 0x{packet.checksum:04x} fits no accepted form ({names_of(accepted)}){fits}"
        return cls(forms, covers_trailing, wrong)
