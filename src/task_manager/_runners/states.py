"""The states of workers that are threads of others, as those of an executor: made once in each of them.

Not once a batch: a state is there to be heavy.  Nobody tells us when such a worker ends.  So states are
cleaned up when the manager ends its runner, or when their process ends in peace.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from .._state import CleanUps, Maker, State, set_up


class States:
    """Owns those of one function, in one process, by the thread that makes the calls."""

    def __init__(self, make: Maker) -> None:
        self._make = make
        self._made: dict[int, State] = {}
        self._in_use: set[int] = set()
        self._closed = False
        self._clean_ups = CleanUps()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def of_this_thread(self) -> Iterator[Any]:
        """The time in which calls have it. Raises WorkerStartError where it cannot be made."""
        thread = threading.get_ident()
        with self._lock:
            self._in_use.add(thread)
        try:
            if thread not in self._made:
                self._made[thread] = set_up(self._make)
            yield self._made[thread].value
        finally:
            with self._lock:
                self._in_use.discard(thread)
                over = self._made.pop(thread, None) if self._closed else None
            if over is not None:
                self._clean_ups.tell(over.clean_up())

    def leave_alone(self) -> None:
        """A call that takes too long goes on with that of this thread; the next ones have another."""
        self._made.pop(threading.get_ident(), None)

    def close(self) -> None:
        """Clean up; those that calls have just now, when these are over."""
        with self._lock:
            self._closed = True
            idle = [thread for thread in self._made if thread not in self._in_use]
            over = [self._made.pop(thread) for thread in idle]
        for state in over:
            self._clean_ups.tell(state.clean_up())
