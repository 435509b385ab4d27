"""The catalogue: each entry is built, and judged as it says, by inspect and by a Router."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from vrrplib import ConfigError, Problem, Router, RouterConfig, inspect, parse
from vrrplib.election import actions, events
from vrrplib.lab.catalogue import BY_NAME
from vrrplib.lab.fuzz import CATALOGUE, PEERS, Answer, Entry, Scene, Specimen, Wrapping
from vrrplib.wire.checksum import ChecksumForm, internet_checksum

MAC = "02:00:00:00:00:02"
SCENES = {
    "v3-ipv4": Scene(vrid=51, addresses=["192.0.2.254", "192.0.2.253"], source="192.0.2.1", target="192.0.2.9"),
    "v3-ipv4-message-only": Scene(
        vrid=1, addresses=["10.0.0.254"], source="10.0.0.1", interval=0.2, form=ChecksumForm.MESSAGE_ONLY
    ),
    "v2": Scene(vrid=51, addresses=["192.0.2.254"], source="192.0.2.1", version=2, target="192.0.2.9"),
    "v2-two": Scene(vrid=255, addresses=["10.0.0.1", "10.0.0.2"], source="10.0.0.200", version=2, interval=3),
    "v3-ipv6": Scene(vrid=51, addresses=["fe80::51", "2001:db8::51"], source="fe80::1", target="fe80::9"),
}
BUILT = [
    pytest.param(scene, entry, specimen, id=f"{name}-{entry.name}")
    for (name, scene), entry in itertools.product(SCENES.items(), CATALOGUE)
    if (specimen := entry.build(scene)) is not None
]


@pytest.mark.parametrize(("scene", "entry", "specimen"), BUILT)
def test_an_entry_is_judged_as_it_says(scene: Scene, entry: Entry, specimen: Specimen) -> None:
    datagram = parse(specimen.frame(destination_mac=MAC))
    assert (datagram is None) is entry.unheard
    if datagram is None:
        return
    seen = inspect(datagram.payload, source=datagram.source, destination=datagram.destination, rules=scene.rules)
    problems = tuple(item.problem for item in seen.problems)
    if datagram.ttl != 255:
        problems = (Problem.TTL, *problems)
    assert problems == entry.problems
    assert tuple(item.problem for item in seen.notes) == entry.notes
    assert entry.valid is (not problems)
    if entry.breaks and entry.breaks in problems and datagram.ttl == 255:
        clauses = {item.problem: item.clause for item in seen.problems}
        assert clauses[entry.breaks] == entry.clause(scene.version)


@pytest.mark.parametrize(("scene", "entry", "specimen"), BUILT)
def test_a_router_takes_an_entry_or_not_as_it_says(scene: Scene, entry: Entry, specimen: Specimen) -> None:
    datagram = parse(specimen.frame(destination_mac=MAC))
    if datagram is None:
        return
    own = type(scene.source)(int(scene.source) + 1)
    config = RouterConfig(
        vrid=scene.vrid,
        addresses=scene.addresses,
        primary_address=own,
        advertisement_interval=scene.interval,
        rules=scene.rules,
    )
    router = Router(config)
    router.handle(events.Startup(), 0.0)
    done = router.receive(datagram, 1.0)
    assert next((item.reason for item in done if isinstance(item, actions.Discarded)), None) == entry.router
    # what is not discarded was heard: it moved the timer, unless it lost or says the same as silence
    assert router.statistics.advertisement_rcvd == (entry.router is None)


def test_every_entry_is_built_for_some_scene() -> None:
    assert {entry.name for _, entry, _ in (param.values for param in BUILT)} == set(BY_NAME)
    assert len(BY_NAME) == len(CATALOGUE) >= 90


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_an_entry_says_what_it_is(entry: Entry) -> None:
    assert entry.description
    assert not entry.description.endswith(".")
    assert set(entry.peers) <= set(PEERS)
    for version in entry.versions:
        assert all(isinstance(answer, Answer) for answer in entry.answers(version).values())
        if entry.breaks:
            assert entry.clause(version).startswith("RFC ")
    assert not entry.answers(3).keys() & {"vrrpd"}
    assert not entry.answers(2).keys() & {"govrrp"}


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_building_is_repeatable(entry: Entry) -> None:
    for scene in SCENES.values():
        assert entry.build(scene) == entry.build(scene)


def test_the_plain_frame_is_the_one_that_we_send() -> None:
    from vrrplib import advertisement_frame, virtual_mac

    for scene in SCENES.values():
        specimen = BY_NAME["plain"].build(scene)
        assert specimen
        assert specimen.frame() == advertisement_frame(specimen.datagram, virtual_mac(scene.vrid, scene.family))


def test_the_ip_header_is_as_it_was_asked_for() -> None:
    specimen = BY_NAME["plain"].build(SCENES["v2"])
    assert specimen
    whole = Specimen(specimen.datagram, Wrapping(options=b"\x01\x01\x01\x00", tos=7, flags=0x2001)).packet()
    assert (whole[0], whole[1], whole[6:8]) == (0x46, 7, b"\x20\x01")
    assert internet_checksum(whole[:24]) == 0
    assert Specimen(specimen.datagram, Wrapping(header_checksum=0xBEEF)).packet()[10:12] == b"\xbe\xef"


def test_a_unicast_frame_needs_a_mac() -> None:
    specimen = BY_NAME["unicast"].build(SCENES["v3-ipv4"])
    assert specimen
    with pytest.raises(ConfigError, match="destination_mac must be given"):
        specimen.frame()


def test_without_a_target_nothing_is_unicast() -> None:
    assert BY_NAME["unicast"].build(SCENES["v2-two"]) is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"version": 4}, "version must be 2 or 3, not 4"),
        ({"version": 2, "source": "fe80::1", "addresses": ["fe80::2"]}, "version must be 3 over IPv6, not 2"),
        ({"addresses": []}, "addresses must be one or more"),
        ({"addresses": ["fe80::1"]}, "of the source's family, IPv4, not fe80::1"),
        ({"target": "fe80::1"}, "of the source's family, IPv4, not fe80::1"),
        ({"interval": 0}, "interval must be 0.01-40.95 s in whole centiseconds, not 0"),
        ({"interval": 0.001}, "interval must be 0.01"),
        ({"version": 2, "interval": 1.5}, "interval must be 1-255 whole seconds, not 1.5"),
        ({"vrid": 256}, "vrid must be 0-255, not 256"),
        ({"priority": -1}, "priority must be 0-255, not -1"),
    ],
)
def test_a_scene_says_what_does_not_fit(fields: dict[str, Any], message: str) -> None:
    right: dict[str, Any] = {"vrid": 1, "addresses": ["192.0.2.254"], "source": "192.0.2.1"}
    with pytest.raises(ConfigError, match=message):
        Scene(**right | fields)
