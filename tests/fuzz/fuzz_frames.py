"""Frames. For any bytes:

* ``parse`` does not raise; what it gives is a slice of the frame, of one family, and ``inspect`` takes it;
* bytes after the IP packet change nothing, and one byte less than it needs means None;
* a VLAN tag more changes nothing where there are fewer than four tags, and hides the datagram where there are four;
* built again as a frame, source, destination, TTL and message come back;
* ``parse_announcement`` and ``vlan_tags`` do not raise; what announces is no datagram, a tag more changes nothing
  about it either, and announced anew in any style it claims the same.
"""

from tests.fuzz.engine import instrumented, main

with instrumented(__name__):
    from vrrplib.wire.addresses import ADVERTISEMENT_TTL, Family
    from vrrplib.wire.announcements import (
        ICMPV6_PROTOCOL,
        AnnouncementKind,
        AnnouncementStyle,
        parse_announcement,
    )
    from vrrplib.wire.checksum import internet_checksum
    from vrrplib.wire.datagram import Datagram
    from vrrplib.wire.frames import advertisement_frame, announcement_frame, parse
    from vrrplib.wire.packets import inspect
    from vrrplib.wire.parsing import vlan_tags

MAC = "00:00:5e:00:01:33"
TAGS = {b"\x81\x00": 4, b"\x88\xa8": 4, b"\x91\x00": 4, b"\x88\xe7": 18}  # and their lengths
MOST_TAGS = 4
STYLES = tuple(AnnouncementStyle)


def check(data: bytes) -> None:
    seen = vlan_tags(data)
    assert len(seen) <= min(MOST_TAGS, tags(data))
    if b"\x88\xe7" not in data:
        assert data[12:].startswith(b"".join(tag.packed for tag in seen))
    for frame in {data, with_checksum(data)}:
        check_announcement(frame)
    datagram = parse(data)
    assert parse(data, verify_header=True) in (datagram, None)
    if datagram is None:
        return
    assert isinstance(datagram.family, Family)
    assert 0 <= datagram.ttl <= ADVERTISEMENT_TTL
    whole = datagram.header + datagram.payload
    at = data.index(whole, 14)
    inspect(datagram.payload, source=datagram.source, destination=datagram.destination)
    check_length(data, datagram, at + len(whole))
    count = tags(data)
    assert count <= MOST_TAGS
    for tag, length in TAGS.items():
        tagged = data[:12] + tag + bytes(length - 2) + data[12:]
        assert parse(tagged) == (datagram if count < MOST_TAGS else None)
    again = parse(
        advertisement_frame(
            Datagram(datagram.payload, datagram.source, datagram.destination, datagram.ttl), MAC, MAC
        )
    )
    assert again is not None
    for name in ("payload", "source", "destination", "ttl"):
        assert getattr(again, name) == getattr(datagram, name)


def check_announcement(data: bytes) -> None:
    claim = parse_announcement(data, any_claim=True)
    assert parse_announcement(data) == (claim if claim and claim.unsolicited else None)
    if claim is None:
        return
    assert parse(data) is None
    tagged = parse_announcement(data[:12] + b"\x81\x00\x00\x07" + data[12:], any_claim=True)
    assert tagged == (claim if tags(data) < MOST_TAGS else None)
    if claim.mac is None:
        return
    style = STYLES[data[-1] % len(STYLES)]
    again = parse_announcement(announcement_frame(claim.address, claim.mac, style=style, source_mac=claim.sender))
    assert again is not None
    assert (again.address, again.sender, again.kind) == (claim.address, claim.sender, claim.kind)
    # govrrp puts its MAC where nobody learns it
    unlearnt = style is AnnouncementStyle.GOVRRP and claim.kind is AnnouncementKind.NA
    assert again.mac == (None if unlearnt else claim.mac)


def with_checksum(frame: bytes) -> bytes:
    """ICMPv6 without a tag gets a good checksum, which a fuzzer does not find; all else is left as it is."""
    if frame[12:14] != b"\x86\xdd" or frame[20:21] != bytes([ICMPV6_PROTOCOL]) or len(frame) < 58:
        return frame
    body = frame[54:56] + bytes(2) + frame[58 : 54 + int.from_bytes(frame[18:20], "big")]
    pseudo_header = frame[22:54] + len(body).to_bytes(4, "big") + bytes([0, 0, 0, ICMPV6_PROTOCOL])
    return frame[:56] + internet_checksum(pseudo_header + body).to_bytes(2, "big") + frame[58:]


def tags(frame: bytes) -> int:
    """How many there are, one behind the other."""
    count, at = 0, 12
    while length := TAGS.get(frame[at : at + 2]):
        count, at = count + 1, at + length
    return count


def check_length(data: bytes, datagram: Datagram, end: int) -> None:
    assert parse(data + bytes(46)) == datagram
    assert parse(data[:end]) == datagram
    assert parse(data[: end - 1]) is None


if __name__ == "__main__":
    main(check)
