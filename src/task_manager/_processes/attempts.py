"""The attempts that a worker process has, as its parent knows them.

submit ──▶ Unsent: waits here, not yet pickled ──▶ Sent ──▶ reported, and gone
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from typing import Any, NamedTuple

from .._call import NEVER, release
from .._rules.renewal import Usage
from .._task import Batch, Failure, InTurn, Outcomes, Unrun
from ..errors import TransportError, WorkerStartError
from . import wire
from .arguments import Share, named, pack_calls
from .channel import NAP, GarbageError, TooLarge
from .child import Child
from .report import (
    Note,
    Report,
    StateRefusal,
    open_note,
    open_report,
    refusal_in,
    words_in,
)
from .worker import READY, UP


class Overdue(NamedTuple):
    """A call that was ended by us. number: The worker's. took: Seconds, so far."""

    number: int
    failure: Failure
    began: float
    took: float


class Unsent:
    """Attempts of a batch that a worker is to have, and that are pickled as its pipe takes them.

    left: Which attempts of the batch are still to be sent.
    """

    def __init__(self, batch: Batch, positions: Sequence[int]) -> None:
        self.batch = batch
        self.left = positions
        whole = len(positions) == len(batch)
        calls = batch.calls if whole else [batch.calls[position] for position in positions]
        self._shares = pack_calls(calls, batch.unpack)

    def split(self, count: int) -> tuple[Unsent, Unsent]:
        """The first so many, and the others. To be called before any are packed."""
        return Unsent(self.batch, self.left[:count]), Unsent(self.batch, self.left[count:])

    def pack(self) -> tuple[Share, Sequence[int]]:
        """The next share, and which attempts of the batch it has."""
        share = next(self._shares)
        taken = self.left[: share.taken]
        self.left = self.left[share.taken :]
        return share, taken


class Sent:
    """Attempts of a batch that were sent to a worker together.

    positions: Which attempts of the batch.
    base: The worker's number of the first of them; it numbers its calls from 0.
    done: How many of them have come back.
    weight: Bytes an attempt, on the way to the worker.
    """

    __slots__ = ("base", "batch", "done", "positions", "weight")

    def __init__(self, batch: Batch, positions: Sequence[int], base: int, weight: float = 0.0) -> None:
        self.batch = batch
        self.positions = positions
        self.base = base
        self.done = 0
        self.weight = weight

    @property
    def left(self) -> Sequence[int]:
        """Those that have not come back."""
        return self.positions[self.done :]

    def begun(self, number: int) -> Sequence[int]:
        """Those left whose calls have begun, where the worker has begun the one of this number."""
        return self.left[: max(0, number + 1 - self.base - self.done)]

    @property
    def indices_left(self) -> list[int]:
        """The tasks that these are attempts for."""
        return [self.batch.indices[position] for position in self.left]


class Worker(Child):
    """Owns a worker process, and what it has: it makes the calls of the first that was sent.

    most: Calls that it may make; None: as many as there are. calls_left: Of these.
    place: Its number among the workers. lost: It has sent what is no report.
    pace: Seconds a call, in its last report. usage: Of its calls, for who replaces it.
    """

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self.calls_left: float = inf if most is None else most
        self.place = 0
        self.sent: deque[Sent] = deque()
        self.unsent: deque[Unsent] = deque()
        self.lost = False
        self._numbers = 0  # of attempts, ever
        self.pace = 0.0
        self.usage = Usage()

    @property
    def gone(self) -> bool:
        """It is dead, or nothing that comes of it can be believed."""
        return self.channel.ended or self.lost

    @property
    def load(self) -> int:
        """What it has to do, in batches, about."""
        return len(self.sent) + len(self.unsent)

    @property
    def room(self) -> float:
        """How many more calls it may be given."""
        if self.calls_left == inf:
            return inf
        given: list[Sent | Unsent] = [*self.sent, *self.unsent]
        return self.calls_left - sum(len(one.left) for one in given)

    @property
    def busy(self) -> bool:
        """It reports each call by itself, and has the next calls already, for 2 NAP or more.

        So its reports may lie in the pipe for a NAP without a worker that has nothing to do.
        """
        return (
            self.channel.little
            and len(self.sent) > 1
            and len(self.sent[1].positions) * self.pace >= 2 * NAP
        )

    def hear(self, frame: memoryview | TooLarge) -> None:
        """What it says before it is ready. Raises WorkerStartError where its state cannot be made."""
        if not isinstance(frame, TooLarge) and frame == UP:
            self.up = True
        elif not isinstance(frame, TooLarge) and frame == READY:
            self.up = self.ready = True
        else:
            refusal = refusal_in(frame)
            if isinstance(refusal, StateRefusal):
                error = WorkerStartError(refusal.text)
                if refusal.cause is None:
                    raise error
                raise error from wire.unpack_failure(refusal.cause).error
            self.refusal = refusal

    def last_words(self) -> str:
        """Of one that was told goodbye, and has ended: what is wrong with its clean-up."""
        words = ""
        with suppress(GarbageError):
            for frame in self.channel.receive():
                words = words_in(frame)
        return words

    def has_sent(self, batch: Batch, positions: Sequence[int], size: int) -> None:
        """These are on their way to it, in so many bytes."""
        self.sent.append(Sent(batch, positions, self._numbers, size / len(positions)))
        self._numbers += len(positions)

    def begins(self) -> list[tuple[int, float]]:
        """Its call: the index of the task, and when it began. One at most."""
        number = int(self.slot[0])  # first: the next call writes its beginning before its number
        began = self.slot[1]
        index = self.index_of(number) if began != NEVER else None
        return [] if index is None else [(index, began)]

    def index_of(self, number: int) -> int | None:
        """The task of the call of this number, if that is one that has not come back."""
        for sent in self.sent:
            if sent.base + sent.done <= number < sent.base + len(sent.positions):
                return sent.batch.indices[sent.positions[number - sent.base]]
        return None

    def take(self, frame: memoryview | TooLarge) -> tuple[Batch, Outcomes | Unrun]:
        """What it reports of the attempts that it has.

        Raises GarbageError, before anything is changed, if it is no report of these.
        """
        try:
            if isinstance(frame, TooLarge):
                raise MemoryError
            report = open_report(frame)
        except MemoryError:
            note = open_note(self.channel.note)
            sent = self._first(1)
            outcomes = _lost_outcome(sent, note, len(frame), self.place)
        else:
            sent = self._first(len(report.seconds))
            if not report.seconds:
                self.sent.popleft()
                return sent.batch, Unrun(sent.left)
            outcomes = outcomes_of(sent, report, self.place)
        sent.done += len(outcomes.positions)
        self.calls_left -= len(outcomes.positions)
        if sent.done == len(sent.positions):
            self.sent.popleft()
        self.pace = sum(outcomes.seconds) / len(outcomes.seconds)
        return sent.batch, outcomes

    def _first(self, count: int) -> Sent:
        """What so many outcomes belong to. Raises GarbageError if there are not so many to come."""
        if not self.sent or len(self.sent[0].left) < count:
            raise GarbageError
        return self.sent[0]


def outcomes_of(sent: Sent, report: Report, place_of_worker: int) -> Outcomes:
    """What a report tells of the first that have not come back."""
    places = range(sent.done, sent.done + len(report.seconds))
    positions = sent.positions[places.start : places.stop]
    failures = {}
    for place, cell in report.failures.items():
        if place not in places:
            raise GarbageError
        failure, position = wire.unpack_failure(cell), sent.positions[place]
        failures[position] = named(failure, sent.batch.calls[position], sent.batch.unpack)
    values: list[Any] = report.cells
    if not report.plain:
        values = []
        for place, (position, cell) in enumerate(zip(positions, report.cells, strict=True)):
            value = None
            try:
                value = wire.unpack_value(cell)
            except TransportError as error:
                named_error = wire.renamed(error, report.type_name_at(place) or error.type_name)
                release(named_error)
                failures.setdefault(position, Failure(named_error, TransportError))
            values.append(value)
    return Outcomes(
        positions,
        values,
        failures,
        report.seconds,
        InTurn(report.began, report.seconds),
        [place_of_worker] * len(positions),
        report.aside,
        sent.weight,
    )


def _lost_outcome(sent: Sent, note: Note, size: int, place_of_worker: int) -> Outcomes:
    """There is no memory for a report about one call: that is the error of its task."""
    if note.number != sent.base + sent.done:
        raise GarbageError
    message = f"there is no memory for its {size:,} bytes"
    error = TransportError(note.what, note.type_name, message)
    position = sent.positions[sent.done]
    failures = {position: Failure(error, TransportError)}
    return Outcomes(
        [position],
        [None],
        failures,
        [note.seconds],
        [note.began],
        [place_of_worker],
        note.aside,
        sent.weight,
    )
