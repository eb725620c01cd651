"""Coroutines in the caller's event loop.

A crew of coroutines pulls attempts from the submitted batches, one by one, so that as many as
allowed wait at the same time, however the batches are cut.  A member that finds nothing leaves, and
a new one is hired with the next batch: an asyncio.Task for every attempt would cost more than most
attempts do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NamedTuple

from .._call import clock, failure_of
from .._task import Batch, Failure, Outcomes
from . import Answer

YIELD_EVERY = 64  # calls of one crew member, after which others of the loop get a turn
FAREWELL = 1.0  # seconds that closing waits for calls to take their cancellation


class Part(NamedTuple):
    """The Outcomes of a batch, as they gather."""

    positions: list[int]
    values: list[Any]
    failures: dict[int, Failure]
    seconds: list[float]


class AsyncRunner:
    def __init__(self, func: Callable[..., Coroutine[Any, Any, Any]], workers: int) -> None:
        self.workers = self.sharing = workers
        self._func = func
        self._queued: deque[Batch] = deque()
        self._ahead = 0  # attempts that no member has taken yet
        self._feed = self._attempts()
        self._crew: set[asyncio.Task[None]] = set()
        self._members = 0  # of the crew that still look for work; the set shrinks a tick later
        self._parts: dict[Batch, Part] = {}
        self._news: asyncio.Future[None] | None = None
        self._closing = False

    def room(self, depth: int) -> bool:
        return self._ahead < self.workers

    def submit(self, batch: Batch) -> None:
        self._queued.append(batch)
        self._ahead += len(batch)
        loop = asyncio.get_running_loop()
        for _ in range(min(self.workers - self._members, self._ahead)):
            self._members += 1
            member = loop.create_task(self._work())
            self._crew.add(member)
            member.add_done_callback(self._crew.discard)

    async def collect(self, timeout: float) -> list[Answer]:
        if not self._parts:
            loop = asyncio.get_running_loop()
            self._news = loop.create_future()
            alarm = loop.call_later(timeout, self._wake)
            try:
                await self._news
            finally:
                alarm.cancel()
                self._news = None
        answers: list[Answer] = [(batch, Outcomes(*part)) for batch, part in self._parts.items()]
        self._parts.clear()
        return answers

    async def close(self) -> None:
        self._closing = True
        self._queued.clear()
        for member in self._crew:
            member.cancel()
        if self._crew:
            await asyncio.wait(self._crew, timeout=FAREWELL)

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _attempts(self) -> Iterator[tuple[Batch, int, tuple[Any, ...]]]:
        """The attempts of all batches, in order; shared by the crew."""
        while True:
            while self._queued:
                batch = self._queued.popleft()
                for position, args in enumerate(batch.calls):
                    self._ahead -= 1
                    yield batch, position, args
            yield NOTHING

    async def _work(self) -> None:
        """The life of a crew member."""
        func = self._func
        feed = self._feed
        parts = self._parts
        turn = 0
        while (attempt := next(feed)) is not NOTHING:
            batch, position, args = attempt
            failure: Failure | None = None
            value: Any = None
            begun = clock()
            try:
                value = await func(*args)
            except BaseException as error:
                if self._closing:
                    raise
                failure = failure_of(error)
            ended = clock()
            part = parts.get(batch)
            if part is None:
                part = parts[batch] = Part([], [], {}, [])
                self._wake()
            part.positions.append(position)
            part.values.append(value)
            part.seconds.append(ended - begun)
            if failure is not None:
                part.failures[position] = failure
            turn += 1
            if turn == YIELD_EVERY:
                turn = 0
                await asyncio.sleep(0)
        self._members -= 1


NOTHING: tuple[Batch, int, tuple[Any, ...]] = (Batch([], [], [], []), 0, ())
