"""A start of a chain that is read: its outcomes are those of the initial tasks."""

from __future__ import annotations

from contextlib import ExitStack

from .._run.source import Input, Source
from .._run.stream import Streamed
from .._runners.kept import Turn
from .._stop import Stop
from .book import Book
from .modes import CHAIN_MODES, Flowing
from .starts import Starts, Wanted


class ChainStreamed(Streamed):
    """It begins with the first question, and is then the one start that the chain makes at a time."""

    _book: Book
    _source: Source
    _flow: Flowing

    def __init__(self, starts: Starts, free: Turn, wanted: Wanted, tasks: Input, ordered: bool) -> None:
        super().__init__(ordered)
        self._starts = starts
        self._free = free
        self._wanted = wanted
        self._tasks = tasks
        self._opened = ExitStack()

    def begin(self, in_loop: bool) -> None:
        stop = Stop(self.signals, in_loop)
        wanted = self._wanted
        with ExitStack() as opened:
            opened.enter_context(self._free.one_run("this chain"))
            one = self._starts.one(wanted, self._tasks, stop, self.untold)
            self._book, self._source = opened.enter_context(one)
            flowing = CHAIN_MODES[wanted.mode].flowing
            self._flow = opened.enter_context(
                flowing(wanted.stages, self._source, self._book, self.signals, in_loop)
            )
            self._opened = opened.pop_all()
            self.stop = stop

    @property
    def over(self) -> bool:
        return self._flow.over

    def leaves(self, error: BaseException) -> bool:
        waited_for = super().leaves(error)  # it is stopped in any case
        return waited_for and not self._flow.inside

    def turn(self) -> None:
        self._flow.turn()

    async def turn_awaiting(self) -> None:
        await self._flow.turn_awaiting()

    def rest(self) -> None:
        self._flow.rest()
        if self._book.record is not None:
            self._book.record.resting()

    async def close_awaiting(self) -> None:
        try:
            await self._source.close()
        finally:
            await self._flow.close_awaiting()

    def end(self) -> None:
        self.end_left()
        if self._source.error is not None:
            raise self._source.error

    def end_left(self) -> None:
        self._book.returned(self._flow.error)
        self._opened.close()
        if self._flow.error is not None:
            raise self._flow.error

    def break_off(self, error: BaseException) -> bool:
        return bool(self._opened.__exit__(type(error), error, error.__traceback__))
