"""Context variables: what a call sets is its own."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from task_manager import TaskManager

user: contextvars.ContextVar[Any] = contextvars.ContextVar("user", default="nobody")
page: contextvars.ContextVar[Any] = contextvars.ContextVar("page")


async def set_and_wait(n: int) -> Any:
    before = user.get()
    user.set(f"user {n}")
    await asyncio.sleep(0)
    assert user.get() == f"user {n}"
    return before


async def set_at_once(n: int) -> Any:
    before = user.get()
    user.set(f"user {n}")
    return before


async def set_and_fail(n: int) -> Any:
    before = user.get()
    user.set(f"user {n}")
    if n % 2:
        raise ValueError(before)
    return before


class Odd:
    """Equal to everything, as `mock.ANY` is; or to nothing at all, with an error."""

    def __init__(self, broken: bool) -> None:
        self.broken = broken

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        if self.broken:
            raise RuntimeError("no equality")
        return True


async def replace_odd(n: int) -> Any:
    before = user.get()
    user.set(Odd(before.broken))
    return before


async def set_and_take_back(n: int) -> Any:
    task = asyncio.current_task()
    token = user.set(n)
    user.reset(token)
    return task


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize("func", [set_and_wait, set_at_once, set_and_fail])
def test_what_one_task_sets_no_other_sees(func: Any, limit: int) -> None:
    """Each attempt has a context of its own, whether it waits or not, succeeds or fails."""
    with TaskManager(func, "async", worker_limit=limit, max_retries=1, retry_delay=0, logger=None) as m:
        m.retry_exceptions = (ValueError,)
        m.start(range(100))

        seen = {*m.get_result_dict().values(), *(error.args[0] for error in m.get_error_dict().values())}
        assert {"nobody"} == seen
        assert 100 == len(m.get_result_dict()) + len(m.get_error_dict())


def test_every_attempt_sees_what_its_caller_has_set() -> None:
    """A copy of the context of `start_async`, also where calls have changed theirs."""

    async def caller() -> set[Any]:
        user.set("the caller")
        with TaskManager(set_and_wait, "async", worker_limit=2, logger=None) as manager:
            await manager.start_async(range(50))
            assert user.get() == "the caller"
            return set(manager.get_result_dict().values())

    assert {"the caller"} == asyncio.run(caller())


@pytest.mark.parametrize("broken", [False, True])
def test_a_value_is_known_by_its_identity(broken: bool) -> None:
    """Whatever its equality says, or whether it has one."""
    first = Odd(broken)

    async def caller() -> list[Any]:
        user.set(first)
        with TaskManager(replace_odd, "async", worker_limit=1, logger=None) as manager:
            await manager.start_async(range(20))
            return list(manager.get_result_dict().values())

    assert all(value is first for value in asyncio.run(caller()))


def test_what_is_taken_back_costs_no_new_task() -> None:
    """A call that leaves its context as it was shares its asyncio.Task with the next ones."""
    with TaskManager(set_and_take_back, "async", worker_limit=1, logger=None) as manager:
        manager.start(range(30))

        assert 10 > len(set(manager.get_result_dict().values()))


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="Python 3.12")
def test_eager_tasks() -> None:
    """A loop that begins tasks at once changes nothing, however many calls change their context."""

    async def caller() -> list[Any]:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
        with TaskManager(set_at_once, "async", worker_limit=5, logger=None) as manager:
            await manager.start_async(range(3000))
            return list(manager.get_result_dict().values())

    assert ["nobody"] * 3000 == asyncio.run(caller())


def test_a_task_factory_that_knows_no_context() -> None:
    """As it was written before Python 3.11."""

    def factory(loop: Any, coroutine: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coroutine, loop=loop)

    async def caller() -> list[Any]:
        asyncio.get_running_loop().set_task_factory(factory)
        with TaskManager(set_and_wait, "async", worker_limit=5, logger=None) as manager:
            await manager.start_async(range(50))
            return list(manager.get_result_dict().values())

    assert ["nobody"] * 50 == asyncio.run(caller())


async def limited(n: int) -> str:
    task = asyncio.current_task()
    assert task is not None
    user.set(n)
    try:
        async with asyncio.timeout(0.01 if n % 2 else 30):
            await asyncio.sleep(60 if n % 2 else 0)
    except TimeoutError:
        return "timed out"
    return "in time"


def test_asyncio_timeout_works_inside_a_call() -> None:
    """It finds a real current task there, and cancels that call alone."""
    with TaskManager(limited, "async", worker_limit=3, logger=None) as manager:
        manager.start(range(20))

        assert {n: "timed out" if n % 2 else "in time" for n in range(20)} == manager.get_result_dict()
