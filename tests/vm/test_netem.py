"""A LAN that loses, delays, reorders and doubles frames (netem): nobody takes over who should not."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable

import pytest

from tests.linux.lab import Lab
from tests.vm.conftest import CELLS
from tests.vm.kinds import Machine
from tests.vm.speaker import TECHNIQUES, VIRTUALS, Speaker

SECONDS = {"main": 20.0, "all": 120.0}
#: netem's words, and the probability that an advert is lost. 20 ms of jitter reorder what is sent close together.
LANS = {
    "loss 1 %": ("loss 1%", 0.01),
    "jitter 20 ms": ("delay 30ms 20ms", 0.0),
    "duplication 20 %": ("duplicate 20%", 0.0),
    "all three": ("delay 30ms 20ms loss 1% duplicate 20%", 0.01),
    "loss 25 %": ("loss 25%", 0.25),
}
#: In the main run each LAN has one family.
MAIN = {"v3-ipv4": ("loss 1 %", "jitter 20 ms", "duplication 20 %"), "v3-ipv6": ("all three", "loss 25 %")}


def most_takeovers(loss: float, adverts: float) -> int:
    """A Backup takes over when three adverts in a row are lost (RFC 9568 6.1: 3 intervals and the skew).

    The greatest number of such runs that has a probability of more than one in a million (Poisson).
    """
    mean, most, term = adverts * loss**3 * (1 - loss), 0, 0.0
    term = total = math.exp(-mean)
    while 1 - total > 1e-6:
        most += 1
        term *= mean / most
        total += term
    return most


def test_the_theory() -> None:
    assert most_takeovers(0.0, 1e6) == 0
    assert most_takeovers(0.01, 100) in (1, 2)
    assert 5 <= most_takeovers(0.25, 100) <= 10


@pytest.mark.parametrize("family", ["v3-ipv4", "v3-ipv6"])
def test_no_flapping(family: str, record: Callable[..., None], request: pytest.FixtureRequest) -> None:
    """All these LANs at once, each with two routers."""
    # an interval that an emulated machine's own stalls do not come near
    virtual, seconds = dataclasses.replace(VIRTUALS[family], interval=0.5), SECONDS[CELLS]
    labs, pairs = [], {}
    try:
        for name in LANS if CELLS == "all" else MAIN[family]:
            words = LANS[name][0]
            lab = Lab()
            request.addfinalizer(lab.close)
            labs.append(lab.__enter__())
            machines = [Machine(lab, letter, number, "veth") for number, letter in enumerate("ab", start=1)]
            for machine in machines:
                assert machine.link_local
                machine.host.ip("link", "set", "eth0", "txqueuelen", "1000")
                machine.host.run("tc", "qdisc", "add", "dev", "eth0", "root", "netem", *words.split())
            pairs[name] = [
                Speaker(machine, TECHNIQUES["private"], (virtual,), priority)
                for machine, priority in zip(machines, (200, 100), strict=True)
            ]
        for a, b in pairs.values():
            a.start().wait("active")
            b.start()
        for _, b in pairs.values():
            b.wait("backup")
        marks = {name: len(b.changes) for name, (_, b) in pairs.items()}
        time.sleep(seconds)
        for name, (a, b) in pairs.items():
            takeovers = [state for _, state in b.changes[marks[name] :]].count("active")
            most = most_takeovers(LANS[name][1], seconds / virtual.interval)
            assert takeovers <= most, f"{name}: {takeovers} takeovers, by theory {most} at most\n{b.log}"
            assert [state for _, state in a.changes] == ["backup", "active"], a.log
            record(test="netem", lan=name, family=family, seconds=seconds, takeovers=takeovers, most=most)
            a.end()
            b.end()
    finally:
        for pair in pairs.values():
            for speaker in pair:
                speaker.crash()
