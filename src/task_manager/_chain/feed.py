"""What goes into the first link of a round of a chain, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .._processes import wire
from .._rules.batch_size import MOST_ATTEMPTS, BatchSize
from .._rules.suspects import Suspects
from .._run.reading import DRY, MOST_AT_ONCE
from .._run.run import TICK
from .._run.source import Source
from .._signals import HeldSignals
from ..errors import TransportError
from ..events import Repeated
from .book import Book
from .reports import StageBatch, noted, pack_column, stage_batches
from .stage_process import StageProcess

AHEAD = 8  # batches that are read before the first stage takes them


class Feed:
    """Decides what enters next, and reads the input.

    stages: Those of the round. fail: Told of a task that cannot be sent, with its stage and its error.
    size: Of the batches in which the input is read. weight: Bytes of a task, about.
    in_loop: A read may not wait. dry: The input had nothing at the last look, and has not ended.
    """

    def __init__(
        self,
        book: Book,
        source: Source,
        stages: Sequence[StageProcess],
        suspects: Suspects[int],
        fail: Callable[[StageProcess, int, BaseException, int], None],
        signals: HeldSignals,
        size: BatchSize,
        in_loop: bool = False,
    ) -> None:
        self._blocks = not in_loop
        self._book = book
        self._source = source
        self._stages = stages
        self._suspects = suspects
        self._fail = fail
        self._signals = signals
        self.size = size
        self.weight = 1.0
        self._at_once = 0  # tasks to be read together, as those before them were not to be run
        self.dry = False

    def steps(self) -> Iterator[StageBatch | bool]:
        """First those that have got somewhere already, the furthest first, then the initial tasks.

        Where there is no batch: whether to ask again at once.
        """
        at = [sorted(entries.items()) for entries in self._book.at]
        for stage, entries in reversed(list(enumerate(at))):
            others = [entry for entry in entries if entry[0] not in self._suspects]
            for ticket, task in [entry for entry in entries if entry[0] in self._suspects]:
                yield from self._pack(stage, [ticket], [task])
                while ticket in self._suspects:
                    yield False  # it is alone in the stage until that has told of it
            for first in range(0, len(others), MOST_ATTEMPTS):
                tickets, tasks = map(list, zip(*others[first : first + MOST_ATTEMPTS], strict=True))
                yield from self._pack(stage, tickets, tasks)
        while not self._source.ended and not self._stages[0].number:
            self.dry = False
            if self._ahead >= AHEAD * self._batch:
                yield False  # the first stage reports when it takes some
                continue
            limit = max(min(self._batch, self.size.size(self._source.remaining)), self._at_once)
            wait = TICK if self._blocks and self._book.idle else 0.0
            read = self._source.read(limit, wait, self._signals)
            if not read and not self._source.ended:
                self.dry = True
                yield False
                continue
            yield from self._enter(read)

    def _enter(self, read: list[Any]) -> Iterator[StageBatch | bool]:
        """These initial tasks, those with most of their way behind them first."""
        tickets, tasks, others, further = self._book.enter(read)
        self._at_once = 0 if tasks or further else min(2 * len(read), MOST_AT_ONCE)
        if others:
            self._stages[0].recorder.record(Repeated(others, stage=1))
        for stage, known in sorted(further.items(), reverse=True):
            at = self._book.at[stage]
            yield from self._pack(stage, known, [at[ticket] for ticket in known])
        if tasks:
            yield from self._pack(0, tickets, tasks)
        elif not further:
            yield True

    def packed(self, batch: StageBatch) -> tuple[bytes, bytes] | None:
        """The frame of a batch and its note; None where there is no memory for it."""
        first = batch.tickets[0]
        try:
            frame, note = noted(batch, self._book.at[batch.stage].get(first))
        except TransportError as error:
            self._fail(self._at(batch.stage), first, error, 0)
            return None
        self._book.leaving(batch.tickets)
        weight = len(frame) / len(batch.tickets)
        self.weight = max(weight, self.weight + 0.1 * (weight - self.weight))
        return frame, note

    @property
    def patience(self) -> float:
        """Seconds that may be spent on waiting for reports, where there is no batch."""
        if not self.dry:
            return TICK
        return 0.0 if self._book.idle else DRY  # where nothing is on its way, the input is waited for

    @property
    def worth(self) -> float:
        """Seconds that the first stage has to do with what it has not taken."""
        return self.size.worth(self._ahead)

    @property
    def _batch(self) -> int:
        """Tasks that are read at once: worth some time of the first stage, and not too many bytes."""
        return max(1, min(self.size.size(None), int(wire.LARGEST_SHARE / self.weight)))

    @property
    def _ahead(self) -> int:
        """Tasks that have got to the first stage, and that it has not taken."""
        first = self._stages[0]
        return len(self._book.at[first.number]) - len(first.held)

    def _at(self, number: int) -> StageProcess:
        return self._stages[number - self._stages[0].number]

    def _pack(self, stage: int, tickets: list[int], tasks: list[Any]) -> Iterator[StageBatch]:
        column = pack_column(tasks)
        if not column.plain:
            for ticket, cell in zip(tickets, column.cells, strict=True):
                if isinstance(cell, wire.Lost):
                    error = TransportError("argument", cell.type_name, cell.message)
                    self._fail(self._at(stage), ticket, error, 0)
        return stage_batches(stage, tickets, column, [])
