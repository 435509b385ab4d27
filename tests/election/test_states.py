from __future__ import annotations

from vrrplib.election.states import Reason, State


def test_a_state_is_the_word_of_rfc_9568_in_lower_case() -> None:
    assert [str(state) for state in State] == ["initialize", "backup", "active"]
    assert State("active") is State.ACTIVE


def test_the_first_four_reasons_are_those_of_rfc_8347() -> None:
    assert [str(reason) for reason in Reason][:4] == ["not-master", "priority", "preempted", "no-response"]


def test_a_reason_is_its_own_name() -> None:
    assert all(reason.value == reason.name.lower().replace("_", "-") for reason in Reason)
    assert {str(reason) for reason in Reason} >= {"startup", "shutdown", "higher-priority", "host"}
