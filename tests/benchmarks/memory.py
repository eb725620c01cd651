"""By how many MB a process grows while it runs tasks and keeps nothing.

    python -m tests.benchmarks.memory MODE COUNT LOG [stream | ordered]

LOG: The folder of the log, or "-" for none. The last: A loop over a stream, in the place of `start`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from task_manager import TaskManager

from .ours import fitting, log_of

MB = 1e6


def main(mode: str, count: int, log: str | None, stream: str = "") -> None:
    with TaskManager(
        **fitting(mode), logger=log_of(log), keep_results=False, deduplicate=False
    ) as manager:

        def run(tasks: Iterator[int]) -> int:
            if not stream:
                return manager.start(tasks).succeeded
            return sum(outcome.ok for outcome in manager.stream(tasks, ordered=stream == "ordered"))

        run(task for task in range(100))  # the workers are there, all is imported
        before = psutil.Process().memory_info().rss
        succeeded = run(task for task in range(count))
    assert count == succeeded
    print(max(0, _peak() - before) / MB)


def _peak() -> int:
    """The most bytes that this process ever had in memory; getrusage would count its parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this platform does not tell VmHWM in /proc/self/status")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), None if sys.argv[3] == "-" else sys.argv[3], *sys.argv[4:])
