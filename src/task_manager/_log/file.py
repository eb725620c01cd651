"""The file of the log: the library's own, or loguru's where it is to be rotated.

Both are sinks of a loguru logger of ours, apart from the user's.
"""

from __future__ import annotations

import contextlib
import os
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    from loguru import Logger

LOOK = 0.2  # seconds after which a log looks whether its file is still there
UNSURE = 1 << 18  # characters that were written since, after which it looks earlier


class Sink(Protocol):
    """What takes the records of a run."""

    def write(self, message: str) -> None:
        """Append a record."""
        ...

    def look(self) -> None:
        """See whether the file is still in its place; if not, go on in a new one."""
        ...

    def stop(self) -> None:
        """Called by loguru when the handler is removed."""
        ...


def file_of_the_day(folder: Path) -> Path:
    """The file of today's log in a folder."""
    return folder / f"task_manager_{date.today():%Y-%m-%d}.log"


class LogFile:
    """The file of the day in a folder, both made when the first record comes.

    loguru's own file sink stays open when its last flush fails, as on a full disk.

    Where somebody deletes the file in the middle of a run, or puts another one in its place as
    logrotate does, what is written goes nowhere, or elsewhere. So a look is taken from time to time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder
        self._file: TextIO | None = None
        self._looked = 0.0
        self._since: list[str] = []  # written since the last look
        self._unsure = 0  # characters of these

    def write(self, message: str) -> None:
        """Append a record."""
        if self._file is None:
            self._path = file_of_the_day(self._folder)
            self._open()
        elif self._unsure >= UNSURE or time.monotonic() - self._looked >= LOOK:
            self.look()
        self._since.append(message)
        self._unsure += len(message)
        assert self._file is not None
        self._file.write(message)

    def look(self) -> None:
        """See whether the file is still in its place; if not, go on in a new one."""
        self._looked = time.monotonic()
        since, self._since = self._since, []
        self._unsure = 0
        if self._file is None:
            return
        ours = os.fstat(self._file.fileno())
        try:
            found = self._path.stat()
        except FileNotFoundError:
            pass
        else:
            if (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino):
                return
        self._file.close()
        self._open()
        if ours.st_nlink == 0:  # deleted, and not moved: with what was written since
            self._file.writelines(since)

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a", buffering=1, encoding="utf-8", errors="backslashreplace")
        self._looked = time.monotonic()

    def stop(self) -> None:
        """Called by loguru when the handler is removed."""
        if self._file is not None:
            self._file.close()


def rotating_file(folder: Path, **options: Any) -> Sink:
    """The same file by loguru's own sink, which rotates, retains and compresses.

    It looks before each record whether the file is still there. Nothing is made before the first
    record. Raises ValueError or TypeError for what loguru does not take.
    """
    from loguru import _file_sink

    base: Any = _file_sink.FileSink

    class Rotating(base):  # type: ignore[misc]
        def look(self) -> None:
            """It has looked before it wrote."""

        def _close_file(self) -> None:
            """Close the file also where its last flush fails: loguru leaves it open."""
            file: Any = self._file
            try:
                super()._close_file()
            finally:
                with contextlib.suppress(OSError):
                    file.close()

    literal = str(folder).replace("{", "{{").replace("}", "}}")  # loguru fills in what is in braces
    sink: Sink = Rotating(
        os.path.join(literal, "task_manager_{time:YYYY-MM-DD}.log"),  # noqa: PTH118 - no path yet
        delay=True,
        watch=True,
        errors="backslashreplace",
        **options,
    )
    return sink


def own_logger() -> Logger:
    """A loguru logger with no handler, apart from the user's.

    loguru has no public way to make one: its documentation copies the one logger after all its
    handlers were removed, and those are the user's.  tests/test_logger.py says if this ever breaks.
    """
    from loguru import _logger as loguru

    inside: Any = loguru
    logger: Logger = inside.Logger(
        core=inside.Core(),
        exception=None,
        depth=0,
        record=False,
        lazy=False,
        colors=False,
        raw=False,
        capture=False,
        patchers=[],
        extra={},
    )
    return logger
