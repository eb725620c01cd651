"""The one line on stderr at the end: that tasks failed, where nobody saw it; or what Ctrl-C has left."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic  # bound here, as tests of other code stop the clock
from typing import Protocol

from ._bars.above import is_terminal
from ._platform import this_process
from ._repr import one_line, text_of
from ._signals import ctrl_c_since
from ._summary import Summary
from .events import Event, Failed, RunBegan, RunEnded

LONGEST = 300  # characters of the first error


class Log(Protocol):
    """What is asked of a log."""

    def place(self) -> str | None:
        """Its file; None: wherever the user's own logger writes."""
        ...


class Notice:
    """Says at most one line about a run, or about the whole start of a chain.

        half: 3 of 300 tasks failed, the first with ValueError: 5 is odd (log: logs/...log)
        half: stopped by Ctrl-C: 120 results and 2 errors kept, 4 not started, 174 not read (log: ...)

    The first where tasks failed, there is a log, no bar that has the counts, and stderr is a terminal:
    in a pipe, what a script says is its own. The second where Ctrl-C broke the run off. It never raises:
    where stderr is closed, nothing is said.

    title: What runs. drawn, logs: Of each stage, whether it has a bar, and its log, None: it has none;
    of a manager by itself there is one. kept: Results are kept: True, False, or "errors" for these only.
    """

    name = "notice"

    def __init__(
        self, title: str, drawn: Sequence[bool], logs: Sequence[Log | None], kept: bool | str
    ) -> None:
        self._title = one_line(title)
        self._drawn = [] if os.environ.get("TQDM_DISABLE") else drawn
        self._logs = logs
        self._kept = kept
        self._home = this_process()
        self._total: int | None = None
        self._began = monotonic()
        self._places: list[str | None] = []
        self._first: Failed | None = None

    def observe(self, event: Event) -> None:
        match event:
            case Failed() if self._first is None and self._unseen(event.stage):
                self._first = event
            case RunBegan(total):
                self._total, self._began, self._first = total, monotonic(), None
                with contextlib.suppress(Exception):
                    self._places = [None if log is None else log.place() for log in self._logs]
            case RunEnded(summary) if self._home is this_process():
                with contextlib.suppress(Exception):
                    said = self._said(summary)
                    if said and sys.stderr is not None:
                        sys.stderr.write(f"{self._title}: {said}\n")
                        sys.stderr.flush()

    def _unseen(self, stage: int | None) -> bool:
        """A failure here is in the log only."""
        place = (stage or 1) - 1
        return self._logs[place] is not None and not any(self._drawn[place : place + 1])

    def _said(self, summary: Summary) -> str | None:
        if self._stopped(summary):
            return f"stopped by Ctrl-C: {self._left(summary)}{self._where(None)}"
        if self._first is None or not is_terminal(sys.stderr):
            return None
        text = text_of(self._first.error)
        error = text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
        stage = f"in stage {self._first.stage} " if self._first.stage else ""
        tasks = f"{summary.failed} of {_count(summary.taken, 'task')} failed"
        first = "the first " if summary.failed > 1 else ""
        return f"{tasks}, {first}{stage}with {error}{self._where(self._first.stage)}"

    def _stopped(self, summary: Summary) -> bool:
        reason = summary.ended_early
        if reason is None:
            return False
        if reason.startswith("KeyboardInterrupt"):
            return True
        return "CancelledError" in reason.partition(":")[0] and ctrl_c_since(self._began)

    def _left(self, summary: Summary) -> str:
        """What is kept and what is not done."""
        results = _count(summary.succeeded, "result")
        errors = _count(summary.failed, "error")
        if self._kept == "errors":
            kept = f"{errors} kept, {_count(summary.succeeded, 'task')} had succeeded"
        elif self._kept:
            kept = f"{results} and {errors} kept"
        else:
            tasks = _count(summary.succeeded, "task")
            kept = f"{tasks} had succeeded and {summary.failed} failed, none kept"
        return ", ".join([kept, *summary.left(self._total)])

    def _where(self, stage: int | None) -> str:
        """The log: of this stage, or of the first that has one."""
        if stage is None:
            stage = next((n for n, log in enumerate(self._logs, start=1) if log is not None), 0)
        if not stage or self._logs[stage - 1] is None or not self._places:
            return ""
        place = self._places[stage - 1]
        if place is None:
            return " (see your own log)"
        return f" (log: {one_line(place)})" if Path(place).exists() else ""


def _count(count: int, one: str) -> str:
    return f"{count} {one}{'s'[: count != 1]}"
