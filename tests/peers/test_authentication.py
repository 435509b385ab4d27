"""keepalived and ucarp heed what we sign, and we verify what they send."""

from __future__ import annotations

import time
from typing import NamedTuple

import pytest

from tests.linux.lab import Host, Lab
from tests.peers.daemons import Keepalived, Settings, Ucarp
from vrrplib import (
    CARP,
    AuthenticationHeader,
    CARPKey,
    Finding,
    Replay,
    SimpleText,
    VRRPv2,
    decode_carp,
    next_sequence,
    parse,
    sign,
    sign_carp,
    verify,
    verify_carp,
)
from vrrplib.wire.addresses import MacAddress, multicast_mac
from vrrplib.wire.authentication import Scheme
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame

PASSWORD = "s3cr3t"
OURS, ITS, GROUP = "10.77.0.1", "10.77.0.2", "224.0.0.18"


class Case(NamedTuple):
    scheme: Scheme
    word: str
    unicast: bool = False


CASES = {
    "simple text": Case(SimpleText(PASSWORD), "PASS"),
    "ah": Case(AuthenticationHeader(PASSWORD), "AH"),
    "ah, unicast": Case(AuthenticationHeader(PASSWORD), "AH", unicast=True),
}


class Authenticating(Keepalived):
    """keepalived with a password, and perhaps with our address as its only peer."""

    case: Case

    def config(self) -> str:
        lines = ["  authentication {", f"    auth_type {self.case.word}", f"    auth_pass {PASSWORD}", "  }"]
        if self.case.unicast:
            lines += [f"  unicast_src_ip {ITS}", "  unicast_peer {", f"    {OURS}", "  }"]
        return super().config().replace("  virtual_ipaddress {", "\n".join([*lines, "  virtual_ipaddress {"]))


def frame_of(datagram: Datagram, source: Host, destination: Host) -> bytes:
    group = datagram.destination.is_multicast
    mac = multicast_mac(datagram.destination) if group else MacAddress(destination.mac)
    return advertisement_frame(datagram, source.mac, mac, header=datagram.header or None)


@pytest.mark.needs("keepalived")
@pytest.mark.parametrize("name", CASES)
def test_keepalived_yields_to_what_we_sign_and_what_it_sends_verifies(name: str) -> None:
    case = CASES[name]
    settings = Settings(version=2, priority=100, interval=1)
    packet = VRRPv2(vrid=51, priority=200, addresses=["10.77.0.100"])
    with Lab() as lab:
        us, other = lab.host("us", f"{OURS}/24"), lab.host("other", f"{ITS}/24")
        peer = Authenticating(other, settings)
        peer.case = case
        with lab.capture() as capture:
            peer.start()
            sent = 0
            for _ in range(5):
                sent = next_sequence(case.scheme, sent)
                datagram = sign(case.scheme, packet, OURS, ITS if case.unicast else GROUP, sequence=sent)
                us.send(frame_of(datagram, us, other))
                time.sleep(1)
            assert peer.state() == "backup"
            assert peer.complaints() == []
            peer.wait_state("active", 6)
            time.sleep(1.5)
            heard = [parse(frame.data) for frame in capture.frames]
        replay, verified = Replay(), []
        for datagram in heard:
            if datagram is None or str(datagram.source) != ITS:
                continue
            found = verify(case.scheme, datagram, replay)
            assert not isinstance(found, Finding), found
            replay = found.replay
            verified.append(found.sequence)
        assert len(verified) >= 2
        if sent:
            assert verified[0] == sent + 1  # it goes on from our number


@pytest.mark.needs("ucarp")
def test_ucarp_yields_to_what_we_sign_and_not_to_another_key_and_what_it_sends_verifies() -> None:
    shared = CARPKey(Ucarp.password, ["10.77.0.100"])
    with Lab() as lab:
        us, other = lab.host("us", f"{OURS}/24"), lab.host("other", f"{ITS}/24")
        peer = Ucarp(other, Settings(vrid=51, priority=155, interval=1))  # advskew 100

        def send(key: CARPKey, counter: int) -> None:
            payload = sign_carp(key, CARP(vhid=51, counter=counter)).encode()
            us.send(advertisement_frame(Datagram(payload, OURS, GROUP, 255), us.mac))
            time.sleep(1)

        with lab.capture() as capture:
            peer.start()
            for counter in range(6):
                send(shared, counter)
            assert peer.state() == "backup"
            for counter in range(6, 12):
                send(CARPKey("another", shared.addresses), counter)
            assert peer.state() == "active"
            heard = [parse(frame.data) for frame in capture.frames]
    packets = [decode_carp(item.payload) for item in heard if item and str(item.source) == ITS]
    assert len(packets) >= 2
    assert all(verify_carp(shared, packet) is None for packet in packets)
    assert {packet.advskew for packet in packets} == {100}
    # it counts on from the last that it believed, which was ours
    assert [packet.counter for packet in packets] == list(range(6, 6 + len(packets)))
