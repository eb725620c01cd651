"""What had begun when a run was broken off: in every mode, by a Ctrl-C from a timer; never too few."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from scripts import Script

SCRIPT = """
import asyncio, os, pathlib, signal, threading, time
from task_manager import TaskChain, TaskManager

def work(n):
    (pathlib.Path("begun") / str(n)).touch()
    time.sleep({seconds})
    return n

async def work_async(n):
    (pathlib.Path("begun") / str(n)).touch()
    await asyncio.sleep({seconds})
    return n

def same(n):
    return n

def some_have_begun():
    while len(os.listdir("begun")) < {enough}:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)

def stage(func, mode="serial", workers=None):
    return TaskManager(func, mode, workers, logger=None, start_method={method!r})

if __name__ == "__main__":
    os.mkdir("begun")
    how = {how!r}
    if "chain" in how:
        chain = TaskChain([stage(work, "thread", 2), stage(same)], how.rpartition(" ")[2])
        start, results, summary = chain.start_chain, chain.get_final_result_dict, chain.get_summary
        if how.startswith("awaited"):
            start = lambda tasks: asyncio.run(chain.start_chain_async(tasks))
    else:
        mode = how.removeprefix("awaited ")
        manager = stage(work_async if mode == "async" else work, mode, None if mode == "serial" else 3)
        results, summary = manager.get_result_dict, manager.get_summary
        start = manager.start
        if how.startswith("awaited"):
            start = lambda tasks: asyncio.run(manager.start_async(tasks))
    timer = threading.Timer(0.0, some_have_begun)
    timer.daemon = True
    timer.start()
    try:
        start(range(3000))
    except KeyboardInterrupt:
        end = summary()
    if how.endswith("chain serial"):
        time.sleep(0.3)  # threads that are left alone end their calls
    begun = set(map(int, os.listdir("begun"))) - set(results())
    print(len(begun), end.interrupted, end.not_started, end.ended_early)
"""
HOWS = ["serial", "thread", "async", "process", "chain serial", "chain thread", "chain process"]
AWAITED = ["awaited serial", "awaited thread", "awaited process"]
AWAITED += ["awaited chain serial", "awaited chain process"]
CASES = [(how, "fork") for how in HOWS + AWAITED]
CASES += [(how, method) for how in ("process", "chain process") for method in ("spawn", "forkserver")]


@pytest.mark.parametrize(("how", "method"), CASES)
@pytest.mark.parametrize(("seconds", "enough"), [(0.12, 6), (0.0002, 150)])
def test_what_had_begun_is_counted(
    how: str, method: str, seconds: float, enough: int, script: Callable[[str], Script]
) -> None:
    """No task whose call had begun is taken for safe to repeat, and few others are not."""
    running = script(SCRIPT.format(how=how, method=method, seconds=seconds, enough=enough))
    out, err = running.process.communicate(timeout=50)
    match = re.fullmatch(r"(\d+) (\d+) (\d+) (\S+)\n", out)

    assert match is not None, (out, err)
    begun, interrupted, not_started = map(int, match.groups()[:3])
    assert begun <= interrupted <= not_started
    assert match[4] in ("KeyboardInterrupt", "asyncio.exceptions.CancelledError")
    if seconds > 0.1 and "chain" not in how:
        assert interrupted <= begun + 1
