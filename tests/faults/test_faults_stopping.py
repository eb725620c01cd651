"""Ctrl-C, signals, and the end of a script: F9 to F12."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

import functions as f
from conftest import children, files, threads
from scripts import MAKES, Script, script_of
from task_manager import Summary, TaskChain

SOON = 10  # seconds: for what F9 to F11 want within 1 to 5, and takes a minute without its guard

LONG_RUN = """
def tell():
    wait_for_the_long_ones()
    print("working", flush=True)

threading.Thread(target=tell, daemon=True).start()
began = time.monotonic()
try:
    start(range(30))
except KeyboardInterrupt:
    print("back", len(results()), len(errors()), "and some not started" if summary().not_started else "")
    print(*sorted(results().values()))
"""


@pytest.mark.parametrize("way", MAKES)
def test_f09_one_ctrl_c(way: str, script: Callable[[str], Script]) -> None:
    """Back at once with KeyboardInterrupt; results intact, nothing marked failed, no child, no noise."""
    running = script(script_of(way, LONG_RUN))
    running.wait_for("working")
    os.killpg(running.process.pid, signal.SIGINT)
    pressed = time.monotonic()
    out, err = running.process.communicate(timeout=20)
    took = time.monotonic() - pressed

    assert ["back 20 0 and some not started", " ".join(map(str, range(20)))] == out.splitlines()
    assert len(err.splitlines()) <= 5
    assert [] == running.left_after(SOON)
    assert took < SOON


@pytest.mark.parametrize("way", MAKES)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_f10_the_parent_is_killed(way: str, number: int, script: Callable[[str], Script]) -> None:
    """No descendant is left, although all are in the middle of a long task."""
    running = script(script_of(way, LONG_RUN))
    running.wait_for("working")
    running.process.send_signal(number)

    assert [] == running.left_after(SOON)


SUBPROCESS_RUN = """
import subprocess
from task_manager import TaskChain, TaskManager

def work(x):
    subprocess.run(["sh", "-c", "echo working; sleep 60; true"])

if __name__ == "__main__":
    manager = TaskManager(work, OPTIONS, logger=None)
    CHAIN
    START([1])
"""

SUBPROCESS_WAYS = [*(f"manager {method}" for method in f.START_METHODS), "chain fork", "chain serial"]


def subprocess_script(way: str) -> str:
    """A run whose only task waits for a program of the user's."""
    mode = way.split()[1]
    options = f"'process', start_method={mode!r}" if mode in f.START_METHODS else repr(mode)
    chain = "manager = TaskChain([manager], 'process')" if "chain" in way else ""
    start = "manager.start_chain" if "chain" in way else "manager.start"
    return SUBPROCESS_RUN.replace("OPTIONS", options).replace("CHAIN", chain).replace("START", start)


@pytest.mark.parametrize("way", SUBPROCESS_WAYS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_f10_programs_that_a_worker_runs_end_with_it(
    way: str, number: int, script: Callable[[str], Script]
) -> None:
    """The parent is killed, or gets a Ctrl-C: nothing is left of what the function has started."""
    running = script(subprocess_script(way))
    running.wait_for("working")
    running.process.send_signal(number)

    assert [] == running.left_after(SOON)


PROGRAM_LEFT_RUN = """
import subprocess, time
from task_manager import TaskManager

def work(x):
    subprocess.Popen(["sleep", "60"])

if __name__ == "__main__":
    manager = TaskManager(work, "process", 1, start_method=METHOD, logger=None)
    manager.start([1])
    print("working", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("start_method", f.START_METHODS)
def test_f10_programs_of_an_idle_worker(start_method: str, script: Callable[[str], Script]) -> None:
    """The parent is killed between two runs: a program that a task has left behind ends as well."""
    running = script(PROGRAM_LEFT_RUN.replace("METHOD", repr(start_method)))
    running.wait_for("working")
    running.process.kill()

    assert [] == running.left_after(SOON)


HEEDLESS_RUN = """
import signal, time
from task_manager import TaskChain, TaskManager

def work(x):
    if x == 0:
        print("working", flush=True)
    time.sleep(0.5)
    return x

if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda number, frame: None)
    manager = TaskManager(work, 'process', worker_limit=4, start_method=METHOD, logger=None)
    CHAIN
    print(START(range(8)).succeeded)
"""


@pytest.mark.parametrize("way", ["chain", *f.START_METHODS])
def test_f09_workers_leave_a_ctrl_c_to_their_parent(way: str, script: Callable[[str], Script]) -> None:
    """Also one that is sent to each of them; where the parent goes on, no task has failed of it."""
    text = HEEDLESS_RUN.replace("METHOD", repr("fork" if way == "chain" else way))
    chain = "manager = TaskChain([manager], 'process')" if way == "chain" else ""
    start = "manager.start_chain" if way == "chain" else "manager.start"
    running = script(text.replace("CHAIN", chain).replace("START", start))
    running.wait_for("working")
    for process in psutil.Process(running.process.pid).children(recursive=True):
        if "resource_tracker" not in " ".join(process.cmdline()):
            process.send_signal(signal.SIGINT)
    os.killpg(running.process.pid, signal.SIGINT)
    out, err = running.process.communicate(timeout=20)

    assert ("8\n", "") == (out, err)


BUSY_RUNS = """
import os, signal, threading
from task_manager import TaskManager

def same(x):
    return x

if __name__ == "__main__":
    for n in range(20):
        manager = TaskManager(same, 'process', worker_limit=8, start_method='fork', logger=None)
        try:
            threading.Timer(0.003 + n * 0.002, os.kill, (os.getpid(), signal.SIGINT)).start()
            manager.start(range(1_000_000))
        except KeyboardInterrupt:
            print("back")
"""


def test_f09_workers_end_in_silence(script: Callable[[str], Script]) -> None:
    """Their pipes are closed while they read and write: nobody is there to be told of it."""
    out, err = script(BUSY_RUNS).process.communicate(timeout=40)

    assert "back\n" * 20 == out
    assert [] == [line for line in err.splitlines() if "stopped by Ctrl-C" not in line]


BLOCKS_SIGINT = """
import signal
from task_manager import TaskManager

if __name__ == "__main__":
    TaskManager(str, 'process', start_method='forkserver', logger=None).start([1])
    from multiprocessing import forkserver
    pid = forkserver._forkserver._forkserver_pid
    (blocked,) = [line.split()[1] for line in open(f'/proc/{pid}/status') if line.startswith('SigBlk')]
    print(bool(int(blocked, 16) >> (signal.SIGINT - 1) & 1))
"""


def test_f09_workers_of_a_fork_server_are_born_deaf(script: Callable[[str], Script]) -> None:
    """A Ctrl-C while they come up kills none of them: they inherit that it is blocked."""
    out, err = script(BLOCKS_SIGINT).process.communicate(timeout=20)

    assert ("True\n", "") == (out, err)


@pytest.mark.parametrize("way", ["chain", *f.START_METHODS])
def test_f09_a_ctrl_c_while_processes_start(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised when the process has an owner, and then it has none left (the fixture looks)."""
    method = "fork" if way == "chain" else way
    process = multiprocessing.get_context(method).Process
    start = process.start

    def start_and_interrupt(self: Any) -> None:
        start(self)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(process, "start", start_and_interrupt)
    manager = f.manager_of(f.same, method)
    with pytest.raises(KeyboardInterrupt):
        TaskChain([manager], "process").start_chain([1]) if way == "chain" else manager.start([1])

    assert [] == multiprocessing.active_children()


def press_ctrl_c(x: int) -> int:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)
    return x


@pytest.mark.parametrize("way", ["chain", *f.START_METHODS])
def test_f09_a_ctrl_c_is_the_parents_business(way: str) -> None:
    """It reaches the whole group of processes, and no worker or stage lets it be a task's error."""
    if way == "chain":
        chain = TaskChain([f.stage(press_ctrl_c), f.stage(press_ctrl_c, "process")], "process")
        summary = chain.start_chain(range(5))
    else:
        with f.manager_of(press_ctrl_c, way) as manager:
            summary = manager.start(range(5))

    assert (5, 0) == (summary.succeeded, summary.failed)


class Interrupted:
    def __reduce__(self) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return Interrupted, ()


@pytest.mark.parametrize("way", ["chain", "manager"])
def test_f09_a_ctrl_c_while_a_task_is_pickled(way: str) -> None:
    """It is a Ctrl-C, and not the error of that task."""
    manager = f.manager_of(f.same, "fork")
    with pytest.raises(KeyboardInterrupt):
        (TaskChain([manager], "process").start_chain if way == "chain" else manager.start)(
            [Interrupted()]
        )

    assert {} == manager.get_error_dict()


ENDS_IN_MID_RUN = """
threading.Thread(target=start, args=(range(30),), daemon=True).start()
wait_for_the_long_ones()
print("ends", flush=True)
"""


@pytest.mark.parametrize("way", MAKES)
def test_f11_a_script_that_ends_in_mid_run(way: str, script: Callable[[str], Script]) -> None:
    """Nothing is left, and the interpreter exits."""
    running = script(script_of(way, ENDS_IN_MID_RUN))
    running.wait_for("ends")

    assert [] == running.left_after(SOON)
    assert 0 == running.process.wait(SOON)


SLOW_END = """
import atexit, multiprocessing.util, time
atexit.register(time.sleep, 1)  # runs after what task_manager does at exit, before multiprocessing waits
"""


@pytest.mark.parametrize("way", [*f.START_METHODS, "chain process"])
def test_f11_nothing_is_started_when_a_script_ends(way: str, script: Callable[[str], Script]) -> None:
    """The run, which goes on in its thread, replaces no worker and no stage that was killed for it."""
    running = script(SLOW_END + script_of(way, ENDS_IN_MID_RUN))
    running.wait_for("ends")

    assert [] == running.left_after(SOON)
    assert 0 == running.process.wait(SOON)


@pytest.mark.parametrize("way", MAKES)
def test_f11_a_script_that_never_shuts_down(way: str, script: Callable[[str], Script]) -> None:
    """A manager that is still there at the end of the script does not keep it."""
    running = script(script_of(way, "start(range(10))\nprint(len(results()), flush=True)\n"))
    out, err = running.process.communicate(timeout=20)

    assert ("10\n", "") == (out, err)
    assert [] == running.left_after(SOON)


def test_f11_a_chain_that_is_dropped_leaves_nothing() -> None:
    """Also when its start raises, and nobody looks at it again (the fixture looks at what is left)."""

    def tasks() -> Iterator[int]:
        yield from range(100)
        raise SystemExit

    chain = TaskChain([f.stage(f.same, "thread"), f.stage(f.same, "process")], "process")
    with pytest.raises(SystemExit):
        chain.start_chain(tasks())
    del chain

    assert [] == multiprocessing.active_children()


def start_anew(way: str, tasks: list[int]) -> Summary:
    """One start of a manager that is made for it and never shut down, or of a chain."""
    if not way.startswith("chain"):
        return f.manager_of(f.same, way).start(tasks)
    stages = [f.stage(f.same), f.stage(f.same, "process", start_method="fork", worker_limit=1)]
    return TaskChain(stages, way.removeprefix("chain ")).start_chain(tasks)


@pytest.mark.parametrize(
    "way", ["serial", "thread", "async", "fork", "chain serial", "chain thread", "chain process"]
)
def test_f12_fifty_managers_leave_nothing(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty starts in a row: open files, threads, children (the fixture looks too) and /dev/shm."""
    mark = f"mp-{os.getpid()}-test"  # others on this machine have semaphores as well
    monkeypatch.setitem(multiprocessing.current_process()._config, "semprefix", f"/{mark}")  # type: ignore[attr-defined]
    start_anew(way, [0])
    gc.collect()
    before = len(children()), len(threads()), len(files())
    summaries = [start_anew(way, [n]) for n in range(50)]
    gc.collect()

    assert [1] * 50 == [summary.succeeded for summary in summaries]
    assert before == (len(children()), len(threads()), len(files()))
    assert [] == [name for name in os.listdir("/dev/shm") if mark in name]
