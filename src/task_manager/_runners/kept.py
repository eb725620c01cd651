"""The rule that one run is made at a time, and the runner that a manager keeps from run to run."""

from __future__ import annotations

import atexit
import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from .._platform import this_process
from .._processes import life  # noqa: F401 - what it does at exit comes after what is done here
from .._processes.unguarded import end_if_unguarded
from . import Runner


class Turn:
    """One run at a time. A copy in another process, forked or pickled, is free.

    rule: What to tell those who come too early.
    close_due: The manager was dropped while this was taken: who has it closes the runner at its end.
    """

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self.close_due = False
        self._settle()

    def _settle(self) -> None:
        # A forked child has a new lock: the old one may be held by a thread that does not exist there.
        self._home = this_process()
        self._running = threading.Lock()

    def __reduce__(self) -> tuple[type[Turn], tuple[str]]:
        return Turn, (self._rule,)

    def take(self) -> bool:
        """Whether it was free; it is then the caller's, who gives it back."""
        if self._home is not this_process():
            self._settle()
        return self._running.acquire(blocking=False)

    def give_back(self) -> None:
        self._running.release()

    @contextlib.contextmanager
    def one_run(self, name: str) -> Iterator[None]:
        """The time of a run. name: What runs, for the RuntimeError if a run is going on already.

        Every start comes through here: one without its guard ends the process of ours that comes to it.
        """
        end_if_unguarded()
        if not self.take():
            raise RuntimeError(f"{name} is running; {self._rule}")
        taken = self._running  # a copy of this process that runs on has another one by then
        try:
            yield
        finally:
            taken.release()


class KeptRunner:
    """Owns a runner, from the first run until it is shut down, dropped, or the interpreter exits.

    A copy of it in a forked process has no runner: its workers are the parent's.
    """

    def __init__(self) -> None:
        self._turn = Turn("a manager makes one run at a time")
        self._settle()

    def _settle(self) -> None:
        self._home = this_process()
        self._shutdown_due = False
        self._runner: Runner | None = None
        self._closer: weakref.finalize[..., Any] | None = None

    @contextlib.contextmanager
    def one_run(self, name: str) -> Iterator[None]:
        """The time of a run, as `Turn.one_run`."""
        if self._home is not this_process():
            self._settle()
        try:
            with self._turn.one_run(name):
                try:
                    yield
                finally:
                    self._close_if_due()
        finally:
            if self._shutdown_due:  # since that look, by another thread, while the turn was still ours
                self.shutdown()

    def runner(self, make: Callable[[], Runner]) -> Runner:
        """The runner, made when it is first needed, and again where the interpreter's exit closed it."""
        if self._runner is None or self._closer is None or not self._closer.alive:
            self._runner = make()
            self._closer = weakref.finalize(self, close_idle, self._runner, self._turn)
            _kept.add(self)
        return self._runner

    def shutdown(self) -> None:
        """End the runner, when no run is going on any more."""
        self._shutdown_due = True  # first: a run that ends before the next line sees it in `one_run`
        if self._turn.take():
            try:
                self._close_if_due()
            finally:
                self._turn.give_back()

    def close(self) -> None:
        """End the runner now."""
        if self._closer is not None:
            self._closer.detach()  # it holds the runner, and would close it a second time
        runner, self._runner, self._closer = self._runner, None, None
        self._shutdown_due = False
        if runner is not None:
            runner.close()

    def close_at_exit(self) -> None:
        """As the finalizer would. That may come after workers were killed, and they have to clean up."""
        if self._closer is not None:
            self._closer()

    def _close_if_due(self) -> None:
        if self._shutdown_due or self._turn.close_due:
            self._turn.close_due = False
            self.close()


def close_idle(runner: Runner, turn: Turn) -> None:
    """Close the runner of a manager that is dropped, or that is there at exit.

    At exit a run may be going on in a daemon thread, and a runner is not for two threads at once: then
    its processes are killed by `_processes.life`, and its threads, daemons, end with the interpreter.
    A manager that is garbage together with a stream of it comes here before that is ended.
    """
    if turn.take():
        try:
            runner.close()
        finally:
            turn.give_back()  # an atexit function that comes later may still start a run
    else:
        turn.close_due = True


_kept: weakref.WeakSet[KeptRunner] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Before `life` kills what is left: atexit begins with what came last."""
    for kept in list(_kept):
        kept.close_at_exit()
