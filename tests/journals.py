"""Journals as the tests of their files make them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from task_manager import Journal, JournalError
from task_manager._journal.schema import DONE, FAILED
from task_manager._journal.store import Store
from task_manager._platform import HAS_OWNERS

of_posix = pytest.mark.skipif(
    not HAS_OWNERS, reason="needs files that go while they are open, links, and names of any characters"
)


def work(task: Any) -> Any:
    return task


def other(task: Any) -> Any:
    return task


def opened(
    path: Any = "run.db",
    funcs: Iterable[Callable[..., Any]] = (work,),
    chain: bool = False,
    **options: Any,
) -> Store:
    return Store(Journal(path, **options), list(funcs), chain)


def row(number: int, value: Any = None, task: Any = None, state: int = DONE) -> tuple[Any, ...]:
    cell = number if task is None else task
    return number, cell, None, state, None, value, 1, 0.5, time.time(), 1


def rows(numbers: Iterable[int]) -> list[tuple[Any, ...]]:
    return [row(number, number * 2) for number in numbers]


def error_row(number: int) -> tuple[Any, ...]:
    return number, b"pickle", "ValueError", "crawl.py:3 in fetch", "no", "Traceback ..."


def made(path: Any = "run.db", count: int = 10, **options: Any) -> Path:
    """A journal with so many tasks, closed; the last of them has failed."""
    store = opened(path, **options)
    store.begin_run("thread", 4, None)
    store.write(rows(range(count - 1)), [], sync=True)
    store.write([row(count - 1, state=FAILED)], [error_row(count - 1)], sync=True)
    store.end_run({"succeeded": count - 1}, None)
    store.close()
    return Path(path)


def read(path: Any = "run.db", **options: Any) -> list[tuple[Any, ...]]:
    """The numbers and the values of all tasks in it."""
    store = opened(path, **options)
    try:
        return [(one[0], one[4]) for portion in store.rows() for one in portion]
    finally:
        store.close()


def as_they_are() -> dict[str, Any]:
    """All that is in this folder: the bytes and the time of each file."""
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns) if path.is_file() else None
        for path in sorted(Path().rglob("*"))
    }


def refusal(path: Any = "run.db", **options: Any) -> str:
    """What is said of it; nothing is changed."""
    before = as_they_are()
    with pytest.raises(JournalError) as caught:
        opened(path, **options)

    assert before == as_they_are()
    return str(caught.value)
