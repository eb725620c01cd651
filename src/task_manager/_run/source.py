"""Where tasks come from. A source is read in the caller's own thread, as far as there is room."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from time import monotonic  # bound here, as tests of other code stop the clock
from typing import Any, Protocol, TypeGuard

from .._signals import HeldSignals, comes_from_a_handler, let_through
from ..errors import ConfigurationError
from ..events import Observer

PATIENCE = 0.01  # seconds that are spent on reading a batch, before what was read must go

# Their iterators do not wait, so they may be read a batch at a time.
_READY = (list, tuple, range, str, bytes, dict, set, frozenset, deque)


class Source(Protocol):
    """Tasks, in the order in which they are to be taken.

    ended: The source has no more to give.
    error: What it raised at its end, or None.
    remaining: Tasks not read yet; None where nobody knows.
    dropped: How many tasks had been read for a batch when a signal's handler raised; they are in no run.
    """

    error: Exception | None

    @property
    def dropped(self) -> int: ...

    @property
    def ended(self) -> bool: ...

    @property
    def remaining(self) -> int | None: ...

    def read(self, limit: int, wait: float, signals: HeldSignals) -> list[Any]:
        """Up to `limit` tasks; waits up to `wait` seconds where the first is not there yet."""
        ...

    async def wait(self, seconds: float) -> None:
        """In an event loop, where nothing was there: until something may be, or so many seconds."""
        ...

    async def close(self) -> None:
        """In an event loop: read no more, whether it has ended or not. Closing twice is closing once."""
        ...


class Input(Source, Protocol):
    """What the user gave as the tasks.

    observers: To be told what becomes of the tasks.
    """

    @property
    def observers(self) -> tuple[Observer, ...]: ...


def is_of_the_input(error: BaseException) -> TypeGuard[Exception]:
    """Whether the input has raised this, which ends it; what else comes out of a read ends the run."""
    return issubclass(type(error), Exception) and not comes_from_a_handler(error)


class IterableSource:
    """Tasks from an iterable: a list, a generator, a cursor, without an end if it likes.

    One that waits lets the run wait with it: nobody can tell it from one that computes.
    """

    observers: tuple[Observer, ...] = ()

    def __init__(self, tasks: Iterable[Any]) -> None:
        try:
            self._tasks: Iterator[Any] = iter(tasks)
        except TypeError:
            raise ConfigurationError(
                f"tasks must be an iterable of tasks, as a list; got {type(tasks).__name__}"
            ) from None
        self._ready = any(type(tasks) is kind for kind in _READY)
        self._size = _size_of(tasks)
        self._count = 0
        self.ended = False
        self.error: Exception | None = None
        self.dropped = 0

    @property
    def remaining(self) -> int | None:
        return None if self._size is None else max(0, self._size - self._count)

    def read(self, limit: int, wait: float, signals: HeldSignals) -> list[Any]:
        tasks: list[Any] = []
        try:
            if self._ready:
                tasks += islice(self._tasks, limit)  # keeps what came before an error
                over = len(tasks) < limit
            else:
                over = self._read_by_one(tasks, limit, signals)
        except BaseException as error:
            if not is_of_the_input(error):
                self.dropped = len(tasks)
                raise
            self.error = error
            self.ended = True
        else:
            self.ended = over
        self._count += len(tasks)
        return tasks

    async def wait(self, seconds: float) -> None:
        """It has always something, or has ended."""

    async def close(self) -> None:
        """It is read no more by itself."""

    def _read_by_one(self, tasks: list[Any], limit: int, signals: HeldSignals) -> bool:
        """As far as the tasks come at once: a slow input does not hold back what has come.

        Answers whether that was all. A signal's handler may interrupt the iterator, but not between its
        answer and our note of it.
        """
        deadline = monotonic() + PATIENCE
        try:
            signals.deliver()
            signals.allowed = True
            for task in islice(self._tasks, limit):
                signals.allowed = False
                tasks.append(task)
                if monotonic() >= deadline:
                    return False
                signals.deliver()
                signals.allowed = True
            return len(tasks) < limit
        finally:
            signals.allowed = False


def _size_of(tasks: Iterable[Any]) -> int | None:
    """How many there are; None where nobody knows, or `len` raises, as of a stream or a long range."""
    try:
        return len(tasks) if isinstance(tasks, Sized) else None
    except BaseException as error:
        let_through(error)
        return None
