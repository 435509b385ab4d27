"""Frames made by hand, where each field can be wrong, for the tests of what reads them."""

from __future__ import annotations

from vrrplib.wire.addresses import Family, virtual_mac
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame

PAYLOAD = bytes.fromhex("3101640100640000c0000201")
V4 = Datagram(PAYLOAD, "192.0.2.251", "224.0.0.18", 255)
V6 = Datagram(PAYLOAD, "fe80::c8", "ff02::12", 255)
FRAME4 = advertisement_frame(V4, virtual_mac(1))
FRAME6 = advertisement_frame(V6, virtual_mac(1, Family.IPV6))


def facts(datagram: Datagram | None) -> tuple[object, ...] | None:
    """All of a datagram but its header."""
    return datagram and (datagram.payload, datagram.source, datagram.destination, datagram.ttl)


def of(frame: bytes) -> Datagram:
    return V4 if frame[12:14] == b"\x08\x00" else V6


def tagged(frame: bytes, *tags: str) -> bytes:
    return frame[:12] + b"".join(bytes.fromhex(tag) for tag in tags) + frame[12:]


def ipv4(
    payload: bytes = PAYLOAD,
    *,
    options: bytes = b"",
    fragment: int = 0,
    protocol: int = 112,
    length: int | None = None,
) -> bytes:
    """An Ethernet frame with an IPv4 header made by hand, where each field can be wrong."""
    header_length = 20 + len(options)
    length = header_length + len(payload) if length is None else length
    header = (
        bytes([0x40 | header_length // 4, 0]) + length.to_bytes(2, "big") + b"\0\0" + fragment.to_bytes(2, "big")
    )
    header += bytes([255, protocol, 0, 0]) + V4.source.packed + V4.destination.packed + options
    return FRAME4[:14] + header + payload


def ipv6(payload: bytes = PAYLOAD, *, protocol: int = 112, length: int | None = None) -> bytes:
    length = len(payload) if length is None else length
    header = b"\x60\0\0\0" + length.to_bytes(2, "big") + bytes([protocol, 255]) + V6.source.packed
    return FRAME6[:14] + header + V6.destination.packed + payload


def ah(protocol: int, words: int = 4) -> bytes:
    """An authentication header of RFC 2402: 24 bytes with the 96-bit digest that VRRPv2 uses."""
    return bytes([protocol, words, 0, 0]) + b"spi4" + b"seq4" + b"digest of 96 bits"[: words * 4 - 4]
