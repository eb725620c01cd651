"""The numbers of workers."""

from __future__ import annotations

import heapq


class Places:
    """Gives a worker the lowest number that is free, from 0: that of the one which it replaces."""

    def __init__(self) -> None:
        self._free: list[int] = []
        self._made = 0

    def take(self) -> int:
        if self._free:
            return heapq.heappop(self._free)
        self._made += 1
        return self._made - 1

    def give_back(self, number: int) -> None:
        heapq.heappush(self._free, number)
