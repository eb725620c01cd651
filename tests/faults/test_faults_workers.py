"""Workers that die: F1, F2, F18. More on F1, F4 and F5 stands in test_process.py."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import functions as f
from task_manager import TaskChain, WorkerDiedError
from task_manager._runners import thread_worker

by_start_method = pytest.mark.parametrize("start_method", f.START_METHODS)


# ------------------------------------------------------------------ F1, F2: workers that die


def end_on_seven(x: int, how: str) -> int:
    if x == 7:
        if how == "exit":
            os._exit(3)
        f.die_of(how)
    return x


@by_start_method
@pytest.mark.parametrize(
    ("how", "exitcode"), [("SIGKILL", -9), ("SIGSEGV", -11), ("SIGTERM", -15), ("exit", 3)]
)
def test_f01_a_worker_dies(start_method: str, how: str, exitcode: int) -> None:
    """Exactly that task is an error, with pid and exit code or signal; 199 others have results."""
    tasks = [(n, how) for n in range(200)]
    with f.manager_of(end_on_seven, start_method) as manager:
        summary = manager.start(tasks)
        (error,) = manager.get_error_dict().values()

        assert (199, 1, 0, 0) == (
            summary.succeeded,
            summary.failed,
            summary.duplicates,
            summary.not_started,
        )
        assert [(7, how)] == list(manager.get_error_dict())
        assert isinstance(error, WorkerDiedError)
        assert exitcode == error.exitcode
        assert error.pid not in (None, os.getpid())
        assert ("exit code 3" if how == "exit" else how) in str(error)


def pid_or_end(x: int, how: str) -> int:
    end_on_seven(x, how)
    return os.getpid()


@by_start_method
def test_f01_a_dead_worker_is_replaced(start_method: str) -> None:
    """The only worker dies, and another one makes the rest of the calls."""
    with f.manager_of(pid_or_end, start_method, worker_limit=1) as manager:
        summary = manager.start([(n, "SIGKILL") for n in range(200)])
        (error,) = manager.get_error_dict().values()
        pids = set(manager.get_result_dict().values())

        assert (199, 1) == (summary.succeeded, summary.failed)
        assert 2 >= len(pids)
        assert {error.pid} != pids


def test_f01_a_worker_dies_in_an_event_loop() -> None:
    """start_async keeps 199 of 200 as well."""
    with f.manager_of(end_on_seven, "fork") as manager:
        summary = asyncio.run(manager.start_async([(n, "SIGKILL") for n in range(200)]))

        assert (199, 1) == (summary.succeeded, summary.failed)
        assert [(7, "SIGKILL")] == list(manager.get_error_dict())


@pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])
@by_start_method
def test_f01_a_worker_of_a_stage_dies(start_method: str, chain_mode: str) -> None:
    """Exactly that initial task is an error, and it names the stage; 199 others arrive."""
    last = f.stage(end_on_seven, "process", start_method=start_method, worker_limit=2)
    chain = TaskChain([f.stage(with_sigkill), last], chain_mode)
    summary = chain.start_chain(range(200))
    ((task, error),) = chain.get_final_error_dict().items()

    assert (199, 1, 0, 0) == (
        summary.succeeded,
        summary.failed,
        summary.duplicates,
        summary.not_started,
    )
    assert 7 == task
    assert (WorkerDiedError, -9) == (type(error), error.exitcode)
    assert any("in stage 2 of 2" in note for note in error.__notes__)


def with_sigkill(x: int) -> tuple[int, str]:
    return x, "SIGKILL"


class WithLittleMemory:
    """A function whose worker has room for 60 MB more than it has when it loads the function."""

    def __call__(self, task: Any) -> int:
        return len(task)

    def __reduce__(self) -> Any:
        return little_memory, ()


def little_memory() -> Callable[[Any], int]:
    limit = psutil.Process().memory_info().vms + 60_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return len


@by_start_method
def test_f01_a_task_that_kills_its_worker_as_it_arrives(start_method: str) -> None:
    """Workers that cannot hold it are not started for ever: it is an error, and it alone."""
    huge = bytes(100_000_000)
    tasks = [*(bytes([n, n]) for n in range(100)), huge, *(bytes([n, n, n]) for n in range(100))]
    with f.manager_of(WithLittleMemory(), start_method) as manager:
        summary = manager.start(tasks)
        ((task, error),) = manager.get_error_dict().items()

        assert (200, 1, 0) == (summary.succeeded, summary.failed, summary.not_started)
        assert task is huge
        assert (WorkerDiedError, 1) == (type(error), error.exitcode)


@by_start_method
@pytest.mark.parametrize("workers", [1, 2])
def test_f01_a_worker_dies_and_leaves_a_copy_of_itself(start_method: str, workers: int) -> None:
    """It holds the worker's end of all pipes; the death is seen nevertheless, and the copy ended."""
    began = time.monotonic()
    with f.manager_of(f.leave_a_copy_on_seven, start_method, worker_limit=workers) as manager:
        summary = manager.start(range(200))

        assert (199, 1) == (summary.succeeded, summary.failed)
        assert [7] == list(manager.get_error_dict())
        assert time.monotonic() - began < 15


@pytest.fixture(params=["ignored", "reaped by another"])
def no_exit_codes(request: pytest.FixtureRequest) -> Iterator[None]:
    """The user's program takes no interest in dead children, or waits for all that there are."""

    def reap(number: int, frame: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue

    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN if request.param == "ignored" else reap)
    yield
    signal.signal(signal.SIGCHLD, before)


@by_start_method
def test_f01_a_worker_dies_and_its_exit_code_is_lost(start_method: str, no_exit_codes: None) -> None:
    """Its task is an error all the same, and neither the run nor the shutdown stumbles."""
    with f.manager_of(end_on_seven, start_method) as manager:
        summary = manager.start([(n, "exit") for n in range(200)])
        (error,) = manager.get_error_dict().values()

        assert (199, 1, 0) == (summary.succeeded, summary.failed, summary.not_started)
        assert isinstance(error, WorkerDiedError)
        assert error.exitcode in (3, None)
    assert [] == multiprocessing.active_children()


def close_files_on_seven(x: int) -> int:
    if x == 7:
        parent = multiprocessing.parent_process()
        assert parent is not None
        os.closerange(3, parent.sentinel)  # without that the worker would know no parent, and end
        os.closerange(parent.sentinel + 1, 256)
        time.sleep(30)
    return x


@by_start_method
def test_f01_a_worker_closes_all_its_files(start_method: str) -> None:
    """It looks dead and is alive: it is killed, and nobody waits for it for ever."""
    with f.manager_of(close_files_on_seven, start_method) as manager:
        summary = manager.start(range(200))

        assert (199, 1) == (summary.succeeded, summary.failed)
        assert [WorkerDiedError] == [type(error) for error in manager.get_error_dict().values()]


def nap_and_return(x: int) -> int:
    time.sleep(0.004)
    return x


@pytest.mark.parametrize(
    ("start_method", "interval"), [*[("fork", 0.1)] * 10, ("forkserver", 0.5), ("spawn", 0.5)]
)
def test_f02_a_random_worker_is_killed_again_and_again(start_method: str, interval: float) -> None:
    """600 tasks, ten times over: it always ends, and there are no more errors than kills.

    Every 100 ms under fork, and when something has been done since: a worker may need longer than that
    to come up, on a machine that has other work; if none ever comes up, the run ends with an error, and
    rightly.
    """
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    kills, done = 0, -1
    over = threading.Event()

    def kill() -> None:
        nonlocal kills, done
        while not over.wait(interval):
            if len(manager.get_result_dict()) == done:
                continue
            done = len(manager.get_result_dict())
            workers = [
                child for child in psutil.Process().children(recursive=True) if child.pid not in before
            ]
            if workers:
                with contextlib.suppress(psutil.NoSuchProcess):
                    random.choice(workers).kill()
                    kills += 1

    killer = threading.Thread(target=kill)
    with f.manager_of(nap_and_return, start_method, worker_limit=4) as manager:
        killer.start()
        try:
            summary = manager.start(range(600))
        finally:
            over.set()
            killer.join()

        assert 600 == summary.succeeded + summary.failed
        assert 0 < kills
        assert summary.failed <= kills
        assert {WorkerDiedError} >= {type(error) for error in manager.get_error_dict().values()}


# ------------------------------------------------------------------ F18: logging workers


def log_and_die(n: int) -> int:
    from loguru import logger

    logger.info("task {}", n)
    if n % 10 == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return n


@by_start_method
def test_f18_workers_are_killed_while_they_log(start_method: str, tmp_path: Path) -> None:
    """Twenty of them, through the user's own loguru: the parent still ends, with twenty errors."""
    from loguru import logger

    handler = logger.add(tmp_path / "mine.log")
    try:
        with f.manager_of(log_and_die, start_method, worker_limit=4) as manager:
            summary = manager.start(range(200))
    finally:
        logger.remove(handler)

    assert (180, 20, 0) == (summary.succeeded, summary.failed, summary.not_started)
    assert {n: n for n in range(200) if n % 10} == manager.get_result_dict()
    # Only what is forked has the handler.
    assert (start_method == "fork") == ("task 199" in (tmp_path / "mine.log").read_text())


def fork_on_seven(x: int) -> int:
    return os.fork() if x == 7 else x


def test_a_copy_of_this_process_that_returns_into_a_thread_ends() -> None:
    """Where the function forks and forgets to end the child: nobody in it would."""
    with f.manager_of(fork_on_seven, "thread") as manager:
        manager.start(range(100))
    copy = manager.get_result_dict()[7]

    assert (copy, 0) == os.waitpid(copy, 0)


def test_a_thread_that_fails_in_code_of_ours_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where memory has run out: what it has in hand fails with that, and the rest has its result."""
    make_calls = thread_worker.call_batch

    def run_out_of_memory(invoke: Any, calls: Any, slot: Any, **options: Any) -> Any:
        if 7 in calls:
            raise MemoryError
        return make_calls(invoke, calls, slot, **options)

    monkeypatch.setattr(thread_worker, "call_batch", run_out_of_memory)
    with f.manager_of(f.same, "thread", worker_limit=1) as manager:
        summary = manager.start(range(100))

        assert 100 == summary.succeeded + summary.failed
        assert {MemoryError} == {type(error) for error in manager.get_error_dict().values()}
        assert 7 in manager.get_error_dict()
