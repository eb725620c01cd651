"""What the stages of a chain and their parent say to each other, and how it is packed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .._call import IDLE
from .._processes import wire
from .._processes.channel import CHUNK
from .._task import InTurn
from ..errors import TransportError
from ..events import Attempted


class StageBatch(NamedTuple):
    """Tasks that have got to a stage together: its input, and in the same bytes a report to the parent.

    stage: From 0; earlier ones pass the batch on as it is. One behind the last: they have arrived.
    plain, cells: The tasks as a Column, where a Lost one goes no further.
    seconds: How long the stage before took for each; empty if the batch comes from the parent.
    """

    stage: int
    tickets: list[int]
    plain: bool
    cells: list[Any]
    seconds: list[float]


NAME = 1000  # characters of a type's name that travel in a note
END = b"end"  # of the stream, on a link


# Reports to the parent, each pickled by itself, as a StageBatch is.


class ReadyReport(NamedTuple):
    """The stage process has come up. refusal: Why it cannot work, or ""."""

    refusal: str


class OpeningReport(NamedTuple):
    """These are unpickled next, in a stage whose slot tells nothing: it may die of any of them."""

    tickets: list[int]


class TookReport(NamedTuple):
    """The stage has taken these from its link."""

    tickets: list[int]


class AttemptedReport(NamedTuple):
    """Calls that were made: an `Attempted`, with tickets in the place of indices.

    numbers: None where each is 1. workers: A number where all are the same.
    began: When the first one began, where each of the others began as the one before had ended.
    """

    tickets: list[int]
    numbers: list[int] | None
    workers: list[int] | int
    began: list[float] | float
    seconds: list[float]
    failed: list[int]


class FailedReport(NamedTuple):
    ticket: int
    error: wire.ErrorCell
    attempts: int
    seconds: float | None = None


class RetryingReport(NamedTuple):
    ticket: int
    error: wire.ErrorCell
    number: int
    delay: float


class ConcludingReport(NamedTuple):
    """All has been told of each task; `handle_error` is called next."""


class GarbledLinkReport(NamedTuple):
    """What came out of the link is nothing that the stage before says."""


class StoppingReport(NamedTuple):
    """Somebody there, as a hook, has called `stop`, or a rule ends it: the chain is to stop."""

    at_once: bool
    reason: str


class EndedReport(NamedTuple):
    """The run of the stage is over. What it has passed on may be on its way still.

    error: What it raised, or None.
    through: It has taken all there was, and raised at its end, as handle_error does; otherwise it was
        broken off, and nobody takes what the stage before passes on.
    interrupted: How many of the tasks that it leaves had a call.
    """

    error: wire.ErrorCell | None
    through: bool
    interrupted: int = 0


class WrittenReport(NamedTuple):
    """All that it has passed on is in the pipe of its queue: the process may go, whatever it dies of."""


StageReport = (
    ReadyReport
    | OpeningReport
    | TookReport
    | AttemptedReport
    | StageBatch
    | FailedReport
    | RetryingReport
    | ConcludingReport
    | StoppingReport
    | GarbledLinkReport
    | EndedReport
    | WrittenReport
)


def pack_attempted(event: Attempted, tickets: list[int]) -> AttemptedReport:
    """What a stage tells of an event of its own. tickets: Whose calls these were, one for each."""
    numbers, workers, began = list(event.numbers), list(event.workers), event.began
    failed = [
        ticket for ticket, index in zip(tickets, event.indices, strict=True) if index in event.failed
    ]
    return AttemptedReport(
        tickets,
        None if set(numbers) == {1} else numbers,
        workers[0] if len(set(workers)) == 1 else workers,
        began[0] if isinstance(began, InTurn) else list(began),
        list(event.seconds),
        failed if event.failed else [],
    )


def open_attempted(report: AttemptedReport, indices: list[int], stage: int) -> Attempted:
    """The event. indices: Of the tasks, one for each ticket. stage: From 1."""
    count = len(report.tickets)
    failed = set(report.failed)
    return Attempted(
        indices,
        [1] * count if report.numbers is None else report.numbers,
        [report.workers] * count if isinstance(report.workers, int) else report.workers,
        begins_of(report),
        report.seconds,
        frozenset(
            index for index, ticket in zip(indices, report.tickets, strict=True) if ticket in failed
        )
        if failed
        else frozenset(),
        stage,
    )


def begins_of(report: AttemptedReport) -> Sequence[float]:
    """When each of its calls began."""
    began = report.began
    return InTurn(began, report.seconds) if isinstance(began, float) else began


def opening(ticket: int) -> float:
    """What the slot says while this ticket's task is unpickled: it has no number in the stage yet."""
    return IDLE - 1 - ticket


def current_ticket(number: float, held: Mapping[int, int]) -> int | None:
    """The ticket that a slot names. held: The tickets that the stage has taken, and their numbers."""
    if number < IDLE:
        return int(IDLE - 1 - number)
    return next((ticket for ticket, of_it in held.items() if of_it == number), None)


def stage_batches(
    stage: int, tickets: list[int], column: wire.Column, seconds: list[float]
) -> Iterator[StageBatch]:
    """Of a bounded size each: what is on its way at a time stays small."""
    for share in wire.shares(column):
        yield StageBatch(stage, tickets[share], column.plain, column.cells[share], seconds[share])


class StageNote(NamedTuple):
    """What is known of a large frame about one task, also where there is no memory for it.

    what: Has gone with it: "result", "argument" or "error"; "" where it was news of a retry.
    """

    ticket: int
    what: str
    type_name: str


def noted(batch: StageBatch, value: Any) -> tuple[bytes, bytes]:
    """The frame of a batch, and its note. value: The task in it, or the first of them.

    Raises TransportError where there is no memory for one task; of several, none is large.
    """
    single = len(batch.tickets) == 1
    what = "result" if batch.seconds else "argument"
    try:
        frame = wire.dumps(batch)
    except MemoryError:
        if not single:
            raise
        raise no_memory(what, wire.qualified_name(type(value))) from None
    if not single or len(frame) <= CHUNK:
        return frame, b""
    note = StageNote(batch.tickets[0], what, wire.qualified_name(type(value))[:NAME])
    return frame, wire.dumps(tuple(note))


def note_of(report: StageReport) -> bytes:
    """What is to be known of a report that is large, if its error is."""
    match report:
        case FailedReport(ticket, cell):
            return wire.dumps(tuple(StageNote(ticket, "error", cell.type_name[:NAME])))
        case RetryingReport(ticket):
            return wire.dumps(tuple(StageNote(ticket, "", "")))
    return b""


def no_memory(what: str, type_name: str, size: int = 0) -> TransportError:
    of_it = f"its {size:,} bytes" if size else "a copy of it"
    return TransportError(what, type_name, f"MemoryError: there is no memory for {of_it}")


def pack_column(values: list[Any]) -> wire.Column:
    return wire.pack_values(values, [IDLE, 0.0], range(len(values)))
