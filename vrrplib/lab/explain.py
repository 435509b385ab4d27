"""What happened in a capture, and why: who was Active when, each change with its cause, theory beside measurement.

with open("failover.pcap", "rb") as file:
    for transition in explain(CaptureReader(file)).transitions:
        print(transition.time, transition.cause, transition.new, transition.measured, transition.theory)
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from vrrplib.errors import Problem
from vrrplib.lab.causes import GAP
from vrrplib.lab.heard import FORM, Budget, Sender, refusers, remarks, rules_of
from vrrplib.lab.story import (
    Announced,
    Cause,
    Conflict,
    ConflictReason,
    Explanation,
    Note,
    Observation,
    Reason,
    RouterKey,
    RouterStory,
    Speaker,
    Suspect,
    Suspicion,
    Tenure,
    Transition,
    seconds,
)
from vrrplib.lab.telling import tell, tell_loose, with_other_versions
from vrrplib.lab.tracking import MOST_SENDERS, Tracker
from vrrplib.wire.addresses import Family, MacAddress, virtual_mac
from vrrplib.wire.announcements import Announcement, parse_announcement
from vrrplib.wire.carp import inspect_carp
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.linktypes import NANOSECONDS, Captured
from vrrplib.wire.packets import Packet, inspect, is_carp
from vrrplib.wire.parsing import ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, network_layer, parse, vlan_tags

__all__ = [
    "Announced",
    "Cause",
    "Conflict",
    "ConflictReason",
    "Explainer",
    "Explanation",
    "Note",
    "Observation",
    "Reason",
    "RouterKey",
    "RouterStory",
    "Speaker",
    "Suspect",
    "Suspicion",
    "Tenure",
    "Transition",
    "explain",
]

MOST_ROUTERS = 4096
"""Virtual routers that are followed; what is more is a flood, and only counted."""
MOST_VALUES = 20_000
"""Tenures, transitions, conflicts and observations of one explanation."""
_MOST_STRANGERS = 1024  # announced addresses that are no virtual router's yet
_MOST_WAITING = 16
_LONGEST_NAME = 40
_MOST_WATCHED = 65_536
_NO_MAC = bytes(6)

_Lan = tuple[str, tuple[int, ...]]
_Place = tuple[_Lan, int, int, int]  # LAN, family, VRID, version


def explain(records: Iterable[Captured]) -> Explanation:
    """What happened in a capture; ``records`` are read once, in bounded memory. Nothing in them raises."""
    explainer = Explainer()
    for record in records:
        explainer.feed(record)
    return explainer.finish()


class Explainer:
    """The same in steps: :meth:`feed` each record, then :meth:`finish` once.

    It keeps state for each virtual router and each sender, and no packets.
    """

    def __init__(self) -> None:
        self._budget = Budget(MOST_VALUES)
        self._trackers: dict[_Place, Tracker] = {}
        self._by_address: dict[tuple[_Lan, bytes], list[Tracker]] = {}
        self._by_source: dict[tuple[_Lan, bytes], list[Sender]] = {}
        self._strangers: dict[tuple[_Lan, bytes], list[tuple[int, Announcement]]] = {}
        self._known: dict[Sender, tuple[object, ...]] = {}
        self._loose = Tracker(3, 0, self._budget)  # for what is of no virtual router
        self._interfaces: set[str] = set()
        self._neighbours_seen: set[Family] = set()
        self._start = self._now = -1
        self._shift = 0
        self._records = self._adverts = self._ignored = 0

    def feed(self, record: Captured) -> None:
        """One record of the capture."""
        self._records += 1
        self._tick(record.time_ns)
        frame = record.frame
        if frame is None or len(frame) < 14:
            return
        interface = record.interface.name or str(record.interface.number)
        self._interfaces.add(interface)
        tagged = frame[12:14] not in (ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_ARP)
        lan = (interface, tuple(tag.vid for tag in vlan_tags(frame)) if tagged else ())
        datagram = parse(frame)
        if datagram is None:
            self._other(lan, frame)
        else:
            self._adverts += 1
            self._message(lan, datagram, frame[6:12])

    def finish(self) -> Explanation:
        """The story; the explainer is of no use after it."""
        end = max(self._now, 0)
        one = len(self._interfaces) == 1
        stories = []
        for (lan, family, vrid, version), tracker in sorted(self._trackers.items(), key=lambda item: item[0]):
            interface, vlans = lan
            key = RouterKey(vrid, Family(family), version, vlans, "" if one else _printable(interface))
            tracker.close(end, Family(family) in self._neighbours_seen)
            self._virtual_macs(key, tracker)
            if tracker.ignored:
                words = f"adverts of more than {MOST_SENDERS} senders, which are not followed: a flood"
                tracker.note(Note.LEFT_OUT, end, words)
            stories.append(tell(key, tracker, end, Family(family) in self._neighbours_seen))
        if self._ignored:
            words = f"adverts of more than {MOST_ROUTERS} virtual routers, which are not followed: a flood"
            self._loose.note(Note.LEFT_OUT, end, words)
        if self._budget.left_out:
            self._budget.left = 1
            words = f"the explanation ends at {MOST_VALUES} values; {self._budget.left_out} more were left out"
            self._loose.note(Note.LEFT_OUT, end, words)
        return Explanation(
            start=seconds(max(self._start, 0)),
            end=seconds(end),
            records=self._records,
            adverts=self._adverts,
            routers=with_other_versions(stories),
            observations=tell_loose(self._loose),
        )

    # -- time --

    def _tick(self, time: int | None) -> None:
        """Time never goes back in here, and a record without one is of the time of the one before."""
        if time is None:
            self._loose.note(Note.CLOCK, max(self._now, 0), "a record has no time: that of the one before is taken")
            time = self._now
        else:
            time = max(time + self._shift, 0)
        if self._start < 0:
            self._start = time = max(time, 0)
        if self._now - time > NANOSECONDS:  # less is how several interfaces are merged
            words = "the clock goes back: times from here on are those of a clock that did not"
            self._loose.note(Note.CLOCK, self._now, words)
            self._shift += self._now - time
        self._now = max(self._now, time)

    # -- VRRP --

    def _message(self, lan: _Lan, datagram: Datagram, mac: bytes) -> None:
        payload, family = datagram.payload, datagram.family
        now = max(self._now, 0)
        if is_carp(payload, family):
            self._carp(now, datagram, mac)
            return
        if len(payload) < 8 or payload[0] not in (0x21, 0x31) or not payload[1]:
            seen = inspect(payload, family=family, source=datagram.source, destination=datagram.destination)
            for finding in seen.problems[:1]:
                words = f"from {datagram.source}: {finding.message}"
                self._loose.note(Note.DISCARDED, now, words, finding.clause, key=f"{finding.problem}")
            return
        tracker = self._tracker((lan, int(family), payload[1], payload[0] >> 4), now)
        sender = None if tracker is None else self._sender(tracker, lan, datagram, mac)
        if tracker is None or sender is None:
            return
        fresh = (payload, datagram.ttl, datagram.destination, len(datagram.header))
        pace = sender.pace
        if self._known.get(sender) != fresh:
            self._learn(now, lan, tracker, sender, datagram)
            self._known[sender] = fresh
        tracker.advert(now, sender, payload[2], pace)

    def _tracker(self, place: _Place, now: int) -> Tracker | None:
        tracker = self._trackers.get(place)
        if tracker is None:
            if len(self._trackers) >= MOST_ROUTERS:
                self._ignored += 1
                return None
            tracker = self._trackers[place] = Tracker(place[3], max(self._start, 0), self._budget)
        return tracker

    def _sender(self, tracker: Tracker, lan: _Lan, datagram: Datagram, mac: bytes) -> Sender | None:
        source = datagram.source.packed
        sender = tracker.senders.get((source, mac))
        if sender is None:
            if len(tracker.senders) >= MOST_SENDERS:
                tracker.ignored += 1
                return None
            speaker = Speaker(datagram.source, None if mac == _NO_MAC else _mac(mac))
            sender = tracker.senders[source, mac] = Sender(speaker, max(self._now, 0))
            if len(self._by_source) < _MOST_WATCHED:
                self._by_source.setdefault((lan, source), []).append(sender)
        return sender

    def _learn(self, now: int, lan: _Lan, tracker: Tracker, sender: Sender, datagram: Datagram) -> None:
        """An advert that is not the last one once more."""
        source, destination = datagram.source, datagram.destination
        seen = inspect(datagram.payload, family=datagram.family, source=source, destination=destination)
        packet = seen.packet
        assert packet is not None  # it has eight bytes, and is no CARP
        for note, key, words, clause in remarks(datagram, packet, seen):
            who, whose = (None, "") if key is FORM else (sender.speaker, f"{source}: ")
            tracker.note(note, now, whose + words, clause, who, words if key is FORM else key)
        if tracker.is_active(sender) and packet.priority:
            _note_changes(now, tracker, sender, packet)
        known = sender.addresses
        sender.learn(datagram, packet, seen)
        if sender.addresses != known:
            self._watch(now, lan, tracker, sender)

    def _watch(self, now: int, lan: _Lan, tracker: Tracker, sender: Sender) -> None:
        """What concerns its addresses is for ``tracker`` from now on, and what was announced just before too."""
        for address in sender.addresses:
            place = (lan, address.packed)
            watchers = self._by_address.get(place)
            if watchers is None:
                if len(self._by_address) >= _MOST_WATCHED:
                    return
                watchers = self._by_address[place] = []
            if tracker in watchers:
                continue
            watchers.append(tracker)
            for time, announcement in self._strangers.get(place, ()):
                if now - time <= GAP * sender.pace * NANOSECONDS:
                    tracker.announcement(time, announcement)

    def _carp(self, now: int, datagram: Datagram, mac: bytes) -> None:
        packet = inspect_carp(datagram.payload).packet
        if packet is None:
            return
        words = f"CARP from {datagram.source} ({mac.hex(':')}), vhid {packet.vhid}, one each {packet.interval:g} s"
        words += f"; it shares the protocol number, and {', '.join(refusers('carp', 2))} drop it"
        if packet.vhid and mac == virtual_mac(packet.vhid).packed:
            words += f"; its MAC is that of VRRP's vrid {packet.vhid}, which must not be on this LAN too"
        self._loose.note(Note.CARP, now, words, rules_of(2).clause(Problem.CARP), key=f"{datagram.source}")

    # -- the rest --

    def _other(self, lan: _Lan, frame: bytes) -> None:
        ethertype, at = network_layer(frame)
        now = max(self._now, 0)
        if ethertype == ETHERTYPE_ARP:
            self._neighbours_seen.add(Family.IPV4)
            source = frame[at + 14 : at + 18]
        elif ethertype == ETHERTYPE_IPV6:
            source = frame[at + 8 : at + 24]
            if frame[at + 6 : at + 7] == b"\x3a" and frame[at + 40 : at + 41] in (b"\x87", b"\x88"):
                self._neighbours_seen.add(Family.IPV6)
        elif ethertype == ETHERTYPE_IPV4:
            source = frame[at + 12 : at + 16]
        else:
            return
        announcement = parse_announcement(frame) if ethertype != ETHERTYPE_IPV4 else None
        if announcement is not None:
            self._announcement(now, lan, announcement)
            return
        for sender in self._by_source.get((lan, source), ()):
            sender.alive = now
        for tracker in self._by_address.get((lan, source), ()):
            tracker.answered(now, _mac(frame[6:12]))

    def _announcement(self, now: int, lan: _Lan, announcement: Announcement) -> None:
        place = (lan, announcement.address.packed)
        trackers = self._by_address.get(place)
        if trackers is None:
            if place not in self._strangers and len(self._strangers) >= _MOST_STRANGERS:
                self._strangers.pop(next(iter(self._strangers)))
            waiting = self._strangers.setdefault(place, [])
            waiting.append((now, announcement))
            del waiting[:-_MOST_WAITING]
            return
        for tracker in trackers:
            tracker.announcement(now, announcement)
            _note_macs(now, tracker, announcement)

    def _virtual_macs(self, key: RouterKey, tracker: Tracker) -> None:
        """Who sends from another MAC than the virtual one, and what its announcements name."""
        expected = virtual_mac(key.vrid, key.family)
        named = {mac for change in tracker.changes if change.burst for mac in change.burst.macs}
        for sender in tracker.senders.values():
            mac = sender.speaker.mac
            if mac is None or mac == expected or sender.last < 0:
                continue
            clause = f"RFC {rules_of(key.version).rfc} 7.2"
            words = f"{sender.speaker.source} sends its adverts from {mac}, and not from the virtual MAC {expected}"
            note = Note.PHYSICAL_SOURCE
            if mac.packed[:4] == expected.packed[:4]:
                note, words = Note.OTHER_VIRTUAL_MAC, words + ": it is that of another virtual router or family"
            elif expected in named:
                words += "; announcements name the virtual MAC, as with keepalived's vmac_xmit_base"
            elif mac in named:
                words += "; its announcements name it too, as with keepalived without use_vmac"
            tracker.note(note, sender.first, words, clause, sender.speaker)


def _note_changes(now: int, tracker: Tracker, sender: Sender, packet: Packet) -> None:
    source = sender.speaker.source
    if packet.priority != sender.priority:
        words = f"{source} changes its priority from {sender.priority} to {packet.priority}"
        tracker.note(Note.CHANGED, now, words, "", sender.speaker)
    if packet.interval != sender.interval:
        words = f"{source} changes its interval from {sender.interval:g} to {packet.interval:g} s"
        tracker.note(Note.CHANGED, now, words, "", sender.speaker)
    if packet.addresses != sender.addresses:
        words = f"{source} changes its addresses, {len(sender.addresses)} of them to {len(packet.addresses)}"
        tracker.note(Note.CHANGED, now, words, "", sender.speaker)


def _note_macs(now: int, tracker: Tracker, announcement: Announcement) -> None:
    if announcement.mac is None or announcement.sender.packed == _NO_MAC:
        return
    if announcement.mac != announcement.sender:
        words = (
            f"announcements of {announcement.address} name {announcement.mac} in frames from "
            f"{announcement.sender}: switches do not learn from them where the first one is"
        )
        tracker.note(Note.ANNOUNCED_FROM, now, words, "RFC 9568 8.1.2")


def _printable(name: str) -> str:
    """An interface's name, which a file may fill with anything."""
    return "".join(char if char.isprintable() else "?" for char in name[:_LONGEST_NAME])


@functools.lru_cache(maxsize=1024)
def _mac(packed: bytes) -> MacAddress:
    return MacAddress(packed)
