"""A worker thread: what it and the runner know of each other, and its life.

A thread that fails in code of ours, as where memory has run out, makes the calls that are left of its
batch one by one; if it fails at one of them again, that is the error of this call.  If even that cannot
be told it ends, and what is left of its batch is given back by the runner.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from .._call import IDLE, NEVER, TOO_LONG, call_batch, clock, invoker
from .._platform import this_process
from .._rules.renewal import Usage
from .._state import CleanUps, Maker, State, set_up
from .._stop import Followed
from .._task import Batch, Failure, Outcomes, Unrun
from . import Answer

_here = threading.local()


def works_here() -> None:
    """This thread makes calls for a runner."""
    _here.works = True


def in_a_worker() -> bool:
    """Whether this thread makes calls for a runner, and so must not wait for one."""
    return getattr(_here, "works", False)


class Outbox:
    """What threads have to tell their runner, and how many of them have ended a batch by it."""

    def __init__(self) -> None:
        self._told: SimpleQueue[Answer | None] = SimpleQueue()  # None: a `wake`
        self._others: deque[None] = deque()  # one for each that ends no batch

    @property
    def ends(self) -> int:
        """Answers here that end a batch: the thread of each takes another one, or is free."""
        return self._told.qsize() - len(self._others)

    def tell(self, batch: Batch, outcomes: Outcomes | Unrun) -> None:
        goes_on = outcomes.positions[-1] + 1 < len(batch)
        if goes_on:
            self._others.append(None)  # first: counted once too often, it starts a thread too early
        try:
            self._told.put((batch, outcomes))
        except MemoryError:  # it is made and told anew
            if goes_on:
                self._others.pop()
            raise

    def wake(self) -> None:
        """May be done in a signal handler, in the middle of another put."""
        self._others.append(None)  # first, as above: otherwise it would start none
        self._told.put(None)

    def take(self, timeout: float) -> list[Answer]:
        """All that is here; waits for the first."""
        answers: list[Answer] = []
        with suppress(Empty):
            one = self._told.get(timeout=timeout)
            while True:
                if one is None or one[1].positions[-1] + 1 < len(one[0]):
                    self._others.pop()
                if one is not None:
                    answers.append(one)
                one = self._told.get_nowait()
        return answers


class Overdue(NamedTuple):
    """A call that takes too long: its batch, its position there, and its seconds so far."""

    batch: Batch
    position: int
    began: float
    seconds: float


class Handover:
    """Between a thread that makes so many calls and no more, and its successor.

    calls_left: Written by the thread. usage: Of the runner, which looks at that.
    over: It makes no more calls: its successor may begin. Until then that one waits, or there would be
        more calls at the same time than are allowed.
    relieved: The successor is ready, or there will be none: it may clean up, and end.
    """

    def __init__(self, most: int) -> None:
        self.calls_left = most
        self.usage = Usage()
        self.over = threading.Event()
        self.relieved = threading.Event()

    def let_go(self) -> None:
        """Nobody waits any more, on either side."""
        self.relieved.set()
        self.over.set()


class ThreadWorker:
    """What a worker thread and the runner know of each other.

    number: Which worker it is.
    batch, slot: Written by the thread: its batch, and its current call.
    fault: Written by the thread: the error that it has ended of, by itself.
    has_state: Written by the thread: there is something that it will clean up, or does just now.
    ready: When it has made its state, or has none to make; NEVER before.
    handover: None where it makes calls without end. before: Of the one whose successor it is, until it
        begins.
    left_alone: Written by the runner: no outcome of this thread is waited for any more.
    lock: The thread holds it to take a batch, the runner to decide that the current call is overdue and
        to set `left_alone`. Without it the thread could end that call and take the next batch between
        these two, and nobody would make the calls of that one.
    """

    def __init__(
        self, number: int, handover: Handover | None = None, before: Handover | None = None
    ) -> None:
        self.number = number
        self.handover = handover
        self.before = before
        self.began = clock()
        self.ready = NEVER
        self.batch: Batch | None = None
        self.slot = [IDLE, NEVER]
        self.fault: BaseException | None = None
        self.has_state = False
        self.left_alone = False
        self.lock = threading.Lock()

    @property
    def spent(self) -> bool:
        """It may make no more calls, and has none in hand."""
        over = self.handover is not None and self.handover.over.is_set()
        return over and self.batch is None and self.fault is None

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


def take_batches(
    func: Callable[..., Any],
    inbox: SimpleQueue[Batch | None],
    outbox: Outbox,
    worker: ThreadWorker,
    followed: Followed,
    make: Maker | None,
    clean_ups: CleanUps,
) -> None:
    """The life of a worker thread. Knows no runner, so that a dropped one can be collected.

    The state is made before a batch is taken: no other thread has to wait for that one.
    """
    works_here()
    state: State | None = None
    try:
        if make is not None:
            state = set_up(make)
            func = partial(func, state.value)
            worker.has_state = True
        worker.ready = clock()
        if worker.before is not None:
            worker.before.relieved.set()
            worker.before.over.wait()
            worker.before = None  # or each would hold the one before it
        handover = worker.handover
        while not worker.left_alone and (handover is None or handover.calls_left > 0):
            batch = _next_batch(inbox, worker)
            if batch is None:
                break
            _make_calls(func, batch, outbox, worker, followed)
            if not worker.left_alone:
                worker.batch = None
            del batch
        if handover is not None and not worker.left_alone:
            handover.over.set()
            handover.relieved.wait()
    except BaseException as error:  # of our own code, which has failed twice: see `_make_calls`
        worker.fault = error
        with suppress(MemoryError):  # the runner looks at its threads from time to time as well
            outbox.wake()
    finally:
        if worker.handover is not None:
            worker.handover.over.set()
        followed.stop.forget(worker)
        if state is not None:  # also where the call was left alone: it has returned now
            func = make = None  # type: ignore[assignment]
            clean_ups.tell(state.clean_up())
            worker.has_state = False


def _next_batch(inbox: SimpleQueue[Batch | None], worker: ThreadWorker) -> Batch | None:
    """What to do next, None where the thread is to end.

    The batch is entered in the worker by the statement that takes it from the inbox: in a thread that
    ends right after that, the runner finds it.
    """
    worker.batch = batch = inbox.get()
    with worker.lock:
        if batch is not None and not worker.left_alone:
            return batch
    inbox.put(batch)  # for the thread in its place, or for the next one to be told of the end
    worker.batch = None
    return None


def _make_calls(
    func: Callable[..., Any],
    batch: Batch,
    outbox: Outbox,
    worker: ThreadWorker,
    followed: Followed,
) -> None:
    """Make the calls of a batch, as many as this worker may, and put their outcomes into the outbox."""
    handover = worker.handover
    here = this_process()
    stop = followed.stop  # of the run that has this batch: it does not end before the batch is home
    invoke = invoker(func, batch.unpack)
    done = 0
    try:
        taking = stop.take(worker, batch.calls)
        if handover is not None:
            taking = islice(taking, handover.calls_left)
        for outcomes in call_batch(
            invoke, batch.calls, worker.slot, patience=TOO_LONG, worker=worker.number, taking=taking
        ):
            if here is not this_process():  # the function has forked, and the child returned
                os._exit(0)
            if handover is not None and isinstance(outcomes, Outcomes):  # first: the runner looks then
                handover.calls_left -= len(outcomes.positions)
            outbox.tell(batch, outcomes)
            done = outcomes.positions[-1] + 1
            if worker.left_alone:
                return
            del outcomes
    except BaseException:  # of our own code, as where memory has run out
        for position in range(done, len(batch)):
            if stop.asked or (handover is not None and handover.calls_left <= 0):
                outbox.tell(batch, Unrun(range(position, len(batch))))
                return
            alone = _call_alone(invoke, batch.calls[position], position, worker)
            if here is not this_process():
                os._exit(0)
            if handover is not None:
                handover.calls_left -= 1
            outbox.tell(batch, alone)
            if worker.left_alone:
                return
    finally:  # errors hold the frames that they came through, and with them this one
        del batch


def _call_alone(
    invoke: Callable[[Any], Any], call: Any, position: int, worker: ThreadWorker
) -> Outcomes:
    """One call of a batch; what fails in it, in whosever code, is its error."""
    where = range(position, position + 1)
    try:
        (outcomes,) = call_batch(invoke, [call], worker.slot, numbers=where, worker=worker.number)
        assert isinstance(outcomes, Outcomes)
        failures = dict(zip(where, outcomes.failures.values(), strict=False))
        return replace(outcomes, positions=where, failures=failures)
    except BaseException as error:
        return Outcomes(where, [None], {position: Failure(error, type(error))}, [])
