"""One line on stderr at the end of a run: failures that nobody saw, and what Ctrl-C has left."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from loguru import logger as users_logger

from task_manager import Summary, TaskChain, TaskLogger, TaskManager, _notice
from task_manager._notice import Notice, Unsaid
from task_manager.events import Failed, RunBegan, RunEnded

LOG = f"logs/task_manager_{date.today():%Y-%m-%d}.log"


in_terminal = pytest.mark.usefixtures("terminal")


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is captured of stderr takes itself for a terminal; nothing waits to be said."""
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda _: True)
    monkeypatch.setattr(_notice, "_waiting", {})


def said_as_the_script_ends(capsys: pytest.CaptureFixture[str]) -> str:
    """Nothing before, and this then."""
    assert "" == capsys.readouterr().err

    _notice._say_what_waits()
    return capsys.readouterr().err


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
    assert said == said_as_the_script_ends(capsys)


@in_terminal
def test_one_failure_is_no_first_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Plain English."""
    TaskManager(half).start([2, 3])

    said = f"half: 1 of 2 tasks failed, with ValueError: 3 is odd (log: {LOG})\n"
    assert said == said_as_the_script_ends(capsys)


class Mending:
    """Fails for odd numbers, the first time."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def __call__(self, n: int) -> int:
        if n % 2 and n not in self.seen:
            self.seen.add(n)
            raise ValueError(f"{n} is odd")
        return n


@in_terminal
@pytest.mark.parametrize("keep_results", [True, "errors"])
def test_what_a_later_run_has_mended_is_not_told(
    keep_results: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither of a manager nor of a chain, which begins anew, and not after a reset."""
    manager = TaskManager(Mending(), keep_results=keep_results)
    manager.start([2, 3, 5])
    manager.start([2, 3, 5])
    chain = TaskChain([TaskManager(Mending(), keep_results=keep_results)])
    chain.start([2, 3, 5])
    chain.start([3, 5])
    again = TaskManager(Mending())
    again.start([2, 3, 5])
    again.reset()
    again.start([2, 3, 5])

    assert "" == said_as_the_script_ends(capsys)


@in_terminal
@pytest.mark.parametrize("keep_results", [True, "errors", False])
def test_what_is_not_mended_is_told_once(keep_results: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """However many runs there were."""
    manager = TaskManager(half, keep_results=keep_results)
    manager.start([2, 3])
    manager.start([4, 5, 6])
    manager.start([8])

    said = (
        f"2 tasks have failed after 2 runs, the first with ValueError: {5 if not keep_results else 3} is"
    )
    assert f"half: {said} odd (log: {LOG})\n" == said_as_the_script_ends(capsys)


@in_terminal
def test_who_has_looked_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A summary that was printed or that raised, and errors that were asked for, were seen."""
    for look in (str, Summary._repr_html_, Summary.raise_for_errors):
        with suppress(ExceptionGroup):
            look(TaskManager(half).start([3]))
    manager = TaskManager(half)
    manager.start([3])
    manager.get_error_dict()
    chain = TaskChain([TaskManager(half)])
    chain.start([3])
    chain.get_final_error_dict()

    assert "" == said_as_the_script_ends(capsys)


@in_terminal
def test_failures_after_a_look_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """As of a second pass over what had failed."""
    manager = TaskManager(half)
    print(manager.start([2, 3]))
    capsys.readouterr()
    manager.start(manager.get_error_dict())

    said = f"half: 1 of 1 task failed, with ValueError: 3 is odd (log: {LOG})\n"
    assert said == said_as_the_script_ends(capsys)


@in_terminal
def test_at_a_prompt_it_is_told_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end may be hours away."""
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    TaskManager(half).start([2, 3])

    assert "half: 1 of 2 tasks failed, " in capsys.readouterr().err


@in_terminal
def test_many_managers_do_not_fill_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    """Ten lines, and how many more there would be."""
    for _ in range(14):
        TaskManager(half).start([3])

    lines = said_as_the_script_ends(capsys).splitlines()
    assert (11, "and tasks of 4 more managers failed") == (len(lines), lines[-1])


SCRIPT = """
import os, sys
sys.stderr.isatty = lambda: True
from task_manager import TaskManager
def half(n):
    assert n % 2 == 0
    return n
TaskManager(half).start([2, 3])
if os.fork() == 0:
    sys.exit()  # a copy says nothing of what the parent has to say
os.wait()
print("end", file=sys.stderr)
raise KeyError
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_it_is_the_last_line_of_a_script(tmp_path: Path) -> None:
    """Below the traceback that ends it; once, whatever was forked."""
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    first, *_, error, last = done.stderr.splitlines()
    assert ("end", "KeyError") == (first, error)
    assert last.startswith("half: 1 of 2 tasks failed, with AssertionError")
    assert 1 == done.stderr.count("half: ")


def test_in_a_pipe_nothing_is_said_of_failures(capsys: pytest.CaptureFixture[str]) -> None:
    """What a script writes to stderr there may be read by another program."""
    TaskManager(half).start([2, 3])

    assert "" == said_as_the_script_ends(capsys)


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

    assert "" == said_as_the_script_ends(capsys)


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

    said = "half: 1 of 1 task failed, with ValueError: 3 is odd (see your own log)\n"
    assert said == said_as_the_script_ends(capsys)


@in_terminal
@pytest.mark.parametrize("mode", ["serial", "thread", "process"])
def test_a_chain_says_it_once(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the stage, and no line for every stage."""
    TaskChain([TaskManager(abs), TaskManager(half)], mode).start_chain([2, -3, 5])

    error = "the first in stage 2 with ValueError: 3 is odd"
    said = f"chain abs, half: 2 of 3 tasks failed, {error} (log: {LOG})\n"
    assert said == said_as_the_script_ends(capsys)


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
    left = "1 not started, of which 1 may have begun, 1 not read" if chain else "1 not started"
    assert left in last, last
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
    logs = [TaskLogger(logger=users_logger)]
    notice = Notice("f\n", [False], logs, True, Unsaid(), dict)
    notice.observe(RunBegan(1))
    notice.observe(Failed(0, 1, ValueError("\x1b[2J\n" * 1000), 1))
    notice.observe(RunEnded(Summary(failed=1)))

    said = said_as_the_script_ends(capsys)
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
