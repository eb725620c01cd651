"""A stage of a chain in thread mode: the run of its manager, pumped by a thread of its own.

     caller's thread                          stage's thread, a daemon
     open ──▶ start ─────────────────────────▶ pump, the end of the run, handle_error, ended
     break_off ──▶ signals ──────────────────▶ raised at the next turn, or call of the user's
     leave ── where it is in such a call ────▶ touches nothing more; the caller ends its run

A thread cannot be ended.  One that is in the middle of code of the user's when the start is broken off
is waited for a moment, and then left alone: so are the calls of thread mode.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from time import monotonic  # bound here, as tests of other code stop the clock
from typing import Any, ParamSpec, TypeVar

from .._platform import end_a_copy, this_process
from .._processes.launch import refusal
from .._processes.life import uninterrupted
from .._run.flow import Flow
from .._run.plan import Plan
from .._run.pump import pump
from .._run.run import TICK
from .._signals import HeldSignals
from .._stop import StoppedAtOnce
from ..errors import WorkerStartError
from ..events import Event
from ..manager import TaskManager, runs_of
from .book import Book, Tickets
from .inbox import Inbox
from .passage import Passage
from .teller import Marks, Relay, Teller

P = ParamSpec("P")
V = TypeVar("V")


class Left(BaseException):
    """Ends the thread of a stage that was left alone."""


class StageSignals(HeldSignals):
    """What the run of a stage asks for signals. Its thread gets none: it hears of its caller here.

    ending: Raised at the next safe place. left: The thread is to touch nothing more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ending: BaseException | None = None
        self.left = False
        self._deciding = threading.Lock()

    def deliver(self) -> None:
        if self.ending is not None:
            raise self.ending

    def through(self, function: Callable[P, V], *args: P.args, **options: P.kwargs) -> V:
        self.deliver()
        self.allowed = True
        try:
            return function(*args, **options)
        finally:
            with self._deciding:
                self.allowed = False
                left = self.left
            if left:
                raise Left

    def leave(self) -> bool:
        """Leave the thread alone, if it is in code of the user's just now; whether it is."""
        with self._deciding:  # or it could come out of there between the question and the answer
            self.left |= self.allowed
            return self.left


class StageThread:
    """Owns the run and the thread of one stage, and what is said to it.

    number: From 0. begun: As of `Marks`, where the journal is to have it.
    source: What it reads; following: what the next stage does, None for the last.
    tell: Called in the caller's thread with the events for its manager's observers.
    ended: Called there at its end, with what it has raised, and whether it was through by then: it has
        taken all there was, or was stopped, and raised at its end as handle_error does.
    """

    def __init__(
        self,
        number: int,
        manager: TaskManager[Any, Any],
        plan: Plan,
        book: Book,
        inbox: Inbox,
        source: Passage,
        following: Passage | None,
        total: int | None,
        tell: Callable[[Event], None],
        ended: Callable[[BaseException | None, bool], None],
    ) -> None:
        self.number = number
        self.signals = StageSignals()
        self._home = this_process()
        self._runs = runs_of(manager)
        tickets = Tickets(first=self._runs.following)
        marks = Marks(tickets, book.strict) if book.marks else None
        self.begun: set[int] = set() if marks is None else marks.begun
        relay = Relay(tell, total, inbox, self.signals)
        self._plan = replace(plan, record=marks, observers=(relay,) if plan.observers else ())
        teller = Teller(number, book, tickets, marks, inbox, following, self.signals)
        recorder = self._runs.recorder(self._plan, teller)
        source.tickets, source.recorder = tickets, recorder
        self._source = source
        self._following = following
        self._inbox = inbox
        self._ended = ended
        self._stop = book.stop
        self._opened = self._runs.flowing(
            self._plan, source, self.signals, recorder, book.stop, apart=True
        )
        self._flow: Flow | None = None
        self.thread = threading.Thread(
            target=copy_context().run,
            args=(self._live,),
            name=f"task_manager-stage-{number + 1}",
            daemon=True,
        )

    # ------------------------------------------------------------------ of the caller

    def open(self) -> None:
        """The time of its run begins. Raises where it cannot."""
        self._flow = self._opened.__enter__()
        runner = self._flow.runner
        self._source.workers = runner.workers
        self._source.wake = runner.wake if runner.wakes else None

    def start(self) -> None:
        """Raises WorkerStartError where there is no thread to be had."""
        with uninterrupted():
            try:
                self.thread.start()
            except (RuntimeError, MemoryError) as error:
                said = f"no thread can be started for stage {self.number + 1}: {refusal(error)}"
                raise WorkerStartError(said) from error

    def break_off(self, why: str) -> None:
        """It is to end, at the next safe place."""
        self.signals.ending = StoppedAtOnce(self._stop, why)

    def wait(self, until: float) -> None:
        """For its end; from `until` on, by `monotonic`, not while it is in code of the user's."""
        while self.thread.is_alive():
            left = until - monotonic()
            if left <= 0 and self.signals.leave():
                return
            self.thread.join(min(TICK, max(0.01, left)))

    def close(self) -> None:
        """End its run here, where no thread does: there was none, or it was left alone."""
        if self._flow is not None and (self.thread.ident is None or self.signals.leave()):
            self._flow = None
            error = self.signals.ending
            assert error is not None
            with suppress(StoppedAtOnce):
                self._opened.__exit__(type(error), error, error.__traceback__)

    # ------------------------------------------------------------------ of the thread

    def _live(self) -> None:
        try:
            error, through = self._run()
            self._runs.shutdown()  # here: a state is cleaned up where it was made
        except Left:
            return
        except BaseException as other:
            error, through = other, False
        self._inbox.post(partial(self._ended, error, through))

    def _run(self) -> tuple[BaseException | None, bool]:
        """What it has raised, and whether it was through."""
        assert self._flow is not None
        run, runner, stop, _ = self._flow
        try:
            pump(run, runner, self.signals, stop)
        except Left:
            raise
        except BaseException as error:
            end_a_copy(self._home, error)
            with suppress(type(error)):  # it is raised again, as a rule
                self._opened.__exit__(type(error), error, error.__traceback__)
            return error, False
        self._opened.__exit__(None, None, None)
        if self._following is not None:
            self._following.end()
        try:
            self.signals.through(self._runs.conclude, run, self._plan)
        except Left:
            raise
        except BaseException as error:
            return error, self.signals.ending is None
        return None, True
