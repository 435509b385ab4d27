from __future__ import annotations

import copy
import pickle

import pytest

from vrrplib import errors
from vrrplib.errors import BackendError, ConfigError, DecodeError, Finding, Problem, VRRPError, require_int

TTL = Finding(Problem.TTL, "RFC 9568 5.1.1.3", "TTL must be 255, not 254")
VRID = Finding(Problem.VRID, "RFC 9568 5.2.3", "vrid must be 1-255, not 0")


@pytest.mark.parametrize("kind", [ConfigError, DecodeError, BackendError])
def test_every_error_is_a_vrrp_error(kind: type[Exception]) -> None:
    assert issubclass(kind, VRRPError)


@pytest.mark.parametrize(
    ("kind", "is_value_error"), [(ConfigError, True), (DecodeError, True), (BackendError, False)]
)
def test_what_is_wrong_in_itself_is_a_value_error_and_what_the_host_refuses_is_not(
    kind: type[Exception], is_value_error: bool
) -> None:
    assert issubclass(kind, ValueError) is is_value_error


def test_a_finding_says_what_and_by_which_clause() -> None:
    assert str(TTL) == "TTL must be 255, not 254 (RFC 9568 5.1.1.3)"


def test_a_decode_error_has_all_findings_and_names_the_first() -> None:
    error = DecodeError((TTL, VRID))
    assert error.findings == (TTL, VRID)
    assert error.problem is Problem.TTL
    assert str(error) == f"{TTL}; {VRID}"


def test_a_backend_error_keeps_the_operation_and_errno() -> None:
    error = BackendError("no such device", operation="link add", errno=19)
    assert (str(error), error.operation, error.errno) == ("no such device", "link add", 19)
    assert (BackendError("x").operation, BackendError("x").errno) == (None, None)


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
@pytest.mark.parametrize(
    "error", [DecodeError((TTL, VRID)), BackendError("no", operation="up", errno=1), ConfigError("x")]
)
def test_errors_survive_copy_and_pickle(error: Exception, again: object) -> None:
    other = again(error)  # type: ignore[operator]
    assert type(other) is type(error)
    assert str(other) == str(error)
    assert vars(other) == vars(error)


def test_a_problem_is_its_own_name_in_lower_case() -> None:
    assert {problem.value for problem in Problem} == {problem.name.lower().replace("_", "-") for problem in Problem}
    assert f"{Problem.AUTH_TYPE}" == "auth-type"


@pytest.mark.parametrize("value", [0, 1, 255])
def test_require_int_takes_the_range_with_its_ends(value: int) -> None:
    require_int("vrid", value, 0, 255)
    with pytest.raises(ConfigError):
        require_int("vrid", value, 256, 300)


@pytest.mark.parametrize("value", [-1, 256, 1.0, "1", None, True])
def test_require_int_names_the_value_and_the_range(value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        require_int("vrid", value, 0, 255)
    assert str(caught.value) == f"vrid must be 0-255, not {value!r}"


def test_the_module_defines_no_other_error() -> None:
    found = {
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)
    }
    assert found == {"VRRPError", "ConfigError", "DecodeError", "BackendError"}
