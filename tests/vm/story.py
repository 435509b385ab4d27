"""A takeover between two machines whose interfaces are of one kind, with a neighbour that uses the virtual address.

One machine is Active, the other Backup. The Active one is terminated, the other takes over and is killed; then
both hosts are as they were. A bond has failovers of its own in between: the Backup's first, then the Active's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from tests.linux.capture import Capture, Frame
from tests.linux.lab import Lab
from tests.linux.process import wait_until
from tests.linux.test_observer import claims, host_part
from tests.vm.kinds import Machine, inside, settle, shown_port
from tests.vm.speaker import Speaker, Technique, Virtual
from vrrplib.backends.netlink import cleanup

QUIET = 0.6
"""Seconds for which a Backup is watched: three intervals, and whatever the kernel says by itself after a start."""


class Lan:
    """Two machines of one kind and an observer, for many stories."""

    def __init__(self, lab: Lab, kind: str) -> None:
        self.lab = lab
        self.kind = kind
        self.a, self.b = Machine(lab, "a", 1, kind), Machine(lab, "b", 2, kind)
        self.observer = lab.host("observer", "10.77.0.9/24", "fd77::9/64")
        for version in (4, 6):
            self.observer.sysctl(f"net/ipv{version}/neigh/eth0/locktime", 0)  # it believes the last word at once
        self.observer.sysctl("net/ipv4/conf/eth0/arp_accept", 1)
        for machine in (self.a, self.b):
            assert machine.link_local
            assert self.observer.ping(machine.ipv4)
        for machine in (self.a, self.b):
            settle(machine.host)
        self.dumps = {machine: machine.dump() for machine in (self.a, self.b)}

    def differences(self, machine: Machine) -> list[str]:
        """What is not as it was when the machine was built."""
        return self.dumps[machine].diff(machine.dump())


def frames_of(capture: Capture, machine: Machine, virtuals: Iterable[Virtual], since: float) -> list[Frame]:
    """What a machine sent that only an Active router may: from a virtual MAC, or a claim to a virtual address."""
    macs = {virtual.mac for virtual in virtuals}
    addresses = {address.split("/")[0] for virtual in virtuals for address in virtual.addresses}

    def forbidden(frame: Frame) -> bool:
        if frame.source_mac in macs or frame.advertisement is not None:
            return True
        return any(address in addresses for address, _ in claims(frame))

    return capture.select(forbidden, port=machine.host.name, since=since)


class Story:
    """One technique, some virtual routers at once, on one LAN."""

    def __init__(self, lan: Lan, technique: Technique, virtuals: tuple[Virtual, ...], other: Any = None) -> None:
        self.lan = lan
        self.technique = technique
        self.virtuals = virtuals
        self.seen: dict[str, dict[str, Any]] = {virtual.name: {} for virtual in virtuals}
        self.a = Speaker(lan.a, technique, virtuals, 200)
        self.b = other or Speaker(lan.b, technique, virtuals, 100)

    def expected_mac(self, virtual: Virtual, active: Machine) -> str:
        return virtual.mac if self.technique.has_virtual_mac else active.mac

    def is_reached(self, active: Machine) -> None:
        """The observer is answered, by the right MAC, which the switch knows behind the right port."""
        asked = time.monotonic()
        known = wait_until(self.known_macs, 30, lambda: self.why_not(active)) or {}
        waited = round(time.monotonic() - asked, 1)
        table = json.loads(inside(self.lan.lab.switch, "bridge -json fdb show br br0"))
        ports = {entry["mac"]: entry["ifname"] for entry in table if entry.get("state") != "permanent"}
        for virtual in self.virtuals:
            mac, found = self.expected_mac(virtual, active), known[virtual.service]
            assert found == mac, f"{virtual.name}: the observer knows {virtual.service} by {found}, not {mac}"
            port = shown_port(ports.get(mac))
            assert port == active.host.name, f"{virtual.name}: the switch has {mac} behind {port}"
            self.seen[virtual.name]["neighbour"] = found
            slowest = self.seen[virtual.name].get("answers_s", 0.0)
            self.seen[virtual.name]["answers_s"] = max(slowest, waited)

    def known_macs(self) -> dict[str, str] | None:
        """The observer's MACs by address, once all virtual addresses answer and it has a MAC for each.

        It may have none a moment after an answer: an entry that nobody confirmed before this router was Active ends
        as failed, and a gratuitous ARP of the same MAC does not save it. The next packet then resolves it anew.
        """
        pings = " && ".join(f"ping -nq -c1 -W1 {virtual.service} >/dev/null" for virtual in self.virtuals)
        answer = inside(self.lan.observer, f"({pings}) && ip -json neighbour show dev eth0 || true")
        known = {entry["dst"]: entry["lladdr"] for entry in json.loads(answer or "[]") if "lladdr" in entry}
        return known if all(virtual.service in known for virtual in self.virtuals) else None

    def why_not(self, active: Machine) -> str:
        """What may explain that an address does not answer."""
        known = inside(self.lan.observer, "ip neighbour show")
        there = inside(active.host, "ip address show; ip neighbour show")
        table = inside(self.lan.lab.switch, "bridge fdb show br br0")
        return f"answer; the observer knows\n{known}\n{active.host.name} has\n{there}\nthe switch has\n{table}"

    def is_as_before(self, machine: Machine) -> None:
        differences = self.lan.differences(machine)
        assert not differences, "\n".join([f"host {machine.host.name}:", *differences])

    def is_silent(self, capture: Capture, machine: Machine, since: float) -> None:
        frames = frames_of(capture, machine, self.virtuals, since)
        assert not frames, f"{machine.host.name} said: {[frame.data.hex() for frame in frames[:5]]}"

    def claims_rightly(self, capture: Capture) -> None:
        """Nobody was ever told another MAC for a virtual address than the right one, not even for a moment."""
        for speaker, machine in ((self.a, self.lan.a), (self.b, self.lan.b)):
            if not isinstance(speaker, Speaker):
                continue
            right = {
                host_part(item): self.expected_mac(virtual, machine)
                for virtual in self.virtuals
                for item in virtual.addresses
            }
            for frame in capture.select(bool, port=machine.host.name):
                for address, mac in claims(frame):
                    assert mac == right.get(address, mac), f"{machine.host.name} says {address} is at {mac}"

    def play(self) -> dict[str, dict[str, Any]]:
        lan = self.lan
        try:
            with lan.lab.capture() as capture:
                self._play(capture)
                self.claims_rightly(capture)
        finally:
            for speaker in (self.a, self.b):
                speaker.crash()
            for machine in (lan.a, lan.b):
                cleanup(netns=machine.host.namespace, state_dir=machine.state_dir)
        return self.seen

    def _play(self, capture: Capture) -> None:
        self._take_over(capture)
        lan, b = self.lan, self.b
        b.crash()
        assert cleanup(netns=lan.b.host.namespace, state_dir=lan.b.state_dir), "the kill left nothing to clean"
        self.is_as_before(lan.b)
        assert list(lan.b.state_dir.rglob("*")) == []

    def _take_over(self, capture: Capture) -> None:
        lan, a, b = self.lan, self.a, self.b
        a.start().wait("active")
        began = time.monotonic()
        b.start().wait("backup")
        self.is_reached(lan.a)
        if lan.kind == "bond":
            self.fail_over(capture, lan.b, "backup")
            self.fail_over(capture, lan.a, "active")
        time.sleep(QUIET)
        self.is_silent(capture, lan.b, began)
        resigned = time.monotonic()
        a.end()
        b.wait("active")
        self.is_reached(lan.b)
        self.takes_over(capture, resigned)
        self.is_as_before(lan.a)
        if lan.kind == "macvlan":  # whose links hear by the source MAC: the Active one must hear who is better
            a.start().wait("active")
            b.wait("backup")
            self.is_reached(lan.a)
            a.end()
            b.wait("active")

    def takes_over(self, capture: Capture, resigned: float) -> None:
        """How long after a priority of zero the other advertised, beside its Skew_Time (RFC 9568 6.1, 6.4.2)."""
        for virtual in self.virtuals:
            last = capture.advertisements(virtual.vrid, port="a", since=resigned)
            first = capture.advertisements(virtual.vrid, port="b", since=resigned)
            assert last[-1].advertisement.priority == 0
            waited = first[0].time - last[-1].time
            skew = (256 - 100) / 256 * virtual.interval
            # What a step of the loop reads counts as heard when the step began, which is long in emulation.
            assert skew / 2 <= waited <= skew + 3.0, f"{virtual.name}: after {waited:.3f} s"
            if isinstance(self.b, Speaker):
                assert self.b.reason(virtual) == "priority", self.b.log
            self.seen[virtual.name]["takeover_s"] = round(waited, 3)
            self.seen[virtual.name]["skew_time_s"] = round(skew, 3)

    def fail_over(self, capture: Capture, machine: Machine, state: str) -> None:
        """A bond loses the port in use: nothing changes for VRRP, and the Backup stays silent."""
        since = time.monotonic()
        said = [len(speaker.changes) for speaker in (self.a, self.b)]
        port = machine.lose_active_port()
        time.sleep(QUIET)
        self.is_reached(self.lan.a)
        machine.regain(port)
        self.is_silent(capture, self.lan.b, since)
        assert said == [len(speaker.changes) for speaker in (self.a, self.b)], (self.a.log, self.b.log)
        for virtual in self.virtuals:
            self.seen[virtual.name][f"bond_failover_while_{state}"] = "no change of state, Backup silent"


class KeepalivedStory(Story):
    """The other router is not ours: what its host looks like afterwards is its affair."""

    def is_silent(self, capture: Capture, machine: Machine, since: float) -> None:
        adverts = capture.advertisements(port=machine.host.name, since=since)
        assert not adverts, f"{machine.host.name} advertised"

    def _play(self, capture: Capture) -> None:
        self._take_over(capture)
