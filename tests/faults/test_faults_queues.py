"""Queues as input when things go wrong: signals between two steps of one, and those who lie to it."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

import functions as f
from task_manager import END, TaskManager

TASKS = 12


@contextlib.contextmanager
def interrupted_at(line: int) -> Iterator[list[int]]:
    """A Ctrl-C at the line of this count that runs in queue.py or queues.py; answers how many ran."""
    lines = [0]

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if os.path.basename(frame.f_code.co_filename) not in ("queue.py", "queues.py"):
            return trace if event == "call" else None
        if event == "line":
            lines[0] += 1
            if lines[0] == line:
                os.kill(os.getpid(), signal.SIGINT)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield lines
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("kind", [queue.Queue, queue.SimpleQueue])
@pytest.mark.parametrize("mode", ["serial", "thread"])
def test_f26_a_ctrl_c_between_a_queue_and_the_run_loses_no_task(mode: str, kind: Any) -> None:
    """Each task is in the queue, done, or not started, wherever in `get` the signal came."""
    line, over = 3, False
    while not over:
        tasks = kind()
        for n in range(TASKS):
            tasks.put(n)
        tasks.put(END)
        stopped = False
        with f.manager_of(f.same, mode) as manager:
            with interrupted_at(line) as lines:
                try:
                    manager.start(tasks)
                except KeyboardInterrupt:
                    stopped = True
            summary = manager.get_summary()
            left = tasks.qsize()
            has_end = left and stopped and END in [tasks.get() for _ in range(left)]
            over, line = lines[0] < line, line + 17

            assert TASKS == summary.taken + left - bool(has_end)
            assert {n: n for n in range(TASKS)}.items() >= manager.get_result_dict().items()
            assert len(manager.get_result_dict()) == summary.succeeded


def test_f26_a_time_limit_of_the_script_ends_a_run_that_waits() -> None:
    """A time limit by a signal's handler ends a run that waits on an empty queue."""

    class Limit(Exception):
        pass

    def limit(number: int, frame: FrameType | None) -> None:
        raise Limit

    before = signal.signal(signal.SIGUSR1, limit)
    timer = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGUSR1])
    timer.start()
    try:
        with pytest.raises(Limit):
            TaskManager(f.same, logger=None).start(queue.Queue())
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


def test_task_done_that_is_said_twice_ends_no_run() -> None:
    """By the user's hook as well: one warning, and all results."""
    tasks: queue.Queue[int] = queue.Queue()
    for n in range(5):
        tasks.put(n)
    tasks.put(END)

    class Doubles(TaskManager):
        def process_result(self, task: int, result: int) -> int:
            tasks.task_done()
            return result

    manager = Doubles(f.same, logger=None)
    with pytest.warns(
        RuntimeWarning, match=r"the task_done of the queue failed .* called too many times"
    ):
        summary = manager.start(tasks)

    assert 5 == summary.succeeded


@pytest.mark.parametrize("mode", f.MODES)
def test_f13_a_full_queue_never_blocks_its_producer_for_good(mode: str) -> None:
    """A queue of one place and a fast producer: all get through."""
    tasks: queue.Queue[Any] = queue.Queue(maxsize=1)

    def produce() -> None:
        for n in range(300):
            tasks.put(n)
        tasks.put(END)

    thread = threading.Thread(target=produce)
    thread.start()
    with f.manager_of(f.same, mode) as manager:
        summary = manager.start(tasks)
    thread.join()

    assert 300 == summary.succeeded
