"""What a chain promises from one start to the next: each one runs its tasks anew."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

import functions as f
from functions import stage
from task_manager import TaskChain, TaskManager

both = pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])


@both
def test_each_start_runs_its_tasks(chain_mode: str, calls: Path) -> None:
    """Also those that have arrived before; repeats are those within one start."""
    chain = TaskChain([stage(f.flaky), stage(f.same)], chain_mode)
    task = (str(calls), "a", 0)
    summaries = [chain.start_chain([task, task]) for _ in range(3)]

    assert [(1, 0, 1)] * 3 == [(s.succeeded, s.failed, s.duplicates) for s in summaries]
    assert {task: 3} == chain.get_final_result_dict()


@both
def test_a_start_after_the_stages_have_changed(chain_mode: str) -> None:
    """The results are those of the stages that there are now, and others are kept."""
    chain = TaskChain([stage(f.plus_one), stage(f.double)], chain_mode)
    chain.start_chain([1, 2, 3])
    chain.add_stage(stage(f.negate))
    chain.start_chain([1, 2])
    added = dict(chain.get_final_result_dict())
    chain.remove_stage(0)
    chain.start_chain([1])

    assert {1: -4, 2: -6, 3: 8} == added
    assert {1: -2, 2: -6, 3: 8} == chain.get_final_result_dict()


def test_a_start_in_the_other_mode() -> None:
    """It runs its tasks too, whichever way the mode is chosen."""
    chain = TaskChain([stage(f.plus_one), stage(f.double)])
    starts: list[Callable[[Any], Any]] = [
        chain.start_chain,
        chain.run_chain_in_process,
        chain.run_chain_in_serial,
    ]
    chain.set_chain_mode("process")
    starts.append(chain.start_chain)

    assert [(20, 0)] * 4 == [(s.succeeded, s.duplicates) for s in (start(range(20)) for start in starts)]
    assert {n: (n + 1) * 2 for n in range(20)} == chain.get_final_result_dict()


@both
@pytest.mark.parametrize("deduplicate", [True, False])
@pytest.mark.parametrize("make", [str, lambda n: {"x": n}], ids=["hashable", "unhashable"])
def test_the_last_outcome_of_a_task_stands(
    chain_mode: str, deduplicate: bool, make: Callable[[int], Any]
) -> None:
    """In one of the two dicts and never in both, in the place of the first time that it was taken."""
    tasks = [make(n) for n in range(4)]
    chain = TaskChain([stage(f.same, deduplicate=deduplicate), stage(refuse_none)], chain_mode)
    seen = []
    for refused in ([1], [0, 2], []):
        chain.remove_stage(1)
        chain.add_stage(stage(Refuse([tasks[n] for n in refused])))
        chain.start_chain(tasks)
        seen.append((list(chain.get_final_result_dict()), list(chain.get_final_error_dict())))

    assert ([tasks[0], tasks[2], tasks[3]], [tasks[1]]) == seen[0]
    assert ([tasks[1], tasks[3]], [tasks[0], tasks[2]]) == seen[1]
    assert (tasks, []) == seen[2]


def refuse_none(task: Any) -> Any:
    return task


class Refuse:
    def __init__(self, tasks: list[Any]) -> None:
        self.tasks = tasks

    def __call__(self, task: Any) -> Any:
        if task in self.tasks:
            raise ValueError(task)
        return task


@both
def test_what_failed_runs_again_and_takes_its_place(chain_mode: str) -> None:
    """start_chain(get_final_error_dict()): the results stand in the order of the first start."""
    refuse = Refuse([0, 7, 19])
    chain = TaskChain([stage(f.same), stage(refuse)], chain_mode)
    chain.start_chain(range(20))
    refuse.tasks = [7]
    second = chain.start_chain(chain.get_final_error_dict())

    assert (2, 1, 0) == (second.succeeded, second.failed, second.duplicates)
    assert [7] == list(chain.get_final_error_dict())
    assert [n for n in range(20) if n != 7] == list(chain.get_final_result_dict())


@both
def test_repeats_that_run_have_one_outcome(chain_mode: str, calls: Path) -> None:
    """deduplicate=False: of two equal tasks in one start, the first failed and the second stands."""
    options: dict[str, Any] = {"deduplicate": False, "max_retries": 0}
    chain = TaskChain([stage(f.flaky, **options), stage(f.same)], chain_mode)
    task = (str(calls), "a", 1)
    summary = chain.start_chain([task, task])

    assert (1, 1) == (summary.succeeded, summary.failed)
    assert ({task: 2}, {}) == (chain.get_final_result_dict(), chain.get_final_error_dict())


@both
def test_the_last_outcome_stands_in_the_dicts_of_the_stages(chain_mode: str) -> None:
    """A stage has each of its tasks once, with what came of it the last time."""
    refuse = Refuse([1])
    chain = TaskChain([stage(refuse)], chain_mode)
    chain.start_chain([0, 1])
    refuse.tasks = [0]
    chain.start_chain([0, 1])
    (only,) = chain.stages

    assert ({1: 1}, [0]) == (only.get_result_dict(), list(only.get_error_dict()))


def test_a_manager_keeps_its_own_rule(calls: Path) -> None:
    """What a manager has done by itself is a repeat for it, and not for a chain that it stands in."""
    task = (str(calls), "a", 0)
    manager = stage(f.flaky)
    manager.start([task])
    chained = TaskChain([manager]).start_chain([task])
    alone = manager.start([task])

    assert (1, 0) == (chained.succeeded, chained.duplicates)
    assert (0, 1) == (alone.succeeded, alone.duplicates)
    assert {task: 2} == manager.get_result_dict()


class Made:
    """A result that can be watched."""

    alive: ClassVar[weakref.WeakSet[Made]] = weakref.WeakSet()

    def __init__(self) -> None:
        self.alive.add(self)

    def __reduce__(self) -> Any:
        return Made, ()


def make(task: Any) -> Made:
    return Made()


@both
@pytest.mark.parametrize("deduplicate", [True, False])
def test_what_is_replaced_does_not_pile_up(chain_mode: str, deduplicate: bool) -> None:
    """Twenty starts over the same tasks keep the results of the last ones, in chain and stages."""
    Made.alive.clear()
    chain = TaskChain([stage(f.same, deduplicate=deduplicate), stage(make)], chain_mode)
    for _ in range(20):
        chain.start_chain(range(10))
    gc.collect()

    assert 10 == len(chain.get_final_result_dict())
    assert 10 <= len(Made.alive) <= 60


class StopsAtFive(TaskManager):
    stops = True

    def process_result(self, task: int, result: int) -> int:
        if task == 5 and self.stops:
            raise KeyboardInterrupt
        return result


@both
def test_a_start_after_one_that_was_broken_off(chain_mode: str) -> None:
    """It runs all tasks that it is given; what the one before had done stands until then."""
    last = StopsAtFive(f.same, logger=None)
    chain = TaskChain([stage(f.same), last], chain_mode)
    with pytest.raises(KeyboardInterrupt):
        chain.start_chain(range(10))
    first = chain.get_summary()
    kept = len(chain.get_final_result_dict())
    last.stops = False
    second = chain.start_chain(range(10))

    assert kept == first.succeeded
    assert first.taken == first.succeeded + first.not_started
    assert (10, 0, 0) == (second.succeeded, second.duplicates, second.not_started)
    assert {n: n for n in range(10)} == chain.get_final_result_dict()
