"""Which tasks without an outcome have had a call begun, or may have: never too few."""

from __future__ import annotations

from collections.abc import Iterable

from .._runners import NotBegun


class Begun:
    """Owns the tasks that have come back from an attempt without an outcome.

    They wait for another attempt, or have one; in flight or not, a call has begun for each of them.
    """

    def __init__(self) -> None:
        self._indices: set[int] = set()

    def add(self, indices: Iterable[int]) -> None:
        """These have had a call, or may have."""
        self._indices.update(indices)

    def settle(self, indices: Iterable[int]) -> None:
        """These have an outcome."""
        if self._indices:
            self._indices.difference_update(indices)

    def count(self, in_flight: Iterable[int], open_: Iterable[int], not_begun: Iterable[int]) -> int:
        """How many tasks have had a call begun when a run is broken off.

        in_flight: The tasks with an attempt that a runner was given. open_: All others without outcome.
        not_begun: Those whose attempts the runner has not begun, as `not_begun_of` names them.
        """
        touched = set(in_flight)
        known = touched.union(open_)
        touched.difference_update(not_begun)
        return len(touched | (self._indices & known))


def not_begun_of(told: NotBegun | None) -> list[int]:
    """The tasks of the attempts that a runner has surely not begun. None: it does not know of any."""
    return [batch.indices[position] for batch, positions in told or () for position in positions]
