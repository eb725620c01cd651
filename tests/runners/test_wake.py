"""What waits for outcomes can be woken; an input beside calls is waited for, and not looked at."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator
from typing import Any
from unittest import mock

import pytest

import functions as f
from task_manager._run.async_source import AsyncIterableSource
from task_manager._runners import Orders
from task_manager._runners.asynchronous import AsyncRunner
from task_manager._runners.thread import ThreadRunner
from task_manager._task import Batch

LONG = 100.0  # seconds; nothing waits for so long


def test_a_thread_runner_is_woken() -> None:
    """By another thread, or before it waits; and it has nothing then."""
    runner = ThreadRunner(f.same, Orders(1))
    threading.Timer(0.05, runner.wake).start()
    began = time.monotonic()
    found = [runner.collect(LONG)]
    runner.wake()
    found.append(runner.collect(LONG))
    runner.close()

    assert [[], []] == found
    assert time.monotonic() - began < LONG / 2


def test_f37_what_wakes_a_runner_is_no_thread_that_will_be_free() -> None:
    """Woken with nobody there who waits, as by a stop at the end of a run, it starts threads as ever."""
    runner = ThreadRunner(f.same, Orders(1))
    for _ in range(5):
        runner.wake()
    runner.submit(Batch([0], [7], [7], False, [1]))
    found: list[Any] = []
    until = time.monotonic() + LONG
    while not found and time.monotonic() < until:
        found = runner.collect(LONG / 100)
    runner.close()

    assert [[7]] == [outcomes.values for _, outcomes in found]


def test_an_async_runner_is_woken() -> None:
    """In its loop."""

    async def main() -> list[Any]:
        runner = AsyncRunner(f.nothing, Orders(1))  # type: ignore[arg-type]
        asyncio.get_running_loop().call_later(0.05, runner.wake)
        found = await runner.collect(LONG)
        await runner.close()
        return found

    assert [] == asyncio.run(main())


@pytest.mark.parametrize("mode", ["thread", "async"])
def test_an_input_that_waits_is_not_looked_at(mode: str) -> None:
    """While a call goes on there are a few looks a second; what comes is begun beside that call."""
    looks: list[int] = []
    read = AsyncIterableSource.read

    def counted(source: AsyncIterableSource, *args: Any) -> list[Any]:
        looks.append(1)
        return read(source, *args)

    event = threading.Event()

    def call(task: int) -> int:
        if task == 1:
            assert event.wait(LONG)
        event.set()
        return task

    async def call_in_loop(task: int) -> int:
        while task == 1 and not event.is_set():
            await asyncio.sleep(0.005)
        event.set()
        return task

    async def tasks() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(1.0)
        yield 2

    func = call_in_loop if mode == "async" else call
    with (
        mock.patch.object(AsyncIterableSource, "read", counted),
        f.TaskManager(func, mode, worker_limit=2, logger=None) as manager,  # type: ignore[call-overload]
    ):
        summary = asyncio.run(manager.start_async(tasks()))

    assert 2 == summary.succeeded
    assert len(looks) < 50


def test_f12_threads_that_have_no_turn_at_the_end_of_a_run_end_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a busy machine: what was begun is looked for before a thread has taken its goodbye."""
    runner = ThreadRunner(f.same, Orders(2))
    for task in (1, 2):
        runner.submit(Batch([task], [task], [task], False, [1]))
        while not runner.collect(0.1):
            pass
    before = sys.getswitchinterval()
    monkeypatch.setattr(threading.Thread, "join", lambda *_: None)
    sys.setswitchinterval(60.0)  # seconds that this thread goes on, unless it waits
    try:
        runner.close()
        assert [] == runner.not_begun()
    finally:
        sys.setswitchinterval(before)
    monkeypatch.undo()  # and the fixture of all tests sees whether they have ended


def test_f37_an_outcome_of_a_batch_that_goes_on_is_no_thread_that_will_be_free() -> None:
    """Another thread takes the next batch, though the first one has told of a call already."""
    began, go, other = threading.Event(), threading.Event(), threading.Event()

    def call(number: int) -> None:
        if number == 0:
            time.sleep(0.02)  # long enough to be told of by itself
        elif number == 1:
            began.set()
            go.wait(LONG)
        else:
            other.set()

    runner = ThreadRunner(call, Orders(2))
    runner.submit(Batch([0, 1], [0, 1], [0, 1], False, [1, 1]))
    assert began.wait(LONG / 5)
    runner.submit(Batch([2], [2], [2], False, [1]))
    called = other.wait(LONG / 10)
    go.set()
    runner.close()

    assert called
