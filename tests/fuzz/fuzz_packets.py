"""Messages. For any bytes, with any addresses, rules and accepted checksums:

* ``inspect`` does not raise, and it and ``decode`` say the same of bytes, a bytearray and a memoryview: so the
  short way, which only bytes take, says what the full inspection says, and what is remembered says it too;
* ``decode`` raises DecodeError exactly when ``inspect`` lists a problem, with the same findings;
* there is no packet exactly below eight bytes and for CARP;
* a packet encodes to the bytes that it came from;
* every finding names a clause and has a message, and a checksum that fits is told apart from one that does not;
* with its checksum made anew, what was valid stays valid, and a round trip gives the same value.

The first four bytes choose, also which of these are looked at: an inspection of 500 addresses costs more than all
the rest. What is left is the message.
"""

import struct
from typing import Any

from tests.fuzz.engine import GROUPS, IPV4, IPV6, Bytes, instrumented, main

with instrumented(__name__):
    from vrrplib.errors import DecodeError, Problem
    from vrrplib.rules import RFC2338, RFC3768, RFC5798, RFC9568, RFC9568_PUBLISHED
    from vrrplib.wire.addresses import Family
    from vrrplib.wire.checksum import ChecksumForm
    from vrrplib.wire.packets import Inspection, VRRPv2, VRRPv3, decode, inspect

RULES = (None, RFC2338, RFC3768, RFC5798, RFC9568_PUBLISHED, RFC9568)
FORMS = (ChecksumForm.EITHER, None, *ChecksumForm, ChecksumForm(7), ChecksumForm(0))
NO_PACKET = {Problem.TRUNCATED, Problem.CARP}
AGAIN, VIEW, AS_IT_IS = 8, 16, 32  # bits of the first byte


def prefix(family: int = 4, *, addresses: bool = True) -> bytes:
    """The four bytes that choose: default rules and forms, and the addresses of a usual advert."""
    return bytes([(family == 6) | addresses << 1 | AGAIN, 0, 0, 0])


def check(data: bytes) -> None:
    tape = Bytes(data)
    flags, at, rules, form = tape.byte(), tape.byte(), tape.choice(RULES), tape.choice(FORMS)
    six, addressed = flags & 1, flags & 2
    source = (IPV6 if six else IPV4)[at % len(IPV4)] if addressed else None
    destination = (GROUPS[six] if at < 128 else (IPV6 if six else IPV4)[4]) if addressed else None
    options = {
        "family": None if flags & 4 else Family(6 if six else 4),
        "source": source,
        "destination": destination,
        "accept_checksum": form,
        "rules": rules,
    }
    message = tape.rest()
    seen = inspect(message, **options)
    other = memoryview(message) if flags & VIEW else bytearray(message)
    if flags & AGAIN:
        check_again(message, other, seen, options)
    for finding in (*seen.problems, *seen.notes):
        assert finding.clause.startswith("RFC ")
        assert finding.message
        assert isinstance(finding.problem, Problem)
    try:
        packet = decode(other, **options)
    except DecodeError as error:
        assert error.findings == seen.problems != ()  # noqa: PT017
        assert str(error)  # noqa: PT017
    else:
        assert not seen.problems
        assert packet == seen.packet
    if seen.packet is None:
        assert {item.problem for item in seen.problems} <= NO_PACKET
        return
    assert isinstance(seen.packet, VRRPv2 | VRRPv3)
    assert seen.packet.encode() == message
    assert (seen.covers_trailing is None) or seen.packet.trailing
    if not flags & AS_IT_IS:
        repr(seen.packet)
        check_anew(seen, options, again=bool(flags & AGAIN))


def check_again(message: bytes, other: object, seen: Inspection, options: dict[str, Any]) -> None:
    assert inspect(other, **options) == seen  # type: ignore[arg-type]
    if not seen.problems and not seen.notes:
        # the second time it may be kept, the third it is known
        assert inspect(message, **options) == seen
        assert inspect(message, **options) == seen
        assert decode(message, **options) == seen.packet


def check_anew(seen: Inspection, options: dict[str, Any], *, again: bool) -> None:
    """With checksum and count made anew, and addresses to make them with."""
    packet = seen.packet
    assert packet is not None
    family = Family.IPV4 if isinstance(packet, VRRPv2) else options["family"]
    if options["source"] is not None:
        family = Family(options["source"].version)
    elif packet.addresses:
        family = Family(packet.addresses[0].version)
    family = family or Family.IPV4
    source, destination = (IPV6 if family == 6 else IPV4)[0], GROUPS[family == 6]
    if isinstance(packet, VRRPv3) and packet.addresses and packet.addresses[0].version != family:
        return  # a family that was asked for against the addresses' own
    anew = packet.replace()
    data = anew.encode(source, destination)
    assert len(data) == len(packet.encode())
    way = {"family": family, "source": source, "destination": destination, "rules": options["rules"]}
    judged = inspect(data, **way)
    if again and judged.valid:
        check_again(data, memoryview(data), judged, way)
    if judged.packet is None:
        assert {item.problem for item in judged.problems} == {Problem.CARP}
        return
    assert judged.packet.vrid == packet.vrid
    assert Problem.CHECKSUM not in {item.problem for item in judged.problems}
    whole = isinstance(packet, VRRPv3) or len(packet.auth_data) == 8
    if whole and packet.count == len(packet.addresses):
        assert judged.packet.replace() == anew
        assert struct.unpack_from("!H", data, 6)[0] == judged.packet.checksum
        before = {item.problem for item in seen.problems} - {Problem.CHECKSUM, Problem.VERSION}
        after = {item.problem for item in judged.problems} - {Problem.VERSION}
        if options["family"] in (None, family):
            assert after == before


if __name__ == "__main__":
    main(check)
