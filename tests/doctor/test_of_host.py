"""Kernel, privileges, /proc/sys, journal, other programs, clock: one wrong fact, one diagnosis."""

from __future__ import annotations

import pytest

from tests.doctor.facts import HEALTHY, changed, only, unusual
from vrrplib.doctor.diagnosis import Severity
from vrrplib.doctor.facts import CAPABILITIES, Ability, Program

ALL = frozenset(CAPABILITIES)


@pytest.mark.parametrize(
    ("name", "severity"), [("macvlan", "problem"), ("nftables", "note"), ("egress", "note"), ("cookie", "note")]
)
def test_what_the_kernel_lacks(name: str, severity: str) -> None:
    abilities = {**HEALTHY.kernel.abilities, name: Ability.LACKS}
    found = only(changed(kernel={"abilities": abilities}))
    assert (found.topic, found.severity) == (f"kernel-{name}", severity)
    assert "6.1" in found.what
    assert "Linux" in found.remedy or "CONFIG_" in found.remedy


def test_what_could_not_be_tried() -> None:
    found = unusual(changed(kernel={"abilities": {"cookie": Ability.WORKS}}))
    assert [one.topic for one in found] == ["kernel-macvlan", "kernel-nftables", "kernel-egress"]
    assert all("CAP_NET_ADMIN" in one.what and one.severity is Severity.NOTE for one in found)


@pytest.mark.parametrize("name", ["CAP_NET_ADMIN", "CAP_NET_RAW"])
def test_a_capability_is_missing(name: str) -> None:
    found = only(changed(privileges={"capabilities": ALL - {name}}))
    assert (found.severity, found.what) == (Severity.PROBLEM, f"{name} is missing")
    assert f"AmbientCapabilities={name}" in found.remedy


def test_capabilities_that_do_not_count() -> None:
    found = only(changed(privileges={"foreign_namespace": True}))
    assert found.severity is Severity.PROBLEM
    assert "another user namespace" in found.what
    missing = unusual(changed(privileges={"foreign_namespace": True, "capabilities": ALL - {"CAP_NET_RAW"}}))
    assert [one.what for one in missing] == ["CAP_NET_RAW is missing"]


def test_another_namespace_takes_cap_sys_admin() -> None:
    less = ALL - {"CAP_SYS_ADMIN"}
    assert unusual(changed(privileges={"capabilities": less})) == []
    assert "CAP_SYS_ADMIN" in only(changed(privileges={"capabilities": less, "other_namespace": True})).what


def test_a_real_time_priority() -> None:
    less = {"capabilities": ALL - {"CAP_SYS_NICE"}}
    assert only(changed(privileges=less)).topic == "realtime"
    assert unusual(changed(privileges={**less, "realtime_limit": 50})) == []
    # in a user namespace the capability does not count (sched_setscheduler(2) asks the initial one)
    assert only(changed(privileges={"initial_user_namespace": False})).topic == "realtime"


def test_proc_sys() -> None:
    found = only(changed(sysctls_read_only=True, sysctls_writable=False))
    assert (found.topic, found.severity) == ("proc-sys", Severity.PROBLEM)
    assert "read-only" in found.what
    assert only(changed(sysctls_writable=False)).topic == "proc-sys"
    # whoever lacks the capability is told of that alone
    found = only(changed(sysctls_writable=False, privileges={"capabilities": ALL - {"CAP_NET_ADMIN"}}))
    assert found.topic == "privileges"


def test_the_journal() -> None:
    found = only(changed(state={"refused": "/run cannot be written by this user"}))
    assert (found.topic, found.severity) == ("state-dir", Severity.PROBLEM)
    assert "/run/vrrplib" in found.what
    assert "--state-dir" in found.remedy
    assert only(changed(state={"unread": "torn"})).topic == "leftovers"
    found = only(changed(state={"leftovers": ("ip link delete dev v", *"bcd")}))
    assert (found.topic, found.severity) == ("leftovers", Severity.WARNING)
    assert "4 changes" in found.what
    assert "ip link delete dev v; b; c ..." in found.what
    assert "vrrplib cleanup eth0" in found.remedy


def test_other_programs() -> None:
    found = only(changed(programs=(Program("keepalived", 7),)))
    assert (found.topic, found.severity) == ("daemon", Severity.WARNING)
    assert found.what == "keepalived runs here (process 7)"
    found = only(changed(programs=(Program("vrrpd", 8, certain=False),)))
    assert "FRR" in found.what
    assert "perhaps" in found.what


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("NetworkManager", "nmcli device set eth0 managed no"), ("systemd-networkd", "Unmanaged=yes")],
)
def test_who_manages_the_link(name: str, remedy: str) -> None:
    found = only(changed(managers=(name,)))
    assert (found.topic, found.what) == ("manager", f"{name} manages eth0")
    assert remedy in found.remedy


def test_time() -> None:
    assert only(changed(machine={"clocksource": "acpi_pm"})).topic == "clock"
    assert unusual(changed(machine={"clocksource": "kvm-clock"})) == []
    assert only(changed(machine={"cpus": 1})).topic == "cpus"
    assert "0.5 of a CPU" in only(changed(machine={"cpu_quota": 0.5})).what
    assert unusual(changed(machine={"cpu_quota": 2.0})) == []


@pytest.mark.parametrize(
    ("worst", "severity", "interval"),
    [(0.006, "note", "0.1"), (0.05, "warning", "1 "), (0.2, "warning", "1 "), (3.0, "warning", "10")],
)
def test_lateness(worst: float, severity: str, interval: str) -> None:
    found = only(changed(machine={"lateness": (0.0002, worst, 0.0001)}))
    assert (found.topic, found.severity) == ("scheduling", severity)
    assert f"3 waits of 10 ms ended 0.20 ms late at the median, {worst * 1000:.2f} ms at worst" == found.what
    assert f"--interval {interval}" in found.remedy


def test_lateness_that_was_not_measured() -> None:
    assert unusual(changed(machine={"lateness": ()})) == []
