"""How fast is a capture of advertisements read, and in how much memory? Beside dpkt's readers and scapy's.

    python benchmarks/bench_capture.py [--records 100000] [--rounds 5] [--json FILE]

"read" is the records alone; "parse" is down to the VRRP bytes with their addresses and TTL, for which dpkt and
scapy take the frame apart. scapy reads one record in fifty of the others. Rates are medians of interleaved rounds,
in one process. Then processes of their own read files of ten and a hundred times the length: their peak memory must
not grow. Asserts nothing.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import dpkt

from vrrplib.wire.addresses import virtual_mac
from vrrplib.wire.capture import CaptureReader, PcapngWriter, PcapWriter
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame
from vrrplib.wire.packets import VRRPv3

try:
    from scapy.layers.l2 import Ether
    from scapy.utils import RawPcapReader

    SCAPY = True
except ImportError:
    SCAPY = False

ROOT = Path(__file__).parents[1]
SCAPYS_SHARE = 50
MEMORY = r"""
import re, sys
from pathlib import Path
from vrrplib.wire.capture import CaptureReader
with open(sys.argv[1], "rb") as file:
    count = sum(record.datagram is not None for record in CaptureReader(file))
# not getrusage: that also counts the process that this one was forked from
print(count, re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
"""


def frames() -> list[bytes]:
    """A hundred different advertisements."""
    found = []
    for vrid in range(1, 101):
        source = f"192.0.2.{vrid}"
        payload = VRRPv3(vrid=vrid, addresses=["198.51.100.1"]).encode(source, "224.0.0.18")
        found.append(advertisement_frame(Datagram(payload, source, "224.0.0.18", 255), virtual_mac(vrid)))
    return found


def capture(records: int, *, pcapng: bool = False) -> bytes:
    file = io.BytesIO()
    writer = PcapngWriter(file) if pcapng else PcapWriter(file, nanoseconds=False)
    adverts = frames()
    for number in range(records):
        writer.write(number * 10_000_000, adverts[number % len(adverts)])
    return file.getvalue()


def count(items: Iterable[object]) -> int:
    return sum(1 for _ in items)


def contenders(data: bytes, few: bytes, *, pcapng: bool) -> dict[str, tuple[bytes, Callable[[bytes], int]]]:
    theirs = dpkt.pcapng.Reader if pcapng else dpkt.pcap.Reader

    def parsed_by_dpkt(content: bytes) -> int:
        return count(dpkt.ethernet.Ethernet(frame).data for _, frame in theirs(io.BytesIO(content)))

    found: dict[str, tuple[bytes, Callable[[bytes], int]]] = {
        "read: vrrplib": (data, lambda content: count(CaptureReader(io.BytesIO(content)))),
        "read: dpkt": (data, lambda content: count(theirs(io.BytesIO(content)))),
        "parse: vrrplib": (
            data,
            lambda content: count(record.datagram for record in CaptureReader(io.BytesIO(content))),
        ),
        "parse: dpkt": (data, parsed_by_dpkt),
    }
    if SCAPY:
        found["read: scapy"] = (few, lambda content: count(RawPcapReader(io.BytesIO(content))))
        found["parse: scapy"] = (
            few,
            lambda content: count(Ether(frame) for frame, _ in RawPcapReader(io.BytesIO(content))),
        )
    return found


def rates(records: int, rounds: int, *, pcapng: bool) -> dict[str, float]:
    """Records a second."""
    data, few = capture(records, pcapng=pcapng), capture(records // SCAPYS_SHARE, pcapng=pcapng)
    rows = contenders(data, few, pcapng=pcapng)
    found: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, (content, function) in rows.items():
            start = time.perf_counter()
            read = function(content)
            found[name].append(read / (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in found.items()}


def peak_memory(records: int) -> tuple[int, int]:
    """Bytes of the file, and KiB of the process that parses all of it."""
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        part = capture(10_000)
        file.write(part)
        for _ in range(records // 10_000 - 1):
            file.write(part[24:])
        file.flush()
        size = Path(file.name).stat().st_size
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, file.name], capture_output=True, text=True, check=True, cwd=ROOT
        )
    return size, int(done.stdout.split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not SCAPY:
        print("scapy is not installed: pip install 'vrrplib[bench]'")
    results: dict[str, dict[str, float]] = {}
    for kind in ("pcap", "pcapng"):
        found = results[kind] = rates(options.records, options.rounds, pcapng=kind == "pcapng")
        for name, rate in found.items():
            ours = found[name.partition(":")[0] + ": vrrplib"]
            print(f"{kind:8}{name:18}{rate:12,.0f} records/s   ours is {ours / rate:.1f} times")
    results["memory"] = {}
    for records in (options.records // 10, options.records, options.records * 10):
        size, peak = peak_memory(max(records, 10_000))
        results["memory"][str(size)] = peak
        print(f"a pcap of {size / 1e6:8.1f} MB parsed: {peak / 1024:.1f} MiB at the peak")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
