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
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from .._call import IDLE, NEVER, call_batch, clock, invoker
from .._platform import this_process
from .._processes import wire
from .._processes.arguments import pack_calls
from .._processes.attempts import Sent, outcomes_of
from .._processes.by_value import dumps_far
from .._processes.channel import GarbageError
from .._processes.function import pack_object
from .._processes.report import HEAVY, open_report, reports_of
from .._processes.worker import loading
from .._signals import let_through
from .._stop import exhaust
from .._task import Batch, Failure, Outcomes, Unrun
from ..errors import ConfigurationError
from . import Answer
from .timed import timed_calls

MOST_FUNCTIONS = 8  # that a process of an executor keeps: a script has a few managers
INSTEAD = "an executor of threads"

Whereabouts = tuple[str, int, int]  # the machine, the process, the thread


class Terms(NamedTuple):
    """How the calls of a parcel are made. patience: As of `call_batch`. task_timeout: None: no limit."""

    patience: float
    task_timeout: float | None


class Made(NamedTuple):
    """What came of the calls of a parcel, in this process."""

    parts: list[Outcomes | Unrun]
    where: Whereabouts
    began: float
    ended: float


class Function:
    """The user's function, packed when a parcel first leaves this process.

    has_script: Where it goes, this script is `__main__` too.
    refusal: Why it cannot travel.
    """

    def __init__(self, func: Callable[..., Any], has_script: bool) -> None:
        self.func = func
        self.has_script = has_script
        self.refusal: ConfigurationError | None = None
        self._packed: tuple[bytes, bytes] | None = None

    def packed(self) -> tuple[bytes, bytes]:
        """A name for it, which is of its content, and its bytes; nothing where they cannot be had."""
        if self._packed is None and self.refusal is None:
            try:
                packed = pack_object(self.func, "spawn", INSTEAD, self.has_script)
            except ConfigurationError as error:
                self.refusal = error
            else:
                self._packed = hashlib.sha256(packed).digest(), packed
        return self._packed or (b"", b"")


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
        batch, home = self.batch, this_process()
        calls = batch.calls
        if len(self.positions) < len(batch):
            calls = [calls[position] for position in self.positions]
        self._taken = taking = iter(calls)
        if self._left_alone:  # after the line before: one of the two sees what the other did
            exhaust(taking)
        invoke = invoker(self._function.func, batch.unpack)
        parts = _calls(invoke, calls, self.slot, taking, self._terms, lambda: self._left_alone)
        try:
            return Made(_while_at_home(home, parts), whereabouts(), began, clock())
        finally:  # errors hold the frames that they came through, and with them this one
            self._taken = iter(())
            del batch, calls, taking, parts

    def __reduce__(self) -> tuple[type[Packed], tuple[Any, ...]]:
        """Never fails: what cannot be packed is the error of its own task."""
        name, function = self._function.packed()
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
        return Packed, (name, function, self.batch.unpack, plain, cells, tuple(self._terms))

    def opened(self, came: Any, worker: Callable[[Whereabouts], int]) -> list[Answer]:
        """What came of it. worker: Answers with a number for each worker.

        Raises GarbageError if that is nothing of ours, WorkerStartError's text as a Refused.
        """
        now = clock()
        if isinstance(came, Made):
            parts = [_at(part, self.positions, worker(came.where)) for part in came.parts]
            return [(self.batch, part) for part in parts]
        refusal, where, began, ended, items = _opened(came)
        if refusal:
            raise Refused(refusal)
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


class Refused(Exception):
    """The function cannot be loaded where the executor makes calls; says why."""


class Packed:
    """A parcel where it has arrived."""

    def __init__(
        self,
        name: bytes,
        function: bytes,
        unpack: bool,
        plain: bool,
        cells: list[Any],
        terms: tuple[float, float | None],
    ) -> None:
        self.name = name
        self.function = function
        self.unpack = unpack
        self.plain = plain
        self.cells = cells
        self.terms = Terms(*terms)

    def make_calls(self) -> bytes:
        """The outcomes, each in a pickle of its own."""
        began, home = clock(), this_process()
        try:
            func = _loaded(self.name, self.function) if self.function else None
        except BaseException as error:
            let_through(error)
            refusal = wire.cannot_load("function", error)
            return wire.dumps((refusal, whereabouts(), began, clock(), []))
        items: list[tuple[list[int], list[int], list[bytes]]] = []
        if func is not None:
            invoke = invoker(func, self.unpack)
            if not self.plain:
                invoke = loading(invoke)
            taking, weight = iter(self.cells), 0
            slot = [IDLE, NEVER, IDLE]  # its last cell is for reports alone
            for part in _calls(invoke, self.cells, slot, taking, self.terms, lambda: False):
                if home is not this_process():  # the function has forked, and the child returned
                    os._exit(0)
                if isinstance(part, Unrun):
                    items.append((list(part.positions), list(part.begun), []))
                    continue
                frames = [frame for frame, _ in reports_of(part, slot, 0)]
                items.append(([part.positions[0]], [], frames))
                weight += sum(map(len, frames))
                if weight > HEAVY:
                    exhaust(taking)
                del part, frames
        return wire.dumps(("", whereabouts(), began, clock(), items))


def make_calls(parcel: Parcel | Packed) -> Made | bytes:
    """What an executor is given to call."""
    return parcel.make_calls()


def ready(_: None = None) -> bool:
    """What an executor is given first: that it has come up is known by the answer."""
    return True


def whereabouts() -> Whereabouts:
    return socket.gethostname(), os.getpid(), threading.get_ident()


def _calls(
    invoke: Callable[[Any], Any],
    calls: list[Any],
    slot: list[float],
    taking: Iterator[Any],
    terms: Terms,
    stopped: Callable[[], bool],
) -> Iterator[Outcomes | Unrun]:
    if terms.task_timeout is not None:
        return timed_calls(invoke, calls, terms.task_timeout, stopped)
    return call_batch(invoke, calls, slot, patience=terms.patience, taking=taking)


def _while_at_home(home: object, parts: Iterator[Outcomes | Unrun]) -> list[Outcomes | Unrun]:
    found = []
    for part in parts:
        if home is not this_process():
            os._exit(0)
        found.append(part)
    return found


def _at(part: Outcomes | Unrun, positions: Sequence[int], worker: int) -> Outcomes | Unrun:
    """The same, by the positions in the batch."""
    there = [positions[place] for place in part.positions]
    if isinstance(part, Unrun):
        return Unrun(there, [positions[place] for place in part.begun])
    failures = {positions[place]: failure for place, failure in part.failures.items()}
    return replace(part, positions=there, failures=failures, workers=[worker] * len(part.workers))


def _opened(came: Any) -> tuple[str, Whereabouts, float, float, list[Any]]:
    try:
        refusal, where, began, ended, items = wire.loads(came)
    except BaseException as error:
        let_through(error)
        raise GarbageError from error
    return refusal, where, began, ended, items


_functions: OrderedDict[bytes, Callable[..., Any]] = OrderedDict()
_lock = threading.Lock()


def _loaded(name: bytes, packed: bytes) -> Callable[..., Any]:
    """The function, loaded once in a process: it may be heavy, and batches are many."""
    with _lock:
        if name in _functions:
            _functions.move_to_end(name)
            return _functions[name]
    func: Callable[..., Any] = wire.loads(packed)
    with _lock:
        _functions[name] = func
        while len(_functions) > MOST_FUNCTIONS:
            _functions.popitem(last=False)
    return func
