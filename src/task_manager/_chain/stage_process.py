"""A stage process of a chain, as its parent knows it."""

from __future__ import annotations

import multiprocessing
import socket
from typing import Any

from .._call import NEVER, clock
from .._processes.channel import TooLarge
from .._processes.child import Child
from .._processes.function import pack_object
from .._rules.rate import RateLimit
from .._run.recorder import Recorder
from .._runners.modes import mode_of
from ..errors import StageDiedError
from ..manager import TaskManager, runs_of
from .book import Book
from .link import LinkQueue
from .plans import quiet_copy
from .reports import AttemptedReport, begins_of, current_ticket
from .stage import run_stage


class StageProcess(Child):
    """Owns the process of one stage.

    indices: By ticket, the number that its task has in the manager of the stage.
    attempts: By ticket, the number of its last attempt, where that was not the first.
    opening: The tickets that may be unpickled there just now, where the slot does not tell which.
    held: The tickets that it has taken, and the number of each there, in the order taken, from 0.
    in_hand: The frame of a report that is being taken in.
    concluding: It has told all about its tasks, and calls `handle_error`.
    ended: It has said that it is through, and that all it had to pass on is in the pipe of its queue.
    garbled: What came out of its pipe, or of its link to the next stage, is nothing that it says.
    """

    def __init__(
        self, number: int, manager: TaskManager, recorder: Recorder, indices: dict[int, int]
    ) -> None:
        super().__init__()
        self.number = number
        self.manager = manager
        self.recorder = recorder
        self.indices = indices
        self.attempts: dict[int, int] = {}
        self.opening: list[int] = []
        self.held: dict[int, int] = {}
        self.taken = 0
        self.in_hand: memoryview | TooLarge | None = None
        self.concluding = False
        self.ended = False
        self.garbled = False

    @property
    def context(self) -> Any:
        """Of multiprocessing: how this stage's process is started."""
        return multiprocessing.get_context(self.manager.start_method)

    def start_stage(
        self,
        concluded: bool,
        book: Book,
        incoming: socket.socket | LinkQueue,
        outgoing: LinkQueue | None,
    ) -> None:
        """To be called inside `uninterrupted`; `close` may be called whatever this raises."""
        # The parent writes the log and draws the bar.
        travelling = quiet_copy(self.manager, book.keeps)
        method = self.context.get_start_method()
        packed: TaskManager | bytes = travelling
        if method != "fork":
            packed = pack_object(travelling, method, instead="chain_mode='thread'")
        self.start(
            self.context,
            run_stage,
            packed,
            self.number,
            mode_of(self.manager.execution_mode).beside,
            concluded,
            book.strict,
            [] if self._limit is None else self._limit.in_window(clock()),
            incoming,
            outgoing,
            name=f"task_manager-stage-{self.number + 1}",
        )

    @property
    def _limit(self) -> RateLimit | None:
        """Of the calls of this stage, as far as they are told of here. What each key has is not."""
        limit = runs_of(self.manager).limit
        return limit if isinstance(limit, RateLimit) else None

    def limit_hears(self, report: AttemptedReport) -> None:
        """These count against the limit of the stage, also of its next process."""
        if self._limit is not None:
            self._limit.begun_elsewhere(clock(), begins_of(report))

    def leave_to_limit(self) -> None:
        """It has ended: a call that nobody has told of may have begun for each task that it had."""
        if self._limit is not None:
            now = clock()
            self._limit.begun_elsewhere(now, [now] * len(self.tickets))

    def stop_run(self) -> None:
        """It is to finish what runs there, and to begin nothing more. Any thread may say so."""
        for channel in tuple(self._channels):
            channel.nudge()

    @property
    def waits(self) -> bool:
        """It has no task, and does nothing else that may take long."""
        return self.ready and not (self.concluding or self.tickets or self.busy_or_ended)

    def index_of(self, ticket: int) -> int:
        """The number of its task in the manager; the next one where it has none yet."""
        if ticket not in self.indices:
            self.take([ticket])
        return self.indices[ticket]

    def take(self, tickets: list[int]) -> None:
        """Number the tasks of these."""
        self.indices.update(zip(tickets, runs_of(self.manager).number(len(tickets)), strict=True))

    def let_pass(self, tickets: list[int]) -> tuple[list[int], list[int]]:
        """These are through with the stage: the number of each in the manager, and its attempts."""
        unnumbered = [ticket for ticket in tickets if ticket not in self.indices]
        if unnumbered:
            self.take(unnumbered)
        indices = list(map(self.indices.pop, tickets))
        attempts = [1] * len(tickets)
        if self.attempts:
            attempts = [self.attempts.pop(ticket, 1) for ticket in tickets]
        leave = self.held.pop
        for ticket in tickets:
            leave(ticket, None)
        return indices, attempts

    # ------------------------------------------------------------------ after its death

    @property
    def tickets(self) -> list[int]:
        """The tickets that are with it, or were when it died."""
        return [*self.opening, *self.held]

    @property
    def current(self) -> int | None:
        """The ticket that it had begun to do something for last; None if that is unknown."""
        return None if self.garbled else current_ticket(self.told[0], self.held)

    @property
    def going_on(self) -> bool:
        """It was in the middle of that."""
        return self.current is not None and self.told[1] != NEVER

    @property
    def error(self) -> StageDiedError:
        return StageDiedError(self.number + 1, self.pid, self.exitcode)
