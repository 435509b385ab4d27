"""PacketTransport on real interfaces: two hosts on a LAN, one with the transport, the other with a plain socket."""

from __future__ import annotations

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
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame, announcement_frame
from vrrplib.wire.packets import VRRPv3

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
