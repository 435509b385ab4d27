"""Decoding and encoding advertisements: ours beside dpkt, scapy, os-ken and construct, and the floor of struct.

    python benchmarks/bench_codec.py [--rounds 15] [--only TEXT] [--json FILE]

All do the same work. Decoding: the checksum is verified, every field is read, and addresses come as ``ipaddress``
objects. Encoding: the message's object is made, and its checksum is computed, from ``ipaddress`` objects. What a
library does not do itself is done by hand, with its own tools: dpkt knows no VRRPv3, so it reads the eight bytes of
the head as version 2 has them, and its ``in_cksum`` is given the pseudo-header. ``struct`` is the floor: one
``unpack_from``, and neither checksum nor addresses.

Contenders take turns within each round, so that all meet the same noise. Figures are medians over the rounds, in
microseconds of processor time per message, and ratios of medians. Messages are "new" when no decoder has seen them
before, about known addresses or about addresses that are new as well; "again" is one message over and over. Asserts
nothing: times are a machine's.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import importlib
import json
import platform
import random
import statistics
import struct
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from vrrplib.wire import clean
from vrrplib.wire.checksum import pseudo_header_sum
from vrrplib.wire.messages import VRRPv2, VRRPv3
from vrrplib.wire.packets import decode

BATCH = 300  # messages in a turn; scapy gets fewer
SLOW = {"scapy": 20, "construct": 100, "os-ken": 60}
WAYS = {
    4: (IPv4Address("192.0.2.251"), IPv4Address("224.0.0.18")),
    6: (IPv6Address("fe80::c8"), IPv6Address("ff02::12")),
}
Run = Callable[[Any], object]


@dataclasses.dataclass(frozen=True)
class Case:
    """What is measured: a version, a family and a number of addresses, and how new the messages are."""

    version: int
    family: int
    count: int
    kind: str  # "new", "new addresses", "again", or "encode"

    @property
    def title(self) -> str:
        what = "encode" if self.kind == "encode" else f"decode, {self.kind}"
        return f"v{self.version} over IPv{self.family}, {self.count} address{'es' * (self.count > 1)}: {what}"


CASES = [
    *(Case(3, 4, count, kind) for count in (3, 1, 20) for kind in ("new", "new addresses", "again", "encode")),
    *(
        Case(version, family, 3, kind)
        for version, family in ((2, 4), (3, 6))
        for kind in ("new", "new addresses", "again", "encode")
    ),
]


class Messages:
    """Fields of messages that differ from each other, always more of them."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.random = random.Random(1)
        self.known = [self.address(first=at == 0) for at in range(case.count)]

    def address(self, *, first: bool) -> Any:
        if self.case.family == 4:
            return IPv4Address(self.random.randrange(192 << 24, 223 << 24))
        prefix = 0xFE80 << 112 if first else 0x20010DB8 << 96
        return IPv6Address(prefix | self.random.getrandbits(64))

    def fields(self) -> dict[str, Any]:
        fresh = self.case.kind == "new addresses"
        made = [self.address(first=at == 0) for at in range(self.case.count)] if fresh else self.known
        word = "advertisement_interval" if self.case.version == 2 else "max_advertise_interval"
        return {
            "vrid": self.random.randint(1, 255),
            "priority": self.random.randint(1, 254),
            "addresses": made,
            word: self.random.randint(1, 255 if self.case.version == 2 else 4095),
        }

    def encoded(self) -> bytes:
        kind = VRRPv2 if self.case.version == 2 else VRRPv3
        return kind(**self.fields()).encode(*WAYS[self.case.family])

    def batch(self, size: int) -> list[Any]:
        if self.case.kind == "encode":
            return [self.fields() for _ in range(size)]
        if self.case.kind == "again":
            return [self.encoded()] * size
        return [self.encoded() for _ in range(size)]


# -- the contenders: each gives what it runs on one message of a case, or None if it has nothing for it --


def vrrplib(case: Case) -> Run:
    source, destination = WAYS[case.family]
    kind = VRRPv2 if case.version == 2 else VRRPv3
    if case.kind == "encode":
        return lambda fields: kind(**fields).encode(source, destination)

    def run_v2(data: bytes) -> object:
        got = decode(data, source=source, destination=destination)
        head = got.version, got.type, got.vrid, got.priority, got.count, got.advertisement_interval, got.checksum
        return head, got.auth_type, got.auth_data, got.addresses

    def run_v3(data: bytes) -> object:
        got = decode(data, source=source, destination=destination)
        head = got.version, got.type, got.vrid, got.priority, got.count, got.max_advertise_interval, got.checksum
        return head, got.reserved, got.addresses

    return run_v2 if case.version == 2 else run_v3


def dpkt(case: Case) -> Run | None:
    if case.family == 6:
        return None
    library = importlib.import_module("dpkt")
    source, destination = WAYS[4]
    words = struct.Struct("!HH")

    def pseudo_header(length: int) -> bytes:
        if case.version == 2:
            return b""
        return source.packed + destination.packed + words.pack(112, length)

    def encode(fields: dict[str, Any]) -> object:
        interval = fields.get("max_advertise_interval") or fields["advertisement_interval"]
        addresses = [address.packed for address in fields["addresses"]]
        made = library.vrrp.VRRP(
            v=case.version,
            type=1,
            vrid=fields["vrid"],
            priority=fields["priority"],
            count=len(addresses),
            atype=interval >> 8,
            advtime=interval & 0xFF,
            addrs=addresses,
            auth=bytes(8) if case.version == 2 else b"",
        )
        if case.version == 3:
            body = made.pack_hdr() + b"".join(addresses)
            made.sum = library.in_cksum(pseudo_header(len(body)) + body)
        return bytes(made)

    def run(data: bytes) -> object:
        got = library.vrrp.VRRP(data)
        assert library.in_cksum(pseudo_header(len(data)) + data) == 0
        addresses = [IPv4Address(packed) for packed in got.addrs]
        return (
            got.v,
            got.type,
            got.vrid,
            got.priority,
            got.count,
            got.atype,
            got.advtime,
            got.sum,
            addresses,
            got.auth,
        )

    return encode if case.kind == "encode" else run


def scapy(case: Case) -> Run:
    layers = importlib.import_module("scapy.layers.vrrp")
    inet = importlib.import_module("scapy.layers.inet")
    inet6 = importlib.import_module("scapy.layers.inet6")
    kind = layers.VRRPv3 if case.version == 3 else layers.VRRP
    source, destination = (str(address) for address in WAYS[case.family])
    checksum = importlib.import_module("scapy.utils").checksum
    words = struct.Struct("!HH")
    packed = b"".join(address.packed for address in WAYS[case.family])

    def pseudo_header(length: int) -> bytes:
        return b"" if case.version == 2 else packed + words.pack(112, length)

    under = inet.IP(src=source, dst=destination) if case.family == 4 else inet6.IPv6(src=source, dst=destination)

    def encode(fields: dict[str, Any]) -> object:
        value = fields.get("max_advertise_interval") or fields["advertisement_interval"]
        made = kind(
            vrid=fields["vrid"],
            priority=fields["priority"],
            addrlist=[str(address) for address in fields["addresses"]],
            adv=value,
        )
        made.add_underlayer(under)
        return bytes(made)

    def run(data: bytes) -> object:
        got = kind(data, _underlayer=under)
        assert checksum(pseudo_header(len(data)) + data) == 0
        addresses = [ip_address(text) for text in got.addrlist]
        return got.version, got.type, got.vrid, got.priority, got.ipcount, got.adv, got.chksum, addresses

    return encode if case.kind == "encode" else run


def os_ken(case: Case) -> Run:
    library = importlib.import_module("os_ken.lib.packet.vrrp")
    inet = importlib.import_module("os_ken.lib.packet.ipv4")
    inet6 = importlib.import_module("os_ken.lib.packet.ipv6")
    kind = library.vrrpv2 if case.version == 2 else library.vrrpv3
    source, destination = (str(address) for address in WAYS[case.family])
    under = (
        inet.ipv4(src=source, dst=destination, proto=112)
        if case.family == 4
        else inet6.ipv6(src=source, dst=destination, nxt=112)
    )

    def encode(fields: dict[str, Any]) -> object:
        value = fields.get("max_advertise_interval") or fields["advertisement_interval"]
        made = kind.create(
            1, fields["vrid"], fields["priority"], value, [str(item) for item in fields["addresses"]]
        )
        return made.serialize(bytearray(), under)

    def run(data: bytes) -> object:
        got, _, _ = library.vrrp.parser(data)
        assert got.checksum_ok(under, data)
        addresses = [ip_address(text) for text in got.ip_addresses]
        return (
            got.version,
            got.type,
            got.vrid,
            got.priority,
            got.count_ip,
            got.max_adver_int,
            got.checksum,
            addresses,
        )

    return encode if case.kind == "encode" else run


def construct(case: Case) -> Run | None:
    """A declaration as a user of construct would write it; the checksum is by hand, as numbers."""
    library = importlib.import_module("construct")
    size, address = (4, IPv4Address) if case.family == 4 else (16, IPv6Address)
    source, destination = WAYS[case.family]
    layout = library.Struct(
        "first" / library.Int8ub,
        "vrid" / library.Int8ub,
        "priority" / library.Int8ub,
        "count" / library.Int8ub,
        "word" / library.Int16ub,
        "checksum" / library.Int16ub,
        "addresses" / library.Array(library.this.count, library.Bytes(size)),
        "rest" / library.GreedyBytes,
    )

    def pseudo_header(length: int) -> int:
        return 0 if case.version == 2 else pseudo_header_sum(source, destination, length)

    def encode(fields: dict[str, Any]) -> object:
        value = fields.get("max_advertise_interval") or fields["advertisement_interval"]
        made = {
            "first": case.version << 4 | 1,
            "vrid": fields["vrid"],
            "priority": fields["priority"],
            "count": len(fields["addresses"]),
            "word": value,
            "checksum": 0,
            "addresses": [item.packed for item in fields["addresses"]],
            "rest": bytes(8) if case.version == 2 else b"",
        }
        data = layout.build(made)
        checksum = -(int.from_bytes(data, "big") + pseudo_header(len(data))) % 65535
        return data[:6] + checksum.to_bytes(2, "big") + data[8:]

    def run(data: bytes) -> object:
        got = layout.parse(data)
        assert (int.from_bytes(data, "big") + pseudo_header(len(data))) % 65535 == 0
        addresses = [address(packed) for packed in got.addresses]
        return got.first >> 4, got.first & 15, got.vrid, got.priority, got.count, got.word, got.checksum, addresses

    return encode if case.kind == "encode" else run


def floor(case: Case) -> Run:
    """Not a contender: what no Python can be below."""
    if case.kind == "encode":
        pack = struct.Struct(f"!BBBBHH{case.count * (4 if case.family == 4 else 16)}s").pack
        body = bytes(case.count * (4 if case.family == 4 else 16))
        return lambda fields: pack(0x31, fields["vrid"], fields["priority"], case.count, 100, 0, body)
    return struct.Struct("!BBBBHH").unpack_from


CONTENDERS: dict[str, Callable[[Case], Run | None]] = {
    "vrrplib": vrrplib,
    "dpkt": dpkt,
    "scapy": scapy,
    "os-ken": os_ken,
    "construct": construct,
    "struct": floor,
}


def present() -> tuple[dict[str, Callable[[Case], Run | None]], list[str]]:
    """Who is installed, and a line about each who is not."""
    found, missing = {}, []
    for name, contender in CONTENDERS.items():
        try:
            contender(CASES[0])
        except ImportError as error:
            missing.append(f"{name} is not measured: {error}")
        else:
            found[name] = contender
    return found, missing


def measure(case: Case, contenders: dict[str, Callable[[Case], Run | None]], rounds: int) -> dict[str, float]:
    """Median microseconds per message, for each who can do the case."""
    messages = Messages(case)
    runs = {name: run for name, contender in contenders.items() if (run := contender(case))}
    times: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            times[name].append(timed(runs[name], messages.batch(SLOW.get(name, BATCH))))
    return {name: statistics.median(found) * 1e6 for name, found in times.items()}


def timed(run: Run, batch: Iterable[Any]) -> float:
    """Seconds of this thread's processor time per message: what else the machine does is not ours to show."""
    items = list(batch)
    warm_up, rest = items[: len(items) // 5], items[len(items) // 5 :]
    for item in warm_up:  # whoever came before has filled the processor's caches with something else
        run(item)
    begin = time.thread_time()
    for item in rest:
        run(item)
    return (time.thread_time() - begin) / len(rest)


def memory() -> dict[str, float]:
    """Bytes of a packet that is kept, and of what the codec itself keeps after a flood of different messages."""
    messages = Messages(Case(3, 4, 3, "new"))
    source, destination = WAYS[4]
    data = messages.batch(2000)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [decode(item, source=source, destination=destination) for item in data]
    packets = (tracemalloc.get_traced_memory()[0] - before) / len(kept)
    del kept
    flood = Messages(Case(3, 4, 20, "new addresses"))
    for _ in range(20):
        for item in flood.batch(200):
            for _ in range(3):
                decode(item, source=source, destination=destination)
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return {
        "bytes per packet": packets,
        "bytes kept after a flood": held,
        "messages remembered": len(clean._answers),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--only", default="", help="only the cases whose title contains this")
    arguments = parser.parse_args()
    contenders, missing = present()
    print(f"Python {platform.python_version()}, {arguments.rounds} rounds; microseconds, and times ours")
    for line in missing:
        print(line)
    gc.collect()
    gc.freeze()  # what scapy and os-ken have loaded is not searched for garbage on everybody's time
    figures = {}
    for case in (case for case in CASES if arguments.only in case.title):
        found = figures[case.title] = measure(case, contenders, arguments.rounds)
        ours = found["vrrplib"]
        cells = [f"{name} {value:.2f} ({value / ours:.1f}x)" for name, value in found.items() if name != "vrrplib"]
        print(f"{case.title:46} vrrplib {ours:.2f}; {', '.join(cells)}", flush=True)
    room = memory()
    for name, value in room.items():
        print(f"{name}: {value:,.0f}")
    if arguments.json:
        result = {"python": platform.python_version(), "missing": missing, "microseconds": figures, "memory": room}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
