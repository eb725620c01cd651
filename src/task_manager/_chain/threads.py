"""A chain in thread mode, from the caller's side.

                      ┌────────────── Inbox: what is to be done here ◀─────────────┐
     caller ── enter ─┴▶ stage 1 ── Passage ──▶ stage 2 ── Passage ──▶ stage 3 ────┘

Each stage is the run of its manager, pumped by a thread of its own: calls and hooks are there.  The
caller's thread reads the input, keeps the book and the journal, and tells all observers.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from time import monotonic  # bound here, as tests of other code stop the clock
from types import TracebackType

from .._platform import end_a_copy, this_process
from .._run.plan import Plan
from .._run.recorder import Recorder
from .._run.run import TICK
from .._run.source import Source
from .._signals import HeldSignals, comes_from_a_handler
from .._summary import why
from ..events import Event, RunEnded, Waiting
from ..manager import TaskManager
from .book import Book
from .entering import Entering
from .inbox import Inbox
from .passage import Passage
from .plans import plans_of
from .stage_thread import StageThread

GRACE = 0.5  # seconds that the end of a broken off start waits, all together, for code of the user's
MOMENT = 5.0  # seconds that a thread which has told of its end is waited for


class Threads:
    """Owns the threads of the stages, and does what they ask for.

    error: The first that a stage's handle_error raised.
    """

    def __init__(
        self,
        stages: Sequence[TaskManager],
        plans: Sequence[Plan],
        initial: Source,
        book: Book,
        signals: HeldSignals,
        in_loop: bool,
    ) -> None:
        self._home = this_process()
        self._book = book
        self._source = initial
        self._signals = signals
        self._inbox = Inbox()
        passages = [Passage(self._inbox, book.stop) for _ in stages]
        self._entering = Entering(book, initial, passages, signals, in_loop)
        self._told = [Recorder((), plan.observers) for plan in plans]
        self._watched = sum(recorder.watched for recorder in self._told)
        self._ends: dict[int, RunEnded] = {}  # by stage
        self._quiet_since = monotonic()
        self.error: BaseException | None = None
        self._stages = [
            StageThread(
                number,
                stage,
                plan,
                book,
                self._inbox,
                passages[number],
                passages[number + 1] if number + 1 < len(passages) else None,
                initial.remaining,
                partial(self._tell, number),
                partial(self._ended, number),
            )
            for number, (stage, plan) in enumerate(zip(stages, plans, strict=True))
        ]
        self._going = set(range(len(stages)))

    @classmethod
    @contextmanager
    def opened(
        cls,
        stages: Sequence[TaskManager],
        initial: Source,
        book: Book,
        signals: HeldSignals,
        in_loop: bool = False,
    ) -> Iterator[Threads]:
        """The time in which the stages run, each in its thread."""
        threads = cls(stages, plans_of(stages, book.keeps), initial, book, signals, in_loop)
        with ExitStack() as at_the_end:
            at_the_end.push(threads._close)
            book.stop.follow(threads._inbox.poke)
            for stage in threads._stages:
                stage.open()
            threads._inbox.work()  # the observers hear of the beginning first: logs and bars are made
            for stage in threads._stages:
                stage.start()
            yield threads

    @property
    def over(self) -> bool:
        """All stages have ended."""
        return not self._going

    @property
    def inside(self) -> bool:
        """Asked in the thread of a stage, as where a stream is collected there as garbage."""
        here = threading.current_thread()
        return any(stage.thread is here for stage in self._stages)

    def turn(self) -> None:
        """Read what there is room for, do what there is to do; wait some tenths of a second at most.

        Raises what broke off the run of a stage: as in a manager, the rest is not started.
        """
        self._obey()
        more = self._entering.step()
        patience = 0.0 if more else self._entering.patience
        if patience:
            self._signals.through(self._inbox.wait, patience)
        else:
            self._signals.deliver()
        self._take_in(more)

    async def turn_awaiting(self) -> None:
        """The same, in an event loop that others use as well."""
        try:
            self._signals.deliver()
            self._obey()
            more = self._entering.step()
            if more:
                await asyncio.sleep(0)
            elif self._entering.dry and self._book.idle:
                await self._source.wait(TICK)
            else:
                await self._inbox.arrival(self._entering.patience)
            end_a_copy(self._home)
            self._take_in(more)
        except BaseException as error:
            end_a_copy(self._home, error)  # it must not come to the end of the loop: see `turn_awaiting`
            raise

    async def close_awaiting(self) -> None:
        """Nothing has to be awaited."""

    def rest(self) -> None:
        """Observers are told at the next question."""

    # ------------------------------------------------------------------ inside

    def _obey(self) -> None:
        stop = self._book.stop
        stop.check()
        if stop.asked:
            self._entering.stop()

    def _take_in(self, more: bool) -> None:
        news = self._inbox.work()
        end_a_copy(self._home)  # that an observer has forked
        now = monotonic()
        if news or more:
            self._quiet_since = now
        elif now - self._quiet_since >= TICK:
            self._quiet_since = now
            for number, recorder in enumerate(self._told, start=1):
                recorder.tell(Waiting(number))
            self._book.waiting()

    def _tell(self, number: int, event: Event) -> None:
        """Have the observers of this stage's manager told. Of the ends all at the end, the first first:
        so the bars of all stages move until then, and end in order.
        """
        if not isinstance(event, RunEnded):
            self._told[number].tell(event)
            return
        self._ends[number] = event
        if len(self._ends) == self._watched:
            for stage, ended in sorted(self._ends.items()):
                self._told[stage].close(ended.summary, ended.stage)

    def _ended(self, number: int, error: BaseException | None, through: bool) -> None:
        self._going.discard(number)
        if error is not None and not through:
            raise error
        self.error = self.error or error

    def _close(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """As the exit of a context. error: What breaks off the start; None where it goes to its end."""
        if self._home is not this_process():  # a copy, in which no stage goes on
            return
        if error is None:
            for stage in self._stages:
                stage.thread.join(MOMENT)
        else:
            comes_from_a_handler(error)  # it is seen: what tasks raise next is not this on its way out
            self._break_off(why(error))
        if self._book.marks and not self.inside:
            for stage in self._stages:
                self._book.begun(stage.begun)
            self._book.note_not_begun()

    def _break_off(self, reason: str) -> None:
        """Have all stages end. One that is in code of the user's is left alone, after a moment."""
        for stage in self._stages:
            stage.break_off(reason)
        if self.inside:  # it cannot wait for itself, nor ask for a lock that it may have
            return
        try:
            until = monotonic() + GRACE
            for stage in self._stages:
                stage.wait(until)
        finally:
            for stage in self._stages:
                stage.close()
            self._inbox.work_off()
