"""The file of a journal: open, locked, and written one transaction at a time.

    Door: which file? ─▶ Lock: ours now ─▶ Store: whose runs are in it? ─▶ rows out, rows in ─▶ close

It knows rows and cells, as `schema` has them, and neither tasks nor events: those are the record's.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import getpid  # as they are now, whatever a test of other code makes of them
from pathlib import Path
from socket import gethostname
from time import time
from typing import Any

from ..errors import JournalError
from ..journal import Journal
from .codec import BY_NAME, Codec
from .connections import Connection, may_pass
from .door import Door
from .functions import name_in_journal
from .lock import Lock, LockedError
from .schema import DONE, ERROR, FAILED, OUTDATED, UNMARK, WRITE_ERROR, WRITE_RUN, WRITE_TASK
from .sqlite import sqlite3, what_is_missing

PATIENCE = 0.1  # seconds that a write waits for another connection, and the run with it
AT_THE_END = 5.0  # what the last write of a run may wait
PORTION = 10_000  # rows that are read at a time
VARIABLES = 500  # of one statement, which may have 999 in an old SQLite

# NORMAL: nothing that was written is lost with this process; FULL, for some writes: nor in a power cut.
# macOS tells a disk to be done with a write only where it is asked twice.
PRAGMAS = ("PRAGMA synchronous=NORMAL", "PRAGMA fullfsync=ON", "PRAGMA checkpoint_fullfsync=ON")

SIGN = "REPLACE INTO meta VALUES('holder', ?)"

Row = tuple[Any, ...]

_KINDS = {"0": "the function", "1": "a chain of"}


class Store:
    """Owns a journal's file from the beginning of a run to its end.

    codec: How its cells are written. following: The id of the next new task. last_run: The number of the
    last run in it, 0 if there is none; `begin_run` counts on.
    """

    def __init__(self, journal: Journal, functions: Sequence[Callable[..., Any]], chain: bool) -> None:
        """Open and lock it; a new one is made. functions: Of the manager, or of each stage of the chain.

        Raises JournalError, and leaves the file as it was, where it is in use, no journal, or one of
        another function.
        """
        self.codec: Codec = BY_NAME[journal.codec]
        names = [name_in_journal(one) for one in functions]
        self._door = Door(journal.path)
        if missing := what_is_missing():
            raise self._door.refusal(missing)
        self._door.check_place()
        self._lock = self._locked()
        self._connection: Connection | None = None
        self._run: Row | None = None
        self._patience = AT_THE_END
        self._synced = False
        try:
            self._open(
                {"functions": json.dumps(names), "chain": str(int(chain)), "codec": journal.codec}
            )
        except BaseException as error:
            if self._connection is not None:
                self._connection.close()
            self._lock.release(remove=isinstance(error, JournalError))
            raise
        self._file = _file_at(self._door.path)

    def _locked(self) -> Lock:
        try:
            return Lock(self._door.beside("-lock"))
        except LockedError:
            raise self._in_use() from None
        except OSError as error:
            raise self._door.refusal(f"cannot be locked: {error.strerror}") from None
        except sqlite3.Error as error:
            raise self._door.refusal(
                f"cannot be locked: {error}. It belongs on a disk of this machine, and not on a network"
            ) from None

    def _in_use(self) -> JournalError:
        who, here = self._door.holder(), _here()
        match who:
            case None:
                by = "another run"
            case (pid, host) if host != here[1]:
                by = f"process {pid} on {host}"
            case (pid, _):
                by = "another run of this process" if who == here else f"process {pid}"
        return self._door.refusal(f"is in use by {by}: one run at a time")

    def _open(self, wanted: dict[str, str]) -> None:
        door = self._door
        if door.is_new():
            door.make(wanted)
        elif meta := door.meta():
            self._check(meta, wanted)
        door.take_wal()
        try:
            self._connection = connection = Connection(door.path, AT_THE_END)
            self._check(dict(connection.execute("SELECT name, value FROM meta")), wanted)
            door.check_place()  # again, as SQLite has them open now
            for pragma in PRAGMAS:
                connection.execute(pragma)
            self.following = connection.execute("SELECT ifnull(max(id), -1) + 1 FROM tasks")[0][0]
            self.last_run: int = connection.execute("SELECT ifnull(max(run), 0) FROM runs")[0][0]
            self._sign(connection)
        except sqlite3.Error as error:
            raise door.refusal(f"cannot be opened: {error}") from None

    def _sign(self, connection: Connection) -> None:
        """Say who has it. On a full disk that cannot be said, and the run goes on."""
        try:
            connection.execute(SIGN, _signature())
        except sqlite3.OperationalError as error:
            if not may_pass(error):
                raise

    def _check(self, meta: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        """Whether its runs were of these functions, and written in this way."""
        try:
            had, have = (f"{_KINDS[one['chain']]} {_names(one)}" for one in (meta, wanted))
            codec = meta["codec"]
        except (KeyError, TypeError, ValueError):
            raise self._door.refusal("is damaged: it does not say what it is of") from None
        if had != have:
            raise self._door.refusal(
                f"is of {had}, and this run is of {have}. Give each a file of its own"
            )
        if codec != wanted["codec"]:
            raise self._door.refusal(f"was made with codec={codec!r}; got codec={wanted['codec']!r}")

    # ------------------------------------------------------------------ reading

    def rows(self, values: bool = True, errors: bool = True) -> Iterator[list[Row]]:
        """All tasks in order of id, in portions of such rows:

        (id, task, state, stage, value, attempts, seconds, error)

        task, value: Cells. Only a task that is done has its value here: see `partly`. error: Of a failed
            task, (error, kind, place, said, traceback) as in the table; None otherwise.
        values, errors: False: none are read.
        """
        connection = self._live
        cells = f"CASE state WHEN {DONE} THEN value END" if values else "NULL"
        select = (
            f"SELECT id, task, state, stage, {cells}, attempts, seconds, NULL FROM tasks "
            f"WHERE id > ? ORDER BY id LIMIT {PORTION}"
        )
        last = -1
        while True:
            try:
                rows = connection.execute(select, (last,))
                if rows and errors:
                    rows = self._with_errors(connection, rows)
            except sqlite3.Error as error:
                raise self._door.refusal(f"cannot be read: {error}") from None
            if not rows:
                return
            last = rows[-1][0]
            yield rows

    def partly(self, ids: Sequence[int]) -> list[tuple[int, int, Any]]:
        """Of these, the tasks of a chain that have passed some stage: (id, stage, value) of each."""
        found: list[tuple[int, int, Any]] = []
        for first in range(0, len(ids), VARIABLES):
            some = ids[first : first + VARIABLES]
            select = (
                f"SELECT id, stage, value FROM tasks WHERE id IN ({', '.join('?' * len(some))}) "
                f"AND stage > 0 AND state <> {DONE} ORDER BY id"
            )
            try:
                found += self._live.execute(select, tuple(some))
            except sqlite3.Error as error:
                raise self._door.refusal(f"cannot be read: {error}") from None
        return found

    def _with_errors(self, connection: Connection, rows: list[Row]) -> list[Row]:
        columns = ", ".join(ERROR)
        select = f"SELECT {columns} FROM errors WHERE id BETWEEN ? AND ?"
        found = {row[0]: row[1:] for row in connection.execute(select, (rows[0][0], rows[-1][0]))}
        if not found:
            return rows
        return [(*row[:-1], found.get(row[0])) if row[2] == FAILED else row for row in rows]

    # ------------------------------------------------------------------ writing

    def write(
        self,
        tasks: list[Row],
        errors: list[Row],
        sync: bool,
        patience: float = PATIENCE,
        unmarked: Sequence[int] = (),
    ) -> None:
        """One transaction: rows as `schema.TASK` and `schema.ERROR` name their columns.

        unmarked: First, these are no longer started: they are again what they were before.
        sync: Wait until it is on the disk, with all before it, also where no row is given; otherwise it
            outlives this process, and a power cut perhaps not. patience: Seconds to wait for another
            connection.

        Raises sqlite3.Error, and has written nothing, where the disk is full or fails, another
        connection holds the file, or the file is gone.
        """
        connection = self._live
        if sync != self._synced:
            connection.execute(f"PRAGMA synchronous={'FULL' if sync else 'NORMAL'}")
            self._synced = sync
        self._wait_for_others(patience)
        try:
            connection.execute("BEGIN IMMEDIATE")
            for statement in UNMARK if unmarked else ():
                connection.execute_many(statement, [(number,) for number in unmarked])
            if tasks:
                connection.execute_many(WRITE_TASK, tasks)
            if errors:
                connection.execute_many(WRITE_ERROR, errors)
            if sync and not (tasks or errors):  # to commit nothing would sync nothing
                connection.execute(SIGN, _signature())
            connection.execute("COMMIT")
        except BaseException:
            connection.roll_back()
            raise
        if sync and _file_at(self._door.path) != self._file:
            raise sqlite3.OperationalError("its file was removed, or another one is in its place")

    def _wait_for_others(self, patience: float) -> None:
        if patience != self._patience:
            self._live.execute(f"PRAGMA busy_timeout={int(patience * 1000)}")
            self._patience = patience

    def begin_run(self, mode: str, workers: int | None, total: int | None) -> int:
        """Note that a run begins; its number. Raises sqlite3.Error; the number is taken all the same."""
        pid, host = _here()
        self.last_run += 1
        self._run = (self.last_run, time(), None, mode, workers, total, pid, host, None, None)
        self._write_run()
        return self.last_run

    def end_run(self, counts: Mapping[str, Any], ended_early: str | None) -> None:
        """Note its end, and its counts as JSON. Raises sqlite3.Error."""
        if self._run is None:
            return
        self._run = (*self._run[:2], time(), *self._run[3:8], json.dumps(counts), ended_early)
        self._write_run()
        self._live.execute(f"DELETE FROM errors WHERE id IN {OUTDATED}")

    def _write_run(self) -> None:
        if self._run is not None:
            self._wait_for_others(PATIENCE)
            self._live.execute(WRITE_RUN, self._run)

    def close(self) -> None:
        """Let the file go. Called twice, or in a copy of this process, it does nothing."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            # Closing brings the WAL into the file, but not while somebody reads: so it is done before.
            with contextlib.suppress(sqlite3.Error):
                connection.execute("PRAGMA busy_timeout=1000")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
        finally:
            self._lock.release()

    @property
    def _live(self) -> Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError("the journal is closed")
        return self._connection


def _names(meta: Mapping[str, str]) -> str:
    return ", ".join(json.loads(meta["functions"]))


def _signature() -> tuple[str]:
    return (json.dumps(_here()),)


def _here() -> tuple[int, str]:
    return getpid(), gethostname()


def _file_at(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
