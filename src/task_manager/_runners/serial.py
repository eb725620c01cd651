"""One call after the other, in the caller's own thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from .._call import IDLE, call_batch, invoker
from .._signals import comes_from_a_handler
from .._stop import Stop
from .._task import Batch, Outcomes, Unrun
from . import Answer, NotBegun, Orders


class SerialRunner:
    """Holds one batch, and goes on with it whenever it is asked for outcomes.

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
        self._calling: Iterator[Outcomes | Unrun] = iter(())

    def follow(self, stop: Stop) -> None:
        self._stop = stop

    def room(self, depth: int) -> bool:
        return self._batch is None

    def submit(self, batch: Batch) -> None:
        self._batch = self._last = batch
        invoke = invoker(self._func, batch.unpack)
        self._calling = call_batch(
            invoke,
            batch.calls,
            self._slot,
            batch.indices,
            passing=_ends_the_run,
            taking=self._stop.take(self, batch.calls),
        )

    def collect(self, timeout: float) -> list[Answer]:
        batch = self._batch
        if batch is None:
            time.sleep(timeout)
            return []
        outcomes = next(self._calling)
        if outcomes.positions[-1] == len(batch) - 1:
            self._batch = None
            next(self._calling, None)  # to its end: it lets go of what errors would hold of it
        try:
            return [(batch, outcomes)]
        finally:  # errors hold the frames that they came through, and with them this one
            del batch, outcomes

    def begins(self) -> list[tuple[int, float]]:
        """Nobody asks while a call goes on."""
        return []

    def wake(self) -> None:
        """Nothing waits while there is something to call."""

    def close(self) -> None:
        self._batch = None
        self._calling = iter(())

    def not_begun(self) -> NotBegun:
        """Those behind the current call, which the slot names by its task."""
        if self._last is None:
            return []
        indices, current = self._last.indices, int(self._slot[0])
        first = indices.index(current) + 1 if current in indices else 0
        return [(self._last, range(first, len(indices)))]


def _ends_the_run(error: BaseException) -> bool:
    return issubclass(type(error), KeyboardInterrupt) or comes_from_a_handler(error)
