"""The virtual routers of a Node: their frames, made once, their notices, and how often their host was tried."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import math
from collections.abc import Iterable

from vrrplib.backends.base import NetBackend
from vrrplib.election.actions import Discarded, HostFailed, Report, SendAdvertisement, Stalled, Warned
from vrrplib.election.router import Router
from vrrplib.errors import BackendError
from vrrplib.wire.addresses import Family, IPAddress, MacAddress
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame, announcement_frame

MOST_FRAMES_KEPT = 4
"""Of one virtual router, for each destination: two versions, with two priorities."""
REPORT_SPACING = 10.0
"""Seconds between two notices of the same virtual router and problem (RFC 9568 7.1: logs are rate-limited)."""
FIRST_RETRY, LAST_RETRY = 1.0, 60.0
"""Seconds until a host that failed is tried again: doubled each time."""
MOST_REPAIRS, QUIET = 5, 60.0
"""What others take away is put back so often in so many seconds; then they are let have it for a while."""


@dataclasses.dataclass(frozen=True, slots=True)
class Notice:
    """What happened at ``time`` (the caller's clock); ``suppressed`` like ones were left out since the last."""

    time: float
    interface: str
    family: Family | None
    vrid: int | None
    report: Report
    suppressed: int = 0


@dataclasses.dataclass(slots=True)
class NodeStatistics:
    """What arrived, and reached no Router."""

    frames: int = 0
    not_vrrp: int = 0
    """No VRRP datagram in the frame: cut short, a fragment, another protocol, a damaged IPv4 header."""
    foreign: int = 0
    """A VRID and family that no Router here has (RFC 8347 vrid-errors), or a message without a VRID."""


@dataclasses.dataclass(slots=True, eq=False)
class Member:
    """A virtual router with its backend, and what the Node remembers about the two."""

    router: Router
    backend: NetBackend
    encoded: dict[int, tuple[SendAdvertisement, MacAddress, bytes | Datagram]] = dataclasses.field(
        default_factory=dict
    )
    """What was sent, by the identity of its action: it comes again while nothing has changed."""
    last: tuple[SendAdvertisement | None, MacAddress | None, bytes | Datagram] = (None, None, b"")
    """The last of these: mostly the only one, and with hundreds of members each object that is touched counts."""
    announcements: tuple[MacAddress, dict[IPAddress, bytes]] | None = None
    retry_at: float | None = None
    retry_after: float = FIRST_RETRY
    rebuild: bool = False
    """Whether the backend must be closed and prepared before the next start."""
    repairs: collections.deque[float] = dataclasses.field(
        default_factory=lambda: collections.deque(maxlen=MOST_REPAIRS)
    )
    """When it was repaired."""
    gave_up_at: float = -math.inf
    reported: dict[tuple[object, ...], tuple[float, int]] = dataclasses.field(default_factory=dict)
    number: int = 0
    """Of those that are due at the same time the lower comes first."""
    entered: float = math.inf
    """For when it stands in the Node's agenda."""

    @property
    def due(self) -> float:
        """When its Router or its host is to be looked after; infinity for never."""
        deadline, retry = self.router.deadline, self.retry_at
        if retry is None:
            return math.inf if deadline is None else deadline
        return retry if deadline is None or retry < deadline else deadline

    def may_repair(self, now: float) -> bool:
        """Whether to put back what somebody took away, or to stop fighting; each True counts."""
        if len(self.repairs) == MOST_REPAIRS and now < self.repairs[0] + QUIET:
            self.gave_up_at = now
            return False
        self.repairs.append(now)
        return True

    def rebuild_alone(self) -> None:
        """Close and prepare the backend, where it needs that."""
        if self.rebuild:
            self.backend.close()
            self.backend.prepare()
            self.rebuild = False

    def activated(self, now: float) -> None:
        """The host did it: the next failure is a new one, unless somebody fights with us."""
        if now >= self.gave_up_at + 2 * LAST_RETRY:
            self.retry_after = FIRST_RETRY

    def encode_ahead(self) -> None:
        """Make what a promotion sends, which would cost it half a millisecond."""
        if not self.router.config.numbers_messages:
            for advertisement in self.router.advertisements:
                self.encode(advertisement)
        mac = self.backend.mac
        self.announcements = mac, {ip: announcement_frame(ip, mac) for ip in self.router.config.ips}

    def encode(self, effect: SendAdvertisement) -> bytes | Datagram:
        """A frame for the group; for a peer a datagram, which the kernel routes."""
        mac = self.backend.advertisement_mac
        last = self.last
        if last[0] is effect and last[1] is mac:
            return last[2]
        known = self.encoded.get(id(effect))
        if known is None or known[0] is not effect or known[1] != mac:
            known = effect, mac, self._make(effect, mac)
            config = self.router.config
            if not config.numbers_messages:  # else it never comes again
                if len(self.encoded) >= MOST_FRAMES_KEPT * max(1, len(config.peers)):
                    self.encoded.clear()
                self.encoded[id(effect)] = known
        self.last = known
        return known[2]

    def _make(self, effect: SendAdvertisement, mac: MacAddress) -> bytes | Datagram:
        datagram = effect.datagram()
        if not effect.destination.is_multicast:
            return datagram
        return advertisement_frame(datagram, mac, header=datagram.header or None)

    def announcement(self, address: IPAddress) -> bytes:
        """The gratuitous ARP or unsolicited NA for an address."""
        mac = self.backend.mac
        ahead = self.announcements
        frame = ahead[1].get(address) if ahead is not None and ahead[0] is mac else None
        return announcement_frame(address, mac) if frame is None else frame

    def notice(self, report: Report, interface: str, now: float) -> Notice | None:
        """What to tell of ``report``; None when one like it was told a short while ago."""
        suppressed = 0
        key = _frequent(report)
        if key is not None:
            last, suppressed = self.reported.get(key, (-math.inf, 0))
            if now < last + REPORT_SPACING:
                self.reported[key] = (last, suppressed + 1)
                return None
            self.reported[key] = (now, 0)
        config = self.router.config
        return Notice(now, interface, config.family, config.vrid, report, suppressed)


def by_kind(members: Iterable[Member]) -> dict[type[NetBackend], list[Member]]:
    """The members by the kind of their backends, which may be quicker with many at once."""
    kinds: dict[type[NetBackend], list[Member]] = {}
    for member in members:
        kinds.setdefault(type(member.backend), []).append(member)
    return kinds


def prepare_all(members: Iterable[Member]) -> None:
    """Prepare all backends, those of one kind together, or none of them."""
    prepared: list[tuple[type[NetBackend], list[NetBackend]]] = []
    for kind, some in by_kind(members).items():
        backends = [member.backend for member in some]
        try:
            kind.prepare_all(backends)
        except BackendError:
            for earlier, done in prepared:
                with contextlib.suppress(BackendError):  # the first error is the one that is raised
                    earlier.close_all(done)
            raise
        prepared.append((kind, backends))


def rebuild_all(members: Iterable[Member]) -> None:
    """Close and prepare those that need it, those of one kind together; who fails, or is alone, still needs it."""
    for kind, some in by_kind(member for member in members if member.rebuild).items():
        _rebuild_together(kind, some)


def _rebuild_together(kind: type[NetBackend], members: list[Member]) -> None:
    if len(members) < 2:
        return  # by itself, so that the error is its own
    backends = [member.backend for member in members]
    try:
        kind.close_all(backends)
        kind.prepare_all(backends)
    except BackendError:  # halved until those are found that spoil it for the others
        half = len(members) // 2
        _rebuild_together(kind, members[:half])
        _rebuild_together(kind, members[half:])
    else:
        for member in members:
            member.rebuild = False


def _frequent(report: Report) -> tuple[object, ...] | None:
    """For a report that can come with every message: what it is counted with. None: always worth telling."""
    match report:
        case Discarded() | Warned():
            return type(report), report.reason
        case Stalled(late):
            return Stalled, math.frexp(late)[1]  # one that is twice as long is told at once
        case HostFailed(doing="sendadvertisement" | "announce"):
            return report.doing, report.errno
    return None
