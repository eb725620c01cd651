"""What the log says: the events of a run as records.

One record costs some 10 us and more, so successes that come fast are grouped: records name all the tasks
that succeeded since the last ones.  Every task is in the log.  A record has MOST_TEXT characters at
most.  It is one line, but for the first failure of each kind, whose further lines are indented.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .._kinds import Kind, kind_of
from .._repr import error_text, one_line, short_repr
from .._summary import Summary, left_of
from ..events import Event, Failed, Repeated, Retrying, RunBegan, RunEnded, Succeeded, Waiting
from .file import Sink
from .names import MOST_TEXT, records_of
from .origin import origin_of

if TYPE_CHECKING:
    from loguru import Logger

EVERY = 0.2  # seconds at most that a success waits for others to share its record
OWN_RECORD = 0.1  # a task of so many seconds has a record of its own
MOST = 500  # tasks in one record
MOST_KINDS = 100  # kinds of errors that are told apart
NAMED_KINDS = 5  # of them in the last record


class Log(Protocol):
    """Where the records go, as of a TaskLogger."""

    def open(self) -> tuple[Logger, Callable[[], None] | None, Sink | None]: ...

    def writes(self, level: str) -> bool: ...


class LogObserver:
    """Writes the events of one run."""

    name = "log"

    def __init__(self, log: Log, title: str) -> None:
        self._log = log
        self._title = title
        self._logger: Logger | None = None
        self._close: Callable[[], None] | None = None
        self._file: Sink | None = None
        self._tasks: list[Any] = []
        self._seconds = 0.0
        self._written = 0.0
        self._writes_success = log.writes("SUCCESS")
        self._kinds: dict[Kind, int] = {}
        self._total: int | None = None

    def observe(self, event: Event) -> None:
        match event:
            case RunBegan():
                self._begin(event)
            case Succeeded(_, tasks, _, seconds):
                if self._writes_success:
                    self._succeed(tasks, seconds)
            case Failed():
                self._fail(event)
            case Retrying(_, task, error, number, delay):
                again = f"attempt {number} failed, again in {delay:.2f} s"
                self._write("WARNING", f"{again}: {_task_and_error(task, error)}")
            case Repeated(tasks):
                if self._log.writes("DEBUG"):
                    for task in tasks:
                        self._write("DEBUG", f"repeated, not run again: {short_repr(task)}")
            case Waiting():
                self._flush()
            case RunEnded(summary):
                self._flush()
                self._write("INFO", _end(summary, self._total), last=True)
                self._leave()

    def _begin(self, event: RunBegan) -> None:
        self._logger, self._close, self._file = self._log.open()
        self._written = time.monotonic()
        self._total = event.total
        told = []
        if event.run:
            self._title = f"{self._title}[{event.run}]"
            told.append(_script())
        if event.mode:
            told.append(f"{event.mode} mode")
        if event.workers:
            told.append(_count(event.workers, "worker"))
        told.append("tasks" if event.total is None else _count(event.total, "task"))
        self._write("INFO", f"run begins: {', '.join(filter(None, told))}")

    def _fail(self, event: Failed) -> None:
        """The first of its kind with its lines of code, those after it with the place and the number."""
        if self._logger is None:
            return
        line = f"failed {event.when}: {_task_and_error(event.task, event.error)}"
        kind = kind_of(event.error)
        number = self._kinds.get(kind, 0) + 1
        if number > 1 or len(self._kinds) < MOST_KINDS:
            self._kinds[kind] = number
        if number > 1:
            self._write("ERROR", f"{line} (no. {number}{_at(kind.place)})")
        elif len(self._kinds) < MOST_KINDS:
            self._write("ERROR", "\n".join(_fitting(line, origin_of(event.error))))
        else:
            self._write("ERROR", f"{line}{_at(kind.place)}")

    def _succeed(self, tasks: list[Any], seconds: list[float]) -> None:
        took_all = sum(seconds)
        if took_all >= OWN_RECORD and max(seconds) >= OWN_RECORD:
            self._flush()
            for task, took in zip(tasks, seconds, strict=True):
                if took >= OWN_RECORD:
                    self._write("SUCCESS", f"succeeded in {took:.3f} s: {short_repr(task)}")
            quick = [i for i, took in enumerate(seconds) if took < OWN_RECORD]
            tasks = [tasks[i] for i in quick]
            took_all = sum(seconds[i] for i in quick)
        self._tasks += tasks
        self._seconds += took_all
        if len(self._tasks) >= MOST or time.monotonic() - self._written >= EVERY:
            self._flush()

    def _flush(self) -> None:
        """Write the successes that wait."""
        tasks, self._tasks = self._tasks, []
        seconds, self._seconds = self._seconds, 0.0
        each = seconds / len(tasks) if tasks else 0.0
        messages = []
        for first in range(0, len(tasks), MOST):
            for count, names in records_of(tasks[first : first + MOST]):
                head = "succeeded" if len(tasks) == 1 else f"{count} succeeded"
                messages.append(f"{head} in {each * count:.3f} s: {names}")
        self._write("SUCCESS", *messages)
        self._written = time.monotonic()

    def _write(self, level: str, *messages: str, last: bool = False) -> None:
        """A record of each message. Those after the first cost little in a file of our own."""
        if self._logger is None:
            return
        try:
            if last and self._file is not None:
                self._file.look()
            texts = [f"{self._title}: {message}" for message in messages]
            for text in texts[:1]:
                self._logger.log(level, "{}", text)
            if len(texts) > 1 and (self._file is None or not self._file.more(texts[1:])):
                for text in texts[1:]:
                    self._logger.log(level, "{}", text)
        except Exception:
            with contextlib.suppress(Exception):  # closing flushes, which fails again
                self._leave()
            raise

    def _leave(self) -> None:
        """Close the file of our own."""
        close, self._logger, self._close, self._file = self._close, None, None, None
        if close is not None:
            close()


def _task_and_error(task: Any, error: BaseException) -> str:
    return f"{short_repr(task)}: {error_text(error)}"


def _fitting(line: str, more: list[str]) -> list[str]:
    """The lines of a record, as many as it may have; of the origin the last ones, which say most."""
    left = MOST_TEXT - len(line)
    kept: list[str] = []
    for one in reversed(more):
        left -= len(one) + 1
        if left < 0:
            break
        kept.append(one)
    return [line, *reversed(kept)]


def _end(summary: Summary, total: int | None) -> str:
    """What a run came to. total: Tasks in the input, None: not known."""
    text = f"run ends after {summary.seconds:.3f} s"
    if summary.ended_early:
        text += f", broken off by {one_line(summary.ended_early)}"
    if summary.remark:
        return f"{text}: {one_line(summary.remark)}"
    counts = [f"{summary.succeeded} succeeded", f"{summary.failed} failed"]
    for number, one, more in [
        (summary.duplicates, "duplicate", "duplicates"),
        (summary.retries, "retry", "retries"),
    ]:
        if number:
            counts.append(f"{number} {one if number == 1 else more}")
    counts += left_of(summary, total)
    text += f": {', '.join(counts)}"
    if summary.kinds:
        named = [f"{kind.count} {kind.name}{_at(kind.place)}" for kind in summary.kinds[:NAMED_KINDS]]
        if len(summary.kinds) > NAMED_KINDS:
            named.append(_count(len(summary.kinds) - NAMED_KINDS, "other kind"))
        text += f"; errors: {', '.join(named)}"
    return text


def _at(place: str) -> str:
    return f" at {place}" if place else ""


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s'[: number != 1]}"


def _script() -> str | None:
    """What the script is called; None at a prompt and in a notebook."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    if not isinstance(path, str):
        return None
    file = Path(path)
    return one_line(file.parent.name if file.name == "__main__.py" else file.name)[:100]
