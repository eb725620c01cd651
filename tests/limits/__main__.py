"""Measures what a rate limit keeps: each call writes down when it begins, in its own process.

For each mode and rate: attempts in the worst window of that length, and how much of the rate was reached
between the first call and the last.  Every tenth call fails at its first attempt, and is retried.
"""

from __future__ import annotations

import argparse
import asyncio
import struct
import tempfile
import threading
import time
from functools import partial
from itertools import count
from pathlib import Path

from task_manager import TaskManager

RATES = {"5/s": (5, 1.0), "500/min": (500, 60.0), "200/s": (200, 1.0), "2000/s": (2000, 1.0)}
MODES = ("serial", "thread", "process", "async")
_files = threading.local()


def begin(folder: str, name: str, task: int, fails: bool) -> None:
    """Note the time, first; at the first attempt of every tenth task, fail."""
    now = time.perf_counter()
    file = _files.__dict__.get(folder)
    if file is None:
        where = Path(folder, f"{name}-{threading.get_native_id()}")
        file = _files.__dict__[folder] = where.open("ab", buffering=0)
    file.write(struct.pack("d", now))
    if fails and task % 10 == 0:
        mark = Path(folder, f"tried-{task}")
        if not mark.exists():
            mark.touch()
            raise ConnectionError


def call(task: int, folder: str, seconds: float, fails: bool) -> None:
    begin(folder, "begins", task, fails)
    if seconds:
        time.sleep(seconds)


async def call_async(task: int, folder: str, seconds: float, fails: bool) -> None:
    begin(folder, "begins", task, fails)
    if seconds:
        await asyncio.sleep(seconds)


def begins(folder: str) -> list[float]:
    """When all calls began, in order."""
    return sorted(
        when
        for path in Path(folder).glob("begins-*")
        for (when,) in struct.iter_unpack("d", path.read_bytes())
    )


def worst(times: list[float], length: float) -> int:
    """The most that have begun in any window of this length."""
    first = most = 0
    for place, when in enumerate(times):
        while times[first] <= when - length:
            first += 1
        most = max(most, place + 1 - first)
    return most


def measure(mode: str, rate: str, seconds: float, call_seconds: float) -> tuple[int, int, float, float]:
    """Calls, the most in a window, the share of the rate, and the median lateness between calls."""
    with tempfile.TemporaryDirectory() as folder:
        func = call_async if mode == "async" else call
        bound = partial(func, folder=folder, seconds=call_seconds, fails=True)
        attempts, length = RATES[rate]
        workers = None if call_seconds == 0 else int(attempts / length * call_seconds * 1.5) + 2
        manager: TaskManager[int, None] = TaskManager(
            bound, mode, workers, rate_limit=rate, retry_delay=0.01, logger=None, keep_results=False
        )  # type: ignore[call-overload]
        timer = threading.Timer(seconds, manager.stop)
        timer.start()
        with manager:
            manager.start(count(1))
        timer.join()
        times = begins(folder)
        share = (len(times) - 1) / (times[-1] - times[0]) / (attempts / length)
        return len(times), worst(times, length), share, times[-1] - times[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.limits")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--call", type=float, default=0.0, help="seconds that each call takes")
    parser.add_argument("--mode", choices=MODES, action="append")
    parser.add_argument("--rate", choices=RATES, action="append")
    given = parser.parse_args()
    print("| mode | rate | calls | worst window | allowed | share reached |")
    print("|---|---|---|---|---|---|")
    for mode in given.mode or MODES:
        for rate in given.rate or RATES:
            calls, most, share, _ = measure(mode, rate, given.seconds, given.call)
            row = f"| {mode} | {rate} | {calls:,} | {most:,} | {RATES[rate][0]:,} | {share:.1%} |"
            print(row, flush=True)


if __name__ == "__main__":
    main()
