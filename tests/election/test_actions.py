from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address
from typing import Any

import pytest

from tests.election.play import V2, V6, advertisement, config
from vrrplib.election import actions
from vrrplib.election.actions import (
    Activate,
    Announce,
    Deactivate,
    Discarded,
    Effect,
    HostChanged,
    HostFailed,
    LeftAlone,
    Ready,
    Reconfigure,
    Report,
    SendAdvertisement,
    Stalled,
    StateChanged,
    Warned,
)
from vrrplib.election.states import Reason, State
from vrrplib.errors import Problem
from vrrplib.wire.authentication import HMACTrailer, sign
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.packets import VRRPv3, decode, inspect

SOURCE = IPv4Address("192.0.2.3")
EFFECTS = [Activate(), Deactivate(), Reconfigure(config()), advertisement(config()), Announce(SOURCE)]
REPORTS = [
    StateChanged(State.BACKUP, State.ACTIVE, Reason.NO_RESPONSE),
    Discarded(Problem.TTL, SOURCE),
    Warned(Problem.INTERVAL, SOURCE),
    Stalled(1.5),
    Ready(),
    HostFailed("activate", "no such device", 19),
    HostChanged("link-lost", "vmac4-2-51 was removed", "repaired"),
    LeftAlone("eth0 has another MAC"),
]


def test_the_effects_are_a_closed_set() -> None:
    assert {type(effect) for effect in EFFECTS} == set(Effect.__args__)  # type: ignore[attr-defined]
    assert not any(isinstance(effect, Report) for effect in EFFECTS)


def test_every_report_is_a_report() -> None:
    made = {value for value in vars(actions).values() if isinstance(value, type) and issubclass(value, Report)}
    assert made == {type(report) for report in REPORTS} | {Report}


@pytest.mark.parametrize("action", [*EFFECTS, *REPORTS], ids=lambda action: type(action).__name__)
def test_an_action_is_a_value(action: Any) -> None:
    assert dataclasses.replace(action) == action
    assert hash(dataclasses.replace(action)) == hash(action)
    for field in dataclasses.fields(action):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(action, field.name, None)


@pytest.mark.parametrize("changes", [{}, V2, V6], ids=["v3", "v2", "ipv6"])
def test_an_advertisement_becomes_a_datagram_with_ttl_255(changes: dict[str, Any]) -> None:
    send = advertisement(config(**changes))
    datagram = send.datagram()
    assert (datagram.source, datagram.destination, datagram.ttl) == (send.source, send.destination, 255)
    decoded = decode(datagram.payload, source=datagram.source, destination=datagram.destination)
    assert decoded.replace() == send.packet


@pytest.mark.parametrize("form", list(ChecksumForm.EITHER))
def test_the_datagrams_checksum_has_the_form_that_the_action_names(form: ChecksumForm) -> None:
    datagram = advertisement(config(), form=form).datagram()
    found = inspect(datagram.payload, source=datagram.source, destination=datagram.destination)
    assert found.checksum_form == form


def test_a_checksum_that_is_given_is_sent_as_it_is() -> None:
    packet = VRRPv3(vrid=1, addresses=["192.0.2.100"], checksum=0)
    send = SendAdvertisement(packet, SOURCE, IPv4Address("224.0.0.18"), ChecksumForm.PSEUDO_HEADER)
    assert send.datagram().payload[6:8] == b"\0\0"


@pytest.mark.parametrize("form", list(ChecksumForm.EITHER))
def test_a_signed_datagram_has_the_checksum_of_the_form_too(form: ChecksumForm) -> None:
    send, scheme = advertisement(config(), form=form), HMACTrailer("k" * 32)
    signed = dataclasses.replace(send, scheme=scheme, sequence=7).datagram()
    assert signed == sign(scheme, send.packet, send.source, send.destination, sequence=7, form=form)
    assert signed.payload[6:8] == send.datagram().payload[6:8]


def test_an_advertisement_is_not_signed_and_a_failure_has_no_number_unless_they_are_given() -> None:
    send = advertisement(config())
    assert (send.scheme, send.sequence) == (None, 0)
    assert HostFailed("activate", "no such device").errno is None
