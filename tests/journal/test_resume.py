"""A manager with a journal goes on where an earlier process has ended, in every mode."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import functions as f
from logs import without_forks
from task_manager import END, Journal, Summary, TaskManager, TransportError

CALLS = Path("called")


def square(n: int) -> int:
    """Fails for 3, as long as there is no file that says otherwise."""
    with CALLS.open("a") as file:
        file.write(f"{n}\n")
    if n == 3 and not Path("mended").exists():
        raise ValueError(f"not {n}")
    return n * n


async def square_async(n: int) -> int:
    await asyncio.sleep(0)
    return square(n)


def called() -> list[int]:
    """The tasks of all calls since the last look, in order."""
    found = sorted(map(int, CALLS.read_text().split())) if CALLS.exists() else []
    CALLS.unlink(missing_ok=True)
    return found


def make(way: str, func: Callable[..., Any] = square, **options: Any) -> TaskManager[Any, Any]:
    """A manager as a new process would make it: it knows nothing but the journal."""
    if way == "async" and func is square:
        func = square_async
    options = {"logger": None, "worker_limit": 2, "journal": "run.db", "retry_delay": 0.0, **options}
    return TaskManager(func, **f.options_of(way), **options)


def start(manager: TaskManager[Any, Any], tasks: Any, awaited: bool = False) -> Summary:
    with manager:
        return asyncio.run(manager.start_async(tasks)) if awaited else manager.start(tasks)


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("way", ["serial", "thread", "fork", "async"])
def test_a_second_start_runs_what_is_not_done(way: str, awaited: bool) -> None:
    """It has the earlier results and errors in their old order; what failed runs again."""
    start(make(way), [5, 3, 1], awaited)
    first = called()
    manager = make(way)
    summary = start(manager, [1, 2, 3, 4, 5], awaited)

    assert ([1, 3, 5], [2, 3, 4]) == (first, called())
    assert Summary(2, 1, 2, 0, summary.seconds) == summary
    assert [(5, 25), (1, 1), (2, 4), (4, 16)] == list(manager.get_result_dict().items())
    assert [3] == list(manager.get_error_dict())


@pytest.mark.parametrize("way", ["serial", "thread", "fork", "async"])
def test_what_is_done_is_there_without_its_tasks(way: str) -> None:
    """An empty start has all of it, with the traceback of an error as text."""
    start(make(way), range(5))
    called()
    manager = make(way)
    summary = start(manager, [])
    error = manager.get_error_dict()[3]
    shown = "".join(traceback.format_exception(error))

    assert ({0: 0, 1: 1, 2: 4, 4: 16}, 0) == (manager.get_result_dict(), summary.taken)
    assert ([], ValueError, ("not 3",)) == (called(), type(error), error.args)
    assert 'raise ValueError(f"not {n}")' in shown
    assert "task_manager: failed after 1 attempt" in shown


@pytest.mark.parametrize("way", ["serial", "fork"])
def test_what_failed_then_is_done_now(way: str) -> None:
    """A task that failed in one process and succeeds in the next one has a result, and no error."""
    start(make(way), [3, 1])
    Path("mended").touch()
    start(make(way), [3, 1])
    manager = make(way)
    summary = start(manager, [3, 1])

    assert ({3: 9, 1: 1}, {}) == (manager.get_result_dict(), manager.get_error_dict())
    assert [3, 1] == list(manager.get_result_dict())
    assert (2, 0) == (summary.duplicates, summary.failed)


@pytest.mark.parametrize(
    ("keeps", "results", "errors"), [(True, {1: 1, 2: 4}, [3]), ("errors", {}, [3]), (False, {}, [])]
)
def test_what_is_kept_on_resume_is_what_is_kept_in_a_run(keeps: Any, results: Any, errors: Any) -> None:
    """And what is done is not run again, whatever is kept."""
    start(make("serial", keep_results=keeps), [1, 2, 3])
    called()
    manager = make("serial", keep_results=keeps)
    summary = start(manager, [1, 2, 3])

    assert ([3], 2) == (called(), summary.duplicates)
    assert (results, errors) == (manager.get_result_dict(), list(manager.get_error_dict()))


class Loud:
    """A result that says when it is unpickled."""

    def __setstate__(self, state: Any) -> None:
        Path("unpickled").touch()

    def __getstate__(self) -> Any:
        return {"some": "thing"}


def loud(n: int) -> Loud:
    return Loud()


def test_results_that_nobody_keeps_are_not_opened() -> None:
    """With keep_results=False none is decoded."""
    start(make("serial", loud, keep_results=False), [1])
    start(make("serial", loud, keep_results=False), [1])

    assert not Path("unpickled").exists()
    start(make("serial", loud), [])
    assert Path("unpickled").exists()


# ------------------------------------------------------------------ what a task is


@dataclass(frozen=True)
class Page:
    url: str


def shape(*args: Any) -> str:
    """And its only argument is not what it was, if it can be changed."""
    with CALLS.open("a") as file:
        file.write("0\n")
    text = repr(args)
    match args:
        case (list() as task,):
            task.append("changed")
        case (dict() as task,):
            task["changed"] = True
    if "bad" in text:
        raise ValueError(text)
    return text


TASKS: list[Any] = [
    [1, 2],
    {"a": 1},
    {1, 2},
    (1, "two"),
    ("one", [2]),
    Page("http://a"),
    2.5,
    True,
    None,
    b"bytes",
    "text",
    10**30,
    bytearray(b"x"),
]


def copies() -> list[Any]:
    return [
        [1, 2],
        {"a": 1},
        {2, 1},
        (1, "two"),
        ("one", [2]),
        Page("http://a"),
        2.5,
        True,
        None,
        b"bytes",
        "text",
        10**30,
        bytearray(b"x"),
    ]


@pytest.mark.parametrize("way", ["serial", "thread", "fork"])
def test_tasks_are_matched_by_equality(way: str) -> None:
    """As within a run: unhashable ones by content, tuples, frozen objects; whatever the function does to
    them.
    """
    start(make(way, shape), copies())
    first = len(called())
    manager = make(way, shape)
    summary = start(manager, copies())

    assert (len(TASKS), []) == (first, called())
    assert (len(TASKS), 0) == (summary.duplicates, summary.failed)
    assert "([1, 2],)" == manager.get_result_dict()[[1, 2]]
    assert len(TASKS) == len(manager.get_result_dict())


def test_f28_a_task_that_was_changed_and_failed_keeps_what_it_was() -> None:
    """Also where it fails again, as what it was changed into."""
    manager = make("serial", shape)
    task = ["bad"]
    manager.start([task])
    manager.start([task])  # by now ["bad", "changed"]
    again = make("serial", shape)
    again.start([])

    assert 1 == len(again.get_error_dict())
    assert ["bad"] in again.get_error_dict()
    assert 2 == len(called())
    again.start([["bad"]])
    assert 1 == len(called())
    assert 1 == len(again.get_error_dict())


class Fresh:
    """Equal to itself alone, and to what is unpickled of it not at all."""


def test_a_task_that_is_equal_to_itself_alone_runs_again() -> None:
    """Nobody can tell that it is the one of an earlier process."""
    start(make("serial", shape), [Fresh()])
    called()
    summary = start(make("serial", shape), [Fresh()])

    assert (1, 1, 0) == (len(called()), summary.succeeded, summary.duplicates)


# ------------------------------------------------------------------ what does not pickle


class Unpicklable:
    def __init__(self, n: int) -> None:
        self.n = n

    def __eq__(self, other: object) -> bool:
        return type(other) is Unpicklable and other.n == self.n

    def __hash__(self) -> int:
        return self.n

    def __reduce__(self) -> Any:
        raise TypeError("this stays here")


class UnpicklableError(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("this stays here")


def odd(task: Any) -> Any:
    if task == 1:
        return Unpicklable(1)
    if task == 2:
        raise UnpicklableError("no way")
    return 0


def warned(run: Callable[[], Summary]) -> tuple[list[str], Summary]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        summary = run()
    return [str(one.message) for one in without_forks(found)], summary


def test_a_result_that_does_not_pickle_costs_one_warning() -> None:
    """It is there in this run, the summary says what is missing, and the task runs again."""
    manager = make("serial", odd)
    found, summary = warned(lambda: manager.start([0, 1]))
    missing = f"1 outcome is missing: {REFUSED}"

    assert [f"the journal run.db is incomplete, and the run goes on: {CANNOT}"] == found
    assert missing == summary.journal
    assert f"journal    {missing}" in str(summary)
    assert {0: 0, 1: Unpicklable(1)} == manager.get_result_dict()
    assert (1, 1) == (start(make("serial", odd), [0, 1]).duplicates, len(make("serial").observers) + 1)


REFUSED = "pickle refuses a value of type Unpicklable: TypeError: this stays here"
CANNOT = f"the result of the task 1 cannot be written: {REFUSED}"


def test_a_task_that_does_not_pickle_costs_one_warning() -> None:
    """Many of them cost one as well, and each runs again."""
    tasks = [Unpicklable(5), Unpicklable(6), 7]
    found, summary = warned(lambda: start(make("serial", odd), tasks))

    assert 1 == len(found)
    assert "the run goes on: the task <" in found[0]
    assert summary.journal is not None
    assert summary.journal.startswith("2 outcomes are missing: ")
    assert (3, 1) == (summary.succeeded, start(make("serial", odd), tasks).duplicates)


def test_an_error_that_does_not_pickle_is_kept_as_text() -> None:
    """Its name, its message and its traceback are there; nothing is missing."""
    summary = start(make("serial", odd), [2])
    manager = make("serial", odd)
    start(manager, [])
    error = manager.get_error_dict()[2]

    assert (None, TransportError) == (summary.journal, type(error))
    assert "UnpicklableError: no way" in str(error)
    assert 'raise UnpicklableError("no way")' in "".join(traceback.format_exception(error))


def test_with_json_no_pickle_is_opened() -> None:
    """An error is its text there, and tasks are what JSON holds."""
    start(make("serial", journal=Journal("run.db", codec="json")), [1, 3])
    manager = make("serial", journal=Journal("run.db", codec="json"))
    start(manager, [])

    assert {1: 1} == manager.get_result_dict()
    assert TransportError is type(manager.get_error_dict()[3])
    assert "ValueError: not 3" in str(manager.get_error_dict()[3])


class Gone:
    """A class that later is not there any more."""

    def __eq__(self, other: object) -> bool:
        return type(other) is Gone

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> Any:
        return (vanish, ())


def vanish() -> Any:
    if Path("gone").exists():
        raise AttributeError("there is no class Gone")
    return Gone()


def make_gone(task: Any) -> Any:
    return Gone() if task == 1 else 0


def test_rows_that_cannot_be_read_any_more_are_run_again() -> None:
    """One warning has their number; what else the file has is there."""
    start(make("serial", make_gone), [Gone(), 1, 2])
    Path("gone").touch()
    manager = make("serial", make_gone)
    found, summary = warned(lambda: manager.start([1, 2]))

    assert [
        "2 rows of the journal run.db cannot be read any more (AttributeError: there is no class Gone); "
        "what they are of runs again if it is given"
    ] == found[:1]
    assert (1, 1) == (summary.succeeded, summary.duplicates)
    assert [1, 2] == list(manager.get_result_dict())


# ------------------------------------------------------------------ starts


def test_a_manager_may_start_again_and_another_may_write_in_between() -> None:
    """Each knows what the other has done by then."""
    one, other = make("serial"), make("serial")
    one.start([1, 3])
    other.start([2, 3, 1])
    Path("mended").touch()
    other.start([3])
    called()
    summary = one.start([1, 2, 3, 4])

    assert ([4], 3) == (called(), summary.duplicates)
    assert {1: 1, 2: 4, 3: 9, 4: 16} == one.get_result_dict()
    assert {} == one.get_error_dict()
    assert {1: 1, 2: 4, 3: 9, 4: 16} == start_and_look([])


def start_and_look(tasks: Any) -> Any:
    manager = make("serial")
    start(manager, tasks)
    return manager.get_result_dict()


def test_what_was_not_run_gets_a_place_of_its_own() -> None:
    """Where another has taken its number in the meantime, both are in the file."""
    one = make("serial", broken_off)
    with pytest.raises(KeyboardInterrupt):
        one.start([1, 2])
    start(make("serial", broken_off), [7, 8])
    Path("mended").touch()
    one.start([2, 1, 9])
    manager = make("serial", broken_off)
    start(manager, [])

    assert {1: 1, 2: 4, 7: 49, 8: 64, 9: 81} == one.get_result_dict() == manager.get_result_dict()


def broken_off(n: int) -> int:
    if n == 2 and not Path("mended").exists():
        raise KeyboardInterrupt
    return n * n


def test_reset_forgets_the_memory_and_not_the_file() -> None:
    """The next start reads the file again; where that is gone, all tasks run."""
    manager = make("serial")
    manager.start([1, 2])
    manager.reset()

    assert {} == manager.get_result_dict()
    assert (2, {1: 1, 2: 4}) == (manager.start([1, 2]).duplicates, manager.get_result_dict())
    manager.reset()
    os.unlink("run.db")
    assert (2, {1: 1, 2: 4}) == (manager.start([1, 2]).succeeded, manager.get_result_dict())


def test_where_all_is_done_the_summary_says_who_has_it() -> None:
    """The remark names the journal, and nothing was run."""
    start(make("serial"), [1, 2, 4, 5])
    summary = start(make("serial"), [1, 2, 4, 5])
    one = start(make("serial"), [1])

    assert "all 4 are done already, as run.db has it: nothing was run" == summary.remark
    assert "the one task is done already, as run.db has it: nothing was run" == one.remark
    assert "with another journal, or without one, the same tasks run again" in str(summary)


def test_tasks_of_a_queue_are_known_too() -> None:
    """What is done and comes out of it again is not run."""

    def filled() -> queue.Queue[Any]:
        tasks: queue.Queue[Any] = queue.Queue()
        for task in (1, 2, END):
            tasks.put(task)
        return tasks

    start(make("thread"), filled())
    called()

    assert (2, []) == (start(make("thread"), filled()).duplicates, called())


def test_nothing_is_opened_where_a_manager_is_only_made() -> None:
    """A process that imports the script makes no file."""
    make("serial")

    assert [] == [path.name for path in Path().iterdir() if path.name.startswith("run.db")]


def test_a_journal_is_closed_however_a_run_ends() -> None:
    """Another may start at once: after an error of the input, and where no worker can be made."""

    def broken() -> Any:
        yield 1
        raise LookupError

    manager = make("serial")
    with pytest.raises(LookupError):
        manager.start(broken())
    lock = threading.Lock()
    refused = make("fork", Locked(lock))
    with pytest.raises(ValueError, match="pickle"):
        refused.start([1])

    assert 1 == start(make("serial"), [1, 2]).duplicates


class Locked:
    """A function that no other process can have."""

    def __init__(self, lock: Any) -> None:
        self.lock = lock

    def __call__(self, n: int) -> int:
        return n


Locked.__module__, Locked.__qualname__ = square.__module__, square.__qualname__


# ------------------------------------------------------------------ what failed, once more


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("journal", [None, "run.db"])
def test_retry_failed_runs_what_failed(journal: str | None, awaited: bool) -> None:
    """And answers with the summary of that run."""

    def again() -> Summary:
        return asyncio.run(manager.retry_failed_async()) if awaited else manager.retry_failed()

    manager = make("serial", journal=journal)
    manager.start(range(5))
    called()

    assert (1, 1, [3]) == (again().failed, again().taken, called()[:1])
    Path("mended").touch()
    assert 1 == again().succeeded
    assert {**{n: n * n for n in range(5)}} == manager.get_result_dict()
    assert 0 == again().taken


@pytest.mark.parametrize("keeps", [True, "errors", False])
def test_retry_failed_reads_the_journal_in_a_new_process(keeps: Any) -> None:
    """Whatever is kept in memory."""
    start(make("serial"), range(5))
    called()
    Path("mended").touch()
    summary = make("serial", keep_results=keeps).retry_failed()

    assert ([3], 1) == (called(), summary.succeeded)
    assert 0 == make("serial", keep_results=keeps).retry_failed().taken


def test_retry_failed_in_a_running_loop_says_what_to_await() -> None:
    """In async mode, where it would need a loop of its own."""

    async def inside() -> None:
        make("async").retry_failed()

    with pytest.raises(ValueError, match=r"use `await manager\.retry_failed_async\(\)` there"):
        asyncio.run(inside())


def test_retry_failed_says_where_nobody_knows_what_failed() -> None:
    """Without errors and without a journal."""
    manager = make("serial", keep_results=False, journal=None)

    with pytest.raises(ValueError, match="keep_results=False keeps no errors: make it with"):
        manager.retry_failed()
