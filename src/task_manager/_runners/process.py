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
from .._processes.channel import NAP, GarbageError
from .._processes.child import (
    TIME_TO_END,
    not_ready,
    time_to_come_up,
)
from .._processes.life import refuse_daemons
from .._rules.suspects import Suspects
from .._stop import Stop
from .._task import Batch, Failure, Outcomes, Unrun
from ..errors import TaskTimeoutError, WorkerDiedError, WorkerStartError
from . import Answer, NotBegun, Orders
from .deaths import charge, given_back, lives_on, never_begun, not_made
from .worker_processes import WorkerProcesses


class ProcessRunner:
    sharing = 1
    calls_here = False
    wakes = False

    def __init__(self, func: Callable[..., Any], orders: Orders) -> None:
        refuse_daemons()
        self.workers = orders.workers
        self._timeout = orders.task_timeout
        self._processes = WorkerProcesses(func, orders)
        self._answers: list[Answer] = []
        self._suspects: Suspects[int] = Suspects()  # by the index of the task
        self._owner = this_process()
        self._parts: deque[Unsent] = deque()  # that no worker has yet
        self._depth = 1  # batches that one worker may hold
        self._stop = Stop()
        self._run = 0  # its number, from 1: a stop of an earlier one is of no account
        self._ended: list[Worker] = []  # when this was closed

    # ------------------------------------------------------------------ the verbs

    def follow(self, stop: Stop) -> None:
        self._stop = stop
        self._run += 1
        stop.follow(partial(self._tell_workers, self._run))

    def room(self, depth: int) -> bool:
        """What a worker has from a time when its depth was more takes no room of others."""
        self._depth = depth
        held = sum(min(worker.load, depth) for worker in self._at_work)
        return not (self._answers or self._parts) and held < self._processes.most * depth

    def submit(self, batch: Batch) -> None:
        positions = range(len(batch))
        self._parts += [Unsent(batch, positions[part]) for part in self._suspects.parts(batch.indices)]
        self._hand_out()

    def collect(self, timeout: float) -> list[Answer]:
        processes = self._processes
        if self._at_work and all(worker.busy for worker in self._at_work):
            sleep(min(NAP, timeout))
        ready = when_ready(processes.selector, 0.0 if self._answers else self._patience(timeout))
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
        ended += [worker for worker in processes.dead() if worker not in ended]
        for worker in ended:
            self._end_dead(worker)
        if self._timeout is not None:
            self._end_overdue(self._timeout)
            self._end_hanging(self._timeout)
        if self._stop.asked:
            self._hand_back()
        self._renew()
        self._hand_out()
        answers, self._answers = self._answers, []
        return answers

    def begins(self) -> list[tuple[int, float]]:
        return [begin for worker in self._at_work for begin in worker.begins()]

    def wake(self) -> None:
        """It would take two more files."""

    def close(self) -> None:
        if self._owner is not this_process():  # a copy in a forked child: nothing in it is its own
            return
        self._ended += self._processes.close()

    def not_begun(self) -> NotBegun:
        """What no worker had, and what each had before it."""
        return never_begun(self._parts, self._answers, self._ended)

    @property
    def _at_work(self) -> list[Worker]:
        return self._processes.at_work

    # ------------------------------------------------------------------ a stop

    def _tell_workers(self, run: int) -> None:
        """In whatever thread. A worker that is being started just now is told by `_hand_back`."""
        for worker in tuple(self._at_work):
            worker.stop(run)

    def _hand_back(self) -> None:
        """What was not sent comes home from here, and the rest by the workers, which make no call of it.

        Those that are not ready yet are not waited for.
        """
        self._answers += [(part.batch, Unrun(part.left)) for part in self._parts]
        self._parts.clear()
        for worker in list(self._at_work):
            worker.stop(self._run)
            if not worker.ready:
                self._read(worker)  # one that says so after this has seen the line before
            if worker.ready:
                self._answers += [(part.batch, Unrun(part.left)) for part in worker.unsent]
                worker.unsent.clear()
            elif worker.load:
                self._processes.remove(worker)
                worker.kill()
                worker.end()
                self._answers += given_back(worker, None, None, None)
                worker.close()

    # ------------------------------------------------------------------ workers that have died, or hang

    def _patience(self, longest: float) -> float:
        """Seconds that may be spent on waiting: not longer than until a call may be due."""
        if self._timeout is None:
            return longest
        began = min((worker.slot[1] for worker in self._at_work), default=NEVER)
        return min(longest, self._timeout, max(0.0, began + self._timeout - clock()))

    def _end_hanging(self, timeout: float) -> None:
        """Kill the workers that do not come up."""
        coming = self._processes.coming()
        limit = time_to_come_up(timeout, len(coming))
        for worker in coming:
            if clock() - worker.began >= limit:
                worker.refusal = not_ready("a worker process", limit)
                worker.kill()
                self._end_dead(worker)

    def _end_overdue(self, timeout: float) -> None:
        """Kill the workers whose call takes too long."""
        for worker in list(self._at_work):
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
        if self._processes.leaves(worker):
            self._processes.forget(worker)
            return
        self._processes.remove(worker)
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
        self._processes.failed(worker)

    # ------------------------------------------------------------------ pipes

    def _hand_out(self) -> None:
        """Give the parts to workers, few to each: many must not wait behind one long call."""
        while self._parts:
            worker = self._processes.choose()
            if worker is None or worker.load >= self._depth:
                break
            part = self._parts.popleft()
            if worker.room < len(part.left):
                part, rest = part.split(int(worker.room))
                self._parts.appendleft(rest)
            worker.unsent.append(part)
            self._send(worker)
        self._renew()  # now: in `collect` a short call is over, and nothing else may come if all wait

    def _renew(self) -> None:
        self._processes.renew(more=not self._stop.asked, wanted=bool(self._parts))

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
                self._answers.append((part.batch, not_made(failures)))
                positions = [position for position in positions if position not in failures]
            if positions:
                frame = wire.dumps((self._run, part.batch.unpack, *share.column))
                worker.has_sent(part.batch, positions, len(frame))
                del share
                worker.channel.send(frame)
        if worker.channel.unsent != was_waiting:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE * bool(worker.channel.unsent))
            self._processes.selector.modify(worker.channel, events, worker)

    def _read(self, worker: Worker) -> None:
        if worker.lost or self._processes.leaves(worker):
            return
        try:
            for frame in worker.channel.receive():
                if worker.ready:
                    batch, outcomes = worker.take(frame)
                    if self._suspects and isinstance(outcomes, Outcomes):
                        self._suspects.clear(batch.indices[position] for position in outcomes.positions)
                    self._answers.append((batch, outcomes))
                    continue
                worker.hear(frame)
                if worker.ready:
                    self._processes.is_ready(worker)
                elif worker.refusal and not any(other.ready for other in self._at_work):
                    raise WorkerStartError(worker.refusal)
        except GarbageError:
            worker.lost = True
