"""Options of ``vrrplib run`` between two of ours: HMAC trailer, delays, announcements, both versions, stalls."""

from __future__ import annotations

import signal
import time

import pytest

from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.linux.running import Running

KEY = "hex:" + bytes(range(32)).hex()


@pytest.fixture
def pair(lab: Lab) -> tuple[Host, Host]:
    return lab.host("a", "10.77.0.1/24"), lab.host("b", "10.77.0.2/24")


def key_file(lab: Lab, name: str, key: str) -> tuple[str, str]:
    path = lab.directory / name
    path.write_text(key)
    return "--key-file", str(path)


def discarded(running: Running) -> set[str]:
    return {event["reason"] for event in running.events if event["event"] == "discarded"}


def test_the_hmac_trailer_right_and_wrong(lab: Lab, pair: tuple[Host, Host]) -> None:
    a, b = pair
    right, wrong = key_file(lab, "right", KEY), key_file(lab, "wrong", KEY[:-1] + "0")
    first = Running(a, priority=200, options=right).start().wait("active")
    second = Running(b, options=right).start().wait("backup")
    time.sleep(1.0)
    assert (first.state, second.state) == ("active", "backup")
    first.crash()
    second.wait("active")
    first.start().wait("active")  # its clock goes on where it was: nobody takes it for a replay
    second.wait("backup")
    assert discarded(first) | discarded(second) == set()
    second.end()
    second = Running(b, options=wrong).start().wait("active")
    wait_until(lambda: discarded(first) == discarded(second) == {"authentication"}, 10, "discards")


def test_announcements_by_the_options(lab: Lab, pair: tuple[Host, Host]) -> None:
    a, _ = pair
    options = ("--announce", "0,0,0.5", "--announce-refresh", "1.2")
    with lab.capture() as capture:
        Running(a, options=options).start().wait("active")
        wait_until(lambda: len(capture.gratuitous("10.77.0.100")) >= 5, 20, "announcements")
    times = [frame.time for frame in capture.gratuitous("10.77.0.100")]
    since = [round(when - times[0], 1) for when in times[:5]]
    assert since[1] < 0.5 <= since[2] < 1.2 <= since[3] < 2.4 <= since[4]


def test_both_versions_are_heard_by_a_router_of_either(lab: Lab, pair: tuple[Host, Host]) -> None:
    a, b = pair
    first = Running(a, priority=200, interval=1, options=("--also-v2",)).start().wait("active")
    with lab.capture() as capture:
        old = Running(b, interval=1, options=("--version", "2")).start().wait("backup")
        time.sleep(4.5)
        assert (first.state, old.state) == ("active", "backup")
    assert {frame.advertisement.version for frame in capture.advertisements(51, port="a")} == {2, 3}
    assert discarded(old) <= {"version"}


def test_a_start_up_delay(lab: Lab, pair: tuple[Host, Host]) -> None:
    a, _ = pair
    running = Running(a, options=("--startup-delay", "1.5")).start().wait("active")
    backup, active = (event["time"] for event in running.events if event["event"] == "state")
    assert active - backup >= 1.5


def test_a_preempt_delay(lab: Lab, pair: tuple[Host, Host]) -> None:
    a, b = pair
    low = Running(b).start().wait("active")
    high = Running(a, priority=200, options=("--preempt-delay", "2")).start().wait("active")
    backup, active = (event["time"] for event in high.events if event["event"] == "state")
    assert active - backup >= 2
    low.wait("backup")


def test_a_backup_that_stood_still_says_so_and_listens_for_one_skew_time(lab: Lab, pair: tuple[Host, Host]) -> None:
    a, b = pair
    Running(a, priority=200).start().wait("active")
    running = Running(b).start().wait("backup")
    lab.isolate(b)  # so that nothing waits to be read when it goes on
    running.process.signal(signal.SIGSTOP)
    time.sleep(1.0)
    running.process.signal(signal.SIGCONT)
    running.wait("active")
    stalled = next(event for event in running.events if event["event"] == "stalled")
    active = next(event for event in running.events if event.get("new") == "active")
    assert stalled["late"] > 0.1
    assert active["time"] - stalled["time"] >= 0.1 * 156 / 256


@pytest.mark.parametrize("again", [True, False])
def test_an_active_router_that_stood_still_takes_its_neighbours_back(
    lab: Lab, pair: tuple[Host, Host], *, again: bool
) -> None:
    """With the interface's own MAC, for which the announcements are all that neighbours go by."""
    a, b = pair
    observer = lab.host("o", "10.77.0.3/24")
    options = () if again else ("--announce-after-losing", "")
    high = Running(a, priority=200, backend="announce", options=options).start().wait("active")
    low = Running(b, backend="announce").start().wait("backup")
    assert observer.ping("10.77.0.100")
    assert observer.neighbour("10.77.0.100") == a.mac
    high.process.signal(signal.SIGSTOP)
    low.wait("active")
    wait_until(lambda: observer.neighbour("10.77.0.100") == b.mac, 3, "announcement")
    high.process.signal(signal.SIGCONT)
    low.wait("backup")
    time.sleep(0.3)
    assert observer.neighbour("10.77.0.100") == (a.mac if again else b.mac)
