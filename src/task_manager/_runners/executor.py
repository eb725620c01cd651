"""Calls in an executor of concurrent.futures: one that was passed in, or one that a function makes.

     caller's thread                         the executor, wherever it works
     submit ──▶ parts ──▶ executor.submit ─▶ make_calls(parcel)
     collect ◀── outbox (SimpleQueue) ◀───── done-callbacks of the futures

All that is asked of an executor is `submit`.  The outcomes of a parcel come home together, when its last
call is over.  It is not known at which call an executor has lost a parcel: see `_rules/losses.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from .._call import NEVER, TOO_LONG, clock
from .._platform import this_process
from .._processes.channel import GarbageError
from .._rules.losses import Losses
from .._stop import Stop
from .._task import Batch, Failure, Outcomes, Unrun
from ..errors import ExecutorError, WorkerDiedError, WorkerStartError
from . import Answer, NotBegun, Orders
from .packed import Terms, Whereabouts, forget, make_calls
from .parcel import Function, Parcel
from .pools import Pool

MOST_FAILED_STARTS = 2  # executors in a row that break before their first call is made
MOST_CANCELLED = 100  # batches in a row that somebody else has cancelled
TIME_TO_BREAK = 5.0  # seconds in which all that a broken executor had comes back

Arrival = tuple[Parcel, Future[Any]]
Lost = tuple[Parcel, BaseException]


class Part(NamedTuple):
    """Attempts that are not given to the executor yet. alone: They are one, to run with no other."""

    batch: Batch
    positions: Sequence[int]
    alone: bool


class ExecutorRunner:
    sharing = 1
    calls_here = False
    wakes = True

    def __init__(self, func: Callable[..., Any], orders: Orders) -> None:
        assert orders.executor is not None
        self._pool = Pool(orders.executor)
        self._wanted = orders.workers if orders.limited else None
        self._otherwise = orders.workers
        self._look_at_workers()
        self._function = Function(func, orders.state, self._pool.has_script, self.workers)
        self._terms = Terms(max(TOO_LONG, 2 * orders.worth), orders.task_timeout)
        self._outbox: SimpleQueue[Arrival | None] = SimpleQueue()  # None: a `wake`
        self._parts: deque[Part] = deque()
        self._in_flight: dict[Parcel, Future[Any]] = {}
        self._answers: list[Answer] = []
        self._losses = Losses()
        self._lost: list[Lost] = []  # and nothing decided yet
        self._broken: BaseException | None = None
        self._failed_starts = 0  # in a row
        self._cancelled = 0  # in a row
        self._end: Exception | None = None  # why there is no going on
        self._workers: dict[Whereabouts, int] = {}  # their numbers
        self._depth = 1
        self._stop = Stop()
        self._owner = this_process()
        self._untaken: list[tuple[Batch, Sequence[int]]] = []  # when this was closed

    # ------------------------------------------------------------------ the verbs

    def _look_at_workers(self) -> None:
        """How many there are now: a cluster may grow from run to run."""
        told = self._pool.workers
        self.workers = self._wanted or told or self._otherwise
        # It keeps to the limit by itself: the next batch may wait there, so that no worker waits for it.
        self._queues = told is not None and told <= self.workers

    def follow(self, stop: Stop) -> None:
        self._look_at_workers()
        self._stop = stop
        stop.follow(self._hear_stop)

    def room(self, depth: int) -> bool:
        self._depth = depth
        return not (self._parts or self._answers) and len(self._in_flight) < self.workers * depth

    def submit(self, batch: Batch) -> None:
        positions = range(len(batch))
        for part, alone in self._losses.parts(batch.indices):
            self._parts.append(Part(batch, positions[part], alone))
        self._hand_out()

    def collect(self, timeout: float) -> list[Answer]:
        for parcel, future in self._arrivals(0.0 if self._answers or self._end else timeout):
            self._take_in(parcel, future)
        if self._broken is not None:
            self._take_in_the_broken()
            self._judge(self._lost, self._broken)
            self._renew(self._broken)
        else:
            for lost in self._lost:
                self._judge([lost], lost[1])
        self._lost = []
        if self._stop.asked:
            self._hand_back()
        self._hand_out()
        answers, self._answers = self._answers, []
        if self._end is not None and not answers:
            raise self._end
        return answers

    def begins(self) -> Iterable[tuple[int, float]]:
        """Of calls that go on in this process; of others nobody knows."""
        found = []
        for parcel in tuple(self._in_flight):
            position, began = parcel.slot
            if position >= 0 and began != NEVER and parcel.slot == [position, began]:
                found.append((parcel.indices[int(position)], began))
        return found

    def wake(self) -> None:
        self._outbox.put(None)

    def close(self) -> None:
        if self._owner is not this_process():  # a copy in a forked child: its threads are not here
            return
        busy = False
        for parcel, future in list(self._in_flight.items()):
            parcel.leave_alone()
            if future.cancel() and self._pool.cancels_what_waits:
                self._untaken.append((parcel.batch, parcel.positions))
            busy |= not future.done()
        self._untaken += [(part.batch, part.positions) for part in self._parts]
        self._in_flight.clear()
        self._parts.clear()
        if self._function.has_states:
            self._pool.call_everywhere(forget, self._function.name)
        self._pool.close(busy)
        self._function.close()

    def not_begun(self) -> NotBegun:
        """What was here still, and what the executor let us take back."""
        return self._untaken

    # ------------------------------------------------------------------ a stop

    def _hear_stop(self) -> None:
        """In whatever thread. What is called in this process begins no further call."""
        for parcel in tuple(self._in_flight):
            parcel.leave_alone()
        self.wake()

    def _hand_back(self) -> None:
        """What was not given out comes home from here; what an executor lets go of, by its future."""
        self._answers += [(part.batch, Unrun(part.positions)) for part in self._parts]
        self._parts.clear()
        for parcel, future in list(self._in_flight.items()):
            parcel.leave_alone()
            if self._pool.cancels_what_waits:
                future.cancel()

    # ------------------------------------------------------------------ to the executor

    def _hand_out(self) -> None:
        """Give the parts out, as far as the limit allows; a suspect when nothing else is in flight."""
        while self._parts and self._end is None:
            most = self.workers * (self._depth if self._queues else 1)
            part = self._parts[0]
            suspected = part.alone or any(parcel.alone for parcel in self._in_flight)
            if len(self._in_flight) >= (1 if suspected else most):
                return
            self._parts.popleft()
            self._send(part)

    def _send(self, part: Part) -> None:
        parcel = Parcel(*part, self._function, self._terms)
        parcel.sent = clock()
        try:
            future = self._pool.submit(make_calls, parcel)
        except BrokenExecutor as error:
            self._answers.append((part.batch, Unrun(part.positions)))
            self._broken = error
        except (ExecutorError, WorkerStartError) as error:
            self._answers.append((part.batch, Unrun(part.positions)))
            self._end = error
        else:
            self._in_flight[parcel] = future
            future.add_done_callback(partial(_arrived, self._outbox, parcel))

    # ------------------------------------------------------------------ from the executor

    def _arrivals(self, timeout: float) -> list[Arrival]:
        """What lies in the outbox; waits for the first."""
        arrived: list[Arrival | None] = []
        with suppress(Empty):
            arrived.append(self._outbox.get(timeout=timeout))
            while True:
                arrived.append(self._outbox.get_nowait())
        return [arrival for arrival in arrived if arrival is not None]

    def _take_in(self, parcel: Parcel, future: Future[Any]) -> None:
        if self._in_flight.pop(parcel, None) is None:
            return
        try:
            came = future.result()
        except CancelledError as error:
            if self._stop.asked:
                self._answers.append((parcel.batch, Unrun(parcel.positions, self._begun(parcel, error))))
            else:
                self._take_in_cancelled(parcel, error)
        except BaseException as error:  # of the executor: what our own function meets, it answers
            if isinstance(error, BrokenExecutor):
                self._broken = error
            self._lost.append((parcel, error))
        else:
            try:
                answers = parcel.opened(came, self._number_of)
            except WorkerStartError as refusal:
                self._end = self._end or refusal
                self._answers.append((parcel.batch, Unrun(parcel.positions)))
                return
            except GarbageError as error:
                self._lost.append((parcel, error))
                return
            if self._function.refusal is not None:
                self._end = self._end or self._function.refusal
                answers = [(parcel.batch, Unrun(parcel.positions))]
            self._failed_starts = self._cancelled = 0
            self._answers += answers
            if self._losses:
                self._losses.clear(parcel.indices)

    def _take_in_cancelled(self, parcel: Parcel, error: BaseException) -> None:
        """By somebody else, who may do it for ever: no task is charged, but the run ends."""
        self._answers.append((parcel.batch, Unrun(parcel.positions, self._begun(parcel, error))))
        self._cancelled += 1
        if self._cancelled >= MOST_CANCELLED:
            self._end = self._end or ExecutorError(
                f"{self._pool.name} makes no call: the last {MOST_CANCELLED} batches were cancelled, "
                "and not by this manager"
            )

    def _number_of(self, where: Whereabouts) -> int:
        return self._workers.setdefault(where, len(self._workers))

    # ------------------------------------------------------------------ losses

    def _take_in_the_broken(self) -> None:
        """All that it had comes back, some of it with outcomes."""
        deadline = clock() + TIME_TO_BREAK
        while self._in_flight and clock() < deadline:
            for parcel, future in self._arrivals(max(0.0, deadline - clock())):
                self._take_in(parcel, future)
        silent = BrokenExecutor("it is broken, and does not tell what became of its calls")
        self._lost += [(parcel, silent) for parcel in self._in_flight]
        self._in_flight.clear()

    def _judge(self, lost: Sequence[Lost], error: BaseException) -> None:
        """Charge one task at most for what was lost together; what else was is run once more."""
        never = self._pool.why_not_ready() if lost else self._broken
        charged = None
        if never is not None:
            self._note_failed_start(never)
        elif self._pool.ours or self._broken is None:
            alone = len(lost) == 1 and lost[0][0].alone
            indices = [index for parcel, _ in lost for index in parcel.indices]
            charged = self._losses.charge(indices, alone)
        for parcel, _ in lost:
            if charged is None:
                begun = parcel.positions if never is None else ()
                self._answers.append((parcel.batch, Unrun(parcel.positions, begun)))
                continue
            died = WorkerDiedError(None, None)
            died.__cause__ = error.with_traceback(None)  # lines of the executor's, which say nothing
            failures = {parcel.positions[0]: Failure(died, WorkerDiedError)}
            self._answers.append((parcel.batch, Outcomes(parcel.positions, [None], failures, [])))

    def _begun(self, parcel: Parcel, error: BaseException) -> Sequence[int]:
        """What may have been called of one that has come back for this reason."""
        never = isinstance(error, CancelledError) and self._pool.cancels_what_waits
        return () if never else parcel.positions

    def _note_failed_start(self, error: BaseException) -> None:
        """It has never made a call. One that is ours and broken has one more chance."""
        self._failed_starts += 1
        if self._broken is None or self._failed_starts >= MOST_FAILED_STARTS:
            end = WorkerStartError(
                f"{self._pool.name} comes up to no call: {type(error).__name__}: {error}. "
                "task_manager must be installed where its workers run, and a script that starts "
                "processes needs `if __name__ == '__main__':`"
            )
            end.__cause__ = error
            self._end = self._end or end

    def _renew(self, error: BaseException) -> None:
        self._broken = None
        self._workers.clear()
        if self._pool.ours:
            self._pool.discard()
        else:
            self._end = self._end or self._broken_for_good(error)

    def _broken_for_good(self, error: BaseException) -> ExecutorError:
        broken = ExecutorError(
            f"{self._pool.name} is broken, and makes no call any more ({error}). Pass a function that "
            "makes one, as execution_mode=lambda: ProcessPoolExecutor(4): then a broken one is made "
            "anew, and only the task that ends its worker fails"
        )
        broken.__cause__ = error
        return broken


def _arrived(outbox: SimpleQueue[Arrival | None], parcel: Parcel, future: Future[Any]) -> None:
    """In a thread of the executor's. Knows no runner, so that a dropped one can be collected."""
    outbox.put((parcel, future))
