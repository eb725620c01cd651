"""Every task that a manager has taken: its number, and whether it was there before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager._run.ledger import Ledger


class Colliding:
    """Hashes as all others of its kind, and breaks on being compared to one."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equality")

    def __hash__(self) -> int:
        return 1


def test_tasks_are_numbered_as_they_are_taken() -> None:
    """Numbers go on from batch to batch and from run to run."""
    ledger = Ledger()
    ledger.begin_run()
    first, second = ledger.enter_new(["a", "b"]), ledger.enter_new(["c"])
    ledger.begin_run()
    third = ledger.enter_new(["d"])

    assert ([0, 1], ["a", "b"], []) == first
    assert ([2], ["c"], []) == second
    assert ([3], ["d"], []) == third
    assert 4 == ledger.following


def test_repeats_are_parted_from_what_is_new() -> None:
    """A task that was taken before is a repeat: in the same batch, in another one, in another run."""
    ledger = Ledger()
    ledger.begin_run()
    same_batch, other_batch = ledger.enter_new(["a", "a", "b"]), ledger.enter_new(["b", "c"])
    ledger.begin_run()
    other_run = ledger.enter_new(["c", "a"])

    assert ([0, 1], ["a", "b"], ["a"]) == same_batch
    assert ([2], ["c"], ["b"]) == other_batch
    assert ([], [], ["c", "a"]) == other_run


def test_what_failed_is_run_again_by_the_next_run_under_its_old_number() -> None:
    """A failed task is no repeat in the next run - once; in the run in which it failed it is one."""
    ledger = Ledger()
    ledger.begin_run()
    ledger.enter_new(["a", "b"])
    ledger.fail(1)
    same_run = ledger.enter_new(["b"])
    ledger.begin_run()
    next_run = ledger.enter_new(["b", "c", "b", "a"])
    ledger.begin_run()
    run_after_success = ledger.enter_new(["b"])

    assert ([], [], ["b"]) == same_run
    assert ([1, 2], ["b", "c"], ["b", "a"]) == next_run
    assert ([], [], ["b"]) == run_after_success


def test_a_failure_waits_for_the_run_that_meets_it() -> None:
    """A failed task that the next run does not have is run by the one after, if that has it."""
    ledger = Ledger()
    ledger.begin_run()
    ledger.enter_new(["a", "b"])
    ledger.fail(0)
    ledger.begin_run()
    ledger.enter_new(["c"])
    ledger.begin_run()

    assert ([0], ["a"], ["c"]) == ledger.enter_new(["a", "c"])


def test_a_task_that_fails_in_every_run_is_run_in_every_run() -> None:
    """However often it has failed."""
    ledger = Ledger()
    entered = []
    for _ in range(3):
        ledger.begin_run()
        entered.append(ledger.enter_new(["a"]))
        ledger.fail(0)

    assert [([0], ["a"], [])] * 3 == entered


def test_every_task_is_taken_where_repeats_are_run() -> None:
    """enter_all takes each as a new one, and what it takes is no task's repeat."""
    ledger = Ledger()
    ledger.begin_run()
    everything = ledger.enter_all(["a", "a"])
    distinct = ledger.enter_new(["a", "b"])

    assert ([0, 1], ["a", "a"], []) == everything
    assert ([2, 3], ["a", "b"], []) == distinct


def test_numbers_can_be_taken_by_themselves() -> None:
    """The next `count` numbers; tasks entered later get those that follow."""
    ledger = Ledger()
    ledger.begin_run()
    numbers = [ledger.number(3), ledger.number(0), ledger.number(1)]

    assert [range(3), range(3, 3), range(3, 4)] == numbers
    assert ([4], ["a"], []) == ledger.enter_new(["a"])


def test_unhashable_tasks_repeat_by_content() -> None:
    """A dict with the same content is a repeat; the fresh tasks are the very objects given."""
    tasks: list[Any] = [{"a": 1}, [1], {"a": 1}, (1,), [1], {"a": 2}]
    ledger = Ledger()
    ledger.begin_run()
    indices, fresh, repeats = ledger.enter_new(tasks)

    assert [0, 1, 2, 3] == indices
    assert [id(tasks[n]) for n in (0, 1, 3, 5)] == [id(task) for task in fresh]
    assert [id(tasks[n]) for n in (2, 4)] == [id(task) for task in repeats]


def test_tasks_that_break_when_compared_repeat_by_identity() -> None:
    """F15: the very object is a repeat, another one of its kind is not."""
    one, other = Colliding(), Colliding()
    ledger = Ledger()
    ledger.begin_run()
    indices, fresh, repeats = ledger.enter_new([one, other, other, one])

    assert [0, 1] == indices
    assert [id(one), id(other)] == [id(task) for task in fresh]
    assert [id(other), id(one)] == [id(task) for task in repeats]


def test_an_interrupt_is_no_broken_task() -> None:
    """A Ctrl-C while a task is looked at is raised."""

    class Interrupted:
        def __hash__(self) -> int:
            raise KeyboardInterrupt

    ledger = Ledger()
    ledger.begin_run()
    with pytest.raises(KeyboardInterrupt):
        ledger.enter_new([Interrupted()])


tasks = st.integers(0, 6) | st.integers(0, 3).map(lambda n: [n])


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.lists(tasks, max_size=5), max_size=4), st.sets(st.integers(0, 12))))
)
def test_each_task_is_run_once_and_again_after_a_run_in_which_it_failed(
    runs: list[tuple[list[list[Any]], set[int]]],
) -> None:
    """Over any runs and failures: new or failed before is run, all else repeats, numbers are kept."""
    ledger = Ledger()
    numbers: list[Any] = []  # the tasks by their numbers
    may_run: list[Any] = []
    for batches, failing in runs:
        ledger.begin_run()
        failed = []
        for batch in batches:
            fresh = []
            for task in batch:
                if task not in numbers:
                    numbers.append(task)
                    fresh.append(task)
                elif task in may_run:
                    may_run.remove(task)
                    fresh.append(task)
            indices, entered, repeats = ledger.enter_new(batch)

            assert fresh == entered
            assert [numbers.index(task) for task in fresh] == indices
            assert len(batch) == len(fresh) + len(repeats)
            for index in failing.intersection(indices):
                ledger.fail(index)
                failed.append(numbers[index])
        may_run += failed


def test_what_is_forgotten_is_new() -> None:
    """Taken or failed before, it gets a number of its own."""
    ledger = Ledger()
    ledger.begin_run()
    ledger.enter_new(["a", "b"])
    ledger.fail(1)
    ledger.forget()
    ledger.begin_run()

    assert ([2, 3], ["b", "a"], ["b"]) == ledger.enter_new(["b", "a", "b"])
