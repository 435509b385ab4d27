"""The catalogue of packets, sent to live daemons: which of them each takes for an advert, and what it says.

    python -m tests.peers.live_catalogue > docs/catalogue.md      # as root; needs keepalived and FRR

A daemon is Active with priority 100, alone. Each entry comes once, from priority 200 unless the entry is about
that: whoever takes it yields. Then an advert of the usual interval comes, and one that resigns.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.linux.lab import Host, Lab
from tests.peers.daemons import Daemon, Frr, Keepalived, Settings
from vrrplib.errors import Problem
from vrrplib.lab.fuzz import CATALOGUE, Entry, Scene

LOCAL, SENT = 100, 200
HEARING = 0.12  # seconds that a daemon gets to hear a frame, and to write about it
PATIENCE = 15.0

CONFIGURATIONS = {
    "version 3 over IPv4": Settings(version=3, interval=0.1, priority=LOCAL),
    "version 2": Settings(version=2, interval=1, priority=LOCAL),
    "version 3 over IPv6": Settings(version=3, family=6, interval=0.1, priority=LOCAL),
}
DAEMONS: dict[str, Callable[[Host, Settings], Daemon]] = {"keepalived": Keepalived, "frr": Frr}

YIELDED = re.compile(r"Entering BACKUP STATE|Master -> Backup|transitioned from Master to Backup", re.IGNORECASE)

_EXACT = "its length must be exactly what the address count calls for"
_COMPARED = "it compares the checksum with its own, instead of verifying the sum"
_GROUP = "without unicast peers it hears the group alone"
_KERNEL = "the receiving kernel drops it before any daemon sees it"
_TRAILERS = ("trailing-1", "trailing-4", "trailing-26", "trailing-uncovered", "spare-bytes", "hmac-trailer")
_BOTH = {
    "checksum-message-only": "the form that its configuration does not expect",
    "unicast": _GROUP,
    "source-is-virtual": f"it has that address itself while it is Active: {_KERNEL}",
    "source-multicast": f"no source may be a group (RFC 1122 3.2.1.3): {_KERNEL}",
    "ip-header-checksum": _KERNEL,
    **dict.fromkeys((*_TRAILERS, "message-twice", "address-of-16-bytes"), _EXACT),
}
EXPLAINED: dict[str, dict[str, str]] = {
    "keepalived": _BOTH,
    "frr": _BOTH | dict.fromkeys(("checksum-ffff-for-zero", "checksum-ffff-for-zero-v2"), _COMPARED),
}
"""Entries that we call right, and that a daemon refuses although form, addresses and authentication fit: why."""

QUIET = {"priority-0", "priority-1"}
"""An Active daemon that takes one of these stays Active: it is judged by what it says alone."""


@dataclass(frozen=True)
class Outcome:
    """``yielded``: it took the packet for its Active router's. ``said``: lines of its log that complain."""

    yielded: bool
    said: tuple[str, ...]

    @property
    def words(self) -> str:
        if self.yielded:
            return "accepts"
        return f"rejects: {self.said[0]}" if self.said else "ignores"


def ought_to_be_taken(entry: Entry) -> bool:
    """Right in itself and for the daemon's configuration, address list included."""
    return entry.valid and entry.router is None and entry.breaks is not Problem.ADDRESS and entry.name not in QUIET


class Trial:
    """One daemon in one configuration, and a host beside it that sends."""

    def __init__(self, lab: Lab, settings: Settings, make: Callable[[Host, Settings], Daemon]) -> None:
        peer = lab.host("peer", "10.77.0.2/24", "fd77::2/64")
        self.sender = lab.host("sender", "10.77.0.1/24", "fd77::1/64")
        self.daemon = make(peer, settings)
        six = settings.family == 6
        self.scene = Scene(
            vrid=settings.vrid,
            addresses=[address.split("/")[0] for address in settings.addresses],
            source=self.sender.link_local() if six else "10.77.0.1",
            target=peer.link_local() if six else "10.77.0.2",
            version=settings.version,
            priority=SENT,
            interval=settings.interval,
        )
        self.mac = peer.mac

    def play(self) -> Iterator[tuple[Entry, Outcome]]:
        """Every entry that this configuration has, and what came of it."""
        self.daemon.start()
        for entry in CATALOGUE:
            if entry.build(self.scene) is not None:
                self.daemon.wait_state("active", PATIENCE)
                yield entry, self.offer(entry)
        self.daemon.resign()

    def offer(self, entry: Entry) -> Outcome:
        specimen = entry.build(self.scene)
        assert specimen is not None
        unicast = not specimen.datagram.destination.is_multicast
        before = len(self.daemon.log)
        self.sender.send(specimen.frame(destination_mac=self.mac if unicast else None))
        time.sleep(HEARING)
        said = self.daemon.log[before:].splitlines()
        # by an interval of 10 ms it is Active again before anybody can ask
        yielded = any(YIELDED.search(line) for line in said) or self.daemon.state() == "backup"
        if yielded:
            self.give_back(entry)
        return Outcome(yielded, tuple(_plain(line) for line in said if self.daemon.complaint.search(line)))

    def give_back(self, entry: Entry) -> None:
        """The sender it follows now, perhaps by an interval of its own, takes up the usual one, and resigns."""
        specimen = entry.build(self.scene)
        assert specimen is not None
        source = specimen.datagram.source
        for priority in (255, 0):  # above whatever it follows
            scene = self.scene.but(priority=priority, source=source)
            frame = next(item for item in CATALOGUE if item.name == "plain").build(scene)
            assert frame is not None
            self.sender.send(frame.frame())
            time.sleep(0.02)


def _plain(line: str) -> str:
    """A log line without its time stamp, and without what differs from run to run."""
    line = re.sub(r"^\S+ \S+ +\d+ [\d:.]+ \d+: ", "", line)
    line = re.sub(r"^\d{4}/\d\d/\d\d [\d:.]+ ", "", line)
    line = re.sub(r"^\w{3} \w{3} +\d+ [\d:]+ \d{4}: ", "", line)
    line = line.partition("Datagram invalid: ")[2] or line  # FRR
    line = re.sub(r"^(VRRP: )?\[[\w-]+\] (\[EC \d+\] )?", "", line)
    return line.replace("|", "/").strip()


def trial(name: str, settings: Settings) -> list[tuple[Entry, Outcome]]:
    with Lab() as lab:
        return list(Trial(lab, settings, DAEMONS[name]).play())


def version_of(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found.group() if found else "?"


def main() -> None:
    versions = {"keepalived": version_of(Keepalived.program), "frr": version_of(Frr.program)}
    print(HEAD.format(**versions))
    for title, settings in CONFIGURATIONS.items():
        seen = {
            name: {entry.name: (entry, outcome) for entry, outcome in trial(name, settings)} for name in DAEMONS
        }
        print(f"\n## {title[0].upper()}{title[1:]}\n")
        print("| name | packet | clause | we | keepalived | FRR |\n|---|---|---|---|---|---|")
        for entry, outcome in seen["keepalived"].values():
            cells = [entry.name, entry.description, entry.clause(settings.version), ours(entry)]
            print("| " + " | ".join([*cells, outcome.words, seen["frr"][entry.name][1].words]) + " |")
        print(f"{title}: done", file=sys.stderr)
    print("\n## What is right, and refused\n\n| packet | keepalived | FRR |\n|---|---|---|")
    for name in dict.fromkeys([*EXPLAINED["keepalived"], *EXPLAINED["frr"]]):
        print(f"| {name} | {EXPLAINED['keepalived'].get(name, 'taken')} | {EXPLAINED['frr'].get(name, 'taken')} |")
    print(TAIL)


def ours(entry: Entry) -> str:
    if entry.unheard:
        return "no datagram"
    if entry.router:
        return f"rejects: {entry.router}"
    return "accepts" + (f", notes: {', '.join(entry.notes)}" if entry.notes else "")


HEAD = """# The catalogue, sent to live daemons

Each packet of [`vrrplib.lab.fuzz.CATALOGUE`](../vrrplib/lab/catalogue.py) was sent once to keepalived
{keepalived} and to FRR {frr}, Active with priority 100, as if by a router of priority 200: who takes it for
an advert yields ("accepts"). "Rejects" is followed by what the daemon wrote; "ignores" means that it neither
yielded nor wrote anything. "We" is a Router with the same configuration. An advert of a lower priority makes
nobody yield: of those only what is said is seen. Made by `python -m tests.peers.live_catalogue`, held by
`tests/peers/test_catalogue.py`."""

TAIL = """
An address list that is not its own makes this keepalived discard an advert, in version 3 too, where RFC 9568 7.1
has it logged and processed; FRR takes it in version 2 too, where RFC 3768 7.1 allows it to be dropped. Both take an
interval of 0 in version 3, which erratum 8301 has discarded. Over IPv6, this FRR yields to an empty packet."""


if __name__ == "__main__":
    main()
