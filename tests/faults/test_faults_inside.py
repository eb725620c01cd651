"""A step of the library itself fails, in a worker of thread or async mode: F27."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest

import functions as f
from task_manager import TaskManager, WorkerDiedError
from task_manager._processes import wire
from task_manager._runners import asynchronous, thread, thread_worker
from task_manager._runners.async_worker import AsyncWorker
from task_manager._runners.asynchronous import AsyncRunner
from task_manager._runners.thread import ThreadRunner
from task_manager._runners.thread_worker import ThreadWorker

TASKS = range(120)

STEPS: list[tuple[str, Any, str]] = [
    *(("async", AsyncRunner, name) for name in ["_record", "wake", "_more", "_work", "_deliver"]),
    *(
        ("async", AsyncRunner, name)
        for name in ["submit", "room", "collect", "_start_workers", "_wait", "close"]
    ),
    *(("async", AsyncRunner, name) for name in ["_leave_overdue", "_take_up_what_was_dropped"]),
    *(("async", asynchronous, name) for name in ["clock", "failure_of", "copy_context", "Outcomes"]),
    ("async", AsyncWorker, "__init__"),
    *(
        ("thread", ThreadRunner, name)
        for name in ["submit", "room", "collect", "_start_worker", "close"]
    ),
    *(
        ("thread", ThreadRunner, name)
        for name in ["_arrivals", "_take_in", "_give_back_unfinished", "_fill"]
    ),
    ("thread", ThreadRunner, "_leave_overdue"),
    *(("thread", thread, name) for name in ["take_batches", "clock", "this_process"]),
    *(("thread", thread_worker, name) for name in ["_next_batch", "_make_calls", "call_batch"]),
    *(("thread", thread_worker, name) for name in ["invoker", "clock", "this_process"]),
    *(("thread", ThreadWorker, name) for name in ["__init__", "overdue"]),
]


def failing(step: Callable[..., Any], which: Callable[[int], bool], error: type[BaseException]) -> Any:
    """The step, but the calls of it that `which` says, counted from 1, raise."""
    calls = itertools.count(1)

    def may_fail(*args: Any, **options: Any) -> Any:
        if which(next(calls)):
            raise error("in code of ours")
        return step(*args, **options)

    return may_fail


def odd_ones_fail(n: int) -> int:
    if n % 10 == 9:
        raise ValueError(n)
    return n


def manager_of(mode: str) -> TaskManager:
    return f.manager_of(odd_ones_fail, mode, worker_limit=3, max_retries=0, task_timeout=30.0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [MemoryError, SystemExit])
@pytest.mark.parametrize("nth", [1, 2, 7])
@pytest.mark.parametrize(
    ("mode", "owner", "name"), STEPS, ids=lambda part: getattr(part, "__name__", part)
)
def test_f27_a_step_of_ours_that_fails_once(
    mode: str,
    owner: Any,
    name: str,
    nth: int,
    error: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run ends, each task is in one count, no healthy one is charged, and the next start has all."""
    manager = manager_of(mode)
    raised: BaseException | None = None
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing(getattr(owner, name), lambda n: n == nth, error))
        try:
            manager.start(TASKS)
        except BaseException as caught:
            raised = caught
    summary = manager.get_summary()

    assert raised is None or type(raised) is error
    assert raised is not None or len(TASKS) == summary.succeeded + summary.failed
    assert len(manager.get_result_dict()) == summary.succeeded
    assert {ValueError} >= {type(error) for error in manager.get_error_dict().values()}
    manager.start(TASKS)
    assert {n: n for n in TASKS if n % 10 != 9} == manager.get_result_dict()
    assert {n for n in TASKS if n % 10 == 9} == set(manager.get_error_dict())
    manager.shutdown_pools()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("mode", "owner", "name"),
    [
        ("async", AsyncRunner, "_work"),
        ("thread", thread, "take_batches"),
        ("thread", thread_worker, "_next_batch"),
        ("thread", thread_worker, "_make_calls"),
    ],
)
def test_f27_a_step_of_ours_that_fails_always(
    mode: str, owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends with that error, and not never."""
    monkeypatch.setattr(owner, name, failing(getattr(owner, name), lambda n: True, MemoryError))
    manager = manager_of(mode)
    with pytest.raises((MemoryError, thread.WorkerError)):
        manager.start(TASKS)
    summary = manager.get_summary()

    assert len(manager.get_result_dict()) == summary.succeeded
    assert len(TASKS) >= summary.succeeded + summary.failed + summary.not_started


def test_f27_an_attempt_that_ends_every_worker_is_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where our code fails with this one attempt, again and again, that is its error; the rest runs."""
    record = AsyncRunner._record

    def record_others(self: AsyncRunner, worker: AsyncWorker, value: Any, *rest: Any) -> None:
        if value == 7:
            raise MemoryError
        record(self, worker, value, *rest)

    monkeypatch.setattr(AsyncRunner, "_record", record_others)
    with f.manager_of(f.same, "async", max_retries=0) as manager:
        summary = manager.start(TASKS)

        assert (119, 1) == (summary.succeeded, summary.failed)
        assert [MemoryError] == [type(error) for error in manager.get_error_dict().values()]
        assert [7] == list(manager.get_error_dict())


def test_f27_workers_that_somebody_cancels() -> None:
    """Cancelling all tasks of the loop but one's own ends no run: others are started in their place."""

    async def cancel_the_others(n: int) -> int:
        await asyncio.sleep(0)
        if n == 100:
            for task in asyncio.all_tasks():
                if "AsyncRunner._work" in repr(task) and task is not asyncio.current_task():
                    task.cancel()
        return n

    with TaskManager(cancel_the_others, "async", worker_limit=4, logger=None) as manager:
        summary = manager.start(range(300))

        assert 300 == summary.succeeded + summary.failed
        assert 290 < summary.succeeded


class FullOnce(SimpleQueue[Any]):
    """Has no memory for some things that are put into it."""

    def __init__(self, times: int) -> None:
        self.left = times

    def put(self, item: Any, *args: Any) -> None:  # type: ignore[override]
        self.left -= 1
        if 0 <= self.left:
            raise MemoryError
        super().put(item, *args)


@pytest.mark.parametrize(("box", "times"), [("outbox", 1), ("outbox", 2), ("inbox", 1)])
def test_f27_no_memory_to_bring_it_home(box: str, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread cannot send is made and sent anew; if it cannot be handed out, the run says so."""
    init = ThreadRunner.__init__

    def with_small_box(self: ThreadRunner, *args: Any) -> None:
        init(self, *args)
        if box == "inbox":
            self._inbox = FullOnce(times)
        else:
            self._outbox._told = FullOnce(times)

    monkeypatch.setattr(ThreadRunner, "__init__", with_small_box)
    with f.manager_of(f.same, "thread", worker_limit=2) as manager:
        if box == "inbox":
            with pytest.raises(MemoryError):
                manager.start(TASKS)
            monkeypatch.undo()
        manager.start(TASKS)

        assert {n: n for n in TASKS} == manager.get_result_dict()


def test_f27_a_thread_that_somebody_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """From outside, and nothing is said: what it has in hand goes to another."""
    make_calls = thread_worker._make_calls
    first = threading.Lock()

    def end_without_a_word(*args: Any) -> None:
        if first.acquire(blocking=False):
            raise SystemExit
        make_calls(*args)

    monkeypatch.setattr(thread_worker, "_make_calls", end_without_a_word)
    with f.manager_of(f.same, "thread", worker_limit=2) as manager:
        manager.start(TASKS)

        assert {n: n for n in TASKS} == manager.get_result_dict()


def spoil_the_packing(x: int) -> int:
    """From this call on its worker fails in code of ours, when it packs what it has done."""
    if x == 5:
        wire.pack_values = None  # type: ignore[assignment]
    return x


def test_f29_a_worker_that_fails_in_our_code_charges_no_innocent() -> None:
    """Before it is known whose result is being packed, it is the fault of no call in particular."""
    with f.manager_of(spoil_the_packing, "fork", worker_limit=1) as manager:
        summary = manager.start(range(40))

        assert {5: WorkerDiedError} == {x: type(error) for x, error in manager.get_error_dict().items()}
        assert 39 == summary.succeeded
