"""Attempts that wait for their key, where each key is limited by itself.

    a new task ─────────────────────────▶ the queue of its key ──▶ due, when the key has room
    a retry ──▶ until its delay is over ──▶ (before the new ones)

Each key that has a queue is looked at when it may have room, and not before: what waits for one key
costs the others nothing.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator

from .._rules.keyed import Key, KeyedLimit
from .._task import Attempt
from .waiting import WaitingAttempts

Queue = list[tuple[bool, int, Attempt]]  # a heap: retries first, of these the one that came first


class WaitingByKey(WaitingAttempts):
    """Owns the queues.

    limit: Knows the key of each task that waits here.
    """

    def __init__(self, limit: KeyedLimit) -> None:
        super().__init__()
        self._limit = limit
        self._queues: dict[Key, Queue] = {}
        self._looks: list[tuple[float, int, Key]] = []  # a heap: when to look at each that has a queue
        self._queued = 0

    def __len__(self) -> int:
        return super().__len__() + self._queued

    def __iter__(self) -> Iterator[Attempt]:
        yield from super().__iter__()
        for queue in self._queues.values():
            yield from (attempt for _, _, attempt in queue)

    @property
    def earliest(self) -> float:
        return min(super().earliest, self._looks[0][0] if self._looks else math.inf)

    def queue(self, attempt: Attempt) -> None:
        """It waits for its key alone."""
        key = self._limit.key_of(attempt.index)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = []
            heapq.heappush(self._looks, (-math.inf, self._next(), key))
        heapq.heappush(queue, (not attempt.number, self._next(), attempt))
        self._queued += 1

    def take(self, now: float, most: int, leaving: list[int]) -> list[Attempt]:
        while self._heap and self._heap[0][0] <= now:
            self.queue(self._heap[0][2])  # before it leaves its place
            heapq.heappop(self._heap)
        due: list[Attempt] = []
        while self._looks and self._looks[0][0] <= now and len(due) < most:
            key = self._looks[0][2]
            queue = self._queues[key]
            room = key.room(now)
            for _ in range(min(room, most - len(due), len(queue))):
                leaving.append(queue[0][2].index)
                due.append(heapq.heappop(queue)[2])
                self._queued -= 1
                room -= 1
            if not queue:
                heapq.heappop(self._looks)
                del self._queues[key]
            else:  # with room left, it is the turn of the others
                heapq.heapreplace(self._looks, (now if room else key.due(now), self._next(), key))
        return due

    def clear(self) -> None:
        super().clear()
        self._queues.clear()
        self._looks.clear()
        self._queued = 0
