"""Captures of simulated LANs and of frames that are written by hand, as records in memory."""

from __future__ import annotations

from typing import Any

from vrrplib import Datagram, RouterConfig, VRRPv3, advertisement_frame, virtual_mac
from vrrplib.lab.explain import Explanation, explain
from vrrplib.lab.simulator import Simulation
from vrrplib.wire.addresses import Family, MacLike, group_address
from vrrplib.wire.frames import announcement_frame
from vrrplib.wire.linktypes import Captured, Interface
from vrrplib.wire.packets import Packet

EPOCH = 1_700_000_000
VIRTUAL = "192.0.2.254"
_INTERFACE = Interface()


class Recording:
    """Frames with their seconds from ``EPOCH``."""

    def __init__(self, interface: Interface = _INTERFACE) -> None:
        self.records: list[Captured] = []
        self.interface = interface

    def frame(self, time: float, frame: bytes) -> None:
        stamp = EPOCH * 1_000_000_000 + round(time * 1e9)
        self.records.append(Captured(stamp, self.interface, frame, len(frame)))

    def advert(
        self,
        time: float,
        source: str = "192.0.2.1",
        packet: Packet | None = None,
        *,
        mac: MacLike | None = None,
        ttl: int = 255,
        form: Any = None,
        destination: str | None = None,
        **fields: Any,
    ) -> None:
        """An advert of ``packet``, or of a VRRPv3 with ``fields``; ``form`` is its checksum's."""
        if packet is None:
            packet = VRRPv3(**{"vrid": 51, "addresses": [VIRTUAL], **fields})
        family = Family.IPV6 if ":" in source else Family.IPV4
        target = destination or str(group_address(family))
        way = {} if form is None else {"form": form}
        payload = packet.encode(source, target, **way)
        source_mac = mac or virtual_mac(packet.vrid or 1, family)
        towards = None if destination is None else "02:00:00:00:00:99"
        self.frame(time, advertisement_frame(Datagram(payload, source, target, ttl), source_mac, towards))

    def announcement(self, time: float, address: str = VIRTUAL, mac: MacLike | None = None) -> None:
        """A gratuitous ARP or NA, by default from the virtual MAC of vrid 51."""
        family = Family.IPV6 if ":" in address else Family.IPV4
        self.frame(time, announcement_frame(address, mac or virtual_mac(51, family)))

    def explain(self) -> Explanation:
        return explain(self.records)


class TappedLan(Simulation):
    """A simulation with a port that records all that is flooded."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.recording = Recording()
        self.switch.connect("tap", lambda frame: self.recording.frame(self.now, frame))

    def router(self, name: str, priority: int, **fields: Any) -> Any:
        """A Node with vrid 51, adverts each second, and a source of 192.0.2.N."""
        return self.add(name, **{"vrid": 51, "addresses": [f"{VIRTUAL}/24"], "priority": priority, **fields})

    def explain(self) -> Explanation:
        return self.recording.explain()


def seconds(value: float) -> float:
    """Of a time in an explanation, since the simulation's 0."""
    return value - EPOCH


__all__ = ["EPOCH", "VIRTUAL", "Recording", "RouterConfig", "TappedLan", "seconds"]
