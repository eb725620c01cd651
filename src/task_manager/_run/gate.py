"""Asks a limit how many attempts may start, and tells it what became of them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable

from .._rules.limits import Limit
from .._task import Batch, Outcomes, Unrun


class Gate:
    """Between a run and its limit. limit: None: whatever there is room for may start.

    clock: Of the run.
    """

    def __init__(self, limit: Limit | None, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._held_until = -math.inf

    @property
    def limits(self) -> bool:
        """There is a limit: it is to be told of calls that have begun."""
        return self._limit is not None

    def most(self, in_flight: Callable[[], int]) -> tuple[int, float | None]:
        """Attempts that may start now, and where there are none, the seconds after which to ask again.

        in_flight: Tells how many attempts have started and have no outcome yet.
        """
        if self._held_until > -math.inf:
            left = self._held_until - self._clock()
            if left > 0:
                return 0, left
            self._held_until = -math.inf
        if self._limit is None:
            return sys.maxsize, None
        now = self._clock()
        most = self._limit.room(now, in_flight())
        return (most, None) if most > 0 else (0, max(0.0, self._limit.due(now) - now))

    def hold(self, seconds: float | None) -> None:
        """Nothing starts for so many seconds from now. None: nothing changes."""
        if seconds is not None:
            self._held_until = max(self._held_until, self._clock() + seconds)

    def leaving(self, batch: Batch) -> None:
        """These are given to workers."""
        if self._limit is not None:
            self._limit.start(self._clock(), batch.indices)

    def begun(self, begins: Iterable[tuple[int, float]]) -> None:
        """Of attempts without an outcome: the index of the task, and when its call began."""
        if self._limit is not None:
            for index, when in begins:
                self._limit.began(index, when)

    def home(self, batch: Batch, outcomes: Outcomes | Unrun) -> None:
        """These have come back. Where nobody knows when a call began, it may have been until now."""
        if self._limit is None:
            return
        now = self._clock()
        if isinstance(outcomes, Unrun):
            for position in outcomes.begun:
                self._limit.began(batch.indices[position], now)
            self._limit.returned(batch.indices[position] for position in outcomes.positions)
            return
        began = outcomes.began or [now] * len(outcomes.positions)
        for position, when in zip(outcomes.positions, began, strict=True):
            self._limit.began(batch.indices[position], when)

    def close(self) -> None:
        """The run is over."""
        if self._limit is not None:
            self._limit.over(self._clock())
