"""Two of ours as unicast peers: on one LAN, and with a router between them."""

from __future__ import annotations

import time

import pytest

from tests.linux.capture import Capture, Frame
from tests.linux.lab import Host, Lab
from tests.linux.running import V4, V6, Running


def options(*peers: str) -> tuple[str, ...]:
    return tuple(word for peer in peers for word in ("--peer", peer))


def errors(capture: Capture, since: float) -> list[Frame]:
    """ICMP errors: the kernel's, about a protocol that nobody seems to listen to."""

    def is_error(frame: Frame) -> bool:
        packet = frame.ip
        return packet is not None and packet[4] in (1, 58) and packet[5][0] in (1, 3, 4)

    return capture.select(is_error, since=since)


@pytest.mark.parametrize("family", [4, 6])
def test_on_one_lan_and_a_third_that_is_no_peer_hears_nothing(lab: Lab, family: int) -> None:
    a, b, c = (lab.host(name, f"10.77.0.{at}/24", f"fd77::{at}/64") for at, name in enumerate("abc", 1))
    address = {host: host.addresses[0].split("/")[0] if family == 4 else host.link_local() for host in (a, b, c)}
    virtual = V4 if family == 4 else V6
    before = {host: host.dump() for host in (a, b)}
    first = Running(a, virtual, priority=200, options=options(address[b]))
    second = Running(b, virtual, priority=100, options=options(address[a]))
    third = Running(c, virtual, priority=250, vrid=52, options=())  # a neighbour with another VRID
    with lab.capture() as capture:
        first.start().wait("active")
        second.start().wait("backup")
        third.start().wait("active")
        since = time.monotonic()  # from here on both listen
        time.sleep(1.0)
        assert errors(capture, since) == []
        assert (first.state, second.state) == ("active", "backup")
        adverts = capture.advertisements(51, family)
        assert {(frame.port, frame.advertisement.destination) for frame in adverts} == {("a", address[b])}
        assert {frame.advertisement.ttl for frame in adverts} == {255}
        assert {frame.destination_mac for frame in adverts} == {b.mac}
        since = time.monotonic()
        first.end()  # its resignation is unicast too
        second.wait("active")
        assert capture.advertisements(51, family, port="a", since=since)[-1].advertisement.priority == 0
        first.start().wait("active")
        second.wait("backup")
        first.crash()
        second.wait("active")
        first.cleanup()
        second.end()
        third.end()
    assert [before[host].diff(host.dump()) for host in (a, b)] == [[], []]


def across(lab: Lab) -> tuple[Host, Host]:
    """Two hosts on LANs of their own, 10.77.1.1 and 10.77.2.1, and a router between them."""
    a = lab.host("a", "10.77.1.1/24")
    b = lab.host("b", "10.77.2.1/24")
    router = lab.host("router", "10.77.1.9/24", "10.77.2.9/24")
    router.sysctl("net.ipv4.ip_forward", 1)
    for name in ("all", "eth0"):
        router.sysctl(f"net.ipv4.conf.{name}.send_redirects", 0)
    a.ip("route", "add", "10.77.2.0/24", "via", "10.77.1.9")
    b.ip("route", "add", "10.77.1.0/24", "via", "10.77.2.9")
    return a, b


def test_across_a_router(lab: Lab) -> None:
    a, b = across(lab)
    address = ("10.99.0.1/32",)
    first = Running(a, address, priority=200, options=(*options("10.77.2.1"), "--least-peer-ttl", "254"))
    second = Running(b, address, priority=100, options=(*options("10.77.1.1"), "--least-peer-ttl", "254"))
    with lab.capture() as capture:
        first.start().wait("active")
        second.start().wait("backup")
        since = time.monotonic()
        time.sleep(1.0)
        assert errors(capture, since) == []
        assert (first.state, second.state) == ("active", "backup")
        hops = {(frame.port, frame.advertisement.ttl) for frame in capture.advertisements(51)}
        assert hops == {("a", 255), ("router", 254)}
        first.crash()
        second.wait("active")
        first.start()
        first.wait("active")
        second.wait("backup")


def test_across_a_router_with_the_usual_bound_each_says_why_it_does_not_hear(lab: Lab) -> None:
    a, b = across(lab)
    first = Running(a, ("10.99.0.1/32",), priority=200, options=options("10.77.2.1")).start()
    second = Running(b, ("10.99.0.1/32",), priority=100, options=options("10.77.1.1")).start()
    for running in (first, second):
        running.wait("active")
    time.sleep(0.5)
    for running, source in ((first, "10.77.2.1"), (second, "10.77.1.1")):
        discarded = [event for event in running.events if event["event"] == "discarded"]
        assert {(event["reason"], event["source"]) for event in discarded} == {("ttl", source)}
