"""What each cell is expected to show, as data with reasons; whatever differs is a surprise.

Rules are read from the first to the last, and a later one that fits has the last word on what it mentions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.matrix.cells import TECHNIQUES, Cell

STEP = 0.002  # seconds between two pings
LATE = 0.1  # seconds by which anything may be late on a busy machine
REPEAT = 0.1  # seconds until an announcement is repeated
FEW = 10  # pings that may be lost while nothing is: 20 ms

ALL_VIRTUAL = ("private", "bridge", "xmit_base", "standing", "macswap", "keepalived-vmac", "frr")


@dataclass(frozen=True)
class Rule:
    """For the cells whose attributes (of `Cell`) have one of the values in `when`."""

    why: str
    when: Mapping[str, tuple[str, ...]]
    #: active, while_stopped: "other", "failing" or "both" of them advertise.
    #: takeover: after Skew_Time ("skew") or Active_Down_Interval ("down").
    #: to, through: pings are lost for that time, until an announcement is repeated
    #: ("repeat"), for as long or less ("some"), or "none".
    #: neighbour: whose MAC the observer has at the end, "other", "failing" or "either".
    #: asks: hosts whose own MAC the observer may have too, at the end if they are Active then.
    #: gives_up: the failing one does not believe that it is Active.
    #: moves: least and most moves of the virtual MAC in the switch's table.
    then: Mapping[str, Any]

    def fits(self, cell: Cell) -> bool:
        return all(getattr(cell, name) in values for name, values in self.when.items())


RULES = (
    Rule(
        "One that ends by SIGTERM resigns with priority 0, and the other waits for its Skew_Time (RFC 9568 "
        "6.4.2).",
        {"fault": ("sigterm",)},
        {"active": "other", "takeover": "skew", "to": "skew", "through": "skew", "neighbour": "other",
         "moves": (1, 1)},
    ),
    Rule(
        "Without adverts the other waits for its Active_Down_Interval.",
        {"fault": ("sigkill", "port-down", "link-down", "one-way", "stop-cont")},
        {"active": "other", "takeover": "down", "to": "down", "through": "down", "neighbour": "other",
         "moves": (1, 1)},
    ),
    Rule(
        "One of ours that loses its carrier or its interface knows it, and does not go on believing that it is "
        "Active.",
        {"fault": ("port-down", "link-down"), "fails_as": tuple(TECHNIQUES)},
        {"gives_up": True},
    ),
    Rule(
        "The kernel of a process that was killed goes on answering. Announcements by ARP request make it "
        "answer with the virtual MAC too, and the switch's entry goes back and forth until the next advert.",
        {"fault": ("sigkill",)},
        {"to": "none", "through": "none", "moves": (1, 14)},
    ),
    Rule(
        "A one-way partition makes two Active routers, of which the observer has one; each advert moves the "
        "virtual MAC.",
        {"fault": ("one-way",)},
        {"active": "both", "to": "none", "through": "none", "neighbour": "either", "moves": (2, 60)},
    ),
    Rule(
        "The kernel of a stopped process goes on answering; when the process goes on it has the higher "
        "priority, and is Active again.",
        {"fault": ("stop-cont",)},
        {"active": "failing", "while_stopped": "other", "to": "none", "through": "none", "neighbour": "failing",
         "moves": (2, 14)},
    ),
    Rule(
        "With xmit_base adverts do not tell the switch where the virtual MAC is: what the rival sent last, or "
        "answered to the announcement, is corrected by the announcement that follows 100 ms later.",
        {"fails_as": ("xmit_base",), "fault": ("stop-cont",), "peer": ("keepalived-vmac", "frr")},
        {"to": "repeat", "through": "repeat"},
    ),
    Rule(
        "Announcing and keepalived without use_vmac do not use the virtual MAC: the switch sees it at one "
        "port at most.",
        {"fails_as": ("announce", "keepalived")},
        {"moves": (0, 0)},
    ),
    Rule(
        "Announcing and keepalived without use_vmac do not use the virtual MAC: the switch sees it at one "
        "port at most.",
        {"takes_over_as": ("announce", "keepalived")},
        {"moves": (0, 0)},
    ),
    Rule(
        "The interface's own MAC lives on after SIGTERM: what goes through it is still taken, until the other "
        "announces.",
        {"fails_as": ("announce", "keepalived"), "fault": ("sigterm",)},
        {"through": "none"},
    ),
    Rule(
        "FRR leaves its macvlan and the addresses at the end, and its host goes on answering.",
        {"fails_as": ("frr",), "fault": ("sigterm",)},
        {"to": "some", "through": "some", "moves": (0, 14)},
    ),
    Rule(
        "keepalived removes its macvlan a while after it has resigned: what goes through it may still be taken.",
        {"fails_as": ("keepalived-vmac",), "fault": ("sigterm",)},
        {"through": "some"},
    ),
    Rule(
        "keepalived's macvlan is up while Backup: once the switch has forgotten the virtual MAC and sends it "
        "to every port, it takes what goes through.",
        {"takes_over_as": ("keepalived-vmac",), "fails_as": ALL_VIRTUAL, "fault": ("port-down", "link-down")},
        {"through": "none"},
    ),
    Rule(
        "FRR's macvlan hears while Backup (protodown stops only what it would send), and has the addresses: "
        "once the switch has forgotten the virtual MAC it answers over IPv4.",
        {"takes_over_as": ("frr",), "fails_as": ALL_VIRTUAL, "fault": ("port-down", "link-down"),
         "kind": ("v2", "v3-ipv4")},
        {"to": "none", "through": "none"},
    ),
    Rule(
        "keepalived 2.2 and FRR ask ARP from the virtual address with their interface's own MAC, which the "
        "observer then has (they leave arp_announce alone).",
        {"peer": ("keepalived-vmac", "frr"), "kind": ("v2", "v3-ipv4")},
        {"asks": ("peer",)},
    ),
)  # fmt: skip


def expected(cell: Cell) -> dict[str, Any]:
    """What the rules say of a cell."""
    found: dict[str, Any] = {}
    for rule in RULES:
        if rule.fits(cell):
            found |= rule.then
    return found


def surprises(cell: Cell, record: Mapping[str, Any]) -> list[str]:
    """What differs in what was measured, a line each."""
    if "error" in record:
        return [record["error"]]
    want = expected(cell)
    pings = record["pings"]
    slack = LATE + 2 * pings["late"]  # what made the pinger late made everybody late
    found = []
    for name in ("active", "while_stopped"):
        who = _hosts(cell, want.get(name))
        if record.get(name, []) != who:
            found.append(f"{name.replace('_', ' ')}: {_or_nobody(record.get(name))}, not {_or_nobody(who)}")
    if want.get("gives_up") and record["believe"][cell.failing] == "active":
        found.append(f"{cell.failing} still believes that it is Active")
    found += _judge_takeover(cell, want["takeover"], record["takeover"], slack)
    for name in ("to", "through"):
        least, most = _losses(cell, want[name], slack)
        if not least <= pings[name] <= most:
            found.append(f"{name}: {pings[name]} lost, not {least} to {most}")
    if pings["lost_before"]:
        found.append(f"{pings['lost_before']} lost before the fault")
    found += _judge_neighbour(cell, want, record["neighbour"])
    least, most = want["moves"]
    if not least <= record["moves"] <= most:
        found.append(f"{record['moves']} moves, not {least} to {most}")
    for where, lines in record["complaints"].items():
        if where != cell.failing or cell.fault not in ("port-down", "link-down"):  # that it cannot send is no news
            found += [f"complaint of {where}: {line}" for line in lines]
    return found


def _hosts(cell: Cell, who: str | None) -> list[str]:
    return {None: [], "other": [cell.other], "failing": [cell.failing], "both": ["ours", "peer"]}[who]


def _or_nobody(hosts: list[str] | None) -> str:
    return " and ".join(hosts or ["nobody"])


def times(cell: Cell) -> dict[str, tuple[float, float]]:
    """Least and most seconds from a fault until the other takes over, in theory."""
    other = cell.settings.but(priority=100)
    return {
        "none": (0.0, 0.0),
        "skew": (other.skew_time, other.skew_time),
        "down": (other.active_down_interval - other.interval, other.active_down_interval),
    }


def _judge_takeover(cell: Cell, want: str, seconds: float | None, slack: float) -> list[str]:
    least, most = times(cell)[want]
    if cell.takes_over_as == "frr":
        least -= 0.015  # whole centiseconds
        if cell.settings.family == 6:
            most += cell.settings.interval  # its first advert after the promotion does not reach the wire
    if seconds is None:
        return ["no takeover"]
    if least - 0.01 - (slack - LATE) <= seconds <= most + slack:  # its last advert may have been late
        return []
    return [f"takeover after {seconds:.3f} s, not {least:.3f} to {most + slack:.3f}"]


def _losses(cell: Cell, want: str, slack: float) -> tuple[int, int]:
    """Half of what theory says at least: a pinger that is held up sends less."""
    if want in ("none", "repeat"):
        return 0, FEW + round((slack / 2 + (REPEAT if want == "repeat" else 0.0)) / STEP)
    least, most = times(cell)["skew" if want == "some" else want]
    if want == "some":
        least = 0.0
    return max(0, round((least / 2 - slack + LATE) / STEP)), round((most + slack) / STEP)


def _judge_neighbour(cell: Cell, want: Mapping[str, Any], seen: Mapping[str, list[str]]) -> list[str]:
    macs = {where: "virtual" if cell.has_virtual_mac(where) else where for where in ("ours", "peer")}
    asks = set(want.get("asks", ()))
    holders = {"other": {cell.other}, "failing": {cell.failing}, "either": set(macs)}[want["neighbour"]]
    may_end = {macs[where] for where in holders} | (asks & holders)
    found = []
    for what, names in seen.items():
        if strange := set(names) - set(macs.values()) - asks:
            found.append(f"the observer had {', '.join(sorted(strange))} for the {what}")
        elif not names or names[-1] not in may_end:
            found.append(f"the observer ends with {(names or ['nothing'])[-1]} for the {what}")
    return found
