"""The disk, forks and signals, while a manager writes its journal."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import functions as f
from logs import without_forks
from scripts import Script
from task_manager import Journal, JournalError, Summary, TaskManager
from task_manager._journal.store import Store
from task_manager.events import Event, Succeeded

FULL = sqlite3.OperationalError("database or disk is full")


def same(n: Any) -> Any:
    return n


def fails(n: int) -> int:
    raise ValueError(n)


def make(way: str = "serial", func: Callable[..., Any] = same, **options: Any) -> TaskManager[Any, Any]:
    return f.manager_of(func, way, **{"journal": "run.db", **options})


def warned(run: Callable[[], Summary]) -> tuple[list[str], Summary]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        summary = run()
    return [str(one.message) for one in without_forks(found)], summary


def in_file() -> int:
    with closing(sqlite3.connect("run.db")) as there:
        return int(there.execute("SELECT count(*) FROM tasks").fetchone()[0])


@pytest.mark.parametrize("way", ["serial", "thread", "fork", "async"])
def test_f17_a_full_disk_costs_one_warning(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on, its results are there, and the summary says what the journal lacks."""

    def full(*args: Any, **options: Any) -> None:
        raise FULL

    with make(way, max_retries=0) as manager:
        monkeypatch.setattr(Store, "write", full)
        monkeypatch.setattr(Store, "_write_run", full)
        found, summary = warned(lambda: manager.start(range(1200)))

    assert [f"the journal run.db cannot be written: {FULL}; the run goes on, and tries again"] == found
    assert (1200, "1,200 outcomes are missing: database or disk is full") == (
        len(manager.get_result_dict()),
        summary.journal,
    )
    assert 0 == in_file()


def test_f17_a_disk_that_has_room_again_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was refused is written later: nothing is missing."""
    honest, tries = Store.write, []

    def full_at_first(self: Store, *args: Any, **options: Any) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise FULL
        honest(self, *args, **options)

    monkeypatch.setattr(Store, "write", full_at_first)
    monkeypatch.setattr("task_manager._journal.pending.AGAIN", 0.0)
    found, summary = warned(lambda: make().start(range(2000)))

    assert (1, None) == (len(found), summary.journal)
    assert 2000 == make().start(range(2000)).duplicates


@pytest.mark.parametrize("way", ["serial", "thread"])
def test_f17_a_disk_that_refuses_is_not_asked_all_the_time(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A try may take long. There is one, one after half a second, and so on, and one at the end."""
    tries: list[int] = []

    def full(*args: Any, **options: Any) -> None:
        tries.append(1)
        raise FULL

    monkeypatch.setattr(Store, "write", full)
    monkeypatch.setattr("task_manager._journal.pending.AGAIN", 3600.0)
    with make(way, journal=Journal("run.db", started=True)) as manager:
        _, summary = warned(lambda: manager.start(range(500)))

    assert (500, 2) == (summary.succeeded, len(tries))


def test_f17_the_errors_of_tasks_are_not_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a disk that stays full: 10,000 outcomes wait, and the oldest go."""

    def full(*args: Any, **options: Any) -> None:
        raise FULL

    monkeypatch.setattr(Store, "write", full)
    monkeypatch.setattr("task_manager._journal.pending.AGAIN", 0.0)
    monkeypatch.setattr("task_manager._journal.pending.MOST_KEPT", 50)
    found, summary = warned(lambda: make(func=fails, max_retries=0).start(range(300)))

    assert (1, 300) == (len(found), summary.failed)
    assert "300 outcomes are missing: database or disk is full" == summary.journal


def test_f17_a_file_that_another_keeps_costs_one_warning() -> None:
    """Somebody has opened it with the tools of SQLite, and writes."""
    make().start([0])
    with closing(sqlite3.connect("run.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=NORMAL")

        def tasks() -> Any:
            yield 1
            other.execute("BEGIN IMMEDIATE")
            yield 2
            yield 3
            other.execute("ROLLBACK")

        found, summary = warned(lambda: make().start(tasks()))

    assert found in (
        [],
        ["the journal run.db cannot be written: database is locked; the run goes on, and tries again"],
    )
    assert (3, None) == (summary.succeeded, summary.journal)
    assert 4 == make().start([0, 1, 2, 3]).duplicates


def test_f17_one_row_that_no_file_takes_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are written."""
    honest = Store.write

    def picky(self: Store, tasks: list[Any], *args: Any, **options: Any) -> None:
        if any(row[1] == 7 for row in tasks):
            raise sqlite3.DataError("string or blob too big")
        honest(self, tasks, *args, **options)

    monkeypatch.setattr(Store, "write", picky)
    found, summary = warned(lambda: make().start(range(20)))

    assert (1, True) == (len(found), "an outcome cannot be written: sqlite3.DataError" in found[0])
    assert "1 outcome is missing: sqlite3.DataError: string or blob too big" == summary.journal
    assert 19 == in_file()


def test_f17_warnings_that_are_errors_harm_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As here, where pytest makes errors of them."""

    def full(*args: Any, **options: Any) -> None:
        raise FULL

    monkeypatch.setattr(Store, "write", full)

    assert 3 == make().start([1, 2, 3]).succeeded


def test_a_run_in_the_middle_of_a_run_is_refused() -> None:
    """One journal, one run: also where the second one is a task of the first."""

    def inner(n: int) -> int:
        return TaskManager(same, journal="run.db", logger=None).start([n]).succeeded

    inner.__module__, inner.__qualname__ = same.__module__, same.__qualname__
    manager = TaskManager(inner, journal="run.db", logger=None)
    manager.start([1])

    assert JournalError is type(manager.get_error_dict()[1])
    assert "is in use by another run of this process" in str(manager.get_error_dict()[1])


def test_what_was_done_is_in_the_file_before_the_next_call_begins() -> None:
    """In serial mode, where a call may take hours: no outcome waits for its end. So with a retry too."""
    known: list[int] = []

    class Counts:
        def observe(self, event: Event) -> None:
            if isinstance(event, Succeeded):
                known.extend(event.indices)

    def look(n: int) -> tuple[int, int]:
        if n == 1 and -1 not in failed:
            failed.add(-1)
            raise ConnectionError
        return in_file(), len(known)

    failed: set[int] = set()
    options: dict[str, Any] = {"observers": [Counts()], "retry_delay": 0.0, "logger": None}
    manager = TaskManager(look, journal="run.db", **options)
    manager.start(range(5))

    written, done = manager.get_result_dict()[1]
    assert done == written
    assert (0, 0) == manager.get_result_dict()[0]


FORK = """
import os, sys, sqlite3, warnings
from task_manager import Journal, TaskManager
from task_manager._journal import pending

pending.SOON = 0.0
warnings.simplefilter('ignore', DeprecationWarning)  # CPython 3.12 warns of a fork beside threads

parent = os.getpid()

def work(n):
    return n

async def work_async(n):
    return n

class Forks(TaskManager):
    def process_result(self, task, result):
        if task == 20:
            pid = os.fork()
            if pid == 0:
                END
            os.waitpid(pid, 0)
            try:
                TaskManager(FUNC, journal='run.db', logger=None).start([1])
            except Exception as error:
                print(type(error).__name__, flush=True)
        return result

with Forks(FUNC, MODE, 2, journal=Journal('run.db', started=True), logger=None) as manager:
    manager.start(range(200))
print(len(manager.get_result_dict()))
print(TaskManager(FUNC, MODE, journal='run.db', logger=None).start(range(200)).duplicates)
with sqlite3.connect('run.db') as there:
    print(*there.execute('PRAGMA integrity_check').fetchone())
"""


@pytest.mark.parametrize("end", ["sys.exit(0)", "return result", "raise KeyboardInterrupt"])
@pytest.mark.parametrize("mode", ["serial", "thread", "async"])
def test_f33_a_copy_writes_nothing_and_harms_nothing(
    mode: str, end: str, script: Callable[[str], Script]
) -> None:
    """A hook forks in the middle of a run, and the copy ends in any way: all outcomes are in the file,
    and it stays locked.
    """
    text = FORK.replace("END", end).replace("MODE", repr(mode))
    started = script(text.replace("FUNC", "work_async" if mode == "async" else "work"))
    out, err = started.process.communicate(timeout=50)
    refused = ["ConfigurationError"] if mode == "async" else ["JournalError"]

    assert [*refused, "200", "200", "ok"] == out.splitlines()
    assert "Warning" not in err


def test_f27_a_codec_that_fails_loses_one_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever our own steps raise, the run has its results."""
    manager = make()

    def broken(*args: Any) -> Any:
        raise RuntimeError("no step of ours")

    monkeypatch.setattr("task_manager._journal.record.Record._outcomes", broken)
    found, summary = warned(lambda: manager.start([1]))

    assert ({1: 1}, 1) == (manager.get_result_dict(), len(found))
    assert "1 outcome is missing: RuntimeError: no step of ours" == summary.journal


def test_a_journal_that_is_removed_while_it_is_written_is_told() -> None:
    """The file that has the path is not the one that is written."""

    def tasks() -> Any:
        yield 1
        Path("run.db").unlink()
        yield 2

    found, summary = warned(lambda: make(journal=Journal("run.db", started=True)).start(tasks()))

    assert 2 == summary.succeeded
    assert 1 == len(found)
    assert summary.journal is not None
