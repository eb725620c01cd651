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

DOES_NOT_APPLY = {
    "test_f11_workers_that_do_not_end_are_waited_for_together[fork]": "one that cleans up is waited for "
    "longer",
    **{
        f"test_f32_no_more_processes[{left}-1000]": "none can be replaced where none can be started"
        for left in (1, 3)
    },
}

NOT_REPLACED = {
    "test_slow_tasks_behind_many_fast_ones_are_shared_by_the_workers": "counts workers",
    "test_f39_a_worker_that_dies": "counts workers",
    "test_f01_a_dead_worker_is_replaced": "counts workers",
}
"""Tests that have a state, but no worker that is replaced, and why."""

replacing = True


def pytest_collection_modifyitems(items: list[Any]) -> None:
    from besides import apply

    apply("stateful", items, DOES_NOT_APPLY)


def pytest_runtest_setup(item: Any) -> None:
    from besides import reason_of

    global replacing
    replacing = reason_of(item, NOT_REPLACED) is None


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
        most = MOST_CALLS if mode.replaces and replacing else None
        orders = replace(orders, most_calls=orders.most_calls or most)
        if orders.state is not None:
            return make(func, orders)
        orders = replace(orders, state=state)
        return make((AwaitedWithState if mode.awaits else WithState)(func), orders)

    return made


Mode.load = load_with_state  # type: ignore[method-assign]
