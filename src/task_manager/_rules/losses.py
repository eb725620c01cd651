"""What a loss comes to where nobody knows which call was going on: who is charged, and who runs alone.

An executor, or an engine, tells that a batch is lost, and not at which call: nothing is in its hands
but the batch.  Workers and nodes are lost for many reasons, so the first losses of a task are forgiven.
Then it is a suspect, and runs with nothing else in flight: what is lost then is surely of its making.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .suspects import parts_of

FORGIVEN = 2  # losses that a task may have been in without being a suspect


class Losses:
    """Owns how often each task was lost. Knows the tasks by their indices."""

    def __init__(self) -> None:
        self._lost: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._lost)

    def clear(self, indices: Iterable[int]) -> None:
        """These have an outcome."""
        for index in indices:
            self._lost.pop(index, None)

    def parts(self, indices: Sequence[int]) -> list[tuple[slice, bool]]:
        """How to part what would travel together, and whether the part has to run alone."""
        suspects = {index for index in indices if self._lost.get(index, 0) >= FORGIVEN}
        parts = parts_of(indices, suspects)
        return [(part, indices[part.start] in suspects) for part in parts]

    def charge(self, lost: Iterable[int], alone: bool) -> int | None:
        """These were lost together. Who is charged for it, or None: they are run once more.

        alone: It was one that ran alone.
        """
        for index in lost:
            if alone:
                self._lost.pop(index, None)
                return index
            self._lost[index] = self._lost.get(index, 0) + 1
        return None
