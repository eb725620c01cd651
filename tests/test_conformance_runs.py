"""What every mode promises of runs: in a row, inside each other, in an event loop, broken off."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import threading
import time
import tracemalloc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import functions as f
from functions import APART, MODES, WAYS, manager_of, options_of
from task_manager import (
    ConfigurationError,
    GetArgsError,
    ProcessResultError,
    Summary,
    TaskManager,
)

pytestmark = pytest.mark.parametrize("mode", WAYS)


def counts(summary: Summary) -> tuple[int, int, int, int]:
    return summary.succeeded, summary.failed, summary.duplicates, summary.not_started


class FailingHooks(TaskManager):
    def get_args(self, task: int) -> Any:
        if task == 3:
            raise KeyError("no such field")
        return (task,)

    def process_result(self, task: int, result: int) -> int:
        if task == 5:
            raise ConnectionError("cannot store")
        return result


def test_failures_are_run_again(mode: str, calls: Path) -> None:
    """start(get_error_dict()) runs the failures once more; what has succeeded is a repeat."""
    tasks = [(str(calls), n, n, KeyError) for n in range(3)]
    with manager_of(f.flaky, mode) as manager:
        summaries = [
            counts(manager.start(again))
            for again in (tasks, manager.get_error_dict, tasks, manager.get_error_dict)
            for again in [again() if callable(again) else again]
        ]

        assert [(1, 2, 0, 0), (1, 1, 0, 0), (1, 0, 2, 0), (0, 0, 0, 0)] == summaries
        assert {task: task[2] + 1 for task in tasks} == manager.get_result_dict()
        assert {} == manager.get_error_dict()


def test_a_run_that_was_broken_off_can_be_taken_up(mode: str) -> None:
    """What a run leaves without an outcome is run by the next one; what is done stays done."""

    class Breaks(TaskManager):
        broken = False

        def process_result(self, task: int, result: int) -> int:
            if task == 150 and not self.broken:
                self.broken = True
                raise KeyboardInterrupt
            return result

    with manager_of(f.same, mode, Breaks) as manager:
        with pytest.raises(KeyboardInterrupt):
            manager.start(range(300))
        first = manager.get_summary()
        kept = len(manager.get_result_dict())
        second = manager.start(range(300))

        assert kept == first.succeeded
        assert 0 == first.failed
        assert (300 - kept, 0, kept, 0) == counts(second)
        assert {n: n for n in range(300)} == manager.get_result_dict()


def test_a_manager_makes_one_run_at_a_time(mode: str) -> None:
    """A start in the middle of a run of the same manager is refused, and the run goes on."""

    class Restarts(TaskManager):
        refused = ""

        def process_result(self, task: int, result: int) -> int:
            try:
                self.start([1])
            except RuntimeError as error:
                self.refused = str(error)
            except ConfigurationError:  # async: told first that a loop is running
                self.refused = "one run at a time"
            return result

    with manager_of(f.same, mode, Restarts) as manager:
        manager.start([5])

        assert "one run at a time" in manager.refused
        assert {5: 5} == manager.get_result_dict()


def test_f08_a_manager_works_outside_the_main_thread(mode: str) -> None:
    """Start may be called in any thread."""
    results = []

    def work() -> None:
        with manager_of(f.same, mode) as manager:
            manager.start(range(20))
            results.append(dict(manager.get_result_dict()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert [{n: n for n in range(20)}] == results


@pytest.mark.parametrize("inner", MODES)
def test_f08_a_manager_works_inside_a_task_of_a_manager(mode: str, inner: str) -> None:
    """In every pair of modes."""
    if inner == "process" and mode in f.DAEMONS:
        pytest.skip("its processes may have no children")
    func = f.run_inner_awaited if mode == "async" else f.run_inner
    with TaskManager(func, **options_of(mode), logger=None, worker_limit=2) as manager:
        manager.get_args = lambda task: (inner, [task, task + 1])  # type: ignore[method-assign]
        manager.start([1, 10])

        assert {1: {1: 2, 2: 3}, 10: {10: 11, 11: 12}} == manager.get_result_dict()
        assert {} == manager.get_error_dict()


def test_f08_start_in_a_running_loop(mode: str) -> None:
    """In async mode it says at once to await start_async; the other modes block the loop and work."""

    async def main() -> None:
        manager.start([1])

    with manager_of(f.same, mode) as manager:
        if mode == "async":
            with pytest.raises(ConfigurationError, match=r"await manager\.start_async"):
                asyncio.run(main())
            assert 0 == manager.get_summary().taken
        else:
            asyncio.run(main())
            assert {1: 1} == manager.get_result_dict()


def test_f14_nothing_is_kept_where_nothing_is_wanted(mode: str) -> None:
    """With keep_results=False and deduplicate=False memory does not grow with the tasks."""

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            summary = manager.start(iter(range(count)))
            assert count == summary.succeeded
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few = 4_000 if mode == "async" else 10_000  # it is slow where all is traced
    with manager_of(f.same, mode, keep_results=False, deduplicate=False) as manager:
        peak(few)
        growth = peak(3 * few) - peak(few)

        assert {} == manager.get_result_dict()
        assert growth < 2 * few * 50


def test_f14_results_that_are_not_kept_die(mode: str) -> None:
    """With keep_results=False a result is gone when process_result has seen it."""

    class Watches(TaskManager):
        def process_result(self, task: int, result: Any) -> Any:
            self.seen = [*getattr(self, "seen", []), weakref.ref(result)]
            return result

    with manager_of(f.Thing, mode, Watches, keep_results=False) as manager:
        manager.start(range(20))
        manager.shutdown_pools()
        gc.collect()

        assert [None] * 20 == [reference() for reference in manager.seen]


def test_f13_f16_in_an_event_loop(mode: str) -> None:
    """start_async keeps what was taken before the input raised, and survives hooks that raise."""

    def tasks() -> Iterator[int]:
        yield from range(50)
        raise LookupError("the cursor is gone")

    with manager_of(f.same, mode, FailingHooks) as manager:
        with pytest.raises(LookupError, match="the cursor is gone"):
            asyncio.run(manager.start_async(tasks()))
        errors = manager.get_error_dict()

        assert (48, 2, 0, 0) == counts(manager.get_summary())
        assert {3: GetArgsError, 5: ProcessResultError} == {t: type(e) for t, e in errors.items()}


def test_start_async_works_in_every_mode(mode: str) -> None:
    """await start_async(tasks) is start(tasks), and the loop goes on meanwhile."""
    turns = 0

    async def main() -> Summary:
        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.001)

        beside = asyncio.create_task(others())
        summary = await manager.start_async(range(2000))
        beside.cancel()
        return summary

    with manager_of(f.fail_on_seven, mode) as manager:
        summary = asyncio.run(main())

        assert (1999, 1, 0, 0) == counts(summary)
        assert 1999 == len(manager.get_result_dict())
        assert turns > 1


def test_start_async_can_be_cancelled(mode: str) -> None:
    """A cancelled start_async ends the run, and the manager can start again."""

    async def main() -> None:
        running = asyncio.create_task(manager.start_async(itertools.count()))
        await asyncio.sleep(0.05)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    with manager_of(f.same, mode, deduplicate=False) as manager:
        asyncio.run(main())
        first = manager.get_summary()
        manager.start([-1])

        assert 0 == first.failed
        assert -1 == manager.get_result_dict()[-1]


def test_pools_may_be_shut_down_at_any_time(mode: str) -> None:
    """Twice, before the first run, between runs; the next run starts anew."""
    manager = manager_of(f.same, mode)
    manager.shutdown_pools()
    manager.start([1])
    manager.shutdown_pools()
    manager.shutdown_pools()
    manager.start([2])
    manager.shutdown_pools()

    assert {1: 1, 2: 2} == manager.get_result_dict()


def test_pools_may_be_shut_down_in_the_middle_of_a_run(mode: str) -> None:
    """By a hook, or by another thread: the run is finished first."""

    class Closes(TaskManager):
        def process_result(self, task: int, result: int) -> int:
            self.shutdown_pools()
            return result

    with manager_of(f.same, mode, Closes) as manager:
        manager.start(range(200))

        assert {n: n for n in range(200)} == manager.get_result_dict()
        assert manager._runs._runner._runner is None


def test_f11_a_manager_that_is_dropped_leaves_nothing(mode: str) -> None:
    """No shutdown, no with: garbage collection leaves nothing (the fixture looks)."""
    manager = manager_of(f.same, mode)
    manager.start(range(10))
    finished = len(manager.get_result_dict())
    del manager

    assert 10 == finished


def test_f12_fifty_starts_leave_nothing(mode: str) -> None:
    """Open files, threads and children are as before (the fixture looks)."""
    with manager_of(f.same, mode) as manager:
        summaries = [manager.start([n]) for n in range(50)]
        manager.shutdown_pools()

    assert [1] * 50 == [summary.succeeded for summary in summaries]


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_workers_than_allowed(mode: str, limit: int) -> None:
    """worker_limit calls at most run at the same time."""
    if mode == "serial" or mode in APART:
        pytest.skip("seen by thread and process ids elsewhere")
    now, most = 0, 0
    lock = threading.Lock()

    async def count(task: int) -> None:
        enter()
        await asyncio.sleep(0.005)
        leave()

    def count_here(task: int) -> None:
        enter()
        time.sleep(0.005)
        leave()

    def enter() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(now, most)

    def leave() -> None:
        nonlocal now
        with lock:
            now -= 1

    func = count if mode == "async" else count_here
    with TaskManager(func, **options_of(mode), worker_limit=limit, logger=None) as manager:
        manager.start(range(20))

    assert limit == most
