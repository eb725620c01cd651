"""A worker of an event loop, as its runner knows it, and what is seen to where its call is over."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, NamedTuple

from .._call import NEVER
from .._task import Failure
from .opened import NOTHING


class Part(NamedTuple):
    """The Outcomes of a batch, as they gather. What has no position yet is not recorded."""

    positions: list[int]
    values: list[Any]
    failures: dict[int, Failure]
    seconds: list[float]
    began: list[float]
    workers: list[int]


class AsyncWorker:
    """One of the coroutines that make calls.

    number: Which worker it is.
    batch, position, began: Its current call; began is NEVER while it has none.
    left_alone: No outcome of it is waited for any more: its call took too long, or the runner closes.
    """

    __slots__ = ("batch", "began", "left_alone", "number", "position", "task")

    def __init__(self, number: int) -> None:
        self.number = number
        self.batch = NOTHING
        self.position = 0
        self.began = NEVER
        self.left_alone = False
        self.task: asyncio.Task[None]


def heard(task: asyncio.Task[None]) -> None:
    """Ask for its error, which is known here: asyncio complains of those that are never asked for."""
    if not task.cancelled():
        task.exception()


async def shed_cancellation(task: asyncio.Task[Any]) -> None:
    """A call has cancelled its own task and is over: the next call is not to find that."""
    while task.cancelling():
        task.uncancel()
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
