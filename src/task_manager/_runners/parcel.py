"""What travels to an executor, and what comes back: attempts of a batch, and their outcomes.

     this process                          where the executor makes calls
     Parcel ── make_calls(parcel) ───────▶ in this process: the very objects, called here
        └────── __reduce__ ──▶ Packed ───▶ elsewhere: each task a pickle of its own, as in process mode
     opened() ◀── Made, or bytes ────────  the outcomes, with where and when they were made

Whether an executor pickles is its own affair: a parcel that is never pickled is called as it is.  What
it becomes where it is pickled never fails to be, so that no executor meets an object of the user's.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from .._call import IDLE, NEVER, clock, invoker
from .._platform import this_process
from .._processes import wire
from .._processes.arguments import pack_calls
from .._processes.attempts import Sent, outcomes_of
from .._processes.by_value import dumps_far
from .._processes.channel import GarbageError
from .._processes.function import pack_object
from .._processes.report import open_report
from .._signals import let_through
from .._stop import exhaust
from .._task import Batch, Failure, Outcomes, Unrun
from ..errors import ConfigurationError, WorkerStartError
from . import Answer
from .packed import (
    Known,
    Packed,
    Terms,
    Whereabouts,
    called_with_state,
    calls_of,
    leave_state_alone_if_late,
    whereabouts,
)
from .states import States

INSTEAD = "an executor of threads"
LIGHT = 100_000  # bytes of a function that travels with every parcel


class Made(NamedTuple):
    """What came of the calls of a parcel, in this process. refusal: Why there were none."""

    parts: list[Outcomes | Unrun]
    where: Whereabouts
    began: float
    ended: float
    refusal: WorkerStartError | None = None


class Function:
    """The user's function, packed when a parcel first leaves this process.

    here: What is called in this process. make: Makes the state of a worker; None: there is none.
    has_script: Where it goes, this script is `__main__` too. workers: How many need it.
    refusal: Why it cannot travel. name: Of its content; with states, which are those of one manager, its
        own; b"" until it has travelled.
    """

    def __init__(
        self, func: Callable[..., Any], make: Callable[[], Any] | None, has_script: bool, workers: int
    ) -> None:
        self.here = Known(func, None if make is None else States(make))
        self.has_script = has_script
        self._make = make
        self.refusal: ConfigurationError | None = None
        self.name = b""
        self._packed = b""
        self._wanted = workers

    @property
    def has_states(self) -> bool:
        """In other processes, as far as is known here."""
        return bool(self.name) and self._make is not None

    def packed(self) -> bytes:
        """Its bytes; nothing where they cannot be had."""
        if not self._packed and self.refusal is None:
            try:
                func = pack_object(self.here.func, "spawn", INSTEAD, self.has_script)
                make = self._make and pack_object(self._make, "spawn", INSTEAD, self.has_script)
            except ConfigurationError as error:
                self.refusal = error
            else:
                packed = wire.dumps((func, make))
                mark = b"" if make is None else secrets.token_bytes(8)
                self.name, self._packed = hashlib.sha256(packed).digest() + mark, packed
        return self._packed

    def goes_along(self) -> bool:
        """Whether the next parcel takes it along: one of megabytes only so often as it is wanted."""
        if self._wanted > 0:
            self._wanted -= 1
            return True
        return len(self._packed) <= LIGHT

    def want(self) -> None:
        """A worker has been given its name, and does not have it."""
        self._wanted += 1

    def close(self) -> None:
        """Clean up what workers have made in this process."""
        if self.here.states is not None:
            self.here.states.close()


class Parcel:
    """Attempts of a batch that an executor is to make the calls of.

    positions: Which attempts of the batch. alone: They are one, and nothing else is in flight with it.
    refused: Those that could not be packed, by their position in the batch.
    sent: When it was given to the executor.
    """

    def __init__(
        self, batch: Batch, positions: Sequence[int], alone: bool, function: Function, terms: Terms
    ) -> None:
        self.batch = batch
        self.positions = positions
        self.alone = alone
        self.refused: dict[int, Failure] = {}
        self.sent = 0.0
        self.slot = [IDLE, NEVER]
        self._bytes = 0
        self._packed: Sequence[int] = ()
        self._function = function
        self._takes_function = function.goes_along()
        self._terms = terms
        self._left_alone = False
        self._taken: Iterator[Any] = iter(())

    @property
    def indices(self) -> list[int]:
        """The tasks that these are attempts for."""
        if len(self.positions) == len(self.batch):
            return self.batch.indices
        return [self.batch.indices[position] for position in self.positions]

    def leave_alone(self) -> None:
        """No call of it begins any more, where it is called in this process."""
        self._left_alone = True
        exhaust(self._taken)

    def make_calls(self) -> Made:
        """In this process, in a thread of the executor's."""
        began = clock()
        try:
            parts = called_with_state(self._function.here, self._parts)
        except WorkerStartError as error:
            return Made([], whereabouts(), began, clock(), error)
        return Made(parts, whereabouts(), began, clock())

    def _parts(self, func: Callable[..., Any]) -> Iterator[Outcomes | Unrun]:
        batch, home = self.batch, this_process()
        calls = batch.calls
        if len(self.positions) < len(batch):
            calls = [calls[position] for position in self.positions]
        self._taken = taking = iter(calls)
        if self._left_alone:  # after the line before: one of the two sees what the other did
            exhaust(taking)
        invoke = invoker(func, batch.unpack)
        for part in calls_of(invoke, calls, self.slot, taking, self._terms, lambda: self._left_alone):
            if home is not this_process():
                os._exit(0)
            if isinstance(part, Outcomes):
                leave_state_alone_if_late(part)
            yield part
            del part
        # Errors hold the frames that they came through, and with them this one: it is to hold nothing.
        self._taken = iter(())
        del batch, calls, taking, invoke, func

    def __reduce__(self) -> tuple[type[Packed], tuple[Any, ...]]:
        """Never fails: what cannot be packed is the error of its own task."""
        function = self._function.packed()
        calls = [self.batch.calls[position] for position in self.positions] if function else []
        plain, cells, kept = True, [], []
        base = 0
        for share in pack_calls(calls, self.batch.unpack):
            for place, failure in share.failures.items():
                self.refused[self.positions[base + place]] = failure
            places = range(base, base + share.taken)
            kept += [self.positions[place] for place in places if place - base not in share.failures]
            plain = share.column.plain
            cells += share.column.cells
            base += share.taken
        if not plain and not self._function.has_script:
            cells = [dumps_far(cell, self.batch.calls[at]) for cell, at in zip(cells, kept, strict=True)]
        self._packed = kept
        self._bytes = 0 if plain else sum(map(len, cells))
        what = function if self._takes_function or not function else None
        name, terms = self._function.name, tuple(self._terms)
        return Packed, (whereabouts(), name, what, self.batch.unpack, plain, cells, terms)

    def opened(self, came: Any, worker: Callable[[Whereabouts], int]) -> list[Answer]:
        """What came of it. worker: Answers with a number for each worker.

        Raises GarbageError if that is nothing of ours, WorkerStartError where no call could be made.
        """
        now = clock()
        if isinstance(came, Made):
            if came.refusal is not None:
                raise came.refusal
            parts = [_at(part, self.positions, worker(came.where)) for part in came.parts]
            return [(self.batch, part) for part in parts]
        refusal, cause, where, began, ended, items = _opened(came)
        if refusal:
            error = WorkerStartError(refusal)
            if cause is not None:
                error.__cause__ = wire.unpack_failure(wire.ErrorCell(*cause)).error
            raise error
        if items is None:
            self._function.want()
            return [(self.batch, Unrun(self.positions))]
        shift = 0.0 if self.sent <= began and ended <= now else now - ended  # another machine's clock
        number = worker(where)
        answers: list[Answer] = []
        sent = Sent(self.batch, self._packed, 0, self._bytes / max(1, len(self._packed)))
        for places, begun, frames in items:
            if not frames:
                back = [self._packed[place] for place in places]
                answers.append((self.batch, Unrun(back, [self._packed[place] for place in begun])))
                continue
            sent.done = places[0]
            for frame in frames:
                report = open_report(memoryview(frame))
                report = report._replace(began=report.began + shift)
                outcomes = outcomes_of(sent, report, number)
                answers.append((self.batch, outcomes))
                sent.done += len(outcomes.positions)
        if self.refused:
            positions = sorted(self.refused)
            refused = Outcomes(positions, [None] * len(positions), dict(self.refused), [])
            answers.append((self.batch, refused))
        return answers


def _at(part: Outcomes | Unrun, positions: Sequence[int], worker: int) -> Outcomes | Unrun:
    """The same, by the positions in the batch."""
    there = [positions[place] for place in part.positions]
    if isinstance(part, Unrun):
        return Unrun(there, [positions[place] for place in part.begun])
    failures = {positions[place]: failure for place, failure in part.failures.items()}
    return replace(part, positions=there, failures=failures, workers=[worker] * len(part.workers))


def _opened(came: Any) -> tuple[str, Any, Whereabouts, float, float, list[Any] | None]:
    try:
        refusal, cause, where, began, ended, items = wire.loads(came)
    except BaseException as error:
        let_through(error)
        raise GarbageError from error
    return refusal, cause, where, began, ended, items
