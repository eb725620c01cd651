"""What a stage process tells its parent first, and passes on to the next stage afterwards.

So a report of the next stage never comes to a parent that does not know yet that the task has got
there.  A stage that finds the queue full waits.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from .._call import IDLE, NEVER, Slot
from .._platform import end_a_copy, this_process, without_signal
from .._processes import wire
from .._processes.channel import CHUNK, send_frame
from .._stop import STOPPED, Stop
from .._task import Failure
from ..errors import TransportError
from ..events import Attempted, Event, Failed, Retrying, Succeeded
from .book import Tickets
from .link import Frame, Writer
from .reports import (
    END,
    EndedReport,
    FailedReport,
    GarbledLinkReport,
    RetryingReport,
    StageBatch,
    StageReport,
    StoppingReport,
    WrittenReport,
    note_of,
    noted,
    pack_attempted,
    stage_batches,
)


class Reporter:
    """The observer of a stage's run: tells the parent, and passes results on.

    slot: Told whose result or error is being pickled. stop: Of the run.
    failed: Told of a task whose result cannot be passed on: its index, itself, the error.
    """

    failed: Callable[[int, Any, BaseException], None] | None = None

    def __init__(
        self,
        stage: int,
        pipe: socket.socket,
        outgoing: Writer | None,
        tickets: Tickets,
        slot: Slot,
        stop: Stop,
    ) -> None:
        without_signal(pipe)
        self._home = this_process()
        self._stage = stage
        self._pipe = pipe
        self._outgoing = outgoing
        self._tickets = tickets
        self._slot = slot
        self._stop = stop
        self._told: StoppingReport | None = None  # what was said last
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

    def tell_stop(self) -> None:
        """If somebody here, as a hook, has asked for it, the parent is to hear of it."""
        if self._stop.asked and self._told != (
            said := StoppingReport(self._stop.at_once, self._stop.reason or STOPPED)
        ):
            self._told = said
            self.report(said)

    def end(self, through: bool, error: wire.ErrorCell | None, interrupted: int) -> None:
        """Tell that the run is over, and when all that goes on is in the pipe of the queue.

        The parent takes no notice of how this process ends after that, and has to before.
        """
        self.report(EndedReport(error, through, interrupted))
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
        self.report(FailedReport(ticket, pack_error(error), attempts))

    def observe(self, event: Event) -> None:
        self.tell_stop()
        match event:
            case Attempted(indices):
                tickets = [self._tickets.of(index) for index in indices]
                self._before = wire.dumps(pack_attempted(event, tickets))
            case Succeeded(indices, tasks, results, seconds):
                tickets = self._tickets.leave(indices)
                with self._current(IDLE):
                    column = wire.pack_values(results, self._slot, indices)
                first = 0
                for batch in stage_batches(self._stage + 1, tickets, column, seconds):
                    self._pass_on(batch, results[first])
                    first += len(batch.tickets)
                if self.failed is not None and not column.plain:
                    for index, task, cell in zip(indices, tasks, column.cells, strict=True):
                        if isinstance(cell, wire.Lost):
                            self.failed(index, task, TransportError("result", *cell))
            case Failed(index, _, error, attempts, took):
                (ticket,) = self._tickets.leave([index])
                with self._current(index):
                    cell = pack_error(error)
                self.report(FailedReport(ticket, cell, attempts, took))
            case Retrying(index, _, error, number, delay):
                with self._current(index):
                    cell = pack_error(error)
                self.report(RetryingReport(self._tickets.of(index), cell, number, delay))

    @contextlib.contextmanager
    def _current(self, number: float) -> Iterator[None]:
        """The time in which this one, or the ones that the slot is told of next, may end the process."""
        self._slot[0] = number
        self._slot[1] = 0.0
        yield
        self._slot[1] = NEVER


def pack_error(error: BaseException) -> wire.ErrorCell:
    """As it travels in a report."""
    return wire.pack_failure(Failure(error, type(error)))
