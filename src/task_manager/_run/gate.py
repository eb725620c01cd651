"""Asks a limit how many attempts may start, and tells it what became of them.

Where each key has a limit of its own, whatever there is room for may be taken, and waits for its key.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .._rules.keyed import KeyedLimit
from .._rules.limits import Limit
from .._rules.rate import RateLimit
from .._signals import let_through
from .._task import Batch, Outcomes, Unrun
from ..errors import RetryAfter
from .keys import key_of
from .plan import Plan
from .waiting import WaitingAttempts
from .waiting_by_key import WaitingByKey


def limit_of(plan: Plan, kept: Limit | None) -> Limit | None:
    """The limit of a run. kept: The one that the runs before had."""
    if plan.limit is not None or kept is not None:
        return plan.limit or kept
    if plan.rate_key is not None:
        return KeyedLimit(plan.rate)
    return None if plan.rate is None else RateLimit(plan.rate)


class Gate:
    """Between a run and its limit. limit: None: whatever there is room for may start.

    clock: Of the run.
    """

    def __init__(self, limit: Limit | None, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._keyed = limit if isinstance(limit, KeyedLimit) else None
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

    def waiting(self) -> WaitingAttempts:
        """Where attempts wait until they may start."""
        return WaitingAttempts() if self._keyed is None else WaitingByKey(self._keyed)

    def enter(self, index: int, name: Any) -> None:
        """This task has this key. Raises what the name raises where it is compared."""
        if self._keyed is not None:
            self._keyed.enter(index, key_of(name), self._clock())

    def settle(self, indices: Sequence[int]) -> None:
        """These have an outcome."""
        if self._keyed is not None:
            self._keyed.settle(indices)

    def hold(self, index: int, pause: RetryAfter | None) -> None:
        """What a task has raised: nothing of its key, or of the one that is named, starts meanwhile.

        Where there are no keys, nothing at all. pause: None: nothing changes.
        """
        if pause is None:
            return
        now = self._clock()
        until = now + pause.seconds
        if self._keyed is None:
            self._held_until = max(self._held_until, until)
            return
        key = self._keyed.key_of(index)
        if pause.all is not True:
            try:
                key = self._keyed.named(key_of(pause.all), now)
            except Exception as error:  # one that breaks on meeting another
                let_through(error)
        self._keyed.pause(key, until)

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
