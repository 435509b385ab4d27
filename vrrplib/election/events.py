"""What can happen to a Router, as values."""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

from vrrplib.election.config import RouterConfig
from vrrplib.election.states import Reason
from vrrplib.wire.addresses import IPAddress
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.packets import Packet


@dataclasses.dataclass(frozen=True, slots=True)
class Startup:
    """Begin: RFC 9568 6.4.1."""


@dataclasses.dataclass(frozen=True, slots=True)
class Shutdown:
    """End. An Active router says so with priority 0 (RFC 9568 6.4.3), unless its host is lost: ``resign`` False."""

    reason: Reason = Reason.SHUTDOWN
    resign: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class TimerExpired:
    """Time has passed; before ``Router.deadline`` it does nothing."""


@dataclasses.dataclass(frozen=True, slots=True)
class PriorityChanged:
    """The local priority is now ``priority``, 1-255; a Backup's running timer moves by the change of its skew."""

    priority: int


@dataclasses.dataclass(frozen=True, slots=True)
class AdvertisementReceived:
    """A message that decoded well; ``form`` is what its checksum covers, where that was judged."""

    packet: Packet
    source: IPAddress
    form: ChecksumForm | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ConfigChanged:
    """The configuration is now ``config``: of the same virtual router, family and version."""

    config: RouterConfig


Event: TypeAlias = Startup | Shutdown | TimerExpired | PriorityChanged | AdvertisementReceived | ConfigChanged
