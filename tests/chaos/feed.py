"""The input of a start, which counts what it gives."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from task_manager import END

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


class Filling:
    """A queue that a thread fills: some tasks are there at once, the others come as the run goes on."""

    def __init__(self, tasks: list[Any], into: Any, shuts_down: bool) -> None:
        self.queue = into
        self._shuts_down = shuts_down
        self._put = 0
        self._enough = threading.Event()
        self._tasks = iter(tasks)
        for task in itertools.islice(self._tasks, len(tasks) // 2):
            self._add(task)
        self._thread = threading.Thread(target=self._fill, daemon=True)
        self._thread.start()

    def _add(self, task: Any) -> None:
        self.queue.put(task)
        self._put += 1

    def _fill(self) -> None:
        for place, task in enumerate(self._tasks):
            if self._enough.wait(0.003 if place % 4 == 0 else 0.0):
                return
            self._add(task)
        self.queue.shutdown() if self._shuts_down else self.queue.put(END)

    def taken(self) -> int:
        """How many tasks somebody has got out of it. Nothing comes any more."""
        self._enough.set()
        self._thread.join()
        left = 0
        try:
            while True:
                left += self.queue.get_nowait() is not END
        except (queue.Empty, getattr(queue, "ShutDown", queue.Empty)):
            return self._put - left


class Feed:
    """The tasks of one start, as the scenario gives them.

    given: How many were given. numbered: Nobody knows, as the library reads a list by itself.
    """

    def __init__(self, scenario: Scenario, tasks: list[Any], calm: bool) -> None:
        self._scenario = scenario
        self._tasks = tasks
        self.given: int | None = 0
        self.iterable: Any
        self._filling: Filling | None = None
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
        elif kind in ("queue", "simple queue"):
            self.iterable = queue.Queue() if kind == "queue" else queue.SimpleQueue()
            shuts_down = scenario.index % 2 == 0 and hasattr(self.iterable, "shutdown")
            self._filling = Filling(tasks, self.iterable, shuts_down)
        elif kind == "async generator":
            self.iterable = self._generate_awaiting()
        elif kind == "asyncio queue":
            self.iterable = asyncio.Queue()
            for task in [*tasks, END]:
                self.iterable.put_nowait(task)
        else:
            self.iterable = self._generate()

    def settle(self) -> None:
        """The start is over: of a queue it is known now how much was taken from it."""
        if self._filling is not None:
            self.given = self._filling.taken()
        elif isinstance(self.iterable, asyncio.Queue):
            self.given = len(self._tasks) - max(0, self.iterable.qsize() - 1)  # without the end marker

    def unfinished(self) -> int:
        """For how many tasks a `join` of the queue would wait."""
        return getattr(self.iterable, "unfinished_tasks", getattr(self.iterable, "_unfinished_tasks", 0))

    async def _generate_awaiting(self) -> AsyncIterator[Any]:
        for place, task in enumerate(self._generate()):
            yield task
            if place % 5 == 0:
                await asyncio.sleep(0.001 * (place % 3))

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
