"""Every decision of one run, its clock turned by hand."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager import GetArgsError, ProcessResultError, Summary
from task_manager._call import IDLE, NEVER, Slot
from task_manager._rules.batch_size import BatchSize
from task_manager._rules.retry import RetryPolicy
from task_manager._run import run as run_module
from task_manager._run.ledger import Ledger
from task_manager._run.recorder import Recorder
from task_manager._run.run import DRY, MOST_NOTES, TICK, Run
from task_manager._signals import HeldSignals
from task_manager._task import Batch, Failure, Outcomes, Unrun
from task_manager.events import Event, Failed, Repeated, Retrying, Succeeded, Waiting


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeSource:
    """Gives what it was loaded with, one read after the other; [] means that nothing is there yet."""

    def __init__(self, *reads: Sequence[Any], remaining: int | None = None) -> None:
        self._reads = deque(reads)
        self.remaining = remaining
        self.error: Exception | None = None
        self.dropped = 0
        self.asked: list[tuple[int, float]] = []

    @property
    def ended(self) -> bool:
        return not self._reads

    def read(self, limit: int, wait: float, signals: HeldSignals) -> list[Any]:
        self.asked.append((limit, wait))
        return list(self._reads.popleft()) if self._reads else []


class Diary:
    """An observer that writes down every event as a tuple."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.errors: list[BaseException] = []
        self.ticks = 0

    def observe(self, event: Event) -> None:
        match event:
            case Waiting():
                self.ticks += 1
            case Succeeded(indices, tasks, results):
                self.events.append(("succeeded", indices, tasks, results))
            case Failed(index, task, error, attempts):
                self.events.append(("failed", index, task, type(error), attempts))
                self.errors.append(error)
            case Retrying(index, task, error, number, delay):
                self.events.append(("retrying", index, task, type(error), number, delay))
            case Repeated(tasks):
                self.events.append(("repeated", tasks))


class Stand:
    """A run and all that it was given."""

    def __init__(
        self,
        *reads: Sequence[Any],
        ledger: Ledger | None = None,
        distinct: bool = True,
        remaining: int | None = None,
        max_retries: int = 3,
        retry: tuple[type[Exception], ...] = (ConnectionError,),
        get_args: Callable[[Any], Any] | None = None,
        process_result: Callable[[Any, Any], Any] | None = None,
        chances: Sequence[float] = (0.5,) * 100,
        slot: Slot | None = None,
    ) -> None:
        self.clock = Clock()
        self.diary = Diary()
        self.source = FakeSource(*reads, remaining=remaining)
        self.ledger = ledger or Ledger()
        self.ledger.begin_run()
        self.size = BatchSize(workers=1)
        self.run = Run(
            self.source,
            self.ledger,
            self.ledger.enter_new if distinct else self.ledger.enter_all,
            RetryPolicy(max_retries, retry, base=2.0, cap=100.0),
            Recorder([], [self.diary]),
            self.size,
            get_args=get_args,
            process_result=process_result,
            clock=self.clock,
            chance=deque(chances).popleft,
            signals=HeldSignals(),
            slot=slot,
        )

    @property
    def events(self) -> list[Any]:
        return self.diary.events

    def next(self) -> Batch:
        batch = self.run.next_batch()
        assert batch is not None
        return batch

    def finish(self, batch: Batch, *answers: Any, positions: Sequence[int] | None = None) -> None:
        """Answer for these attempts, or all: an exception was raised, anything else returned."""
        where = range(len(answers)) if positions is None else positions
        failures = {
            position: Failure(answer, type(answer))
            for position, answer in zip(where, answers, strict=True)
            if isinstance(answer, BaseException)
        }
        values = [None if isinstance(answer, BaseException) else answer for answer in answers]
        self.run.finish(batch, Outcomes(where, values, failures, [0.002] * len(answers)))

    def fail_first(self, error: Exception | None = None) -> None:
        """The next batch, of one attempt, fails so that it is retried."""
        self.finish(self.next(), error or ConnectionError())


def columns(batch: Batch | None) -> Any:
    """What is in a batch; the calls as tuples of arguments, however the batch has them."""
    if batch is None:
        return None
    calls = batch.calls if batch.unpack else [(call,) for call in batch.calls]
    return batch.indices, batch.tasks, calls, batch.numbers


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

    assert [f"get_args raised {Unprintable.__qualname__}"] == [
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
    stand.run.break_off()
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
    stand.run.break_off()

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
    stand.run.break_off()
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
    stand.run.break_off()
    again = Stand(["a", "b", "c", "d"], ledger=ledger)

    assert Summary(succeeded=1, failed=1, not_started=2) == stand.run.summary
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
    stand.run.break_off()

    assert [] == stand.events
    assert Summary(not_started=1) == stand.run.summary


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
    stand.run.break_off()
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
