"""The wish that a run ends before its input does: said anywhere, obeyed by the run.

     any thread, hook, signal handler                the run, in its own thread
     Stop.stop, ask ─┬▶ reason ───────────────────▶  reads nothing more, gives out nothing more
                     ├▶ calls taken: none is left ▶  what was not begun comes home as Unrun
                     └▶ followers: runners, stages   the same in other processes and loops

It may be said between any two steps of the run, by a handler in the run's own thread too.  So to say it
waits for nothing and takes no lock: it sets what is looked at once a batch, and takes away what is
left of the batches that are being worked on.  A call that is not stopped pays nothing for that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

from ._platform import this_process
from ._signals import HeldSignals

STOPPED = "stop()"
STOPPED_AT_ONCE = "stop(), called twice"


class StoppedAtOnce(BaseException):
    """Ends a run whose Stop wants that what runs is ended, too. Never seen by who called `start`."""

    def __init__(self, stop: Stop, why: str = STOPPED_AT_ONCE) -> None:
        super().__init__(why)
        self.stop = stop


class Stop:
    """Belongs to one run, or to one start of a chain: what is said of it cannot stop the next one.

    signals: Held back by the run. in_loop: It flows in an event loop, perhaps beside others.
    reason: Why the run is to end; None: it is not.
    at_once: What runs is to be ended, as by a Ctrl-C.
    """

    def __init__(self, signals: HeldSignals | None = None, in_loop: bool = False) -> None:
        self.reason: str | None = None
        self.at_once: bool = False
        self._signals = signals
        self._in_loop = in_loop
        self._home = this_process()
        self._said = count()  # how often `stop` was called: two threads must not both be the first
        self._taken: dict[object, Iterator[Any]] = {}  # by the worker, the calls that it has before it
        self._followers: list[Callable[[], None]] = []

    @property
    def asked(self) -> bool:
        return self.reason is not None

    def stop(self) -> bool:
        """What a user's `stop()` says: end cleanly, and the second time, at once.

        False in a copy of the process: the run is not there.
        """
        if self._home is not this_process():
            return False
        if next(self._said):
            self.end_at_once()
        else:
            self.ask(STOPPED)
        return True

    def ask(self, reason: str) -> None:
        """Finish what runs, begin nothing more. The first reason stands."""
        if self.reason is None:
            self.reason = reason
        for calls in tuple(self._taken.values()):
            exhaust(calls)
        self._tell()

    def ask_for(self, reason: str | None) -> None:
        """Ask, where a rule has found a reason."""
        if reason is not None:
            self.ask(reason)

    def end_at_once(self) -> None:
        """End what runs, too: noticed by the run, or raised in it if a handler has interrupted it."""
        self.ask(STOPPED_AT_ONCE)
        self.at_once = True
        if self._signals is not None:
            self._signals.raise_after_handler(StoppedAtOnce(self), innermost=self._in_loop)
        self._tell()

    def obey(self, at_once: bool, reason: str = STOPPED) -> None:
        """As another Stop has it, which was asked in another process."""
        self.ask(reason)
        self.at_once |= at_once

    def check(self) -> None:
        """Called by the run, turn by turn: raise StoppedAtOnce where that is wanted."""
        if self.at_once:
            raise StoppedAtOnce(self)

    def take(self, worker: object, calls: Sequence[Any]) -> Iterator[Any]:
        """The calls of a batch, for the worker that makes them: none is left once it is asked."""
        taken = iter(calls)
        self._taken[worker] = taken
        if self.reason is not None:  # after the line before: one of the two sees what the other did
            exhaust(taken)
        return taken

    def forget(self, worker: object) -> None:
        """This worker takes no more calls."""
        self._taken.pop(worker, None)

    def follow(self, follower: Callable[[], None]) -> None:
        """Have this called, by whoever asks and in his thread, as often as it is asked."""
        self._followers.append(follower)
        if self.reason is not None:
            follower()

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _nothing, ()  # a copy in another process has no run

    def over(self) -> None:
        """The run is: nobody is told any more."""
        self._followers.clear()
        self._taken.clear()
        if self._signals is not None:
            self._signals.forget(lambda error: isinstance(error, StoppedAtOnce) and error.stop is self)
            # Workers that are kept hold this; a loop's handler in there would hold all its frames.
            self._signals = None

    def _tell(self) -> None:
        for follower in tuple(self._followers):
            follower()


def _nothing() -> None:
    """What a Stop is where its run is not."""


class Followed:
    """The Stop of the run that a runner makes calls for just now: it is kept from run to run."""

    __slots__ = ("stop",)

    def __init__(self) -> None:
        self.stop: Stop = Stop()


def exhaust(calls: Iterator[Any]) -> None:
    """Leave nothing in it. One step, where the iterator is no code of Python's."""
    deque(calls, maxlen=0)
