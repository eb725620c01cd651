"""What a worker tells of its calls: packed there, opened here.

worker:   Outcomes ──▶ reports_of ──▶ frames, each with a note if it is large
parent:   frame ──▶ open_report ──▶ Report; a note where there is no memory for the frame
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from .._call import IDLE, NEVER, Slot, clock
from .._signals import let_through
from .._task import Outcomes, Unrun
from . import wire
from .channel import CHUNK, GarbageError, TooLarge

HEAVY = 4 * wire.LARGEST_SHARE  # bytes of a report about several calls; a heavier one is made two


class Report(NamedTuple):
    """The outcomes of the next attempts of the batch that the worker is at.

    Without any, it gives the rest of the batch back.

    plain, cells: The results as a Column.
    failures: By the worker's position in the batch, ErrorCells.
    seconds: How long each call took. began: When the first one began; the others in turn.
    names: The types of the results, as `type_names` tells them; none of plain ones.
    aside: Seconds that the results took to be pickled.
    """

    plain: bool
    cells: list[Any]
    failures: dict[int, wire.ErrorCell]
    seconds: list[float]
    names: list[str]
    aside: float
    began: float

    def type_name_at(self, place: int) -> str | None:
        """The type of the result at this place."""
        if len(self.names) > 1:
            return self.names[place]
        return self.names[0] if self.names else None


class Note(NamedTuple):
    """What arrives of a large report, which is about one call, even where nothing else does.

    what, type_name: As of a TransportError.
    number: The worker's number of the call.
    """

    what: str
    type_name: str
    number: int
    seconds: float
    aside: float
    began: float


GIVEN_BACK = Report(True, [], {}, [], [], 0.0, 0.0)


def reports_of(outcomes: Outcomes | Unrun, slot: Slot, base: int) -> Iterator[tuple[bytes, bytes]]:
    """The outcomes as reports, each with its note; more than one if they are large.

    slot: Told whose result or error is being pickled, as that may kill its process.
    base: The worker's number of the first call of its batch.
    """
    if isinstance(outcomes, Unrun):
        yield _dump(GIVEN_BACK), b""
        return
    first, last = outcomes.positions[0], outcomes.positions[-1]
    slot[2] = base + last
    slot[0] = IDLE  # until it is known whose: what fails before that is the fault of no call
    slot[1] = began = clock()  # pickling has the time of a call; sending depends on the parent
    values = outcomes.values
    column = wire.pack_values(values, slot, range(base + first, base + last + 1))
    failures: dict[int, wire.ErrorCell] = {}
    for position, failure in outcomes.failures.items():
        slot[0] = base + position  # pickling an error may kill this process, as a result may
        failures[position] = wire.pack_failure(failure)
    slot[0] = base + last
    slot[1] = NEVER
    names = [] if column.plain else wire.type_names(values)
    whole = Report(column.plain, column.cells, failures, outcomes.seconds, names, 0.0, outcomes.began[0])
    beside = {position - first: cell.weight for position, cell in failures.items()}
    for share in wire.shares(column, beside):
        for frame in _frames(whole, first, share, base, began):
            yield frame
            began = clock()


def _frames(
    whole: Report, first: int, share: slice, base: int, began: float
) -> Iterator[tuple[bytes, bytes]]:
    """This share of the report. first: The position of its first outcome in the worker's batch."""
    report = _part(whole, first, share, clock() - began)
    alone = share.stop - share.start <= 1
    try:
        frame = _dump(report)
    except MemoryError as error:
        if alone:
            yield _dump(_unmade(report, error)), b""
            return
        frame = None
    if alone and frame is not None:
        yield frame, b"" if len(frame) <= CHUNK else _note(report, base + first + share.start)
    elif frame is not None and len(frame) <= HEAVY:
        yield frame, b""
    else:
        del frame
        middle = (share.start + share.stop) // 2
        for half in slice(share.start, middle), slice(middle, share.stop):
            yield from _frames(whole, first, half, base, began)
            began = clock()


def _part(whole: Report, first: int, share: slice, aside: float) -> Report:
    places = range(first + share.start, first + share.stop)
    failed = [place for place in places if place in whole.failures] if whole.failures else []
    return Report(
        whole.plain,
        whole.cells[share],
        {place: whole.failures[place] for place in failed},
        whole.seconds[share],
        whole.names if len(whole.names) <= 1 else whole.names[share],
        aside,
        whole.began + sum(whole.seconds[: share.start]),
    )


def _dump(report: Report) -> bytes:
    """As plain tuples, which are pickled without the name of a class."""
    failures = {position: tuple(cell) for position, cell in report.failures.items()}
    return wire.dumps((report.plain, report.cells, failures, *report[3:]))


def _type_name(report: Report) -> str:
    """Of the one object that a report is about."""
    for cell in report.failures.values():
        return cell.type_name
    return report.type_name_at(0) or wire.qualified_name(type(report.cells[0]))


def _note(report: Report, number: int) -> bytes:
    what = "error" if report.failures else "result"
    note = Note(what, _type_name(report)[:1000], number, report.seconds[0], report.aside, report.began)
    return wire.dumps(tuple(note))


def _unmade(report: Report, error: MemoryError) -> Report:
    """What to tell of one outcome where its own report takes more memory than there is."""
    lost = wire.Lost(_type_name(report), wire.reason_of(error))
    failures = {
        position: cell._replace(error=None, message=lost.message, traceback="")
        for position, cell in report.failures.items()
    }
    return report._replace(plain=False, cells=[lost], failures=failures)


def open_report(frame: memoryview) -> Report:
    """Raises GarbageError if it is none, and MemoryError."""
    try:
        report = Report(*wire.loads(frame))
        failures = {place: wire.ErrorCell(*cell) for place, cell in report.failures.items()}
        sum(report.seconds, report.aside + report.began)
        alike = len(report.cells) == len(report.seconds) and len(report.names) in (
            0,
            1,
            len(report.cells),
        )
    except MemoryError:
        raise
    except BaseException as error:
        let_through(error)
        raise GarbageError from error
    if not alike:
        raise GarbageError
    return report._replace(failures=failures) if failures else report


def open_note(note: bytes) -> Note:
    """Raises GarbageError if it is none."""
    try:
        return Note(*wire.loads(note))
    except BaseException as error:
        let_through(error)
        raise GarbageError from error


class StateRefusal(NamedTuple):
    """A worker cannot make its state. cause: What was raised there, with its traceback."""

    text: str
    cause: wire.ErrorCell | None


def refusal_in(frame: memoryview | TooLarge) -> str | StateRefusal:
    """Why a worker cannot work. Raises GarbageError if that is no such thing."""
    refusal = _said_in(frame)
    if not isinstance(refusal, str | StateRefusal):
        raise GarbageError
    return refusal


def words_in(frame: memoryview | TooLarge) -> str:
    """What a worker says last. Raises GarbageError if that is nothing that it says."""
    words = _said_in(frame)
    if not isinstance(words, str):
        raise GarbageError
    return words


def _said_in(frame: memoryview | TooLarge) -> Any:
    try:
        return None if isinstance(frame, TooLarge) else wire.loads(frame)
    except BaseException as error:
        let_through(error)
        raise GarbageError from error
