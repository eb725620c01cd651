"""What a process is to call, a function or a chain's stage, as bytes; why one of them cannot travel."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

from .._repr import short_repr
from .._signals import let_through
from ..errors import ConfigurationError
from . import wire
from .by_value import INSTALL, dumps_code, missed_by_name, names_script
from .script import script_can_be_imported

DEEP = 6  # objects within each other that are looked into for the one that refuses
THREADS = "execution_mode='thread'"  # what to use where a function cannot travel


def pack_object(
    func: object, start_method: str, instead: str = THREADS, has_script: bool = True
) -> bytes:
    """The user's function, or a stage, as bytes; through cloudpickle where pickle refuses it.

    It also goes through cloudpickle where it comes from a notebook, a prompt or a `__main__.py`: pickle
    would name it as a part of `__main__`, which a process that was not forked cannot import.  Raises
    ConfigurationError where neither can.

    instead: What to use in place of processes. has_script: Processes there can have this script as their
        `__main__`.
    """
    refusal: Exception | None = None
    try:
        packed = wire.dumps(func)
    except Exception as error:
        let_through(error)
        refusal = error
    else:
        if (
            start_method == "fork"
            or not (b"__main__" in packed if has_script else names_script(packed))
            or (has_script and script_can_be_imported())
        ):
            return packed
    try:
        import cloudpickle  # noqa: F401
    except ImportError:
        why = _without_cloudpickle(func, refusal, instead)
        raise ConfigurationError(_refused(func, why)) from refusal
    try:
        return dumps_code(func)
    except Exception as error:
        let_through(error)
        raise ConfigurationError(_refused(func, _advice(func, error, instead))) from error


def _refused(func: object, why: str) -> str:
    return f"{_described(func)} cannot be sent to another process: {why}"


def _described(func: object) -> str:
    """For people. Of a function its name; of a lambda, which has none, where it stands."""
    if isinstance(func, FunctionType) and func.__name__ == "<lambda>":
        code = func.__code__
        return f"the lambda in {Path(code.co_filename).name}, line {code.co_firstlineno}"
    if isinstance(func, FunctionType | MethodType):
        return f"`{func.__qualname__.replace('<locals>.', '')}`"
    return short_repr(func)


# ---------------------------------------------------------------------- advice


def _without_cloudpickle(func: object, refusal: Exception | None, instead: str) -> str:
    if refusal is None:
        return (
            "it was defined at a prompt, in a notebook or in a `__main__.py`, which other processes "
            f"cannot import. {INSTALL}, which sends it by its code, or define it at the top level of a "
            "module"
        )
    path, culprit = _culprit(func)
    kind = culprit if isinstance(culprit, type | FunctionType) else type(culprit)
    if not missed_by_name(refusal) or not (isinstance(culprit, FunctionType) or _is_local(kind)):
        return _advice(func, refusal, instead)
    found = f"defined inside a function ({kind.__qualname__})"
    if kind.__name__ == "<lambda>":
        found = "a lambda"
    elif culprit is not kind:
        found = f"of a class {found}"
    return (
        f"{f'`{path}`' if path else 'it'} is {found}, and pickle finds only what stands at the top "
        f"level of a module. {INSTALL}, which sends it by its code, or define it there with "
        f"`{'class' if isinstance(kind, type) else 'def'}`"
    )


def _is_local(kind: object) -> bool:
    return "<locals>" in getattr(kind, "__qualname__", "")


def _advice(func: object, error: Exception, instead: str) -> str:
    """What to do about a lock, a connection or an open file in it."""
    path, culprit = _culprit(func)
    said = wire.message_of(_refusal_of(culprit) or error)
    if not path:
        return f"{said}. What it refers to must be something that can be pickled"
    leave = ", leave it out in `__getstate__`" if path.startswith("self.") else ""
    return (
        f"`{path}` is a {wire.qualified_name(type(culprit))}, which cannot travel ({said}). Make it in "
        f"the worker, when it is first needed{leave}, or use {instead}"
    )


def _culprit(func: object) -> tuple[str, object]:
    """What within it refuses, and the way there as one would write it, "" if it is itself."""
    path, value = "", func
    for _ in range(DEEP):
        parts = _parts(path, value)
        found = next(((way, part) for way, part in parts if _refusal_of(part) is not None), None)
        if found is None:
            break
        path, value = found
    return path, value


def _refusal_of(part: object) -> BaseException | None:
    """What comes of packing it; None if it travels, as a module does in a function."""
    try:
        if not isinstance(part, ModuleType):
            wire.pack(part)
    except BaseException as error:
        let_through(error)
        return error
    return None


def _parts(path: str, value: object) -> Iterator[tuple[str, object]]:
    """What it holds, each with the way there."""
    before = f"{path}." if path else ""
    match value:
        case MethodType():
            yield from _parts(path, value.__self__)
        case functools.partial():
            yield f"{before}func", value.func
            yield from _parts(f"{before}args", value.args)
            yield from _parts(f"{before}keywords", value.keywords)
        case FunctionType():
            for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
                if _filled(cell):
                    yield name, cell.cell_contents
            for name in value.__code__.co_names:
                if name in value.__globals__:
                    yield name, value.__globals__[name]
        case dict():
            for key, part in value.items():
                yield f"{path}[{short_repr(key)}]", part
        case list() | tuple():
            for place, part in enumerate(value):
                yield f"{path}[{place}]", part
        case _ if not isinstance(value, type):
            for name, part in _state(value).items():
                yield f"{path or 'self'}.{name}", part


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _state(value: object) -> dict[str, Any]:
    """The attributes that pickle would take; none where the class has a way of its own."""
    kind = type(value)
    if (kind.__reduce__, kind.__reduce_ex__) != (object.__reduce__, object.__reduce_ex__):
        return {}
    try:
        state: Any = value.__getstate__()
    except BaseException as error:
        let_through(error)
        return {}
    kept = state if isinstance(state, tuple) else (state,)  # with slots: what is in __dict__, and they
    return {str(name): part for some in kept if isinstance(some, dict) for name, part in some.items()}
