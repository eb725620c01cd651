"""Where the time of a run goes: microseconds a task by part, and the top lines of a profile.

    python -m tests.benchmarks.parts [MODE ...]

admit: read tasks, find repeats, make a batch. dispatch: hand it to the runner. call: make the calls
and wait for them (in thread and process mode they are made elsewhere, and this is the wait).
finish: decide on outcomes. record: tell the observers, results among them. The profile is of the
thread that called `start`.
"""

from __future__ import annotations

import cProfile
import io
import pstats
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from task_manager import TaskManager
from task_manager._run.recorder import Recorder
from task_manager._run.run import Run
from task_manager._runners import MODES

from .ours import fitting

TASKS = 200_000
TOP = 8


class Stopwatch:
    """Seconds by part. What is measured inside another part is taken off that one."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._inner = [0.0]

    def watch(self, part: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any) -> Any:
            self._inner.append(0.0)
            began = time.perf_counter()
            try:
                return method(*args)
            finally:
                took = time.perf_counter() - began
                self.seconds[part] += took - self._inner.pop()
                self._inner[-1] += took

        return watched

    def watch_awaited(self, part: str, method: Callable[..., Any]) -> Callable[..., Any]:
        async def watched(*args: Any) -> Any:
            began = time.perf_counter()
            try:
                return await method(*args)
            finally:
                self.seconds[part] += time.perf_counter() - began

        return watched


@contextmanager
def watched(mode: str) -> Iterator[Stopwatch]:
    watch = Stopwatch()
    runner = MODES[mode].load()
    wait = watch.watch_awaited if MODES[mode].awaits else watch.watch
    with (
        mock.patch.object(Run, "next_batch", watch.watch("admit", Run.next_batch)),
        mock.patch.object(Run, "finish", watch.watch("finish", Run.finish)),
        mock.patch.object(Recorder, "record", watch.watch("record", Recorder.record)),
        mock.patch.object(runner, "submit", watch.watch("dispatch", runner.submit)),
        mock.patch.object(runner, "collect", wait("call", runner.collect)),
    ):
        yield watch


def main(modes: list[str]) -> None:
    print("| mode | all | admit | dispatch | call | finish | record |\n|---|--:|--:|--:|--:|--:|--:|")
    profiles = {}
    for mode in modes or list(MODES):
        with TaskManager(**fitting(mode), logger=None) as manager:
            manager.start(range(-1000, 0))
            with watched(mode) as watch:
                seconds = manager.start(range(TASKS)).seconds
            parts = [watch.seconds[part] for part in ("admit", "dispatch", "call", "finish", "record")]
            figures = [f"{part / TASKS * 1e6:.2f}" for part in (seconds, *parts)]
            print(f"| {mode} | {' | '.join(figures)} |", flush=True)
            profile = cProfile.Profile()
            profile.runcall(manager.start, range(TASKS, 2 * TASKS))
            text = io.StringIO()
            pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(TOP)
            profiles[mode] = text.getvalue()
    for mode, text in profiles.items():
        lines = [line for line in text.splitlines() if line.strip()]
        print(f"\n{mode}\n" + "\n".join(lines[-TOP - 1 :]))


if __name__ == "__main__":
    main(sys.argv[1:])
