"""Copies that somebody forks while a manager or a chain is at work: F33."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from functions import WAYS
from scripts import Script

COPY = """
import os, sys, threading, warnings
from task_manager import TaskChain, TaskLogger, TaskManager

warnings.simplefilter('ignore')  # CPython 3.12 warns of a fork beside threads
pids = []

def fork(place):
    if place != 'PLACE' or pids:
        return
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        END
    pids.append(pid)

def same(x):
    return x

async def awaited(x):
    return x

class Manager(TaskManager):
    def get_args(self, task):
        if os.getpid() == script:
            fork('get_args')
        return (task,)
    def process_result(self, task, result):
        if os.getpid() == script and task == 30:
            fork('process_result')
        return result
    def handle_error(self):
        if os.getpid() == script:
            fork('handle_error')

class Task:
    def __init__(self, n):
        self.n = n
    def __reduce__(self):
        fork('pickle')
        return int, (self.n,)

def tasks():
    for n in range(60):
        if n == 30:
            fork('input')
            if 'PLACE' == 'thread' and not pids:
                thread = threading.Thread(target=fork, args=('thread',))
                thread.start()
                thread.join()
        yield Task(n) if 'PLACE' == 'pickle' else n

script = os.getpid() if __name__ == '__main__' else 0

if __name__ == '__main__':
    way = 'WAY'
    if way == 'chain':
        stages = [Manager(same, logger=None), Manager(same, 'process', 2, logger=None)]
        chain = TaskChain(stages, 'process')
        start, shutdown = chain.start_chain, int
    else:
        mode = way if way in ('serial', 'thread', 'async') else 'process'
        options = {'start_method': way} if mode == 'process' else {}
        func = awaited if mode == 'async' else same
        manager = Manager(func, mode, 2, logger=TaskLogger('logs'), show_progress=True, **options)
        start, shutdown = manager.start, manager.shutdown_pools
    first = start(tasks())
    fork('idle')
    if not pids:
        sys.exit(3)  # the copy, where nobody but itself ends it
    second = start(range(100, 130))
    _, status = os.waitpid(pids[0], 0)
    third = start(range(200, 230))
    shutdown()
    print(first.succeeded, second.succeeded, third.succeeded, os.waitstatus_to_exitcode(status))
    logs = [open('logs/' + name).read() for name in os.listdir('logs')] if way != 'chain' else []
    print(sum(log.count('run begins') for log in logs), sum(log.count('run ends') for log in logs))
"""

EXIT, RETURN = "sys.exit(3)", "return"
HOOKS = ["get_args", "process_result", "input", "handle_error", "idle"]

CASES = [
    *((way, place, EXIT, 3) for way in ("serial", "thread", "async", "fork") for place in HOOKS),
    *((way, "process_result", RETURN, 0) for way in WAYS),
    *((way, "input", RETURN, 0) for way in ("serial", "async", "fork", "chain")),
    *((way, "handle_error", RETURN, 3) for way in ("thread", "fork")),
    # In a copy no run takes in what would end it: a SystemExit ends it, also while a task is pickled.
    *((way, "pickle", EXIT, 3) for way in ("fork", "chain")),
    *((way, "thread", EXIT, 0) for way in ("fork", "chain")),  # the thread ends, and with it the copy
    ("chain", "input", EXIT, 3),
    ("chain", "idle", EXIT, 3),
    ("spawn", "idle", EXIT, 3),
    ("forkserver", "idle", EXIT, 3),
]


@pytest.mark.parametrize(("way", "place", "end", "code"), CASES)
def test_f33_a_copy_ends_without_a_word_and_without_harm(
    way: str, place: str, end: str, code: int, script: Callable[[str], Script]
) -> None:
    """Nothing is printed or logged by it, its exit code is its own, and the parent loses no task.

    A copy that goes on in the run ends there; one that leaves the run by its own means may go on.
    """
    running = script(COPY.replace("PLACE", place).replace("END", end).replace("WAY", way))
    out, err = running.process.communicate(timeout=40)
    runs = 0 if way == "chain" else 3
    words = [line for line in err.replace("\r", "\n").split("\n") if line.strip()]

    assert f"60 30 30 {code}\n{runs} {runs}\n" == out, err
    assert [] == [line for line in words if not line.startswith("Processing:")]
    assert [] == running.left_after(5)
