"""loky, dask and ray, each with what it starts on this machine, in a script: workers that are lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import Script

HEAD = """
import os, pathlib, signal, time
from task_manager import TaskManager

FOLDER = pathlib.Path({folder!r})

def trouble(number):
    if number == 500:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 700:
        raise ValueError("seven hundred")
    if number % 90 == 3 and number < 990 and not (FOLDER / str(number)).exists():
        (FOLDER / str(number)).touch()
        raise ConnectionError("the first time")
    return number

def process_after_a_nap(number):
    time.sleep(0.01)
    return os.getpid()

class Kills(TaskManager):
    def process_result(self, task, result):
        if task == 100:
            os.kill(result, signal.SIGKILL)
        return result

"""
BOTH = """
if __name__ == "__main__":
    with TaskManager(trouble, {name!r}, 2, logger=None, retry_delay=0.01) as manager:
        manager.start(range(1000))
        errors = manager.get_error_dict()
        print(len(manager.get_result_dict()), {{task: type(errors[task]).__name__ for task in errors}})
    with Kills(process_after_a_nap, {name!r}, 2, logger=None) as manager:
        summary = manager.start(range(400))
        print(summary.succeeded, summary.failed)
"""


@pytest.mark.parametrize("name", ["loky", "dask", "ray"])
def test_f41_what_is_lost_with_a_worker_runs_once_more(
    script: Callable[[str], Script], name: str, calls: Path
) -> None:
    """Of a thousand only the one that kills its worker and the one that raises fail; then one is killed.

    What was flaky has its result, and of those that run while a worker is killed from outside all have.
    """
    pytest.importorskip({"dask": "distributed"}.get(name, name))
    started = script(HEAD.format(folder=str(calls)) + BOTH.format(name=name))
    out, said = started.process.communicate(timeout=170)
    printed = [line for line in out.splitlines() if "raylet" not in line]  # ray tells there, too

    assert 0 == started.process.returncode, said
    assert ["998 {500: 'WorkerDiedError', 700: 'ValueError'}", "400 0"] == printed


CHAIN = """
from task_manager import TaskChain, TaskManager

def double(number):
    return 2 * number

if __name__ == "__main__":
    for chain_mode in ("serial", "process"):
        stages = [TaskManager(double, {name!r}, 1, logger=None, start_method="spawn")]
        chain = TaskChain([*stages, TaskManager(double, logger=None)], chain_mode)
        chain.start_chain(range(100))
        print(chain.get_final_result_dict() == {{number: 4 * number for number in range(100)}})
    try:
        stages[0] = TaskManager(double, {name!r}, 1, logger=None, start_method="fork")
        with TaskManager(double, {name!r}, 1, logger=None) as manager:
            manager.start([1])
            TaskChain(stages, "process").start_chain([1])
    except ValueError as error:
        print(str(error)[:41])
"""


@pytest.mark.parametrize("name", ["loky", "dask"])
def test_f41_a_stage_of_a_chain_has_an_engine_of_its_own(
    script: Callable[[str], Script], name: str
) -> None:
    """Also where the stage was spawned, and knows the script by another name; a copy is told."""
    pytest.importorskip({"dask": "distributed"}.get(name, name))
    started = script(CHAIN.format(name=name))
    out, said = started.process.communicate(timeout=55)
    told = ["dask is in use in the process that this o"] if name == "dask" else []

    assert ["True", "True", *told] == [line[:41] for line in out.splitlines()], said
