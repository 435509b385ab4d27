"""Other people's readers of frames, and what they say of VRRP as values: dpkt, scapy, os-ken, tshark, tcpdump.

The libraries are imported, and the programs run, only when they are asked.
"""

from __future__ import annotations

import abc
import contextlib
import importlib
import importlib.metadata
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from vrrplib.wire.capture import PcapWriter


@dataclass(frozen=True)
class Ours:
    """``words`` for the table; ``fields`` are compared, None for what is no VRRP message of eight bytes or more."""

    words: str
    fields: dict[str, Any] | None
    carp: bool = False


@dataclass(frozen=True)
class Reading:
    """What a program says of a packet: the fields that it names, None for no VRRP at all.

    ``verdict`` is for one that accepts and rejects, ``good`` what another says of the checksum (None: nothing), and
    ``remarks`` are all else that it says.
    """

    fields: dict[str, Any] | None = None
    verdict: str = ""
    good: bool | None = None
    remarks: tuple[str, ...] = ()

    def beside(self, known: Ours) -> str:
        """In words, compared with what we read."""
        if self.fields is None:
            return ", ".join(self.remarks) or "sees no VRRP"
        wrong = [name for name, value in self.fields.items() if (known.fields or {}).get(name, value) != value]
        if known.carp:
            words = ["takes it for VRRP"]
        elif known.fields is None:
            words = [self.verdict or "shows VRRP"]
        elif "vrid" not in self.fields:
            words = ["stops after the type"]
        else:
            words = [self.verdict or ("reads it" if not wrong else "")]
        if wrong:
            words.append(f"other {', '.join(wrong)}")
        if self.good is not None:
            words.append("sum good" if self.good else "sum bad")
        return "; ".join(filter(None, [*words, *self.remarks]))


class Program(abc.ABC):
    """Another reader of frames."""

    name: str
    manner: str

    @abc.abstractmethod
    def version(self) -> str | None:
        """None if it is not installed."""

    @abc.abstractmethod
    def read(self, frames: list[bytes]) -> list[Reading]:
        """What it says of each."""


class Library(Program):
    """One that is imported; its exceptions are what it says."""

    def version(self) -> str | None:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(self.name)
        return None

    def read(self, frames: list[bytes]) -> list[Reading]:
        return [self._guarded(frame) for frame in frames]

    def _guarded(self, frame: bytes) -> Reading:
        try:
            return self.reading(frame)
        except Exception as error:  # whatever it is, it is the finding
            return Reading(remarks=(f"raises {type(error).__name__}",))

    @abc.abstractmethod
    def reading(self, frame: bytes) -> Reading: ...


class Dpkt(Library):
    name = "dpkt"
    manner = "`dpkt.ethernet.Ethernet`, and the `vrrp.VRRP` in it"

    def reading(self, frame: bytes) -> Reading:
        library = importlib.import_module("dpkt")
        layer: Any = library.ethernet.Ethernet(frame)
        while not isinstance(layer, library.vrrp.VRRP):
            layer = getattr(layer, "data", None)
            if layer is None:
                return Reading()
        # four bytes each: it knows no other address
        fields = {
            "version": layer.v,
            "type": layer.type,
            "vrid": layer.vrid,
            "priority": layer.priority,
            "count": layer.count,
            "interval": layer.advtime,
            "checksum": layer.sum,
            "addresses": [".".join(map(str, address)) for address in layer.addrs],
            "authentication type": layer.atype,
            "authentication data": bytes(layer.auth)[:8],
        }
        return Reading(fields)


class Scapy(Library):
    name = "scapy"
    manner = "`Ether`, with its configuration as installed"

    def reading(self, frame: bytes) -> Reading:
        ether = importlib.import_module("scapy.layers.l2").Ether
        importlib.import_module("scapy.layers.inet6")
        layers = importlib.import_module("scapy.layers.vrrp")
        packet = ether(frame)
        old = packet.getlayer(layers.VRRP)
        layer = old or packet.getlayer(layers.VRRPv3)
        if not layer:
            return Reading()
        fields = {
            "version": layer.version,
            "type": layer.type,
            "vrid": layer.vrid,
            "priority": layer.priority,
            "count": layer.ipcount,
            "interval": layer.adv,
            "checksum": layer.chksum,
            "addresses": list(layer.addrlist),
        }
        if old:
            fields["authentication type"] = old.authtype
            fields["authentication data"] = old.auth1.to_bytes(4, "big") + old.auth2.to_bytes(4, "big")
        return Reading(fields)


class OsKen(Library):
    """Judged as its own monitor does: TTL, then ``is_valid``, then the checksum."""

    name = "os-ken"
    manner = "`packet.Packet`, then the checks of its VRRP monitor: TTL, `is_valid`, checksum"

    def reading(self, frame: bytes) -> Reading:
        library = importlib.import_module("os_ken.lib.packet.vrrp")
        packet = importlib.import_module("os_ken.lib.packet.packet").Packet(frame)
        ip, layer = library.vrrp.get_payload(packet)
        if layer is None:
            return Reading()
        fields = {
            "version": layer.version,
            "type": layer.type,
            "vrid": layer.vrid,
            "priority": layer.priority,
            "count": layer.count_ip,
            "interval": layer.max_adver_int,
            "checksum": layer.checksum,
            "addresses": [str(ip_address(text)) for text in layer.ip_addresses],
        }
        if layer.auth_data is not None:
            fields["authentication type"] = layer.auth_type
            fields["authentication data"] = b"".join(word.to_bytes(4, "big") for word in layer.auth_data)
        offset = sum(len(before) for before in packet.protocols[: packet.protocols.index(layer)])
        checks = {
            "TTL": library.vrrp.is_valid_ttl(ip),
            "is_valid": layer.is_valid(),
            "checksum": layer.checksum_ok(ip, packet.data[offset : offset + len(layer)]),
        }
        failed = [name for name, passed in checks.items() if not passed]
        return Reading(fields, f"rejects: {', '.join(failed)}" if failed else "accepts")


class Command(Program):
    """One that is run on a pcap file, and prints text."""

    arguments: tuple[str, ...]

    def version(self) -> str | None:
        if not shutil.which(self.name):
            return None
        done = subprocess.run([self.name, "--version"], capture_output=True, text=True, check=False)
        found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
        return found.group() if found else "?"

    def read(self, frames: list[bytes]) -> list[Reading]:
        with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
            writer = PcapWriter(file, nanoseconds=False)  # type: ignore[arg-type]
            for number, frame in enumerate(frames):
                writer.write(number * 1_000_000_000, frame)
            file.flush()
            argv = [self.name, *self.arguments, file.name]
            done = subprocess.run(argv, capture_output=True, text=True, check=True)
        found = list(self.readings(done.stdout))
        assert len(found) == len(frames), (self.name, len(found), len(frames))
        return found

    @abc.abstractmethod
    def readings(self, text: str) -> Iterator[Reading]:
        """From all that it printed."""


TSHARK_COLUMNS = {
    "frame.protocols": "",
    "vrrp.version": "version",
    "vrrp.type": "type",
    "vrrp.virt_rtr_id": "vrid",
    "vrrp.prio": "priority",
    "vrrp.addr_count": "count",
    "vrrp.adver_int": "interval",
    "vrrp.short_adver_int": "interval",
    "vrrp.auth_type": "authentication type",
    "vrrp.checksum": "checksum",
    "vrrp.ip_addr": "addresses",
    "vrrp.ipv6_addr": "addresses",
    "vrrp.checksum.status": "",
    "_ws.expert.message": "",
}
_TSHARK_REMARKS = {
    "Time To Live": "remarks on the TTL",
    "length": "remarks on the length",
    "Malformed": "malformed",
}


class Tshark(Command):
    """With its preferences as they are installed."""

    name = "tshark"
    manner = "`-T fields`, with its preferences as installed"
    arguments = (
        *("-n", "-T", "fields", "-E", "separator=/t", "-E", "aggregator=;"),
        *(word for column in TSHARK_COLUMNS for word in ("-e", column)),
        "-r",
    )

    def readings(self, text: str) -> Iterator[Reading]:
        for line in text.splitlines():
            row = dict(zip(TSHARK_COLUMNS, line.split("\t"), strict=True))
            messages = [message for message in row["_ws.expert.message"].split(";") if message]
            remarks = tuple(dict.fromkeys(filter(None, map(self._remark, messages))))
            protocols = row["frame.protocols"].split(":")
            if "carp" in protocols:
                yield Reading(remarks=("calls it CARP", *remarks))
            elif "vrrp" not in protocols:
                yield Reading(remarks=remarks)
            else:
                status = row["vrrp.checksum.status"]
                good = {"0": False, "1": True}.get(status)
                yield Reading(self._fields(row), good=good, remarks=remarks)

    def _fields(self, row: dict[str, str]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for column, name in TSHARK_COLUMNS.items():
            if not name or not (text := row[column]):
                continue
            fields[name] = text.split(";") if name == "addresses" else int(text, 0)
        if "checksum" in fields:
            fields.setdefault("addresses", [])
        return fields

    def _remark(self, message: str) -> str:
        if "checksum" in message:
            return ""
        return next((words for start, words in _TSHARK_REMARKS.items() if start in message), message)


_TCPDUMP_NUMBERS = {
    "version": r"VRRPv(\d+)",
    "type": r"unknown type \((\d+)\)",
    "vrid": r"vrid (\d+)",
    "priority": r"prio (\d+)",
    "interval": r"intvl (\d+)c?s",
    "count": r"addrs\((\d+)\)",
}
_TCPDUMP_SCHEMES = {"none": 0, "simple": 1, "ah": 2}
_TCPDUMP_REMARKS = {
    "(ttl ": "remarks on the TTL",
    "truncated-ip": "remarks on the length",
    "[|vrrp]": "cut short",
    "bad cksum": "remarks on the IP header's sum",
}


class Tcpdump(Command):
    name = "tcpdump"
    manner = "`-v`"
    arguments = ("-nn", "-tt", "-v", "-r")

    def readings(self, text: str) -> Iterator[Reading]:
        for record in re.split(r"\n(?=\d+\.\d+ )", text.rstrip("\n")):
            remarks = tuple(words for mark, words in _TCPDUMP_REMARKS.items() if mark in record)
            if "VRRPv" not in record:
                yield Reading(remarks=remarks)
                continue
            fields = self._fields(record)
            judged = "addresses" in fields and "truncated-ip" not in record
            good = "bad vrrp cksum" not in record if judged else None
            yield Reading(fields, good=good, remarks=remarks)

    def _fields(self, record: str) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, pattern in _TCPDUMP_NUMBERS.items():
            if found := re.search(pattern, record):
                fields[name] = int(found[1])
        if ", Advertisement" in record:
            fields["type"] = 1
        if found := re.search(r"authtype #?(\w+)", record):
            fields["authentication type"] = _TCPDUMP_SCHEMES.get(found[1], found[1])
            if found[1].isdigit():
                fields["authentication type"] = int(found[1])
        if found := re.search(r"addrs(?:\(\d+\))?: ?([\d.:a-f,]*)", record):
            fields["addresses"] = [text for text in found[1].split(",") if text]
        return fields


PROGRAMS: tuple[Program, ...] = (Dpkt(), Scapy(), OsKen(), Tshark(), Tcpdump())
