"""Transport: what every one of them has in common."""

from __future__ import annotations

import pytest

from vrrplib.errors import BackendError
from vrrplib.transports.base import Transport
from vrrplib.transports.memory import MemoryTransport
from vrrplib.wire.datagram import Datagram


def test_a_transport_that_cannot_send_unicast_says_so():
    datagram = Datagram(b"", "192.0.2.1", "192.0.2.2", 255)
    with pytest.raises(BackendError, match="mem0: MemoryTransport cannot send to the unicast address") as e:
        MemoryTransport().send_datagram(datagram)
    assert e.value.operation is datagram


def test_what_a_transport_must_have():
    assert Transport.__abstractmethods__ == {"send", "receive", "fileno", "close"}
