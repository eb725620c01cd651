"""The journal's file, opened to be looked at: nothing is written, made, locked for long, or unpickled.

SQLite keeps what was written last in a second file, `-wal`, and a third one, `-shm`, lets several
processes use them at a time.  A connection with mode=ro makes both where they are missing, so how a file
is opened depends on what lies beside it:

     -wal with content, -shm   a writer is at work, or was killed   mode=ro
     -wal with content alone   copied, or -shm was deleted          a copy in a temporary folder
     no -wal, or an empty one  closed in peace                      immutable=1: no lock, no file
     of the older kind         written without a -wal               mode=ro

Each look opens the file and closes it.  A connection that stays open would keep the writer from clearing
up at its end, and a transaction that stays open would let the -wal grow.

All this is for a process of its own: in one that has a run of the journal itself, to close a file would
take away the locks of that run, as POSIX has it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

from .._journal.schema import APPLICATION_ID, FORMAT
from .._platform import is_locked
from .._repr import one_line

T = TypeVar("T")

MAGIC = b"SQLite format 3\0"
OF_WAL = 2  # at WRITTEN_AS in the header: it is written with a -wal
WRITTEN_AS = 18
HEADER = 100
PATIENCE = 5.0  # seconds for one who holds the file
LOOKS = 20  # at a file that another one is put in the place of all the time
LOCKED_BYTES = (0x40000000, 512)  # by SQLite: https://sqlite.org/src/file/src/os.h
TABLES = ("errors", "meta", "runs", "tasks")
_UNREADABLE_THERE = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_IOERR")

State = tuple[tuple[int, ...] | None, ...]  # of the file and of its -wal


class WrongFileError(Exception):
    """The sentence for whoever gave a file that cannot be shown."""


class _ChangedError(Exception):
    """What was read is of two moments."""


class JournalFile:
    """A journal's file. Leave it as a context manager: a copy of it may lie in a temporary folder.

    shown: Its path as it was given.
    """

    def __init__(self, path: Path) -> None:
        """Raise WrongFileError for what is no file of SQLite's."""
        self.shown = path
        self.path = Path(os.path.realpath(path))  # the other files lie beside what a link leads to
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._copied: State = ()
        self._header()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._copy is not None:
            self._copy.cleanup()

    def look(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """What `ask` answers, all of one moment; it may be asked more than once.

        Raises WrongFileError where the file cannot be read, or is something else.
        """
        for _ in range(LOOKS):
            try:
                return self._look(ask)
            except _ChangedError:
                time.sleep(0.01)
            except sqlite3.Error as error:
                raise self._wrong(_said(error)) from None
            except OSError as error:
                raise self._wrong(f"cannot be read: {error.strerror or error}") from None
            except UnicodeDecodeError:  # out of sqlite3, which quotes names of the file in its messages
                raise self._wrong("is broken: its tables have no names") from None
        raise self._wrong("changes faster than it can be read")

    def is_locked(self) -> bool | None:
        """Whether a run holds the journal's lock; None where that cannot be found out without taking it.

        It is not taken, not for a moment: a run that begins then would be refused.
        """
        return is_locked(self._beside("-lock"), *LOCKED_BYTES)

    def _look(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        before = self._state()
        wal = before[1] is not None and before[1][-1] > 0
        if self._header()[WRITTEN_AS] != OF_WAL or (wal and self._beside("-shm").exists()):
            try:
                answer = self._ask(_uri(self.path, "mode=ro"), ask)
            except sqlite3.OperationalError as error:
                if not error.sqlite_errorname.startswith(_UNREADABLE_THERE):
                    raise
                answer = self._ask(self._copy_of(before), ask)
        elif wal:
            answer = self._ask(self._copy_of(before), ask)
        else:
            # Where a run has begun meanwhile, this may be half of the one moment and half of the other.
            try:
                answer = self._ask(_uri(self.path, "mode=ro&immutable=1"), ask)
            except (sqlite3.Error, WrongFileError):
                self._unchanged(before)
                raise
            self._unchanged(before)
        return answer

    def _ask(self, uri: str, ask: Callable[[sqlite3.Connection], T]) -> T:
        with closing(
            sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
        ) as connection:
            connection.text_factory = _text
            for pragma in ("query_only=1", "trusted_schema=0", "cell_size_check=1", "mmap_size=0"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("BEGIN")
            self._check(connection)
            return ask(connection)

    def _check(self, connection: sqlite3.Connection) -> None:
        mark, version = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version")
        )
        if mark != APPLICATION_ID:
            raise self._wrong("is no journal of task_manager, but another SQLite file")
        if version > FORMAT:
            raise self._wrong(
                f"is a journal of a newer task_manager: its format is {version}, "
                f"and this one reads formats up to {FORMAT}"
            )
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        missing = [table for table in TABLES if (table,) not in tables]
        if missing:
            raise self._wrong(f"is broken: it has no table {missing[0]}")

    def _copy_of(self, before: State) -> str:
        """A copy of the file and of what lies beside it, in which SQLite may make what it needs."""
        if self._copy is None or self._copied != before:
            if self._copy is not None:
                self._copy.cleanup()
            self._copy = tempfile.TemporaryDirectory(prefix="task_manager-")
            for end in ("", "-wal", "-journal"):
                with suppress(FileNotFoundError):  # what goes meanwhile, `_unchanged` finds
                    if self._beside(end).exists():
                        shutil.copyfile(self._beside(end), Path(self._copy.name, f"copy{end}"))
            self._unchanged(before)
            self._copied = before
        return _uri(Path(self._copy.name, "copy"), "mode=rw")

    def _header(self) -> bytes:
        path = self.path
        try:
            if path.is_dir():
                raise self._wrong("is a folder, and no journal")
            if path.exists() and not path.is_file():
                raise self._wrong("is no file, and so no journal")
            with path.open("rb") as file:
                header = file.read(HEADER)
        except FileNotFoundError:
            raise self._wrong("is not there") from None
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise self._wrong(f"cannot be read: {why}") from None
        if not header:
            raise self._wrong("is empty: no journal, or one of which nothing had been written yet")
        if not header.startswith(MAGIC):
            raise self._wrong("is no journal of task_manager")
        if len(header) < HEADER:
            raise self._wrong("is broken: it ends in the middle")
        return header

    def _state(self) -> State:
        return _state_of(self.path), _state_of(self._beside("-wal"))

    def _unchanged(self, since: State) -> None:
        if self._state() != since:
            raise _ChangedError

    def _beside(self, end: str) -> Path:
        return self.path.with_name(f"{self.path.name}{end}")

    def _wrong(self, what: str) -> WrongFileError:
        return WrongFileError(f"{one_line(str(self.shown))} {what}")


def _state_of(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _uri(path: Path, options: str) -> str:
    """As SQLite reads it, whatever is in the name."""
    whole = quote(os.fsencode(path.absolute().as_posix()), safe="/:")
    return f"file://{'' if whole.startswith('/') else '/'}{whole}?{options}"


def _text(found: bytes) -> str:
    return found.decode("utf-8", "replace")


def _said(error: sqlite3.Error) -> str:
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_NOTADB:
            return "is no journal of task_manager"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return "is held by another program"
        case sqlite3.SQLITE_CORRUPT:
            return f"is broken: {one_line(str(error))}"
    return f"cannot be read: {one_line(str(error))}"
