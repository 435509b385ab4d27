"""What one Router makes of a datagram: the checks of RFC 9568 7.1 and RFC 3768 7.1, and what they remember."""

from __future__ import annotations

from vrrplib.election.config import OWNER_PRIORITY, RouterConfig
from vrrplib.election.events import AdvertisementReceived
from vrrplib.errors import Finding, Problem
from vrrplib.rules import Rules, Verdict
from vrrplib.wire.addresses import ADVERTISEMENT_TTL, IPAddress
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.packets import Packet, VRRPv2, inspect

TYPE_CHECKING = False  # typing is not loaded: see vrrplib/__init__.py
if TYPE_CHECKING:
    from typing import TypeAlias

    from vrrplib.wire.keys import Replay

    Screened: TypeAlias = tuple[Rules | None, tuple[tuple[Problem, Verdict], ...]]


class Hearing:
    """Reads datagrams for one Router.

    ``replay`` is what its authentication has accepted so far, ``ips`` the configuration's, which makes them anew.
    """

    def __init__(self, config: RouterConfig, unix_time: float) -> None:
        self.config = config
        self.replay: Replay | None = None
        self._unix_time = unix_time
        self.ips = config.ips
        self._rules = _rules_of(config)
        self._version_3_from: tuple[IPAddress, float] | None = None
        # Adverts repeat: what was read and screened last is remembered.
        self._read: tuple[Datagram, AdvertisementReceived] | None = None
        self._screened: tuple[Packet, int, Screened] | None = None

    def change(self, config: RouterConfig) -> None:
        """Judge by another configuration from now on."""
        if config.authentication != self.config.authentication:
            self.replay = None
        self.config, self.ips, self._rules = config, config.ips, _rules_of(config)
        self._read = self._screened = None

    def unix_time(self, now: float) -> float:
        """Unix time, from the Router's."""
        return self._unix_time + now

    def read(self, datagram: Datagram, now: float) -> AdvertisementReceived | Problem:
        """The message, if it is valid and authentic; else the first thing that is wrong with it."""
        known = self._read
        if known is not None and (datagram is known[0] or datagram == known[0]):
            return known[1]
        config = self.config
        version = datagram.payload[0] >> 4 if datagram.payload else 0
        rules = self._rules.get(version) or config.rules
        problem = self._check_way(datagram, rules)
        if problem is not None:
            return problem
        inspection = inspect(
            datagram.payload,
            family=config.family,
            source=datagram.source,
            destination=datagram.destination,
            accept_checksum=config.accept_checksum,
            rules=rules,
        )
        if inspection.packet is None or inspection.problems:
            return inspection.problems[0].problem
        packet = inspection.packet
        # RFC 2338 7.1 authenticates before it looks at the VRID, RFC 3768 7.1 after
        if config.authentication is not None and (rules.authentication_before_vrid or packet.vrid == config.vrid):
            problem = self._authenticate(datagram, now)
            if problem is not None:
                return problem
        heard = AdvertisementReceived(packet, datagram.source, inspection.checksum_form)
        if config.authentication is None:  # else each must be verified
            self._read = (datagram, heard)
        return heard

    def screen(self, packet: Packet, priority: int) -> Screened:
        """The rules that apply to ``packet``, and what they say against it, in the order of their checks.

        These are the checks that need the configuration; ``priority`` is the local one, which may differ from it.
        """
        known = self._screened
        if known is None or known[0] is not packet or known[1] != priority:
            known = self._screened = (packet, priority, self._screen(packet, priority))
        return known[2]

    def _screen(self, packet: Packet, priority: int) -> Screened:
        config, rules = self.config, self._rules.get(packet.version)
        if rules is None:
            return None, ((Problem.VERSION, Verdict.DISCARD),)
        found = []
        if packet.vrid != config.vrid:
            found.append((Problem.VRID, Verdict.DISCARD))
        if priority == OWNER_PRIORITY:
            found.append((Problem.OWNER, rules.heard_by_owner))
        if isinstance(packet, VRRPv2) and packet.auth_type != config.auth_type:
            at = 0 if rules.authentication_before_vrid else len(found)
            found.insert(at, (Problem.AUTH_TYPE, rules.wrong_auth_type))
        addresses = len(found)
        if not _same(packet.addresses, self.ips):
            discarded = rules.address_mismatch is Verdict.DISCARD
            spared = discarded and rules.spares_owner and packet.priority == OWNER_PRIORITY
            found.append((Problem.ADDRESS, Verdict.WARN if spared else rules.address_mismatch))
        if packet.interval == 0 and not rules.zero_interval_as:
            # RFC 5798 has no rule; learning it would make skew and down interval 0, and promote without end
            found.append((Problem.INTERVAL, Verdict.DISCARD))
        elif packet.version == config.version and abs(packet.interval - config.advertisement_interval) > 1e-6:
            at = addresses if rules.interval_before_addresses else len(found)
            found.insert(at, (Problem.INTERVAL, rules.interval_mismatch))
        return rules, tuple(found)

    def priority_beside(self, other: Packet, source: IPAddress, priority: int) -> int:
        """The local ``priority`` after ``other`` was heard while Active: two owners cannot both be right."""
        rules = self._rules.get(other.version)
        two = other.priority == priority == OWNER_PRIORITY and source != self.config.primary_address
        return rules.owner_gives_way_to if rules is not None and two else priority

    def is_double(self, packet: Packet, source: IPAddress, now: float, memory: float) -> bool:
        """Whether ``packet`` is the version 2 of what its sender says in version 3 too: RFC 9568 8.4.2."""
        if packet.version == self.config.version:
            self._version_3_from = (source, now)
            return False
        if self._version_3_from is None:
            return False
        heard, at = self._version_3_from
        return heard == source and now <= at + memory

    def _check_way(self, datagram: Datagram, rules: Rules) -> Problem | None:
        """7.1: the first check. RFCs know no unicast: there it is the operator's bound, and the list of peers."""
        if datagram.source.version != self.config.primary_address.version:
            return Problem.SOURCE  # of the other family, which has virtual routers of its own: RFC 9568 3
        if self.config.peers:
            if datagram.source not in self.config.peers or datagram.destination != self.config.primary_address:
                return Problem.SOURCE  # of others, or what this host only routes
            return Problem.TTL if datagram.ttl < self.config.least_peer_ttl else None
        if datagram.ttl != ADVERTISEMENT_TTL and rules.wrong_ttl is Verdict.DISCARD:
            return Problem.TTL
        return None

    def _authenticate(self, datagram: Datagram, now: float) -> Problem | None:
        from vrrplib.wire.authentication import verify  # noqa: PLC0415  # hashlib is slow to load
        from vrrplib.wire.keys import NOTHING_HEARD  # noqa: PLC0415

        assert self.config.authentication is not None
        seen = verify(self.config.authentication, datagram, self.replay or NOTHING_HEARD, time=self.unix_time(now))
        if isinstance(seen, Finding):
            return seen.problem
        self.replay = seen.replay
        return None


def heard_interval(packet: Packet, rules: Rules) -> float:
    """What a Backup learns from ``packet``, in seconds; version 2's are whole ones (RFC 9568 8.4.2)."""
    if rules.reserved_in_interval and not isinstance(packet, VRRPv2):
        return (packet.reserved << 12 | packet.max_advertise_interval) / 100 or rules.zero_interval_as
    return packet.interval or rules.zero_interval_as


def _same(theirs: tuple[IPAddress, ...], ours: tuple[IPAddress, ...]) -> bool:
    """In any order: RFC 9568 5.2.9 only recommends the same one."""
    return theirs == ours or (len(theirs) == len(ours) and set(theirs) == set(ours))


def _rules_of(config: RouterConfig) -> dict[int, Rules]:
    """By version; what authentication adds to a message is not held against it."""
    spoken = {config.version: config.rules}
    if config.also is not None:
        spoken[config.also.version] = config.also
    scheme = config.authentication
    if scheme is None:
        return spoken
    from dataclasses import replace  # noqa: PLC0415  # slow to load

    return {
        version: replace(
            rules,
            auth_types=(*rules.auth_types, scheme.auth_type),
            trailing_bytes=Verdict.IGNORE if scheme.trails else rules.trailing_bytes,
        )
        for version, rules in spoken.items()
    }
