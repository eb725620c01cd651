"""Calls in processes of our own, one pipe each.

     this process                                worker process
     submit ──▶ Channel ═══════ socket ═══════▶  loads, call_batch
     collect ◀── Channel ═══════ socket ═══════  its outcomes, pickled by itself
             ◀── Slot ── shared memory ────────  what it has in hand

Workers share nothing with each other: a worker that dies takes its one task with it, and is
replaced.  This side never blocks on a pipe, neither reading nor writing, so no worker can make it
hang.
"""

from __future__ import annotations

import multiprocessing
import selectors
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from typing import Any

from .. import _wire
from .._call import clock
from .._channel import NAP, Channel
from .._fork import this_process
from .._processes import (
    FAREWELL,
    Glance,
    end_process,
    hopeless,
    refusals_named,
    refuse_daemons,
    stillborn_error,
    tells_of_death,
    uninterrupted,
)
from .._task import Batch, Failure, Outcomes, Unrun
from ..errors import (
    TaskManagerError,
    TaskTimeoutError,
    TransportError,
    WorkerDiedError,
    WorkerStartError,
)
from . import Answer, Orders, cores
from ._slot import SharedSlot, start_with_slot
from ._worker import GOODBYE, READY, Report, work

COMING_UP = 20.0  # seconds that a worker may take to be ready, at least; where `task_timeout` is set
HANGING = 2  # workers in a row that are not ready by then; then there is no hope
FRUITLESS = 3  # deaths of workers that had taken a task and not begun a call; then it has its error


class Held:
    """A batch in the hands of a worker.

    positions: Which attempts of the batch were sent.
    base: The worker's number of the first of them; it numbers its calls from 0.
    done: How many of them have come back.
    """

    __slots__ = ("base", "batch", "done", "positions")

    def __init__(self, batch: Batch, positions: Sequence[int], base: int) -> None:
        self.batch = batch
        self.positions = positions
        self.base = base
        self.done = 0


class Worker:
    """What this process knows of one worker process. The first batch held is the one in its hands."""

    def __init__(self, process: BaseProcess, channel: Channel, slot: SharedSlot) -> None:
        self.process = process
        self.channel = channel
        self.slot = slot
        self.held: deque[Held] = deque()
        self.sent = 0  # attempts, ever
        self.ready = False
        self.refusal = ""  # why it cannot work, in its own words or in ours
        self.began = clock()
        self.pace = 0.0  # seconds a call, in its last report

    @property
    def busy(self) -> bool:
        """It tells of each call, and has enough to do to be heard later."""
        return (
            self.channel.little
            and len(self.held) > 1
            and len(self.held[1].positions) * self.pace >= 2 * NAP
        )


class ProcessRunner:
    sharing = 1
    calls_here = False

    def __init__(self, func: Callable[..., Any], orders: Orders) -> None:
        refuse_daemons()
        self.workers = self._most = orders.workers
        self._timeout = orders.task_timeout
        self._context = multiprocessing.get_context(orders.start_method)
        self._func = _wire.pack_object(func, self._context.get_start_method())
        self._crew: list[Worker] = []
        self._load = 0
        self._answers: list[Answer] = []
        with refusals_named("worker process"):
            self._selector = selectors.DefaultSelector()
        self._stillborn = self._hanging = 0
        self._fruitless: dict[int, int] = {}  # deaths by the index of a task that they were about
        self._glance = Glance()
        self._owner = this_process()

    # ------------------------------------------------------------------ the verbs

    def room(self, depth: int) -> bool:
        return not self._answers and self._load < self._most * depth

    def submit(self, batch: Batch) -> None:
        column, failures = _wire.pack_calls(batch.calls, batch.unpack)
        positions: Sequence[int] = range(len(batch))
        if failures:
            self._answers.append((batch, _failed(failures)))
            positions = [position for position in positions if position not in failures]
        # What may have killed a worker before it began travels alone, so that no neighbour pays for it.
        suspect = not self._fruitless.keys().isdisjoint(batch.indices)
        step = 1 if suspect else len(batch)
        for first in range(0, len(positions), step):
            part = slice(first, first + step)
            self._hand_over(batch, positions[part], column._replace(cells=column.cells[part]))

    def collect(self, timeout: float) -> list[Answer]:
        if self._crew and all(worker.busy for worker in self._crew):
            time.sleep(min(NAP, timeout))
        ready = self._selector.select(0.0 if self._answers else timeout)
        ended: list[Worker] = []
        for key, events in ready:
            worker: Worker = key.data
            if worker in ended:
                continue
            if key.fileobj is worker.channel:
                if events & selectors.EVENT_WRITE:
                    self._send(worker, b"")
                self._read(worker)
            if key.fileobj is not worker.channel or worker.channel.ended:
                ended.append(worker)
        ended += [worker for worker in self._glance.dead(self._crew) if worker not in ended]
        for worker in ended:
            self._bury(worker)
        if self._timeout is not None:
            self._end_overdue(self._timeout)
            self._end_hanging(self._timeout)
        answers, self._answers = self._answers, []
        return answers

    def close(self) -> None:
        if self._owner is not this_process():  # a copy in a forked child: nothing in it is its own
            return
        with uninterrupted():
            for worker in self._crew:
                if worker.held:
                    worker.process.kill()
                worker.channel.send(GOODBYE)
                worker.channel.close()
            deadline = clock() + FAREWELL  # of all together
            for worker in self._crew:
                end_process(worker.process, max(0.0, deadline - clock()))
                worker.slot.close()
            self._crew.clear()
            self._selector.close()

    # ------------------------------------------------------------------ workers come and go

    def _hand_over(self, batch: Batch, positions: Sequence[int], column: _wire.Column) -> None:
        """Give these attempts of the batch to one worker."""
        worker = self._choose()
        worker.held.append(Held(batch, positions, worker.sent))
        worker.sent += len(positions)
        self._load += 1
        self._send(worker, _wire.dumps((batch.unpack, *column)))

    def _choose(self) -> Worker:
        """The worker with the least to do; a new one while all are busy and there may be more."""
        least = min(self._crew, key=lambda worker: len(worker.held), default=None)
        if least is None or (least.held and len(self._crew) < self._most):
            try:
                return self._hire()
            except WorkerStartError:
                if least is None:
                    raise
                self._most = len(self._crew)  # the system has no room for more
        return least

    def _hire(self) -> Worker:
        with uninterrupted(), refusals_named("worker process"):
            process, pipe, slot = start_with_slot(
                self._context, work, self._func, name="task_manager-worker"
            )
            try:
                worker = Worker(process, Channel(pipe), slot)
                self._selector.register(worker.channel, selectors.EVENT_READ, worker)
                if tells_of_death(self._context):
                    self._selector.register(process.sentinel, selectors.EVENT_READ, worker)
            except BaseException:  # it has no owner yet
                pipe.close()
                process.kill()
                end_process(process, FAREWELL)
                slot.close()
                raise
            self._crew.append(worker)
        return worker

    def _end_hanging(self, timeout: float) -> None:
        """Kill the workers that do not come up, as in an import that never ends.

        A slow import is no fault: each has COMING_UP seconds, or `task_timeout` if that is more, and in
        proportion more where so many come up at once that they wait for each other's processors.
        """
        coming = [worker for worker in self._crew if not worker.ready]
        limit = max(timeout, COMING_UP) * max(1.0, len(coming) / cores())
        for worker in coming:
            if clock() - worker.began >= limit:
                worker.refusal = (
                    f"a worker process was not ready after {limit:g} s. If it needs longer, as for its "
                    "imports, set a larger task_timeout: that holds for this as well"
                )
                worker.process.kill()
                self._bury(worker, TaskTimeoutError(timeout))

    def _end_overdue(self, timeout: float) -> None:
        """Kill the workers whose call takes too long."""
        now = clock()
        for worker in list(self._crew):
            number = int(worker.slot[0])  # first: the next call writes its beginning before its number
            if worker.held and now - worker.slot[1] >= timeout:
                worker.process.kill()
                self._bury(worker, TaskTimeoutError(timeout), number)

    def _bury(
        self, worker: Worker, reason: TaskManagerError | None = None, overdue: int | None = None
    ) -> None:
        """A worker is dead: charge the task in its hands, give the others back.

        reason: Why it was killed by us; None if it died by itself.
        overdue: The number of the call that it was killed for, as it may have gone on to the next one.
        """
        self._crew.remove(worker)
        self._selector.unregister(worker.channel)
        if tells_of_death(self._context):
            self._selector.unregister(worker.process.sentinel)
        pid = worker.process.pid
        exitcode = end_process(worker.process, FAREWELL)
        error = reason or WorkerDiedError(pid, exitcode)
        try:
            self._read(worker)  # what it sent before it died
            in_hand = int(worker.slot[0]) if overdue is None else overdue
            if worker.ready and reason is None:
                in_hand = self._blame(worker, in_hand)
            for held in worker.held:
                self._load -= 1
                self._charge(held, in_hand, error)
        finally:
            worker.channel.close()
            worker.slot.close()
        if not worker.ready:
            self._count_stillborn(worker, exitcode)

    def _blame(self, worker: Worker, in_hand: int) -> int:
        """The number of the call that this death is charged to, if it is one that is held.

        A worker that dies before it has begun a call may have died of receiving it, as one that is too
        large for it.  Of that nobody could say which of the batch it was, and it might be chance.
        """
        if not worker.held or worker.held[0].done or in_hand >= worker.held[0].base:
            return in_hand
        held = worker.held[0]
        indices = [held.batch.indices[position] for position in held.positions]
        for index in indices:
            self._fruitless[index] = self._fruitless.get(index, 0) + 1
        return held.base if self._fruitless[indices[0]] >= FRUITLESS else in_hand

    def _charge(self, held: Held, number: int, error: TaskManagerError) -> None:
        """The call of this number, if it is one of these, has the error; the others are not run."""
        unrun = list(held.positions[held.done :])
        in_hand = number - held.base
        if held.done <= in_hand < len(held.positions):
            charged = held.positions[in_hand]
            self._fruitless.pop(held.batch.indices[charged], None)
            unrun.remove(charged)
            self._answers.append((held.batch, _failed({charged: Failure(error, type(error))})))
        if unrun:
            self._answers.append((held.batch, Unrun(unrun)))

    def _count_stillborn(self, worker: Worker, exitcode: int | None) -> None:
        """This one never came to work: others go on without it, and where none works that is the end."""
        if worker.refusal:
            self._hanging += 1
        else:
            self._stillborn += 1
        if self._hanging < HANGING and not hopeless(self._stillborn, exitcode):
            return
        if any(other.ready for other in self._crew):
            self._most = len(self._crew)
        elif worker.refusal:
            raise WorkerStartError(worker.refusal)
        else:
            method = self._context.get_start_method()
            raise stillborn_error("worker processes", exitcode, method)

    # ------------------------------------------------------------------ pipes

    def _send(self, worker: Worker, frame: bytes) -> None:
        """Send as much as goes at once; the selector says when there is room for the rest."""
        was_waiting = worker.channel.unsent
        worker.channel.send(frame)
        if worker.channel.unsent != was_waiting:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE * bool(worker.channel.unsent))
            self._selector.modify(worker.channel, events, worker)

    def _read(self, worker: Worker) -> None:
        for frame in worker.channel.receive():
            if not worker.ready:
                if frame != READY:
                    worker.refusal = _wire.loads(frame)
                    if not any(other.ready for other in self._crew):
                        raise WorkerStartError(worker.refusal)
                    continue
                worker.ready = True
                self._stillborn = self._hanging = 0
                continue
            self._take(worker, Report(*_wire.loads(frame)))

    def _take(self, worker: Worker, report: Report) -> None:
        held = worker.held[0]
        if not report.seconds:
            self._answers.append((held.batch, Unrun(held.positions[held.done :])))
            self._let_go(worker)
            return
        first = held.done
        held.done += len(report.seconds)
        positions = held.positions[first : held.done]
        failures = {
            held.positions[position]: _wire.unpack_failure(_wire.ErrorCell(*cell))
            for position, cell in report.failures.items()
        }
        if self._fruitless:
            for position in positions:
                self._fruitless.pop(held.batch.indices[position], None)
        values = report.cells
        if not report.plain:
            values = []
            for position, cell in zip(positions, report.cells, strict=True):
                value = None
                try:
                    value = _wire.unpack_value(cell)
                except TransportError as error:
                    failures.setdefault(position, Failure(error, TransportError))
                values.append(value)
        worker.pace = sum(report.seconds) / len(report.seconds)
        if held.done == len(held.positions):
            self._let_go(worker)
        outcomes = Outcomes(positions, values, failures, report.seconds, report.aside)
        self._answers.append((held.batch, outcomes))

    def _let_go(self, worker: Worker) -> None:
        """All of the batch in its hands has come back."""
        worker.held.popleft()
        self._load -= 1


def _failed(failures: dict[int, Failure]) -> Outcomes:
    """Outcomes of calls that were not made, or not ended."""
    return Outcomes(list(failures), [None] * len(failures), failures, [])
