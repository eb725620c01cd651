"""One line on stderr at the end of a run: failures that nobody saw, and what Ctrl-C has left."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
from datetime import date
from typing import Any

import pytest
from loguru import logger as users_logger

from task_manager import Summary, TaskChain, TaskLogger, TaskManager
from task_manager._notice import Notice
from task_manager.events import Failed, RunBegan, RunEnded

LOG = f"logs/task_manager_{date.today():%Y-%m-%d}.log"


in_terminal = pytest.mark.usefixtures("terminal")


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is captured of stderr takes itself for a terminal."""
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda _: True)


def half(n: int) -> int:
    if n % 2:
        raise ValueError(f"{n} is\nodd")
    return n // 2


@in_terminal
@pytest.mark.parametrize("mode", ["serial", "thread"])
@pytest.mark.parametrize("keep_results", [True, False])
def test_failures_are_told_where_nobody_drew_a_bar(
    mode: str, keep_results: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """How many, the first error on one line, and where the log is."""
    TaskManager(half, mode, worker_limit=1, keep_results=keep_results).start([2, 3, 5])

    said = f"half: 2 of 3 tasks failed, the first with ValueError: 3 is odd (log: {LOG})\n"
    assert said == capsys.readouterr().err


@in_terminal
def test_one_failure_is_no_first_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Plain English."""
    TaskManager(half).start([2, 3])

    assert (
        f"half: 1 of 2 tasks failed, with ValueError: 3 is odd (log: {LOG})\n" == capsys.readouterr().err
    )


def test_in_a_pipe_nothing_is_said_of_failures(capsys: pytest.CaptureFixture[str]) -> None:
    """What a script writes to stderr there may be read by another program."""
    TaskManager(half).start([2, 3])

    assert "" == capsys.readouterr().err


@in_terminal
@pytest.mark.parametrize(
    ("options", "tasks"),
    [({"logger": None}, [3]), ({}, [2, 4]), ({}, [])],
    ids=["no log", "no failure", "no task"],
)
def test_otherwise_nothing_is_said(
    options: dict[str, Any], tasks: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a log, and where nothing failed."""
    TaskManager(half, **options).start(tasks)

    assert "" == capsys.readouterr().err


def test_a_bar_has_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """So there is no further line."""
    TaskManager(half, show_progress=True).start([3])

    assert capsys.readouterr().err.startswith("Processing: 1/1, 1 failed")
    assert "ValueError" not in capsys.readouterr().err


@in_terminal
def test_a_logger_of_the_users_has_no_place(capsys: pytest.CaptureFixture[str]) -> None:
    """The user knows where that writes."""
    users_logger.remove()
    TaskManager(half, logger=TaskLogger(logger=users_logger)).start([3])

    assert (
        "half: 1 of 1 task failed, with ValueError: 3 is odd (see your own log)\n"
        == capsys.readouterr().err
    )


@in_terminal
@pytest.mark.parametrize("mode", ["serial", "process"])
def test_a_chain_says_it_once(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the stage, and no line for every stage."""
    TaskChain([TaskManager(abs), TaskManager(half)], mode).start_chain([2, -3, 5])

    error = "the first in stage 2 with ValueError: 3 is odd"
    assert f"chain abs, half: 2 of 3 tasks failed, {error} (log: {LOG})\n" == capsys.readouterr().err


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("stderr", [None, Gone(), "closed"])
def test_a_stderr_that_is_gone_is_no_trouble(stderr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """F17: no error and no warning."""
    if stderr == "closed":
        stderr = io.StringIO()
        stderr.close()
    monkeypatch.setattr(sys, "stderr", stderr)

    assert 1 == TaskManager(half).start([2, 3]).failed


def stop(n: int) -> int:
    if n == 3:
        signal.raise_signal(signal.SIGINT)
    return half(n)


@pytest.mark.parametrize("bar", [True, False], ids=["bar", "no bar"])
@pytest.mark.parametrize("chain", [True, False], ids=["chain", "manager"])
def test_after_ctrl_c_a_line_says_what_is_kept(
    bar: bool, chain: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, with a bar and without one."""
    manager = TaskManager(stop, show_progress=bar)
    with pytest.raises(KeyboardInterrupt):
        (TaskChain([manager]).start_chain if chain else manager.start)([1, 2, 3, 4])

    last = capsys.readouterr().err.splitlines()[-1]
    title = "chain stop" if chain else "stop"
    assert last.startswith(f"{title}: stopped by Ctrl-C: 1 result and 1 error kept, ")
    assert " of 4 tasks not started" in last
    assert last.endswith(f"(log: {LOG})")


def test_what_keeps_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """And without a log there is no place of one."""
    with pytest.raises(KeyboardInterrupt):
        TaskManager(stop, keep_results=False, logger=None).start(iter([1, 2, 3]))

    said = capsys.readouterr().err
    assert said.startswith("stop: stopped by Ctrl-C: 1 task had succeeded and 1 failed, none kept, ")
    assert "log" not in said


@in_terminal
def test_no_text_of_a_task_can_tear_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """F34: an error with escape sequences is one harmless line, and no longer than some lines."""
    notice = Notice("f\n", [False], [TaskLogger(logger=users_logger)], kept=True)
    notice.observe(RunBegan(1))
    notice.observe(Failed(0, 1, ValueError("\x1b[2J\n" * 1000), 1))
    notice.observe(RunEnded(Summary(failed=1)))

    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert 1 == said.count("\n")
    assert len(said) < 500


async def stop_awaited(n: int) -> int:
    if n == 3:
        signal.raise_signal(signal.SIGINT)
    await asyncio.sleep(0.01)
    return n


def test_asyncio_makes_a_cancellation_of_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    """It is told as what it is; a cancellation that is none, as by a time limit, is not."""
    manager = TaskManager(stop_awaited, "async", 1, logger=None)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(manager.start_async([1, 2, 3, 4]))

    assert capsys.readouterr().err.startswith("stop_awaited: stopped by Ctrl-C: 2 results ")

    async def limited() -> None:
        await asyncio.wait_for(manager.start_async(range(10, 10_000)), 0.05)

    with pytest.raises(TimeoutError):
        asyncio.run(limited())

    assert "" == capsys.readouterr().err
