"""Measures what a rate limit keeps: each call writes down when it begins, in its own process.

For each mode and rate: attempts in the worst window of that length, and how much of the rate was reached
between the first call and the last.  Every tenth task fails at its first attempt, and is retried.

With --keys 5 the tasks are of five keys in turn, each limited by itself: the worst window is that of any
key, and the share is of all together.
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
    file.write(struct.pack("dq", now, task))
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


def begins(folder: str) -> list[tuple[float, int]]:
    """When all calls began, in order, and of which task."""
    return sorted(
        (when, task)
        for path in Path(folder).glob("begins-*")
        for when, task in struct.iter_unpack("dq", path.read_bytes())
    )


def key_of(task: int, keys: int) -> int:
    return task // 10 % keys  # so that each has its share of those that fail


def worst(times: list[float], length: float) -> int:
    """The most that have begun in any window of this length."""
    first = most = 0
    for place, when in enumerate(times):
        while times[first] <= when - length:
            first += 1
        most = max(most, place + 1 - first)
    return most


def measure(
    mode: str, rate: str, seconds: float, call_seconds: float, keys: int
) -> tuple[int, int, float]:
    """Calls, the most in a window of any key, the share of the rate."""
    with tempfile.TemporaryDirectory() as folder:
        func = call_async if mode == "async" else call
        bound = partial(func, folder=folder, seconds=call_seconds, fails=True)
        attempts, length = RATES[rate]
        a_second = attempts / length * keys
        manager: TaskManager[int, None] = TaskManager(
            bound,
            mode,
            None if call_seconds == 0 else int(a_second * call_seconds * 1.5) + 2,
            rate_limit=rate,
            rate_key=None if keys == 1 else partial(key_of, keys=keys),
            retry_delay=0.01,
            logger=None,
            keep_results=False,
        )  # type: ignore[call-overload]
        timer = threading.Timer(seconds, manager.stop)
        timer.start()
        with manager:
            manager.start(count(1))
        timer.join()
        calls = begins(folder)
    by_key: dict[int, list[float]] = {}
    for when, task in calls:
        by_key.setdefault(key_of(task, keys), []).append(when)
    share = (len(calls) - keys) / (calls[-1][0] - calls[0][0]) / a_second
    return len(calls), max(worst(times, length) for times in by_key.values()), share


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.limits")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--call", type=float, default=0.0, help="seconds that each call takes")
    parser.add_argument("--keys", type=int, default=1, help="that are limited each by itself")
    parser.add_argument("--mode", choices=MODES, action="append")
    parser.add_argument("--rate", choices=RATES, action="append")
    given = parser.parse_args()
    print("| mode | rate | calls | worst window | allowed | share reached |")
    print("|---|---|---|---|---|---|")
    for mode in given.mode or MODES:
        for rate in given.rate or RATES:
            calls, most, share = measure(mode, rate, given.seconds, given.call, given.keys)
            row = f"| {mode} | {rate} | {calls:,} | {most:,} | {RATES[rate][0]:,} | {share:.1%} |"
            print(row, flush=True)


if __name__ == "__main__":
    main()
