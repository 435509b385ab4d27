"""docs/matrix.md, made from the JSON lines of the matrix."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from tests.matrix.cells import ALL, FAILS, FAULTS, KINDS, PEERS, SIXTY, TECHNIQUES, Cell
from tests.matrix.expect import RULES, surprises

Record = Mapping[str, Any]

HEAD = """# The interoperation matrix

Two routers and an observer on a switch of their own, in network namespaces. One router is `vrrplib run`; it is
Active with priority 200, and fails; the other, with priority 100, should take over. Adverts go each 100 ms; in
version 2 each second, which is the least that it knows (RFC 3768 5.3.7). The observer pings every 2 ms, both the
virtual address and, with it as the next hop, an address that both routers have on their loopback. Measured with
keepalived 2.2.7 and FRR 8.4.4 by `make matrix`; the lines are in
[`tests/data/matrix.jsonl`](../tests/data/matrix.jsonl), and `python -m tests.matrix --docs` makes this page of
them.

## Key

Each cell is *who is Active at the end · pings lost to / through the virtual address · the observer's neighbour
entry · moves of the virtual MAC in the switch's table*, counted from the fault on. `peer 31/30 V 1`: the other
one is Active, 31 and 30 pings (of 2 ms each) went unanswered, the observer had the virtual MAC all the time, and
the switch saw the virtual MAC behind another port once.

* `both`: two routers advertise; `peer*`: only the peer is heard, but the other believes that it is Active too.
  `peer>us`: the other while our process was stopped, ours after it went on.
* `V` the virtual MAC, `o` our interface's own, `p` the peer's own; in the order in which the observer had them.
  Where the IPv6 gateway's entry (the link-local address) differs from the address's, both are there: `V+Vp`.
* **Bold**: differs from what is expected in most of five runs; see *Surprises*. The numbers are medians of the
  runs.
* `sigterm`, `sigkill`: what the process of the Active router gets. `port-down`: its switch port. `link-down`: its
  interface, `ip link set down`. `one-way`: nothing of what it sends reaches the other router. `stop-cont`:
  SIGSTOP, and SIGCONT half a second (version 2: 1.3 s) after the takeover.
* Peers: `ours` has the same technique; `keepalived` without and with `use_vmac`; `frr` with a macvlan in mode
  bridge, which is what FRR asks for, and `arp_ignore=1` on its interface: with the kernel's defaults its host
  answers ARP for the virtual address with its own MAC at all times, also as Backup.

Neither router forwards, so a neighbour entry that leads to the wrong one shows as loss. In mode `announce`, and
for keepalived without `use_vmac`, there is no virtual MAC: the observer's entry has to change, and nothing moves.
"""


def page(records: Mapping[str, Record]) -> str:
    """The whole page."""
    parts = [HEAD, _expectations(), _surprises(records), "## Ours fails\n"]
    for technique in TECHNIQUES:
        parts.append(f"### {technique}: `{' '.join(TECHNIQUES[technique])}`\n")
        parts.append(_table(technique, records))
    parts += ["## Ours takes over\n", _takers(records)]
    return "\n".join(parts)


def surprising(cell: Cell, record: Record) -> int:
    """How many runs of a record surprise."""
    return sum(1 for run in record["runs"] if surprises(cell, run))


def _table(technique: str, records: Mapping[str, Record]) -> str:
    lines = [f"| | {' | '.join(FAULTS)} |", "|---" * (len(FAULTS) + 1) + "|"]
    for kind in KINDS:
        for peer in PEERS:
            cells = [Cell(technique, kind, peer, fault, FAILS) for fault in FAULTS]
            lines.append(f"| {kind} {peer} | {' | '.join(_entry(cell, records) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _takers(records: Mapping[str, Record]) -> str:
    lines = ["Sixty cells the other way round: the peer is Active and fails, ours is the Backup.\n",
             "| technique | kind | peer | fault | measured |", "|---|---|---|---|---|"]  # fmt: skip
    lines += [f"| {c.technique} | {c.kind} | {c.peer} | {c.fault} | {_entry(c, records)} |" for c in SIXTY]
    return "\n".join(lines) + "\n"


def _entry(cell: Cell, records: Mapping[str, Record]) -> str:
    record = records.get(cell.name)
    runs = [run for run in record["runs"] if "error" not in run] if record else []
    if record is None or not runs:
        return "not measured" if record is None else "**failed**"
    typical = _typical(runs)
    to, through = (round(statistics.median(run["pings"][name] for run in runs)) for name in ("to", "through"))
    moves = round(statistics.median(run["moves"] for run in runs))
    words = f"{_who(typical)} {to}/{through} {_macs(typical['neighbour'])} {moves}"
    return f"**{words}**" if surprising(cell, record) * 2 > len(record["runs"]) else words


def _typical(runs: list[Record]) -> Record:
    """The run whose words (who is Active, what the observer had) most of the runs share."""
    keys = [(_who(run), _macs(run["neighbour"])) for run in runs]
    return runs[keys.index(max(keys, key=keys.count))]


def _who(run: Record) -> str:
    def name(hosts: list[str]) -> str:
        if not hosts:
            return "nobody"
        return "both" if len(hosts) > 1 else {"ours": "us", "peer": "peer"}[hosts[0]]

    if "while_stopped" in run:
        return f"{name(run['while_stopped'])}>{name(run['active'])}"
    believe = [where for where, state in run["believe"].items() if state == "active"]
    return name(run["active"]) + "*" * (len(believe) > len(run["active"]))


def _macs(neighbour: Mapping[str, list[str]]) -> str:
    short = {"virtual": "V", "ours": "o", "peer": "p"}
    seen = ["".join(short.get(name, "?") for name in names) or "-" for names in neighbour.values()]
    return seen[0] if len(set(seen)) == 1 else "+".join(seen)


def _expectations() -> str:
    reasons = dict.fromkeys(rule.why for rule in RULES)
    return "\n".join(["## What is expected, and why\n", *(f"* {why}" for why in reasons), ""])


def _surprises(records: Mapping[str, Record]) -> str:
    cells = [*ALL, *SIXTY]
    held = [cell for cell in cells if cell.name in records]
    lines = [
        "## Surprises\n",
        f"Of {len(cells)} cells {len(held)} are measured. A cell that surprises is measured five times.\n",
    ]
    often, seldom = [], []
    for cell in held:
        record = records[cell.name]
        runs, count = record["runs"], surprising(cell, record)
        if count:
            said = "; ".join(next(found for run in runs if (found := surprises(cell, run))))
            (often if count * 2 > len(runs) else seldom).append(
                f"* `{cell.name}`, {count} of {len(runs)} runs: {said}"
            )
    lines += [
        "In most runs:\n",
        *(often or ["* none"]),
        "",
        "In some runs, as on a busy machine:\n",
        *(seldom or ["* none"]),
        "",
    ]
    return "\n".join(lines)
