"""Coroutines for a run that waits in a thread without a loop: their loop has a thread of its own.

The loop goes on while nobody asks for outcomes.  A loop in the asking thread would stand still
meanwhile: calls that wait for an answer would run into their own time limits, and ours.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, TypeVar

from .._processes.life import uninterrupted
from .._stop import Stop
from .._task import Batch
from ..errors import WorkerStartError
from . import Answer, NotBegun, Orders
from .asynchronous import AsyncRunner

V = TypeVar("V")


class LoopedRunner:
    """Owns the thread, its loop, and the AsyncRunner in it, which is touched there and nowhere else."""

    calls_here = False
    wakes = False

    def __init__(self, func: Callable[..., Coroutine[Any, Any, Any]], orders: Orders) -> None:
        self.workers = self.sharing = orders.workers
        self._loop = asyncio.new_event_loop()
        context = copy_context()  # the caller's, which the calls see
        # A daemon, as worker threads are: an open stream does not keep the script from ending.
        self._thread = threading.Thread(
            target=context.run, args=(self._live,), name="task_manager-loop", daemon=True
        )
        self._closed = False
        try:
            with uninterrupted():
                self._thread.start()
        except (RuntimeError, MemoryError) as error:
            self._loop.close()
            raise WorkerStartError(f"no thread can be started for the event loop: {error}") from error
        self._runner = self._there(_made, func, orders)

    def follow(self, stop: Stop) -> None:
        self._there(_called, self._runner.follow, stop)

    def room(self, depth: int) -> bool:
        room: bool = self._there(_called, self._runner.room, depth)
        return room

    def submit(self, batch: Batch) -> None:
        self._there(_called, self._runner.submit, batch)

    def collect(self, timeout: float) -> list[Answer]:
        return self._there(self._runner.collect, timeout)

    def wake(self) -> None:
        """Not offered."""

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._there(self._runner.close)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def not_begun(self) -> NotBegun | None:
        return self._runner.not_begun()

    def _there(self, function: Callable[..., Coroutine[Any, Any, V]], *args: Any) -> V:
        """What a coroutine function answers, called in the loop."""
        return asyncio.run_coroutine_threadsafe(function(*args), self._loop).result()

    def _live(self) -> None:
        """The life of the thread."""
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()


async def _made(func: Callable[..., Coroutine[Any, Any, Any]], orders: Orders) -> AsyncRunner:
    return AsyncRunner(func, orders)


async def _called(function: Callable[..., V], *args: Any) -> V:
    return function(*args)
