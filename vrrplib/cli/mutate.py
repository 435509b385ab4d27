"""``vrrplib mutate``: messages and frames changed at random, the same way each time."""

from __future__ import annotations

import itertools
from pathlib import Path

import click

from vrrplib.cli.output import Output, json_option
from vrrplib.cli.sinks import Sink, output_option
from vrrplib.cli.sources import Message, Tally, bare_message, bare_options, messages
from vrrplib.errors import ConfigError
from vrrplib.lab.fuzz import Checksums, Mutator
from vrrplib.lab.scenes import Specimen
from vrrplib.wire.addresses import MacAddress

_MOST = 10_000  # messages of the input that are kept in memory


@click.command(
    epilog="Example: vrrplib mutate --seed 7 --count 100 -o mutated.pcap capture.pcap"
    "  or: vrrplib mutate --count 3 --checksum recompute 313364010064bc30c00002fe"
)
@click.argument("arguments", nargs=-1, required=True, metavar="HEX|BASE64|FILE|-...")
@bare_options
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same mutations.")
@click.option("--count", type=click.IntRange(1), default=10, show_default=True, help="How many to make.")
@click.option(
    "--checksum",
    type=click.Choice([item.value for item in Checksums]),
    default=Checksums.EITHER.value,
    show_default=True,
    help="Keep the checksum, which mostly makes it wrong, or recompute it.",
)
@output_option
@json_option
def mutate(
    *,
    arguments: tuple[str, ...],
    source: str | None,
    destination: str | None,
    family: str | None,
    seed: int,
    count: int,
    checksum: str,
    path: Path | None,
    as_json: bool,
) -> None:
    """Change VRRP messages or frames, given as to decode: bits, fields, counts, lengths, stretches twice or gone.

    Frames stay frames, with their IP headers mended where the message in them was changed. Prints hex digits, or
    writes a pcap file; a bare message needs --source and --destination for that.
    """
    inputs = list(itertools.islice(messages(arguments, bare_message(source, destination, family), Tally()), _MOST))
    if not inputs:
        raise ConfigError("the input must have a VRRP message, and has none")
    mutator = Mutator(seed, checksums=Checksums(checksum))
    output = Output(as_json=as_json)
    with Sink(output, path) as sink:
        for number in range(count):
            sink.put(_mutated(mutator, mutator.pick(inputs), frames=sink.wants_frames), number=number, seed=seed)


def _mutated(mutator: Mutator, message: Message, *, frames: bool) -> bytes:
    if message.frame:
        return mutator.frame(message.frame)
    if not frames:
        return mutator.payload(message.data, source=message.source, destination=message.destination)
    datagram = message.datagram
    if datagram is None:
        raise ConfigError("source and destination must be given to make a frame of a bare message")
    mac = None if datagram.destination.is_multicast else MacAddress(b"\xff" * 6)
    return mutator.frame(Specimen(datagram).frame(destination_mac=mac))
