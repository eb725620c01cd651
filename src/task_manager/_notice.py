"""The one line on stderr at the end: that tasks failed, where nobody saw it; or what Ctrl-C has left."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import parent_process
from pathlib import Path
from time import monotonic  # bound here, as tests of other code stop the clock
from typing import Any, Protocol

from ._bars.above import is_terminal
from ._platform import this_process
from ._repr import one_line, text_of
from ._signals import ctrl_c_since
from ._summary import Summary, left_of, was_shown
from .events import Event, Failed, RunBegan, RunEnded

LONGEST = 300  # characters of the first error
MOST_LINES = 10


class Log(Protocol):
    """What is asked of a log."""

    def place(self) -> str | None:
        """Its file; None: wherever the user's own logger writes."""
        ...


class Unsaid:
    """The line about failures that one manager, or one chain, has to say where nobody has looked.

    It is said as the script ends: until then a later run may have mended what had failed, and the
    script may have printed the summary or asked for the errors.
    """

    def __init__(self) -> None:
        self.runs: int = 0  # that the line is about; 0: there is none
        self.failed: int = 0
        self.line: str = ""
        self._summary = Summary()

    def keep(self, line: str, failed: int, summary: Summary) -> None:
        """To be said in the end, unless this summary is shown before. At a prompt, and in another
        process, which ends in its own way, there is no such end: at once.
        """
        if hasattr(sys, "ps1") or sys.flags.interactive or parent_process() is not None:
            say(line)
            return
        self.runs += 1
        self.line, self.failed, self._summary = line, failed, summary
        _waiting[self] = this_process()

    def drop(self) -> None:
        """Nothing has failed any more, or somebody has looked."""
        self.runs = 0
        _waiting.pop(self, None)

    @property
    def waits(self) -> bool:
        """Whether there is a line that nobody has made unnecessary."""
        if was_shown(self._summary):
            self.drop()
        return self.runs > 0


_waiting: dict[Unsaid, object] = {}  # in which process


@atexit.register
def _say_what_waits() -> None:
    with contextlib.suppress(Exception):
        lines = [
            one.line for one, home in list(_waiting.items()) if one.waits and home is this_process()
        ]
        _waiting.clear()
        for line in lines[:MOST_LINES]:
            say(line)
        if len(lines) > MOST_LINES:
            say(f"and tasks of {len(lines) - MOST_LINES:,} more managers failed")


def say(line: str) -> None:
    """A line on stderr; where that is closed, nothing."""
    with contextlib.suppress(Exception):
        if sys.stderr is not None:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


class Notice:
    """Says at most one line about a run, or about the whole start of a chain.

        half: 3 of 300 tasks failed, the first with ValueError: 5 is odd (log: logs/...log)
        half: stopped by Ctrl-C: 120 results and 2 errors kept, 4 not started, 174 not read (log: ...)

    The first as the script ends, where tasks failed and no later run has mended it, nobody has looked,
    there is a log, no bar that has the counts, and stderr is a terminal: in a pipe a script says what it
    likes. The second at once, where Ctrl-C broke the run off. It never raises.

    title: What runs. drawn, logs: Of each stage, whether it has a bar, and its log, None: it has none;
    of a manager by itself there is one. kept: Results are kept: True, False, or "errors" for these only.
    unsaid: What is left from run to run. errors: Answers with those of all runs that are kept.
    """

    name = "notice"

    def __init__(
        self,
        title: str,
        drawn: Sequence[bool],
        logs: Sequence[Log | None],
        kept: bool | str,
        unsaid: Unsaid,
        errors: Callable[[], Mapping[Any, BaseException]],
    ) -> None:
        self._title = one_line(title)
        self._drawn = [] if os.environ.get("TQDM_DISABLE") else drawn
        self._logs = logs
        self._kept = kept
        self._unsaid = unsaid
        self._errors = errors
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
                    self._end(summary)

    def _end(self, summary: Summary) -> None:
        if self._stopped(summary):
            say(f"{self._title}: stopped by Ctrl-C: {self._left(summary)}{self._where(None)}")
        elif (self._first is not None and is_terminal(sys.stderr)) or self._unsaid.waits:
            self._tell_failures(summary)

    def _unseen(self, stage: int | None) -> bool:
        """A failure here is in the log only."""
        place = (stage or 1) - 1
        return self._logs[place] is not None and not any(self._drawn[place : place + 1])

    def _tell_failures(self, summary: Summary) -> None:
        """Those of this run; with those of earlier runs that nobody has looked at yet."""
        earlier, first = self._unsaid.waits, self._first
        if not earlier and first is not None:
            stage = f"in stage {first.stage} " if first.stage else ""
            tasks = f"{summary.failed} of {_count(summary.taken, 'task')} failed"
            self._keep(summary, tasks, summary.failed, stage, first.error, first.stage)
            return
        errors = list(self._errors().values()) if self._kept else []
        failed = len(errors) if self._kept else self._unsaid.failed + summary.failed
        if not failed:
            self._unsaid.drop()
        elif failed != self._unsaid.failed or first is not None:
            errors += [first.error] if first is not None else []
            have = "have" if failed > 1 else "has"
            tasks = f"{_count(failed, 'task')} {have} failed after {self._unsaid.runs + 1} runs"
            self._keep(summary, tasks, failed, "", errors[0], None)

    def _keep(
        self,
        summary: Summary,
        tasks: str,
        failed: int,
        where: str,
        error: BaseException,
        stage: int | None,
    ) -> None:
        text = text_of(error)
        said = text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
        first = "the first " if failed > 1 else ""
        line = f"{self._title}: {tasks}, {first}{where}with {said}{self._where(stage)}"
        self._unsaid.keep(line, failed, summary)

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
        return ", ".join([kept, *left_of(summary, self._total)])

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
