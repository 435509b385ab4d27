from __future__ import annotations

import dataclasses

import pytest

from vrrplib.election.states import Reason
from vrrplib.election.statistics import Statistics
from vrrplib.errors import Problem

# RFC 8347: the statistics of one virtual router, and those of the whole router
RFC_8347 = {
    "master-transitions",
    "advertisement-rcvd",
    "advertisement-sent",
    "interval-errors",
    "priority-zero-pkts-rcvd",
    "priority-zero-pkts-sent",
    "invalid-type-pkts-rcvd",
    "address-list-errors",
    "packet-length-errors",
    "checksum-errors",
    "version-errors",
    "vrid-errors",
    "ip-ttl-errors",
}
COUNTERS = {
    Problem.TRUNCATED: "packet_length_errors",
    Problem.LENGTH: "packet_length_errors",
    Problem.COUNT: "packet_length_errors",
    Problem.VERSION: "version_errors",
    Problem.TYPE: "invalid_type_pkts_rcvd",
    Problem.VRID: "vrid_errors",
    Problem.INTERVAL: "interval_errors",
    Problem.ADDRESS: "address_list_errors",
    Problem.CHECKSUM: "checksum_errors",
    Problem.TTL: "ip_ttl_errors",
}
WITHOUT_A_NAME = set(Problem) - set(COUNTERS)


def counters(statistics: Statistics) -> dict[str, int]:
    found = {field.name: getattr(statistics, field.name) for field in dataclasses.fields(statistics)}
    return {name: value for name, value in found.items() if type(value) is int and value}


def test_the_counters_have_the_names_of_rfc_8347() -> None:
    found = {field.name.replace("_", "-") for field in dataclasses.fields(Statistics) if field.type == "int"}
    assert found == RFC_8347


def test_all_begin_at_zero() -> None:
    fresh = Statistics()
    assert counters(fresh) == {}
    assert (fresh.discarded, fresh.last_adv_source, fresh.new_master_reason) == ({}, None, Reason.NOT_MASTER)


@pytest.mark.parametrize("problem", COUNTERS)
def test_a_problem_counts_under_its_name_whether_discarded_or_not(problem: Problem) -> None:
    statistics = Statistics()
    statistics.count_problem(problem, discarded=True)
    statistics.count_problem(problem, discarded=False)
    assert counters(statistics) == {COUNTERS[problem]: 2}
    assert statistics.discarded == {problem: 1}


@pytest.mark.parametrize("problem", sorted(WITHOUT_A_NAME))
def test_a_discard_without_a_name_in_the_rfc_counts_among_the_discards(problem: Problem) -> None:
    statistics = Statistics()
    statistics.count_problem(problem, discarded=True)
    statistics.count_problem(problem, discarded=True)
    assert counters(statistics) == {}
    assert statistics.discarded == {problem: 2}


def test_two_routers_do_not_share_their_counts() -> None:
    one, other = Statistics(), Statistics()
    one.count_problem(Problem.TTL, discarded=True)
    assert other == Statistics()
