"""MacvlanBackend's plan: what is done for each family, and why a host is refused."""

from __future__ import annotations

import dataclasses
import errno

import pytest

from tests.backends.hosts import PHYSICAL, V4, V6, JournalledHost, Killed, memory_host, snapshot, through
from vrrplib.backends.dryrun import DryRunBackend
from vrrplib.backends.macvlan import LONGEST_NAME, MacvlanBackend, why_no_macvlan
from vrrplib.backends.memory import MemoryHost
from vrrplib.backends.operations import (
    AddAddress,
    AddEgressDrop,
    AddMacvlan,
    AddTable,
    RemoveAddress,
    RemoveEgressDrop,
    SetLinkUp,
    SetMacvlanMode,
    SetSysctl,
)
from vrrplib.backends.plan import Link
from vrrplib.election.config import RouterConfig
from vrrplib.errors import BackendError, ConfigError
from vrrplib.wire.addresses import MacAddress


def plan(config, host=None, **options):
    host = host or memory_host()
    return MacvlanBackend("eth0", config, host=host, **options).plan(host, host.link("eth0"))


def sysctls(operations, name):
    """{path below conf/NAME: value}"""
    marker = f"/conf/{name}/"
    found = [item for item in operations if isinstance(item, SetSysctl) and marker in item.path]
    return {item.path.split("/")[1] + "/" + item.path.split("/")[-1]: item.value for item in found}


def test_ipv4_adds_the_addresses_then_goes_live():
    made = plan(V4)
    assert made.mac == V4.virtual_mac
    assert made.own_link == "vmac4-2-51"
    assert made.activate == (
        AddAddress("vmac4-2-51", "10.77.0.100/24", prefix_route=False),
        AddAddress("vmac4-2-51", "10.77.0.101/24", prefix_route=False),
        SetMacvlanMode("vmac4-2-51", "private"),
    )
    assert made.deactivate == (
        SetMacvlanMode("vmac4-2-51", "source"),
        RemoveAddress("vmac4-2-51", "10.77.0.101/24"),
        RemoveAddress("vmac4-2-51", "10.77.0.100/24"),
    )


def test_ipv6_is_off_until_active():
    made = plan(V6)
    off = "net/ipv6/conf/vmac6-2-51/disable_ipv6"
    assert made.activate == (
        SetSysctl(off, "0"),
        AddAddress("vmac6-2-51", "fe80::51/64", prefix_route=True, source=False),
        AddAddress("vmac6-2-51", "fd77::100/64", prefix_route=False, source=False),
        SetMacvlanMode("vmac6-2-51", "private"),
    )
    assert made.deactivate == (SetMacvlanMode("vmac6-2-51", "source"), SetSysctl(off, "1", expected="0"))


@pytest.mark.parametrize("config", [V4, V6])
def test_the_link_is_born_inert_and_silenced_before_it_is_up(config):
    made = plan(config)
    (born,) = [item for item in made.prepare if isinstance(item, AddMacvlan)]
    assert born == AddMacvlan(made.own_link, "eth0", str(config.virtual_mac), "source")
    assert made.prepare[-1] == SetLinkUp(made.own_link)
    assert sysctls(made.prepare, made.own_link)["ipv6/disable_ipv6"] == "1"
    assert not [item for item in made.prepare if isinstance(item, AddAddress | SetMacvlanMode)]


def test_sysctls_of_the_parent_are_raised_before_there_is_a_link():
    made = plan(V4)
    assert made.prepare[:2] == (
        SetSysctl("net/ipv4/conf/eth0/arp_ignore", "1", shared=True),
        SetSysctl("net/ipv4/conf/eth0/arp_announce", "2", shared=True),
    )
    assert sysctls(plan(V6).prepare, "eth0") == {}


def test_sysctls_of_the_link():
    assert sysctls(plan(V4).prepare, "vmac4-2-51") == {
        "ipv4/arp_ignore": "1",
        "ipv4/medium_id": "-1",
        "ipv4/proxy_arp_pvlan": "0",
        "ipv4/arp_announce": "2",
        "ipv4/arp_filter": "0",
        "ipv4/rp_filter": "2",
        "ipv4/promote_secondaries": "1",
        "ipv6/disable_ipv6": "1",
    }
    assert sysctls(plan(V6).prepare, "vmac6-2-51") == {
        "ipv4/arp_ignore": "1",
        "ipv4/medium_id": "-1",
        "ipv4/proxy_arp_pvlan": "0",
        "ipv6/disable_ipv6": "1",
        "ipv6/addr_gen_mode": "1",
        "ipv6/accept_ra": "0",
        "ipv6/autoconf": "0",
    }


@pytest.mark.parametrize(
    ("config", "parent", "default", "everywhere", "written"),
    [
        (V4, "1", "0", "0", "1"),
        (V4, "0", "1", "1", "0"),
        (V4, "1", "1", "1", None),  # as a new link is anyway
        (V6, "1", "0", "1", "1"),
        (V6, "0", "1", "1", "0"),
        (V6, "1", "1", "1", None),
        (V6, "1", "0", "0", None),  # no router: and writing 1 would cost other interfaces their default routes
    ],
)
def test_the_link_forwards_as_its_parent_does(config, parent, default, everywhere, written):
    host = memory_host()
    for where, value in {"eth0": parent, "default": default, "all": everywhere}.items():
        host.add_sysctl(f"net/ipv{config.family}/conf/{where}/forwarding", value)
    made = plan(config, host)
    assert sysctls(made.prepare, made.own_link).get(f"ipv{config.family}/forwarding") == written


def test_a_kernel_without_ipv6_is_asked_for_nothing_of_it():
    class Old(type(memory_host())):
        def sysctl(self, path):
            return None if path.startswith("net/ipv6") else super().sysctl(path)

    host = Old()
    host.add_interface("eth0", "02:00:00:00:00:01", ["10.77.0.1/24"])
    made = plan(V4, host)
    assert not [item for item in made.prepare if isinstance(item, SetSysctl) and "ipv6" in item.path]


def test_where_the_parent_is_not_in_the_subnet_the_link_gets_the_route():
    config = RouterConfig(vrid=51, addresses=("10.77.0.100/24", "192.0.2.1/24"), primary_address="10.77.0.1")
    added = [item for item in plan(config).activate if isinstance(item, AddAddress)]
    assert [item.prefix_route for item in added] == [False, True]


@pytest.mark.parametrize("mode", ["private", "bridge", "vepa"])
def test_modes(mode):
    assert plan(V4, mode=mode).activate[-1] == SetMacvlanMode("vmac4-2-51", mode)


def test_passthru_is_refused_with_its_reason():
    with pytest.raises(ConfigError, match=r"mode cannot be passthru, .* cuts the host off .* MAC-swap"):
        MacvlanBackend("eth0", V4, mode="passthru")


@pytest.mark.parametrize("mode", ["source", "", None])
def test_a_mode_that_cannot_be_switched_to_is_refused(mode):
    with pytest.raises(ConfigError, match="mode must be one of private, bridge, vepa, not"):
        MacvlanBackend("eth0", V4, mode=mode)


def test_the_name_fits_for_every_vrid_and_index():
    assert plan(V4, name="vip0").own_link == "vip0"
    widest = RouterConfig(vrid=255, addresses=("10.77.0.100",), primary_address="10.77.0.1")
    assert len(plan(widest).own_link) <= LONGEST_NAME
    assert len("vmac4-999999-255") > LONGEST_NAME  # an index of six digits takes a name of one's own


@pytest.mark.parametrize("name", ["", "a" * 16, "a b", "a/b", "a\0b", "ü"])
def test_a_name_that_the_kernel_would_not_take_is_refused(name):
    with pytest.raises(ConfigError, match="name must have 1-15 letters"):
        MacvlanBackend("eth0", V4, name=name)


OURS = {"mac": str(V4.virtual_mac), "kind": "macvlan", "parent": 2, "mode": "bridge"}


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"kind": "dummy"}, "is no macvlan"),
        ({"parent": 3}, "does not lie on eth0"),
        ({"mac": "02:00:00:00:00:09"}, "has the MAC 02:00:00:00:00:09, not 00:00:5e:00:01:33"),
        ({"mode": "passthru"}, "has a mode that cannot be changed"),
        ({"mode": "source", "sources": 1}, "hears a list of sources"),
        ({"is_up": False}, "is down, and would not be again exactly .`ip link set dev vip up` first."),
    ],
)
def test_a_link_of_that_name_that_is_not_ours_is_refused_and_left_alone(facts, why):
    host = memory_host()
    host.add_interface("vip", **(OURS | facts))
    backend = MacvlanBackend("eth0", V4, host=host, name="vip")
    with pytest.raises(BackendError, match=f"a link named vip is there already, and {why}.*: remove it .*another"):
        backend.prepare()
    assert host.performed == []
    assert host.claims == {}


def test_a_link_that_would_accept_packets_is_not_adopted_with_accept_mode_off():
    closed = dataclasses.replace(V4, accept_mode=False)
    with pytest.raises(BackendError, match="operators4 is there already, and has virtual addresses"):
        MacvlanBackend("eth0", closed, host=memory_host(), name="operators4").prepare()


def test_in_a_vrf_only_a_link_in_it_is_adopted():
    host = memory_host()
    host.add_interface("red", "02:00:00:00:00:07", kind="vrf")
    host.add_interface("eth2", PHYSICAL, master=host.link("red").index, port_of="vrf")
    host.add_interface("vip", **(OURS | {"parent": host.link("eth2").index}))
    with pytest.raises(BackendError, match="is not in the VRF of eth2"):
        MacvlanBackend("eth2", V4, host=host, name="vip").prepare()


def test_without_source_mode_nothing_is_adopted():
    host = memory_host()
    backend = MacvlanBackend("eth0", V4, host=host, name="operators4")
    backend._has_source_mode = False
    with pytest.raises(BackendError, match="cannot be made inert"):
        backend.prepare()


@pytest.mark.parametrize("config", [V4, V6])
def test_an_adopted_link_is_silenced_first_and_keeps_what_it_has(config):
    name, table = f"operators{config.family}", f"vrrplib{config.family}-2-51"
    host = memory_host()
    made = plan(config, host, name=name)
    assert made.own_link is None
    assert made.prepare[:3] == (
        AddTable("netdev", table),
        AddEgressDrop(table, name),
        SetMacvlanMode(name, "source"),
    )
    assert "ipv6/disable_ipv6" not in sysctls(made.prepare, name) or config is V6
    held = set(host.addresses(name))
    with MacvlanBackend("eth0", config, host=host, name=name) as backend:
        backend.prepare()
        assert (host.link(name).mode, host.link(name).is_up) == ("source", True)
        assert set(host.addresses(name)) == held
        backend.activate()
        assert {address.ip for address in host.addresses(name)} == {
            address.ip for address in (*held, *config.addresses)
        }
        other = dataclasses.replace(config, addresses=config.addresses[:1])
        backend.reconfigure(other)
        assert {address.ip for address in host.addresses(name)} == {
            address.ip for address in (*held, *other.addresses)
        }
    assert snapshot(host) == snapshot(memory_host())


def test_ipv6_is_turned_on_in_an_adopted_link_after_the_addresses_of_its_mac_are_off():
    """RFC 9568 7.4. And where it is on, writing back the old value would make the kernel add such an address."""
    host, name = memory_host(), f"operators{V6.family}"
    switch, generate = (f"net/ipv6/conf/{name}/{key}" for key in ("disable_ipv6", "addr_gen_mode"))
    assert generate not in {getattr(operation, "path", None) for operation in plan(V6, host, name=name).prepare}
    host.add_sysctl(switch, "1")
    prepare = plan(V6, host, name=name).prepare
    assert prepare.index(SetSysctl(generate, "1")) < prepare.index(SetSysctl(switch, "0"))


def test_a_link_is_used_by_one_virtual_router(tmp_path):
    other = dataclasses.replace(V4, vrid=52)
    host = JournalledHost(memory_host(), tmp_path / "journal")
    for there in (memory_host(), host):
        first = MacvlanBackend("eth0", V4, host=there, name="vip", mac=V4.virtual_mac)
        second = MacvlanBackend("eth0", other, host=there, name="vip", mac=V4.virtual_mac)
        first.prepare()
        with pytest.raises(BackendError, match=r"eth0: vip is used by .*VRID 51"):
            second.prepare()
        first.close()
        second.prepare()
        second.close()
    assert snapshot(host.base) == snapshot(memory_host())


@pytest.mark.parametrize("mac", ["01:00:5e:00:01:33", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"])
def test_a_mac_that_no_interface_can_have_is_refused(mac):
    with pytest.raises(ConfigError, match=f"mac must be a unicast address and not zero, not {mac}"):
        MacvlanBackend("eth0", V4, mac=mac)
    with pytest.raises(ConfigError, match="MAC address"):
        MacvlanBackend("eth0", V4, mac="here")


@pytest.mark.parametrize("config", [V4, V6])
def test_another_virtual_mac(config):
    host = memory_host()
    backend = MacvlanBackend("eth0", config, host=host, mac="02:00:5E:10:00:33")
    backend.prepare()
    assert str(backend.mac) == "02:00:5e:10:00:33" == str(backend.advertisement_mac)
    assert str(host.link(f"vmac{config.family}-2-51").mac) == "02:00:5e:10:00:33"


def test_xmit_base_advertises_from_the_interface_and_answers_with_the_virtual_mac():
    host = memory_host()
    backend = MacvlanBackend("eth0", V4, host=host, xmit_base=True)
    backend.prepare()
    assert backend.mac == V4.virtual_mac
    assert str(backend.advertisement_mac) == PHYSICAL
    dry = DryRunBackend(MacvlanBackend("eth0", V4, xmit_base=True), host=memory_host())
    dry.prepare()
    assert str(dry.advertisement_mac) == PHYSICAL


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"port_of": "bond"}, "eth2 is a bond's port, .* use the bond itself"),
        ({"port_of": "team"}, "eth2 is a team's port"),
        ({"port_of": "bridge"}, "eth2 is a bridge's port, .* use the bridge itself"),
        ({"port_of": "openvswitch"}, "eth2 is a switch's port"),
        ({"kind": "vrf"}, "eth2 is a VRF device"),
        ({"kind": "ipvlan"}, "eth2 is an ipvlan"),
        ({"kind": "wlan"}, "eth2 is wireless"),
        (
            {"kind": "macvlan", "mode": "private"},
            "eth2 is a macvlan in mode private, .* use the interface below it",
        ),
        ({"kind": "macvlan", "mode": "passthru"}, "eth2 is a macvlan in mode passthru"),
    ],
)
def test_an_interface_that_carries_no_macvlan_is_refused_before_anything_is_changed(facts, words):
    host = memory_host()
    host.add_interface("eth2", PHYSICAL, ["10.77.0.1/24"], **facts)
    before = snapshot(host)
    with pytest.raises(BackendError, match=words):
        MacvlanBackend("eth2", V4, host=host).prepare()
    assert host.performed == []
    assert snapshot(host) == before


@pytest.mark.parametrize("kind", ["", "veth", "bond", "bridge", "vlan", "macvlan", "dummy", "team"])
def test_others_carry_one(kind):
    assert why_no_macvlan(Link("x", 7, MacAddress(PHYSICAL), kind)) is None


@pytest.mark.parametrize("options", [{}, {"mode": "bridge"}, {"standing": True}])
def test_beside_another_macvlan_the_link_is_down_while_backup_and_in_vepa_mode(options):
    """A sibling that is up and has the source MAC of an advert would keep it for itself (tests/vm)."""
    host = memory_host()
    host.add_interface("eth2", PHYSICAL, ["10.77.0.1/24"], kind="macvlan", mode="bridge")
    before = snapshot(host)
    with MacvlanBackend("eth2", V4, host=host, name="vmac", **options) as backend:
        backend.prepare()
        assert (host.link("vmac").mode, host.link("vmac").is_up) == ("vepa", False)
        backend.activate()
        assert (host.link("vmac").mode, host.link("vmac").is_up) == ("vepa", True)
        backend.deactivate()
        assert not host.link("vmac").is_up
    assert snapshot(host) == before


def test_on_a_member_of_a_vrf_the_link_is_a_member_too():
    host = memory_host()
    host.add_interface("red", "02:00:00:00:00:07", kind="vrf")
    host.add_interface("eth2", PHYSICAL, ["10.77.0.1/24"], master=host.link("red").index, port_of="vrf")
    before = snapshot(host)
    with MacvlanBackend("eth2", V4, host=host, name="vip") as backend:
        backend.prepare()
        assert host.link("vip").master == host.link("red").index
        assert "ip link add link eth2 name vip address 00:00:5e:00:01:33 master red type macvlan mode source" in [
            operation.command for operation in host.performed
        ]
    assert snapshot(host) == before


class NoSourceMode(MemoryHost):
    def _perform(self, operation):
        if isinstance(operation, AddMacvlan) and operation.mode == "source":
            raise BackendError("Invalid argument", operation=operation, errno=errno.EINVAL)
        super()._perform(operation)


class NoSwitch(MemoryHost):
    def _perform(self, operation):
        if isinstance(operation, SetMacvlanMode) and self.link(operation.name):
            raise BackendError("Operation not supported", operation=operation, errno=errno.EOPNOTSUPP)
        super()._perform(operation)


@pytest.mark.parametrize("config", [V4, V6])
def test_without_source_mode_the_link_is_down_while_backup(config):
    host = memory_host(NoSourceMode)
    name = f"vmac{config.family}-2-51"
    backend = MacvlanBackend("eth0", config, host=host, mode="bridge")
    backend.prepare()
    assert (host.link(name).mode, host.link(name).is_up) == ("bridge", False)
    prepared = snapshot(host)
    backend.activate()
    assert host.link(name).is_up
    assert set(config.addresses) == set(host.addresses(name))
    backend.deactivate()
    assert snapshot(host) == prepared
    assert not host.link(name).is_up
    backend.activate()
    backend.close()
    assert snapshot(host) == snapshot(memory_host())


def test_a_kernel_that_cannot_switch_is_found_out_when_it_is_tried():
    host = memory_host(NoSwitch)
    backend = MacvlanBackend("eth0", V4, host=host)
    backend.prepare()
    with pytest.raises(BackendError, match="not supported"):
        backend.activate()
    with pytest.raises(BackendError, match="not supported"):
        backend.close()  # it cannot be made inert, but it is gone
    backend.close()  # as a Node does that tries again
    assert snapshot(host) == snapshot(memory_host())
    backend.prepare()
    assert not host.link("vmac4-2-51").is_up
    backend.activate()
    assert host.link("vmac4-2-51").is_up
    backend.close()
    assert snapshot(host) == snapshot(memory_host())


def test_another_error_is_told_at_once():
    class Full(MemoryHost):
        def _perform(self, operation):
            if isinstance(operation, AddMacvlan):
                raise BackendError("No memory", operation=operation, errno=errno.ENOMEM)
            super()._perform(operation)

    host = memory_host(Full)
    with pytest.raises(BackendError, match="No memory"):
        MacvlanBackend("eth0", V4, host=host).prepare()
    assert snapshot(host) == snapshot(memory_host())


@pytest.mark.parametrize("config", [V4, V6])
def test_other_addresses_in_place(config):
    """While Active only what differs is touched; while Backup nothing is."""
    host = memory_host()
    name = f"vmac{config.family}-2-51"
    first, second = map(str, config.addresses)
    third = "10.77.0.102/24" if config is V4 else "fd77::102/64"
    other = dataclasses.replace(config, addresses=(first, third))
    with MacvlanBackend("eth0", config, host=host) as backend:
        backend.prepare()
        backend.activate()
        done = len(host.performed)
        backend.reconfigure(other)
        assert [type(item) for item in host.performed[done:]] == [AddAddress, RemoveAddress]
        assert [str(item) for item in host.addresses(name)] == [first, third]
        backend.deactivate()
        done = len(host.performed)
        backend.reconfigure(config)
        assert len(host.performed) == done
        backend.activate()
        assert [str(item) for item in host.addresses(name)] == [first, second]
    assert snapshot(host) == snapshot(memory_host())


def test_another_priority_touches_nothing():
    host = memory_host()
    with MacvlanBackend("eth0", V4, host=host) as backend:
        backend.prepare()
        backend.activate()
        done = len(host.performed)
        backend.reconfigure(dataclasses.replace(V4, priority=7, advertisement_interval=3))
        assert len(host.performed) == done
        assert backend.config.priority == 7


def test_a_virtual_address_that_the_parent_has_by_now_is_refused_and_the_old_ones_can_be_given_back():
    host = memory_host()
    backend = MacvlanBackend("eth0", V4, host=host)
    backend.prepare()
    backend.activate()
    with pytest.raises(BackendError, match="an address of eth0 itself"):
        backend.reconfigure(dataclasses.replace(V4, addresses=("10.77.0.100/24", "10.77.0.2/24")))
    backend.close()
    assert snapshot(host) == snapshot(memory_host())


@pytest.mark.parametrize("config", [V4, V6])
@pytest.mark.parametrize("at", [1, 2])
def test_a_failure_while_addresses_change(config, at, tmp_path):
    """The backend can still go back, and so can the next process."""
    third = "10.77.0.102/24" if config is V4 else "fd77::102/64"
    other = dataclasses.replace(config, addresses=(str(config.addresses[0]), third))
    for error in (BackendError, Killed):
        host = JournalledHost(memory_host(), tmp_path / "journal")
        backend = through(host, MacvlanBackend, config, 2)
        host._failing = range(host.count + at, host.count + at + (1 if error is BackendError else 1000))
        host._error = error
        with pytest.raises(error):
            backend.reconfigure(other)
        if error is BackendError:
            backend.deactivate()
            assert not host.addresses(f"vmac{config.family}-2-51")
            backend.close()
        else:
            host.die()
            host.store.clean(host.base.perform)
        assert snapshot(host.base) == snapshot(memory_host())
        assert not list(tmp_path.rglob("*/*"))


@pytest.mark.parametrize("config", [V4, V6])
def test_standing_addresses_are_there_behind_a_filter_and_promotion_is_two_messages(config):
    made = plan(config, standing=True)
    name, table = f"vmac{config.family}-2-51", f"vrrplib{config.family}-2-51"
    assert made.activate == (RemoveEgressDrop(table), SetMacvlanMode(name, "private"))
    assert made.deactivate == (AddEgressDrop(table, name), SetMacvlanMode(name, "source"))
    kinds = [type(item) for item in made.prepare]
    assert kinds[0] is AddTable  # it goes last, after the link
    assert kinds.index(AddMacvlan) < kinds.index(AddEgressDrop) < kinds.index(AddAddress) < kinds.index(SetLinkUp)
    assert kinds.count(AddAddress) == 2
    assert sysctls(made.prepare, name)["ipv6/disable_ipv6"] == ("1" if config is V4 else "0")


def test_an_address_that_needs_a_route_does_not_stand():
    """The Backup would send into the inert link what it has for the whole prefix."""
    config = RouterConfig(vrid=51, addresses=("10.77.0.100/24", "192.0.2.1/24"), primary_address="10.77.0.1")
    made = plan(config, standing=True)
    assert [item.address for item in made.prepare if isinstance(item, AddAddress)] == ["10.77.0.100/24"]
    assert made.activate == (
        RemoveEgressDrop("vrrplib4-2-51"),
        AddAddress("vmac4-2-51", "192.0.2.1/24"),
        SetMacvlanMode("vmac4-2-51", "private"),
    )
    assert made.deactivate[2:] == (RemoveAddress("vmac4-2-51", "192.0.2.1/24"),)


def test_standing_without_what_it_takes():
    class NoEgress(MemoryHost):
        def probe(self, filters):
            raise BackendError(f"no egress hook for {len(filters)}")

    host = memory_host(NoEgress)
    with pytest.raises(BackendError, match="no egress hook for 2"):
        MacvlanBackend("eth0", V4, host=host, standing=True).prepare()
    assert host.performed == []
    with MacvlanBackend("eth0", V4, host=host) as backend:
        backend.prepare()  # which needs none
    host = memory_host(NoSourceMode)  # and in a link that is down nothing need stand
    with MacvlanBackend("eth0", V6, host=host, standing=True) as backend:
        backend.prepare()
        assert host.addresses("vmac6-2-51") == ()
        backend.activate()
        assert set(host.addresses("vmac6-2-51")) == set(V6.addresses)
    assert snapshot(host) == snapshot(memory_host())


@pytest.mark.parametrize("is_active", [False, True])
def test_standing_addresses_are_exchanged_in_place(is_active):
    host = memory_host()
    other = dataclasses.replace(V4, addresses=("10.77.0.100/24", "10.77.0.102/24", "192.0.2.1/24"))
    with MacvlanBackend("eth0", V4, host=host, standing=True) as backend:
        backend.prepare()
        if is_active:
            backend.activate()
        made = host.link("vmac4-2-51").index
        backend.reconfigure(other)
        standing = list(map(str, host.addresses("vmac4-2-51")))
        assert standing == ["10.77.0.100/24", "10.77.0.102/24", "192.0.2.1/24"][: 3 if is_active else 2]
        assert host.link("vmac4-2-51").index == made
        backend.deactivate()
        assert [str(item) for item in host.addresses("vmac4-2-51")] == ["10.77.0.100/24", "10.77.0.102/24"]
    assert snapshot(host) == snapshot(memory_host())


def test_an_address_of_the_parent_is_refused():
    config = RouterConfig(vrid=51, addresses=("10.77.0.1/24",), primary_address="10.77.0.1", priority=255)
    with pytest.raises(BackendError, match=r"10\.77\.0\.1 is an address of eth0 itself"):
        plan(config)
