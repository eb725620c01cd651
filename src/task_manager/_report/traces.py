"""Tracebacks as they were stored, for people: without what another process has wrapped them in."""

from __future__ import annotations

from collections.abc import Iterator

from .._repr import one_line
from .seen import Error

MOST_LINES = 12  # of a traceback in the report; --errors shows all
_WRAPPED = "task_manager._processes.wire.WorkerTraceback"
_QUOTES = '"""'
_TOLD = "task_manager: failed after "  # the note of what stands beside it


def lines_of(error: Error, most: int | None = None) -> Iterator[str]:
    """The lines of its traceback; of a long one the last, which are nearest to the error."""
    lines = _unwrapped(error.traceback.splitlines())
    lines = [one_line(line) for line in lines if not line.startswith(_TOLD)]
    if not lines:
        lines = [said(error)]
    if most is not None and len(lines) > most:
        yield f"... {len(lines) - most:,} lines more ..."
        lines = lines[-most:]
    yield from lines


def said(error: Error) -> str:
    """Its kind and message in one line."""
    return one_line(f"{error.kind}: {error.said}".removesuffix(": "))


def way_to(error: Error) -> tuple[str, ...]:
    """The places that an error has come through: two of the same way need one traceback."""
    return tuple(line for line in error.traceback.splitlines() if line.lstrip().startswith('File "'))


def _unwrapped(lines: list[str]) -> list[str]:
    """What another process has told, in quotes, and then the notes that were added here."""
    if len(lines) < 3 or not lines[0].startswith(_WRAPPED) or lines[1] != _QUOTES:
        return lines
    end = len(lines) - 1 - lines[::-1].index(_QUOTES)
    told = lines[2:end]
    notes = [line for line in lines[end + 1 :] if line.startswith("task_manager: ") and line not in told]
    return [*told, *notes]
