"""Scripts that cannot work, full disks, terminals that are gone, no more threads: F7, F17, F32."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import functions as f
from logs import without_forks
from scripts import Script
from task_manager import ConfigurationError, TaskChain, TaskLogger, TaskManager, WorkerStartError

by_start_method = pytest.mark.parametrize("start_method", f.START_METHODS)


# ------------------------------------------------------------------ F7: scripts that cannot work


# The processes are started under the guard, something else is not.
GUARDED = """
def work(x):
    return x
{unguarded}
if __name__ == "__main__":
    TaskManager(work, "process", start_method=METHOD, logger=None).start(range(10))
"""
UNGUARDED = {
    "manager": "TaskManager(str, 'process', start_method=METHOD, logger=None).start(range(10))",
    "start_async": "manager = TaskManager(str, 'process', start_method=METHOD, logger=None)\n"
    "asyncio.run(manager.start_async([1]))",
    "chain": "TaskChain([TaskManager(str, start_method=METHOD)], 'process').start_chain([1])",
    "a large function": "TaskManager(partial(len, *[b'x' * 3_000_000]), 'process', start_method=METHOD, "
    "logger=None).start(range(10))",
    "a module": "import unguarded",
    "thread": GUARDED.format(unguarded="TaskManager(str, 'thread', logger=None).start([1])"),
    "serial": GUARDED.format(unguarded="TaskManager(str, logger=None).start([1])"),
}


IMPORTS = (
    "import asyncio\nfrom functools import partial\nfrom task_manager import TaskChain, TaskManager\n"
)


def unguarded(line: str, start_method: str, tmp_path: Path, before: str = "") -> str:
    """A script with this line; the same as a module."""
    line = line.replace("METHOD", repr(start_method))
    module = UNGUARDED["manager"].replace("METHOD", repr(start_method))
    (tmp_path / "unguarded.py").write_text(f"{IMPORTS}{module}\n")
    return f"{before}{IMPORTS}{line}\n"


def the_sentence_alone(running: Script) -> None:
    """What the script ends with: one traceback, its own, and one sentence."""
    _, err = running.process.communicate(timeout=20)
    told = [line for line in err.splitlines() if "__name__" in line and not line.startswith(" ")]

    assert 1 == running.process.returncode
    assert 1 == err.count("Traceback (most recent call last)")
    assert 1 == len(told)
    assert told[0].startswith(
        "task_manager.errors.WorkerStartError: the script starts a run without its guard"
    )
    assert 'Start under `if __name__ == "__main__":`' in told[0]
    assert [] == running.left_after(5)


@pytest.mark.parametrize("line", UNGUARDED.values(), ids=UNGUARDED)
@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_f07_a_script_without_a_main_guard(
    start_method: str, line: str, script: Callable[[str], Script], tmp_path: Path
) -> None:
    """It ends, with one sentence that names the guard; its processes say nothing."""
    the_sentence_alone(script(unguarded(line, start_method, tmp_path)))


# As newer releases of Python do: the fork server imports the script before it forks.
PRELOADS = """
if __name__ == "__main__":
    from multiprocessing import spawn
    data_for = spawn.get_preparation_data
    main = {"main_path": __file__}
    spawn.get_preparation_data = lambda name: data_for(name) | (main if name == "ignore" else {})
"""


@pytest.mark.parametrize("start_method", ["forkserver"])
def test_f07_a_script_without_a_main_guard_that_the_fork_server_imports(
    start_method: str, script: Callable[[str], Script], tmp_path: Path
) -> None:
    """The same: it is known by the end of the fork server."""
    the_sentence_alone(script(unguarded(UNGUARDED["manager"], start_method, tmp_path, PRELOADS)))


STRANGER = """
import multiprocessing, sys
from task_manager import TaskManager
if __name__ == "__main__":
    stranger = multiprocessing.get_context(METHOD).Process(target=print)
    stranger.start()
    stranger.join()
    sys.exit(stranger.exitcode)
TaskManager(str, logger=None).start([1])
TaskManager(str, "process", logger=None, start_method=METHOD).start([1])
"""


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_f07_a_start_without_a_guard_in_a_process_of_others(
    start_method: str, script: Callable[[str], Script]
) -> None:
    """It is told there, as nobody knows an exit code of ours; a run without processes is made."""
    running = script(STRANGER.replace("METHOD", repr(start_method)))
    _, err = running.process.communicate(timeout=20)

    assert 1 == running.process.returncode
    assert err.splitlines()[-1].startswith("task_manager.errors.ConfigurationError: no process can be")


@pytest.mark.parametrize("methods", [("forkserver",) * 2, ("spawn",) * 2, f.START_METHODS])
def test_f07_a_chain_by_other_start_methods(methods: tuple[str, ...]) -> None:
    """Stages are started by any method, also each by another one, and so are their workers."""
    stages = [f.stage(f.plus_one, "process", start_method=method, worker_limit=1) for method in methods]
    chain = TaskChain(stages, "process")
    summary = chain.start_chain(range(200))

    assert (200, 0, 0) == (summary.succeeded, summary.failed, summary.not_started)
    assert {n: n + len(methods) for n in range(200)} == chain.get_final_result_dict()


def test_f07_a_stage_that_cannot_be_sent_is_refused() -> None:
    """Once, before any task."""
    lock = threading.Lock()
    stages = [f.stage(f.same), f.stage(lambda x: lock, start_method="spawn")]
    chain = TaskChain(stages, "process")
    with pytest.raises(ConfigurationError, match="cannot be sent"):
        chain.start_chain([1])

    assert 0 == chain.get_summary().taken


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

WAYS = [*f.WAYS, "start_async", "chain serial", "chain thread", "chain process"]


def start_with(way: str, **options: Any) -> dict[Any, Any]:
    """Run `fail_on_seven` over 200 tasks this way; the results."""
    if way.startswith("chain"):
        stages = [TaskManager(f.fail_on_seven, **options), TaskManager(f.same, "process", **options)]
        chain = TaskChain(stages, way.removeprefix("chain "))
        chain.start_chain(range(200))
        return dict(chain.get_final_result_dict())
    with f.manager_of(f.fail_on_seven, "fork" if way == "start_async" else way, **options) as manager:
        if way == "start_async":
            asyncio.run(manager.start_async(range(200)))
        else:
            manager.start(range(200))
        return dict(manager.get_result_dict())


ALL_BUT_SEVEN = {n: n for n in range(200) if n != 7}


def trouble_for(folder: Path, trouble: str) -> Path:
    """A folder in which no log can be written. (A test may be run by root, whom no mode stops.)"""
    match trouble:
        case "disk full":
            folder.mkdir()
            (folder / f"task_manager_{time.strftime('%Y-%m-%d')}.log").symlink_to("/dev/full")
        case "a file in its place":
            folder.write_text("not a folder")
        case "not writable":
            return Path("/proc/log")
    return folder


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("trouble", ["disk full", "a file in its place", "not writable"])
def test_f17_the_log_cannot_be_written(way: str, trouble: str, tmp_path: Path) -> None:
    """Results are those of a run without the fault; one warning a run, and start raises nothing."""
    if way in ("forkserver", "spawn") and trouble != "disk full":
        pytest.skip("the parent writes the log, in the same way for every start method")
    logger = TaskLogger(trouble_for(tmp_path / "log", trouble))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = start_with(way, logger=logger)

    assert results == ALL_BUT_SEVEN
    runs = 2 if way.startswith("chain") else 1
    assert ["the log failed and"] * runs == [str(one.message)[:18] for one in without_forks(caught)]


class Gone:
    """A terminal whose reader is gone."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise BrokenPipeError("nobody reads this")

    def flush(self) -> None:
        raise BrokenPipeError("nobody reads this")

    def isatty(self) -> bool:
        return False


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS = {"None": lambda: None, "closed": closed, "broken pipe": Gone}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS)
def test_f17_stderr_is_gone(way: str, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a bar that cannot be drawn the results are those of a run without the fault."""
    monkeypatch.setattr(sys, "stderr", make())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = start_with(way, logger=None, show_progress=True)

    assert results == ALL_BUT_SEVEN
    assert len(without_forks(caught)) <= (2 if way.startswith("chain") else 1)


REALLY_GONE = """
import os, sys
from task_manager import TaskChain, TaskManager

def same(x):
    return x

if __name__ == '__main__':
    GONE
    manager = TaskManager(same, 'process', show_progress=True)
    summary = manager.start(range(200))
    stages = [TaskManager(same, show_progress=True), TaskManager(same, show_progress=True)]
    chain = TaskChain(stages, 'process').start_chain(range(200))
    print(summary.succeeded, chain.succeeded, flush=True)
"""

GONE = {
    "closed": "os.close(2)",
    "broken pipe": "r, w = os.pipe(); os.dup2(w, 2); os.close(r); os.close(w)",
    "full": "os.dup2(os.open('/dev/full', os.O_WRONLY), 2)",
}


@pytest.mark.parametrize("line", GONE.values(), ids=GONE)
def test_f17_a_script_whose_stderr_is_gone(line: str, script: Callable[[str], Script]) -> None:
    """The file itself, not only Python's stream: processes are started, and all have their results."""
    running = script(REALLY_GONE.replace("GONE", line))
    out, _ = running.process.communicate(timeout=30)

    assert "200 200\n" == out
    assert [] == running.left_after(5)


# ------------------------------------------------------------------ F32: threads run out


def no_more_threads(patch: pytest.MonkeyPatch, names: str, after: int) -> None:
    """Of the threads whose name begins so, no more than this can be started."""
    start = threading.Thread.start
    started = []

    def start_some(thread: threading.Thread) -> None:
        if thread.name.startswith(names):
            started.append(thread)
            if len(started) > after:
                raise RuntimeError("can't start new thread")
        start(thread)

    patch.setattr(threading.Thread, "start", start_some)


def test_f32_the_threads_there_are_do_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no more can be started: every task has its result."""
    no_more_threads(monkeypatch, "task_manager-worker", after=2)
    with f.manager_of(f.same, "thread", worker_limit=8) as manager:
        summary = manager.start(range(200))

        assert (200, 0) == (summary.succeeded, summary.failed)


def test_f32_no_thread_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """One error that says what has run out; the next start, where there are threads, has all results."""
    with f.manager_of(f.same, "thread", worker_limit=8) as manager:
        with monkeypatch.context() as patch:
            no_more_threads(patch, "task_manager-worker", after=0)
            with pytest.raises(WorkerStartError, match="Threads have run out"):
                manager.start(range(20))

        assert manager.get_summary().taken == manager.get_summary().not_started
        assert 20 == manager.start(range(20)).succeeded


@pytest.mark.parametrize("threads", [1, 2])
def test_f32_no_thread_in_the_place_of_one_that_hangs(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What timed out is an error; the rest is run by the other thread, or is not started."""
    enough = threading.Event()
    no_more_threads(monkeypatch, "task_manager-worker", after=threads)

    def hang_on_seven(n: int) -> int:
        if n == 7:
            enough.wait(20)
        return n

    options: dict[str, Any] = {"worker_limit": threads, "task_timeout": 0.1, "max_retries": 0}
    try:
        with f.manager_of(hang_on_seven, "thread", **options) as manager:
            if threads == 1:
                with pytest.raises(WorkerStartError, match="Threads have run out"):
                    manager.start(range(20))
            else:
                manager.start(range(20))
            summary = manager.get_summary()
    finally:
        enough.set()

    assert summary.taken == summary.succeeded + summary.failed + summary.not_started
    assert [7] == list(manager.get_error_dict())
    assert (threads == 2) == (19 == summary.succeeded)


@pytest.mark.parametrize("way", ["serial", "thread", "fork"])
def test_f32_no_thread_to_wait_in(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`start_async` looks for outcomes from the loop then, in every mode."""
    no_more_threads(monkeypatch, "task_manager-wait", after=0)
    with f.manager_of(f.same, way) as manager:
        summary = asyncio.run(manager.start_async(range(200)))

        assert (200, 0) == (summary.succeeded, summary.failed)
