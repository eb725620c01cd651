"""The attempts that a runner has, and that have no outcome yet."""

from __future__ import annotations

from collections.abc import Sequence

from .._task import Batch


class InFlight:
    """Owns the batches that were given to a runner, until each of their attempts has come back."""

    def __init__(self) -> None:
        self._open: dict[Batch, set[int] | None] = {}  # positions without outcome; None: all

    def __bool__(self) -> bool:
        return bool(self._open)

    def add(self, batch: Batch) -> None:
        self._open[batch] = None

    def remove(self, batch: Batch, positions: Sequence[int]) -> None:
        """These attempts of the batch have come back."""
        if len(positions) == len(batch):
            del self._open[batch]
            return
        missing = self._open[batch]
        if missing is None:
            missing = self._open[batch] = set(range(len(batch)))
        missing.difference_update(positions)
        if not missing:
            del self._open[batch]

    @property
    def count(self) -> int:
        """How many attempts there are."""
        return sum(
            len(batch) if missing is None else len(missing) for batch, missing in self._open.items()
        )

    @property
    def indices(self) -> list[int]:
        """The tasks that these are attempts for."""
        return [
            batch.indices[position]
            for batch, missing in self._open.items()
            for position in (range(len(batch)) if missing is None else missing)
        ]

    def clear(self) -> None:
        self._open.clear()
