"""The numbers behind the promises at the head of README.md: python -m tests.benchmarks.promises"""

from __future__ import annotations

import gc
import itertools
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from tests.kills.driver import run
from tests.limits.__main__ import MODES, measure

from task_manager import TaskManager


def crashes(n: int) -> int:
    if n == 500:
        os.kill(os.getpid(), signal.SIGSEGV)
    return n


def hangs(n: int) -> int:
    time.sleep(60 if n == 5 else 0.01)
    return n


def a_crash() -> str:
    with TaskManager(crashes, execution_mode="process", worker_limit=2, logger=None) as manager:
        summary = manager.start(range(1000))
    return f"{summary.succeeded} results, {summary.failed} error, {summary.seconds:.2f} s"


def a_hang() -> str:
    with TaskManager(
        hangs, execution_mode="process", worker_limit=2, max_retries=0, task_timeout=1.0, logger=None
    ) as manager:
        summary = manager.start(range(100))
    return f"{summary.succeeded} results, {summary.failed} error, {summary.seconds:.2f} s"


def waiting_retries() -> str:
    called: set[int] = set()

    def fails_once(n: int) -> int:
        if n not in called:
            called.add(n)
            raise ConnectionError("busy")
        return n

    with TaskManager(
        fails_once, execution_mode="thread", worker_limit=4, retry_delay=1.0, logger=None
    ) as manager:
        summary = manager.start(range(1000))
    return f"{summary.succeeded} results, {summary.retries} retries, {summary.seconds:.2f} s"


def flat_memory() -> str:
    """Of a process of its own, since this one has been at work."""
    script = """
import resource
from task_manager import TaskManager
manager = TaskManager(abs, keep_results=False, deduplicate=False, logger=None)
summary = manager.start(n for n in range(10_000_000))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{summary.succeeded:,} results, {peak:.1f} MB at most, {summary.seconds:.1f} s")
"""
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.strip()


def a_ctrl_c() -> str:
    """In the middle of a run in processes: until `start` has raised, and who is left."""
    with TaskManager(hangs, execution_mode="process", worker_limit=2, logger=None) as manager:
        sent = time.monotonic() + 0.5
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        try:
            manager.start(range(5, 1000))
        except KeyboardInterrupt:
            took = time.monotonic() - sent
        summary = manager.get_summary()
    try:
        left = bool(os.waitpid(-1, os.WNOHANG)[0])
    except ChildProcessError:
        left = False
    kept = f"{summary.succeeded} results kept, {summary.not_started} not started"
    return f"{kept}, {'a child' if left else 'no child'} left, {took:.2f} s"


def kills() -> str:
    """Of a script with a journal, at random moments, until it is done."""
    with tempfile.TemporaryDirectory() as folder:
        story = run(Path(folder), "thread", 20_000, 20, "run", seed=1)
    assert not story.faults, story.faults
    return f"one outcome for each, {story.calls:,} calls, {story.excess} of them a second time"


def load_model() -> bytearray:
    return bytearray(b"1") * 500_000_000


def score(model: bytearray, row: int) -> tuple[int, float]:
    """With which model, and the megabytes of the process that has it."""
    return id(model) ^ os.getpid(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def a_model() -> str:
    with TaskManager(score, "process", 2, worker_state=load_model, logger=None) as manager:
        summary = manager.start(range(20_000))
        scored = manager.get_result_dict().values()
    loaded = len({model for model, _ in scored})
    megabytes = max(size for _, size in scored)
    return f"{summary.succeeded} results, {loaded} models loaded, {megabytes:.0f} MB a worker"


def a_rate() -> str:
    """The worst of the modes, for ten seconds each."""
    measured = [measure(mode, "2000/s", seconds=10.0, call_seconds=0.0, keys=1) for mode in MODES]
    calls = sum(calls for calls, _, _ in measured)
    most = max(most for _, most, _ in measured)
    share = min(share for _, _, share in measured)
    return f"{calls:,} calls, {most:,} in the worst second, {share:.1%} of the rate reached"


def double(n: int) -> int:
    return 2 * n


async def double_later(n: int) -> int:
    return 2 * n


def a_stream() -> str:
    """Outcomes, and what the last 49 in each mode leave behind: the first one may start servants."""
    taken = left = 0
    for mode in MODES:
        before = 0
        for round_ in range(50):
            func: Any = double_later if mode == "async" else double
            with TaskManager(func, mode, logger=None) as manager:
                stream = manager.stream(itertools.count())
                taken += sum(1 for _ in itertools.islice(stream, 300))
                stream.close()
            if round_ == 0:
                before = things()
        left += max(0, things() - before)
    return f"{taken:,} outcomes, {left} threads, processes and files left"


def things() -> int:
    """Threads, processes and open files of this script, when what ends by itself has had its time."""
    gc.collect()
    time.sleep(0.2)
    this = psutil.Process()
    return this.num_threads() + len(this.children(recursive=True)) + this.num_fds()


PROMISES: dict[str, Callable[[], str]] = {
    "1,000 tasks in 2 processes, one dies of a segmentation fault": a_crash,
    "100 tasks in 2 processes, one hangs, task_timeout=1.0": a_hang,
    "1,000 tasks in 4 threads, each fails once, retry_delay=1.0": waiting_retries,
    "10,000,000 tasks out of a generator, nothing kept": flat_memory,
    "Ctrl-C in the middle of a run in 2 processes": a_ctrl_c,
    "20,000 tasks in 4 threads, with a journal, the script killed 20 times": kills,
    "20,000 rows in 2 processes, worker_state loads 500 MB": a_model,
    "rate_limit='2000/s' in each mode, every tenth task is retried": a_rate,
    "endless input, 300 outcomes of a stream and no more, 50 times in each mode": a_stream,
}


def main() -> None:
    print("| what is run | what came of it |\n|---|---|")
    for what, measured in PROMISES.items():
        print(f"| {what} | {measured()} |", flush=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the crash leaves no file
    main()
