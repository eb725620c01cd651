"""Calls in threads of this process.

     caller's thread                      worker threads, daemons
     submit ──▶ inbox (SimpleQueue) ──▶   call_batch
     collect ◀── outbox (SimpleQueue) ◀── outcomes
             ◀── Hand ──────────────────  what it has in hand

Nothing else is shared.  A thread cannot be killed: one whose call takes too long, or that is in the
middle of a call when the runner closes, is left to end by itself.  Its outcome is then nobody's, and
it does not keep the interpreter from exiting.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from .._call import IDLE, NEVER, TOO_LONG, call_batch, clock, invoker
from .._fork import this_process
from .._processes import uninterrupted
from .._task import Batch, Failure, Outcomes, Unrun
from ..errors import TaskTimeoutError
from . import Answer, Orders

FAREWELL = 0.2  # seconds that closing waits, all together, for threads to end


class Hand:
    """What one worker thread holds.

    batch, begun, slot: Written by the thread: its batch, how many it has begun, and the call.
    finished, done: Written by the runner: how many batches it has all outcomes of, and how many
        attempts of the next one.
    dismissed: Nobody waits for this thread any more.
    lock: Held to take a batch and to dismiss, so that a thread that is dismissed has taken no other
        batch than the one that it is dismissed for.
    """

    def __init__(self) -> None:
        self.batch: Batch | None = None
        self.begun = 0
        self.slot = [IDLE, NEVER]
        self.finished = 0
        self.done = 0
        self.dismissed = False
        self.lock = threading.Lock()

    def take(self, batch: Batch) -> bool:
        """Begin this batch, unless the thread is dismissed."""
        with self.lock:
            if not self.dismissed:
                self.begun += 1
                self.batch = batch
            return not self.dismissed

    def overdue(self, timeout: float) -> tuple[Batch, int] | None:
        """The batch and the position of a call that takes longer than this.

        The thread may go on while it is looked at: what has changed on a second look does not hang,
        and a batch whose end is still in the outbox is none to be charged.
        """
        batch, (position, began) = self.batch, self.slot
        if batch is None or clock() - began < timeout or self.begun != self.finished + 1:
            return None
        if self.batch is not batch or self.slot != [position, began]:
            return None
        return batch, int(position)


class ThreadRunner:
    sharing = 1
    calls_here = False

    def __init__(self, func: Callable[..., Any], orders: Orders) -> None:
        self.workers = orders.workers
        self._timeout = orders.task_timeout
        self._func = func
        self._inbox: SimpleQueue[Batch | None] = SimpleQueue()
        self._outbox: SimpleQueue[tuple[Hand, Batch, Outcomes | Unrun]] = SimpleQueue()
        self._crew: dict[Hand, threading.Thread] = {}
        self._in_flight = 0
        self._owner = this_process()

    def room(self, depth: int) -> bool:
        return self._in_flight < self.workers * depth

    def submit(self, batch: Batch) -> None:
        # A worker whose outcomes lie in the outbox takes this batch sooner than a new one would.
        busy = self._in_flight - self._outbox.qsize()
        if busy >= len(self._crew) < self.workers:
            self._hire()
        self._in_flight += 1
        self._inbox.put(batch)

    def collect(self, timeout: float) -> list[Answer]:
        arrived: list[tuple[Hand, Batch, Outcomes | Unrun]] = []
        with suppress(Empty):
            arrived.append(self._outbox.get(timeout=timeout))
            while True:
                arrived.append(self._outbox.get_nowait())
        answers: list[Answer] = []
        for hand, batch, outcomes in arrived:
            if hand.dismissed:
                continue
            answers.append((batch, outcomes))
            hand.done = outcomes.positions[-1] + 1
            if hand.done == len(batch):
                hand.done = 0
                hand.finished += 1
                self._in_flight -= 1
        if self._timeout is not None:
            answers += self._leave_overdue(self._timeout)
        return answers

    def close(self) -> None:
        if self._owner is not this_process():  # a copy in a forked child: its threads are not here
            return
        for hand in self._crew:
            hand.dismissed = True
            self._inbox.put(None)
        for thread in self._crew.values():
            if thread is not threading.current_thread():
                thread.join(FAREWELL / len(self._crew))
        self._crew.clear()

    def _hire(self) -> None:
        hand = Hand()
        thread = threading.Thread(
            target=work,
            args=(self._func, self._inbox, self._outbox, hand),
            name="task_manager-worker",
            daemon=True,
        )
        with uninterrupted():
            thread.start()
            self._crew[hand] = thread

    def _leave_overdue(self, timeout: float) -> list[Answer]:
        """Dismiss the threads whose call takes too long, and hire others in their place."""
        answers: list[Answer] = []
        for hand in list(self._crew):
            with hand.lock:
                overdue = hand.overdue(timeout)
                if overdue is None:
                    continue
                hand.dismissed = True
            batch, position = overdue
            del self._crew[hand]
            self._in_flight -= 1
            error = TaskTimeoutError(timeout)
            failures = {position: Failure(error, TaskTimeoutError)}
            answers.append((batch, Outcomes([position], [None], failures, [timeout])))
            unrun = [other for other in range(hand.done, len(batch)) if other != position]
            if unrun:
                answers.append((batch, Unrun(unrun)))
            self._hire()
        return answers


def work(
    func: Callable[..., Any],
    inbox: SimpleQueue[Batch | None],
    outbox: SimpleQueue[tuple[Hand, Batch, Outcomes | Unrun]],
    hand: Hand,
) -> None:
    """The life of a worker thread. Knows no runner, so that a dropped one can be collected."""
    home = this_process()
    while True:
        batch = inbox.get()
        if batch is None or not hand.take(batch):
            inbox.put(batch)  # for the thread in its place, or for the next one to be told of the end
            return
        done = 0
        try:
            invoke = invoker(func, batch.unpack)
            for outcomes in call_batch(invoke, batch.calls, hand.slot, patience=TOO_LONG):
                done = outcomes.positions[-1] + 1
                if home is not this_process():  # the function has forked, and the child returned
                    os._exit(0)
                outbox.put((hand, batch, outcomes))
                if hand.dismissed:
                    return
                del outcomes
        except BaseException as error:  # not the function's but ours, as where memory has run out
            failures = {place: Failure(error, type(error)) for place in range(done, len(batch))}
            if failures:
                outbox.put((hand, batch, Outcomes(list(failures), [None] * len(failures), failures, [])))
        hand.batch = None
        del batch
