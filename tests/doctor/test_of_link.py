"""Kinds of interface, ARP settings, hypervisors: one wrong fact, one diagnosis."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest

from tests.doctor.facts import HEALTHY, LINK, changed, link, only, unusual
from vrrplib.backends.plan import Link
from vrrplib.doctor.diagnosis import Severity
from vrrplib.doctor.of_link import virtual_router_of
from vrrplib.wire.addresses import Family, MacAddress, virtual_mac


def beside(name: str, kind: str = "macvlan", mac: str = "02:00:00:00:00:09", **fields: object) -> Link:
    return Link(name, 9, MacAddress(mac), kind, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"port_of": "bond", "master": 5}, ("bond's port", "use the bond itself")),
        ({"port_of": "bridge", "master": 5}, ("bridge's port", "use the bridge itself")),
        ({"port_of": "batadv", "master": 5}, ("port of a batadv", "use the master itself")),
        ({"kind": "vrf"}, ("VRF device", "use the member")),
        ({"kind": "ipvlan"}, ("ipvlan", "use its parent")),
        ({"kind": "wlan"}, ("wireless", "announce")),
    ],
)
def test_kinds_without_macvlan(fields: dict[str, object], words: tuple[str, str]) -> None:
    found = only(changed(interface=link(**fields)))
    assert (found.topic, found.severity) == ("interface-kind", Severity.PROBLEM)
    assert words[0] in found.what
    assert words[1] in found.remedy


def test_kinds_that_work() -> None:
    for kind in ("veth", "vlan", "bond", "bridge", "team", "macvlan", "dummy", ""):
        assert unusual(changed(interface=link(kind=kind))) == []
    assert only(changed(interface=link(port_of="vrf", master=5))).severity is Severity.NOTE


def test_no_ethernet() -> None:
    assert "loopback" in only(changed(interface={"hardware": 772})).what
    found = only(changed(interface={"hardware": 65534}))
    assert (found.severity, found.topic) == (Severity.PROBLEM, "interface-kind")
    assert "65534" in found.what


@pytest.mark.parametrize(
    ("other", "finds"),
    [
        (beside("i", "ipvlan", parent=2), True),
        (beside("i", "ipvlan", parent=3), False),
        (beside("p", mode="passthru", parent=2), True),
        (beside("p", "macvtap", mode="passthru", parent=2), True),
        (beside("p", mode="bridge", parent=2), False),
    ],
)
def test_company_that_keeps_macvlans_away(other: Link, finds: bool) -> None:
    facts = changed(interface={"neighbours": (other,)})
    if not finds:
        assert unusual(facts) == []
        return
    found = only(facts)
    assert (found.topic, found.severity) == ("interface-kind", Severity.PROBLEM)
    assert other.name in found.what


def test_virtual_macs_that_the_host_has() -> None:
    other = beside("vrrp.51", mac="00:00:5e:00:01:33", parent=2)
    found = only(changed(interface={"neighbours": (other,)}))
    assert (found.topic, found.severity) == ("virtual-mac-here", Severity.NOTE)
    assert "IPv4 VRID 51" in found.what
    assert only(changed(interface={"neighbours": (other,)}, wanted=(51,))).severity is Severity.WARNING
    elsewhere = beside("vrrp.51", mac="00:00:5e:00:01:33", parent=3)
    assert only(changed(interface={"neighbours": (elsewhere,)}, wanted=(51,))).severity is Severity.NOTE
    swapped = link(mac=MacAddress("00:00:5e:00:02:07"))
    assert "IPv6 VRID 7" in only(changed(interface=swapped, wanted=(7,))).what


@pytest.mark.parametrize("family", Family)
def test_whose_virtual_mac(family: Family) -> None:
    for vrid in (1, 51, 255):
        assert virtual_router_of(virtual_mac(vrid, family)) == (family, vrid)
    for mac in ("00:00:5e:00:01:00", "00:00:5e:00:03:01", "00:00:0c:07:ac:01"):
        assert virtual_router_of(MacAddress(mac)) is None


def test_whether_anything_is_heard() -> None:
    found = only(changed(interface=link(is_up=False)))
    assert (found.topic, found.remedy) == ("link-down", "ip link set eth0 up")
    assert only(changed(interface={"carrier": False})).topic == "no-carrier"


def test_addresses_to_send_from() -> None:
    v4, v6 = HEALTHY.interface.addresses
    found = only(changed(interface={"addresses": (v6,)}))
    assert (found.topic, found.severity) == ("no-address", Severity.WARNING)
    for addresses in ((v4,), (v4, ip_interface("2001:db8::1/64"))):
        found = only(changed(interface={"addresses": addresses}))
        assert (found.topic, found.severity) == ("no-ipv6", Severity.NOTE)
        assert "ip address add" in found.remedy
    off = {"net/ipv6/conf/eth0/disable_ipv6": "1"}
    found = only(changed(interface={"addresses": (v4,)}, sysctls=off))
    assert "disable_ipv6 is 1" in found.what
    assert found.remedy == "sysctl -w net/ipv6/conf/eth0/disable_ipv6=0"
    none = {"net/ipv6/conf/eth0/disable_ipv6": None}
    assert "no IPv6" in only(changed(interface={"addresses": (v4,)}, sysctls=none)).what


@pytest.mark.parametrize(
    ("name", "value", "topic", "severity"),
    [
        ("all/arp_filter", 1, "arp-filter", "problem"),
        ("eth0/arp_filter", 1, None, None),
        ("all/arp_ignore", 1, None, None),
        ("all/arp_ignore", 2, "arp-ignore", "warning"),
        ("all/arp_ignore", 3, "arp-ignore", "problem"),
        ("all/arp_ignore", 8, "arp-ignore", "problem"),
        ("eth0/arp_ignore", 8, "arp-ignore", "problem"),
        ("eth0/arp_ignore", 3, None, None),
        ("all/rp_filter", 1, "rp-filter", "note"),
        ("eth0/rp_filter", 1, "rp-filter", "note"),
        ("eth0/rp_filter", 2, None, None),
        ("all/proxy_arp", 1, "proxy-arp", "note"),
        ("eth0/drop_gratuitous_arp", 1, "gratuitous-arp", "note"),
        ("all/forwarding", 0, None, None),
        ("eth0/forwarding", 0, "forwarding", "note"),
    ],
)
def test_ipv4_settings(name: str, value: int, topic: str | None, severity: str | None) -> None:
    facts = changed(sysctls={f"net/ipv4/conf/{name}": str(value)})
    if topic is None:
        assert unusual(facts) == []
        return
    found = only(facts)
    assert (found.topic, found.severity) == (topic, severity)


def test_the_greater_rp_filter_counts() -> None:
    """2 is loose, and more than 1: the kernel takes the greater of both."""
    both = {"net/ipv4/conf/all/rp_filter": "1", "net/ipv4/conf/eth0/rp_filter": "2"}
    assert unusual(changed(sysctls=both)) == []


def test_ipv6_forwarding() -> None:
    for where in ("all", "eth0"):
        assert "IPv6" in only(changed(sysctls={f"net/ipv6/conf/{where}/forwarding": "0"})).what


def test_a_bridge_that_snoops() -> None:
    assert "asks for memberships" in only(changed(interface={"snooping": True, "querier": True})).what
    assert "asks nobody" in only(changed(interface={"snooping": True, "querier": False})).what
    assert unusual(changed(interface={"snooping": False, "querier": False})) == []


@pytest.mark.parametrize(
    ("driver", "vendor", "product", "words"),
    [
        ("vmxnet3", "VMware, Inc.", "VMware7,1", ("VMware", "forged transmits")),
        ("e1000", "VMware, Inc.", "VMware Virtual Platform", ("VMware", "forged transmits")),
        ("hv_netvsc", "Microsoft Corporation", "Virtual Machine", ("Hyper-V", "MAC address spoofing")),
        ("ena", "Amazon EC2", "m5.large", ("Amazon", "--peer")),
        ("virtio_net", "QEMU", "Standard PC", ("virtual machine", "libvirt")),
        ("virtio_net", "Google", "Google Compute Engine", ("virtual machine", "libvirt")),
        ("ixgbevf", "Dell Inc.", "PowerEdge", ("virtual function", "spoofchk")),
        ("8139cp", "OpenStack Foundation", "OpenStack Nova", ("OpenStack", "allowed address pairs")),
        ("", "DigitalOcean", "Droplet", ("DigitalOcean", "announce")),
    ],
)
def test_hypervisors(driver: str, vendor: str, product: str, words: tuple[str, str]) -> None:
    found = only(changed(interface={"driver": driver}, machine={"vendor": vendor, "product": product}))
    assert (found.topic, found.severity) == ("hypervisor", Severity.WARNING)
    assert "may" in found.what
    assert words[0] in found.what
    assert words[1] in found.remedy


def test_real_hardware_and_links_inside_the_host() -> None:
    dell = {"vendor": "Dell Inc.", "product": "PowerEdge R640"}
    assert unusual(changed(interface={"driver": "ixgbe"}, machine=dell)) == []
    assert unusual(changed(interface={**link(kind="veth"), "driver": "veth"}, machine={"vendor": "QEMU"})) == []
    assert LINK.kind == ""
