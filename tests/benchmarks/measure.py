"""Measures a row: its contestants in turns, round after round, so that all see the same weather."""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OFF, ON = "log off", "log on"  # the contestants that are task_manager

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    group: The name by which a person asks for it.
    work, against: What is done, and what the ratios are to.
    targets: The greatest ratio wanted, by contestant: log off, log on.
    contestants: Each measures itself once, in this row's unit.
    reference: What 1.0 is for a contestant, in each round.
    unit: "us" a task, "ms", or "MB"; `per` of it make one in the table.
    """

    group: str
    work: str
    against: str
    targets: Mapping[str, float]
    contestants: Mapping[str, Callable[[], float]]
    reference: Callable[[Sequence[Figures], str], list[float]]
    unit: str
    per: float


@dataclass(frozen=True, slots=True)
class Measured:
    """A row, and the figures of its rounds."""

    row: Row
    rounds: Sequence[Figures] = field(repr=False)

    def ratios(self, contestant: str) -> list[float]:
        """To the reference of the same round, from the least to the greatest."""
        references = self.row.reference(self.rounds, contestant)
        return sorted(
            figures[contestant] / reference
            for figures, reference in zip(self.rounds, references, strict=True)
        )

    def ratio(self, contestant: str) -> float:
        return statistics.median(self.ratios(contestant))

    @property
    def reference(self) -> float:
        return statistics.median(self.row.reference(self.rounds, OFF))


def median_of(rounds: Sequence[Figures], contestant: str) -> float:
    return statistics.median(figures[contestant] for figures in rounds)


def measure(row: Row, rounds: int) -> Measured:
    """One round that warms up, and so many that count."""
    figures = []
    for number in range(rounds + 1):
        figures.append({name: _at_rest(contestant) for name, contestant in row.contestants.items()})
        if number == 0:
            figures.clear()
    return Measured(row, figures)


def _at_rest(contestant: Callable[[], float]) -> float:
    gc.collect()
    return contestant()


def timed(work: Callable[..., Any], *args: Any, answers: int, **options: Any) -> Callable[[], float]:
    """A contestant that measures the seconds of a call that answers so many results."""

    def contestant() -> float:
        began = time.perf_counter()
        results = work(*args, **options)
        took = time.perf_counter() - began
        assert answers == len(results), f"{work.__name__} answered {len(results)} of {answers}"
        return took

    return contestant


def logged(work: Callable[[str | None], float]) -> dict[str, Callable[[], float]]:
    """task_manager twice: without a log, and with the default one in a folder of its own."""

    def with_log() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return work(folder)

    return {OFF: lambda: work(None), ON: with_log}
