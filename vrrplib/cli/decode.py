"""``vrrplib decode``: what is in VRRP messages, and what is wrong with them."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from pathlib import Path
from typing import Any

import click

from vrrplib.cli.keys import Verifier, key_options, read_key
from vrrplib.cli.layout import Field, fields_of
from vrrplib.cli.output import Output, json_option
from vrrplib.cli.sources import Message, Tally, bare_message, bare_options, messages
from vrrplib.errors import Finding, Problem
from vrrplib.rules import DEFAULT_RULES, RFC9568
from vrrplib.wire.addresses import ADVERTISEMENT_TTL, AddressLike, Family
from vrrplib.wire.carp import CARP, CARPKey, inspect_carp, verify_carp
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.keys import Key
from vrrplib.wire.packets import Inspection, VRRPv2, inspect, is_carp


@dataclasses.dataclass(slots=True)
class Reader:
    """How messages are judged and shown, and the counts for the end."""

    output: Output
    verbose: bool = False
    quiet: bool = False
    key: Key | None = None
    virtual: tuple[AddressLike, ...] = ()
    shown: int = 0
    bad: int = 0
    problems: Counter[str] = dataclasses.field(default_factory=Counter)
    verifier: Verifier | None = None

    def __post_init__(self) -> None:
        self.verifier = None if self.key is None else Verifier(self.key)


@dataclasses.dataclass(slots=True)
class Judged:
    """A message with all that is said of it; ``authentication`` is scheme and outcome, "" if not asked for."""

    message: Message
    seen: Inspection
    problems: list[Finding]
    notes: list[Finding]
    carp: CARP | None = None
    authentication: str = ""

    @property
    def family(self) -> Family:
        if self.message.family is not None:
            return self.message.family
        for address in (self.message.source, self.message.destination, *self._addresses):
            if address is not None:
                return Family(address.version)
        return Family.IPV4

    @property
    def _addresses(self) -> tuple[Any, ...]:
        return self.seen.packet.addresses[:1] if self.seen.packet else ()


@click.command(
    epilog="Example: vrrplib decode --source 192.0.2.1 --destination 224.0.0.18 313364010064bc30c00002fe"
    "  or: vrrplib decode --verbose capture.pcapng"
)
@click.argument("arguments", nargs=-1, required=True, metavar="HEX|BASE64|FILE|-...")
@bare_options
@key_options
@click.option("--address", "virtual", multiple=True, metavar="ADDRESS", help="A virtual one, for CARP's digest.")
@click.option("-v", "--verbose", is_flag=True, help="Show each field: bytes, value, clause.")
@click.option("-q", "--summary", is_flag=True, help="Show only how many, and what is wrong.")
@json_option
def decode(
    *,
    arguments: tuple[str, ...],
    source: str | None,
    destination: str | None,
    family: str | None,
    key: str | None,
    key_file: Path | None,
    virtual: tuple[str, ...],
    verbose: bool,
    summary: bool,
    as_json: bool,
) -> None:
    """Show VRRP messages: hex or base64 digits of a message, an IP packet or a frame; a pcap or pcapng file;
    or - for digits by the line, or a capture, on stdin. CARP is shown too.

    With a key, tells whether each message is authentic. Ends with status 1 when one of them has a problem:
    something for which the RFC discards it.
    """
    bare = bare_message(source, destination, family)
    output = Output(as_json=as_json)
    reader = Reader(output, verbose, summary, read_key(key, key_file), virtual)
    tally = Tally()
    for message in messages(arguments, bare, tally):
        judged = _judge(reader, message)
        reader.shown += 1
        reader.bad += bool(judged.problems)
        reader.problems.update(str(item.problem) for item in judged.problems)
        if not summary:
            _show(reader, judged)
    for words in tally.broken:
        output.event("broken", words, style="red", message=words)
    if summary or tally.others or reader.shown != 1:
        _summarise(reader, tally)
    if reader.bad:
        click.get_current_context().exit(1)


def _summarise(reader: Reader, tally: Tally) -> None:
    words = f"{reader.shown} messages, {reader.bad} with problems; {tally.others} other frames"
    if reader.problems:
        words += f" ({', '.join(f'{name} {number}' for name, number in sorted(reader.problems.items()))})"
    reader.output.event(
        "summary",
        words,
        messages=reader.shown,
        bad=reader.bad,
        other_frames=tally.others,
        problems=dict(sorted(reader.problems.items())),
    )


# -- judging --


def _judge(reader: Reader, message: Message) -> Judged:
    seen = inspect(message.data, family=message.family, source=message.source, destination=message.destination)
    judged = Judged(message, seen, list(seen.problems), list(seen.notes))
    if seen.packet is None and is_carp(message.data):
        _judge_carp(reader, judged)
    elif seen.packet is not None and reader.verifier is not None:
        _authenticate(reader.verifier, judged)
    if message.ttl is not None and message.ttl != ADVERTISEMENT_TTL:
        rules = DEFAULT_RULES.get(seen.packet.version if seen.packet else 3, RFC9568)
        words = f"the TTL or hop limit must be {ADVERTISEMENT_TTL}, not {message.ttl}"
        judged.problems.insert(0, Finding(Problem.TTL, rules.clause(Problem.TTL), words))  # 7.1: the first check
    return judged


def _judge_carp(reader: Reader, judged: Judged) -> None:
    found = inspect_carp(judged.message.data)
    judged.carp = found.packet
    judged.problems += found.problems
    judged.notes += found.notes
    if reader.key is None or found.packet is None or not reader.virtual:
        return
    wrong = verify_carp(CARPKey(reader.key, reader.virtual), found.packet)
    judged.authentication = "carp: failed" if wrong else "carp: verified"
    judged.problems += [wrong] if wrong else []


def _authenticate(verifier: Verifier, judged: Judged) -> None:
    packet = judged.seen.packet
    assert packet is not None
    message = judged.message
    unknown = "0.0.0.0" if judged.family is Family.IPV4 else "::"  # noqa: S104  # simple text needs no addresses
    source, destination = message.source or unknown, message.destination or unknown
    datagram = message.datagram or Datagram(message.data, source, destination, 255, message.header)
    scheme, trailing, wrong = verifier.check(packet, datagram)
    judged.authentication = f"{scheme or 'none'}: {'failed' if wrong else 'verified'}"
    if scheme:  # a type that no RFC has is not unknown to whoever gives its key
        judged.problems = [item for item in judged.problems if item.problem is not Problem.AUTH_TYPE]
    if wrong:
        judged.problems.append(wrong)
        return
    if trailing == len(packet.trailing):
        judged.notes = [item for item in judged.notes if item.problem is not Problem.TRAILING]


# -- showing --


def _show(reader: Reader, judged: Judged) -> None:
    data = judged.message.data
    layout = fields_of(judged.carp or judged.seen.packet, data, judged.family) if reader.verbose else []
    if reader.output.as_json:
        _show_facts(reader, judged, layout)
        return
    line = reader.output.line
    line(_sentence(judged))
    for field in layout:
        for words in field.lines(data):
            line(words)
    for item in judged.problems:
        line(f"  problem: {item}", style="red")
    for item in judged.notes:
        line(f"  note: {item}", style="yellow")


# Authentication data stays out of what is shown either way: it may be a password.


def _sentence(judged: Judged) -> str:
    """What people read of a message."""
    message, seen, packet = judged.message, judged.seen, judged.seen.packet
    known = message.source or message.destination
    way = f"{message.source or '?'} -> {message.destination or '?'}: " if known else ""
    proof = f" authentication {judged.authentication}" if judged.authentication else ""
    if judged.carp is not None:
        carp = judged.carp
        return (
            f"{way}CARP vhid {carp.vhid} advbase {carp.advbase} advskew {carp.advskew} "
            f"interval {carp.interval:g} s counter {carp.counter:#x}{proof}"
        )
    if packet is None:
        return f"{way}{len(message.data)} bytes"
    if seen.checksum_form is None:
        fits = "not judged without --source and --destination"
    else:
        fits = " and ".join(_forms(seen.checksum_form)).replace("_", "-") or "fits no form"
    return (
        f"{way}VRRPv{packet.version} vrid {packet.vrid} priority {packet.priority} interval {packet.interval:g} s "
        f"addresses {', '.join(map(str, packet.addresses)) or 'none'} "
        f"checksum 0x{packet.checksum:04x} ({fits}){proof}"
    )


def _show_facts(reader: Reader, judged: Judged, layout: list[Field]) -> None:
    """What programs read of a message; its layout where it was asked for."""
    facts, data = _facts(judged), judged.message.data
    if reader.verbose:
        facts["fields"] = [
            {
                "offset": field.offset,
                "size": field.size,
                "name": field.name,
                "value": field.value,
                "clause": field.clause,
                "bytes": None if field.hidden else data[field.offset : field.offset + field.size].hex(),
            }
            for field in layout
        ]
    reader.output.event(
        "message",
        None,
        time=judged.message.time,
        **facts,
        problems=[_finding(item) for item in judged.problems],
        notes=[_finding(item) for item in judged.notes],
    )


def _facts(judged: Judged) -> dict[str, Any]:
    message, seen, packet = judged.message, judged.seen, judged.seen.packet
    facts: dict[str, Any] = {
        "source": None if message.source is None else str(message.source),
        "destination": None if message.destination is None else str(message.destination),
        "ttl": message.ttl,
        "length": len(message.data),
        "authentication": judged.authentication or None,
    }
    if judged.carp is not None:
        carp = judged.carp
        return facts | {
            "carp": True,
            "vhid": carp.vhid,
            "advbase": carp.advbase,
            "advskew": carp.advskew,
            "demote": carp.demote,
            "counter": carp.counter,
            "interval": carp.interval,
            "checksum": carp.checksum,
        }
    if packet is None:
        return facts
    return facts | {
        "family": int(judged.family),
        "version": packet.version,
        "type": packet.type,
        "vrid": packet.vrid,
        "priority": packet.priority,
        "count": packet.count,
        "interval": packet.interval,
        "addresses": [str(address) for address in packet.addresses],
        "auth_type": packet.auth_type if isinstance(packet, VRRPv2) else None,
        "checksum": packet.checksum,
        "checksum_form": None if seen.checksum_form is None else _forms(seen.checksum_form),
        "trailing": len(packet.trailing),
    }


@functools.cache
def _forms(form: ChecksumForm) -> list[str]:
    """The names of its members; to take a flag apart costs as much as the rest of a line."""
    return [str(item.name).lower() for item in form]


def _finding(finding: Finding) -> dict[str, str]:
    return {"problem": str(finding.problem), "clause": finding.clause, "message": finding.message}
