"""What a chain promises in both modes: what flows through it, and what becomes of errors."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import functions as f
from functions import chain_of, stage
from task_manager import (
    TaskChain,
    TaskManager,
    TransportError,
)

both = pytest.mark.parametrize("chain_mode", f.CHAIN_MODES)


# ------------------------------------------------------------------ flow


@both
@pytest.mark.parametrize("mode", f.MODES)
def test_results_are_those_of_nested_map(chain_mode: str, mode: str) -> None:
    """Every stage mode, in every chain mode: the final results are those of func2(func1(x))."""
    chain = TaskChain([stage(f.plus_one, mode), stage(f.double, mode)], chain_mode)
    summary = chain.start_chain(range(500))

    assert {n: (n + 1) * 2 for n in range(500)} == chain.get_final_result_dict()
    assert {} == chain.get_final_error_dict()
    assert (500, 0, 0, 0) == (summary.succeeded, summary.failed, summary.duplicates, summary.not_started)


@both
def test_results_stand_in_the_order_of_the_initial_tasks(chain_mode: str) -> None:
    """The order of get_final_result_dict is the order in which the tasks were given."""
    chain = chain_of(chain_mode, f.negate, f.negate)
    chain.start_chain(range(300))

    assert list(range(300)) == list(chain.get_final_result_dict())


@both
def test_f24_what_passes_is_passed_one_for_one(chain_mode: str) -> None:
    """None, equal results and results of 300 KB are followed by their number, not their value."""
    chain = chain_of(chain_mode, constant, f.same)
    chain.start_chain(["none", "equal", "same", "large", "list"])

    assert {
        "none": None,
        "equal": 1,
        "same": True,
        "large": "x" * 300_000,
        "list": [1, [2]],
    } == chain.get_final_result_dict()
    assert chain.get_final_result_dict()["same"] is True


def constant(name: str) -> Any:
    return {"none": None, "equal": 1, "same": True, "large": "x" * 300_000, "list": [1, [2]]}[name]


@both
def test_f24_no_tasks(chain_mode: str) -> None:
    """An empty list is a start with nothing to do."""
    summary = chain_of(chain_mode, f.same, f.same).start_chain([])

    assert 0 == summary.taken


@both
def test_a_repeat_among_the_initial_tasks_runs_once(chain_mode: str) -> None:
    """What stands twice in the input of a start goes through once."""
    chain = chain_of(chain_mode, f.same, f.fail_on_odd)
    first = chain.start_chain([0, 1, 2, 0, 1])
    second = chain.start_chain([0, 1, 2])

    assert (2, 1, 2) == (first.succeeded, first.failed, first.duplicates)
    assert (2, 1, 0) == (second.succeeded, second.failed, second.duplicates)


@both
def test_repeats_run_if_the_first_stage_wants_them(chain_mode: str) -> None:
    """deduplicate=False of the first stage lets every initial task through."""
    chain = chain_of(chain_mode, f.same, f.same, deduplicate=False)

    assert 5 == chain.start_chain([1, 1, 1, 2, 2]).succeeded


@both
def test_initial_tasks_may_be_unhashable(chain_mode: str) -> None:
    """As in a manager, they are found by their content."""
    chain = TaskChain([stage(take_x), stage(f.double)], chain_mode)
    chain.start_chain([{"x": 1}, {"x": 2}])

    assert 4 == chain.get_final_result_dict()[{"x": 2}]


def take_x(task: dict[str, int]) -> int:
    return task["x"]


@both
def test_stage_summaries(chain_mode: str) -> None:
    """After the chain, each stage has its own counts, results and errors."""
    first, second = stage(f.fail_on_odd), stage(f.double)
    TaskChain([first, second], chain_mode).start_chain(range(10))

    assert (5, 5) == (first.get_summary().succeeded, first.get_summary().failed)
    assert (5, 0) == (second.get_summary().succeeded, second.get_summary().failed)
    assert [0, 2, 4, 6, 8] == sorted(second.get_result_dict())
    assert [1, 3, 5, 7, 9] == sorted(first.get_error_dict())


# ------------------------------------------------------------------ errors


@both
def test_f22_an_error_knows_its_stage_and_initial_task(chain_mode: str) -> None:
    """One failing task leaves the others; a note names the stage and the initial task."""
    chain = chain_of(chain_mode, f.plus_one, f.fail_on_odd)
    chain.start_chain([1, 2, 3])
    errors = chain.get_final_error_dict()

    assert {1: 2, 3: 4} == chain.get_final_result_dict()
    assert [2] == list(errors)
    assert "odd: 3" == str(errors[2])
    assert "task_manager: in stage 2 of 2 (fail_on_odd), for the initial task 2" in errors[2].__notes__


@both
def test_f05_errors_show_where_they_were_raised(chain_mode: str) -> None:
    """The traceback of the stage's process is shown."""
    chain = chain_of(chain_mode, f.same, f.raise_from)
    chain.start_chain([7])
    text = "".join(traceback.format_exception(chain.get_final_error_dict()[7]))

    assert 'raise ValueError("the effect") from error' in text


@both
def test_retries_inside_a_chain(chain_mode: str, calls: Path) -> None:
    """Each stage retries by its own options, and the chain counts the retries."""
    first = stage(f.flaky, max_retries=2)
    chain = TaskChain([first, stage(f.double)], chain_mode)
    tasks = [(str(calls), k, k) for k in range(4)]
    summary = chain.start_chain(tasks)

    assert {task: 2 * (task[2] + 1) for task in tasks[:3]} == chain.get_final_result_dict()
    assert tasks[3:] == list(chain.get_final_error_dict())
    assert 0 + 1 + 2 + 2 == summary.retries == first.get_summary().retries


@both
def test_what_failed_is_run_again_from_the_start(chain_mode: str, calls: Path) -> None:
    """start_chain(get_final_error_dict()) runs the failures through all stages again."""
    chain = TaskChain([stage(f.flaky, max_retries=0), stage(f.double)], chain_mode)
    task = (str(calls), "a", 1)
    chain.start_chain([task])
    assert [task] == list(chain.get_final_error_dict())

    chain.start_chain(chain.get_final_error_dict())

    assert {task: 4} == chain.get_final_result_dict()
    assert {} == chain.get_final_error_dict()


@pytest.mark.parametrize("kind", [f.CannotPickle, f.CannotUnpickle])
def test_f24_a_result_that_cannot_travel_is_an_error_where_it_was_made(kind: type) -> None:
    """The stage that made it is named; the others arrive."""
    chain = chain_of("process", f.give, f.nothing)
    tasks = [(n, kind) for n in range(20)]
    chain.start_chain(tasks)
    (error,) = chain.get_final_error_dict().values()

    assert tasks[:7] + tasks[8:] == list(chain.get_final_result_dict())
    assert isinstance(error, TransportError)
    assert any("in stage 1 of 2" in note for note in error.__notes__)


def test_an_initial_task_that_cannot_travel_is_an_error_at_the_first_stage() -> None:
    """It never reaches a stage; the others do."""
    chain = chain_of("process", f.nothing)
    tasks = [f.CannotPickle(), 1]
    chain.start_chain(tasks)

    assert [TransportError] == [type(error) for error in chain.get_final_error_dict().values()]
    assert [1] == list(chain.get_final_result_dict())


@both
def test_f13_an_input_that_raises(chain_mode: str) -> None:
    """What was taken goes through all stages, then the error is raised."""

    def tasks() -> Iterator[int]:
        yield from range(10)
        raise LookupError("no more")

    chain = chain_of(chain_mode, f.plus_one, f.double)
    with pytest.raises(LookupError, match="no more"):
        chain.start_chain(tasks())

    assert {n: (n + 1) * 2 for n in range(10)} == chain.get_final_result_dict()


@both
def test_f16_handle_error_of_a_stage_raises_to_the_caller(chain_mode: str) -> None:
    """At the end, with the results of all stages intact."""
    chain = TaskChain([HandlesBadly(f.fail_on_odd, logger=None), stage(f.double)], chain_mode)
    with pytest.raises(LookupError, match="2 errors"):
        chain.start_chain(range(4))

    assert {0: 0, 2: 4} == chain.get_final_result_dict()


class HandlesBadly(TaskManager):
    def handle_error(self) -> None:
        raise LookupError(f"{len(self.get_error_dict())} errors")


class Hooked(TaskManager):
    """Hooks that keep state where they run."""

    seen = 0

    def get_args(self, task: int) -> int:
        if task == 3:
            raise KeyError(task)
        return task * 10

    def process_result(self, task: int, result: int) -> tuple[int, int, int]:
        self.seen += 1
        return result, self.seen, os.getpid()


@both
def test_hooks_run_where_the_stage_runs(chain_mode: str) -> None:
    """In this process; in process mode in the stage's own; without a lock."""
    chain = TaskChain([Hooked(f.same, "thread", logger=None)], chain_mode)
    chain.start_chain(range(6))
    finals = chain.get_final_result_dict()

    assert {n: n * 10 for n in (0, 1, 2, 4, 5)} == {n: result for n, (result, _, _) in finals.items()}
    assert [1, 2, 3, 4, 5] == sorted(seen for _, seen, _ in finals.values())
    assert (chain_mode != "process") == ({os.getpid()} == {pid for _, _, pid in finals.values()})
    assert [3] == list(chain.get_final_error_dict())
