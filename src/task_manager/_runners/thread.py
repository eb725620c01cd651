"""Calls in threads of this process.

     caller's thread                      worker threads, daemons
     submit ──▶ inbox (SimpleQueue) ──▶   call_batch
     collect ◀── outbox (SimpleQueue) ◀── outcomes
             ◀── ThreadWorker ────────────── batch, call, fault

Nothing else is shared.  A thread cannot be killed: one whose call takes too long, or that is in the
middle of a call when the runner closes, is left to end by itself.  The outcome of that call is then
thrown away, and the thread does not keep the interpreter from exiting.

Where no thread can be started, the threads there are do the work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from .._call import LOOK_AGAIN, NEVER, PROMPT, clock
from .._platform import this_process
from .._processes.life import uninterrupted
from .._repr import name_of
from .._rules.renewal import Renewal
from .._state import TIME_TO_CLEAN_UP, CleanUps
from .._stop import Followed, Stop
from .._task import Batch, Failure, Outcomes, Unrun
from ..errors import TaskTimeoutError, WorkerError, WorkerStartError
from . import Answer, NotBegun, Orders
from .places import Places
from .thread_worker import Handover, Outbox, ThreadWorker, take_batches

TIME_TO_END = 0.2  # seconds that closing waits, all together, for threads to end
MOST_ENDED = 3  # threads in a row that end by themselves, with no outcome between; then the run ends


class ThreadRunner:
    sharing = 1
    calls_here = False
    wakes = True

    def __init__(self, func: Callable[..., Any], orders: Orders) -> None:
        self.workers = orders.workers
        self._timeout = orders.task_timeout
        self._look = 0.0  # when a call may be overdue
        self._func = func
        self._inbox: SimpleQueue[Batch | None] = SimpleQueue()
        self._outbox = Outbox()
        self._working: dict[ThreadWorker, threading.Thread] = {}
        self._left: dict[ThreadWorker, threading.Thread] = {}  # left alone, and not known to have ended
        self._renewal = None if orders.most_calls is None else Renewal(orders.most_calls)
        self._successors: dict[ThreadWorker, ThreadWorker] = {}  # both are in `_working`
        self._held_up = False  # a successor is due, and cannot be started yet
        self._leaving: dict[ThreadWorker, tuple[threading.Thread, float]] = {}  # clean up; since when
        self._open: dict[Batch, int] = {}  # batches in flight, and how many outcomes of each have come
        self._short = False  # threads have gone, and are not replaced yet
        self._ended_in_a_row = 0
        self._make = orders.state
        self._clean_ups = CleanUps()
        self._places = Places()
        self._owner = this_process()
        self._followed = Followed()
        self._handing: list[Batch] = []  # the batch that `submit` has, until it lies in the inbox
        self._ended: list[ThreadWorker] = []  # when this was closed

    def follow(self, stop: Stop) -> None:
        """What lies in the inbox comes home by the threads, as they take it, and call none of it."""
        self._followed.stop = stop
        stop.follow(self.wake)

    def room(self, depth: int) -> bool:
        return len(self._open) < self.workers * depth

    def submit(self, batch: Batch) -> None:
        self._handing.append(batch)
        # A worker whose outcomes lie in the outbox takes this batch sooner than a new one would.
        busy = len(self._open) - self._outbox.ends
        if busy >= len(self._working) - len(self._successors) < self.workers:
            self._start_worker()
        self._open[batch] = 0
        self._inbox.put(batch)
        self._handing.clear()

    def collect(self, timeout: float) -> list[Answer]:
        if self._short:
            self._fill()
        if self._renewal is not None:
            self._renew(self._renewal)
        if self._renewal is not None and self._followed.stop.asked:
            self._take_back()
        arrived = self._arrivals(timeout)
        answers = [answer for answer in arrived if self._take_in(*answer)]
        answers += self._give_back_unfinished(idle=not arrived)
        if self._timeout is not None and clock() >= self._look:
            answers += self._leave_overdue(self._timeout)
        return answers

    def begins(self) -> list[tuple[int, float]]:
        found = []
        for worker in self._working:
            batch, (position, began) = worker.batch, worker.slot
            if batch is None or position < 0 or began == NEVER:
                continue
            if worker.batch is batch and worker.slot == [position, began]:  # it may have gone on
                found.append((batch.indices[int(position)], began))
        return found

    def wake(self) -> None:
        self._outbox.wake()

    def close(self) -> None:
        if self._owner is not this_process():  # a copy in a forked child: its threads are not here
            return
        for worker in self._working:
            worker.left_alone = True  # first: one that ends a call now looks at this before the inbox
            self._inbox.put(None)
            if worker.handover is not None:
                worker.handover.let_go()
        for thread in self._working.values():
            if thread is not threading.current_thread():
                thread.join(TIME_TO_END / len(self._working))
        deadline = clock() + TIME_TO_CLEAN_UP  # of all together
        going = self._working | {worker: thread for worker, (thread, _) in self._leaving.items()}
        for worker, thread in going.items():
            if worker.has_state and worker.batch is None and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - clock()))
        self._ended = list(self._working)
        for kept in (self._working, self._successors, self._leaving):
            kept.clear()

    def not_begun(self) -> NotBegun:
        """What is handed to no thread, and what the threads had before them of their batches.

        A thread that goes on in a call begins no other one: it looks at `left_alone` after a call of
        PROMPT. Before that it may have gone on, and all of its batch counts as begun.
        """
        found: list[tuple[Batch, Sequence[int]]] = [
            (batch, range(len(batch))) for batch in self._handing
        ]
        goodbyes = 0  # of threads that have not been given a turn yet: without theirs they would wait on
        with suppress(Empty):
            while True:
                batch = self._inbox.get_nowait()
                if batch is None:
                    goodbyes += 1
                else:
                    found.append((batch, range(len(batch))))
        for _ in range(goodbyes):
            self._inbox.put(None)
        for worker in self._ended:
            batch, (position, began) = worker.batch, worker.slot
            if batch is not None and (began == NEVER or clock() - began >= PROMPT):
                found.append((batch, range(int(position) + 1, len(batch))))
        return found

    def _arrivals(self, timeout: float) -> list[Answer]:
        """What lies in the outbox; waits for the first, but not longer than a call may take."""
        if self._timeout is not None:
            timeout = min(timeout, max(0.0, self._look - clock()))
        if self._held_up:
            timeout = min(timeout, LOOK_AGAIN)
        return self._outbox.take(timeout)

    def _take_in(self, batch: Batch, outcomes: Outcomes | Unrun) -> bool:
        """Count these outcomes, which are no longer in flight; False where they are not waited for."""
        if batch not in self._open:
            return False
        self._open[batch] = done = outcomes.positions[-1] + 1
        if done == len(batch):
            del self._open[batch]
        return True

    def _start_worker(self, successor_of: ThreadWorker | None = None) -> ThreadWorker | None:
        """Start one more thread, where that can be done; WorkerStartError if there is none at all."""
        handover = None if self._renewal is None else Handover(self._renewal.most)
        if successor_of is None:
            worker = ThreadWorker(self._places.take(), handover)
        else:
            worker = ThreadWorker(successor_of.number, handover, successor_of.handover)
        thread = threading.Thread(
            target=take_batches,
            args=(self._func, self._inbox, self._outbox, worker, self._followed),
            kwargs={"make": self._make, "clean_ups": self._clean_ups},
            name="task_manager-worker",
            daemon=True,
        )
        try:
            # `start` waits until the thread runs. What a signal's handler raised meanwhile would leave
            # a thread that takes batches and that is not in `_working`.
            with uninterrupted():
                thread.start()
                self._working[worker] = thread
                if successor_of is not None:
                    self._successors[successor_of] = worker
        except (RuntimeError, MemoryError) as error:
            if successor_of is None:
                self._places.give_back(worker.number)
            if self._leaving:  # they make room as they end
                self._short = True
            elif not self._working:
                raise WorkerStartError(
                    f"no worker thread can be started: {error or 'out of memory'}. Threads have run "
                    "out (`ulimit -u`, pids.max of a container), or the memory has"
                ) from error
            return None
        return worker

    def _fill(self) -> None:
        """Start threads in the place of those that have gone, as far as there is work."""
        self._short = False
        at_work = len(self._working) - len(self._successors)
        for _ in range(min(self.workers, len(self._open)) - at_work):
            self._start_worker()

    def _renew(self, renewal: Renewal) -> None:
        """Start the successors that are due; let those go that have made their calls."""
        self._held_up = False
        for worker, (thread, since) in list(self._leaving.items()):
            late = clock() - since >= TIME_TO_CLEAN_UP
            if late and worker.has_state:
                self._clean_ups.late(name_of(self._make))
            if late or not thread.is_alive():
                del self._leaving[worker]
        for worker in list(self._working):
            handover, successor = worker.handover, self._successors.get(worker)
            if handover is None or worker in self._successors.values():
                continue
            if worker.ready != NEVER:
                renewal.came_up(worker.ready - worker.began)
            if successor is not None and worker.spent and successor.ready != NEVER:
                self._successors.pop(worker)
                self._leaving[worker] = self._working.pop(worker), clock()
            elif (
                successor is None
                and worker.ready != NEVER
                and not self._followed.stop.asked
                and self._open
                and self._is_used_up(worker, handover, renewal)
            ):
                cleaning = sum(leaving.has_state for leaving in self._leaving)
                if cleaning >= self.workers:  # they take long: as many again, and no more
                    self._held_up = True
                elif self._start_worker(successor_of=worker) is None:
                    self._held_up = True
                    self._go_alone(worker, handover)

    def _is_used_up(self, worker: ThreadWorker, handover: Handover, renewal: Renewal) -> bool:
        """It makes its last calls: of those that are idle, as many as may be given a batch count."""
        left = handover.calls_left
        due = renewal.due(left, handover.usage.look(clock(), left))
        busy = left <= 0 or worker.batch is not None
        return due and (busy or len(self._successors) < len(self._open))

    def _take_back(self) -> None:
        """What lies in the inbox at a stop: threads that have made their calls take nothing."""
        with suppress(Empty):
            while (batch := self._inbox.get_nowait()) is not None:
                self._outbox.tell(batch, Unrun(range(len(batch))))

    def _go_alone(self, worker: ThreadWorker, handover: Handover) -> None:
        """No successor can be started: where it has made its calls it goes first, and makes room."""
        if worker.spent:
            handover.relieved.set()
            self._leaving[worker] = self._working.pop(worker), clock()
            self._places.give_back(worker.number)
            self._short = True

    def _gone(self, worker: ThreadWorker) -> None:
        """It makes no more calls. Its number is its successor's, if it has one, or free."""
        for other, successor in list(self._successors.items()):
            if successor is worker:  # that one still has the number
                del self._successors[other]
                return
        if self._successors.pop(worker, None) is None:
            self._places.give_back(worker.number)
        elif worker.handover is not None:
            worker.handover.over.set()

    def _give_back_unfinished(self, idle: bool) -> list[Answer]:
        """Give back what is left of the batches of threads that have ended by themselves.

        idle: No outcome has come, so that there is time for a look at each thread.
        """
        if not idle:
            self._ended_in_a_row = 0
        answers: list[Answer] = []
        for workers in (self._working, self._left):
            for worker, thread in list(workers.items()):
                if worker.fault is None and (not idle or thread.is_alive()):
                    continue
                del workers[worker]
                if workers is self._working:
                    self._gone(worker)
                self._short = True
                if isinstance(worker.fault, WorkerStartError):  # its state cannot be made
                    raise worker.fault
                if worker.batch in self._open:
                    positions = range(self._open.pop(worker.batch), len(worker.batch))
                    begun = range(positions.start, min(positions.stop, int(worker.slot[0]) + 1))
                    answers.append((worker.batch, Unrun(positions, begun)))
                self._ended_in_a_row += not (worker.left_alone or worker.spent)
                if self._ended_in_a_row >= MOST_ENDED:
                    raise worker.fault or WorkerError(
                        "worker threads end by themselves, one after the other"
                    )
        return answers

    def _leave_overdue(self, timeout: float) -> list[Answer]:
        """Leave the threads alone whose call takes too long; others are started in their place."""
        answers: list[Answer] = []
        now = clock()
        earliest = NEVER
        for worker in list(self._working):
            with worker.lock:
                overdue = worker.overdue(timeout)
                if overdue is None or overdue.batch not in self._open:
                    earliest = min(earliest, worker.slot[1])
                    continue
                worker.left_alone = True
            batch, position, began, seconds = overdue
            self._left[worker] = self._working.pop(worker)
            self._gone(worker)
            failures = {position: Failure(TaskTimeoutError(timeout), TaskTimeoutError)}
            ended = Outcomes([position], [None], failures, [seconds], [began], [worker.number])
            answers.append((batch, ended))
            unrun = [other for other in range(self._open.pop(batch), len(batch)) if other != position]
            if unrun:
                begun = [other for other in unrun if other < position]
                answers.append((batch, Unrun(unrun, begun)))
            self._short = True
        # A call that begins after this look is not due before the one that began first.
        self._look = max(min(earliest, now) + timeout, now + LOOK_AGAIN)
        return answers
