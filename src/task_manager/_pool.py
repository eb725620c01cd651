"""The runner that a manager keeps from run to run, and the rule that it makes one run at a time."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from ._runners import Runner


class Pool:
    """Owns a runner, from the first run until it is shut down, dropped, or the interpreter exits.

    A copy of it in a forked process has no runner: its workers are the parent's.
    """

    def __init__(self) -> None:
        self._settle()

    def _settle(self) -> None:
        self._home = os.getpid()
        self._running = threading.Lock()
        self._shutdown_due = False
        self._runner: Runner | None = None
        self._closer: weakref.finalize[..., Any] | None = None

    @contextlib.contextmanager
    def one_run(self, name: str) -> Iterator[None]:
        """The time of a run. name: What runs, for the RuntimeError if a run is going on already."""
        if self._home != os.getpid():
            self._settle()
        if not self._running.acquire(blocking=False):
            raise RuntimeError(f"{name} is running; a manager makes one run at a time")
        try:
            yield
        finally:
            self._let_go()

    def runner(self, make: Callable[[], Runner]) -> Runner:
        """The runner, made when it is first needed."""
        if self._runner is None:
            self._runner = make()
            self._closer = weakref.finalize(self, close_idle, self._runner, self._running)
        return self._runner

    def shutdown(self) -> None:
        """End the runner, when no run is going on any more."""
        self._shutdown_due = True
        if self._running.acquire(blocking=False):
            self._let_go()

    def close(self) -> None:
        """End the runner now."""
        if self._closer is not None:
            self._closer.detach()
        if self._runner is not None:
            self._runner.close()
        self._runner = self._closer = None
        self._shutdown_due = False

    def _let_go(self) -> None:
        if self._shutdown_due:
            self.close()
        self._running.release()


def close_idle(runner: Runner, running: threading.Lock) -> None:
    """Close the runner of a pool that is dropped, or left at exit.

    At exit a run may be going on in a daemon thread, and a runner is no business of two threads: then
    what it has started is ended as `_processes` and `thread` say.
    """
    if running.acquire(blocking=False):
        runner.close()
