"""NetlinkSocket: many messages in one call, one acknowledgement, and failures by their places."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

import pytest

from tests.linux.conftest import skip_or_fail, why_not
from tests.linux.lab import Host, Lab
from vrrplib.backends.netlink_messages import encode, link_in, link_request
from vrrplib.backends.netlink_socket import NetlinkSocket
from vrrplib.backends.operations import AddAddress, RemoveAddress

pytestmark = pytest.mark.linux


@pytest.fixture
def machine() -> Iterator[Host]:
    if reason := why_not():
        skip_or_fail(reason, "VRRPLIB_REQUIRE_LINUX")
    with Lab() as lab:
        yield lab.host("a", "10.77.0.1/24")


@pytest.fixture
def netlink(machine: Host) -> Iterator[NetlinkSocket]:
    opened = machine.call(NetlinkSocket)
    yield opened
    opened.close()


def added(netlink: NetlinkSocket, numbers: range) -> list[bytes]:
    (eth0,) = netlink.request(link_request("eth0"))
    index = link_in(eth0).index
    return [
        encode(AddAddress("eth0", f"10.80.{number // 200}.{number % 200 + 1}/16"), lambda _: index)
        for number in numbers
    ]


def removed(netlink: NetlinkSocket, numbers: range) -> list[bytes]:
    (eth0,) = netlink.request(link_request("eth0"))
    index = link_in(eth0).index
    return [
        encode(RemoveAddress("eth0", f"10.80.{number // 200}.{number % 200 + 1}/16"), lambda _: index)
        for number in reversed(numbers)  # the first one's removal takes the others along
    ]


def count(machine: Host) -> int:
    (eth0,) = machine.ip_json("-4", "address", "show", "dev", "eth0")
    return sum(address["local"].startswith("10.80.") for address in eth0["addr_info"])


def test_only_the_last_message_is_acknowledged(machine: Host, netlink: NetlinkSocket) -> None:
    batch = netlink.ready(added(netlink, range(50)))
    at, flags = 0, []
    while at < len(batch.data):
        length, _, flag = struct.unpack_from("=IHH", batch.data, at)
        flags.append(bool(flag & 4))
        at += length
    assert flags == [False] * 49 + [True]
    assert count(machine) == 0
    assert netlink.send(batch) == {}
    assert count(machine) == 50


def test_failures_in_the_middle_and_at_the_end_are_told_by_their_place(
    machine: Host, netlink: NetlinkSocket
) -> None:
    good = added(netlink, range(3))
    bad = removed(netlink, range(100, 102))
    failures = netlink.send(netlink.ready([good[0], bad[0], good[1], good[2], bad[1]]))
    assert {place: error.errno for place, error in failures.items()} == {
        1: errno.EADDRNOTAVAIL,
        4: errno.EADDRNOTAVAIL,
    }
    assert count(machine) == 3  # the kernel goes on


def test_a_batch_may_be_sent_again(machine: Host, netlink: NetlinkSocket) -> None:
    batch, back = netlink.ready(added(netlink, range(9))), netlink.ready(removed(netlink, range(9)))
    for _ in range(3):
        assert netlink.send(batch) == {}
        assert count(machine) == 9
        assert netlink.send(back) == {}
    assert sorted(netlink.send(back)) == list(range(9))


def test_more_failures_than_the_buffer_holds(machine: Host, netlink: NetlinkSocket) -> None:
    failures = netlink.send(netlink.ready(removed(netlink, range(2000))))
    assert len(failures) < 2000  # the kernel could not tell them all: the test cannot fail else
    assert failures[0].errno == errno.EADDRNOTAVAIL
    assert failures[1999].errno == errno.ENOBUFS
    assert netlink.send(netlink.ready(added(netlink, range(2)))) == {}  # in step again
    assert count(machine) == 2


def test_the_answer_to_a_call_that_was_interrupted_is_nobody_else_s(
    machine: Host, netlink: NetlinkSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted:
        def __init__(self, inner: socket.socket) -> None:
            self.send = inner.send

        def recv(self, *_: int) -> bytes:
            raise KeyboardInterrupt

    back = netlink.ready(removed(netlink, range(1)))
    with monkeypatch.context() as patched:
        patched.setattr(netlink, "_socket", Interrupted(netlink._socket))
        with pytest.raises(KeyboardInterrupt):
            netlink.send(back)  # it fails, and nobody has read that
    assert netlink.send(netlink.ready(added(netlink, range(1)))) == {}
    assert netlink.send(back) == {}
