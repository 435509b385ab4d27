"""The short way for messages in which there is nothing to find: read fast, and remembered when they come again.

A message is clean when no rule set of its version has anything to say about it, and its checksum is good in a form
that is accepted. Nearly all are, and nearly all come again and again. What may not be clean is left to the full
inspection in :mod:`vrrplib.wire.packets`; a test holds that both ways say the same of the same bytes.
"""

from __future__ import annotations

import functools
import struct
from ipaddress import IPv4Address, IPv6Address

from vrrplib.rules import Rules
from vrrplib.wire.addresses import Family, IPAddress, group_address, to_address
from vrrplib.wire.checksum import (
    MESSAGE_ONLY_BIT,
    PSEUDO_HEADER_BIT,
    ChecksumForm,
    bits_that_fit,
    ones_sum,
)
from vrrplib.wire.messages import (
    ADVERTISEMENT,
    AUTH_DATA_LENGTH,
    HEAD,
    HEADER_LENGTH,
    IPV4_FRAME,
    IPV6_FRAME,
    NO_AUTH_DATA,
    Packet,
    v2_packet,
    v3_packet,
)

TYPE_CHECKING = False  # typing is not loaded: see vrrplib/__init__.py
if TYPE_CHECKING:
    from typing import Any, TypeAlias

_IPV4, _IPV6 = Family  # an enumeration's own attribute takes ten times as long
_GROUP_V4, _GROUP_V6 = (int(group_address(family)) for family in Family)
_V2_HEAD, _V3_HEAD = 0x21, 0x31  # version and type of an advertisement
_MOST_REMEMBERED = 1024  # messages: twice as many as 255 virtual routers of both families have on one LAN
_FIRST_OF_IPV4 = frozenset(range(1, 224)) - {127}  # first bytes of addresses that can be virtual
_FIRST_OF_IPV6 = frozenset(range(1, 255))
_LONGEST_REMEMBERED = HEADER_LENGTH + 20 * 16  # bytes; with the number of messages, a bound on memory

_Clean: TypeAlias = tuple[Packet, int, int]
"""A packet with nothing to find in it, its sum, and its version, 2 or 3."""
Answer: TypeAlias = tuple[IPAddress, IPAddress, Family | None, ChecksumForm, Rules | None, Packet, int, _Clean]
"""What was asked, and what was found: the packet, the number of the forms that fit, and the message as read."""
_Held: TypeAlias = "tuple[tuple[Any, ...], int]"
"""The addresses of a message, and the sum of what follows its head."""

_answers: dict[bytes, Answer] = {}
_marks = [0] * _MOST_REMEMBERED
# What follows the head of a message, by version and family: the same bytes mean other addresses in each.
_held_v2: dict[bytes, _Held] = {}
_held_v3: dict[bytes, _Held] = {}
_held_ipv6: dict[bytes, _Held] = {}


def find_clean(
    data: Any,
    family: Family | None,
    source: Any,
    destination: Any,
    accepted: ChecksumForm | None,
    rules: Rules | None,
) -> Answer | None:
    """The answer for a message with nothing to find in it; None: look closer."""
    if data.__class__ is not bytes:
        return None  # a buffer may change, and has no hash
    known = _answers.get(data)
    if known is not None:
        # Compared by identity: it is enough for what a caller asks again and again, and address objects and rules
        # are slow to compare. The answer keeps them alive, so nothing else can have taken their place.
        asked_source, asked_destination, asked_family, asked_form, asked_rules, _, _, _ = known
        if (
            asked_source is source
            and asked_destination is destination
            and asked_family is family
            and asked_form is accepted
            and asked_rules is rules
        ):
            return known
    kind = source.__class__
    if kind is not destination.__class__ or accepted is None:
        return None
    if kind is IPv4Address and family is not _IPV6:
        group = _GROUP_V4
    elif kind is IPv6Address and family is not _IPV4:
        group = _GROUP_V6
    elif kind is str:
        source, destination = to_address(source, "source"), to_address(destination, "destination")
        return find_clean(data, family, source, destination, accepted, rules)
    else:
        return None
    clean = known[-1] if known is not None and known[0].__class__ is kind else _read_clean(data, kind)
    if clean is None:
        return None
    packet, total, version = clean
    if rules is not None and (
        rules.version != version
        or (version == 2 and 0 not in rules.auth_types)
        or rules.most_addresses < len(packet.addresses)
        or rules.longest_frame < len(data) + (IPV6_FRAME if group is _GROUP_V6 else IPV4_FRAME)
    ):
        return None
    bits = bits_that_fit(total, len(data), source, destination, group)
    if version == 2:
        good = MESSAGE_ONLY_BIT  # RFC 3768 5.3.8
    elif group is _GROUP_V6:
        good = PSEUDO_HEADER_BIT  # RFC 9568 5.2.8
    else:
        good = accepted._value_
    if not bits & good:
        return None
    answer: Answer = (source, destination, family, accepted, rules, packet, bits, clean)
    # Kept when it comes for the second time: what never comes again is cheaper to read than to keep, and would
    # drive out what does. So a flood of different messages leaves nothing here but numbers.
    mark = hash(data)
    place = mark % _MOST_REMEMBERED
    if _marks[place] != mark:
        _marks[place] = mark
    elif len(data) <= _LONGEST_REMEMBERED:
        if len(_answers) >= _MOST_REMEMBERED:
            _answers.clear()
        _answers[data] = answer
    return answer


def _read_clean(data: bytes, kind: type[IPAddress]) -> _Clean | None:
    """What a message says; None if there may be anything to find in it."""
    if len(data) <= HEADER_LENGTH:
        return None
    first, vrid, priority, count, word, checksum = HEAD.unpack_from(data)
    if first == _V3_HEAD:
        most, known = 0xFFF, _held_v3 if kind is IPv4Address else _held_ipv6
    elif first == _V2_HEAD and kind is IPv4Address:
        most, known = 0xFF, _held_v2
    else:
        return None
    if not (vrid and 0 < word <= most) or checksum == 0xFFFF:  # reserved bits, authentication and interval
        return None
    # New messages are mostly about known addresses: to make the objects takes longer than all the rest.
    held = known.get(data[HEADER_LENGTH:]) or _read_held(data[HEADER_LENGTH:], known)
    if held is None:
        return None
    addresses, total = held
    if count != len(addresses):
        return None
    total += (first + priority << 8) + vrid + count + word + checksum
    if first == _V3_HEAD:
        return v3_packet(vrid, priority, addresses, word, 3, ADVERTISEMENT, 0, count, checksum, b""), total, 3
    packet = v2_packet(vrid, priority, addresses, word, 2, ADVERTISEMENT, 0, NO_AUTH_DATA, count, checksum, b"")
    return packet, total, 2


def _read_held(body: bytes, known: dict[bytes, _Held]) -> _Held | None:
    """What follows the head of a message: addresses that can be virtual, and nothing else."""
    listed = body
    if known is _held_v2:
        listed = body[:-AUTH_DATA_LENGTH]
        if body[-AUTH_DATA_LENGTH:] != NO_AUTH_DATA:
            return None
    addresses: tuple[Any, ...]
    if known is _held_ipv6:
        if not listed or len(listed) & 15 or not _FIRST_OF_IPV6.issuperset(listed[::16]):
            return None  # ::, ::1, multicast, and others that begin like them: look closer
        addresses = tuple([IPv6Address(listed[at : at + 16]) for at in range(0, len(listed), 16)])
        if not addresses[0].is_link_local:
            return None  # RFC 9568 erratum 8300
        total = ones_sum(listed)
    else:
        if not listed or len(listed) & 3 or not _FIRST_OF_IPV4.issuperset(listed[::4]):
            return None  # 0/8, 127/8 and from 224.0.0.0 on: look closer
        numbers = _words(len(listed) >> 2).unpack(listed)
        addresses, total = tuple(map(IPv4Address, numbers)), sum(numbers)  # as ones_sum(listed) has it
    held = addresses, total
    if len(body) <= _LONGEST_REMEMBERED:
        if len(known) >= _MOST_REMEMBERED:
            known.clear()
        known[body] = held
    return held


@functools.lru_cache(maxsize=256)
def _words(count: int) -> struct.Struct:
    return struct.Struct(f"!{count}I")
