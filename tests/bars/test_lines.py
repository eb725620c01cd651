"""Where no bar can move: a line every 30 seconds, and one at the end."""

from __future__ import annotations

import io
import sys

import pytest

from task_manager import ProgressManager, TaskChain, TaskManager
from task_manager._bars.lines import Lines


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def told(monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[str]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    file, clock = io.StringIO(), Clock()
    lines = Lines(300, "Reading", file, clock)
    for _ in range(4):
        clock.now += 20.0
        lines.show(30, "2 failed, 4 retried")
    lines.close(good=True)
    lines.close(good=True)
    return file.getvalue().splitlines()


def test_a_line_comes_every_thirty_seconds_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is done, the failures and retries, and the rate."""
    assert [
        "Reading: 60/300, 2 failed, 4 retried, 1.5 task/s",
        "Reading: 120/300, 2 failed, 4 retried, 1.5 task/s",
        "Reading: 120/300, 2 failed, 4 retried, 1.5 task/s",
    ] == told(monkeypatch)


def test_the_variables_of_tqdm_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """TQDM_MININTERVAL is the time between two lines, and TQDM_DISABLE writes none."""
    assert 1 == len(told(monkeypatch, TQDM_MININTERVAL="3600"))
    assert 5 == len(told(monkeypatch, TQDM_MININTERVAL="20"))
    assert [] == told(monkeypatch, TQDM_DISABLE="1")


@pytest.mark.parametrize(
    ("total", "done", "shown"),
    [
        (4, 4, "Copying: 4/4, 1 failed, "),
        (None, 3, "Copying: 3 task, 1 failed, "),
        (0, 0, "Copying: 0/0"),
    ],
)
def test_a_bar_by_itself_is_a_line_too(total: int | None, done: int, shown: str) -> None:
    """Into a file that is no terminal: no carriage return."""
    file = io.StringIO()
    with ProgressManager(total=total, desc="Copying", file=file) as progress:
        progress.update(done, failed=min(done, 1))

    assert file.getvalue().startswith(shown)
    assert "\r" not in file.getvalue()
    assert 1 == file.getvalue().count("\n")


def stop_at_three(n: int) -> int:
    if n == 3:
        raise ValueError(n)
    return n


@pytest.mark.parametrize("mode", ["serial", "thread", "process"])
def test_stages_of_a_chain_end_in_their_order(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each, in every mode of chains."""
    stages = [
        TaskManager(stop_at_three, show_progress=True, progress_desc=name, logger=None)
        for name in ("first", "second", "third")
    ]
    TaskChain(stages, mode).start_chain(range(6))

    lines = capsys.readouterr().err.splitlines()
    assert ["first: 6/6, 1 failed", "second: 5/5", "third: 5/5"] == [
        line.rpartition(", ")[0] for line in lines
    ]


def test_a_remark_is_in_the_last_line() -> None:
    """As that all tasks are repeats."""
    file = io.StringIO()
    with ProgressManager(total=4, desc="Reading", file=file) as progress:
        progress.update(4)
        progress.remark("all 4 are repeats: nothing was run")

    assert file.getvalue().startswith("Reading: 4/4, all 4 are repeats: nothing was run")


def test_stdout_and_stderr_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing needs to be kept from tearing a line."""
    before = sys.stdout, sys.stderr
    with ProgressManager(total=1):
        during = sys.stdout, sys.stderr

    assert before == during == (sys.stdout, sys.stderr)
