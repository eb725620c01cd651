"""The tasks that a manager has taken: the number of each, and whether it is a repeat."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from .._signals import let_through
from ..events import Event, Failed, Succeeded
from .keys import HashedKey, IdentityKey, all_hashable, key_of, key_of_unhashable


class Entered(NamedTuple):
    """Tasks as the ledger knows them.

    indices, fresh: The tasks to run, and the number of each, counted from 0 over all runs.
    repeats: The tasks that were there before.
    """

    indices: list[int]
    fresh: list[Any]
    repeats: list[Any]


class Changed(NamedTuple):
    """A task that was changed on its way: as what it was left, and the key that it had before."""

    number: int
    task: Any
    left: Hashable
    key: Hashable


class Ledger:
    """Numbers tasks as they are taken, and knows a repeat.

    A task repeats one that was taken before, unless that one failed in an earlier run: what has
    failed is run again by the next run that meets it, under its old number.

    A task keeps the key that it had when it was entered, also where the function changes it: an
    object that comes again as the function left it is the same task. One that was changed since is
    what it holds now.

    following: The number that the next new task gets.
    keys: By number, the key of each task that is unhashable, or of a class that may change its hash.
    keeps_keys: Results will be asked for by task, so that the keys are wanted.
    """

    def __init__(self, following: int = 0) -> None:
        self._numbers: dict[Hashable, int] = {}
        self.following: int = following
        self._failed: set[int] = set()
        self._again: set[int] = set()
        self.keys: dict[int, Hashable] = {}
        self.keeps_keys = True
        self._changed: dict[int, Changed] = {}  # by id; it holds the task, so the id is not another's

    def begin_run(self) -> None:
        """What failed until now may be run again, once, from here on."""
        self._again |= self._failed
        self._failed = set()
        self._let_go()

    def forget(self) -> None:
        """Every task is a new one from here on; the numbers go on."""
        self._numbers = {}
        self._failed = set()
        self._again = set()
        self._let_go()

    def restore(self, tasks: list[Any]) -> list[int]:
        """The numbers of tasks that an earlier process has taken: new ones, or those of equal tasks.

        All of them are done, but those that `fail` is told of next.
        """
        indices: list[int] = []
        known = self._number_of_changed if self._changed else self._numbers.setdefault
        for task in tasks:
            try:
                index = known(task, self.following)
            except BaseException as error:
                let_through(error)
                index = self._number_of_unhashable(task, self.following)
            self.following = max(self.following, index + 1)
            indices.append(index)
        self._failed.difference_update(indices)
        self._again.difference_update(indices)
        return indices

    def fail(self, index: int) -> None:
        """Note that this task failed for good, or that its run was broken off."""
        if self._numbers:  # otherwise nobody will ask
            self._failed.add(index)

    def number(self, count: int) -> range:
        """The next `count` numbers."""
        first = self.following
        self.following += count
        return range(first, self.following)

    def enter_all(self, tasks: list[Any]) -> Entered:
        """Take every task as a new one."""
        numbers = list(self.number(len(tasks)))
        if self.keeps_keys and not all_hashable(tasks):
            for index, task in zip(numbers, tasks, strict=True):
                key = self._key(task, key_of(task))
                if key is not task:
                    self.keys[index] = key
        return Entered(numbers, tasks, [])

    def enter_new(self, tasks: list[Any]) -> Entered:
        """Take the tasks that are new, and part the repeats from them."""
        indices: list[int] = []
        fresh: list[Any] = []
        repeats: list[Any] = []
        following = self.following
        known = self._number_of_changed if self._changed else self._numbers.setdefault
        again = self._again
        try:
            for task in tasks:
                try:
                    index = known(task, following)
                except BaseException as error:  # unhashable, or a broken __hash__ or __eq__
                    let_through(error)
                    index = self._number_of_unhashable(task, following)
                if index == following:
                    following += 1
                elif again and index in again:
                    indices.append(index)
                    fresh.append(task)
                    again.discard(index)
                    continue
                else:
                    repeats.append(task)
                    continue
                indices.append(index)
                fresh.append(task)
        except BaseException:
            # As where memory has run out. These have no owner now: the next run takes them.
            self._failed.update(indices, range(self.following, following + 1))
            self.following = following + 1
            raise
        self.following = following
        return Entered(indices, fresh, repeats)

    def _number_of_unhashable(self, task: Any, following: int) -> int:
        key = self._key(task, key_of_unhashable(task))
        index = self._numbers.setdefault(key, following)
        if self.keeps_keys:
            self.keys[index] = key
        return index

    def _number_of_changed(self, task: Any, following: int) -> int:
        """Like `setdefault`, where hashable tasks may have been changed."""
        changed = self._changed.get(id(task))
        if changed is not None and type(changed.left) is HashedKey and changed.left == key_of(task):
            return self._numbers.setdefault(changed.key, following)
        return self._numbers.setdefault(task, following)

    def _key(self, task: Any, key: Hashable) -> Hashable:
        """The key that a task had before it was changed on its way, and otherwise the one it has now."""
        changed = self._changed.get(id(task))
        if changed is not None and changed.task is task and changed.left == key:
            return changed.key
        return key

    # -------------------------------------------------------------- as an observer

    def observe(self, event: Event) -> None:
        """Note what has become of the tasks that can be changed: of others, nothing is asked."""
        match event:
            case Succeeded(indices, tasks):
                if self.keys:
                    for index, task in zip(indices, tasks, strict=True):
                        self._look(index, task)
            case Failed(index, task):
                if index in self.keys:
                    self._look(index, task)
                elif self._numbers:
                    self._look_at_hashable(index, task)

    def _look(self, index: int, task: Any) -> None:
        key = self.keys.get(index)
        if key is None:
            return
        left = key_of(task) if type(key) is HashedKey else key_of_unhashable(task)
        if left != key:
            self._changed[id(task)] = Changed(index, task, left, key)
        elif self._changed:
            self._changed.pop(id(task), None)

    def _look_at_hashable(self, index: int, task: Any) -> None:
        """A hashable task that failed. Its hash may have changed with it, so that no dict finds it."""
        left = key_of(task)
        if type(left) is HashedKey:
            key = IdentityKey(task)
            self._numbers[key] = index
            self._changed[id(task)] = Changed(index, task, left, key)

    def _let_go(self) -> None:
        """Of the tasks that results no longer have, where these have become most."""
        if len(self._changed) > 2 * len(self.keys) + 1000:
            self._changed = {
                id_: changed
                for id_, changed in self._changed.items()
                if changed.number in self.keys or changed.key in self._numbers
            }
