"""A mode that a test registers, as another package would: calls in a ThreadPoolExecutor.

A plugin of pytest: `-p pool_mode` adds it to the modes that the conformance suite runs over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import functions
from task_manager._call import IDLE, NEVER, TOO_LONG, call_batch, invoker
from task_manager._runners import MODES, Answer, Mode, Orders
from task_manager._stop import Stop
from task_manager._task import Batch


class PoolRunner:
    sharing = 1
    calls_here = False
    wakes = False

    def __init__(self, func: Callable[..., Any], orders: Orders) -> None:
        self.workers = orders.workers
        self._func = func
        self._pool = ThreadPoolExecutor(orders.workers, "pool")
        self._running: dict[Future[list[Any]], Batch] = {}

    def follow(self, stop: Stop) -> None:
        """A pool keeps no worker from what it has."""

    def room(self, depth: int) -> bool:
        return len(self._running) < self.workers * depth

    def submit(self, batch: Batch) -> None:
        self._running[self._pool.submit(make_calls, self._func, batch)] = batch

    def collect(self, timeout: float) -> list[Answer]:
        done, _ = wait(self._running, timeout, FIRST_COMPLETED)
        return [
            (batch, outcomes)
            for batch, future in [(self._running.pop(future), future) for future in done]
            for outcomes in future.result()
        ]

    def wake(self) -> None: ...

    def begins(self) -> list[tuple[int, float]]:
        return []

    def not_begun(self) -> None:
        """A pool does not tell."""

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def make_calls(func: Callable[..., Any], batch: Batch) -> list[Any]:
    """The outcomes of a batch. A pool names its threads with their numbers."""
    worker = int(threading.current_thread().name.rpartition("_")[2])
    slot, invoke = [IDLE, NEVER], invoker(func, batch.unpack)
    return list(call_batch(invoke, batch.calls, slot, patience=TOO_LONG, worker=worker))


MODES["pool"] = Mode((__name__, "PoolRunner"), False, False, True, lambda: 4)
functions.WAYS.append("pool")
