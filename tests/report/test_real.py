"""Journals that managers and chains have written, in each mode, live and after a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import functions as f
from report.commands import command
from report.journals import DEATHS_ARE_KNOWN, look
from scripts import Script
from task_manager import Journal, TaskChain
from task_manager._report.command import main


def odd_fails(n: int) -> int:
    if n % 2:
        raise ValueError(f"{n} is odd")
    return n


@pytest.mark.parametrize("way", f.MODES)
def test_of_a_manager(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its function, its counts, its run, its errors with their place, the same in each mode.

    A traceback looks the same wherever it came from.
    """
    with f.manager_of(odd_fails, way, journal="crawl.db") as manager:
        summary = manager.start(range(6))
    assert 0 == main(["crawl.db", "--json", "--tasks", "failed"])
    document = json.loads(capsys.readouterr().out)
    (run,), (group,) = document["runs"], document["errors"]

    assert 6 == summary.taken
    assert {"tasks": 6, "done": 3, "failed": 3, "passed": 0, "started": 0} == document["counts"]
    assert ("ended", 3, 3) == (run["how"], run["counts"]["succeeded"], run["counts"]["failed"])
    assert manager.execution_mode == run["mode"]
    assert [1, 3, 5] == sorted(task["task"] for task in document["tasks"])
    assert ("ValueError", 3) == (group["kind"], group["count"])
    assert group["place"].startswith("test_real.py:")
    assert "raise ValueError" in group["traceback"]
    assert not document["going"]
    assert 0 == main(["crawl.db", "--errors"])
    lines = capsys.readouterr().out.splitlines()

    assert "    Traceback (most recent call last):" == lines[2]
    assert 1 == sum("    raise ValueError" in line for line in lines)
    assert {f"    ValueError: {n} is odd" for n in (1, 3, 5)} < set(lines)
    assert "WorkerTraceback" not in "".join(lines)


@pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])
def test_of_a_chain(chain_mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its stages, and in which of them tasks have failed."""
    chain = TaskChain([f.stage(f.plus_one), f.stage(odd_fails)], chain_mode, journal="etl.db")
    chain.start_chain(range(6))
    assert 0 == main(["etl.db"])
    out = capsys.readouterr().out

    assert f"6 tasks of a chain: functions:plus_one -> {odd_fails.__module__}:odd_fails\n" in out
    assert "  failed    3   3 in stage 2\n" in out
    assert "3 done, 3 failed\n" in out


SCRIPT = """
import pathlib, time
from task_manager import Journal, TaskManager

class Page:
    def __init__(self, n):
        self.n = n
    def __repr__(self):
        return f"Page({self.n})"
    def __eq__(self, other):
        return self.n == other.n
    def __hash__(self):
        return hash(self.n)

def fetch(page):
    if page.n == 3:
        raise ValueError(page.n)
    if page.n == 10:
        print("ready", flush=True)
    if page.n >= 10:
        while not pathlib.Path("on").exists():
            time.sleep(0.01)
    return page.n

if __name__ == "__main__":
    journal = Journal("crawl.db", started=True)
    with TaskManager(fetch, "thread", worker_limit=1, journal=journal, logger=None) as manager:
        manager.start([Page(n) for n in range(20)])
"""


@pytest.mark.skipif(not DEATHS_ARE_KNOWN, reason="needs to know whether a process lives")
def test_beside_a_run_and_after_a_kill(script: Callable[[str], Script], tmp_path: Path) -> None:
    """It goes on; then it was killed, and what was being called is in doubt; then it was run again."""
    path = tmp_path / "crawl.db"
    running = script(SCRIPT)
    running.wait_for("ready")
    seen = look(path)

    assert seen.going
    assert 1 <= seen.counts[4]
    assert "goes on (pid" in command(path).out
    running.process.kill()

    assert 0 != running.process.wait()
    seen = look(path)
    out = command(path).out

    assert not seen.going
    assert f"  in doubt  {seen.counts[4]}   a call may have begun" in out
    assert "killed, as no end is recorded" in out
    (tmp_path / "on").touch()
    again = script(SCRIPT)

    assert 0 == again.process.wait(40)
    assert {1: 19, 2: 1, 3: 0, 4: 0} == look(path).counts
    assert "Page(3)\n" == command(path, "--tasks", "failed").out
    assert ["crawl.db", "crawl.db-lock"] == sorted(one.name for one in tmp_path.glob("crawl.db*"))


def test_followed_to_its_end(script: Callable[[str], Script], tmp_path: Path) -> None:
    """The last line says how the run ended."""
    running = script(SCRIPT)
    running.wait_for("ready")
    (tmp_path / "on").touch()
    out = command(tmp_path / "crawl.db", "--follow", "--every", "0.1").out

    assert out.splitlines()[-1].endswith("run 1 is over: 19 done, 1 failed")
    assert 0 == running.process.wait(40)


def test_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A journal of JSON has its texts, too."""
    with f.manager_of(f.plus_one, "serial", journal=Journal("crawl.db", codec="json")) as manager:
        manager.start([1, True])
    assert 0 == main(["crawl.db", "--tasks", "all"])

    assert "1\n" == capsys.readouterr().out
