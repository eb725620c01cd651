"""Tasks as rows, and lists of them.  No query takes a pickle: of a task that is one, the text is.

A list comes in pieces, whatever its length, and the file is let go after each.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from .._journal.schema import FAILED
from .file import JournalFile
from .seen import Cell, Error, Group, TaskSeen, cell, number, text, whole

SHORT = 1000  # characters of a task that are shown to people
LONG = 100_000  # of a traceback
PIECE = 5000  # tasks of a list that are read at a time
FULL = 1_000_000  # characters of tasks after which a piece ends


def cell_columns(most: int | None = None) -> str:
    """The columns of `cell`. most: Characters that are wanted; None: all."""
    task, shown = (f"substr({name}, 1, {most})" if most else name for name in ("t.task", "t.text"))
    return (
        f"CASE typeof(t.task) WHEN 'blob' THEN {shown} WHEN 'text' THEN {task} ELSE t.task END,"
        " typeof(t.task) <> 'blob'"
    )


CELL = cell_columns()
REST = "t.state, t.stage, t.attempts, t.seconds, t.at, t.run"
ERROR = (
    f"substr(e.kind, 1, {SHORT}), substr(e.place, 1, {SHORT}), substr(e.said, 1, {LONG}),"
    f" substr(e.traceback, 1, {LONG})"
)


def rows_of(rows: Iterable[tuple[Any, ...]]) -> Iterator[TaskSeen]:
    for rowid, task, plain, state, stage, attempts, seconds, at, run, *error in rows:
        yield TaskSeen(
            rowid,
            cell(task, plain),
            whole(state) or 0,
            whole(stage),
            whole(attempts),
            number(seconds),
            number(at),
            whole(run),
            Error(*map(text, error)) if error and state == FAILED else None,
        )


Made = TypeVar("Made", TaskSeen, Cell)


def tasks_in(
    file: JournalFile, state: int | None, limit: int | None, group: Group | None = None
) -> Iterator[list[TaskSeen]]:
    """The tasks with all that is known of them, in the order in which they were first taken.

    state: Of those that are wanted; None: all. limit: How many at most; None: all.
    group: Those that have failed with its errors alone.
    """
    query = f"SELECT t.rowid, {CELL}, {REST}, {ERROR} FROM"
    values: tuple[Any, ...] = ()
    if group is None:
        query += " tasks t LEFT JOIN errors e ON e.id = t.id WHERE t.rowid > ?"
    else:
        query += (
            " errors e CROSS JOIN tasks t ON t.id = e.id WHERE e.id > ? AND e.id <= ?"
            f" AND ifnull(substr(e.kind, 1, {SHORT}), '') = ?"
            f" AND ifnull(substr(e.place, 1, {SHORT}), '') = ?"
        )
        values = (group.last_id, group.kind, group.place)
    return _pieces(file, query, values, state, limit, "t" if group is None else "e", rows_of)


def cells_in(file: JournalFile, state: int | None, limit: int | None) -> Iterator[list[Cell]]:
    """The same of the tasks alone."""
    query = f"SELECT t.rowid, {CELL} FROM tasks t WHERE t.rowid > ?"
    return _pieces(file, query, (), state, limit, "t", _cells)


def _cells(rows: Iterable[tuple[Any, ...]]) -> Iterator[Cell]:
    return (cell(task, plain) for _, task, plain in rows)


def _pieces(
    file: JournalFile,
    query: str,
    values: tuple[Any, ...],
    state: int | None,
    limit: int | None,
    order: str,
    made: Callable[[Iterable[tuple[Any, ...]]], Iterator[Made]],
) -> Iterator[list[Made]]:
    """Rows piece by piece.

    Between two pieces nobody holds the file, however long who reads takes his time. A task that is
    recorded meanwhile is shown as it is when its turn comes.
    """
    wanted = "" if state is None else f" AND t.state = {state}"
    query += f"{wanted} ORDER BY {order}.rowid LIMIT ?"
    last, left = -(1 << 63), limit
    while left is None or left > 0:
        most = PIECE if left is None else min(PIECE, left)
        rows = file.look(partial(_piece, query, (last, *values, most)))
        if not rows:
            return
        last = rows[-1][0]
        left = None if left is None else left - len(rows)
        yield list(made(rows))


def _piece(query: str, values: tuple[Any, ...], connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """Rows as they are; fewer of large ones."""
    rows, size = [], 0
    for row in connection.execute(query, values):
        rows.append(row)
        size += sum([len(value) for value in row if type(value) is str])
        if size > FULL:
            break
    return rows
