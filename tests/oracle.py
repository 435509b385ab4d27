"""The oracle's data, read once: conformance cases, packet vectors, peers' vectors, captures."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import dpkt
import pytest

from vrrplib.wire.checksum import ChecksumForm

DATA = Path(__file__).parent / "data"
CASES: list[dict[str, str]] = json.loads((DATA / "oracle" / "cases.json").read_text())
VECTORS: dict[str, list[dict[str, Any]]] = json.loads((DATA / "oracle" / "vectors.json").read_text())
PEERS: list[dict[str, Any]] = [
    json.loads(line) for line in (DATA / "oracle" / "peers.jsonl").read_text().splitlines()
]
MADE_CAPTURES = DATA / "captures" / "made"

FORMS = {
    "msg-only": ChecksumForm.MESSAGE_ONLY,
    "pseudo4": ChecksumForm.PSEUDO_HEADER,
    "pseudo6": ChecksumForm.PSEUDO_HEADER,
}


def forms_of(names: list[str]) -> ChecksumForm:
    """The flags for a vector's ``verifies_as``."""
    forms = ChecksumForm(0)
    for name in names:
        forms |= FORMS[name]
    return forms


def params(entries: list[dict[str, Any]]) -> list[Any]:
    """Entries as parameters, named by their id."""
    return [pytest.param(entry, id=entry["id"]) for entry in entries]


def frames_of(path: Path) -> list[bytes]:
    """The frames of an Ethernet pcap file."""
    with path.open("rb") as file:
        reader = dpkt.pcap.Reader(file)
        assert reader.datalink() == dpkt.pcap.DLT_EN10MB
        return [frame for _, frame in reader]


def carries_vrrp(frame: bytes) -> bool:
    """Whether the IP protocol is 112 or AH, found without parse(); for frames without VLAN tags."""
    ethertype = frame[12:14]
    if ethertype == b"\x08\x00":
        return frame[23] in (112, 51)
    return ethertype == b"\x86\xdd" and frame[20] in (112, 51)


def public_captures() -> Path:
    """The folder of other projects' captures, which are not ours to copy; skips where there is none."""
    folder = os.environ.get("VRRPLIB_PUBLIC_CAPTURES")
    if not folder:
        pytest.skip("VRRPLIB_PUBLIC_CAPTURES names no folder with the captures of tcpdump, libpcap, PcapPlusPlus")
    return Path(folder)
