"""How fast is a capture of adverts read, and in how much memory? Beside tshark, tcpdump, dpkt and scapy.

    python benchmarks/bench_capture.py [--records 1000000] [--rounds 1] [--only TEXT] [--json FILE]

Two pcap files, made from a seed: "repeating" has 255 virtual routers that say the same again and again, as on a
LAN; in "differing" no advert is like another, nor are their addresses. Each contender reads a file in a process of
its own, to the end and into /dev/null: ours with the library, down to decoded messages whose checksum was verified,
and with ``vrrplib decode``; tshark and tcpdump down to the same fields and the checksum. dpkt and scapy verify
none. dpkt and tcpdump read a tenth of the records, scapy a fiftieth.

Rates are records a second of processor time, start-up included, medians of rounds in which all take turns; memory
is the largest resident set. Then our command reads a tenth of the records: its memory must be the same. Asserts
nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from vrrplib.wire.addresses import virtual_mac
from vrrplib.wire.capture import PcapWriter
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame
from vrrplib.wire.packets import VRRPv3

ROOT = Path(__file__).parents[1]
SEED = 1
GROUP = IPv4Address("224.0.0.18")
KINDS = ("repeating", "differing")
# tcpdump slows down with every new address: a million of them took it more than six minutes of processor time
TCPDUMPS_SHARE = DPKTS_SHARE = 10
SCAPYS_SHARE = 50  # at two thousand records a second, scapy would take eight minutes for a million

LIBRARY = """
import sys
from vrrplib.wire.capture import CaptureReader
from vrrplib.wire.packets import decode
with open(sys.argv[1], "rb") as file:
    for record in CaptureReader(file):
        datagram = record.datagram
        decode(datagram.payload, source=datagram.source, destination=datagram.destination)
"""
DPKT = """
import sys, dpkt
with open(sys.argv[1], "rb") as file:
    for _, frame in dpkt.pcap.Reader(file):
        dpkt.ethernet.Ethernet(frame).data.data.addrs
"""
SCAPY = """
import sys
from scapy.layers.l2 import Ether
from scapy.layers.vrrp import VRRPv3
from scapy.utils import PcapReader
with PcapReader(sys.argv[1]) as reader:
    for packet in reader:
        packet[VRRPv3].addrlist
"""
FIELDS = ("ip.src", "ip.dst", "vrrp.virt_rtr_id", "vrrp.prio", "vrrp.short_adver_int", "vrrp.ip_addr")
COLUMNS = [word for field in (*FIELDS, "vrrp.checksum.status") for word in ("-e", field)]


@dataclass(frozen=True)
class Contender:
    """A command that reads the file whose name is put after it; one record in ``share`` is in its file."""

    name: str
    argv: tuple[str, ...]
    share: int = 1

    @property
    def present(self) -> bool:
        """Whether it can be run: the library of a script is imported in a process of its own."""
        if self.argv[0] != sys.executable:
            return shutil.which(self.argv[0]) is not None
        probe = [sys.executable, "-c", f"import {self.name}"]
        return subprocess.run(probe, capture_output=True, check=False, cwd=ROOT).returncode == 0


OURS = "vrrplib, the library"
DECODE = (sys.executable, "-m", "vrrplib", "decode")
COMMAND = Contender("vrrplib decode", DECODE)
CONTENDERS = (
    Contender(OURS, (sys.executable, "-c", LIBRARY)),
    Contender("vrrplib decode --summary", (*DECODE, "--summary")),
    COMMAND,
    Contender("vrrplib decode --json", (*DECODE, "--json")),
    Contender("tshark", ("tshark", "-n", "-T", "fields", *COLUMNS, "-r")),
    Contender("tcpdump", ("tcpdump", "-nn", "-v", "-r"), TCPDUMPS_SHARE),
    Contender("dpkt", (sys.executable, "-c", DPKT), DPKTS_SHARE),
    Contender("scapy", (sys.executable, "-c", SCAPY), SCAPYS_SHARE),
)


# -- the files ---------------------------------------------------------------------------------------------


def repeating(records: int) -> Iterator[bytes]:
    adverts = [advert(vrid, 100, f"198.51.100.{vrid}", 100) for vrid in range(1, 256)]
    for number in range(records):
        yield adverts[number % 255]


def differing(records: int) -> Iterator[bytes]:
    """The address counts through 10.0.0.0/8, so that no two adverts are alike; the rest is drawn."""
    drawn = random.Random(SEED)
    for number in range(records):
        address = IPv4Address((10 << 24) + number)
        yield advert(drawn.randint(1, 255), drawn.randint(1, 254), address, drawn.randint(1, 4095))


def advert(vrid: int, priority: int, address: IPv4Address | str, interval: int) -> bytes:
    source = IPv4Address((192 << 24) + (2 << 8) + vrid)
    packet = VRRPv3(vrid=vrid, priority=priority, addresses=[address], max_advertise_interval=interval)
    return advertisement_frame(Datagram(packet.encode(source, GROUP), source, GROUP, 255), virtual_mac(vrid))


def write(path: Path, kind: str, records: int) -> None:
    with path.open("wb") as file:
        writer = PcapWriter(file, nanoseconds=False)
        for number, frame in enumerate(repeating(records) if kind == "repeating" else differing(records)):
            writer.write(number * 1_000_000, frame)


def start_of(path: Path, share: int) -> Path:
    """The first of its records, one in ``share``; all of one length."""
    if share == 1:
        return path
    short = path.with_suffix(f".{share}.pcap")
    if not short.exists():
        header, size = 24, 16 + len(advert(1, 1, "10.0.0.0", 1))
        with path.open("rb") as file:
            short.write_bytes(file.read(header + (path.stat().st_size - header) // size // share * size))
    return short


# -- the runs ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    seconds: float  # of processor time
    kib: int


def run(contender: Contender, path: Path) -> Run:
    """One run. The peak is read from /proc: what wait4() tells also counts the process that was forked."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        [*contender.argv, str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=environment,
    )
    peak = 0
    while True:
        peak = max(peak, high_water(process.pid))
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        time.sleep(0.02)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{contender.name} ended with status {process.returncode}")
    return Run(usage.ru_utime + usage.ru_stime, peak)


def high_water(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())  # none once it has ended
    return int(found[1]) if found else 0


def measure(folder: Path, records: int, rounds: int, contenders: list[Contender]) -> list[dict[str, Any]]:
    runs: dict[tuple[str, Contender], list[Run]] = {}
    for kind in KINDS:
        write(folder / f"{kind}.pcap", kind, records)
    for _ in range(rounds):
        for kind in KINDS:
            for contender in contenders:
                path = start_of(folder / f"{kind}.pcap", contender.share)
                runs.setdefault((kind, contender), []).append(run(contender, path))
    return [
        {
            "file": kind,
            "reader": contender.name,
            "records": records // contender.share,
            "rate": records // contender.share / statistics.median(one.seconds for one in found),
            "kib": max(one.kib for one in found),
        }
        for (kind, contender), found in runs.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="", help="contenders whose name has this in it")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    wanted = [contender for contender in CONTENDERS if options.only in contender.name]
    present = [contender for contender in wanted if contender.name.startswith("vrrplib") or contender.present]
    for contender in wanted:
        if contender not in present:
            print(f"{contender.name} is not installed")
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), options.records, options.rounds, present)
        shares = {options.records // share: share for share in (10, 1)}
        differing_file = Path(folder) / "differing.pcap"
        memory = {records: run(COMMAND, start_of(differing_file, share)).kib for records, share in shares.items()}
    ours = {row["file"]: row["rate"] for row in rows if row["reader"] == OURS}
    for row in rows:
        line = f"{row['file']:10} {row['reader']:25}{row['rate']:10,.0f} records/s {row['kib'] / 1024:6.1f} MiB"
        print(line + (f"   the library is {ours[row['file']] / row['rate']:.2f} times as fast" if ours else ""))
    for records, kib in memory.items():
        print(f"vrrplib decode of {records:,} adverts that differ: {kib / 1024:.1f} MiB at the peak")
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "memory": memory}, indent=1))


if __name__ == "__main__":
    main()
