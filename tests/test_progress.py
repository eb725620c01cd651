"""The bar: drawn by the parent process only."""

from __future__ import annotations

import io
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import tqdm.std

from task_manager import ProgressManager, Summary, TaskChain, TaskManager
from task_manager.events import Failed, Repeated, Retrying, RunBegan, RunEnded, Succeeded, Waiting
from task_manager.progress import ProgressObserver


@pytest.fixture(autouse=True)
def wide_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """No bar is cut."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LINES", "50")


class Terminal(io.StringIO):
    """Where a bar can move; as wide as nobody knows."""

    def isatty(self) -> bool:
        return True


class Captured:
    """What has come to stderr, as if that were a terminal."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def getvalue(self) -> str:
        return self._capsys.readouterr().err


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Captured:
    """In the place of stderr."""
    monkeypatch.setattr("task_manager.progress.is_terminal", lambda stream: True)
    return Captured(capsys)


def last_drawn(text: str) -> str:
    """The bar as it was left standing."""
    return re.split(r"[\r\n]+", text.strip())[-1]


def drawn(draw: Callable[[ProgressManager], None], **options: Any) -> str:
    file = Terminal()
    with ProgressManager(file=file, **options) as progress:
        draw(progress)
    return last_drawn(file.getvalue())


def refuse_two(task: int) -> int:
    if task == 2:
        raise ValueError("two")
    return task


def test_a_bar_counts_what_is_done() -> None:
    """Under the name of the work, out of the total."""

    def draw(progress: ProgressManager) -> None:
        progress.update()
        progress.update(2)

    text = drawn(draw, total=4, desc="Copying")

    assert re.match(r"Copying:  75%\|.*\| 3/4 \[", text)
    assert "failed" not in text
    assert "retried" not in text


def test_a_bar_without_a_total_counts_without_an_end() -> None:
    """Where nobody knows how many tasks come."""
    text = drawn(lambda progress: progress.update(3))

    assert re.match(r"Processing: 3 task \[", text)


@pytest.mark.parametrize(
    ("updates", "counts", "shown"),
    [
        ([{"done": 1, "failed": 1}], "1/9", "failed=1]"),
        ([{"done": 3, "failed": 2}, {"done": 1, "failed": 1}, {"done": 1}], "5/9", "failed=3]"),
        ([{"done": 0, "retried": 1}], "0/9", "retried=1]"),
        ([{"done": 0, "retried": 1}, {"done": 1, "failed": 1}], "1/9", "failed=1, retried=1]"),
    ],
)
def test_failures_and_retries_stand_beside_the_bar(
    updates: list[dict[str, int]], counts: str, shown: str
) -> None:
    """As many as there were, and only those of which there were any."""

    def draw(progress: ProgressManager) -> None:
        for update in updates:
            progress.update(**update)

    text = drawn(draw, total=9)

    assert f" {counts} [" in text
    assert re.search(rf", {re.escape(shown)}$", text)


def test_a_bar_can_be_drawn_as_of_now() -> None:
    """What was counted shows, also when it was too soon to draw it."""
    file = Terminal()
    progress = ProgressManager(total=4, file=file)
    progress.update(1)
    progress.update(1)
    progress.refresh()
    text = last_drawn(file.getvalue())
    progress.close()

    assert " 2/4 [" in text


def test_a_bar_is_drawn_on_stderr(terminal: Captured, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no file is given; stdout belongs to the user."""
    with ProgressManager(total=1) as progress:
        progress.update()
    stdout, stderr = capsys.readouterr()

    assert "" == stdout
    assert " 1/1 [" in last_drawn(stderr)


def test_closing_twice_is_closing_once() -> None:
    """The bar is left standing, and nothing is drawn after it."""
    file = Terminal()
    progress = ProgressManager(total=1, file=file)
    progress.update()
    progress.close()
    before = file.getvalue()
    progress.close()

    assert before == file.getvalue()
    assert before.endswith("\n")


def test_a_bar_is_closed_when_the_work_breaks_off() -> None:
    """At the end of the `with` block, and the error goes on."""

    def break_off() -> None:
        with ProgressManager(total=4, file=file) as progress:
            progress.update(2)
            raise LookupError

    file = Terminal()
    with pytest.raises(LookupError):
        break_off()

    assert " 2/4 [" in last_drawn(file.getvalue())
    assert file.getvalue().endswith("\n")


def test_a_bar_makes_no_lock_for_processes_and_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """tqdm usually makes both; only one process draws here, and only when something happens."""
    made = []
    monkeypatch.setattr(tqdm.std, "TqdmDefaultWriteLock", lambda: made.append("a lock"))
    monkeypatch.delattr(tqdm.std.tqdm, "_lock", raising=False)
    before = threading.active_count()
    with ProgressManager(total=1, file=Terminal()) as progress:
        progress.update()
        during = threading.active_count()

    assert ([], before) == (made, during)


# ------------------------------------------------------------------ as an observer of a run


def test_a_bar_moves_with_the_events_of_a_run(terminal: Captured) -> None:
    """Results, errors and repeats are done; a retry is not."""
    observer = ProgressObserver("Working")
    observer.observe(RunBegan(9))
    observer.observe(Succeeded([0, 1, 2], ["a", "b", "c"], [1, 2, 3], [0.0] * 3, [1] * 3))
    observer.observe(Retrying(3, "d", ValueError(), 1, 0.5))
    observer.observe(Retrying(3, "d", ValueError(), 2, 0.5))
    observer.observe(Failed(3, "d", ValueError(), 3))
    observer.observe(Repeated(["a", "b"]))
    observer.observe(RunEnded(Summary(not_started=3)))
    text = last_drawn(terminal.getvalue())

    assert re.match(r"Working:  67%\|.*\| 6/9 \[.*, failed=1, retried=2\]$", text)


@pytest.mark.parametrize(
    ("total", "not_started", "shown"),
    [(9, 0, "100%.* 2/2 "), (9, 7, "22%.* 2/9 "), (None, 0, "2 task ")],
)
def test_a_bar_is_full_when_a_run_is_through(
    total: int | None, not_started: int, shown: str, terminal: Captured
) -> None:
    """Also where fewer tasks came than were expected; unless the run was broken off."""
    observer = ProgressObserver("Working")
    observer.observe(RunBegan(total))
    observer.observe(Repeated(["a", "b"]))
    observer.observe(RunEnded(Summary(not_started=not_started)))

    assert re.match(rf"Working: +{shown}", last_drawn(terminal.getvalue()))


def test_a_bar_is_drawn_while_nothing_happens(terminal: Captured) -> None:
    """At each tick, so that what was counted last shows."""
    observer = ProgressObserver("Working")
    observer.observe(RunBegan(None))
    observer.observe(Succeeded([0], ["a"], [1], [0.0], [1]))
    observer.observe(Succeeded([1], ["b"], [1], [0.0], [1]))
    observer.observe(Waiting())
    text = last_drawn(terminal.getvalue())
    observer.observe(RunEnded(Summary()))

    assert "Working: 2 task [" in text


def test_a_bar_that_is_not_there_is_not_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    """Before the run begins, and after it has ended."""
    observer = ProgressObserver("Working")
    observer.observe(Waiting())
    observer.observe(RunEnded(Summary()))
    observer.observe(RunBegan(1))
    observer.observe(RunEnded(Summary()))
    before = capsys.readouterr().err
    observer.observe(Waiting())
    observer.observe(RunEnded(Summary()))

    assert 1 == before.count("\n")
    assert "" == capsys.readouterr().err


@pytest.mark.parametrize("tasks", [[1, 2, 3, 1], iter([1, 2, 3, 1])], ids=["list", "iterator"])
def test_a_manager_draws_a_bar_if_it_is_asked_to(
    tasks: Any, terminal: Captured, capsys: pytest.CaptureFixture[str]
) -> None:
    """All tasks are counted, with their failures, under its name."""
    manager = TaskManager(refuse_two, show_progress=True, progress_desc="Reading", logger=None)
    manager.start(tasks)
    stdout, stderr = capsys.readouterr()
    counted = " 4/4 [" if isinstance(tasks, list) else " 4 task ["

    assert "" == stdout
    assert last_drawn(stderr).startswith("Reading: ")
    assert counted in last_drawn(stderr)
    assert last_drawn(stderr).endswith("failed=1]")


def test_a_manager_draws_nothing_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """A bar is for who asks for one."""
    TaskManager(refuse_two, logger=None).start([1, 2, 3])

    assert ("", "") == capsys.readouterr()


def test_a_bar_that_cannot_be_drawn_is_named_in_the_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """F17: in the user's words, and the results are those of a run without a fault."""

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("the terminal is gone")

    monkeypatch.setattr(sys, "stderr", Broken())
    manager = TaskManager(abs, show_progress=True, logger=None)
    with pytest.warns(RuntimeWarning, match="^the bar failed and is left out"):
        manager.start([-1])

    assert {-1: 1} == manager.get_result_dict()


def test_nothing_is_drawn_where_there_is_no_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    """F17: as under pythonw, and without a warning."""
    monkeypatch.setattr(sys, "stderr", None)
    manager = TaskManager(abs, show_progress=True, logger=None)
    manager.start([-1])

    assert {-1: 1} == manager.get_result_dict()


@pytest.mark.parametrize("mode", ["serial", "thread", "process"])
def test_the_bars_of_stages_are_told_apart(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the names of their functions, unless they have names; a manager by itself has the default."""
    one, other = TaskManager(abs, show_progress=True), TaskManager(len, progress_desc="Measuring")
    named = TaskManager(str, show_progress=True, progress_desc="Writing")
    TaskChain([one, named, other], mode).start([1])
    TaskManager(abs, show_progress=True).start([1])

    names = [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert ["abs", "Writing", "Processing"] == names
