"""What the LAN says: who else speaks, and with which virtual MAC."""

from __future__ import annotations

from collections.abc import Iterator

from vrrplib.doctor.diagnosis import Diagnosis, note, ok, problem, warning
from vrrplib.doctor.facts import Facts, Protocol, Speaker
from vrrplib.wire.addresses import Family

_MOST_VRIDS = 255


def judge_lan(facts: Facts) -> Iterator[Diagnosis]:
    lan = facts.lan
    if lan.deaf is not None:
        yield note("lan", f"the LAN was not listened to: {lan.deaf}", "who else speaks VRRP there is not known")
        return
    if not lan.seconds:
        return
    used = {speaker.vrid for speaker in lan.speakers if speaker.protocol is not Protocol.HSRP}
    for speaker in lan.speakers:
        match speaker.protocol:
            case Protocol.VRRP:
                yield _vrrp(speaker, facts.wanted, used)
            case Protocol.CARP:
                yield _carp(speaker, facts.wanted, used)
            case Protocol.HSRP:
                yield note(
                    "foreign",
                    f"{_who(speaker)} speaks HSRP, group {speaker.vrid}",
                    "its virtual MACs are others: it does no harm, but it may be the LAN's gateway already",
                )
            case Protocol.UNKNOWN:
                yield _silent(speaker, facts.wanted, used)
    if not lan.speakers:
        yield ok("lan", f"in {lan.seconds:g} s nobody else spoke VRRP, CARP or HSRP, or had a virtual MAC")
    for querier in lan.queriers:
        yield note(
            "querier",
            f"{querier} asks for multicast memberships",
            "switches that snoop send the advertisements only to who answers; our transport does",
            "a Backup that hears nothing although the Active router sends: look at the switch's snooping table",
        )


def _who(speaker: Speaker) -> str:
    return f"{speaker.source} ({speaker.mac})" if speaker.source is not None else str(speaker.mac)


def _free(used: set[int]) -> str:
    free = next((vrid for vrid in range(1, _MOST_VRIDS + 1) if vrid not in used), None)
    return f"take a VRID that is free, such as {free}" if free else "no VRID is free: use another LAN, or --mac"


def _vrrp(speaker: Speaker, wanted: tuple[int, ...], used: set[int]) -> Diagnosis:
    version = f"VRRPv{speaker.version}" if speaker.version else "VRRP"
    priority = "" if speaker.priority is None else f", priority {speaker.priority}"
    addresses = f", for {', '.join(map(str, speaker.addresses))}" if speaker.addresses else ""
    what = f"{_who(speaker)} speaks {version}, IPv{speaker.family} VRID {speaker.vrid}{priority}{addresses}"
    if speaker.broken:
        return warning(
            "speaker",
            f"{what}: {speaker.broken}",
            "what it sends is not obeyed by routers that keep to the RFC",
            "find out what it is",
        )
    if speaker.vrid not in wanted:
        return note("speaker", what, "its VRID is taken on this LAN")
    return warning(
        "vrid-in-use",
        what,
        "the same VRID is the same virtual router, with the same virtual MAC: the one of higher priority has it",
        f"right if that is the other router of yours; else {_free(used)}",
    )


def _carp(speaker: Speaker, wanted: tuple[int, ...], used: set[int]) -> Diagnosis:
    what = f"{_who(speaker)} speaks CARP, VHID {speaker.vrid}"
    if speaker.vrid in wanted and speaker.family is Family.IPV4:
        return problem(
            "vrid-in-use",
            what,
            f"CARP and VRRP share the virtual MAC: frames to VRID {speaker.vrid} would go to it and to us by turns",
            _free(used),
        )
    return note("foreign", what, "its virtual MAC is that of the VRID of the same number: that one is taken")


def _silent(speaker: Speaker, wanted: tuple[int, ...], used: set[int]) -> Diagnosis:
    say = warning if speaker.vrid in wanted else note
    return say(
        "virtual-mac",
        f"{_who(speaker)}, the virtual MAC of IPv{speaker.family} VRID {speaker.vrid}, is in use, and nobody "
        "advertises it to all",
        "somebody has it: an Active router that advertises to unicast peers only, or one that is filtered",
        f"{_free(used)}, if it is not yours",
    )
