"""Who was heard, and what that means for the VRIDs that are wanted."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tests.doctor.facts import changed, only, unusual
from vrrplib.doctor.diagnosis import Severity
from vrrplib.doctor.facts import Lan, Protocol, Speaker
from vrrplib.wire.addresses import Family, MacAddress, virtual_mac


def speaker(protocol: Protocol = Protocol.VRRP, vrid: int = 51, **fields: object) -> Speaker:
    mac = virtual_mac(vrid) if vrid < 256 else MacAddress("00:00:0c:9f:f1:00")
    values = {"version": 3, "priority": 150, **fields}
    return Speaker(protocol, Family.IPV4, vrid, ip_address("10.0.0.2"), mac, **values)  # type: ignore[arg-type]


def heard(*speakers: Speaker, wanted: tuple[int, ...] = (51,)) -> object:
    return changed(lan=Lan(seconds=4.0, speakers=speakers), wanted=wanted)


def test_a_vrid_in_use() -> None:
    facts = heard(speaker(addresses=(ip_address("10.0.0.254"),)), speaker(vrid=1))
    found, other = unusual(facts)
    assert (found.topic, found.severity) == ("vrid-in-use", Severity.WARNING)
    assert found.what == ("10.0.0.2 (00:00:5e:00:01:33) speaks VRRPv3, IPv4 VRID 51, priority 150, for 10.0.0.254")
    assert "such as 2" in found.remedy
    assert (other.topic, other.severity) == ("speaker", Severity.NOTE)


def test_no_vrid_is_free() -> None:
    found = unusual(heard(*(speaker(vrid=vrid) for vrid in range(1, 256))))
    assert "no VRID is free" in next(one for one in found if one.topic == "vrid-in-use").remedy


def test_a_broken_one() -> None:
    found = only(heard(speaker(broken="checksum is 0")))
    assert (found.topic, found.severity) == ("speaker", Severity.WARNING)
    assert "checksum is 0" in found.what


def test_carp_has_the_same_virtual_macs() -> None:
    found = only(heard(speaker(Protocol.CARP)))
    assert (found.topic, found.severity) == ("vrid-in-use", Severity.PROBLEM)
    assert "CARP, VHID 51" in found.what
    assert "such as 1" in found.remedy
    assert only(heard(speaker(Protocol.CARP), wanted=(7,))).severity is Severity.NOTE


def test_hsrp_is_only_foreign() -> None:
    found = only(heard(speaker(Protocol.HSRP)))
    assert (found.topic, found.severity) == ("foreign", Severity.NOTE)
    assert "group 51" in found.what
    assert only(heard(speaker(Protocol.HSRP, vrid=4000))).topic == "foreign"


@pytest.mark.parametrize(("wanted", "severity"), [((51,), "warning"), ((), "note")])
def test_a_virtual_mac_of_nobody_who_speaks(wanted: tuple[int, ...], severity: str) -> None:
    found = only(heard(Speaker(Protocol.UNKNOWN, Family.IPV4, 51, None, virtual_mac(51)), wanted=wanted))
    assert (found.topic, found.severity) == ("virtual-mac", severity)
    assert found.what.startswith("00:00:5e:00:01:33, the virtual MAC of IPv4 VRID 51")


def test_queriers_and_deafness() -> None:
    assert only(changed(lan=Lan(seconds=1.0, queriers=(ip_address("10.0.0.9"),)))).topic == "querier"
    assert "no right" in only(changed(lan=Lan(deaf="no right"))).what
    assert unusual(changed(lan=Lan())) == []
