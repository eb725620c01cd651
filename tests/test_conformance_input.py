"""What every mode promises of an input that waits: the run goes on, and the input is read no further."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import functions as f
from functions import WAYS, manager_of
from task_manager import END, TaskManager

LONG = 30.0  # seconds: what is waited for comes long before, and a run that is stuck is told

pytestmark = pytest.mark.parametrize("mode", WAYS)


class Watched(TaskManager):
    """Says when its tasks have their results."""

    def process_result(self, task: Any, result: Any) -> Any:
        seen = self.__dict__.setdefault("seen", threading.Semaphore(0))
        seen.release()
        return result


def watched(mode: str, func: Callable[..., Any] = f.same, **options: Any) -> Any:
    manager = manager_of(func, mode, Watched, **options)
    manager.__dict__["seen"] = threading.Semaphore(0)
    return manager


@contextlib.contextmanager
def beside(work: Callable[[], Any]) -> Iterator[None]:
    """The work of a producer, in a thread. Its error is that of the test."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join(LONG)

    assert [] == errors


@pytest.mark.parametrize("awaited", [False, True], ids=["start", "start_async"])
@pytest.mark.parametrize("kind", [queue.Queue, queue.SimpleQueue, queue.LifoQueue, queue.PriorityQueue])
def test_results_come_while_a_queue_waits(mode: str, kind: Any, awaited: bool) -> None:
    """Each result is there before the next task is put in."""
    tasks = kind()

    def produce() -> None:
        for n in range(5):
            tasks.put(n)
            assert manager.seen.acquire(timeout=LONG)
        tasks.put(END)

    with watched(mode) as manager, beside(produce):
        summary = asyncio.run(manager.start_async(tasks)) if awaited else manager.start(tasks)

        assert (5, 0) == (summary.succeeded, summary.not_started)
        assert {n: n for n in range(5)} == manager.get_result_dict()


@pytest.mark.parametrize("awaited", [False, True], ids=["start", "start_async"])
def test_retries_run_while_a_queue_waits(mode: str, calls: Path, awaited: bool) -> None:
    """A task that fails twice has its result, although nothing else comes."""
    tasks: queue.Queue[Any] = queue.Queue()

    def produce() -> None:
        tasks.put((str(calls), "a", 2))
        assert manager.seen.acquire(timeout=LONG)
        tasks.put(END)

    with watched(mode, f.flaky, retry_delay=0.01) as manager, beside(produce):
        summary = asyncio.run(manager.start_async(tasks)) if awaited else manager.start(tasks)

        assert (1, 2) == (summary.succeeded, summary.retries)


def test_join_returns_when_each_task_has_its_outcome(mode: str) -> None:
    """Succeeded, failed or a repeat: `task_done` is said when it is recorded."""
    tasks: queue.Queue[Any] = queue.Queue()
    joined: list[tuple[int, int]] = []

    def produce() -> None:
        for task in (1, 2, 7, 2):
            tasks.put(task)
        tasks.join()
        joined.append((len(manager.get_result_dict()), len(manager.get_error_dict())))
        tasks.put(END)

    with manager_of(f.fail_on_seven, mode) as manager, beside(produce):
        summary = manager.start(tasks)

        assert [(2, 1)] == joined
        assert (2, 1, 1) == (summary.succeeded, summary.failed, summary.duplicates)
        assert 0 == tasks.unfinished_tasks


@pytest.mark.parametrize("awaited", [False, True], ids=["start", "start_async"])
def test_f14_no_more_is_taken_from_a_queue_than_there_is_room_for(mode: str, awaited: bool) -> None:
    """Two batches a worker; the rest stays in the queue."""
    tasks: queue.SimpleQueue[int] = queue.SimpleQueue()
    for n in range(5000):
        tasks.put(n)

    class Stops(TaskManager):
        def process_result(self, task: int, result: int) -> int:
            raise KeyboardInterrupt

    with manager_of(f.wait_a_little, mode, Stops) as manager:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(manager.start_async(tasks)) if awaited else manager.start(tasks)
        taken = manager.get_summary().taken

        assert (taken, taken) == (5000 - tasks.qsize(), manager.get_summary().not_started)
        assert taken <= 20


def test_results_come_while_an_async_iterable_waits(mode: str) -> None:
    """Each result is there before the iterable goes on."""

    async def tasks() -> AsyncIterator[int]:
        for n in range(5):
            yield n
            while len(manager.get_result_dict()) <= n:
                await asyncio.sleep(0.001)

    with manager_of(f.same, mode) as manager:
        summary = asyncio.run(asyncio.wait_for(manager.start_async(tasks()), LONG))

        assert 5 == summary.succeeded


def test_an_async_iterable_of_many(mode: str) -> None:
    """Whatever it has at once comes in batches; every task is answered for, in order."""

    async def tasks() -> AsyncIterator[int]:
        for n in range(3000):
            if n % 500 == 499:
                await asyncio.sleep(0.002)
            yield n

    with manager_of(f.fail_on_odd, mode) as manager:
        summary = asyncio.run(manager.start_async(tasks()))

        assert (1500, 1500, 0) == (summary.succeeded, summary.failed, summary.not_started)
        assert list(range(0, 3000, 2)) == list(manager.get_result_dict())


def test_f13_an_async_iterable_that_raises(mode: str) -> None:
    """What was taken is finished and kept, then the error is raised."""

    async def tasks() -> AsyncIterator[int]:
        for n in range(50):
            yield n
        raise LookupError("the cursor is gone")

    with manager_of(f.same, mode) as manager:
        with pytest.raises(LookupError, match="the cursor is gone"):
            asyncio.run(manager.start_async(tasks()))

        assert {n: n for n in range(50)} == manager.get_result_dict()


def test_f13_an_async_generator_is_closed_where_the_run_is_broken_off(mode: str) -> None:
    """Its `finally` has run when start_async is back; what it gave has an outcome, or is not started."""
    given = 0
    closed = []

    async def tasks() -> AsyncIterator[int]:
        nonlocal given
        try:
            while True:
                given += 1
                yield given
                await asyncio.sleep(0)
        finally:
            closed.append(True)

    async def main() -> None:
        running = asyncio.create_task(manager.start_async(tasks()))
        while not manager.get_result_dict():
            await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert [True] == closed

    with manager_of(f.same, mode) as manager:
        asyncio.run(main())
        summary = manager.get_summary()

        assert (given, 0) == (summary.taken, summary.failed)


def test_a_queue_of_the_loop(mode: str) -> None:
    """start_async reads an asyncio.Queue; its join returns when each task has its outcome."""

    async def main() -> int:
        tasks: asyncio.Queue[int] = asyncio.Queue()
        running = asyncio.create_task(manager.start_async(tasks))
        for n in range(10):
            await tasks.put(n)
        await asyncio.wait_for(tasks.join(), LONG)
        assert 10 == len(manager.get_result_dict())
        await tasks.put(END)
        return (await running).succeeded

    with manager_of(f.same, mode) as manager:
        assert 10 == asyncio.run(main())


def test_the_loop_goes_on_while_a_queue_waits(mode: str) -> None:
    """Who else runs in it is what puts the tasks in, and the end."""

    async def main() -> int:
        tasks: queue.Queue[int] = queue.Queue()
        running = asyncio.create_task(manager.start_async(tasks))
        for n in range(5):
            tasks.put(n)
            while len(manager.get_result_dict()) <= n:
                await asyncio.sleep(0.001)
        tasks.put(END)
        return (await running).succeeded

    with manager_of(f.same, mode) as manager:
        assert 5 == asyncio.run(asyncio.wait_for(main(), LONG))


class Folder:
    """A watched folder: a new file every 0.3 s, and then none for long."""

    def __init__(self, wait: Callable[[float], None]) -> None:
        self._wait = wait

    def __iter__(self) -> Iterator[str]:
        yield "first"
        self._wait(LONG)


def test_a_generator_that_waits_holds_up_the_run(mode: str) -> None:
    """What the docs say: what is in flight meanwhile is recorded when the generator goes on."""
    seen_meanwhile: list[int] = []
    with manager_of(f.same, mode) as manager:
        manager.start(Folder(lambda seconds: seen_meanwhile.append(len(manager.get_result_dict()))))

        assert [1 if mode == "serial" else 0] == seen_meanwhile
        assert {"first": "first"} == manager.get_result_dict()


def test_a_process_that_waits_long_on_a_queue_tells_its_observers(mode: str) -> None:
    """The bar and the log are told that nothing happens."""
    from task_manager.events import Event, Waiting

    tasks: queue.Queue[int] = queue.Queue()
    ticks = threading.Semaphore(0)

    class Diary:
        def observe(self, event: Event) -> None:
            if isinstance(event, Waiting):
                ticks.release()

    def produce() -> None:
        assert ticks.acquire(timeout=LONG)
        assert ticks.acquire(timeout=LONG)
        tasks.put(END)

    with manager_of(f.same, mode, observers=[Diary()]) as manager, beside(produce):
        assert 0 == manager.start(tasks).taken
