"""Connections to SQLite, which no copy of this process uses or closes (F33).

SQLite must not be carried over a fork (https://sqlite.org/howtocorrupt.html, 2.6): a copy that closes
its connection rolls back in memory that it shares with this process, or checkpoints under its feet.  So
in a copy every connection of ours is out of reach, and never freed, to the end of the copy.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .._platform import after_fork
from .sqlite import sqlite3

# Codes of errors, https://sqlite.org/rescode.html
BUSY = {5, 6}  # SQLITE_BUSY, SQLITE_LOCKED
PASSING = {*BUSY, 10, 13}  # SQLITE_IOERR, SQLITE_FULL

_open: set[Connection] = set()
_keep_for_ever: Callable[[Any], None] | None = None


class Connection:
    """Owns a connection to one file, each statement a transaction of its own where none is begun."""

    def __init__(self, path: Path, patience: float) -> None:
        """patience: Seconds that a statement waits for a lock of another connection."""
        _prepare()
        # A manager may be dropped in another thread than the one that has run it.
        self.inside: sqlite3.Connection | None = sqlite3.connect(
            path, timeout=patience, isolation_level=None, check_same_thread=False
        )
        _open.add(self)

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """All rows of a statement. Raises sqlite3.Error."""
        return self._live.execute(statement, values).fetchall()

    def execute_many(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        self._live.executemany(statement, rows)

    def roll_back(self) -> None:
        """End a transaction that has failed; nothing where none is open."""
        if self.inside is not None and self.inside.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self.inside.execute("ROLLBACK")

    def close(self) -> None:
        """The last one to a file also brings what the WAL holds into the file, and removes the WAL."""
        inside, self.inside = self.inside, None
        _open.discard(self)
        if inside is not None:
            inside.close()

    @property
    def _live(self) -> sqlite3.Connection:
        if self.inside is None:
            raise sqlite3.ProgrammingError("the journal is closed here")
        return self.inside


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection has what this one wanted."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in BUSY


def may_pass(error: sqlite3.Error) -> bool:
    """Whether another time may be better: the disk is full or fails, or another connection writes."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in PASSING


def _prepare() -> None:
    """Now, as a copy cannot import in peace: what makes an object outlive all that refers to it."""
    global _keep_for_ever
    if _keep_for_ever is None:
        try:
            import ctypes

            count_one_more, as_object = ctypes.pythonapi.Py_IncRef, ctypes.py_object
            _keep_for_ever = lambda one: count_one_more(as_object(one))  # noqa: E731
        except (ImportError, AttributeError):  # a Python without it
            _keep_for_ever = _frozen


def _frozen(one: Any) -> None:
    """In a circle that the garbage collector is not to look at."""
    circle = [one]
    circle.append(circle)
    gc.freeze()


def _in_a_copy() -> None:
    for one in _open:
        if one.inside is not None and _keep_for_ever is not None:
            _keep_for_ever(one.inside)
        one.inside = None
    _open.clear()


after_fork(_in_a_copy)
