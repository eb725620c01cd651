"""What the store writes and gives back, and what it says where it cannot."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from journals import error_row, made, of_posix, opened, read, row, rows
from task_manager._journal.connections import may_pass
from task_manager._journal.schema import DONE, FAILED, PASSED, STARTED


def asked(question: str) -> list[Any]:
    """As another program reads the file."""
    connection = sqlite3.connect("run.db")
    try:
        return connection.execute(question).fetchall()
    finally:
        connection.close()


# ------------------------------------------------------------------ out and in


def test_rows_come_in_the_order_of_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """In portions, whatever the order in which they were written."""
    monkeypatch.setattr("task_manager._journal.store.PORTION", 10)
    store = opened()
    store.write(rows([*range(12, 25), *range(12)]), [], sync=False)
    portions = [[one[0] for one in portion] for portion in store.rows()]
    store.close()

    assert [list(range(10)), list(range(10, 20)), list(range(20, 25))] == portions


def test_a_row_has_what_was_written() -> None:
    """The error beside the task that has failed, and beside no other."""
    store = opened()
    store.write([row(0, 5), row(1, state=FAILED), row(2, "half", state=FAILED)], [error_row(1)], False)
    store.write([(3, "t", None, PASSED, 2, b"v", None, None, 1.5, 1)], [], False)
    found = [one for portion in store.rows() for one in portion]
    store.close()

    assert [
        (0, 0, DONE, None, 5, 1, 0.5, None),
        (1, 1, FAILED, None, None, 1, 0.5, error_row(1)[1:]),
        (2, 2, FAILED, None, None, 1, 0.5, None),
        (3, "t", PASSED, 2, None, None, None, None),
    ] == found


def test_what_is_not_wanted_is_not_read() -> None:
    """Results are no memory's business where nobody keeps them."""
    store = opened()
    store.write([row(0, 5), row(1, 6, state=FAILED), row(2, 7, state=PASSED)], [error_row(1)], False)
    found = [one for portion in store.rows(values=False, errors=False) for one in portion]
    store.close()

    assert [(0, None, None), (1, None, None), (2, None, None)] == [(x[0], x[4], x[7]) for x in found]


def test_from_where_a_chain_goes_on_is_read_for_those_that_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where they have passed a stage; in the order of their numbers, however many are asked for."""
    monkeypatch.setattr("task_manager._journal.store.VARIABLES", 3)
    store = opened()
    for number in range(10):
        state = DONE if number == 4 else PASSED
        store.write([(number, number, None, state, number % 2, f"v{number}", 1, 0.5, 1.0, 1)], [], False)
    found = store.partly(range(2, 20))
    store.close()

    assert [(3, 1, "v3"), (5, 1, "v5"), (7, 1, "v7"), (9, 1, "v9")] == found


def test_the_last_row_of_a_task_stands() -> None:
    """One that fails, and then is done, has no error any more."""
    store = opened()
    store.begin_run("serial", 1, 2)
    store.write([row(0, state=STARTED)], [], False)
    store.write([row(0, state=FAILED)], [error_row(0)], False)
    store.write([row(0, 5)], [], False)
    found = [one for portion in store.rows() for one in portion]
    store.end_run({}, None)
    store.close()

    assert [(0, 0, DONE, None, 5, 1, 0.5, None)] == found
    assert [] == asked("SELECT * FROM errors")


def test_a_task_stays_as_it_was_first_written() -> None:
    """Its function may have changed it since (F28)."""
    store = opened()
    store.write([row(0, task=b"before", state=STARTED)], [], False)
    store.write([row(0, task=b"after")], [], False)
    store.close()

    assert [(b"before",)] == asked("SELECT task FROM tasks")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], []),
        ([row(0, state=FAILED)], [(0, FAILED, None)]),
        ([(0, 0, None, PASSED, 2, "v", 1, 0.5, 1.0, 1)], [(0, PASSED, None)]),
    ],
    ids=["new", "failed", "passed"],
)
def test_what_was_not_started_after_all_is_what_it_was_before(
    before: list[Any], after: list[Any]
) -> None:
    """A batch comes home without its calls."""
    store = opened()
    store.write(before, [error_row(0)] if before and before[0][3] == FAILED else [], False)
    store.write([(0, 0, None, STARTED, None, None, None, None, 2.0, 2)], [], True)
    store.write([], [], False, unmarked=[0])
    found = [(one[0], one[2], one[4]) for portion in store.rows() for one in portion]
    store.close()

    assert after == found


def test_a_run_has_a_row() -> None:
    """From its beginning on; it has no end where its process dies."""
    store = opened()
    first = store.begin_run("thread", 4, None)
    store.end_run({"succeeded": 3}, "stop()")
    second = store.begin_run("chain", None, 10)
    store.close()
    runs = asked("SELECT run, mode, workers, total, counts, ended_early, ended IS NULL FROM runs")

    assert (1, 2) == (first, second)
    assert [
        (1, "thread", 4, None, json.dumps({"succeeded": 3}), "stop()", 0),
        (2, "chain", None, 10, None, None, 1),
    ] == runs


def test_a_store_can_be_used_and_closed_in_another_thread() -> None:
    """A manager may be dropped anywhere."""
    store = opened()
    thread = threading.Thread(target=lambda: (store.write(rows([1]), [], True), store.close()))
    thread.start()
    thread.join()

    assert [(1, 2)] == read()


def test_closing_twice_is_closing_once() -> None:
    """And nothing is written any more."""
    store = opened()
    store.close()
    store.close()
    with pytest.raises(sqlite3.ProgrammingError, match="the journal is closed"):
        store.write([], [], False)


def test_only_what_is_to_be_synced_waits_for_the_disk() -> None:
    """A power cut costs what was written since; a killed process costs nothing."""
    store = opened()
    found = []
    for sync in (True, False, False, True):
        store.write(rows(range(3)), [], sync)
        found.append(store._live.execute("PRAGMA synchronous")[0][0])
    store.close()

    assert [2, 1, 1, 2] == found  # FULL and NORMAL


# ------------------------------------------------------------------ it cannot be written


def test_a_full_disk_is_an_error_and_nothing_is_written_by_halves() -> None:
    """What had been written before is there; and when there is room again, all can be written."""
    store = opened()
    store.write(rows(range(10)), [], sync=True)
    pages = store._live.execute("PRAGMA page_count")[0][0]
    store._live.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(sqlite3.OperationalError, match="database or disk is full") as caught:
        store.write(rows(range(10, 5000)), [], sync=False)
    before = [one[0] for portion in store.rows() for one in portion]
    store._live.execute("PRAGMA max_page_count=100000")
    store.write(rows(range(10, 5000)), [], sync=True)
    store.close()

    assert list(range(10)) == before
    assert may_pass(caught.value)
    assert 5000 == len(read())


LIMITED = """
import resource, signal, sqlite3
from journals import opened, read, rows

store = opened()
store.write(rows(range(100)), [], sync=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
try:
    store.write(rows(range(100, 9000)), [], sync=True)
except sqlite3.OperationalError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.write(rows(range(100, 200)), [], sync=True)
store.close()
print(len(read()))
"""


def test_a_disk_that_fails_is_an_error_and_may_be_tried_again() -> None:
    """Here one on which a file has come to its limit."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n{LIMITED}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert ("disk I/O error\n200\n", "") == (done.stdout, done.stderr)


def test_a_file_that_another_connection_holds_is_an_error() -> None:
    """That of a tool that the user has it open in; it is waited for a little, and then no longer."""
    made()
    store = opened()
    tool = sqlite3.connect("run.db", isolation_level=None)
    tool.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="database is locked") as caught:
        store.write(rows(range(10, 20)), [], sync=False)
    tool.execute("COMMIT")
    tool.close()
    store.write(rows(range(10, 20)), [], sync=False)
    store.close()

    assert may_pass(caught.value)
    assert 20 == len(read())


def test_only_the_last_write_waits_long() -> None:
    """What is noted of a run at its beginning and its end may be missing, and holds nobody up."""
    made()
    store = opened()
    waits = []
    store.begin_run("serial", 1, 3)
    waits.append(store._live.execute("PRAGMA busy_timeout")[0][0])
    store.write(rows([10]), [], sync=True, patience=5.0)
    waits.append(store._live.execute("PRAGMA busy_timeout")[0][0])
    store.end_run({}, None)
    waits.append(store._live.execute("PRAGMA busy_timeout")[0][0])
    store.close()

    assert [100, 5000, 100] == waits


def test_the_last_write_waits_longer() -> None:
    """Where the other one is soon done."""
    store = opened()
    tool = sqlite3.connect("run.db", isolation_level=None, check_same_thread=False)
    tool.execute("BEGIN IMMEDIATE")
    soon = threading.Timer(0.5, lambda: tool.execute("COMMIT"))
    soon.start()
    store.write(rows(range(10)), [], sync=True, patience=60)
    soon.join()
    tool.close()
    store.close()

    assert 10 == len(read())


def test_a_run_opens_a_file_that_another_connection_writes() -> None:
    """It can be read; only who has it open cannot be noted."""
    made()
    tool = sqlite3.connect("run.db", isolation_level=None)
    tool.execute("BEGIN IMMEDIATE")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("task_manager._journal.store.AT_THE_END", 0.05)
        store = opened()
    found = sum(len(portion) for portion in store.rows())
    tool.execute("ROLLBACK")
    tool.close()
    store.close()

    assert 10 == found


def test_a_full_disk_does_not_keep_a_run_from_what_is_there() -> None:
    """A journal that can be read is opened; what is done need not be done again."""
    made(count=100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("task_manager._journal.store.PRAGMAS", ("PRAGMA query_only=ON",))
        with pytest.raises(Exception, match="cannot be opened: attempt to write a readonly database"):
            opened()
        patch.setattr("task_manager._journal.connections.PASSING", {sqlite3.SQLITE_READONLY})
        store = opened()
    found = sum(len(portion) for portion in store.rows())
    store.close()

    assert 100 == found


@of_posix
@pytest.mark.parametrize("instead", [None, b"", b"another"])
def test_a_file_that_is_removed_or_replaced_is_an_error(instead: bytes | None) -> None:
    """SQLite would go on in a file that nobody finds; it is noticed at the next write that is synced."""
    store = opened()
    store.write(rows(range(10)), [], sync=True)
    Path("run.db").unlink()
    if instead is not None:
        Path("run.db").write_bytes(instead)
    with pytest.raises(sqlite3.OperationalError, match="its file was removed, or another one is in its"):
        store.write(rows(range(10, 20)), [], sync=True)
    store.close()

    assert instead == (Path("run.db").read_bytes() if instead is not None else None)


def test_what_raises_in_the_middle_leaves_nothing_open() -> None:
    """A row that SQLite does not take, or a Ctrl-C: the next write begins anew."""
    store = opened()
    with pytest.raises(UnicodeEncodeError):
        store.write([row(0, 1), row(1, "\ud800")], [], sync=False)
    with pytest.raises(OverflowError):
        store.write([row(0, 1), row(1, 2**64)], [], sync=False)
    store.write([row(2, 3)], [], sync=False)
    store.close()

    assert [(2, 3)] == read()
