"""dask, with a scheduler and two workers that were started by their commands."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")

from distributed import Client

import functions as f
import task_manager._engines.dask as engine
from clusters import Dask, start_dask
from scripts import Script
from task_manager import TaskManager, WorkerStartError

CLIENT = """
import pathlib, time
from task_manager import TaskManager

def work(number):
    with open("calls", "a") as calls:
        calls.write(f"{number} ")
    time.sleep(0.01)
    return number

if __name__ == "__main__":
    with TaskManager(work, "dask", address=ADDRESS, journal="run.db", logger=None) as manager:
        print(manager.start(range(400)).succeeded, flush=True)
"""


@pytest.fixture(scope="module", autouse=True)
def what_stays() -> None:
    """A thread of the client's is never ended: it is there before the first test."""
    with Client(processes=False, n_workers=1, dashboard_address=None, set_as_default=False) as client:
        called = threading.Event()
        client.submit(len, "").add_done_callback(lambda _: called.set())
        called.wait(30)


@pytest.fixture
def dask() -> Iterator[Dask]:
    cluster = start_dask()
    yield cluster
    cluster.end()


def test_f41_a_worker_that_is_killed_from_outside_costs_no_task(dask: Dask) -> None:
    """All results: its nanny starts another one, and what was lost runs once more."""
    victims = list(dask.workers().values())

    class Kills(TaskManager):
        def process_result(self, task: Any, result: Any) -> Any:
            if victims and task[0] > 50:
                os.kill(victims.pop(), signal.SIGKILL)
            return result

    with Kills(f.worker_after_a_nap, "dask", address=dask.address, logger=None) as manager:
        summary = manager.start([(n, 0.01) for n in range(300)])

    assert (300, 0) == (summary.succeeded, summary.failed)


def test_f41_a_scheduler_that_is_gone_ends_the_run(dask: Dask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client waits for it, and then another one does; no task is charged."""
    monkeypatch.setattr(engine, "PATIENCE", 1.0)

    class Kills(TaskManager):
        def process_result(self, task: Any, result: Any) -> Any:
            if task[0] == 50:
                dask.started[0].kill()
            return result

    with Kills(f.worker_after_a_nap, "dask", address=dask.address, logger=None) as manager:
        with pytest.raises(WorkerStartError, match="'dask' cannot make an executor: OSError: Timed out"):
            manager.start([(n, 0.01) for n in range(300)])
        summary = manager.get_summary()

    assert 0 == summary.failed
    assert 50 < summary.succeeded == len(manager.get_result_dict())


def test_a_state_is_of_one_manager(dask: Dask, calls: Path) -> None:
    """Its workers go on when the manager is closed: what they have made for it is cleaned up then."""
    state = partial(f.counted_state, calls / "made")
    for most in (2, 4):
        with TaskManager(
            f.with_state, "dask", address=dask.address, worker_state=state, logger=None
        ) as manager:
            manager.start(range(500))
        made = (calls / "made").read_text()

        assert most - 1 <= made.count("+") == made.count("-") <= most


def test_f36_what_is_in_the_journal_is_not_run_again(
    dask: Dask, script: Callable[[str], Script], tmp_path: Path
) -> None:
    """The client is killed by kill -9 in mid-run, and started again."""
    calls = tmp_path / "calls"
    text = CLIENT.replace("ADDRESS", repr(dask.address)).replace('"calls"', repr(str(calls)))
    first = script(text)
    deadline = time.monotonic() + 50
    while not (calls.exists() and len(calls.read_text().split()) > 100) and time.monotonic() < deadline:
        time.sleep(0.02)
    first.process.kill()
    first.process.wait()
    time.sleep(1.0)  # what ran there is over
    before = set(_done(tmp_path / "run.db"))
    calls.write_text("")
    second = script(text)
    printed, said = second.process.communicate(timeout=50)
    again = {int(number) for number in calls.read_text().split()}

    assert f"{400 - len(before)}\n" == printed, said
    assert before
    assert set() == before & again
    assert set(range(400)) == before | again


def _done(path: Path) -> list[int]:
    """The tasks that the journal has a result of."""
    with closing(sqlite3.connect(path)) as journal:
        return [task for (task,) in journal.execute("SELECT task FROM tasks WHERE state = 1")]
