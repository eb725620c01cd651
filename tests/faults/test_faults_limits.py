"""Limits beside what breaks: workers that die, calls that hang, Ctrl-C, a journal, repeats, stages."""

from __future__ import annotations

import _thread
import asyncio
import os
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import functions as f
from faults.test_faults_input import AllHooks, raises_once
from functions import CHAIN_MODES, stage
from rules.test_rate import worst
from task_manager import (
    Journal,
    RetryAfter,
    TaskChain,
    TaskManager,
    TaskTimeoutError,
    WorkerDiedError,
)
from task_manager._rules.keyed import KeyedLimit
from task_manager._run.waiting_by_key import WaitingByKey

PATIENT = 60.0
WINDOW = 0.2


def note(folder: Path, task: int) -> None:
    """When the call begins, by the call itself."""
    now = time.perf_counter()
    with (folder / f"began-{os.getpid()}-{threading.get_native_id()}").open("ab") as file:
        file.write(struct.pack("qd", task, now))


def most_in_a_window(folder: Path, keys: int) -> int:
    """Of any key. A busy system may hold up a call between our note of its begin and its first line."""
    times = defaultdict(list)
    for path in folder.glob("began-*"):
        for task, when in struct.iter_unpack("qd", path.read_bytes()):
            times[task % keys].append(when)
    return max(worst(each, WINDOW * 0.75) for each in times.values())


def third(task: int) -> int:
    return task % 3


def breaks(task: int, folder: Path) -> int:
    """Every seventh kills its process; every seventh asks for a pause, once; the others answer."""
    note(folder, task)
    if task % 7 == 3:
        os._exit(3)
    if task % 7 == 5 and not (folder / f"asked-{task}").exists():
        (folder / f"asked-{task}").touch()
        raise RetryAfter(0.01, all=True)
    return task


def hangs(task: int, folder: Path) -> int:
    """Every seventh hangs, each time."""
    note(folder, task)
    if task % 7 == 3:
        time.sleep(1.0)
    return task


async def hangs_in_loop(task: int, folder: Path) -> int:
    note(folder, task)
    if task % 7 == 3:
        await asyncio.sleep(PATIENT)
    return task


@pytest.mark.parametrize("keys", [1, 3])
def test_f02_workers_that_die_leave_the_limit_as_it_is(keys: int, tmp_path: Path) -> None:
    """What had begun counts, what had not is made by another worker; each death is one error."""
    options: dict[str, Any] = {"rate_limit": (8, WINDOW), "rate_key": third if keys == 3 else None}
    with f.manager_of(partial(breaks, folder=tmp_path), "fork", **options) as manager:
        summary = manager.start(range(70))

    assert (60, 10) == (summary.succeeded, summary.failed)
    assert 1 <= summary.retries <= 10  # what has asked, and died with its batch, does not ask again
    assert {WorkerDiedError} == set(map(type, manager.get_error_dict().values()))
    assert most_in_a_window(tmp_path, keys) <= 8


@pytest.mark.parametrize("keys", [1, 3])
@pytest.mark.parametrize("way", ["thread", "fork", "async"])
def test_f06_calls_that_hang_leave_the_limit_as_it_is(way: str, keys: int, tmp_path: Path) -> None:
    """They are attempts, and so are their retries; while they hang others begin."""
    options: dict[str, Any] = {"rate_limit": (8, WINDOW), "rate_key": third if keys == 3 else None}
    options |= {"task_timeout": 0.25, "max_retries": 1, "retry_delay": 0.0, "worker_limit": 4}
    func = partial(hangs_in_loop if way == "async" else hangs, folder=tmp_path)
    manager: TaskManager[int, int] = TaskManager(func, logger=None, **f.options_of(way), **options)
    with manager:
        summary = manager.start(range(28))

    assert (24, 4, 4) == (summary.succeeded, summary.failed, summary.retries)
    assert {TaskTimeoutError} == set(map(type, manager.get_error_dict().values()))
    assert most_in_a_window(tmp_path, keys) <= 8


def ask_for_an_hour(task: int) -> int:
    raise RetryAfter(3600, all=True)


@pytest.mark.parametrize("rate_key", [None, third])
@pytest.mark.parametrize("way", ["serial", "thread", "async"])
def test_f09_a_ctrl_c_does_not_wait_for_a_limit(way: str, rate_key: Callable[[int], int] | None) -> None:
    """Nor for a pause that a server has asked for; what waited is not started, and may be run again."""
    for func, limit in ((f.double, "1/h"), (ask_for_an_hour, None)):
        options: dict[str, Any] = {"rate_limit": limit, "rate_key": rate_key}
        with f.manager_of(func, way, **options) as manager:
            timer = threading.Timer(0.3, _thread.interrupt_main)
            timer.start()
            with pytest.raises(KeyboardInterrupt):
                manager.start(range(10_000_000))
            timer.join()
            summary = manager.get_summary()

            assert 0 == summary.failed
            assert summary.succeeded <= 3 * 2
            assert summary.taken == summary.succeeded + summary.not_started


@pytest.mark.parametrize("rate_key", [None, third])
def test_f10_what_waits_for_a_limit_is_not_in_doubt(
    rate_key: Callable[[int], int] | None, tmp_path: Path
) -> None:
    """A journal notes what is about to be called: after a stop nothing that only waited is in doubt."""
    journal = Journal(tmp_path / "run.db", started=True, in_doubt="error")
    first = TaskManager(
        f.double, "thread", rate_limit=(2, 3600), rate_key=rate_key, journal=journal, logger=None
    )
    timer = threading.Timer(0.3, first.stop)
    timer.start()
    with first:
        before = first.start(range(40))
    timer.join()
    second = TaskManager(f.double, journal=journal, logger=None)
    after = second.start(range(40))

    assert "stop()" == before.ended_early
    assert 1 <= before.succeeded <= 6
    assert (40 - before.succeeded, 0, before.succeeded) == (
        after.succeeded,
        after.failed,
        after.duplicates,
    )


@pytest.mark.parametrize("rate_key", [None, third])
def test_f25_repeats_take_nothing_of_a_limit(rate_key: Callable[[int], int] | None) -> None:
    """A thousand tasks, of which three are new: three attempts, and not five minutes."""
    options: dict[str, Any] = {"rate_limit": (3, 1.0), "rate_key": rate_key, "deadline": 30}
    summary = TaskManager(f.double, logger=None, **options).start([0, 1, 2] * 333)

    assert (3, 996, None) == (summary.succeeded, summary.duplicates, summary.ended_early)


@pytest.mark.parametrize("start_method", f.START_METHODS)
def test_f21_a_stage_that_dies_leaves_the_limit_as_it_is(start_method: str, tmp_path: Path) -> None:
    """Its next process knows what had begun in the last window, and so does that of the next start."""
    limited: dict[str, Any] = {"rate_limit": (2, 3600), "deadline": 0.3, "start_method": start_method}
    stages = [stage(f.same), stage(partial(dies_in_a_stage, folder=tmp_path), **limited)]
    chain = TaskChain(stages, "process")
    ended = [chain.start_chain(tasks).ended_early for tasks in ([0, 7, *range(20, 30)], range(30, 40))]
    begun = [path.stat().st_size // struct.calcsize("qd") for path in tmp_path.glob("began-*")]

    assert ["DeadlineExceeded"] * 2 == [str(why).partition(":")[0] for why in ended]
    assert sum(begun) == 2
    assert {0: 0} == chain.get_final_result_dict()


def test_f21_a_stage_that_dies_is_limited_by_key_again(tmp_path: Path) -> None:
    """Its next process knows nothing of the last window of the one before."""
    limited: dict[str, Any] = {"rate_limit": (8, WINDOW), "rate_key": third}
    stages = [stage(f.same), stage(partial(dies_in_a_stage, folder=tmp_path), **limited)]
    summary = TaskChain(stages, "process").start_chain(range(40))

    assert (39, 1) == (summary.succeeded, summary.failed)
    assert most_in_a_window(tmp_path, 3) <= 2 * 8


def dies_in_a_stage(task: int, folder: Path) -> int:
    note(folder, task)
    if task == 7:
        os._exit(3)
    return task


def kill_self(task: int) -> None:
    f.die_of("SIGKILL")


def test_f02_deaths_are_failures_of_which_there_may_be_too_many() -> None:
    """A function that kills its worker each time does not cost a process for each task."""
    with f.manager_of(kill_self, "fork", max_failures=3) as manager:
        summary = manager.start(range(1000))

    assert "TooManyFailures" in str(summary.ended_early)
    assert (0, True) == (summary.succeeded, summary.failed < 20)


@pytest.mark.parametrize("chain_mode", CHAIN_MODES)
def test_f24_the_deadline_of_a_stage_stops_its_chain(chain_mode: str) -> None:
    """What runs is finished; the summary says why."""
    stages = [stage(f.same), stage(f.wait_a_little, deadline=0.4)]
    summary = TaskChain(stages, chain_mode).start_chain(range(100_000))  # type: ignore[arg-type]

    assert "DeadlineExceeded: the run took longer than deadline=0.4 s" == summary.ended_early
    assert 0 == summary.failed


@pytest.mark.parametrize(
    ("owner", "step"),
    [
        (KeyedLimit, "enter"),
        (KeyedLimit, "start"),
        (KeyedLimit, "began"),
        (KeyedLimit, "settle"),
        (WaitingByKey, "queue"),
        (WaitingByKey, "take"),
    ],
)
def test_f27_whatever_raises_in_the_steps_of_a_limit_loses_no_task(
    owner: type, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a step or after it, as where memory has run out: the next start does what is left."""
    for when in ("before", "after"):
        manager = f.manager_of(
            f.fail_on_odd, "thread", AllHooks, max_retries=1, retry_exceptions=ValueError, rate_key=third
        )
        raises_once(monkeypatch, owner, step, when, at=3)
        with manager:
            try:
                manager.start(iter(range(100)))
            except MemoryError:
                broken = manager.get_summary()
                assert broken.taken == (
                    broken.succeeded + broken.failed + broken.duplicates + broken.not_started
                )
            monkeypatch.undo()
            manager.start(range(100))

        assert [n for n in range(100) if n % 2] == sorted(manager.get_error_dict())
        assert [n for n in range(100) if n % 2 == 0] == sorted(manager.get_result_dict())
