"""The outcomes that are recorded, and that the reader of a stream does not have yet.

run ─ events ──▶ Untold ──▶ Outcomes, as they came      InTurn: in the order of the input
run ◀─ source ── InTurn         so that no more wait for a slow one than may
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from itertools import repeat
from operator import length_hint
from typing import Any

from .._outcome import Outcome
from .._signals import HeldSignals
from ..events import Event, Failed, Succeeded
from .ledger import Entered
from .source import Source

Enter = Callable[[list[Any]], Entered]
Told = Generator[Outcome[Any, Any], None, None]

MOST_A_WORKER = 100  # tasks that wait for a slow one, for each worker
MOST = 1000  # the same, where there are many workers; but two for each
BATCHES = 4  # for each worker: tiny tasks travel together, and are not to be held back


class Untold:
    """An observer of the run: outcomes in the order in which they come."""

    def __init__(self) -> None:
        self._events: deque[Succeeded | Failed] = deque()
        self._indices: list[int] = []  # of the event whose outcomes are being told
        self._rest: Iterator[Any] = iter(())

    def observe(self, event: Event) -> None:
        match event:
            case Succeeded() | Failed():
                self._events.append(event)

    def __bool__(self) -> bool:
        """There is something to tell."""
        return bool(self._events)

    def over(self) -> None:
        """The run is: nothing more comes."""

    def tell(self) -> Told:
        """One by one."""
        while self._events:
            match self._events.popleft():
                case Succeeded(indices, tasks, results, seconds, attempts):
                    self._indices, self._rest = indices, iter(tasks)
                    yield from map(Outcome, self._rest, results, repeat(None), attempts, seconds)
                    self._indices = []
                case Failed(_, task, error, attempts_made, took):
                    yield Outcome(task, None, error, attempts_made, took)

    def take_back(self) -> list[int]:
        """The indices of those that nobody was told."""
        left = list(self._indices[len(self._indices) - length_hint(self._rest) :])
        for event in self._events:
            match event:
                case Succeeded(indices):
                    left += indices
                case Failed(index):
                    left.append(index)
        self._events.clear()
        self._indices = []
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
        self._order: deque[int] = deque()  # indices: taken, and not told
        self._there: dict[int, Outcome[Any, Any]] = {}

    def observe(self, event: Event) -> None:
        match event:
            case Succeeded(indices, tasks, results, seconds, attempts):
                made = map(Outcome, tasks, results, repeat(None), attempts, seconds)
                self._there.update(zip(indices, made, strict=True))
            case Failed(index, task, error, attempts_made, took):
                self._there[index] = Outcome(task, None, error, attempts_made, took)

    def __bool__(self) -> bool:
        return bool(self._order) and self._order[0] in self._there

    def over(self) -> None:
        """What was stopped has no outcome, and nothing waits for it any more."""
        self._order = deque(index for index in self._order if index in self._there)

    def tell(self) -> Told:
        while self:
            yield self._there.pop(self._order.popleft())

    def take_back(self) -> list[int]:
        left = list(self._there)
        self._there.clear()
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
        return len(self._order)


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
