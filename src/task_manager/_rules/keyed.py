"""A limit for each key, as for each host: how many may begin, and until when a pause holds it back.

index ──▶ key ──▶ its rate, its pause

A key is known as long as it matters: while a task of it is open, its window is not empty, or a pause
goes on.  What does not matter any more is found by going round: each new key has two others looked at,
so that there are never many more than matter, and no moment in which all are looked at.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Hashable, Iterable, Sequence

from .rate import Rate, RateLimit

LOOKS = 2  # at other keys, for each that is new


class Key:
    """What is known of one key. name: What makes two keys the same. open: Tasks without an outcome."""

    __slots__ = ("held_until", "name", "open", "rate")

    def __init__(self, name: Hashable, rate: RateLimit | None) -> None:
        self.name = name
        self.rate = rate
        self.held_until = -math.inf
        self.open = 0

    def room(self, now: float) -> int:
        """How many attempts may start now."""
        if now < self.held_until:
            return 0
        return sys.maxsize if self.rate is None else self.rate.room(now)

    def due(self, now: float) -> float:
        """When to ask again, after an answer of none or of too few."""
        return max(self.held_until, now if self.rate is None else self.rate.due(now))

    def matters(self, now: float) -> bool:
        if self.open or now < self.held_until:
            return True
        return self.rate is not None and not self.rate.idle(now)


class KeyedLimit:
    """Follows the Protocol `Limit`: whatever there is room for may be taken, and then waits for its key.

    Owns the keys that matter. rate: Of each key; None: only pauses hold it back.
    """

    def __init__(self, rate: Rate | None) -> None:
        self._rate = rate
        self._keys: dict[Hashable, Key] = {}
        self._round: deque[Key] = deque()  # all keys, the one that is looked at next first
        self._of: dict[int, Key] = {}  # by index, of the tasks that are open

    def __len__(self) -> int:
        return len(self._keys)

    def enter(self, index: int, name: Hashable, now: float) -> None:
        """This task is of this key, until it is settled."""
        key = self._key(name, now)
        key.open += 1
        self._of[index] = key

    def key_of(self, index: int) -> Key:
        """Of a task that is open."""
        return self._of[index]

    def pause(self, key: Key, until: float) -> None:
        """Nothing of this key starts until then."""
        key.held_until = max(key.held_until, until)

    def named(self, name: Hashable, now: float) -> Key:
        """The key of this name, though no task of it may be open."""
        return self._key(name, now)

    def settle(self, indices: Iterable[int]) -> None:
        """These have an outcome."""
        for index in indices:
            key = self._of.pop(index, None)
            if key is not None:
                key.open -= 1

    # ------------------------------------------------------------------ as any limit

    def room(self, now: float, in_flight: int) -> int:
        return sys.maxsize

    def due(self, now: float) -> float:
        return math.inf

    def start(self, now: float, indices: Sequence[int]) -> None:
        for index in indices:
            rate = self._of[index].rate
            if rate is not None:
                rate.start(now, (index,))

    def began(self, index: int, when: float) -> None:
        rate = self._rate_of(index)
        if rate is not None:
            rate.began(index, when)

    def returned(self, indices: Iterable[int]) -> None:
        for index in indices:
            rate = self._rate_of(index)
            if rate is not None:
                rate.returned((index,))

    def over(self, now: float) -> None:
        for key in self._of.values():
            if key.rate is not None:
                key.rate.over(now)
            key.open = 0
        self._of.clear()

    # ------------------------------------------------------------------ inside

    def _rate_of(self, index: int) -> RateLimit | None:
        """None also of a task that is settled: a call that was left alone may be named once more."""
        key = self._of.get(index)
        return None if key is None else key.rate

    def _key(self, name: Hashable, now: float) -> Key:
        key = self._keys.get(name)
        if key is None:
            for _ in range(min(LOOKS, len(self._round))):
                self._look_at_next(now)
            key = Key(name, None if self._rate is None else RateLimit(self._rate))
            self._keys[name] = key
            self._round.append(key)
        return key

    def _look_at_next(self, now: float) -> None:
        key = self._round.popleft()
        if key.matters(now):
            self._round.append(key)
        else:
            self._keys.pop(key.name, None)
