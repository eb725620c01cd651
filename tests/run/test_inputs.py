"""What may be given as the tasks: the message says what came and what is right, before any task runs."""

from __future__ import annotations

import asyncio
import functools
import inspect
import multiprocessing
import queue
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import functions as f
from task_manager import END, ConfigurationError, TaskChain, TaskManager

MUST = "tasks must be an iterable of tasks, as a list, or a queue.Queue"


def lines() -> Iterator[str]:
    yield "a"


async def lines_async() -> AsyncIterator[str]:
    yield "a"


async def load() -> list[str]:
    return ["a"]


class Stream:
    def __aiter__(self) -> Any:
        return lines_async()


REFUSED: dict[str, tuple[Any, str]] = {
    "string": (
        "https://example.com",
        "; got the string 'https://example.com': give [text] to have it as one task, "
        "text.splitlines() to have a task for each line",
    ),
    "bytes": (
        b"ab",
        "; got bytes b'ab': give [data] to have it as one task, "
        "data.splitlines() to have a task for each line",
    ),
    "bytearray": (
        bytearray(b"ab"),
        "; got bytearray bytearray(b'ab'): give [data] to have it as one task, "
        "data.splitlines() to have a task for each line",
    ),
    "generator function": (lines, "; got the function lines, which was not called: `lines()`"),
    "partial": (
        functools.partial(lines),
        "; got the function lines, which was not called: `lines()`",
    ),
    "coroutine function": (load, "; got the function load, which was not called: `await load()`"),
    "async generator function": (
        lines_async,
        "; got the function lines_async, which was not called: "
        "`await manager.start_async(lines_async())`",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("awaited", [False, True])
def test_what_is_no_list_of_tasks(what: str, awaited: bool) -> None:
    """It is refused by `start` and by `start_async`, and no task has run."""
    given, message = REFUSED[what]
    manager = TaskManager(f.same, logger=None)
    with pytest.raises(ConfigurationError) as caught:
        asyncio.run(manager.start_async(given)) if awaited else manager.start(given)

    assert MUST + message == str(caught.value)
    assert 0 == manager.get_summary().taken


@pytest.mark.parametrize("chain_mode", f.CHAIN_MODES)
def test_chains_refuse_a_string_too(chain_mode: str) -> None:
    """In both modes, whichever start it is given to."""
    chain = f.chain_of(chain_mode, f.same)
    with pytest.raises(ConfigurationError, match="got the string 'ab'"):
        chain.start_chain("ab")
    with pytest.raises(ConfigurationError, match="got the string 'ab'"):
        asyncio.run(chain.start_chain_async("ab"))


ASYNC: dict[str, tuple[Any, str]] = {
    "generator": (lines_async, "an async generator"),
    "iterable": (Stream, "an async iterable (Stream)"),
    "queue": (asyncio.Queue, "an asyncio.Queue"),
}


@pytest.mark.parametrize("what", ASYNC)
def test_an_async_iterable_needs_a_start_that_is_awaited(what: str) -> None:
    """The error names it: of a manager, and of a chain."""
    make, name = ASYNC[what]
    for start, instead in (
        (TaskManager(f.same, logger=None).start, "await manager.start_async(tasks)"),
        (f.chain_of("serial", f.same).start_chain, "await chain.start_chain_async(tasks)"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            start(make())
        said = f"{MUST}; got {name}, which an event loop has to read: use `{instead}`"

        assert said == str(caught.value)


def test_a_coroutine_is_to_be_awaited_first() -> None:
    """As where `await` was forgotten."""
    coroutine = load()
    with pytest.raises(ConfigurationError) as caught:
        TaskManager(f.same, logger=None).start(coroutine)  # type: ignore[arg-type]
    coroutine.close()

    assert f"{MUST}; got a coroutine: await it first, and give what it returns" == str(caught.value)
    assert inspect.CORO_CLOSED == inspect.getcoroutinestate(coroutine)


def test_a_future_is_to_be_awaited_first() -> None:
    """Although Python lets one iterate over it."""

    async def main() -> None:
        task = asyncio.ensure_future(load())
        with pytest.raises(ConfigurationError, match="got a Task: await it first"):
            await TaskManager(f.same, logger=None).start_async(task)
        await task

    asyncio.run(main())


def test_a_queue_of_another_kind() -> None:
    """The error says how it can be read."""
    tasks = multiprocessing.get_context("spawn").Queue()
    with pytest.raises(ConfigurationError, match=r"give iter\(queue.get, task_manager.END\), and put"):
        TaskManager(f.same, logger=None).start(tasks)  # type: ignore[arg-type]
    for task in (1, 2, END):
        tasks.put(task)
    summary = TaskManager(f.same, logger=None).start(iter(tasks.get, END))
    tasks.close()
    tasks.join_thread()

    assert 2 == summary.succeeded


class Iterated(queue.Queue):  # type: ignore[type-arg]
    """A queue with a way of its own to be iterated."""

    def __iter__(self) -> Iterator[Any]:
        return iter(["its own"])


def test_what_stays_as_it_is(tmp_path: Path) -> None:
    """A dict's keys, a file's lines, the elements of a tuple, a queue's own iteration."""
    path = tmp_path / "lines.txt"
    path.write_text("a\nb\n")
    with path.open() as file:
        for given, tasks in (
            ({"x": 1}, ["x"]),
            (file, ["a\n", "b\n"]),
            ((1, 2), [1, 2]),
            (Iterated(), ["its own"]),
        ):
            manager: TaskManager[Any, Any] = TaskManager(f.same, logger=None)
            manager.start(given)

            assert tasks == list(manager.get_result_dict())


def test_a_chain_without_stages_reads_nothing() -> None:
    """It is refused, whatever it was given."""
    with pytest.raises(ConfigurationError, match="at least one stage"):
        asyncio.run(TaskChain([]).start_chain_async([1]))
