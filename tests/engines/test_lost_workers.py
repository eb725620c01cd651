"""loky, dask and ray, each with what it starts on this machine, in a script: workers that are lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import Script

engines = pytest.mark.parametrize("name", ["loky", "dask", "ray"])

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
THOUSAND = """
if __name__ == "__main__":
    with TaskManager(trouble, {name!r}, 2, logger=None, retry_delay=0.01) as manager:
        manager.start(range(1000))
        errors = manager.get_error_dict()
        print(len(manager.get_result_dict()), {{task: type(errors[task]).__name__ for task in errors}})
"""
OUTSIDE = """
if __name__ == "__main__":
    with Kills(process_after_a_nap, {name!r}, 2, logger=None) as manager:
        summary = manager.start(range(400))
        print(summary.succeeded, summary.failed)
"""


def printed(script: Callable[[str], Script], text: str, name: str, folder: Path) -> str:
    pytest.importorskip({"dask": "distributed"}.get(name, name))
    started = script(HEAD.format(folder=str(folder)) + text.format(name=name))
    out, said = started.process.communicate(timeout=55)

    assert 0 == started.process.returncode, said
    return [line for line in out.splitlines() if "raylet" not in line][-1]  # ray tells there, too


@engines
def test_f41_of_a_thousand_only_the_one_that_kills_and_the_one_that_raises(
    script: Callable[[str], Script], name: str, calls: Path
) -> None:
    """998 results, a WorkerDiedError and a ValueError; what was flaky has its result."""
    expected = "998 {500: 'WorkerDiedError', 700: 'ValueError'}"

    assert expected == printed(script, THOUSAND, name, calls)


@engines
def test_f41_a_worker_that_is_killed_from_outside_costs_no_task(
    script: Callable[[str], Script], name: str, calls: Path
) -> None:
    """All results."""
    assert "400 0" == printed(script, OUTSIDE, name, calls)
