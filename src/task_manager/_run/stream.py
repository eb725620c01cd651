"""A run that yields its outcomes: it goes on while its reader asks for the next one.

     reader asks ─▶ turns of the pump, signals held ─▶ outcomes of a turn ─▶ reader, one by one

Between two steps nothing is held back: what a signal's handler raises in the reader's code is the
reader's.  Who leaves has the run stopped as by `stop()`: what runs is finished, nothing more begins.
Where nobody can wait for that, it is broken off: in a call of the run itself, which may collect a
dropped stream as garbage; at the end of the script; and by a Ctrl-C while it is waited for.
"""

from __future__ import annotations

import atexit
import sys
import weakref
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from typing import Any

from .._outcome import Outcome
from .._platform import end_a_copy, this_process
from .._runners.thread_worker import in_a_worker
from .._signals import HeldSignals
from .._stop import StoppedAtOnce
from .plan import Plan
from .pump import turn, turn_awaiting
from .runs import Flow, Runs
from .source import Source
from .untold import InTurn, Untold

LEFT = "its reader left the stream"

_open: weakref.WeakSet[Generator[Any, None, None]] = weakref.WeakSet()


class _Exiting(BaseException):
    """The script ends."""


class Reading:
    """What is common to the two kinds of readers: how the run begins, and how it ends.

    flow: The run, once it has begun.
    """

    def __init__(self, runs: Runs, plan: Plan, ordered: bool) -> None:
        self._runs = runs
        self._plan = plan
        self.untold = InTurn() if ordered else Untold()
        self.signals = HeldSignals()
        self.home = this_process()
        self._left = False
        self.flow: Flow

    def begin(self, source: Source, in_loop: bool = False) -> Flow:
        self._opened = self._runs.flowing(
            self._plan, source, self.signals, told=self.untold, in_loop=in_loop, apart=True
        )
        self.flow = self._opened.__enter__()
        return self.flow

    def ended(self) -> None:
        """All is done, or a stop was asked for: its counts are kept, and `handle_error` is called."""
        self.flow.run.end()
        self._opened.__exit__(None, None, None)
        self.signals.through(self._runs.conclude, self.flow.run, self._plan)

    def leaves(self, error: BaseException) -> bool:
        """Raised in the reader's code, or by it: the run stops. Whether its calls are waited for."""
        self._left = True
        if self.home is not this_process():  # a copy of it, in which no run goes on
            return False
        self.flow.stop.ask(LEFT)
        return not (in_a_worker() or sys.is_finalizing() or isinstance(error, _Exiting))

    def broken_off(self, error: BaseException) -> bool:
        """It goes no further, by this error; whether that is none for who reads."""
        if not hasattr(self, "flow"):
            return False
        if not self._left:
            if not self._opened.__exit__(type(error), error, error.__traceback__):
                return False
            self.signals.through(self._runs.conclude, self.flow.run, self._plan)
            return True
        if self.flow.run.over and self.home is this_process():
            self.flow.run.end()
            self._opened.__exit__(None, None, None)
            self.signals.through(self._plan.handle_error)
        else:
            stopped = StoppedAtOnce(self.flow.stop, LEFT)
            self._opened.__exit__(StoppedAtOnce, stopped, None)
        untold = self.untold.take_back()
        if not self._plan.keeps and self._plan.journal is None:
            self._runs.give_back(untold)
        return False


def stream(reading: Reading, source: Source) -> Generator[Outcome[Any, Any], None, None]:
    """The outcomes of a run that begins with the first question, in the thread of the reader."""
    outcomes = _read(reading, source)
    _open.add(outcomes)
    return outcomes


def _read(reading: Reading, source: Source) -> Generator[Outcome[Any, Any], None, None]:
    home, signals, untold = reading.home, reading.signals, reading.untold
    try:
        with signals.held():
            flow = reading.begin(source)
        run, runner, stop, _ = flow
        while not run.over or untold:
            with signals.held():
                end_a_copy(home)
                while not (untold or run.over):
                    turn(run, runner, signals, stop, home)
                if run.over:
                    untold.over()
                flow.rest()
            try:
                yield from untold.tell()
            except BaseException as error:
                if reading.leaves(error):
                    with signals.held():
                        while not run.over:
                            turn(run, runner, signals, stop, home)
                raise
        with signals.held():
            reading.ended()
    except BaseException as error:
        with signals.held():
            if not reading.broken_off(error):
                raise
    untold.over()
    yield from untold.tell()


async def stream_async(reading: Reading, source: Source) -> AsyncGenerator[Outcome[Any, Any], None]:
    """The same, in the running event loop."""
    home, signals, untold = reading.home, reading.signals, reading.untold
    try:
        with signals.held():
            flow = reading.begin(source, in_loop=True)
        run, runner, stop, _ = flow
        try:
            while not run.over or untold:
                with signals.held():
                    end_a_copy(home)
                    while not (untold or run.over):
                        await turn_awaiting(run, runner, signals, stop, home)
                    if run.over:
                        untold.over()
                    flow.rest()
                try:
                    for outcome in untold.tell():
                        yield outcome
                except BaseException as error:
                    if reading.leaves(error):
                        with signals.held():
                            while not run.over:
                                await turn_awaiting(run, runner, signals, stop, home)
                    raise
        finally:
            with signals.held():
                try:
                    await source.close()
                finally:
                    await runner.close()
        with signals.held():
            reading.ended()
    except BaseException as error:
        with signals.held():
            if not reading.broken_off(error):
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
