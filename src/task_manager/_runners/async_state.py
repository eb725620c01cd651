"""The state of an event loop: made before the first call, and cleaned up when the run is over.

One task does both, as what is entered in one task may have to be left in the same (anyio, timeouts).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable
from contextvars import Context
from functools import partial
from typing import Any

from .._platform import end_a_copy, this_process
from .._repr import name_of
from .._signals import comes_from_a_handler, makes_calls
from .._state import (
    TIME_TO_CLEAN_UP,
    CleanUps,
    Maker,
    State,
    failed,
    said_of_clean_up,
    set_up,
    yielded_twice,
)
from ..errors import WorkerStartError
from .async_worker import heard


class StateOfLoop:
    """Owns it, and the task in which it lives.

    func: What is to be called, when it is ready. error: Why it will never be, or what a handler raised.
    """

    def __init__(self, func: Callable[..., Any], make: Maker | None, wake: Callable[[], None]) -> None:
        self.func = func
        self.ready = make is None
        self.error: BaseException | None = None
        self._make = make
        self._wake = wake
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._clean_ups = CleanUps()

    def begin(self, context: Context) -> bool:
        """Whether it is ready. If not, it is being made."""
        if not self.ready and self._task is None and self._make is not None:
            self._task = context.run(asyncio.get_running_loop().create_task, self._live(self._make))
            self._task.add_done_callback(heard)
        return self.ready

    async def close(self) -> None:
        """Clean up, and wait for that; what is still being made is cancelled."""
        self._over.set()
        if self._task is not None:
            if not self.ready:
                self._task.cancel()
            _, late = await asyncio.wait([self._task], timeout=TIME_TO_CLEAN_UP)
            if late:
                self._task.cancel()
                self._clean_ups.late(name_of(self._make))

    @makes_calls
    async def _live(self, make: Maker) -> None:
        name, home = name_of(make), this_process()
        generator: AsyncGenerator[Any, Any] | None = None
        state: State | None = None
        try:
            if _answers(inspect.isasyncgenfunction, make):
                generator = make()
                value = await anext(generator)
            elif _answers(inspect.iscoroutinefunction, make):
                value = await make()
            else:
                state = set_up(make)
                value = state.value
        except BaseException as error:
            end_a_copy(home, error)
            if comes_from_a_handler(error) or isinstance(error, WorkerStartError):
                self._fail(error)
            elif not self._over.is_set():
                self._fail(failed(name, error, generator is not None))
            return
        end_a_copy(home)
        self.func = partial(self.func, value)
        del value
        self.ready = True
        self._wake()
        await self._over.wait()
        if generator is not None:
            self._clean_ups.tell(await _clean_up(name, generator))
        elif state is not None:
            self._clean_ups.tell(state.clean_up())

    def _fail(self, error: BaseException) -> None:
        self.error = error
        self._wake()


async def _clean_up(name: str, generator: AsyncGenerator[Any, Any]) -> str:
    """What is wrong with it, "" if nothing is."""
    home = this_process()
    try:
        await anext(generator)
    except StopAsyncIteration:
        return ""
    except BaseException as error:
        end_a_copy(home, error)
        if comes_from_a_handler(error):
            raise
        return said_of_clean_up(name, error)
    end_a_copy(home)
    wrong = yielded_twice(name, _nothing)
    try:
        await generator.aclose()
    except Exception as error:
        wrong = said_of_clean_up(name, error)
    return wrong


def _answers(question: Callable[[Any], bool], make: Maker) -> bool:
    return question(make) or question(getattr(make, "__call__", None))  # noqa: B004


def _nothing() -> None:
    """It is closed by who awaits that."""
