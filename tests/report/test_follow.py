"""--follow: as it is written, until the run ends."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from report import journals as j
from report.commands import COMMAND, environment
from task_manager._report.follow import follow, line
from task_manager._report.seen import Seen


class Clock:
    """Turned by hand: a look takes so long."""

    def __init__(self, look: float) -> None:
        self.now, self.look, self.slept = 0.0, look, list[float]()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Paper:
    """What a screen is, for what is written to it."""

    moves = False
    columns = 100

    def __init__(self) -> None:
        self.lines: list[str] = []

    def measure(self) -> None:
        pass

    def write(self, lines: list[str]) -> None:
        self.lines += lines

    def fit(self, line: str) -> str:
        return line

    bold = red = fit


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    tasks = [j.task("a"), j.task("b", j.FAILED), j.task("c", j.STARTED)]
    return j.look(j.journal(tmp_path / "crawl.db", tasks, runs=[j.run(total=1000)]))


def going(seen: Seen, going: bool = True, **changes: Any) -> Seen:
    last = replace(seen.runs[-1], ended=None if going else j.BEGAN + 10, going=going or None)
    return replace(seen, runs=(last,), now=j.BEGAN + 5, **changes)


@pytest.mark.parametrize(
    ("look", "every", "slept"),
    [(0.0, None, [30.0]), (0.0, 2.0, [2.0]), (0.5, 2.0, [4.5]), (1.0, 20.0, [19.0])],
)
def test_how_often(seen: Seen, look: float, every: float | None, slept: list[float]) -> None:
    """As told; but looks never take more than a tenth of the time."""
    clock, paper, told = Clock(look), Paper(), [going(seen), going(seen, False)]

    def looked() -> Seen:
        clock.now += clock.look
        return told.pop(0)

    follow(looked, lambda *_: [], paper, every, clock=clock, sleep=clock.sleep)  # type: ignore[arg-type]

    assert slept == clock.slept
    assert 2 == len(paper.lines)


def test_a_line(seen: Seen) -> None:
    """How many are done of how many, how fast, how long it will take; at the end how it ended."""
    now = line(going(seen, rate_now=40.0))

    assert now.endswith("  1 done, 1 failed, 1 started of 1,000, 40 task/s, about 24.9 s left")
    assert line(going(seen, rate_now=0.0)).endswith("  1 done, 1 failed, 1 started of 1,000")
    assert line(going(seen, False)).endswith("  run 1 is over: 1 done, 1 failed")


END = """
print("ready", flush=True)
sys.stdin.readline()
connection.execute("UPDATE tasks SET state = 2 WHERE id <= 10")
{end}
connection.close()
"""
PEACE = "connection.execute('UPDATE runs SET ended = ?', (time.time(),))"
KILL = "os.kill(os.getpid(), 9)"


@pytest.mark.parametrize(
    ("end", "said"),
    [(PEACE, "990 done, 10 failed"), (KILL, "killed, as no end is recorded: 990 done, 10 failed")],
    ids=["peace", "killed"],
)
def test_it_ends_with_the_run(tmp_path: Path, end: str, said: str) -> None:
    """In a pipe: lines until then, and a last one that says how it ended, also where it was killed."""
    if end == KILL and not j.DEATHS_ARE_KNOWN:
        pytest.skip("needs to know whether a process lives")
    path = tmp_path / "crawl.db"
    with subprocess.Popen(
        [sys.executable, "-c", j.writer(path, END.format(end=end))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        follower = subprocess.Popen(
            [*COMMAND, str(path), "--follow", "--every", "0.1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert follower.stdout is not None
        first = follower.stdout.readline()
        writer.communicate("\n")
        out, err = follower.communicate()

    assert "  1,000 done, 0 failed of 2,000" in first
    assert out.splitlines()[-1].endswith(f"  run 1 is over: {said}")
    assert ("", 0) == (err, follower.returncode)


TERMINAL = """
import subprocess, sys
sys.path[:0] = {path!r}
from report import journals as j
from report.commands import COMMAND
from pathlib import Path

pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
writer = subprocess.Popen([sys.executable, "-c", {writer!r}], **pipes)
writer.stdout.readline()
follower = subprocess.Popen([*COMMAND, "crawl.db", "--follow", "--every", "0.1"])
import time
time.sleep(1.0)
writer.communicate(b"\\n")
sys.exit(follower.wait())
"""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo-terminals here")
def test_in_a_terminal(tmp_path: Path) -> None:
    """The report is drawn over itself: at the end it stands there once, as it is then."""
    from bars.screen import run_in_terminal

    writer = j.writer(tmp_path / "crawl.db", END.format(end=PEACE))
    screen = run_in_terminal(TERMINAL.format(path=sys.path, writer=writer), tmp_path)

    assert 1 == sum("1,000 tasks of crawl:fetch" in one for one in screen)
    assert ["  done      990", "  failed     10"] == screen[1:3]
    assert not any("goes on" in one for one in screen)
