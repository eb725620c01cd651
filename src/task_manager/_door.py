"""The door of managers and chains: what may be given, what a class gives, and that it stays as given.

    given ─▶ every name known? ─▶ what a subclass gives ─▶ each checked by its row ─▶ kept, read-only

A class has a table, from the name of an option to its `Row`, and its constructor a parameter for each.
The values lie in the object's own `__dict__`, where pickle and copy find them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ._meant import unknown
from .errors import ConfigurationError, NotInitializedError

Kind = TypeVar("Kind", bound=type)
_NOTHING: Any = object()


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of an option.

    check: Called with its name and its value; answers with the value to keep, or raises a
        ConfigurationError.
    beside: An option that stands above it in the table, whose value `check` is told as well.
    settable: It may be set on the object later, and is checked then.
    instead: How it is changed, for those who try to set it; None: by making a new object.
    on_class: A class attribute of a subclass is its default there.
    """

    check: Callable[..., Any]
    beside: str | None = None
    settable: bool = False
    instead: str | None = None
    on_class: bool = True


def door(noun: str, rows: Mapping[str, Row], *made: str) -> Callable[[Kind], Kind]:
    """A decorator for a class that takes these options: when its __init__ runs, they are in place.

    noun: What people call an object of it. made: Attributes that its __init__ makes: who meets them
        before is told what is missing.
    """

    def guard(kind: Kind) -> Kind:
        init: Callable[..., None] = vars(kind)["__init__"]
        parameters = list(inspect.signature(init).parameters.values())[1:]
        names = [one.name for one in parameters]
        by_position = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
        defaults = {one.name: one.default for one in parameters if one.default is not one.empty}
        needed = rows.keys() - defaults.keys()
        own: Any = vars(kind).get("__init_subclass__")
        place = _Place(kind, noun, by_position[0])

        @functools.wraps(init)
        def construct(self: Any, *args: Any, **given: Any) -> None:
            if not given.keys() <= rows.keys():
                raise TypeError(unknown(type(self).__name__, list(given), names))
            positional = dict(zip(by_position, args, strict=False))
            defaulting: set[str] = set()
            if type(self) is not kind:
                on_class = _class_attributes(type(self), kind, rows)
                defaulting = on_class.keys() - positional.keys() - given.keys()
                given |= {name: _bound(on_class[name], self) for name in defaulting}
            values = defaults | positional | given
            if (
                len(args) <= len(by_position)
                and positional.keys().isdisjoint(given)
                and needed <= values.keys()
            ):
                kept = _checked(type(self), rows, values, defaulting)
                vars(self).update(kept)
                if type(self) is not kind:
                    _tell_properties(self, kept)
            init(self, *args, **given)  # where the call has a wrong shape, Python says so here

        def adopt(subclass: Any, /, **arguments: Any) -> None:
            if own is None:
                super(kind, subclass).__init_subclass__(**arguments)  # type: ignore[arg-type]
            else:
                own.__func__(subclass, **arguments)
            for name, value in _class_attributes(subclass, kind, rows).items():
                setattr(subclass, name, _Option(name, rows[name], place, value))

        kind.__init__ = construct  # type: ignore[misc]
        kind.__init_subclass__ = classmethod(adopt)  # type: ignore[assignment]
        for name, row in rows.items():
            setattr(kind, name, _Option(name, row, place))
        for name in made:
            setattr(kind, name, _Missing(place))
        return kind

    return guard


def _class_attributes(kind: type, base: type, rows: Mapping[str, Row]) -> dict[str, Any]:
    """The options that the subclass or a mixin has as class attributes.

    A property of theirs is none: it is what they read and set, whatever the constructor was given.
    """
    found: dict[str, Any] = {}
    for one in kind.__mro__[: kind.__mro__.index(base)]:
        for name in rows.keys() & vars(one).keys():
            if rows[name].on_class:
                found.setdefault(name, vars(one)[name])
    return {
        name: value.default if isinstance(value, _Option) else value
        for name, value in found.items()
        if isinstance(value, _Option) or not hasattr(type(value), "__set__")
    }


def _bound(value: Any, owner: Any) -> Any:
    """As Python reads a class attribute: a function is a method."""
    return value.__get__(owner, type(owner)) if hasattr(type(value), "__get__") else value


def _checked(
    kind: type, rows: Mapping[str, Row], values: Mapping[str, Any], defaulting: set[str]
) -> dict[str, Any]:
    """The values to keep, in the order of the table."""
    kept: dict[str, Any] = {}
    for name, row in rows.items():
        others = () if row.beside is None else (kept[row.beside],)
        try:
            kept[name] = row.check(name, values[name], *others)
        except ConfigurationError as error:
            if name not in defaulting:
                raise
            raise ConfigurationError(
                f"{error} ({name} is a class attribute of {kind.__name__})"
            ) from None
    return kept


def _tell_properties(owner: Any, kept: dict[str, Any]) -> None:
    """A subclass that has an option as a property of its own is told the value."""
    for kind in type(owner).__mro__:
        for name in kept.keys() & vars(kind).keys():
            own = vars(kind)[name]
            if isinstance(own, property) and own.fset is not None:
                setattr(owner, name, kept[name])


@dataclass(frozen=True, slots=True)
class _Place:
    """For messages: the class with the options, what its objects are called, its first option."""

    base: type
    noun: str
    first: str

    def missing(self, owner: Any) -> NotInitializedError:
        kind = next(one for one in type(owner).__mro__ if "__init__" in vars(one))
        return NotInitializedError(
            f"{kind.__name__}.__init__ has not called super().__init__({self.first}, ...): until it "
            f"does, the {self.noun} has no options and cannot run"
        )


class _Option:
    """An option as an attribute: read from the object, refused when it is set there.

    default: Of a subclass that has it as a class attribute.
    """

    def __init__(self, name: str, row: Row, place: _Place, default: Any = _NOTHING) -> None:
        self.default = default
        self._name = name
        self._row = row
        self._place = place

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        if owner is None:
            return self if self.default is _NOTHING else self.default
        try:
            return vars(owner)[self._name]
        except KeyError:
            if self.default is _NOTHING:
                raise self._place.missing(owner) from None
            return _bound(self.default, owner)

    def __set__(self, owner: Any, value: Any) -> None:
        if not self._row.settable:
            raise AttributeError(self._refusal(owner))
        vars(owner)[self._name] = self._row.check(self._name, value)

    def __delete__(self, owner: Any) -> None:
        raise AttributeError(self._refusal(owner))

    def _refusal(self, owner: Any) -> str:
        name, noun = self._name, self._place.noun
        if self._row.instead is not None:
            return f"{name} cannot be set on a {noun}: {self._row.instead}"
        return (
            f"{name} is fixed when a {noun} is made: make a new one, {type(owner).__name__}(..., "
            f"{name}=...); a subclass gives it to super().__init__, or has it as a class attribute"
        )


class _Missing:
    """Stands on the class for what __init__ makes: met only where it has made nothing."""

    def __init__(self, place: _Place) -> None:
        self._place = place

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        if owner is None:
            return self
        raise self._place.missing(owner)
