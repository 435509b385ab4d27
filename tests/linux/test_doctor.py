"""The doctor at hosts where something is wrong; and each host is afterwards as it was."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.doctor.test_listen import V1, ipv4, udp
from tests.linux import unprivileged
from tests.linux.dump import HostDump
from tests.linux.lab import Host, Lab, Namespace
from tests.linux.process import wait_until
from tests.linux.running import ROOT, Running, command
from tests.linux.unprivileged import as_nobody, as_root_of, settle, user_namespace
from vrrplib.doctor import reading
from vrrplib.doctor.facts import Ability, Facts
from vrrplib.doctor.gather import gather
from vrrplib.doctor.judge import diagnose
from vrrplib.wire.carp import CARP
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.frames import advertisement_frame

ADDRESSES = ("10.77.0.1/24", "fd77::1/64")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_WAITS", 1)


def facts_of(host: Namespace, interface: str = "eth0", **options: Any) -> Facts:
    state_dir = host.lab.directory / "none"
    return gather(interface, netns=host.path, **{"seconds": 0.0, "state_dir": state_dir, **options})


def topics(facts: Facts) -> dict[str, str]:
    """The topics of what is not ok, with their severities."""
    return {one.topic: str(one.severity) for one in diagnose(facts) if str(one.severity) != "ok"}


def run(host: Host, *arguments: str) -> list[str]:
    return ["env", f"PYTHONPATH={ROOT}", *command("doctor", "eth0", "--json", *arguments)]


def told(finished: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """By topic; the exit status is that of the worst."""
    events = [json.loads(line) for line in finished.stdout.splitlines()]
    assert all(event["event"] == "diagnosis" and event["interface"] == "eth0" for event in events), finished.stderr
    severities = {event["severity"] for event in events}
    assert finished.returncode == int("problem" in severities)
    return {event["topic"]: event for event in events if event["severity"] != "ok"}


@pytest.fixture
def host(lab: Lab) -> Host:
    """Its link-local address is no longer tentative."""
    host = lab.host("a", *ADDRESSES)
    settle(host)
    return host


class Untouched:
    """Nothing of the host changes meanwhile."""

    def __init__(self, host: Namespace) -> None:
        self.host = host
        self.before: HostDump

    def __enter__(self) -> None:
        self.before = self.host.dump()

    def __exit__(self, *_: object) -> None:
        assert self.before.diff(self.host.dump()) == []


def test_a_healthy_host(host: Host) -> None:
    with Untouched(host):
        facts = facts_of(host, seconds=0.3)
    assert facts.kernel.abilities["macvlan"] is facts.kernel.abilities["cookie"] is Ability.WORKS
    assert facts.interface.driver == "veth"
    assert facts.interface.carrier
    assert facts.sysctls_writable
    assert not facts.sysctls_read_only
    assert facts.lan.deaf is None
    wrong = {topic for topic, severity in topics(facts).items() if severity in ("problem", "warning")}
    assert wrong <= {"scheduling", "cpu-quota", "clock"}  # those are this machine's


def test_the_command(host: Host, tmp_path: Path) -> None:
    """A sick host, in JSON: everything at once, with programs that are called as the real ones."""
    for name, value in {"arp_filter": 1, "arp_ignore": 3, "proxy_arp": 1, "drop_gratuitous_arp": 1}.items():
        host.sysctl(f"net/ipv4/conf/all/{name}", value)
    host.sysctl("net/ipv4/conf/eth0/rp_filter", 1)
    host.ip("link", "add", "vrrp.51", "link", "eth0", "address", "00:00:5e:00:01:33", "type", "macvlan")
    programs = ("keepalived", "NetworkManager", "systemd-networkd")
    for name in programs:
        shutil.copy("/bin/sleep", tmp_path / name)
        host.spawn(str(tmp_path / name), "60")
    index = host.ip_json("link", "show", "dev", "eth0")[0]["ifindex"]
    (tmp_path / "file").write_text("")
    managed = (
        "mount -t tmpfs tmpfs /run && mkdir -p /run/NetworkManager/devices /run/systemd/netif/links && "
        f"printf '[device]\\nmanaged=true\\n' >/run/NetworkManager/devices/{index} && "
        f"printf 'ADMIN_STATE=configured\\nNETWORK_FILE=/etc/a.network\\n' >/run/systemd/netif/links/{index} && "
        'exec "$@"'
    )
    doctor = run(host, "--listen", "0", "--vrid", "51", "--state-dir", str(tmp_path / "file"))
    with Untouched(host):
        found = told(host.run("sh", "-c", managed, "sh", *doctor, check=False))
    severities = {topic: event["severity"] for topic, event in found.items()}
    assert severities.items() >= {
        "arp-filter": "problem", "arp-ignore": "problem", "state-dir": "problem", "rp-filter": "note",
        "proxy-arp": "note", "gratuitous-arp": "note", "virtual-mac-here": "warning", "daemon": "warning",
        "manager": "warning", "forwarding": "note",
    }.items()  # fmt: skip
    assert str(tmp_path / "file") in found["state-dir"]["what"]
    assert all(event["why"] and event["remedy"] for event in found.values() if event["severity"] != "note")


def test_in_lines(host: Host) -> None:
    host.ip("link", "set", "eth0", "down")
    finished = host.run(*[word for word in run(host, "--listen", "0.1") if word != "--json"], check=False)
    assert finished.returncode == 1
    first, why, remedy, *_ = finished.stdout.splitlines()
    assert first == "problem  eth0 is down"
    assert why == "         nothing is sent or heard"
    assert remedy == "         -> ip link set eth0 up"
    finished = host.run(*(word.replace("eth0", "eth9") for word in run(host)), check=False)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert "'eth9'" in finished.stderr


def test_who_is_on_the_lan() -> None:
    with Lab(snooping=True, querier=True) as lab:
        lab.switch.ip("link", "set", "br0", "type", "bridge", "mcast_query_interval", "100")  # a second
        host, other, third = lab.host("a", *ADDRESSES), lab.host("b", "10.77.0.2/24"), lab.host("c", "10.77.0.3/24")
        settle(host)
        Running(other, vrid=51, interval=0.1).start().wait("active")
        carp = Datagram(CARP(vhid=52).encode(), "10.77.0.3", "224.0.0.18", 255)
        frames = [
            advertisement_frame(carp, "00:00:5e:00:01:34"),
            ipv4(17, udp(V1)),
            ipv4(6, b"", mac=bytes.fromhex("00005e000135")),
        ]
        doctor = host.spawn(*run(host, "--listen", "2.5", "--vrid", "51", "--vrid", "52", "--vrid", "53"))
        with Untouched(other):
            while doctor.returncode is None:
                for frame in frames:
                    third.send(frame)
                time.sleep(0.05)
        events = [json.loads(line) for line in doctor.log.splitlines()]
        settle(host)
    said = {(event["topic"], event["severity"]): event["what"] for event in events}
    assert "VRRPv3, IPv4 VRID 51, priority 100, for 10.77.0.100" in said["vrid-in-use", "warning"]
    assert "CARP, VHID 52" in said["vrid-in-use", "problem"]
    assert "HSRP, group 7" in said["foreign", "note"]
    assert "00:00:5e:00:01:35" in said["virtual-mac", "warning"]
    assert "asks for multicast memberships" in said["querier", "note"]
    assert doctor.returncode == 1


def test_interfaces_that_cannot(host: Host) -> None:
    host.lab.unplug(host)
    wait_until(
        lambda: "LOWER_UP" not in host.ip_json("link", "show", "dev", "eth0")[0]["flags"], 5, "loss of carrier"
    )
    assert topics(facts_of(host))["no-carrier"] == "problem"
    host.lab.plug(host)
    host.ip("address", "flush", "dev", "eth0")
    found = topics(facts_of(host))
    assert found["no-address"] == "warning"
    assert found["no-ipv6"] == "note"
    host.ip("link", "add", "pass0", "link", "eth0", "type", "macvlan", "mode", "passthru")
    assert topics(facts_of(host))["interface-kind"] == "problem"
    host.ip("link", "delete", "pass0")
    host.ip("link", "add", "br9", "type", "bridge", "mcast_snooping", "1")
    host.ip("link", "set", "eth0", "master", "br9")
    with Untouched(host):
        facts = facts_of(host)
    assert facts.interface.link.port_of == "bridge"
    assert topics(facts)["interface-kind"] == "problem"
    assert topics(facts_of(host, "lo"))["interface-kind"] == "problem"
    assert topics(facts_of(host, "br9"))["link-down"] == "problem"


def test_a_bridge_of_our_own_that_snoops(lab: Lab) -> None:
    """/sys must be the namespace's: `ip netns exec` mounts it."""
    lab.switch.ip("link", "set", "br0", "type", "bridge", "mcast_snooping", "1", "mcast_querier", "1")
    doctor = ["env", f"PYTHONPATH={ROOT}", *command("doctor", "br0", "--json", "--listen", "0")]
    said = [json.loads(line)["what"] for line in lab.switch.run(*doctor, check=False).stdout.splitlines()]
    assert "the bridge of br0 snoops multicast, and asks for memberships" in said


def test_leftovers(host: Host) -> None:
    running = Running(host).start().wait("active")
    running.crash()
    with Untouched(host):
        facts = facts_of(host, state_dir=running.state_dir)
        journal = running.leavings()
    assert topics(facts)["leftovers"] == "warning"
    assert any("ip link delete dev vmac4-" in command for command in facts.state.leftovers)
    assert running.leavings() == journal
    running.cleanup()
    assert "leftovers" not in topics(facts_of(host, state_dir=running.state_dir))


def test_a_read_only_proc_sys(host: Host) -> None:
    """As in a container."""
    remount = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"'
    found = told(host.run("sh", "-c", remount, "sh", *run(host, "--listen", "0"), check=False))
    assert found["proc-sys"]["severity"] == "problem"
    assert "read-only" in found["proc-sys"]["what"]


class TestPrivileges:
    @pytest.fixture(autouse=True)
    def _another_user(self) -> None:
        if reason := unprivileged.why_not():
            pytest.skip(reason)

    def test_what_is_missing(self, host: Host) -> None:
        arguments = ("doctor", "eth0", "--json", "--listen", "0.2", "--state-dir", "/run")
        with Untouched(host):
            finished = host.run(*as_nobody(host.lab, (), *arguments), check=False)
        missing = [json.loads(line)["what"] for line in finished.stdout.splitlines() if '"privileges"' in line]
        assert missing == ["CAP_NET_ADMIN is missing", "CAP_NET_RAW is missing"]
        found = told(finished)
        assert "CAP_NET_RAW" in found["lan"]["what"]
        assert "/run cannot be written by this user" in found["state-dir"]["what"]
        assert found["kernel-macvlan"]["severity"] == found["kernel-egress"]["severity"] == "note"
        found = told(host.run(*as_nobody(host.lab, ("net_admin", "net_raw"), *arguments), check=False))
        assert found.keys() & {"privileges", "proc-sys", "lan", "kernel-macvlan", "kernel-egress"} == set()
        assert found["realtime"]["severity"] == "note"

    def test_a_user_namespace(self, lab: Lab) -> None:
        holder = user_namespace(lab)
        host = lab.adopt("a", holder, *ADDRESSES)
        settle(host)
        state = str(unprivileged.state_of_nobody(lab))
        arguments = ("doctor", "eth0", "--json", "--listen", "0.2", "--state-dir", state)
        with Untouched(host):
            found = told(host.run(*as_root_of(lab, holder, *arguments), check=False))
        assert found.keys() & {"privileges", "proc-sys", "lan", "kernel-macvlan", "state-dir"} == set()
        assert found["realtime"]["severity"] == "note"

    def test_a_network_namespace_of_another_user_namespace(self, host: Host) -> None:
        found = told(host.run("unshare", "--user", "--map-root-user", *run(host, "--listen", "0"), check=False))
        assert "another user namespace" in found["privileges"]["what"]
        assert found["kernel-macvlan"]["severity"] == "note"  # it may not be tried
