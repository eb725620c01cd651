"""A chain in serial mode: one stage after the other, each a run of its manager in this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from .._journal.chain_record import ChainRecord
from .._journal.no_record import Fail, NoRecord
from .._run.plan import Plan
from .._run.pump import refuse_running_loop
from .._run.reading import MOST_AT_ONCE
from .._run.recorder import Recorder
from .._run.runs import Runs
from .._run.source import IterableSource, Source
from .._signals import HeldSignals, let_through
from .._task import Batch, Unrun
from ..events import Attempted, Event, Failed, Repeated, Retrying, RunEnded, Succeeded, Waiting
from ..manager import TaskManager, runs_of
from .book import Book, Entry, Tickets
from .plans import plans_of


def run_in_serial(stages: Sequence[TaskManager], initial: Source, book: Book) -> BaseException | None:
    """Let the initial tasks through all stages; the first error that a stage's handle_error raised."""
    plans = plans_of(stages)
    if any(plan.mode.awaits for plan in plans):
        refuse_running_loop("a serial chain with an async stage", "await chain.start_chain_async(tasks)")
    first_error: Exception | None = None
    for runs, plan, source, recorder in _stage_runs(stages, plans, initial, book):
        try:
            with HeldSignals().held() as signals:
                runs.start(plan, source, signals, recorder, book.stop)
        except Exception as error:
            let_through(error)
            first_error = first_error or error
    return first_error


async def run_in_serial_async(
    stages: Sequence[TaskManager], initial: Source, book: Book
) -> BaseException | None:
    """The same, in the running event loop."""
    first_error: Exception | None = None
    for runs, plan, source, recorder in _stage_runs(stages, plans_of(stages), initial, book):
        try:
            with HeldSignals().held() as signals:
                await runs.start_async(plan, source, signals, recorder, book.stop)
        except Exception as error:
            let_through(error)
            first_error = first_error or error
    return first_error


def _stage_runs(
    stages: Sequence[TaskManager], plans: Sequence[Plan], initial: Source, book: Book
) -> Iterator[tuple[Runs, Plan, Source, Recorder]]:
    """What the run of each stage is made of; that of a stage when the one before is over."""
    for number, (stage, plan) in enumerate(zip(stages, plans, strict=True)):
        if book.stop.asked:
            return
        made = stage_run(number, stage, plan, book)
        source: Source
        if number == 0:
            source = EntranceSource(initial, book, made.tickets, made.recorder)
        else:
            passed = dict(sorted(book.at[number].items()))
            source = IterableSource(list(passed.values()))
            made.tickets.come(list(passed))
        yield made.runs, made.plan, source, made.recorder


class StageRun(NamedTuple):
    """What the run of a stage is made of, besides its source."""

    runs: Runs
    plan: Plan
    tickets: Tickets
    recorder: Recorder


def stage_run(
    number: int,
    stage: TaskManager,
    plan: Plan,
    book: Book,
    passed: Callable[[Sequence[int]], None] | None = None,
) -> StageRun:
    """number: Of the stage, from 0. passed: Told the tickets that have passed it, after the book."""
    runs = runs_of(stage)
    tickets = Tickets(first=runs.following)
    if book.record is not None:
        plan = replace(plan, record=StageMarks(number, book.record, book, tickets))
    recorder = runs.recorder(plan, Progression(number, book, tickets, passed))
    return StageRun(runs, plan, tickets, recorder)


class EntranceSource:
    """The initial tasks, as the first stage of a chain reads them: entered into the book.

    The error of the input is kept back: the chain raises it, when all stages are through.
    """

    def __init__(self, initial: Source, book: Book, tickets: Tickets, recorder: Recorder) -> None:
        self._recorder = recorder
        self._source = initial
        self._book = book
        self._tickets = tickets
        self._entered: deque[tuple[int, Any]] = deque()  # and not given yet: with their tickets
        self.error: Exception | None = None

    @property
    def ended(self) -> bool:
        return self._source.ended and not self._entered

    @property
    def remaining(self) -> int | None:
        remaining = self._source.remaining
        return None if remaining is None else remaining + len(self._entered)

    @property
    def dropped(self) -> int:
        return self._source.dropped

    def read(self, limit: int, wait: float, signals: HeldSignals) -> list[Any]:
        at_once = limit
        while not self._entered and not self._source.ended:
            read = self._source.read(at_once, wait, signals)
            at_once = max(limit, min(2 * at_once, MOST_AT_ONCE))
            if not read:  # nothing is there yet
                break
            self.enter(read)
        given = [self._entered.popleft() for _ in range(min(limit, len(self._entered)))]
        self._tickets.come([ticket for ticket, _ in given])
        return [task for _, task in given]

    def enter(self, read: list[Any]) -> Entry:
        entry = self._book.enter(read)
        self._entered.extend(zip(entry.tickets, entry.tasks, strict=True))
        if entry.others:
            self._recorder.record(Repeated(entry.others, stage=1))
        return entry

    async def wait(self, seconds: float) -> None:
        await self._source.wait(seconds)

    async def close(self) -> None:
        await self._source.close()


class Progression:
    """The observer of a stage in serial mode: tells the book, and then who reads on what has passed."""

    def __init__(
        self,
        stage: int,
        book: Book,
        tickets: Tickets,
        passed: Callable[[Sequence[int]], None] | None = None,
    ) -> None:
        self._passed = passed
        self._stage = stage
        self._book = book
        self._tickets = tickets

    def observe(self, event: Event) -> None:
        match event:
            case Attempted(indices) if self._book.watched:
                self._book.attempted(event, [self._tickets.of(index) for index in indices])
            case Succeeded(indices, _, results, seconds, attempts):
                tickets = self._tickets.leave(indices)
                self._book.passed(self._stage, tickets, results, seconds, attempts)
                if self._passed is not None:
                    self._passed(tickets)
            case Failed(index, _, error, attempts_made, took):
                (ticket,) = self._tickets.leave([index])
                self._book.failed(self._stage, ticket, error, attempts_made, took)
            case Retrying(index, _, error, number, delay):
                self._book.retrying(self._stage, self._tickets.of(index), error, number, delay)
            case RunEnded(summary) if self._stage == 0:
                self._book.interrupted_at_first(summary.interrupted)
            case Waiting():
                self._book.waiting()


class StageMarks(NoRecord):
    """What the run of a stage tells the chain's journal: which calls may begin, or did not after all."""

    def __init__(self, stage: int, record: ChainRecord, book: Book, tickets: Tickets) -> None:
        self._stage = stage
        self._record = record
        self._book = book
        self._tickets = tickets

    def leaving(self, indices: Sequence[int]) -> None:
        if self._record.marks:
            self._record.leaving(self._tickets.still_there(indices))
        if self.calls_here:
            self.resting()

    def resting(self) -> None:
        self._record.resting()

    def returned(self, batch: Batch, unrun: Unrun, fail: Fail) -> Sequence[int]:
        if not self._record.marks:
            return unrun.positions
        tickets: list[int] = [-1] * len(batch)
        tasks: list[Any] = [None] * len(batch)
        numbers: dict[int, int] = {}
        for place in unrun.positions:
            tickets[place] = ticket = self._tickets.of(batch.indices[place])
            tasks[place] = self._book.initial(ticket)
            numbers[ticket] = batch.indices[place]

        def fail_here(ticket: int, task: Any, error: BaseException, attempts: int) -> None:
            fail(numbers[ticket], self._book.at[self._stage][ticket], error, attempts)

        of_chain = replace(batch, indices=tickets, tasks=tasks)
        return self._record.returned(of_chain, unrun, fail_here)

    def not_begun(self, indices: Iterable[int]) -> None:
        if self._record.marks:
            self._record.not_begun(self._tickets.still_there(indices))
