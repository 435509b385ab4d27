"""``vrrplib encode``: a VRRP message from its fields, right or wrong on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vrrplib.cli.keys import SCHEMES, key_options, read_key
from vrrplib.cli.output import Output, json_option
from vrrplib.cli.sinks import Sink, output_option
from vrrplib.cli.sources import from_digits
from vrrplib.errors import ConfigError
from vrrplib.lab.scenes import Specimen
from vrrplib.wire.addresses import ADVERTISEMENT_TTL, AH_PROTOCOL, Family, group_address, to_address
from vrrplib.wire.authentication import sign
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.packets import Packet, VRRPv2, VRRPv3

_FORMS = {
    "pseudo": ChecksumForm.PSEUDO_HEADER,
    "message": ChecksumForm.MESSAGE_ONLY,
    "multicast": ChecksumForm.MULTICAST_PSEUDO_HEADER,
}


class Number(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.4
    """A whole number: decimal, or hexadecimal after 0x."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return int(str(value), 0)
        except ValueError:
            self.fail(f"{value!r} must be a whole number, such as 100 or 0x64", param, ctx)


class Digits(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Bytes as hex digits."""

    name = "hex"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if isinstance(value, bytes):
            return value
        data = from_digits(str(value)) if value else b""
        if data is None:
            self.fail(f"{value!r} must be hex digits", param, ctx)
        return data


@click.command(
    epilog="Example: vrrplib encode --vrid 51 --address 192.0.2.254 --source 192.0.2.1"
    "  or: vrrplib encode --vrid 51 --address 192.0.2.254 --source 192.0.2.1 --count 7 --checksum 0 -o odd.pcap"
)
@click.option("--version", type=click.Choice(["2", "3"]), default="3", help="Whose layout it has (3).")
@click.option("--wire-version", type=Number(), help="What its version field says, if not that.")
@click.option("--type", "kind", type=Number(), default=1, help="1, ADVERTISEMENT, is the only one there is.")
@click.option("--vrid", type=Number(), required=True)
@click.option("--priority", type=Number(), default=100)
@click.option(
    "--address", "addresses", multiple=True, metavar="ADDRESS", help="Virtual address; one or more, or none."
)
@click.option("--count", type=Number(), help="What its address count says, if not their number.")
@click.option("--interval", type=Number(), help="On the wire: centiseconds (100), in version 2 seconds (1).")
@click.option("--reserved", type=Number(), help="The four reserved bits of version 3.")
@click.option("--auth-type", type=Number(), help="Version 2 only.")
@click.option("--auth-data", type=Digits(), help="Version 2 only: up to eight bytes.")
@click.option("--trailing", type=Digits(), default="", help="Bytes after the message.")
@click.option("--checksum", type=Number(), help="What its checksum field says, if not what is right.")
@click.option(
    "--form", type=click.Choice(list(_FORMS)), help="What a right checksum covers (pseudo; version 2: message)."
)
@click.option("--source", metavar="ADDRESS", help="Of the IP packet; a pseudo-header and a file need it.")
@click.option("--destination", metavar="ADDRESS", help="Of the IP packet (the group).")
@click.option("--ttl", type=Number(), default=ADVERTISEMENT_TTL, help="In a frame (255).")
@click.option("--source-mac", metavar="MAC", help="In a frame (the virtual MAC).")
@click.option("--destination-mac", metavar="MAC", help="In a frame (the group's).")
@click.option("--auth", type=click.Choice(list(SCHEMES)), help="Sign it with the key, by this scheme.")
@click.option("--sequence", type=Number(), default=1, help="The number to sign it with (1).")
@key_options
@click.option("--frame", "as_frame", is_flag=True, help="Print the Ethernet frame, not the message alone.")
@output_option
@json_option
def encode(*, as_frame: bool, path: Path | None, as_json: bool, **options: Any) -> None:
    """Build a VRRP message from its fields, each of which takes any value that fits into its bits.

    Prints it as hex digits, or writes it to a pcap file as an Ethernet frame. What is left out is computed.
    """
    output = Output(as_json=as_json)
    packet = _packet(options)
    with Sink(output, path) as sink:
        if as_frame or sink.wants_frames:
            sink.put(_frame(_datagram(packet, options), options), frame=True)
        elif options["auth"]:
            sink.put(_datagram(packet, options).payload)
        else:
            sink.put(packet.encode(*_way(packet, options), form=_form(options)))


def _packet(options: dict[str, Any]) -> Packet:
    version = int(options["version"])
    fields: dict[str, Any] = {
        "vrid": options["vrid"],
        "priority": options["priority"],
        "addresses": options["addresses"],
        "type": options["kind"],
        "count": options["count"],
        "checksum": options["checksum"],
        "trailing": options["trailing"],
        "version": version if options["wire_version"] is None else options["wire_version"],
    }
    theirs = {"max_advertise_interval": options["interval"], "reserved": options["reserved"]}
    if version == 2:
        _refuse(options, 2, "reserved")
        theirs = {
            "advertisement_interval": options["interval"],
            "auth_type": options["auth_type"],
            "auth_data": options["auth_data"],
        }
    else:
        _refuse(options, 3, "auth_type", "auth_data")
    fields |= {name: value for name, value in theirs.items() if value is not None}
    return VRRPv2(**fields) if version == 2 else VRRPv3(**fields)


def _refuse(options: dict[str, Any], version: int, *names: str) -> None:
    for name in names:
        if options[name] is not None:
            raise ConfigError(f"{name.replace('_', '-')} must be left out: version {version} has no such field")


def _form(options: dict[str, Any]) -> ChecksumForm:
    return _FORMS[options["form"] or ("message" if options["version"] == "2" else "pseudo")]


def _way(packet: Packet, options: dict[str, Any]) -> tuple[Any, Any]:
    """Source and destination; the group of their family where none was given."""
    source, destination = options["source"], options["destination"]
    if destination is None and (source is not None or packet.addresses):
        family = Family((to_address(source, "source") if source is not None else packet.addresses[0]).version)
        destination = group_address(family)
    return source, destination


def _datagram(packet: Packet, options: dict[str, Any]) -> Datagram:
    source, destination = _way(packet, options)
    if source is None:
        raise ConfigError("source must be given: an IP packet has one")
    key = read_key(options["key"], options["key_file"])
    ttl, form = options["ttl"], _form(options)
    if not 0 <= ttl <= ADVERTISEMENT_TTL:
        raise ConfigError(f"ttl must be 0-255, not {ttl}")
    if options["auth"] is None:
        return Datagram(packet.encode(source, destination, form=form), source, destination, ttl)
    if key is None:
        raise ConfigError("key must be given to sign with: --key-file, or --key")
    scheme = SCHEMES[options["auth"]](key)
    return sign(scheme, packet, source, destination, sequence=options["sequence"], form=form, ttl=ttl)


def _frame(datagram: Datagram, options: dict[str, Any]) -> bytes:
    frame = Specimen(datagram).frame(options["source_mac"], options["destination_mac"])
    if datagram.header and datagram.header[9] == AH_PROTOCOL:
        return frame[:14] + datagram.header + datagram.payload  # its digest covers the header as it is
    return frame
