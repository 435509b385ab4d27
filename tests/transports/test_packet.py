"""PacketTransport on real interfaces: two hosts on a LAN, one with the transport, the other with a plain socket."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import subprocess
import sys
import time

import pytest

from tests.linux.lab import Lab
from tests.linux.process import wait_until
from vrrplib.errors import BackendError, ConfigError
from vrrplib.transports.packet import PacketTransport
from vrrplib.wire.addresses import MacAddress
from vrrplib.wire.ah import AuthenticationHeader
from vrrplib.wire.authentication import sign, verify
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame, announcement_frame
from vrrplib.wire.packets import VRRPv2, VRRPv3, decode
from vrrplib.wire.parsing import parse

VIRTUAL = "00:00:5e:00:01:33"


def advert(source="10.77.0.2", group="224.0.0.18", addresses=("10.77.0.100",), **fields) -> bytes:
    packet = VRRPv3(vrid=51, addresses=addresses, **fields)
    payload = packet.encode(source, group)
    return advertisement_frame(Datagram(payload, source, group, 255), VIRTUAL)


ADVERT = advert()
ADVERT6 = advert("fe80::2", "ff02::12", ("fe80::5e:51",))
MARKER = advert(priority=7)  # sent last: when it has arrived, so has everything before it


def received(transport: PacketTransport, count: int = 1) -> list[bytes]:
    """What arrives until there are ``count`` frames."""
    frames: list[bytes] = []

    def enough() -> bool:
        while (frame := transport.receive()) is not None:
            frames.append(frame)
        return len(frames) >= count

    wait_until(enough, 5, "frames")
    return frames


@pytest.fixture
def pair(hosts):
    """The transport on host a, and host b, which sends."""
    a, b = hosts
    with PacketTransport("eth0", netns=a.namespace) as transport:
        yield transport, b


def with_protocol(protocol: int, payload: bytes = ADVERT[34:]) -> bytes:
    """ADVERT with another protocol and payload; the checksum is right, for a bridge may look at it."""
    header = bytearray(ADVERT[14:34])
    header[2:4], header[9], header[10:12] = (20 + len(payload)).to_bytes(2, "big"), protocol, bytes(2)
    header[10:12] = (-int.from_bytes(header, "big") % 65535).to_bytes(2, "big")
    return ADVERT[:14] + bytes(header) + payload


def _another(host, mac: str = "02:00:00:00:09:01") -> str:
    """A veth of its own in the host's namespace, whose path is returned."""
    host.ip("link", "add", "lan9", "address", mac, "type", "veth", "peer", "name", "peer9")
    host.ip("link", "set", "lan9", "up")
    host.ip("link", "set", "peer9", "up")
    return host.path


@pytest.mark.linux
class TestFrames:
    def test_a_frame_arrives_as_it_was_sent(self, pair, hosts):
        transport, b = pair
        with PacketTransport("eth0", netns=b.path) as other:
            other.send(ADVERT)
            assert received(transport) == [ADVERT]
            transport.send(ADVERT6)
            assert received(other) == [ADVERT6]
            assert other.receive() is None
        assert transport.receive() is None  # never what we sent ourselves

    def test_what_others_on_this_host_send_is_not_received(self, pair, hosts):
        transport, b = pair
        with PacketTransport("eth0", netns=hosts[0].path) as neighbour:  # as a macvlan's frames leave by its parent
            neighbour.send(ADVERT)
        b.send(MARKER)
        assert received(transport) == [MARKER]

    def test_the_longest_message_and_jumbo_frames_are_whole(self, hosts):
        a, b = hosts
        for host in hosts:
            host.ip("link", "set", "eth0", "mtu", "9000")
            host.lab.switch.ip("link", "set", host.port, "mtu", "9000")
        try:
            longest = advert("fe80::2", "ff02::12", [f"fe80::{number:x}" for number in range(1, 256)])
            assert len(longest) == 14 + 40 + 4088
            jumbo = with_protocol(112, bytes(9000 - 20))
            with PacketTransport("eth0", netns=a.path) as transport:
                b.send(longest)
                b.send(jumbo)
                assert received(transport, 2) == [longest, jumbo]
        finally:
            for host in hosts:
                host.ip("link", "set", "eth0", "mtu", "1500")
                host.lab.switch.ip("link", "set", host.port, "mtu", "1500")

    def test_opened_again_it_goes_on_with_another_interface_of_the_name(self, hosts):
        a = hosts[0]
        with PacketTransport("lan9", netns=_another(a)) as transport:
            descriptor = transport.fileno()
            a.ip("link", "delete", "lan9")
            with pytest.raises(BackendError, match="lan9"):
                transport.reopen()
            _another(a, mac="02:00:00:00:09:99")
            transport.reopen()
            try:
                assert transport.fileno() == descriptor  # who waits for it need not know
                assert str(transport.mac) == "02:00:00:00:09:99"
                with PacketTransport("peer9", netns=a.path) as peer:
                    peer.send(ADVERT)
                    assert received(transport) == [ADVERT]
                    transport.send(ADVERT6)
                    assert received(peer) == [ADVERT6]
            finally:
                a.ip("link", "delete", "lan9")
        with pytest.raises(BackendError, match="closed"):
            transport.reopen()

    def test_it_can_be_waited_for(self, pair):
        transport, b = pair
        assert select.select([transport.fileno()], [], [], 0)[0] == []
        b.send(ADVERT)
        assert select.select([transport.fileno()], [], [], 5)[0] == [transport.fileno()]


def tagged(frame: bytes, tag: int, ethertype: int = 0x8100) -> bytes:
    return frame[:12] + ethertype.to_bytes(2, "big") + tag.to_bytes(2, "big") + frame[12:]


def with_next_header(*headers: int) -> bytes:
    """ADVERT6 with these before its message; each extension header is eight bytes long."""
    extensions = b"".join(bytes([following, 0]) + bytes(6) for following in headers[1:])
    length = len(ADVERT6) - 54 + len(extensions)
    head = bytearray(ADVERT6[:54])
    head[18:20], head[20] = length.to_bytes(2, "big"), headers[0]
    return bytes(head) + extensions + ADVERT6[54:]


@pytest.mark.linux
class TestFilter:
    @pytest.mark.parametrize(
        "frame",
        [
            pytest.param(ADVERT, id="ipv4"),
            pytest.param(with_protocol(51), id="ipv4 ah"),
            pytest.param(ADVERT6, id="ipv6"),
            pytest.param(with_next_header(51, 112), id="ipv6 ah"),
            pytest.param(with_next_header(0, 112), id="hop-by-hop"),
            pytest.param(with_next_header(43, 51, 112), id="routing, ah"),
            pytest.param(with_next_header(60, 0, 112), id="two extensions"),
            pytest.param(bytes.fromhex("020000000001") + ADVERT[6:], id="to our own mac"),
            pytest.param(bytes.fromhex("ffffffffffff") + ADVERT[6:], id="broadcast"),
        ],
    )
    def test_passes(self, pair, frame):
        transport, b = pair
        b.send(frame)
        assert received(transport) == [frame]

    def test_a_tag_that_only_gives_a_priority_belongs_to_no_vlan(self, pair):
        transport, b = pair
        b.send(tagged(ADVERT, 0xE000))
        assert received(transport) == [ADVERT]  # the kernel has taken the tag out

    @pytest.mark.parametrize(
        "frame",
        [
            pytest.param(with_protocol(17), id="udp"),
            pytest.param(with_next_header(58), id="icmpv6"),
            pytest.param(with_next_header(0, 58), id="mld"),
            pytest.param(announcement_frame("10.77.0.2", "02:00:00:00:00:02"), id="arp"),
            pytest.param(tagged(ADVERT, 10), id="vlan"),
            pytest.param(tagged(ADVERT6, 0x6000 | 4095, 0x88A8), id="provider's vlan"),
            pytest.param(bytes.fromhex("020000000077") + ADVERT[6:], id="for another host"),
            pytest.param(bytes.fromhex("00005e000133") + ADVERT[6:], id="for the virtual mac"),
            pytest.param(with_next_header(0)[:18] + bytes(2) + with_next_header(0)[20:54], id="cut"),
        ],
    )
    def test_drops(self, pair, frame):
        transport, b = pair
        b.send(frame)
        b.send(MARKER)
        assert received(transport) == [MARKER]


@pytest.mark.linux
class TestGroups:
    def groups(self, host) -> set[str]:
        (link,) = host.ip_json("maddress", "show", "dev", "eth0")
        return {entry.get("address") or entry["link"] for entry in link["maddr"]}

    def test_both_groups_are_joined_in_the_card_and_in_the_kernel_and_left(self, hosts):
        a, _ = hosts
        before = self.groups(a)
        with PacketTransport("eth0", netns=a.path):
            joined = self.groups(a) - before
        assert joined == {"01:00:5e:00:00:12", "33:33:00:00:00:12", "224.0.0.18", "ff02::12"}
        assert self.groups(a) == before

    def test_a_snooping_switch_with_a_querier_sends_us_ff02_12(self):
        with Lab(snooping=True, querier=True) as lab:
            a, b = lab.host("a", "10.77.0.1/24"), lab.host("b", "10.77.0.2/24")
            with PacketTransport("eth0", netns=a.path) as transport:

                def heard() -> bool:
                    b.send(ADVERT6)
                    time.sleep(0.02)
                    return transport.receive() == ADVERT6

                wait_until(heard, 10, "advert through the switch")
                database = lab.switch.run("bridge", "mdb", "show").stdout
                assert [line for line in database.splitlines() if "port-a" in line and "ff02::12" in line]

    def test_an_interface_without_ipv6_will_do(self, hosts):
        a, b = hosts
        a.sysctl("net.ipv6.conf.eth0.disable_ipv6", 1)
        try:
            with PacketTransport("eth0", netns=a.path) as transport:
                for frame in (ADVERT, ADVERT6):
                    b.send(frame)
                    assert received(transport) == [frame]
        finally:
            a.sysctl("net.ipv6.conf.eth0.disable_ipv6", 0)

    def test_an_interface_without_any_address_will_do(self):
        with Lab() as lab:
            a, b = lab.host("a"), lab.host("b")
            with PacketTransport("eth0", netns=a.path) as transport:

                def arrives() -> bool:  # the port may not forward yet
                    b.send(ADVERT)
                    return transport.receive() == ADVERT

                wait_until(arrives, 5, "frame")


def icmp(frame) -> bool:
    packet = frame.ip
    return packet is not None and packet[4] in (1, 58) and packet[5][0] in (1, 3, 4)  # errors of both families


@pytest.mark.linux
class TestUnicast:
    """Two transports on the LAN: datagrams arrive with all that election and authentication ask for."""

    @pytest.fixture
    def both(self, hosts):
        a, b = hosts
        a.link_up()  # IPv6 addresses may have gone with the link
        with PacketTransport("eth0", netns=a.path) as first, PacketTransport("eth0", netns=b.path) as second:
            yield first, second

    @pytest.mark.parametrize("family", [4, 6])
    def test_it_arrives_and_nobody_complains(self, both, hosts, family):
        first, second = both
        source, peer = ("10.77.0.1", "10.77.0.2") if family == 4 else [host.link_local() for host in hosts]
        address = "10.77.0.100" if family == 4 else "fe80::5e:51"
        payload = VRRPv3(vrid=51, addresses=[address]).encode(source, peer)
        with hosts[0].lab.capture() as capture:
            first.send_datagram(Datagram(payload, source, peer, 255))
            (frame,) = received(second)
            hosts[0].ping("10.77.0.2")  # an error would have been sent by now
        assert frame[:6] == MacAddress(hosts[1].mac).packed
        assert frame[6:12] == MacAddress(hosts[0].mac).packed
        datagram = parse(frame, verify_header=True)
        assert (datagram.payload, str(datagram.source), str(datagram.destination)) == (payload, source, peer)
        assert datagram.ttl == 255
        tos = frame[15] if family == 4 else int.from_bytes(frame[14:16], "big") >> 4 & 0xFF
        assert tos == 0xC0
        assert decode(datagram.payload, source=source, destination=peer)
        assert capture.select(icmp) == []  # "protocol unreachable", if nobody had claimed it

    def test_an_ah_goes_out_as_it_was_signed(self, both, hosts):
        first, second = both
        scheme = AuthenticationHeader("s3cr3t")
        packet = VRRPv2(vrid=51, priority=200, addresses=["10.77.0.100"])
        datagram = sign(scheme, packet, "10.77.0.1", "10.77.0.2", sequence=0x10007)
        with hosts[0].lab.capture() as capture:
            first.send_datagram(datagram)
            (frame,) = received(second)
            hosts[0].ping("10.77.0.2")
        assert frame[14 : 14 + 44] == datagram.header
        assert verify(scheme, parse(frame, verify_header=True)).sequence == 0x10007
        assert capture.select(icmp) == []

    def test_what_a_promiscuous_card_overhears_is_not_received(self, both, hosts):
        """Adverts between others: with the switch as a hub, the frame is on our wire, and not for us."""
        first, _ = both
        a, b = hosts
        a.ip("link", "set", "eth0", "promisc", "on")
        try:
            source, peer = "10.77.0.2", "10.77.0.3"
            payload = VRRPv3(vrid=51, addresses=["10.77.0.100"]).encode(source, peer)
            overheard = advertisement_frame(Datagram(payload, source, peer, 255), b.mac, "02:00:00:00:00:33")
            b.send(overheard)
            b.send(MARKER)
            assert received(first) == [MARKER]
        finally:
            a.ip("link", "set", "eth0", "promisc", "off")

    @pytest.mark.parametrize(
        ("source", "peer", "why"),
        [
            ("fd77::99", "fd77::2", "that is no address of this host"),
            ("fd77::1", "2001:db8::1", "Network is unreachable"),
        ],
    )
    def test_what_cannot_be_sent_is_said(self, both, source, peer, why):
        with pytest.raises(BackendError, match=f"eth0: cannot send from {source} to {peer}: {why}"):
            both[0].send_datagram(Datagram(bytes(8), source, peer, 255))

    def test_too_long_for_the_link(self, both):
        with pytest.raises(BackendError, match=r"eth0: cannot send from .*: Message too long") as caught:
            both[0].send_datagram(Datagram(bytes(1501), "10.77.0.1", "10.77.0.2", 255))
        assert caught.value.errno == 90

    def test_while_the_link_is_down_and_after_the_end(self, hosts):
        a, _ = hosts
        datagram = Datagram(bytes(8), "10.77.0.1", "10.77.0.2", 255)
        with PacketTransport("eth0", netns=a.path) as transport:
            a.link_down()
            try:
                with pytest.raises(BackendError, match="eth0: cannot send from"):
                    transport.send_datagram(datagram)
            finally:
                a.link_up()
            transport.send_datagram(datagram)
        with pytest.raises(BackendError, match=r"eth0: cannot send from .*: the transport is closed"):
            transport.send_datagram(datagram)

    def test_a_peer_that_is_gone_neither_blocks_nor_keeps_us_from_the_others(self, both):
        first, second = both
        for _ in range(5000):  # the kernel keeps what waits for an answer to ARP, up to the socket's buffer
            with contextlib.suppress(BackendError):
                first.send_datagram(Datagram(bytes(8), "10.77.0.1", "10.77.0.77", 255))
        with pytest.raises(BackendError, match="it answers neither ARP nor ND") as caught:
            first.send_datagram(Datagram(bytes(8), "10.77.0.1", "10.77.0.77", 255))
        assert caught.value.errno == errno.EAGAIN
        first.send_datagram(Datagram(bytes(8), "10.77.0.1", "10.77.0.2", 255))
        assert len(received(second)) == 1

    def test_the_sockets_are_bounded_and_closed(self, hosts):
        def count() -> int:
            return len(os.listdir("/proc/self/fd"))

        before = count()
        with PacketTransport("eth0", netns=hosts[0].path) as transport:
            open_ = count()
            for number in range(1, 255):
                transport.send_datagram(Datagram(bytes(8), "10.77.0.1", f"10.77.1.{number}", 255))
                transport.send_datagram(Datagram(bytes(8), "10.77.0.1", f"10.77.2.{number}", 255))
            assert count() <= open_ + 256
        assert count() == before


@pytest.mark.linux
class TestLosses:
    def test_while_the_link_is_down_nothing_arrives_and_send_says_so(self, hosts):
        a, b = hosts
        with PacketTransport("eth0", netns=a.path) as transport:
            b.send(ADVERT)
            assert select.select([transport], [], [], 5)[0]
            a.link_down()
            try:
                assert transport.receive() == ADVERT  # what had arrived is not lost with the link
                assert transport.receive() is None
                assert select.select([transport], [], [], 0)[0] == []  # told once, and not for ever
                with pytest.raises(BackendError, match="eth0: cannot send: Network is down") as caught:
                    transport.send(ADVERT)
                assert caught.value.errno == 100
            finally:
                a.link_up()

            def arrives() -> bool:
                b.send(ADVERT)
                return transport.receive() == ADVERT

            wait_until(arrives, 5, "frame after the link came back")
            transport.send(ADVERT)

    def test_it_can_be_opened_on_an_interface_that_is_down(self, hosts):
        a, b = hosts
        a.link_down()
        try:
            transport = PacketTransport("eth0", netns=a.path)
            assert transport.receive() is None
        finally:
            a.link_up()

        def arrives() -> bool:
            b.send(ADVERT)
            return transport.receive() == ADVERT

        wait_until(arrives, 5, "frame after the link came up")
        transport.close()

    def test_a_removed_interface_is_silent(self):
        with Lab() as lab:
            a = lab.host("a", "10.77.0.1/24")
            with PacketTransport("eth0", netns=a.path) as transport:
                a.ip("link", "delete", "eth0")
                assert [transport.receive() for _ in range(3)] == [None] * 3
                assert select.select([transport], [], [], 0)[0] == []
                with pytest.raises(BackendError, match="eth0: cannot send: the interface is gone"):
                    transport.send(ADVERT)

    def test_closed(self, hosts):
        transport = PacketTransport("eth0", netns=hosts[0].path)
        transport.close()
        transport.close()
        assert transport.receive() is None
        with pytest.raises(BackendError, match="eth0: cannot send: the transport is closed"):
            transport.send(ADVERT)


@pytest.mark.linux
class TestOpening:
    def test_name_and_mac(self, pair, hosts):
        assert pair[0].interface == "eth0"
        assert pair[0].mac == MacAddress(hosts[0].mac)

    def test_in_our_own_namespace(self, hosts):
        def work() -> bytes | None:
            with PacketTransport("eth0") as transport:
                hosts[1].send(ADVERT)
                return received(transport)[0]

        assert hosts[0].call(work) == ADVERT

    def test_neither_the_process_nor_the_thread_moves(self, hosts):
        def here() -> str:
            return os.readlink("/proc/thread-self/ns/net")

        before = here()
        with PacketTransport("eth0", netns=hosts[0].namespace):
            assert here() == os.readlink("/proc/self/ns/net") == before

    @pytest.mark.parametrize("name", ["nosuch0", "much-longer-than-any-interface"])
    def test_an_unknown_interface_is_named(self, hosts, name):
        with pytest.raises(BackendError, match=f"no interface named '{name}'") as caught:
            PacketTransport(name, netns=hosts[0].path)
        assert caught.value.errno == 19

    def test_a_missing_namespace_is_named_and_not_created(self):
        name = f"vl{os.getpid()}-missing"
        with pytest.raises(BackendError, match=f"no network namespace '{name}'"):
            PacketTransport("eth0", netns=name)
        assert not os.path.exists(f"/run/netns/{name}")

    def test_what_is_no_ethernet_is_refused(self, hosts):
        a, _ = hosts
        a.ip("tuntap", "add", "tun7", "mode", "tun")
        try:
            with pytest.raises(BackendError, match="tun7 is no Ethernet interface"):
                PacketTransport("tun7", netns=a.path)
        finally:
            a.ip("link", "delete", "tun7")

    def test_a_missing_privilege_is_named(self, hosts):
        program = (
            "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "from vrrplib.transports.packet import PacketTransport\n"
            "from vrrplib.errors import BackendError\n"
            "try: PacketTransport('lo')\n"
            "except BackendError as error: print(error, error.errno)\n"
        )
        imported = "from vrrplib.transports.packet import PacketTransport\n"  # while its files can still be read
        finished = subprocess.run(
            [sys.executable, "-c", imported + program], capture_output=True, text=True, check=False
        )
        assert finished.stdout.strip() == (
            "lo: cannot open a packet socket: Operation not permitted: it takes CAP_NET_RAW (run as root) 1"
        ), finished.stderr

    def test_nothing_leaks(self, hosts):
        def count() -> int:
            return len(os.listdir("/proc/self/fd"))

        before = count()
        for _ in range(3):
            PacketTransport("eth0", netns=hosts[0].path).close()
            with pytest.raises(BackendError):
                PacketTransport("nosuch0", netns=hosts[0].path)
        assert count() == before


@pytest.mark.parametrize("name", ["", "eth\0", 7, None])
def test_what_cannot_be_a_name_is_refused(name):
    with pytest.raises(ConfigError, match="interface must be the name of a network interface"):
        PacketTransport(name)
