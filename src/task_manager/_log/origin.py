"""Where a failure came from, for the log: the user's lines of code, and what the error says.

Whatever is in an error, each line of this begins with INDENT, and is harmless: nothing that begins
as a record does can be forged.
"""

from __future__ import annotations

import traceback
from typing import Any

from .._kinds import ENTRY, OURS, USERS, kind_of, lines_in, owner_of, text_in
from .._repr import one_line, text_of
from .._signals import let_through

INDENT = "    "
MOST_ENTRIES = 10  # lines of code
MOST_SAID = 6  # lines of what the error says
MOST_CAUSES = 3
WIDEST = 160  # characters of a line
_KNOWN = "task_manager: failed after"  # the note that the record itself begins with

_CAUSE: Any = vars(BaseException)["__cause__"]
_CONTEXT: Any = vars(BaseException)["__context__"]
_SUPPRESSED: Any = vars(BaseException)["__suppress_context__"]
_TRACEBACK: Any = vars(BaseException)["__traceback__"]


def origin_of(error: BaseException) -> list[str]:
    """The lines for the log; none where they would not say more than the record itself. Never raises."""
    try:
        lines = [*_entries(error), *_said(error), *_causes(error)]
        if len(lines) == 1:
            return []
    except BaseException as broken:
        let_through(broken)
        lines = [text_of(error)]
    return [f"{INDENT}{one_line(line[:WIDEST])}" for line in lines]


def _entries(error: BaseException) -> list[str]:
    """Of its traceback, the user's lines, and the last one if that is a library's."""
    for _ in range(MOST_CAUSES + 1):  # a hook's error has its lines in its cause
        found = _of_traceback(error) or _of_text(text_in(error))
        cause = _CAUSE.__get__(error)
        if found or cause is None:
            break
        error = cause
    shown = [entry for entry in found[:-1] if entry[0] == USERS] + found[-1:]
    if len(shown) > MOST_ENTRIES:
        left_out = len(shown) - MOST_ENTRIES
        shown[2 : 2 + left_out] = [(USERS, [f"... {left_out} more ..."])]
    return [line for _, lines in shown for line in lines]


Entry = tuple[int, list[str]]


def _of_traceback(error: BaseException) -> list[Entry]:
    entries: list[Entry] = []
    for entry in traceback.extract_tb(_TRACEBACK.__get__(error)):
        owner = owner_of(entry.filename)
        if owner != OURS:
            lines = [f'File "{entry.filename}", line {entry.lineno}, in {entry.name}']
            entries.append((owner, lines + [f"  {entry.line}"] * bool(entry.line)))
    return entries


def _of_text(text: str) -> list[Entry]:
    """The same, of the traceback of another process."""
    entries: list[Entry] = []
    owner = OURS
    for line in lines_in(text):
        bare = line.strip()
        found = ENTRY.fullmatch(line)
        if found is not None:
            owner = owner_of(found["file"])
            if owner != OURS:
                entries.append((owner, [bare]))
        elif owner != OURS and len(entries[-1][1]) == 1 and not set(bare) <= set("^~"):
            entries[-1][1].append(f"  {bare}")
    return entries


def _said(error: BaseException) -> list[str]:
    """What it says, with its name, line by line; and its notes."""
    try:
        text = str.__str__(str(error))
    except BaseException as broken:
        let_through(broken)
        return [text_of(error)]
    inside = error.__dict__.get("traceback")
    if type(inside) is str and inside:
        text = text.removesuffix(inside).rstrip("\n")  # of a TransportError: shown above
    first, *more = text[: MOST_SAID * WIDEST].splitlines() or [""]
    lines = [f"{kind_of(error).name}: {first}".removesuffix(": ")]
    lines += [f"  {line}" for line in more[: MOST_SAID - 1]]
    notes = error.__dict__.get("__notes__")
    if type(notes) is list:
        told = [note for note in notes if type(note) is str and not note.startswith(_KNOWN)]
        lines += [f"  {note}" for note in told[:MOST_CAUSES]]
    return lines


def _causes(error: BaseException) -> list[str]:
    """A line for each error that it came of."""
    lines: list[str] = []
    for _ in range(MOST_CAUSES):
        cause = _CAUSE.__get__(error)
        if cause is None and not _SUPPRESSED.__get__(error):
            cause = _CONTEXT.__get__(error)
        if cause is None or text_in(cause):
            break
        place = kind_of(cause).place
        lines.append(f"caused by {text_of(cause)}{f', at {place}' if place else ''}")
        error = cause
    return lines
