"""MemoryTransport: frames in and out of lists."""

from __future__ import annotations

import pytest

from vrrplib.errors import BackendError, ConfigError
from vrrplib.transports.memory import MOST_FRAMES, MemoryTransport
from vrrplib.wire.addresses import MacAddress


class Hub:
    """A Lan that gives every frame to everybody else."""

    def __init__(self):
        self.transports = []

    def attach(self, transport):
        self.transports.append(transport)

    def transmit(self, sender, frame):
        for transport in self.transports:
            if transport is not sender:
                transport.deliver(frame)


def test_what_is_delivered_is_received_in_order_and_once():
    transport = MemoryTransport()
    transport.deliver(b"one")
    transport.deliver(bytearray(b"two"))
    assert [transport.receive(), transport.receive(), transport.receive()] == [b"one", b"two", None]


def test_what_is_sent_is_kept_and_never_received():
    transport = MemoryTransport()
    transport.send(b"frame")
    assert list(transport.sent) == [b"frame"]
    assert transport.receive() is None


def test_frames_reach_the_others_on_the_lan():
    hub = Hub()
    a, b, c = (MemoryTransport(hub, interface=name) for name in "abc")
    a.send(b"frame")
    assert (a.receive(), b.receive(), c.receive()) == (None, b"frame", b"frame")


def test_memory_is_bounded_and_the_oldest_goes_first():
    transport = MemoryTransport()
    for number in range(MOST_FRAMES + 1):
        transport.deliver(b"%d" % number)
        transport.send(b"%d" % number)
    assert transport.receive() == transport.sent[0] == b"1"
    assert len(transport.sent) == MOST_FRAMES


def test_names_and_addresses():
    transport = MemoryTransport(interface="lan7", mac="02-00-00-00-00-07")
    assert (transport.interface, transport.mac) == ("lan7", MacAddress("02:00:00:00:00:07"))
    with pytest.raises(ConfigError):
        MemoryTransport(mac="nonsense")


def test_it_has_no_file_descriptor():
    with pytest.raises(BackendError, match="mem0 is in memory"):
        MemoryTransport().fileno()


def test_closed_it_neither_sends_nor_receives():
    transport = MemoryTransport()
    transport.deliver(b"before")
    transport.close()
    transport.close()
    transport.deliver(b"after")
    assert transport.receive() is None
    with pytest.raises(BackendError, match="mem0 is closed"):
        transport.send(b"frame")
