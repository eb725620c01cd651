"""Errors that pickle cannot put together again by itself: taken apart, and put together here.

pickle makes an error anew by calling its class with `args`. Where a constructor wants anything else, as
those of HTTPError and of many clients do, that fails, or makes another error of it. Here the constructor
is not called: class, args and attributes travel, and are put together as they were.

What an attribute holds may be unable to travel, as the open connection of an HTTPError. It is then None,
and a note on the error names it.

An error is rebuilt only if its class leaves pickling to Python. One that is not quite what it was - it
says something else, or has no repr - is refused: then its text travels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from types import (
    BuiltinFunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
from typing import Any, NamedTuple

from .._repr import text_of
from .._signals import let_through

_HOOKS = ("__reduce__", "__reduce_ex__", "__setstate__")  # by which a class pickles in its own way
_MAKERS = ("__init__", "__new__")
_IN_C = (BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType)
_HEAP = 1 << 9  # of `__flags__`: a class that was made by a class statement
_DICT: Any = vars(BaseException)["__dict__"]
_ARGS: Any = vars(BaseException)["args"]


class Parts(NamedTuple):
    """An error in its parts.

    state: Its attributes. fields: What stands in slots, its own and those of Python's errors, by name.
    left: The names of what could not travel, and why. text: What it says.
    """

    kind: type[BaseException]
    args: tuple[Any, ...]
    state: dict[str, Any]
    fields: dict[str, Any]
    left: dict[str, str]
    text: str


Pack = Callable[[Any], bytes]
Load = Callable[[bytes], Any]


def pack_error(error: BaseException, pack: Pack, load: Load) -> bytes:
    """A pickle of the error, or of its Parts. Raises what pickle says where neither is to be had."""
    kind = type(error)
    by_python = not any(_written(kind, name) for name in _HOOKS)
    try:
        packed = pack(error)
    except BaseException as refusal:
        let_through(refusal)
        if not by_python:
            raise
        try:
            return pack(_parts_of(error, pack, load))
        except BaseException as broken:
            let_through(broken)
            raise refusal from None
    if by_python and any(_written(kind, name) for name in _MAKERS) and not _same(packed, error, load):
        return pack(_parts_of(error, pack, load))
    return packed


def unpack_error(packed: bytes, load: Load) -> BaseException:
    """The error of this pickle. Raises whatever comes of it, a TypeError if it is none."""
    value = load(packed)
    error = _rebuilt(value) if type(value) is Parts else value
    if not issubclass(type(error), BaseException):  # what it says of its class may raise
        raise TypeError(type(error))
    return error


def _same(packed: bytes, error: BaseException, load: Load) -> bool:
    """Whether this pickle gives an error that says the same."""
    try:
        made = load(packed)
        return type(made) is type(error) and str(made) == str(error)
    except BaseException as broken:
        let_through(broken)
        return False


def _parts_of(error: BaseException, pack: Pack, load: Load) -> Parts:
    """Take it apart."""
    state = dict(_DICT.__get__(error))
    fields = {}
    for name, descriptor in _fields(type(error)):
        with suppress(AttributeError):  # it has no value
            fields[name] = descriptor.__get__(error)
    left: dict[str, str] = {}
    for values in state, fields:
        if _refusal(values, pack, load) is None:
            continue
        for name, value in values.items():
            refusal = _refusal(value, pack, load)
            if refusal is not None:
                values[name] = None
                left[name] = refusal
    return Parts(type(error), _ARGS.__get__(error), state, fields, left, str.__str__(str(error)))


def _refusal(value: Any, pack: Pack, load: Load) -> str | None:
    """Why a value cannot travel; None: it can."""
    try:
        load(pack(value))
    except BaseException as broken:
        let_through(broken)
        return text_of(broken)
    return None


def _rebuilt(parts: Parts) -> BaseException:
    """Put it together. Raises ValueError, or what its class raises, where another one comes of it."""
    kind = parts.kind
    error = kind.__new__(kind, *parts.args)
    if type(error) is not kind:
        raise ValueError(kind)
    _ARGS.__set__(error, parts.args)
    _DICT.__get__(error).update(parts.state)
    for name, descriptor in _fields(kind):
        if name in parts.fields and _differs(descriptor, error, parts.fields[name]):
            with suppress(AttributeError, TypeError):  # read-only: of a group, which is made of its args
                descriptor.__set__(error, parts.fields[name])
    if parts.left:
        BaseException.add_note(error, _note(parts.left))
    _check(error, parts)
    return error


def _differs(descriptor: Any, error: BaseException, value: Any) -> bool:
    """A field of an OSError that was never set reads as None, and to set it to None is another thing."""
    try:
        return descriptor.__get__(error) is not value
    except AttributeError:
        return True


def _check(error: BaseException, parts: Parts) -> None:
    """Whoever prints, logs or catches it must not meet a half-made one."""
    repr(error)
    getattr(error, "__notes__", None)  # one that asks what it has lost may raise anything
    hasattr(error, "no_such_attribute")
    if str(error) != parts.text:
        raise ValueError(parts.text)


def _fields(kind: type) -> Iterator[tuple[str, Any]]:
    """Where a class keeps values that are not in its __dict__."""
    for base in kind.__mro__:
        if base in (BaseException, object):
            continue
        kinds: Any = MemberDescriptorType
        if not base.__flags__ & _HEAP:
            kinds = (MemberDescriptorType, GetSetDescriptorType)
        for name, found in list(vars(base).items()):
            if isinstance(found, kinds) and name not in ("__dict__", "__weakref__"):
                yield name, found


def _written(kind: type, name: str) -> bool:
    """Whether somebody has written this method, in Python."""
    for base in kind.__mro__:
        if name in vars(base):
            return not isinstance(vars(base)[name], _IN_C)
    return False


def _note(left: dict[str, str]) -> str:
    *most, last = sorted(left)
    names = f"{', '.join(most)} and {last} are" if most else f"{last} is"
    return f"task_manager: {names} None here, as the original cannot be sent: {left[last]}"
