"""F41: executors that refuse, cancel, hold back, tell nothing or pickle: every task is answered for."""

from __future__ import annotations

import pickle
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

import functions as f
from task_manager import ExecutorError, TaskManager, WorkerStartError
from task_manager._runners import packed


class Silent(Executor):
    """Has `submit`, and nothing else: it tells nothing of its workers, and is not told how to end."""

    def __init__(self) -> None:
        self.made = 0
        self._pool = ThreadPoolExecutor(2)

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.made += 1
        return self._pool.submit(function, *args, **kwargs)

    def shutdown(self, wait: bool = True) -> None:  # type: ignore[override]
        self._pool.shutdown(wait)


class Cancels(Silent):
    """Cancels each of its futures, or every third one."""

    def __init__(self, every: int) -> None:
        super().__init__()
        self._every = every

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = super().submit(function, *args, **kwargs)
        if self.made > 1 and self.made % self._every == 0:  # the first one says that it has come up
            future = Future()
            future.cancel()
        return future


class Refuses(Silent):
    """Takes ten, and then no more."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.made == 10:
            raise ValueError("the queue is full")
        return super().submit(function, *args, **kwargs)


class HoldsBack(Silent):
    """`submit` waits until the call before is over, as a semaphore in it would have it."""

    def __init__(self) -> None:
        super().__init__()
        self._free = threading.Semaphore()

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self._free.acquire()
        future = super().submit(function, *args, **kwargs)
        future.add_done_callback(lambda _: self._free.release())
        return future


class Pickles(Silent):
    """Sends its calls as bytes, and notes how many; `anew` at a time, it is another process."""

    def __init__(self, anew: int) -> None:
        super().__init__()
        self.sent: list[int] = []
        self._anew = anew

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        call = pickle.dumps((function, args))
        self.sent.append(len(call))
        if len(self.sent) == self._anew:
            packed._functions.clear()
        return super().submit(_loaded, call)


def _loaded(call: bytes) -> Any:
    function, args = pickle.loads(call)
    return function(*args)


def heavy(_: bytes, number: int) -> int:
    time.sleep(0.002)
    return number


@pytest.mark.parametrize("tells", [None, "many", 0])
def test_f41_one_that_does_not_tell_how_many_workers_it_has(tells: Any) -> None:
    """It is taken to have as many as this machine has cores."""
    executor = Silent()
    executor._max_workers = tells  # type: ignore[attr-defined]
    with TaskManager(f.double, executor, logger=None) as manager:
        manager.start(range(200))

        assert {n: 2 * n for n in range(200)} == manager.get_result_dict()
    executor.shutdown()


def test_f41_a_future_that_somebody_cancels_is_made_again() -> None:
    """All results."""
    with TaskManager(f.double, partial(Cancels, 3), logger=None) as manager:
        summary = manager.start(range(100))

    assert (100, 0) == (summary.succeeded, summary.failed)


def test_f41_one_that_cancels_everything_ends_the_run() -> None:
    """No task is charged for it."""
    with TaskManager(f.double, partial(Cancels, 1), logger=None) as manager:
        with pytest.raises(ExecutorError, match="the last 100 batches were cancelled, and not by this"):
            manager.start(range(5))
        summary = manager.get_summary()

    assert (0, 0) == (summary.succeeded, summary.failed)
    assert summary.not_started == summary.taken > 0


def test_f41_one_that_refuses_in_the_middle_ends_the_run() -> None:
    """What it has taken has its results; the rest may be run again."""
    manager = TaskManager(f.double, Refuses, logger=None)
    with manager, pytest.raises(ExecutorError, match="takes no call: ValueError: the queue is full"):
        manager.start(range(10_000))
    summary = manager.get_summary()

    assert 0 == summary.failed
    assert 0 < summary.succeeded == len(manager.get_result_dict())
    assert summary.taken == summary.succeeded + summary.not_started


def test_f41_one_that_is_shut_down_in_the_middle_ends_the_run() -> None:
    """By who has passed it in: what was in flight has its result, or may be run again."""
    pool = ThreadPoolExecutor(2)

    class ShutsDown(TaskManager):
        def process_result(self, task: Any, result: Any) -> Any:
            if task == 50:
                pool.shutdown(wait=False, cancel_futures=True)
            return result

    manager = ShutsDown(f.double, pool, logger=None)
    with pytest.raises(ExecutorError, match="after shutdown"):
        manager.start(range(10_000))
    summary = manager.get_summary()

    assert 0 == summary.failed
    assert summary.taken == summary.succeeded + summary.not_started


def test_f41_one_whose_submit_waits_is_waited_for() -> None:
    """It holds up the run, and nothing is lost."""
    with TaskManager(f.double, HoldsBack, logger=None, worker_limit=4) as manager:
        summary = manager.start(range(500))

    assert (500, 0) == (summary.succeeded, summary.failed)


def test_f41_one_that_breaks_at_once_is_not_made_for_ever() -> None:
    """Two in a row, and the run ends."""
    made: list[Executor] = []

    class Breaks(Silent):
        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            raise BrokenExecutor("no room")

    def make() -> Executor:
        made.append(Breaks())
        return made[-1]

    with TaskManager(f.double, make, logger=None) as manager:
        with pytest.raises(
            WorkerStartError, match="Breaks comes up to no call: BrokenExecutor: no room"
        ):
            manager.start(range(5))

        assert 0 == manager.get_summary().failed
    assert 2 == len(made)


def test_a_function_of_megabytes_travels_once_and_where_it_is_wanted() -> None:
    """With as many batches as there are workers, and once more to a process that has not had it."""
    func = partial(heavy, b"x" * 2_000_000)
    executor = Pickles(anew=40)
    with TaskManager(func, executor, 2, logger=None) as manager:
        summary = manager.start(range(2000))

        assert (2000, 0) == (summary.succeeded, summary.failed)
    executor.shutdown()

    assert len(executor.sent) > 40
    assert 3 <= sum(size > 2_000_000 for size in executor.sent) <= 5
