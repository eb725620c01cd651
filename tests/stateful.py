"""A plugin of pytest, `-p stateful`: each manager has a worker_state, and its workers are replaced.

So the conformance suite and the tests of faults say what holds with a state as well. What a test sees of
a traceback has one frame more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from task_manager._runners import Mode, Orders

MOST_CALLS = 150


class WithState:
    """The function, called with a state that it does not see."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func

    def __call__(self, state: list[int], *args: Any) -> Any:
        assert state == [1]
        return self.func(*args)


class AwaitedWithState(WithState):
    async def __call__(self, state: list[int], *args: Any) -> Any:
        assert state == [1]
        return await self.func(*args)


def state() -> Iterator[list[int]]:
    made = [1]
    yield made
    made.append(2)


load = Mode.load


def load_with_state(mode: Mode) -> Callable[..., Any]:
    make = load(mode)

    def made(func: Callable[..., Any], orders: Orders) -> Any:
        most = MOST_CALLS if mode.replaces else None
        orders = replace(orders, most_calls=orders.most_calls or most)
        if orders.state is not None:
            return make(func, orders)
        orders = replace(orders, state=state)
        return make((AwaitedWithState if mode.awaits else WithState)(func), orders)

    return made


Mode.load = load_with_state  # type: ignore[method-assign]
