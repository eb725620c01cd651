"""The input of a start, which counts what it gives."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from .plan import Scenario


class InputBroke(Exception):
    """What an input raises midway."""


class NoLength:
    """An iterable whose len() raises, as that of a data loader over a stream."""

    def __init__(self, tasks: Iterator[Any]) -> None:
        self._tasks = tasks

    def __iter__(self) -> Iterator[Any]:
        return self._tasks

    def __len__(self) -> int:
        raise TypeError("has no len()")


class Feed:
    """The tasks of one start, as the scenario gives them.

    given: How many were given. numbered: Nobody knows, as the library reads a list by itself.
    """

    def __init__(self, scenario: Scenario, tasks: list[Any], calm: bool) -> None:
        self._scenario = scenario
        self._tasks = tasks
        self.given: int | None = 0
        self.iterable: Any
        kind = scenario.feed if calm or scenario.feed != "frontier" else "list"
        whole: dict[str, Callable[[list[Any]], Any]] = {"list": list, "tuple": tuple, "deque": deque}
        if kind in whole:
            self.iterable = whole[kind](tasks)
            self.given = len(tasks)
        elif kind == "frontier":
            self.iterable = deque(tasks[: (len(tasks) + 1) // 2])
            self.given = None
        elif kind == "endless":
            self.iterable = itertools.islice(self._generate(), len(tasks))
        elif kind == "no length":
            self.iterable = NoLength(self._generate())
        else:
            self.iterable = self._generate()

    def _generate(self) -> Iterator[Any]:
        for place, task in enumerate(self._tasks):
            if place == self._scenario.broken_at:
                raise InputBroke
            if self._scenario.feed == "slow" and place % 5 == 0:
                time.sleep(0.002)
            assert self.given is not None
            self.given += 1
            yield task
        if self._scenario.broken_at is not None:
            raise InputBroke
        if self._scenario.feed == "endless":
            yield from itertools.repeat(None)
