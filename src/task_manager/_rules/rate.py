"""How many attempts may begin in a length of time: never more than so many in any window of it.

    leaves (start) ─── some time later ───▶ begins (began): known from its outcome, or from its worker

An attempt begins in a worker, some time after it has left: its begin, and not its leaving, is what is
limited.  So one that has left and is not known to have begun counts against every window, and one that
has begun does so until a window after its begin is over.  Whenever an attempt leaves, all that may begin
in one window with it are fewer than `count`: the limit holds however late anything begins.

They are also spread: one leaves every length/count seconds, and what was late may be caught up with by
CREDIT of a length only, so that a server that looks at shorter times does not meet all at once.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

MARGIN = 0.01  # of a length: from what we note as a begin until the function's first line runs
LONGEST_MARGIN = 0.01  # seconds
CREDIT = 0.05  # of a length, a second at most: what is late by so much is made up for
LOOK = 0.005  # seconds: how soon to ask again where only news of a begin can help
QUANTUM = 0.002  # seconds: where many are due within so little they leave together


class Rate(NamedTuple):
    """So many attempts in so many seconds."""

    attempts: int
    seconds: float


class _Terms(NamedTuple):
    """What follows from a rate: one object for all that have the same."""

    most: int
    length: float
    spacing: float
    credit: float


@lru_cache(maxsize=64)
def _terms(rate: Rate) -> _Terms:
    length = rate.seconds + min(MARGIN * rate.seconds, LONGEST_MARGIN)
    spacing = length / rate.attempts
    return _Terms(rate.attempts, length, spacing, max(spacing, CREDIT * min(rate.seconds, 1.0)))


class RateLimit:
    """Follows the Protocol `Limit`. Owns the begins of the last window, at most `count` of them.

    There may be one for each of very many keys: it is small, most of all where nothing has left.
    """

    __slots__ = ("_began", "_next", "_out", "_terms")

    def __init__(self, rate: Rate) -> None:
        self._terms = _terms(rate)
        self._next = -math.inf  # when the next one may leave, as they are spread
        self._began: list[float] = []  # a heap
        self._out: set[int] | None = None  # left, and not known to have begun

    def room(self, now: float, in_flight: int = 0) -> int:
        most, _, spacing, credit = self._terms
        self._pass_windows(now)
        free = most - len(self._began) - len(self._out or ())
        if free <= 0 or self._next > now:
            return 0
        late = now - max(self._next, now - credit)
        return min(free, int(late / spacing + 1e-9) + 1)

    def due(self, now: float) -> float:
        most, length, _, credit = self._terms
        due = max(self._next, now + min(QUANTUM, credit / 2))
        if len(self._began) + len(self._out or ()) < most:
            return due
        first = self._began[0] + length if self._began else math.inf
        return max(due, min(first, now + LOOK) if self._out else first)

    def start(self, now: float, indices: Sequence[int]) -> None:
        if not self._out:
            self._out = set()
        self._out.update(indices)
        self._next = max(self._next, now - self._terms.credit) + len(indices) * self._terms.spacing

    def began(self, index: int, when: float) -> None:
        if self._out and index in self._out:
            self.returned((index,))
            heapq.heappush(self._began, when)

    def returned(self, indices: Iterable[int]) -> None:
        if self._out:
            self._out.difference_update(indices)
            self._out = self._out or None  # an empty set takes 200 bytes

    def over(self, now: float) -> None:
        for index in tuple(self._out or ()):
            self.began(index, now)

    def in_window(self, now: float) -> list[float]:
        """When those began that count against what begins now."""
        self._pass_windows(now)
        return list(self._began)

    def begun_elsewhere(self, now: float, begins: Iterable[float]) -> None:
        """Attempts have begun that another process has let start."""
        self._pass_windows(now)
        for when in begins:
            heapq.heappush(self._began, when)

    def idle(self, now: float) -> bool:
        """It is as a new one would be: nothing has left, or begun, that still counts."""
        self._pass_windows(now)
        return not (self._out or self._began or self._next > now - self._terms.credit)

    def _pass_windows(self, now: float) -> None:
        while self._began and self._began[0] + self._terms.length <= now:
            heapq.heappop(self._began)
