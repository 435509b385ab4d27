"""Plans merged into stages: each of one kind, each plan's operations in their order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.backends.strategies import operations
from vrrplib.backends.operations import AddMacvlan, DeleteLink, RemoveAddress, SetLinkUp, SetSysctl
from vrrplib.backends.stages import kind_of, stages

plans = st.lists(st.lists(operations, max_size=6), max_size=5)


@given(plans)
def test_nothing_is_lost_and_each_stage_is_of_one_kind(made):
    found = stages(made)
    assert sorted(map(repr, sum(found, ()))) == sorted(repr(operation) for plan in made for operation in plan)
    assert all(len({kind_of(operation) for operation in stage}) == 1 for stage in found)


@given(plans)
def test_each_plan_keeps_its_order(made):
    """Operations that know their plan: equal ones in two plans are different here."""
    marked = [
        [SetSysctl(f"net/{at}/{place}", "1") if kind_of(operation) is SetSysctl else operation
         for place, operation in enumerate(plan)]
        for at, plan in enumerate(made)
    ]  # fmt: skip
    everything = [id(operation) for stage in stages(marked) for operation in stage]
    for plan in marked:
        places = [everything.index(id(operation)) for operation in plan]
        if len({id(operation) for operation in plan}) == len(plan):
            assert places == sorted(places)


@given(st.lists(operations, max_size=6), st.integers(1, 5))
def test_plans_that_are_alike_take_as_many_stages_as_one(plan, copies):
    assert len(stages([plan] * copies)) == len(stages([plan]))


def test_one_that_has_more_to_do_first_is_waited_for():
    raised = SetSysctl("net/ipv4/conf/eth0/arp_ignore", "1", shared=True)

    def one(name):
        return [
            AddMacvlan(name, "eth0", "00:00:5e:00:01:33", "source"),
            SetSysctl(f"net/ipv4/conf/{name}/arp_ignore", "1"),
            SetLinkUp(name),
        ]

    assert [len(stage) for stage in stages([[raised, *one("a")], one("b"), one("c")])] == [1, 3, 3, 3]


def test_removals_of_links_come_alone():
    gone = [[RemoveAddress(name, "10.0.0.1/24"), DeleteLink(name, "00:00:5e:00:01:33")] for name in "abc"]
    assert [len(stage) for stage in stages(gone)] == [3, 3]
