"""docs/interfaces.md, made from the JSON lines that `make test-vm` or `make matrix-vm` has written.

python -m tests.vm.page > docs/interfaces.md
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LINES = Path(__file__).parents[1] / "data/interfaces.jsonl"
Record = dict[str, Any]

HEAD = """# Kinds of interface

What was seen on interfaces that are no plain Ethernet ones, under Debian's own kernel ({kernel}) in an emulator.
Two machines have interfaces of the kind on one switch; a third uses the virtual addresses. `make test-vm` boots the
kernel and does this in one boot, one story for each technique, family and kind; `make matrix-vm` has more cells of
what is further down, and takes longer. The lines are in
[`tests/data/interfaces.jsonl`](../tests/data/interfaces.jsonl); `python -m tests.vm.page` makes this page of them.

`private` and `bridge` are modes of `MacvlanBackend`, `xmit_base` is its option; `macswap` is `MacSwapBackend`,
`announce` `AnnounceBackend`.

## Takeovers

The Active router (priority 200) is ended by SIGTERM, the other one (100) takes over and is killed by SIGKILL. Each
number is the seconds from the advert of priority 0 to the first advert of the other one; Skew_Time, after which the
RFC has it take over, is 0.609 s in version 2 (adverts each second) and 0.122 s in version 3 (each 0.2 s), and an
emulated machine adds to it. A cell is there only if all of this was so:

* the observer is answered at each virtual address before and after, and knows it by the virtual MAC (`announce`: by
  the MAC of the interface that is Active), which the switch has behind the right port;
* from its start to the takeover the Backup has sent no advert, no frame from a virtual MAC and no claim to a
  virtual address; on a bond, the bonds of both have failed over meanwhile: the Backup's, and the Active one's;
* after SIGTERM the host is as it was, and so is the other one after SIGKILL and `vrrplib cleanup`: links,
  addresses, routes, rules, neighbours, groups, nftables and all of `/proc/sys/net`. (Of keepalived, where it is the
  other router, neither its silence as Backup nor its host is looked at.)

"""
KINDS = {
    "veth": "veth (plain)",
    "vlan": "VLAN (802.1Q)",
    "bond": "bond (active-backup)",
    "bridge": "bridge",
    "vrf": "member of a VRF",
    "macvlan": "another macvlan",
}


def read() -> list[Record]:
    return [json.loads(line) for line in LINES.read_text().splitlines()]


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def page(records: list[Record]) -> str:
    """The whole page."""
    kernels = sorted({record["kernel"] for record in records})
    parts = [HEAD.format(kernel=", ".join(kernels)), takeovers(records)]
    parts += ["\n## Refused\n\nBefore anything is changed, with the error:\n\n", refusals(records)]
    parts += ["\n## Crashes and dry runs\n\n", CRASHES, crashes(records)]
    parts += ["\n## A bad LAN\n\n", NETEM, netem(records)]
    return "".join(parts)


def takeovers(records: list[Record]) -> str:
    found = {
        (r["kind"], r["technique"], r["family"], r["other"]): f"{r['takeover_s']:.2f}"
        for r in records
        if r["test"] == "takeover"
    }
    families = sorted({family for _, _, family, _ in found})
    rows = []
    for kind, words in KINDS.items():
        for technique, other in dict.fromkeys((t, o) for k, t, _, o in found if k == kind):
            cells = [found.get((kind, technique, family, other), "") for family in families]
            rows.append([words, technique, other, *cells])
    return table(["interface", "technique", "the other router", *families], rows)


def refusals(records: list[Record]) -> str:
    return table(
        ["interface", "technique", "error"],
        [(r["kind"], r["technique"], f"`{r['said']}`") for r in records if r["test"] == "refusal"],
    )


CRASHES = """The process dies before each of its operations in turn (start, Active, Backup, Active, end), and
`vrrplib cleanup` gives the host back; the lines of a dry run, in a shell, do to the host what the backend does, and
take it back.

"""


def crashes(records: list[Record]) -> str:
    rows = []
    for r in records:
        if r["test"] in ("crash", "dry run"):
            seen = f"{r['points']} points of death" if r["test"] == "crash" else f"{r['lines']} lines until Active"
            rows.append((KINDS[r["kind"]], r["technique"], r["family"], seen))
    return table(["interface", "technique", "family", "host restored"], rows)


NETEM = """Two routers, adverts each 0.5 s, all that they send through netem. A Backup takes over when three adverts
in a row are lost; by Poisson, more than the given number of takeovers has a probability below one in a million.

"""


def netem(records: list[Record]) -> str:
    return table(
        ["LAN", "family", "seconds", "takeovers", "by theory at most"],
        [
            (r["lan"], r["family"], f"{r['seconds']:g}", r["takeovers"], r["most"])
            for r in records
            if r["test"] == "netem"
        ],
    )


if __name__ == "__main__":
    print(page(read()), end="")
