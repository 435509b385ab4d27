"""What dpkt, scapy, os-ken, tshark and tcpdump say of the bytes that we judge.

    python -m tests.peers.others      # with the bench extra, tshark and tcpdump: the tables of docs/others.md anew

Each reads the same Ethernet frames: the libraries one by one, the programs as a pcap file. What they say is
compared with what we read as values. What is not installed is left out, and named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.peers.readers import PROGRAMS, Ours, Program
from vrrplib import ChecksumForm, Problem, VRRPv2, inspect, parse
from vrrplib.lab.fuzz import CATALOGUE, Scene, Specimen
from vrrplib.wire.addresses import ADVERTISEMENT_TTL, Family, group_address
from vrrplib.wire.capture import CaptureReader
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.packets import is_carp

DOCUMENT = Path(__file__).parents[2] / "docs" / "others.md"
DATA = Path(__file__).parents[1] / "data"
VECTORS: dict[str, list[dict[str, Any]]] = json.loads((DATA / "oracle" / "vectors.json").read_text())
V3_IPV4, V2, V3_IPV6 = SECTIONS = ("Version 3 over IPv4", "Version 2", "Version 3 over IPv6")
SCENES = {
    V3_IPV4: Scene(vrid=51, addresses=["192.0.2.254"], source="192.0.2.1", target="192.0.2.9"),
    V2: Scene(vrid=51, addresses=["192.0.2.254", "192.0.2.253"], source="192.0.2.1", version=2, target="192.0.2.9"),
    V3_IPV6: Scene(vrid=51, addresses=["fe80::51", "2001:db8::51"], source="fe80::1", target="fe80::9"),
}
CAPTURES = {
    "crafted-v3-ipv4-no-pseudoheader": V3_IPV4,
    "frr-v3-ipv4": V3_IPV4,
    "keepalived-v3-ipv4-vmac": V3_IPV4,
    "keepalived-v3-ipv4-novmac": V3_IPV4,
    "keepalived-v3-ipv4-unicast": V3_IPV4,
    "keepalived-v3-ipv4-adv-40.95": V3_IPV4,
    "keepalived-v3-ipv4-prio255-owner": V3_IPV4,
    "frr-v2-ipv4": V2,
    "keepalived-v2-ipv4-vmac": V2,
    "keepalived-v2-ipv4-ah": V2,
    "keepalived-v2-ipv4-adv-255": V2,
    "keepalived-v2-vs-ucarp": V2,
    "frr-v3-ipv6": V3_IPV6,
    "keepalived-v3-ipv6-vmac": V3_IPV6,
}
"""Of each its first advert, of ``keepalived-v2-vs-ucarp`` the first CARP."""

UNICAST_MAC = "02:00:00:00:00:09"


# -- the bytes ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Packet:
    """A frame with a name, unique within its section."""

    section: str
    name: str
    frame: bytes


def packets() -> Iterator[Packet]:
    """The oracle's vectors, the catalogue, and one advert of each dialect that was captured."""
    for vector in VECTORS["packets"]:
        yield _vector(vector["id"], bytes.fromhex(vector["hex"]), vector["src"], vector["dst"])
    for vector in VECTORS["carp"]:
        yield _vector(vector["id"], bytes.fromhex(vector["hex"]), "192.0.2.251", "224.0.0.18")
    for section, scene in SCENES.items():
        for entry in CATALOGUE:
            specimen = entry.build(scene)
            if specimen is not None:
                yield Packet(section, entry.name, _frame(specimen))
    for name, section in CAPTURES.items():
        yield Packet(section, f"{name}.pcap", _captured(name))


def _vector(name: str, payload: bytes, source: str, destination: str) -> Packet:
    datagram = Datagram(payload, source, destination, ADVERTISEMENT_TTL)
    section = V3_IPV6 if datagram.family is Family.IPV6 else V2 if payload[0] >> 4 == 2 else V3_IPV4
    return Packet(section, name, _frame(Specimen(datagram)))


def _frame(specimen: Specimen) -> bytes:
    multicast = specimen.datagram.destination == group_address(specimen.datagram.family)
    return specimen.frame(destination_mac=None if multicast else UNICAST_MAC)


def _captured(name: str) -> bytes:
    with (DATA / "captures" / "made" / f"{name}.pcap").open("rb") as file:
        for record in CaptureReader(file):
            datagram = record.datagram
            if datagram is not None and is_carp(datagram.payload) == name.endswith("ucarp"):
                return record.data
    raise AssertionError(f"{name} has no such advert")


# -- what we say -------------------------------------------------------------------------------------------


def ours(frame: bytes) -> Ours:
    datagram = parse(frame)
    if datagram is None:
        return Ours("no datagram", None)
    seen = inspect(datagram.payload, source=datagram.source, destination=datagram.destination)
    problems = [str(item.problem) for item in seen.problems]
    if datagram.ttl != ADVERTISEMENT_TTL:
        problems.insert(0, str(Problem.TTL))
    if seen.packet is None:
        return Ours(", ".join(problems), None, carp=is_carp(datagram.payload))
    words = [", ".join(problems) or "valid"]
    if Problem.CHECKSUM not in (item.problem for item in seen.problems) and seen.checksum_form is not None:
        names = {ChecksumForm.PSEUDO_HEADER: "pseudo-header", ChecksumForm.MESSAGE_ONLY: "message"}
        words.append("sum: " + " and ".join(names[form] for form in seen.checksum_form))
    if seen.notes:
        words.append("notes: " + ", ".join(str(item.problem) for item in seen.notes))
    packet = seen.packet
    fields: dict[str, Any] = {
        "version": packet.version,
        "type": packet.type,
        "vrid": packet.vrid,
        "priority": packet.priority,
        "count": packet.count,
        "checksum": packet.checksum,
        "addresses": [str(address) for address in packet.addresses],
    }
    if isinstance(packet, VRRPv2):
        fields |= {"interval": packet.advertisement_interval, "authentication type": packet.auth_type}
        fields["authentication data"] = packet.auth_data
    else:
        fields["interval"] = packet.max_advertise_interval
    return Ours("; ".join(words), fields)


# -- the document ------------------------------------------------------------------------------------------


@dataclass
class Table:
    """A section: names of packets by what everybody says of them."""

    rows: dict[tuple[str, ...], list[str]] = field(default_factory=dict)

    def add(self, name: str, cells: Iterable[str]) -> None:
        self.rows.setdefault(tuple(cells), []).append(name)

    def lines(self, names: list[str]) -> Iterator[str]:
        yield f"| {' | '.join(['packets', 'vrrplib', *names])} |"
        yield "|---" * (len(names) + 2) + "|"
        for cells, alike in self.rows.items():
            yield f"| {' | '.join([', '.join(alike), *cells])} |"


def column(program: Program, wanted: list[Packet]) -> list[str]:
    """What ``program`` says of each packet, in words."""
    readings = program.read([packet.frame for packet in wanted])
    return [reading.beside(ours(packet.frame)) for reading, packet in zip(readings, wanted, strict=True)]


def read_document(text: str) -> dict[str, dict[tuple[str, str], str]]:
    """The columns of the document by their heading: a cell for each section and name."""
    found: dict[str, dict[tuple[str, str], str]] = {}
    section, heads = "", []
    for line in text.splitlines():
        if line.startswith("## "):
            section = line[3:]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or section not in SECTIONS or cells[0].startswith("---"):
            continue
        if cells[0] == "packets":
            heads = cells[1:]
            continue
        for name in cells[0].split(", "):
            for head, cell in zip(heads, cells[1:], strict=True):
                found.setdefault(head, {})[section, name] = cell
    return found


def versions_in(text: str) -> dict[str, str]:
    """The programs that the document was made with."""
    return dict(re.findall(r"^\* (\S+) ([\d.]+): ", text, re.MULTILINE))


def document(text: str) -> str:
    """``text`` with its tables made anew."""
    known = {program: program.version() for program in PROGRAMS}
    present = [program for program, version in known.items() if version]
    missing = [program.name for program, version in known.items() if not version]
    wanted = list(packets())
    columns = [column(program, wanted) for program in present]
    tables = {section: Table() for section in SECTIONS}
    for number, packet in enumerate(wanted):
        cells = [ours(packet.frame).words, *(cells[number] for cells in columns)]
        tables[packet.section].add(packet.name, cells)
    lines = [f"* {program.name} {known[program]}: {program.manner}" for program in present]
    if missing:
        lines += ["", f"Not installed when this was made: {', '.join(missing)}."]
    for section, table in tables.items():
        lines += ["", f"## {section}", "", *table.lines([program.name for program in present])]
    vectors = ["| name | what it is |", "|---|---|"]
    vectors += [f"| {item['id']} | {item['desc']} |" for item in (*VECTORS["packets"], *VECTORS["carp"])]
    return _put(_put(text, "readings", lines), "vectors", vectors)


def _put(text: str, mark: str, lines: list[str]) -> str:
    before, rest = text.split(f"<!-- {mark} -->\n")
    _, after = rest.split(f"<!-- end of {mark} -->\n")
    return f"{before}<!-- {mark} -->\n\n" + "\n".join(lines) + f"\n\n<!-- end of {mark} -->\n{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(document(DOCUMENT.read_text()))
