"""Reads the outcomes of a start as they come, to the end or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing
from typing import Any

from .plan import Reading

OFTEN = 8  # outcomes, of which one makes the body of the loop pause


class BodyBroke(Exception):
    """What the body of the loop raises."""


class Reader:
    """Reads one stream, and keeps what it was told.

    left: It has left the loop before its end.
    """

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self._open: Generator[Any, None, None] | None = None
        self.told: list[Any] = []
        self.left = False

    @property
    def options(self) -> dict[str, bool]:
        """What `stream` is to be given."""
        return {"ordered": self.reading.ordered, "keep_results": self.reading.kept}

    def read(self, begin: Callable[..., Generator[Any, None, None]]) -> None:
        if self.reading.leave == "drop":
            for outcome in begin(**self.options):  # nobody else has it
                if self._is_left_after(outcome):
                    break
            return
        self._open = outcomes = begin(**self.options)
        with closing(outcomes):
            if not (self.reading.leave or self.reading.pause):
                self.told.extend(outcomes)  # in C: what is yielded is noted, whatever a handler raises
            for outcome in outcomes:
                if self._is_left_after(outcome):
                    break
                if self._is_to_pause:
                    time.sleep(self.reading.pause)
            if self.left and self.reading.leave == "throw":
                outcomes.throw(BodyBroke())
            if self.left and self.reading.leave == "raise":
                raise BodyBroke

    async def read_awaiting(self, begin: Callable[..., AsyncGenerator[Any, None]]) -> None:
        if self.reading.leave == "drop":
            async for outcome in begin(**self.options):
                if self._is_left_after(outcome):
                    break
            return
        outcomes = begin(**self.options)
        async with aclosing(outcomes):
            async for outcome in outcomes:
                if self._is_left_after(outcome):
                    break
                if self._is_to_pause:
                    await asyncio.sleep(self.reading.pause)
            if self.left and self.reading.leave == "throw":
                await outcomes.athrow(BodyBroke())
            if self.left and self.reading.leave == "raise":
                raise BodyBroke

    def settle(self) -> None:
        """A signal may have come between the loop and its end: then it is still open."""
        if self._open is not None:
            self._open.close()

    def _is_left_after(self, outcome: Any) -> bool:
        self.told.append(outcome)
        self.left = bool(self.reading.leave) and len(self.told) == self.reading.after
        return self.left

    @property
    def _is_to_pause(self) -> bool:
        return bool(self.reading.pause) and len(self.told) % OFTEN == 0
