"""Authentication of what is heard, by the scheme that is configured; the other checks are in test_router.py."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.election.play import BACKUP, V2, V6, config
from vrrplib.election.actions import Discarded
from vrrplib.election.events import AdvertisementReceived, ConfigChanged, Startup
from vrrplib.election.hearing import Hearing, heard_interval
from vrrplib.election.router import Router
from vrrplib.errors import Problem
from vrrplib.rules import RFC2338, RFC3768, RFC5798, Verdict
from vrrplib.wire.addresses import Family, to_address
from vrrplib.wire.ah import AHStyle, AuthenticationHeader
from vrrplib.wire.authentication import CiscoMD5, HMACTrailer, Scheme, SimpleText, sign
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.packets import VRRPv2, VRRPv3, inspect

SOURCE = to_address("192.0.2.3")
TEXT, OTHER_TEXT = SimpleText("secret"), SimpleText("Secret")
AH, RFC_AH = AuthenticationHeader("secret"), AuthenticationHeader(bytes(16), AHStyle.RFC2402)
HMAC, CISCO = HMACTrailer("k" * 32), CiscoMD5("secret")


def received(scheme: Scheme | None, version: int = 2, *, sequence: int = 1, **changes: Any) -> Datagram:
    """An advertisement of priority 200, signed."""
    head = {"vrid": 1, "priority": 200, "addresses": config().ips} | changes
    packet = VRRPv2(**head) if version == 2 else VRRPv3(**head)
    if scheme is None:
        return Datagram(packet.encode(SOURCE, "224.0.0.18"), SOURCE, "224.0.0.18", 255)
    return sign(scheme, packet, SOURCE, "224.0.0.18", sequence=sequence)


def hearing(scheme: Scheme | None, unix_time: float = 0.0, **changes: Any) -> Hearing:
    return Hearing(config(authentication=scheme, **changes), unix_time)


@pytest.mark.parametrize(
    ("scheme", "version"),
    [(TEXT, 2), (AH, 2), (RFC_AH, 2), (CISCO, 2), (HMAC, 2), (HMAC, 3)],
    ids=["text", "ah", "ah-2402", "cisco", "hmac-2", "hmac-3"],
)
def test_what_is_signed_with_the_key_is_heard(scheme: Scheme, version: int) -> None:
    changes = V2 if version == 2 else {}
    heard = hearing(scheme, **changes).read(received(scheme, version), 0.0)
    assert isinstance(heard, AdvertisementReceived)
    assert heard.packet.priority == 200
    router = Router(config(authentication=scheme, **changes))
    router.handle(Startup(), 0.0)
    assert router.receive(received(scheme, version), 1.0) == ()
    assert router.active_source == SOURCE


@pytest.mark.parametrize(
    ("scheme", "sent", "problem"),
    [
        (TEXT, OTHER_TEXT, Problem.AUTHENTICATION),
        (TEXT, None, Problem.AUTH_TYPE),
        (TEXT, AH, Problem.AUTH_TYPE),
        (AH, AuthenticationHeader("Secret"), Problem.AUTHENTICATION),
        (AH, None, Problem.AUTH_TYPE),
        (AH, TEXT, Problem.AUTH_TYPE),
        (HMAC, HMACTrailer("K" * 32), Problem.AUTHENTICATION),
        (HMAC, None, Problem.AUTHENTICATION),
        (CISCO, CiscoMD5("Secret"), Problem.AUTHENTICATION),
        (None, TEXT, Problem.AUTH_TYPE),  # 3768 7.1: not the configured type, which is none
        (None, CISCO, Problem.AUTH_TYPE),
    ],
)
def test_what_is_not_is_discarded_and_changes_nothing(
    scheme: Scheme | None, sent: Scheme | None, problem: Problem
) -> None:
    router = Router(config(authentication=scheme, **V2))
    router.handle(Startup(), 0.0)
    before = router.deadline
    assert router.receive(received(sent), 1.0) == (Discarded(problem, SOURCE),)
    assert (router.state, router.deadline) == (BACKUP, before)
    assert router.statistics.discarded == {problem: 1}


@pytest.mark.parametrize("scheme", [AH, RFC_AH, HMAC], ids=["ah", "ah-2402", "hmac"])
def test_a_replay_is_discarded(scheme: Scheme) -> None:
    found = hearing(scheme, **V2)
    assert isinstance(found.read(received(scheme, sequence=5), 0.0), AdvertisementReceived)
    assert found.read(received(scheme, sequence=5), 0.0) is Problem.REPLAY
    assert isinstance(found.read(received(scheme, sequence=6), 0.0), AdvertisementReceived)


def test_a_clock_that_is_away_is_a_replay_where_there_is_a_window() -> None:
    careful = HMACTrailer("k" * 32, window=10)
    found = hearing(careful, unix_time=1_000_000.0)
    late, good = ((1_000_000 + 5 - away) << 32 for away in (11, 9))
    assert found.read(received(careful, 3, sequence=late), 5.0) is Problem.REPLAY
    assert isinstance(found.read(received(careful, 3, sequence=good), 5.0), AdvertisementReceived)


def test_a_new_key_begins_anew_and_the_same_key_does_not() -> None:
    found = hearing(AH, **V2)
    found.read(received(AH, sequence=5), 0.0)
    found.change(config(authentication=AH, priority=50, **V2))
    assert found.read(received(AH, sequence=5), 0.0) is Problem.REPLAY
    other = AuthenticationHeader("other")
    found.change(config(authentication=other, **V2))
    assert isinstance(found.read(received(other, sequence=1), 0.0), AdvertisementReceived)


def test_a_running_router_takes_a_new_key() -> None:
    router = Router(config(authentication=TEXT, **V2))
    router.handle(Startup(), 0.0)
    router.handle(ConfigChanged(config(authentication=OTHER_TEXT, **V2)), 1.0)
    assert router.receive(received(TEXT), 2.0) == (Discarded(Problem.AUTHENTICATION, SOURCE),)
    assert router.receive(received(OTHER_TEXT), 2.0) == ()


def test_the_order_of_authentication_and_vrid_is_that_of_each_rfc() -> None:
    # 2338 7.1 authenticates first, 3768 7.1 looks at the VRID first
    foreign = received(OTHER_TEXT, vrid=2)
    for rules, problem in ((RFC2338, Problem.AUTHENTICATION), (RFC3768, Problem.VRID)):
        router = Router(config(authentication=TEXT, rules=rules))
        router.handle(Startup(), 0.0)
        assert router.receive(foreign, 1.0) == (Discarded(problem, SOURCE),)


def test_a_foreign_vrid_is_foreign_whether_it_is_lower_or_higher() -> None:
    for ours, theirs in ((1, 2), (2, 1)):
        found = hearing(TEXT, vrid=ours, **V2)
        heard = found.read(received(OTHER_TEXT, vrid=theirs), 0.0)
        assert isinstance(heard, AdvertisementReceived)  # 3768 7.1: not our key, and no matter
        assert (Problem.VRID, Verdict.DISCARD) in found.screen(heard.packet, 100)[1]


def test_any_other_type_of_authentication_is_the_wrong_one() -> None:
    for auth_type, wrong in ((0, True), (1, False), (2, True)):
        _, problems = hearing(TEXT, **V2).screen(VRRPv2(vrid=1, addresses=config().ips, auth_type=auth_type), 100)
        assert problems == (((Problem.AUTH_TYPE, Verdict.DISCARD),) if wrong else ())


def test_what_follows_a_message_is_a_trailing_byte_where_the_scheme_has_no_trailer() -> None:
    strict = dataclasses.replace(RFC3768, name="exact", trailing_bytes=Verdict.DISCARD)
    signed = received(TEXT)
    longer = dataclasses.replace(signed, payload=signed.payload + bytes(4))
    assert isinstance(hearing(TEXT, rules=strict).read(signed, 0.0), AdvertisementReceived)
    assert hearing(TEXT, rules=strict).read(longer, 0.0) is Problem.TRAILING


@pytest.mark.parametrize("destination", ["192.0.2.1", "192.0.2.9", "224.0.0.18"])
def test_what_a_peer_sends_to_somebody_else_is_not_heard(destination: str) -> None:
    packet = VRRPv3(vrid=1, priority=200, addresses=config().ips)
    found = hearing(None, peers=[SOURCE])
    for to, heard in ((destination, False), ("192.0.2.2", True)):
        read = found.read(Datagram(packet.encode(SOURCE, to), SOURCE, to, 255), 0.0)
        assert isinstance(read, AdvertisementReceived) is heard


def test_the_first_problem_is_told() -> None:
    wrong = VRRPv3(vrid=1, type=2, addresses=config().ips, checksum=1).encode(SOURCE, "224.0.0.18")
    problems = [finding.problem for finding in inspect(wrong, source=SOURCE, destination="224.0.0.18").problems]
    assert problems == [Problem.TYPE, Problem.CHECKSUM]
    assert hearing(None).read(Datagram(wrong, SOURCE, "224.0.0.18", 255), 0.0) is Problem.TYPE


def test_version_2_is_a_double_for_as_long_as_version_3_is_remembered() -> None:
    two, three = (kind(vrid=1, addresses=config().ips) for kind in (VRRPv2, VRRPv3))
    lower, higher = to_address("192.0.2.1"), to_address("192.0.2.9")
    found = hearing(None, also=RFC3768)
    assert not found.is_double(two, SOURCE, 0.0, 2.0)  # no version 3 was ever heard
    assert not found.is_double(three, SOURCE, 1.0, 2.0)
    for source, now, double in (
        (SOURCE, 3.0, True),
        (SOURCE, 3.25, False),
        (lower, 1.0, False),
        (higher, 1.0, False),
    ):
        assert found.is_double(two, source, now, 2.0) is double


def test_a_trailer_is_no_trailing_byte_where_it_is_expected() -> None:
    strict = dataclasses.replace(RFC5798, name="exact", trailing_bytes=Verdict.DISCARD)
    assert isinstance(hearing(HMAC, rules=strict).read(received(HMAC, 3), 0.0), AdvertisementReceived)
    assert hearing(None, rules=strict).read(received(HMAC, 3), 0.0) is Problem.TRAILING


def test_an_empty_message_is_truncated() -> None:
    assert hearing(None).read(Datagram(b"", SOURCE, "224.0.0.18", 255), 0.0) is Problem.TRUNCATED


def test_the_addresses_may_come_in_any_order_and_each_counts_once() -> None:
    found = hearing(None)
    one, two = config().ips
    for addresses, wrong in (((one, two), False), ((two, one), False), ((one, one), True), ((one,), True)):
        _, problems = found.screen(VRRPv3(vrid=1, addresses=addresses), 100)
        assert ((Problem.ADDRESS, Verdict.WARN) in problems) is wrong


def test_all_that_is_wrong_is_told_in_the_order_of_each_rfc() -> None:
    wrong = VRRPv2(vrid=2, addresses=["192.0.2.9"], auth_type=1, advertisement_interval=9)
    first = [Problem.VRID, Problem.OWNER]
    for rules, order in (
        (RFC2338, [Problem.AUTH_TYPE, *first, Problem.ADDRESS, Problem.INTERVAL]),
        (RFC3768, [*first, Problem.AUTH_TYPE, Problem.ADDRESS, Problem.INTERVAL]),
    ):
        _, problems = hearing(None, rules=rules).screen(wrong, 255)
        assert [problem for problem, _ in problems] == order
    wrong_3 = VRRPv3(vrid=1, addresses=["192.0.2.9"], max_advertise_interval=9)
    _, problems = hearing(None).screen(wrong_3, 100)
    assert [problem for problem, _ in problems] == [Problem.INTERVAL, Problem.ADDRESS]


def test_the_local_priority_of_the_moment_counts() -> None:
    found, packet = hearing(None), VRRPv3(vrid=1, addresses=config().ips)
    for priority, owner in ((100, False), (255, True), (100, False)):
        _, problems = found.screen(packet, priority)
        assert (Problem.OWNER in [problem for problem, _ in problems]) is owner


def test_the_interval_that_is_learned_is_in_seconds() -> None:
    assert heard_interval(VRRPv3(vrid=1, max_advertise_interval=250, reserved=1), RFC5798) == 2.5
    assert heard_interval(VRRPv2(vrid=1, advertisement_interval=3), RFC3768) == 3.0


def test_what_repeats_is_read_once_and_judged_by_the_configuration_of_now() -> None:
    found = hearing(None)
    first = found.read(received(None, 3), 0.0)
    assert isinstance(first, AdvertisementReceived)
    assert found.read(received(None, 3), 1.0) is first
    assert found.screen(first.packet, 100) is found.screen(first.packet, 100)
    assert (Problem.OWNER, Verdict.WARN) in found.screen(first.packet, 255)[1]
    assert found.read(received(None, 3, max_advertise_interval=0), 1.0) is Problem.INTERVAL  # RFC 9568 erratum 8301
    assert found.read(received(None, 3), 1.0) is first
    found.change(config(vrid=2))
    assert (Problem.VRID, Verdict.DISCARD) in found.screen(first.packet, 100)[1]
    found.change(config(rules=RFC3768))
    assert found.read(received(None, 3), 1.0) is Problem.VERSION


def test_what_is_signed_is_verified_each_time() -> None:
    found = hearing(TEXT, **V2)
    assert isinstance(found.read(received(TEXT), 0.0), AdvertisementReceived)
    assert found.read(received(OTHER_TEXT), 0.0) is Problem.AUTHENTICATION
    assert isinstance(found.read(received(TEXT), 0.0), AdvertisementReceived)


def test_a_datagram_of_the_other_family_is_not_for_this_virtual_router() -> None:
    # RFC 9568 3: each family has virtual routers of its own; over IPv6 these bytes would mean other addresses
    datagram = dataclasses.replace(received(None, 3), source="fe80::3", destination="ff02::12")
    assert hearing(None).read(datagram, 0.0) is Problem.SOURCE
    datagram = received(None, 3)
    assert datagram.family is Family.IPV4
    assert hearing(None, **V6).read(datagram, 0.0) is Problem.SOURCE
