"""A host with which nothing is wrong, to change one fact of."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_interface
from typing import Any

from vrrplib.backends.plan import Link
from vrrplib.doctor.diagnosis import Diagnosis, Severity
from vrrplib.doctor.facts import Ability, Facts, Interface, Kernel, Lan, Machine, State
from vrrplib.doctor.judge import diagnose
from vrrplib.wire.addresses import MacAddress

LINK = Link("eth0", 2, MacAddress("02:00:00:00:00:01"))
SYSCTLS = {
    **{
        f"net/ipv4/conf/{where}/{name}": "0"
        for where in ("all", "eth0")
        for name in ("arp_ignore", "arp_filter", "rp_filter", "proxy_arp", "drop_gratuitous_arp")
    },
    **{f"net/ipv{family}/conf/{where}/forwarding": "1" for family in (4, 6) for where in ("all", "eth0")},
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/eth0/disable_ipv6": "0",
}
HEALTHY = Facts(
    interface=Interface(link=LINK, addresses=(ip_interface("10.0.0.1/24"), ip_interface("fe80::1/64"))),
    state=State(directory="/run/vrrplib"),
    kernel=Kernel(
        release="6.1", abilities=dict.fromkeys(("macvlan", "nftables", "egress", "cookie"), Ability.WORKS)
    ),
    machine=Machine(cpus=4, lateness=(0.0001,) * 9),
    sysctls=SYSCTLS,
    lan=Lan(seconds=4.0),
)


def changed(**parts: Any) -> Facts:
    """HEALTHY with other facts; a dict for a part changes fields of it."""
    new = {
        name: dataclasses.replace(getattr(HEALTHY, name), **value)
        if isinstance(value, dict) and name != "sysctls"
        else value
        for name, value in parts.items()
    }
    if "sysctls" in new:
        new["sysctls"] = {path: text for path, text in (SYSCTLS | new["sysctls"]).items() if text is not None}
    return dataclasses.replace(HEALTHY, **new)


def link(**fields: Any) -> dict[str, Link]:
    return {"link": dataclasses.replace(LINK, **fields)}


def unusual(facts: Facts) -> list[Diagnosis]:
    """All that is not ok."""
    return [diagnosis for diagnosis in diagnose(facts) if diagnosis.severity is not Severity.OK]


def only(facts: Facts) -> Diagnosis:
    """The one thing that is not ok; it says what to do, or is a note."""
    (diagnosis,) = unusual(facts)
    assert diagnosis.why or diagnosis.severity is Severity.NOTE
    assert diagnosis.remedy or diagnosis.severity is Severity.NOTE
    return diagnosis
