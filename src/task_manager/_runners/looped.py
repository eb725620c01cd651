"""Coroutines for a run that is pumped outside of their loop: the loop has a thread of its own.

     run's thread                              the loop's thread, a daemon
     submit ──▶ submitted (deque) ───────────▶ AsyncRunner.submit
     collect ◀── news (SimpleQueue) ◀───────── AsyncRunner.collect, again and again

The loop goes on while nobody asks for outcomes.  A loop in the asking thread would stand still
meanwhile: calls that wait for an answer would run into their own time limits, and ours.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Any

from .._platform import end_a_copy, this_process
from .._processes.life import uninterrupted
from .._state import TIME_TO_CLEAN_UP
from .._stop import Stop
from .._task import Batch, Unrun
from ..errors import WorkerStartError
from . import Answer, NotBegun, Orders
from .asynchronous import TIME_TO_END, AsyncRunner
from .thread_worker import in_a_worker, works_here

PATIENCE = 0.2  # seconds that the loop is waited for with what it tells by itself
LOOK = 60.0  # seconds after which the loop's collect returns, though nothing has come


class LoopedRunner:
    """Owns the thread and its loop. Only there the AsyncRunner is touched, but for looks at it."""

    calls_here = False
    wakes = False

    def __init__(self, func: Callable[..., Coroutine[Any, Any, Any]], orders: Orders) -> None:
        self.workers = self.sharing = orders.workers
        self._func = func
        self._orders = orders
        self._submitted: deque[Batch] = deque()  # that the loop has not taken yet
        self._news: SimpleQueue[list[Answer] | BaseException] = SimpleQueue()
        self._owner = this_process()
        self._stop = Stop()
        self._closing = self._closed = False
        self._heard = threading.Event()  # that it is to end
        self._loop: asyncio.AbstractEventLoop
        made: Future[AsyncRunner] = Future()
        context = copy_context()  # the caller's, which the calls see
        # A daemon, as worker threads are: a call that hangs does not keep the script from ending.
        self._thread = threading.Thread(
            target=context.run, args=(self._live, made), name="task_manager-loop", daemon=True
        )
        with uninterrupted():
            try:
                self._thread.start()
            except (RuntimeError, MemoryError) as error:
                said = f"no thread can be started for the event loop: {error or 'out of memory'}"
                raise WorkerStartError(said) from error
            self._runner = made.result()

    def follow(self, stop: Stop) -> None:
        self._stop = stop
        self._runner.follow(stop)

    def room(self, depth: int) -> bool:
        """None while outcomes lie here: the run would go on giving out, and never take them in."""
        ahead = sum(map(len, self._submitted.copy()))
        return self._news.empty() and ahead < self.workers and self._runner.room(depth)

    def submit(self, batch: Batch) -> None:
        self._submitted.append(batch)
        with suppress(RuntimeError):  # the loop has ended; why, is in the news
            self._loop.call_soon_threadsafe(self._take)

    def collect(self, timeout: float) -> list[Answer]:
        found: list[Answer] = []
        with suppress(Empty):
            news = self._news.get(timeout=timeout)
            while not isinstance(news, BaseException):
                found += news
                news = self._news.get_nowait()
            self._news.put(news)  # it stands
            if not found:
                raise news
        return found

    def begins(self) -> list[tuple[int, float]]:
        """As the loop tells it; nothing where a call blocks that."""
        told: Future[list[tuple[int, float]]] = Future()
        with suppress(RuntimeError, TimeoutError):  # the loop has ended, or does not come to it
            self._loop.call_soon_threadsafe(lambda: told.set_result(self._runner.begins()))
            return told.result(PATIENCE)
        return []

    def wake(self) -> None:
        """Not offered."""

    def close(self) -> None:
        """A call that blocks the loop is left alone with it."""
        if self._closed or self._owner is not this_process():
            return
        self._closed = True
        try:
            self._loop.call_soon_threadsafe(self._end)
        except RuntimeError:  # the loop has ended
            self._heard.set()
        if in_a_worker():  # as where a stream is collected as garbage in a call
            return
        if self._heard.wait(2 * TIME_TO_END):
            cleaning = 0.0 if self._orders.state is None else TIME_TO_CLEAN_UP
            self._thread.join(2 * TIME_TO_END + cleaning)

    def not_begun(self) -> NotBegun:
        found = [(batch, range(len(batch))) for batch in self._submitted]
        found += self._runner.not_begun()  # type: ignore[arg-type]
        with suppress(Empty):
            while not isinstance(news := self._news.get_nowait(), BaseException):
                found += [(batch, part.positions) for batch, part in news if isinstance(part, Unrun)]  # type: ignore[misc]
        return found

    # ------------------------------------------------------------------ in the loop's thread

    def _live(self, made: Future[AsyncRunner]) -> None:
        """The life of the thread."""
        works_here()
        home = this_process()
        try:
            asyncio.run(self._serve(made, home))
        except BaseException as error:
            end_a_copy(home, error)
            if made.done():
                self._news.put(error)
            else:
                made.set_exception(error)

    async def _serve(self, made: Future[AsyncRunner], home: object) -> None:
        self._loop = asyncio.get_running_loop()
        runner = AsyncRunner(self._func, self._orders)
        self._runner = runner
        made.set_result(runner)
        try:
            while not self._closing:
                answers = await runner.collect(LOOK)
                end_a_copy(home)
                if answers:
                    self._news.put(answers)
        except BaseException as error:
            end_a_copy(home, error)
            raise
        finally:
            self._closing = True  # a worker that is started after this would never run
            await runner.close()

    def _take(self) -> None:
        try:
            while self._submitted and not self._closing:
                batch = self._submitted.popleft()
                if self._stop.asked:  # meanwhile, in another thread
                    self._news.put([(batch, Unrun(range(len(batch))))])
                else:
                    self._runner.submit(batch)
        except BaseException as error:  # which asyncio would keep to itself
            self._news.put(error)

    def _end(self) -> None:
        self._closing = True
        self._heard.set()
        self._runner.wake()
