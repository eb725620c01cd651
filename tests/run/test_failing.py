"""What a failure means: `get_retry_delay`, `RetryAfter`, `process_error`; runs that end for failures."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import functions as f
from functions import CHAIN_MODES, WAYS, fit, manager_of
from stand import Stand
from task_manager import (
    ConfigurationError,
    DeadlineExceeded,
    GetRetryDelayError,
    RetryAfter,
    TaskChain,
    TaskManager,
    TooManyFailures,
)
from task_manager._rules.ends import Ends
from task_manager._run.run import TICK


def ask_for_a_pause(task: int) -> int:
    """Fails each time."""
    raise RetryAfter(0.0)


def fail_all(task: int) -> int:
    raise ValueError(task)


def answer(value: Any) -> Any:
    def get_retry_delay(task: Any, error: BaseException, attempt: int) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    return get_retry_delay


def test_seconds_are_the_delay_whatever_the_type() -> None:
    """Neither chance nor the cap changes them."""
    stand = Stand([1], get_retry_delay=answer(500))
    stand.fail_first(KeyError())

    assert ("retrying", 0, 1, KeyError, 1, 500.0) == stand.events[-1]


def test_none_is_the_usual_delay() -> None:
    """As if there were no hook."""
    stand = Stand([1], [2], get_retry_delay=answer(None))
    stand.fail_first()
    stand.fail_first(KeyError())

    assert [("retrying", 0, 1, ConnectionError, 1, 1.0), ("failed", 1, 2, KeyError, 1)] == stand.events


def test_false_is_no_further_attempt() -> None:
    """Whatever the type."""
    stand = Stand([1], get_retry_delay=answer(False))
    stand.fail_first()

    assert [("failed", 0, 1, ConnectionError, 1)] == stand.events


@pytest.mark.parametrize("value", [True, "5", -1, float("nan"), float("inf"), ValueError("no")])
def test_a_hook_that_raises_or_answers_with_nothing_of_these(value: Any) -> None:
    """Its error is that of the task, and has the one that it was asked for as its context."""
    stand = Stand([1], get_retry_delay=answer(value))
    stand.fail_first()
    (error,) = stand.diary.errors

    assert GetRetryDelayError is type(error)
    assert isinstance(error.__cause__, ValueError)
    assert ConnectionError is type(error.__cause__.__context__)


def test_it_is_not_asked_after_the_last_attempt_or_of_what_is_never_retried() -> None:
    """It cannot make more attempts than `max_retries` allows."""
    stand = Stand([1], get_retry_delay=answer(5), max_retries=0)
    stand.fail_first()
    other = Stand([1], get_retry_delay=answer(5))
    other.finish(other.next(), KeyboardInterrupt())

    assert [("failed", 0, 1, ConnectionError, 1)] == stand.events
    assert [("failed", 0, 1, KeyboardInterrupt, 1)] == other.events


def test_retry_after_says_when() -> None:
    """Out of the function, without a hook; a hook that answers has the last word."""
    stand = Stand([1])
    stand.fail_first(RetryAfter(7))
    hooked = Stand([1], get_retry_delay=answer(3))
    hooked.fail_first(RetryAfter(7))

    assert ("retrying", 0, 1, RetryAfter, 1, 7.0) == stand.events[-1]
    assert ("retrying", 0, 1, RetryAfter, 1, 3.0) == hooked.events[-1]


def test_retry_after_for_all_holds_back_everything() -> None:
    """Nothing starts until then: no new task, no retry; it is not even read."""
    stand = Stand([1], [2])
    stand.fail_first(RetryAfter(7, all=True))
    stand.clock.now += 6.9

    assert stand.run.next_batch() is None
    assert pytest.approx(0.1) == stand.run.patience(full=False)

    stand.clock.now += 0.2

    assert [1] == stand.next().tasks


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 10**400, "120", None, True])
def test_a_pause_of_no_seconds_is_refused(seconds: Any) -> None:
    """Where it is made, and so it is the error of the call."""
    with pytest.raises(ConfigurationError, match="seconds of a RetryAfter must be a number from 0 up"):
        RetryAfter(seconds)


def test_a_message_is_not_taken_for_a_key() -> None:
    """Nor does a pause lose its key where it is pickled."""
    with pytest.raises(TypeError):
        RetryAfter(5, "the server is busy")  # type: ignore[misc]
    copied = pickle.loads(pickle.dumps(RetryAfter(5, all="a.org")))

    assert (5.0, "a.org", True) == (copied.seconds, copied.all, copied.holds_others)


@pytest.mark.parametrize("way", WAYS)
def test_in_every_mode_it_is_retried(way: str) -> None:
    """And `max_retries` counts, after which it is the task's error."""
    with manager_of(ask_for_a_pause, way, max_retries=2) as manager:
        summary = manager.start([1, 2])
    errors = manager.get_error_dict()

    assert (2, 4) == (summary.failed, summary.retries)
    assert [0.0, 0.0] == [error.seconds for error in errors.values() if isinstance(error, RetryAfter)]


class Noting(TaskManager[Any, Any]):
    """Notes what it is told of failures, and of attempts."""

    def told(self) -> list[Any]:
        return vars(self).setdefault("noted", [])  # type: ignore[no-any-return]

    def process_error(self, task: Any, error: BaseException) -> None:
        self.told().append((task, type(error), threading.current_thread() is threading.main_thread()))

    def get_retry_delay(self, task: Any, error: Exception, attempt: int) -> float | None:
        return 0.0 if attempt == 1 else None


@pytest.mark.parametrize("way", WAYS)
def test_process_error_is_called_once_for_each_in_the_callers_thread(way: str) -> None:
    """After the retries, and not for those that succeed."""
    with manager_of(f.fail_on_odd, way, Noting) as manager:
        summary = manager.start(range(6))

    assert [(task, ValueError, True) for task in (1, 3, 5)] == sorted(manager.told())
    assert (3, 3, 3) == (summary.succeeded, summary.failed, summary.retries)


def test_what_process_error_raises_changes_no_outcome() -> None:
    """The task keeps its error, with a note; there is one warning in a run."""

    class Broken(TaskManager[int, int]):
        def process_error(self, task: int, error: BaseException) -> None:
            raise LookupError("no")

    manager = Broken(fail_all, logger=None)
    with pytest.warns(RuntimeWarning, match="process_error raised LookupError: no") as warned:
        summary = manager.start([1, 2])

    assert (2, 1) == (summary.failed, len(warned))
    assert "task_manager: process_error raised LookupError: no" in manager.get_error_dict()[1].__notes__


def test_a_number_or_a_share_of_failures_is_too_many() -> None:
    """The number itself is allowed; a share is judged from 100 tasks on."""
    number, share = Ends(max_failures=2), Ends(max_failures=0.05)

    assert [None, None] == [number.after_failure(2, 0), Ends().after_failure(10**6, 0)]
    assert "TooManyFailures: 3 of 3 failed, above max_failures=2" == number.after_failure(3, 0)
    assert [None, None] == [share.after_failure(99, 0), share.after_failure(5, 95)]
    assert "TooManyFailures: 6 of 100 failed, above max_failures=0.05" == share.after_failure(6, 94)


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_goes_wrong_is_stopped(way: str) -> None:
    """As by `stop()`: `start` returns; the error is raised where it is asked for."""
    with manager_of(fail_all, way, max_failures=5) as manager:
        summary = manager.start(range(100_000))

    assert 6 <= summary.failed < 100_000
    assert "TooManyFailures: 6 of 6 failed, above max_failures=5" == summary.ended_early
    with pytest.raises(TooManyFailures, match="6 of 6 failed") as raised:
        summary.raise_for_errors()
    assert isinstance(raised.value.__cause__, ExceptionGroup)


def pause(task: int) -> int:
    time.sleep(0.05)
    return task


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_takes_too_long_is_stopped(way: str) -> None:
    """What runs is finished, the rest is not started."""
    with manager_of(pause, way, deadline=0.5) as manager:
        summary = manager.start(range(100_000))

    assert 0 == summary.failed
    assert "DeadlineExceeded: the run took longer than deadline=0.5 s" == summary.ended_early
    with pytest.raises(DeadlineExceeded):
        summary.raise_for_errors()


def test_nobody_waits_for_a_run_that_is_over() -> None:
    """At its deadline it has nothing in flight, and ends; otherwise it waits for what runs."""
    stand = Stand(["a"], ["b"], ["c"], ends=Ends(deadline=1.0))
    first = stand.next()
    stand.clock.now += 2.0
    second, waiting = stand.run.next_batch(), stand.run.patience(full=False)
    stand.finish(first, 1)
    at_last = stand.run.patience(full=False)

    assert (None, TICK, 0.0, True) == (second, waiting, at_last, stand.run.over)


def test_a_deadline_ends_the_wait_for_a_retry_and_for_input() -> None:
    """Nobody waits an hour for it."""
    manager = TaskManager(fail_all, logger=None, deadline=0.3)
    manager.get_retry_delay = answer(3600)  # type: ignore[method-assign]
    summary = manager.start([1])

    async def slow() -> Any:
        await asyncio.sleep(3600)
        yield 1

    waiting = TaskManager(fit(f.double, "async"), "async", logger=None, deadline=0.3)  # type: ignore[call-overload]
    asyncio.run(waiting.start_async(slow()))

    assert 1 == summary.not_started
    assert "DeadlineExceeded" in str(waiting.get_summary().ended_early)


@pytest.mark.parametrize("chain_mode", CHAIN_MODES)
def test_a_stage_with_too_many_failures_stops_the_chain(chain_mode: str) -> None:
    """The summary of the chain says why, in both chain modes."""
    stages = [f.stage(f.double), f.stage(fail_all, max_failures=3)]
    summary = TaskChain(stages, chain_mode).start_chain(range(20_000))  # type: ignore[arg-type]

    assert "TooManyFailures: 4 of 4 failed, above max_failures=3" == summary.ended_early
    with pytest.raises(TooManyFailures):
        summary.raise_for_errors()


class Refuses:
    """A result that no other process can be sent."""

    def __reduce__(self) -> Any:
        raise TypeError("not this one")


def refuse_some(task: int) -> Any:
    return Refuses() if task % 3 == 0 else task


class Notes(TaskManager):
    folder: Any

    def process_error(self, task: Any, error: BaseException) -> None:
        (self.folder / f"{task}-{type(error).__name__}").touch()


@pytest.mark.parametrize("way", ["stage in serial mode", "stage in process mode", "fork"])
def test_a_result_that_cannot_be_passed_on_has_failed(way: str, tmp_path: Path) -> None:
    """The hook is told, wherever that is found."""
    manager = manager_of(refuse_some, "fork" if "serial" not in way else "serial", Notes)
    vars(manager)["folder"] = tmp_path
    with manager:
        if way == "fork":
            summary = manager.start(range(7))
        else:
            summary = TaskChain([manager, manager_of(f.same, "serial")], "process").start_chain(range(7))

    assert (4, 3) == (summary.succeeded, summary.failed)
    assert {f"{n}-TransportError" for n in (0, 3, 6)} == {path.name for path in tmp_path.iterdir()}
