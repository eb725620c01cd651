"""A chain in process mode: rounds, until one ends with all its stages alive."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from .._processes.child import FailedStarts, failed_starts_error
from .._run.recorder import Recorder
from .._run.source import Source
from .._signals import HeldSignals
from ..manager import TaskManager, runs_of
from .book import Book
from .deaths import Deaths
from .plans import plans_of, refuse_executors
from .round import Round
from .stage_process import StageProcess


class InOrder(AbstractContextManager[None, bool | None]):
    """Enters contexts in order, and leaves them in the same order: the bar that was first ends first."""

    def __init__(self, contexts: Sequence[AbstractContextManager[None, bool | None]]) -> None:
        self._contexts = contexts
        self._entered: list[AbstractContextManager[None, bool | None]] = []

    def __enter__(self) -> None:
        try:
            for context in self._contexts:
                context.__enter__()
                self._entered.append(context)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def __exit__(self, *error: Any) -> bool | None:
        last_to_first = ExitStack()
        for context in reversed(self._entered):
            last_to_first.push(context)
        return last_to_first.__exit__(*error)


class Rounds:
    """Decides whether there is another round, and what the one before comes to.

    over: There is none, and none goes on.
    error: The first that a stage's handle_error raised.
    """

    inside = False  # all goes on in the reader's thread, or in other processes

    def __init__(
        self,
        stages: Sequence[TaskManager],
        recorders: Sequence[Recorder],
        initial: Source,
        book: Book,
        signals: HeldSignals,
        in_loop: bool,
    ) -> None:
        self._stages = stages
        self._recorders = recorders
        self._initial = initial
        self._book = book
        self._signals = signals
        self._in_loop = in_loop
        self._deaths = Deaths()
        self._indices: list[dict[int, int]] = [{} for _ in stages]
        self._failed_starts = FailedStarts()
        self._first = 0  # stage that is still used
        self._round: Round | None = None  # the one that goes on
        self.over = False
        self.error: BaseException | None = None

    @classmethod
    @contextmanager
    def opened(
        cls,
        stages: Sequence[TaskManager],
        initial: Source,
        book: Book,
        signals: HeldSignals,
        in_loop: bool = False,
    ) -> Iterator[Rounds]:
        """The time in which the stages make the runs of their managers."""
        refuse_executors(stages)
        plans = plans_of(stages, book.keeps)
        recorders = [runs_of(stage).recorder(plan) for stage, plan in zip(stages, plans, strict=True)]
        runs = [
            runs_of(stage).made_elsewhere(plan, recorder, initial.remaining, book.stop)
            for stage, plan, recorder in zip(stages, plans, recorders, strict=True)
        ]
        with InOrder(runs):
            rounds = cls(stages, recorders, initial, book, signals, in_loop)
            try:
                yield rounds
            finally:
                rounds.close()

    def turn(self) -> None:
        """A turn of the round that goes on, or of the next one."""
        if (going := self._going_on()) is not None:
            self._after(going, going.turn())

    async def turn_awaiting(self) -> None:
        """The same, in the running event loop."""
        if (going := self._going_on()) is not None:
            self._after(going, await going.turn_awaiting())

    async def close_awaiting(self) -> None:
        """Nothing has to be awaited."""

    def rest(self) -> None:
        """Observers are told at the next question."""

    def close(self) -> None:
        """End what goes on in the middle of a round."""
        going, self._round = self._round, None
        if going is not None:
            going.close()

    def _going_on(self) -> Round | None:
        if self._round is None:
            self._round = self._next()
            if self._round is None:
                self.over = True
            else:
                self._round.begin()
        return self._round

    def _after(self, going: Round, died: StageProcess | None) -> None:
        if died is not None or going.over:
            self.close()
            self._end(going, died)

    def _next(self) -> Round | None:
        if self._first >= len(self._stages) or self._book.stop.asked:
            return None
        return Round(
            self._stages,
            self._recorders,
            self._book,
            self._initial,
            self._first,
            self._deaths,
            self._indices,
            self._signals,
            self._in_loop,
        )

    def _end(self, round_: Round, died: StageProcess | None) -> None:
        """Take in what a round has come to. died: The stage whose death has ended it."""
        if died is not None:
            if self._failed_starts.too_many(died):
                raise failed_starts_error(f"processes of stage {died.number + 1}", died.exitcode)
            round_.charge(died)
        self.error = self.error or round_.error
        if died is None:
            self._first = len(self._stages)
        elif self._deaths.too_many and not self._book.stop.asked:
            round_.give_up(died)
            self._first = died.number + 1
            if not self._initial.ended:  # its length is unknown, and nobody is left to take the rest
                self.error = self.error or died.error
