from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.oracle import PEERS, VECTORS, forms_of, params
from vrrplib.errors import ConfigError, DecodeError, Finding, Problem
from vrrplib.rules import (
    RFC2338,
    RFC3768,
    RFC5798,
    RFC9568,
    RFC9568_PUBLISHED,
    Rules,
    Verdict,
)
from vrrplib.wire.addresses import Family
from vrrplib.wire.checksum import ChecksumForm, internet_checksum, ones_sum, pseudo_header_sum
from vrrplib.wire.frames import parse
from vrrplib.wire.packets import Inspection, VRRPv2, VRRPv3, decode, inspect, is_carp

RULE_SETS = (None, RFC2338, RFC3768, RFC5798, RFC9568_PUBLISHED, RFC9568)
ADDRESSES = {
    Family.IPV4: {"source": "192.0.2.251", "destination": "224.0.0.18"},
    Family.IPV6: {"source": "fe80::c8", "destination": "ff02::12"},
}
V4, V6 = ADDRESSES[Family.IPV4], ADDRESSES[Family.IPV6]
ALL_FORMS = ChecksumForm.EITHER | ChecksumForm.MULTICAST_PSEUDO_HEADER


def names(findings: tuple[Finding, ...]) -> list[Problem]:
    return [finding.problem for finding in findings]


# -- the oracle's vectors --

# What these vectors are discarded for under each rule set; the others are accepted by the rules of their version.
DISCARDED: dict[str, dict[Rules, list[Problem]]] = {
    "P33": {RFC5798: [], RFC9568_PUBLISHED: [], RFC9568: [Problem.ADDRESS]},  # erratum 8300
    "N01": {key: [Problem.CHECKSUM] for key in (RFC5798, RFC9568_PUBLISHED, RFC9568)},
    "N02": {key: [Problem.TYPE] for key in (RFC5798, RFC9568_PUBLISHED, RFC9568)},
    "N03": {key: [Problem.VERSION] for key in (RFC3768, RFC5798, RFC9568_PUBLISHED, RFC9568)},
    "N04": {key: [Problem.LENGTH] for key in (RFC5798, RFC9568_PUBLISHED, RFC9568)},
    "N05": {RFC5798: [], RFC9568_PUBLISHED: [Problem.COUNT], RFC9568: [Problem.COUNT]},
    "N06": {RFC5798: [], RFC9568_PUBLISHED: [], RFC9568: [Problem.INTERVAL]},  # erratum 8301
    "N07": {key: [Problem.VRID] for key in (RFC5798, RFC9568_PUBLISHED, RFC9568)},
    "N08": {RFC2338: [], RFC3768: [Problem.LENGTH]},
    # Shorter than any version's head. The oracle calls it packet-length-error, as RFC 8347 does: see Statistics.
    "N09": {key: [Problem.TRUNCATED] for key in (RFC2338, RFC3768, RFC5798, RFC9568_PUBLISHED, RFC9568)},
}
# "policy" in the oracle, which means that no RFC decides: accepted here.
# P08 is "accept only if AH configured", which is the Router's check and not the codec's: see test_router.
# P22 is "accept only in unicast mode": what a transport receives, the codec takes.
POLICY = {"P08", "P10", "P22", "P24"}


def inspect_vector(vector: dict[str, Any], **changes: Any) -> Inspection:
    data = bytes.fromhex(vector["hex"])
    return inspect(data, **{"source": vector["src"], "destination": vector["dst"]} | changes)


def test_the_table_of_discards_is_that_of_the_oracle() -> None:
    accepted = {entry["id"] for entry in VECTORS["packets"] if entry["expect"] == "accept"}
    others = {entry["id"] for entry in VECTORS["packets"]} - accepted
    assert others == set(DISCARDED) | POLICY
    assert len(accepted) == 37


@pytest.mark.parametrize("vector", params(VECTORS["packets"]))
def test_a_vector_passes_or_is_discarded_as_the_oracle_says(vector: dict[str, Any]) -> None:
    version = int(vector["hex"][0])
    of_its_version = (RFC2338, RFC3768) if version == 2 else (RFC5798, RFC9568_PUBLISHED, RFC9568)
    for rules, problems in DISCARDED.get(vector["id"], {key: [] for key in of_its_version}).items():
        assert names(inspect_vector(vector, rules=rules).problems) == problems, rules.name
    by_default = inspect_vector(vector)
    default = RFC3768 if version == 2 else RFC9568
    assert by_default == inspect_vector(vector, rules=default)


@pytest.mark.parametrize("vector", params(VECTORS["packets"]))
def test_a_vectors_checksum_fits_the_forms_of_the_oracle(vector: dict[str, Any]) -> None:
    if vector["id"] == "N09":  # too short to have one
        assert inspect_vector(vector).checksum_form is None
        return
    assert inspect_vector(vector).checksum_form == forms_of(vector["verifies_as"])


@pytest.mark.parametrize("vector", params([entry for entry in VECTORS["packets"] if entry["id"] != "N09"]))
def test_a_vector_encodes_to_its_bytes(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    packet = inspect_vector(vector).packet
    assert packet is not None
    assert packet.encode() == data
    assert len(data) == vector["len"]
    assert packet.checksum == int(vector["cksum"], 16)


@pytest.mark.parametrize("vector", params([entry for entry in VECTORS["packets"] if entry["id"][0] == "P"]))
def test_a_vectors_checksum_is_computed_anew(vector: dict[str, Any]) -> None:
    packet = inspect_vector(vector).packet
    assert packet is not None
    form = forms_of(vector["verifies_as"])
    again = packet.replace().encode(vector["src"], vector["dst"], form=form).hex()
    if vector["id"] == "P24":
        assert again == vector["hex"].replace("ffff", "0000")  # accepted, never sent
    else:
        assert again == vector["hex"]


# vrid, priority, addresses, interval on the wire; written from the oracle's descriptions
FIELDS = {
    "P01": (1, 100, ["192.0.2.1"], 1),
    "P02": (10, 200, ["192.0.2.1", "192.0.2.2"], 1),
    "P03": (1, 255, ["192.168.0.1", "192.168.0.2", "192.168.0.3"], 1),
    "P04": (10, 0, ["192.0.2.1", "192.0.2.2"], 1),
    "P06": (42, 191, ["10.4.42.1", "10.4.42.2", "10.4.42.3"], 10),
    "P09": (255, 254, [f"198.51.100.{host}" for host in range(1, 21)], 255),
    "P10": (9, 100, [], 1),
    "P11a": (10, 200, ["192.0.2.1", "192.0.2.2"], 100),
    "P11b": (10, 200, ["192.0.2.1", "192.0.2.2"], 100),
    "P13a": (1, 255, ["192.0.2.1"], 100),
    "P14b": (1, 0, ["192.0.2.1"], 100),
    "P15a": (1, 100, ["192.0.2.1"], 4095),
    "P16b": (1, 100, ["192.0.2.1"], 1),
    "P17a": (1, 100, ["192.0.2.1"], 100),  # not 61540: the reserved bits are no part of it
    "P17b": (1, 100, ["192.0.2.1"], 100),
    "P19a": (5, 100, [f"10.0.{i // 250}.{1 + i % 250}" for i in range(255)], 100),
    "P25": (10, 100, ["fe80::1", "2001:db8::1"], 100),
    "P28": (10, 0, ["fe80::1"], 100),
    "P29": (10, 100, ["fe80::1"], 4095),
    "P31": (36, 100, ["fe80::3636"], 1000),
    "P32": (200, 120, ["fe80::100", *(f"2001:db8::{host:x}" for host in range(1, 20))], 100),
    "P33": (10, 100, ["2001:db8::1", "fe80::1"], 100),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_vector_decodes_to_the_fields_of_its_description(name: str) -> None:
    vector = next(entry for entry in VECTORS["packets"] if entry["id"] == name)
    packet = inspect_vector(vector).packet
    assert packet is not None
    interval = packet.advertisement_interval if isinstance(packet, VRRPv2) else packet.max_advertise_interval
    found = (packet.vrid, packet.priority, [str(address) for address in packet.addresses], interval)
    assert found == FIELDS[name]
    assert packet.version == int(vector["hex"][0])
    assert packet.count == len(packet.addresses)


@pytest.mark.parametrize(
    ("name", "auth_type", "auth_data"), [("P01", 0, bytes(8)), ("P05", 1, b"secret\0\0"), ("P06", 1, b"abcdefgh")]
)
def test_version_2_keeps_its_authentication_data(name: str, auth_type: int, auth_data: bytes) -> None:
    vector = next(entry for entry in VECTORS["packets"] if entry["id"] == name)
    packet = inspect_vector(vector).packet
    assert isinstance(packet, VRRPv2)
    assert (packet.auth_type, packet.auth_data) == (auth_type, auth_data)
    assert "secret" not in repr(packet)


def test_reserved_bits_are_noted_and_kept() -> None:
    vector = next(entry for entry in VECTORS["packets"] if entry["id"] == "P17a")
    found = inspect_vector(vector)
    assert isinstance(found.packet, VRRPv3)
    assert found.packet.reserved == 15
    assert names(found.notes) == [Problem.RESERVED]
    assert found.valid


def test_a_checksum_of_0xffff_is_accepted_and_noted() -> None:
    vector = next(entry for entry in VECTORS["packets"] if entry["id"] == "P24")
    assert names(inspect_vector(vector).notes) == [Problem.CHECKSUM]


@pytest.mark.parametrize("vector", params(VECTORS["carp"]))
def test_carp_is_told_from_vrrp_under_any_rules(vector: dict[str, Any]) -> None:
    # C4 too: it is known by its length and its fourth byte, and no key is needed.
    data = bytes.fromhex(vector["hex"])
    for rules in RULE_SETS:
        found = inspect(data, rules=rules)
        assert (found.packet, names(found.problems), found.checksum_form) == (None, [Problem.CARP], None)
    with pytest.raises(DecodeError) as caught:
        decode(data)
    assert caught.value.problem is Problem.CARP


def test_a_version_2_message_with_seven_addresses_is_not_taken_for_carp() -> None:
    data = VRRPv2(vrid=1, addresses=[f"192.0.2.{host}" for host in range(7)]).encode()
    assert len(data) == 44
    assert len(decode(data).addresses) == 7


# -- the peers' vectors --

# Bytes that carry no message of ours.
NOT_VRRP = {
    "holo-ip-eth-hdr": "headers alone",
    "holo-old-ipv4hdr": "headers alone",
    "lagopus-garp-ifmac": "a gratuitous ARP",
}
# A frame that its publisher cut short, though its IP header promises more: parse() refuses it, and the message is
# taken from the bytes that are there.
CUT_SHORT = {"html-v2-truncated"}
NEEDS_MORE = {
    "carp-hmac": "the HMAC of CARP belongs to wire.carp",
}
MESSAGES = [
    entry
    for entry in PEERS
    if entry["layer"] not in NEEDS_MORE
    and entry["id"] not in NOT_VRRP
    and (entry["proto"] == "vrrp" or "error" in entry["expect"])
]
WHOLE = [entry for entry in MESSAGES if "error" not in entry["expect"]]


def message_of(entry: dict[str, Any]) -> dict[str, Any]:
    """The arguments for ``inspect``: the message, with the addresses of its packet where they are known."""
    data = bytes.fromhex(entry["hex"])
    if entry["layer"] == "ip":  # as in a frame
        data = bytes(12) + (b"\x86\xdd" if entry["af"] == 6 else b"\x08\x00") + data
    if entry["layer"] in ("ip", "eth"):
        datagram = parse(data)
        if entry["id"] in CUT_SHORT:
            assert datagram is None
            data = data[34:]
        else:
            assert datagram is not None
            assert (str(datagram.source), str(datagram.destination)) == (entry["src"], entry["dst"])
            assert datagram.ttl == entry["ip"]["ttl"]
            data = datagram.payload
    family = Family(entry["af"])
    return {"data": data, "source": entry["src"], "destination": entry["dst"], "family": family}


def test_every_peers_vector_is_tested_or_named() -> None:
    rest = [entry for entry in PEERS if entry not in MESSAGES]
    assert len(MESSAGES) == 55
    assert {entry["id"] for entry in rest if entry["layer"] not in NEEDS_MORE} == {
        *NOT_VRRP,
        "gocarp-adv",
        "gocarp-adv-ip",
    }
    assert len([entry for entry in rest if entry["layer"] in NEEDS_MORE]) == 2


@pytest.mark.parametrize("name", NOT_VRRP)
def test_bytes_of_peers_that_are_no_message_do_not_parse(name: str) -> None:
    entry = next(entry for entry in PEERS if entry["id"] == name)
    data = bytes.fromhex(entry["hex"])
    assert parse(data if entry["layer"] == "eth" else bytes(12) + b"\x08\x00" + data) is None


@pytest.mark.parametrize("name", ["gocarp-adv", "gocarp-adv-ip"])
def test_the_carp_of_gocarp_is_carp(name: str) -> None:
    entry = next(entry for entry in PEERS if entry["id"] == name)
    assert names(inspect(**message_of(entry)).problems) == [Problem.CARP]


@pytest.mark.parametrize("entry", params([entry for entry in MESSAGES if "error" in entry["expect"]]))
def test_what_peers_call_short_is_truncated(entry: dict[str, Any]) -> None:
    found = inspect(**message_of(entry))
    assert (found.packet, names(found.problems)) == (None, [Problem.TRUNCATED])


@pytest.mark.parametrize("entry", params(WHOLE))
def test_a_peers_vector_decodes_to_its_fields_and_encodes_to_its_bytes(entry: dict[str, Any]) -> None:
    message = message_of(entry)
    packet, expect = inspect(**message).packet, entry["expect"]
    assert packet is not None
    assert packet.encode() == message["data"]
    assert len(message["data"]) == expect["len"]
    head = (packet.version, packet.type, packet.vrid, packet.priority, packet.count, packet.checksum)
    checksum = int(expect["checksum"], 16)
    assert head == (*(expect[name] for name in ("version", "type", "vrid", "priority", "count")), checksum)
    assert [str(address) for address in packet.addresses] == expect["addresses"]
    # The oracle reads bytes 4 and 5 of an unknown version as version 2 does, we as version 3 does.
    word = packet.encode()[4:6].hex()
    if "auth_type" in expect:
        assert word == f"{expect['auth_type']:02x}{expect['adver_int']:02x}"
    else:
        assert word == f"{expect['rsvd'] << 12 | expect['max_adver_int']:04x}"
    if isinstance(packet, VRRPv2):
        assert (packet.auth_type, packet.advertisement_interval) == (expect["auth_type"], expect["adver_int"])
    elif "rsvd" in expect:
        assert (packet.reserved, packet.max_advertise_interval) == (expect["rsvd"], expect["max_adver_int"])
    # Its "trailer" is all that follows the addresses; the first eight bytes in version 2 are the authentication.
    rest = packet.auth_data + packet.trailing if isinstance(packet, VRRPv2) else packet.trailing
    if not expect.get("truncated_addrs"):
        assert rest.hex() == expect["trailer"]


@pytest.mark.parametrize("entry", params(WHOLE))
def test_a_peers_checksum_fits_the_forms_of_the_oracle(entry: dict[str, Any]) -> None:
    message = message_of(entry)
    found, valid = inspect(**message), entry["valid_checksum"]
    without = valid["without_pseudo_header"] or valid.get("without_pseudo_header_excluding_trailer", False)
    with_ = valid["with_pseudo_header"]
    assert found.packet is not None
    if isinstance(with_, str) and found.packet.version != 2 and not without:
        # It may fit with a pseudo-header that the peer does not tell. The oracle says "unknown", we "not judged".
        assert found.checksum_form is None
        assert Problem.CHECKSUM not in names(found.problems)
        return
    wanted = ChecksumForm(0)
    wanted |= ChecksumForm.MESSAGE_ONLY if without else ChecksumForm(0)
    wanted |= ChecksumForm.PSEUDO_HEADER if with_ is True else ChecksumForm(0)
    assert found.checksum_form == wanted


# The peers' vectors in which RFC 3768 or RFC 9568 find something to discard, and what.
PEERS_PROBLEMS = {
    "osken-v2-buf": [Problem.CHECKSUM],
    "osken-v3-ipv6-serialize": [Problem.ADDRESS],  # a global address alone: erratum 8300, as in the next four
    "holo-v3-ipv6": [Problem.ADDRESS],
    "holo-version4": [Problem.VERSION, Problem.ADDRESS],
    "holo-conf-v3v6-p20": [Problem.ADDRESS],
    "scapy-v3-ipv6-ck": [Problem.ADDRESS],
    "pcpp-v2": [Problem.LENGTH],  # no authentication data
    "pcpp-notvrrp": [Problem.VERSION, Problem.TYPE, Problem.LENGTH],
    "dpkt-v0-zero": [Problem.VERSION, Problem.TYPE, Problem.VRID, Problem.COUNT, Problem.INTERVAL],
    "scapy-v3-ipv6": [Problem.LENGTH],
    "lagopus-type2": [Problem.TYPE],
    "lagopus-count0": [Problem.COUNT],
    "netget-short-addr": [Problem.LENGTH, Problem.CHECKSUM],
    "netget-type2": [Problem.TYPE, Problem.LENGTH, Problem.CHECKSUM],
    "pdis-count0": [Problem.COUNT],
    "pdis-v2-trunc-auth": [Problem.LENGTH, Problem.CHECKSUM],
    "pdis-v1": [Problem.VERSION, Problem.COUNT],
    "html-v2-truncated": [Problem.LENGTH],
}


@pytest.mark.parametrize("entry", params(WHOLE))
def test_a_peers_vector_is_discarded_for_known_reasons_only(entry: dict[str, Any]) -> None:
    assert names(inspect(**message_of(entry)).problems) == PEERS_PROBLEMS.get(entry["id"], [])


# -- the rules, one by one --


@pytest.mark.parametrize("size", range(8))
def test_fewer_than_eight_bytes_are_truncated(size: int) -> None:
    found = inspect(bytes.fromhex("3101640100640000")[:size])
    assert (found.packet, names(found.problems)) == (None, [Problem.TRUNCATED])
    assert f"not {size}" in str(found.problems[0])


def test_all_problems_are_listed_in_the_order_of_the_checks() -> None:
    data = VRRPv3(
        vrid=0,
        version=4,
        type=2,
        count=2,
        addresses=["2001:db8::1"],
        max_advertise_interval=0,
        checksum=1,
        reserved=1,
    ).encode()
    found = inspect(data, **V6)
    assert names(found.problems) == [
        Problem.VERSION,
        Problem.TYPE,
        Problem.LENGTH,
        Problem.CHECKSUM,
        Problem.VRID,
        Problem.ADDRESS,
        Problem.INTERVAL,
    ]
    assert names(found.notes) == [Problem.RESERVED]
    with pytest.raises(DecodeError) as caught:
        decode(data, **V6)
    assert caught.value.findings == found.problems
    assert caught.value.problem is Problem.VERSION


def test_a_finding_names_the_value_what_is_allowed_and_the_clause() -> None:
    data = VRRPv3(vrid=0, addresses=["192.0.2.1"]).encode(form=ChecksumForm.MESSAGE_ONLY)
    assert str(inspect(data).problems[0]) == "vrid must be 1-255, not 0 (RFC 9568 5.2.3)"


@pytest.mark.parametrize("rules", [RFC2338, RFC3768])
@pytest.mark.parametrize("auth_type", [0, 1, 2, 3, 255])
def test_version_2_knows_three_kinds_of_authentication(rules: Rules, auth_type: int) -> None:
    data = VRRPv2(vrid=1, addresses=["192.0.2.1"], auth_type=auth_type).encode()
    assert names(inspect(data, rules=rules).problems) == ([] if auth_type < 3 else [Problem.AUTH_TYPE])


def test_version_2_over_ipv6_is_a_wrong_version() -> None:
    data = VRRPv2(vrid=1, addresses=["192.0.2.1"]).encode()
    assert names(inspect(data, family=Family.IPV6).problems) == [Problem.VERSION]


@pytest.mark.parametrize(
    ("rules", "data"),
    [(RFC9568, VRRPv2(vrid=1).encode()), (RFC3768, VRRPv3(vrid=1).encode("192.0.2.1", "224.0.0.18"))],
)
def test_a_version_that_the_rules_do_not_speak_is_wrong(rules: Rules, data: bytes) -> None:
    assert names(inspect(data, rules=rules, **V4).problems)[0] is Problem.VERSION


@pytest.mark.parametrize("rules", [RFC5798, RFC9568_PUBLISHED, RFC9568])
def test_trailing_bytes_are_kept_and_noted(rules: Rules) -> None:
    data = VRRPv3(vrid=1, addresses=["192.0.2.1"], trailing=b"more").encode(form=ChecksumForm.MESSAGE_ONLY)
    found = inspect(data, rules=rules)
    assert (names(found.problems), names(found.notes)) == ([], [Problem.TRAILING])
    assert found.packet is not None
    assert found.packet.trailing == b"more"


@pytest.mark.parametrize("covers", [True, False])
def test_a_checksum_may_cover_the_trailing_bytes_or_not(covers: bool) -> None:
    packet = VRRPv3(vrid=1, addresses=["192.0.2.1"])
    data = packet.replace(trailing=b"more").encode(**V4) if covers else packet.encode(**V4) + b"more"
    found = inspect(data, **V4)
    assert (found.checksum_form, found.covers_trailing, found.valid) == (ChecksumForm.PSEUDO_HEADER, covers, True)


@pytest.mark.parametrize("covers", [True, False])
def test_a_form_that_fits_and_is_not_accepted_is_named_with_what_it_covers(covers: bool) -> None:
    packet = VRRPv3(vrid=1, addresses=["192.0.2.1"])
    data = packet.replace(trailing=b"more").encode(**V4) if covers else packet.encode(**V4) + b"more"
    found = inspect(data, **V4, accept_checksum=ChecksumForm.MESSAGE_ONLY)
    assert (found.checksum_form, found.covers_trailing) == (ChecksumForm.PSEUDO_HEADER, covers)
    assert names(found.problems) == [Problem.CHECKSUM]


def test_a_sum_that_fits_nothing_covers_nothing() -> None:
    data = VRRPv3(vrid=1, addresses=["192.0.2.1"], trailing=b"more", checksum=1).encode()
    found = inspect(data, **V4)
    assert (found.checksum_form, found.covers_trailing) == (ChecksumForm(0), None)


def test_a_short_message_yields_the_whole_addresses_that_are_there() -> None:
    data = VRRPv3(vrid=1, count=3, addresses=["192.0.2.1"], trailing=b"\xc0\0", checksum=0).encode()
    packet = inspect(data).packet
    assert isinstance(packet, VRRPv3)
    assert (packet.count, packet.addresses, packet.trailing) == (3, (IPv4Address("192.0.2.1"),), b"\xc0\0")


def test_in_version_2_what_follows_the_addresses_is_authentication_first() -> None:
    data = VRRPv2(vrid=1, addresses=["192.0.2.1"], auth_data=b"12345678", trailing=b"9").encode()
    packet = inspect(data).packet
    assert isinstance(packet, VRRPv2)
    assert (packet.auth_data, packet.trailing) == (b"12345678", b"9")
    short = inspect(data[:15]).packet
    assert isinstance(short, VRRPv2)
    assert (short.auth_data, short.trailing) == (b"123", b"")


def test_the_order_is_that_of_each_rfc() -> None:
    # RFC 2338 7.1 checks the authentication before the VRID, RFC 3768 7.1 after it
    data = VRRPv2(vrid=0, auth_type=9, addresses=["192.0.2.1"]).encode()
    assert names(inspect(data, rules=RFC2338).problems) == [Problem.AUTH_TYPE, Problem.VRID]
    assert names(inspect(data, rules=RFC3768).problems) == [Problem.VRID, Problem.AUTH_TYPE]
    # RFC 9568 7.1, and then its errata by number
    count_0 = VRRPv3(vrid=0, type=2, max_advertise_interval=0, checksum=9).encode()
    assert names(inspect(count_0, **V4).problems) == [
        Problem.TYPE,
        Problem.CHECKSUM,
        Problem.VRID,
        Problem.COUNT,
        Problem.INTERVAL,
    ]


@pytest.mark.parametrize(
    ("packet", "rules", "finding"),
    [
        (VRRPv3(vrid=1), RFC9568, "address count must be 1-255, not 0 (RFC 9568 erratum 8299)"),
        (VRRPv3(vrid=1), RFC9568_PUBLISHED, "address count must be 1-255, not 0 (RFC 9568 5.2.5)"),
        (
            VRRPv3(vrid=1, addresses=["192.0.2.1"], max_advertise_interval=0),
            RFC9568,
            "interval must be 1-4095 centiseconds, not 0 (RFC 9568 erratum 8301)",
        ),
        (
            VRRPv3(vrid=1, addresses=["2001:db8::1"]),
            RFC9568,
            "the first IPv6 address must be link-local, not 2001:db8::1 (RFC 9568 erratum 8300)",
        ),
        (
            VRRPv2(vrid=1, auth_type=254, addresses=["192.0.2.1"]),
            RFC3768,
            "authentication type must be one of 0, 1, 2, not 254, which is Cisco's MD5 (RFC 3768 5.3.6)",
        ),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_problem_names_its_clause_or_erratum(packet: VRRPv2 | VRRPv3, rules: Rules, finding: str) -> None:
    way = V6 if packet.addresses and packet.addresses[0].version == 6 else V4
    assert [str(item) for item in inspect(packet.encode(**way), **way, rules=rules).problems] == [finding]


@pytest.mark.parametrize(
    ("packet", "note"),
    [
        (
            VRRPv2(vrid=1, addresses=["192.0.2.1"], advertisement_interval=0),
            "interval must be 1-255 seconds, not 0 (RFC 3768 5.3.7)",
        ),
        (
            VRRPv2(vrid=1, addresses=["192.0.2.1"], auth_data=b"secret\0\0"),
            "authentication data must be zero with type 0; 6 bytes of it are not (RFC 3768 5.3.10)",
        ),
        (
            VRRPv3(vrid=1, addresses=["192.0.2.1"], trailing=bytes(6)),
            "no bytes must follow the 1 announced addresses, not 6, "
            "all zero, as Ethernet padding is (RFC 9568 7.1)",
        ),
        *(
            (
                VRRPv3(vrid=1, addresses=["192.0.2.1", address]),
                f"a virtual address must be a unicast address of a host on the LAN, not {address} (RFC 9568 5.2.9)",
            )
            for address in ("0.0.0.0", "127.0.0.1", "224.0.0.18", "255.255.255.255")
        ),
        *(
            (
                VRRPv3(vrid=1, addresses=["fe80::1", address]),
                f"a virtual address must be a unicast address of a host on the LAN, not {address} (RFC 9568 5.2.9)",
            )
            for address in ("::", "::1", "ff02::12")
        ),
    ],
    ids=str,
)
def test_what_no_rule_discards_and_is_odd_is_a_note(packet: VRRPv2 | VRRPv3, note: str) -> None:
    way = V6 if packet.addresses[0].version == 6 else V4
    found = inspect(packet.encode(**way), **way)
    assert (found.problems, [str(item) for item in found.notes]) == ((), [note])


@pytest.mark.parametrize("addresses", [["fe80::1", "fe80::2"], ["fe80::1", "2001:db8::1", "fe80::2", "fd00::1"]])
def test_scopes_may_be_mixed_after_the_first_address(addresses: list[str]) -> None:
    data = VRRPv3(vrid=1, addresses=addresses).encode(**V6)
    assert inspect(data, **V6) == Inspection(decode(data, **V6), (), (), ChecksumForm.PSEUDO_HEADER)


@pytest.mark.parametrize("count", [1, 255])
@pytest.mark.parametrize("family", Family)
def test_from_one_address_to_255_all_are_read(family: Family, count: int) -> None:
    first = int(IPv4Address("10.0.0.1")) if family is Family.IPV4 else int(IPv6Address("fe80::1"))
    kind = IPv4Address if family is Family.IPV4 else IPv6Address
    held = tuple(kind(first + at) for at in range(count))
    data = VRRPv3(vrid=1, addresses=held).encode(**ADDRESSES[family])
    assert decode(data, **ADDRESSES[family]).addresses == held
    short = inspect(data[:-1], **ADDRESSES[family])
    assert Problem.LENGTH in names(short.problems)
    assert f"{count} addresses are announced, but there are bytes for {count - 1}" in short.problems[0].message
    assert len(short.packet.addresses) == count - 1  # type: ignore[union-attr]


def test_a_rule_set_may_discard_what_trails_and_know_other_authentication() -> None:
    packet = VRRPv2(vrid=1, addresses=["192.0.2.1"], auth_type=254, trailing=bytes(30))
    ours = dataclasses.replace(RFC3768, name="ours", auth_types=(0, 254), trailing_bytes=Verdict.DISCARD)
    found = inspect(packet.encode(), rules=ours)
    assert names(found.problems) == [Problem.TRAILING]
    assert found.covers_trailing is True  # Cisco's TLV is inside the sum
    plain = VRRPv2(vrid=1, addresses=["192.0.2.1"]).encode()
    assert names(inspect(plain, rules=dataclasses.replace(ours, auth_types=(254,))).problems) == [Problem.AUTH_TYPE]


def test_a_neighbour_may_take_other_types_and_no_second_form_of_zero() -> None:
    odd = VRRPv3(vrid=1, addresses=["192.0.2.1"], type=2)
    ours = dataclasses.replace(RFC5798, name="no look", wrong_type=Verdict.IGNORE)
    found = inspect(odd.encode(**V4), **V4, rules=ours)
    assert (names(found.problems), names(found.notes)) == ([], [])
    sums = VRRPv3(vrid=1, addresses=["192.0.2.1"]).encode(**V4, form=ChecksumForm.MESSAGE_ONLY)
    rest = ~internet_checksum(sums[:6] + bytes(2) + sums[8:]) & 0xFFFF
    # an address that makes the sum 0xffff, and so the checksum 0x0000 or 0xffff
    sums = sums[:10] + (int.from_bytes(sums[10:12], "big") + 0xFFFF - rest).to_bytes(2, "big")
    strict = dataclasses.replace(RFC5798, name="compares", ones_checksum=Verdict.DISCARD)
    for checksum, rules, problems in (
        (b"\xff\xff", RFC5798, []),
        (b"\xff\xff", strict, [Problem.CHECKSUM]),
        (b"\0\0", strict, []),
    ):
        assert names(inspect(sums[:6] + checksum + sums[8:], **V4, rules=rules).problems) == problems


@pytest.mark.parametrize("family", Family)
def test_a_neighbour_may_take_so_many_addresses_or_bytes_and_no_more(family: Family) -> None:
    held = [f"10.0.0.{at}" if family is Family.IPV4 else f"fe80::{at}" for at in range(1, 23)]
    few = dataclasses.replace(RFC5798, name="few", most_addresses=20)
    short = dataclasses.replace(RFC5798, name="short", longest_frame=128)
    most = 21 if family is Family.IPV4 else 4
    for _ in range(3):  # known messages are answered another way
        for count, rules, problems in (
            (20, few, []),
            (21, few, [Problem.COUNT]),
            (most, short, []),
            (most + 1, short, [Problem.LENGTH]),
        ):
            data = VRRPv3(vrid=1, addresses=held[:count]).encode(**ADDRESSES[family])
            assert names(inspect(data, **ADDRESSES[family], rules=rules).problems) == problems


# -- CARP --


def carp_like(first: int) -> bytes:
    """36 bytes with seven words of authentication after the first byte, and CARP's checksum."""
    data = bytes([first, 1, 0, 7, 0, 1, 0, 0]) + bytes(range(28))
    return data[:6] + internet_checksum(data).to_bytes(2, "big") + data[8:]


@pytest.mark.parametrize("first", range(0, 256, 5))
def test_carp_is_told_whatever_its_first_byte_says_where_no_vrrp_looks_like_it(first: int) -> None:
    version = first >> 4
    # over IPv4, seven addresses in version 3 are 36 bytes too
    assert is_carp(carp_like(first)) is (version == 2)
    assert is_carp(carp_like(first), Family.IPV6)
    damaged = carp_like(first)[:-1] + b"\0"
    assert is_carp(damaged, Family.IPV6) is (version == 2)


def test_seven_addresses_in_version_3_are_no_carp() -> None:
    data = VRRPv3(vrid=1, addresses=[f"192.0.2.{host}" for host in range(1, 8)]).encode(**V4)
    assert len(data) == 36
    assert inspect(data, **V4).valid


# -- which checksum is good --


@pytest.mark.parametrize("accepted", [*ALL_FORMS, ChecksumForm.EITHER, ALL_FORMS])
@pytest.mark.parametrize("sent", list(ALL_FORMS))
def test_an_ipv4_checksum_is_good_exactly_when_its_form_is_accepted(
    sent: ChecksumForm, accepted: ChecksumForm
) -> None:
    # unicast, where the three forms differ
    way = {"source": "192.0.2.251", "destination": "192.0.2.252"}
    data = VRRPv3(vrid=1, addresses=["192.0.2.1"]).encode(**way, form=sent)
    found = inspect(data, **way, accept_checksum=accepted)
    assert found.checksum_form == sent
    assert found.valid is (sent in accepted)
    assert names(found.problems) == ([] if sent in accepted else [Problem.CHECKSUM])


def test_to_the_group_the_multicast_form_is_the_pseudo_header_form() -> None:
    packet = VRRPv3(vrid=1, addresses=["192.0.2.1"])
    data = packet.encode(**V4, form=ChecksumForm.MULTICAST_PSEUDO_HEADER)
    assert data == packet.encode(**V4)
    assert inspect(data, **V4).checksum_form == ChecksumForm.PSEUDO_HEADER


@pytest.mark.parametrize("accepted", list(ALL_FORMS))
def test_version_2_is_judged_over_the_message_whatever_is_accepted(accepted: ChecksumForm) -> None:
    data = VRRPv2(vrid=1, addresses=["192.0.2.1"]).encode()
    assert inspect(data, accept_checksum=accepted).checksum_form == ChecksumForm.MESSAGE_ONLY
    assert names(inspect(data[:-1] + b"1", accept_checksum=accepted).problems) == [Problem.CHECKSUM]


@pytest.mark.parametrize("accepted", list(ALL_FORMS))
def test_ipv6_is_judged_with_its_pseudo_header_whatever_is_accepted(accepted: ChecksumForm) -> None:
    packet = VRRPv3(vrid=1, addresses=["fe80::1"])
    for form in ALL_FORMS:
        data = packet.encode(**V6, form=form)
        assert inspect(data, **V6, accept_checksum=accepted).checksum_form == ChecksumForm.PSEUDO_HEADER
    without = packet.replace(checksum=int.from_bytes(_message_only(packet), "big")).encode()
    found = inspect(without, **V6, accept_checksum=accepted)
    assert (found.checksum_form, names(found.problems)) == (ChecksumForm.MESSAGE_ONLY, [Problem.CHECKSUM])


def _message_only(packet: VRRPv3) -> bytes:
    """The checksum that an IPv6 message would have, were it summed alone; encode() never does that."""
    blank = packet.replace(checksum=0).encode()
    total = sum(int.from_bytes(blank[at : at + 2], "big") for at in range(0, len(blank), 2))
    return (~(total % 65535) & 0xFFFF).to_bytes(2, "big")


@pytest.mark.parametrize("given", [{}, {"source": "192.0.2.251"}, {"destination": "224.0.0.18"}])
def test_a_checksum_that_needs_addresses_is_not_judged_without_them(given: dict[str, str]) -> None:
    data = VRRPv3(vrid=1, addresses=["192.0.2.1"]).encode(**V4)
    found = inspect(data, **given)
    assert (found.checksum_form, found.valid, found.covers_trailing) == (None, True, None)


def test_a_message_only_checksum_is_judged_without_addresses() -> None:
    data = VRRPv3(vrid=1, addresses=["192.0.2.1"]).encode(form=ChecksumForm.MESSAGE_ONLY)
    assert inspect(data).checksum_form == ChecksumForm.MESSAGE_ONLY
    wrong = data[:-1] + b"\x02"
    found = inspect(wrong, accept_checksum=ChecksumForm.MESSAGE_ONLY)
    assert (found.checksum_form, names(found.problems)) == (ChecksumForm(0), [Problem.CHECKSUM])


def test_no_checksum_is_judged_when_none_is_asked_for() -> None:
    data = VRRPv3(vrid=1, addresses=["192.0.2.1"], checksum=1).encode()
    found = inspect(data, **V4, accept_checksum=None)
    assert (found.checksum_form, found.problems) == (None, ())


def test_a_checksum_problem_names_the_form_that_would_fit() -> None:
    data = VRRPv3(vrid=1, addresses=["192.0.2.1"]).encode(**V4)
    found = inspect(data, **V4, accept_checksum=ChecksumForm.MESSAGE_ONLY)
    assert "fits no accepted form (message-only); the pseudo-header form, which fits" in found.problems[0].message


# -- the family --


@pytest.mark.parametrize(
    ("arguments", "addresses"),
    [
        ({}, 4),
        ({"family": Family.IPV6}, 1),
        ({"source": "fe80::1"}, 1),
        ({"destination": "ff02::12"}, 1),
        ({"source": "192.0.2.1", "destination": "224.0.0.18"}, 4),
        ({"source": "fe80::1", "destination": "ff02::12", "family": Family.IPV4}, 4),
    ],
    ids=str,
)
def test_the_family_is_given_or_that_of_source_or_destination(arguments: dict[str, Any], addresses: int) -> None:
    packet = inspect(bytes.fromhex("3101640400640000") + bytes(16), **arguments).packet
    assert packet is not None
    assert len(packet.addresses) == addresses


@pytest.mark.parametrize("name", ["source", "destination"])
def test_an_address_argument_that_is_none_is_the_callers_error(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} must be"):
        inspect(bytes(8), **{name: "router"})  # type: ignore[arg-type]


# -- properties --

MESSAGES_LIKE = st.one_of(
    st.binary(max_size=64),
    # a likely head, and anything after it
    st.builds(
        lambda first, count, word, rest: bytes([first, 1, 100, count]) + word + rest,
        st.sampled_from([0x21, 0x31, 0x22, 0x32, 0x41, 0x01]),
        st.integers(0, 8),
        st.binary(min_size=4, max_size=4),
        st.binary(max_size=64),
    ),
)
ARGUMENTS = st.fixed_dictionaries(
    {
        "family": st.sampled_from([None, Family.IPV4, Family.IPV6]),
        "source": st.sampled_from([None, "192.0.2.251", "fe80::c8"]),
        "destination": st.sampled_from([None, "224.0.0.18", "192.0.2.252", "ff02::12"]),
        "accept_checksum": st.sampled_from([None, *ALL_FORMS, ChecksumForm.EITHER]),
        "rules": st.sampled_from(RULE_SETS),
    }
)


def addresses_of(family: Family, most: int = 5) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.ip_addresses(v=int(family)), min_size=1, max_size=most)


@st.composite
def valid_packets(draw: st.DrawFn) -> tuple[VRRPv2 | VRRPv3, Family]:
    """A packet that RFC 3768 or RFC 9568 accepts, and the family that it goes over."""
    head = {"vrid": draw(st.integers(1, 255)), "priority": draw(st.integers(0, 255))}
    if draw(st.booleans()):
        return VRRPv2(
            **head,
            addresses=draw(addresses_of(Family.IPV4)),
            advertisement_interval=draw(st.integers(0, 255)),
            auth_type=draw(st.integers(0, 2)),
            auth_data=draw(st.binary(min_size=8, max_size=8)),
            trailing=draw(st.binary(max_size=4)),
        ), Family.IPV4
    family = draw(st.sampled_from(Family))
    first = ["fe80::1"] if family is Family.IPV6 else []
    return VRRPv3(
        **head,
        addresses=[*first, *draw(addresses_of(family))],
        max_advertise_interval=draw(st.integers(1, 4095)),
        reserved=draw(st.integers(0, 15)),
        trailing=draw(st.binary(max_size=4)),
    ), family


@given(MESSAGES_LIKE, ARGUMENTS)
@example(bytes(8), {})
@example(b"\x21\x01\x02\x07" + bytes(32), {})
def test_inspect_never_raises_and_decode_raises_exactly_when_it_lists_a_problem(
    data: bytes, arguments: dict[str, Any]
) -> None:
    found = inspect(data, **arguments)
    if found.problems:
        with pytest.raises(DecodeError) as caught:
            decode(data, **arguments)
        assert caught.value.findings == found.problems
    else:
        assert decode(data, **arguments) == found.packet
    assert found.valid is not bool(found.problems)


@given(MESSAGES_LIKE, ARGUMENTS)
def test_every_packet_that_inspect_yields_encodes_to_the_same_bytes(data: bytes, arguments: dict[str, Any]) -> None:
    found = inspect(data, **arguments)
    if found.packet is None:
        assert names(found.problems) in ([Problem.TRUNCATED], [Problem.CARP])
        assert (len(data) < 8) is (names(found.problems) == [Problem.TRUNCATED])
    else:
        assert found.packet.encode() == data


@given(valid_packets(), st.sampled_from(list(ChecksumForm.EITHER)))
def test_decoding_what_was_encoded_gives_the_packet_back(
    made: tuple[VRRPv2 | VRRPv3, Family], form: ChecksumForm
) -> None:
    packet, family = made
    data = packet.encode(**ADDRESSES[family], form=form)
    decoded = decode(data, **ADDRESSES[family])
    assert decoded.replace() == packet
    assert decoded.encode() == data
    assert decoded.count == len(packet.addresses)


@given(valid_packets(), st.sampled_from(list(ChecksumForm.EITHER)), st.data())
def test_one_flipped_bit_is_always_found(
    made: tuple[VRRPv2 | VRRPv3, Family], form: ChecksumForm, data: st.DataObject
) -> None:
    packet, family = made
    rules = RFC3768 if isinstance(packet, VRRPv2) else RFC9568
    sent = packet.encode(**ADDRESSES[family], form=form)
    bit = data.draw(st.integers(0, len(sent) * 8 - 1))
    damaged = (int.from_bytes(sent, "big") ^ 1 << bit).to_bytes(len(sent), "big")
    found = inspect(damaged, **ADDRESSES[family], accept_checksum=form, rules=rules)
    if found.covers_trailing is False:
        # Bytes after the message need not be covered: a flipped bit there, or one that shortens the address list
        # to where the sum fits by chance, shows in nothing but the note.
        assert Problem.TRAILING in names(found.notes)
        return
    assert Problem.CHECKSUM in names(found.problems) or Problem.CARP in names(found.problems)


# -- what no sum can find: docs/checksums.md --


def flipped(data: bytes, *bits: int) -> bytes:
    """``data`` with bits inverted, counted from the first."""
    number = int.from_bytes(data, "big")
    for bit in bits:
        number ^= 1 << len(data) * 8 - 1 - bit
    return number.to_bytes(len(data), "big")


def turns_into_the_other(source: str, count: int) -> bool:
    """The derivation: the pseudo-header is worth plus or minus a power of two, modulo 65535."""
    total = pseudo_header_sum(IPv4Address(source), IPv4Address("224.0.0.18"), 8 + 4 * count) % 65535
    return any((total - sign * 2**bit) % 65535 == 0 for sign in (1, -1) for bit in range(16))


def undetected(source: str, count: int) -> list[int]:
    """The bits of some advertisements that, flipped one at a time, turn a checksum of one form into the other."""
    way = {"source": source, "destination": "224.0.0.18"}
    found = []
    for priority, form in ((0xAA, True), (0x55, True), (0xAA, False), (0x55, False)):
        packet = VRRPv3(
            vrid=priority, priority=priority, addresses=["170.170.85.85", "85.85.170.170"][:count] * (3 - count)
        )
        packet = packet.replace(addresses=packet.addresses[:count], max_advertise_interval=0x5A5)
        data = packet.encode(**way, form=ChecksumForm.PSEUDO_HEADER if form else ChecksumForm.MESSAGE_ONLY)
        for bit in range(len(data) * 8):
            seen = inspect(flipped(data, bit), **way)
            if not seen.problems:
                found.append(bit)
    return found


def test_with_either_a_flip_can_turn_one_form_into_the_other() -> None:
    way = {"source": "10.0.149.113", "destination": "224.0.0.18"}
    sent = VRRPv3(vrid=1, priority=100, addresses=["10.0.149.1"]).encode(**way)
    damaged = flipped(sent, 16)  # the highest bit of the priority
    assert decode(damaged, **way).priority == 228
    assert inspect(damaged, **way).checksum_form == ChecksumForm.MESSAGE_ONLY
    for form in ChecksumForm.EITHER:  # either of them alone finds it
        assert names(inspect(damaged, **way, accept_checksum=form).problems)[:1] == (
            [Problem.CHECKSUM] if form is ChecksumForm.PSEUDO_HEADER else []
        )


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("source", ["10.0.149.113", "10.0.149.112", "192.0.2.251", "10.0.0.1", "10.0.21.118"])
def test_which_sources_that_happens_to_is_derived(source: str, count: int) -> None:
    assert bool(undetected(source, count)) is turns_into_the_other(source, count)


@given(valid_packets(), st.sampled_from(list(ChecksumForm.EITHER)), st.data())
def test_two_bits_escape_a_sum_exactly_in_one_column_and_opposite_directions(
    made: tuple[VRRPv2 | VRRPv3, Family], form: ChecksumForm, data: st.DataObject
) -> None:
    packet, family = made
    sent = packet.replace(trailing=b"").encode(**ADDRESSES[family], form=form)
    first, second = data.draw(st.lists(st.integers(0, len(sent) * 8 - 1), min_size=2, max_size=2, unique=True))
    number = int.from_bytes(sent, "big")
    before = [number >> len(sent) * 8 - 1 - bit & 1 for bit in (first, second)]
    escapes = first % 16 == second % 16 and before[0] != before[1]
    total = ones_sum(flipped(sent, first, second)) - ones_sum(sent)
    assert (total % 65535 == 0) is escapes
