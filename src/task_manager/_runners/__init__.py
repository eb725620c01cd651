"""The modes: a table from the name that a user picks to the runner that serves it; what a runner is.

What else a user may pick, as an executor, is in `modes.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from .._call import Slot
from .._platform import cores
from .._rules.batch_size import TARGET
from .._stop import Stop
from .._task import Batch, Outcomes, Unrun

Answer = tuple[Batch, Outcomes | Unrun]
MakesExecutor = Callable[[], Executor]
NotBegun = Iterable[tuple[Batch, Sequence[int]]]  # attempts, by their positions in each batch


class Runner(Protocol):
    """Makes the calls of batches. It decides nothing.

    workers: How many calls it makes at the same time.
    sharing: How many of them take from the same batch.
    calls_here: `collect` makes the calls itself, in its caller's thread.
    wakes: `wake` has an effect. If not, a run that waits for something else too asks it again and again.
    """

    workers: int
    sharing: int
    calls_here: bool
    wakes: bool

    def follow(self, stop: Stop) -> None:
        """A run begins. When it is asked to stop, no call begins any more: what has not begun comes
        home as Unrun. A runner that cannot keep a worker from beginning a call may let it.
        """
        ...

    def room(self, depth: int) -> bool:
        """Whether one more batch may be submitted, where a worker may hold `depth` of them."""
        ...

    def submit(self, batch: Batch) -> None:
        """Take a batch. Its outcomes come out of `collect`, in parts as they are there."""
        ...

    def collect(self, timeout: float) -> list[Answer]:
        """The outcomes since the last time; waits up to `timeout` seconds for the first."""
        ...

    def begins(self) -> Iterable[tuple[int, float]]:
        """Of calls that go on: the index of the task, and when it began, by the clock of `_call`.

        Where none is named though some go on, a rate limit waits for their outcomes.
        """
        ...

    def wake(self) -> None:
        """Have a `collect` that waits return now. Any thread may say so, and a signal handler."""
        ...

    def close(self) -> None:
        """End all workers, also those in the middle of a call. Closing twice is closing once."""
        ...

    def not_begun(self) -> NotBegun | None:
        """Asked of a closed runner: which attempts without an outcome had surely not begun their call.

        None: it does not know. Attempts that are not named are taken for begun.
        """
        ...


class AwaitedRunner(Protocol):
    """The same for an event loop."""

    workers: int
    sharing: int
    wakes: bool

    def follow(self, stop: Stop) -> None: ...

    def room(self, depth: int) -> bool: ...

    def submit(self, batch: Batch) -> None: ...

    async def collect(self, timeout: float) -> list[Answer]: ...

    def begins(self) -> Iterable[tuple[int, float]]: ...

    def wake(self) -> None: ...

    async def close(self) -> None: ...

    def not_begun(self) -> NotBegun | None: ...


@dataclass(frozen=True, slots=True)
class Orders:
    """What a manager orders of a runner.

    workers: How many calls may run at the same time.
    task_timeout: Seconds that a call may take, or None.
    start_method: How worker processes are started; None: the platform's default.
    slot: Where a runner that makes the calls itself tells its current task, by its index.
    executor: One that makes the calls, or what makes it.
    limited: The user wants so many workers; if not, an executor that tells how many it has is believed.
    worth: Seconds of work that a batch is worth.
    state: Called by each worker before its first call; its result is the first argument of all of them.
    most_calls: Calls of one worker, after which another one comes in its place; None: no limit.
    """

    workers: int
    task_timeout: float | None = None
    start_method: str | None = None
    slot: Slot | None = None
    executor: Executor | MakesExecutor | None = None
    limited: bool = True
    worth: float = TARGET
    state: Callable[[], Any] | None = None
    most_calls: int | None = None


@dataclass(frozen=True, slots=True)
class Mode:
    """What is known of a mode before it is used.

    runner: Module and name of its runner, imported when it is first needed.
    awaits: Its function is a coroutine function, and its runner an AwaitedRunner.
    interrupts: A call can be ended, or at least left alone, before it returns.
    beside: Calls go on in this process while it does other things, as calling a hook: if it ends then,
        it is not known which call has ended it.
    workers: How many workers suit it on this machine.
    replaces: A worker can be replaced by another one, as after so many calls.
    worth: Seconds of work that a batch is worth: more, where a hand-over costs more.
    toll: Seconds that a hand-over costs what all workers share, as a scheduler: of many workers each has
        to be busy for longer.
    title: What people call it, where it stands in no table.
    executor: What makes the calls, or what makes that, where the mode is not one of ours.
    """

    runner: tuple[str, str]
    awaits: bool
    interrupts: bool
    beside: bool
    workers: Callable[[], int]
    replaces: bool = False
    worth: float = TARGET
    title: str = ""
    executor: Executor | MakesExecutor | None = None
    toll: float = 0.0

    def worth_of_batch(self, workers: int) -> float:
        """Seconds of work that a batch is worth where there are so many workers."""
        return max(self.worth, 2 * self.toll * workers)

    @property
    def name(self) -> str:
        """What a user picks it by."""
        return self.title or next((name for name, mode in MODES.items() if mode is self), "unknown")

    def load(self) -> Any:
        module, name = self.runner
        return getattr(import_module(module, __name__), name)


MODES: dict[str, Mode] = {
    "serial": Mode((".serial", "SerialRunner"), False, False, False, lambda: 1),
    "thread": Mode((".thread", "ThreadRunner"), False, True, True, lambda: min(32, cores() + 4), True),
    "process": Mode((".process", "ProcessRunner"), False, True, False, cores, True),
    "async": Mode((".asynchronous", "AsyncRunner"), True, True, True, lambda: 100),
}
