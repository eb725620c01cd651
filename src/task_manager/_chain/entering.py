"""What enters the passages of a chain in thread mode: the initial tasks, and what got further before."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from .._platform import end_a_copy, this_process
from .._run.reading import DRY, MOST_AT_ONCE
from .._run.run import TICK
from .._run.source import Source
from .._signals import HeldSignals
from .book import Book
from .passage import Passage


class Entering:
    """Decides what enters next, and reads the input, in the caller's thread.

    passages: What the stages read, the first one first. in_loop: A read may not wait.
    dry: The input had nothing at the last look, and has not ended.
    """

    def __init__(
        self,
        book: Book,
        source: Source,
        passages: Sequence[Passage],
        signals: HeldSignals,
        in_loop: bool,
    ) -> None:
        self._home = this_process()
        self._book = book
        self._source = source
        self._passages = passages
        self._signals = signals
        self._blocks = not in_loop
        self._further: deque[tuple[int, list[int], list[Any]]] = deque()  # stage, tickets, tasks
        self._at_once = 0  # tasks to be read together, as those before them were not to be run
        self._over = False
        self.dry = False

    def step(self) -> bool:
        """Let enter what there is room for now. Whether there may be more at once."""
        self.dry = False
        if self._over or not self._go_on():
            return False
        first = self._passages[0]
        if self._source.ended:
            self._over = True
            first.end()
            return False
        if not first.has_room():
            return False
        limit = max(first.wanted, self._at_once)
        wait = TICK if self._blocks and self._book.idle else 0.0
        read = self._source.read(limit, wait, self._signals)
        end_a_copy(self._home)  # that the input has forked: it must not ask for a lock of the stages
        if not read and not self._source.ended:
            self.dry = True
            return False
        if read:
            self._enter(read)
        return True

    def stop(self) -> None:
        """Nothing more enters."""
        if not self._over:
            self._over = True
            self._further.clear()
            for passage in self._passages:
                passage.stopped()

    @property
    def patience(self) -> float:
        """Seconds that may be spent on waiting for the stages."""
        if not self.dry:
            return TICK
        return 0.0 if self._book.idle else DRY  # where nothing is on its way, the input is waited for

    def _enter(self, read: list[Any]) -> None:
        tickets, tasks, others, further = self._book.enter(read)
        self._at_once = 0 if tasks or further else min(2 * len(read), MOST_AT_ONCE)
        for stage, known in sorted(further.items(), reverse=True):  # with most of their way behind them
            at = self._book.at[stage]
            self._further.append((stage, known, [at[ticket] for ticket in known]))
        if tickets:
            self._book.leaving(tickets)
        if tickets or others:
            self._passages[0].enter(tickets, tasks, others)

    def _go_on(self) -> bool:
        """Let those enter that had got further. Whether none is left that has to wait for room."""
        while self._further:
            stage, tickets, tasks = self._further[0]
            if not self._passages[stage].has_room():
                return False
            self._book.leaving(tickets)
            self._passages[stage].enter(tickets, tasks)
            self._further.popleft()
        return True
