"""What the run of a stage in a thread tells the caller's thread first, and passes on afterwards.

     run ─ events ─▶ Teller ─▶ Inbox ─▶ book, journal, observers of the chain
                        └────▶ Passage ─▶ the next stage
     run ─ events ─▶ Relay ──▶ Inbox ─▶ log, bar and observers of the stage

So the book knows where a task is before a later stage can tell of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from .._journal.no_record import Fail, NoRecord
from .._signals import HeldSignals
from .._task import Batch, Unrun
from ..errors import InDoubtError
from ..events import Attempted, Event, Failed, Retrying, RunBegan, RunEnded, Succeeded, Waiting
from .book import Book, Tickets
from .inbox import Inbox
from .passage import Passage
from .plans import AtMostOnce


class Marks(NoRecord):
    """What the run of a stage notes for the chain's journal.

    begun: Tickets for which its function may have been called, with nothing told of what came of it.
    """

    def __init__(self, tickets: Tickets, strict: bool) -> None:
        self._tickets = tickets
        self._rule = AtMostOnce() if strict else NoRecord()
        self.begun: set[int] = set()

    def leaving(self, indices: Sequence[int]) -> None:
        self.begun.update(self._tickets.still_there(indices))

    def returned(self, batch: Batch, unrun: Unrun, fail: Fail) -> Sequence[int]:
        begun = frozenset(unrun.begun)
        self.not_begun(batch.indices[place] for place in unrun.positions if place not in begun)
        return self._rule.returned(batch, unrun, fail)

    def not_begun(self, indices: Iterable[int]) -> None:
        self.begun.difference_update(self._tickets.still_there(indices))

    def told(self, tickets: Iterable[int]) -> None:
        """What came of these calls is known."""
        self.begun.difference_update(tickets)


class Teller:
    """The observer of a stage's run.

    following: What the next stage reads from; None: there is none. signals: Of the stage.
    """

    def __init__(
        self,
        stage: int,
        book: Book,
        tickets: Tickets,
        marks: Marks | None,
        inbox: Inbox,
        following: Passage | None,
        signals: HeldSignals,
    ) -> None:
        self._stage = stage
        self._book = book
        self._tickets = tickets
        self._marks = marks
        self._inbox = inbox
        self._following = following
        self._signals = signals

    def observe(self, event: Event) -> None:
        book, stage = self._book, self._stage
        match event:
            case Attempted(indices) if book.watched:
                self._tell(partial(book.attempted, event, list(map(self._tickets.of, indices))))
            case Succeeded(indices, _, results, seconds, attempts):
                tickets = self._leave(indices)
                self._tell(partial(book.passed, stage, tickets, results, seconds, attempts))
                if self._following is not None:
                    self._following.put(tickets, results, self._signals)
            case Failed(index, _, error, attempts_made, took):
                (ticket,) = self._leave([index])
                self._tell(partial(self._fail, ticket, error, attempts_made, took))
            case Retrying(index, _, error, number, delay):
                ticket = self._tickets.of(index)
                if self._marks is not None:
                    self._marks.told([ticket])
                self._tell(partial(book.retrying, stage, ticket, error, number, delay))
            case RunEnded(summary) if stage == 0:
                self._inbox.post(partial(book.interrupted_at_first, summary.interrupted))

    def _tell(self, deed: Callable[[], None]) -> None:
        self._inbox.post(deed, self._signals)

    def _leave(self, indices: Sequence[int]) -> list[int]:
        tickets = self._tickets.leave(indices)
        if self._marks is not None:
            self._marks.told(tickets)
        return tickets

    def _fail(self, ticket: int, error: BaseException, attempts: int, seconds: float | None) -> None:
        """In the caller's thread, which knows the initial task."""
        if type(error) is InDoubtError:
            error = InDoubtError(self._book.initial(ticket))
        self._book.failed(self._stage, ticket, error, attempts, seconds)


class Relay:
    """The observer of a stage's run in the place of those of its manager: they are told elsewhere.

    tell: Called in the caller's thread. total: Of the initial tasks; None: nobody knows.
    """

    def __init__(
        self,
        tell: Callable[[Event], None],
        total: int | None,
        inbox: Inbox,
        signals: HeldSignals,
    ) -> None:
        self._tell = tell
        self._total = total
        self._inbox = inbox
        self._signals = signals

    def observe(self, event: Event) -> None:
        match event:
            case RunBegan():
                self._inbox.post(partial(self._tell, replace(event, total=self._total)))
            case RunEnded():
                self._inbox.post(partial(self._tell, event))
            case Waiting():  # the caller tells them so, by its own clock
                pass
            case _:
                self._inbox.post(partial(self._tell, event), self._signals)
