"""Parts of the standard library that a script, or a test of its code, has mocked: F33.

One worker is enough: two threads that mock the same thing would leave it mocked.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

import functions as f
from scripts import Script
from task_manager import TaskChain


def pid_mocked(n: int) -> int:
    with mock.patch("os.getpid", return_value=1234):
        time.sleep(0.002)
        return n


def pickle_mocked(n: int) -> int:
    with mock.patch("pickle.dumps", side_effect=ValueError), mock.patch("pickle.loads"):
        time.sleep(0.002)
        return n


def clocks_frozen(n: int) -> int:
    with (
        mock.patch("time.perf_counter", return_value=0.0),
        mock.patch("time.monotonic", return_value=0.0),
        mock.patch("time.time", return_value=0.0),
    ):
        if n % 10 == 9:
            raise ConnectionError(n)
        return n


THREAD_SCRIPT = """
import time
from unittest import mock
from task_manager import TaskManager

def func(n):
    if n == 3:
        with mock.patch("os.getpid", return_value=1234):
            time.sleep(0.05)
    time.sleep(0.001)
    return n

manager = TaskManager(func, "thread", worker_limit=4, logger=None)
print(manager.start(range(100)).succeeded, flush=True)
raise SystemExit(7)
"""


def test_f33_a_mocked_pid_in_a_thread_ends_no_script(script: Callable[[str], Script]) -> None:
    """No worker thread takes itself for a copy of the process."""
    running = script(THREAD_SCRIPT)
    out, _ = running.process.communicate(timeout=20)

    assert "100\n" == out
    assert 7 == running.process.returncode


@pytest.mark.parametrize("way", f.WAYS)
def test_f33_a_mocked_pid(way: str) -> None:
    """In the function, in every mode, and while the run goes on in the parent."""
    with f.manager_of(pid_mocked, way, worker_limit=1) as manager:
        manager.start(range(30))

        assert {n: n for n in range(30)} == manager.get_result_dict()


@pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])
@pytest.mark.parametrize("mode", ["serial", "thread"])
def test_f33_a_mocked_pid_in_a_stage(mode: str, chain_mode: str) -> None:
    """Neither does a stage. Of two threads that mock at once, one would put back the other's mock."""
    others = f.same if chain_mode == "thread" else pid_mocked
    stages = [f.stage(func, mode, worker_limit=1) for func in (others, pid_mocked)]
    chain = TaskChain(stages, chain_mode)
    chain.start_chain(range(30))

    assert {n: n for n in range(30)} == chain.get_final_result_dict()


@pytest.mark.parametrize("way", ["serial", "thread", "async"])
def test_f33_a_mocked_pickle(way: str) -> None:
    """Nothing is pickled in these modes."""
    with f.manager_of(pickle_mocked, way, worker_limit=1) as manager:
        manager.start(range(30))

        assert {n: n for n in range(30)} == manager.get_result_dict()


@pytest.mark.parametrize("way", ["serial", "thread", "async", "fork"])
def test_f33_clocks_that_stand_still_in_the_function(way: str) -> None:
    """They are mocked while it runs, in this process or in a worker: retries come, and the run ends."""
    options: dict[str, Any] = {"worker_limit": 1, "max_retries": 2, "retry_delay": 0.001}
    with f.manager_of(clocks_frozen, way, **options) as manager:
        summary = manager.start(range(200))

        assert (180, 20, 40) == (summary.succeeded, summary.failed, summary.retries)


@pytest.mark.parametrize("way", ["serial", "thread"])
def test_f33_clocks_that_stand_still_meanwhile(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are mocked from before the start to the end, as in a test with a frozen time."""
    for name in ("perf_counter", "monotonic", "time"):
        monkeypatch.setattr(time, name, lambda: 0.0)
    with f.manager_of(f.same, way) as manager:
        manager.start(range(200))

        assert {n: n for n in range(200)} == manager.get_result_dict()


def test_f33_clocks_that_stand_still_in_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in async mode, where the loop's own clock stands still as well."""

    async def turn(n: int) -> int:
        await asyncio.sleep(0)
        return n

    async def run() -> Any:
        for name in ("perf_counter", "monotonic", "time"):
            monkeypatch.setattr(time, name, lambda: 0.0)
        with f.manager_of(f.same, "async") as manager:
            await manager.start_async(range(200))
            return dict(manager.get_result_dict())

    assert {n: n for n in range(200)} == asyncio.run(run())
    assert os.getpid() > 0
