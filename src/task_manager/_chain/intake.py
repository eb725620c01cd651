"""What the stages of a round report: entered in the book, and told to the observers of the stage."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import chain, count
from typing import Any

from .._call import clock, release
from .._processes import wire
from .._processes.channel import TooLarge
from .._rules.batch_size import BatchSize
from ..errors import InDoubtError, TransportError, WorkerStartError
from ..events import Failed, Retrying, Succeeded
from .book import Book
from .deaths import Deaths
from .reports import (
    AttemptedReport,
    ConcludingReport,
    EndedReport,
    FailedReport,
    GarbledLinkReport,
    OpeningReport,
    ReadyReport,
    RetryingReport,
    StageBatch,
    StageNote,
    StageReport,
    StoppingReport,
    TookReport,
    WrittenReport,
    no_memory,
    open_attempted,
)
from .stage_process import StageProcess


class Intake:
    """Owns what is known of the tasks in the stages of one round.

    stages: Those of the round, the first one first. size: Of the batches in which the input is read.
    error: The first that a stage's handle_error raised.
    """

    def __init__(
        self, stages: Sequence[StageProcess], book: Book, deaths: Deaths, size: BatchSize
    ) -> None:
        self._stages = stages
        self._book = book
        self._deaths = deaths
        self._suspects = deaths.suspects
        self._size = size
        self._first = stages[0].number
        self.error: BaseException | None = None

    def drain(self, stage: StageProcess) -> None:
        """Take in the reports of this stage, each after all that those before it had sent by then."""
        if stage.garbled:
            return
        for frame in stage.channel.receive():
            stage.in_hand = frame
            if stage.number > self._first:
                self.drain(self.before(stage))
            if isinstance(frame, TooLarge):
                self._lose(stage, frame.size)
                continue
            report = self._report_of(stage, frame)
            if report is not None:
                self._take(stage, report)
            stage.in_hand = None
        stage.garbled |= stage.channel.garbled

    def take_in_rest(self) -> None:
        """The stages have ended: what they have done until then is no more in doubt."""
        for stage in self._stages:
            with suppress(Exception):  # as of a stage that tells of its own end, or of an observer
                self.drain(stage)

    def taken_unread(self, stage: StageProcess) -> list[int]:
        """The tickets that it has told to have taken, in reports that nobody has read before its end.

        One of these may be in hand: something was raised as those of a stage before were taken in first.
        """
        if stage.garbled:
            return []
        in_hand = [] if stage.in_hand is None else [stage.in_hand]
        reports = [
            self._report_of(stage, frame)
            for frame in chain(in_hand, stage.channel.receive())
            if not isinstance(frame, TooLarge)
        ]
        return [
            ticket for report in reports if isinstance(report, TookReport) for ticket in report.tickets
        ]

    def _report_of(self, stage: StageProcess, frame: memoryview) -> StageReport | None:
        """What the stage reports; None if that is nothing a stage says, or if no memory holds it."""
        try:
            report = wire.loads(frame)
        except MemoryError:
            self._lose(stage, len(frame))
            return None
        except Exception:
            report = None
        if isinstance(report, StageReport):
            return report
        stage.garbled = True
        return None

    def _lose(self, stage: StageProcess, size: int) -> None:
        """There is no memory for its last report. Raises MemoryError where that had no note."""
        if not stage.channel.note:
            raise MemoryError(f"there is no memory for {size:,} bytes")
        note = StageNote(*wire.loads(stage.channel.note))
        if note.what:
            self.fail(stage, note.ticket, no_memory(note.what, note.type_name, size), attempts=1)

    def before(self, stage: StageProcess) -> StageProcess:
        """The one that writes to the link of this stage; the first one itself, as its link is ours."""
        return self._stages[max(0, stage.number - self._first - 1)]

    def _take(self, stage: StageProcess, report: StageReport) -> None:
        match report:
            case ReadyReport(refusal):
                if refusal:
                    raise WorkerStartError(refusal)
                stage.ready = True
            case OpeningReport(tickets):
                stage.opening += tickets
            case TookReport(tickets):
                stage.opening.clear()
                stage.held.update(zip(tickets, count(stage.taken)))
                stage.taken += len(tickets)
                stage.take([ticket for ticket in tickets if ticket not in stage.indices])
            case AttemptedReport(tickets):
                stage.limit_hears(report)
                self._attempted(stage, report)
            case StageBatch():
                self._pass(stage, report)
            case FailedReport(ticket, cell, attempts, took):
                error = wire.unpack_failure(wire.ErrorCell(*cell)).error
                later = (other for other in self._stages if ticket in self.at(other))
                # It is where it was to be handed on to, if the stage had no memory for that.
                at = stage if ticket in self.at(stage) else next(later, stage)
                self.fail(at, ticket, error, attempts, took)
            case RetryingReport(ticket, cell, number, delay) if ticket in self.at(stage):
                error = wire.unpack_failure(wire.ErrorCell(*cell)).error
                task = self.at(stage)[ticket]
                self._suspects.clear([ticket])  # it has come back from its call
                self._book.retrying(stage.number, ticket, error, number, delay)
                index = stage.index_of(ticket)
                stage.recorder.record(Retrying(index, task, error, number, delay, stage.number + 1))
            case StoppingReport(at_once, reason):
                self._book.stop.obey(at_once, reason)
            case ConcludingReport():
                stage.concluding = True
            case GarbledLinkReport():
                before = self.before(stage)
                # One that has ended is listened to no more, and has no task.
                (stage if before.ended else before).garbled = True
            case EndedReport(cell, through):
                stage.concluding = False
                self._deaths.concluded.add(stage.number)
                if stage.number == 0:
                    self._book.interrupted_at_first(report.interrupted)
                if cell is not None:
                    error = wire.unpack_failure(wire.ErrorCell(*cell)).error
                    if not through:
                        raise error
                    if self.error is None:
                        self.error = error
            case WrittenReport():
                stage.ended = True

    def _pass(self, stage: StageProcess, report: StageBatch) -> None:
        if stage.number == 0:
            self._size.learn(len(report.tickets), sum(report.seconds))
        tickets, results, seconds = report.tickets, report.cells, report.seconds
        known = self.at(stage).__contains__
        if not (report.plain and all(map(known, tickets))):
            arrived: list[tuple[int, Any, float]] = []
            for ticket, cell, took in zip(tickets, report.cells, seconds, strict=True):
                try:
                    result = cell if report.plain else wire.unpack_value(cell)
                    if known(ticket):  # it has no outcome of this stage yet
                        arrived.append((ticket, result, took))
                except TransportError as error:
                    release(error)
                    self.fail(stage, ticket, error, attempts=1)
            tickets = [ticket for ticket, _, _ in arrived]
            results = [result for _, result, _ in arrived]
            seconds = [took for _, _, took in arrived]
        if not tickets:
            return
        tasks = list(map(self.at(stage).__getitem__, tickets))
        indices, attempts = stage.let_pass(tickets)
        if self._suspects:
            self._suspects.clear(tickets)
        self._book.passed(stage.number, tickets, results, seconds, attempts)
        stage.recorder.record(Succeeded(indices, tasks, results, seconds, attempts, stage.number + 1))

    def _attempted(self, stage: StageProcess, report: AttemptedReport) -> None:
        """Tell of calls, unless they were made for tasks that have their outcome already."""
        if not all(map(self.at(stage).__contains__, report.tickets)):
            return
        if report.numbers is not None:
            stage.attempts.update(zip(report.tickets, report.numbers, strict=True))
        if not (self._book.watched or stage.recorder.watched):
            return
        indices = [stage.index_of(ticket) for ticket in report.tickets]
        event = open_attempted(report, indices, stage.number + 1)
        stage.recorder.record(event)
        self._book.attempted(event, report.tickets)

    def at(self, stage: StageProcess) -> dict[int, Any]:
        """The tickets that have got to this stage, and their tasks there."""
        return self._book.at[stage.number]

    def fail(
        self,
        stage: StageProcess,
        ticket: int,
        error: BaseException,
        attempts: int,
        took: float | None = None,
    ) -> None:
        if ticket not in self.at(stage):  # it has its outcome of this stage already
            return
        task = self.at(stage)[ticket]
        stage.held.pop(ticket, None)
        self._suspects.clear([ticket])
        stage.attempts.pop(ticket, None)
        self._book.failed(stage.number, ticket, error, attempts, took)
        index = stage.index_of(ticket)
        del stage.indices[ticket]
        stage.recorder.record(Failed(index, task, error, attempts, took, stage.number + 1))

    def charge(self, stage: StageProcess) -> None:
        """This stage died: one ticket at most is charged for it, and has that for its error."""
        current, going_on = stage.current, stage.going_on
        with_it = [current] if current is not None and going_on else stage.tickets
        held = [ticket for ticket in with_it if ticket in self.at(stage)]
        charged = self._deaths.charge(held, current if current in held else None, going_on)
        if charged is not None:
            took = self._last_call(stage, charged)
            self.fail(stage, charged, stage.error, attempts=1, took=took)
        if stage.concluding:
            self._deaths.concluded.add(stage.number)
            if not stage.garbled:  # or it was ended for what it had written, and not by its handle_error
                self.error = self.error or stage.error

    def fail_doubtful(self) -> None:
        """What stages had taken when the round ended may have been called: it is not called again."""
        for stage in self._stages:
            for ticket in self._book.may_have_begun(stage.number):
                error = InDoubtError(self._book.initial(ticket))
                self.fail(stage, ticket, error, stage.attempts.get(ticket, 1))

    def _last_call(self, stage: StageProcess, charged: int) -> float | None:
        """Tell of the call that the stage died of; its seconds. None if it was none, as in a hook."""
        began = stage.told[1]
        if not stage.going_on or charged != stage.current or not began:
            return None
        took = clock() - began
        self._attempted(stage, AttemptedReport([charged], None, 0, [began], [took], [charged]))
        return took
