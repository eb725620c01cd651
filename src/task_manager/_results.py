"""Results and errors, kept by index and offered by task. The first observer of every run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from ._dedupe import mapping_of
from ._task import Event, Failed, Succeeded


class Kept(NamedTuple):
    """Outcomes by index: the task of each, and its result or its error."""

    tasks: dict[int, Any]
    values: dict[int, Any]
    errors: dict[int, BaseException]


class Results:
    """What came of each task: one outcome a task, a result or an error.

    Where repeats are run, the same task may be taken twice, succeed once and fail once: the outcome of
    the last time stands, in the place of the first time.
    """

    def __init__(self) -> None:
        self._repeats_run = False
        self._kept = Kept({}, {}, {})
        self._count = 0  # of outcomes, when there was one a task

    def begin_run(self, repeats: bool) -> None:
        """Before each run. repeats: It may run tasks again that have their outcome.

        Where such runs go on for ever, what later outcomes have replaced must not pile up; to look for
        it every time would cost small runs as much as large ones.
        """
        self._repeats_run |= repeats
        if self._repeats_run and len(self._kept.tasks) >= 2 * self._count:
            self._kept = self._without_replaced()  # at one stroke: another thread may be looking
            self._count = len(self._kept.tasks)

    def observe(self, event: Event) -> None:
        kept = self._kept
        match event:
            case Succeeded(indices, tasks, results):
                kept.tasks.update(zip(indices, tasks, strict=True))
                kept.values.update(zip(indices, results, strict=True))
                if kept.errors:
                    for index in indices:
                        kept.errors.pop(index, None)
            case Failed(index, task, error):
                kept.tasks[index] = task
                kept.errors[index] = error

    def values(self) -> Mapping[Any, Any]:
        """The result of each task that succeeded, in the order in which the tasks were first taken."""
        kept = self._kept
        return self._offer(kept.tasks, kept.values, kept.errors)

    def errors(self) -> Mapping[Any, BaseException]:
        """The error of each task that failed, in the order in which the tasks were first taken."""
        kept = self._kept
        return self._offer(kept.tasks, kept.errors, kept.values)

    def _offer(
        self, tasks: dict[int, Any], outcomes: dict[int, Any], others: dict[int, Any]
    ) -> Mapping[Any, Any]:
        outcomes = outcomes.copy()  # another thread may be looking while the run goes on
        places = standing = sorted(outcomes)
        if self._repeats_run and others:
            last = _last(tasks, {*outcomes, *others})
            places = [first for first, index in last.items() if index in outcomes]
            standing = [last[first] for first in places]
        return mapping_of(
            list(map(tasks.__getitem__, places)), list(map(outcomes.__getitem__, standing))
        )

    def _without_replaced(self) -> Kept:
        kept, new = self._kept, Kept({}, {}, {})
        for first, index in _last(kept.tasks, kept.tasks.keys()).items():
            new.tasks[first] = kept.tasks[first]
            if index in kept.values:
                new.values[first] = kept.values[index]
            else:
                new.errors[first] = kept.errors[index]
        return new


def _last(tasks: dict[int, Any], indices: Collection[int]) -> dict[int, int]:
    """For each task among these, in order: its first index, to its last one."""
    forward = sorted(indices)
    backward = forward[::-1]
    last = mapping_of([tasks[index] for index in forward], forward)
    first = mapping_of([tasks[index] for index in backward], backward)
    return {first.get(task, index): index for task, index in last.items()}
