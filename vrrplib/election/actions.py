"""What a Router wants done (effects), and what it tells (reports), as values.

Do the effects in the order in which they come; log or count the reports.
"""

from __future__ import annotations

from vrrplib.election.config import RouterConfig
from vrrplib.election.states import Reason, State
from vrrplib.errors import Problem
from vrrplib.values import dataclass
from vrrplib.wire.addresses import ADVERTISEMENT_TTL, IPAddress
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.packets import Packet

TYPE_CHECKING = False  # typing is not loaded: see vrrplib/__init__.py
if TYPE_CHECKING:
    from typing import TypeAlias

    from vrrplib.wire.authentication import Scheme


@dataclass(frozen=True, slots=True)
class Activate:
    """Make the host answer for the virtual MAC and addresses."""


@dataclass(frozen=True, slots=True)
class Deactivate:
    """Make the host stop."""


@dataclass(frozen=True, slots=True)
class Reconfigure:
    """Give the host the new configuration."""

    config: RouterConfig


@dataclass(frozen=True, slots=True)
class SendAdvertisement:
    """Send ``packet``. The same object comes again while nothing has changed, so its frame can be kept.

    ``scheme`` and ``sequence`` sign it: :func:`vrrplib.sign`.
    """

    packet: Packet
    source: IPAddress
    destination: IPAddress
    form: ChecksumForm
    scheme: Scheme | None = None
    sequence: int = 0

    def datagram(self) -> Datagram:
        """The message encoded, with TTL 255 (RFC 9568 5.1.1.3), and signed."""
        if self.scheme is not None:
            from vrrplib.wire.authentication import sign  # noqa: PLC0415  # hashlib is slow to load

            return sign(
                self.scheme,
                self.packet,
                self.source,
                self.destination,
                sequence=self.sequence,
                form=self.form,
            )
        payload = self.packet.encode(self.source, self.destination, form=self.form)
        return Datagram(payload, self.source, self.destination, ADVERTISEMENT_TTL)


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell the LAN where ``address`` is: a gratuitous ARP, or an unsolicited NA (RFC 9568 6.4.2)."""

    address: IPAddress


Effect: TypeAlias = Activate | Deactivate | Reconfigure | SendAdvertisement | Announce


@dataclass(frozen=True, slots=True)
class Report:
    """The base of all that is told; more kinds may come."""


@dataclass(frozen=True, slots=True)
class StateChanged(Report):
    """The Router went from ``old`` to ``new``."""

    old: State
    new: State
    reason: Reason


@dataclass(frozen=True, slots=True)
class Discarded(Report):
    """A message from ``source`` was dropped: RFC 9568 7.1."""

    reason: Problem
    source: IPAddress


@dataclass(frozen=True, slots=True)
class Warned(Report):
    """A message from ``source`` was processed although something is odd about it."""

    reason: Problem
    source: IPAddress


@dataclass(frozen=True, slots=True)
class Stalled(Report):
    """A timer was ``late`` seconds late, more than an interval: the process or the machine stood still."""

    late: float


@dataclass(frozen=True, slots=True)
class Ready(Report):
    """A Backup that its sync group holds has heard nobody better for Active_Down_Interval."""


@dataclass(frozen=True, slots=True)
class HostFailed(Report):
    """The host refused an operation: ``doing`` names it, ``message`` says why, ``errno`` is the kernel's answer."""

    doing: str
    message: str
    errno: int | None = None


@dataclass(frozen=True, slots=True)
class HostChanged(Report):
    """The host did something by itself: ``change`` names it, ``message`` tells it, ``answer`` the Node's answer.

    ``went-on``: nothing had to be done; ``repaired``; ``waits``: in Initialize until the interface is back;
    ``restarts``: it is; ``gave-up``: resigned, and tried again later.
    """

    change: str
    message: str
    answer: str


@dataclass(frozen=True, slots=True)
class LeftAlone(Report):
    """``message`` says what was not given back, for somebody else has changed it meanwhile."""

    message: str


Action: TypeAlias = Effect | Report
