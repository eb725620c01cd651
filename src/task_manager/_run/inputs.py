"""What may be given as the tasks, looked at before the run begins: what reads it, or what is right."""

from __future__ import annotations

import asyncio
import functools
import inspect
import queue
from collections.abc import AsyncIterable, Iterable
from typing import Any, TypeVar, Union

from .._repr import name_of, short_repr
from ..errors import ConfigurationError
from .async_source import AsyncIterableSource
from .queues import QueueSource, TaskDone, tasks_of
from .source import Input, IterableSource

T = TypeVar("T")

# What `start` takes, and what `start_async` does.
Tasks = Union[Iterable[T], "queue.Queue[T]", "queue.SimpleQueue[T]"]
AsyncTasks = Union[Tasks[T], AsyncIterable[T], "asyncio.Queue[T]"]

_MUST = "tasks must be an iterable of tasks, as a list, or a queue.Queue"


def input_of(tasks: Any, awaited: str) -> Input:
    """The source of what was given to a start that blocks. awaited: The code that awaits instead."""
    kind = type(tasks)
    if _is_async(kind) and not hasattr(kind, "__iter__"):
        what = "an asyncio.Queue" if issubclass(kind, asyncio.Queue) else f"an async {_noun(tasks)}"
        raise ConfigurationError(
            f"{_MUST}; got {what}, which an event loop has to read: use `{awaited}`"
        )
    return _blocking(tasks, awaited)


def awaited_input_of(tasks: Any, awaited: str) -> Input:
    """The source of what was given to a start that is awaited."""
    kind = type(tasks)
    if issubclass(kind, asyncio.Queue) and not hasattr(kind, "__aiter__"):
        return AsyncIterableSource(tasks_of(tasks), (TaskDone(tasks),))
    if _is_async(kind):
        return AsyncIterableSource(tasks)
    return _blocking(tasks, awaited)


def _blocking(tasks: Any, awaited: str) -> Input:
    kind = type(tasks)
    _refuse_text(tasks)
    if hasattr(kind, "__iter__") and not issubclass(kind, asyncio.Future):
        return IterableSource(tasks)  # a queue with a way of its own to be iterated is read that way
    if issubclass(kind, queue.Queue | queue.SimpleQueue):
        return QueueSource(tasks)
    _refuse_uncalled(tasks, awaited)
    if inspect.iscoroutine(tasks) or issubclass(kind, asyncio.Future):
        raise ConfigurationError(
            f"{_MUST}; got {_article(kind)}: await it first, and give what it returns"
        )
    if hasattr(kind, "get") and hasattr(kind, "put"):
        raise ConfigurationError(
            f"{_MUST} or queue.SimpleQueue; got {kind.__module__}.{kind.__qualname__}: "
            "give iter(queue.get, task_manager.END), and put that marker in at the end"
        )
    return IterableSource(tasks)


def _refuse_text(tasks: Any) -> None:
    kind = type(tasks)
    if issubclass(kind, str):
        raise ConfigurationError(
            f"{_MUST}; got the string {short_repr(tasks)}: give [text] to have it as one task, "
            "text.splitlines() to have a task for each line"
        )
    if issubclass(kind, bytes | bytearray | memoryview):
        raise ConfigurationError(
            f"{_MUST}; got {kind.__name__} {short_repr(tasks)}: give [data] to have it as one task, "
            "data.splitlines() to have a task for each line"
        )


def _refuse_uncalled(tasks: Any, awaited: str) -> None:
    """A function in the place of what it returns."""
    if not (inspect.isroutine(tasks) or isinstance(tasks, functools.partial)):
        return
    name = name_of(tasks.func if isinstance(tasks, functools.partial) else tasks)
    called = f"{name}()"
    if inspect.iscoroutinefunction(tasks):
        called = f"await {called}"
    elif inspect.isasyncgenfunction(tasks):
        called = awaited.replace("(tasks)", f"({called})")
    raise ConfigurationError(f"{_MUST}; got the function {name}, which was not called: `{called}`")


def _is_async(kind: type) -> bool:
    return hasattr(kind, "__aiter__") or issubclass(kind, asyncio.Queue)


def _noun(tasks: Any) -> str:
    return "generator" if inspect.isasyncgen(tasks) else f"iterable ({type(tasks).__name__})"


def _article(kind: type) -> str:
    name = kind.__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
