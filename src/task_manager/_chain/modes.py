"""The modes of a chain: a table from the name that a user picks to how its stages run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from .._run.source import Source
from .._signals import HeldSignals
from ..manager import TaskManager
from .book import Book
from .process import Rounds
from .serial import run_in_serial, run_in_serial_async
from .threads import Threads
from .turns import Turns

Stages = Sequence[TaskManager[Any, Any]]


class Flowing(Protocol):
    """Stages that go on while somebody asks for outcomes.

    error: The first that a stage's handle_error raised.
    """

    error: BaseException | None

    @property
    def over(self) -> bool:
        """Nothing goes on any more."""
        ...

    @property
    def inside(self) -> bool:
        """Asked in a thread of its own, which cannot wait for itself."""
        ...

    def turn(self) -> None:
        """Let everything flow; wait some tenths of a second at most."""
        ...

    async def turn_awaiting(self) -> None:
        """The same, in the running event loop."""
        ...

    def rest(self) -> None:
        """Nothing is done for a while: what is to be written is."""
        ...

    async def close_awaiting(self) -> None:
        """In the loop, before the end of its time: end what has to be awaited."""
        ...


Opened = Callable[[Stages, Source, Book, HeldSignals, bool], AbstractContextManager[Flowing]]


class Ways(NamedTuple):
    """How the stages run: told them, the initial tasks and the book, it answers with the first error out
    of a stage's handle_error. start_async: The same, in the running event loop.

    flowing: The time in which they go on turn by turn, in this thread, or in the running loop.
    """

    start: Callable[[Stages, Source, Book], BaseException | None]
    start_async: Callable[[Stages, Source, Book], Awaitable[BaseException | None]]
    flowing: Opened


def _turn_by_turn(opened: Opened) -> Ways:
    """A start makes the turns that the reader of a stream makes, up to the end."""

    def start(stages: Stages, initial: Source, book: Book) -> BaseException | None:
        with HeldSignals().held() as signals, opened(stages, initial, book, signals, False) as flowing:
            while not flowing.over:
                flowing.turn()
            return flowing.error

    async def start_async(stages: Stages, initial: Source, book: Book) -> BaseException | None:
        with HeldSignals().held() as signals, opened(stages, initial, book, signals, True) as flowing:
            while not flowing.over:
                await flowing.turn_awaiting()
            return flowing.error

    return Ways(start, start_async, opened)


# By the name that a user picks.
# They are imported now, and not when first needed: what they bind by name, as the clock, is to be the
# true one, whatever a test of other code puts into those modules for the time of a start.
CHAIN_MODES: dict[str, Ways] = {
    "serial": Ways(run_in_serial, run_in_serial_async, Turns.opened),
    "thread": _turn_by_turn(Threads.opened),
    "process": _turn_by_turn(Rounds.opened),
}
