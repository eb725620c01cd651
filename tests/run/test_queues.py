"""Queues and async iterables as sources: what is read, where they end, and what is left in them."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import functions as f
from task_manager import END, TaskManager
from task_manager._run import async_source
from task_manager._run.async_source import AsyncIterableSource
from task_manager._run.queues import QueueSource
from task_manager._signals import HeldSignals


def filled(kind: Any, *tasks: Any) -> Any:
    made = kind()
    for task in tasks:
        made.put(task)
    return made


def read(source: QueueSource, limit: int = 10, wait: float = 0.0) -> list[Any]:
    return source.read(limit, wait, HeldSignals())


@pytest.mark.parametrize("kind", [queue.Queue, queue.SimpleQueue, queue.LifoQueue, queue.PriorityQueue])
def test_the_end_marker_ends_the_input(kind: Any) -> None:
    """What was put in before it is read, in the queue's order, and nothing more comes."""
    source = QueueSource(filled(kind, 3, 1, 2, END))
    order = {queue.LifoQueue: [2, 1, 3], queue.PriorityQueue: [1, 2, 3]}
    tasks = read(source, 2) + read(source, 2)

    assert order.get(kind, [3, 1, 2]) == tasks
    assert ([], True) == (read(source), source.ended)


def test_no_more_is_taken_than_wanted() -> None:
    """F14: the rest stays in the queue."""
    tasks = filled(queue.Queue, *range(10))
    source = QueueSource(tasks)

    assert ([0, 1, 2], 7) == (read(source, 3), tasks.qsize())


def test_what_lies_behind_the_marker_is_left() -> None:
    """The next start reads on from there; a second marker ends that one."""
    tasks = filled(queue.Queue, 1, END, 2, END, 3)
    starts = [TaskManager(f.same, logger=None) for _ in range(2)]
    for manager in starts:
        manager.start(tasks)

    assert [[1], [2]] == [list(manager.get_result_dict()) for manager in starts]
    assert 3 == tasks.get_nowait()


def test_an_empty_queue_has_not_ended() -> None:
    """A read that may wait waits for the first task."""
    tasks = queue.Queue[int]()
    source = QueueSource(tasks)
    before = read(source), source.ended
    timer = threading.Timer(0.02, tasks.put, [7])
    timer.start()
    after = read(source, wait=30.0)
    timer.join()

    assert (([], False), [7]) == (before, after)


@pytest.mark.skipif(not hasattr(queue, "ShutDown"), reason="queues are shut down from Python 3.13 on")
@pytest.mark.parametrize("immediate", [False, True])
def test_a_queue_that_is_shut_down_has_ended(immediate: bool) -> None:
    """After the tasks that are in it; at once where it was told so."""
    tasks = filled(queue.Queue, 1, 2)
    tasks.shutdown(immediate)
    source = QueueSource(tasks)

    assert ([] if immediate else [1, 2], True) == (read(source), source.ended)


class Broken(queue.Queue):  # type: ignore[type-arg]
    def _get(self) -> Any:
        if len(self.queue) == 1:
            raise LookupError("the broker is gone")
        return super()._get()


@pytest.mark.parametrize("mode", f.MODES)
@pytest.mark.parametrize("awaited", [False, True])
def test_f13_a_queue_that_raises(mode: str, awaited: bool) -> None:
    """What was taken is finished and kept, then the error is raised."""
    tasks = filled(Broken, 1, 2, 3)
    with f.manager_of(f.same, mode) as manager:
        with pytest.raises(LookupError, match="the broker is gone"):
            asyncio.run(manager.start_async(tasks)) if awaited else manager.start(tasks)

        assert {1: 1, 2: 2} == manager.get_result_dict()


def test_the_marker_is_one_object() -> None:
    """Also a copy of it, and one from another process."""
    assert END is pickle.loads(pickle.dumps(END))
    assert END is copy.deepcopy(END)
    assert "task_manager.END" == repr(END)
    assert sorted([END, (1, 2), END], key=lambda entry: entry is END) == [(1, 2), END, END]
    assert not END < END
    assert (1, "x") < END


# ------------------------------------------------------------------ async iterables


def test_f14_a_batch_is_pulled_ahead() -> None:
    """Of an endless input no more than the last read wanted."""
    pulled = []

    async def endless() -> AsyncIterator[int]:
        n = 0
        while True:
            pulled.append(n)
            yield n
            n += 1

    async def main() -> None:
        source = AsyncIterableSource(endless())
        assert [] == source.read(3, 0.0, HeldSignals())
        await source.wait(30.0)
        assert [0, 1, 2] == source.read(3, 0.0, HeldSignals())
        for _ in range(20):
            await asyncio.sleep(0)
        assert (3, 6) == (source.dropped, len(pulled))
        await source.close()
        await source.close()

    asyncio.run(main())


def test_f13_closing_closes_the_generator_in_its_own_task() -> None:
    """Its `finally` runs there, wherever it is."""
    ended = []

    async def tasks(waits: bool) -> AsyncIterator[int]:
        task = asyncio.current_task()
        try:
            yield 1
            if waits:
                await asyncio.sleep(60)
            yield 2
        finally:
            ended.append((waits, task is asyncio.current_task()))

    async def main() -> None:
        for waits in (False, True):
            source = AsyncIterableSource(tasks(waits))
            while not source.read(1, 0.0, HeldSignals()):
                await source.wait(30.0)
            for _ in range(5):
                await asyncio.sleep(0)
            await source.close()

    asyncio.run(main())

    assert [(False, True), (True, True)] == ended


def test_f32_an_iterable_that_takes_no_cancellation_is_left_alone() -> None:
    """The run ends, and so does the loop."""

    async def stubborn() -> AsyncIterator[int]:
        yield 1
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    async def main() -> None:
        running = asyncio.create_task(manager.start_async(stubborn()))
        while not manager.get_result_dict():
            await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    manager = TaskManager(f.same, logger=None)
    asyncio.run(main())

    assert {1: 1} == manager.get_result_dict()


class Limit(Exception):
    """What a script's time limit raises. By SIGUSR1 here, as SIGALRM is the limit of the tests."""


def raise_limit(number: int, frame: Any) -> None:
    raise Limit


@contextlib.contextmanager
def limit_at_line(line: int, file: str) -> Iterator[list[int]]:
    """A signal at the line of this count that runs in this file; answers how many ran."""
    lines = [0]

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != file:
            return None
        if event == "line":
            lines[0] += 1
            if lines[0] == line:
                os.kill(os.getpid(), signal.SIGUSR1)
        return trace

    before = signal.signal(signal.SIGUSR1, raise_limit), sys.gettrace()
    sys.settrace(trace)
    try:
        yield lines
    finally:
        sys.settrace(before[1])
        signal.signal(signal.SIGUSR1, before[0])


def test_f26_a_limit_at_any_line_of_an_async_iterable() -> None:
    """It is raised out of the start, and asyncio has no error left that nobody has fetched."""
    complaints: list[Any] = []

    async def two() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: complaints.append(context))
        await TaskManager(f.same, logger=None).start_async(two())

    gc.collect()  # a puller that an earlier test has left would be met here as it is closed
    line, over = 1, False
    while not over:
        with limit_at_line(line, async_source.__file__) as lines, contextlib.suppress(Limit):
            asyncio.run(main())
            over = lines[0] < line

            assert over, f"swallowed at line {line}"
        gc.collect()

        assert complaints == [], f"at line {line}"
        line += 1
    assert line > 20
