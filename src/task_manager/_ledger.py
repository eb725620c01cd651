"""Every task that a manager has taken: its number, and whether it was there before."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from ._ctrl_c import let_through
from ._dedupe import key_of_unhashable


class Entered(NamedTuple):
    """Tasks as the ledger knows them.

    indices, fresh: The tasks to run, and the number of each, counted from 0 over all runs.
    repeats: The tasks that were there before.
    """

    indices: list[int]
    fresh: list[Any]
    repeats: list[Any]


class Ledger:
    """Numbers tasks as they are taken, and knows a repeat.

    A task repeats one that was taken before, unless that one failed in an earlier run: what has
    failed is run again by the next run that meets it, under its old number.

    following: The number that the next new task gets.
    """

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self.following = 0
        self._failed: set[int] = set()
        self._again: set[int] = set()

    def begin_run(self) -> None:
        """What failed until now may be run again, once, from here on."""
        self._again |= self._failed
        self._failed = set()

    def forget(self) -> None:
        """Every task is a new one from here on; the numbers go on."""
        self._numbers = {}
        self._failed = set()
        self._again = set()

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
        return Entered(list(self.number(len(tasks))), tasks, [])

    def enter_new(self, tasks: list[Any]) -> Entered:
        """Take the tasks that are new, and part the repeats from them."""
        indices: list[int] = []
        fresh: list[Any] = []
        repeats: list[Any] = []
        following = self.following
        known = self._numbers.setdefault
        again = self._again
        try:
            for task in tasks:
                try:
                    index = known(task, following)
                except BaseException as error:  # unhashable, or a broken __hash__ or __eq__
                    let_through(error)
                    index = known(key_of_unhashable(task), following)
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
        except (
            BaseException
        ):  # as where memory has run out: these have no owner, the next run takes them
            self._failed.update(indices, range(self.following, following + 1))
            self.following = following + 1
            raise
        self.following = following
        return Entered(indices, fresh, repeats)
