"""A stage process of a chain.

     link ──▶ LinkSource ──▶ the manager's run ──▶ Reporter ──▶ queue ──▶ the next stage
                  │                                   │
                  └────────── pipe to the parent ◀────┘

The stage tells the parent first and passes on afterwards, so a report of the next stage never comes to
a parent that does not know yet that the task has got there.  A stage that finds the queue full waits.

The main thread reads, calls, tells the parent and puts into the queue; what it has put there, the
feeder thread of the queue writes into its pipe.  The stage has ended when that is done.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

from .._call import IDLE, NEVER, Slot
from .._platform import end_a_copy, this_process, without_signal
from .._processes import wire
from .._processes.channel import CHUNK, TooLarge, send_frame
from .._processes.launch import refusal
from .._signals import HeldSignals
from .._task import Failure
from ..errors import TransportError
from ..events import Attempted, Event, Failed, Retrying, Succeeded
from ..manager import TaskManager, runs_of
from .book import Tickets
from .link import Frame, Link, LinkQueue, Reader, WayIn, Writer
from .plans import plan_of_stage
from .reports import (
    END,
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
    TookReport,
    WrittenReport,
    no_memory,
    note_of,
    noted,
    opening,
    pack_attempted,
    stage_batches,
)


class LinkSource:
    """The tasks that the stage before passes on.

    slot: Told which of them is being unpickled; None where that says nothing, as other calls go on.
    """

    remaining = None
    dropped = 0
    error: Exception | None = None

    def __init__(
        self, stage: int, link: Link, reporter: Reporter, tickets: Tickets, slot: Slot | None
    ) -> None:
        self._stage = stage
        self._link = link
        self._reporter = reporter
        self._tickets = tickets
        self._slot = slot
        self._arrived: deque[tuple[int, Any]] = deque()
        self._over = False

    @property
    def ended(self) -> bool:
        return self._over and not self._arrived

    def read(self, limit: int, wait: float, signals: HeldSignals) -> list[Any]:
        self._receive(limit)
        if wait > 0 and not self._arrived and not self._over:
            self._link.wait(wait)
            self._receive(limit)
        count = min(limit, len(self._arrived))
        entries = [self._arrived.popleft() for _ in range(count)]
        if entries:
            tickets = [ticket for ticket, _ in entries]
            self._tickets.come(tickets)
            self._reporter.report(TookReport(tickets))
        return [task for _, task in entries]

    async def wait(self, seconds: float) -> None:
        """The event loop here is the stage's own, and waits with it."""
        self._link.wait(seconds)

    async def close(self) -> None:
        """The link is the process's, and goes with it."""

    def _receive(self, enough: int) -> None:
        """Open what has come, until there are enough tasks or bytes. The rest stays in the link."""
        weight = 0
        frames = self._link.receive()
        while len(self._arrived) < enough and weight < wire.LARGEST_SHARE:
            frame = next(frames, None)
            if frame is None:
                break
            weight += len(frame)
            if isinstance(frame, TooLarge):
                self._lose(frame.size)
                continue
            if frame == END:
                self._over = True
                return
            batch = self._batch_of(frame)
            if batch is not None and batch.stage > self._stage:
                self._reporter.send_on(frame, self._link.note)
            elif batch is not None:
                self._open(batch)
        if self._link.ended:  # and not over: no stage closes its link
            self._reporter.link_is_garbled()

    def _batch_of(self, frame: Frame) -> StageBatch | None:
        """The batch in a frame; None where there is no memory for it, which has been told then."""
        try:
            batch = wire.loads(frame)
        except MemoryError:
            self._lose(len(frame))
            return None
        except Exception:
            batch = None
        if not isinstance(batch, StageBatch):
            self._reporter.link_is_garbled()
        return batch

    def _lose(self, size: int) -> None:
        """There is no memory for the frame that has come. Raises MemoryError if it has no note."""
        if not self._link.note:
            raise MemoryError(f"there is no memory for {size:,} bytes")
        note = StageNote(*wire.loads(self._link.note))
        self._reporter.fail(note.ticket, no_memory("argument", note.type_name, size), attempts=0)

    def _open(self, batch: StageBatch) -> None:
        if batch.plain:
            self._arrived.extend(zip(batch.tickets, batch.cells, strict=True))
            return
        slot = [IDLE, NEVER] if self._slot is None else self._slot
        if self._slot is None:
            self._reporter.report(OpeningReport(batch.tickets))
        for ticket, cell in zip(batch.tickets, batch.cells, strict=True):
            if isinstance(cell, wire.Lost):
                continue
            slot[0] = opening(ticket)
            slot[1] = 0.0
            try:
                task = wire.unpack_value(cell, "argument")
            except TransportError as error:
                self._reporter.fail(ticket, error, attempts=0)
            else:
                self._arrived.append((ticket, task))
        slot[1] = NEVER


class Reporter:
    """The observer of a stage's run: tells the parent, and passes results on.

    slot: Told whose result or error is being pickled.
    """

    def __init__(
        self,
        stage: int,
        pipe: socket.socket,
        outgoing: Writer | None,
        tickets: Tickets,
        slot: Slot,
    ) -> None:
        without_signal(pipe)
        self._home = this_process()
        self._stage = stage
        self._pipe = pipe
        self._outgoing = outgoing
        self._tickets = tickets
        self._slot = slot
        self._before = b""  # the frame of a report that goes with the next one

    def report(self, report: StageReport) -> None:
        """Tell the parent. SystemExit if it is not there any more."""
        frame = wire.dumps(report)
        self._tell(frame, note_of(report) if len(frame) > CHUNK else b"")

    def _tell(self, frame: bytes, note: bytes = b"") -> None:
        self._end_a_copy()
        try:
            send_frame(self._pipe, frame, note, before=self._before)
        except OSError:
            if self._outgoing is not None:
                self._outgoing.abandon()
            sys.exit(1)
        self._before = b""

    def _pass_on(self, batch: StageBatch, value: Any) -> None:
        """Tell the parent first, and the next stage afterwards. value: The first of the results."""
        try:
            frame, note = noted(batch, value)
        except TransportError as error:
            self.fail(batch.tickets[0], error, attempts=1)
            return
        self._tell(frame, note)
        self.send_on(frame, note)

    def send_on(self, frame: Frame, note: bytes = b"") -> None:
        """Send to the next stage; waits as long as there is no room for it."""
        self._end_a_copy()
        if self._outgoing is not None:
            self._outgoing.send(frame, note)

    def end(self, through: bool, error: wire.ErrorCell | None) -> None:
        """Tell that the run is over, and when all that goes on is in the pipe of the queue.

        The parent takes no notice of how this process ends after that, and has to before.
        """
        self.report(EndedReport(error, through))
        if self._outgoing is not None and through:
            self._outgoing.end(END)
        elif self._outgoing is not None:
            self._outgoing.abandon()
        self.report(WrittenReport())

    def link_is_garbled(self) -> NoReturn:
        """The link brings what no stage says. It is for the parent to end this process."""
        self.report(GarbledLinkReport())
        while True:
            time.sleep(1)

    def _end_a_copy(self) -> None:
        """Of this process, which the function has forked, and let return."""
        end_a_copy(self._home)

    def fail(self, ticket: int, error: BaseException, attempts: int) -> None:
        self.report(FailedReport(ticket, _pack(error), attempts))

    def observe(self, event: Event) -> None:
        match event:
            case Attempted(indices):
                tickets = [self._tickets.of(index) for index in indices]
                self._before = wire.dumps(pack_attempted(event, tickets))
            case Succeeded(indices, _, results, seconds):
                tickets = self._tickets.leave(indices)
                with self._current(IDLE):
                    column = wire.pack_values(results, self._slot, indices)
                first = 0
                for batch in stage_batches(self._stage + 1, tickets, column, seconds):
                    self._pass_on(batch, results[first])
                    first += len(batch.tickets)
            case Failed(index, _, error, attempts, took):
                (ticket,) = self._tickets.leave([index])
                with self._current(index):
                    cell = _pack(error)
                self.report(FailedReport(ticket, cell, attempts, took))
            case Retrying(index, _, error, number, delay):
                with self._current(index):
                    cell = _pack(error)
                self.report(RetryingReport(self._tickets.of(index), cell, number, delay))

    @contextlib.contextmanager
    def _current(self, number: float) -> Iterator[None]:
        """The time in which this one, or the ones that the slot is told of next, may end the process."""
        self._slot[0] = number
        self._slot[1] = 0.0
        yield
        self._slot[1] = NEVER


def _pack(error: BaseException) -> wire.ErrorCell:
    return wire.pack_failure(Failure(error, type(error)))


def run_stage(
    pipe: socket.socket,
    shared: Slot,
    packed: TaskManager | bytes,
    stage: int,
    beside: bool,
    concluded: bool,
    incoming: socket.socket | LinkQueue,
    outgoing: LinkQueue | None,
) -> None:
    """The life of a stage process.

    shared: Tells the parent which task is the current one.
    packed: The manager, pickled unless the process was forked.
    beside: Its calls go on beside all else, so that it cannot be known which one has ended it.
    concluded: Its `handle_error` was called already, in a process that was there before this one.
    """
    slot: Slot = [IDLE, NEVER] if beside else shared
    tickets = Tickets(first=0)
    writer = None if outgoing is None else Writer(outgoing)
    reporter = Reporter(stage, pipe, writer, tickets, slot)
    try:
        manager: TaskManager = wire.loads(packed) if isinstance(packed, bytes) else packed
    except BaseException as error:
        reporter.report(ReadyReport(wire.cannot_load("stage", error)))
        return
    if outgoing is not None and writer is not None:
        outgoing.when_lost = partial(charge_nobody, shared)
        try:
            writer.begin()
        except (RuntimeError, MemoryError) as error:
            said = f"no thread can be started in the process of stage {stage + 1}: {refusal(error)}"
            reporter.report(ReadyReport(said))
            return
    reporter.report(ReadyReport(""))
    handle_error = manager.handle_error

    def conclude() -> None:
        reporter.report(ConcludingReport())
        if not concluded:
            handle_error()

    plan = plan_of_stage(manager, stage + 1)
    plan = replace(
        plan,
        orders=replace(plan.orders, slot=slot),
        handle_error=conclude,
    )
    runs = runs_of(manager)
    link = Reader(incoming) if isinstance(incoming, LinkQueue) else WayIn(incoming)
    source = LinkSource(stage, link, reporter, tickets, None if beside else slot)
    through, cell = True, None
    try:
        with HeldSignals().held() as signals:
            runs.start(plan, source, signals, runs.recorder(plan, reporter))
    except BaseException as error:
        through, cell = source.ended, _pack(error)
    manager.shutdown_pools()
    reporter.end(through, cell)


def charge_nobody(slot: Slot) -> None:
    """What ends this process next is no fault of the call that goes on."""
    slot[1] = NEVER
    slot[0] = IDLE
