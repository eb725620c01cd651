"""Errors as rows of the file, and back: as those of a worker travel, with their tracebacks as text."""

from __future__ import annotations

from traceback import format_exception_only
from typing import Any

from .._kinds import kind_of
from .._processes.wire import ErrorCell, pack_failure, unpack_failure
from .._signals import let_through
from .._task import Failure
from .codec import storable

LONGEST = 10_000  # characters of what an error says, beside its pickle
LONGEST_TRACEBACK = 100_000


def row_of(number: int, error: BaseException, pickles: bool) -> tuple[Any, ...]:
    """The row of the error of a task with this id; never raises.

    pickles: The file holds pickles. One that refuses is there as its text.
    """
    cell = pack_failure(Failure(error, type(error)))
    kind = kind_of(error)
    traceback = cell.traceback
    if len(traceback) > LONGEST_TRACEBACK:
        half = LONGEST_TRACEBACK // 2
        traceback = f"{traceback[:half]}\n  ...\n{traceback[-half:]}"
    return (
        number,
        cell.error if pickles else None,
        storable(kind.name),
        storable(kind.place),
        storable(cell.message[:LONGEST]),
        storable(traceback),
    )


def error_in(row: tuple[Any, ...], pickles: bool) -> BaseException:
    """The error of a row without its id; with a traceback of text, as that of a worker comes home.

    pickles: They may be opened. What is not, or cannot be, is a TransportError with its text.
    """
    error, kind, _, said, traceback = row
    packed = error if pickles else None
    cell = ErrorCell(packed, None, kind or "", said or "", traceback or "")
    made = unpack_failure(cell).error
    return unpack_failure(cell._replace(head=_head(cell.traceback, made))).error


def _head(text: str, error: BaseException) -> int:
    """How much of the traceback stands before what the error itself says, and will say again."""
    try:
        last = "".join(format_exception_only(error))
    except BaseException as broken:
        let_through(broken)
        return len(text)
    return len(text.removesuffix(last))
