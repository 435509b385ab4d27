from __future__ import annotations

import dataclasses
import json

import pytest

from tests.election.play import config, heard
from vrrplib.election.events import Shutdown, Startup, TimerExpired
from vrrplib.election.router import Router
from vrrplib.election.states import Reason, State
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
    assert (fresh.seconds, fresh.state, fresh.since) == ({}, State.INITIALIZE, None)


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


def test_the_time_in_each_state_is_counted() -> None:
    router = Router(config())
    assert router.statistics.seconds_in(State.INITIALIZE, 5.0) == 0.0  # not begun
    router.handle(Startup(), 10.0)
    router.handle(TimerExpired(), 13.609375)
    assert router.statistics.seconds == {State.BACKUP: pytest.approx(3.609375)}
    assert router.statistics.seconds_in(State.ACTIVE, 20.0) == pytest.approx(6.390625)
    router.handle(Shutdown(), 23.0)
    router.handle(Startup(), 30.0)
    assert router.statistics.seconds_in(State.ACTIVE, 31.0) == pytest.approx(9.390625)
    assert router.statistics.seconds_in(State.INITIALIZE, 31.0) == 7.0
    assert router.statistics.seconds_in(State.BACKUP, 31.0) == pytest.approx(4.609375)
    router.handle(TimerExpired(), 33.609375)
    assert router.statistics.master_transitions == 2
    assert router.statistics.seconds == {
        State.INITIALIZE: 7.0,
        State.BACKUP: pytest.approx(2 * 3.609375),
        State.ACTIVE: pytest.approx(9.390625),
    }


def test_to_dict_has_the_names_of_rfc_8347_and_plain_values() -> None:
    router = Router(config())
    router.handle(Startup(), 0.0)
    router.receive(heard(config(), 200), 1.0)
    router.receive(heard(config(), 200, ttl=1), 1.0)
    found = router.statistics.to_dict(now=4.0)
    assert set(found) == RFC_8347 | {"last-adv-source", "new-master-reason", "discarded", "seconds"}
    assert json.loads(json.dumps(found)) == found
    assert (found["advertisement-rcvd"], found["ip-ttl-errors"]) == (1, 1)
    assert (found["last-adv-source"], found["new-master-reason"]) == ("192.0.2.3", "not-master")
    assert found["discarded"] == {"ttl": 1}
    assert found["seconds"] == {"initialize": 0.0, "backup": 4.0, "active": 0.0}
    assert router.statistics.to_dict()["seconds"]["backup"] == 0.0
    router.handle(Shutdown(), 4.0)
    assert router.statistics.to_dict()["seconds"] == {"initialize": 0.0, "backup": 4.0, "active": 0.0}
    assert Statistics().to_dict()["last-adv-source"] is None
