"""One round of a chain in process mode, from the parent's side.

                     ┌──────────────────── reports, one pipe a stage ◀─────────────┐
     parent ── link ─┴▶ stage 1 ── link ──▶ stage 2 ── link ──▶ stage 3 ───────────┘

A round takes tasks each with the stage at which it enters: all at the first one, unless they got
further in a round before.  It ends when every stage has ended, or when one has died: then the task
that this is charged to is an error, and the book knows where the others have got to.  Suspects enter
one by one, each when the one before is through with the stage, so that each is alone there.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count
from typing import Any

from .._call import clock, release
from .._platform import pair_of_sockets
from .._processes import wire
from .._processes.channel import NAP, Channel, TooLarge
from .._processes.child import Glance, not_ready, tells_of_death, time_to_come_up
from .._processes.files import standard_files_taken
from .._processes.life import refusals_named, uninterrupted
from .._rules.batch_size import LARGEST
from .._run.recorder import Recorder
from .._run.run import TICK
from .._run.source import Source
from .._signals import HeldSignals
from .._task import Failed, Retrying, Succeeded
from ..errors import TransportError, WorkerStartError
from ..manager import TaskManager
from .book import Book
from .deaths import Deaths
from .feed import Feed
from .reports import (
    END,
    ConcludingReport,
    EndedReport,
    FailedReport,
    GarbledLinkReport,
    Note,
    OpeningReport,
    Parcel,
    ReadyReport,
    Report,
    RetryingReport,
    TookReport,
    no_memory,
)
from .stage_process import StageProcess


class Round:
    """Owns the processes and links of one round.

    source: The initial tasks not yet entered. recorders: Those of the stages.
    first: The first stage that is still used, from 0; those before it have been given up, and no
        initial task can enter any more.
    deaths: Those in the rounds before, of this start of the chain.
    signals: Held back by the caller; let through while nothing happens and while the input is read.
    """

    def __init__(
        self,
        stages: Sequence[TaskManager],
        recorders: Sequence[Recorder],
        book: Book,
        source: Source,
        first: int,
        deaths: Deaths,
        signals: HeldSignals,
    ) -> None:
        self._book = book
        self._source = source
        self._first = first
        self._deaths = deaths
        self._suspects = deaths.suspects
        self._signals = signals
        self._stages = [
            StageProcess(number, manager, recorder)
            for number, (manager, recorder) in enumerate(zip(stages, recorders, strict=True))
            if number >= first
        ]
        self._started: list[StageProcess] = []
        self._ends: list[socket.socket] = []  # of the links
        self._way_in: Channel
        with refusals_named("stage process"), standard_files_taken():
            self._selector = selectors.DefaultSelector()
        self._feed = Feed(book, source, self._stages, deaths.suspects, self._fail, signals)
        self._steps = self._feed.steps()
        self._fed = False
        self._glance = Glance()
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
                    self._signals.through(time.sleep, NAP)
                ready = self._signals.through(self._selector.select, 0.0 if more else TICK)
                died = [stage for stage in map(self._hear, ready) if stage is not None]
                died += self._silently_dead()
                died += [stage for stage in self._stages if stage.garbled and not stage.ended]
                if died:
                    for stage in self._stages:  # what they have done need not be done again
                        self._drain(stage)
                    return min(died, key=lambda stage: stage.number)
                if not ready and not more:
                    for stage in self._stages:
                        stage.recorder.tick()
                    self._refuse_hanging()
            return None
        finally:
            self._stop()

    # ------------------------------------------------------------------ processes

    def _start(self) -> None:
        way_out: socket.socket | None = None
        for stage in reversed(self._stages):
            with uninterrupted(), refusals_named("stage process"):
                with standard_files_taken():
                    way_in, incoming = pair_of_sockets()
                # Kept open here as well: what the end of a stage means is decided here, not by the next.
                self._ends += [way_in, incoming]
                self._started.append(stage)
                stage.start_stage(stage.number in self._deaths.concluded, incoming, way_out)
                stage.listen(self._selector, tells_of_death(stage.context))
            way_out = way_in
        self._way_in = Channel(way_in)

    def _stop(self) -> None:
        """End what still runs, and take away the links; whatever raises meanwhile, all of them."""
        with uninterrupted(), ExitStack() as last_to_first:
            for end in self._ends:
                last_to_first.callback(end.close)
            last_to_first.callback(self._selector.close)
            for stage in reversed(self._started * 2):  # at a second attempt if the first one raises
                last_to_first.callback(stage.close)
            if not all(stage.ended for stage in self._stages):
                for stage in self._started:
                    last_to_first.callback(stage.kill)

    # ------------------------------------------------------------------ tasks out

    def _fill(self) -> bool:
        """Send the next parcel to the first stage; whether there is more to send at once."""
        if self._fed or self._way_in.unsent:
            return False
        step = next(self._steps, None)
        if isinstance(step, bool):
            return step
        if step is None:
            self._fed = True
            self._send(END)
            return True
        packed = self._feed.packed(step)
        if packed is not None:
            self._send(*packed)
        return True

    def _send(self, frame: bytes, note: bytes = b"") -> None:
        """Send as much as goes at once; the selector says when there is room for the rest."""
        was_waiting = self._way_in.unsent
        self._way_in.send(frame, note)
        if self._way_in.unsent and not was_waiting:
            self._selector.register(self._way_in, selectors.EVENT_WRITE)
        elif was_waiting and not self._way_in.unsent:
            self._selector.unregister(self._way_in)

    # ------------------------------------------------------------------ reports in

    def _may_nap(self) -> bool:
        """News comes in drops, and the first stage has enough to do until there is more."""
        drops = all(stage.channel.little for stage in self._stages) and not self._suspects
        return drops and (self._fed or self._feed.worth >= 2 * NAP)

    def _hear(self, ready: tuple[selectors.SelectorKey, int]) -> StageProcess | None:
        """Take in what a stage reports; the stage if it has died."""
        speaker = ready[0].fileobj
        if speaker is self._way_in:
            self._send(b"")
            return None
        stage: StageProcess = ready[0].data
        self._drain(stage)
        if stage.garbled:  # and listened to no more
            return None
        gone = stage.channel.ended or speaker is not stage.channel
        if gone and not stage.ended:
            self._drain(stage)  # what it sent between the first look and its death
            return None if stage.ended else stage
        if gone:
            for end in (stage.channel, stage.process.sentinel):
                if end in self._selector.get_map():
                    self._selector.unregister(end)
        return None

    def _refuse_hanging(self) -> None:
        """Raise WorkerStartError where a stage whose calls have a time limit does not come up."""
        coming = [stage for stage in self._stages if not stage.ready]
        for stage in coming:
            timeout = stage.manager.task_timeout
            if timeout is not None:
                limit = time_to_come_up(timeout, len(coming))
                if clock() - stage.began >= limit:
                    raise WorkerStartError(not_ready(f"the process of stage {stage.number + 1}", limit))

    def _silently_dead(self) -> list[StageProcess]:
        """Stages whose death nothing else tells, after what they had to say."""
        dead = self._glance.dead(stage for stage in self._stages if not stage.ended)
        for stage in dead:
            self._drain(stage)
        return [stage for stage in dead if not stage.ended]

    def _drain(self, stage: StageProcess) -> None:
        """Take in the reports of this stage, each after all that those before it had sent by then."""
        if stage.garbled:
            return
        for frame in stage.channel.receive():
            if stage.number > self._first:
                self._drain(self._before(stage))
            if isinstance(frame, TooLarge):
                self._lose(stage, frame.size)
                continue
            report = self._report_of(stage, frame)
            if report is not None:
                self._take(stage, report)
        stage.garbled |= stage.channel.garbled

    def _report_of(self, stage: StageProcess, frame: memoryview) -> Report | None:
        """What the stage reports; None if that is nothing a stage says, or if no memory holds it."""
        try:
            report = wire.loads(frame)
        except MemoryError:
            self._lose(stage, len(frame))
            return None
        except Exception:
            report = None
        if isinstance(report, Report):
            return report
        stage.garbled = True
        return None

    def _lose(self, stage: StageProcess, size: int) -> None:
        """There is no memory for its last report. Raises MemoryError where that had no note."""
        if not stage.channel.note:
            raise MemoryError(f"there is no memory for {size:,} bytes")
        note = Note(*wire.loads(stage.channel.note))
        if note.what:
            self._fail(stage, note.ticket, no_memory(note.what, note.type_name, size), attempts=1)

    def _before(self, stage: StageProcess) -> StageProcess:
        """The one that writes to the link of this stage; the first one itself, as its link is ours."""
        return self._stages[max(0, stage.number - self._first - 1)]

    def _take(self, stage: StageProcess, report: Report) -> None:
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
            case Parcel():
                self._pass(stage, report)
            case FailedReport(ticket, cell, attempts):
                error = wire.unpack_failure(wire.ErrorCell(*cell)).error
                later = (other for other in self._stages if ticket in self._at(other))
                # It is where it was to be handed on to, if the stage had no memory for that.
                at = stage if ticket in self._at(stage) else next(later, stage)
                self._fail(at, ticket, error, attempts)
            case RetryingReport(ticket, cell, number, delay) if ticket in self._at(stage):
                error = wire.unpack_failure(wire.ErrorCell(*cell)).error
                task = self._at(stage)[ticket]
                self._suspects.clear([ticket])  # it has come back from its call
                self._book.retrying(ticket, error, number, delay)
                stage.recorder.record(Retrying(ticket, task, error, number, delay))
            case ConcludingReport():
                stage.concluding = True
            case GarbledLinkReport():
                self._before(stage).garbled = True
            case EndedReport(cell, through):
                stage.ended = True
                self._deaths.concluded.add(stage.number)
                if cell is not None:
                    error = wire.unpack_failure(wire.ErrorCell(*cell)).error
                    if not through:
                        raise error
                    if self.error is None:
                        self.error = error

    def _pass(self, stage: StageProcess, report: Parcel) -> None:
        if stage.number == 0:
            self._feed.size.learn(len(report.tickets), sum(report.seconds))
        tickets, results, seconds = report.tickets, report.cells, report.seconds
        known = self._at(stage).__contains__
        if not (report.plain and all(map(known, tickets))):
            arrived: list[tuple[int, Any, float]] = []
            for ticket, cell, took in zip(tickets, report.cells, seconds, strict=True):
                try:
                    result = cell if report.plain else wire.unpack_value(cell)
                    if known(ticket):  # otherwise its last word was spoken where its task was made
                        arrived.append((ticket, result, took))
                except TransportError as error:
                    release(error)
                    self._fail(stage, ticket, error, attempts=1)
            tickets = [ticket for ticket, _, _ in arrived]
            results = [result for _, result, _ in arrived]
            seconds = [took for _, _, took in arrived]
        if not tickets:
            return
        tasks = [self._at(stage)[ticket] for ticket in tickets]
        for ticket in tickets:
            stage.held.pop(ticket, None)
        if self._suspects:
            self._suspects.clear(tickets)
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
        self._suspects.clear([ticket])
        self._book.failed(stage.number, ticket, error, attempts)
        (number,) = stage.manager._ledger.number(1)
        stage.recorder.record(Failed(number, task, error, attempts))

    # ------------------------------------------------------------------ after a death

    def charge(self, stage: StageProcess) -> None:
        """This stage died: the one that this is charged to is an error, if there is one."""
        in_hand, going_on = stage.in_hand, stage.going_on
        hands = [in_hand] if in_hand is not None and going_on else stage.hands
        held = [ticket for ticket in hands if ticket in self._at(stage)]
        charged = self._deaths.charge(held, in_hand if in_hand in held else None, going_on)
        if charged is not None:
            self._fail(stage, charged, stage.error, attempts=1)
        if stage.concluding:
            self._deaths.concluded.add(stage.number)
            self.error = self.error or stage.error

    def give_up(self, stage: StageProcess) -> None:
        """This stage keeps dying: what has not passed it never will."""
        while not self._source.ended and self._source.remaining is not None:
            self._book.enter(self._source.read(LARGEST, 0.0, self._signals))
        for ticket in self._book.stranded(stage.number):
            self._fail(stage, ticket, stage.error, attempts=0)
