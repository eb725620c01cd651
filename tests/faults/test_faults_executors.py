"""F41: an executor breaks, is shut down, loses a worker, cannot be made: what becomes of the tasks."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest

import functions as f
from scripts import Script
from task_manager import (
    ConfigurationError,
    ExecutorError,
    TaskChain,
    TaskManager,
    TaskTimeoutError,
    WorkerDiedError,
    WorkerStartError,
)


def processes() -> Executor:
    return ProcessPoolExecutor(2)


UNGUARDED = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from task_manager import TaskManager

def make():
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

TaskManager(abs, make, logger=None).start([1])
"""

INTERRUPTED = """
import time
from concurrent.futures import ProcessPoolExecutor
from task_manager import TaskManager

def work(number):
    time.sleep(0.05)
    return number

def make():
    return ProcessPoolExecutor(2)

class Tells(TaskManager):
    def process_result(self, task, result):
        if task == 10:
            print("at work", flush=True)
        return result

if __name__ == "__main__":
    manager = Tells(work, make, logger=None)
    try:
        manager.start(range(1000))
    except KeyboardInterrupt:
        summary = manager.get_summary()
        print(summary.failed, summary.succeeded == len(manager.get_result_dict()) > 0, flush=True)
"""


STAYS = """
import time
from concurrent.futures import ProcessPoolExecutor
from task_manager import TaskManager

def work(number):
    print("at work", flush=True)
    time.sleep(60)

def make():
    return ProcessPoolExecutor(2)

if __name__ == "__main__":
    TaskManager(work, make, logger=None).start(range(10))
"""


def trouble(folder: str, number: int) -> int:
    """One kills its worker, one raises, eleven fail at first."""
    if number == 500:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 700:
        raise ValueError("seven hundred")
    if number % 90 == 3 and number < 990 and f.count_calls(folder, number) == 1:
        raise ConnectionError("the first time")
    return number


def test_f41_of_a_thousand_only_the_one_that_kills_and_the_one_that_raises(calls: Path) -> None:
    """998 results, a WorkerDiedError and a ValueError: what was lost beside them runs once more."""
    tasks = [(str(calls), number) for number in range(1000)]
    with TaskManager(trouble, processes, logger=None, retry_delay=0.01) as manager:
        summary = manager.start(tasks)
        errors = {task[1]: type(error) for task, error in manager.get_error_dict().items()}

    assert {500: WorkerDiedError, 700: ValueError} == errors
    assert (998, 2) == (summary.succeeded, summary.failed)
    assert summary.retries <= 11  # the first call of one that was lost may have told nobody
    assert [n for n in range(1000) if n not in (500, 700)] == list(manager.get_result_dict().values())


def test_f41_an_executor_that_was_passed_in_is_not_shut_down() -> None:
    """Whoever made it goes on with it; two managers may use it."""
    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            with TaskManager(f.double, pool, logger=None) as manager:
                manager.start(range(50))

                assert {n: 2 * n for n in range(50)} == manager.get_result_dict()
        assert 3 == pool.submit(len, "abc").result()


def test_f41_one_that_was_passed_in_and_breaks_ends_the_run() -> None:
    """The error says so, and what to pass instead; what has no outcome may be run again."""
    with ProcessPoolExecutor(2) as pool:
        manager = TaskManager(f.kill_self_on_seven, pool, logger=None)
        with pytest.raises(ExecutorError, match="that was passed in is broken") as caught:
            manager.start(range(100))
        summary = manager.get_summary()

        assert "execution_mode=lambda: ProcessPoolExecutor(4)" in str(caught.value)
        assert summary.failed == 0 < summary.not_started
        assert summary.succeeded == len(manager.get_result_dict())
        with pytest.raises(ExecutorError, match="is broken"):
            manager.start([200])


def test_f41_one_that_is_shut_down_ends_the_run() -> None:
    """The error has what the executor says of it."""
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    manager = TaskManager(f.same, pool, logger=None)

    with pytest.raises(ExecutorError, match=r"takes no call: .*after shutdown"):
        manager.start([1])
    assert 1 == manager.get_summary().not_started


def test_f41_a_worker_that_is_killed_from_outside_costs_no_task() -> None:
    """Its pool is made anew, and what was lost runs once more."""
    killed: list[int] = []

    class Kills(TaskManager):
        def process_result(self, task: Any, result: Any) -> Any:
            if len(killed) < 1:
                os.kill(result[0], signal.SIGKILL)
                killed.append(result[0])
            return result

    with Kills(f.worker_after_a_nap, processes, logger=None) as manager:
        summary = manager.start([(n, 0.005) for n in range(100)])

    assert (100, 0) == (summary.succeeded, summary.failed)
    assert 1 == len(killed)


@pytest.mark.parametrize("make", [ThreadPoolExecutor, processes])
def test_f41_a_call_that_takes_too_long_is_left_alone(make: Callable[[], Executor]) -> None:
    """The others of its batch are run, and have their results."""
    with TaskManager(
        f.nap, make, logger=None, task_timeout=0.3, max_retries=0, worker_limit=2
    ) as manager:
        summary = manager.start([0.0, *(n / 10_000 for n in range(1, 19)), 2.0])

        assert (19, 1) == (summary.succeeded, summary.failed)
        assert {2.0: TaskTimeoutError} == {
            task: type(error) for task, error in manager.get_error_dict().items()
        }


def test_f41_a_function_that_cannot_travel_is_refused_once() -> None:
    """Before any task, by an error that says why."""
    lock = threading.Lock()

    class Holds:
        held: ClassVar = lock

        def __call__(self, task: int) -> int:
            return task

        def __reduce__(self) -> Any:
            raise TypeError("no pickle")

    with TaskManager(Holds(), processes, logger=None) as manager:
        with pytest.raises(ConfigurationError, match="cannot be sent to another process"):
            manager.start(range(10))
        assert 0 == manager.get_summary().failed


def test_f41_one_that_never_makes_a_call_ends_the_run() -> None:
    """As where the initializer of its workers fails: not for ever made anew."""

    def broken() -> Executor:
        return ProcessPoolExecutor(1, initializer=f.exit_at, initargs=(1, 1))

    with TaskManager(f.same, broken, logger=None) as manager:
        with pytest.raises(WorkerStartError, match="comes up to no call"):
            manager.start(range(100))
        assert 100 >= manager.get_summary().not_started > 0
        assert 0 == manager.get_summary().failed


def test_f41_a_script_without_its_guard_ends(script: Callable[[str], Script]) -> None:
    """With one error that says what is missing."""
    made = script(UNGUARDED)
    _, said = made.process.communicate(timeout=40)

    assert 1 == made.process.returncode
    assert "WorkerStartError" in said.splitlines()[-1]
    assert "if __name__ == '__main__':" in said.splitlines()[-1]


def test_f41_a_ctrl_c_in_the_terminal_fails_no_task(script: Callable[[str], Script]) -> None:
    """It comes to all processes; the calls that run are broken off with the run, and nothing is left."""
    made = script(INTERRUPTED)
    made.wait_for("at work")
    os.killpg(made.process.pid, signal.SIGINT)
    printed, _ = made.process.communicate(timeout=40)

    assert "0 True\n" == printed
    assert [] == made.left_after(5)


def test_f10_its_processes_end_with_a_script_that_is_killed(script: Callable[[str], Script]) -> None:
    """In the middle of their calls, as those of process mode; by themselves they would wait for ever."""
    made = script(STAYS)
    made.wait_for("at work")
    made.process.kill()

    assert [] == made.left_after(5)


def test_f41_a_call_does_not_fail_of_a_ctrl_c() -> None:
    """A process that gets it alone finishes its calls; between two batches it may die of it."""

    class Interrupts(TaskManager):
        def process_result(self, task: Any, result: Any) -> Any:
            with contextlib.suppress(ProcessLookupError):
                os.kill(result[0], signal.SIGINT)
            return result

    with Interrupts(f.worker_after_a_nap, processes, logger=None) as manager:
        summary = manager.start([(n, 0.1) for n in range(10)])

    assert {WorkerDiedError} >= {type(error) for error in manager.get_error_dict().values()}
    assert 10 == summary.succeeded + summary.failed


def test_f41_what_makes_an_executor_may_fail() -> None:
    """Whatever it raises or returns: told with its name, before any task."""

    def fails() -> Executor:
        raise OSError("no room")

    def makes_none() -> Any:
        return None

    with pytest.raises(WorkerStartError, match=re.escape("fails cannot make an executor: OSError: no")):
        TaskManager(f.same, fails, logger=None).start([1])
    with pytest.raises(ConfigurationError, match=r"makes_none.* must return a concurrent.futures.Execu"):
        TaskManager(f.same, makes_none, logger=None).start([1])
    with pytest.raises(ConfigurationError, match="a function without parameters that makes one; got"):
        TaskManager(f.same, f.double)  # type: ignore[call-overload]


def test_f41_an_executor_does_not_travel_to_a_stage() -> None:
    """It works in the process that made it; a function that makes one does travel."""
    with ThreadPoolExecutor(1) as pool:
        chain = TaskChain([TaskManager(f.double, pool, logger=None)], "process")
        with pytest.raises(
            ConfigurationError, match="a stage in a process of its own cannot use the Thr"
        ):
            chain.start_chain([1])
        chain.set_chain_mode("serial")
        chain.start_chain([1])

        assert {1: 2} == chain.get_final_result_dict()
    chain = TaskChain([TaskManager(f.double, ThreadPoolExecutor, logger=None)], "process")
    chain.start_chain([1, 2])

    assert {1: 2, 2: 4} == chain.get_final_result_dict()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_f41_a_copy_of_the_process_does_not_wait_for_threads_that_are_not_there() -> None:
    """It is told."""
    with ThreadPoolExecutor(1) as pool:
        manager = TaskManager(f.double, pool, logger=None)
        manager.start([1])
        child = os.fork()
        if child == 0:
            try:
                manager.start([2])
            except ConfigurationError as error:
                os._exit(7 if "this one is a copy" in str(error) else 8)
            os._exit(9)

        assert 7 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_f41_a_stop_gives_back_what_waits_in_the_executor() -> None:
    """What runs is finished; what has not begun may be run again, and surely has not begun."""
    with ThreadPoolExecutor(1) as pool:
        manager = TaskManager(f.nap, pool, logger=None, deduplicate=False)
        threading.Timer(0.2, manager.stop).start()
        summary = manager.start([0.05] * 100)

        assert "stop()" == summary.ended_early
        assert summary.failed == summary.interrupted == 0
        assert 0 < summary.succeeded < 100


def test_f41_a_run_that_is_broken_off_leaves_no_process() -> None:
    """Those of an executor that is ours are killed in the middle of their calls."""

    class Breaks(TaskManager):
        def process_result(self, task: Any, result: Any) -> Any:
            raise KeyboardInterrupt

    began = time.monotonic()
    with Breaks(f.nap, processes, logger=None) as manager, pytest.raises(KeyboardInterrupt):
        manager.start([0.0, 30.0, 30.1])

    assert time.monotonic() - began < 20
