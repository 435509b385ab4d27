"""docs/others.md says what is so: our column always, another's where the version that it was made with is here."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests import documents
from tests.linux.conftest import skip_or_fail
from tests.peers import others
from tests.peers.others import V2, V3_IPV4, V3_IPV6
from tests.peers.readers import (
    PROGRAMS,
    TSHARK_COLUMNS,
    Command,
    Library,
    Ours,
    Program,
    Reading,
    Tcpdump,
    Tshark,
)

TEXT = (documents.ROOT / "docs/others.md").read_text()
COLUMNS = others.read_document(TEXT)
PACKETS = list(others.packets())
FEW = [packet for packet in PACKETS if packet.name in {"plain", "P01", "P12b", "P25"}]
COMMANDS = [program for program in PROGRAMS if isinstance(program, Command)]


def test_our_column_is_what_the_code_says_today() -> None:
    """If not: python -m tests.peers.others, with all five installed."""
    assert COLUMNS["vrrplib"] == {
        (packet.section, packet.name): others.ours(packet.frame).words for packet in PACKETS
    }


def test_a_name_is_one_packet() -> None:
    assert max(Counter((packet.section, packet.name) for packet in PACKETS).values()) == 1


def test_the_document_was_made_with_all_of_them() -> None:
    assert list(others.versions_in(TEXT)) == [program.name for program in PROGRAMS]
    assert list(COLUMNS) == ["vrrplib", *others.versions_in(TEXT)]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_column_is_what_that_version_says(program: Program) -> None:
    version, made_with = program.version(), others.versions_in(TEXT)[program.name]
    if version != made_with:
        pytest.skip(f"{program.name} here is {version or 'missing'}, the document's is {made_with}")
    said = others.column(program, PACKETS)
    expected = COLUMNS[program.name]
    assert said == [expected[packet.section, packet.name] for packet in PACKETS]


@pytest.mark.peer
@pytest.mark.parametrize("program", COMMANDS, ids=lambda program: program.name)
def test_any_version_reads_a_plain_advert(program: Command) -> None:
    if program.version() is None:
        skip_or_fail(f"{program.name} is not installed", "VRRPLIB_REQUIRE_PEERS")
    assert {packet.section for packet in FEW} == {V2, V3_IPV4, V3_IPV6}
    assert set(others.column(program, FEW)) == {"reads it; sum good"}


class Absent(Tcpdump):
    name = "no-such-program"


def test_what_is_not_installed_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "PROGRAMS", (Absent(),))
    text = others.document(TEXT)
    assert "Not installed when this was made: no-such-program." in text
    assert others.versions_in(text) == {}
    assert others.read_document(text) == {"vrrplib": COLUMNS["vrrplib"]}


# -- what they print, as values --


def tshark_line(**row: str) -> str:
    names = {column.replace(".", "_").strip("_"): column for column in TSHARK_COLUMNS}
    values = {names[name]: value for name, value in row.items()}
    return "\t".join(values.get(column, "") for column in TSHARK_COLUMNS) + "\n"


HEAD = {"version": 3, "type": 1, "vrid": 51, "priority": 200, "count": 2, "interval": 100}
TSHARK_HEAD = {
    "frame_protocols": "eth:ethertype:ip:vrrp",
    "vrrp_version": "3",
    "vrrp_type": "1",
    "vrrp_virt_rtr_id": "51",
    "vrrp_prio": "200",
    "vrrp_addr_count": "2",
    "vrrp_short_adver_int": "100",
}
ADDRESSES = ["192.0.2.254", "192.0.2.253"]


@pytest.mark.parametrize(
    ("row", "reading"),
    [
        (
            {"vrrp_checksum": "0xddd4", "vrrp_checksum_status": "1", "vrrp_ip_addr": "192.0.2.254;192.0.2.253"},
            Reading({**HEAD, "checksum": 0xDDD4, "addresses": ADDRESSES}, good=True),
        ),
        (
            {
                "vrrp_checksum": "0x8069",
                "vrrp_checksum_status": "0",
                "vrrp_ipv6_addr": "fe80::51",
                "ws_expert_message": "Bad checksum [should be 0xddd4]",
            },
            Reading({**HEAD, "checksum": 0x8069, "addresses": ["fe80::51"]}, good=False),
        ),
        ({"ws_expert_message": "Malformed Packet (Exception occurred)"}, Reading(HEAD, remarks=("malformed",))),
        (
            {
                "vrrp_checksum": "0x63d9",
                "vrrp_checksum_status": "2",
                "ws_expert_message": '"Time To Live" != 255 for a packet;Malformed Packet (Exception occurred)',
            },
            Reading({**HEAD, "checksum": 0x63D9, "addresses": []}, remarks=("remarks on the TTL", "malformed")),
        ),
        ({"frame_protocols": "eth:ethertype:ip:data"}, Reading()),
        ({"frame_protocols": "eth:ethertype:ip:carp"}, Reading(remarks=("calls it CARP",))),
        ({"frame_protocols": "eth:ip", "ws_expert_message": "new words"}, Reading(remarks=("new words",))),
    ],
)
def test_a_line_of_tshark(row: dict[str, str], reading: Reading) -> None:
    assert list(Tshark().readings(tshark_line(**{**TSHARK_HEAD, **row}))) == [reading]


IP = "1.000000 IP (tos 0xc0, ttl 255, id 0, offset 0, flags [DF], proto VRRP (112), length 36)\n    "
WAY = "192.0.2.1 > 224.0.0.18: "
TAKEN = "VRRPv3, Advertisement, vrid 51, prio 200, intvl 100cs, length 16, "


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        (
            f"{IP}{WAY}{TAKEN}addrs(2): 192.0.2.254,192.0.2.253",
            Reading({**HEAD, "addresses": ADDRESSES}, good=True),
        ),
        (
            f"{IP}{WAY}{TAKEN}(bad vrrp cksum 8069), addrs(2): 192.0.2.254,192.0.2.253",
            Reading({**HEAD, "addresses": ADDRESSES}, good=False),
        ),
        (
            "1.000000 IP6 (class 0xc0, hlim 1, next-header VRRP (112) payload length: 40) fe80::1 > ff02::12: "
            "VRRPv3, Advertisement, (ttl 1), vrid 51, prio 200, intvl 100cs, length 40, "
            "addrs(2): fe80::51,2001:db8::51",
            Reading(
                {**HEAD, "addresses": ["fe80::51", "2001:db8::51"]}, good=True, remarks=("remarks on the TTL",)
            ),
        ),
        (
            f"{IP}{WAY}VRRPv2, Advertisement, vrid 51, prio 200, authtype simple, intvl 1s, length 20, "
            'addrs: 192.0.2.254 auth "password"',
            Reading(
                {
                    **{name: value for name, value in HEAD.items() if name != "count"},
                    "version": 2,
                    "interval": 1,
                    "authentication type": 1,
                    "addresses": ["192.0.2.254"],
                },
                good=True,
            ),
        ),
        (f"{IP}{WAY}VRRPv3, unknown type (2)", Reading({"version": 3, "type": 2})),
        (
            f"{IP}{WAY}{TAKEN}addrs(2):  [|vrrp]",
            Reading({**HEAD, "addresses": []}, good=True, remarks=("cut short",)),
        ),
        (f"{IP}{WAY}VRRP [|vrrp]", Reading(remarks=("cut short",))),
    ],
)
def test_a_record_of_tcpdump(text: str, reading: Reading) -> None:
    assert list(Tcpdump().readings(f"{text}\n{text}\n")) == [reading, reading]


def test_an_authentication_type_without_a_name() -> None:
    [reading] = Tcpdump().readings(f"{IP}{WAY}VRRPv2, Advertisement, vrid 51, prio 200, authtype #254, intvl 1s")
    assert reading.fields is not None
    assert reading.fields["authentication type"] == 254


KNOWN = Ours("valid", {**HEAD, "addresses": ADDRESSES})


@pytest.mark.parametrize(
    ("reading", "known", "words"),
    [
        (Reading({**HEAD, "of its own": 1}), KNOWN, "reads it"),
        (
            Reading({**HEAD, "interval": 1, "addresses": []}, good=False),
            KNOWN,
            "other interval, addresses; sum bad",
        ),
        (Reading(HEAD, "accepts"), KNOWN, "accepts"),
        (Reading({**HEAD, "vrid": 1}, "rejects: TTL"), KNOWN, "rejects: TTL; other vrid"),
        (Reading({"version": 3, "type": 1}), KNOWN, "stops after the type"),
        (Reading(remarks=("raises KeyError",)), KNOWN, "raises KeyError"),
        (Reading(), KNOWN, "sees no VRRP"),
        (
            Reading(HEAD, good=True, remarks=("malformed",)),
            Ours("truncated", None),
            "shows VRRP; sum good; malformed",
        ),
        (Reading(HEAD, "accepts"), Ours("no datagram", None), "accepts"),
        (Reading(HEAD), Ours("carp", None, carp=True), "takes it for VRRP"),
    ],
)
def test_a_reading_in_words(reading: Reading, known: Ours, words: str) -> None:
    assert reading.beside(known) == words


class Raises(Library):
    name = "raises"

    def reading(self, frame: bytes) -> Any:
        raise ZeroDivisionError


def test_a_library_that_raises_says_so() -> None:
    assert Raises().read([b"", b""]) == [Reading(remarks=("raises ZeroDivisionError",))] * 2
    assert Raises().version() is None
