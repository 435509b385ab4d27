"""``vrrplib timers``: how long a Backup waits."""

from __future__ import annotations

import click

from vrrplib.cli.output import Output, json_option
from vrrplib.election.timers import active_down_interval, skew_time


@click.command(epilog="Example: vrrplib timers --priority 150 --interval 0.1")
@click.option("--priority", type=int, default=100, show_default=True, help="The Backup's own priority, 1-255.")
@click.option("--interval", type=float, default=1.0, show_default=True, help="The Active router's, in seconds.")
@click.option("--version", type=click.Choice(["2", "3"]), default="3", show_default=True, help="VRRP version.")
@json_option
def timers(*, priority: int, interval: float, version: str, as_json: bool) -> None:
    """Compute how long a Backup waits: skew_time after a resignation, active_down_interval after a crash."""
    skew = skew_time(priority, interval, version=int(version))
    down = active_down_interval(priority, interval, version=int(version))
    output = Output(as_json=as_json)
    output.event(
        "timers",
        f"skew_time {skew:.9g} s\nactive_down_interval {down:.9g} s",
        version=int(version),
        priority=priority,
        interval=interval,
        skew_time=skew,
        active_down_interval=down,
    )
