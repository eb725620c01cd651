"""One run at a time: a lock that dies with its process, and that no copy has or gives up."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from journals import made, of_posix, opened, read, rows
from scripts import Script
from task_manager import JournalError
from task_manager._journal.lock import Lock
from task_manager._platform import CAN_FORK

HOLD = """
import os, signal, sys, time
from journals import opened, rows

store = opened()
store.write(rows(range(5)), [], sync=False)
BEFORE
print("open", flush=True)
time.sleep(60)
"""

FORK = """
if os.fork() == 0:
    time.sleep(60)
    os._exit(0)
"""


def test_a_second_run_of_this_process_is_refused() -> None:
    """At once, and it may go on when the first has ended."""
    store = opened()
    with pytest.raises(JournalError) as caught:
        opened()
    store.write(rows(range(3)), [], sync=False)
    store.close()

    assert "journal 'run.db' is in use by another run of this process: one run at a time" == str(
        caught.value
    )
    assert 3 == len(read())


def test_a_run_of_another_process_is_refused_with_its_pid(script: Callable[[str], Script]) -> None:
    """So that one knows whom to end."""
    holder = script(HOLD.replace("BEFORE", ""))
    holder.wait_for("open")
    with pytest.raises(JournalError) as caught:
        opened()
    said = str(caught.value)

    assert f"journal 'run.db' is in use by process {holder.process.pid}: one run at a time" == said


def test_one_on_another_machine_is_named_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where two have one disk."""
    store = opened()
    monkeypatch.setattr("task_manager._journal.store.gethostname", lambda: "elsewhere")
    monkeypatch.setattr("task_manager._journal.store.getpid", lambda: 7)
    here = store._door.holder()
    with pytest.raises(JournalError) as caught:
        opened()
    store.close()

    assert here is not None
    assert f"is in use by process {here[0]} on {here[1]}: one run at a time" in str(caught.value)


@pytest.mark.parametrize("before", ["", *[FORK] * CAN_FORK], ids=["alone", *["with a copy"] * CAN_FORK])
def test_a_process_that_is_killed_leaves_no_lock(before: str, script: Callable[[str], Script]) -> None:
    """Not even where a copy of it lives on; and what it had written is there."""
    holder = script(HOLD.replace("BEFORE", before))
    holder.wait_for("open")
    holder.process.send_signal(signal.SIGKILL)
    holder.process.wait()

    assert 5 == len(read())


def test_what_is_there_already_is_locked_as_well() -> None:
    """An empty lock of an earlier run, or one that somebody has removed."""
    made()
    made()
    Path("run.db-lock").unlink()

    assert 10 == len(read())


@of_posix
def test_a_lock_that_is_taken_away_in_the_middle_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """By one who was refused, and has removed what it had made: nobody would meet us there."""
    take = Lock._take
    taken = []

    def removed(lock: Lock) -> None:
        take(lock)
        taken.append(lock)
        if len(taken) == 1:
            Path("run.db-lock").unlink()

    monkeypatch.setattr(Lock, "_take", removed)
    store = opened()
    with pytest.raises(JournalError, match="is in use by another run of this process"):
        opened()
    store.close()

    assert 2 == len(taken)


def test_a_lock_that_is_something_else_is_refused() -> None:
    """And is not overwritten."""
    Path("run.db-lock").write_text("my own lock" * 100)
    Path("run.db-lock").chmod(0o600)
    with pytest.raises(JournalError, match="cannot be locked: file is not a database"):
        opened()

    assert "my own lock" * 100 == Path("run.db-lock").read_text()


def test_readers_are_let_in() -> None:
    """The command line follows a run while it goes on."""
    store = opened()
    store.write(rows(range(7)), [], sync=False)
    reader = sqlite3.connect(f"{Path('run.db').absolute().as_uri()}?mode=ro", uri=True)
    found = reader.execute("SELECT count(*) FROM tasks").fetchone()[0]
    store.write(rows(range(7, 9)), [], sync=True)
    then = reader.execute("SELECT count(*) FROM tasks").fetchone()[0]
    reader.close()
    store.close()

    assert (7, 9) == (found, then)
    assert ["run.db", "run.db-lock"] == sorted(os.listdir())


# ------------------------------------------------------------------ copies

COPY = """
import gc, os, sqlite3, sys
from journals import opened, read, rows
from task_manager import JournalError
from task_manager._platform import CAN_FORK

store = opened()
store.write(rows(range(100)), [], sync=True)
KEEP
store._connection.execute("BEGIN IMMEDIATE")
many = [(f"x{n}", "y" * 4000) for n in range(2000)]
store._connection.execute_many("INSERT INTO meta VALUES(?, ?)", many)
pid = os.fork()
if pid == 0:
    try:
        store.write(rows(range(500)), [], sync=True)
    except sqlite3.ProgrammingError as error:
        print(error, flush=True)
    try:
        opened()
    except JournalError as error:
        print("refused", flush=True)
    store.close()
    END
os.waitpid(pid, 0)
try:
    opened()
except JournalError as error:
    print("refused here", flush=True)
store._connection.execute("COMMIT")
store.write(rows(range(100, 200)), [], sync=True)
print(store._connection.execute("PRAGMA integrity_check"), flush=True)
store.close()
print(len(read()), flush=True)
"""


WITHOUT_CTYPES = """
from task_manager._journal import connections
connections._keep_for_ever = connections._frozen
"""


@pytest.mark.skipif(not CAN_FORK, reason="needs os.fork")
@pytest.mark.parametrize(
    ("end", "keep"),
    [
        ("del store; gc.collect(); sys.exit()", ""),
        ("os._exit(0)", ""),
        ("del store; gc.collect(); sys.exit()", WITHOUT_CTYPES),
    ],
    ids=["ends", "is ended", "without ctypes"],
)
def test_f33_a_copy_neither_writes_nor_closes_nor_unlocks(end: str, keep: str) -> None:
    """In the middle of a transaction, and however it ends."""
    done = subprocess.run(
        [sys.executable, "-c", COPY.replace("END", end).replace("KEEP", keep)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])},
    )

    assert (
        ["the journal is closed here", "refused", "refused here", "[('ok',)]", "200"],
        "",
    ) == (done.stdout.splitlines(), done.stderr)
