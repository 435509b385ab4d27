"""encode: every field, in hex and in files, signed and unsigned."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import events, fails, invoke
from vrrplib import ChecksumForm, Datagram, VRRPv2, VRRPv3, parse
from vrrplib.wire.capture import read_pcap
from vrrplib.wire.packets import inspect

SOURCE, GROUP, ADDRESS = "192.0.2.1", "224.0.0.18", "192.0.2.254"
USUAL = ("--vrid", "51", "--address", ADDRESS, "--source", SOURCE)
V3 = VRRPv3(vrid=51, addresses=[ADDRESS])
V2 = VRRPv2(vrid=51, addresses=[ADDRESS])


def encoded(*arguments: str) -> bytes:
    result = invoke("encode", *arguments)
    assert result.exit_code == 0, result.stderr
    return bytes.fromhex(result.stdout)


def frame_in(path: Path) -> Datagram:
    with path.open("rb") as file:
        [(time, frame)] = read_pcap(file)
    assert time > 1e9
    datagram = parse(frame)
    assert datagram is not None
    return datagram


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (USUAL, V3.encode(SOURCE, GROUP)),
        ((*USUAL, "--version", "2"), V2.encode()),
        ((*USUAL, "--form", "message"), V3.encode(form=ChecksumForm.MESSAGE_ONLY)),
        ((*USUAL, "--destination", "192.0.2.9"), V3.encode(SOURCE, "192.0.2.9")),
        (
            (*USUAL, "--destination", "192.0.2.9", "--form", "multicast"),
            V3.encode(SOURCE, "192.0.2.9", form=ChecksumForm.MULTICAST_PSEUDO_HEADER),
        ),
        (
            (
                *USUAL,
                "--priority",
                "0xff",
                "--count",
                "7",
                "--checksum",
                "0",
                "--reserved",
                "15",
                "--interval",
                "1",
            ),
            V3.replace(priority=255, count=7, checksum=0, reserved=15, max_advertise_interval=1).encode(),
        ),
        ((*USUAL, "--type", "2", "--wire-version", "4"), V3.replace(type=2, version=4).encode(SOURCE, GROUP)),
        ((*USUAL, "--trailing", "de:ad"), V3.replace(trailing=b"\xde\xad").encode(SOURCE, GROUP)),
        (
            (*USUAL, "--version", "2", "--auth-type", "1", "--auth-data", "7365637265740000", "--interval", "3"),
            V2.replace(auth_type=1, auth_data=b"secret\0\0", advertisement_interval=3).encode(),
        ),
        (("--vrid", "1", "--version", "2"), VRRPv2(vrid=1).encode()),
        (
            ("--vrid", "51", "--address", "fe80::51", "--address", "2001:db8::1", "--source", "fe80::1"),
            VRRPv3(vrid=51, addresses=["fe80::51", "2001:db8::1"]).encode("fe80::1", "ff02::12"),
        ),
    ],
)
def test_every_field(arguments: tuple[str, ...], expected: bytes) -> None:
    assert encoded(*arguments) == expected


def test_a_frame_and_its_headers() -> None:
    options = ("--ttl", "64", "--source-mac", "02:00:00:00:00:01", "--destination-mac", "02:00:00:00:00:02")
    frame = encoded(*USUAL, "--frame", *options)
    datagram = parse(frame)
    assert datagram is not None
    assert (datagram.payload, datagram.ttl) == (V3.encode(SOURCE, GROUP), 64)
    assert frame[:12].hex() == "020000000002020000000001"
    assert encoded(*USUAL, "--frame")[:12].hex() == "01005e00001200005e000133"


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    result = invoke("encode", *USUAL, "-o", str(path))
    assert result.stdout == f"1 frames written to {path}\n"
    assert frame_in(path).payload == V3.encode(SOURCE, GROUP)
    assert invoke("decode", str(path)).exit_code == 0


@pytest.mark.parametrize(
    ("auth", "key", "version"),
    [
        ("text", "secret", "2"),
        ("ah", "secret", "2"),
        ("md5", "secret", "2"),
        ("hmac", "hex:" + "00112233" * 8, "3"),
    ],
)
def test_what_is_signed_is_verified(auth: str, key: str, version: str, tmp_path: Path) -> None:
    path, secret = tmp_path / "signed.pcap", tmp_path / "secret"
    secret.write_text(key + "\n")
    options = (*USUAL, "--version", version, "--auth", auth, "--key-file", str(secret), "-o", str(path))
    assert invoke("encode", *options).exit_code == 0
    result = invoke("decode", "--json", "--key-file", str(secret), str(path))
    assert (result.exit_code, events(result)[0]["authentication"]) == (0, f"{auth}: verified")
    [finding] = events(
        invoke("decode", "--json", "--key", "hex:" + "ff" * 8 * (4 if auth == "hmac" else 1), str(path))
    )[0]["problems"]
    assert finding["problem"] == "authentication"
    if auth != "ah":
        payload = encoded(*USUAL, "--version", version, "--auth", auth, "--key", key)
        assert payload == frame_in(path).payload


def test_json() -> None:
    [event] = events(invoke("encode", "--json", *USUAL))
    assert (event["event"], event["hex"], event["length"]) == ("encoded", V3.encode(SOURCE, GROUP).hex(), 12)


def test_what_is_made_is_judged_as_asked() -> None:
    data = encoded(*USUAL, "--count", "7", "--checksum", "0")
    assert {str(item.problem) for item in inspect(data, source=SOURCE, destination=GROUP).problems} == {
        "length",
        "checksum",
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--vrid", "51"), "source must be given"),
        (("--vrid", "51", "--frame"), "source must be given: an IP packet has one"),
        ((*USUAL, "--vrid", "256"), "vrid must be 0-255, not 256"),
        ((*USUAL, "--vrid", "x"), "must be a whole number"),
        ((*USUAL, "--trailing", "x"), "must be hex digits"),
        ((*USUAL, "--auth-type", "1"), "auth-type must be left out: version 3 has no such field"),
        ((*USUAL, "--version", "2", "--reserved", "1"), "reserved must be left out: version 2 has no such field"),
        ((*USUAL, "--frame", "--ttl", "256"), "ttl must be 0-255, not 256"),
        ((*USUAL, "--frame", "--destination", "192.0.2.9"), "destination_mac must be given"),
        ((*USUAL, "--version", "2", "--auth", "text"), "key must be given to sign with"),
        ((*USUAL, "--auth", "text", "--key", "secret"), "needs VRRPv2"),
        ((*USUAL, "--version", "2", "--auth", "text", "--key", "far too long"), "key must have"),
    ],
)
def test_what_cannot_be_made(arguments: tuple[str, ...], words: str) -> None:
    line = fails(invoke("encode", *arguments), 2)
    assert words in line
    assert "far too long" not in line


def test_a_key_is_given_once(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("secret")
    line = fails(invoke("decode", "--key", "secret", "--key-file", str(path), "00"), 2)
    assert "by one of --key and --key-file" in line
    assert "after hex:" in fails(invoke("decode", "--key", "hex:xy", "00"), 2)


def test_a_file_that_cannot_be_written() -> None:
    assert "/no/such" in fails(invoke("encode", *USUAL, "-o", "/no/such/file.pcap"), 1)
