"""Calls in threads of this process.

     caller's thread                      worker threads, daemons
     submit ──▶ inbox (SimpleQueue) ──▶   call_batch
     collect ◀── outbox (SimpleQueue) ◀── outcomes
             ◀── Hand ──────────────────  what it has in hand

Nothing else is shared.  A thread cannot be killed: one whose call takes too long, or that is in the
middle of a call when the runner closes, is left to end by itself.  Its outcome is then nobody's, and
it does not keep the interpreter from exiting.

Where no thread can be started, the threads there are do the work.  One that fails in code of ours, as
where memory has run out, makes its calls one by one from there on, and the one that it fails with has
that for its error.  If it fails in that as well it ends, and what it has in hand goes to another.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from .._call import IDLE, LOOK_AGAIN, NEVER, TOO_LONG, call_batch, clock, invoker
from .._platform import this_process
from .._processes.life import uninterrupted
from .._task import Batch, Failure, Outcomes, Unrun
from ..errors import TaskTimeoutError, WorkerError, WorkerStartError
from . import Answer, Orders
from .places import Places

FAREWELL = 0.2  # seconds that closing waits, all together, for threads to end
FALLEN = 3  # threads in a row that have ended by themselves, and nothing came home between


class Overdue(NamedTuple):
    """A call that takes too long: its batch, its position there, and its seconds so far."""

    batch: Batch
    position: int
    began: float
    seconds: float


class Hand:
    """What one worker thread holds.

    number: Which worker it is.
    batch, slot: Written by the thread: its batch, and the call.
    fault: Written by the thread: what it has ended of, by itself.
    dismissed: Nobody waits for this thread any more.
    lock: Held to take a batch and to dismiss, so that a thread that is dismissed has taken no other
        batch than the one that it is dismissed for.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.batch: Batch | None = None
        self.slot = [IDLE, NEVER]
        self.fault: BaseException | None = None
        self.dismissed = False
        self.lock = threading.Lock()

    def overdue(self, timeout: float) -> Overdue | None:
        """The call that takes longer than this.

        The thread may go on while it is looked at: what has changed on a second look does not hang.
        """
        batch, (position, began) = self.batch, self.slot
        seconds = clock() - began
        if batch is None or seconds < timeout:
            return None
        if self.batch is not batch or self.slot != [position, began]:
            return None
        return Overdue(batch, int(position), began, seconds)


class ThreadRunner:
    sharing = 1
    calls_here = False

    def __init__(self, func: Callable[..., Any], orders: Orders) -> None:
        self.workers = orders.workers
        self._timeout = orders.task_timeout
        self._look = 0.0  # when a call may be overdue
        self._func = func
        self._inbox: SimpleQueue[Batch | None] = SimpleQueue()
        self._outbox: SimpleQueue[Answer] = SimpleQueue()
        self._crew: dict[Hand, threading.Thread] = {}
        self._left: dict[Hand, threading.Thread] = {}  # dismissed, and not known to have ended
        self._open: dict[Batch, int] = {}  # batches in flight, and how many outcomes of each are home
        self._short = False  # threads have left, and nobody has come in their place yet
        self._fallen = 0
        self._places = Places()
        self._owner = this_process()

    def room(self, depth: int) -> bool:
        return len(self._open) < self.workers * depth

    def submit(self, batch: Batch) -> None:
        # A worker whose outcomes lie in the outbox takes this batch sooner than a new one would.
        busy = len(self._open) - self._outbox.qsize()
        if busy >= len(self._crew) < self.workers:
            self._hire()
        self._open[batch] = 0
        self._inbox.put(batch)

    def collect(self, timeout: float) -> list[Answer]:
        if self._short:
            self._fill()
        arrived = self._arrivals(timeout)
        answers = [answer for answer in arrived if self._comes_home(*answer)]
        answers += self._take_up(idle=not arrived)
        if self._timeout is not None and clock() >= self._look:
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

    def _arrivals(self, timeout: float) -> list[Answer]:
        """What lies in the outbox; waits for the first, but not longer than a call may take."""
        if self._timeout is not None:
            timeout = min(timeout, max(0.0, self._look - clock()))
        arrived: list[Answer] = []
        with suppress(Empty):
            arrived.append(self._outbox.get(timeout=timeout))
            while True:
                arrived.append(self._outbox.get_nowait())
        return arrived

    def _comes_home(self, batch: Batch, outcomes: Outcomes | Unrun) -> bool:
        """Whether anybody waits for these outcomes: they are no longer in flight."""
        if batch not in self._open:
            return False
        self._open[batch] = home = outcomes.positions[-1] + 1
        if home == len(batch):
            del self._open[batch]
        return True

    def _hire(self) -> None:
        """Start one more thread, where that can be done; WorkerStartError if there is none at all."""
        hand = Hand(self._places.take())
        thread = threading.Thread(
            target=work,
            args=(self._func, self._inbox, self._outbox, hand),
            name="task_manager-worker",
            daemon=True,
        )
        try:
            with uninterrupted():
                thread.start()
                self._crew[hand] = thread
        except (RuntimeError, MemoryError) as error:
            self._places.give_back(hand.number)
            if not self._crew:
                raise WorkerStartError(
                    f"no worker thread can be started: {error or 'out of memory'}. Threads have run "
                    "out (`ulimit -u`, pids.max of a container), or the memory has"
                ) from error

    def _fill(self) -> None:
        """Hire for those who have left, as far as there is work."""
        self._short = False
        for _ in range(min(self.workers, len(self._open)) - len(self._crew)):
            self._hire()

    def _take_up(self, idle: bool) -> list[Answer]:
        """Give back what threads have in hand that have ended by themselves.

        idle: Nothing has come home, so that there is time for a look at each thread.
        """
        if not idle:
            self._fallen = 0
        answers: list[Answer] = []
        for hands in (self._crew, self._left):
            for hand, thread in list(hands.items()):
                if hand.fault is None and (not idle or thread.is_alive()):
                    continue
                del hands[hand]
                if hands is self._crew:
                    self._places.give_back(hand.number)
                self._short = True
                if hand.batch in self._open:
                    positions = range(self._open.pop(hand.batch), len(hand.batch))
                    answers.append((hand.batch, Unrun(positions)))
                self._fallen += not hand.dismissed
                if self._fallen >= FALLEN:
                    raise hand.fault or WorkerError(
                        "worker threads end by themselves, one after the other"
                    )
        return answers

    def _leave_overdue(self, timeout: float) -> list[Answer]:
        """Dismiss the threads whose call takes too long; others are hired in their place."""
        answers: list[Answer] = []
        now = clock()
        earliest = NEVER
        for hand in list(self._crew):
            with hand.lock:
                overdue = hand.overdue(timeout)
                if overdue is None or overdue.batch not in self._open:
                    earliest = min(earliest, hand.slot[1])
                    continue
                hand.dismissed = True
            batch, position, began, seconds = overdue
            self._left[hand] = self._crew.pop(hand)
            self._places.give_back(hand.number)
            failures = {position: Failure(TaskTimeoutError(timeout), TaskTimeoutError)}
            ended = Outcomes([position], [None], failures, [seconds], [began], [hand.number])
            answers.append((batch, ended))
            unrun = [other for other in range(self._open.pop(batch), len(batch)) if other != position]
            if unrun:
                answers.append((batch, Unrun(unrun)))
            self._short = True
        # A call that begins after this look is not due before the one that began first.
        self._look = max(min(earliest, now) + timeout, now + LOOK_AGAIN)
        return answers


def work(
    func: Callable[..., Any], inbox: SimpleQueue[Batch | None], outbox: SimpleQueue[Answer], hand: Hand
) -> None:
    """The life of a worker thread. Knows no runner, so that a dropped one can be collected."""
    try:
        while not hand.dismissed and (batch := _next_batch(inbox, hand)) is not None:
            _make_calls(func, batch, outbox, hand)
            hand.batch = None
            del batch
    except BaseException as error:  # not the function's but ours, and it has failed before: see there
        hand.fault = error


def _next_batch(inbox: SimpleQueue[Batch | None], hand: Hand) -> Batch | None:
    """What to do next, None where the thread is to end. The hand has it from the first moment on."""
    hand.batch = batch = inbox.get()
    with hand.lock:
        if batch is not None and not hand.dismissed:
            return batch
    inbox.put(batch)  # for the thread in its place, or for the next one to be told of the end
    hand.batch = None
    return None


def _make_calls(func: Callable[..., Any], batch: Batch, outbox: SimpleQueue[Answer], hand: Hand) -> None:
    """Make the calls of a batch, and send their outcomes home."""
    here = this_process()
    invoke = invoker(func, batch.unpack)
    home = 0
    try:
        for outcomes in call_batch(
            invoke, batch.calls, hand.slot, patience=TOO_LONG, worker=hand.number
        ):
            if here is not this_process():  # the function has forked, and the child returned
                os._exit(0)
            outbox.put((batch, outcomes))
            home = outcomes.positions[-1] + 1
            if hand.dismissed:
                return
            del outcomes
    except BaseException:  # not the function's but ours, as where memory has run out
        for position in range(home, len(batch)):
            alone = _call_alone(invoke, batch.calls[position], position, hand)
            if here is not this_process():
                os._exit(0)
            outbox.put((batch, alone))
            if hand.dismissed:
                return
    finally:  # errors hold the frames that they came through, and with them this one
        del batch


def _call_alone(invoke: Callable[[Any], Any], call: Any, position: int, hand: Hand) -> Outcomes:
    """One call of a batch; what fails in it, in whosever code, is its error."""
    where = range(position, position + 1)
    try:
        (outcomes,) = call_batch(invoke, [call], hand.slot, numbers=where, worker=hand.number)
        assert isinstance(outcomes, Outcomes)
        failures = dict(zip(where, outcomes.failures.values(), strict=False))
        return replace(outcomes, positions=where, failures=failures)
    except BaseException as error:
        return Outcomes(where, [None], {position: Failure(error, type(error))}, [])
