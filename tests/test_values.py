"""vrrplib's dataclass against the standard one: the same classes in all that one can see of them."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import sys
import typing
from collections.abc import Callable
from typing import Any

import pytest

from vrrplib import values
from vrrplib.election.actions import Report, StateChanged
from vrrplib.election.states import Reason, State
from vrrplib.errors import Finding, Problem


def define(dataclass: Any, field: Any) -> dict[str, type]:
    @dataclass(frozen=True, slots=True)
    class Nothing:
        """No fields."""

    @dataclass(frozen=True, slots=True)
    class One(Nothing):
        """One field."""

        only: float

    @dataclass(frozen=True, slots=True)
    class Plain:
        """With defaults, a check and a property."""

        low: int
        high: int | None = None
        names: tuple[str, ...] = ()

        def __post_init__(self) -> None:
            if self.high is not None and self.high < self.low:
                raise ValueError("upside down")
            object.__setattr__(self, "names", tuple(self.names))

        @property
        def width(self) -> int:
            return (self.high or self.low) - self.low

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Keywords:
        """By name only."""

        name: str = "unnamed"
        secret: bytes = field(default=b"", repr=False)
        number: int

    @dataclass(slots=True)
    class Mutable:
        """Counters."""

        count: int = 0
        seen: dict[str, int] = field(default_factory=dict)

    @dataclass(frozen=True, slots=True)
    class Own:
        """Its own constructor and representation."""

        value: int

        def __init__(self, text: str) -> None:
            object.__setattr__(self, "value", int(text))

        def __repr__(self) -> str:
            return f"<{self.value}>"

    @dataclass(frozen=True, slots=True, init=False)
    class New:
        """Filled before it is initialized."""

        value: int

        def __new__(cls, *, value: int = 0) -> Any:
            made = object.__new__(cls)
            object.__setattr__(made, "value", value)
            return made

    return {kind.__name__: kind for kind in (Nothing, One, Plain, Keywords, Mutable, Own, New)}


OURS = define(values.dataclass, values.field)
STANDARD = define(dataclasses.dataclass, dataclasses.field)
MAKERS: list[tuple[str, Callable[[Any], Any]]] = [
    ("Nothing", lambda kind: kind()),
    ("One", lambda kind: kind(1.5)),
    ("One", lambda kind: kind(only=float("nan"))),
    ("Plain", lambda kind: kind(1)),
    ("Plain", lambda kind: kind(1, 2, ["a", "b"])),
    ("Keywords", lambda kind: kind(number=1)),
    ("Keywords", lambda kind: kind(number=1, secret=b"x", name="y")),
    ("Mutable", lambda kind: kind()),
    ("Mutable", lambda kind: kind(3, {"a": 1})),
    ("Own", lambda kind: kind("7")),
    ("New", lambda kind: kind(value=7)),
]
FROZEN = sorted(set(OURS) - {"Mutable"})
every_value = pytest.mark.parametrize(("name", "make"), MAKERS)
every_class = pytest.mark.parametrize("name", OURS)


def outcome(call: Callable[[], Any]) -> object:
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


def test_ours_is_not_the_standard_one() -> None:
    assert values.dataclass is not dataclasses.dataclass


@every_class
def test_a_class_looks_the_same(name: str) -> None:
    ours, standard = OURS[name], STANDARD[name]
    for attribute in ("__name__", "__qualname__", "__module__", "__doc__", "__slots__", "__match_args__"):
        assert getattr(ours, attribute) == getattr(standard, attribute)
    assert len(ours.__mro__) == len(standard.__mro__)
    assert str(inspect.signature(ours)) == str(inspect.signature(standard))
    assert ours.__init__.__qualname__ == standard.__init__.__qualname__
    assert typing.get_type_hints(ours.__init__) == typing.get_type_hints(standard.__init__)
    assert (ours.__hash__ is None) == (standard.__hash__ is None)


@every_class
def test_the_standard_library_finds_its_fields(name: str) -> None:
    ours, standard = OURS[name], STANDARD[name]
    assert dataclasses.is_dataclass(ours)
    assert repr(ours.__dataclass_params__).replace("slots=False", "slots=True") == repr(
        standard.__dataclass_params__
    )
    for one, other in zip(dataclasses.fields(ours), dataclasses.fields(standard), strict=True):
        for attribute in (
            "name",
            "type",
            "default",
            "default_factory",
            "init",
            "repr",
            "hash",
            "compare",
            "kw_only",
        ):
            assert getattr(one, attribute) == getattr(other, attribute)


@every_value
def test_a_value_behaves_the_same(name: str, make: Callable[[Any], Any]) -> None:
    ours, standard = make(OURS[name]), make(STANDARD[name])
    assert repr(ours) == repr(standard)
    assert dataclasses.asdict(ours).keys() == dataclasses.asdict(standard).keys()
    assert (ours == make(OURS[name])) is (standard == make(STANDARD[name]))
    assert ours == ours
    assert ours != standard
    assert ours.__eq__(standard) is NotImplemented
    assert copy.copy(ours) == copy.deepcopy(ours) == ours
    if name in FROZEN:
        assert hash(ours) == hash(copy.copy(ours))
    else:
        with pytest.raises(TypeError):
            hash(ours)
    with pytest.raises(AttributeError):
        _ = ours.__dict__


@every_value
def test_a_value_is_replaced_the_same(name: str, make: Callable[[Any], Any]) -> None:
    ours, standard = make(OURS[name]), make(STANDARD[name])
    for changes in ({}, {"low": 5}, {"number": 2}, {"nothing": 1}):
        replaced = [outcome(lambda: repr(dataclasses.replace(it, **changes))) for it in (ours, standard)]  # noqa: B023
        assert replaced[0] == replaced[1]
        if sys.version_info >= (3, 13):
            assert outcome(lambda: repr(copy.replace(ours, **changes))) == replaced[0]  # noqa: B023


@every_value
def test_a_frozen_value_cannot_be_changed(name: str, make: Callable[[Any], Any]) -> None:
    if name not in FROZEN:
        return
    ours, standard = make(OURS[name]), make(STANDARD[name])
    for attribute in OURS[name].__slots__:
        for change in (lambda it: setattr(it, attribute, 1), lambda it: delattr(it, attribute)):  # noqa: B023
            kind, message = outcome(lambda: change(standard))  # type: ignore[misc]  # noqa: B023
            assert kind is dataclasses.FrozenInstanceError
            assert outcome(lambda: change(ours)) == (kind, message)  # noqa: B023


@pytest.mark.parametrize("arguments", [(), (1, 2, (), 4), (2, 1)])
@every_class
def test_wrong_arguments_are_refused_in_the_same_words(name: str, arguments: tuple[int, ...]) -> None:
    found = [outcome(lambda: repr(kind(*arguments))) for kind in (OURS[name], STANDARD[name])]  # noqa: B023
    assert found[0] == found[1]


@pytest.mark.parametrize("name", FROZEN)
def test_nor_can_it_get_another_attribute(name: str) -> None:
    value = dict(MAKERS)[name](OURS[name])  # the standard one of Python 3.11 raises a TypeError, by mistake
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'nothing'"):
        value.nothing = 1
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'nothing'"):
        del value.nothing


def test_a_subclass_may_have_attributes_of_its_own() -> None:
    one: Any = OURS["One"]

    class More(one):  # type: ignore[misc]
        pass

    more = More(1.5)
    more.note = "a"
    assert (more.note, more.only) == ("a", 1.5)
    del more.note
    for change in (lambda it: setattr(it, "only", 2.5), lambda it: delattr(it, "only")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change(more)
    assert more != one(1.5)
    assert repr(more).endswith("More(only=1.5)")
    assert dataclasses.replace(more, only=2.5) == More(2.5)


def test_a_default_that_is_made_is_made_for_each() -> None:
    mutable = OURS["Mutable"]
    assert mutable().seen is not mutable().seen  # type: ignore[attr-defined]
    assert mutable(seen=(mine := {})).seen is mine  # type: ignore[call-arg,attr-defined]


def test_a_mutable_one_can_be_changed() -> None:
    value: Any = OURS["Mutable"]()
    value.count += 1
    assert value == OURS["Mutable"](1)  # type: ignore[call-arg]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_values_are_pickled(protocol: int) -> None:
    for value in (
        Finding(Problem.TTL, "RFC 9568 5.1.1.3", "no"),
        StateChanged(State.BACKUP, State.ACTIVE, Reason.PRIORITY),
    ):
        assert pickle.loads(pickle.dumps(value, protocol)) == value


def test_a_standard_dataclass_can_inherit_from_one() -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Mine(Report):
        what: str

    assert Mine("x") == Mine("x") != Mine("y")
    assert repr(Mine("x")).endswith("Mine(what='x')")
    with pytest.raises(dataclasses.FrozenInstanceError):
        Mine("x").what = "y"  # type: ignore[misc]
    with pytest.raises(TypeError, match="non-frozen"):
        dataclasses.dataclass(type("Thawed", (Report,), {}))


def test_values_are_matched_by_position() -> None:
    match StateChanged(State.BACKUP, State.ACTIVE, Reason.PRIORITY):
        case StateChanged(old, State.ACTIVE):
            assert old is State.BACKUP
        case _:
            pytest.fail("no match")
