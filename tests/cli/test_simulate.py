"""simulate: the timeline, and what it is asked for wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import events, fails, invoke
from vrrplib.wire.capture import read_pcap
from vrrplib.wire.frames import parse

FAILOVER = ("--router", "a=200", "--router", "b=100", "--crash", "a@10", "--restart", "a@20", "--until", "30")


def test_a_failover_for_people() -> None:
    assert invoke("simulate", *FAILOVER).stdout.splitlines() == [
        "    0.000000 a: initialize -> backup (startup)",
        "    0.000000 b: initialize -> backup (startup)",
        "    3.218750 a: backup -> active (no-response)",
        "   10.000000 a: crashed",
        "   12.828125 b: backup -> active (no-response)",
        "   20.000000 a: restarted",
        "   20.000000 a: initialize -> backup (startup)",
        "   23.218750 a: backup -> active (preempted)",
        "   23.218750 b: active -> backup (higher-priority)",
        "Active at 30 s: a; the host's neighbour entry: 00:00:5e:00:01:33; "
        "282 of 2640 pings without an answer, one each 10 ms",
    ]


def test_a_failover_for_programs() -> None:
    found = events(invoke("simulate", *FAILOVER, "--json"))
    assert [event["event"] for event in found].count("state") == 7
    assert {"event": "crashed", "time": 10.0, "interface": "a"} in found
    assert found[4] == {
        "event": "state",
        "time": 12.828125,
        "interface": "b",
        "family": 4,
        "vrid": 51,
        "old": "backup",
        "new": "active",
        "reason": "no-response",
    }
    assert found[-1]["event"] == "summary"
    assert (found[-1]["active"], found[-1]["neighbour"]) == (["a"], ["00:00:5e:00:01:33"])


def test_ipv6_version_2_and_the_rest() -> None:
    found = events(invoke("simulate", "--address", "fe80::51/64", "--shutdown", "a@5", "--json"))
    assert {event["family"] for event in found if "family" in event} == {6}
    assert [event["time"] for event in found if event.get("reason") == "priority"] == [5.609375]
    found = events(invoke("simulate", "--version", "2", "--interval", "2", "--crash", "a@20", "--json"))
    assert [event["interface"] for event in found if event.get("new") == "active"] == ["a", "b"]
    found = events(invoke("simulate", *FAILOVER, "--no-preempt", "--delay", "0.001", "--json"))
    assert found[-1]["active"] == ["b"]


@pytest.mark.parametrize("word", ["active", "master", "Master"])
def test_expectations_take_either_word(word: str) -> None:
    assert invoke("simulate", "--expect", f"a={word}", "--expect", "b=backup").exit_code == 0
    result = invoke("simulate", "--expect", f"b={word}")
    assert result.exit_code == 1
    assert result.stdout.endswith("b is backup, not active\n")


def test_a_paused_backup_stays_backup() -> None:
    result = invoke("simulate", "--pause", "b@10", "--resume", "b@20", "--expect", "b=backup", "--json")
    assert result.exit_code == 0
    assert [event["interface"] for event in events(result) if event.get("new") == "active"] == ["a"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--router", "a"], "'a'"),
        (["--router", "a=x"], "'x'"),
        (["--router", "a=300"], "300"),
        (["--router", "a=1", "--router", "a=2"], "'a'"),
        (["--crash", "x@1"], "'x'"),
        (["--crash", "a"], "NAME@SECONDS"),
        (["--crash", "a@-1"], "-1"),
        (["--crash", "a@nan"], "nan"),
        (["--until", "inf"], "inf"),
        (["--vrid", "0"], "0"),
        (["--address", "192.0.2.1/24", "--address", "fe80::1"], "one family"),
        (["--expect", "a=king"], "master"),
        (["--delay", "-1"], "delay"),
        (["--loss", "2"], "loss"),
        (["--jitter", "nan"], "jitter"),
        (["--partition", "a@1"], "NAME>NAME"),
        (["--partition", "a>x@1"], "'x'"),
        (["--partition", "a>b"], "NAME>NAME"),
        (["--partition", "a>b@1-x"], "'x'"),
    ],
)
def test_wrong_values(arguments: list[str], named: str) -> None:
    assert named in fails(invoke("simulate", *arguments), 2)


def test_a_one_way_link_and_its_end() -> None:
    found = events(invoke("simulate", "--partition", "a>b@10.5-20.5", "--check", "--json"))
    changes = [(event["interface"], event["time"], event["new"]) for event in found if event["event"] == "state"]
    # the last advert that b heard was that of 10.21875; and a answers b's next one at once
    assert changes[3:] == [("b", 13.828125, "active"), ("b", 20.828125, "backup")]
    found = events(invoke("simulate", "--partition", "a>b@10", "--json"))
    assert found[-1]["active"] == ["a", "b"]


def test_a_killed_process_leaves_the_address() -> None:
    found = events(invoke("simulate", "--kill", "a@10.5", "--json"))
    assert found[-1]["active"] == ["b"]
    assert found[-1]["lost"] == 0


def test_chance_is_the_seeds() -> None:
    arguments = (
        "simulate",
        "--loss",
        "0.3",
        "--jitter",
        "0.01",
        "--duplication",
        "0.2",
        "--until",
        "120",
        "--check",
    )
    first, again, other = (invoke(*arguments, "--seed", seed).stdout for seed in ("1", "1", "2"))
    assert first == again != other


def test_a_broken_invariant_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vrrplib.lab.invariants.Invariants.bound", property(lambda _: 1.0))  # a wrong claim
    result = invoke("simulate", "--check", "--json")
    assert result.exit_code == 1
    assert "one-active" in [event.get("invariant") for event in events(result)]


def test_the_capture_explains_itself(tmp_path: Path) -> None:
    path = tmp_path / "lan.pcap"
    found = events(invoke("simulate", *FAILOVER, "--pcap", str(path), "--json"))
    assert found[-1]["event"] == "written"
    with path.open("rb") as file:
        records = list(read_pcap(file))
    assert len(records) == found[-1]["frames"]
    sent = [
        (time, datagram.payload[2])
        for time, frame in records
        if (datagram := parse(frame)) is not None and str(datagram.source) == "192.0.2.2"
    ]
    assert sent[0] == (12.828125, 100)  # b's first advertisement
    assert invoke("explain", str(path)).exit_code == 0


def test_a_capture_that_cannot_be_written(tmp_path: Path) -> None:
    assert "No such file" in fails(invoke("simulate", "--pcap", str(tmp_path / "no/such")), 1)
