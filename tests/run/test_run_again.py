"""What a run tries again and when, and how long it lets its pump wait; its clock turned by hand."""

from __future__ import annotations

from typing import Any

import pytest

from stand import Stand, columns
from task_manager._run.notes import MOST_NOTES
from task_manager._run.reading import DRY
from task_manager._run.run import TICK
from task_manager._task import Failure, Outcomes, Unrun

# ------------------------------------------------------------------ failure, and again


def test_a_retry_waits_until_it_is_due() -> None:
    """It is not given out before, the pump is told how long to wait, and it is the same call again."""
    called = []

    def get_args(task: str) -> Any:
        called.append(task)
        return (task, len(called))

    stand = Stand(["a"], get_args=get_args)
    stand.fail_first()
    stand.clock.now += 0.9
    early = stand.run.next_batch()
    patience = stand.run.patience(full=False)
    stand.clock.now += 0.1

    assert (None, pytest.approx(0.1)) == (early, patience)
    assert ([0], ["a"], [("a", 1)], [2]) == columns(stand.run.next_batch())
    assert [("retrying", 0, "a", ConnectionError, 1, 1.0)] == stand.events


def test_delays_grow_and_end() -> None:
    """After max_retries retries the last error stands, with the count of all attempts."""
    stand = Stand(["a"], max_retries=3)
    for _ in range(4):
        stand.fail_first(ConnectionError("no"))
        stand.clock.now += 100.0

    assert [
        ("retrying", 0, "a", ConnectionError, 1, 1.0),
        ("retrying", 0, "a", ConnectionError, 2, 2.0),
        ("retrying", 0, "a", ConnectionError, 3, 4.0),
        ("failed", 0, "a", ConnectionError, 4),
    ] == stand.events
    assert stand.run.over
    assert 3 == stand.run.summary.retries


def test_chance_shortens_a_delay() -> None:
    """The delay is drawn anew for each retry."""
    stand = Stand(["a"], ["b"], chances=[0.25, 0.75])
    stand.fail_first()
    stand.fail_first()

    assert [0.5, 1.5] == [event[-1] for event in stand.events]


def test_what_was_raised_decides_and_not_what_arrived() -> None:
    """An error that could not travel is retried by the type that was raised in the worker."""
    stand = Stand(["a", "b"])
    arrived = Failure(ValueError("stands for another"), ConnectionError)
    other = Failure(ConnectionError("stands for another"), ValueError)
    stand.run.finish(stand.next(), Outcomes(range(2), [None, None], {0: arrived, 1: other}, [0.0, 0.0]))

    assert [
        ("retrying", 0, "a", ValueError, 1, 1.0),
        ("failed", 1, "b", ConnectionError, 1),
    ] == stand.events


def test_retries_go_ahead_of_new_tasks_and_the_earliest_due_first() -> None:
    """Once it is due; those that are due at the same time go in the order of their failures."""
    stand = Stand(["a"], ["b"], ["c"], ["d"], chances=[0.5, 0.25, 0.25])
    for _ in range(3):
        stand.fail_first()
    fresh = stand.next().tasks
    stand.size.learn(1, 1.0)  # one attempt a batch
    stand.clock.now += 10.0

    assert (["d"], [["b"], ["c"], ["a"]]) == (fresh, [stand.next().tasks for _ in range(3)])


def test_due_retries_travel_together() -> None:
    """As many as fit into a batch."""
    stand = Stand(["a", "b", "c", "d", "e"])
    stand.finish(stand.next(), *[ConnectionError() for _ in range(5)])
    stand.clock.now += 10.0

    assert [["a", "b", "c", "d"], ["e"]] == [stand.next().tasks, stand.next().tasks]
    assert stand.run.next_batch() is None


def test_calls_that_were_not_made_teach_nothing() -> None:
    """Tasks that could not be sent are not taken for fast ones: batches stay as they were."""
    stand = Stand(["a"], ["b"], ["c"])
    batch = stand.next()
    stand.run.finish(batch, Outcomes([0], [None], {0: Failure(ValueError(), ValueError)}, []))
    stand.next()

    assert [1, 1] == [limit for limit, _ in stand.source.asked]
    assert [("failed", 0, "a", ValueError, 1)] == stand.events


def test_a_failed_task_has_its_error_as_it_was_raised() -> None:
    """The very object, with a note of the count of attempts."""
    error = ValueError("no")
    stand = Stand(["a"])
    stand.fail_first(error)

    assert error is stand.diary.errors[0]
    assert ["task_manager: failed after 1 attempt"] == error.__notes__


def test_one_error_raised_for_many_tasks_has_one_note() -> None:
    """A shared exception object is not filled with the same sentence."""
    error = ValueError("no")
    stand = Stand(list(range(50)))
    stand.finish(stand.next(), *[error] * 50)

    assert 50 == len(stand.diary.errors)
    assert ["task_manager: failed after 1 attempt"] == error.__notes__


def test_an_error_is_not_filled_with_notes() -> None:
    """One that has many notes already gets none from us."""
    error = ValueError("no")
    for n in range(MOST_NOTES):
        error.add_note(str(n))
    stand = Stand(["a"])
    stand.fail_first(error)

    assert MOST_NOTES == len(error.__notes__)
    assert [error] == stand.diary.errors


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_is_no_exception_is_the_error_of_its_task(error: type[BaseException]) -> None:
    """F3: it is not retried, and ends nothing."""
    stand = Stand(["a", "b"], retry=(Exception,))
    stand.finish(stand.next(), error(), 2)

    assert [("succeeded", [1], ["b"], [2]), ("failed", 0, "a", error, 1)] == stand.events


# ------------------------------------------------------------------ attempts that were not made


def test_what_was_not_run_comes_back_uncharged() -> None:
    """It is due at once, ahead of all else, under the same number; nobody is told of it."""
    stand = Stand(["a", "b", "c"], ["d"])
    batch = stand.next()
    stand.finish(batch, 1, positions=[0])
    stand.run.finish(batch, Unrun([1, 2]))
    told = list(stand.events)

    assert [("succeeded", [0], ["a"], [1])] == told
    assert ([1, 2], ["b", "c"], [("b",), ("c",)], [1, 1]) == columns(stand.next())
    assert ["d"] == stand.next().tasks


def test_what_was_not_run_keeps_the_number_of_its_attempt() -> None:
    """A second attempt that was not made is a second attempt still."""
    stand = Stand(["a"])
    stand.fail_first()
    stand.clock.now += 1.0
    stand.run.finish(stand.next(), Unrun([0]))

    assert [2] == stand.next().numbers
    assert 1 == len(stand.events)


# ------------------------------------------------------------------ what the pump is told


def test_patience_without_news_is_one_tick() -> None:
    """Nothing waits and the source has ended: only outcomes can come."""
    stand = Stand(["a"])
    stand.next()
    stand.run.next_batch()

    assert (TICK, TICK) == (stand.run.patience(full=False), stand.run.patience(full=True))


def test_a_source_that_had_nothing_is_asked_again_soon() -> None:
    """With work in flight it is looked at again and again; with all workers busy it is not."""
    stand = Stand(["a"], [], ["b"])
    stand.next()
    nothing = stand.run.next_batch()
    patience = stand.run.patience(full=False), stand.run.patience(full=True)

    assert (None, (DRY, TICK)) == (nothing, patience)
    assert ["b"] == stand.next().tasks
    assert TICK == stand.run.patience(full=False)


@pytest.mark.parametrize("reads", [[[]], [[], ["a"]]], ids=["ended", "waiting"])
def test_an_idle_run_asks_its_source_at_once(reads: list[Any]) -> None:
    """With nothing in flight the source itself has waited, or has ended."""
    stand = Stand(*reads)

    assert stand.run.next_batch() is None
    assert 0.0 == stand.run.patience(full=False)


@pytest.mark.parametrize(
    ("passed", "full", "patience"),
    [
        (0.0, False, TICK),
        (0.75, False, TICK),
        (0.9375, False, 0.0625),
        (1.0, False, 0.0),
        (60.0, False, 0.0),
        (0.0, True, TICK),
        (0.9375, True, TICK),
        (60.0, True, TICK),
    ],
)
def test_patience_ends_when_a_retry_is_due(passed: float, full: bool, patience: float) -> None:
    """Unless all workers are busy: then only an outcome makes room for it."""
    stand = Stand(["a"])
    stand.fail_first()  # due in 1 s
    stand.clock.now += passed

    assert patience == stand.run.patience(full)


def test_a_run_is_over_when_all_is_done() -> None:
    """Not before the source has ended, nothing is in flight and no retry waits."""
    stand = Stand(["a"], ["b"])
    over = [stand.run.over]
    stand.fail_first()
    over.append(stand.run.over)
    batch = stand.next()
    over.append(stand.run.over)
    stand.finish(batch, 1)
    over.append(stand.run.over)
    stand.clock.now += 1.0
    batch = stand.next()
    over.append(stand.run.over)
    stand.finish(batch, 1)

    assert [False] * 5 == over
    assert stand.run.over


def test_an_empty_input_is_over_at_once() -> None:
    """There is nothing to do."""
    assert Stand().run.over


def test_observers_hear_of_idleness() -> None:
    """The log may write what it holds back, but nobody is disturbed more often than every 0.2 s."""
    stand = Stand()
    heard = []
    for passed in [0.1, 0.15, 0.1, 0.0, 0.15]:
        stand.clock.now += passed
        stand.run.idle()
        heard.append(stand.diary.ticks)

    assert [0, 1, 1, 1, 2] == heard


@pytest.mark.parametrize(("seconds", "depth"), [(0.001, 2), (1.0, 1)])
def test_slow_tasks_do_not_wait_behind_each_other(seconds: float, depth: int) -> None:
    """The depth of the workers follows the measured time of the tasks."""
    stand = Stand(["a"])
    first = stand.run.depth
    stand.run.finish(stand.next(), Outcomes([0], [1], {}, [seconds]))

    assert (1, depth) == (first, stand.run.depth)
