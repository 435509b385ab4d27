"""``vrrplib cleanup``: the host given back after processes that were killed."""

from __future__ import annotations

import click

from vrrplib.cli.options import netns_option
from vrrplib.cli.output import Output, json_option
from vrrplib.namespaces import Namespace


@click.command(epilog="Example: vrrplib cleanup eth0 --dry-run")
@click.argument("interface", metavar="[IFACE]", required=False)
@click.option("--state-dir", type=click.Path(file_okay=False), help="Where the journal of changes is kept.")
@netns_option
@click.option("--dry-run", is_flag=True, help="Print what would be undone, and touch nothing.")
@json_option
def cleanup(
    *, interface: str | None, state_dir: str | None, netns: Namespace, dry_run: bool, as_json: bool
) -> None:
    """Undo what vrrplib processes that died left on the host, on IFACE or everywhere in the network namespace.

    What belongs to processes that live is left alone. `vrrplib run` does the same for its interface as it starts.
    """
    from vrrplib.backends import netlink  # noqa: PLC0415  # pyroute2 is slow to load

    output = Output(as_json=as_json)
    leftovers = netlink.cleanup(interface, netns=netns, state_dir=state_dir, dry_run=dry_run)
    for leftover in leftovers:
        for operation in leftover.operations:
            output.event(
                "would-undo" if dry_run else "undone",
                operation.command,
                interface=leftover.interface,
                command=operation.command,
            )
        for words in leftover.left_alone:
            output.event("left-alone", f"left as it is: {words}", interface=leftover.interface, message=words)
    if not leftovers:
        output.line("nothing to undo" + (f" on {interface}" if interface else ""))
