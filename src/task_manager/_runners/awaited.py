"""A runner that waits, made into one that is awaited, so that every mode works in an event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from .._task import Batch
from . import Answer, Runner


class Awaited:
    """Waits for outcomes in a thread of its own; everything else happens in the loop's thread."""

    def __init__(self, runner: Runner) -> None:
        self.workers = runner.workers
        self.sharing = runner.sharing
        self._runner = runner
        self._waiter = ThreadPoolExecutor(1, thread_name_prefix="task_manager-wait")

    def room(self, depth: int) -> bool:
        return self._runner.room(depth)

    def submit(self, batch: Batch) -> None:
        self._runner.submit(batch)

    async def collect(self, timeout: float) -> list[Answer]:
        if self._runner.calls_here:
            answers = self._runner.collect(0.0)
            await asyncio.sleep(0.0 if answers else timeout)
            return answers
        waiting = asyncio.get_running_loop().run_in_executor(self._waiter, self._runner.collect, timeout)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            await asyncio.wait([waiting])  # nobody else may touch the runner until it is back
            raise

    async def close(self) -> None:
        """Ends the waiting; the runner itself is the manager's, and may serve another run."""
        self._waiter.shutdown()
