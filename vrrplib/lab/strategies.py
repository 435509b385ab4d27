"""Hypothesis strategies for what a router may hear: packets, datagrams and frames, right, almost right, arbitrary.

    @given(datagrams(family=Family.IPV4))
    def test_it_stands_anything(datagram): ...

*Valid* passes every check of RFC 9568 7.1 with errata (version 2: RFC 3768 7.1) that needs no configuration.
*Almost valid* has one thing wrong, or odd. *Arbitrary* is anything that fits into the fields, or into the bytes.
``version`` and ``family`` None draw either one. Needs the extra ``test``.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeAlias

try:
    from hypothesis import strategies as st
    from hypothesis.strategies import SearchStrategy
except ImportError as error:
    raise ImportError("vrrplib.lab.strategies needs hypothesis: pip install 'vrrplib[test]'") from error

from vrrplib.errors import ConfigError
from vrrplib.lab.scenes import Scene, Specimen, Wrapping
from vrrplib.wire.addresses import Family, IPAddress
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.packets import Packet, VRRPv2, VRRPv3

Timed: TypeAlias = tuple[float, Datagram]
"""Seconds after what came before, and what arrives then."""

_FORMS = st.sampled_from([ChecksumForm.PSEUDO_HEADER, ChecksumForm.MESSAGE_ONLY])
_OTHER_TTLS = st.integers(0, 254)
_LINK_LOCAL = 0xFE80 << 112


def ip_addresses(family: Family | None = None) -> SearchStrategy[IPAddress]:
    """Any IPv4 or IPv6 address without scope id."""
    if family is None:
        return st.one_of(ip_addresses(Family.IPV4), ip_addresses(Family.IPV6))
    return st.ip_addresses(v=int(family))  # type: ignore[arg-type]


def unicast_addresses(family: Family | None = None) -> SearchStrategy[IPAddress]:
    """Addresses that a host may have: not the unspecified or the loopback one, no group, no broadcast."""
    return ip_addresses(family).filter(
        lambda address: (
            not (
                address.is_multicast
                or address.is_unspecified
                or address.is_loopback
                or address == IPv4Address("255.255.255.255")
            )
        )
    )


def link_locals() -> SearchStrategy[IPAddress]:
    """IPv6 addresses of fe80::/64, which VRRP is sent from, and announces first (RFC 9568 5.1.2.1, 5.2.9)."""
    return st.integers(1, (1 << 64) - 1).map(lambda number: IPv6Address(_LINK_LOCAL + number))


def scenes(*, version: int | None = None, family: Family | None = None) -> SearchStrategy[Scene]:
    """A virtual router and its sender: VRID 1-255, one to four addresses, any priority, any legal interval.

    ConfigError for version 2 over IPv6.
    """
    if version == 2 and family is Family.IPV6:
        raise ConfigError("version must be 3 over IPv6, not 2")
    return _scenes(version, family)


@st.composite
def _scenes(draw: Any, version: int | None, family: Family | None) -> Scene:
    if family is None:
        family = Family.IPV4 if version == 2 else draw(st.sampled_from(Family))
    if version is None:
        version = 3 if family is Family.IPV6 else draw(st.sampled_from([2, 3]))
    addresses = draw(st.lists(unicast_addresses(family), min_size=1, max_size=4, unique=True))
    if family is Family.IPV6:
        addresses[0] = draw(link_locals().filter(lambda address: address not in addresses))
    return Scene(
        vrid=draw(st.integers(1, 255)),
        addresses=addresses,
        source=draw(link_locals() if family is Family.IPV6 else unicast_addresses(family)),
        version=version,
        priority=draw(st.integers(0, 255)),
        interval=float(draw(st.integers(1, 255))) if version == 2 else draw(st.integers(1, 4095)) / 100,
        form=draw(_FORMS),
    )


# -- packets --


def valid_packets(*, version: int | None = None, family: Family | None = None) -> SearchStrategy[Packet]:
    """Packets that every receiver should decode; count and checksum are left to be computed."""
    return scenes(version=version, family=family).map(lambda scene: scene.packet())


@st.composite
def almost_valid_packets(draw: Any, *, version: int | None = None, family: Family | None = None) -> Packet:
    """Packets with one field that is wrong or odd, everything else right."""
    scene = draw(scenes(version=version, family=family))
    return draw(_spoilt(scene))  # type: ignore[no-any-return]


@st.composite
def arbitrary_packets(draw: Any, *, version: int | None = None, family: Family | None = None) -> Packet:
    """Packets with any value in each field, count and checksum too; ``version`` is which of the two classes."""
    if version is None:
        version = 3 if family is Family.IPV6 else draw(st.sampled_from([2, 3]))
    if version == 2:
        family = Family.IPV4
    elif family is None:
        family = draw(st.sampled_from(Family))
    fields: dict[str, Any] = {
        "vrid": draw(st.integers(0, 255)),
        "priority": draw(st.integers(0, 255)),
        "addresses": draw(st.lists(ip_addresses(family), max_size=8)),
        "version": draw(st.integers(0, 15)),
        "type": draw(st.integers(0, 15)),
        "count": draw(st.none() | st.integers(0, 255)),
        "checksum": draw(st.none() | st.integers(0, 0xFFFF)),
        "trailing": draw(st.binary(max_size=32)),
    }
    if version == 2:
        auth_data = draw(st.binary(max_size=8))
        return VRRPv2(
            advertisement_interval=draw(st.integers(0, 255)),
            auth_type=draw(st.integers(0, 255)),
            auth_data=auth_data,
            **fields,
        )
    return VRRPv3(max_advertise_interval=draw(st.integers(0, 0xFFF)), reserved=draw(st.integers(0, 15)), **fields)


def _spoilt(scene: Scene) -> SearchStrategy[Packet]:
    """The scene's packet with one thing wrong or odd."""
    size = scene.family.address_length
    changes: dict[str, SearchStrategy[Any]] = {
        "version": st.integers(0, 15).filter(lambda version: version not in (2, 3)),
        "type": st.integers(0, 15).filter(lambda kind: kind != 1),
        "vrid": st.just(0),
        "count": st.integers(0, 255).filter(lambda count: count != len(scene.addresses)),
        "checksum": st.integers(0, 0xFFFF),
        "trailing": st.binary(min_size=1, max_size=2 * size),
        "addresses": st.lists(ip_addresses(scene.family), max_size=4),
    }
    if scene.version == 2:
        changes |= {
            "auth_type": st.integers(1, 255),
            "auth_data": st.binary(max_size=8),
            "advertisement_interval": st.integers(0, 255),
        }
    else:
        changes |= {"reserved": st.integers(1, 15), "max_advertise_interval": st.integers(0, 0xFFF)}
    return st.one_of([value.map(_change(scene, name)) for name, value in changes.items()])


def _change(scene: Scene, name: str) -> Callable[[Any], Packet]:
    return lambda value: scene.packet(**{name: value})


# -- datagrams --


@st.composite
def valid_datagrams(draw: Any, *, version: int | None = None, family: Family | None = None) -> Datagram:
    """Right packets to the group with TTL 255, in either checksum form."""
    return draw(scenes(version=version, family=family)).datagram()  # type: ignore[no-any-return]


@st.composite
def almost_valid_datagrams(draw: Any, *, version: int | None = None, family: Family | None = None) -> Datagram:
    """One thing is wrong or odd: a field, the TTL, the destination, a bit, or the length."""
    return draw(  # type: ignore[no-any-return]
        scenes(version=version, family=family).flatmap(spoilt_datagrams)
    )


@st.composite
def spoilt_datagrams(draw: Any, scene: Scene) -> Datagram:
    """What is sent in ``scene`` with one thing wrong or odd: what a Router with that configuration must stand."""
    right = scene.datagram()
    payload, destination, ttl = right.payload, right.destination, right.ttl
    match draw(st.sampled_from(["field", "ttl", "destination", "bit", "cut", "more", "source"])):
        case "field":
            payload = scene.datagram(draw(_spoilt(scene))).payload
        case "ttl":
            ttl = draw(_OTHER_TTLS)
        case "destination":
            destination = draw(ip_addresses(scene.family))
        case "bit":
            at = draw(st.integers(0, 8 * len(payload) - 1))
            number = int.from_bytes(payload, "big") ^ 1 << at
            payload = number.to_bytes(len(payload), "big")
        case "cut":
            payload = payload[: draw(st.integers(0, len(payload) - 1))]
        case "more":
            payload += draw(st.binary(min_size=1, max_size=32))
        case _:
            return Datagram(payload, draw(ip_addresses(scene.family)), destination, ttl)
    return Datagram(payload, right.source, destination, ttl)


def arbitrary_datagrams(*, family: Family | None = None) -> SearchStrategy[Datagram]:
    """Any bytes from anywhere to anywhere, with any TTL; half of them begin as an advert does."""
    if family is None:
        return st.one_of([arbitrary_datagrams(family=each) for each in Family])
    head = st.builds(
        lambda first, rest: bytes([first]) + rest, st.sampled_from([0x21, 0x31]), st.binary(max_size=64)
    )
    return st.builds(
        Datagram, st.binary(max_size=64) | head, ip_addresses(family), ip_addresses(family), st.integers(0, 255)
    )


def datagrams(*, version: int | None = None, family: Family | None = None) -> SearchStrategy[Datagram]:
    """Valid, almost valid and arbitrary datagrams."""
    return st.one_of(
        valid_datagrams(version=version, family=family),
        almost_valid_datagrams(version=version, family=family),
        arbitrary_datagrams(family=family),
    )


def sequences(scene: Scene, *, most: int = 12) -> SearchStrategy[list[Timed]]:
    """Up to ``most`` datagrams for a virtual router as in ``scene``, each with the seconds since the one before.

    Peers of every priority come and go, resign, and change their interval; in between is what is almost right, and
    what is not right at all. Times are those at which things happen: 0, intervals and their fractions.
    """
    unit = scene.interval
    delays = st.sampled_from([0.0, unit / 100, unit / 2, unit, 3 * unit, 3 * unit + 1]) | st.floats(0, 4 * unit)
    adverts = st.builds(
        lambda priority, by: scene.but(priority=priority, source=_beside(scene.source, by)).datagram(),
        st.integers(0, 255),
        st.integers(0, 3),
    )
    each = st.one_of(adverts, spoilt_datagrams(scene), arbitrary_datagrams(family=scene.family))
    return st.lists(st.tuples(delays, each), max_size=most)


# -- frames --


@st.composite
def valid_frames(draw: Any, *, version: int | None = None, family: Family | None = None) -> bytes:
    """Ethernet frames that carry a valid datagram, some with padding, options or an extension header."""
    datagram = draw(valid_datagrams(version=version, family=family))
    options = st.sampled_from([b"", b"\x01\x01\x01\x00"])
    wrapping = Wrapping(
        tos=draw(st.sampled_from([0xC0, 0])),
        options=draw(options) if datagram.family is Family.IPV4 else b"",
        hop_by_hop=datagram.family is Family.IPV6 and draw(st.booleans()),
        padding=draw(st.integers(0, 18)),
    )
    return Specimen(datagram, wrapping).frame()


@st.composite
def almost_valid_frames(draw: Any, *, version: int | None = None, family: Family | None = None) -> bytes:
    """Frames with one wrong datagram, bit, length or flag in them, or cut short."""
    match draw(st.sampled_from(["datagram", "bit", "cut", "length", "flags"])):
        case "datagram":
            return _frame(draw(almost_valid_datagrams(version=version, family=family)))
        case "bit":
            frame: bytes = draw(valid_frames(version=version, family=family))
            number: int = int.from_bytes(frame, "big") ^ 1 << draw(st.integers(0, 8 * len(frame) - 1))
            return number.to_bytes(len(frame), "big")
        case "cut":
            frame = draw(valid_frames(version=version, family=family))
            size: int = draw(st.integers(0, len(frame) - 1))
            return frame[:size]
        case "length":
            wrapping = Wrapping(extra_length=draw(st.integers(-20, 20)), padding=draw(st.integers(0, 18)))
        case _:
            wrapping = Wrapping(flags=draw(st.integers(0, 0xFFFF)))
    return _frame(draw(valid_datagrams(version=version, family=family)), wrapping)


def arbitrary_frames() -> SearchStrategy[bytes]:
    """Any bytes; two thirds of them begin as an Ethernet frame with IPv4 or IPv6 in it does."""
    heads = st.sampled_from([b"", bytes(12) + b"\x08\x00\x45", bytes(12) + b"\x86\xdd\x60"])
    return st.builds(lambda head, rest: head + rest, heads, st.binary(max_size=128))


def frames(*, version: int | None = None, family: Family | None = None) -> SearchStrategy[bytes]:
    """Valid, almost valid and arbitrary frames."""
    return st.one_of(
        valid_frames(version=version, family=family),
        almost_valid_frames(version=version, family=family),
        arbitrary_frames(),
    )


def _frame(datagram: Datagram, wrapping: Wrapping | None = None) -> bytes:
    mac = None if datagram.destination.is_multicast else "00:00:5e:00:53:01"  # RFC 7042 2.1.2
    return Specimen(datagram, wrapping or Wrapping()).frame(destination_mac=mac)


def _beside(address: IPAddress, by: int) -> IPAddress:
    return type(address)(int(address) ^ by)
