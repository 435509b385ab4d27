from __future__ import annotations

import dataclasses

import pytest

from vrrplib.errors import Problem
from vrrplib.rules import (
    DEFAULT_RULES,
    RFC2338,
    RFC3768,
    RFC5798,
    RFC9568,
    RFC9568_PUBLISHED,
    Rules,
    Verdict,
)

ALL = (RFC2338, RFC3768, RFC5798, RFC9568_PUBLISHED, RFC9568)
D, W, I = Verdict.DISCARD, Verdict.WARN, Verdict.IGNORE  # noqa: E741

# What changed between the RFCs: one column for each, in the order of ALL.
# Not in the table: the version, the checksum and the VRID, which all of them check alike.
DIFFERENCES = {
    "version": (2, 2, 3, 3, 3),
    "rfc": (2338, 3768, 5798, 9568, 9568),
    "requires_all_addresses": (False, True, True, True, True),  # 2338 7.1 asks for the head only
    "trailing_bytes": (W, W, W, W, W),  # no RFC forbids them, some daemons do
    "authentication_before_vrid": (True, False, False, False, False),  # 7.1: 2338 has it before, 3768 after
    "auth_types": ((0, 1, 2),) * 5,
    "wrong_auth_type": (D,) * 5,
    "heard_by_owner": (I, D, D, D, W),  # 2338 has no check; erratum 8298
    "interval_mismatch": (D, D, I, W, W),  # 9568 7.1: SHOULD log
    "interval_before_addresses": (False, False, False, True, True),  # 7.1
    "address_mismatch": (D, D, W, W, W),
    # what no RFC knows, and neighbours do
    "most_addresses": (255,) * 5,
    "longest_frame": (65535,) * 5,
    "spares_owner": (True,) * 5,
    "owner_gives_way_to": (255,) * 5,
    "ones_checksum": (W,) * 5,
    "interval_scale": (1.0,) * 5,
    "timer_wraps_at": (0.0,) * 5,
    "zero_interval_as": (0.0,) * 5,
    "wrong_ttl": (D,) * 5,
    "wrong_type": (D,) * 5,
    "timer_step": (0.0,) * 5,  # no RFC rounds
    "skew_in_down_interval": (True,) * 5,
    "skew_per_interval": (False, False, True, True, True),  # 3768 6.1: of a second
    "reserved_in_interval": (False,) * 5,
    "learns_interval": (False, False, True, True, True),
    "answers_losing_advertisement": (False, False, False, True, True),  # 9568 6.4.3
}
# Only version 3 has these.
VERSION_3_DIFFERENCES = {
    "no_addresses": (W, D, D),  # 5798 5.2.5: "minimum", without a rule; 9568 5.2.5: ignore
    "zero_interval": (W, W, D),  # erratum 8301
    "global_first_address": (I, I, D),  # erratum 8300
}


@pytest.mark.parametrize("field", DIFFERENCES)
def test_the_rfcs_differ_as_their_texts_do(field: str) -> None:
    assert tuple(getattr(rules, field) for rules in ALL) == DIFFERENCES[field]


@pytest.mark.parametrize("field", VERSION_3_DIFFERENCES)
def test_the_version_3_rfcs_differ_as_their_texts_do(field: str) -> None:
    assert tuple(getattr(rules, field) for rules in ALL[2:]) == VERSION_3_DIFFERENCES[field]


@pytest.mark.parametrize("rules", [RFC2338, RFC3768], ids=lambda rules: rules.name)
def test_version_2_has_no_rule_against_an_empty_address_list(rules: Rules) -> None:
    assert rules.no_addresses is I


def test_every_field_is_in_a_table() -> None:
    fields = {field.name for field in dataclasses.fields(Rules)}
    assert fields == {*DIFFERENCES, *VERSION_3_DIFFERENCES, "name", "clauses", "errata"}


def test_the_default_is_the_newest_rfc_of_each_version() -> None:
    assert DEFAULT_RULES == {2: RFC3768, 3: RFC9568}


@pytest.mark.parametrize(
    ("rules", "problem", "clause"),
    [
        (RFC2338, Problem.CHECKSUM, "RFC 2338 5.3.8"),
        (RFC3768, Problem.AUTH_TYPE, "RFC 3768 5.3.6"),
        (RFC3768, Problem.LENGTH, "RFC 3768 7.1"),
        (RFC5798, Problem.CHECKSUM, "RFC 5798 5.2.8"),
        (RFC9568_PUBLISHED, Problem.COUNT, "RFC 9568 5.2.5"),
        (RFC9568_PUBLISHED, Problem.INTERVAL, "RFC 9568 5.2.7"),
        (RFC5798, Problem.OWNER, "RFC 5798 7.1"),
        (RFC2338, Problem.AUTH_DATA, "RFC 2338 5.3.10"),
        (RFC5798, Problem.RESERVED, "RFC 5798 5.2.6"),
        (RFC3768, Problem.TTL, "RFC 3768 5.2.3"),
    ],
)
def test_a_clause_names_the_rfc_and_the_section(rules: Rules, problem: Problem, clause: str) -> None:
    assert rules.clause(problem) == clause


@pytest.mark.parametrize(
    ("problem", "section", "erratum"),
    [
        (Problem.OWNER, "7.1", 8298),
        (Problem.COUNT, "5.2.5", 8299),
        (Problem.ADDRESS, "5.2.9", 8300),
        (Problem.INTERVAL, "5.2.7", 8301),
    ],
)
def test_a_check_that_an_erratum_made_is_named_by_it(problem: Problem, section: str, erratum: int) -> None:
    assert RFC9568.clause(problem) == f"RFC 9568 erratum {erratum}"
    assert RFC9568.section(problem) == f"RFC 9568 {section}" == RFC9568_PUBLISHED.clause(problem)


def test_a_clause_names_the_rfc_whatever_the_rules_are_called() -> None:
    ours = dataclasses.replace(RFC9568, name="ours")
    assert ours.clause(Problem.VRID) == "RFC 9568 5.2.3"


def test_a_changed_rule_set_is_a_value_of_its_own() -> None:
    ours = dataclasses.replace(RFC9568, interval_mismatch=Verdict.DISCARD)
    assert ours != RFC9568
    assert dataclasses.replace(ours, interval_mismatch=Verdict.WARN) == RFC9568
    assert len({hash(rules) for rules in (*ALL, ours)}) == 6


def test_rules_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RFC9568.version = 2  # type: ignore[misc]
