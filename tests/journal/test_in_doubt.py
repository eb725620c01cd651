"""What was started and has no outcome: run again, or in doubt. What had not begun is neither."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from test_resume import called, square, square_async

import functions as f
from task_manager import (
    InDoubtError,
    Journal,
    JournalError,
    TaskManager,
    TaskTimeoutError,
    WorkerDiedError,
)
from task_manager.events import Event, Succeeded

SAFE = Journal("run.db", started=True, in_doubt="error")
MARKED = Journal("run.db", started=True)


def make(way: str, func: Callable[..., Any] = square, journal: Journal = SAFE, **options: Any) -> Any:
    if way == "async" and func is square:
        func = square_async
    options = {"logger": None, "worker_limit": 2, "retry_delay": 0.0, **options}
    return TaskManager(func, **f.options_of(way), journal=journal, **options)


def states() -> dict[Any, int]:
    """By task, its state in the file."""
    with closing(sqlite3.connect("run.db")) as there:
        return dict(there.execute("SELECT task, state FROM tasks"))


def killed_with(*tasks: Any, name: str = "square") -> None:
    """A process has died with calls for these."""
    text = f"""
    import os, sys
    from task_manager import TaskManager
    from test_in_doubt import MARKED, SAFE
    import test_resume

    def die(n):
        if n == {tasks[-1]!r}:
            os.kill(os.getpid(), 9)
        return n * n

    die.__module__, die.__qualname__ = "test_resume", {name!r}
    TaskManager(die, journal=MARKED, logger=None).start([7, *{list(tasks)!r}])
    """
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], env={**os.environ, "PYTHONPATH": path}
    )
    assert -signal.SIGKILL == done.returncode


@pytest.mark.parametrize("way", ["serial", "thread", "fork", "async"])
def test_what_was_started_is_in_doubt_and_is_not_run(way: str) -> None:
    """Given or not, it is an InDoubtError; given once more, on purpose, it runs."""
    killed_with(1, name="square_async" if way == "async" else "square")
    manager = make(way)
    with manager:
        summary = manager.start([1, 2])
        error = manager.get_error_dict()[1]
        first = called()
        again = manager.retry_failed()

    assert ([2], (1, 1)) == (first, (summary.succeeded, summary.failed))
    assert (InDoubtError, 1) == (type(error), error.task)
    assert "task_manager: failed before its first attempt" in error.__notes__
    assert ([1], 1) == (called(), again.succeeded)
    assert {7: 49, 1: 1, 2: 4} == manager.get_result_dict()


def test_what_is_not_given_is_told_as_well() -> None:
    """And the next process is told again."""
    killed_with(1)
    for _ in range(2):
        manager = make("serial")
        manager.start([2])

        assert [1] == list(manager.get_error_dict())
    manager.start(manager.get_error_dict())

    assert ({1: 1, 2: 1, 7: 1}, [1, 2]) == (states(), called())


def test_retry_failed_in_a_new_process_does_not_run_what_is_in_doubt() -> None:
    """Its owner has not been told; a second time is on purpose."""
    killed_with(1)
    manager = make("serial")

    assert (1, []) == (manager.retry_failed().failed, called())
    assert (1, [1]) == (manager.retry_failed().succeeded, called())


def test_without_an_error_what_was_started_runs_again() -> None:
    """At least once: the default."""
    killed_with(1)
    manager = make("serial", journal=MARKED)
    summary = manager.start([1, 7])

    assert ([1], 1, 1) == (called(), summary.succeeded, summary.duplicates)
    assert {7: 1, 1: 1} == states()


def dies(n: int) -> int:
    if n == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return square(n)


dies.__qualname__ = "square"
dies.__module__ = square.__module__


def test_a_task_whose_worker_died_is_in_doubt_in_the_next_process() -> None:
    """Nobody knows what came of its call. Here its error says so."""
    with make("fork", dies) as manager:
        manager.start([1, 2, 4])
    next_one = make("serial")
    next_one.start([1, 2, 4])

    assert WorkerDiedError is type(manager.get_error_dict()[2])
    assert (InDoubtError, {1: 1, 4: 16}) == (
        type(next_one.get_error_dict()[2]),
        next_one.get_result_dict(),
    )
    assert [1, 4] == called()


def test_a_call_that_has_timed_out_is_in_doubt_in_the_next_process() -> None:
    """It may have done its work all the same. Here its error says what happened."""
    manager = make("async", too_long, task_timeout=0.05, max_retries=0)
    manager.start([1, 2])
    next_one = make("async", too_long)
    next_one.start([1, 2])

    assert TaskTimeoutError is type(manager.get_error_dict()[2])
    assert InDoubtError is type(next_one.get_error_dict()[2])
    assert {1: 1} == next_one.get_result_dict()


async def too_long(n: int) -> int:
    await asyncio.sleep(60 * (n - 1))
    return n


def test_what_had_begun_in_a_worker_that_died_is_not_run_again() -> None:
    """Calls of which it had not told yet are in doubt; the one that has ended it has that one error."""
    with make("fork", dies_in_a_batch, worker_limit=1) as manager:
        summary = manager.start(range(40))
    lines = Path("calls.txt").read_text().split()

    assert len(lines) == len(set(lines))
    assert 40 == summary.taken
    assert {WorkerDiedError, InDoubtError} == set(map(type, manager.get_error_dict().values()))
    assert WorkerDiedError is type(manager.get_error_dict()[20])
    assert summary.succeeded == len(manager.get_result_dict())


def dies_in_a_batch(n: int) -> int:
    with open("calls.txt", "a") as file:
        file.write(f"{n}\n")
    if n == 20:
        os.kill(os.getpid(), signal.SIGKILL)
    return n


# ------------------------------------------------------------------ what had not begun


@pytest.mark.parametrize("way", ["thread", "fork", "async"])
def test_after_a_ctrl_c_what_had_not_begun_is_not_in_doubt(way: str) -> None:
    """Only the calls that were going on are; their notes stay, those of the others go. Before that there
    are quick tasks, so that batches are large.
    """
    with make(way, hangs_async if way == "async" else hangs) as manager:
        threads = raise_ctrl_c_when(lambda: len(begun()) == 2)
        with pytest.raises(KeyboardInterrupt):
            manager.start(range(100))
        threads.join()
    Path("mended").touch()
    while any(thread.name == "task_manager-worker" for thread in threading.enumerate()):
        time.sleep(0.01)  # until it has seen that, in this folder

    assert 2 == len(begun())
    assert begun() == {task for task, state in states().items() if state == 4 and task >= 20}


@pytest.mark.parametrize("way", ["serial", "thread", "fork", "async"])
def test_after_a_stop_nothing_is_in_doubt(way: str) -> None:
    """What runs is finished, and what had left and not begun comes back."""

    class Stops:
        def observe(self, event: Event) -> None:
            if isinstance(event, Succeeded) and len(event.indices) and not stopped:
                stopped.append(manager.stop())

    stopped: list[bool] = []
    with make(way, quick_async if way == "async" else quick, observers=[Stops()]) as manager:
        summary = manager.start(range(1000))

    assert ([True], "stop()") == (stopped, summary.ended_early)
    assert {1} == set(states().values())
    assert 1000 - summary.succeeded >= summary.not_started


def quick(n: int) -> int:
    return n


async def quick_async(n: int) -> int:
    return n


def hangs(n: int) -> int:
    if n < 20:
        return n
    Path(f"begun-{n}").touch()
    while not Path("mended").exists():
        time.sleep(0.01)
    return n


async def hangs_async(n: int) -> int:
    if n < 20:
        return n
    Path(f"begun-{n}").touch()
    await asyncio.sleep(60)
    return n


def begun() -> set[int]:
    return {int(path.name.removeprefix("begun-")) for path in Path().glob("begun-*")}


def raise_ctrl_c_when(true: Callable[[], bool]) -> Any:
    def look() -> None:
        while not true():
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=look)
    thread.start()
    return thread


def test_what_a_ctrl_c_has_interrupted_is_in_doubt_at_the_next_start() -> None:
    """In the same process too: it is told once, and runs when it is given again."""
    manager = make("serial", interrupted)
    with pytest.raises(KeyboardInterrupt):
        manager.start([1, 2, 3])
    Path("mended").touch()
    second = manager.start([1, 2, 3])
    error = manager.get_error_dict()[2]
    third = manager.start([1, 2, 3])

    assert (1, 1, 1) == (second.duplicates, second.failed, second.succeeded)
    assert (InDoubtError, 1, {1: 1, 2: 2, 3: 3}) == (
        type(error),
        third.succeeded,
        manager.get_result_dict(),
    )


def interrupted(n: int) -> int:
    if n == 2 and not Path("mended").exists():
        raise KeyboardInterrupt
    return n


def test_a_task_that_waits_for_its_next_attempt_is_not_in_doubt() -> None:
    """What came of its call is known."""
    manager = make("serial", flaky, max_retries=5, retry_delay=0.0, retry_exceptions=(LookupError,))
    with pytest.raises(KeyboardInterrupt):
        manager.start([1, 2])
    Path("mended").touch()
    again = make("serial", flaky)
    again.start([1, 2])

    assert {1: 1} == again.get_result_dict()
    assert [2] == list(again.get_error_dict())


def flaky(n: int) -> int:
    """The first fails, and is tried again, when the second is interrupted."""
    if n == 2:
        raise KeyboardInterrupt
    if not Path("mended").exists():
        raise LookupError
    return n


# ------------------------------------------------------------------ where no note can be written


def test_what_cannot_be_noted_is_not_called() -> None:
    """With in_doubt='error' the run ends; what was done until then is kept."""
    manager = make("serial", square)
    tasks = iter([1, 2, 4])

    def locks_the_file() -> Any:
        yield next(tasks)
        hold = sqlite3.connect("run.db", isolation_level=None)
        hold.execute("BEGIN IMMEDIATE")
        holds.append(hold)
        yield from tasks

    holds: list[sqlite3.Connection] = []
    with pytest.raises(JournalError) as caught:
        manager.start(locks_the_file())
    holds.pop().close()

    assert (
        "the journal run.db cannot note what is about to be called: database is locked; "
        "with in_doubt='error' nothing is called without that"
    ) == str(caught.value)
    assert [1] == called()
    assert manager.start([1, 2, 4]).failed == 0


def test_a_task_that_cannot_be_noted_ends_the_run() -> None:
    """It cannot be known later whether it was called."""
    manager = make("serial", plain)
    with pytest.raises(JournalError, match="cannot note what is about to be called: the task <"):
        manager.start([1, CannotPickle()])

    assert {1: 1} == manager.get_result_dict()


class CannotPickle:
    def __reduce__(self) -> Any:
        raise TypeError("this stays here")


def plain(n: Any) -> Any:
    return n


def test_marks_without_the_promise_are_no_reason_to_stop() -> None:
    """started=True alone: a task that cannot be noted is run all the same."""
    manager = make("serial", plain, journal=MARKED)
    with pytest.warns(RuntimeWarning, match="the journal run.db is incomplete"):
        summary = manager.start([1, CannotPickle()])

    assert 2 == summary.succeeded
