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
