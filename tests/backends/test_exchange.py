"""exchange: what comes, what goes, and what stays in place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vrrplib.backends.exchange import addresses_of, exchange, removals_of, without_addresses
from vrrplib.backends.operations import AddAddress, RemoveAddress, SetMacvlanMode

A, B, C = (AddAddress("v", f"10.77.0.{number}/24", prefix_route=False) for number in (1, 2, 3))
LIVE = SetMacvlanMode("v", "private")

adds = st.builds(
    AddAddress,
    st.just("v"),
    st.builds("10.0.0.{}/{}".format, st.integers(1, 4), st.sampled_from([24, 25])),
    st.booleans(),
)
some = st.lists(adds, unique_by=lambda item: item.interface.ip, max_size=4)


def test_parts_of_a_plan():
    assert addresses_of((A, LIVE, B)) == (A, B)
    assert without_addresses((A, LIVE, RemoveAddress("v", "10.77.0.9/24"))) == (LIVE,)
    assert removals_of((A,)) == (RemoveAddress("v", "10.77.0.1/24"),)


def test_those_that_come_before_those_that_go():
    assert exchange((A, B), (B, C)) == (C, RemoveAddress("v", "10.77.0.1/24"))
    assert exchange((A, B), (B, A)) == ()


def test_another_prefix_or_route_of_the_same_address():
    for other in (AddAddress("v", "10.77.0.1/25", prefix_route=False), AddAddress("v", "10.77.0.1/24")):
        assert exchange((A, B), (other, C)) == (
            RemoveAddress("v", "10.77.0.1/24"), other, C, RemoveAddress("v", "10.77.0.2/24"),
        )  # fmt: skip


@given(some, some)
def test_old_becomes_new(old, new):
    held = {item.interface: item for item in old}
    for operation in exchange(old, new):
        if isinstance(operation, RemoveAddress):
            del held[operation.interface]
        else:
            assert operation.interface.ip not in {there.ip for there in held}, "the kernel would refuse it"
            held[operation.interface] = operation
        assert {item.interface for item in old if item in new} <= set(held), "one that stays was away"
    assert held == {item.interface: item for item in new}
