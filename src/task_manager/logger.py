"""TaskLogger: where the log goes, and what it looks like. What is in it, `_log` says."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger as users_logger

from ._log.file import LogFile, Sink, file_of_the_day, rotating_file
from ._log.handler import logger_to, own_logger
from ._log.observer import LogObserver
from ._repr import one_line
from .errors import ConfigurationError

if TYPE_CHECKING:
    from loguru import Logger

FORMAT = "{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <8} | {process} | {message}"
_LOGURUS = {  # what loguru's own options take, for people
    "rotation": "a size or a time, as '100 MB', '1 week' or '00:00'",
    "retention": "a time or a number of files, as '10 days' or 5",
    "compression": "a kind of archive, as 'gz' or 'zip'",
}


class TaskLogger:
    """Where the log of a manager goes, and what it looks like.

    log_dir: The folder, made when the first record is written. One file a day in it:
        task_manager_YYYY-MM-DD.log, appended to.
    format: A loguru format, https://loguru.readthedocs.io/en/stable/api/logger.html#record.
    level: The lowest level that is written: "DEBUG", "INFO" (starts and ends of runs), "SUCCESS",
        "WARNING" (retries) or "ERROR" (failures).
    rotation, retention, compression: As of loguru's files: when a new file is begun ("100 MB", "1 week",
        "00:00"), how many old ones are kept (5, "10 days"), and how they are packed ("gz", "zip");
        https://loguru.readthedocs.io/en/stable/api/logger.html#file.
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
        rotation: Any = None,
        retention: Any = None,
        compression: Any = None,
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
        given = {"rotation": rotation, "retention": retention, "compression": compression}
        self._file_options = {name: value for name, value in given.items() if value is not None}
        for name, value in self._file_options.items():
            _check_file_option(name, value, self._log_dir, logger)
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

    def open(self) -> tuple[Logger, Callable[[], None] | None, Sink | None]:
        """A logger to write to; what closes its file, and the file, if that is ours."""
        if self._logger is not None:
            return self._logger.opt(), None, None  # lazy, raw and record would spoil a finished text
        if not self._file_options:
            file: Sink = LogFile(self._log_dir)
            return *logger_to(file, self._format, self._severity), file
        logger = own_logger()
        file = rotating_file(self._log_dir, **self._file_options)
        # The level by its number: a level that the user has added is not known to a logger of ours.
        handler = logger.add(file, format=self._format, level=self._severity, catch=False)
        return logger, partial(logger.remove, handler), file


def _checked(format: str) -> str:
    """A format that loguru can write a record with."""
    try:
        if not isinstance(format, str):
            raise TypeError("not a string")
        trial = own_logger()
        trial.add(lambda message: None, format=format, catch=False)
        trial.info("")
    except Exception as error:
        raise ConfigurationError(
            f"format must be a string of loguru's fields, as {FORMAT!r}; got {format!r}: {error!r}"
        ) from None
    return format


def _check_file_option(name: str, value: Any, folder: Path, logger: Logger | None) -> None:
    """Raise ConfigurationError for what loguru does not take, or where it would have no effect."""
    if logger is not None:
        raise ConfigurationError(
            f"{name} is for the file of a log in log_dir; where logger=... takes the records, give it "
            f"to that logger's own add(); got {value!r}"
        )
    try:
        if isinstance(value, bool) or (isinstance(value, int | float) and value < (name == "rotation")):
            raise ValueError("no number of that kind")
        rotating_file(folder, **{name: value})
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{name} must be {_LOGURUS[name]}, or what else loguru takes; got {value!r}: {error}"
        ) from None
