"""Questions, answers and pings survive their frames, and other parsers read them too."""

from __future__ import annotations

from ipaddress import ip_address

import dpkt
import pytest

from vrrplib.lab.neighbours import Echo, Question, read_claim, read_echo, read_question
from vrrplib.wire.addresses import MacAddress, virtual_mac
from vrrplib.wire.frames import announcement_frame

A, B = (MacAddress(f"02:00:00:00:00:0{number}") for number in (1, 2))


@pytest.mark.parametrize(("target", "sender"), [("192.0.2.254", "192.0.2.9"), ("fe80::51", "fe80::9")])
def test_a_question_and_its_answer(target: str, sender: str) -> None:
    question = Question(ip_address(target), ip_address(sender), A)
    assert read_question(question.frame()) == question
    assert read_claim(question.frame()) is None
    answer = question.reply(virtual_mac(51), B)
    assert answer[:12] == A.packed + B.packed
    assert read_claim(answer) == (ip_address(target), virtual_mac(51))
    assert read_question(answer) is None


@pytest.mark.parametrize("address", ["192.0.2.254", "fe80::51"])
def test_an_announcement_is_a_claim_and_no_question(address: str) -> None:
    announcement = announcement_frame(address, virtual_mac(51))
    assert read_claim(announcement) == (ip_address(address), virtual_mac(51))
    assert read_question(announcement) is None


def test_another_parser_reads_them_too() -> None:
    question = Question(ip_address("fe80::51"), ip_address("fe80::9"), A)
    for data, kind in ((question.frame(), 135), (question.reply(B, B), 136)):
        packet = dpkt.ethernet.Ethernet(data).data
        assert (packet.nxt, packet.hlim, packet.data.type) == (58, 255, kind)
        given = packet.data.sum
        packet.data.sum = 0
        assert (
            dpkt.ethernet.Ethernet(bytes(dpkt.ethernet.Ethernet(data=packet, type=0x86DD))).data.data.sum == given
        )
    arp = dpkt.ethernet.Ethernet(Question(ip_address("192.0.2.1"), ip_address("192.0.2.2"), A).frame()).data
    assert (arp.op, arp.sha, arp.spa, arp.tpa) == (1, A.packed, b"\xc0\0\2\2", b"\xc0\0\2\1")


@pytest.mark.parametrize("echo", [Echo(7, ip_address("192.0.2.1")), Echo(8, ip_address("fe80::1"), reply=True)])
def test_pings(echo: Echo) -> None:
    assert read_echo(echo.frame(A, B)) == echo
    assert read_echo(B.packed + A.packed + b"\x08\x00" + bytes(46)) is None


@pytest.mark.parametrize("length", range(0, 60, 7))
def test_what_is_cut_short_is_nothing(length: int) -> None:
    for data in (
        Question(ip_address("192.0.2.1"), ip_address("192.0.2.2"), A).frame(),
        Question(ip_address("fe80::1"), ip_address("fe80::2"), A).frame(),
    ):
        if length < len(data) and length < 42:
            assert read_question(data[:length]) is None
            assert read_claim(data[:length]) is None


def test_what_is_no_ping_is_none() -> None:
    head = B.packed + A.packed + b"\x88\xb5"
    assert read_echo(head) is None
    assert read_echo(head + bytes(21)) is None
    assert read_echo(head + bytes(60)) is None  # of no family
