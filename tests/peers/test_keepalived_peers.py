"""``vrrplib run`` beside keepalived with a key, and with unicast peers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.linux.capture import Capture
from tests.linux.lab import Host, Lab
from tests.linux.process import wait_until
from tests.peers.daemons import Keepalived, Settings, Vrrplib
from vrrplib import ChecksumForm, decode, parse
from vrrplib.wire.addresses import Family

pytestmark = pytest.mark.needs("keepalived")

ITS, OURS, LOW = 150, 100, 50
PASSWORD = "s3cr3t"


class Told(Keepalived):
    """keepalived with more lines in its vrrp_instance."""

    lines: tuple[str, ...] = ()

    def config(self) -> str:
        return super().config().replace("  virtual_ipaddress {", "\n".join([*self.lines, "  virtual_ipaddress {"]))


def with_password(kind: str) -> tuple[str, ...]:
    return ("  authentication {", f"    auth_type {kind}", f"    auth_pass {PASSWORD}", "  }")


def with_peer(source: str, peer: str) -> tuple[str, ...]:
    return (f"  unicast_src_ip {source}", "  unicast_peer {", f"    {peer}", "  }")


def key_file(lab: Lab, key: str = PASSWORD) -> str:
    path = Path(lab.directory) / "key"
    path.write_text(f"{key}\n")
    return str(path)


def hosts_of(lab: Lab) -> tuple[Host, Host]:
    return lab.host("its", "10.77.0.1/24", "fd77::1/64"), lab.host("ours", "10.77.0.2/24", "fd77::2/64")


def rest(settings: Settings) -> None:
    time.sleep(settings.active_down_interval + settings.interval)


def plays(its: Told, ours: Vrrplib) -> None:
    """We are its Backup, take over when its host dies, and it is ours when it comes back with a low priority."""
    patience = 6 * its.settings.interval + 10
    its.start()
    its.wait_state("active", patience)
    ours.start()
    ours.wait_state("backup", patience)
    rest(ours.settings)
    assert (its.state(), ours.state()) == ("active", "backup")  # we heed it
    its.die()
    ours.wait_state("active", patience)
    its.settings = its.settings.but(priority=LOW)
    its.revive()
    its.wait_state("backup", patience)
    rest(its.settings)
    assert (its.state(), ours.state()) == ("backup", "active")  # it heeds us
    assert its.complaints() == []
    assert ours.complaints() == []


@pytest.mark.parametrize(("kind", "auth"), [("PASS", "text"), ("AH", "ah")])
def test_with_the_right_key(kind: str, auth: str) -> None:
    settings = Settings(version=2, interval=1)
    with Lab() as lab:
        other, us = hosts_of(lab)
        its = Told(other, settings.but(priority=ITS))
        its.lines = with_password(kind)
        ours = Vrrplib(us, settings.but(priority=OURS), "--key-file", key_file(lab), "--auth", auth)
        plays(its, ours)
        ours.crash()  # it forgets its numbers, and keepalived does not
        ours.start()
        ours.wait_state("active", 20)
        its.wait_state("backup", 20)
        rest(its.settings)
        assert (its.state(), ours.state()) == ("backup", "active")
        assert its.complaints() == []
        assert ours.complaints() == []
        ours.resign()
        its.wait_state("active", 10)  # our resignation is signed as well


@pytest.mark.parametrize(("kind", "auth"), [("PASS", "text"), ("AH", "ah")])
def test_with_a_wrong_key_both_say_so(kind: str, auth: str) -> None:
    settings = Settings(version=2, interval=1)
    with Lab() as lab:
        other, us = hosts_of(lab)
        its = Told(other, settings.but(priority=ITS))
        its.lines = with_password(kind)
        ours = Vrrplib(us, settings.but(priority=OURS), "--key-file", key_file(lab, "another"), "--auth", auth)
        its.start()
        its.wait_state("active", 15)
        ours.start()
        ours.wait_state("active", 15)
        wait_until(lambda: len(its.complaints()) > 2, 15, lambda: f"complaints:\n{its.log}")
        # keepalived 2.2.7 takes each of them for a reason to wait one more interval, and so says nothing itself
        assert (its.state(), ours.state()) == ("active", "active")
        discarded = [event for event in ours.events() if event["event"] == "discarded"]
        assert {(event["reason"], event["source"]) for event in discarded} == {("authentication", "10.77.0.1")}


def test_an_ah_that_is_sent_again_is_discarded_as_a_replay() -> None:
    settings = Settings(version=2, interval=1)
    with Lab() as lab:
        other, us = hosts_of(lab)
        its = Told(other, settings.but(priority=ITS))
        its.lines = with_password("AH")
        ours = Vrrplib(us, settings.but(priority=OURS), "--key-file", key_file(lab), "--auth", "ah")
        with lab.capture() as capture:
            its.start()
            its.wait_state("active", 15)
            ours.start()
            ours.wait_state("backup", 15)
            heard = capture.wait_for(
                lambda frame: frame.advertisement is not None, 10, port="its", since=time.monotonic()
            )
            capture.wait_for(lambda frame: frame.advertisement is not None, 10, port="its", since=heard.time + 0.1)
            its.crash()
            for _ in range(8):  # whoever cannot sign may keep nobody from becoming Active
                other.send(heard.data)
                time.sleep(1)
        assert ours.state() == "active"
        discarded = [event for event in ours.events() if event["event"] == "discarded"]
        assert {(event["reason"], event["source"]) for event in discarded} == {("replay", "10.77.0.1")}


@pytest.mark.parametrize("family", [4, 6])
def test_as_unicast_peers(family: int) -> None:
    settings = Settings(family=family, interval=0.2)
    with Lab() as lab:
        other, us = hosts_of(lab)
        theirs, own = ("10.77.0.1", "10.77.0.2") if family == 4 else (other.link_local(), us.link_local())
        its = Told(other, settings.but(priority=ITS))
        its.lines = with_peer(theirs, own)
        ttl = () if family == 4 else ("--least-peer-ttl", "64")  # keepalived's hop limit for unicast over IPv6
        ours = Vrrplib(us, settings.but(priority=OURS), "--peer", theirs, *ttl)
        with lab.capture() as capture:
            plays(its, ours)
        checksums_cover_the_real_destination(capture, family, {("its", own), ("ours", theirs)})


def checksums_cover_the_real_destination(capture: Capture, family: int, ways: set[tuple[str, str]]) -> None:
    seen = set()
    for frame in capture.advertisements(51, family):
        datagram = parse(frame.data)
        assert datagram is not None
        assert datagram.family is Family(family)
        decode(
            datagram.payload,
            source=datagram.source,
            destination=datagram.destination,
            accept_checksum=ChecksumForm.PSEUDO_HEADER,
        )
        seen.add((frame.port, str(datagram.destination)))
    assert seen == ways
