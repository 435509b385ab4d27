"""What an entry of the catalogue is, and the ways in which one is built.

What implementations do was found in their sources and in recorded traffic, in their default configuration, and is
an :class:`Answer` for each of :data:`PEERS`; who is not named for an entry was not looked at.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from vrrplib.errors import Problem
from vrrplib.lab.scenes import Built, Scene, Wrapping, advert, neighbour
from vrrplib.rules import DEFAULT_RULES
from vrrplib.wire.addresses import Family, IPAddress, to_address
from vrrplib.wire.checksum import ChecksumForm, checksum_of_sum, internet_checksum, ones_sum, with_checksum
from vrrplib.wire.packets import VRRPv2

Build: TypeAlias = Callable[[Scene], Built]
_EITHER_VERSION, _EITHER_FAMILY = (2, 3), (Family.IPV4, Family.IPV6)

PEERS: Mapping[str, tuple[int, ...]] = {
    "keepalived": (2, 3),
    "frr": (2, 3),
    "uvrrpd": (2, 3),
    "vrrpd": (2,),
    "holo": (2, 3),
    "govrrp": (3,),
    "os-ken": (2, 3),
    "scapy": (2, 3),
    "tshark": (2, 3),
}
"""The implementations, and the versions that each speaks: daemons, libraries, and two that only decode."""


class Answer(enum.StrEnum):
    """What an implementation does with a packet."""

    ACCEPTS = "accepts"
    NOTES = "accepts, and logs"
    REJECTS = "rejects"
    MISREADS = "misreads"
    RAISES = "raises"
    SHOWS = "shows"  # it decodes, and judges nothing
    FLAGS = "flags"  # it decodes, and marks it as bad


_LETTERS = {
    "A": Answer.ACCEPTS,
    "N": Answer.NOTES,
    "R": Answer.REJECTS,
    "M": Answer.MISREADS,
    "X": Answer.RAISES,
    "S": Answer.SHOWS,
    "F": Answer.FLAGS,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A packet of the catalogue; :meth:`build` makes it for a :class:`Scene`.

    ``problems`` and ``notes`` are what we say of it under RFC 9568 with errata (version 2: RFC 3768), in the order
    of the checks: TTL, then :func:`vrrplib.inspect`. ``unheard`` says that not even :func:`vrrplib.parse` sees a
    datagram in it. ``router`` is why a Router with the scene's configuration discards it, None if it takes it;
    ``breaks`` what it is about, None for a packet that is right.
    """

    name: str
    description: str
    breaks: Problem | None
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    router: Problem | None
    unheard: bool
    versions: tuple[int, ...]
    families: tuple[Family, ...]
    peers: Mapping[str, Answer]
    maker: Build = dataclasses.field(repr=False)
    other_clause: str = ""

    @property
    def valid(self) -> bool:
        """Whether the datagram alone passes every check; a Router may still want another configuration."""
        return not self.problems and not self.unheard

    def clause(self, version: int) -> str:
        """The clause that it violates, or that has it ignored or logged: ``"RFC 9568 5.2.8"``; empty for none."""
        if self.other_clause or self.breaks is None:
            return self.other_clause
        return DEFAULT_RULES[version].clause(self.breaks)

    def answers(self, version: int) -> dict[str, Answer]:
        """What each implementation that speaks ``version``, and was looked at, does with it."""
        return {name: answer for name, answer in self.peers.items() if version in PEERS[name]}

    def build(self, scene: Scene) -> Built:
        """The packet for ``scene``; None where its version or family has no such packet, or it lacks a target."""
        if scene.version not in self.versions or scene.family not in self.families:
            return None
        return self.maker(scene)


def entry(
    name: str,
    description: str,
    maker: Build,
    breaks: Problem | None = None,
    *,
    problems: tuple[Problem, ...] | None = None,
    notes: tuple[Problem, ...] = (),
    router: Problem | None = None,
    peers: str = "",
    unheard: bool = False,
    versions: tuple[int, ...] = _EITHER_VERSION,
    families: tuple[Family, ...] = _EITHER_FAMILY,
    clause: str = "",
) -> Entry:
    """An entry; ``breaks`` is a problem unless it is among ``notes`` or only a configured ``router`` minds.

    ``peers``: ``"keepalived=R frr=A"``, by the first letters of :class:`Answer`'s words.
    """
    if problems is None:
        minor = breaks is None or breaks in notes or breaks is router or unheard
        problems = () if minor or breaks is None else (breaks,)
    answers = {who: _LETTERS[letter] for who, letter in (item.split("=") for item in peers.split())}
    return Entry(
        name=name,
        description=description,
        breaks=breaks,
        problems=problems,
        notes=notes,
        router=router or (problems[0] if problems else None),
        unheard=unheard,
        versions=versions,
        families=families,
        peers=answers,
        maker=maker,
        other_clause=clause,
    )


# -- how they are built --


def with_fields(**changes: Any) -> Build:
    """The scene's advert with other fields, its checksum right unless it is among them."""
    return lambda scene: advert(scene, scene.encode(scene.packet(**changes)))


def with_addresses(choose: Callable[[Scene], list[IPAddress]]) -> Build:
    return lambda scene: advert(scene, scene.encode(scene.packet(addresses=choose(scene))))


def with_bytes(change: Callable[[bytes], bytes]) -> Build:
    """The scene's advert with its bytes changed, and its checksum left as it was."""
    return lambda scene: advert(scene, change(scene.encode(scene.packet())))


def with_mended_bytes(change: Callable[[bytes], bytes], *, pseudo_header: bool | None = None) -> Build:
    """Bytes changed, and the checksum made right over all of them; by default with what the scene expects."""

    def build(scene: Scene) -> Built:
        data = with_checksum(change(scene.encode(scene.packet())), 0)
        total = ones_sum(data)
        usual = scene.version == 3 and (scene.family is Family.IPV6 or scene.form is not ChecksumForm.MESSAGE_ONLY)
        if usual if pseudo_header is None else pseudo_header:
            total += ones_sum(scene.source.packed + scene.group.packed) + 112 + len(data)
        return advert(scene, with_checksum(data, checksum_of_sum(total)))

    return build


def with_checksum_changed(change: Callable[[int], int]) -> Build:
    return with_bytes(lambda data: with_checksum(data, change(int.from_bytes(data[6:8], "big")) & 0xFFFF))


def with_ttl(ttl: int) -> Build:
    return lambda scene: advert(scene, scene.encode(scene.packet()), ttl=ttl)


def with_source(choose: Callable[[Scene], IPAddress]) -> Build:
    def build(scene: Scene) -> Built:
        source = choose(scene)
        return advert(scene, scene.but(source=source).encode(scene.packet()), source=source)

    return build


def wrapped(**facts: Any) -> Build:
    return lambda scene: advert(scene, scene.encode(scene.packet()), wrapping=Wrapping(**facts))


def with_form(form: ChecksumForm) -> Build:
    return lambda scene: advert(scene, scene.encode(scene.packet(), form=form))


def unicast(form: ChecksumForm | None) -> Build:
    def build(scene: Scene) -> Built:
        if scene.target is None:
            return None
        data = scene.encode(scene.packet(), destination=scene.target, form=form)
        return advert(scene, data, destination=scene.target)

    return build


def zero_sum(checksum: int) -> Build:
    """An advert whose right checksum is 0x0000, by its priority and what the version leaves free; sent as given."""

    def build(scene: Scene) -> Built:
        for priority in range(254, 0, -1):
            data = scene.encode(scene.packet(priority=priority, checksum=None))
            missing = int.from_bytes(data[6:8], "big")
            # what was to be added to the sum is added to a field instead: the interval, or v2's unused bytes
            if scene.version == 2:
                packet = scene.packet(priority=priority, auth_data=bytes(6) + missing.to_bytes(2, "big"))
            else:
                interval = (int.from_bytes(data[4:6], "big") + missing) % 65535
                if not 1 <= interval <= 0xFFF:
                    continue
                packet = scene.packet(priority=priority, max_advertise_interval=interval)
            return advert(scene, scene.encode(packet.replace(checksum=checksum)))
        return None

    return build


def other_version(scene: Scene) -> Built:
    """A right advert of the other version; over IPv6, where version 2 has no addresses, an empty one."""
    if scene.version == 2:
        return advert(scene, scene.but(version=3).encode(scene.but(version=3).packet()))
    addresses = scene.addresses if scene.family is Family.IPV4 else ()
    return advert(scene, VRRPv2(vrid=scene.vrid, priority=scene.priority, addresses=addresses).encode())


def carp(scene: Scene) -> Built:
    """CARP as ucarp sends it: advbase 1, advskew 0, seven words of counter and digest."""
    data = bytes([0x21, scene.vrid, 0, 7, 0, 1, 0, 0]) + bytes(range(28))
    return advert(scene, with_checksum(data, internet_checksum(data)))


def cisco_md5(scene: Scene) -> Built:
    tlv = b"\xfe\x1c\x01\x00\x00\x00" + scene.source.packed + bytes(4) + bytes(range(16))
    return advert(scene, scene.encode(scene.packet(auth_type=254, trailing=tlv)))


def hmac_trailer(scene: Scene) -> Built:
    """draft-cassen-vrrp-auth-hmac: 28 bytes, outside the IPv4 checksum, inside that of IPv6; unsigned."""
    trailer = b"\x01\x01" + bytes(10) + bytes(range(16))
    if scene.family is Family.IPV6:
        return advert(scene, scene.encode(scene.packet(trailing=trailer)))
    return advert(scene, scene.encode(scene.packet()) + trailer)


def many_addresses(scene: Scene) -> list[IPAddress]:
    """As many addresses as a count holds, or an Ethernet frame takes (RFC 894, RFC 2464: 1500 bytes)."""
    most = 255 if scene.family is Family.IPV4 else 90
    more = [type(scene.addresses[0])(int(scene.addresses[0]) + 1 + number) for number in range(most)]
    return [*scene.addresses, *more][:most]


def one_more(scene: Scene) -> list[IPAddress]:
    return [*scene.addresses, neighbour(scene.addresses[-1])]


def another_last(scene: Scene) -> list[IPAddress]:
    return [*scene.addresses[:-1], neighbour(scene.addresses[-1])]


def global_first(scene: Scene) -> list[IPAddress]:
    return [to_address("2001:db8::1"), *scene.addresses[1:]]


def twice(scene: Scene) -> Built:
    """The whole message twice in one packet, its checksum right over both."""
    data = scene.encode(scene.packet())
    return advert(scene, data + data)


def summed_for_another_source(scene: Scene) -> Built:
    if scene.family is Family.IPV4 and scene.form is ChecksumForm.MESSAGE_ONLY:
        return None  # it covers no address
    # two more, for there are sources whose neighbour makes the one form the other
    return advert(scene, scene.but(source=neighbour(scene.source, 2)).encode(scene.packet()))
