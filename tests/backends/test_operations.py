"""Operations as values: what is journalled, and the lines that do the same."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given

from tests.backends.strategies import operations as any_operation
from vrrplib.backends import operations
from vrrplib.backends.operations import (
    AddAddress,
    AddEgressDrop,
    AddInputDrop,
    AddMacvlan,
    AddTable,
    DeleteLink,
    DeleteTable,
    RemoveAddress,
    RemoveEgressDrop,
    SetLinkUp,
    SetMac,
    SetMacvlanMode,
    SetSysctl,
    SetToken,
    from_dict,
)


@given(any_operation)
def test_every_operation_survives_its_way_through_json(operation):
    assert from_dict(json.loads(json.dumps(operation.to_dict()))) == operation


@pytest.mark.parametrize("values", [{}, {"operation": "Reboot"}, {"operation": "SetLinkUp", "when": "now"}])
def test_what_no_version_wrote_is_refused(values):
    with pytest.raises((KeyError, TypeError)):
        from_dict(values)


@given(any_operation)
def test_a_command_is_one_line(operation):
    if isinstance(operation, SetSysctl) and "\n" in operation.value:
        return
    assert len(operation.command.splitlines()) <= 1 or "\n" not in operation.command
    assert operation.deed.split()[0] in ("ip", "sysctl", "nft")
    assert operation.deed in operation.command or isinstance(operation, DeleteTable)


TAKE_ADDRESS = (
    "if ip -o address show dev eth0 2>/dev/null | grep -qF ' 10.77.0.100/24 '; "
    "then ip address delete 10.77.0.100/24 dev eth0; fi"
)


@pytest.mark.parametrize(
    ("operation", "command"),
    [
        (
            AddMacvlan("vmac4-2-51", "eth0", "00:00:5e:00:01:33", "source"),
            "ip link add link eth0 name vmac4-2-51 address 00:00:5e:00:01:33 type macvlan mode source",
        ),
        (
            DeleteLink("vmac4-2-51", "00:00:5e:00:01:33"),
            "if ip link show dev vmac4-2-51 2>/dev/null | grep -q 'link/ether 00:00:5e:00:01:33 '; "
            "then ip link delete dev vmac4-2-51; fi",
        ),
        (SetMacvlanMode("vmac4-2-51", "private"), "ip link set dev vmac4-2-51 type macvlan mode private"),
        (
            SetMacvlanMode("vip", "bridge", expected="source"),
            "if ip -d link show dev vip 2>/dev/null | grep -q 'macvlan mode source '; "
            "then ip link set dev vip type macvlan mode bridge; fi",
        ),
        (SetLinkUp("vmac4-2-51"), "ip link set dev vmac4-2-51 up"),
        (
            SetMac("eth0", "00:00:5e:00:01:33"),
            "n=$(ip neighbour show dev eth0 nud permanent nud noarp | sed '/ lladdr .[13579bdf]:.* NOARP/d; "
            "s/^/neighbour replace /; s/ PERMANENT/ dev eth0 nud permanent/; s/ NOARP/ dev eth0 nud noarp/'); "
            "ip link set dev eth0 address 00:00:5e:00:01:33; printf '%s\\n' \"$n\" | ip -force -batch -",
        ),
        (SetToken("eth0", "::5"), "ip token set ::5 dev eth0"),
        (AddAddress("eth0", "10.77.0.100/24"), "ip address replace 10.77.0.100/24 dev eth0"),
        (
            AddAddress("vmac6-2-51", "fd77::100/64", prefix_route=False, source=False),
            "ip address replace fd77::100/64 dev vmac6-2-51 nodad noprefixroute preferred_lft 0",
        ),
        (RemoveAddress("eth0", "10.77.0.100/24"), TAKE_ADDRESS),
        (SetSysctl("net/ipv4/conf/eth0.5/arp_ignore", "1"), "sysctl -w net/ipv4/conf/eth0.5/arp_ignore=1"),
        (
            SetSysctl("net/ipv4/conf/eth0/arp_ignore", "0", expected="1"),
            'if [ "$(sysctl -ne net/ipv4/conf/eth0/arp_ignore)" = 1 ]; '
            "then sysctl -w net/ipv4/conf/eth0/arp_ignore=0; fi",
        ),
        (AddTable("netdev", "vrrplib4-2-51"), "nft create table netdev vrrplib4-2-51"),
        (DeleteTable("ip6", "vrrplib6-2-51"), "nft 'add table ip6 vrrplib6-2-51; delete table ip6 vrrplib6-2-51'"),
        (
            AddEgressDrop("vrrplib4-2-51", "vmac4-2-51"),
            "nft 'add table netdev vrrplib4-2-51; add chain netdev vrrplib4-2-51 egress "
            '{ type filter hook egress device "vmac4-2-51" priority 0; policy drop; }\'',
        ),
        (RemoveEgressDrop("vrrplib4-2-51"), "nft delete chain netdev vrrplib4-2-51 egress"),
        (
            AddInputDrop("vrrplib4-2-51", ("10.77.0.100", "10.77.0.101"), "vmac4-2-51"),
            "nft 'add set ip vrrplib4-2-51 addresses "
            "{ type ipv4_addr; elements = { 10.77.0.100, 10.77.0.101 }; }; "
            "add chain ip vrrplib4-2-51 input { type filter hook input priority 0; policy accept; }; "
            "add rule ip vrrplib4-2-51 input ip daddr @addresses drop'",
        ),
        (
            AddInputDrop("vrrplib6-2-51", ("fe80::51",), "vmac6-2-51"),
            "nft 'add chain ip6 vrrplib6-2-51 input { type filter hook input priority 0; policy accept; }; "
            "add rule ip6 vrrplib6-2-51 input icmpv6 type 135-136 accept; "
            'add rule ip6 vrrplib6-2-51 input iif "vmac6-2-51" ip6 daddr fe80::51 drop\'',
        ),
        (SetLinkUp("a;b"), "ip link set dev 'a;b' up"),
    ],
)
def test_commands_are_those_of_ip_and_sysctl(operation, command):
    assert operation.command == command


# -- undo --


def test_operations_are_values():
    for kind in operations._OPERATIONS.values():
        assert dataclasses.is_dataclass(kind)
        assert kind.__dataclass_params__.frozen
        assert not hasattr(kind, "__dict__") or "__slots__" in vars(kind)
