"""A run that yields its outcomes: it goes on while its reader asks for the next one.

     reader asks ─▶ turns, signals held ─▶ outcomes of a turn ─▶ reader, one by one

Between two steps nothing is held back: what a signal's handler raises in the reader's code is the
reader's.  Who leaves has the run stopped as by `stop()`: what runs is finished, nothing more begins.
Where nobody can wait for that, it is broken off: in a call of the run itself, which may collect a
dropped stream as garbage; at the end of the script; and by a Ctrl-C while it is waited for.
"""

from __future__ import annotations

import asyncio
import atexit
import sys
import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from typing import Any

from .._outcome import Outcome
from .._platform import end_a_copy, this_process
from .._runners.thread_worker import in_a_worker
from .._signals import HeldSignals
from .._stop import Stop, StoppedAtOnce
from .flow import Flow
from .plan import Plan
from .pump import turn, turn_awaiting
from .runs import Runs
from .source import Source
from .untold import InTurn, Untold

LEFT = "its reader left the stream"

_open: weakref.WeakSet[Generator[Any, None, None]] = weakref.WeakSet()


class _Exiting(BaseException):
    """The script ends."""


class Streamed(ABC):
    """What goes on while it is read: a run of a manager, or a start of a chain.

    ordered: It is read in the order of the input.
    stop: Its own, once it has begun.
    """

    stop: Stop | None = None

    def __init__(self, ordered: bool) -> None:
        self.untold = InTurn() if ordered else Untold()
        self.signals = HeldSignals()
        self.home = this_process()
        self._left = False

    @abstractmethod
    def begin(self, in_loop: bool) -> None:
        """With the first question. in_loop: It goes on in the running event loop."""

    @property
    @abstractmethod
    def over(self) -> bool:
        """Nothing goes on any more."""

    @abstractmethod
    def turn(self) -> None:
        """Give out what there is room for, take in what comes; wait some tenths of a second at most."""

    @abstractmethod
    async def turn_awaiting(self) -> None:
        """The same, in the loop."""

    @abstractmethod
    def rest(self) -> None:
        """Nothing is done until the next question: what is to be written is."""

    @abstractmethod
    async def close_awaiting(self) -> None:
        """In the loop: end what has to be awaited, before one of the next three."""

    @abstractmethod
    def end(self) -> None:
        """It is over. Raises what the input has raised, or the hook at the end."""

    @abstractmethod
    def end_left(self) -> None:
        """It is over, as its reader has left. Raises what the hook has raised."""

    @abstractmethod
    def break_off(self, error: BaseException) -> bool:
        """It goes no further. Whether the error is none for who reads: it was stopped at once."""

    def leaves(self, error: BaseException) -> bool:
        """Raised in the reader's code, or by it: the run stops. Whether its calls are waited for."""
        self._left = True
        if self.home is not this_process():  # a copy of it, in which no run goes on
            return False
        assert self.stop is not None
        self.stop.ask(LEFT)
        # A loop that ends has cancelled the calls as well: what comes of them is not theirs.
        goes_no_further = isinstance(error, (_Exiting, asyncio.CancelledError))
        return not (in_a_worker() or sys.is_finalizing() or goes_no_further)

    def ends_by(self, error: BaseException) -> bool:
        """Whether it ends by this without an error for who reads."""
        if self.stop is None:  # it has not begun
            return False
        if not self._left:
            return self.break_off(error)
        if self.over and self.home is this_process():
            self.end_left()
        else:
            self.break_off(StoppedAtOnce(self.stop, LEFT))
        return False


class RunStreamed(Streamed):
    """A run of a manager that is read."""

    _flow: Flow

    def __init__(self, runs: Runs, plan: Plan, source: Source, ordered: bool) -> None:
        super().__init__(ordered)
        self._runs = runs
        self._plan = plan
        self._source = source

    def begin(self, in_loop: bool) -> None:
        self._opened = self._runs.flowing(
            self._plan, self._source, self.signals, told=self.untold, in_loop=in_loop, apart=True
        )
        self._flow = self._opened.__enter__()
        self.stop = self._flow.stop

    @property
    def over(self) -> bool:
        return self._flow.run.over

    def turn(self) -> None:
        run, runner, stop, _ = self._flow
        turn(run, runner, self.signals, stop, self.home)

    async def turn_awaiting(self) -> None:
        run, runner, stop, _ = self._flow
        await turn_awaiting(run, runner, self.signals, stop, self.home)

    def rest(self) -> None:
        self._flow.rest()

    async def close_awaiting(self) -> None:
        try:
            await self._source.close()
        finally:
            await self._flow.runner.close()

    def end(self) -> None:
        self._flow.run.end()
        self._opened.__exit__(None, None, None)
        self.signals.through(self._runs.conclude, self._flow.run, self._plan)

    def end_left(self) -> None:
        self._flow.run.end()
        self._opened.__exit__(None, None, None)
        self._give_back()
        self.signals.through(self._plan.handle_error)

    def break_off(self, error: BaseException) -> bool:
        goes_on = False  # to tell what has come
        try:
            stopped = self._opened.__exit__(type(error), error, error.__traceback__)
            goes_on = bool(stopped) and not self._left
        finally:
            if not goes_on:
                self._give_back()
        if goes_on:
            self.signals.through(self._runs.conclude, self._flow.run, self._plan)
        return goes_on

    def _give_back(self) -> None:
        """What the reader was not told may run again, if nothing keeps it."""
        untold = self.untold.take_back()
        if not self._plan.keeps and self._plan.journal is None:
            self._runs.give_back(untold)


def stream(reading: Streamed) -> Generator[Outcome[Any, Any], None, None]:
    """The outcomes of what begins with the first question, in the thread of the reader."""
    outcomes = _read(reading)
    _open.add(outcomes)
    return outcomes


def _read(reading: Streamed) -> Generator[Outcome[Any, Any], None, None]:
    signals, untold = reading.signals, reading.untold
    try:
        with signals.held():
            reading.begin(in_loop=False)
        while not reading.over or untold:
            with signals.held():
                end_a_copy(reading.home)
                while not (untold or reading.over):
                    reading.turn()
                if reading.over:
                    untold.over()
                reading.rest()
            try:
                yield from untold.tell()
            except BaseException as error:
                if reading.leaves(error):
                    with suppress(StoppedAtOnce), signals.held():
                        while not reading.over:
                            reading.turn()
                raise
        with signals.held():
            reading.end()
    except BaseException as error:
        with signals.held():
            if not reading.ends_by(error):
                raise
    untold.over()
    yield from untold.tell()


async def stream_async(reading: Streamed) -> AsyncGenerator[Outcome[Any, Any], None]:
    """The same, in the running event loop."""
    signals, untold = reading.signals, reading.untold
    try:
        with signals.held():
            reading.begin(in_loop=True)
        try:
            while not reading.over or untold:
                with signals.held():
                    end_a_copy(reading.home)
                    while not (untold or reading.over):
                        await reading.turn_awaiting()
                    if reading.over:
                        untold.over()
                    reading.rest()
                try:
                    for outcome in untold.tell():
                        yield outcome
                except BaseException as error:
                    if reading.leaves(error):
                        with suppress(StoppedAtOnce), signals.held():
                            while not reading.over:
                                await reading.turn_awaiting()
                    raise
        finally:
            with signals.held():
                await reading.close_awaiting()
        with signals.held():
            reading.end()
    except BaseException as error:
        with signals.held():
            if not reading.ends_by(error):
                raise
    untold.over()
    for outcome in untold.tell():
        yield outcome


def _break_off() -> None:
    """At the end of the script: what is still open is not waited for."""
    for outcomes in list(_open):
        with suppress(BaseException):  # one that is read in a thread that goes on, or none is left
            outcomes.throw(_Exiting())


atexit.register(_break_off)
