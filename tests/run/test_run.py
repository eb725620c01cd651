"""Every decision of one run, its clock turned by hand: from task to call, from outcome to the end."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stand import Stand, columns
from task_manager import GetArgsError, ProcessResultError, Summary
from task_manager._call import IDLE, NEVER
from task_manager._run import run as run_module
from task_manager._run.ledger import Ledger
from task_manager._run.run import TICK
from task_manager._task import Batch, Outcomes, Unrun

# ------------------------------------------------------------------ from task to call


@pytest.mark.parametrize(
    ("task", "args"),
    [(1, (1,)), ("ab", ("ab",)), ([1, 2], ([1, 2],)), ((1, 2), (1, 2)), ((), ()), (None, (None,))],
)
def test_a_tuple_is_unpacked_and_anything_else_is_one_argument(task: Any, args: tuple[Any, ...]) -> None:
    """(1, 2) calls func(1, 2), and [1, 2] calls func([1, 2])."""
    batch = Stand([task]).next()

    assert ([0], [task], [args], [1]) == columns(batch)


@pytest.mark.parametrize(("answer", "args"), [((1, 2), (1, 2)), ([1, 2], ([1, 2],)), (None, (None,))])
def test_get_args_gives_the_arguments(answer: Any, args: tuple[Any, ...]) -> None:
    """The hook's tuple is the call's arguments; another value is the one argument."""
    stand = Stand([("task", 1)], get_args=lambda task: answer)

    assert ([0], [("task", 1)], [args], [1]) == columns(stand.next())


def test_tasks_are_numbered_over_batches() -> None:
    """In the order in which they were taken."""
    stand = Stand(["a", "b"], ["c"])

    assert [[0, 1], [2]] == [stand.next().indices, stand.next().indices]


def test_a_repeat_does_not_travel() -> None:
    """What was taken before is told as a repeat, and only the rest is run."""
    stand = Stand(["a", "b", "a"], ["b", "c"])
    batches = [stand.next().tasks, stand.next().tasks]

    assert [["a", "b"], ["c"]] == batches
    assert [("repeated", ["a"]), ("repeated", ["b"])] == stand.events


def test_a_read_of_nothing_but_repeats_is_followed_by_another_at_once() -> None:
    """No batch, and no waiting either."""
    stand = Stand(["a"], ["a", "a"], ["b"])
    first, second = stand.next(), stand.run.next_batch()
    patience = stand.run.patience(full=False)

    assert (["a"], None, 0.0, ["b"]) == (first.tasks, second, patience, stand.next().tasks)


def test_repeats_travel_where_they_are_wanted() -> None:
    """deduplicate=False takes every task as a new one."""
    stand = Stand(["a", "a"], distinct=False)

    assert ([0, 1], ["a", "a"]) == columns(stand.next())[:2]
    assert [] == stand.events


def test_a_task_that_get_args_refuses_is_not_called() -> None:
    """F16: it has a GetArgsError, caused by what the hook raised, after no attempt; the others go on."""

    def get_args(task: str) -> Any:
        if task == "b":
            raise KeyError("no such field")
        return task.upper()

    stand = Stand(["a", "b", "c"], get_args=get_args)
    batch = stand.next()
    (error,) = stand.diary.errors

    assert ([0, 2], ["a", "c"], [("A",), ("C",)], [1, 1]) == columns(batch)
    assert [("failed", 1, "b", GetArgsError, 0)] == stand.events
    assert "get_args raised KeyError: 'no such field'" == str(error)
    assert KeyError is type(error.__cause__)
    assert ["task_manager: failed before its first attempt"] == error.__notes__


def test_f29_the_slot_says_whose_hook_is_called() -> None:
    """The number of its task, as long as the call goes on, also if it raises; and none afterwards."""
    slot = [IDLE, NEVER]
    seen = []

    def hook(task: str, result: Any = None) -> Any:
        seen.append((slot[0], slot[1] == NEVER))
        if task == "b":
            raise KeyError(task)
        return task

    stand = Stand(["a", "b", "c"], get_args=hook, process_result=hook, slot=slot)
    batch = stand.next()
    between = slot[1]
    stand.finish(batch, 1, 2)

    assert [(0, False), (1, False), (2, False), (0, False), (2, False)] == seen
    assert (NEVER, NEVER) == (between, slot[1])


def test_where_get_args_refuses_all_the_next_read_follows_at_once() -> None:
    """No batch comes of it, and no waiting either."""

    def get_args(task: str) -> Any:
        return task.index("b")

    stand = Stand(["a"], ["b"], get_args=get_args)
    first, patience = stand.run.next_batch(), stand.run.patience(full=False)

    assert (None, 0.0, ["b"]) == (first, patience, stand.next().tasks)


def test_a_hook_may_raise_what_has_no_text() -> None:
    """F16: an exception whose __str__ fails is named by its type."""

    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    def get_args(task: str) -> Any:
        raise Unprintable

    stand = Stand(["a"], get_args=get_args)
    stand.run.next_batch()

    assert [f"get_args raised {__name__}.{Unprintable.__qualname__}"] == [
        str(error) for error in stand.diary.errors
    ]


# ------------------------------------------------------------------ how the source is read


def test_a_source_is_read_by_the_size_of_a_batch() -> None:
    """One task at first; more when tasks have shown to be fast; fewer again when few remain."""
    stand = Stand(*[[n] for n in range(6)])
    for n in range(3):
        stand.finish(stand.next(), n)
    stand.source.remaining = 4
    stand.next()

    assert [1, 4, 7, 2] == [limit for limit, _ in stand.source.asked]


def test_a_source_may_wait_only_while_nothing_is_in_flight() -> None:
    """With work in flight, outcomes are not kept waiting for an input that has nothing."""
    stand = Stand(["a"], [], [], ["b"])
    batch = stand.next()
    stand.run.next_batch()
    stand.finish(batch, 1)
    stand.run.next_batch()

    assert [TICK, 0.0, TICK] == [wait for _, wait in stand.source.asked]


def test_a_source_waits_no_longer_than_until_a_retry_is_due() -> None:
    """A retry is made in time, also while the input has nothing."""
    stand = Stand(["a"], ["b"], [], [])
    stand.fail_first()  # due in 1 s
    stand.finish(stand.next(), 1)
    stand.clock.now += 0.95
    stand.run.next_batch()

    assert [TICK, TICK, pytest.approx(0.05)] == [wait for _, wait in stand.source.asked]


def test_a_source_that_has_ended_is_not_read() -> None:
    """Once is enough."""
    stand = Stand(["a"])
    stand.next()
    stand.run.next_batch()

    assert 1 == len(stand.source.asked)


def test_the_error_of_the_input_is_the_error_of_the_run() -> None:
    """F13: to be raised at the end."""
    stand = Stand(["a"])
    before = stand.run.error
    stand.source.error = LookupError("the cursor is gone")

    assert (None, stand.source.error) == (before, stand.run.error)


# ------------------------------------------------------------------ success


def test_what_the_function_returned_is_the_result() -> None:
    """Told in one event for all that came together."""
    stand = Stand(["a", "b"])
    stand.finish(stand.next(), 1, None)

    assert [("succeeded", [0, 1], ["a", "b"], [1, None])] == stand.events


def test_outcomes_may_come_in_parts_and_in_any_order() -> None:
    """A batch is in flight until the last of its attempts has an outcome."""
    stand = Stand(["a", "b", "c", "d"])
    batch = stand.next()
    over = []
    for positions, answers in [([2], [30]), ([3, 0], [40, 10]), ([1], [20])]:
        over.append(stand.run.over)
        stand.finish(batch, *answers, positions=positions)
    over.append(stand.run.over)

    assert [
        ("succeeded", [2], ["c"], [30]),
        ("succeeded", [3, 0], ["d", "a"], [40, 10]),
        ("succeeded", [1], ["b"], [20]),
    ] == stand.events
    assert [False, False, False, True] == over


def test_good_and_bad_outcomes_are_told_apart() -> None:
    """One bad task of a batch leaves the others their results."""
    stand = Stand(["a", "b", "c", "d"])
    batch = stand.next()
    stand.finish(batch, 2, ValueError(), 4, positions=[1, 2, 3])
    stand.finish(batch, KeyError(), positions=[0])

    assert [
        ("succeeded", [1, 3], ["b", "d"], [2, 4]),
        ("failed", 2, "c", ValueError, 1),
        ("failed", 0, "a", KeyError, 1),
    ] == stand.events
    assert stand.run.over


def test_process_result_gives_the_result() -> None:
    """It is called with the task and what the function returned, once for each success."""
    called = []

    def process_result(task: str, result: int) -> str:
        called.append((task, result))
        return task * result

    stand = Stand(["a", "b", "c"], process_result=process_result)
    stand.finish(stand.next(), 1, ValueError(), 3)

    assert [("a", 1), ("c", 3)] == called
    assert ("succeeded", [0, 2], ["a", "c"], ["a", "ccc"]) == stand.events[0]


def test_a_result_that_process_result_refuses_is_an_error() -> None:
    """F16: a ProcessResultError with its cause, not retried whatever the cause; the others go on."""

    def process_result(task: str, result: int) -> int:
        if task == "b":
            raise ConnectionError("cannot store")
        return result

    stand = Stand(["a", "b", "c"], process_result=process_result)
    stand.finish(stand.next(), 1, 2, 3)
    (error,) = stand.diary.errors

    assert [
        ("failed", 1, "b", ProcessResultError, 1),
        ("succeeded", [0, 2], ["a", "c"], [1, 3]),
    ] == stand.events
    assert "process_result raised ConnectionError: cannot store" == str(error)
    assert ConnectionError is type(error.__cause__)
    assert stand.run.over


def test_a_refused_result_counts_the_attempts_that_were_made() -> None:
    """The function had succeeded at the second attempt."""

    def process_result(task: str, result: int) -> int:
        raise ValueError

    stand = Stand(["a"], process_result=process_result)
    stand.fail_first()
    stand.clock.now += 1.0
    stand.finish(stand.next(), 1)

    assert ("failed", 0, "a", ProcessResultError, 2) == stand.events[-1]


# ------------------------------------------------------------------ the end


def test_the_summary_counts_what_became_of_the_tasks() -> None:
    """Succeeded + failed + duplicates = tasks taken, and seconds from the run's beginning."""
    stand = Stand(["a", "b", "a", "c"])
    batch = stand.next()
    stand.clock.now += 2.5
    stand.finish(batch, 1, ValueError(), ConnectionError())
    stand.clock.now += 1.0
    stand.finish(stand.next(), 3)

    assert Summary(succeeded=2, failed=1, duplicates=1, retries=1, seconds=3.5) == stand.run.summary
    assert 4 == stand.run.summary.taken


def test_what_has_no_outcome_when_a_run_is_broken_off_was_not_started() -> None:
    """In flight, in part or as a whole, or waiting for a retry: it may be run by the next run."""
    ledger = Ledger()
    stand = Stand(["a"], ["b", "c", "d"], ["e"], ledger=ledger)
    stand.fail_first()  # "a" waits
    part, whole = stand.next(), stand.next()
    stand.finish(part, 3, ValueError(), positions=[1, 2])  # "c" is done, "d" has failed, "b" has not
    stand.run.break_off(KeyboardInterrupt())
    again = Stand(["a", "b", "c", "d", "e"], ledger=ledger)

    assert (1, 1, 0, 3) == (
        stand.run.summary.succeeded,
        stand.run.summary.failed,
        stand.run.summary.duplicates,
        stand.run.summary.not_started,
    )
    assert 5 == stand.run.summary.taken
    assert (["e"], ["a", "b", "d", "e"]) == (whole.tasks, again.next().tasks)
    assert [("repeated", ["c"])] == again.events
    assert stand.run.over


def test_breaking_off_is_nobodys_failure() -> None:
    """F9: no healthy task is told as failed."""
    stand = Stand(["a"], ["b"])
    stand.fail_first()
    stand.next()
    before = list(stand.events)
    stand.run.break_off(KeyboardInterrupt())

    assert before == stand.events


def test_an_interrupt_in_get_args_loses_nothing() -> None:
    """F9: tasks that were taken and have no arguments yet may be run by the next run."""

    def get_args(task: str) -> Any:
        if task == "b":
            raise ValueError
        if task == "c":
            raise KeyboardInterrupt
        return task

    ledger = Ledger()
    stand = Stand(["a", "b", "c", "d"], ledger=ledger, get_args=get_args)
    with pytest.raises(KeyboardInterrupt):
        stand.run.next_batch()
    stand.run.break_off(KeyboardInterrupt())
    again = Stand(["a", "b", "c", "d"], ledger=ledger)

    assert Summary(failed=1, not_started=3) == stand.run.summary
    assert ["a", "b", "c", "d"] == again.next().tasks


def test_an_interrupt_in_process_result_keeps_what_was_processed() -> None:
    """F9: what the hook has done is a result; the others may be run by the next run."""

    def process_result(task: str, result: int) -> int:
        if task == "b":
            raise ValueError
        if task == "c":
            raise KeyboardInterrupt
        return result

    ledger = Ledger()
    stand = Stand(["a", "b", "c", "d"], ledger=ledger, process_result=process_result)
    batch = stand.next()
    with pytest.raises(KeyboardInterrupt):
        stand.finish(batch, 1, 2, 3, 4)
    stand.run.break_off(KeyboardInterrupt())
    again = Stand(["a", "b", "c", "d"], ledger=ledger)

    assert Summary(succeeded=1, failed=1, not_started=2, interrupted=2) == stand.run.summary
    assert ("succeeded", [0], ["a"], [1]) == stand.events[-1]
    assert ["b", "c", "d"] == again.next().tasks


def test_an_interrupt_before_anything_was_processed_keeps_nothing() -> None:
    """No empty news is told."""

    def process_result(task: str, result: int) -> int:
        raise KeyboardInterrupt

    stand = Stand(["a"], process_result=process_result)
    batch = stand.next()
    with pytest.raises(KeyboardInterrupt):
        stand.finish(batch, 1)
    stand.run.break_off(KeyboardInterrupt())

    assert [] == stand.events
    assert Summary(not_started=1, interrupted=1) == stand.run.summary


# ------------------------------------------------------------------ everything together


ANSWERS = st.sampled_from(["good", "bad", "again", "unrun"])


@settings(deadline=None, max_examples=200)
@given(st.data(), st.lists(st.lists(st.integers(0, 15), max_size=6), max_size=8), st.booleans())
def test_every_task_taken_has_one_place(
    data: st.DataObject, reads: list[list[int]], distinct: bool
) -> None:
    """Succeeded + failed + duplicates + not started = tasks taken, wherever a run is broken off."""
    stand = Stand(*reads, distinct=distinct, max_retries=1)
    in_flight: list[tuple[Batch, list[int]]] = []
    for _ in range(data.draw(st.integers(0, 40))):
        batch = stand.run.next_batch()
        if batch is not None:
            in_flight.append((batch, list(range(len(batch)))))
        elif in_flight:
            batch, positions = in_flight.pop(0)
            cut = data.draw(st.integers(1, len(positions)))
            now, later = positions[:cut], positions[cut:]
            answers = {position: data.draw(ANSWERS) for position in now}
            unrun = [position for position in now if answers[position] == "unrun"]
            run = [position for position in now if answers[position] != "unrun"]
            if unrun:
                stand.run.finish(batch, Unrun(unrun))
            if run:
                kinds = {"good": 1, "bad": ValueError(), "again": ConnectionError()}
                stand.finish(batch, *[kinds[answers[position]] for position in run], positions=run)
            if later:
                in_flight.append((batch, later))
        else:
            stand.clock.now += 1.0
    over = stand.run.over
    stand.run.break_off(KeyboardInterrupt())
    summary = stand.run.summary
    taken = [task for read in reads[: len(stand.source.asked)] for task in read]
    last_words: Counter[int] = Counter()
    for event in stand.events:
        match event:
            case ("succeeded", indices, *_):
                last_words.update(indices)
            case ("failed", index, *_):
                last_words[index] += 1

    assert len(taken) == summary.taken
    assert not over or summary.not_started == 0
    assert (len(taken) - len(set(taken)) if distinct else 0) == summary.duplicates
    assert summary.succeeded + summary.failed == len(last_words)
    assert {1} >= set(last_words.values())


def test_what_a_worker_spends_besides_the_calls_counts() -> None:
    """Results that take long to travel come in smaller batches."""
    stand = Stand(range(1000), range(1000))
    batch = stand.next()
    before = stand.size.size(None)
    stand.run.finish(
        batch, Outcomes(range(len(batch)), [0] * len(batch), {}, [0.0] * len(batch), aside=100.0)
    )

    assert stand.size.size(None) <= before


def test_f14_nothing_more_is_read_while_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where everything fails for a long time: the input is not turned into a heap of retries."""
    monkeypatch.setattr(run_module, "MOST_WAITING", 2)
    stand = Stand(["a", "b"], ["c"])
    batch = stand.next()
    stand.finish(batch, ConnectionError(), ConnectionError())

    assert stand.run.next_batch() is None
    stand.clock.now += 1000
    assert ["a"] == [stand.next().tasks[0]]
