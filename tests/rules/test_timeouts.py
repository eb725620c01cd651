"""F6: what a time limit yields, whoever sees it and whenever: decided in one place."""

from __future__ import annotations

import time
from typing import Any

import pytest

import functions as f
from task_manager import TaskTimeoutError, WorkerDiedError
from task_manager._rules.timeouts import too_late
from task_manager._task import Failure, Outcomes


def test_what_ends_above_its_limit_is_late() -> None:
    """By its own seconds, whenever anybody looked; what ends within the limit is not touched."""
    outcomes = Outcomes([3, 4, 5], ["a", "b", "c"], {}, [0.5, 0.51, 0.1])
    late = too_late(outcomes, 0.5)

    assert {4: TaskTimeoutError} == {position: failure.kind for position, failure in late.items()}
    assert isinstance(late[4].error, TaskTimeoutError)


def test_an_error_that_came_too_late_stays_beside_the_timeout() -> None:
    """As its cause: an earlier look would have ended the call before it was raised."""
    error = LookupError("late")
    late = too_late(Outcomes([0], [None], {0: Failure(error, LookupError)}, [2.0]), 1.0)

    assert (TaskTimeoutError, error) == (late[0].kind, late[0].error.__cause__)


def test_a_timeout_is_not_told_twice() -> None:
    """A runner that has seen it says so itself."""
    failure = Failure(TaskTimeoutError(1.0), TaskTimeoutError)

    assert {} == too_late(Outcomes([0], [None], {0: failure}, [2.0]), 1.0)


def sleep_for(seconds: float, number: int) -> str:
    time.sleep(seconds)
    return "rested"


async def sleep_for_async(seconds: float, number: int) -> str:
    import asyncio

    await asyncio.sleep(seconds)
    return "rested"


@pytest.mark.parametrize("seconds", [0.03, 0.12, 0.25])
@pytest.mark.parametrize("way", [way for way in f.WAYS if way != "serial"])
def test_f06_no_call_above_its_limit_succeeds(way: str, seconds: float) -> None:
    """However little above: of equal calls side by side all time out, or none."""
    func: Any = sleep_for_async if way == "async" else sleep_for
    options = {**f.options_of(way), "worker_limit": 3, "max_retries": 0, "logger": None}
    with f.TaskManager(func, task_timeout=0.02, **options) as manager:
        manager.start([(seconds, number) for number in range(3)])

        assert [TaskTimeoutError] * 3 == [type(e) for e in manager.get_error_dict().values()]


def test_a_call_that_has_ended_its_worker_is_not_late() -> None:
    """However long it took: it is told as what it is, and not retried as a timeout would be."""
    failure = Failure(WorkerDiedError(1, -9), WorkerDiedError)

    assert {} == too_late(Outcomes([0], [None], {0: failure}, [2.0]), 1.0)
