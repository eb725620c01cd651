"""Results and errors, kept by index and offered by task. The first observer of a run that keeps them."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Any, Literal, NamedTuple

from .._signals import let_through
from ..events import Event, Failed, Succeeded
from .keys import IdentityKey, TaskDict, key_of, mapping_of

Keeps = bool | Literal["errors"]


class Kept(NamedTuple):
    """Outcomes by index: the task of each, and its result or its error."""

    tasks: dict[int, Any]
    values: dict[int, Any]
    errors: dict[int, BaseException]


class Results:
    """What came of each task: one outcome a task, a result or an error.

    Where repeats are run, the same task may be taken twice, succeed once and fail once: the outcome of
    the last time stands, in the place of the first time.

    keys: By index, the key of a task that may have changed since it was entered.
    """

    def __init__(self, keys: dict[int, Hashable] | None = None) -> None:
        self._keys = {} if keys is None else keys
        self._repeats_run = False
        self._kept = Kept({}, {}, {})
        self._count = 0  # of outcomes, when there was one a task
        self._errors_only = False
        self._failed: dict[Hashable, list[int]] = {}  # where only errors are kept: who has one, by key

    def begin_run(self, repeats: bool, keeps: Keeps = True) -> None:
        """Before each run. repeats: It may run tasks again that have their outcome.

        keeps: "errors": only these are kept; a task that succeeds loses the one that it had.

        Where such runs go on for ever, what later outcomes have replaced must not pile up; to look for
        it every time would cost small runs as much as large ones.
        """
        self._repeats_run |= repeats
        if self._repeats_run and len(self._kept.tasks) >= 2 * self._count:
            self._kept = self._without_replaced()  # at one stroke: another thread may be looking
            self._count = len(self._kept.tasks)
            for index in self._keys.keys() - self._kept.tasks.keys():
                del self._keys[index]
        self._errors_only = keeps == "errors"
        self._failed = {}
        if self._errors_only:
            for index in self._kept.errors:
                self._note_failed(index, self._kept.tasks[index])

    def observe(self, event: Event) -> None:
        kept = self._kept
        match event:
            case Succeeded(indices, tasks) if self._errors_only:
                self._let_go(indices, tasks)
            case Succeeded(indices, tasks, results):
                kept.tasks.update(zip(indices, tasks, strict=True))
                kept.values.update(zip(indices, results, strict=True))
                if kept.errors:
                    for index in indices:
                        kept.errors.pop(index, None)
            case Failed(index, task, error):
                kept.tasks[index] = task
                kept.errors[index] = error
                if self._errors_only:
                    self._note_failed(index, task)

    def _note_failed(self, index: int, task: Any) -> None:
        key = key_of(task) if index not in self._keys else self._keys[index]
        try:
            self._failed.setdefault(key, []).append(index)
        except BaseException as error:  # an __eq__ that breaks on meeting another task
            let_through(error)
            self._failed[IdentityKey(task)] = [index]

    def _let_go(self, indices: list[int], tasks: list[Any]) -> None:
        """These succeeded, and nothing of them is kept: all that is left is that their errors go."""
        kept = self._kept
        for index, task in zip(indices, tasks, strict=True) if self._failed else ():
            key = key_of(task) if index not in self._keys else self._keys[index]
            earlier = [index]
            for known in (key, IdentityKey(task)):
                try:
                    earlier += self._failed.pop(known, ())
                except BaseException as error:
                    let_through(error)
            for one in earlier:
                kept.errors.pop(one, None)
                kept.tasks.pop(one, None)
        if self._keys:
            for index in indices:
                self._keys.pop(index, None)

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
            last = self._last(tasks, {*outcomes, *others})
            places = [first for first, index in last.items() if index in outcomes]
            standing = [last[first] for first in places]
        return mapping_of(
            list(map(tasks.__getitem__, places)),
            list(map(outcomes.__getitem__, standing)),
            self._keys_of(tasks, places),
            distinct=not self._repeats_run,
        )

    def _without_replaced(self) -> Kept:
        kept, new = self._kept, Kept({}, {}, {})
        for first, index in self._last(kept.tasks, kept.tasks.keys()).items():
            new.tasks[first] = kept.tasks[first]
            if index in kept.values:
                new.values[first] = kept.values[index]
            else:
                new.errors[first] = kept.errors[index]
        return new

    def _last(self, tasks: dict[int, Any], indices: Collection[int]) -> dict[int, int]:
        """For each task among these, in order: its first index, to its last one."""
        forward = sorted(indices)
        backward = forward[::-1]
        first = mapping_of(
            [tasks[index] for index in backward], backward, self._keys_of(tasks, backward)
        )
        if isinstance(first, TaskDict):
            keys = self._keys_of(tasks, forward) or [key_of(tasks[index]) for index in forward]
            found = [first.at(key, tasks[i]) for key, i in zip(keys, forward, strict=True)]
            return {pair[1] if pair else i: i for pair, i in zip(found, forward, strict=True)}
        return {first[tasks[index]]: index for index in forward}

    def _keys_of(self, tasks: dict[int, Any], indices: list[int]) -> list[Hashable] | None:
        """The keys of these tasks; None where nothing is noted of them, as all are hashable."""
        if not self._keys or self._keys.keys().isdisjoint(indices):
            return None
        noted = map(self._keys.get, indices)
        return [
            key_of(tasks[index]) if key is None else key
            for key, index in zip(noted, indices, strict=True)
        ]
