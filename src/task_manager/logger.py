"""The log: loguru, written by the parent process only.

One record costs some 30 us, more than many a task.  So successes that come fast are grouped: one
record names all the tasks that succeeded since the last one.  Every task is in the log.
"""

from __future__ import annotations

import contextlib
import os
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from loguru import logger as users_logger

from ._repr import one_line, short_repr
from ._summary import Summary
from .errors import ConfigurationError
from .events import Event, Failed, Repeated, Retrying, RunBegan, RunEnded, Succeeded, Waiting

if TYPE_CHECKING:
    from loguru import Logger

FORMAT = "{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <8} | {message}"
EVERY = 0.2  # seconds at most that a success waits for others to share its record
OWN_RECORD = 0.1  # a task of so many seconds has a record of its own
MOST = 500  # tasks in one record
LOOK = 0.2  # seconds after which a log looks whether its file is still there
UNSURE = 1 << 18  # characters that were written since, after which it looks earlier


class TaskLogger:
    """Where the log of a manager goes, and what it looks like.

    log_dir: The folder, made when the first record is written. One file a day in it:
        task_manager_YYYY-MM-DD.log, appended to.
    format: A loguru format, https://loguru.readthedocs.io/en/stable/api/logger.html#record.
    level: The lowest level that is written: "DEBUG", "INFO" (starts and ends of runs), "SUCCESS",
        "WARNING" (retries) or "ERROR" (failures).
    logger: A loguru logger of yours that takes the records instead; the other options are then
        those of its own handlers. What is bound to it, and its patchers, hold; what `opt` has set
        does not, as a record is one finished line.

    The handlers of `loguru.logger` are otherwise left alone: neither removed, nor added to, nor
    written to.
    """

    def __init__(
        self,
        log_dir: str | Path = "logs",
        *,
        format: str = FORMAT,
        level: str = "INFO",
        logger: Logger | None = None,
    ) -> None:
        try:
            self._severity = users_logger.level(level).no
        except (ValueError, TypeError):
            raise ConfigurationError(
                "level must be one of DEBUG, INFO, SUCCESS, WARNING, ERROR or another level that "
                f"loguru knows; got {level!r}"
            ) from None
        if not isinstance(log_dir, str | os.PathLike):
            raise ConfigurationError(f"log_dir must be a path; got {log_dir!r}")
        if logger is not None and not callable(getattr(logger, "opt", None)):
            raise ConfigurationError(f"logger must be None or a logger of loguru; got {logger!r}")
        self._log_dir = Path(log_dir)
        self._format = format if format == FORMAT else _checked(format)
        self._level = level
        self._logger = logger

    def observer(self, title: str) -> LogObserver:
        """An observer that writes one run to this log. title: What runs; heads every record."""
        return LogObserver(self, one_line(title))

    def place(self) -> str | None:
        """The file that a record is written to now; None: wherever the user's own logger writes."""
        return None if self._logger is not None else str(file_of_the_day(self._log_dir))

    def writes(self, level: str) -> bool:
        """Whether a record of this level would be written at all."""
        return self._logger is not None or users_logger.level(level).no >= self._severity

    def open(self) -> tuple[Logger, int | None, LogFile | None]:
        """A logger to write to; the handler to remove at the end, and its file, if they are ours."""
        if self._logger is not None:
            return self._logger.opt(), None, None  # lazy, raw and record would spoil a finished text
        logger, file = _own_logger(), LogFile(self._log_dir)
        # The level by its number: a level that the user has added is not known to a logger of ours.
        handler = logger.add(file, format=self._format, level=self._severity, catch=False)
        return logger, handler, file


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


class LogObserver:
    """Writes the events of one run."""

    name = "log"

    def __init__(self, log: TaskLogger, title: str) -> None:
        self._log = log
        self._title = title
        self._logger: Logger | None = None
        self._handler: int | None = None
        self._file: LogFile | None = None
        self._tasks: list[Any] = []
        self._seconds = 0.0
        self._written = 0.0
        self._writes_success = log.writes("SUCCESS")

    def observe(self, event: Event) -> None:
        match event:
            case RunBegan(total):
                self._logger, self._handler, self._file = self._log.open()
                self._written = time.monotonic()
                self._write("INFO", f"run begins: {_count(total)}")
            case Succeeded(_, tasks, _, seconds):
                if self._writes_success:
                    self._succeed(tasks, seconds)
            case Failed(_, task, error):
                self._write("ERROR", f"failed {event.when}: {short_repr(task)}: {short_repr(error)}")
            case Retrying(_, task, error, number, delay):
                again = f"attempt {number} failed, again in {delay:.2f} s"
                self._write("WARNING", f"{again}: {short_repr(task)}: {short_repr(error)}")
            case Repeated(tasks):
                if self._log.writes("DEBUG"):
                    for task in tasks:
                        self._write("DEBUG", f"repeated, not run again: {short_repr(task)}")
            case Waiting():
                self._flush()
            case RunEnded(summary):
                self._close(summary)

    def _close(self, summary: Summary) -> None:
        self._flush()
        counts = [f"{summary.succeeded} succeeded", f"{summary.failed} failed"]
        for count, one, more in [
            (summary.duplicates, "duplicate", "duplicates"),
            (summary.retries, "retry", "retries"),
            (summary.not_started, "not started", "not started"),
        ]:
            if count:
                counts.append(f"{count} {one if count == 1 else more}")
        self._write("INFO", f"run ends after {summary.seconds:.3f} s: {', '.join(counts)}", last=True)
        self._leave()

    def _succeed(self, tasks: list[Any], seconds: list[float]) -> None:
        if max(seconds) >= OWN_RECORD:
            self._flush()
            for task, took in zip(tasks, seconds, strict=True):
                if took >= OWN_RECORD:
                    self._write("SUCCESS", f"succeeded in {took:.3f} s: {short_repr(task)}")
            quick = [i for i, took in enumerate(seconds) if took < OWN_RECORD]
            tasks = [tasks[i] for i in quick]
            seconds = [seconds[i] for i in quick]
        self._tasks += tasks
        self._seconds += sum(seconds)
        if len(self._tasks) >= MOST or time.monotonic() - self._written >= EVERY:
            self._flush()

    def _flush(self) -> None:
        """Write the successes that wait."""
        tasks, self._tasks = self._tasks, []
        seconds, self._seconds = self._seconds, 0.0
        for first in range(0, len(tasks), MOST):
            group = tasks[first : first + MOST]
            names = "; ".join(map(short_repr, group))
            head = "succeeded" if len(tasks) == 1 else f"{len(group)} succeeded"
            self._write("SUCCESS", f"{head} in {seconds * len(group) / len(tasks):.3f} s: {names}")
        self._written = time.monotonic()

    def _write(self, level: str, message: str, last: bool = False) -> None:
        if self._logger is None:
            return
        try:
            if last and self._file is not None:
                self._file.look()
            self._logger.log(level, "{}", f"{self._title}: {message}")
        except Exception:
            with contextlib.suppress(Exception):  # closing flushes, which fails again
                self._leave()
            raise

    def _leave(self) -> None:
        """Close the file of our own."""
        logger, self._logger, self._file = self._logger, None, None
        if logger is not None and self._handler is not None:
            logger.remove(self._handler)


def _count(total: int | None) -> str:
    return "tasks" if total is None else f"{total} task{'s'[: total != 1]}"


def _checked(format: str) -> str:
    """A format that loguru can write a record with."""
    try:
        if not isinstance(format, str):
            raise TypeError("not a string")
        trial = _own_logger()
        trial.add(lambda message: None, format=format, catch=False)
        trial.info("")
    except Exception as error:
        raise ConfigurationError(
            f"format must be a string of loguru's fields, as {FORMAT!r}; got {format!r}: {error!r}"
        ) from None
    return format


def _own_logger() -> Logger:
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
