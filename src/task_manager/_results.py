"""Results and errors, kept by index and offered by task. The first observer of every run."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from ._dedupe import TaskDict, key_of, mapping_of
from ._task import Event, Failed, Succeeded


class Results:
    """What came of each task: one outcome a task, a result or an error.

    keys: By index, the key that an unhashable task had when it was entered: it may be changed since.
    repeats_run: The same task may be run twice, succeed once and fail once; the last outcome stands.
    """

    def __init__(self, keys: Mapping[int, Hashable] | None = None) -> None:
        self._keys = {} if keys is None else keys
        self.repeats_run = False
        self._tasks: dict[int, Any] = {}
        self._values: dict[int, Any] = {}
        self._errors: dict[int, BaseException] = {}

    def observe(self, event: Event) -> None:
        match event:
            case Succeeded(indices, tasks, results):
                self._tasks.update(zip(indices, tasks, strict=True))
                self._values.update(zip(indices, results, strict=True))
                if self._errors:
                    for index in indices:
                        self._errors.pop(index, None)
            case Failed(index, task, error):
                self._tasks[index] = task
                self._errors[index] = error

    def values(self) -> Mapping[Any, Any]:
        """The result of each task that succeeded, in the order in which the tasks were taken."""
        return self._offer(self._values, self._errors)

    def errors(self) -> Mapping[Any, BaseException]:
        """The error of each task that failed, in the order in which the tasks were taken."""
        return self._offer(self._errors, self._values)

    def _offer(self, outcomes: dict[int, Any], others: dict[int, Any]) -> Mapping[Any, Any]:
        outcomes = outcomes.copy()  # another thread may be looking while the run goes on
        ordered = sorted(outcomes)
        if self.repeats_run and others:
            ordered = self._last_of_all(ordered, sorted(others))
        keyed = self._keys and not self._keys.keys().isdisjoint(ordered)
        return mapping_of(
            list(map(self._tasks.__getitem__, ordered)),
            list(map(outcomes.__getitem__, ordered)),
            list(map(self._key, ordered)) if keyed else None,
            distinct=not self.repeats_run,
        )

    def _last_of_all(self, indices: list[int], others: list[int]) -> list[int]:
        """Those of these outcomes that no other one of the same task has come after."""
        last = TaskDict(((self._tasks[index], index) for index in others), keys=map(self._key, others))
        found = [last.at(self._key(index), self._tasks[index]) for index in indices]
        return [
            index for index, pair in zip(indices, found, strict=True) if pair is None or pair[1] < index
        ]

    def _key(self, index: int) -> Hashable:
        key = self._keys.get(index)
        return key_of(self._tasks[index]) if key is None else key
