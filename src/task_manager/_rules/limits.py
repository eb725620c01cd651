"""What holds attempts back before they start: asked by the run, and by nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol


class Limit(Protocol):
    """Says how many attempts may start, and when. It waits for nothing, and is told the time.

    All times are of the clock of the run, in seconds. An attempt is known by the index of its task:
    no task has two at the same time.
    """

    def room(self, now: float, in_flight: int) -> int:
        """How many attempts may start now.

        in_flight: Those that have started and have no outcome yet.
        """
        ...

    def due(self, now: float) -> float:
        """When to ask again after an answer of none; `math.inf` where only an outcome changes that."""
        ...

    def start(self, now: float, indices: Sequence[int]) -> None:
        """Take note: these have been given to workers. Their calls begin later."""
        ...

    def began(self, index: int, when: float) -> None:
        """The call of this one has begun. May be told more than once."""
        ...

    def returned(self, indices: Iterable[int]) -> None:
        """These have come back, and their calls have not begun."""
        ...

    def over(self, now: float) -> None:
        """The run is over: whatever has begun, it was not later than now."""
        ...
