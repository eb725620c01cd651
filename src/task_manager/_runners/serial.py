"""One call after the other, in the caller's own thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from .._call import IDLE, call_batch, invoker
from .._signals import comes_from_a_handler
from .._state import CleanUps, State, set_up
from .._stop import Stop
from .._task import Batch, Outcomes, Unrun
from . import Answer, NotBegun, Orders


class SerialRunner:
    """Holds one batch, and goes on with it whenever it is asked for outcomes.

    The state of its thread is made when a batch is begun, and anew if that is another thread.

    What a signal's handler raises in the function ends the run; a KeyboardInterrupt does it in any case.
    """

    workers = 1
    sharing = 1
    calls_here = True
    wakes = False

    def __init__(self, func: Callable[..., Any], orders: Orders) -> None:
        self._func = func
        self._slot = [IDLE, 0.0] if orders.slot is None else orders.slot
        self._stop = Stop()
        self._batch: Batch | None = None
        self._last: Batch | None = None
        self._calling: Iterator[Outcomes | Unrun] | None = None
        self._make = orders.state
        self._state: tuple[int, State] | None = None  # and the thread that it was made in
        self._clean_ups = CleanUps()
        self._calls_in: int | None = None  # the thread that makes a call just now
        self._closed_meanwhile = False

    def follow(self, stop: Stop) -> None:
        self._stop = stop

    def room(self, depth: int) -> bool:
        return self._batch is None

    def submit(self, batch: Batch) -> None:
        self._batch = self._last = batch
        self._calling = None

    def collect(self, timeout: float) -> list[Answer]:
        batch = self._batch
        if batch is None:
            time.sleep(timeout)
            return []
        self._calls_in = threading.get_ident()
        try:
            calling = self._calling = self._calling or self._begin(batch)
            outcomes = next(calling)
        finally:
            self._calls_in = None
            if self._closed_meanwhile:
                self._clean_up()
        if outcomes.positions[-1] == len(batch) - 1:
            self._batch = None
            next(calling, None)  # to its end: it lets go of what errors would hold of it
        try:
            return [(batch, outcomes)]
        finally:  # errors hold the frames that they came through, and with them this one
            del batch, outcomes

    def _begin(self, batch: Batch) -> Iterator[Outcomes | Unrun]:
        func = self._func
        if self._make is not None:
            func = partial(func, self._state_of_thread(self._make).value)
        return call_batch(
            invoker(func, batch.unpack),
            batch.calls,
            self._slot,
            batch.indices,
            passing=_ends_the_run,
            taking=self._stop.take(self, batch.calls),
        )

    def _state_of_thread(self, make: Callable[[], Any]) -> State:
        here = threading.get_ident()
        if self._state is None or self._state[0] != here:
            self._clean_up()
            self._state = here, set_up(make)
        return self._state[1]

    def _clean_up(self) -> None:
        state, self._state = self._state, None
        if state is not None:
            self._clean_ups.tell(state[1].clean_up())

    def begins(self) -> list[tuple[int, float]]:
        """Nobody asks while a call goes on."""
        return []

    def wake(self) -> None:
        """Nothing waits while there is something to call."""

    def close(self) -> None:
        """A call that another thread is in the middle of is left alone, and its state to that thread."""
        self._batch = self._calling = None
        self._closed_meanwhile = True
        if self._calls_in in (None, threading.get_ident()):
            self._clean_up()

    def not_begun(self) -> NotBegun:
        """Those behind the current call, which the slot names by its task."""
        if self._last is None:
            return []
        indices, current = self._last.indices, int(self._slot[0])
        first = indices.index(current) + 1 if current in indices else 0
        return [(self._last, range(first, len(indices)))]


def _ends_the_run(error: BaseException) -> bool:
    return issubclass(type(error), KeyboardInterrupt) or comes_from_a_handler(error)
