"""What is put on errors: where they come from, and what they came of."""

from __future__ import annotations

from .._call import release
from .._signals import let_through

MOST_NOTES = 20  # that are put on one error


def annotate(error: BaseException, note: str) -> None:
    """Add a note to an error, once. One object raised for thousands of tasks is not filled with them."""
    try:
        notes = getattr(error, "__notes__", ())
        if len(notes) < MOST_NOTES and note not in notes:
            BaseException.add_note(error, note)
    except BaseException as broken:  # an error whose notes are broken goes without
        let_through(broken)


def caused(error: BaseException, cause: BaseException) -> BaseException:
    """The error, as one that came of this cause."""
    release(cause)
    error.__cause__ = cause
    return error
