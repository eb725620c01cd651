"""A batch as the workers of an event loop take its attempts, one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from operator import length_hint
from typing import Any, NamedTuple

from .._task import Batch


class Opened(NamedTuple):
    """A batch that the workers take attempts from.

    rest: Of its positions, those that are not taken yet. feed: The same, as whole attempts.
    """

    batch: Batch
    positions: Sequence[int]
    rest: Iterator[int]
    feed: Iterator[tuple[Batch, int, Any]]

    @classmethod
    def of(cls, batch: Batch, positions: Sequence[int], calls: Iterable[Any]) -> Opened:
        rest = iter(positions)
        return cls(batch, positions, rest, zip(repeat(batch), rest, calls))

    def untaken(self) -> Iterable[tuple[Batch, int]]:
        first = len(self.positions) - length_hint(self.rest)
        return zip(repeat(self.batch), self.positions[first:])


NOTHING = Batch([], [], [], False, [])
