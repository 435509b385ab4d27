"""What a Router counts, with the names of RFC 8347."""

from __future__ import annotations

from vrrplib.election.states import Reason
from vrrplib.errors import Problem
from vrrplib.values import dataclass, field
from vrrplib.wire.addresses import IPAddress


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
