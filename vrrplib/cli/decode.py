"""``vrrplib decode``: what is in VRRP messages, and what is wrong with them."""

from __future__ import annotations

import dataclasses
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from vrrplib.cli.output import Output, json_option
from vrrplib.errors import ConfigError, Finding, Problem
from vrrplib.rules import DEFAULT_RULES, RFC9568
from vrrplib.wire.addresses import ADVERTISEMENT_TTL, Family, IPAddress, to_address
from vrrplib.wire.capture import is_capture, read_pcap
from vrrplib.wire.frames import parse
from vrrplib.wire.packets import Inspection, VRRPv2, inspect

_NO_MACS = bytes(12)
_ETHERTYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """A VRRP message with what is known of the packet that carried it; ``time`` is Unix seconds."""

    data: bytes
    source: IPAddress | None = None
    destination: IPAddress | None = None
    family: Family | None = None
    ttl: int | None = None
    time: float | None = None


@click.command(
    epilog="Example: vrrplib decode --source 192.0.2.1 --destination 224.0.0.18 313364010064bc30c00002fe"
    "  or: vrrplib decode capture.pcap"
)
@click.argument("messages", nargs=-1, required=True, metavar="HEX|FILE|-...")
@click.option("--source", metavar="ADDRESS", help="Where a bare message comes from, for its checksum.")
@click.option("--destination", metavar="ADDRESS", help="Where it goes to.")
@click.option("--family", type=click.Choice(["4", "6"]), help="The IP version that carries a bare message.")
@json_option
def decode(
    *,
    messages: tuple[str, ...],
    source: str | None,
    destination: str | None,
    family: str | None,
    as_json: bool,
) -> None:
    """Show VRRP messages: hex digits of a message, an IP packet or a frame; a pcap file; or - for either on stdin.

    Ends with status 1 when one of them has a problem: something for which the RFC discards it.
    """
    bare = Message(
        b"",
        None if source is None else to_address(source, "source"),
        None if destination is None else to_address(destination, "destination"),
        None if family is None else Family(int(family)),
    )
    output = Output(as_json=as_json)
    shown = bad = others = 0
    for message in (found for argument in messages for found in _read(argument, bare)):
        if message is None:
            others += 1
            continue
        shown += 1
        bad += _show(output, message)
    if others or shown != 1:
        words = f"{shown} messages, {bad} with problems; {others} other frames"
        output.event("summary", words, messages=shown, bad=bad, other_frames=others)
    if bad:
        click.get_current_context().exit(1)


def _read(argument: str, bare: Message) -> Iterator[Message | None]:
    """The messages behind an argument; None for a frame of a capture in which there is none."""
    if argument == "-":
        content = sys.stdin.buffer.read()
    elif Path(argument).is_file():
        content = Path(argument).read_bytes()
        if not is_capture(content):
            raise ConfigError(f"{argument} must be a pcap or pcapng file; for hex digits, give it to stdin, and -")
    else:
        yield _from_hex(argument, bare)
        return
    if not is_capture(content):
        for line in content.decode("ascii", "replace").splitlines():
            if line.strip() and not line.startswith("#"):
                yield _from_hex(line, bare)
        return
    for time, frame in read_pcap(io.BytesIO(content)):
        datagram = parse(frame)
        if datagram is None:
            yield None
        else:
            yield Message(
                datagram.payload, datagram.source, datagram.destination, datagram.family, datagram.ttl, time
            )


def _from_hex(text: str, bare: Message) -> Message:
    digits = re.sub(r"0[xX]|[\s:.,-]", "", text)
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        raise ConfigError(f"a message must be hex digits, a pcap file that exists, or -, not {text!r}") from None
    # A message begins with its version, 2 or 3, an IP packet with 4 or 6: a frame is what parses as one.
    packet = _ETHERTYPES.get(data[0] >> 4) if data else None
    datagram = parse(data) or (parse(_NO_MACS + packet + data) if packet else None)
    if datagram is None:
        return dataclasses.replace(bare, data=data)
    return Message(datagram.payload, datagram.source, datagram.destination, datagram.family, datagram.ttl)


def _show(output: Output, message: Message) -> bool:
    """Print a message; whether it has a problem."""
    seen = inspect(message.data, family=message.family, source=message.source, destination=message.destination)
    problems = list(seen.problems)
    if message.ttl is not None and message.ttl != ADVERTISEMENT_TTL:
        rules = DEFAULT_RULES.get(seen.packet.version if seen.packet else 3, RFC9568)
        words = f"the TTL or hop limit must be {ADVERTISEMENT_TTL}, not {message.ttl}"
        problems.insert(0, Finding(Problem.TTL, rules.clause(Problem.TTL), words))  # 7.1: the first check
    fields, words = _fields(seen, message)
    output.event(
        "message",
        words,
        time=message.time,
        **fields,
        problems=[_finding(item) for item in problems],
        notes=[_finding(item) for item in seen.notes],
    )
    for item in problems:
        output.line(f"  problem: {item}", style="red")
    for item in seen.notes:
        output.line(f"  note: {item}", style="yellow")
    return bool(problems)


def _fields(seen: Inspection, message: Message) -> tuple[dict[str, Any], str]:
    """What programs and people read of a message. Authentication data stays out: it may be a password."""
    fields: dict[str, Any] = {
        "source": None if message.source is None else str(message.source),
        "destination": None if message.destination is None else str(message.destination),
        "ttl": message.ttl,
        "length": len(message.data),
    }
    packet = seen.packet
    way = (
        f"{message.source or '?'} -> {message.destination or '?'}: "
        if message.source or message.destination
        else ""
    )
    if packet is None:
        return fields, f"{way}{len(message.data)} bytes"
    family = message.family or (packet.addresses[0].version if packet.addresses else Family.IPV4)
    form = None if seen.checksum_form is None else [str(item.name).lower() for item in seen.checksum_form]
    fields |= {
        "family": int(family),
        "version": packet.version,
        "type": packet.type,
        "vrid": packet.vrid,
        "priority": packet.priority,
        "count": packet.count,
        "interval": packet.interval,
        "addresses": [str(address) for address in packet.addresses],
        "auth_type": packet.auth_type if isinstance(packet, VRRPv2) else None,
        "checksum": packet.checksum,
        "checksum_form": form,
        "trailing": len(packet.trailing),
    }
    if form is None:
        judged = "not judged without --source and --destination"
    else:
        judged = " and ".join(form).replace("_", "-") or "fits no form"
    words = (
        f"{way}VRRPv{packet.version} vrid {packet.vrid} priority {packet.priority} interval {packet.interval:g} s "
        f"addresses {', '.join(fields['addresses']) or 'none'} checksum 0x{packet.checksum:04x} ({judged})"
    )
    return fields, words


def _finding(finding: Finding) -> dict[str, str]:
    return {"problem": str(finding.problem), "clause": finding.clause, "message": finding.message}
