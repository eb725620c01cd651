"""What is on its way between processes: F26, F29, F30, F33. Frames by themselves: test_channel.py."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import functions as f
from scripts import Script
from task_manager import TaskManager, TaskTimeoutError, TransportError, WorkerDiedError
from task_manager._processes.channel import HEADER, MARK, send_frame
from task_manager._processes.child import Glance
from task_manager._runners import Orders
from task_manager._runners.process import ProcessRunner
from task_manager._task import Batch, Outcomes

by_start_method = pytest.mark.parametrize("start_method", f.START_METHODS)


# ------------------------------------------------------------------ F26: SIGPIPE at its default

SIGPIPE_RUN = """
import os, pathlib, signal, sys, time
import psutil
from task_manager import TaskManager

signal.signal(signal.SIGPIPE, signal.SIG_DFL)

def end_on_seven(n):
    if n % 50 == 7 and n > 10:
        os._exit(1)
    return n

def wait_for_death(children):
    psutil.wait_procs(children, timeout=10)

if __name__ == "__main__":
    manager = TaskManager(end_on_seven, "process", 2, logger=None, start_method=METHOD)
    manager.start(range(10))
    if WHEN == "run":
        summary = manager.start(range(10, 500))
        print(summary.succeeded, summary.failed)
    else:
        workers = [child for child in psutil.Process().children(recursive=True)]
        for worker in workers:
            if METHOD == "fork":
                worker.kill()
        time.sleep(0.1)
        if WHEN == "start":
            print(manager.start(range(10, 17)).succeeded)
    manager.shutdown_pools()
    print("the end")
"""


@pytest.mark.parametrize(
    ("when", "start_method", "said"),
    [
        ("shutdown", "fork", "the end\n"),
        ("start", "fork", "7\nthe end\n"),
        *[("run", method, "481 9\nthe end\n") for method in f.START_METHODS],
    ],
)
def test_f26_sigpipe_at_its_default(
    when: str, start_method: str, said: str, script: Callable[[str], Script]
) -> None:
    """As in `script | head`: writing to a worker that has died is no reason to die in silence."""
    text = SIGPIPE_RUN.replace("METHOD", repr(start_method)).replace("WHEN", repr(when))
    process = script(text).process
    out, err = process.communicate(timeout=40)

    assert (said, 0) == (out, process.returncode), err


ORPHANS = """
import os, pathlib, signal, time
from task_manager import TaskManager

signal.signal(signal.SIGPIPE, signal.SIG_DFL)

def start_something(n):
    if n == 5:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        os.kill(os.getppid(), signal.SIGKILL)
    return bytes(3_000_000)

if __name__ == "__main__":
    TaskManager(start_something, "process", 1, logger=None, start_method="fork").start(range(10))
"""


def test_f26_a_worker_whose_parent_is_gone_ends_its_group(script: Callable[[str], Script]) -> None:
    """Also where it notices by writing, and has inherited SIGPIPE at its default."""
    one = script(ORPHANS)
    one.process.wait(timeout=20)

    assert [] == one.left_after(5)


# ------------------------------------------------------------------ F29: who is charged


def sockets() -> list[socket.socket]:
    """Of this worker: those of ours among them."""
    return [one for one in gc.get_objects() if type(one) is socket.socket and one.fileno() > 2]


def refuse(*args: Any, **options: Any) -> Any:
    raise RuntimeError("patched by the function")


class Spoil:
    """A function whose call for 500 spoils its worker, which shows when it reports."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __call__(self, n: int) -> int:
        if n == 500:
            getattr(self, self.how)()
        return n

    def close_files(self) -> None:
        os.closerange(3, 256)

    def close_files_and_wait(self) -> None:
        os.closerange(3, 256)
        time.sleep(0.05)

    def close_sockets(self) -> None:
        for one in sockets():
            one.close()

    def patch_sockets(self) -> None:
        for name in ("send", "sendall", "recv_into"):
            setattr(socket.socket, name, refuse)

    def patch_pickle_struct_and_time(self) -> None:
        import struct

        pickle.dumps = pickle.loads = pickle.Pickler = refuse  # type: ignore[misc, assignment]
        struct.pack = struct.unpack = struct.Struct = refuse  # type: ignore[misc, assignment]
        time.perf_counter = time.monotonic = time.time = refuse  # type: ignore[assignment]

    def write_garbage(self) -> None:
        for one in sockets():
            os.write(one.fileno(), b"a message of some library, on what it takes for its stderr\n")

    def write_one_byte(self) -> None:
        for one in sockets():
            os.write(one.fileno(), b"x")

    def write_a_length_beyond_all_bounds(self) -> None:
        for one in sockets():
            os.write(one.fileno(), HEADER.pack(MARK, 0, 1 << 62))

    def report_no_pickle(self) -> None:
        for one in sockets():
            send_frame(one, b"no pickle")

    def report_something_else(self) -> None:
        for one in sockets():
            send_frame(one, pickle.dumps((True, [1, 2], {}, [0.1], [], 0.0)))

    def report_too_much(self) -> None:
        for one in sockets():
            send_frame(one, pickle.dumps((True, [1] * 5000, {}, [0.1] * 5000, [], 0.0)))


SPOILS = [name for name in vars(Spoil) if not name.startswith("_") and "pickle_struct" not in name]


@pytest.mark.parametrize("how", SPOILS)
@pytest.mark.parametrize("workers", [1, 2])
def test_f29_a_worker_that_dies_while_it_reports(how: str, workers: int) -> None:
    """The call that has spoilt it is the error, in few deaths, and those beside it have results."""
    with f.manager_of(Spoil(how), "fork", worker_limit=workers) as manager:
        summary = manager.start(range(2000))

        assert [500] == list(manager.get_error_dict())
        assert [WorkerDiedError] == [type(error) for error in manager.get_error_dict().values()]
        assert {n: n for n in range(2000) if n != 500} == manager.get_result_dict()
        assert (1999, 1, 0) == (summary.succeeded, summary.failed, summary.retries)


@pytest.mark.parametrize("how", ["close_files", "patch_sockets", "write_garbage"])
@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_f29_however_it_was_started(how: str, start_method: str) -> None:
    """The same for workers that were not forked from this process."""
    with f.manager_of(Spoil(how), start_method, worker_limit=1) as manager:
        manager.start(range(1000))

        assert [500] == list(manager.get_error_dict())


@by_start_method
def test_f33_a_worker_in_which_modules_are_patched_goes_on(start_method: str) -> None:
    """What its function makes of pickle, struct and time is none of our business."""
    with f.manager_of(Spoil("patch_pickle_struct_and_time"), start_method) as manager:
        manager.start(range(1000))

        assert {n: n for n in range(1000)} == manager.get_result_dict()


class EndsLater:
    """A function that leaves a thread behind which ends the worker, in the middle of other calls."""

    def __call__(self, n: int) -> int:
        if n == 500:
            threading.Thread(target=self.end).start()
        return n

    def end(self) -> None:
        os._exit(7)


def test_f29_a_thread_that_kills_its_worker_costs_few_innocents() -> None:
    """Whoever was in hand is charged, once: what was called before it runs alone from then on."""
    with f.manager_of(EndsLater(), "fork") as manager:
        summary = manager.start(range(2000))

        assert 2000 == summary.succeeded + summary.failed
        assert len(set(manager.get_error_dict()) - {500}) <= 2


def close_files_before_a_slow_call(n: int) -> int:
    if n == 50:
        os.closerange(3, 256)
    if n == 51:
        time.sleep(1.5)
    return n


def test_f29_the_next_call_is_not_charged_for_a_pipe_that_has_ended() -> None:
    """It is going on when the end of the pipe is seen, and its worker alive."""
    with f.manager_of(close_files_before_a_slow_call, "fork", worker_limit=1) as manager:
        manager.start(range(100))

        assert [50] == list(manager.get_error_dict())


@pytest.mark.parametrize("timeout", [0.1, 0.4])
def test_f29_a_death_that_a_copy_hides_is_no_timeout(
    timeout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it would be a timeout before anybody looks whether the worker lives."""
    collect = ProcessRunner.collect

    def collect_late(runner: ProcessRunner, longest: float) -> list[Any]:
        """When the worker is dead, and its call has been going on for too long."""
        while multiprocessing.active_children():
            time.sleep(0.01)
        time.sleep(timeout)
        return collect(runner, longest)

    monkeypatch.setattr(ProcessRunner, "collect", collect_late)
    monkeypatch.setattr(Glance, "dead", lambda *_: [])  # which would find it out as well
    options: dict[str, Any] = {"task_timeout": timeout, "max_retries": 0}
    with f.manager_of(f.leave_a_copy_on_seven, "fork", **options) as manager:
        manager.start([7])

        assert [WorkerDiedError] == [type(error) for error in manager.get_error_dict().values()]


# ------------------------------------------------------------------ F6: looks come in time


@by_start_method
def test_f06_a_timeout_is_seen_when_it_is_due(start_method: str) -> None:
    """However long its caller would wait; the outcome says how long the call was going on."""
    runner = ProcessRunner(f.nap, Orders(1, task_timeout=0.3, start_method=start_method))
    try:
        runner.submit(Batch([0], [50.0], [50.0], False, [1]))
        answers: list[Any] = []
        began = time.monotonic()
        while not answers:
            answers = runner.collect(40.0)
        ((_, outcomes),) = answers

        assert time.monotonic() - began < 30  # and not the 40 or 50 seconds of the others
        assert isinstance(outcomes, Outcomes)
        assert isinstance(outcomes.failures[0].error, TaskTimeoutError)
        assert 0.3 <= outcomes.seconds[0] < 30
    finally:
        runner.close()


# ------------------------------------------------------------------ F30: files 0 to 2 are closed

CLOSED_FILES_RUN = """
import os
from task_manager import TaskManager

def complain(n):
    for number in range(3):
        try:
            os.write(number, b"a message of some library\\n" * 4)
        except OSError:
            pass
    return n

if __name__ == "__main__":
    manager = TaskManager(complain, "process", 2, logger=None, start_method=METHOD)
    try:
        summary = manager.start(range(50))
        said = f"{summary.succeeded} {summary.failed}"
    except BaseException as error:
        said = repr(error)
    manager.shutdown_pools()
    low = [number for number in range(3) if os.path.exists(f"/proc/self/fd/{number}")]
    with open("verdict", "w") as file:
        file.write(f"{said} {low}")
"""


@by_start_method
def test_f30_standard_files_are_closed_at_the_start(start_method: str, tmp_path: Path) -> None:
    """As of some daemons: what a library says on stderr is not taken for a report. They stay closed."""
    (tmp_path / "script.py").write_text(CLOSED_FILES_RUN.replace("METHOD", repr(start_method)))
    command = f"exec {sys.executable} script.py <&- >&- 2>&-"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(command, shell=True, cwd=tmp_path, env=environment, timeout=40, check=False)

    assert "50 0 []" == (tmp_path / "verdict").read_text()


# ------------------------------------------------------------------ F30: large arguments and results


class Heavy:
    """An argument of 100 KB, once it is pickled."""

    pickled = 0

    def __reduce__(self) -> Any:
        Heavy.pickled += 1
        return bytes, (b"x" * 100_000,)


class Counting(TaskManager):
    """Notes how many of its arguments are pickled and have no result yet, at the most."""

    most = done = 0

    def process_result(self, task: Any, result: Any) -> Any:
        if isinstance(task, Heavy):
            self.most = max(self.most, Heavy.pickled - self.done)
            self.done += 1
        return None


def size_of(task: Any) -> int:
    return len(task)


def ready_tasks() -> list[Any]:
    """Tiny ones, so that batches are large by the time that the heavy ones come."""
    return [*(b"%d" % n for n in range(3000)), *(Heavy() for _ in range(1000))]


def test_f30_large_arguments_are_pickled_as_they_are_sent() -> None:
    """Some megabytes a worker are on their way, and not the 50 of its half of them.

    Up to 26 MB for both have been seen, as what has been read and not looked at yet counts as well.
    """
    Heavy.pickled = 0
    with f.manager_of(size_of, "fork", Counting) as manager:
        summary = manager.start(ready_tasks())

        assert 4000 == summary.succeeded
        assert isinstance(manager, Counting)
        assert 0 < manager.most <= 500


def test_f30_an_input_of_large_arguments_is_not_read_far_ahead() -> None:
    """As far as some megabytes go, and not for as many tasks as their calls are short."""
    ahead: list[int] = []
    results: list[Any] = []

    class Noting(TaskManager):
        def process_result(self, task: Any, result: Any) -> Any:
            results.append(result)
            return result

    def tasks() -> Iterator[bytes]:
        for n in range(1500):
            ahead.append(n - len(results))
            yield b"%06d" % n * 20_000

    with f.manager_of(size_of, "fork", Noting, keep_results=False, deduplicate=False) as manager:
        manager.start(tasks())

    assert max(ahead) <= 60


LITTLE_MEMORY_RUN = """
import resource
from task_manager import TaskManager

def give_much(n):
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if n == 3:
        return b"x" * 100_000_000
    if n == 4:
        return [b"x" * 100_000_000]
    if n == 5:
        raise ValueError("x" * 100_000_000)
    return n

if __name__ == "__main__":
    now = int(open("/proc/self/statm").read().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (now + (60 << 20), resource.RLIM_INFINITY))
    manager = TaskManager(give_much, "process", 2, logger=None)
    for turn in range(2):
        summary = manager.start(range(20))
        print(summary.succeeded, summary.failed)
    for task, error in sorted(manager.get_error_dict().items()):
        print(task, type(error).__name__, error.what, error.type_name)
    print(manager.start(range(100, 200)).succeeded)
"""


def test_f30_a_result_that_this_process_has_no_memory_for(script: Callable[[str], Script]) -> None:
    """It is the error of its task, which is named by its type; everything else, and later, goes on."""
    process = script(LITTLE_MEMORY_RUN).process
    out, err = process.communicate(timeout=50)

    assert [
        "17 3",
        "0 3",
        "3 TransportError result bytes",
        "4 TransportError result list",
        "5 TransportError error ValueError",
        "100",
    ] == out.splitlines(), err


def give_more_than_can_be_packed(n: int) -> Any:
    if n != 3:
        return n
    much = b"x" * 100_000_000
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 30_000_000, resource.RLIM_INFINITY))
    return much


@by_start_method
def test_f30_a_result_that_its_worker_has_no_memory_to_send(start_method: str) -> None:
    """The error of its task, not the death of its worker."""
    with f.manager_of(give_more_than_can_be_packed, start_method) as manager:
        manager.start(range(20))
        ((task, error),) = manager.get_error_dict().items()

        assert 3 == task
        assert isinstance(error, TransportError)
        assert ("result", "bytes", "MemoryError") == (error.what, error.type_name, error.message)


# ------------------------------------------------------------------ F33: mocks in this process


def test_f33_mocked_modules_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of other code put something else in their place for a while; a run goes on as ever."""
    tasks: list[Any] = [[n] for n in range(300)]
    with f.manager_of(f.same, "fork") as manager:
        with monkeypatch.context() as patch:
            for name in ("dumps", "loads"):
                patch.setattr(pickle, name, refuse)
            patch.setattr(time, "sleep", refuse)
            patch.setattr(time, "perf_counter", lambda: 0.0)
            manager.start(tasks)

        assert tasks == list(manager.get_result_dict().values())
