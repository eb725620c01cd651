"""Coroutines in the caller's event loop.

A worker is a coroutine that takes attempts from one queue, one by one, so that as many as allowed wait
at the same time, however the batches are cut.  One that finds nothing ends, and a new one is started
with the next batch: an asyncio.Task for every attempt would cost more than most attempts do.

Each attempt has a context of its own, a copy of that of the caller of `start` or `start_async`: a
worker whose call has set a context variable makes no other call, and another one is started.

A worker that fails in code of ours, as where memory has run out, has dropped its attempt: `collect`
finds out which from what is queued, current, and recorded, and queues it again.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from contextvars import copy_context
from operator import is_, length_hint
from types import CoroutineType
from typing import Any

from .._call import LOOK_AGAIN, NEVER, clock, failure_of, refuse_coroutine
from .._signals import comes_from_a_handler, makes_calls
from .._stop import Stop
from .._task import Batch, Failure, Outcomes, Unrun
from ..errors import TaskTimeoutError
from . import Answer, NotBegun, Orders
from .async_state import StateOfLoop
from .async_worker import AsyncWorker, Part, heard, shed_cancellation
from .opened import NOTHING, Opened
from .places import Places

YIELD_EVERY = 64  # calls of one worker, after which others of the loop get a turn
TIME_TO_END = 0.5  # seconds that closing waits for calls to take their cancellation
TOO_OFTEN = 3  # times that workers fail with the same attempt, or without any; then that is an error


class AsyncRunner:
    wakes = True

    def __init__(self, func: Callable[..., Coroutine[Any, Any, Any]], orders: Orders) -> None:
        self.workers = self.sharing = orders.workers
        self._timeout = orders.task_timeout
        self._look = 0.0  # when a call may be overdue
        self._state = StateOfLoop(func, orders.state, self.wake)
        self._context = copy_context()
        self._variables = list(self._context.values())
        self._queued: deque[Opened] = deque()
        self._behind = 0  # attempts of the batches that are queued
        self._opened = Opened.of(NOTHING, [], [])
        self._working: set[AsyncWorker] = set()
        self._places = Places()
        self._left: set[asyncio.Task[None]] = set()  # of workers that are left alone, not ended yet
        self._parts: dict[Batch, Part] = {}
        self._open: dict[Batch, list[int]] = {}  # positions whose outcomes are delivered
        self._dropped: Counter[tuple[Batch, int]] = Counter()
        self._given_up: list[Answer] = []  # what workers failed with, TOO_OFTEN times
        self._failed = False  # a worker has failed in code of ours
        self._end: BaseException | None = None  # what a signal's handler has raised in a call
        self._failed_looks = 0  # looks in a row that found such workers, and nothing else
        self._news: asyncio.Future[None] | None = None
        self._untaken: list[tuple[Batch, list[int]]] = []  # when this was closed
        self._stop = Stop()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._kept_back: deque[tuple[Batch, int, Any]] = deque()  # from the workers, as it is stopped

    def follow(self, stop: Stop) -> None:
        self._stop = stop
        stop.follow(self._hear_stop)

    def room(self, depth: int) -> bool:
        return self._ahead < self.workers

    def submit(self, batch: Batch) -> None:
        self._open[batch] = []
        self._queued.append(Opened.of(batch, range(len(batch)), batch.calls))
        self._behind += len(batch)
        self._start_workers()

    async def collect(self, timeout: float) -> list[Answer]:
        if not self._parts and not self._failed and self._end is None:
            if self._timeout is not None:
                timeout = min(timeout, max(0.0, self._look - clock()))
            await self._wait(timeout)
        if end := self._end or self._state.error:
            raise end
        if self._timeout is not None and clock() >= self._look:
            self._leave_overdue(self._timeout)
        if self._failed or not self._parts:
            self._take_up_what_was_dropped()
        self._start_workers()
        parts, self._parts = self._parts, {}
        answers, self._given_up = self._given_up, []
        answers += [(batch, Outcomes(*part)) for batch, part in parts.items() if part.positions]
        if self._stop.asked:
            answers += self._give_back()
        for batch, outcomes in answers:
            self._deliver(batch, outcomes.positions)
        return answers

    def begins(self) -> list[tuple[int, float]]:
        return [
            (worker.batch.indices[worker.position], worker.began)
            for worker in self._working
            if worker.batch is not NOTHING and worker.began != NEVER
        ]

    async def close(self) -> None:
        self._untaken += [
            (batch, [position])
            for one in (self._opened, *self._queued)
            for batch, position in one.untaken()
            if (batch, position) not in self._dropped
        ]
        self._untaken += [(batch, [position]) for batch, position, _ in self._kept_back]
        self._queued.clear()
        self._behind = 0
        self._opened = Opened.of(NOTHING, [], [])
        for worker in list(self._working):
            self._leave_alone(worker)
        if self._left:
            await asyncio.wait(self._left, timeout=TIME_TO_END)
        for task in self._left:  # it takes no cancellation: the end of its loop must not wait for it
            asyncio._unregister_task(task)
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        await self._state.close()

    def not_begun(self) -> NotBegun:
        """Those that no worker had taken when this was closed."""
        return self._untaken

    async def _wait(self, timeout: float) -> None:
        """Until there is news, or for so many seconds."""
        self._news = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait([self._news], timeout=timeout)
        finally:
            self._news = None

    def wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _hear_stop(self) -> None:
        """In whatever thread, and in this one between any two steps, as in a call or in a handler."""
        if threading.get_ident() == self._thread:
            self._keep_back()
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self.wake)

    def _keep_back(self) -> None:
        """Take from the workers what none has taken yet. To be called in the loop's thread."""
        for one in (self._opened, *self._queued):
            self._kept_back.extend(one.feed)

    def _give_back(self) -> list[Answer]:
        """What no worker has taken. Here nothing is between two steps, so nothing is missed."""
        self._keep_back()
        self._queued.clear()
        self._behind = 0
        unrun: dict[Batch, list[int]] = {}
        while self._kept_back:
            batch, position, _ = self._kept_back.popleft()
            unrun.setdefault(batch, []).append(position)
        return [(batch, Unrun(positions)) for batch, positions in unrun.items()]

    @property
    def _ahead(self) -> int:
        """Attempts that no worker has taken yet."""
        return length_hint(self._opened.rest) + self._behind

    def _more(self) -> bool:
        """Whether there is an attempt to take; where a batch is through, the next one is opened."""
        while not length_hint(self._opened.rest):
            if not self._queued:
                return False
            self._opened = self._queued.popleft()
            self._behind -= len(self._opened.positions)
        return True

    def _start_workers(self) -> None:
        """As many workers as there are attempts for, and as are allowed."""
        if not self._ahead or not self._state.begin(self._context):
            return
        loop = asyncio.get_running_loop()
        for _ in range(min(self.workers - len(self._working), self._ahead)):
            worker = AsyncWorker(self._places.take())
            working = self._work(worker)
            self._working.add(worker)
            try:
                worker.task = self._context.run(loop.create_task, working)
            except BaseException:
                self._remove(worker)
                working.close()
                raise
            worker.task.add_done_callback(heard)

    def _remove(self, worker: AsyncWorker) -> None:
        """It makes no more calls, and its number is free."""
        if worker in self._working:
            self._working.discard(worker)
            self._places.give_back(worker.number)

    def _leave_alone(self, worker: AsyncWorker) -> None:
        """Cancel its call. Whatever that does now, its outcome is thrown away."""
        worker.left_alone = True
        self._remove(worker)
        self._left.add(worker.task)
        worker.task.add_done_callback(self._left.discard)
        worker.task.cancel()

    def _leave_overdue(self, timeout: float) -> None:
        """Leave the workers alone whose call takes too long; others are started in their place."""
        now = clock()
        for worker in [worker for worker in self._working if now - worker.began >= timeout]:
            failure = Failure(TaskTimeoutError(timeout), TaskTimeoutError)
            self._record(worker, None, now - worker.began, failure)
            self._leave_alone(worker)
        # A call that begins after this look is not due before the one that began first.
        earliest = min((worker.began for worker in self._working), default=NEVER)
        self._look = max(min(earliest, now) + timeout, now + LOOK_AGAIN)

    def _take_up_what_was_dropped(self) -> None:
        """Queue the attempts of workers that have failed again; TOO_OFTEN, and that is their error."""
        self._failed = False
        errors: list[BaseException] = []
        for worker in [worker for worker in self._working if worker.task.done()]:
            self._remove(worker)
            error = asyncio.CancelledError() if worker.task.cancelled() else worker.task.exception()
            if error is not None:
                errors.append(error)
        if not errors:
            return
        held = {(worker.batch, worker.position) for worker in self._working}
        held.update(*(one.untaken() for one in (self._opened, *self._queued)))
        held.update((batch, position) for batch, position, _ in self._kept_back)
        for batch, delivered in self._open.items():
            recorded = self._parts[batch].positions if batch in self._parts else ()
            for position in set(range(len(batch))).difference(delivered, recorded):
                attempt = (batch, position)
                if attempt in held:
                    continue
                self._dropped[attempt] += 1
                if self._dropped[attempt] >= TOO_OFTEN:
                    failures = {position: Failure(errors[-1], type(errors[-1]))}
                    self._given_up.append((batch, Outcomes([position], [None], failures, [])))
                else:
                    self._queued.append(Opened.of(batch, [position], [batch.calls[position]]))
        self._behind = sum(len(one.positions) for one in self._queued)
        self._failed_looks = 0 if self._parts or self._given_up else self._failed_looks + 1
        for error in errors:
            serious = not issubclass(type(error), (Exception, asyncio.CancelledError))
            if serious or self._failed_looks > TOO_OFTEN:
                raise error

    def _record(self, worker: AsyncWorker, value: Any, seconds: float, failure: Failure | None) -> None:
        """What came of the call of this worker."""
        position = worker.position
        part = self._parts.get(worker.batch)
        if part is None:
            part = self._parts[worker.batch] = Part([], [], {}, [], [], [])
            self.wake()
        try:
            part.values.append(value)
            part.seconds.append(seconds)
            part.began.append(worker.began)
            part.workers.append(worker.number)
            if failure is not None:
                part.failures[position] = failure
            part.positions.append(position)
        except BaseException:  # no half a record, which those of the next ones would follow
            recorded = len(part.positions)
            del part.values[recorded:], part.seconds[recorded:]
            del part.began[recorded:], part.workers[recorded:]
            if position not in part.positions:
                part.failures.pop(position, None)
            raise

    def _deliver(self, batch: Batch, positions: Sequence[int]) -> None:
        """The runner is done with these."""
        delivered = self._open[batch]
        delivered += positions
        if len(delivered) == len(batch):
            del self._open[batch]

    @makes_calls
    async def _work(self, worker: AsyncWorker) -> None:
        """The life of a worker."""
        func = self._state.func
        variables = self._variables
        count = len(variables)
        turn = 0
        try:
            task = asyncio.current_task()
            assert task is not None
            while self._more():
                for batch, position, call in self._opened.feed:
                    worker.batch = batch
                    worker.position = position
                    failure: Failure | None = None
                    value: Any = None
                    began = worker.began = clock()
                    try:
                        value = await (func(*call) if batch.unpack else func(call))
                    except BaseException as error:
                        if worker.left_alone:
                            return
                        if comes_from_a_handler(error):
                            raise
                        failure = failure_of(error)
                    if worker.left_alone:
                        return
                    if type(value) is CoroutineType:
                        failure = refuse_coroutine(value, awaited=True)
                        value = None
                    self._record(worker, value, clock() - began, failure)
                    context = copy_context()
                    if len(context) != count or (
                        count and not all(map(is_, context.values(), variables))
                    ):
                        self._remove(worker)  # `collect`, which the record wakes, starts another
                        return
                    turn += 1
                    if task.cancelling():
                        worker.began = NEVER
                        await shed_cancellation(task)
                        if worker.left_alone:
                            return
                    if turn == YIELD_EVERY:
                        turn = 0
                        worker.began = NEVER
                        await asyncio.sleep(0)
            self._remove(worker)
        except BaseException as error:
            if comes_from_a_handler(error):
                self._end = error  # raised by `collect`: asyncio would keep an Exception to itself
                self.wake()
                return
            if not worker.left_alone:
                self._failed = True
                self.wake()
            raise
        finally:  # errors hold the frames that they came through, and with them this one
            worker.batch = NOTHING
            batch = call = value = failure = context = None  # type: ignore[assignment]
