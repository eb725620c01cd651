"""Progress where no bar can move, as in a pipe, a log of CI, or cron: a line from time to time."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from time import monotonic
from typing import TextIO

EVERY = 30.0  # seconds from a line to the next one


class Lines:
    """Writes `Reading: 120/300, 2 failed, 4 retried, 41 task/s`, at times and at the end.

    As of a bar, `TQDM_MININTERVAL` is the time between two, in seconds, and `TQDM_DISABLE` writes none.
    file: None: nowhere.
    """

    def __init__(
        self,
        total: int | None,
        desc: str,
        file: TextIO | None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._total = total
        self._desc = desc
        self._file = None if os.environ.get("TQDM_DISABLE") else file
        self._every = _interval(os.environ.get("TQDM_MININTERVAL"))
        self._clock = clock
        self._began = self._written = clock()
        self._done = 0
        self._note = ""
        self._closed = False

    def show(self, done: int, note: str) -> None:
        """So many more are done. note: The counts of failures and retries."""
        self._done += done
        self._note = note
        self.refresh()

    def refresh(self) -> None:
        """Write a line if it is time."""
        now = self._clock()
        if now - self._written >= self._every and not self._closed:
            self._written = now
            self._write()

    def settle(self) -> None:
        """What is done is all there was."""
        if self._total is not None:
            self._total = self._done

    def close(self, good: bool) -> None:
        """Write the last line. good: As it says by itself."""
        if not self._closed:
            self._closed = True
            self._write()

    def _write(self) -> None:
        if self._file is None:
            return
        parts = [f"{self._done} task" if self._total is None else f"{self._done}/{self._total}"]
        if self._note:
            parts.append(self._note)
        seconds = self._clock() - self._began
        if self._done and seconds > 0:
            parts.append(rate(self._done / seconds))
        head = f"{self._desc}: " if self._desc else ""
        self._file.write(f"{head}{', '.join(parts)}\n")
        self._file.flush()


def rate(per_second: float) -> str:
    """For people, in tasks a second or in seconds a task."""
    if per_second >= 10:
        return f"{per_second:.0f} task/s"
    return f"{per_second:.1f} task/s" if per_second >= 1 else f"{1 / per_second:.1f} s/task"


def _interval(said: str | None) -> float:
    try:
        seconds = float(said or EVERY)
    except ValueError:
        return EVERY
    return EVERY if math.isnan(seconds) else seconds
