"""One round of a chain in process mode, from the parent's side.

                      ┌──────────────────── reports, one pipe a stage ◀───────────────┐
     parent ── queue ─┴▶ stage 1 ── queue ──▶ stage 2 ── queue ──▶ stage 3 ───────────┘

A round takes tasks each with the stage at which it enters: all at the first one, unless they got
further in a round before.  It ends when every stage has ended, or when one has died: then the tasks
in its hands are errors, and the book knows where the others have got to.
"""

from __future__ import annotations

import copy
import multiprocessing
import queue
import selectors
from collections.abc import Iterator, Sequence
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

from . import _wire
from ._batch import LARGEST, BatchSize
from ._book import Book
from ._channel import Channel
from ._ctrl_c import CtrlC
from ._processes import FAREWELL, end_process, start_process, uninterrupted
from ._recorder import Recorder
from ._run import TICK
from ._source import Source
from ._stage import (
    EndedReport,
    FailedReport,
    Parcel,
    PassedReport,
    ReadyReport,
    Report,
    RetryingReport,
    TookReport,
    pack_column,
    parcel_of,
    run_stage,
)
from ._task import Failed, Repeated, Retrying, Succeeded
from .errors import StageDiedError, TransportError, WorkerStartError
from .manager import TaskManager

if TYPE_CHECKING:
    from ._stage import Link

NOTHING_NEW = Parcel(0, [], True, [])  # of what was read: no reason to stop hearing the stages
PARCELS = 8  # that wait in a queue; a stage that finds it full waits for the next one


class StageProcess:
    """What the parent knows of one stage.

    held: The tickets in its hands.
    ready: It has come up.
    ended: It has said that it is through.
    """

    def __init__(self, number: int, manager: TaskManager, recorder: Recorder) -> None:
        self.number = number
        self.manager = manager
        self.recorder = recorder
        self.held: set[int] = set()
        self.ready = False
        self.ended = False
        self.process: BaseProcess
        self.channel: Channel

    @property
    def context(self) -> Any:
        """Of multiprocessing: how this stage's process is started."""
        return multiprocessing.get_context(self.manager.start_method)

    def start(self, incoming: Link, outgoing: Link | None) -> None:
        # The parent writes the log and draws the bar.
        travelling = copy.copy(self.manager)
        travelling.logger = None
        travelling.show_progress = False
        method = self.context.get_start_method()
        packed = travelling if method == "fork" else _wire.pack_object(travelling, method)
        self.process, pipe = start_process(
            self.context,
            run_stage,
            packed,
            self.number,
            incoming,
            outgoing,
            name=f"task_manager-stage-{self.number + 1}",
        )
        self.channel = Channel(pipe)


class Round:
    """Owns the processes and queues of one round.

    source: The initial tasks not yet entered. recorders: Those of the stages.
    first: The first stage that is still used, from 0; those before it have been given up, and no
        initial task can enter any more.
    ctrl_c: Held back by the caller; let through while nothing happens and while the input is read.
    """

    def __init__(
        self,
        stages: Sequence[TaskManager],
        recorders: Sequence[Recorder],
        book: Book,
        source: Source,
        first: int,
        ctrl_c: CtrlC,
    ) -> None:
        self._book = book
        self._source = source
        self._first = first
        self._ctrl_c = ctrl_c
        self._size = BatchSize(workers=1)
        self._stages = [
            StageProcess(number, manager, recorder)
            for number, (manager, recorder) in enumerate(zip(stages, recorders, strict=True))
            if number >= first
        ]
        self._links: list[Link] = []
        self._started: list[StageProcess] = []
        self._selector = selectors.DefaultSelector()
        self._feed = self._parcels()
        self._unsent: Parcel | None = None
        self._fed = False
        self._exits: dict[int, tuple[int | None, int | None]] = {}
        self.error: BaseException | None = None  # the first that a stage's handle_error raised

    def run(self) -> StageProcess | None:
        """Let everything flow; the stage that died, or None when all is done.

        Raises what broke off the run of a stage: as in a manager, the rest is not started.
        """
        try:
            self._start()
            while not all(stage.ended for stage in self._stages):
                more = self._fill()
                ready = self._ctrl_c.through(self._selector.select, 0.0 if more else TICK)
                died: list[StageProcess] = [
                    key.data for key, _ in ready if self._hear(key.data, key.fileobj)
                ]
                if died:
                    return min(died, key=lambda stage: stage.number)
                if not ready and not more:
                    for stage in self._stages:
                        stage.recorder.tick()
            return None
        finally:
            self._stop()

    # ------------------------------------------------------------------ processes

    def _start(self) -> None:
        methods = {stage.context.get_start_method() for stage in self._stages}
        # What is made for "fork" cannot be sent to a process that is started otherwise.
        context = multiprocessing.get_context("fork" if methods == {"fork"} else "spawn")
        self._links = [context.Queue(PARCELS) for _ in self._stages]
        for link in self._links:
            # As concurrent.futures does: a stage that dies is known anyway.
            link._ignore_epipe = True  # type: ignore[attr-defined]
        ways_out = [*self._links[1:], None]
        for stage, incoming, outgoing in zip(self._stages, self._links, ways_out, strict=True):
            with uninterrupted():
                stage.start(incoming, outgoing)
                self._started.append(stage)
            self._selector.register(stage.channel, selectors.EVENT_READ, stage)
            self._selector.register(stage.process.sentinel, selectors.EVENT_READ, stage)

    def _stop(self) -> None:
        """End what still runs, and take away the queues."""
        with uninterrupted():
            if not all(stage.ended for stage in self._stages):
                for stage in self._started:
                    stage.process.kill()
            for stage in self._started:
                pid = stage.process.pid
                self._exits[stage.number] = (pid, end_process(stage.process, FAREWELL))
                stage.channel.close()
            self._selector.close()
            for link in self._links:
                link.cancel_join_thread()
                # Its thread may be stuck in a pipe that nobody reads: we hold the other end ourselves.
                link._reader.close()  # type: ignore[attr-defined]
                link.close()

    # ------------------------------------------------------------------ tasks out

    def _fill(self) -> bool:
        """Send the next parcel to the first stage; whether there is more to send at once."""
        if self._fed:
            return False
        if self._unsent is None:
            self._unsent = next(self._feed, None)
        if self._unsent is NOTHING_NEW:
            self._unsent = None
            return True
        try:
            with uninterrupted():  # the queue's own lock would stay locked
                self._links[0].put_nowait(self._unsent)
        except queue.Full:
            return False  # the first stage reports when it takes one
        self._fed = self._unsent is None
        self._unsent = None
        return True

    def _parcels(self) -> Iterator[Parcel]:
        """First those that have got somewhere already, the furthest first, then the initial tasks."""
        at = [sorted(entries.items()) for entries in self._book.at]
        for stage, entries in reversed(list(enumerate(at))):
            for first in range(0, len(entries), LARGEST):
                tickets, tasks = map(list, zip(*entries[first : first + LARGEST], strict=True))
                yield from self._pack(stage, tickets, tasks)
        while not self._source.ended and not self._first:
            read = self._source.read(self._size.size(self._source.remaining), 0.0, self._ctrl_c)
            tickets, tasks, repeats = self._book.enter(read)
            if repeats:
                self._stages[0].recorder.record(Repeated(repeats))
            yield from self._pack(0, tickets, tasks) or [NOTHING_NEW]

    def _pack(self, stage: int, tickets: list[int], tasks: list[Any]) -> list[Parcel]:
        column = pack_column(tasks)
        if not column.plain:
            for ticket, cell in zip(tickets, column.cells, strict=True):
                if isinstance(cell, _wire.Lost):
                    error = TransportError("argument", cell.type_name, cell.message)
                    self._fail(self._stages[stage - self._first], ticket, error, attempts=0)
        packed = (
            parcel_of(stage, tickets[share], column.plain, column.cells[share])
            for share in _wire.shares(column)
        )
        return [parcel for parcel in packed if parcel is not None]

    # ------------------------------------------------------------------ reports in

    def _hear(self, stage: StageProcess, speaker: object) -> bool:
        """Take in what a stage reports; True if it has died."""
        self._drain(stage)
        gone = stage.channel.ended or speaker is not stage.channel
        if gone and not stage.ended:
            self._drain(stage)  # what it sent between the first look and its death
            return not stage.ended
        if gone:
            for end in (stage.channel, stage.process.sentinel):
                if end in self._selector.get_map():
                    self._selector.unregister(end)
        return False

    def _drain(self, stage: StageProcess) -> None:
        """Take in the reports of this stage, each after all that those before it had sent by then."""
        for frame in stage.channel.receive():
            if stage.number > self._first:
                self._drain(self._stages[stage.number - self._first - 1])
            self._take(stage, _wire.loads(frame))

    def _take(self, stage: StageProcess, report: Report) -> None:
        match report:
            case ReadyReport(refusal):
                if refusal:
                    raise WorkerStartError(refusal)
                stage.ready = True
            case TookReport(tickets):
                stage.held.update(tickets)
            case PassedReport():
                self._pass(stage, report)
            case FailedReport(ticket, cell, attempts):
                error = _wire.unpack_failure(_wire.ErrorCell(*cell)).error
                self._fail(stage, ticket, error, attempts)
            case RetryingReport(ticket, cell, number, delay) if ticket in self._at(stage):
                error = _wire.unpack_failure(_wire.ErrorCell(*cell)).error
                task = self._at(stage)[ticket]
                self._book.retrying(ticket, error, number, delay)
                stage.recorder.record(Retrying(ticket, task, error, number, delay))
            case EndedReport(cell, through):
                stage.ended = True
                if cell is not None:
                    error = _wire.unpack_failure(_wire.ErrorCell(*cell)).error
                    if not through:
                        raise error
                    if self.error is None:
                        self.error = error

    def _pass(self, stage: StageProcess, report: PassedReport) -> None:
        if stage.number == 0:
            self._size.learn(len(report.tickets), sum(report.seconds))
        tickets, results, seconds = report.tickets, report.cells, report.seconds
        known = self._at(stage).__contains__
        if not (report.plain and all(map(known, tickets))):
            arrived: list[tuple[int, Any, float]] = []
            for ticket, cell, took in zip(tickets, report.cells, seconds, strict=True):
                try:
                    result = cell if report.plain else _wire.unpack_value(cell)
                    if known(ticket):  # otherwise its last word was spoken where its task was made
                        arrived.append((ticket, result, took))
                except TransportError as error:
                    self._fail(stage, ticket, error, attempts=1)
            tickets = [ticket for ticket, _, _ in arrived]
            results = [result for _, result, _ in arrived]
            seconds = [took for _, _, took in arrived]
        if not tickets:
            return
        tasks = [self._at(stage)[ticket] for ticket in tickets]
        stage.held.difference_update(tickets)
        self._book.passed(stage.number, tickets, results)
        numbers = list(stage.manager._ledger.number(len(tickets)))
        stage.recorder.record(Succeeded(numbers, tasks, results, seconds))

    def _at(self, stage: StageProcess) -> dict[int, Any]:
        """The tickets that have got to this stage, and their tasks there."""
        return self._book.at[stage.number]

    def _fail(self, stage: StageProcess, ticket: int, error: BaseException, attempts: int) -> None:
        if ticket not in self._at(stage):  # its last word was spoken where its task was made
            return
        task = self._at(stage)[ticket]
        stage.held.discard(ticket)
        self._book.failed(stage.number, ticket, error, attempts)
        (number,) = stage.manager._ledger.number(1)
        stage.recorder.record(Failed(number, task, error, attempts))

    # ------------------------------------------------------------------ after a death

    def charge(self, stage: StageProcess) -> None:
        """The tasks in the hands of this stage, which died, are errors."""
        self._charge(stage, sorted(stage.held), attempts=1)

    def give_up(self, stage: StageProcess) -> None:
        """This stage keeps dying: what has not passed it never will."""
        while not self._source.ended and self._source.remaining is not None:
            self._book.enter(self._source.read(LARGEST, 0.0, self._ctrl_c))
        self._charge(stage, self._book.stranded(stage.number), attempts=0)

    def exitcode_of(self, stage: StageProcess) -> int | None:
        return self._exits[stage.number][1]

    def death_of(self, stage: StageProcess) -> StageDiedError:
        return StageDiedError(stage.number + 1, *self._exits[stage.number])

    def _charge(self, stage: StageProcess, tickets: list[int], attempts: int) -> None:
        for ticket in tickets:
            self._fail(stage, ticket, self.death_of(stage), attempts)
