"""Garbage on the wire: frames of protocol 112 that are wrong in every way, for some seconds.

    python noise.py eth0 SECONDS SEED

Each is for a virtual router that exists. None is a valid advertisement: TTL, checksum, length or version is wrong.
"""

from __future__ import annotations

import random
import socket
import struct
import sys
import time

RATE = 4000  # frames a second
SOURCE_MAC = bytes.fromhex("020000000099")


def frame(chance: random.Random) -> bytes:
    """Random bytes behind a good IPv4 header, or an advertisement of the highest priority with one thing wrong."""
    vrid = chance.randrange(1, 256)
    wrong = chance.choice(("bytes", "ttl", "checksum", "version", "length"))
    payload = struct.pack("!BBBBHH4s", 0x31, vrid, 254, 1, 10, 0, bytes((10, 77, 1, vrid)))
    if wrong == "bytes":
        payload = chance.randbytes(chance.randrange(64))
    elif wrong == "version":
        payload = bytes((chance.choice((0x01, 0x41, 0xF1)),)) + payload[1:]
    elif wrong == "length":
        payload = payload[: chance.randrange(8)]
    source, group = socket.inet_aton("10.77.0.9"), socket.inet_aton("224.0.0.18")
    ttl = 254 if wrong == "ttl" else 255
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0xC0, 20 + len(payload), 1, 0, ttl, 112, 0, source, group)
    header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
    if wrong != "bytes" and len(payload) >= 8:
        pseudo = source + group + struct.pack("!HH", 112, len(payload))
        good = checksum(pseudo + payload) ^ (0x55AA if wrong == "checksum" else 0)
        payload = payload[:6] + good.to_bytes(2, "big") + payload[8:]
    return bytes.fromhex("01005e000012") + SOURCE_MAC + b"\x08\x00" + header + payload


def checksum(data: bytes) -> int:
    total: int = sum(word for (word,) in struct.iter_unpack("!H", data + b"\0" * (len(data) % 2)))
    return ~(total % 0xFFFF) & 0xFFFF


def main(interface: str, seconds: float, seed: int) -> None:
    chance = random.Random(seed)
    frames = [frame(chance) for _ in range(512)]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind((interface, 0))
        began = time.monotonic()
        sent = 0
        while (passed := time.monotonic() - began) < seconds:
            while sent < passed * RATE:
                wire.send(frames[chance.randrange(len(frames))])
                sent += 1
            time.sleep(0.002)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
