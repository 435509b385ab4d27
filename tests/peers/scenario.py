"""One story for every peer: who is Active when, how long each takeover takes, and what an observer sees.

The phases follow each other in one lab, so that daemons start once for each:

1. We stay Backup, silent, under a higher priority.
2. The peer's host dies, process and link: we take over after our Active_Down_Interval.
3. It returns: we yield. Its process alone is killed, its host stays and keeps the addresses: we take over; it
   returns, and we yield again.
4. It resigns: we take over after our skew time.
5. It returns with a lower priority and stays Backup; we resign, and it takes over after its skew time.
6. We return: it yields to us.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.linux.capture import Capture, Frame
from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.peers.daemons import Daemon, Dissection, Settings, Vrrplib, dissect

Measure = Callable[[str, float, float], None]

EARLY, LATE = 0.005, 0.1  #: how far a takeover may be from theory, on a busy machine
HIGHER, OURS, LOWER = 200, 100, 50


class Story:
    """The lab of one configuration, and its phases."""

    def __init__(self, lab: Lab, settings: Settings, make_peer: Callable[[Host, Settings], Daemon]) -> None:
        self.lab = lab
        self.settings = settings
        peer_host = lab.host("peer", "10.77.0.1/24", "fd77::1/64")
        our_host = lab.host("ours", "10.77.0.2/24", "fd77::2/64")
        # FRR sends Router Advertisements while Active, and a host that happens to ask takes an address from them.
        our_host.sysctl("net.ipv6.conf.eth0.accept_ra", 0)
        self.observer = lab.host("observer", "10.77.0.3/24", "fd77::3/64")
        self.peer = make_peer(peer_host, settings.but(priority=HIGHER))
        self.ours = Vrrplib(our_host, settings.but(priority=OURS))
        #: Long enough for either to find out that nobody else is there, and to start.
        self.patience = 4 * settings.interval + 5

    def play(self, capture: Capture, measure: Measure) -> None:
        self.capture, self.measure = capture, measure
        before = self.ours.host.dump()
        self.stay_backup_under_a_higher_priority()
        self.take_over_after_its_host_died()
        self.yield_when_it_returns(self.peer.revive)
        self.take_over_after_its_process_was_killed()
        self.yield_when_it_returns(self.peer.start)
        self.take_over_after_it_resigned()
        self.hand_over_to_a_lower_priority()
        self.make_it_yield_to_us()
        self.ours.resign()
        self.peer.resign()
        assert before.diff(self.ours.host.dump()) == []

    # -- the phases ----------------------------------------------------------------------------------------

    def stay_backup_under_a_higher_priority(self) -> None:
        self.peer.start()
        self.peer.wait_state("active", self.patience)
        self.observed()
        since = time.monotonic()
        self.ours.start()
        self.ours.wait_state("backup", self.patience)
        time.sleep(self.ours.settings.active_down_interval + 0.5 * self.settings.interval)
        self.is_silent_backup(since)

    def take_over_after_its_host_died(self) -> None:
        since = time.monotonic()
        self.peer.die()
        self.ours.wait_state("active", self.patience)
        self.takeover("host died -> us", self.peer, self.ours, since, self.ours.settings.active_down_interval)
        self.virtual_mac_answers(since)

    def yield_when_it_returns(self, come_back: Callable[[], None]) -> None:
        come_back()
        self.peer.wait_state("active", self.patience)
        self.ours.wait_state("backup", self.patience)
        since = time.monotonic()
        time.sleep(2.5 * self.settings.interval)
        self.is_silent_backup(since)

    def take_over_after_its_process_was_killed(self) -> None:
        """The peer's kernel still holds the addresses and answers for them, so the observer is not asked here."""
        since = time.monotonic()
        self.peer.crash()
        self.ours.wait_state("active", self.patience)
        self.takeover("SIGKILL -> us", self.peer, self.ours, since, self.ours.settings.active_down_interval)

    def take_over_after_it_resigned(self) -> None:
        self.observed()
        since = time.monotonic()
        self.peer.resign()
        self.ours.wait_state("active", self.patience)
        self.takeover("resignation -> us", self.peer, self.ours, since, self.ours.settings.skew_time)
        self.virtual_mac_answers(since)

    def hand_over_to_a_lower_priority(self) -> None:
        self.peer.settings = self.settings.but(priority=LOWER)
        self.peer.start()
        self.peer.wait_state("backup", self.patience)
        time.sleep(self.peer.settings.active_down_interval + 0.5 * self.settings.interval)
        assert (self.peer.state(), self.ours.state()) == ("backup", "active")
        since = time.monotonic()
        self.ours.resign()
        self.peer.wait_state("active", self.patience)
        self.takeover("our resignation -> peer", self.ours, self.peer, since, self.peer.settings.skew_time)

    def make_it_yield_to_us(self) -> None:
        self.ours.start()
        self.ours.wait_state("active", self.patience)
        self.peer.wait_state("backup", self.patience)
        time.sleep(2.5 * self.settings.interval)
        assert (self.peer.state(), self.ours.state()) == ("backup", "active")

    # -- what is looked at ---------------------------------------------------------------------------------

    def adverts(self, daemon: Daemon, since: float = 0.0) -> list[Frame]:
        return self.capture.advertisements(
            self.settings.vrid, self.settings.family, port=daemon.host.name, since=since
        )

    def is_silent_backup(self, since: float) -> None:
        assert self.ours.state() == "backup"
        ours = self.ours.host.name
        assert self.capture.from_mac(self.settings.virtual_mac, port=ours, since=since) == []
        assert self.adverts(self.ours, since) == []

    def takeover(self, what: str, old: Daemon, new: Daemon, since: float, theory: float) -> None:
        """The last advert of the old one, the first of the new one, and the time between them, beside theory."""
        first = wait_until(lambda: self.adverts(new, since), self.patience, f"advert from {new.host.name}")[0]
        last = [frame for frame in self.adverts(old) if frame.time < first.time][-1]
        gap = first.time - last.time
        self.measure(what, gap, theory)
        lost = new.settings.interval if new.loses_first_advert else 0.0
        assert theory - new.resolution - EARLY <= gap <= theory + lost + LATE

    def observed(self) -> None:
        """The observer has an entry for the virtual address, which has to move when its holder does."""
        address = self.settings.service_address
        wait_until(lambda: self.observer.ping(address, timeout=0.2), self.patience, f"answer from {address}")

    def virtual_mac_answers(self, since: float) -> None:
        """From our first announcement the observer, and the switch, know the virtual MAC and nothing else."""
        address, mac, ours = self.settings.service_address, self.settings.virtual_mac, self.ours.host.name
        announced = self.capture.wait_for(
            lambda frame: frame.gratuitous == (address, mac), self.patience, port=ours, since=since
        )
        assert announced.time - self.adverts(self.ours, since)[0].time < LATE
        assert self.observer.neighbour(address) == mac
        assert self.observer.ping(address) == 1
        assert self.ours.host.ping(self.observer.addresses[self.settings.family == 6].split("/")[0]) == 1
        assert self.observer.neighbour(address) == mac
        assert self.lab.fdb(mac) == ours


def play(make_peer: Callable[[Host, Settings], Daemon], settings: Settings, measure: Measure) -> None:
    with Lab() as lab:
        story = Story(lab, settings, make_peer)
        with lab.capture() as capture:
            story.play(capture, measure)
        assert story.peer.complaints() == []
        assert story.ours.complaints() == []


def our_packets(settings: Settings, path: Path, *options: str, preference: str = "") -> list[Dissection]:
    """What tshark makes of all that we send from a start to a resignation, alone on the LAN."""
    with Lab() as lab:
        ours = Vrrplib(lab.host("ours", "10.77.0.2/24", "fd77::2/64"), settings, *options)
        with lab.capture() as capture:
            ours.start()
            ours.wait_state("active", 4 * settings.interval + 5)
            time.sleep(2 * settings.interval)
            ours.resign()
        return dissect(capture, path, capture.frames, preference)


def is_refused_without_the_pseudo_header(make_peer: Callable[[Host, Settings], Daemon]) -> None:
    """RFC 9568's own checksum over IPv4 is a bad one to today's daemons: hence our default. And they say so."""
    settings = Settings(interval=0.1)
    with Lab() as lab:
        peer = make_peer(lab.host("peer", "10.77.0.1/24"), settings.but(priority=LOWER))
        ours = Vrrplib(lab.host("ours", "10.77.0.2/24"), settings.but(priority=OURS), "--checksum", "message")
        peer.start()
        peer.wait_state("active", 10)
        ours.start()
        ours.wait_state("active", 10)
        wait_until(peer.complaints, 3, lambda: f"complaint:\n{peer.log}")
        assert peer.state() == "active"
