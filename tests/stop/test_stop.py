"""manager.stop(): what runs is finished, nothing more is begun or read, `start` answers as ever."""

from __future__ import annotations

import asyncio
import gc
import itertools
import pickle
import queue
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import functions as f
from stopping import STARTS, accounts, beside, held_in, manager_of, start, wait_until
from task_manager import TaskManager
from task_manager._call import IDLE, NEVER, call_batch
from task_manager._processes.slot import FRESH, STOPPED
from task_manager._processes.worker import GROUP, _until_stopped
from task_manager._runners import MODES
from task_manager._stop import Stop
from task_manager.events import RunBegan, Succeeded, Waiting

MANY = 10**9  # tasks; a range of them is no list in memory


@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("way", [*f.MODES, "spawn"])
def test_f37_calls_that_run_are_finished_and_none_begins(way: str, how: str, tmp_path: Path) -> None:
    """What lies at a worker behind its call, or is read ahead, is not begun; it may be run again."""
    held = held_in(way, tmp_path, quick=30)
    with manager_of(held, way) as manager:

        def stop() -> bool:
            held.wait_for(1 if way == "serial" else 2)
            time.sleep(0.1)  # what is to lie behind these calls lies there by now
            stopped = manager.stop()
            time.sleep(0.1)  # time to begin what must not
            held.go()
            return stopped

        with beside(stop) as said:
            summary = start(manager, how, range(200))
        first = held.begun
        again = start(manager, how, range(200))

        assert [True] == said
        assert "stop()" == summary.ended_early
        assert accounts(summary)
        assert len(first) == summary.succeeded == 30 + (1 if way == "serial" else 2)
        assert 0 == summary.interrupted
        assert (200, 200 - len(first)) == (again.taken, again.succeeded)
        assert {n: n for n in range(200)} == manager.get_result_dict()


@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("mode", ["serial", "thread", "async"])
def test_a_function_that_calls_it_is_the_last_one(mode: str, how: str) -> None:
    """A batch of tiny tasks ends between two of them."""

    def call(task: int) -> int:
        if task == 50_000:
            manager.stop()
        return task

    async def call_in_loop(task: int) -> int:
        return call(task)

    func: Callable[..., Any] = call_in_loop if mode == "async" else call
    with TaskManager(func, MODE_NAMES[mode], worker_limit=1, logger=None) as manager:
        summary = start(manager, how, range(MANY))

        assert (50_001, "stop()") == (summary.succeeded, summary.ended_early)
        assert accounts(summary)


MODE_NAMES: dict[str, Any] = {name: name for name in MODES}


def test_a_batch_in_a_worker_process_ends_within_a_few_tiny_calls() -> None:
    """And right after a call of a millisecond or more."""
    cells = list(FRESH)
    made: list[int] = []

    def call(task: int) -> None:
        made.append(task)
        if task == 500:
            cells[STOPPED] = 3.0

    tasks = list(range(1000))
    taking = itertools.chain.from_iterable(_until_stopped(tasks, cells, 3))
    *_, rest = call_batch(call, tasks, [IDLE, NEVER], taking=taking)
    earlier = list(itertools.chain.from_iterable(_until_stopped(tasks, cells, 4)))

    assert 501 <= len(made) <= 500 + GROUP
    assert range(len(made), 1000) == rest.positions
    assert tasks == earlier  # of a later run, which is not stopped


@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("mode", f.MODES)
@pytest.mark.parametrize("where", ["get_args", "process_result", "observer", "first_event"])
def test_from_a_hook_and_from_an_observer(where: str, mode: str, how: str) -> None:
    """It may be called anywhere in the run itself; the results up to then are kept."""

    class Stops(TaskManager[Any, Any]):
        def get_args(self, task: int) -> Any:
            if where == "get_args" and task == 60:
                self.stop()
            return task

        def process_result(self, task: int, result: Any) -> Any:
            if where == "process_result" and task == 60:
                self.stop()
            return result

    class Watches:
        def observe(self, event: Any) -> None:
            match event:
                case RunBegan() if where == "first_event":
                    manager.stop()
                case Succeeded(tasks=tasks) if where == "observer" and 60 in tasks:
                    manager.stop()

    with f.manager_of(f.same, mode, Stops, observers=[Watches()]) as manager:
        summary = start(manager, how, range(MANY))

        assert accounts(summary)
        assert "stop()" == summary.ended_early
        assert summary.succeeded == len(manager.get_result_dict())
        assert (summary.succeeded == 0) == (where == "first_event")


def test_get_args_is_called_for_nothing_more() -> None:
    """It is a hook that may take long, and it is called for many tasks in turn."""
    asked: list[int] = []

    class Stops(TaskManager[Any, Any]):
        def get_args(self, task: int) -> Any:
            asked.append(task)
            if task == 5000:
                self.stop()
            return task

    manager = Stops(f.same, logger=None)
    summary = manager.start(range(MANY))

    assert list(range(5001)) == asked
    assert accounts(summary)


@pytest.mark.parametrize("mode", f.MODES)
def test_where_nothing_runs_it_does_nothing(mode: str) -> None:
    """Before a run, after it, in handle_error: False; the next run goes to its end."""
    said: list[bool] = []

    class Asks(TaskManager[Any, Any]):
        def handle_error(self) -> None:
            said.append(self.stop())

    with f.manager_of(f.same, mode, Asks) as manager:
        said.append(manager.stop())
        first = manager.start(range(10))
        said.append(manager.stop())
        second = manager.start(range(20))

        assert [False] * 4 == said
        assert [(10, None), (20, None)] == [(one.taken, one.ended_early) for one in (first, second)]


@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("mode", f.MODES)
def test_f37_a_stop_of_a_run_that_is_over_stops_no_other(mode: str, how: str) -> None:
    """A thread that calls it as the run ends has that run in hand, and not the one that comes next."""
    kept: list[Stop] = []

    class Keeps:
        def observe(self, event: Any) -> None:
            if isinstance(event, RunBegan):
                kept.append(manager._runs._stop)  # type: ignore[arg-type]
            if isinstance(event, Succeeded) and len(kept) == 2:
                kept[0].stop()
                kept[0].stop()

    with f.manager_of(f.wait_a_little, mode, observers=[Keeps()]) as manager:
        first = start(manager, how, range(4))
        second = start(manager, how, range(100, 120))

        assert [None, None] == [first.ended_early, second.ended_early]
        assert (20, 0) == (second.succeeded, second.not_started)


def test_all_done_is_no_early_end() -> None:
    """Where the last task has been taken already, a stop has left nothing undone."""

    class Stops(TaskManager[Any, Any]):
        def process_result(self, task: int, result: Any) -> Any:
            return self.stop()

    summary = Stops(f.same, logger=None).start([1])

    assert (1, None) == (summary.succeeded, summary.ended_early)


@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("mode", f.MODES)
def test_retries_that_wait_are_not_waited_for(mode: str, how: str, calls: Path) -> None:
    """They had a call, so they may have begun; they run in the next start."""
    with f.manager_of(f.flaky, mode, retry_delay=1e8, max_retry_delay=1e8) as manager:
        tasks = [(str(calls), n, 1) for n in range(3)]

        def stop() -> bool:
            wait_until(lambda: len(list(calls.iterdir())) == 3)
            time.sleep(0.1)
            return manager.stop()

        with beside(stop):
            summary = start(manager, how, iter(tasks))
        again = start(manager, how, tasks)

        assert (0, 0, 3, 3) == (
            summary.succeeded,
            summary.failed,
            summary.not_started,
            summary.interrupted,
        )
        assert 3 == again.succeeded


def inputs(how: str) -> list[str]:
    return ["queue", "asyncio", "async"] if how == "start_async" else ["queue"]


@pytest.mark.parametrize("mode", f.MODES)
@pytest.mark.parametrize(("how", "what"), [(how, what) for how in STARTS for what in inputs(how)])
def test_an_input_that_waits_is_left(how: str, what: str, mode: str) -> None:
    """A queue that has nothing, and an async iterable that waits, which is closed."""
    closed: list[bool] = []
    said: list[bool] = []

    async def waits() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.sleep(1000)
        finally:
            closed.append(True)

    def tasks() -> Any:
        if what == "async":
            return waits()
        made: Any = queue.Queue() if what == "queue" else asyncio.Queue()
        made.put_nowait(1)
        return made

    class Stops:
        def observe(self, event: Any) -> None:
            if isinstance(event, Waiting) and manager.get_result_dict() and not said:
                said.append(manager.stop())

    with f.manager_of(f.same, mode, observers=[Stops()]) as manager:

        async def run() -> Any:
            return await manager.start_async(tasks())

        summary = asyncio.run(run()) if how == "start_async" else manager.start(tasks())

        assert (1, 1, "stop()") == (summary.taken, summary.succeeded, summary.ended_early)
        assert [True] * (what == "async") == closed


def test_what_is_in_a_queue_stays_there() -> None:
    """Only what was taken is not started."""
    tasks: queue.Queue[int] = queue.Queue()
    for n in range(100):
        tasks.put(n)

    def call(task: int) -> int:
        time.sleep(0.002)
        if task == 9:
            manager.stop()
        return task

    manager = TaskManager(call, logger=None)
    summary = manager.start(tasks)

    assert 100 == summary.taken + tasks.qsize()
    assert 10 == summary.succeeded


@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("start_method", f.START_METHODS)
def test_while_the_workers_come_up(start_method: str, how: str) -> None:
    """Those that are not ready yet are not waited for, and what they were to have is not started."""
    with f.manager_of(f.same, start_method) as manager:
        with beside(lambda: wait_until(manager.stop)):
            summary = start(manager, how, range(MANY))
        again = start(manager, how, range(10))

        assert accounts(summary)
        assert "stop()" == summary.ended_early
        assert {10} == {len(manager.get_result_dict().keys() & set(range(10)))}
        assert accounts(again)


def stop_it(manager: TaskManager[Any, Any]) -> bool:
    return manager.stop()


INHERITED: list[TaskManager[Any, Any]] = []


def stop_inherited(task: int) -> list[bool]:
    return [manager.stop() for manager in INHERITED]


@pytest.mark.parametrize("start_method", f.START_METHODS)
def test_f37_a_copy_in_a_worker_stops_nothing(start_method: str) -> None:
    """Pickled or forked: the run is not there, so False."""
    with f.manager_of(stop_it, start_method) as manager:
        summary = manager.start([manager])

        assert [False] == list(manager.get_result_dict().values())
        assert None is summary.ended_early
    with f.manager_of(stop_inherited, start_method) as manager:
        INHERITED.append(manager)
        try:
            manager.start(range(3))
        finally:
            INHERITED.clear()

        assert {False} >= {said for value in manager.get_result_dict().values() for said in value}
        assert 3 == manager.get_summary().succeeded


def test_a_pickled_copy_has_no_run() -> None:
    """It begins anew."""
    manager = TaskManager(f.same, logger=None)

    assert False is pickle.loads(pickle.dumps(manager)).stop()
    assert None is pickle.loads(pickle.dumps(Stop()))


@pytest.mark.parametrize("how", STARTS)
def test_from_a_coroutine_of_the_same_loop(how: str) -> None:
    """A run that is awaited is stopped by what runs beside it."""

    async def nap(task: int) -> int:
        await asyncio.sleep(0.002)
        return task

    async def main() -> Any:
        manager = TaskManager(nap, "async", worker_limit=3, logger=None)
        run = asyncio.create_task(manager.start_async(range(MANY)))
        while len(manager.get_result_dict()) < 20:
            await asyncio.sleep(0.001)
        manager.stop()
        seen = len(manager.get_result_dict())
        summary = await run
        return seen, summary

    seen, summary = asyncio.run(main())

    assert seen <= summary.succeeded <= seen + 2 * 3
    assert accounts(summary)


@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("mode", f.MODES)
def test_a_generator_is_asked_for_nothing_more(mode: str, how: str) -> None:
    """Not even once: it may wait for long."""
    given: list[int] = []

    def tasks() -> Iterator[int]:
        for n in range(MANY):
            if n == 100:
                manager.stop()
            given.append(n)
            yield n

    with f.manager_of(f.same, mode) as manager:
        summary = start(manager, how, tasks())

        # What is read for one batch is read together.
        assert 101 <= len(given) == summary.taken <= 1100
        assert accounts(summary)


def test_threads_may_call_it_at_the_same_time() -> None:
    """Twenty that do so are told that there was a run, and the run ends."""
    with TaskManager(f.wait_a_little, "thread", worker_limit=2, logger=None) as manager:
        said: list[bool] = []

        def stop() -> None:
            wait_until(lambda: manager.get_result_dict())
            said.append(manager.stop())

        threads = [threading.Thread(target=stop) for _ in range(20)]
        for thread in threads:
            thread.start()
        summary = manager.start(range(MANY))
        for thread in threads:
            thread.join()

        assert accounts(summary)
        assert "stop()" in str(summary.ended_early)
        assert True in said


def test_a_manager_that_is_dropped_after_an_awaited_start_that_raised_leaves_no_thread() -> None:
    """Its workers hold nothing of the loop, whose task holds the error and all frames."""

    def tasks() -> Any:
        yield 1
        raise LookupError

    manager: Any = TaskManager(abs, "thread", 2, logger=None)
    gone = weakref.ref(manager)
    with pytest.raises(LookupError):
        asyncio.run(manager.start_async(tasks()))
    del manager
    gc.collect()

    assert gone() is None
