"""keep_results="errors": the errors are kept, and of what succeeds nothing."""

from __future__ import annotations

from typing import Any

import pytest

import functions as f
from task_manager import ConfigurationError, ProcessResultError, TaskChain, TaskManager
from task_manager._run.results import Results
from task_manager.events import Failed, Succeeded


class Broken:
    """Equal to nothing: it raises where it is compared."""

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        raise RuntimeError


@pytest.mark.parametrize("way", f.WAYS)
def test_the_errors_are_kept_and_the_results_are_not(way: str) -> None:
    """The retry of the failures works, and takes away the errors of what succeeds then."""
    manager = f.manager_of(f.fail_on_odd, way, keep_results="errors")
    with manager:
        manager.start(range(6))

        assert [1, 3, 5] == list(manager.get_error_dict())
        assert {} == manager.get_result_dict()
        manager.start(manager.get_error_dict())
        assert [1, 3, 5] == list(manager.get_error_dict())


@pytest.mark.parametrize("deduplicate", [True, False])
def test_a_task_that_succeeds_at_last_has_no_error_any_more(deduplicate: bool) -> None:
    """Whether it has its old number or a new one; unhashable and broken tasks as well."""
    calls: list[Any] = []

    def second_time(task: Any) -> Any:
        calls.append(task)
        if len(calls) <= 4:
            raise ValueError
        return task

    manager = TaskManager(second_time, logger=None, keep_results="errors", deduplicate=deduplicate)
    tasks = [1, [2], {"a": 3}, Broken()]
    manager.start(tasks)
    assert 4 == len(manager.get_error_dict())
    manager.start(tasks)

    assert (0, 0) == (len(manager.get_error_dict()), len(manager.get_result_dict()))


def test_nothing_stays_of_what_succeeds() -> None:
    """The memory is flat, also while there are errors, and for tasks that have a key of their own."""
    keys: dict[int, Any] = {}
    results = Results(keys)
    results.begin_run(repeats=True, keeps="errors")
    keys |= {index: f"key {index}" for index in range(10)}
    results.observe(Failed(0, [0], ValueError(), 1))
    results.observe(Succeeded([1, 2], [[1], [2]], [1, 2], [0.0, 0.0], [1, 1]))

    assert [0, *range(3, 10)] == list(keys)
    assert [[0]] == list(results.errors())


@pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])
def test_a_chain_keeps_what_its_last_stage_keeps(chain_mode: str) -> None:
    """The next start, over the failures, takes away the errors of what succeeds."""
    last = f.stage(f.fail_on_odd, keep_results="errors")
    chain = TaskChain([f.stage(f.same), last], chain_mode)
    chain.start_chain(range(4))

    assert ([1, 3], {}) == (list(chain.get_final_error_dict()), chain.get_final_result_dict())
    chain.remove_stage(1)
    chain.add_stage(f.stage(f.same, keep_results="errors"))
    chain.start_chain(chain.get_final_error_dict())
    assert ({}, {}) == (chain.get_final_error_dict(), chain.get_final_result_dict())


@pytest.mark.parametrize("wrong", ["results", 1, 0, None, "error", ["errors"]])
def test_what_is_none_of_the_three_is_refused(wrong: Any) -> None:
    """The message says which there are."""
    with pytest.raises(ConfigurationError, match="keep_results must be True, False or 'errors'"):
        TaskManager(f.same, keep_results=wrong)


# ------------------------------------------------------------------ the result that a hook failed on


class Refuses(TaskManager):
    def process_result(self, task: Any, result: Any, /) -> Any:
        raise ValueError("not this one")


def give_a_closure(task: Any) -> Any:
    return lambda: task


def error_of(func: Any, chain_mode: str | None) -> BaseException:
    manager: TaskManager = Refuses(func, logger=None, start_method="fork")
    if chain_mode is None:
        manager.start([1])
        return manager.get_error_dict()[1]
    chain = TaskChain([manager], chain_mode)
    chain.start_chain([1])
    error: BaseException = chain.get_final_error_dict()[1]
    return error


@pytest.mark.parametrize("chain_mode", [None, "serial", "thread", "process"])
def test_the_error_of_a_hook_has_the_result(chain_mode: str | None) -> None:
    """It was paid for."""
    error = error_of(f.double, chain_mode)

    assert isinstance(error, ProcessResultError)
    assert (1, 2) == (error.task, error.result)


def test_a_result_that_cannot_cross_is_left_behind() -> None:
    """The error arrives all the same, with its text."""
    error = error_of(give_a_closure, "process")

    assert isinstance(error, ProcessResultError)
    assert (1, None) == (error.task, error.result)
    assert "process_result raised ValueError: not this one" == str(error)
