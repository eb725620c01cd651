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
        heapq.heappush(self._heap, (due, self._next(), attempt))

    @property
    def earliest(self) -> float:
        """When the next one is due; `math.inf` where there is none."""
        return self._heap[0][0] if self._heap else math.inf

    def queue(self, attempt: Attempt) -> None:
        """It waits for nothing but its turn."""
        self.add(attempt, -math.inf)

    def take(self, now: float, most: int, leaving: list[int]) -> list[Attempt]:
        """Those that are due, so many at most.

        leaving: Has the index of each before it leaves its place here.
        """
        due: list[Attempt] = []
        while self._heap and self._heap[0][0] <= now and len(due) < most:
            leaving.append(self._heap[0][2].index)
            due.append(heapq.heappop(self._heap)[2])
        return due

    def clear(self) -> None:
        self._heap.clear()

    def _next(self) -> int:
        """Parts what is due at the same time: the one that came first is the first."""
        self._order += 1
        return self._order
