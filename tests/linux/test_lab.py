"""The lab itself: what it builds, sees and leaves behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.linux.dump import IGNORED
from tests.linux.lab import Host, Lab, LabError, Namespace
from tests.linux.process import wait_until

ROOT = Path(__file__).parents[2]
STRANGER = "02:00:00:00:00:aa"
HELLO = bytes.fromhex("ffffffffffff" + STRANGER.replace(":", "") + "88b5") + bytes(46)  # EtherType for experiments


def namespaces(pid: int | None = None) -> set[str]:
    """The namespaces that a process has made; other labs may come and go meanwhile."""
    ours = f"vl{pid or os.getpid()}x"
    return {name for name in os.listdir("/run/netns") if name.startswith(ours)}


def pair(lab: Lab) -> tuple[Host, Host]:
    return lab.host("a", "10.77.0.1/24", "fd77::1/64"), lab.host("b", "10.77.0.2/24", "fd77::2/64")


def test_hosts_reach_each_other_at_once(lab: Lab) -> None:
    a, b = pair(lab)
    assert a.ping("10.77.0.2") == 1
    assert a.ping("fd77::2") == 1
    assert a.ping(f"{b.link_local()}%eth0") == 1
    assert a.neighbour("10.77.0.2") == b.mac == "02:00:00:00:00:02"
    assert a.neighbour("fd77::2") == b.mac
    assert a.neighbour("10.77.0.9") is None


def test_switch_learns_where_a_mac_is(lab: Lab) -> None:
    a, b = pair(lab)
    assert lab.fdb(STRANGER) is None
    a.send(HELLO)
    assert lab.fdb(STRANGER) == "a"
    b.send(HELLO)
    assert lab.fdb(STRANGER) == "b"


def test_capture_says_who_sent_what_when(lab: Lab, tmp_path: Path) -> None:
    a, b = pair(lab)
    with lab.capture() as capture:
        before = time.monotonic()
        a.send(HELLO)
        after = time.monotonic()
        b.send(HELLO + b"b")
        capture.wait_for(lambda frame: frame.data.endswith(b"b"), 2, port="b")
    sent = capture.from_mac(STRANGER)
    assert [(frame.port, frame.data) for frame in sent] == [("a", HELLO), ("b", HELLO + b"b")]
    assert before <= sent[0].time <= after
    assert capture.from_mac(STRANGER, port="b") == capture.from_mac(STRANGER, since=after) == sent[1:]

    file = capture.write_pcap(tmp_path / "hello.pcap", sent).read_bytes()
    seconds, nanoseconds, length = struct.unpack_from("<III", file, 24)
    assert file[40 : 40 + length] == HELLO
    assert abs(seconds + nanoseconds / 1e9 - time.time()) < 60


def test_capture_understands_adverts_and_announcements(lab: Lab) -> None:
    a, _ = pair(lab)
    header = bytes.fromhex("01005e00001200005e0001330800 45c0002000010000ff700000 0a4d0001 e0000012")
    request = bytes.fromhex(
        "ffffffffffff00005e000133080600010800060400 01 00005e000133 0a4d0064 000000000000 0a4d0064"
    )
    with lab.capture() as capture:
        a.send(header + bytes.fromhex("313396010064 0000 0a4d0064") + bytes(14))
        a.send(request)
        a.run("arping", "-U", "-c1", "-I", "eth0", "10.77.0.1", check=False)
    (frame,) = capture.advertisements(51, 4)
    packet = frame.advertisement
    assert packet is not None
    assert (packet.source, packet.destination, packet.ttl) == ("10.77.0.1", "224.0.0.18", 255)
    assert (packet.version, packet.vrid, packet.priority, packet.interval) == (3, 51, 150, 1.0)
    assert len(packet.payload) == 12  # the Ethernet padding is not the packet's
    assert capture.advertisements(52) == capture.advertisements(51, 6) == []
    assert [frame.gratuitous for frame in capture.gratuitous("10.77.0.100")] == [
        ("10.77.0.100", "00:00:5e:00:01:33")
    ]


def test_dump_sees_what_was_changed(lab: Lab) -> None:
    host = lab.host("a", "10.77.0.1/24", "fd77::1/64")
    before = host.dump()
    assert before.diff(host.dump()) == []

    host.sysctl("net.ipv4.conf.eth0.arp_ignore", 1)
    assert before.diff(host.dump()) == ["/proc/sys/net/ipv4/conf/eth0/arp_ignore: 0 -> 1"]
    host.sysctl("net.ipv4.conf.eth0.arp_ignore", 0)
    assert before.diff(host.dump()) == []


@pytest.mark.parametrize(
    ("change", "undo", "seen"),
    [
        ("ip link set eth0 alias x", "ip link set eth0 alias", "ifalias"),
        ("ip link set eth0 mtu 1400", "ip link set eth0 mtu 1500", "mtu"),
        ("ip link add m0 link eth0 type macvlan mode bridge", "ip link del m0", "link m0 linkinfo info_data mode"),
        (
            "ip addr add 10.77.0.100/32 dev eth0",
            "ip addr del 10.77.0.100/32 dev eth0",
            "address eth0 10.77.0.100/32",
        ),
        ("ip route add 192.0.2.0/24 via 10.77.0.9 table 77", "ip route flush table 77", '"table": "77"'),
        ("ip rule add from 10.77.0.100 lookup 77", "ip rule del from 10.77.0.100 lookup 77", "rule -4"),
        ("ip neigh add 10.77.0.9 lladdr 02::9 dev eth0", "ip neigh del 10.77.0.9 dev eth0", "neighbour"),
        ("nft add table netdev t", "nft delete table netdev t", "table netdev t"),
        ("ip maddr add 33:33:00:00:00:12 dev eth0", "ip maddr del 33:33:00:00:00:12 dev eth0", "group eth0"),
    ],
)
def test_dump_sees_every_kind_of_change(lab: Lab, change: str, undo: str, seen: str) -> None:
    change = change.replace("02::9", "02:00:00:00:00:09")
    host = lab.host("a", "10.77.0.1/24")
    host.run("nft", "list", "ruleset")
    before = host.dump()
    host.run(*change.split())
    assert any(seen in line for line in before.diff(host.dump())), before.diff(host.dump())
    host.run(*undo.split(), *([""] if undo.endswith("alias") else []))
    assert before.diff(host.dump()) == []


def test_what_a_dump_ignores_is_printable() -> None:
    print("\n".join(IGNORED))
    assert all(isinstance(line, str) for line in IGNORED)


def test_cables_and_links(lab: Lab) -> None:
    a, b = pair(lab)
    before = a.dump()
    for down, up in [
        (a.link_down, a.link_up),
        (lambda: lab.unplug(a), lambda: lab.plug(a)),
        (lambda: lab.isolate(a), lambda: lab.rejoin(a)),
    ]:
        down()
        assert b.ping("10.77.0.1", timeout=0.2) == 0
        up()
        assert b.ping("10.77.0.1") == 1
        assert b.ping("fd77::1") == 1
    assert before.diff(a.dump()) == []


def test_processes_have_our_pid_a_log_and_an_end(lab: Lab) -> None:
    host = lab.host("a")
    process = host.spawn("sh", "-c", "echo pid=$$; trap 'echo bye; exit 3' TERM; while :; do sleep 0.02; done")
    process.wait_for(f"pid={process.pid}")
    assert process.returncode is None
    process.terminate()
    assert process.wait() == 3
    assert process.log.endswith("bye\n")
    assert host.spawn("false").wait() == 1


def test_call_runs_inside_the_namespace(lab: Lab) -> None:
    host = lab.host("a")
    outside = os.readlink("/proc/thread-self/ns/net")
    assert host.call(os.readlink, "/proc/thread-self/ns/net") != outside
    assert os.readlink("/proc/thread-self/ns/net") == outside


def test_snooping_switch_forwards_a_group_only_where_it_was_asked_for() -> None:
    with Lab(snooping=True, querier=True) as lab:
        a, b, c = (lab.host(name, f"fd77::{number}/64") for number, name in enumerate("abc", 1))
        taps = {host: host.call(open_tap) for host in (b, c)}

        def only_b_hears_it() -> bool:
            a.send(bytes.fromhex("3333ff000002") + HELLO[6:12] + IPV6_TO_SOLICITED_NODE_2)
            wait_until(lambda: IPV6_TO_SOLICITED_NODE_2 in drain(taps[b]), 2, "frame at the host that joined")
            return IPV6_TO_SOLICITED_NODE_2 not in drain(taps[c])

        wait_until(only_b_hears_it, 5, "restriction to the host that joined")
        for tap in taps.values():
            tap.close()


IPV6_TO_SOLICITED_NODE_2 = bytes.fromhex(
    "86dd" "60000000 0008 11 ff fe800000000000000000000000000009 ff0200000000000000000001ff000002 0909090900080000"
)  # fmt: skip


def open_tap() -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    tap.bind(("eth0", 0x0003))
    tap.setblocking(False)
    return tap


def drain(tap: socket.socket) -> list[bytes]:
    """What has arrived, from the EtherType on."""
    frames = []
    with contextlib.suppress(BlockingIOError):
        while True:
            frames.append(tap.recv(2048)[12:])
    return frames


def test_nothing_is_left() -> None:
    before = namespaces()
    with Lab() as lab:
        process = lab.host("a").spawn("sh", "-c", "sleep 1000 & wait")
        child = wait_until(process.children, 5, "child")[0]
        directory = lab.directory
        assert namespaces() - before == {f"{lab.prefix}-switch", f"{lab.prefix}-a"}
    assert namespaces() == before
    assert process.returncode == -signal.SIGKILL
    wait_until(lambda: not is_running(child), 5, "end of the process's child")
    assert not directory.exists()


def test_nothing_is_left_after_a_failure() -> None:
    before = namespaces()
    with pytest.raises(LabError), Lab() as lab:
        lab.host("a", mac="ff:ff:ff:ff:ff:ff")
    assert namespaces() == before


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", ["interrupt", "exit without closing"])
def test_nothing_is_left_when_the_program_ends_early(how: str) -> None:
    ending = "import time; time.sleep(30)" if how == "interrupt" else "raise SystemExit(0)"
    program = (
        f"from tests.linux.lab import Lab; lab = Lab().__enter__(); lab.host('a'); print('up', flush=1); {ending}"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"up\n"
        assert len(namespaces(started.pid)) == 2
        if how == "interrupt":
            started.send_signal(signal.SIGINT)
        started.wait(10)
    assert namespaces(started.pid) == set()


def test_mistakes_are_told(lab: Lab) -> None:
    lab.host("a")
    with pytest.raises(LabError, match="'a'"):
        lab.host("a")
    with pytest.raises(ValueError, match=r"10\.77\.0\.300"):
        lab.host("b", "10.77.0.300/24")
    with pytest.raises(subprocess.CalledProcessError):
        lab.hosts["a"].run("false")
    with pytest.raises(FileNotFoundError):
        Namespace(lab, "nowhere").call(int)
