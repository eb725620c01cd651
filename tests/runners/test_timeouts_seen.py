"""When calls that take too long are looked for, and what is told of them. The rest is in F6."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from task_manager._runners import Answer, Orders
from task_manager._runners.asynchronous import AsyncRunner
from task_manager._runners.thread import ThreadRunner
from task_manager._task import Batch, Outcomes
from task_manager.errors import TaskTimeoutError

HOURS = 36_000.0
LIMIT = 0.05


def batch(n: int) -> Batch:
    return Batch([n], [n], [n], False, [1])


def check(answers: list[Answer], numbers: list[int]) -> None:
    """Each has one outcome: the timeout, with the seconds that the call has really taken."""
    assert numbers == sorted(batch.indices[0] for batch, _ in answers)
    for _, outcomes in answers:
        assert isinstance(outcomes, Outcomes)
        assert [TaskTimeoutError] == [type(failure.error) for failure in outcomes.failures.values()]
        assert LIMIT <= min(outcomes.seconds)
        assert LIMIT not in outcomes.seconds


def test_f06_async_calls_are_ended_when_they_are_due() -> None:
    """However long the run would wait for outcomes."""

    async def hang(n: int) -> None:
        await asyncio.sleep(HOURS)

    async def collect() -> list[Answer]:
        runner = AsyncRunner(hang, Orders(3, task_timeout=LIMIT))
        answers: list[Answer] = []
        for n in range(3):
            runner.submit(batch(n))
        while len(answers) < 3:
            answers += await asyncio.wait_for(runner.collect(HOURS), 20)
        await runner.close()
        return answers

    check(asyncio.run(collect()), [0, 1, 2])


def test_f06_threads_are_left_when_their_calls_are_due() -> None:
    """The same."""
    enough = threading.Event()

    def hang(n: int) -> Any:
        return enough.wait(20)

    runner = ThreadRunner(hang, Orders(3, task_timeout=LIMIT))
    answers: list[Answer] = []
    for n in range(3):
        runner.submit(batch(n))
    while len(answers) < 3:
        answers += runner.collect(HOURS)
    enough.set()
    runner.close()

    check(answers, [0, 1, 2])
