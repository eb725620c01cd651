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
from contextlib import suppress
from typing import Any, NamedTuple

from .._call import NEVER, clock, failure_of
from .._task import Batch, Failure, Outcomes
from ..errors import TaskTimeoutError
from . import Answer, Orders

YIELD_EVERY = 64  # calls of one crew member, after which others of the loop get a turn
FAREWELL = 0.5  # seconds that closing waits for calls to take their cancellation


class Part(NamedTuple):
    """The Outcomes of a batch, as they gather."""

    positions: list[int]
    values: list[Any]
    failures: dict[int, Failure]
    seconds: list[float]


class Member:
    """One of the crew.

    batch, position, began: Its call; began is NEVER while it has none.
    dismissed: Nobody waits for it any more: its call took too long, or the runner closes.
    """

    __slots__ = ("batch", "began", "dismissed", "position", "task")

    def __init__(self) -> None:
        self.batch = NOTHING[0]
        self.position = 0
        self.began = NEVER
        self.dismissed = False
        self.task: asyncio.Task[None]


class AsyncRunner:
    def __init__(self, func: Callable[..., Coroutine[Any, Any, Any]], orders: Orders) -> None:
        self.workers = self.sharing = orders.workers
        self._timeout = orders.task_timeout
        self._func = func
        self._queued: deque[Batch] = deque()
        self._ahead = 0  # attempts that no member has taken yet
        self._feed = self._attempts()
        self._crew: set[Member] = set()
        self._left: set[asyncio.Task[None]] = set()  # tasks of dismissed members, not ended yet
        self._parts: dict[Batch, Part] = {}
        self._news: asyncio.Future[None] | None = None

    def room(self, depth: int) -> bool:
        return self._ahead < self.workers

    def submit(self, batch: Batch) -> None:
        self._queued.append(batch)
        self._ahead += len(batch)
        self._hire()

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
        if self._timeout is not None:
            self._leave_overdue(self._timeout)
        answers: list[Answer] = [(batch, Outcomes(*part)) for batch, part in self._parts.items()]
        self._parts.clear()
        return answers

    async def close(self) -> None:
        self._queued.clear()
        for member in list(self._crew):
            self._dismiss(member)
        if self._left:
            await asyncio.wait(self._left, timeout=FAREWELL)
        for task in self._left:  # it takes no cancellation: the end of its loop must not wait for it
            asyncio._unregister_task(task)
            task._log_destroy_pending = False  # type: ignore[attr-defined]

    def _hire(self) -> None:
        """As many members as there are attempts for, and as are allowed."""
        loop = asyncio.get_running_loop()
        for _ in range(min(self.workers - len(self._crew), self._ahead)):
            member = Member()
            self._crew.add(member)
            member.task = loop.create_task(self._work(member))

    def _dismiss(self, member: Member) -> None:
        """Whatever its call does now, its outcome is nobody's."""
        member.dismissed = True
        self._crew.discard(member)
        self._left.add(member.task)
        member.task.add_done_callback(self._left.discard)
        member.task.cancel()

    def _leave_overdue(self, timeout: float) -> None:
        """Dismiss the members whose call takes too long, and hire others in their place."""
        now = clock()
        overdue = [member for member in self._crew if now - member.began >= timeout]
        for member in overdue:
            failure = Failure(TaskTimeoutError(timeout), TaskTimeoutError)
            self._record(member.batch, member.position, None, now - member.began, failure)
            self._dismiss(member)
        if overdue:
            self._hire()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _record(
        self, batch: Batch, position: int, value: Any, seconds: float, failure: Failure | None
    ) -> None:
        part = self._parts.get(batch)
        if part is None:
            part = self._parts[batch] = Part([], [], {}, [])
            self._wake()
        part.positions.append(position)
        part.values.append(value)
        part.seconds.append(seconds)
        if failure is not None:
            part.failures[position] = failure

    def _attempts(self) -> Iterator[tuple[Batch, int, Any]]:
        """The attempts of all batches, in order; shared by the crew."""
        while True:
            while self._queued:
                batch = self._queued.popleft()
                for position, call in enumerate(batch.calls):
                    self._ahead -= 1
                    yield batch, position, call
            yield NOTHING

    async def _work(self, member: Member) -> None:
        """The life of a crew member."""
        func = self._func
        feed = self._feed
        task = asyncio.current_task()
        assert task is not None
        turn = 0
        try:
            while (attempt := next(feed)) is not NOTHING:
                batch, position, call = attempt
                member.batch = batch
                member.position = position
                failure: Failure | None = None
                value: Any = None
                began = member.began = clock()
                try:
                    value = await (func(*call) if batch.unpack else func(call))
                except BaseException as error:
                    if member.dismissed:
                        return
                    failure = failure_of(error)
                if member.dismissed:
                    return
                self._record(batch, position, value, clock() - began, failure)
                turn += 1
                if task.cancelling():
                    member.began = NEVER
                    await _shed_cancellation(task)
                    if member.dismissed:
                        return
                if turn == YIELD_EVERY:
                    turn = 0
                    member.began = NEVER
                    await asyncio.sleep(0)
        finally:
            self._crew.discard(member)


async def _shed_cancellation(task: asyncio.Task[Any]) -> None:
    """A call has cancelled its own task and is over: the next call is not to find that."""
    while task.cancelling():
        task.uncancel()
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)


NOTHING: tuple[Batch, int, Any] = (Batch([], [], [], False, []), 0, None)
