"""loguru's loggers and handlers of our own, apart from the user's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._platform import no_fork_meanwhile
from .file import Sink

if TYPE_CHECKING:
    from loguru import Logger

MOST_IDLE = 8  # handlers that are kept for the next run


class Handler:
    """A logger of ours with one handler, whose file is another one in each run.

    Adding a handler takes 2 ms, as loguru asks where Python's own modules are: more than many a run.
    """

    def __init__(self, format: str, severity: int) -> None:
        with no_fork_meanwhile():
            self.logger = own_logger()
            self.logger.add(self, format=format, level=severity, catch=False)
        self._file: Sink | None = None

    def open(self, file: Sink) -> None:
        """Write to this file from now on."""
        self._file = file

    def write(self, message: str) -> None:
        """Called by loguru, with each record."""
        if self._file is not None:
            self._file.write(message)

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            file.stop()


_idle: list[tuple[tuple[str, int], Handler]] = []


def logger_to(file: Sink, format: str, severity: int) -> tuple[Logger, Callable[[], None]]:
    """A logger that writes to this file, and what closes it.

    severity: The lowest level that is written, by its number: no logger of ours knows one that the user
        has added.
    """
    key = format, severity
    for entry in list(_idle):
        with contextlib.suppress(ValueError):  # another thread was quicker
            if entry[0] == key:
                _idle.remove(entry)
                handler = entry[1]
                break
    else:
        handler = Handler(format, severity)
    handler.open(file)

    def close() -> None:
        handler.close()
        if len(_idle) < MOST_IDLE:
            _idle.append((key, handler))

    return handler.logger, close


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
