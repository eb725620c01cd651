"""A worker_state that notes what becomes of it, and calls that use it, for any process to import."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from functions import START_METHODS

FORK = "fork" if "fork" in START_METHODS else "spawn"

EACH_MODE = ["serial", "thread", "async", FORK]
"""Each mode once, where it does not matter how processes are started."""


def note(path: str, what: str) -> None:
    """A line, whole, whoever writes beside."""
    with open(path, "a") as file:
        file.write(f"{what} {os.getpid()}:{threading.get_ident()}\n")


def noted(path: Any, what: str) -> list[str]:
    """Which workers have noted this."""
    if not Path(path).exists():
        return []
    lines = [line.split() for line in Path(path).read_text().splitlines()]
    return [worker for said, worker in lines if said == what]


class Noted:
    """A worker_state that notes its set-ups and clean-ups in a file, as a generator."""

    def __init__(self, path: Any, slow: float = 0.0, wrong: str = "") -> None:
        self.path, self.slow, self.wrong = str(path), slow, wrong

    def __call__(self) -> Iterator[str]:
        note(self.path, "up")
        yield self.path
        if self.wrong:
            raise OSError(self.wrong)
        time.sleep(self.slow)
        note(self.path, "down")


def use(state: str, task: Any) -> Any:
    """A call that knows its worker's state."""
    note(state, "call")
    time.sleep(0.01)
    return task


def the_state(state: Any, task: Any) -> Any:
    return state


def at_rest(path: Any, count: int) -> list[str]:
    """The clean-ups, when so many have been noted or some seconds are over."""
    deadline = time.monotonic() + 5
    while len(noted(path, "down")) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return noted(path, "down")
