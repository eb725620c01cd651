"""worker_state on an executor: made once in each worker, and cleaned up."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import functions as f
from task_manager import TaskManager, WorkerStartError


def processes() -> Executor:
    return ProcessPoolExecutor(2)


def opened(folder: Path) -> Iterator[int]:
    f.count_calls(folder, "up")
    yield os.getpid()
    f.count_calls(folder, "down")


def refuses() -> None:
    raise KeyError("no model")


def with_state(state: int, task: int) -> bool:
    return state == os.getpid()


def slow_with_state(state: int, seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@pytest.mark.parametrize("make", [ThreadPoolExecutor, processes])
def test_it_is_made_once_a_worker_and_cleaned_up(make: Callable[[], Executor], calls: Path) -> None:
    """Not once a batch, in two runs of one manager."""
    with TaskManager(
        with_state, make, 2, worker_state=partial(opened, calls), logger=None, deduplicate=False
    ) as manager:
        manager.start(range(500))
        manager.start(range(500))

        assert {True} == set(manager.get_result_dict().values())
    made = [(calls / name).stat().st_size for name in ("up", "down")]

    assert made[0] == made[1]
    assert 1 <= made[0] <= (2 if make is processes else 32)


@pytest.mark.parametrize("make", [ThreadPoolExecutor, processes])
def test_one_that_cannot_be_made_ends_the_run(make: Callable[[], Executor]) -> None:
    """The cause has the error; no task is charged."""
    with TaskManager(with_state, make, worker_state=refuses, logger=None) as manager:
        with pytest.raises(WorkerStartError, match="worker_state=refuses raised KeyError") as caught:
            manager.start(range(10))

        assert isinstance(caught.value.__cause__, KeyError)
        assert 0 == manager.get_summary().failed


def test_after_a_call_that_took_too_long_another_one_is_made(calls: Path) -> None:
    """The one that was left alone goes on with its own."""
    options: dict[str, Any] = {"task_timeout": 0.3, "max_retries": 0, "logger": None}
    with TaskManager(
        slow_with_state, ThreadPoolExecutor, 1, worker_state=partial(opened, calls), **options
    ) as manager:
        summary = manager.start([0.0, 1.0, 0.001, 0.002])

    assert (3, 1) == (summary.succeeded, summary.failed)
    assert (calls / "up").stat().st_size >= 2
