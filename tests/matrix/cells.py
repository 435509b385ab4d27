"""Which cells there are: the matrix with ours as the one that fails, sixty with ours as the Backup, and CI's 24."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.linux.lab import Host
from tests.peers.daemons import Daemon, Frr, Keepalived, Settings, Vrrplib

#: What `vrrplib run` is told for each.
TECHNIQUES: dict[str, tuple[str, ...]] = {
    "private": ("--backend", "macvlan"),
    "bridge": ("--backend", "macvlan", "--mode", "bridge"),
    "xmit_base": ("--backend", "macvlan", "--xmit-base"),
    "standing": ("--backend", "macvlan", "--standing"),
    "macswap": ("--backend", "macswap"),
    "announce": ("--backend", "announce"),
}

#: Adverts each 100 ms; in version 2 the least is a second (RFC 3768 5.3.7).
KINDS = {
    "v2": Settings(version=2, family=4, interval=1.0),
    "v3-ipv4": Settings(version=3, family=4, interval=0.1),
    "v3-ipv6": Settings(version=3, family=6, interval=0.1),
}

PEERS = ("ours", "keepalived", "keepalived-vmac", "frr")
FAULTS = ("sigterm", "sigkill", "port-down", "link-down", "one-way", "stop-cont")
FAILS, TAKES_OVER = "fails", "takes-over"
HIGH, LOW = 200, 100


@dataclass(frozen=True)
class Cell:
    """One of ours beside one peer; the one that fails has the higher priority."""

    technique: str
    kind: str
    peer: str
    fault: str
    role: str = FAILS  #: what ours does

    @classmethod
    def named(cls, name: str) -> Cell:
        role, technique, kind, peer, fault = name.split("/")
        return cls(technique, kind, peer, fault, role)

    @property
    def name(self) -> str:
        return "/".join((self.role, self.technique, self.kind, self.peer, self.fault))

    @property
    def settings(self) -> Settings:
        return KINDS[self.kind]

    @property
    def failing(self) -> str:
        """The host that is Active, and fails."""
        return "ours" if self.role == FAILS else "peer"

    @property
    def other(self) -> str:
        return "peer" if self.role == FAILS else "ours"

    @property
    def fails_as(self) -> str:
        """What the one that fails is: a technique of ours, or another daemon."""
        return self.what(self.failing)

    @property
    def takes_over_as(self) -> str:
        return self.what(self.other)

    def what(self, where: str) -> str:
        """What is on host "ours" or "peer": a technique of ours, or another daemon."""
        return self.technique if "ours" in (where, self.peer) else self.peer

    def daemon(self, where: str, host: Host) -> Daemon:
        """The daemon of host "ours" or "peer"."""
        settings = self.settings.but(priority=HIGH if where == self.failing else LOW)
        what = "ours" if where == "ours" else self.peer
        makers: dict[str, Callable[[], Daemon]] = {
            "ours": lambda: Vrrplib(host, settings, *TECHNIQUES[self.technique]),
            "keepalived": lambda: Keepalived(host, settings),
            "keepalived-vmac": lambda: Keepalived(host, settings, use_vmac=True),
            "frr": lambda: Frr(host, settings),
        }
        return makers[what]()

    def has_virtual_mac(self, where: str) -> bool:
        """Whether the one there answers with the virtual MAC, by design."""
        return self.what(where) not in ("announce", "keepalived")


#: With ours as the one that fails.
ALL = [
    Cell(technique, kind, peer, fault)
    for technique in TECHNIQUES
    for kind in KINDS
    for peer in PEERS
    for fault in FAULTS
]


def _the_sixty() -> list[Cell]:
    """Each technique takes over from each other daemon in each kind: 54, in which the faults go round.

    Each daemon and kind has every fault, and each technique three faults under each daemon. Six more take over from
    one of ours.
    """
    cells = [
        Cell(technique, kind, peer, FAULTS[(t + 2 * p + k) % 6], TAKES_OVER)
        for t, technique in enumerate(TECHNIQUES)
        for p, peer in enumerate(PEERS[1:])
        for k, kind in enumerate(KINDS)
    ]
    cells += [
        Cell(technique, tuple(KINDS)[t % 3], "ours", FAULTS[t], TAKES_OVER)
        for t, technique in enumerate(TECHNIQUES)
    ]
    return cells


SIXTY = _the_sixty()

#: Each technique beside each peer, each of them with every fault, the fault going round; two of them in version 2,
#: whose seconds are long.
CI = [
    Cell(technique, "v2" if (t, p) in ((0, 1), (4, 3)) else ("v3-ipv4", "v3-ipv6")[(t + p) % 2], peer, fault)
    for t, technique in enumerate(TECHNIQUES)
    for p, peer in enumerate(PEERS)
    for fault in (FAULTS[(t + 2 * p + p // 3) % 6],)
]
