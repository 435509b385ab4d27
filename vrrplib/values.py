"""The standard library's ``dataclass`` and ``field``, sooner: for the classes that every user of vrrplib loads.

Loading ``dataclasses``, and letting it define twenty classes, took two thirds of ``from vrrplib import Router``.
Here a class costs one short text to compile, and ``dataclasses`` is loaded when somebody uses it: ``fields()``,
``replace()``, ``asdict()`` and the others work as ever, and type checkers see the standard decorator. Not provided
for: bases that have fields, ClassVar, InitVar, classes without slots.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as in vrrplib/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass, field
    from typing import Any

__all__ = ["dataclass", "field"]


class _Missing:
    def __repr__(self) -> str:
        return "<factory>"  # where it is seen: in the signature, as the default of a field with a factory


_MISSING: Any = _Missing()


class _Field:
    """The arguments of ``field()``, until ``dataclasses`` is there to take them."""

    def __init__(self, *, default: Any = _MISSING, default_factory: Any = _MISSING, repr: bool = True) -> None:  # noqa: A002
        self.default, self.default_factory, self.repr = default, default_factory, repr


def _dataclass(
    *, slots: bool, frozen: bool = False, kw_only: bool = False, init: bool = True
) -> Callable[[type], type]:
    """As the standard one; ``slots`` is True."""
    return lambda cls: _define(cls, {"frozen": frozen, "kw_only": kw_only, "init": init})


def _define(cls: type, options: dict[str, bool]) -> type:
    """The class once more, with slots, and with the methods that it does not have already."""
    own = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    given = {name: own.pop(name, _MISSING) for name in cls.__annotations__}
    fields = {name: value if isinstance(value, _Field) else _Field(default=value) for name, value in given.items()}
    body = {
        **(_FROZEN_METHODS if options["frozen"] else _METHODS),
        **_compiled(cls, fields, options),
        "__qualname__": cls.__qualname__,
        "__slots__": tuple(fields),
        "__match_args__": () if options["kw_only"] else tuple(fields),
        "__dataclass_fields__": _Standard(fields, options),
        "__dataclass_params__": _Standard(fields, options),
        "_value_fields": fields,
    }
    return type(cls)(cls.__name__, cls.__bases__, body | own)


def _compiled(cls: type, fields: dict[str, _Field], options: dict[str, bool]) -> dict[str, Any]:
    """The methods that must be as fast as the standard ones, with the globals of the module, as any method."""
    scope = {"_set": object.__setattr__, "_missing": _MISSING}
    mine, others = (f"({''.join([f'{whose}.{name}, ' for name in fields])})" for whose in ("self", "other"))
    same = f"{mine} == {others} if other.__class__ is self.__class__ else NotImplemented"
    methods = {"__eq__": f"def __eq__(self, other): return {same}"}
    if options["frozen"]:
        methods["__hash__"] = f"def __hash__(self): return hash({mine})"
    if options["init"]:
        methods["__init__"] = _constructor(fields, options, scope, checked=hasattr(cls, "__post_init__"))
    lines = [f"def build({', '.join(scope)}):", *methods.values(), f"return {', '.join(methods)},"]
    found: dict[str, Any] = {}
    exec("\n ".join(lines), vars(sys.modules[cls.__module__]), found)  # noqa: S102  # names from our own source
    made = dict(zip(methods, found["build"](**scope), strict=True))
    for name, method in made.items():
        method.__qualname__ = f"{cls.__qualname__}.{name}"
    if options["init"]:
        made["__init__"].__annotations__ = {**cls.__annotations__, "return": None}
    return made


def _constructor(
    fields: dict[str, _Field], options: dict[str, bool], scope: dict[str, Any], *, checked: bool
) -> str:
    """The text of ``__init__``; the defaults that it names are put into ``scope``."""
    parameters, statements = ["self", *["*"] * (options["kw_only"] and bool(fields))], []
    for name, field in fields.items():
        value = name
        if field.default_factory is not _MISSING:
            scope[f"_new_{name}"] = field.default_factory
            parameters.append(f"{name}=_missing")
            value = f"_new_{name}() if {name} is _missing else {name}"
        elif field.default is not _MISSING:
            scope[f"_default_{name}"] = field.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        statements.append(f"_set(self, {name!r}, {value})" if options["frozen"] else f"self.{name} = {value}")
    if checked:
        statements.append("self.__post_init__()")
    return f"def __init__({', '.join(parameters)}): {'; '.join(statements) or 'pass'}"


class _Standard:
    """What ``dataclasses`` looks for in a class: what it finds is what it makes of the same fields itself."""

    def __init__(self, fields: dict[str, _Field], options: dict[str, bool]) -> None:
        self._fields, self._options = fields, options

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner, self._name = owner, name

    def __get__(self, instance: object, owner: type) -> Any:
        import dataclasses  # noqa: PLC0415

        body: dict[str, Any] = {
            "__module__": self._owner.__module__,
            "__annotations__": self._owner.__annotations__,
        }
        for name, field in self._fields.items():
            given = {option: value for option, value in vars(field).items() if value is not _MISSING}
            body[name] = dataclasses.field(**given)
        bare = type(self._owner.__name__, (), body)
        made = getattr(dataclasses.dataclass(**self._options)(bare), self._name)
        setattr(self._owner, self._name, made)
        return made


def _repr(self: Any) -> str:
    shown = [f"{name}={getattr(self, name)!r}" for name, field in self._value_fields.items() if field.repr]
    return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _setattr(self: Any, name: str, value: object) -> None:
    _refuse_if_frozen(self, name, "assign to")
    object.__setattr__(self, name, value)


def _delattr(self: Any, name: str) -> None:
    _refuse_if_frozen(self, name, "delete")
    object.__delattr__(self, name)


def _refuse_if_frozen(self: Any, name: str, doing: str) -> None:
    own = "_value_fields" in vars(self.__class__)  # a subclass may have other attributes
    if own or name in self._value_fields:
        from dataclasses import FrozenInstanceError  # noqa: PLC0415

        raise FrozenInstanceError(f"cannot {doing} field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self._value_fields]


def _setstate(self: Any, state: list[Any]) -> None:
    for name, value in zip(self._value_fields, state, strict=True):
        object.__setattr__(self, name, value)


def _replace(self: Any, /, **changes: Any) -> Any:
    from dataclasses import replace  # noqa: PLC0415

    return replace(self, **changes)


_METHODS: dict[str, Any] = {"__repr__": _repr, "__hash__": None, "__replace__": _replace}
_FROZEN_METHODS = _METHODS | {
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}

if not TYPE_CHECKING:
    dataclass, field = _dataclass, _Field
