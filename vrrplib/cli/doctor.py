"""``vrrplib doctor``: what will not work, before it does not."""

from __future__ import annotations

import click

from vrrplib.cli.options import netns_option
from vrrplib.cli.output import Output, json_option
from vrrplib.doctor.diagnosis import Diagnosis, Severity
from vrrplib.doctor.judge import diagnose, has_problems
from vrrplib.errors import require_int
from vrrplib.namespaces import Namespace

_STYLES = {
    Severity.PROBLEM: "bold red",
    Severity.WARNING: "yellow",
    Severity.NOTE: "cyan",
    Severity.OK: "green",
}


@click.command(epilog="Example: vrrplib doctor eth0 --vrid 51 --listen 10")
@click.argument("interface", metavar="IFACE")
@click.option("--vrid", "vrids", type=int, multiple=True, help="A VRID that is to be run there; again for more.")
@click.option(
    "--listen",
    "seconds",
    type=click.FloatRange(min=0, max=3600),
    default=4.0,
    show_default=True,
    help="Seconds to listen who else speaks on the LAN; 0: do not.",
)
@click.option("--state-dir", type=click.Path(), help="Where the journal of changes is to be kept.")
@netns_option
@json_option
def doctor(
    *,
    interface: str,
    vrids: tuple[int, ...],
    seconds: float,
    state_dir: str | None,
    netns: Namespace,
    as_json: bool,
) -> int:
    """Say what will not work for a virtual router on IFACE, why, and what to do. Changes nothing.

    The exit status is 1 if there is a problem. Run it as the user, and where, the router is to run.
    """
    for vrid in vrids:
        require_int("vrid", vrid, 1, 255)
    from vrrplib.doctor.gather import gather  # noqa: PLC0415  # pyroute2 is slow to load

    output = Output(as_json=as_json)
    found = diagnose(gather(interface, netns=netns, state_dir=state_dir, wanted=vrids, seconds=seconds))
    for diagnosis in found:
        _tell(output, interface, diagnosis)
    return int(has_problems(found))


def _tell(output: Output, interface: str, diagnosis: Diagnosis) -> None:
    output.event(
        "diagnosis",
        f"{diagnosis.severity:<8} {diagnosis.what}",
        style=_STYLES[diagnosis.severity],
        interface=interface,
        severity=str(diagnosis.severity),
        topic=diagnosis.topic,
        what=diagnosis.what,
        why=diagnosis.why or None,
        remedy=diagnosis.remedy or None,
    )
    if diagnosis.why:
        output.line(f"         {diagnosis.why}")
    if diagnosis.remedy:
        output.line(f"         -> {diagnosis.remedy}")
