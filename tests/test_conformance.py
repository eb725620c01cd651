"""What every mode promises of tasks: results, errors, repeats, retries, input, hooks."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import functions as f
from functions import APART, WAYS, manager_of
from task_manager import (
    CoroutineReturnedError,
    GetArgsError,
    ProcessResultError,
    Summary,
    TaskLogger,
    TaskManager,
)

pytestmark = pytest.mark.parametrize("mode", WAYS)


def counts(summary: Summary) -> tuple[int, int, int, int]:
    return summary.succeeded, summary.failed, summary.duplicates, summary.not_started


# ------------------------------------------------------------------ results and errors


def test_results_are_those_of_map(mode: str) -> None:
    """The results are those of plain map, by task, in the order in which the tasks were given."""
    with manager_of(f.double, mode) as manager:
        manager.start(range(500))

        assert list(zip(range(500), map(f.double, range(500)), strict=True)) == list(
            manager.get_result_dict().items()
        )


def test_every_task_is_answered_for(mode: str) -> None:
    """Succeeded + failed + duplicates = tasks, and no task is in two places."""
    with manager_of(f.fail_on_odd, mode) as manager:
        summary = manager.start([*range(1000), *range(300)])

        assert (500, 500, 300, 0) == counts(summary)
        assert 1300 == summary.taken
        assert set() == set(manager.get_result_dict()) & set(manager.get_error_dict())


def test_the_tasks_may_be_given_by_name(mode: str) -> None:
    """As task_list, to start and to start_async."""
    with manager_of(f.same, mode) as manager:
        manager.start(task_list=[1])
        asyncio.run(manager.start_async(task_list=[2]))

        assert {1: 1, 2: 2} == manager.get_result_dict()


def test_a_hundred_thousand_tasks(mode: str) -> None:
    """A hundred thousand trivial tasks are answered for, one by one."""
    with manager_of(f.same, mode) as manager:
        summary = manager.start(itertools.chain(range(90_000), range(10_000)))

        assert (90_000, 0, 10_000, 0) == counts(summary)
        assert {n: n for n in range(90_000)} == manager.get_result_dict()


def test_no_tasks_are_a_run_with_nothing_to_do(mode: str) -> None:
    """An empty list of tasks is no error."""
    with manager_of(f.same, mode) as manager:
        summary = manager.start([])

        assert (0, 0, 0, 0) == counts(summary)
        assert {} == manager.get_result_dict()
        assert {} == manager.get_error_dict()


def test_a_tuple_is_unpacked_and_anything_else_is_one_argument(mode: str) -> None:
    """(1, 2) calls func(1, 2), [1, 2] calls func([1, 2])."""
    with manager_of(f.add, mode) as pairs, manager_of(f.double, mode) as singles:
        pairs.start([(1, 2), ("a", "b")])
        singles.start([[1, 2], 3])

        assert {(1, 2): 3, ("a", "b"): "ab"} == pairs.get_result_dict()
        assert [([1, 2], [1, 2, 1, 2]), (3, 6)] == list(singles.get_result_dict().items())


def test_f05_errors_have_their_traceback(mode: str) -> None:
    """Format_exception shows the line that raised and what it was raised from."""
    with manager_of(f.raise_from, mode) as manager:
        manager.start(range(20))
        (error,) = manager.get_error_dict().values()
        text = "".join(traceback.format_exception(error))

        assert isinstance(error, ValueError)
        assert "the effect" == str(error)
        assert 'raise ValueError("the effect") from error' in text
        assert "KeyError: 'the cause'" in text


def test_none_is_a_result(mode: str) -> None:
    """A function that returns None has succeeded."""
    with manager_of(f.nothing, mode) as manager:
        manager.start([1, None, ""])

        assert {1: None, None: None, "": None} == manager.get_result_dict()


# ------------------------------------------------------------------ duplicates


def test_a_coroutine_is_no_result(mode: str) -> None:
    """It is the error of its task, in async mode where another coroutine comes of the first."""
    with manager_of(f.gives_a_coroutine_of_odd, mode) as manager:
        manager.start(range(4))
        errors = manager.get_error_dict()

        assert {0: 0, 2: 2} == manager.get_result_dict()
        assert [1, 3] == list(errors)
        assert {CoroutineReturnedError} == set(map(type, errors.values()))


def test_a_repeat_is_not_run(mode: str, calls: Path) -> None:
    """A task that stands in the input again is run once, also when it failed in between."""
    tasks = [(str(calls), n % 3, 9, KeyError) for n in range(30)]
    with manager_of(f.flaky, mode) as manager:
        summary = manager.start(tasks)

        assert (0, 3, 27, 0) == counts(summary)
        assert [1, 1, 1] == [(calls / str(n)).stat().st_size for n in range(3)]


def test_repeats_run_if_wanted(mode: str, calls: Path) -> None:
    """With deduplicate=False every task is run, however often it stands there; the last one stands."""
    with manager_of(f.flaky, mode, deduplicate=False, worker_limit=1) as manager:
        summary = manager.start([(str(calls), "a", 2, KeyError)] * 5)

        assert (3, 2, 0, 0) == counts(summary)
        assert [5] == list(manager.get_result_dict().values())
        assert {} == manager.get_error_dict()


# ------------------------------------------------------------------ retries


def test_f20_k_failures_are_k_plus_one_attempts(mode: str, calls: Path) -> None:
    """A task that fails k times has k + 1 attempts, and what others do changes nothing in that."""
    tasks = [(str(calls), k, k) for k in range(5)]
    with manager_of(f.flaky, mode, max_retries=4) as manager:
        summary = manager.start(tasks)

        assert {task: task[2] + 1 for task in tasks} == manager.get_result_dict()
        assert 0 + 1 + 2 + 3 + 4 == summary.retries


@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_f20_the_last_error_stands(mode: str, max_retries: int, calls: Path) -> None:
    """After max_retries retries the last error is kept as raised, with its count of attempts."""
    with manager_of(f.flaky, mode, max_retries=max_retries) as manager:
        manager.start([(str(calls), "never", 99)])
        (error,) = manager.get_error_dict().values()
        attempts = max_retries + 1

        assert (ConnectionError, f"call {attempts}") == (type(error), str(error))
        assert [
            f"task_manager: failed after {attempts} attempt{'s'[: attempts != 1]}"
        ] == error.__notes__
        assert attempts == (calls / "never").stat().st_size


def test_only_retry_exceptions_are_retried(mode: str, calls: Path) -> None:
    """What is not in retry_exceptions fails at once; what is, with all its subclasses, is retried."""
    with manager_of(f.flaky, mode, retry_exceptions=LookupError) as manager:
        manager.start([(str(calls), "key", 1, KeyError), (str(calls), "connection", 1)])

        assert [2] == list(manager.get_result_dict().values())
        assert [ConnectionError] == [type(error) for error in manager.get_error_dict().values()]


def test_f19_a_waiting_retry_holds_no_worker(
    mode: str, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4 workers, 4 tasks that wait for a retry, 40 ready ones of 10 ms: these go ahead."""

    class Ordered(TaskManager):
        def process_result(self, task: Any, result: Any) -> Any:
            order.append((time.monotonic(), task[1]))
            return result

    monkeypatch.setattr("random.random", lambda: 1.0)  # the whole delay
    order: list[tuple[float, int]] = []
    waiting = [(str(calls), n, 1) for n in range(4)]
    ready = [(str(calls), n, 0) for n in range(100, 140)]
    with manager_of(f.flaky_nap, mode, Ordered, worker_limit=4, retry_delay=0.6) as manager:
        manager.start([(str(calls), n, 0) for n in range(200, 220)])  # has the workers started
        order.clear()
        due = time.monotonic() + 0.6
        summary = manager.start(waiting + ready)
        ahead = [n for at, n in order if at < due]  # on most machines, all that are ready

        assert 4 == summary.retries
        assert len(ahead) >= 4
        assert {*range(100, 140)} >= {*ahead}
        assert [0, 1, 2, 3, *range(100, 140)] == sorted(n for _, n in order)


# ------------------------------------------------------------------ Exception and the rest


BASE = [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, f.Custom]


@pytest.mark.parametrize("error", BASE)
def test_f03_any_exception_is_the_error_of_its_task(mode: str, error: type[BaseException]) -> None:
    """Whatever comes out of the function is that task's error, and the others have results."""
    if mode == "serial" and error is KeyboardInterrupt:
        pytest.skip("taken for a real Ctrl-C in serial mode")
    with manager_of(f.raise_on_seven, mode, retry_exceptions=Exception) as manager:
        summary = manager.start([(n, error) for n in range(50)])

        assert (49, 1, 0, 0) == counts(summary)
        assert [error] == [type(e) for e in manager.get_error_dict().values()]


def test_f03_stop_iteration_is_the_error_of_its_task(mode: str) -> None:
    """A StopIteration ends nothing; out of a coroutine Python makes it a RuntimeError."""
    with manager_of(f.raise_on_seven, mode) as manager:
        summary = manager.start([(n, StopIteration) for n in range(50)])
        (error,) = manager.get_error_dict().values()

        assert (49, 1, 0, 0) == counts(summary)
        assert type(error) is (RuntimeError if mode == "async" else StopIteration)


def test_f04_an_error_without_a_text_harms_nothing(mode: str) -> None:
    """An exception whose __str__ fails is kept like any other."""
    with manager_of(f.raise_unprintable, mode, logger=TaskManager(f.same).logger) as manager:
        summary = manager.start(range(50))

        assert (49, 1, 0, 0) == counts(summary)
        assert [f.Unprintable] == [type(error) for error in manager.get_error_dict().values()]


def test_f04_an_error_without_notes_harms_nothing(mode: str) -> None:
    """An exception whose notes are broken is kept like any other, only without the count of attempts."""
    with manager_of(f.raise_unnotable, mode) as manager:
        summary = manager.start(range(50))

        assert (49, 1, 0, 0) == counts(summary)
        assert [f.Unnotable] == [type(error) for error in manager.get_error_dict().values()]


def test_f04_an_error_that_is_frozen_harms_nothing(mode: str) -> None:
    """An exception that is a frozen dataclass is kept as it was raised, if it need not travel."""
    with manager_of(f.raise_frozen, mode) as manager:
        summary = manager.start(range(50))

        assert (49, 1, 0, 0) == counts(summary)
        assert [7] == list(manager.get_error_dict())
        assert mode in APART or manager.get_error_dict()[7] == f.Frozen(7)


# ------------------------------------------------------------------ input


def test_f13_what_was_taken_before_the_input_raised_is_kept(mode: str) -> None:
    """When the input raises midway, what was taken is finished, then the error is raised."""

    def tasks() -> Iterator[int]:
        yield from range(100)
        raise LookupError("the cursor is gone")

    with manager_of(f.same, mode) as manager:
        with pytest.raises(LookupError, match="the cursor is gone"):
            manager.start(tasks())

        assert {n: n for n in range(100)} == manager.get_result_dict()
        assert (100, 0, 0, 0) == counts(manager.get_summary())


def test_f14_endless_input_is_read_as_there_is_room(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an endless input two batches a worker are read ahead of the results, and no more."""
    monkeypatch.setattr("task_manager._rules.batch_size.MOST_ATTEMPTS", 8)

    class Stops(TaskManager):
        finished = 0

        def process_result(self, task: int, result: int) -> int:
            self.finished += 1
            if task == 5000:
                raise KeyboardInterrupt
            return result

    ahead = []

    def tasks() -> Iterator[int]:
        for n in itertools.count():
            ahead.append(n + 1 - manager.finished)
            yield n

    with manager_of(f.same, mode, Stops) as manager:
        with pytest.raises(KeyboardInterrupt):
            manager.start(tasks())

        assert max(ahead) <= 2 * 2 * 8  # workers, batches, tasks
        assert manager.get_summary().succeeded == len(manager.get_result_dict()) > 0


def test_slow_tasks_behind_many_fast_ones_are_shared_by_the_workers(mode: str) -> None:
    """Though they all came into one batch, as the first ones gave no hint."""
    if mode in ("serial", "async"):
        pytest.skip("calls are made by one thread")
    tasks = ((n, 0.02 if n >= 3000 else 0.0) for n in range(3060))
    with manager_of(f.worker_after_a_nap, mode, worker_limit=2) as manager:
        manager.start(tasks)
        workers = manager.get_result_dict()
    slow = Counter(workers[n, 0.02] for n in range(3000, 3060))

    assert 3060 == len(workers)
    assert 2 == len(slow)
    assert min(slow.values()) >= 15


def test_f14_the_first_result_of_endless_input_comes_at_once(mode: str) -> None:
    """Before much has been read; not when a batch is full, or the input at its end."""

    class Stops(TaskManager):
        def process_result(self, task: int, result: int) -> int:
            raise KeyboardInterrupt

    began = time.monotonic()
    with manager_of(f.same, mode, Stops) as manager, pytest.raises(KeyboardInterrupt):
        manager.start(itertools.count())

    assert time.monotonic() - began < 10
    assert manager.get_summary().taken <= 4


def test_a_slow_input_does_not_hold_back_what_has_come(mode: str) -> None:
    """A task that was read is run before the input, which is slow, fills a batch."""

    class Watches(TaskManager):
        seen = 0

        def process_result(self, task: int, result: int) -> int:
            self.seen += 1
            return result

    def tasks() -> Iterator[int]:
        yield from range(2000)
        for n in range(2000, 2500):  # ten seconds, for workers that are slow to come up
            time.sleep(0.02)
            if n - manager.seen <= 5:
                return
            yield n

    with manager_of(f.same, mode, Watches) as manager:
        manager.start(range(-200, 0))  # has the workers started
        manager.seen = 0
        manager.start(tasks())

        assert manager.seen < 2500


def test_tasks_are_read_and_hooks_are_called_in_the_callers_thread(mode: str) -> None:
    """A generator over a cursor works, and hooks may keep state without a lock."""
    seen = set()

    class Hooked(TaskManager):
        def get_args(self, task: Any) -> Any:
            seen.add(threading.get_ident())
            return (task,)

        def process_result(self, task: Any, result: Any) -> Any:
            seen.add(threading.get_ident())
            return result

        def handle_error(self) -> None:
            seen.add(threading.get_ident())

    def tasks() -> Iterator[int]:
        for n in range(100):
            seen.add(threading.get_ident())
            yield n

    with manager_of(f.same, mode, Hooked) as manager:
        manager.start(tasks())

        assert {threading.get_ident()} == seen


def test_f15_any_object_can_be_a_task(mode: str) -> None:
    """Unhashable, broken and huge tasks all run, and the result is found by the very object."""
    tasks = f.odd_tasks()
    with manager_of(f.nothing, mode, logger=TaskLogger("log")) as manager:
        summary = manager.start(tasks)
        results = manager.get_result_dict()
        (log,) = Path("log").iterdir()

        assert "<unreprable BrokenRepr>" in log.read_text()
        assert log.stat().st_size < 20_000
        assert (len(tasks), 0, 0, 0) == counts(summary)
        assert [id(task) for task in tasks] == [id(task) for task in results]
        assert [None] * len(tasks) == [results[task] for task in tasks]


def test_f15_the_function_receives_the_very_object(mode: str) -> None:
    """No copy is made where no process boundary is crossed."""
    if mode in APART:
        pytest.skip("a task that goes to another process is a copy there")
    tasks = f.odd_tasks()
    with manager_of(f.identity_of, mode) as manager:
        manager.start(tasks)

        assert [id(task) for task in tasks] == list(manager.get_result_dict().values())


# ------------------------------------------------------------------ hooks


class FailingHooks(TaskManager):
    def get_args(self, task: int) -> Any:
        if task == 3:
            raise KeyError("no such field")
        return (task,)

    def process_result(self, task: int, result: int) -> int:
        if task == 5:
            raise ConnectionError("cannot store")
        return result


def test_f16_a_hook_that_raises_is_the_error_of_its_task(mode: str) -> None:
    """The error's type says which hook; the run goes on, and nothing is called again for it."""
    with manager_of(f.same, mode, FailingHooks) as manager:
        summary = manager.start(range(50))
        errors = manager.get_error_dict()

        assert (48, 2, 0, 0) == counts(summary)
        assert 0 == summary.retries
        assert {3: GetArgsError, 5: ProcessResultError} == {t: type(e) for t, e in errors.items()}
        assert [KeyError, ConnectionError] == [type(e.__cause__) for e in errors.values()]


def test_f16_handle_error_raises_to_the_caller(mode: str) -> None:
    """What handle_error raises, start raises; the results are intact."""

    class Raises(TaskManager):
        def handle_error(self) -> None:
            raise LookupError(f"{len(self.get_error_dict())} failed")

    with manager_of(f.fail_on_odd, mode, Raises) as manager:
        with pytest.raises(LookupError, match="2 failed"):
            manager.start(range(4))

        assert {0: 0, 2: 2} == manager.get_result_dict()


def test_handle_error_is_called_at_the_end_of_every_run(mode: str) -> None:
    """Once a run, whether or not something failed."""

    class Counts(TaskManager):
        calls = 0

        def handle_error(self) -> None:
            self.calls += 1

    with manager_of(f.same, mode, Counts) as manager:
        manager.start([1])
        manager.start([])

        assert 2 == manager.calls
