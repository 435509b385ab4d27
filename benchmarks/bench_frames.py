"""What does a frame cost, ours and not ours? Beside dpkt and scapy, in one process, interleaved.

    python benchmarks/bench_frames.py [--rounds 15] [--json FILE]

parse() and parse_announcement() tell what a frame is and give its facts. The others have no such question: they
take the frame apart as far as they know, which for protocol 112 is a VRRPv2 packet in dpkt, and VRRP in scapy.
Building is an advertisement (its VRRP payload is ready) and a gratuitous ARP or NA. Nanoseconds are medians, and a
machine's; the ratios are of medians, and what to look at. Asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import dpkt

from vrrplib.wire.addresses import Family, virtual_mac
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame, announcement_frame, parse, parse_announcement
from vrrplib.wire.packets import VRRPv3

try:
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
    from scapy.layers.l2 import ARP, Ether
    from scapy.layers.vrrp import VRRPv3 as ScapyVRRPv3  # noqa: F401  # binds protocol 112
    from scapy.packet import Raw

    SCAPY = True
except ImportError:
    SCAPY = False

MAC4, MAC6 = virtual_mac(51), virtual_mac(51, Family.IPV6)
V4 = Datagram(
    VRRPv3(vrid=51, addresses=["192.0.2.1"]).encode("192.0.2.2", "224.0.0.18"), "192.0.2.2", "224.0.0.18", 255
)
V6 = Datagram(VRRPv3(vrid=51, addresses=["fe80::1"]).encode("fe80::2", "ff02::12"), "fe80::2", "ff02::12", 255)
GROUP4, GROUP6 = bytes.fromhex("01005e000012"), bytes.fromhex("333300000012")


def tcp(family: Family) -> bytes:
    """A full segment, as most frames of a busy host are."""
    segment = dpkt.tcp.TCP(sport=443, dport=40000, flags=dpkt.tcp.TH_ACK, data=bytes(1400))
    if family is Family.IPV4:
        ip = dpkt.ip.IP(src=V4.source.packed, dst=V4.source.packed, p=6, data=segment)
        return bytes(dpkt.ethernet.Ethernet(dst=MAC4.packed, src=MAC4.packed, type=0x0800, data=ip))
    six = dpkt.ip6.IP6(src=V6.source.packed, dst=V6.source.packed, nxt=6, plen=len(segment), hlim=64, data=segment)
    six.p = 6
    return bytes(dpkt.ethernet.Ethernet(dst=MAC6.packed, src=MAC6.packed, type=0x86DD, data=six))


FRAMES = {
    "advert, IPv4": advertisement_frame(V4, MAC4),
    "advert, IPv6": advertisement_frame(V6, MAC6),
    "advert, IPv4, two tags, padded": advertisement_frame(V4, MAC4, vlan=(7, 100), pad=True),
    "not ours: TCP, IPv4": tcp(Family.IPV4),
    "not ours: TCP, IPv6": tcp(Family.IPV6),
    "not ours: ARP": announcement_frame("192.0.2.1", MAC4),
}
ANNOUNCEMENTS = {
    "gratuitous ARP": announcement_frame("192.0.2.1", MAC4),
    "unsolicited NA": announcement_frame("fe80::1", MAC6),
    "no announcement: TCP, IPv4": tcp(Family.IPV4),
}


def dpkt_advertisement() -> bytes:
    ip = dpkt.ip.IP(
        src=V4.source.packed, dst=V4.destination.packed, p=112, ttl=255, tos=0xC0, df=1, data=V4.payload
    )
    return bytes(dpkt.ethernet.Ethernet(dst=GROUP4, src=MAC4.packed, type=0x0800, data=ip))


def dpkt_arp() -> bytes:
    arp = dpkt.arp.ARP(op=1, sha=MAC4.packed, spa=b"\xc0\0\2\1", tha=MAC4.packed, tpa=b"\xc0\0\2\1")
    return bytes(dpkt.ethernet.Ethernet(dst=b"\xff" * 6, src=MAC4.packed, type=0x0806, data=arp))


def scapy_advertisement() -> bytes:
    ip = IP(src="192.0.2.2", dst="224.0.0.18", proto=112, ttl=255, tos=0xC0, flags="DF")
    return bytes(Ether(dst="01:00:5e:00:00:12", src=str(MAC4)) / ip / Raw(V4.payload))


def scapy_arp() -> bytes:
    arp = ARP(op=1, hwsrc=str(MAC4), psrc="192.0.2.1", hwdst=str(MAC4), pdst="192.0.2.1")
    return bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src=str(MAC4)) / arp)


def scapy_na() -> bytes:
    na = ICMPv6ND_NA(R=1, S=0, O=1, tgt="fe80::1") / ICMPv6NDOptDstLLAddr(lladdr=str(MAC6))
    return bytes(Ether(dst="33:33:00:00:00:01", src=str(MAC6)) / IPv6(src="fe80::1", dst="ff02::1", hlim=255) / na)


def tasks() -> dict[str, dict[str, Callable[[], object]]]:
    """What is done, by whom: the same work in each row."""
    found: dict[str, dict[str, Callable[[], object]]] = {}
    readers = ((parse, FRAMES, "parse"), (parse_announcement, ANNOUNCEMENTS, "parse_announcement"))
    for function, frames, name in readers:
        for what, frame in frames.items():
            row: dict[str, Callable[[], object]] = {
                "vrrplib": lambda frame=frame, function=function: function(frame),
                "dpkt": lambda frame=frame: dpkt.ethernet.Ethernet(frame),
            }
            if SCAPY:
                row["scapy"] = lambda frame=frame: Ether(frame)
            found[f"{name}: {what}"] = row
    found["build: advert, IPv4"] = {
        "vrrplib": lambda: advertisement_frame(V4, MAC4),
        "dpkt": dpkt_advertisement,
        **({"scapy": scapy_advertisement} if SCAPY else {}),
    }
    found["build: gratuitous ARP"] = {
        "vrrplib": lambda: announcement_frame("192.0.2.1", MAC4),
        "dpkt": dpkt_arp,
        **({"scapy": scapy_arp} if SCAPY else {}),
    }
    found["build: unsolicited NA"] = {
        "vrrplib": lambda: announcement_frame("fe80::1", MAC6),
        **({"scapy": scapy_na} if SCAPY else {}),
    }
    return found


def measure(row: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Nanoseconds a call, the median of rounds in which each has its turn."""
    calls = {name: calls_in(function, 0.002) for name, function in row.items()}
    times: dict[str, list[float]] = {name: [] for name in row}
    for _ in range(rounds):
        for name, function in row.items():
            times[name].append(timed(function, calls[name]))
    return {name: statistics.median(found) for name, found in times.items()}


def timed(function: Callable[[], object], calls: int) -> float:
    start = time.perf_counter_ns()
    for _ in range(calls):
        function()
    return (time.perf_counter_ns() - start) / calls


def calls_in(function: Callable[[], object], seconds: float) -> int:
    """How many calls take about so long; the first ones warm it up."""
    timed(function, 10)
    return max(5, int(seconds * 1e9 / timed(function, 20)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not SCAPY:
        print("scapy is not installed: pip install 'vrrplib[bench]'")
    results = {}
    print(f"{'ns, and times ours':46}{'vrrplib':>9}{'dpkt':>16}{'scapy':>18}")
    for what, row in tasks().items():
        found = results[what] = measure(row, options.rounds)
        ours = found["vrrplib"]
        line = f"{what:46}{ours:9.0f}"
        for name, width in (("dpkt", 16), ("scapy", 18)):
            line += (
                f"{found[name]:.0f} ({found[name] / ours:.1f})".rjust(width) if name in found else "-".rjust(width)
            )
        print(line)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
