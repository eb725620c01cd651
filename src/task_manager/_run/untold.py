"""The outcomes that are recorded, and that the reader of a stream does not have yet.

run ─ events ──▶ Untold ──▶ Outcomes, as they came      InTurn: in the order of the input
run ◀─ source ── InTurn         so that no more wait for a slow one than may
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from operator import itemgetter
from typing import Any

from .._outcome import Outcome
from .._signals import HeldSignals
from ..events import Event, Failed, Succeeded
from .ledger import Entered
from .source import Source

Enter = Callable[[list[Any]], Entered]

MOST_A_WORKER = 100  # tasks that wait for a slow one, for each worker
MOST = 1000  # the same, where there are many workers; but two for each
BATCHES = 4  # for each worker: tiny tasks travel together, and are not to be held back

_without_index: Callable[[tuple[int, Outcome[Any, Any]]], Outcome[Any, Any]] = itemgetter(1)


class Untold:
    """An observer of the run: outcomes in the order in which they come."""

    def __init__(self) -> None:
        self._ready: deque[tuple[int, Outcome[Any, Any]]] = deque()  # with the indices of their tasks

    def observe(self, event: Event) -> None:
        self._ready.extend(_outcomes_of(event))

    def __bool__(self) -> bool:
        """There is something to tell."""
        return bool(self._ready)

    def over(self) -> None:
        """The run is: nothing more comes."""

    def tell(self) -> Iterator[Outcome[Any, Any]]:
        """One by one.

        All in C: no handler of a signal is run between the moment in which one is taken out and the
        one in which the reader has it.
        """
        taken_out = map(deque.popleft, repeat(self._ready, len(self._ready)))
        return map(_without_index, taken_out)

    def take_back(self) -> list[int]:
        """The indices of those that nobody was told."""
        left = [index for index, _ in self._ready]
        self._ready.clear()
        return left

    def source(self, source: Source, workers: int) -> Source:
        """What the run is to read instead."""
        return source

    def enter(self, enter: Enter) -> Enter:
        """The way in that the run is to use instead."""
        return enter


class InTurn(Untold):
    """Outcomes in the order in which their tasks were taken."""

    def __init__(self) -> None:
        super().__init__()
        self._order: deque[int] = deque()  # indices: taken, and not ready
        self._early: dict[int, Outcome[Any, Any]] = {}  # those behind a slow one

    def observe(self, event: Event) -> None:
        self._early.update(_outcomes_of(event))
        order, early = self._order, self._early
        while order and order[0] in early:
            index = order.popleft()
            self._ready.append((index, early.pop(index)))

    def over(self) -> None:
        """What was stopped has no outcome, and nothing waits for it any more."""
        self._ready.extend(
            (index, self._early.pop(index)) for index in self._order if index in self._early
        )
        self._order.clear()

    def take_back(self) -> list[int]:
        left = [*super().take_back(), *self._early]
        self._early.clear()
        self._order.clear()
        return left

    def source(self, source: Source, workers: int) -> Source:
        return BoundedSource(source, self, workers)

    def enter(self, enter: Enter) -> Enter:
        def noted(tasks: list[Any]) -> Entered:
            entered = enter(tasks)
            self._order.extend(entered.indices)
            return entered

        return noted

    @property
    def waiting(self) -> int:
        """Tasks taken and not told."""
        return len(self._order) + len(self._ready)


def _outcomes_of(event: Event) -> Iterable[tuple[int, Outcome[Any, Any]]]:
    match event:
        case Succeeded(indices, tasks, results, seconds, attempts):
            return zip(
                indices, map(Outcome, tasks, results, repeat(None), attempts, seconds), strict=True
            )
        case Failed(index, task, error, attempts_made, took):
            return ((index, Outcome(task, None, error, attempts_made, took)),)
    return ()


class BoundedSource:
    """Gives nothing while too many wait for one that is slow. A retry of that one is not held back."""

    def __init__(self, source: Source, told: InTurn, workers: int) -> None:
        self._source = source
        self._told = told
        self._workers = workers
        self._full = False  # at the last look
        self.error: Exception | None = None

    @property
    def ended(self) -> bool:
        return self._source.ended

    @property
    def remaining(self) -> int | None:
        return self._source.remaining

    @property
    def dropped(self) -> int:
        return self._source.dropped

    def read(self, limit: int, wait: float, signals: HeldSignals) -> list[Any]:
        usual = max(2 * self._workers, min(MOST_A_WORKER * self._workers, MOST))
        most = max(usual, BATCHES * self._workers * limit) - self._told.waiting
        self._full = most <= 0
        if not self._full:
            tasks = self._source.read(min(limit, most), wait, signals)
            self.error = self._source.error
            return tasks
        if wait:  # nothing is in flight: what holds the others up waits to be tried again
            signals.through(time.sleep, wait)
        return []

    async def wait(self, seconds: float) -> None:
        await (asyncio.sleep(seconds) if self._full else self._source.wait(seconds))

    async def close(self) -> None:
        await self._source.close()
