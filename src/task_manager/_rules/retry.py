"""Whether a failed attempt is made again, and after what delay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .._task import Failure
from .clients import stands_for

LONGEST_DOUBLING = 64  # 2**64 times any base is above every cap; keeps attempt 100,000 from overflowing


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter.

    The rule is "Full Jitter" of M. Brooker, "Exponential Backoff And Jitter", AWS Architecture
    Blog, 2015: a delay drawn evenly from 0 to min(cap, base * 2**(attempt - 1)) seconds.

    max_retries: Attempts after the first.
    exceptions: The types that are retried, subclasses included; where ConnectionError or TimeoutError
        is one of these, with what well-known clients raise in its place.
    base: The longest delay before the second attempt, in seconds.
    cap: The longest delay at all, in seconds.
    """

    max_retries: int
    exceptions: tuple[type[Exception], ...]
    base: float
    cap: float

    def delay(self, failure: Failure, number: int, chance: Callable[[], float]) -> float | None:
        """Seconds until the attempt after `number`, or None: this error stands.

        chance: Gives a number from 0 up to 1, as `random.random`.
        """
        if number > self.max_retries or not self._listed(failure):
            return None
        doubled: float = self.base * 2.0 ** min(number - 1, LONGEST_DOUBLING)
        return chance() * min(self.cap, doubled)

    def _listed(self, failure: Failure) -> bool:
        if not issubclass(failure.kind, Exception):
            return False
        if issubclass(failure.kind, self.exceptions):
            return True
        found = stands_for(failure)
        return bool(found) and any(issubclass(python, self.exceptions) for python in found)
