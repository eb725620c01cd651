"""A runner that waits, made into one that is awaited, so that every mode works in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .._signals import HeldSignals
from .._stop import Stop
from .._task import Batch
from . import Answer, NotBegun, Runner

LOOK_EVERY = 0.005  # seconds between two looks for outcomes, where no thread can be had to wait for them

V = TypeVar("V")


class Waiter:
    """Owns a thread in which something waits for an event loop. Nobody else touches that meanwhile."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = ThreadPoolExecutor(
            1, thread_name_prefix="task_manager-wait"
        )

    def begin(self, function: Callable[[float], V], timeout: float) -> asyncio.Future[V] | None:
        """Call it there; None where there is no such thread."""
        if self._thread is None:
            return None
        try:
            return asyncio.get_running_loop().run_in_executor(self._thread, function, timeout)
        except (RuntimeError, MemoryError):
            # No thread can be started.  The executor has noted the call all the same: once it had a
            # thread, that would wait beside us.
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = None
            return None

    async def end(self, waiting: asyncio.Future[V]) -> V:
        """What it answers. Where that is cancelled, it is waited for all the same."""
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            await asyncio.wait([waiting])
            raise

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown()


class Awaited:
    """Waits for outcomes in a thread of its own; everything else happens in the loop's thread."""

    def __init__(self, runner: Runner, signals: HeldSignals) -> None:
        self.workers = runner.workers
        self.sharing = runner.sharing
        self.wakes = runner.wakes
        self._runner = runner
        self._signals = signals
        self._waiter = None if runner.calls_here else Waiter()

    def follow(self, stop: Stop) -> None:
        self._runner.follow(stop)

    def room(self, depth: int) -> bool:
        return self._runner.room(depth)

    def submit(self, batch: Batch) -> None:
        self._runner.submit(batch)

    async def collect(self, timeout: float) -> list[Answer]:
        waiter = self._waiter
        waiting = waiter.begin(self._runner.collect, timeout) if waiter and timeout else None
        if waiter is None or waiting is None:
            # In this very frame: what a signal's handler raises meets no step of the event loop.
            answers = self._signals.through(self._runner.collect, 0.0)
            longest = timeout if self._runner.calls_here else min(timeout, LOOK_EVERY)
            await asyncio.sleep(0.0 if answers else longest)
            return answers
        return await waiter.end(waiting)

    def begins(self) -> Iterable[tuple[int, float]]:
        return self._runner.begins()

    def wake(self) -> None:
        self._runner.wake()

    async def close(self) -> None:
        """Ends the waiting; the runner itself is the manager's, and may serve another run."""
        if self._waiter is not None:
            self._waiter.close()

    def not_begun(self) -> NotBegun | None:
        return self._runner.not_begun()
