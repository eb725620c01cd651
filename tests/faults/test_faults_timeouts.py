"""Calls that hang, and what is started beside them: F6."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import functions as f
from scripts import Script, script_of
from task_manager import ConfigurationError, TaskChain, TaskManager, TaskTimeoutError
from task_manager._runners.thread_worker import ThreadWorker

by_start_method = pytest.mark.parametrize("start_method", f.START_METHODS)


LIMITED = ["thread", "async", *f.START_METHODS]


@pytest.fixture
def hanging(calls: Path) -> Iterator[Path]:
    """A folder in which calls for 7 hang until the test is over, and are counted."""
    yield calls
    (calls / "over").touch()


def hang(folder: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and not Path(folder, "over").exists():
        time.sleep(0.01)


def hang_on_seven(folder: str, x: int) -> int:
    if x == 7:
        f.count_calls(folder, x)
        hang(folder)
    return x


async def hang_on_seven_async(folder: str, x: int) -> int:
    if x == 7:
        f.count_calls(folder, x)
        await asyncio.sleep(60)
    return x


async def swallow_cancellation(folder: str, x: int) -> int:
    if x == 7:
        f.count_calls(folder, x)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                await asyncio.sleep(until - time.monotonic())
            except asyncio.CancelledError:
                continue
    return x


def limited(way: str, **options: Any) -> TaskManager:
    func = hang_on_seven_async if way == "async" else hang_on_seven
    common = {"worker_limit": 2, "logger": None, "retry_delay": 0.0, "task_timeout": 0.5}
    return TaskManager(func, **f.options_of(way), **{**common, **options})


@pytest.mark.parametrize("way", LIMITED)
@pytest.mark.parametrize("workers", [1, 2])
def test_f06_a_call_that_hangs_is_timed_out(way: str, workers: int, hanging: Path) -> None:
    """It fails with a TaskTimeoutError soon after its limit, and everything else has its result."""
    tasks = [(str(hanging), n) for n in range(100)]
    began = time.monotonic()
    with limited(way, max_retries=0, worker_limit=workers) as manager:
        summary = manager.start(tasks)
        took = time.monotonic() - began
        (error,) = manager.get_error_dict().values()

        assert (99, 1) == (summary.succeeded, summary.failed)
        assert isinstance(error, TaskTimeoutError)
        assert isinstance(error, TimeoutError)
        assert 0.5 == error.timeout
        assert 0.5 <= took < 20  # it is over long before the call would be
        assert 1 == (hanging / "7").stat().st_size


def hang_or_nap(folder: str, x: int) -> int:
    f.count_calls(folder, x)
    if x == 0:
        hang(folder)
    time.sleep(0.1)
    return x


async def hang_or_nap_async(folder: str, x: int) -> int:
    f.count_calls(folder, x)
    try:
        await asyncio.sleep(60 if x == 0 else 0.1)
    except asyncio.CancelledError:
        f.count_calls(folder, "cancelled")
        raise
    return x


@pytest.mark.parametrize("way", LIMITED)
def test_f06_only_the_call_that_hangs_is_ended(way: str, hanging: Path) -> None:
    """Those beside it are in the middle of theirs, and are neither ended nor made again."""
    func = hang_or_nap_async if way == "async" else hang_or_nap
    tasks = [(str(hanging), n) for n in range(12)]
    common: dict[str, Any] = {"worker_limit": 2, "logger": None, "task_timeout": 0.55, "max_retries": 0}
    with TaskManager(func, **f.options_of(way), **common) as manager:
        manager.start(tasks)

        assert tasks[:1] == list(manager.get_error_dict())
        assert [1] * 12 == [(hanging / str(n)).stat().st_size for n in range(12)]
        assert (way == "async") == (hanging / "cancelled").exists()


@pytest.mark.parametrize("way", LIMITED)
def test_f06_a_timeout_is_retried_by_default(way: str, hanging: Path) -> None:
    """Being a TimeoutError, it has max_retries more attempts; its neighbours are run once."""
    with limited(way, max_retries=2, task_timeout=0.3) as manager:
        summary = manager.start([(str(hanging), 7), (str(hanging), 8)])

        assert (1, 1, 2) == (summary.succeeded, summary.failed, summary.retries)
        assert 3 == (hanging / "7").stat().st_size


def wait_for(path: Path) -> None:
    until = time.monotonic() + 10
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.005)


def end_late(folder: str, x: int) -> int:
    if x == 20:
        wait_for(Path(folder, "overdue"))
    if x > 20 and not Path(folder, "begun").exists():
        Path(folder, "begun").touch()
        time.sleep(30)
    return x


@by_start_method
def test_f06_a_call_that_ends_too_late_costs_the_next_one_nothing(
    start_method: str, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker begins the next call before it is killed: that one is run again."""
    kill = multiprocessing.process.BaseProcess.kill

    def kill_later(process: multiprocessing.process.BaseProcess) -> None:
        (calls / "overdue").touch()
        wait_for(calls / "begun")
        kill(process)

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "kill", kill_later)
    options: dict[str, Any] = {"worker_limit": 1, "task_timeout": 1, "max_retries": 0}
    with f.manager_of(end_late, start_method, **options) as manager:
        summary = manager.start([(str(calls), n) for n in range(40)])

        assert (39, 1) == (summary.succeeded, summary.failed)
        assert {(str(calls), 20): TaskTimeoutError} == {
            task: type(error) for task, error in manager.get_error_dict().items()
        }


@pytest.mark.parametrize("way", ["thread", "async", "fork"])
def test_f06_a_call_that_hangs_in_an_event_loop(way: str, hanging: Path) -> None:
    """start_async times it out as well."""
    with limited(way, max_retries=0) as manager:
        summary = asyncio.run(manager.start_async([(str(hanging), n) for n in range(20)]))

        assert (19, 1) == (summary.succeeded, summary.failed)
        assert [TaskTimeoutError] == [type(error) for error in manager.get_error_dict().values()]


@pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])
@pytest.mark.parametrize("way", ["thread", "async", "fork"])
def test_f06_a_call_that_hangs_in_a_stage(way: str, chain_mode: str, hanging: Path) -> None:
    """It is the error of its initial task, and the others arrive."""
    chain = TaskChain([limited(way, max_retries=0), f.stage(f.same)], chain_mode)
    summary = chain.start_chain([(str(hanging), n) for n in range(20)])
    ((task, error),) = chain.get_final_error_dict().items()

    assert (19, 1, 0) == (summary.succeeded, summary.failed, summary.not_started)
    assert (7, TaskTimeoutError) == (task[1], type(error))
    assert any("in stage 1 of 2" in note for note in error.__notes__)


def pid_or_hang(x: int) -> int:
    time.sleep(60 if x == 7 else 0.01)
    return os.getpid()


@by_start_method
def test_f06_only_the_worker_that_hangs_is_killed(start_method: str) -> None:
    """The others live on, and it is replaced."""
    with f.manager_of(pid_or_hang, start_method, task_timeout=0.5, max_retries=0) as manager:
        manager.start(range(100, 140))
        before = set(manager.get_result_dict().values())
        manager.start([7, *range(200, 240)])
        manager.start(range(300, 340))
        results = manager.get_result_dict()
        after = {results[n] for n in range(300, 340)}

        assert 1 == len(before & after)
        assert not any(map(psutil.pid_exists, before - after))
        assert 2 == len(after)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone_soon(pid: int) -> bool:
    until = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not is_alive(pid)


def run_a_program(path: str, how: str) -> None:
    program = subprocess.Popen(["sleep", "60"])
    Path(path).write_text(str(program.pid))
    if how == "dies":
        os._exit(3)
    if how == "hangs":
        program.wait()


@by_start_method
@pytest.mark.parametrize("how", ["hangs", "dies"])
def test_f06_what_a_worker_has_started_ends_with_it(start_method: str, how: str, tmp_path: Path) -> None:
    """A program that the function runs is not left behind by a timeout or a death."""
    pid = tmp_path / "pid"
    with f.manager_of(run_a_program, start_method, task_timeout=1, max_retries=0) as manager:
        summary = manager.start([(str(pid), how)])

        assert 1 == summary.failed
        assert gone_soon(int(pid.read_text()))


@by_start_method
def test_what_a_worker_has_started_is_left_alone_if_it_ends_well(
    start_method: str, tmp_path: Path
) -> None:
    """A function may leave a program behind on purpose."""
    pid = tmp_path / "pid"
    with f.manager_of(run_a_program, start_method) as manager:
        manager.start([(str(pid), "leaves")])
    left = is_alive(int(pid.read_text()))
    os.kill(int(pid.read_text()), signal.SIGKILL)

    assert left


@by_start_method
def test_f09_what_a_worker_starts_heeds_ctrl_c(start_method: str) -> None:
    """A worker ignores it, and programs that it starts do not inherit that."""
    with f.manager_of(interrupt_a_program, start_method) as manager:
        manager.start([60])

        assert {60: -signal.SIGINT} == manager.get_result_dict()


def interrupt_a_program(seconds: int) -> int:
    program = subprocess.Popen(["sleep", str(seconds)])
    program.send_signal(signal.SIGINT)
    return program.wait(10)


def test_f06_a_thread_that_hangs_does_not_keep_the_interpreter(
    script: Callable[[str], Script],
) -> None:
    """Its slot is filled again at once, and the script ends."""
    running = script(
        script_of(
            "thread",
            "manager = TaskManager(work, 'thread', 2, 0, task_timeout=0.3, logger=None)\n"
            "manager.start([20, 21, *range(10)])\n"
            "print(len(manager.get_result_dict()), len(manager.get_error_dict()), flush=True)\n",
        )
    )
    out, _ = running.process.communicate(timeout=20)

    assert "10 2\n" == out
    assert 0 == running.process.returncode


def test_f06_a_coroutine_that_swallows_its_cancellation_is_left_alone(hanging: Path) -> None:
    """The run goes on and ends without it."""
    tasks = [(str(hanging), n) for n in range(20)]
    began = time.monotonic()
    options: dict[str, Any] = {"worker_limit": 1, "logger": None, "task_timeout": 0.3, "max_retries": 0}
    with TaskManager(swallow_cancellation, "async", **options) as manager:
        summary = manager.start(tasks)

        assert (19, 1) == (summary.succeeded, summary.failed)
        assert time.monotonic() - began < 20


async def cancel_itself(x: int) -> int:
    await asyncio.sleep(0)
    if x % 64 == 63 or x == 100:
        asyncio.current_task().cancel()
    return x


def test_f03_a_cancellation_that_a_call_leaves_behind_hits_nobody() -> None:
    """The next call of the same worker is not cancelled, and the workers live on."""
    with TaskManager(cancel_itself, "async", worker_limit=1, max_retries=0, logger=None) as manager:
        summary = manager.start(range(300))

        assert (300, 0, 0) == (summary.succeeded, summary.failed, summary.not_started)


@pytest.mark.parametrize("way", LIMITED)
def test_f06_calls_within_the_limit_are_left_in_peace(way: str, hanging: Path) -> None:
    """A thousand short calls together take longer than the limit of one."""
    with limited(way, task_timeout=0.5) as manager:
        summary = manager.start([(str(hanging), n) for n in range(1000, 31_000)])

        assert (30_000, 0, 0) == (summary.succeeded, summary.failed, summary.retries)


@pytest.mark.parametrize("way", ["thread", "async", "fork"])
def test_f06_what_waits_behind_a_call_that_hangs_is_run(way: str, hanging: Path) -> None:
    """The one worker hangs in the last call but one, and the last is with it already."""
    tasks = [(str(hanging), n) for n in [*range(100, 120), 7, 8]]
    with limited(way, worker_limit=1, max_retries=0) as manager:
        summary = manager.start(tasks)

        assert (21, 1, 0) == (summary.succeeded, summary.failed, summary.not_started)


class SlowHook(TaskManager):
    def process_result(self, task: int, result: bytes) -> int:
        time.sleep(0.6)
        return len(result)


def three_megabytes(x: int) -> bytes:
    return bytes(3_000_000)


@by_start_method
def test_f06_a_hook_that_is_slow_costs_no_call_its_time(start_method: str) -> None:
    """A result that waits to be fetched, and is too large for a pipe, is in time."""
    with f.manager_of(three_megabytes, start_method, SlowHook, task_timeout=0.5) as manager:
        summary = manager.start(range(2))  # the second one waits while the hook takes its time

        assert (2, 0, 0) == (summary.succeeded, summary.failed, summary.retries)


def test_f06_a_thread_that_is_left_alone_as_its_call_ends_takes_no_batch_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long the look at it takes, what it takes up meanwhile is run once, and has its result."""
    look = ThreadWorker.overdue

    def look_slowly(worker: ThreadWorker, timeout: float) -> tuple[Any, int] | None:
        overdue = look(worker, timeout)
        if overdue is not None:
            time.sleep(0.4)  # the call that it has found ends, and the thread wants the next batch
        return overdue

    monkeypatch.setattr(ThreadWorker, "overdue", look_slowly)
    options: dict[str, Any] = {"worker_limit": 1, "logger": None, "task_timeout": 0.5, "max_retries": 0}
    with TaskManager(f.nap, "thread", **options) as manager:
        summary = manager.start([0.7, 0.1, 0.11, 0.12])

        assert (3, 1, 0) == (summary.succeeded, summary.failed, summary.not_started)
        assert [0.7] == list(manager.get_error_dict())


def test_f06_serial_mode_refuses_a_limit() -> None:
    """Nothing can interrupt a call in the caller's own thread: told at the door."""
    with pytest.raises(ConfigurationError, match="thread, process, async; got 'serial'"):
        TaskManager(f.same, task_timeout=1)
