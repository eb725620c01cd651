"""The functions that the benchmarks call: at module level, so that every process can import them."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from typing import Any

NAP = 0.01  # seconds
BLOB = 4_000_000  # bytes
SLOW_TASKS = frozenset(random.Random(1).sample(range(200), 20))


def nothing(task: Any) -> Any:
    return task


def nothing_of(task: Any) -> None:
    """Of tasks that are large: their results are not."""


def arrays(n: int) -> list[Any]:
    """Each of 50 floats."""
    import numpy

    return [numpy.arange(50.0) + i for i in range(n)]


def table_rows(n: int) -> list[Any]:
    """As of a CSV file with eight columns."""
    return [
        {
            "id": i,
            "name": f"customer {i}",
            "email": f"customer{i}@example.org",
            "city": "Zurich",
            "amount": i * 1.25,
            "country": "CH",
            "phone": "+41 44 000 00 00",
            "note": "paid in full, thanks",
        }
        for i in range(n)
    ]


async def nothing_async(task: Any) -> Any:
    return task


def nap(task: Any) -> None:
    time.sleep(NAP)


async def nap_async(task: Any) -> None:
    await asyncio.sleep(NAP)


def blob(task: Any) -> bytes:
    return bytes(BLOB)


def blob_on_its_way(task: Any) -> Any:
    """A number becomes a blob, a blob goes on."""
    return bytes(BLOB) if isinstance(task, int) else task


def compute(operations: int, task: Any) -> Any:
    for _ in range(operations):
        pass
    return task


def compute_unevenly(operations: int, task: int) -> int:
    """A tenth of the tasks take ten times as long."""
    return int(compute(operations * (10 if task in SLOW_TASKS else 1), task))


def work_of(seconds: float, uneven: bool = False) -> partial[Any]:
    """A function of one task that takes so long on this machine at rest.

    The length is turned into a number of operations once: a spin on the clock would end on time
    however many processes fight for a core.  The best of many trials counts, or a call might be
    shorter than that whenever the machine has a better moment.
    """
    return partial(compute_unevenly if uneven else compute, int(seconds * _operations_per_second()))


def _operations_per_second() -> float:
    global _speed
    if _speed is None:
        trial = 200_000
        _speed = trial / min(_time_of(trial) for _ in range(150))
    return _speed


_speed: float | None = None


def _time_of(operations: int) -> float:
    began = time.perf_counter()
    compute(operations, None)
    return time.perf_counter() - began


def nothing_beside(state: Any, task: Any) -> None:
    """With a state."""


async def nothing_beside_async(state: Any, task: Any) -> None:
    """With a state."""


def nap_beside(state: Any, task: Any) -> None:
    time.sleep(0.001)


def slow_state() -> float:
    """Stands for a login."""
    time.sleep(0.1)
    return 0.1
