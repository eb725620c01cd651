"""Which file is opened as a journal, and which is refused, and why. What is refused stays as it was.

    the path ─▶ a file in a folder? ─▶ ours alone? ─▶ locked for us ─▶ a journal? ─▶ of this version?

Whose the files are is asked of the journal and of all that SQLite reads beside it: it would take into
the journal whatever a stranger has put into `crawl.db-wal`.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import struct
from pathlib import Path
from time import time  # bound here, as tests of other code stop the clock

from .._platform import foreign_hands, make_private, may_use
from ..errors import JournalError
from .schema import APPLICATION_ID, FORMAT, TABLES
from .sqlite import sqlite3

BESIDE = ("-wal", "-shm", "-journal", "-lock")
MAGIC = b"SQLite format 3\0"
HEADER = 100  # bytes: https://sqlite.org/fileformat2.html#the_database_header


class Door:
    """What is asked of one path, before and after it is locked.

    shown: As the user gave it, for messages. path: Where it is, links followed.
    """

    def __init__(self, given: str | os.PathLike[str]) -> None:
        self.shown = os.fspath(given)
        self.path = Path(os.path.realpath(self.shown))

    def refusal(self, why: str) -> JournalError:
        return JournalError(f"journal {self.shown!r} {why}")

    def check_place(self) -> None:
        """Whether a journal may be there at all, and whose the files there are."""
        if self.shown.endswith(("/", os.sep)):
            raise self.refusal("is a folder; give the path of a file in it")
        folder = self.path.parent
        parent = self._stat(folder)
        if parent is None or not stat.S_ISDIR(parent.st_mode):
            raise self.refusal(f"cannot be made: there is no folder {str(folder)!r}")
        if not may_use(folder, os.W_OK):
            raise self.refusal(f"needs a folder that can be written, and {str(folder)!r} cannot")
        given = self._stat(Path(self.shown))
        if given is not None and stat.S_ISLNK(given.st_mode) and self._stat(self.path) is None:
            raise self.refusal(f"is a link to {str(self.path)!r}, and there is no such file")
        for beside in ("", *BESIDE):
            found = self._stat(self.beside(beside))
            if found is None:
                continue
            what = "" if not beside else f"has {self.beside(beside).name!r} beside it, which "
            if stat.S_ISDIR(found.st_mode):
                raise self.refusal(f"{what}is a folder; give the path of a file in it")
            if not stat.S_ISREG(found.st_mode):
                raise self.refusal(f"{what}is no plain file")
            hands = foreign_hands(found)
            if hands is not None:
                raise self._distrusted(what, hands)
            if not may_use(self.beside(beside), os.R_OK | os.W_OK):
                raise self.refusal(
                    f"{what}cannot be read and written (mode {found.st_mode & 0o777:04o})"
                )

    def _distrusted(self, what: str, hands: str) -> JournalError:
        advice = "`chmod go-w` ends that" if "mode" in hands else "make a copy: that one is yours"
        return self.refusal(
            f"{what}is not opened, as {hands}: a journal holds pickles, and a pickle can run anything. "
            f"If you know where it comes from, {advice}"
        )

    def beside(self, ending: str) -> Path:
        """A file that belongs to it."""
        return self.path.with_name(self.path.name + ending)

    def _stat(self, path: Path) -> os.stat_result | None:
        try:
            return path.lstat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self.refusal(f"cannot be opened: {error.strerror}") from None

    def is_new(self) -> bool:
        """Whether there is nothing yet. Raises JournalError for a file that is no journal of ours.

        To be called under the lock of this run: it opens and closes the file, and any POSIX lock that
        this process has on it goes with that.
        """
        try:
            with self.path.open("rb") as file:
                header = file.read(HEADER)
        except FileNotFoundError:
            return True
        except OSError as error:
            raise self.refusal(f"cannot be read: {error.strerror}") from None
        if not header:
            return True
        if len(header) < HEADER or not header.startswith(MAGIC):
            raise self.refusal("is another kind of file, and no journal; nothing was changed in it")
        version, application = struct.unpack_from(">I4xI", header, 60)
        if application != APPLICATION_ID:
            raise self.refusal(
                "is a database of something else, and no journal; nothing was changed in it"
            )
        if version > FORMAT:
            raise self.refusal(
                f"was made by a newer version of task_manager: it has format {version}, this version "
                f"knows {FORMAT}"
            )
        return False

    def meta(self) -> dict[str, str] | None:
        """What a journal says of itself, read without a trace; None where it does not say it that way.

        A connection that may write would bring what a WAL holds into the file, also of one that is
        refused. What this reads is written when a journal is made, and never changes.
        """
        try:
            there = sqlite3.connect(f"{self.path.as_uri()}?mode=ro&immutable=1", uri=True)
            with contextlib.closing(there):
                return dict(there.execute("SELECT name, value FROM meta"))
        except sqlite3.Error:
            return None

    def holder(self) -> tuple[int, str] | None:
        """Who has opened this journal last, the pid and the host; None where that cannot be read."""
        try:
            there = sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)
            with contextlib.closing(there):
                found = there.execute("SELECT value FROM meta WHERE name = 'holder'").fetchone()
            pid, host = json.loads(found[0])
        except (sqlite3.Error, TypeError, ValueError):
            return None
        return pid, host

    def take_wal(self) -> None:
        """Make the WAL, where there is none, before SQLite does: in /tmp, a stranger might be faster."""
        with contextlib.suppress(FileExistsError):
            make_private(self.beside("-wal"))

    def make(self, meta: dict[str, str]) -> None:
        """An empty journal. It is made whole, and then gets its name: no crash leaves a half.

        Raises JournalError where there can be none.
        """
        new = self.beside("-new")
        try:
            new.unlink(missing_ok=True)  # of one who was killed here, under the same lock
            make_private(new)
            found = new.stat()
            if foreign_hands(found) is not None:
                raise self.refusal(
                    f"cannot be kept safe: its file system gave it mode {found.st_mode & 0o777:04o} in "
                    "place of 0600, so that others can write it"
                )
            _fill(new, meta)
            for ending in ("-wal", "-shm", "-journal"):
                self.beside(ending).unlink(missing_ok=True)  # of one who was removed, and not they
            new.replace(self.path)
        except OSError as error:
            raise self.refusal(f"cannot be made: {error.strerror}") from None
        except sqlite3.Error as error:
            raise self.refusal(f"cannot be made: {error}") from None
        finally:
            for ending in ("-new", "-new-journal", "-new-wal", "-new-shm"):
                with contextlib.suppress(OSError):
                    self.beside(ending).unlink()


def _fill(path: Path, meta: dict[str, str]) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")  # nothing is lost before the file has its name
        connection.execute("PRAGMA journal_mode=MEMORY")
        connection.execute("BEGIN")
        for statement in TABLES.split(";"):
            connection.execute(statement)
        rows = {**meta, "made": repr(time())}
        connection.executemany("INSERT INTO meta VALUES(?, ?)", rows.items())
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={FORMAT}")
        connection.execute("COMMIT")
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise sqlite3.OperationalError("its file system cannot do what SQLite's WAL needs")
    with path.open("r+b") as file:
        os.fsync(file.fileno())
