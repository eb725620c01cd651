"""Attempts that wait until they are due: retries, and what a runner has given back."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator

from .._task import Attempt


class WaitingAttempts:
    """Owns them, the earliest first; of those that are due at the same time, the one that came first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Attempt]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[Attempt]:
        return (attempt for _, _, attempt in self._heap)

    def add(self, attempt: Attempt, due: float) -> None:
        self._order += 1
        heapq.heappush(self._heap, (due, self._order, attempt))

    @property
    def earliest(self) -> float:
        """When the next one is due; `math.inf` where there is none."""
        return self._heap[0][0] if self._heap else math.inf

    def first(self) -> Attempt:
        """The one that is due next. It stays."""
        return self._heap[0][2]

    def take(self) -> Attempt:
        """The one that is due next, which waits no more."""
        return heapq.heappop(self._heap)[2]

    def clear(self) -> None:
        self._heap.clear()
