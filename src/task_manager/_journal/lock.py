"""One run at a time: a lock that two processes, or two runs of one, cannot both have.

It is SQLite's own, on an empty file beside the journal: POSIX locks of ours on the journal would be lost
as soon as anything else in this process opens and closes that file, and a file that says "locked" would
stay behind a process that was killed.  SQLite's dies with its process, and a copy does not have it.

What SQLite cannot help: POSIX locks go as well where something else in this process opens and closes
the file of the lock, as a hook that copies the whole folder. flock would stand that, and would be kept
by any copy of this process that outlives it.

The file stays: whoever removes it may take it from another run that has just opened it.  Only where it
was made for a file that is refused, it goes; and who has locked one that is gone begins anew.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from .._platform import make_private
from .connections import Connection, is_busy
from .sqlite import sqlite3

ATTEMPTS = 5  # some file systems have a new number for a file each time they are asked


class Lock:
    """Owns the lock of a file for the time of a run.

    made: Its file was made for it, just now.
    """

    def __init__(self, path: Path) -> None:
        """Take it at once. Raises LockedError where another has it, sqlite3.Error or OSError."""
        self._path = path
        self.made = False
        for attempt in range(1, ATTEMPTS + 1):
            with contextlib.suppress(FileExistsError):
                make_private(path)
                self.made = True
            before = self._file()
            self._take()
            if (before is not None and before == self._file()) or attempt == ATTEMPTS:
                return
            self._connection.close()

    def _file(self) -> tuple[int, int] | None:
        """Which file has the name."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _take(self) -> None:
        self._connection = Connection(self._path, 0)
        try:
            self._connection.execute("PRAGMA journal_mode=OFF")  # which is a file, too
            self._connection.execute("BEGIN EXCLUSIVE")
        except BaseException as error:
            self._connection.close()
            if isinstance(error, sqlite3.Error) and is_busy(error):
                raise LockedError from None
            raise

    def release(self, remove: bool = False) -> None:
        """remove: The file as well, if it was made for this lock: what it is for was refused."""
        if remove and self.made:
            with contextlib.suppress(OSError):
                self._path.unlink()
        self._connection.close()


class LockedError(Exception):
    """Another run has it."""
