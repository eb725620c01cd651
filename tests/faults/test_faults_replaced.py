"""F39: what breaks while workers are replaced after so many calls."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functions import manager_of
from states import FORK, Noted, at_rest, noted, the_state
from task_manager import TaskManager, TaskTimeoutError, WorkerDiedError, WorkerStartError

BOTH = ["thread", FORK]


def dies_at_9(state: str, task: int) -> int:
    time.sleep(0.002)
    if task == 9:
        os._exit(3)
    return task


def test_f39_one_that_dies_in_its_last_call(tmp_path: Path) -> None:
    """Its successor takes its place; one task is charged, the dead one has not cleaned up."""
    path = tmp_path / "notes"
    with manager_of(
        dies_at_9, FORK, worker_limit=1, worker_state=Noted(path), max_tasks_per_worker=10
    ) as manager:
        summary = manager.start(range(25))

        assert [9] == list(manager.get_error_dict())
        assert type(manager.get_error_dict()[9]) is WorkerDiedError
        assert summary.succeeded == 24
    assert len(noted(path, "up")) - len(noted(path, "down")) == 1


def hangs_at_9(state: str, task: int) -> int:
    time.sleep(0.5 if task == 9 else 0.002)
    return task


@pytest.mark.parametrize("way", BOTH)
def test_f39_one_whose_last_call_takes_too_long(way: str, tmp_path: Path) -> None:
    """It is killed or left alone, and its successor takes its place."""
    path = tmp_path / "notes"
    with manager_of(
        hangs_at_9,
        way,
        worker_limit=1,
        worker_state=Noted(path),
        max_tasks_per_worker=10,
        task_timeout=0.1,
        max_retries=0,
    ) as manager:
        summary = manager.start(range(25))

        assert [TaskTimeoutError] == [type(error) for error in manager.get_error_dict().values()]
        assert summary.succeeded == 24
    ups = len(noted(path, "up"))
    downs = at_rest(path, ups if way == "thread" else ups - 1)

    assert ups - len(downs) == (way != "thread")


class FirstOnly(Noted):
    """A state that can be made once; after that it ends its process, or raises."""

    def __init__(self, path: Any, how: str) -> None:
        super().__init__(path)
        self.how = how

    def __call__(self) -> Iterator[str]:
        if noted(self.path, "up") and self.how == "dies":
            os._exit(4)
        if noted(self.path, "up"):
            raise ValueError("no second one")
        yield from super().__call__()


@pytest.mark.parametrize(
    ("way", "how", "said"),
    [
        ("thread", "raises", "raised ValueError: no second one"),
        (FORK, "raises", "raised ValueError: no second one"),
        (FORK, "dies", "die while worker_state is called there"),
    ],
)
def test_f39_no_successor_can_make_its_state(way: str, how: str, said: str, tmp_path: Path) -> None:
    """The run ends with the WorkerStartError, and no task is charged; what was made is kept."""
    path = tmp_path / "notes"
    with manager_of(
        the_state, way, worker_limit=1, worker_state=FirstOnly(path, how), max_tasks_per_worker=10
    ) as manager:
        with pytest.raises(WorkerStartError, match=said):
            manager.start(range(100))
        summary = manager.get_summary()

        assert summary.failed == 0
        assert summary.succeeded <= 10
        assert how == "raises" or summary.succeeded == 10  # it had those that it may make


def test_f39_no_process_can_be_started_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no room for a successor, a worker goes first, and then there is."""
    from task_manager._processes.attempts import Worker

    start = Worker.start

    def start_alone(worker: Worker, *args: Any, **options: Any) -> None:
        if multiprocessing.active_children():
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        start(worker, *args, **options)

    monkeypatch.setattr(Worker, "start", start_alone)
    with manager_of(the_state, FORK, worker_state=list, max_tasks_per_worker=5) as manager:
        assert manager.start(range(20)).succeeded == 20


def test_f39_no_thread_can_be_started_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for threads."""
    start = threading.Thread.start

    def start_alone(thread: threading.Thread) -> None:
        if any(other.name == "task_manager-worker" for other in threading.enumerate()):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_alone)
    with manager_of(the_state, "thread", worker_state=list, max_tasks_per_worker=5) as manager:
        assert manager.start(range(20)).succeeded == 20


@pytest.mark.parametrize("way", BOTH)
def test_f39_a_clean_up_that_hangs(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work goes on; after its time a process is killed, a thread left alone, with one warning."""
    for module in ("thread", "worker_processes"):
        monkeypatch.setattr(f"task_manager._runners.{module}.TIME_TO_CLEAN_UP", 0.2)
    path = tmp_path / "notes"
    with pytest.warns(RuntimeWarning, match="the clean-up of .* has not ended after") as told:
        with manager_of(
            short, way, worker_limit=1, worker_state=Noted(path, slow=0.6), max_tasks_per_worker=10
        ) as manager:
            summary = manager.start(range(30))

    assert summary.succeeded == 30
    assert len([one for one in told if one.category is RuntimeWarning]) == 1
    if way == "thread":  # one that hangs is not to outlive its test
        at_rest(path, len(noted(path, "up")))


def short(state: str, task: int) -> int:
    time.sleep(0.001)
    return task


def test_f39_workers_that_are_killed_all_the_time(tmp_path: Path) -> None:
    """While they are replaced, too: no more errors than kills, and each task has its outcome."""
    path = tmp_path / "notes"
    chance, kills, over = random.Random(5), [0], threading.Event()

    def kill() -> None:
        while not over.wait(0.05) and kills[0] < 12:
            children = multiprocessing.active_children()
            if children:
                os.kill(chance.choice(children).pid or 0, getattr(signal, "SIGKILL", signal.SIGTERM))
                kills[0] += 1

    with manager_of(short, FORK, worker_state=Noted(path), max_tasks_per_worker=40) as manager:
        killing = threading.Thread(target=kill)
        killing.start()
        summary = manager.start(range(900))
        over.set()
        killing.join()

        assert kills[0] > 3
        assert summary.failed <= kills[0]
        assert summary.succeeded + summary.failed == 900


@pytest.mark.parametrize("way", BOTH)
def test_f39_a_run_that_is_broken_off(way: str, tmp_path: Path) -> None:
    """In the middle of it, as by a Ctrl-C: nothing is left, and the next run does the rest."""

    class Broken(TaskManager):
        def process_result(self, task: Any, result: Any) -> Any:
            if task == 24 and not noted(path, "broken"):
                path.write_text(path.read_text() + "broken 0\n")
                raise KeyboardInterrupt
            return result

    path = tmp_path / "notes"
    with manager_of(short, way, cls=Broken, worker_state=Noted(path), max_tasks_per_worker=5) as manager:
        with pytest.raises(KeyboardInterrupt):
            manager.start(range(60))
        manager.start(range(60))

        assert list(range(60)) == sorted(manager.get_result_dict())
