"""A runner that waits, made into one that is awaited, so that every mode works in an event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from .._signals import HeldSignals
from .._task import Batch
from . import Answer, NotBegun, Runner

LOOK_EVERY = 0.005  # seconds between two looks for outcomes, where no thread can be had to wait for them


class Awaited:
    """Waits for outcomes in a thread of its own; everything else happens in the loop's thread."""

    def __init__(self, runner: Runner, signals: HeldSignals) -> None:
        self.workers = runner.workers
        self.sharing = runner.sharing
        self._runner = runner
        self._signals = signals
        self._waiter: ThreadPoolExecutor | None = None
        if not runner.calls_here:
            self._waiter = ThreadPoolExecutor(1, thread_name_prefix="task_manager-wait")

    def room(self, depth: int) -> bool:
        return self._runner.room(depth)

    def submit(self, batch: Batch) -> None:
        self._runner.submit(batch)

    async def collect(self, timeout: float) -> list[Answer]:
        waiting = self._in_a_thread(timeout)
        if waiting is None:
            # In this very frame: what a signal's handler raises meets no step of the event loop.
            answers = self._signals.through(self._runner.collect, 0.0)
            longest = timeout if self._runner.calls_here else min(timeout, LOOK_EVERY)
            await asyncio.sleep(0.0 if answers else longest)
            return answers
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            await asyncio.wait([waiting])  # nobody else may touch the runner until it is back
            raise

    def _in_a_thread(self, timeout: float) -> asyncio.Future[list[Answer]] | None:
        """The outcomes to come, waited for in the thread; None where there is no such thread."""
        if self._waiter is None:
            return None
        try:
            return asyncio.get_running_loop().run_in_executor(
                self._waiter, self._runner.collect, timeout
            )
        except (RuntimeError, MemoryError):
            # No thread can be started.  The executor has noted the call all the same: once it had a
            # thread, that would collect beside us.
            self._waiter.shutdown(wait=False, cancel_futures=True)
            self._waiter = None
            return None

    async def close(self) -> None:
        """Ends the waiting; the runner itself is the manager's, and may serve another run."""
        if self._waiter is not None:
            self._waiter.shutdown()

    def not_begun(self) -> NotBegun | None:
        return self._runner.not_begun()
