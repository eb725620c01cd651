"""Options, checked at the door: each function returns the value, or says what came and what is right.

The table at the end says which option of a manager is checked by which function.
"""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from multiprocessing import get_all_start_methods
from typing import Any, TypeVar

from ._door import Row
from ._option_numbers import max_failures, rate, seconds, seconds_or_none, whole, whole_or_none
from ._repr import short_repr
from ._run.results import Keeps
from ._runners.modes import mode_of, takes_address, with_replaced_workers, with_timeouts
from .errors import ConfigurationError
from .events import Observer
from .journal import Journal
from .logger import TaskLogger

V = TypeVar("V")


def one_of(name: str, value: Any, choices: Collection[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise ConfigurationError(f"{name} must be one of {', '.join(choices)}; got {value!r}")
    return value


def mode(name: str, value: Any) -> Any:
    """A name, an executor, or what makes one."""
    mode_of(value)
    return value


def address(name: str, value: Any, mode: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name} must be None, or where the engine is; got {value!r}")
    if not takes_address(mode):
        raise ConfigurationError(
            f"{name} is where an engine is, of execution_mode='dask' or 'ray'; got {value!r} with "
            f"execution_mode={short_repr(mode)}"
        )
    return value


def function(name: str, func: Any, mode: Any) -> Callable[..., Any]:
    """A function that fits its mode: a coroutine function where the mode awaits, else a plain one."""
    if not callable(func):
        raise ConfigurationError(f"{name} must be callable; got {func!r}")
    if inspect.isasyncgenfunction(func):
        raise ConfigurationError(f"{name} must return one result; {func!r} is an async generator")
    awaits = _answers(inspect.iscoroutinefunction, func)
    known = mode_of(mode)
    if awaits and not known.awaits:
        raise ConfigurationError(
            f"{name} must be a plain function in {known.name} mode; {func!r} is async, which needs "
            "execution_mode='async'"
        )
    if not awaits and known.awaits:
        raise ConfigurationError(
            f"{name} must be an async function in {known.name} mode; {func!r} is a plain one, which "
            "needs execution_mode='thread', 'process' or 'serial'"
        )
    return func  # type: ignore[no-any-return]


def plain_hook(name: str, method: Any) -> None:
    """Hooks are called between the attempts of others, where nobody can await them."""
    if _answers(inspect.iscoroutinefunction, method) or _answers(inspect.isasyncgenfunction, method):
        # The repr of a method shows its manager, which is not made yet.
        came = getattr(method, "__qualname__", type(method).__qualname__)
        raise ConfigurationError(f"{name} must be a plain function, in async mode too; {came} is async")


def _answers(question: Callable[[Any], bool], func: Any) -> bool:
    """What `inspect` says of a function, or of an object that is called like one."""
    return question(func) or question(getattr(func, "__call__", None))  # noqa: B004


def timeout(name: str, value: Any, mode: Any) -> float | None:
    """Seconds above 0, in a mode that can interrupt a call; None is no limit."""
    if value is None:
        return None
    limit = seconds_or_none(name, value)
    if not mode_of(mode).interrupts:
        able = ", ".join(with_timeouts())
        raise ConfigurationError(
            f"{name} needs a mode that can leave a call before it returns: {able}; got {mode!r}"
        )
    return limit


def rate_key(name: str, value: Any) -> Callable[[Any], Any] | None:
    """A plain function of a task."""
    if value is None:
        return None
    if not callable(value) or not _takes_one(value):
        raise ConfigurationError(
            f"{name} must be None or a function of a task, as lambda url: urlsplit(url).hostname; "
            f"got {value!r}"
        )
    plain_hook(name, value)
    return value  # type: ignore[no-any-return]


def _takes_one(func: Callable[..., Any]) -> bool:
    """What has no signature that can be read may take anything."""
    try:
        inspect.signature(func).bind(None)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def start_method(name: str, value: Any) -> str | None:
    return None if value is None else one_of(name, value, get_all_start_methods())


def worker_state(name: str, make: Any, mode: Any) -> Callable[[], Any] | None:
    """A function that can be called as it is; an async one where the mode awaits."""
    if make is None:
        return None
    if not callable(make):
        raise ConfigurationError(
            f"{name} must be None or a function without parameters, which makes what a worker needs; "
            f"got {make!r}"
        )
    is_async = _answers(inspect.iscoroutinefunction, make) or _answers(inspect.isasyncgenfunction, make)
    if is_async and not mode_of(mode).awaits:
        raise ConfigurationError(
            f"{name} must be a plain function or generator function in {mode_of(mode).name} mode; "
            f"{make!r} is async, which needs execution_mode='async'"
        )
    parameters: Iterable[inspect.Parameter] = ()
    with contextlib.suppress(ValueError, TypeError):  # one that Python cannot look into
        parameters = inspect.signature(make).parameters.values()
    for one in parameters:
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            raise ConfigurationError(
                f"{name} must be a function without parameters; {make!r} needs {one.name!r}, which "
                "functools.partial can give it"
            )
    return make  # type: ignore[no-any-return]


def most_tasks(name: str, value: Any, mode: Any) -> int | None:
    """A whole number, in a mode whose workers can be replaced; None is no limit."""
    most = whole_or_none(name, value, least=1)
    if most is not None and not mode_of(mode).replaces:
        able = ", ".join(with_replaced_workers())
        raise ConfigurationError(
            f"{name} needs a mode whose workers can be replaced: {able}; got {mode!r}"
        )
    return most


def flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False; got {value!r}")
    return value


def keeps(name: str, value: Any) -> Keeps:
    if value is True or value is False or (type(value) is str and value == "errors"):
        return value  # type: ignore[return-value]
    raise ConfigurationError(
        f"{name} must be True, False or 'errors', which keeps the errors alone; got {value!r}"
    )


def text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a string; got {value!r}")
    return value


def log(name: str, value: Any) -> TaskLogger | None:
    if value is not None and not isinstance(value, TaskLogger):
        raise ConfigurationError(
            f"{name} must be None or a TaskLogger: TaskLogger('logs') writes to a folder, "
            f"TaskLogger(logger=...) to a loguru logger of yours; got {value!r}"
        )
    return value


def journal(name: str, value: Any, deduplicate: bool = True) -> Journal | None:
    """A path is a journal in that file, with what else is usual."""
    if value is None:
        return None
    made = value if isinstance(value, Journal) else None
    if isinstance(value, str | os.PathLike):
        with contextlib.suppress(ConfigurationError):  # an empty path, or one of bytes
            made = Journal(value)
    if made is None:
        raise ConfigurationError(f"{name} must be None, the path of a file or a Journal; got {value!r}")
    if not deduplicate:
        raise ConfigurationError(
            f"{name} needs deduplicate=True: what is done is known by the task, so that equal tasks are "
            "one"
        )
    return made


def observers(name: str, value: Any) -> tuple[Observer, ...]:
    """As a tuple. A class in place of an object would only fail at the first event."""
    try:
        found = tuple(value)
    except TypeError:
        found = (None,)
    if any(isinstance(one, type) or not callable(getattr(one, "observe", None)) for one in found):
        raise ConfigurationError(
            f"{name} must be a list of objects with a method observe(event); got {value!r}"
        )
    return found


def iterable(name: str, value: Iterable[V], of: str) -> Iterator[V]:
    try:
        return iter(value)
    except TypeError:
        raise ConfigurationError(
            f"{name} must be an iterable of {of}, as a list; got {type(value).__name__}"
        ) from None


def exception_types(
    name: str, value: type[Exception] | Sequence[type[Exception]]
) -> tuple[type[Exception], ...]:
    types = (value,) if isinstance(value, type) else value
    if not isinstance(types, tuple | list) or not all(
        isinstance(kind, type) and issubclass(kind, Exception) for kind in types
    ):
        raise ConfigurationError(
            f"{name} must be an exception type or a tuple of them, each derived from Exception; "
            f"got {value!r}"
        )
    return tuple(types)


# A new option of a manager is a row here, a parameter of TaskManager.__init__, and its type in the two
# classes of options.py.
MANAGER: dict[str, Row] = {
    "execution_mode": Row(mode),
    "address": Row(address, beside="execution_mode"),
    "func": Row(function, beside="execution_mode", on_class=False),
    "worker_limit": Row(partial(whole_or_none, least=1)),
    "max_retries": Row(partial(whole, least=0)),
    "show_progress": Row(flag),
    "progress_desc": Row(text),
    "retry_exceptions": Row(exception_types, settable=True),
    "retry_delay": Row(seconds),
    "max_retry_delay": Row(seconds),
    "task_timeout": Row(timeout, beside="execution_mode"),
    "rate_limit": Row(rate),
    "rate_key": Row(rate_key),
    "max_failures": Row(max_failures),
    "deadline": Row(seconds_or_none),
    "deduplicate": Row(flag),
    "journal": Row(journal, beside="deduplicate"),
    "logger": Row(log),
    "start_method": Row(start_method),
    "worker_state": Row(worker_state, beside="execution_mode"),
    "max_tasks_per_worker": Row(most_tasks, beside="execution_mode"),
    "keep_results": Row(keeps),
    "observers": Row(observers),
}
