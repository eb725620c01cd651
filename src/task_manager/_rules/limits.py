"""What holds attempts back before they start: asked by the run, and by nothing else."""

from __future__ import annotations

import sys
from typing import Protocol


class Limit(Protocol):
    """Says how many attempts may start, and when. It waits for nothing, and is told the time.

    All times are of the clock of the run, in seconds.
    """

    def room(self, now: float, in_flight: int) -> int:
        """How many attempts may start now.

        in_flight: Those that have started and have no outcome yet.
        """
        ...

    def due(self, now: float) -> float:
        """When to ask again after an answer of none; `math.inf` where only an outcome changes that."""
        ...

    def start(self, now: float, count: int) -> None:
        """Take note: so many have been started."""
        ...


def most_to_start(limit: Limit | None, now: float, in_flight: int) -> tuple[int, float | None]:
    """Attempts that may start now, and where there are none, the seconds after which to ask again."""
    if limit is None:
        return sys.maxsize, None
    most = limit.room(now, in_flight)
    return (most, None) if most > 0 else (0, max(0.0, limit.due(now) - now))
