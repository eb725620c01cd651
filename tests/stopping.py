"""What the tests of a stop share: calls that can be seen to begin, and that end when they are told."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import functions as f
from task_manager import Summary, TaskChain, TaskManager

STARTS = ["start", "start_async"]
PATIENT = 60.0  # seconds after which what should have come is missed

Managed = TaskManager[Any, Any]


def start(one: Managed | TaskChain[Any, Any], how: str, tasks: Any) -> Summary:
    """Blocking or awaited."""
    if how == "start":
        return one.start(tasks)
    if isinstance(one, TaskChain):
        return asyncio.run(one.start_chain_async(tasks))
    return asyncio.run(one.start_async(tasks))


class Held:
    """A function that leaves a file as it begins, and ends when the file `go` is there.

    quick: Tasks below this one end by themselves, in a few milliseconds.
    """

    __name__ = "held"

    def __init__(self, folder: Path, quick: int = 0) -> None:
        self.folder = folder
        self.quick = quick

    def begin(self, task: int) -> bool:
        """Whether it is one to be held."""
        (self.folder / f"begun {task}").write_text(str(os.getpid()))
        return task >= self.quick

    @property
    def on(self) -> bool:
        return not (self.folder / "go").exists()

    def __call__(self, task: int) -> int:
        time.sleep(0.004)
        if self.begin(task):
            until = time.monotonic() + PATIENT
            while self.on and time.monotonic() < until:
                time.sleep(0.002)
        return task

    # ------------------------------------------------------------------ of the test

    @property
    def begun(self) -> list[int]:
        return sorted(int(path.name.split()[1]) for path in self.folder.glob("begun *"))

    @property
    def held(self) -> list[int]:
        return [task for task in self.begun if task >= self.quick]

    def wait_for(self, count: int) -> None:
        """Until so many are held."""
        wait_until(lambda: len(self.held) >= count)

    def go(self) -> None:
        (self.folder / "go").touch()


class HeldInLoop(Held):
    """The same, as a coroutine function."""

    async def __call__(self, task: int) -> int:  # type: ignore[override]
        await asyncio.sleep(0.004)
        if self.begin(task):
            while self.on:
                await asyncio.sleep(0.002)
        return task


def held_in(way: str, folder: Path, quick: int = 0) -> Held:
    return (HeldInLoop if way == "async" else Held)(folder, quick)


def manager_of(held: Held, way: str, **options: Any) -> Managed:
    options = {"logger": None, "retry_delay": 0.0, "worker_limit": 2, **f.options_of(way), **options}
    return TaskManager(held, **options)


def wait_until(there: Callable[[], Any]) -> None:
    until = time.monotonic() + PATIENT
    while not there():
        assert time.monotonic() < until
        time.sleep(0.002)


@contextmanager
def beside(function: Callable[[], Any]) -> Iterator[list[Any]]:
    """Call it in a thread meanwhile; what it answers is in the list afterwards."""
    said: list[Any] = []
    thread = threading.Thread(target=lambda: said.append(function()))
    thread.start()
    try:
        yield said
    finally:
        thread.join()


class Counted:
    """An iterable of numbers that counts what is taken of it."""

    def __init__(self, tasks: Iterable[int]) -> None:
        self._tasks = tasks
        self.given = 0

    def __iter__(self) -> Iterator[int]:
        for task in self._tasks:
            self.given += 1
            yield task


def accounts(summary: Summary) -> bool:
    """Whether what may have begun is of what has no outcome."""
    return 0 <= summary.interrupted <= summary.not_started
