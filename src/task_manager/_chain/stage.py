"""A stage process of a chain.

     link ──▶ LinkSource ──▶ the manager's run ──▶ Reporter ──▶ queue ──▶ the next stage
                  │                                   │
                  └────────── pipe to the parent ◀────┘

The main thread reads, calls, tells the parent and puts into the queue; what it has put there, the
feeder thread of the queue writes into its pipe.  The stage has ended when that is done.
"""

from __future__ import annotations

import socket
from collections import deque
from dataclasses import replace
from functools import partial
from typing import Any

from .._call import IDLE, NEVER, Slot, clock
from .._processes import wire
from .._processes.channel import TooLarge
from .._processes.launch import refusal
from .._rules.rate import RateLimit
from .._run.failing import failing_of
from .._run.gate import limit_of
from .._run.run import TICK
from .._signals import HeldSignals
from .._stop import Stop, StoppedAtOnce
from ..errors import TransportError
from ..manager import TaskManager, runs_of
from .book import Tickets
from .link import Frame, Link, LinkQueue, Reader, WayIn, Writer
from .parent import Parent
from .plans import AtMostOnce, plan_of_stage
from .reporter import Reporter, pack_error
from .reports import (
    END,
    ConcludingReport,
    OpeningReport,
    ReadyReport,
    StageBatch,
    StageNote,
    TookReport,
    no_memory,
    opening,
)


class LinkSource:
    """The tasks that the stage before passes on.

    slot: Told which of them is being unpickled; None where that says nothing, as other calls go on.
    """

    remaining = None
    dropped = 0
    error: Exception | None = None

    def __init__(
        self,
        stage: int,
        link: Link,
        reporter: Reporter,
        tickets: Tickets,
        slot: Slot | None,
        parent: Parent,
    ) -> None:
        self._stage = stage
        self._link = link
        self._reporter = reporter
        self._tickets = tickets
        self._slot = slot
        self._parent = parent
        self._arrived: deque[tuple[int, Any]] = deque()
        self._over = False

    @property
    def ended(self) -> bool:
        return self._over and not self._arrived

    def read(self, limit: int, wait: float, signals: HeldSignals) -> list[Any]:
        self._parent.look()
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
        await self._link.arrival(seconds)

    async def close(self) -> None:
        """The link is the process's, and goes with it."""

    def discard(self) -> None:
        """Of a stage that is stopped: throw away what comes, until the one before it has ended.

        That one would wait for room in the link for ever. Where the tasks are, the parent knows.
        """
        while not (self._over or self._link.ended):
            for frame in self._link.receive():
                self._over |= frame == END
            if not self._over:
                self._link.wait(TICK)

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


def run_stage(
    pipe: socket.socket,
    shared: Slot,
    packed: TaskManager | bytes,
    stage: int,
    beside: bool,
    concluded: bool,
    strict: bool,
    begins: list[float],
    incoming: socket.socket | LinkQueue,
    outgoing: LinkQueue | None,
) -> None:
    """The life of a stage process.

    shared: Tells the parent which task is the current one.
    packed: The manager, pickled unless the process was forked.
    beside: Its calls go on beside all else, so that it cannot be known which one has ended it.
    concluded: Its `handle_error` was called already, in a process that was there before this one.
    strict: What may have been called is not to be called again.
    begins: Of calls of the processes before it, which count against its limit.
    """
    slot: Slot = [IDLE, NEVER] if beside else shared
    tickets = Tickets(first=0)
    writer = None if outgoing is None else Writer(outgoing)
    stop = Stop()
    reporter = Reporter(stage, pipe, writer, tickets, slot, stop)
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
        record=AtMostOnce() if strict else None,
    )
    if begins and isinstance(limit := limit_of(plan, None), RateLimit):
        limit.begun_elsewhere(clock(), begins)
        plan = replace(plan, limit=limit)
    runs = runs_of(manager)
    link = Reader(incoming) if isinstance(incoming, LinkQueue) else WayIn(incoming)
    parent = Parent(pipe, stop)
    parent.listen()
    source = LinkSource(stage, link, reporter, tickets, None if beside else slot, parent)
    through, cell = True, None
    try:
        with HeldSignals().held() as signals:
            if plan.process_error is not None:
                reporter.failed = failing_of(plan, signals).failed
            runs.start(plan, source, signals, runs.recorder(plan, reporter), stop)
    except StoppedAtOnce:  # the parent ends the chain when it hears of it
        through = False
    except BaseException as error:
        through, cell = source.ended or stop.asked, pack_error(error)
    reporter.tell_stop()
    if stop.asked and through:
        source.discard()
    manager.shutdown_pools()
    reporter.end(through, cell, runs.summary.interrupted)


def charge_nobody(slot: Slot) -> None:
    """What ends this process next is no fault of the call that goes on."""
    slot[1] = NEVER
    slot[0] = IDLE
