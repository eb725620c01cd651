"""How a source is read: how many tasks together, and how soon again where it had nothing."""

from __future__ import annotations

from typing import Any

from .._signals import HeldSignals
from .source import Source

DRY = 0.005  # seconds after which a source that had nothing is asked again, while work is in flight
MOST_AT_ONCE = 256  # tasks are read together where all before them were done already


class Reading:
    """Reads. taken: Tasks so far. dry: The source had nothing at the last look, and has not ended."""

    def __init__(self, source: Source, signals: HeldSignals) -> None:
        self._source = source
        self._signals = signals
        self._at_once = 0  # tasks to be read together, as those before them were not to be run
        self._dry_looks = 0  # in a row
        self.taken = 0
        self.dry = False

    def limit(self, size: int) -> int:
        """How many to read where so many are wanted: more where none of the last ones was to be run."""
        return max(size, self._at_once)

    def read(self, limit: int, wait: float) -> list[Any]:
        """As `Source.read`."""
        tasks = self._source.read(limit, wait, self._signals)
        self.dry = not tasks and not self._source.ended
        self._dry_looks = 0 if tasks else self._dry_looks + 1
        self.taken += len(tasks)
        return tasks

    def came_to(self, read: int, run: int) -> None:
        """Of so many that were read, so many are run now."""
        self._at_once = 0 if run else min(2 * read, MOST_AT_ONCE)

    @property
    def pause(self) -> float:
        """Seconds until the next look at a source that had nothing, while work is in flight."""
        return DRY if self._dry_looks < 100 else 2 * DRY
