"""A stage process of a chain.

     incoming queue ──▶ QueueSource ──▶ the manager's run ──▶ Reporter ──▶ outgoing queue
                            │                                    │
                            └────────── pipe to the parent ◀─────┘

The stage tells the parent first and passes on afterwards, so the parent never hears from a stage
of a task that it does not know to be there.
"""

from __future__ import annotations

import queue
import socket
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from . import _wire
from ._book import Tickets
from ._call import IDLE
from ._channel import send_frame
from ._ctrl_c import CtrlC
from ._processes import settle_in
from ._recorder import Recorder
from ._task import Event, Failed, Failure, Retrying, Succeeded
from .errors import TransportError
from .manager import TaskManager


class Parcel(NamedTuple):
    """What goes through a queue: tasks of one stage, with their tickets.

    stage: At which stage they enter, from 0; earlier ones hand the parcel on as it is.
    plain, cells: The tasks as a Column.
    """

    stage: int
    tickets: list[int]
    plain: bool
    cells: list[Any]


if TYPE_CHECKING:
    from multiprocessing.queues import Queue

    Link: TypeAlias = Queue[Parcel | None]  # None is the end of the stream


# Reports to the parent, each pickled by itself.


class ReadyReport(NamedTuple):
    """The stage process has come up. refusal: Why it cannot work, or ""."""

    refusal: str


class TookReport(NamedTuple):
    """These are in the hands of the stage now."""

    tickets: list[int]


class PassedReport(NamedTuple):
    """These have a result. plain, cells: The results as a Column."""

    tickets: list[int]
    plain: bool
    cells: list[Any]
    seconds: list[float]


class FailedReport(NamedTuple):
    ticket: int
    error: _wire.ErrorCell
    attempts: int


class RetryingReport(NamedTuple):
    ticket: int
    error: _wire.ErrorCell
    number: int
    delay: float


class EndedReport(NamedTuple):
    """The run of the stage is over.

    error: What it raised, or None.
    through: It has taken all there was, and raised at its end, as handle_error does; otherwise it was
        broken off, and nobody takes what the stage before hands on.
    """

    error: _wire.ErrorCell | None
    through: bool


Report = ReadyReport | TookReport | PassedReport | FailedReport | RetryingReport | EndedReport


def pack_column(values: list[Any]) -> _wire.Column:
    return _wire.pack_values(values, [IDLE, 0.0], range(len(values)))


def parcel_of(stage: int, tickets: list[int], plain: bool, cells: list[Any]) -> Parcel | None:
    """What of these cells could be packed, for a stage; None if it is nothing."""
    if not plain:
        kept = [i for i, cell in enumerate(cells) if not isinstance(cell, _wire.Lost)]
        cells = [cells[i] for i in kept]
        tickets = [tickets[i] for i in kept]
    return Parcel(stage, tickets, plain, cells) if cells else None


class QueueSource:
    """The tasks that the stage before hands on."""

    remaining = None
    dropped = 0
    error: Exception | None = None

    def __init__(self, stage: int, incoming: Link, reporter: Reporter, tickets: Tickets) -> None:
        self._stage = stage
        self._incoming = incoming
        self._reporter = reporter
        self._tickets = tickets
        self._arrived: deque[tuple[int, Any]] = deque()
        self.ended = False

    def read(self, limit: int, wait: float, ctrl_c: CtrlC) -> list[Any]:
        if not self._arrived:
            self._receive(wait)
        count = min(limit, len(self._arrived))
        entries = [self._arrived.popleft() for _ in range(count)]
        if entries:
            tickets = [ticket for ticket, _ in entries]
            self._tickets.come(tickets)
            self._reporter.report(TookReport(tickets))
        return [task for _, task in entries]

    def _receive(self, wait: float) -> None:
        """Take parcels from the queue until one is for this stage."""
        while not self._arrived and not self.ended:
            try:
                parcel = self._incoming.get(wait > 0, wait)
            except queue.Empty:
                return
            if parcel is None:
                self.ended = True
            elif parcel.stage > self._stage:
                self._reporter.hand_on(parcel)
            else:
                self._open(parcel)

    def _open(self, parcel: Parcel) -> None:
        if parcel.plain:
            self._arrived.extend(zip(parcel.tickets, parcel.cells, strict=True))
            return
        for ticket, cell in zip(parcel.tickets, parcel.cells, strict=True):
            try:
                task = _wire.unpack_value(cell, "argument")
            except TransportError as error:
                self._reporter.fail(ticket, error, attempts=0)
            else:
                self._arrived.append((ticket, task))


class Reporter:
    """The observer of a stage's run: tells the parent, and passes results on."""

    def __init__(self, stage: int, pipe: socket.socket, outgoing: Link | None, tickets: Tickets) -> None:
        self._stage = stage
        self._pipe = pipe
        self._outgoing = outgoing
        self._tickets = tickets

    def report(self, report: Report) -> None:
        """Tell the parent. SystemExit if it is not there any more."""
        try:
            send_frame(self._pipe, _wire.dumps(report))
        except OSError:
            sys.exit(1)

    def _pass_on(self, tickets: list[int], plain: bool, cells: list[Any], seconds: list[float]) -> None:
        """Tell the parent first, and the next stage afterwards."""
        self.report(PassedReport(tickets, plain, cells, seconds))
        parcel = parcel_of(self._stage + 1, tickets, plain, cells)
        if parcel is not None:
            self.hand_on(parcel)

    def hand_on(self, parcel: Parcel) -> None:
        if self._outgoing is not None:
            self._outgoing.put(parcel)

    def end_stream(self) -> None:
        """Nothing more will be handed on. When this returns, all of it is on its way for good."""
        if self._outgoing is not None:
            self._outgoing.put(None)
            self._outgoing.close()
            self._outgoing.join_thread()

    def fail(self, ticket: int, error: BaseException, attempts: int) -> None:
        cell = _wire.pack_failure(Failure(error, type(error)))
        self.report(FailedReport(ticket, cell, attempts))

    def observe(self, event: Event) -> None:
        match event:
            case Succeeded(indices, _, results, seconds):
                tickets = self._tickets.leave(indices)
                column = pack_column(results)
                for share in _wire.shares(column):
                    self._pass_on(tickets[share], column.plain, column.cells[share], seconds[share])
            case Failed(index, _, error, attempts):
                (ticket,) = self._tickets.leave([index])
                self.fail(ticket, error, attempts)
            case Retrying(index, _, error, number, delay):
                cell = _wire.pack_failure(Failure(error, type(error)))
                self.report(RetryingReport(self._tickets.of(index), cell, number, delay))


def run_stage(
    pipe: socket.socket,
    packed: TaskManager | bytes,
    stage: int,
    incoming: Link,
    outgoing: Link | None,
) -> None:
    """The life of a stage process. packed: The manager, pickled unless the process was forked."""
    settle_in()
    tickets = Tickets(first=0)
    reporter = Reporter(stage, pipe, outgoing, tickets)
    try:
        manager: TaskManager = _wire.loads(packed) if isinstance(packed, bytes) else packed
    except BaseException as error:
        reporter.report(ReadyReport(_wire.cannot_load("stage", error)))
        return
    reporter.report(ReadyReport(""))
    source = QueueSource(stage, incoming, reporter, tickets)
    ended = EndedReport(None, through=True)
    try:
        manager._flow(source, Recorder([*manager._keepers(), reporter], []), distinct=False)
    except BaseException as error:
        cell = _wire.pack_failure(Failure(error, type(error)))
        ended = EndedReport(cell, source.ended)
    manager.shutdown_pools()
    if ended.through:
        reporter.end_stream()
    reporter.report(ended)
