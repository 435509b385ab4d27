"""What can happen to a Router, as values."""

from __future__ import annotations

from vrrplib.election.config import RouterConfig
from vrrplib.election.states import Reason, State
from vrrplib.values import dataclass
from vrrplib.wire.addresses import IPAddress
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.packets import Packet

TYPE_CHECKING = False  # typing is not loaded: see vrrplib/__init__.py
if TYPE_CHECKING:
    from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Startup:
    """Begin: RFC 9568 6.4.1."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End. An Active router says so with priority 0 (RFC 9568 6.4.3), unless its host is lost: ``resign`` False."""

    reason: Reason = Reason.SHUTDOWN
    resign: bool = True


@dataclass(frozen=True, slots=True)
class TimerExpired:
    """Time has passed; before ``Router.deadline`` it does nothing."""


@dataclass(frozen=True, slots=True)
class PriorityChanged:
    """The local priority is now ``priority``, 1-255; a Backup's running timer moves by the change of its skew."""

    priority: int


@dataclass(frozen=True, slots=True)
class AdvertisementReceived:
    """A message that decoded well; ``form`` is what its checksum covers, where that was judged."""

    packet: Packet
    source: IPAddress
    form: ChecksumForm | None = None


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """The configuration is now ``config``: of the same virtual router, family and version."""

    config: RouterConfig


@dataclass(frozen=True, slots=True)
class GroupMoved:
    """The sync group is now Active, or no longer: a Backup promotes itself at once, an Active router steps down.

    It resigns with priority 0 unless it is held: the peers of those are held as well, and wait for their leader.
    """

    state: State


@dataclass(frozen=True, slots=True)
class GroupHeld:
    """While ``held``, a Backup does not promote itself: when it would, it reports Ready. Let go, it does."""

    held: bool


Event: TypeAlias = (
    Startup
    | Shutdown
    | TimerExpired
    | PriorityChanged
    | AdvertisementReceived
    | ConfigChanged
    | GroupMoved
    | GroupHeld
)
