"""The bytes that are copied and changed are those that pyroute2 makes."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backends.strategies import operations
from vrrplib.backends import netlink_messages
from vrrplib.backends.netlink_messages import encode, into_group, link_request, made_by_pyroute2
from vrrplib.backends.operations import AddAddress, AddMacvlan, SetLinkUp
from vrrplib.errors import ConfigError

names = st.text("!abc~#-.09é", min_size=1, max_size=15).filter(lambda name: len(name.encode()) <= 15)
numbers = st.integers(1, (1 << 31) - 1)


def same(operation, index) -> bool:
    try:
        expected = made_by_pyroute2(operation, index)
    except ConfigError:
        with pytest.raises(ConfigError):
            encode(operation, index)
        return True
    return encode(operation, index) == expected


@given(operations, numbers, numbers)
def test_a_copy_is_what_pyroute2_would_make(operation, one, other):
    assert same(operation, lambda name: other if name == getattr(operation, "master", None) else one)


@given(operations, names, numbers)
def test_of_any_name_and_index(operation, name, number):
    if hasattr(operation, "name"):
        assert same(dataclasses.replace(operation, name=name), lambda _, number=number: number)


@pytest.mark.parametrize("marker", ["_INDEX", "_OTHER_INDEX"])
def test_values_that_look_like_markers(marker):
    number = int.from_bytes(getattr(netlink_messages, marker), "little")
    mac, name = netlink_messages._MAC.hex(":"), netlink_messages._NAME.decode()
    for operation in (
        AddMacvlan(name, "p", mac, "source", "m"),
        SetLinkUp(name),
        AddAddress(name, "225.226.227.228/24"),
        AddAddress(name, "e1e2:e3e4:e5e6:e7e8:e9ea:ebec:edee:eff0/64"),
    ):
        assert same(operation, lambda _, number=number: number)


@given(names)
def test_a_request_for_a_link(name):
    message = netlink_messages._message(netlink_messages.ifinfmsg, netlink_messages._GETLINK, 0, IFLA_IFNAME=name)
    assert link_request(name) == message


@given(numbers, numbers)
def test_into_a_group(index, group):
    message = netlink_messages._message(
        netlink_messages.ifinfmsg, netlink_messages._NEWLINK, netlink_messages._ACK, index=index, IFLA_GROUP=group
    )
    assert into_group(index, group) == message


def test_pyroute2_is_asked_once_for_each_kind(monkeypatch):
    netlink_messages._model.cache_clear()
    asked = []
    monkeypatch.setattr(
        netlink_messages, "made_by_pyroute2", lambda *arguments: asked.append(1) or made_by_pyroute2(*arguments)
    )
    for number in range(1, 200):
        encode(AddAddress("v", f"10.77.0.{number}/24", prefix_route=False), lambda _, number=number: number)
        encode(SetLinkUp("v"), lambda _, number=number: number)
    assert len(asked) == 2
