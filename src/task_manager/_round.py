"""One round of a chain in process mode, from the parent's side.

                     ┌──────────────────── reports, one pipe a stage ◀─────────────┐
     parent ── link ─┴▶ stage 1 ── link ──▶ stage 2 ── link ──▶ stage 3 ───────────┘

A round takes tasks each with the stage at which it enters: all at the first one, unless they got
further in a round before.  It ends when every stage has ended, or when one has died: then the task
of its call is an error, and the book knows where the others have got to.
"""

from __future__ import annotations

import copy
import multiprocessing
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from itertools import count
from multiprocessing.process import BaseProcess
from typing import Any

from . import _wire
from ._batch import LARGEST, BatchSize
from ._book import Book
from ._call import IDLE
from ._channel import NAP, Channel
from ._ctrl_c import CtrlC
from ._processes import (
    FAREWELL,
    Glance,
    end_process,
    refusals_named,
    tells_of_death,
    uninterrupted,
)
from ._recorder import Recorder
from ._run import TICK
from ._runners._slot import SharedSlot, start_with_slot
from ._source import Source
from ._stage import (
    END,
    EndedReport,
    FailedReport,
    Parcel,
    ReadyReport,
    Report,
    RetryingReport,
    TookReport,
    pack_column,
    parcels,
    run_stage,
)
from ._task import Failed, Repeated, Retrying, Succeeded
from .errors import StageDiedError, TransportError, WorkerStartError
from .manager import TaskManager

AHEAD = 8  # batches that are read before the first stage takes them


class StageProcess:
    """What the parent knows of one stage.

    held: The tickets in its hands, and the number of each there, in the order taken, from 0.
    in_hand: The number of the task that it had in the middle of a call when it ended, or -1: a stage
        tells that if it makes its calls itself, in serial mode.
    ready: It has come up.
    ended: It has said that it is through.
    """

    def __init__(self, number: int, manager: TaskManager, recorder: Recorder) -> None:
        self.number = number
        self.manager = manager
        self.recorder = recorder
        self.held: dict[int, int] = {}
        self.taken = 0
        self.in_hand = int(IDLE)
        self.ready = False
        self.ended = False
        self.process: BaseProcess
        self.channel: Channel
        self.slot: SharedSlot

    @property
    def context(self) -> Any:
        """Of multiprocessing: how this stage's process is started."""
        return multiprocessing.get_context(self.manager.start_method)

    def start(self, incoming: socket.socket, outgoing: socket.socket | None) -> None:
        # The parent writes the log and draws the bar.
        travelling = copy.copy(self.manager)
        travelling.logger = None
        travelling.show_progress = False
        method = self.context.get_start_method()
        packed = travelling if method == "fork" else _wire.pack_object(travelling, method)
        self.process, pipe, self.slot = start_with_slot(
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
    """Owns the processes and links of one round.

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
        self._started: list[StageProcess] = []
        self._ends: list[socket.socket] = []  # of the links
        self._way_in: Channel
        with refusals_named("stage process"):
            self._selector = selectors.DefaultSelector()
        self._feed = self._parcels()
        self._fed = False
        self._glance = Glance()
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
                if not more and self._may_nap():
                    self._ctrl_c.through(time.sleep, NAP)
                ready = self._ctrl_c.through(self._selector.select, 0.0 if more else TICK)
                died = [stage for stage in map(self._hear, ready) if stage is not None]
                died += self._silently_dead()
                if died:
                    for stage in self._stages:  # what they have done need not be done again
                        self._drain(stage)
                    return min(died, key=lambda stage: stage.number)
                if not ready and not more:
                    for stage in self._stages:
                        stage.recorder.tick()
            return None
        finally:
            self._stop()

    # ------------------------------------------------------------------ processes

    def _start(self) -> None:
        way_out: socket.socket | None = None
        for stage in reversed(self._stages):
            with uninterrupted(), refusals_named("stage process"):
                way_in, incoming = socket.socketpair()
                # Kept open here as well: what the end of a stage means is decided here, not by the next.
                self._ends += [way_in, incoming]
                stage.start(incoming, way_out)
                self._started.append(stage)
                self._selector.register(stage.channel, selectors.EVENT_READ, stage)
                if tells_of_death(stage.context):
                    self._selector.register(stage.process.sentinel, selectors.EVENT_READ, stage)
            way_out = way_in
        self._way_in = Channel(way_in)

    def _stop(self) -> None:
        """End what still runs, and take away the links."""
        with uninterrupted():
            if not all(stage.ended for stage in self._stages):
                for stage in self._started:
                    stage.process.kill()
            for stage in self._started:
                pid = stage.process.pid
                self._exits[stage.number] = (pid, end_process(stage.process, FAREWELL))
                stage.channel.close()
                stage.in_hand = int(stage.slot[0])
                stage.slot.close()
            self._selector.close()
            for end in self._ends:
                end.close()

    # ------------------------------------------------------------------ tasks out

    def _fill(self) -> bool:
        """Send the next parcel to the first stage; whether there is more to send at once."""
        if self._fed or self._way_in.unsent:
            return False
        step = next(self._feed, END)
        if isinstance(step, bool):
            return step
        self._fed = step is END
        self._send(END if step is END else _wire.dumps(step))
        return True

    def _send(self, frame: bytes) -> None:
        """Send as much as goes at once; the selector says when there is room for the rest."""
        was_waiting = self._way_in.unsent
        self._way_in.send(frame)
        if self._way_in.unsent and not was_waiting:
            self._selector.register(self._way_in, selectors.EVENT_WRITE)
        elif was_waiting and not self._way_in.unsent:
            self._selector.unregister(self._way_in)

    def _parcels(self) -> Iterator[Parcel | bool]:
        """First those that have got somewhere already, the furthest first, then the initial tasks.

        Where there is no parcel: whether to ask again at once.
        """
        at = [sorted(entries.items()) for entries in self._book.at]
        for stage, entries in reversed(list(enumerate(at))):
            for first in range(0, len(entries), LARGEST):
                tickets, tasks = map(list, zip(*entries[first : first + LARGEST], strict=True))
                yield from self._pack(stage, tickets, tasks)
        while not self._source.ended and not self._first:
            if self._ahead >= AHEAD * self._size.size(None):
                yield False  # the first stage reports when it takes some
                continue
            read = self._source.read(self._size.size(self._source.remaining), 0.0, self._ctrl_c)
            tickets, tasks, repeats = self._book.enter(read)
            if repeats:
                self._stages[0].recorder.record(Repeated(repeats))
            if tasks:
                yield from self._pack(0, tickets, tasks)
            else:
                yield True

    @property
    def _ahead(self) -> int:
        """Tasks that have got to the first stage, and that it has not taken."""
        first = self._stages[0]
        return len(self._at(first)) - len(first.held)

    def _pack(self, stage: int, tickets: list[int], tasks: list[Any]) -> Iterator[Parcel]:
        column = pack_column(tasks)
        if not column.plain:
            for ticket, cell in zip(tickets, column.cells, strict=True):
                if isinstance(cell, _wire.Lost):
                    error = TransportError("argument", cell.type_name, cell.message)
                    self._fail(self._stages[stage - self._first], ticket, error, attempts=0)
        return parcels(stage, tickets, column, [])

    # ------------------------------------------------------------------ reports in

    def _may_nap(self) -> bool:
        """News comes in drops, and the first stage has enough to do until there is more."""
        drops = all(stage.channel.little for stage in self._stages)
        return drops and (self._fed or self._size.worth(self._ahead) >= 2 * NAP)

    def _hear(self, ready: tuple[selectors.SelectorKey, int]) -> StageProcess | None:
        """Take in what a stage reports; the stage if it has died."""
        speaker = ready[0].fileobj
        if speaker is self._way_in:
            self._send(b"")
            return None
        stage: StageProcess = ready[0].data
        self._drain(stage)
        gone = stage.channel.ended or speaker is not stage.channel
        if gone and not stage.ended:
            self._drain(stage)  # what it sent between the first look and its death
            return None if stage.ended else stage
        if gone:
            for end in (stage.channel, stage.process.sentinel):
                if end in self._selector.get_map():
                    self._selector.unregister(end)
        return None

    def _silently_dead(self) -> list[StageProcess]:
        """Stages whose death nothing else tells, after what they had to say."""
        dead = self._glance.dead(stage for stage in self._stages if not stage.ended)
        for stage in dead:
            self._drain(stage)
        return [stage for stage in dead if not stage.ended]

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
                stage.held.update(zip(tickets, count(stage.taken)))
                stage.taken += len(tickets)
            case Parcel():
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

    def _pass(self, stage: StageProcess, report: Parcel) -> None:
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
        for ticket in tickets:
            stage.held.pop(ticket, None)
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
        stage.held.pop(ticket, None)
        self._book.failed(stage.number, ticket, error, attempts)
        (number,) = stage.manager._ledger.number(1)
        stage.recorder.record(Failed(number, task, error, attempts))

    # ------------------------------------------------------------------ after a death

    def charge(self, stage: StageProcess) -> None:
        """This stage died: the task of its call is an error, or all in its hands if none is known."""
        in_hand = [ticket for ticket, number in stage.held.items() if number == stage.in_hand]
        self._charge(stage, in_hand or sorted(stage.held), attempts=1)

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
