"""Calls in processes of our own, one pipe each.

     this process                                worker process
     submit ──▶ Channel ═══════ socket ═══════▶  loads, call_batch
     collect ◀── Channel ═══════ socket ═══════  its outcomes, pickled by itself
             ◀── Slot ── shared memory ────────  its current call

Workers share nothing with each other: a worker that dies costs one task its call, and is
replaced.  This side never blocks on a pipe, neither reading nor writing, so no worker can make it
hang.
"""

from __future__ import annotations

import multiprocessing
import selectors
from collections import deque
from collections.abc import Callable
from functools import partial
from time import sleep  # by name: tests of other code put something else into the module
from typing import Any

from .._call import NEVER, clock
from .._platform import this_process, when_ready
from .._processes import wire
from .._processes.attempts import Overdue, Unsent, Worker
from .._processes.channel import NAP, GarbageError, TooLarge
from .._processes.child import (
    TIME_TO_END,
    FailedStarts,
    Glance,
    failed_starts_error,
    not_ready,
    tells_of_death,
    time_to_come_up,
)
from .._processes.files import standard_files_taken
from .._processes.function import pack_object
from .._processes.life import refusals_named, refuse_daemons, uninterrupted
from .._processes.report import refusal_in
from .._processes.worker import GOODBYE, READY, work
from .._rules.suspects import Suspects
from .._stop import Stop
from .._task import Batch, Failure, Outcomes, Unrun
from ..errors import TaskTimeoutError, WorkerDiedError, WorkerStartError
from . import Answer, NotBegun, Orders
from .deaths import charge, given_back, lives_on
from .places import Places


class ProcessRunner:
    sharing = 1
    calls_here = False
    wakes = False

    def __init__(self, func: Callable[..., Any], orders: Orders) -> None:
        refuse_daemons()
        self.workers = self._most = orders.workers
        self._timeout = orders.task_timeout
        self._context = multiprocessing.get_context(orders.start_method)
        self._sentinels_tell = tells_of_death(self._context)
        self._func = pack_object(func, self._context.get_start_method())
        self._running: list[Worker] = []
        self._answers: list[Answer] = []
        with refusals_named("worker process"), standard_files_taken():
            self._selector = selectors.DefaultSelector()
        self._failed_starts = FailedStarts()
        self._suspects: Suspects[int] = Suspects()  # by the index of the task
        self._glance = Glance()
        self._places = Places()
        self._owner = this_process()
        self._parts: deque[Unsent] = deque()  # that no worker has yet
        self._stop = Stop()
        self._run = 0  # its number, from 1: a stop of an earlier one is of no account
        self._ended: list[Worker] = []  # when this was closed

    # ------------------------------------------------------------------ the verbs

    def follow(self, stop: Stop) -> None:
        self._stop = stop
        self._run += 1
        stop.follow(partial(self._tell_workers, self._run))

    def room(self, depth: int) -> bool:
        held = sum(worker.load for worker in self._running)
        return not (self._answers or self._parts) and held < self._most * depth

    def submit(self, batch: Batch) -> None:
        positions = range(len(batch))
        self._parts += [Unsent(batch, positions[part]) for part in self._suspects.parts(batch.indices)]
        self._hand_out()

    def collect(self, timeout: float) -> list[Answer]:
        if self._running and all(worker.busy for worker in self._running):
            sleep(min(NAP, timeout))
        ready = when_ready(self._selector, 0.0 if self._answers else self._patience(timeout))
        ended: list[Worker] = []
        for key, events in ready:
            worker: Worker = key.data
            if worker in ended:
                continue
            if key.fileobj is worker.channel:
                if events & selectors.EVENT_WRITE:
                    self._send(worker)
                self._read(worker)
            if key.fileobj is not worker.channel or worker.gone:
                ended.append(worker)
        ended += [worker for worker in self._glance.dead(self._running) if worker not in ended]
        for worker in ended:
            self._end_dead(worker)
        if self._timeout is not None:
            self._end_overdue(self._timeout)
            self._end_hanging(self._timeout)
        if self._stop.asked:
            self._hand_back()
        self._hand_out()
        answers, self._answers = self._answers, []
        return answers

    def begins(self) -> list[tuple[int, float]]:
        return [begin for worker in self._running for begin in worker.begins()]

    def wake(self) -> None:
        """It would take two more files."""

    def close(self) -> None:
        if self._owner is not this_process():  # a copy in a forked child: nothing in it is its own
            return
        with uninterrupted():
            for worker in self._running:
                if worker.sent:
                    worker.kill()
                worker.channel.send(GOODBYE)
                worker.channel.close()
            deadline = clock() + TIME_TO_END  # of all together
            for worker in self._running:
                worker.end(max(0.0, deadline - clock()))
            self._ended += self._running
            self._running.clear()
            self._selector.close()

    def not_begun(self) -> NotBegun:
        """What no worker had, and what each had before it."""
        found = [(part.batch, part.left) for part in self._parts]
        for batch, outcomes in self._answers:
            if isinstance(outcomes, Unrun):
                found.append((batch, sorted(set(outcomes.positions).difference(outcomes.begun))))
        for worker in self._ended:
            number = int(worker.last_begun)
            found += [(sent.batch, sent.left[len(sent.begun(number)) :]) for sent in worker.sent]
            found += [(unsent.batch, unsent.left) for unsent in worker.unsent]
        return found

    # ------------------------------------------------------------------ a stop

    def _tell_workers(self, run: int) -> None:
        """In whatever thread. A worker that is being started just now is told by `_hand_back`."""
        for worker in tuple(self._running):
            worker.stop(run)

    def _hand_back(self) -> None:
        """What was not sent comes home from here, and the rest by the workers, which make no call of it.

        Those that are not ready yet are not waited for.
        """
        self._answers += [(part.batch, Unrun(part.left)) for part in self._parts]
        self._parts.clear()
        for worker in list(self._running):
            worker.stop(self._run)
            if not worker.ready:
                self._read(worker)  # one that says so after this has seen the line before
            if worker.ready:
                self._answers += [(part.batch, Unrun(part.left)) for part in worker.unsent]
                worker.unsent.clear()
            elif worker.load:
                self._remove(worker)
                worker.kill()
                worker.end()
                self._answers += given_back(worker, None, None, None)
                worker.close()

    # ------------------------------------------------------------------ workers come and go

    def _choose(self) -> Worker:
        """The worker with the least to do; a new one while all are busy and there may be more."""
        least = min(self._running, key=lambda worker: worker.load, default=None)
        if least is None or (least.load and len(self._running) < self._most):
            try:
                return self._start_worker()
            except WorkerStartError:
                if least is None:
                    raise
                self._most = len(self._running)  # the system has no room for more
        return least

    def _start_worker(self) -> Worker:
        with uninterrupted(), refusals_named("worker process"):
            worker = Worker()
            try:
                worker.start(self._context, work, self._func, name="task_manager-worker")
                worker.listen(self._selector, self._sentinels_tell)
            except BaseException:  # it has no owner yet
                worker.kill()
                worker.close()
                raise
            worker.place = self._places.take()
            self._running.append(worker)
        return worker

    def _patience(self, longest: float) -> float:
        """Seconds that may be spent on waiting: not longer than until a call may be due."""
        if self._timeout is None:
            return longest
        began = min((worker.slot[1] for worker in self._running), default=NEVER)
        return min(longest, self._timeout, max(0.0, began + self._timeout - clock()))

    def _end_hanging(self, timeout: float) -> None:
        """Kill the workers that do not come up."""
        coming = [worker for worker in self._running if not worker.ready]
        limit = time_to_come_up(timeout, len(coming))
        for worker in coming:
            if clock() - worker.began >= limit:
                worker.refusal = not_ready("a worker process", limit)
                worker.kill()
                self._end_dead(worker)

    def _end_overdue(self, timeout: float) -> None:
        """Kill the workers whose call takes too long."""
        for worker in list(self._running):
            number = int(worker.slot[0])  # first: the next call writes its beginning before its number
            began = worker.slot[1]
            took = clock() - began
            if not worker.sent or took < timeout:
                continue
            if worker.has_died:  # which a copy of it may hide from us
                self._end_dead(worker)
                continue
            worker.kill()
            error = TaskTimeoutError(timeout)
            self._end_dead(worker, Overdue(number, Failure(error, type(error)), began, took))

    def _end_dead(self, worker: Worker, overdue: Overdue | None = None) -> None:
        """A worker is dead, or of no use any more: charge one task for it at most, give the others back.

        overdue: The call that it was killed for by us; None if it died by itself.
        """
        self._remove(worker)
        number = int(worker.slot[0])
        alive = overdue is None and lives_on(worker)
        worker.end(0.0 if alive else TIME_TO_END)
        try:
            self._read(worker)  # what it sent before it died
            if overdue is not None:  # its worker may have gone on to the next call
                charged = worker.index_of(overdue.number)
                call = (overdue.began, overdue.took)
                self._answers += given_back(worker, charged, overdue.failure, call)
            else:
                last, began = worker.told
                going_on = not alive and began != NEVER
                charged = charge(self._suspects, worker, number if alive else int(last), going_on)
                error = WorkerDiedError(worker.pid, worker.exitcode)
                last_call = (began, clock() - began) if going_on else None
                self._answers += given_back(worker, charged, Failure(error, type(error)), last_call)
        finally:
            worker.close()
        if not worker.ready and self._failed_starts.too_many(worker):
            self._go_on_without(worker)

    def _remove(self, worker: Worker) -> None:
        """It is none of the workers any more."""
        self._running.remove(worker)
        self._places.give_back(worker.place)
        self._selector.unregister(worker.channel)
        if self._sentinels_tell:
            self._selector.unregister(worker.process.sentinel)

    def _go_on_without(self, failed: Worker) -> None:
        """No further worker can be had: those that are ready go on; if there is none, the run ends."""
        if any(other.ready for other in self._running):
            self._most = len(self._running)
        elif failed.refusal:
            raise WorkerStartError(failed.refusal)
        else:
            method = self._context.get_start_method()
            raise failed_starts_error("worker processes", failed.exitcode, method)

    # ------------------------------------------------------------------ pipes

    def _hand_out(self) -> None:
        """Give the parts to workers, two to each at most: many must not wait behind one long call."""
        while self._parts:
            worker = self._choose()
            if worker.load >= 2:
                return
            worker.unsent.append(self._parts.popleft())
            self._send(worker)

    def _send(self, worker: Worker) -> None:
        """Send as much as its pipe takes now; the selector says when there is room for the rest.

        What waits for it is pickled a share at a time, so that no batch is there twice as a whole.
        """
        was_waiting = worker.channel.unsent
        worker.channel.send(b"")
        while worker.unsent and not worker.channel.unsent:
            part = worker.unsent[0]
            share, positions = part.pack()
            if not part.left:
                worker.unsent.popleft()
            if share.failures:
                failures = {positions[place]: failure for place, failure in share.failures.items()}
                self._answers.append((part.batch, _failed(failures)))
                positions = [position for position in positions if position not in failures]
            if positions:
                frame = wire.dumps((self._run, part.batch.unpack, *share.column))
                worker.has_sent(part.batch, positions, len(frame))
                del share
                worker.channel.send(frame)
        if worker.channel.unsent != was_waiting:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE * bool(worker.channel.unsent))
            self._selector.modify(worker.channel, events, worker)

    def _read(self, worker: Worker) -> None:
        if worker.lost:
            return
        try:
            for frame in worker.channel.receive():
                if worker.ready:
                    batch, outcomes = worker.take(frame)
                    if self._suspects and isinstance(outcomes, Outcomes):
                        self._suspects.clear(batch.indices[position] for position in outcomes.positions)
                    self._answers.append((batch, outcomes))
                elif not isinstance(frame, TooLarge) and frame == READY:
                    worker.ready = True
                    self._failed_starts.clear()
                else:
                    worker.refusal = refusal_in(frame)
                    if not any(other.ready for other in self._running):
                        raise WorkerStartError(worker.refusal)
        except GarbageError:
            worker.lost = True


def _failed(failures: dict[int, Failure]) -> Outcomes:
    """Outcomes of calls that were not made."""
    return Outcomes(list(failures), [None] * len(failures), failures, [])
