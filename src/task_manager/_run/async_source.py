"""Tasks from an async iterable: pulled by an asyncio.Task of its own, a little ahead of the run.

     the iterable ──▶ puller ──▶ what has arrived ──▶ read
                        └◀─ room ────────────────────◀─┘

The puller alone touches the iterable, from its first step to its close: an async generator may hold
what belongs to one asyncio.Task, as a timeout or a group of tasks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from .._rules.batch_size import MOST_ATTEMPTS
from .._signals import HeldSignals, makes_calls
from ..events import Observer
from .source import is_of_the_input

TIME_TO_END = 0.5  # seconds that closing waits for an iterable to take its cancellation


class AsyncIterableSource:
    """Owns the puller. What it pulls ahead is a batch, or as much as there was room for lately.

    observers: Those that are told what becomes of the tasks.
    """

    remaining = None

    def __init__(self, tasks: AsyncIterable[Any], observers: tuple[Observer, ...] = ()) -> None:
        self._tasks: AsyncIterator[Any] = aiter(tasks)
        self.observers = observers
        self.error: Exception | None = None
        self._end: BaseException | None = None  # what is no error of the input, and ends the run
        self._arrived: deque[Any] = deque()
        self._wanted = 1  # tasks; no more are pulled ahead
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._puller: asyncio.Task[None] | None = None
        self._over = False
        self._closing = False

    @property
    def ended(self) -> bool:
        return self._over and self._end is None and not self._arrived

    @property
    def dropped(self) -> int:
        return len(self._arrived)

    def read(self, limit: int, wait: float, signals: HeldSignals) -> list[Any]:
        if self._puller is None:
            self._puller = asyncio.get_running_loop().create_task(self._pull())
        if self._end is not None:
            raise self._end
        tasks = [self._arrived.popleft() for _ in range(min(limit, len(self._arrived)))]
        if len(tasks) == limit:
            self._wanted = limit
        elif tasks:  # there was room for more than had arrived
            self._wanted = min(max(limit, 2 * self._wanted), MOST_ATTEMPTS)
        else:
            self._wanted = max(limit, self._wanted)
        self._room.set()
        if not self._arrived and not self._over:
            self._news.clear()
        return tasks

    async def wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    async def close(self) -> None:
        """Have the iterable closed, if it has not ended. One that does not take that is left alone."""
        puller = self._puller
        if puller is None or puller.done():
            return
        self._closing = True
        puller.cancel()
        await asyncio.wait([puller], timeout=TIME_TO_END)
        if not puller.done():  # the end of its loop must not wait for it
            asyncio._unregister_task(puller)
            puller._log_destroy_pending = False  # type: ignore[attr-defined]

    async def _pull(self) -> None:
        """The life of the puller. It ends without an error: asyncio would raise some in the loop.

        So it makes no calls itself: what a handler raises in its own steps waits for a safe place.
        """
        try:
            await self._pull_all()
        except BaseException as error:
            if self._closing:
                pass
            elif is_of_the_input(error):
                self.error = error
            else:
                self._end = error
        self._over = not self._closing  # what was closed has not come to its end
        self._news.set()
        close = getattr(self._tasks, "aclose", None)
        if self._closing and close is not None:
            with suppress(BaseException):  # the run has been broken off by something else
                await self._close_iterable(close)

    @makes_calls
    async def _pull_all(self) -> None:
        async for task in self._tasks:
            self._arrived.append(task)
            self._news.set()
            while len(self._arrived) >= self._wanted and not self._closing:
                self._room.clear()
                await self._room.wait()
            if self._closing:
                break

    @makes_calls
    async def _close_iterable(self, close: Callable[[], Awaitable[object]]) -> None:
        await close()
