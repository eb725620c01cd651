"""A chain in serial mode whose stages take turns in one thread, so that the first outcomes come at once.

     initial tasks ─▶ stage 1 ─▶ passed ─▶ stage 2 ─▶ passed ─▶ stage 3 ─▶ arrived

Each stage is a run of its manager, and a turn is one of each of these, the last stage first.  What has
passed a stage waits for the next one; where as much waits as that can do with, nothing more is read for
the stage before.  So whatever is slow, a stage or the reader, slows all.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from .._platform import this_process
from .._run.flow import Flow
from .._run.plan import Plan
from .._run.pump import refuse_running_loop, turn, turn_awaiting
from .._run.runs import Runs
from .._run.source import Source
from .._signals import HeldSignals, let_through
from ..manager import TaskManager
from .book import Book, Entry, Tickets
from .plans import plans_of
from .serial import EntranceSource, stage_run

SHORTEST, LONGEST = 0.0005, 0.01  # seconds of a nap while no stage has anything: longer each time


class PassedSource:
    """What has passed the stage before this one, and what a journal knows to have done so.

    stage: From 0. closed: Nothing more passes that stage.
    """

    error: Exception | None = None
    remaining = None
    dropped = 0

    def __init__(self, stage: int, book: Book) -> None:
        self._stage = stage
        self._book = book
        self._waiting: deque[int] = deque()
        self._wanted = 1  # tasks, at the last look
        self.closed = False
        self.tickets: Tickets
        self.workers = 1
        self.next: PassedSource | None = None

    @property
    def ended(self) -> bool:
        return self.closed and not self._waiting

    @property
    def full(self) -> bool:
        """As many wait as the stage can do with at once, twice."""
        return len(self._waiting) >= 2 * self.workers * self._wanted

    def put(self, tickets: Sequence[int]) -> None:
        """The holders of these have got to this stage, as the book has it."""
        self._waiting.extend(tickets)

    def read(self, limit: int, wait: float, signals: HeldSignals) -> list[Any]:
        self._wanted = limit
        if self.next is not None and self.next.full:
            return []
        found = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        self.tickets.come(found)
        return list(map(self._book.at[self._stage].__getitem__, found))

    async def wait(self, seconds: float) -> None:
        """Nobody waits for it: the stages take turns."""

    async def close(self) -> None:
        """It is read no more by itself."""


class Entrance(EntranceSource):
    """The initial tasks; none while the second stage has enough, and no waiting for them.

    links: What the later stages read from.
    """

    links: Sequence[PassedSource] = ()

    def read(self, limit: int, wait: float, signals: HeldSignals) -> list[Any]:
        if self.links and self.links[0].full:
            return []
        return super().read(limit, 0.0, signals)

    def enter(self, read: list[Any]) -> Entry:
        entry = super().enter(read)
        for stage, tickets in entry.further.items():
            self.links[stage - 1].put(tickets)
        return entry


@dataclass(frozen=True, slots=True, eq=False)
class Going:
    """A stage whose run goes on. source: What it reads. opened: The time of its run."""

    runs: Runs
    plan: Plan
    source: Source
    flow: Flow
    opened: AbstractContextManager[Flow]


class Turns:
    """Owns the runs of the stages.

    over: All of them are. error: The first that a stage's handle_error raised.
    """

    inside = False  # all goes on in the reader's thread

    def __init__(self, book: Book, signals: HeldSignals) -> None:
        self._book = book
        self._signals = signals
        self._home = this_process()
        self._going: dict[int, Going] = {}  # by stage
        self._links: list[PassedSource] = []
        self._quiet = 0  # turns in a row in which nothing has moved
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
    ) -> Iterator[Turns]:
        """The time in which the stages run, all at once."""
        plans = plans_of(stages, book.keeps)
        if not in_loop and any(plan.mode.awaits for plan in plans):
            what = "a stream of a serial chain with an async stage"
            refuse_running_loop(what, "async for outcome in chain.stream_async(tasks)")
        turns = cls(book, signals)
        with ExitStack() as first_to_last:
            first_to_last.push(turns._close)
            turns._begin(stages, plans, initial, in_loop)
            yield turns

    def _begin(
        self, stages: Sequence[TaskManager], plans: Sequence[Plan], initial: Source, in_loop: bool
    ) -> None:
        self._links = [PassedSource(number, self._book) for number in range(1, len(stages))]
        for number, (stage, plan) in enumerate(zip(stages, plans, strict=True)):
            link = self._links[number] if number < len(self._links) else None
            made = stage_run(number, stage, plan, self._book, None if link is None else link.put)
            source: Source
            if number:
                source = before = self._links[number - 1]
                before.tickets, before.next = made.tickets, link
            else:
                source = Entrance(initial, self._book, made.tickets, made.recorder)
                source.links = self._links
            opened = made.runs.flowing(
                made.plan,
                source,
                self._signals,
                made.recorder,
                self._book.stop,
                in_loop=in_loop,
                apart=True,
            )
            flow = opened.__enter__()
            self._going[number] = Going(made.runs, made.plan, source, flow, opened)
            if number:
                self._links[number - 1].workers = flow.runner.workers

    @property
    def over(self) -> bool:
        return not self._going

    def turn(self) -> None:
        """One of each stage; where none has anything, a nap."""
        moved = False
        for number, going in reversed(list(self._going.items())):
            run, runner, stop, _ = going.flow
            moved |= turn(run, runner, self._signals, stop, self._home, longest=0.0)
            if run.over:
                self._end(number)
                moved = True
        if nap := self._nap(moved):
            self._signals.through(time.sleep, nap)

    async def turn_awaiting(self) -> None:
        """The same, in the running event loop."""
        moved = False
        for number, going in reversed(list(self._going.items())):
            run, runner, stop, _ = going.flow
            moved |= await turn_awaiting(run, runner, self._signals, stop, self._home, longest=0.0)
            if run.over:
                await _closed(going)
                self._end(number)
                moved = True
        await asyncio.sleep(self._nap(moved))

    async def close_awaiting(self) -> None:
        """End what has to be awaited, in the runs that go on."""
        for going in self._going.values():
            await _closed(going)

    def rest(self) -> None:
        """Nothing is done for a while: what is to be written is."""
        for going in self._going.values():
            going.flow.rest()

    def _nap(self, moved: bool) -> float:
        self._quiet = 0 if moved else self._quiet + 1
        return min(LONGEST, math.ldexp(SHORTEST, min(self._quiet, 10) - 1)) if self._quiet else 0.0

    def _end(self, number: int) -> None:
        """The run of this stage is over: the next one has all that it will get."""
        going = self._going[number]
        going.flow.run.end()
        del self._going[number]
        going.opened.__exit__(None, None, None)
        if number < len(self._links):
            self._links[number].closed = True
        try:
            self._signals.through(going.runs.conclude, going.flow.run, going.plan)
        except Exception as error:
            let_through(error)
            self.error = self.error or error

    def _close(self, *error: Any) -> bool | None:
        """As the exit of a context: break off what goes on, the first stage first."""
        with ExitStack() as last_to_first:
            for going in reversed(self._going.values()):
                last_to_first.push(going.opened)
            self._going = {}
            return last_to_first.__exit__(*error)


async def _closed(going: Going) -> None:
    try:
        await going.source.close()
    finally:
        await going.flow.runner.close()
