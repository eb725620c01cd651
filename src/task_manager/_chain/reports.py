"""What the stages of a chain and their parent say to each other, and how it is packed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .._call import IDLE
from .._processes import wire
from .._processes.channel import CHUNK
from ..errors import TransportError


class Parcel(NamedTuple):
    """Tasks that have got to a stage: its input, and in the same bytes the news of it for the parent.

    stage: From 0; earlier ones hand the parcel on as it is. One behind the last: they have arrived.
    plain, cells: The tasks as a Column, where a Lost one goes no further.
    seconds: How long the stage before took for each; empty if the parcel comes from the parent.
    """

    stage: int
    tickets: list[int]
    plain: bool
    cells: list[Any]
    seconds: list[float]


NAME = 1000  # characters of a type's name that travel in a note
END = b"end"  # of the stream, on a link


# Reports to the parent, each pickled by itself, as a Parcel is.


class ReadyReport(NamedTuple):
    """The stage process has come up. refusal: Why it cannot work, or ""."""

    refusal: str


class OpeningReport(NamedTuple):
    """These are unpickled next, in a stage whose slot tells nothing: it may die of any of them."""

    tickets: list[int]


class TookReport(NamedTuple):
    """The stage has taken these from its link."""

    tickets: list[int]


class FailedReport(NamedTuple):
    ticket: int
    error: wire.ErrorCell
    attempts: int


class RetryingReport(NamedTuple):
    ticket: int
    error: wire.ErrorCell
    number: int
    delay: float


class ConcludingReport(NamedTuple):
    """All has been told of each task; `handle_error` is called next."""


class GarbledLinkReport(NamedTuple):
    """What came out of the link is nothing that the stage before says."""


class EndedReport(NamedTuple):
    """The run of the stage is over. What it has passed on may be on its way still.

    error: What it raised, or None.
    through: It has taken all there was, and raised at its end, as handle_error does; otherwise it was
        broken off, and nobody takes what the stage before passes on.
    """

    error: wire.ErrorCell | None
    through: bool


class WrittenReport(NamedTuple):
    """All that it has passed on is in the pipe of its queue: the process may go, whatever it dies of."""


Report = (
    ReadyReport
    | OpeningReport
    | TookReport
    | Parcel
    | FailedReport
    | RetryingReport
    | ConcludingReport
    | GarbledLinkReport
    | EndedReport
    | WrittenReport
)


def opening(ticket: int) -> float:
    """What the slot says while this ticket's task is unpickled: it has no number in the stage yet."""
    return IDLE - 1 - ticket


def in_hand(number: float, held: Mapping[int, int]) -> int | None:
    """The ticket that a slot names. held: The tickets that the stage has taken, and their numbers."""
    if number < IDLE:
        return int(IDLE - 1 - number)
    return next((ticket for ticket, of_it in held.items() if of_it == number), None)


def parcels(
    stage: int, tickets: list[int], column: wire.Column, seconds: list[float]
) -> Iterator[Parcel]:
    """Of a bounded size each: what is on its way at a time stays small."""
    for share in wire.shares(column):
        yield Parcel(stage, tickets[share], column.plain, column.cells[share], seconds[share])


class Note(NamedTuple):
    """What is known of a large frame about one task, also where there is no memory for it.

    what: Has gone with it: "result", "argument" or "error"; "" where it was news of a retry.
    """

    ticket: int
    what: str
    type_name: str


def noted(parcel: Parcel, value: Any) -> tuple[bytes, bytes]:
    """The frame of a parcel, and its note. value: The task in it, or the first of them.

    Raises TransportError where there is no memory for one task; of several, none is large.
    """
    single = len(parcel.tickets) == 1
    what = "result" if parcel.seconds else "argument"
    try:
        frame = wire.dumps(parcel)
    except MemoryError:
        if not single:
            raise
        raise no_memory(what, wire.name_of(type(value))) from None
    if not single or len(frame) <= CHUNK:
        return frame, b""
    note = Note(parcel.tickets[0], what, wire.name_of(type(value))[:NAME])
    return frame, wire.dumps(tuple(note))


def note_of(report: Report) -> bytes:
    """What is to be known of a report that is large, if its error is."""
    match report:
        case FailedReport(ticket, cell):
            return wire.dumps(tuple(Note(ticket, "error", cell.type_name[:NAME])))
        case RetryingReport(ticket):
            return wire.dumps(tuple(Note(ticket, "", "")))
    return b""


def no_memory(what: str, type_name: str, size: int = 0) -> TransportError:
    of_it = f"its {size:,} bytes" if size else "a copy of it"
    return TransportError(what, type_name, f"MemoryError: there is no memory for {of_it}")


def pack_column(values: list[Any]) -> wire.Column:
    return wire.pack_values(values, [IDLE, 0.0], range(len(values)))
