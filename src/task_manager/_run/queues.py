"""Tasks from a queue: taken as they are put in, until it is shut down or gives the end marker.

Nothing is taken that there is no room for.  A read waits in `get`, with a limit in time, and signals
are held back meanwhile: what a handler raised between the queue's answer and our note of it would lose
a task.  In an event loop a read never waits: the queue is looked at every few milliseconds instead, as
of a thread that waits in `get` nobody could say, when the run ends, whether it has just taken a task.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic  # bound here, as tests of other code stop the clock
from typing import Any

from .._signals import HeldSignals, let_through
from ..events import Event, Failed, Observer, Repeated, Succeeded
from .source import PATIENCE, is_of_the_input

LOOK = 0.008  # seconds between two looks at a queue that had nothing, in an event loop

# What the `get` of a queue that is shut down raises, from Python 3.13 on.
_SHUT_DOWN: tuple[type[Exception], ...] = tuple(
    kind for kind in [getattr(queue, "ShutDown", None), getattr(asyncio, "QueueShutDown", None)] if kind
)


class _End:
    """The type of END. In a PriorityQueue it comes after all that it is compared with."""

    def __repr__(self) -> str:
        return "task_manager.END"

    def __reduce__(self) -> str:
        return "END"  # pickled by its name, so that a copy from another process is this very object

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return other is not self


END: Any = _End()
"""Put into a queue that is the input of a run: no task comes any more.

Whoever reads it ends there, and leaves what lies behind it in the queue.
"""


class QueueSource:
    """Tasks from a queue.Queue, one of its subclasses, or a queue.SimpleQueue.

    observers: One that says `task_done` to the queue for each task that has its outcome.
    """

    remaining = None

    def __init__(self, tasks: queue.Queue[Any] | queue.SimpleQueue[Any]) -> None:
        self._queue = tasks
        self._last_first = issubclass(type(tasks), queue.LifoQueue)
        self._ending = False  # the end marker has come, and what was put in before it is yet to come
        self.observers: tuple[Observer, ...] = (TaskDone(tasks),) if hasattr(tasks, "task_done") else ()
        self.ended = False
        self.error: Exception | None = None
        self.dropped = 0

    def read(self, limit: int, wait: float, signals: HeldSignals) -> list[Any]:
        tasks: list[Any] = []
        deadline = monotonic() + wait + PATIENCE  # that of a subclass may be slow
        try:
            while len(tasks) < limit and not self.ended:
                task = self._get(0.0 if tasks else wait)
                if task is END:
                    self._end()
                else:
                    tasks.append(task)
                    if monotonic() >= deadline:
                        break
        except queue.Empty:
            self.ended = self._ending
        except _SHUT_DOWN:
            self.ended = True
        except BaseException as error:
            if not is_of_the_input(error):
                self.dropped = len(tasks)
                raise
            self.error = error
            self.ended = True
        return tasks

    async def wait(self, seconds: float) -> None:
        until = monotonic() + seconds
        seems_empty = True
        while seems_empty and (left := until - monotonic()) > 0:
            await asyncio.sleep(min(left, LOOK))
            try:
                seems_empty = self._queue.empty() and not getattr(self._queue, "is_shutdown", False)
            except Exception as error:  # the read that comes next will tell
                let_through(error)
                seems_empty = False

    async def close(self) -> None:
        """Nobody else reads for it."""

    def _get(self, wait: float) -> Any:
        return (
            self._queue.get(timeout=wait) if wait > 0 and not self._ending else self._queue.get_nowait()
        )

    def _end(self) -> None:
        """Of a stack the marker is the first to come: what lies below was put in before it."""
        self._ending = self._last_first
        self.ended = not self._ending
        with suppress(AttributeError, ValueError):
            self._queue.task_done()  # type: ignore[union-attr] # a SimpleQueue has none


class TaskDone:
    """The observer that tells a queue of each task that has its outcome, so that its `join` returns."""

    name = "task_done of the queue"

    def __init__(self, tasks: Any) -> None:
        self._queue = tasks

    def observe(self, event: Event) -> None:
        match event:
            case Succeeded(indices):
                self._tell(len(indices))
            case Failed():
                self._tell(1)
            case Repeated(tasks):
                self._tell(len(tasks))

    def _tell(self, count: int) -> None:
        for _ in range(count):
            self._queue.task_done()


async def tasks_of(tasks: asyncio.Queue[Any]) -> AsyncIterator[Any]:
    """The tasks from a queue of an event loop, as an async iterable."""
    ending = False
    with suppress(asyncio.QueueEmpty, *_SHUT_DOWN):
        while True:
            task = tasks.get_nowait() if ending else await tasks.get()
            if task is not END:
                yield task
                continue
            with suppress(ValueError):
                tasks.task_done()
            ending = issubclass(type(tasks), asyncio.LifoQueue)
            if not ending:
                return
