"""Options, checked at the door: the message says what came and what is right."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from multiprocessing import get_all_start_methods
from typing import Any
from unittest.mock import AsyncMock, Mock

import loguru
import numpy
import pytest

from functions import MODES, fit
from task_manager import ConfigurationError, Journal, TaskLogger, TaskManager
from task_manager._rules.rate import Rate
from task_manager.events import Event


def plain(task: Any) -> Any:
    return task


async def coroutine(task: Any) -> Any:
    return task


async def async_generator(task: Any) -> AsyncIterator[Any]:
    yield task


def generator(task: Any) -> Iterator[Any]:
    yield task


class Called:
    def __call__(self, task: Any) -> Any:
        return task

    def method(self, task: Any) -> Any:
        return task

    async def coroutine(self, task: Any) -> Any:
        return task


class Awaited:
    async def __call__(self, task: Any) -> Any:
        return task


def steady(value: Any) -> str:
    """A name for a value: the same in every process that collects the tests."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


NUMBERS = [True, "1", [1], math.nan, math.inf, -math.inf, 10**400, 1j, Decimal(1)]

# Each option: what is right, in the words of the message, and wrong values of every kind.


class Watching:
    def observe(self, event: Event) -> None: ...

    def __repr__(self) -> str:  # the same in each process that collects the tests
        return "Watching()"


WATCHING = Watching()

OPTIONS: dict[str, tuple[str, list[Any]]] = {
    "func": ("func must be callable", [None, 5, "plain", [plain]]),
    "execution_mode": (
        "execution_mode must be one of serial, thread, process, async, loky, dask, ray, a "
        "concurrent.futures.Executor, or a function without parameters that makes one",
        ["treads", "", "SERIAL", None, 5, b"serial", ["serial"]],
    ),
    "worker_limit": (
        "worker_limit must be None or a whole number of at least 1",
        [0, -1, 2.0, True, "2", [2], math.inf],
    ),
    "max_retries": (
        "max_retries must be a whole number of at least 0",
        [-1, 1.0, True, False, "1", None, [1], math.inf],
    ),
    "show_progress": ("show_progress must be True or False", [None, 0, 1, "yes", []]),
    "progress_desc": ("progress_desc must be a string", [None, 5, b"desc", ["desc"]]),
    "retry_exceptions": (
        "retry_exceptions must be an exception type or a tuple of them, each derived from Exception",
        [
            *[None, 5, "ValueError", int, BaseException, KeyboardInterrupt, ValueError(), {ValueError}],
            *[(ValueError, "x"), (SystemExit,), (ValueError, (KeyError,)), [ValueError, None]],
        ],
    ),
    "retry_delay": ("retry_delay must be a number of seconds from 0 up", [-0.1, -1, None, *NUMBERS]),
    "max_retry_delay": (
        "max_retry_delay must be a number of seconds from 0 up",
        [-0.1, -1, None, *NUMBERS],
    ),
    "task_timeout": (
        "task_timeout must be None or a number of seconds above 0",
        [0, 0.0, -1, *NUMBERS],
    ),
    "max_failures": (
        "max_failures must be None, a number of tasks from 0 up, or a share of them between 0 and 1, as "
        "0.05",
        [-1, 1.0, 0.0, -0.5, 5.0, True, False, "5", float("nan")],
    ),
    "deadline": ("deadline must be None or a number of seconds above 0", [0, 0.0, -1, *NUMBERS]),
    "rate_limit": (
        "rate_limit must be None, or how many attempts may begin in what time, as '20/s', '500/min', "
        "'2000/h' or (500, 60), which is 500 in 60 seconds",
        [
            *[
                0,
                5,
                0.5,
                True,
                "",
                "20",
                "20/",
                "/s",
                "0/s",
                "-1/s",
                "20/fortnight",
                "1.5/s",
                "2000000/s",
            ],
            *[
                (5,),
                (0, 1),
                (5, 0),
                (5, -1),
                (5.0, 1),
                (True, 1),
                (5, float("inf")),
                (5, 1, 1),
                ("5", 1),
            ],
        ],
    ),
    "rate_key": (
        "rate_key must be None or a function of a task, as lambda url: urlsplit(url).hostname",
        [5, "host", True, lambda: 1, lambda task, more: 1],
    ),
    "start_method": (
        f"start_method must be one of {', '.join(get_all_start_methods())}",
        ["forks", "", 5, True, ["fork"]],
    ),
    "worker_state": (
        "worker_state must be None or a function without parameters, which makes what a worker needs",
        [5, True, "model", [plain]],
    ),
    "max_tasks_per_worker": (
        "max_tasks_per_worker must be None or a whole number of at least 1",
        [0, -1, 2.0, True, "2", [2], math.inf],
    ),
    "keep_results": (
        "keep_results must be True, False or 'errors', which keeps the errors alone",
        [None, 0, 1, "yes"],
    ),
    "deduplicate": ("deduplicate must be True or False", [None, 0, 1, "yes"]),
    "journal": (
        "journal must be None, the path of a file or a Journal",
        [5, True, b"run.db", "", [], "a\0b", Journal],
    ),
    "address": ("address must be None, or where the engine is", [5, "", b"tcp://10.0.0.1:8786"]),
    "observers": (
        "observers must be a list of objects with a method observe(event)",
        [None, 5, "log", [None], [Watching, 5], [Watching], Watching()],
    ),
    "logger": (
        "logger must be None or a TaskLogger: TaskLogger('logs') writes to a folder, "
        "TaskLogger(logger=...) to a loguru logger of yours",
        [True, "logs", TaskLogger, 5, loguru.logger],
    ),
}

# Right values, where it is not obvious what is kept.
RIGHT: list[tuple[str, Any, Any]] = [
    ("worker_limit", None, None),
    ("worker_limit", 1, 1),
    ("worker_limit", 10_000, 10_000),
    ("max_retries", 0, 0),
    ("max_retries", 100_000, 100_000),
    ("retry_exceptions", Exception, (Exception,)),
    ("retry_exceptions", (), ()),
    ("retry_exceptions", (ValueError, KeyError), (ValueError, KeyError)),
    ("retry_exceptions", [ValueError], (ValueError,)),
    ("retry_delay", 0, 0.0),
    ("retry_delay", 2.5, 2.5),
    ("retry_delay", numpy.float64(0.5), 0.5),
    ("max_retry_delay", 0, 0.0),
    ("max_retry_delay", 1e9, 1e9),
    ("task_timeout", None, None),
    ("task_timeout", 0.001, 0.001),
    ("task_timeout", 7, 7.0),
    ("max_failures", None, None),
    ("max_failures", 0, 0),
    ("max_failures", 0.05, 0.05),
    ("deadline", None, None),
    ("deadline", 60, 60.0),
    ("rate_limit", None, None),
    ("rate_limit", "20/s", Rate(20, 1.0)),
    ("rate_limit", " 500 / min ", Rate(500, 60.0)),
    ("rate_limit", "2_000/h", Rate(2000, 3600.0)),
    ("rate_limit", (500, 60), Rate(500, 60.0)),
    ("rate_key", None, None),
    *[("rate_key", func, func) for func in (len, str.upper, {}.get)],
    ("start_method", None, None),
    *[("start_method", method, method) for method in get_all_start_methods()],
    ("worker_state", None, None),
    ("max_tasks_per_worker", None, None),
    ("max_tasks_per_worker", 1, 1),
    ("worker_state", dict, dict),
    ("journal", None, None),
    ("journal", "run.db", Journal("run.db")),
    ("journal", Journal("run.db", codec="json"), Journal("run.db", codec="json")),
    ("logger", None, None),
    ("observers", [], ()),
    ("observers", [WATCHING], (WATCHING,)),
    ("progress_desc", "", ""),
]

EVERY_WRONG_VALUE = [(option, value) for option, (_, values) in OPTIONS.items() for value in values]


def manager_with(option: str, value: Any) -> TaskManager:
    options = {"func": plain, "execution_mode": "thread", "logger": None}
    return TaskManager(**{**options, option: value})


@pytest.mark.parametrize(("option", "value"), EVERY_WRONG_VALUE, ids=steady)
def test_a_wrong_value_is_refused(option: str, value: Any) -> None:
    """A ConfigurationError out of the constructor says what came and what is right."""
    right, _ = OPTIONS[option]
    with pytest.raises(ConfigurationError) as caught:
        manager_with(option, value)

    assert f"{right}; got {value!r}" == str(caught.value)


@pytest.mark.parametrize(("option", "value", "kept"), RIGHT, ids=steady)
def test_a_right_value_is_kept(option: str, value: Any, kept: Any) -> None:
    """It can be read on the manager, numbers of seconds as floats and types as a tuple."""
    manager = manager_with(option, value)

    assert kept == getattr(manager, option)
    assert type(kept) is type(getattr(manager, option))


def test_every_option_is_checked() -> None:
    """A new option joins the table of wrong values."""
    assert set(inspect.signature(TaskManager).parameters) == set(OPTIONS)


@pytest.mark.parametrize("value", [None, "x", (ValueError, SystemExit)])
def test_retry_exceptions_are_checked_whenever_they_are_set(value: Any) -> None:
    """They may be set on the manager between runs; a wrong value changes nothing."""
    manager = manager_with("retry_exceptions", KeyError)
    with pytest.raises(ConfigurationError, match="retry_exceptions must be an exception type"):
        manager.retry_exceptions = value
    kept = manager.retry_exceptions
    manager.retry_exceptions = ValueError  # type: ignore[assignment]

    assert ((KeyError,), (ValueError,)) == (kept, manager.retry_exceptions)


def test_a_subclass_may_have_a_property_of_its_own() -> None:
    """Whoever overrides retry_exceptions by a property means it."""

    class Reader(TaskManager):
        @property
        def retry_exceptions(self) -> tuple[type[Exception], ...]:
            return (EOFError,)

        @retry_exceptions.setter
        def retry_exceptions(self, types: Any) -> None: ...

    assert (EOFError,) == Reader(plain, logger=None).retry_exceptions


@pytest.mark.parametrize("mode", MODES)
def test_a_time_limit_needs_a_mode_that_can_leave_a_call(mode: str) -> None:
    """F6: refused at the door in serial mode, as nothing can interrupt it there."""
    if mode != "serial":
        assert 2.0 == TaskManager(fit(plain, mode), mode, task_timeout=2, logger=None).task_timeout
        return
    with pytest.raises(ConfigurationError) as caught:
        TaskManager(plain, mode, task_timeout=2, logger=None)

    assert (
        "task_timeout needs a mode that can leave a call before it returns: thread, process, async; "
        "got 'serial'"
    ) == str(caught.value)


@pytest.mark.parametrize("mode", MODES)
def test_so_many_tasks_need_workers_that_can_be_replaced(mode: str) -> None:
    """Refused at the door in serial and async mode, where there is no worker to replace."""
    if mode in ("thread", "process"):
        assert 9 == TaskManager(plain, mode, max_tasks_per_worker=9, logger=None).max_tasks_per_worker
        return
    with pytest.raises(ConfigurationError) as caught:
        TaskManager(fit(plain, mode), mode, max_tasks_per_worker=9, logger=None)

    assert (
        f"max_tasks_per_worker needs a mode whose workers can be replaced: thread, process; got {mode!r}"
    ) == str(caught.value)


async def state_later() -> int:
    return 1


async def state_that_is_yielded() -> AsyncIterator[int]:
    yield 1


class StateLater:
    async def __call__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return "StateLater()"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("make", [state_later, state_that_is_yielded, StateLater()], ids=steady)
def test_an_async_state_needs_an_event_loop(make: Any, mode: str) -> None:
    """It is taken in async mode, and refused at the door in the others."""
    if mode == "async":
        assert make is TaskManager(fit(plain, mode), mode, worker_state=make, logger=None).worker_state
        return
    with pytest.raises(ConfigurationError) as caught:
        TaskManager(plain, mode, worker_state=make, logger=None)

    assert (
        f"worker_state must be a plain function or generator function in {mode} mode; {make!r} is "
        "async, which needs execution_mode='async'"
    ) == str(caught.value)


def state_of(host: str, port: int = 80) -> str:
    return f"{host}:{port}"


@pytest.mark.parametrize("mode", MODES)
def test_a_state_that_needs_arguments(mode: str) -> None:
    """A worker_state that cannot be called as it is: the message says what gives it its arguments."""
    with pytest.raises(ConfigurationError) as caught:
        TaskManager(fit(plain, mode), mode, worker_state=state_of, logger=None)  # type: ignore[arg-type]
    made = functools.partial(state_of, "localhost")

    assert (
        f"worker_state must be a function without parameters; {state_of!r} needs 'host', which "
        "functools.partial can give it"
    ) == str(caught.value)
    assert made is TaskManager(fit(plain, mode), mode, worker_state=made, logger=None).worker_state


@pytest.mark.parametrize(
    "func", [plain, len, int, generator, lambda task: task, Called(), Called().method]
)
@pytest.mark.parametrize("mode", ["serial", "thread", "process"])
def test_a_plain_function_fits_a_mode_that_calls(func: Any, mode: str) -> None:
    """Anything that can be called, kept as it was given."""
    assert func is TaskManager(func, mode, logger=None).func


@pytest.mark.parametrize("func", [functools.partial(plain, task=1), Mock()])
def test_what_wraps_a_plain_function_fits_as_well(func: Any) -> None:
    """A partial or a mock is what it calls."""
    assert func is TaskManager(func, logger=None).func


ASYNC = [coroutine, Awaited(), Called().coroutine, functools.partial(coroutine, task=1), AsyncMock()]


@pytest.mark.parametrize("func", ASYNC, ids=lambda func: type(func).__name__)
def test_a_coroutine_function_fits_the_mode_that_awaits(func: Any) -> None:
    """Also an object whose __call__ is async, a method, a partial, a mock."""
    assert func is TaskManager(func, "async", logger=None).func


@pytest.mark.parametrize("func", ASYNC, ids=lambda func: type(func).__name__)
@pytest.mark.parametrize("mode", ["serial", "thread", "process"])
def test_a_coroutine_function_is_refused_where_nobody_awaits_it(func: Any, mode: str) -> None:
    """The message names the mode that it needs."""
    with pytest.raises(ConfigurationError) as caught:
        TaskManager(func, mode, logger=None)

    assert (
        f"func must be a plain function in {mode} mode; {func!r} is async, which needs "
        "execution_mode='async'"
    ) == str(caught.value)


@pytest.mark.parametrize("func", [plain, len, Called(), functools.partial(plain, task=1)])
def test_a_plain_function_is_refused_by_the_mode_that_awaits(func: Any) -> None:
    """The message names the modes that it needs."""
    with pytest.raises(ConfigurationError) as caught:
        TaskManager(func, "async", logger=None)

    assert (
        f"func must be an async function in async mode; {func!r} is a plain one, which needs "
        "execution_mode='thread', 'process' or 'serial'"
    ) == str(caught.value)


class Inserts:
    async def __call__(self, *_: Any) -> None: ...


async def hook(*_: Any) -> None: ...


async def generating_hook(*_: Any) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize("name", ["get_args", "process_result", "handle_error"])
@pytest.mark.parametrize(
    ("method", "came"),
    [(hook, "hook"), (generating_hook, "generating_hook"), (Inserts(), "Inserts")],
)
@pytest.mark.parametrize("mode", MODES)
def test_an_async_hook_is_refused(mode: str, method: Any, came: str, name: str) -> None:
    """At the door and in every mode: nobody would await it, and its coroutine would be the result."""
    hooked = type("Hooked", (TaskManager,), {name: method})
    with pytest.raises(ConfigurationError) as caught:
        hooked(fit(plain, mode), mode, logger=None)

    assert f"{name} must be a plain function, in async mode too; {came} is async" == str(caught.value)


@pytest.mark.parametrize("mode", MODES)
def test_an_async_generator_is_refused(mode: str) -> None:
    """It has no one result."""
    with pytest.raises(ConfigurationError) as caught:
        TaskManager(async_generator, mode, logger=None)

    assert f"func must return one result; {async_generator!r} is an async generator" == str(caught.value)


def test_a_wrong_mode_is_told_before_a_wrong_function() -> None:
    """What a function must be depends on the mode."""
    with pytest.raises(ConfigurationError, match="execution_mode must be one of"):
        TaskManager(None, "treads")  # type: ignore[arg-type]


def test_later_options_are_given_by_keyword() -> None:
    """Six may be given by position, the others only by name."""
    parameters = inspect.signature(TaskManager).parameters.values()
    by_position = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]

    assert [
        "func",
        "execution_mode",
        "worker_limit",
        "max_retries",
        "show_progress",
        "progress_desc",
    ] == by_position


def test_the_usual_options_need_not_be_given() -> None:
    """The function alone is enough."""
    manager = TaskManager(plain)

    assert ("serial", None, 3, False, "Processing") == (
        manager.execution_mode,
        manager.worker_limit,
        manager.max_retries,
        manager.show_progress,
        manager.progress_desc,
    )
    assert ((TimeoutError, ConnectionError), 0.1, 30.0, None) == (
        manager.retry_exceptions,
        manager.retry_delay,
        manager.max_retry_delay,
        manager.task_timeout,
    )
    assert (True, True, TaskLogger) == (manager.deduplicate, manager.keep_results, type(manager.logger))
