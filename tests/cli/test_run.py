"""run: what it refuses, what it would do, what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import environment, events, fails, invoke, spawn
from tests.linux.lab import Host
from tests.linux.process import Process, wait_until

ONE = ("--vrid", "51", "--address", "10.77.0.100/24")
MAC = "00:00:5e:00:01:33"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--vrid", "0", "--address", "10.0.0.1"], ["vrid", "1-255", "0"]),
        (["--vrid", "256", "--address", "10.0.0.1"], ["vrid", "1-255", "256"]),
        (["--vrid", "x", "--address", "10.0.0.1"], ["--vrid", "'x'"]),
        (["--address", "10.0.0.1"], ["--vrid"]),
        (["--vrid", "1"], ["--address"]),
        (["--vrid", "1", "--address", "here"], ["'here'"]),
        (["--vrid", "1", "--address", "10.0.0.1", "--address", "10.0.0.1/24"], ["10.0.0.1", "twice"]),
        (["--vrid", "1", "--address", "224.0.0.1"], ["224.0.0.1"]),
        (
            ["--vrid", "1", "--address", "10.0.0.1", "--address", "fe80::1"],
            ["one family", "one process for each", "10.0.0.1", "fe80::1"],
        ),
        (["--vrid", "1", "--address", "2001:db8::1"], ["link-local", "2001:db8::1"]),
        (["--vrid", "1", "--address", "fe80::1", "--version", "2"], ["version must be 3"]),
        ([*ONE, "--priority", "256"], ["priority", "1-255", "256"]),
        ([*ONE, "--interval", "0"], ["interval", "0.01 to 40.95", "0.0"]),
        ([*ONE, "--interval", "41"], ["interval", "0.01 to 40.95", "41"]),
        ([*ONE, "--version", "2", "--interval", "0.5"], ["whole seconds", "0.5"]),
        ([*ONE, "--version", "4"], ["'4'"]),
        ([*ONE, "--backend", "magic"], ["'magic'", "macvlan"]),
        ([*ONE, "--checksum", "none"], ["'none'", "pseudo"]),
        ([*ONE, "--mode", "passthru"], ["passthru", "private, bridge, vepa"]),
        ([*ONE, "--mode", "loud"], ["mode", "private, bridge, vepa", "'loud'"]),
        ([*ONE, "--name", "a/b"], ["name", "'a/b'"]),
        ([*ONE, "--mac", "01:00:5e:00:00:01"], ["mac", "unicast", "01:00:5e:00:00:01"]),
        ([*ONE, "--backend", "macswap", "--xmit-base"], ["--xmit-base", "macvlan", "macswap"]),
        ([*ONE, "--backend", "announce", "--mac", MAC], ["--mac", "macvlan", "announce"]),
        ([*ONE, "--realtime", "100"], ["realtime", "1-99", "100"]),
        ([*ONE, "--peer", "fe80::1"], ["peers", "IPv4", "fe80::1"]),
        ([*ONE, "--peer", "224.0.0.18"], ["peers", "unicast", "224.0.0.18"]),
        ([*ONE, "--peer", "10.0.0.1", "--peer", "10.0.0.1"], ["peers must differ"]),
        ([*ONE, "--peer", "there"], ["peers", "'there'"]),
        ([*ONE, "--least-peer-ttl", "254"], ["--least-peer-ttl", "--peer", "255"]),
        ([*ONE, "--peer", "10.0.0.1", "--least-peer-ttl", "256"], ["least_peer_ttl", "0-255", "256"]),
        ([*ONE, "--auth", "hmac"], ["--auth hmac", "--key-file"]),
        ([*ONE, "--auth", "magic"], ["'magic'", "text"]),
        ([*ONE, "--key-file", "/no/such"], ["--key-file", "/no/such"]),
        ([*ONE, "--key-file", "/"], ["--key-file", "directory"]),
        ([*ONE, "--key-file", "KEY"], ["32-64 bytes", "keepalived"]),  # HMAC is version 3's
        ([*ONE, "--key-file", "KEY", "--auth", "ah"], ["version 3", "AuthenticationHeader"]),
        ([*ONE, "--key-file", "LONG", "--version", "2"], ["1-8 bytes"]),
        ([*ONE, "--key-file", "EMPTY", "--version", "2"], ["1-8 bytes", "not 0"]),
        ([*ONE, "--key-file", "ODD"], ["hex digits"]),
        ([*ONE, "--preempt-delay", "-1"], ["preempt_delay", "-1"]),
        ([*ONE, "--startup-delay", "nan"], ["startup_delay", "nan"]),
        ([*ONE, "--announce", "soon"], ["--announce", "0,0,5", "'soon'"]),
        ([*ONE, "--announce", "0,-1"], ["--announce", "-1"]),
        ([*ONE, "--announce-after-losing", "x"], ["--announce-after-losing", "'x'"]),
        ([*ONE, "--announce-refresh", "0"], ["--announce", "refresh", "0.01"]),
        ([*ONE, "--version", "2", "--also-v2"], ["--also-v2", "--version 3"]),
        (["--vrid", "1", "--address", "fe80::1", "--also-v2"], ["also", "IPv4"]),
    ],
)
def test_a_value_wrong_in_itself_is_status_2(arguments: list[str], named: list[str], tmp_path: Path) -> None:
    for name, content in (("KEY", "s3cr3t\n"), ("LONG", "123456789"), ("EMPTY", ""), ("ODD", "hex:0")):
        (tmp_path / name).write_text(content)
        arguments = [str(tmp_path / name) if word == name else word for word in arguments]
    line = fails(invoke("run", "no-such-link", *arguments), 2)
    for word in named:
        assert word in line
    assert "s3cr3t" not in line


def test_no_such_interface_is_status_1() -> None:
    assert "'no-such-link'" in fails(spawn("run", "no-such-link", *ONE), 1)
    assert "'no-such-link'" in fails(spawn("run", "no-such-link", *ONE, "--dry-run"), 1)


@pytest.mark.parametrize(
    ("given", "named"),
    [("fe80::1", "source must be an IPv4 address"), ("there", "'there'"), ("224.0.0.1", "224.0.0.1")],
)
def test_a_source_that_cannot_be(given: str, named: str) -> None:
    assert named in fails(spawn("run", "lo", *ONE, "--source", given, "--dry-run"), 2)


# -- on a LAN --


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "vrrplib", "run", "eth0", *arguments]


def start(host: Host, *arguments: str) -> Process:
    return host.spawn(
        *command(*arguments, "--state-dir", str(host.lab.directory / host.name)), environment=environment()
    )


def told(process: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.log.splitlines() if line.startswith("{")]


def states(process: Process) -> list[str]:
    return [event["new"] for event in told(process) if event["event"] == "state"]


@pytest.fixture(autouse=True)
def _the_package_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])


def test_a_life_in_json(hosts: tuple[Host, Host]) -> None:
    host = hosts[0]
    before = host.dump()
    process = start(host, *ONE, "--interval", "0.1", "--json")
    wait_until(lambda: states(process)[-1:] == ["active"], 10, "Active")
    assert host.call(Path("/sys/class/net").exists)
    process.terminate()
    assert process.wait() == 0
    found = told(process)
    assert [event["event"] for event in found] == ["start", "state", "state", "state"]
    assert found[0]["source"] == "10.77.0.1"  # not the first address, but the first in the virtual one's subnet
    assert (found[0]["virtual_mac"], found[0]["priority"]) == (MAC, 100)
    for event in found:
        assert (event["interface"], event["family"], event["vrid"]) == ("eth0", 4, 51)
        assert abs(event["time"] - found[0]["time"]) < 60
    assert [(event["old"], event["new"], event["reason"]) for event in found[1:]] == [
        ("initialize", "backup", "startup"),
        ("backup", "active", "no-response"),
        ("active", "initialize", "shutdown"),
    ]
    assert before.diff(host.dump()) == []


@pytest.mark.parametrize("backend", ["macvlan", "macswap", "announce"])
def test_plain_lines_and_sigint(hosts: tuple[Host, Host], backend: str) -> None:
    host = hosts[0]
    before = host.dump()
    process = start(host, *ONE, "--interval", "0.1", "--backend", backend, "--checksum", "auto")
    process.wait_for("backup -> active (no-response)")
    process.interrupt()
    assert process.wait() == 0
    lines = process.log.splitlines()
    assert len(lines) == 4
    assert all(" eth0 vrid 51 IPv4 " in line for line in lines)
    assert "\x1b" not in process.log
    assert before.diff(host.dump()) == []


def test_two_hosts_ipv6_and_what_is_discarded(hosts: tuple[Host, Host]) -> None:
    a, b = hosts
    arguments = ("--vrid", "7", "--address", "fe80::7/64", "--address", "fd77::7/64", "--json")
    first = start(a, *arguments, "--interval", "0.1", "--priority", "200")
    wait_until(lambda: states(first)[-1:] == ["active"], 10, "Active")
    second = start(b, *arguments, "--interval", "0.1")
    wait_until(lambda: states(second) == ["backup"], 10, "Backup")
    assert told(first)[0]["source"] == a.link_local()
    other = start(b, "--vrid", "8", "--address", "10.77.0.108/24", "--json", "--version", "2", "--interval", "1")
    wait_until(lambda: states(other) == ["backup"], 10, "Backup")
    third = start(a, "--vrid", "8", "--address", "10.77.0.109/24", "--json", "--version", "2", "--priority", "50")
    wait_until(lambda: any(event["event"] == "discarded" for event in told(third)), 20, "a discard")
    discarded = next(event for event in told(third) if event["event"] == "discarded")
    assert (discarded["reason"], discarded["source"], discarded["vrid"]) == ("address", "10.77.0.2", 8)
    first.kill()
    wait_until(lambda: states(second) == ["backup", "active"], 10, "takeover")


def test_the_name_is_taken(hosts: tuple[Host, Host]) -> None:
    host = hosts[0]
    process = start(host, *ONE, "--json")
    wait_until(lambda: states(process) == ["backup"], 10, "Backup")
    again = host.run(*command(*ONE, "--state-dir", str(host.lab.directory / host.name), "--json"), check=False)
    assert "51" in fails(again, 1)


def test_an_interface_without_an_address_to_send_from(hosts: tuple[Host, Host]) -> None:
    host = hosts[0]
    host.ip("address", "flush", "dev", "eth0", "scope", "global")
    done = host.run(*command(*ONE), check=False)
    assert "no IPv4 address to send from" in fails(done, 1)
    done = host.run(*command(*ONE, "--source", "10.77.0.55", "--dry-run"))
    assert "from 10.77.0.55" in done.stdout


def test_a_dry_run_prints_and_touches_nothing(hosts: tuple[Host, Host]) -> None:
    host = hosts[0]
    before = host.dump()
    shown = host.run(*command(*ONE, "--dry-run")).stdout.splitlines()
    assert shown[0] == f"# eth0, vrid 51, {MAC}, from 10.77.0.1"
    assert [line for line in shown[1:] if line.startswith("#")] == [
        "# at the start",
        "# when it becomes Active",
        "# when it becomes Backup again",
        "# at the end",
        "# to undo it, after any of these lines",
    ]
    assert any(line.startswith("ip link add link eth0 ") and MAC in line for line in shown)
    found = events(host.run(*command(*ONE, "--dry-run", "--json")))
    assert [event["command"] for event in found] == [line for line in shown if not line.startswith("#")]
    assert {event["phase"] for event in found} == {"start", "activate", "deactivate", "close", "undo"}
    assert before.diff(host.dump()) == []


def test_a_dry_run_s_commands_do_it(hosts: tuple[Host, Host]) -> None:
    host = hosts[0]
    before = host.dump()
    found = events(host.run(*command(*ONE, "--dry-run", "--json")))
    for phases in (("start", "activate"), ("undo",), ("start", "activate"), ("deactivate", "close", "undo")):
        lines = [event["command"] for phase in phases for event in found if event["phase"] == phase]
        host.run("sh", "-ec", "\n".join(lines))
        assert any(link["address"] == MAC for link in host.ip_json("link")) is ("activate" in phases)
        assert bool(before.diff(host.dump())) is ("activate" in phases)


def test_without_privileges(hosts: tuple[Host, Host]) -> None:
    if os.geteuid() != 0:
        pytest.skip("there are none to drop")
    host = hosts[0]
    before = host.dump()
    drop = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
    done = host.run(*drop, *command(*ONE), check=False)
    assert "CAP_NET_RAW" in fails(done, 1)
    done = host.run(*drop, *command(*ONE, "--realtime"), check=False)
    assert "CAP_SYS_NICE" in fails(done, 1)
    assert events(host.run(*drop, *command(*ONE, "--dry-run", "--json")))
    assert before.diff(host.dump()) == []


def test_realtime(hosts: tuple[Host, Host]) -> None:
    process = start(hosts[0], *ONE, "--json", "--realtime", "7")
    wait_until(lambda: states(process) == ["backup"] or process.returncode is not None, 10, "Backup")
    if "SCHED_FIFO" in process.log or "CAP_SYS_NICE" in process.log:
        pytest.skip("real-time priorities are not allowed here")
    assert states(process) == ["backup"]
    assert (os.sched_getscheduler(process.pid), os.sched_getparam(process.pid).sched_priority) == (os.SCHED_FIFO, 7)


def test_a_reader_that_goes_away_does_not_end_it(hosts: tuple[Host, Host]) -> None:
    host = hosts[0]
    line = " ".join(command(*ONE, "--interval", "0.1", "--json", "--state-dir", str(host.lab.directory / "a")))
    process = host.spawn("sh", "-c", f"{line} | head -n 1; sleep 60", environment=environment())
    process.wait_for('"start"')
    wait_until(
        lambda: any(
            address["local"] == "10.77.0.100" for link in host.ip_json("address") for address in link["addr_info"]
        ),
        10,
        "the virtual address",
    )


def test_a_reader_that_reads_nothing_stops_no_advertisement(hosts: tuple[Host, Host]) -> None:
    host = hosts[0]
    state = str(host.lab.directory / "state")
    fill = "import fcntl, os, sys, time; fcntl.fcntl(1, 1031, 4096); os.write(1, bytes(4096)); "  # F_SETPIPE_SZ
    fill += f"os.execv(sys.executable, {command(*ONE, '--interval', '0.1', '--json', '--state-dir', state)!r})"
    unread, stdout = os.pipe()
    try:
        process = subprocess.Popen(
            ["ip", "netns", "exec", host.namespace, sys.executable, "-c", fill],
            stdout=stdout,
            stderr=subprocess.PIPE,
        )
        os.close(stdout)
        with host.lab.capture() as capture:
            capture.wait_for(lambda frame: frame.advertisement, 10, port="a")
            wait_until(lambda: len(capture.advertisements(51, 4, port="a")) > 10, 10, "advertisements")
        process.terminate()
        assert process.wait(10) == 0
    finally:
        os.close(unread)
