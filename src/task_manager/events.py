"""The news of a run, as observers are told it: frozen values, and the one verb of an observer.

They hold columns where they speak of many tasks: position i of every list of an event speaks of the
same task.  An index is the number of a task in its manager, from 0, in the order in which tasks are
taken; it stays the same over all runs.  In a chain's own events it is the number of the initial task.

In a chain each event has its `stage`, counted from 1; in a manager by itself that is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

from ._summary import Summary

__all__ = [
    "Attempted",
    "Event",
    "Failed",
    "Observer",
    "Passed",
    "Repeated",
    "Retrying",
    "RunBegan",
    "RunEnded",
    "Succeeded",
    "Waiting",
]


@dataclass(frozen=True, slots=True, eq=False)
class RunBegan:
    """The first event of a run.

    total: Tasks to come; None where nobody knows.
    mode: Its execution mode; of a chain, the chain mode.
    workers: How many calls may run at the same time; None for a chain.
    run: Its number among the runs of this process, from 1; a start of a chain and the run of each of its
        stages have one each.
    """

    total: int | None
    stage: int | None = None
    mode: str | None = None
    workers: int | None = None
    run: int = 0


_runs = count(1)


def next_run() -> int:
    """The number of the run that begins now."""
    return next(_runs)


@dataclass(frozen=True, slots=True, eq=False)
class Attempted:
    """Calls that were made, whatever came of them; told before the events of their outcomes.

    numbers: Of each attempt, from 1.
    workers: Which worker made the call, from 0; one that replaces another has its number. The calls of
        one worker do not overlap.
    began: When each call began, in seconds of `time.perf_counter`, which all processes of a machine
        share.
    seconds: How long each took; of one that was ended, until then.
    failed: The indices of those that raised, took too long, or ended their worker.
    """

    indices: Sequence[int]
    numbers: Sequence[int]
    workers: Sequence[int]
    began: Sequence[float]
    seconds: Sequence[float]
    failed: frozenset[int]
    stage: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Succeeded:
    """These tasks have their results: in a chain, those of the last stage.

    seconds: How long the last call for each took; in a chain, in the last stage.
    attempts: How many it took.
    """

    indices: list[int]
    tasks: list[Any]
    results: list[Any]
    seconds: list[float]
    attempts: list[int]
    stage: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Passed:
    """In a chain: these initial tasks have their results of a stage, and go on to the next one.

    tasks: The initial ones. results: Of this stage. Otherwise as `Succeeded`.
    """

    indices: list[int]
    tasks: list[Any]
    results: list[Any]
    seconds: list[float]
    attempts: list[int]
    stage: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """A task has its error for good.

    attempts: How many there were; 0 where no call was made.
    seconds: How long the last call took; None where there was none, or where nobody knows.
    """

    index: int
    task: Any
    error: BaseException
    attempts: int
    seconds: float | None = None
    stage: int | None = None

    @property
    def when(self) -> str:
        """For people: "after 4 attempts"."""
        if self.attempts == 0:
            return "before its first attempt"
        return f"after {self.attempts} attempt{'s'[: self.attempts != 1]}"


@dataclass(frozen=True, slots=True, eq=False)
class Retrying:
    """Attempt `number` of this task failed; the next one is due in `delay` seconds."""

    index: int
    task: Any
    error: BaseException
    number: int
    delay: float
    stage: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Repeated:
    """These tasks were taken before and are not run again."""

    tasks: list[Any]
    stage: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """Nothing has come for some tenths of a second: time to write or draw what was held back."""

    stage: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RunEnded:
    """The last event of a run, also of one that was broken off."""

    summary: Summary
    stage: int | None = None


Event = RunBegan | Attempted | Succeeded | Passed | Failed | Retrying | Repeated | Waiting | RunEnded


class Observer(Protocol):
    """Takes the news of runs: `TaskManager(..., observers=[yours])`.

    It is told in the thread that called `start`, between the steps of the run: what it does, the run
    waits for.  One that raises is told nothing more in that run, with one RuntimeWarning that names it:
    by its attribute `name` if it has one, and by its class otherwise.  The run goes on.

    Further events may be added by later versions: ignore those that you do not know.
    """

    def observe(self, event: Event, /) -> None:
        """Take in an event."""
        ...
