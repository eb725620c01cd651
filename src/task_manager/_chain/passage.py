"""What a stage in a thread reads its tasks from: a bounded queue, which the stage before fills.

     initial tasks ── enter ──▶ Passage ──▶ stage 1 ── put ──▶ Passage ──▶ stage 2        and so on

An item of it is what came together: a result, or a batch of tiny ones. A stage that finds ITEMS of them
waits. What a journal knows to have got further is entered by the caller in the midst of the others.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from .._platform import this_process
from .._run.recorder import Recorder
from .._run.run import TICK
from .._signals import HeldSignals
from .._stop import Stop
from ..events import Repeated
from .book import Tickets
from .feed import AHEAD
from .inbox import Inbox
from .link import ITEMS

Item = tuple[Sequence[int], Sequence[Any]]  # tickets, and the task of each


class Passage:
    """The source of a stage. It is filled by two threads, and read by one.

    tickets, recorder, workers, wake: Of the run of the stage. wake: Has it look here, where it waits for
        its calls, and had found nothing.
    wanted: Tasks, at the last look of the stage.
    """

    error: Exception | None = None
    remaining = None
    dropped = 0
    tickets: Tickets
    recorder: Recorder
    workers: int = 1
    wake: Callable[[], None] | None = None

    def __init__(self, inbox: Inbox, stop: Stop) -> None:
        self._inbox = inbox
        self._stop = stop
        self._home = this_process()
        self._changed = threading.Condition()
        self._items: deque[Item] = deque()
        self._count = 0  # tasks in them
        self._repeats: list[Any] = []
        self._closed = False
        self._dry = False  # at the last look, and the stage has not been woken since
        self._asked = False  # the caller is to be told of room
        self.wanted = 1

    # ------------------------------------------------------------------ of those who fill it

    def put(self, tickets: Sequence[int], tasks: Sequence[Any], signals: HeldSignals) -> None:
        """Pass these on; waits as long as there is no room. Once the chain stops, nobody reads them:
        the book has their place.

        signals: Of the stage that passes them on.
        """
        if self._home is not this_process():  # a copy, which is ended where it returns
            return
        with self._changed:
            while len(self._items) >= ITEMS and not self._stop.asked:
                self._changed.wait(TICK)
                signals.deliver()
            if self._stop.asked:
                return
            self._add(tickets, tasks)
        self._look()

    def enter(self, tickets: Sequence[int], tasks: Sequence[Any], repeats: Sequence[Any] = ()) -> None:
        """Called by the caller, where there is room. repeats: The stage counts these, no more."""
        with self._changed:
            self._repeats += repeats
            if tickets:
                self._add(tickets, tasks)
            self._changed.notify_all()
        self._look()

    def has_room(self) -> bool:
        """For more from the caller, who is told later if there is none now."""
        with self._changed:
            self._asked = self._count >= self._enough
            return not self._asked

    def end(self) -> None:
        """Nothing more comes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._look()

    def stopped(self) -> None:
        """The chain is to stop: nobody need wait here any more."""
        with self._changed:
            self._changed.notify_all()
        self._look()

    @property
    def _enough(self) -> int:
        """Tasks that are read ahead of the stage: some batches, at least two for each worker."""
        return max(AHEAD, 2 * self.workers) * self.wanted

    def _add(self, tickets: Sequence[int], tasks: Sequence[Any]) -> None:
        self._items.append((tickets, tasks))
        self._count += len(tickets)
        self._changed.notify_all()

    def _look(self) -> None:
        if self._dry and self.wake is not None:
            self._dry = False
            self.wake()

    # ------------------------------------------------------------------ of the stage

    @property
    def ended(self) -> bool:
        return self._closed and not self._items and not self._repeats

    def read(self, limit: int, wait: float, signals: HeldSignals) -> list[Any]:
        tickets: list[int] = []
        tasks: list[Any] = []
        with self._changed:
            self.wanted = limit
            if wait > 0 and not (self._items or self._repeats or self._closed or self._stop.asked):
                self._changed.wait(wait)
            while self._items and len(tickets) < limit:
                more = limit - len(tickets)
                coming, of_them = self._items.popleft()
                if len(coming) > more:
                    self._items.appendleft((coming[more:], of_them[more:]))
                tickets += coming[:more]
                tasks += of_them[:more]
            self._count -= len(tickets)
            self._dry = not tickets
            repeats, self._repeats = self._repeats, []
            told, self._asked = self._asked, self._asked and 2 * self._count >= self._enough
            if tickets:
                self._changed.notify_all()
        if told and not self._asked:
            self._inbox.post(_nothing)
        if repeats:
            self.recorder.record(Repeated(repeats, stage=1))
        self.tickets.come(tickets)
        return tasks

    async def wait(self, seconds: float) -> None:
        """Nobody waits for it in a loop: the stage has a thread."""

    async def close(self) -> None:
        """It is read no more by itself."""


def _nothing() -> None:
    """What there is to do where there is only room."""
