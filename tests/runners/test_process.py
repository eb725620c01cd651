"""A process runner: its workers, how they start, die and end."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import functions as f
from scripts import Script
from task_manager import (
    ConfigurationError,
    TaskChain,
    TaskManager,
    WorkerDiedError,
    WorkerStartError,
)
from task_manager._processes import life
from task_manager._processes.attempts import Sent, Worker
from task_manager._processes.life import end_process, live, start_process, uninterrupted
from task_manager._processes.wire import dumps
from task_manager._processes.worker import work
from task_manager._runners import Orders
from task_manager._runners.process import ProcessRunner
from task_manager._task import Batch, Unrun

Manager = Callable[..., TaskManager]


@pytest.fixture(params=f.START_METHODS)
def process_manager(request: pytest.FixtureRequest) -> Manager:
    """Makes managers in process mode, by each start method."""

    def make(func: Any, **options: Any) -> TaskManager:
        common = {"worker_limit": 2, "logger": None, "retry_delay": 0.0, "start_method": request.param}
        return TaskManager(func, "process", **{**common, **options})

    return make


def fork_on_some(folder: str, x: int) -> int:
    f.count_calls(folder, x)
    if x % 50 == 7:
        os.fork()
    return x


def test_a_copy_of_a_worker_that_returns_does_no_work(calls: Path, process_manager: Manager) -> None:
    """Where the function forks and forgets to end the child: it sends nothing and calls nothing."""
    with process_manager(fork_on_some, task_timeout=10) as manager:
        summary = manager.start([(str(calls), n) for n in range(1000)])

        assert (1000, 0) == (summary.succeeded, summary.failed)
        assert all(task[1] == result for task, result in manager.get_result_dict().items())
        assert {1} == {(calls / str(n)).stat().st_size for n in range(1000)}


def test_f01_a_worker_that_dies_takes_one_task_with_it(process_manager: Manager) -> None:
    """Exactly that task is an error, with pid and signal; its neighbours run again, uncharged."""
    with process_manager(f.kill_self_on_seven) as manager:
        summary = manager.start(range(200))
        (error,) = manager.get_error_dict().values()

        assert [7] == list(manager.get_error_dict())
        assert (199, 1, 0) == (summary.succeeded, summary.failed, summary.retries)
        assert isinstance(error, WorkerDiedError)
        assert -9 == error.exitcode
        assert "SIGKILL" in str(error)


def test_f01_a_worker_that_exits_takes_one_task_with_it(process_manager: Manager) -> None:
    """An os._exit in the middle of fast tasks that travel together."""
    with process_manager(f.exit_at) as manager:
        summary = manager.start([(n, 1500) for n in range(3000)])

        assert [(1500, 1500)] == list(manager.get_error_dict())
        assert (2999, 1) == (summary.succeeded, summary.failed)


def test_f01_a_death_is_retried_only_if_wanted(calls: Path, process_manager: Manager) -> None:
    """With WorkerDiedError in retry_exceptions there are max_retries more attempts, no more."""
    with process_manager(exit_always, retry_exceptions=WorkerDiedError, max_retries=2) as manager:
        manager.start([(str(calls), "a")])

        assert [WorkerDiedError] == [type(error) for error in manager.get_error_dict().values()]
        assert 3 == (calls / "a").stat().st_size


def exit_always(folder: str, name: str) -> None:
    f.count_calls(folder, name)
    os._exit(1)


def die() -> None:
    os._exit(4)


class DiesAtLoading:
    def __call__(self, task: Any) -> Any:
        return task

    def __reduce__(self) -> Any:
        return die, ()


def test_workers_that_die_before_they_are_ready_end_the_run(process_manager: Manager) -> None:
    """Three in a row are enough; the error says with what exit code."""
    with (
        process_manager(DiesAtLoading()) as manager,
        pytest.raises(WorkerStartError, match="exit code 4"),
    ):
        manager.start([1])


@pytest.mark.parametrize(
    ("little", "waiting", "pace", "busy"),
    [
        (True, 15, 0.001, True),
        (True, 9, 0.001, False),
        (True, 15, 0.0001, False),
        (True, 0, 0.001, False),
        (False, 15, 0.001, False),
    ],
)
def test_a_worker_is_heard_later_where_it_does_not_wait_for_that(
    little: bool, waiting: int, pace: float, busy: bool
) -> None:
    """It has ten milliseconds of work in its next batch, and what it tells is little."""
    worker = Worker()
    worker.channel = SimpleNamespace(little=little)  # type: ignore[assignment]
    batch = Batch([], [], [], False, [])
    worker.sent.extend(Sent(batch, range(count), 0) for count in (15, waiting) if count)
    worker.pace = pace

    assert busy == worker.busy


def test_a_call_of_a_millisecond_is_recorded_before_its_batch_ends() -> None:
    """While the next call of the batch, which takes a second, goes on."""
    recorded: dict[int, float] = {}

    class Noting(TaskManager):
        def process_result(self, task: tuple[int, float], result: float) -> float:
            recorded[task[0]] = time.perf_counter()
            return result

    with Noting(f.clock_after_a_nap, execution_mode="process", worker_limit=1, logger=None) as manager:
        manager.start([(n, 1.0 if n == 60 else 0.002) for n in range(100)])
        ended = {n: end for (n, _), end in manager.get_result_dict().items()}

    assert max(recorded[n] for n in range(60)) < ended[60]


@pytest.mark.parametrize("there_are", [0, 2])
def test_f07_no_more_processes_can_be_started(
    there_are: int, monkeypatch: pytest.MonkeyPatch, process_manager: Manager
) -> None:
    """The workers there are do the work; where there is none, one clear error."""
    start = life.start_process
    started = []

    def start_some(*args: Any, **options: Any) -> Any:
        if len(started) == there_are:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        started.append(start(*args, **options))
        return started[-1]

    monkeypatch.setattr("task_manager._processes.child.start_process", start_some)
    with process_manager(nap, worker_limit=8) as manager:
        if there_are:
            manager.start(range(100))
            assert {n: n for n in range(100)} == manager.get_result_dict()
        else:
            with pytest.raises(WorkerStartError, match=r"no worker process can be started.*open"):
                manager.start(range(100))


def nap(x: int) -> int:
    time.sleep(0.002)
    return x


FEW_FILES = """
import os, resource, time
from task_manager import TaskManager

def nap(x):
    time.sleep(0.01)
    return x

if __name__ == "__main__":
    TaskManager(nap, "process", 1, logger=None, start_method=METHOD).start([1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    manager = TaskManager(nap, "process", 50, logger=None, start_method=METHOD)
    print(manager.start(range(300)).succeeded)
    manager.shutdown_pools()
"""


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_f07_too_few_files_for_all_workers(start_method: str, script: Callable[[str], Script]) -> None:
    """Fewer workers do all the work. (A fork server dies itself when its client has no files.)"""
    running = script(FEW_FILES.replace("METHOD", repr(start_method)))
    out, err = running.process.communicate(timeout=30)

    assert ("300\n", "") == (out, err)


def leave_a_thread(x: int) -> int:
    threading.Thread(target=time.sleep, args=(60,)).start()
    time.sleep(0.1)
    return x


def test_f11_workers_that_do_not_end_are_waited_for_together(process_manager: Manager) -> None:
    """Six of them, each kept alive by a thread of the user's, are waited for once and not six times."""
    with process_manager(leave_a_thread, worker_limit=6) as manager:
        manager.start(range(6))
        began = time.monotonic()

    assert time.monotonic() - began < 4


class NoFlush:
    def write(self, text: str) -> int:
        return len(text)


def test_f17_a_stdout_that_cannot_flush(
    monkeypatch: pytest.MonkeyPatch, process_manager: Manager
) -> None:
    """It is the user's own object, and has no more than it needs."""
    monkeypatch.setattr(sys, "stdout", NoFlush())
    with process_manager(f.same) as manager:
        assert 10 == manager.start(range(10)).succeeded


def test_f17_no_shared_memory_file(monkeypatch: pytest.MonkeyPatch, process_manager: Manager) -> None:
    """Where the system refuses memfd_create, a temporary file serves."""

    def refuse(name: str) -> int:
        raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "memfd_create", refuse)
    with process_manager(f.kill_self_on_seven) as manager:
        summary = manager.start(range(20))

        assert (19, 1) == (summary.succeeded, summary.failed)


def start_within(way: str) -> str:
    manager = f.manager_of(f.same, "fork")
    taken = []
    start = TaskChain([manager], "process").start_chain if way == "chain" else manager.start
    try:
        start(taken.append(n) or n for n in range(5))
    except ConfigurationError as error:
        return f"{error} {taken}"
    return "started"


@pytest.mark.parametrize("way", ["manager", "chain"])
def test_f07_a_daemonic_process_may_have_no_workers(way: str) -> None:
    """Within a worker of multiprocessing.Pool: one clear error, before any task."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        said = pool.apply(start_within, (way,))
        pool.close()
        pool.join()

    assert "daemon" in said
    assert said.endswith("[]")


def test_f07_a_script_from_stdin(tmp_path: Path) -> None:
    """No other process can import it: the error says so, and blames no missing guard."""
    text = """
from task_manager import TaskManager
if __name__ == "__main__":
    TaskManager(abs, "process", 1, logger=None, start_method="spawn").start([1])
"""
    command = [sys.executable, "-"]
    ran = subprocess.run(command, input=text, capture_output=True, text=True, cwd=tmp_path, timeout=30)

    assert "<stdin>" in ran.stderr.splitlines()[-1]
    assert "if __name__" not in ran.stderr.splitlines()[-1]
    assert hasattr(os, "fork") == ("fork" in ran.stderr.splitlines()[-1])


def test_pools_are_kept_between_runs(process_manager: Manager) -> None:
    """The same processes serve the next run."""
    with process_manager(f.pid) as manager:
        manager.start(range(100))
        first = set(manager.get_result_dict().values())
        manager.start(range(100, 200))

        assert first == set(manager.get_result_dict().values())
        assert os.getpid() not in first


def test_f09_a_worker_whose_parent_is_gone_ends_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    """Nobody is there to be told of a pipe that ended."""
    with uninterrupted():
        process, pipe = start_process(
            multiprocessing.get_context("fork"), live, None, work, dumps(f.same), name="worker"
        )
    pipe.close()

    assert -signal.SIGKILL == end_process(process, 5)
    assert "" == capfd.readouterr().err


def wait_for(path: str) -> None:
    while path and not Path(path).exists():
        time.sleep(0.01)


def test_what_waits_behind_a_long_call_takes_no_room_of_others(tmp_path: Path) -> None:
    """As where each worker may have two batches, and then, as tasks are slow, only one."""
    path = tmp_path / "go"
    runner = ProcessRunner(wait_for, Orders(workers=2))
    for index, task in enumerate([str(path), "", "", ""]):
        assert runner.room(2)
        runner.submit(Batch([index], [task], [task], False, [1]))
    home = 0
    while home < 2:
        home += len(runner.collect(0.05))
    room = runner.room(1)
    path.touch()
    runner.close()

    assert room


def wait_or_exit(path: str) -> None:
    if path == "exit":
        os._exit(3)
    wait_for(path)


def test_f01_suspects_do_not_wait_behind_a_long_call(tmp_path: Path) -> None:
    """What a worker had called that died runs once more, each alone, where nothing else goes on."""
    path = tmp_path / "go"
    runner = ProcessRunner(wait_or_exit, Orders(workers=2))
    deadline = time.monotonic() + 10

    def home(count: int) -> list[int]:
        """The indices of so many that have come, and that were not called to their end."""
        unrun: list[int] = []
        while count > 0 and time.monotonic() < deadline:
            for batch, outcomes in runner.collect(0.05):
                count -= len(outcomes.positions)
                if isinstance(outcomes, Unrun):
                    unrun += [batch.indices[position] for position in outcomes.positions]
        assert count == 0
        return unrun

    assert runner.room(1)
    runner.submit(Batch([0], [str(path)], [str(path)], False, [1]))
    assert runner.room(1)
    tasks = [*[""] * 8, "exit"]
    runner.submit(Batch(range(1, 10), tasks, tasks, False, [1] * 9))
    suspects = home(9)
    again = [""] * len(suspects)
    runner.submit(Batch(suspects, again, again, False, [1] * len(suspects)))
    try:
        assert [] == home(len(suspects))  # one after the other, by the worker that is free
    finally:
        path.touch()
        runner.close()
