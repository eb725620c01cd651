"""The rows that wait to be written: together, at most half a second late; kept where a disk is full."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic  # bound here, as tests of other code stop the clock
from typing import Any

from .._repr import one_line, text_of
from .._signals import let_through
from .._warning import warn
from .schema import PASSED, STARTED, TASK
from .sqlite import sqlite3
from .store import AT_THE_END, PATIENCE, Store

MOST_TOGETHER = 500  # rows, before they are written
LARGEST_TOGETHER = 1 << 24  # bytes of their values, before they are written
SOON = 0.02  # seconds since the last rows were written, after which the next are
SYNCED = 0.5  # seconds between two times that the disk is asked to have them for certain
AGAIN = 0.5  # seconds until a disk that refused is tried again
MOST_KEPT = 10_000  # rows, while it refuses
MOST_BYTES = 1 << 26  # of them, then
STATE, STAGE, VALUE = map(TASK.index, ("state", "stage", "value"))

Row = tuple[Any, ...]


class Pending:
    """Owns the rows of a run until they are in the file.

    name: The journal, for people.
    missing: Outcomes that the file does not have, and will not get. why: The first reason.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._rows: list[Row] = []
        self._errors: list[Row] = []
        self._unmarked: list[int] = []
        self._written = self._synced = monotonic()
        self._bytes = 0  # of the values
        self._unsynced = False  # the file has rows that a power cut may take
        self._refused = False  # at the last try
        self._warned: set[str] = set()
        self.missing = 0
        self.why: str | None = None

    def __len__(self) -> int:
        return len(self._rows) + len(self._unmarked)

    def add(self, rows: Iterable[Row]) -> None:
        """Rows of tasks, in the order in which they came: the last one of a task stands."""
        first = len(self._rows)
        self._rows += rows
        for row in self._rows[first:]:
            value = row[VALUE]
            if type(value) is bytes or type(value) is str:
                self._bytes += len(value)

    def add_error(self, row: Row) -> None:
        self._errors.append(row)

    def unmark(self, ids: Sequence[int]) -> None:
        """What was noted as started, and was not: the notes go, those that still wait here too."""
        unmarked = set(ids)
        self._rows = [
            row if row[STATE] != STARTED or row[0] not in unmarked else _passed(row)
            for row in self._rows
            # A note by itself goes; what also tells how far a task of a chain has got, still does.
            if row[STATE] != STARTED or row[0] not in unmarked or row[STAGE] is not None
        ]
        self._unmarked += ids

    def lose(self, count: int, why: str, what: str) -> None:
        """So many outcomes will never be in the file. what: What to tell of it, once."""
        if count:
            self.missing += count
            self.why = self.why or why
        self._warn("lost", f"the journal {self._name} is incomplete, and the run goes on: {what}")

    def refuse(self, error: sqlite3.Error) -> None:
        """The disk does not take what is to be written; it is tried again later."""
        self._refused = True
        self._warn(
            "refused",
            f"the journal {self._name} cannot be written: {said(error)}; the run goes on, and "
            "tries again",
        )

    def write_if_due(self) -> None:
        """To be called with each event."""
        since = monotonic() - self._written
        many = len(self) >= MOST_TOGETHER or self._bytes >= LARGEST_TOGETHER
        if self and (since >= AGAIN if self._refused else many or since >= SOON):
            self.write()

    def write_now(self, sync: bool = False) -> None:
        """Write, unless the disk has just refused: nobody is to wait for it again and again."""
        if not self._refused or monotonic() - self._written >= AGAIN:
            self.write(sync)

    def write(self, sync: bool = False, patience: float = PATIENCE) -> sqlite3.Error | None:
        """Write all now; what the disk refuses stays here, for the next time.

        sync: Not until it is certain that the disk has it. patience: Seconds that another connection may
            keep the file.
        """
        sync = sync or monotonic() - self._synced >= SYNCED
        if not self and not (sync and self._unsynced):
            return None
        try:
            self._write(sync, patience)
        except sqlite3.Error as error:
            let_through(error)
            self.refuse(error)
            self._drop_oldest(error)
            return error
        finally:
            self._written = monotonic()
        if sync:
            self._synced = self._written
        self._unsynced = not sync
        self._unmarked, self._rows, self._errors = [], [], []
        self._bytes = 0
        self._refused = False
        return None

    def _write(self, sync: bool, patience: float) -> None:
        try:
            self._store.write(self._rows, self._errors, sync, patience, self._unmarked)
        except sqlite3.OperationalError:
            raise
        except (sqlite3.Error, ValueError, OverflowError, TypeError) as error:
            let_through(error)
            self._write_each()

    def _write_each(self) -> None:
        """One of them is what no file takes: it goes, and it alone."""
        self._store.write([], [], False, unmarked=self._unmarked)
        by_id = {row[0]: row for row in self._errors}
        for row in self._rows:
            try:
                self._store.write([row], [by_id[row[0]]] if row[0] in by_id else [], False)
            except sqlite3.OperationalError:
                raise
            except (sqlite3.Error, ValueError, OverflowError, TypeError) as error:
                let_through(error)
                self.lose(1, text_of(error), f"an outcome cannot be written: {text_of(error)}")

    def _drop_oldest(self, error: sqlite3.Error) -> None:
        """No memory is filled with what a disk does not take."""
        excess = self._excess()
        if excess > 0:
            gone = {row[0] for row in self._rows[:excess]} - {row[0] for row in self._rows[excess:]}
            self.missing += sum(row[3] not in _NO_OUTCOME for row in self._rows[:excess])
            self.why = self.why or said(error)
            del self._rows[:excess]
            self._errors = [row for row in self._errors if row[0] not in gone]

    def _excess(self) -> int:
        """How many of the oldest rows are more than is kept, in number or in bytes."""
        errors: dict[int, int] = {}
        for row in self._errors:
            errors[row[0]] = errors.get(row[0], 0) + _weight(row)
        weight = 0
        for place in range(len(self._rows) - 1, -1, -1):
            row = self._rows[place]
            weight += _weight(row) + errors.get(row[0], 0)
            if weight > MOST_BYTES or len(self._rows) - place > MOST_KEPT:
                return place + 1
        return 0

    def close(self) -> str | None:
        """Write the last, once more. Why the file is incomplete; None: it is whole."""
        error = self.write(sync=True, patience=AT_THE_END)
        if error is not None:
            self.missing += sum(row[3] not in _NO_OUTCOME for row in self._rows)
            self.why = self.why or said(error)
        if not self.missing:
            return None
        if self.missing == 1:
            return f"1 outcome is missing: {self.why}"
        return f"{self.missing:,} outcomes are missing: {self.why}"

    def _warn(self, about: str, text: str) -> None:
        if about not in self._warned:
            self._warned.add(about)
            warn(text)


def said(error: sqlite3.Error) -> str:
    """What SQLite says of it."""
    return one_line(str(error)) or type(error).__name__


def _weight(row: Row) -> int:
    return sum(len(cell) for cell in row if type(cell) is bytes or type(cell) is str)


_NO_OUTCOME = (PASSED, STARTED)


def _passed(row: Row) -> Row:
    return (*row[:STATE], PASSED, *row[STATE + 1 :])
