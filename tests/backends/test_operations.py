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
    AddMacvlan,
    DeleteLink,
    RemoveAddress,
    SetLinkUp,
    SetMac,
    SetMacvlanMode,
    SetSysctl,
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
    assert operation.command.split()[0] in ("ip", "sysctl")


@pytest.mark.parametrize(
    ("operation", "command"),
    [
        (
            AddMacvlan("vmac4-2-51", "eth0", "00:00:5e:00:01:33", "source"),
            "ip link add link eth0 name vmac4-2-51 address 00:00:5e:00:01:33 type macvlan mode source",
        ),
        (DeleteLink("vmac4-2-51", "00:00:5e:00:01:33"), "ip link delete dev vmac4-2-51"),
        (SetMacvlanMode("vmac4-2-51", "private"), "ip link set dev vmac4-2-51 type macvlan mode private"),
        (SetLinkUp("vmac4-2-51"), "ip link set dev vmac4-2-51 up"),
        (SetMac("eth0", "00:00:5e:00:01:33"), "ip link set dev eth0 address 00:00:5e:00:01:33"),
        (AddAddress("eth0", "10.77.0.100/24"), "ip address replace 10.77.0.100/24 dev eth0"),
        (
            AddAddress("vmac6-2-51", "fd77::100/64", prefix_route=False, source=False),
            "ip address replace fd77::100/64 dev vmac6-2-51 nodad noprefixroute preferred_lft 0",
        ),
        (RemoveAddress("eth0", "10.77.0.100/24"), "ip address delete 10.77.0.100/24 dev eth0"),
        (SetSysctl("net/ipv4/conf/eth0.5/arp_ignore", "1"), "sysctl -w net/ipv4/conf/eth0.5/arp_ignore=1"),
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
