"""Where every initial task of a chain is. It is followed by its ticket, never by its value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from time import monotonic
from typing import Any, NamedTuple

from .._journal.chain_record import ChainRecord
from .._repr import short_repr
from .._run.ledger import Ledger
from .._run.notes import annotate
from .._run.recorder import Recorder
from .._run.results import Keeps
from .._run.source import Source
from .._run.untold import Enter, Untold
from .._stop import Stop
from .._summary import Summary, input_raised, why
from ..errors import InDoubtError
from ..events import (
    Attempted,
    Event,
    Failed,
    Passed,
    Repeated,
    Retrying,
    RunBegan,
    Succeeded,
    Waiting,
    next_run,
)


class Entry(NamedTuple):
    """Initial tasks that have been read, as the book has them.

    tickets, tasks: Those that enter the first stage.
    others: The tasks that it does not run: repeats, and those that enter further on, or nowhere.
    further: By stage, from 0, the tickets of those that have passed the stages before it already.
    """

    tickets: list[int]
    tasks: list[Any]
    others: list[Any]
    further: dict[int, list[int]]


class Book:
    """One start of a chain: who entered, who has got how far, who has arrived.

    A ticket is the number of an initial task in the chain's ledger.

    stop: Says when the start is to end before its input does.
    record: The open journal; None: there is none, and repeats are those within one start. With one, what
        has arrived in an earlier start is a repeat, and what has got somewhere goes on from there.
    keeps: Results and errors are kept in the stages too, in the place of their options; None: as those
        say. told: What the reader of the start is told.
    at: By stage, from 0: the tickets that have got there, and the task of each.
    """

    def __init__(
        self,
        ledger: Ledger,
        recorder: Recorder,
        names: Sequence[str],
        distinct: bool,
        record: ChainRecord | None = None,
        stop: Stop | None = None,
        keeps: Keeps | None = None,
        told: Untold | None = None,
    ) -> None:
        self.keeps = keeps
        if record is None:
            ledger.forget()
        else:
            ledger.begin_run()
        self.stop = Stop() if stop is None else stop
        self._ledger = ledger
        self.record = record
        self._names = names
        enter: Enter = ledger.enter_new if distinct else ledger.enter_all
        self._enter = enter if told is None else told.enter(enter)
        self._initial: dict[int, Any] = {}
        self._taken = 0
        self.at: list[dict[int, Any]] = [{} for _ in names]
        self._began = monotonic()
        self._recorder = recorder
        self._returned: BaseException | None = None
        self._begun: set[int] = set()
        self._interrupted_at_first = 0

    def enter(self, tasks: list[Any]) -> Entry:
        """Give tickets to initial tasks; repeats have none."""
        self._taken += len(tasks)
        tickets, fresh, repeats = self._enter(tasks)
        entered = dict(zip(tickets, fresh, strict=True))
        self._initial.update(entered)
        self.at[0].update(entered)
        if repeats:
            self._recorder.record(Repeated(repeats, stage=1))
        if self.record is None:
            return Entry(tickets, fresh, repeats, {})
        return self._go_on(self.record, tickets, fresh, repeats)

    def _go_on(
        self, record: ChainRecord, tickets: list[int], fresh: list[Any], repeats: list[Any]
    ) -> Entry:
        """Those that the journal knows enter where they had got to; one that is in doubt fails there."""
        known = record.resumes(tickets)
        for ticket, (stage, task) in known.items():
            self.at[stage][ticket] = task
            del self.at[0][ticket]
        entering = record.taken(tickets, fresh, self._fail_in_doubt)
        if not known and len(entering[0]) == len(tickets):
            return Entry(tickets, fresh, repeats, {})
        first: dict[int, Any] = {}
        further: dict[int, list[int]] = {}
        for ticket, task in zip(*entering, strict=True):
            if ticket in known:
                further.setdefault(known[ticket][0], []).append(ticket)
            else:
                first[ticket] = task
        others = [task for ticket, task in zip(tickets, fresh, strict=True) if ticket not in first]
        return Entry(list(first), list(first.values()), repeats + others, further)

    @property
    def idle(self) -> bool:
        """No task is on its way, so that nothing but the input can bring news."""
        return not any(self.at)

    def _fail_in_doubt(self, ticket: int, task: Any, error: BaseException, attempts: int) -> None:
        (stage,) = [number for number, entries in enumerate(self.at) if ticket in entries]
        self.failed(stage, ticket, error, attempts)

    # ------------------------------------------------------------------ what may have been called

    @property
    def marks(self) -> bool:
        """The journal is to have what may have been called."""
        return self.record is not None and self.record.marks

    @property
    def strict(self) -> bool:
        """What may have been called is not to be called again."""
        return self.record is not None and self.record.strict

    def leaving(self, tickets: Sequence[int]) -> None:
        """The calls for these may begin after this, and not before."""
        if self.record is not None:
            self.record.leaving(tickets)

    def begun(self, tickets: Iterable[int]) -> None:
        """A stage may have called its function for these, and has not told what came of it."""
        self._begun.update(tickets)

    def may_have_begun(self, stage: int) -> list[int]:
        """The tickets there that are among those."""
        return sorted(self._begun.intersection(self.at[stage]))

    def note_not_begun(self) -> None:
        """All stages have been asked: for the others surely no call has begun where they are."""
        if self.marks and self.record is not None:
            on_the_way = chain.from_iterable(self.at)
            self.record.not_begun(ticket for ticket in on_the_way if ticket not in self._begun)

    def began(self, total: int | None, mode: str | None = None) -> None:
        """The initial tasks come from here on. total, mode: As of `RunBegan`."""
        self._recorder.record(RunBegan(total, mode=mode, run=next_run()))

    @property
    def watched(self) -> bool:
        """Observers are told of this start; otherwise nobody asks for what is only for them."""
        return self._recorder.watched

    def attempted(self, event: Attempted, tickets: Sequence[int]) -> None:
        """Calls of a stage, told with its own numbers. tickets: Whose they were, one for each."""
        if event.failed:
            failed = frozenset(
                ticket
                for ticket, index in zip(tickets, event.indices, strict=True)
                if index in event.failed
            )
            event = replace(event, failed=failed)
        self._recorder.record(replace(event, indices=tickets))

    def initial(self, ticket: int) -> Any:
        """The initial task of one who is on the way."""
        return self._initial[ticket]

    def passed(
        self,
        stage: int,
        tickets: list[int],
        results: list[Any],
        seconds: list[float],
        attempts: list[int],
    ) -> None:
        """These have their results of this stage, and go on; from the last stage, arrive."""
        arrived = stage + 1 == len(self._names)
        event: Event | None = None
        if arrived or self.watched or self.record is not None:
            initial = list(map(self._initial.__getitem__, tickets))
            kind = Succeeded if arrived else Passed
            event = kind(tickets, initial, results, seconds, attempts, stage + 1)
            self._recorder.keep(event)
        if arrived:
            forget = self._initial.pop
            for ticket in tickets:
                forget(ticket)
        else:
            self.at[stage + 1].update(zip(tickets, results, strict=True))
        leave = self.at[stage].pop
        for ticket in tickets:
            leave(ticket)
        if self._begun:
            self._begun.difference_update(tickets)
        if event is not None:  # now, as an observer may end the start
            self._recorder.tell(event)

    def failed(
        self,
        stage: int,
        ticket: int,
        error: BaseException,
        attempts: int,
        seconds: float | None = None,
    ) -> None:
        """This one goes no further."""
        task = self._initial[ticket]
        if type(error) is InDoubtError and error.task is not task:
            error = InDoubtError(task)  # a stage knows its own task only
        place = f"stage {stage + 1} of {len(self._names)} ({self._names[stage]})"
        annotate(error, f"task_manager: in {place}, for the initial task {short_repr(task)}")
        event = Failed(ticket, task, error, attempts, seconds, stage + 1)
        self._recorder.keep(event)
        if self.record is not None:
            self._ledger.fail(ticket)
        del self.at[stage][ticket]
        del self._initial[ticket]
        self._recorder.tell(event)

    def stranded(self, stage: int) -> list[int]:
        """The tickets that have not passed this stage, which is the end of the way for them."""
        for earlier in self.at[:stage]:
            self.at[stage].update(earlier)
            earlier.clear()
        return sorted(self.at[stage])

    def retrying(self, stage: int, ticket: int, error: BaseException, number: int, delay: float) -> None:
        """This one is tried again where it is."""
        task = self._initial[ticket]
        self._recorder.record(Retrying(ticket, task, error, number, delay, stage + 1))

    def waiting(self) -> None:
        """Nothing has come for a while."""
        self._recorder.record(Waiting())

    def interrupted_at_first(self, count: int) -> None:
        """So many of those at the first stage had a call begun when its run was broken off."""
        self._interrupted_at_first = count

    def returned(self, error: BaseException | None) -> None:
        """All stages are through, or those that could go on. error: The first that one has raised."""
        self._returned = error

    def close(self, source: Source, error: BaseException | None) -> Summary:
        """The end: what was taken and has no outcome is not started, wherever it has been left.

        source: The initial tasks. error: What breaks off the start, or None.
        """
        if self.record is None:
            self._ledger.forget()  # and the tasks that it holds
        else:
            for ticket in chain(*self.at):
                self._ledger.fail(ticket)
        counts = self._recorder.tally.summary(monotonic() - self._began, not_started=0)
        not_started = self._taken + source.dropped - counts.taken
        first, *later = self.at
        interrupted = self._interrupted_at_first + sum(map(len, later))
        interrupted += len(self._begun.intersection(first))
        if error is None and (not_started or not source.ended):
            error = self._returned  # of a stage that could not go on; others of handle_error only
        ended_early = None if error is None else why(error)
        all_read = source.ended or source.remaining == 0
        if ended_early is None and (not_started or not all_read):
            ended_early = self.stop.reason
        if ended_early is None and source.error is not None:
            ended_early = input_raised(source.error)
        summary = replace(
            counts,
            not_started=not_started,
            interrupted=min(interrupted, not_started),
            ended_early=ended_early,
        )
        if self.record is not None:
            summary = self.record.close(summary)
        self._recorder.close(summary)
        return summary


class Tickets:
    """Which ticket a stage's own numbers stand for: the stage numbers its tasks as they come.

    first: The number that the next task of the stage will get.
    """

    def __init__(self, first: int) -> None:
        self._next = first
        self._of: dict[int, int] = {}

    def come(self, tickets: Sequence[int]) -> None:
        """The holders of these enter the stage, in this order."""
        self._of.update(enumerate(tickets, self._next))
        self._next += len(tickets)

    def of(self, number: int) -> int:
        return self._of[number]

    def still_there(self, numbers: Iterable[int]) -> list[int]:
        """The tickets of those among these who are not done with the stage."""
        return [self._of[number] for number in numbers if number in self._of]

    def leave(self, numbers: Sequence[int]) -> list[int]:
        """The tickets of those who are done with the stage."""
        return [self._of.pop(number) for number in numbers]
