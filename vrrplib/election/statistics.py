"""What a Router counts, with the names of RFC 8347."""

from __future__ import annotations

from vrrplib.election.states import Reason, State
from vrrplib.errors import Problem
from vrrplib.values import dataclass, field
from vrrplib.wire.addresses import IPAddress

TYPE_CHECKING = False  # typing is not loaded: see vrrplib/__init__.py
if TYPE_CHECKING:
    from typing import Any


@dataclass(slots=True)
class Statistics:
    """Counters of one virtual router: RFC 8347's ``statistics`` container, hyphens as underscores.

    The last four are global there (checksum-errors, version-errors, vrid-errors, ip-ttl-errors).
    """

    master_transitions: int = 0
    advertisement_rcvd: int = 0
    advertisement_sent: int = 0
    interval_errors: int = 0
    priority_zero_pkts_rcvd: int = 0
    priority_zero_pkts_sent: int = 0
    invalid_type_pkts_rcvd: int = 0
    address_list_errors: int = 0
    packet_length_errors: int = 0
    checksum_errors: int = 0
    version_errors: int = 0
    vrid_errors: int = 0
    ip_ttl_errors: int = 0
    discarded: dict[Problem, int] = field(default_factory=dict)
    """Every discard by its reason, those without a name in RFC 8347 among them."""
    last_adv_source: IPAddress | None = None
    new_master_reason: Reason = Reason.NOT_MASTER
    seconds: dict[State, float] = field(default_factory=dict)
    """How long the Router was in each state that it has left."""
    state: State = State.INITIALIZE
    since: float | None = None
    """The state that it is in, and when it entered it, on the caller's clock; None before the first Startup."""

    def count_time(self, old: State, new: State, now: float) -> None:
        """Count a change of state at ``now``."""
        if self.since is not None:
            self.seconds[old] = self.seconds.get(old, 0.0) + now - self.since
        self.state, self.since = new, now
        if new is State.ACTIVE:
            self.master_transitions += 1

    def seconds_in(self, state: State, now: float) -> float:
        """Seconds spent in ``state`` up to ``now``."""
        running = now - self.since if state is self.state and self.since is not None else 0.0
        return self.seconds.get(state, 0.0) + running

    def to_dict(self, now: float | None = None) -> dict[str, Any]:
        """Everything as JSON-able values under RFC 8347's names, with hyphens; with ``now``, to this moment."""
        plain: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if name in ("seconds", "since", "state"):
                continue
            if isinstance(value, dict):
                value = {str(key): number for key, number in value.items()}
            elif value is not None and not isinstance(value, int):
                value = str(value)
            plain[name.replace("_", "-")] = value
        plain["seconds"] = {
            str(state): self.seconds_in(state, now) if now is not None else self.seconds.get(state, 0.0)
            for state in State
        }
        return plain

    def count_problem(self, problem: Problem, *, discarded: bool) -> None:
        """Count a received message that was discarded, or of which the Router warned."""
        if discarded:
            self.discarded[problem] = self.discarded.get(problem, 0) + 1
        name = _COUNTERS.get(problem)
        if name is not None:
            setattr(self, name, getattr(self, name) + 1)


_COUNTERS = {
    Problem.TTL: "ip_ttl_errors",
    Problem.VERSION: "version_errors",
    Problem.CHECKSUM: "checksum_errors",
    Problem.VRID: "vrid_errors",
    Problem.TYPE: "invalid_type_pkts_rcvd",
    Problem.TRUNCATED: "packet_length_errors",
    Problem.LENGTH: "packet_length_errors",
    Problem.COUNT: "packet_length_errors",
    Problem.INTERVAL: "interval_errors",
    Problem.ADDRESS: "address_list_errors",
}
