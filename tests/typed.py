"""Types that mypy checks, never run: what a user's editor knows of managers and chains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

from task_manager import ProgressManager, Summary, TaskChain, TaskLogger, TaskManager


def length(text: str) -> int:
    return len(text)


async def length_later(text: str) -> int:
    return len(text)


class Lengths(TaskManager[str, int]):
    def get_args(self, task: str) -> tuple[str]:
        return (task,)

    def process_result(self, task: str, result: int) -> int:
        return result + 1


def managers() -> None:
    manager: TaskManager[str, int] = TaskManager(length, "thread", worker_limit=2)
    assert_type(manager.start(["a"]), Summary)
    assert_type(manager.get_result_dict(), Mapping[str, int])
    assert_type(manager.get_error_dict(), Mapping[str, BaseException])
    with Lengths(length, logger=TaskLogger("elsewhere")) as lengths:
        assert_type(lengths.get_result_dict(), Mapping[str, int])
    untyped = TaskManager(length)
    untyped.start([1, "a"])


async def awaited() -> None:
    manager: TaskManager[str, int] = TaskManager(length_later, "async")
    assert_type(await manager.start_async(["a"]), Summary)


def chains() -> None:
    chain = TaskChain([TaskManager(length), TaskManager(str)], "process")
    assert_type(chain.start_chain(["a"]), Summary)


def bars() -> None:
    with ProgressManager(total=2) as progress:
        progress.update(1, failed=1)
