"""The news of calls that were made, out of a batch and its outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._task import Batch, Failure, Outcomes
from ..events import Attempted


def attempted(
    batch: Batch, outcomes: Outcomes, failures: dict[int, Failure], stage: int | None
) -> Attempted:
    """The event. failures: Those of the outcomes, and what came too late. stage: As of a `Plan`."""
    whole = is_whole(batch, outcomes.positions)
    positions = outcomes.positions
    return Attempted(
        batch.indices if whole else [batch.indices[position] for position in positions],
        batch.numbers if whole else [batch.numbers[position] for position in positions],
        outcomes.workers,
        outcomes.began,
        outcomes.seconds,
        frozenset(batch.indices[position] for position in failures),
        stage,
    )


def succeeded(
    outcomes: Outcomes, failures: dict[int, Failure]
) -> tuple[list[int], list[Any], list[float]]:
    """The positions, values and seconds of those that are not among these failures."""
    good = [place for place, position in enumerate(outcomes.positions) if position not in failures]
    return (
        [outcomes.positions[place] for place in good],
        [outcomes.values[place] for place in good],
        [outcomes.seconds[place] for place in good] if outcomes.seconds else [],
    )


def is_whole(batch: Batch, positions: Sequence[int]) -> bool:
    """Whether these are all attempts of the batch, in its order."""
    return isinstance(positions, range) and len(positions) == len(batch)
