"""Calls that may take so long, where nobody outside can end them: in a thread, which is left alone.

It is what thread mode does, one worker wide, inside a call that an executor makes: so a time limit holds
on any executor.  A thread that is left alone goes on, and its process with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .._stop import Stop
from .._task import Batch, Outcomes, Unrun
from . import Orders
from .thread import ThreadRunner

LOOK = 0.1  # seconds between two looks whether the run is stopped


def timed_calls(
    invoke: Callable[[Any], Any], calls: list[Any], timeout: float, stopped: Callable[[], bool]
) -> Iterator[Outcomes | Unrun]:
    """Make the calls as `call_batch` does. stopped: No call is to begin any more."""
    stop = Stop()
    count = len(calls)
    batch = Batch(list(range(count)), [None] * count, calls, False, [1] * count)
    runner = ThreadRunner(invoke, Orders(1, timeout))
    runner.follow(stop)
    try:
        runner.submit(batch)
        open_ = count
        while open_:
            if stopped():
                stop.ask("the run is over")
            for _, outcomes in runner.collect(LOOK):
                open_ -= len(outcomes.positions)
                yield outcomes
                del outcomes
    finally:
        runner.close()
        del calls, batch
