"""decode: messages as hex digits, on stdin and in captures."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.cli.commands import events, fails, invoke
from vrrplib.cli import sources
from vrrplib.wire.capture import CaptureReader, PcapWriter
from vrrplib.wire.carp import CARP, CARPKey, sign_carp
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame
from vrrplib.wire.packets import VRRPv2, VRRPv3

CAPTURES = Path(__file__).parents[1] / "data/captures/made"
SOURCE, GROUP = "192.0.2.1", "224.0.0.18"
PACKET = VRRPv3(vrid=51, priority=200, addresses=["192.0.2.254"])
PAYLOAD = PACKET.encode(SOURCE, GROUP)
FRAME = advertisement_frame(Datagram(PAYLOAD, SOURCE, GROUP, 255), "00:00:5e:00:01:33")
WRONG = PACKET.replace(checksum=1).encode()


def test_a_bare_message() -> None:
    result = invoke("decode", "--source", SOURCE, "--destination", GROUP, PAYLOAD.hex())
    assert result.exit_code == 0
    assert result.stdout.startswith(
        f"{SOURCE} -> {GROUP}: VRRPv3 vrid 51 priority 200 interval 1 s addresses 192.0.2.254 checksum 0x"
    )
    assert result.stdout.endswith("(pseudo-header)\n")


def test_without_addresses_the_checksum_is_not_judged() -> None:
    result = invoke("decode", PAYLOAD.hex())
    assert (result.exit_code, "not judged without --source and --destination" in result.stdout) == (0, True)


@pytest.mark.parametrize("data", [FRAME, FRAME[14:]], ids=["frame", "packet"])
@pytest.mark.parametrize("form", ["{}", "0x{}", "colons", "spaces"])
def test_a_frame_or_a_packet_tells_its_addresses(data: bytes, form: str) -> None:
    text = {"colons": data.hex(":"), "spaces": data.hex(" ").upper()}.get(form, form.format(data.hex()))
    [event] = events(invoke("decode", "--json", text))
    assert event["source"] == SOURCE
    assert event["destination"] == GROUP
    assert (event["family"], event["vrid"], event["priority"], event["ttl"]) == (4, 51, 200, 255)
    assert event["checksum_form"] == ["pseudo_header"]
    assert event["problems"] == event["notes"] == []


def test_ipv6() -> None:
    packet = VRRPv3(vrid=51, addresses=["fe80::51"])
    payload = packet.encode("fe80::1", "ff02::12")
    frame = advertisement_frame(Datagram(payload, "fe80::1", "ff02::12", 255), "00:00:5e:00:02:33")
    for data in (frame, frame[14:]):
        [event] = events(invoke("decode", "--json", data.hex()))
        assert (event["family"], event["addresses"], event["problems"]) == (6, ["fe80::51"], [])
    [event] = events(invoke("decode", "--json", "--family", "6", payload.hex()))
    assert event["addresses"] == ["fe80::51"]


def test_a_problem_is_exit_status_1_and_named_with_its_clause() -> None:
    result = invoke("decode", "--source", SOURCE, "--destination", GROUP, WRONG.hex())
    assert result.exit_code == 1
    assert "problem: checksum 0x0001 fits no accepted form" in result.stdout
    assert "(RFC 9568 5.2.8)" in result.stdout
    [event] = events(invoke("decode", "--json", "--source", SOURCE, "--destination", GROUP, WRONG.hex()))
    assert [item["problem"] for item in event["problems"]] == ["checksum"]


def test_a_wrong_ttl_is_a_problem() -> None:
    frame = advertisement_frame(Datagram(PAYLOAD, SOURCE, GROUP, 64), "00:00:5e:00:01:33")
    result = invoke("decode", "--json", frame.hex())
    assert result.exit_code == 1
    assert events(result)[0]["problems"] == [
        {
            "problem": "ttl",
            "clause": "RFC 9568 5.1.1.3",
            "message": "the TTL or hop limit must be 255, not 64",
        }
    ]


def test_a_form_that_is_not_the_default_is_told() -> None:
    data = PACKET.encode(form=ChecksumForm.MESSAGE_ONLY)
    [event] = events(invoke("decode", "--json", "--source", SOURCE, "--destination", GROUP, data.hex()))
    assert event["checksum_form"] == ["message_only"]


def test_authentication_data_is_never_shown() -> None:
    packet = VRRPv2(vrid=51, addresses=["192.0.2.254"], auth_type=1, auth_data=b"s3cr3t!!")
    for extra in ([], ["--json"]):
        result = invoke("decode", *extra, packet.encode().hex())
        assert result.exit_code == 0
        for secret in ("s3cr3t", b"s3cr3t!!".hex()):
            assert secret not in result.output


def test_lines_on_stdin() -> None:
    lines = f"# a comment\n\n{PAYLOAD.hex()}\n{FRAME.hex()}\n"
    result = invoke("decode", "-", "--json", stdin=lines)
    assert [event["event"] for event in events(result)] == ["message", "message", "summary"]
    assert events(result)[-1]["messages"] == 2


def test_short_messages_and_carp() -> None:
    result = invoke("decode", "3133")
    assert (result.exit_code, "at least 8 bytes, not 2" in result.stdout) == (1, True)
    carp = bytes([0x21, 1, 0, 7]) + bytes(32)
    assert "CARP" in invoke("decode", carp.hex()).stdout


@pytest.mark.parametrize("capture", sorted(CAPTURES.glob("*.pcap")), ids=lambda path: path.stem)
def test_captures(capture: Path) -> None:
    result = invoke("decode", "--json", str(capture))
    found = events(result)
    messages = [event for event in found if event["event"] == "message"]
    assert messages
    assert all(event["time"] >= 0 for event in messages)
    bad = [event for event in messages if event["problems"]]
    assert (result.exit_code == 1) is bool(bad)
    if not capture.stem.startswith(("keepalived-v2-vs-ucarp", "macswap")):  # CARP, and a hand-made wrong checksum
        assert bad == []


def test_a_capture_on_stdin() -> None:
    capture = CAPTURES / "frr-v2-ipv4.pcap"
    assert events(invoke("decode", "--json", "-", stdin=capture.read_bytes()))[-1] == events(
        invoke("decode", "--json", str(capture))
    )[-1] | {"time": pytest.approx(0, abs=1e12)}


@pytest.mark.parametrize("argument", ["zz", "313", "no-such-file.pcap"])
def test_what_is_no_message(argument: str) -> None:
    assert repr(argument) in fails(invoke("decode", argument), 2)


def test_a_file_that_is_no_capture(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    assert "pcap or pcapng" in fails(invoke("decode", str(path)), 2)
    path.write_bytes(b"\xd4\xc3\xb2\xa1")
    assert "pcap or pcapng" in fails(invoke("decode", str(path)), 2)


def test_an_address_that_is_none() -> None:
    assert "'here'" in fails(invoke("decode", "--source", "here", PAYLOAD.hex()), 2)


def test_base64() -> None:
    text = base64.b64encode(PAYLOAD + b"\0\0").decode()
    [event] = events(invoke("decode", "--json", text))
    assert (event["vrid"], event["trailing"]) == (51, 2)


def test_verbose_names_every_byte_and_its_clause() -> None:
    result = invoke("decode", "--verbose", FRAME.hex())
    assert result.exit_code == 0
    for line in (
        "  0001  33                       virtual router id: 51  (RFC 9568 5.2.3)",
        "  0004  00 64                    max advertise interval: 100 cs = 1 s  (RFC 9568 5.2.7)",
        "  0008  c0 00 02 fe              address 1: 192.0.2.254  (RFC 9568 5.2.9)",
    ):
        assert line in result.stdout.splitlines()


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (PAYLOAD, ()),
        (PACKET.replace(trailing=b"0123456789abcdef").encode(SOURCE, GROUP), ()),
        (VRRPv2(vrid=51, priority=0, addresses=["192.0.2.254", "192.0.2.253"]).encode(), ()),
        (VRRPv2(vrid=51, priority=255, auth_type=9, trailing=b"x").encode(), ()),
        (VRRPv3(vrid=51, addresses=["fe80::51"]).encode("fe80::1", "ff02::12"), ("--family", "6")),
        (CARP(vhid=1).encode(), ()),
        (b"\x31\x33", ()),
    ],
)
def test_the_fields_of_verbose_cover_the_message_once(data: bytes, options: tuple[str, ...]) -> None:
    [event] = events(invoke("decode", "--json", "--verbose", *options, data.hex()))
    covered = {at for field in event["fields"] for at in range(field["offset"], field["offset"] + field["size"])}
    assert covered == set(range(len(data)))
    for field in event["fields"]:
        assert field["bytes"] == data[field["offset"] : field["offset"] + field["size"]].hex()
        assert field["name"]
        assert field["value"]


def test_verbose_does_not_show_a_password_either() -> None:
    packet = VRRPv2(vrid=51, addresses=["192.0.2.254"], auth_type=1, auth_data=b"s3cr3t!!")
    for extra in ((), ("--json",)):
        shown = invoke("decode", "--verbose", *extra, packet.encode().hex()).output
        for secret in ("s3cr3t", b"s3cr3t!!".hex(), b"s3cr3t!!".hex(" ")):
            assert secret not in shown
    assert "-- -- -- -- -- -- -- --" in invoke("decode", "--verbose", packet.encode().hex()).stdout


def test_carp_is_shown_and_verified() -> None:
    key = CARPKey("secret", ["192.0.2.254"])
    data = sign_carp(key, CARP(vhid=7, advskew=100, counter=5)).encode()
    result = invoke("decode", "--key", "secret", "--address", "192.0.2.254", data.hex())
    assert "CARP vhid 7 advbase 1 advskew 100 interval 1.39062 s counter 0x5" in result.stdout
    assert "authentication carp: verified" in result.stdout
    assert "advskew: 100/256 s" in invoke("decode", "--verbose", data.hex()).stdout
    [event] = events(invoke("decode", "--json", "--key", "wrong", "--address", "192.0.2.254", data.hex()))
    assert event["authentication"] == "carp: failed"
    assert "authentication" in {item["problem"] for item in event["problems"]}


def test_a_message_without_authentication_is_a_problem_when_there_is_a_key() -> None:
    result = invoke("decode", "--key", "secret", PAYLOAD.hex())
    assert (result.exit_code, "problem: the message is not authenticated" in result.stdout) == (1, True)
    text = VRRPv2(vrid=1, auth_type=1, auth_data=b"password").encode().hex()
    assert invoke("decode", "--key", "password", text).exit_code == 0
    assert "key must have" in invoke("decode", "--key", "password and more", text).stdout


def test_another_key_than_keepalived_s_verifies_none_of_its_messages() -> None:
    path = CAPTURES / "keepalived-v2-ipv4-ah.pcap"
    messages = [item for item in events(invoke("decode", "--json", "--key", "x", str(path))) if "vrid" in item]
    assert {item["authentication"] for item in messages} == {"ah: failed"}


def test_summary_counts_and_names_the_problems() -> None:
    result = invoke("decode", "--summary", "-", stdin=f"{WRONG.hex()}\n{PAYLOAD.hex()}\n3133\n")
    assert result.stdout == "3 messages, 1 with problems; 0 other frames (truncated 1)\n"
    options = ("--summary", "--source", SOURCE, "--destination", GROUP)
    [event] = events(invoke("decode", "--json", *options, "-", stdin=f"{WRONG.hex()}\n{PAYLOAD.hex()}\n"))
    assert (event["messages"], event["bad"], event["problems"]) == (2, 1, {"checksum": 1})


def test_a_file_that_breaks_off_says_where(tmp_path: Path) -> None:
    whole = (CAPTURES / "frr-v2-ipv4.pcap").read_bytes()
    path = tmp_path / "cut.pcap"
    path.write_bytes(whole[:-7])
    result = invoke("decode", str(path))
    assert f"{path} is broken at byte" in result.stdout
    assert [event["event"] for event in events(invoke("decode", "--json", str(path)))][-2:] == ["broken", "summary"]


def test_addresses_of_two_families() -> None:
    options = ("--source", "fe80::1", "--destination", GROUP)
    assert "one IP version" in fails(invoke("decode", *options, PAYLOAD.hex()), 2)


def test_a_long_file_shows_progress_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, told = tmp_path / "long.pcap", []
    with path.open("wb") as file:
        writer = PcapWriter(file)
        for number in range(1100):
            writer.write(number, FRAME)
    monkeypatch.setattr(sources, "_LONG_FILE", 1000)
    monkeypatch.setattr(sources, "_BETWEEN_PROGRESS", 0.0)
    monkeypatch.setattr(sources.click, "echo", lambda text, **_: told.append(text))
    progress = sources.Progress(str(path), path.stat().st_size)
    progress._wanted = True
    with path.open("rb") as file:
        for number, _ in enumerate(reader := CaptureReader(file), 1):
            progress.at(number, reader.offset)
    progress.done()
    assert len(told) == 5
    assert told[1].endswith(": 46 %, 512 frames")
    quiet = sources.Progress(str(path), path.stat().st_size)  # no terminal here
    quiet.at(256, 24)
    quiet.done()
    assert len(told) == 5
