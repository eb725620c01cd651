"""What is seen in a journal: frozen values, each of the type that it says, whatever the file holds.

A column of SQLite's may hold anything, and a journal may come from anywhere.  So each value is made by a
function here that takes anything and never raises.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, NamedTuple


class Cell(NamedTuple):
    """A task.

    value: Itself, where it is a text, a number or None; otherwise the short text that was stored of it.
    plain: Which of the two.
    """

    value: str | int | float | None
    plain: bool


class Error(NamedTuple):
    """What a task failed with: the type, the last line of the user's code, the message, all lines."""

    kind: str
    place: str
    said: str
    traceback: str


class TaskSeen(NamedTuple):
    """A row of a task.

    stage: How many stages of a chain are behind it. at: When its outcome was recorded.
    """

    id: int
    task: Cell
    state: int
    stage: int | None
    attempts: int | None
    seconds: float | None
    at: float | None
    run: int | None
    error: Error | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Failed tasks with errors of one type from one place. first: Some of them, each with its error.

    last_id: Of the last of them.
    """

    kind: str
    place: str
    count: int
    first: tuple[TaskSeen, ...]
    last_id: int


@dataclass(frozen=True, slots=True)
class RunSeen:
    """A run.

    total: Tasks that were to come; None where nobody knew.
    counts: Of its summary; empty where no end is recorded.
    done, failed: Tasks whose last outcome is of it; None: not counted.
    last_at: When the last of these was recorded.
    going: Whether it goes on; None where its end is recorded.
    """

    run: int
    began: float | None
    ended: float | None
    mode: str
    workers: int | None
    total: int | None
    pid: int | None
    host: str
    counts: dict[str, Any]
    ended_early: str | None
    done: int | None = None
    failed: int | None = None
    last_at: float | None = None
    going: bool | None = None

    @property
    def until(self) -> float | None:
        """When it ended, or the last that is known of it."""
        return self.last_at if self.ended is None else self.ended


@dataclass(frozen=True, slots=True)
class Seen:
    """All that is shown of a journal, but for its lists.

    functions: "module:name", of a chain one a stage.
    stages: How many tasks are in which state behind how many stages; of a chain only.
    runs: The last ones, the oldest first. runs_in_all: How many there are.
    recent: Outcomes of the last run in the last ten seconds.
    rate, rate_now: Outcomes a second in the last run, and in these seconds, if it goes on.
    groups: The most frequent first. groups_in_all: How many there are.
    """

    functions: tuple[str, ...]
    chain: bool
    codec: str
    made: float | None
    now: float
    tasks: int
    counts: dict[int, int]
    stages: dict[tuple[int, int], int]
    runs: tuple[RunSeen, ...]
    runs_in_all: int
    recent: int
    rate: float | None
    slowest: tuple[TaskSeen, ...]
    groups: tuple[Group, ...]
    groups_in_all: int
    rate_now: float | None = None

    @property
    def last(self) -> RunSeen | None:
        """The last run."""
        return self.runs[-1] if self.runs else None

    @property
    def going(self) -> bool:
        """Whether a run goes on."""
        return self.last is not None and bool(self.last.going)


def whole(value: Any) -> int | None:
    """A whole number, or None."""
    return value if type(value) is int else None


def number(value: Any) -> float | None:
    """A number that is one, or None."""
    if type(value) is int:
        return float(value)  # SQLite's have 64 bits
    return value if type(value) is float and math.isfinite(value) else None


def text(value: Any) -> str:
    """A text, "" for what is none."""
    return value if type(value) is str else ""


def cell(value: Any, plain: Any) -> Cell:
    """A task, of the columns that `rows` selects for it."""
    if not plain:
        return Cell(value if type(value) is str else "(no text of it)", plain=False)
    if value is None or type(value) in (str, int) or number(value) is not None:
        return Cell(value, plain=True)
    return Cell(str(value) if type(value) is float else "(no text of it)", plain=False)


def parsed(value: Any) -> Any:
    """What a JSON text says, or None."""
    try:
        return json.loads(text(value))
    except (ValueError, RecursionError):
        return None


def counts_of(value: Any) -> dict[str, Any]:
    """The counts of a summary: what is a number or a text of them."""
    found = parsed(value)
    if type(found) is not dict:
        return {}
    return {
        name: one
        for name, one in found.items()
        if number(one) is not None or one is None or type(one) is str
    }


def functions_of(value: Any) -> tuple[str, ...]:
    """The names of the functions."""
    found = parsed(value)
    return tuple(map(text, found)) if type(found) is list else ()
