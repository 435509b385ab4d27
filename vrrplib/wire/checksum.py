"""The internet checksum, and what a VRRP checksum covers."""

from __future__ import annotations

import enum

from vrrplib.errors import ConfigError
from vrrplib.wire.addresses import (
    PROTOCOL,
    AddressLike,
    Family,
    IPAddress,
    group_address,
    to_address,
)

CHECKSUM_OFFSET = 6  # in every version: RFC 3768 5.1, RFC 9568 5.1


class ChecksumForm(enum.Flag):
    """What a VRRPv3-over-IPv4 checksum covers; RFC 5798 5.2.8 and RFC 9568 5.2.8 disagree.

    VRRPv2 always covers the message alone, VRRPv3 over IPv6 always the pseudo-header too.
    """

    PSEUDO_HEADER = 1
    """Message and IPv4 pseudo-header: RFC 5798 as keepalived, FRR and MikroTik read it."""
    MESSAGE_ONLY = 2
    """The message alone: RFC 9568; Cisco, Juniper, Arista, Huawei, holo."""
    MULTICAST_PSEUDO_HEADER = 4
    """A pseudo-header to 224.0.0.18 in a unicast message: keepalived up to 1.3.6."""
    EITHER = PSEUDO_HEADER | MESSAGE_ONLY


PSEUDO_HEADER_BIT, MESSAGE_ONLY_BIT, MULTICAST_PSEUDO_HEADER_BIT = (form.value for form in ChecksumForm)
FORMS = tuple(map(ChecksumForm, range(8)))
"""Every combination of forms, by its number: a look-up costs a fiftieth of ``|``."""
_GROUPS = {family: int(group_address(family)) for family in Family}


def ones_sum(data: bytes | bytearray | memoryview) -> int:
    """The sum of ``data`` as big-endian 16-bit words, in some representative modulo 65535.

    Sums of parts with an even length can be added. Zero only if all of ``data`` is zero: that case is told
    apart because 0 and 0xFFFF are the same number in one's complement but not in a checksum field.
    """
    value = int.from_bytes(data, "big")
    if len(data) & 1:
        value <<= 8  # RFC 1071: an odd last byte is padded with zero
    return value % 65535 or (65535 if value else 0)


def checksum_of_sum(total: int) -> int:
    """The checksum field for data (its checksum bytes zero) whose ``ones_sum`` is ``total``."""
    return -total % 65535 if total else 0xFFFF


def internet_checksum(data: bytes | bytearray | memoryview, initial: int = 0) -> int:
    """RFC 1071 over ``data``, 0-65535; ``initial`` is the ``ones_sum`` of what precedes it (a pseudo-header).

    To compute, the checksum bytes in ``data`` must be zero. Data that carries its right checksum gives 0.
    """
    return checksum_of_sum(initial + ones_sum(data))


def verifies(total: int) -> bool:
    """Whether data that includes its checksum field, and whose ``ones_sum`` is ``total``, is intact."""
    return total != 0 and total % 65535 == 0


def pseudo_header_sum(source: IPAddress, destination: IPAddress, length: int) -> int:
    """``ones_sum`` of the pseudo-header for a VRRP message of ``length`` bytes.

    IPv4: source, destination, zero, 112, length (RFC 5798 5.2.8 as deployed). IPv6: RFC 8200 8.1. Both sum to
    the same: every other byte is zero. An address counts as the number that it is, since 2**16 is 1 modulo 65535;
    that beats a cache, for which an address object would be hashed, in Python.
    """
    return source.__int__() + destination.__int__() + PROTOCOL + length  # int() takes twice as long


def have_addresses(family: Family, source: IPAddress | None, destination: IPAddress | None) -> bool:
    """Whether there is what a pseudo-header of ``family`` needs."""
    return source is not None and destination is not None and source.version == destination.version == int(family)


def forms_that_fit(
    data: bytes, family: Family, source: IPAddress | None, destination: IPAddress | None
) -> ChecksumForm:
    """Every form in which the message's checksum is right, of those that can be computed from what is given."""
    total = ones_sum(data)
    if source is None or destination is None or not have_addresses(family, source, destination):
        return FORMS[MESSAGE_ONLY_BIT if verifies(total) else 0]
    return FORMS[bits_that_fit(total, len(data), source, destination, _GROUPS[family])]


def bits_that_fit(total: int, length: int, source: IPAddress, destination: IPAddress, group: int) -> int:
    """The forms, as the number of a :data:`FORMS`, that fit a message of ``length`` bytes and sum ``total``.

    ``group`` is the family's, as a number. Plain numbers, because this is done for every message, and an
    operation on a ``Flag`` takes longer than all of it.
    """
    sender, receiver = source.__int__(), destination.__int__()
    rest = total + sender + PROTOCOL + length
    bits = 0 if total % 65535 or not total else MESSAGE_ONLY_BIT
    if (rest + receiver) % 65535 == 0:
        bits |= PSEUDO_HEADER_BIT
    if receiver != group and (rest + group) % 65535 == 0:
        bits |= MULTICAST_PSEUDO_HEADER_BIT
    return bits


def pseudo_header_for(
    family: Family,
    source: AddressLike | None,
    destination: AddressLike | None,
    form: ChecksumForm,
    length: int,
) -> int:
    """``ones_sum`` of the pseudo-header that ``form`` calls for when sending; ConfigError for what is missing."""
    if form is ChecksumForm.MESSAGE_ONLY and family is Family.IPV4:
        return 0  # none
    if form not in (ChecksumForm.PSEUDO_HEADER, ChecksumForm.MULTICAST_PSEUDO_HEADER):
        if family is Family.IPV4:
            raise ConfigError(f"form must be one ChecksumForm, not {names_of(form) or form!r}")
        form = ChecksumForm.PSEUDO_HEADER
    if source is None:
        raise ConfigError(f"source must be given: the {names_of(form)} checksum covers it")
    if form is ChecksumForm.MULTICAST_PSEUDO_HEADER:
        destination = group_address(family)
    elif destination is None:
        raise ConfigError(f"destination must be given: the {names_of(form)} checksum covers it")
    sender, receiver = to_address(source, "source"), to_address(destination, "destination")
    for name, address in (("source", sender), ("destination", receiver)):
        if address.version != family:
            raise ConfigError(f"{name} must be an IPv{int(family)} address, not {address}")
    return pseudo_header_sum(sender, receiver, length)


def with_checksum(data: bytes, checksum: int) -> bytes:
    """``data`` with its checksum field set."""
    return data[:CHECKSUM_OFFSET] + checksum.to_bytes(2, "big") + data[CHECKSUM_OFFSET + 2 :]


def names_of(forms: ChecksumForm) -> str:
    """The forms in words: ``pseudo-header or message-only``."""
    return " or ".join(str(form.name).lower().replace("_", "-") for form in forms)
