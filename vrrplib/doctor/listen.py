"""Who speaks on a LAN: VRRP, CARP, HSRP, queriers, and frames that have a virtual MAC. Only listens."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Callable

from vrrplib.doctor.facts import Lan, Protocol, Speaker
from vrrplib.doctor.of_link import virtual_router_of
from vrrplib.errors import BackendError, Problem
from vrrplib.namespaces import Namespace, run_in
from vrrplib.transports.bpf import Step, assemble, attach_filter
from vrrplib.transports.packet import PacketTransport
from vrrplib.wire.addresses import ADVERTISEMENT_TTL, Family, IPAddress, MacAddress, group_address
from vrrplib.wire.packets import inspect, is_carp
from vrrplib.wire.parsing import ip_address, network_layer, parse

_LOAD_HALF, _LOAD_BYTE, _LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x28, 0x30, 0x20, 0x15, 0x06
_VLAN_TAG_PRESENT = 0xFFFFF000 + 48
_PACKET_IGNORE_OUTGOING, _PACKET_ADD_MEMBERSHIP, _SOL_PACKET, _MULTICAST = 23, 1, 263, 0
_ETH_P_ALL = 0x0003
_HSRP_PORTS = (1985, 2029)
_HSRP_GROUPS = ("01005e000002", "01005e000066", "333300000066")  # 224.0.0.2, 224.0.0.102, ff02::66
_IGMP, _UDP, _ICMPV6 = 2, 17, 58
_IGMP_QUERY, _MLD_QUERY = 0x11, 130
_LONGEST = 512
_MOST_SPEAKERS = 1024
_ODD = {Problem.TRUNCATED, Problem.VERSION, Problem.TYPE, Problem.COUNT, Problem.LENGTH, Problem.CHECKSUM}
"""What is told as broken; other problems may be ours: a key that we do not have, a checksum's form."""

_STEPS: tuple[Step, ...] = (
    # frames of a VLAN are another LAN's
    ("", _LOAD_WORD, _VLAN_TAG_PRESENT, "", ""),
    ("", _JUMP_IF_EQUAL, 0, "", "drop"),
    ("", _LOAD_WORD, 6, "", ""),
    ("", _JUMP_IF_EQUAL, 0x00005E00, "pass", ""),
    ("", _LOAD_HALF, 12, "", ""),
    ("", _JUMP_IF_EQUAL, 0x86DD, "ipv6", ""),
    ("", _JUMP_IF_EQUAL, 0x0800, "", "drop"),
    ("", _LOAD_BYTE, 14 + 9, "", ""),
    ("", _JUMP_IF_EQUAL, _IGMP, "pass", ""),
    ("", _JUMP_IF_EQUAL, _UDP, "", "drop"),
    ("", _LOAD_WORD, 14 + 16, "", ""),
    ("", _JUMP_IF_EQUAL, 0xE0000002, "pass", ""),
    ("", _JUMP_IF_EQUAL, 0xE0000066, "pass", "drop"),
    ("ipv6", _LOAD_WORD, 14 + 24, "", ""),
    ("", _JUMP_IF_EQUAL, 0xFF020000, "", "drop"),
    ("", _LOAD_WORD, 14 + 36, "", ""),
    ("", _JUMP_IF_EQUAL, 1, "hop by hop", ""),
    ("", _JUMP_IF_EQUAL, 0x66, "pass", "drop"),
    ("hop by hop", _LOAD_BYTE, 14 + 6, "", ""),
    ("", _JUMP_IF_EQUAL, 0, "pass", ""),
    ("drop", _RETURN, 0, "", ""),
    ("pass", _RETURN, _LONGEST, "", ""),
)


def listen(
    interface: str,
    *,
    netns: Namespace = None,
    seconds: float = 4.0,
    clock: Callable[[], float] = time.monotonic,
) -> Lan:
    """What was heard in ``seconds``; a Lan that is ``deaf`` says why nothing could be.

    The groups are joined meanwhile, so that a switch that snoops lets us hear: it sees an IGMP and an MLD report.
    """
    hearing = Hearing()
    with contextlib.ExitStack() as opened:
        try:
            transport = opened.enter_context(PacketTransport(interface, netns=netns))
            others = opened.enter_context(run_in(netns, lambda: _open(interface)))
        except BackendError as error:
            return Lan(deaf=str(error))
        except OSError as error:
            return Lan(deaf=f"{interface}: {os.strerror(error.errno or 0)}")
        end = clock() + seconds
        while (left := end - clock()) > 0:
            ready, _, _ = select.select([transport.fileno(), others.fileno()], [], [], left)
            if transport.fileno() in ready:
                frame = transport.receive()
                if frame is not None:
                    hearing.take(frame)
            if others.fileno() in ready:
                with contextlib.suppress(OSError):
                    hearing.take(others.recv(_LONGEST))
    return hearing.lan(seconds)


class Hearing:
    """Frames in, who sent them out; each who and what once."""

    def __init__(self) -> None:
        self._speakers: dict[tuple[object, ...], Speaker] = {}
        self._queriers: dict[IPAddress, None] = {}

    def take(self, frame: bytes) -> None:
        """A whole Ethernet frame."""
        speaker = _vrrp(frame) or self._other(frame)
        if speaker is not None and len(self._speakers) < _MOST_SPEAKERS:
            key = (speaker.protocol, speaker.family, speaker.vrid, speaker.source, speaker.mac)
            self._speakers[key] = speaker

    def lan(self, seconds: float) -> Lan:
        """All who were heard, the frames with a virtual MAC of those who say who they are left out."""
        named = {(one.family, one.vrid) for one in self._speakers.values() if one.protocol is not Protocol.UNKNOWN}
        speakers = [
            one
            for one in self._speakers.values()
            if one.protocol is not Protocol.UNKNOWN or (one.family, one.vrid) not in named
        ]
        order = sorted(speakers, key=lambda one: (one.protocol, one.family, one.vrid, str(one.source)))
        return Lan(seconds=seconds, speakers=tuple(order), queriers=tuple(self._queriers))

    def _other(self, frame: bytes) -> Speaker | None:
        mac = MacAddress(frame[6:12].ljust(6, b"\0"))
        ethertype, at = network_layer(frame)
        source: IPAddress | None = None
        if ethertype == b"\x08\x00" and len(frame) >= at + 20:
            source = ip_address(frame[at + 12 : at + 16])
            protocol, body = frame[at + 9], frame[at + 4 * (frame[at] & 15) :]
            if protocol == _IGMP and body[:1] == bytes([_IGMP_QUERY]):
                self._queriers[source] = None
            elif protocol == _UDP:
                return _hsrp(body, source, mac)
        elif ethertype == b"\x86\xdd" and len(frame) >= at + 40:
            source = ip_address(frame[at + 8 : at + 24])
            body = frame[at + 40 :]
            if frame[at + 6] == 0 and len(body) > 8 and body[0] == _ICMPV6:
                body = body[8 * (body[1] + 1) :]
                if body[:1] == bytes([_MLD_QUERY]):
                    self._queriers[source] = None
            elif frame[at + 6] == _UDP:
                return _hsrp(body, source, mac)
        found = virtual_router_of(mac)
        return Speaker(Protocol.UNKNOWN, *found, None, mac) if found else None


def _vrrp(frame: bytes) -> Speaker | None:
    datagram = parse(frame)
    if datagram is None or len(datagram.payload) < 2:
        return None
    mac, payload = MacAddress(frame[6:12]), datagram.payload
    if is_carp(payload, datagram.family):
        return Speaker(Protocol.CARP, datagram.family, payload[1], datagram.source, mac)
    found = inspect(payload, family=datagram.family, source=datagram.source, destination=datagram.destination)
    odd = [str(one) for one in found.problems if one.problem in _ODD]
    if datagram.destination == group_address(datagram.family) and datagram.ttl != ADVERTISEMENT_TTL:
        odd.append(f"TTL is {datagram.ttl}, not {ADVERTISEMENT_TTL}")
    packet = found.packet
    return Speaker(
        Protocol.VRRP,
        datagram.family,
        payload[1],
        datagram.source,
        mac,
        version=payload[0] >> 4,
        priority=packet.priority if packet else None,
        addresses=tuple(packet.addresses) if packet else (),
        broken="; ".join(odd),
    )


def _hsrp(body: bytes, source: IPAddress, mac: MacAddress) -> Speaker | None:
    """RFC 2281 5.1 (version 1), and Cisco's version 2, whose first TLV has type 1 and length 40."""
    if len(body) < 28 or struct.unpack_from("!H", body, 2)[0] not in _HSRP_PORTS:
        return None
    payload = body[8:]
    family = Family(source.version)
    if payload[0] == 1 and payload[1] == 40 and len(payload) >= 18:
        group, priority = struct.unpack_from("!H6xI", payload, 6)
        return Speaker(Protocol.HSRP, family, group, source, mac, version=2, priority=priority)
    if payload[0] == 0:
        return Speaker(Protocol.HSRP, family, payload[6], source, mac, version=1, priority=payload[5])
    return None


def _open(interface: str) -> socket.socket:
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        packets.setblocking(False)
        attach_filter(packets, assemble(_STEPS))
        packets.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        index = socket.if_nametoindex(interface)
        for group in map(bytes.fromhex, _HSRP_GROUPS):
            request = struct.pack("=iHH8s", index, _MULTICAST, len(group), group)
            packets.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, request)
        packets.bind((interface, _ETH_P_ALL))
    except OSError:
        packets.close()
        raise
    return packets
