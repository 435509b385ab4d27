"""Frames. For any bytes:

* ``parse`` does not raise; what it gives is a slice of the frame, of one family, and ``inspect`` takes it;
* bytes after the IP packet change nothing, and one byte less than it needs means None;
* a VLAN tag more changes nothing where there are fewer than four tags, and hides the datagram where there are four;
* built again as a frame, source, destination, TTL and message come back.
"""

from tests.fuzz.engine import instrumented, main

with instrumented(__name__):
    from vrrplib.wire.addresses import ADVERTISEMENT_TTL, Family
    from vrrplib.wire.datagram import Datagram
    from vrrplib.wire.frames import advertisement_frame, parse
    from vrrplib.wire.packets import inspect

MAC = "00:00:5e:00:01:33"
TAGS = {b"\x81\x00": 4, b"\x88\xa8": 4, b"\x91\x00": 4, b"\x88\xe7": 18}  # and their lengths
MOST_TAGS = 4


def check(data: bytes) -> None:
    datagram = parse(data)
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
