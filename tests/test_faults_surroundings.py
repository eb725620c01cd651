"""Scripts that cannot work, disks that are full, terminals that are gone: F7 and F17."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import functions as f
from scripts import Script
from task_manager import TaskChain, TaskLogger, TaskManager

by_start_method = pytest.mark.parametrize("start_method", f.START_METHODS)


# ------------------------------------------------------------------ F7: scripts that cannot work


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_f07_a_script_without_a_main_guard(start_method: str, script: Callable[[str], Script]) -> None:
    """It ends, with an error that names the guard."""
    running = script(
        "from task_manager import TaskManager\n"
        f"TaskManager(str, 'process', start_method={start_method!r}, logger=None).start(range(10))\n"
    )
    _, err = running.process.communicate(timeout=20)

    assert 1 == running.process.returncode
    assert "WorkerStartError" in err
    assert "if __name__ == '__main__':" in err.splitlines()[-1]
    assert [] == running.left_after(1)


@by_start_method
def test_f07_a_function_from_a_prompt(start_method: str) -> None:
    """What was defined at a prompt or in a notebook travels by value."""
    text = (
        "from task_manager import TaskManager\n"
        "def double(x): return 2 * x\n"
        f"with TaskManager(double, 'process', start_method={start_method!r}, logger=None) as manager:\n"
        "    manager.start([1, 2])\n"
        "print(manager.get_result_dict())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=30, check=False
    )

    assert ("{1: 2, 2: 4}\n", "") == (done.stdout, done.stderr)


# ------------------------------------------------------------------ F17: disk, terminal

WAYS = [*f.WAYS[:4], "chain"]


def start_with(way: str, tasks: Any, **options: Any) -> dict[Any, Any]:
    """Run `fail_on_seven` this way; the results."""
    if way == "chain":
        first = TaskManager(f.fail_on_seven, **options)
        chain = TaskChain([first, TaskManager(f.same, **options)], "process")
        chain.start_chain(tasks)
        return dict(chain.get_final_result_dict())
    func = f.fit(f.fail_on_seven, way)
    with TaskManager(func, **f.options_of(way), worker_limit=2, **options) as manager:
        manager.start(tasks)
        return dict(manager.get_result_dict())


ALL_BUT_SEVEN = {n: n for n in range(500) if n != 7}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("trouble", ["a file in its place", "disk full"])
def test_f17_the_log_cannot_be_written(way: str, trouble: str, tmp_path: Path) -> None:
    """Results are those of a run without the fault; one warning a run, and start raises nothing."""
    folder = tmp_path / "log"
    if trouble == "disk full":
        folder.mkdir()
        (folder / f"task_manager_{time.strftime('%Y-%m-%d')}.log").symlink_to("/dev/full")
    else:
        folder.write_text("not a folder")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = start_with(way, range(500), logger=TaskLogger(folder))

    assert results == ALL_BUT_SEVEN
    runs = 2 if way == "chain" else 1
    assert ["LogObserver failed"] * runs == [str(warning.message)[:18] for warning in caught]


class Gone:
    """A terminal that was closed."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise BrokenPipeError("nobody reads this")

    def flush(self) -> None:
        raise BrokenPipeError("nobody reads this")

    def isatty(self) -> bool:
        return False


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stderr", [None, Gone()], ids=["None", "broken pipe"])
def test_f17_stderr_is_gone(way: str, stderr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a bar that cannot be drawn the results are those of a run without the fault."""
    monkeypatch.setattr(sys, "stderr", stderr)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = start_with(way, range(500), logger=None, show_progress=True)

    assert results == ALL_BUT_SEVEN
