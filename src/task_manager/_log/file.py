"""The file of the log: the library's own, or loguru's where it is to be rotated.

Both are sinks of a loguru logger of ours: see `handler`.
"""

from __future__ import annotations

import contextlib
import os
import time
from datetime import date
from pathlib import Path
from typing import Any, Protocol, TextIO

LOOK = 0.2  # seconds after which a log looks whether its file is still there
UNSURE = 1 << 18  # characters that were written since, after which it looks earlier


class Sink(Protocol):
    """What takes the records of a run."""

    def write(self, message: str) -> None:
        """Append a record."""
        ...

    def more(self, messages: list[str]) -> bool:
        """Append records that differ from the last one in their message alone; False: it cannot."""
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
        self._last: Any = None  # what was written last

    def write(self, message: str) -> None:
        """Append a record."""
        self._append(message)
        self._last = message

    def more(self, messages: list[str]) -> bool:
        """Append records of the moment of the last one: a call of loguru's takes 10 us and more."""
        last, self._last = self._last, None
        said = None if last is None else last.record["message"]
        if not said or not last.endswith(f"{said}\n"):
            return False
        head = last[: -len(said) - 1]
        if said in head:
            return False
        self._append("".join([f"{head}{message}\n" for message in messages]))
        return True

    def _append(self, message: str) -> None:
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
        def more(self, messages: list[str]) -> bool:
            """It is loguru that knows when a new file is to be begun."""
            return False

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
