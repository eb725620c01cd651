"""stop() at any moment: every task is accounted for, and a second start runs the rest."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import functions as f
import task_manager
from stopping import STARTS, Counted, Managed, accounts, beside, start
from task_manager import TaskChain

PACKAGE = str(Path(task_manager.__file__).parent)
MOMENTS = int(os.environ.get("TASK_MANAGER_MOMENTS", "2"))  # of each kind; more of them by hand
TASKS = 400


def work(task: int) -> int:
    """Mostly tiny, some of a few milliseconds."""
    if task % 7 == 0:
        time.sleep(0.003)
    return task


def settles(manager: Managed, how: str, stops: int, moment: float) -> None:
    """Stop a start after so many seconds, and start again until nothing is left."""
    tasks = Counted(range(TASKS))

    def stop() -> None:
        time.sleep(moment)
        for _ in range(stops):
            manager.stop()

    with beside(stop):
        summary = start(manager, how, tasks)
    again = start(manager, how, range(TASKS))

    assert tasks.given == summary.taken
    assert accounts(summary)
    assert (summary.ended_early is None) == (summary.taken == TASKS and not summary.not_started)
    assert TASKS == summary.succeeded + again.succeeded
    assert again.duplicates == summary.succeeded
    assert {n: n for n in range(TASKS)} == manager.get_result_dict()


@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("stops", [1, 2])
@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("mode", f.MODES)
def test_f37_at_a_random_moment(mode: str, how: str, stops: int, moment: int) -> None:
    """From another thread, once or twice."""
    chance = random.Random(f"{mode} {how} {stops} {moment}")
    with f.manager_of(work, mode) as manager:
        settles(manager, how, stops, chance.random() * (0.3 if mode == "process" else 0.1))


@contextlib.contextmanager
def signal_at_line(line: int) -> Iterator[None]:
    """A SIGUSR1 at the line of this count that the main thread runs in the package."""
    lines = 0
    home, main = os.getpid(), threading.main_thread()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal lines
        if os.getpid() != home or not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line" and threading.current_thread() is main:
            lines += 1
            if lines == line:
                os.kill(home, signal.SIGUSR1)
        return trace

    def untraced() -> None:
        if sys.gettrace() is trace:
            sys.settrace(None)

    before = sys.gettrace()  # that of a measurement of coverage
    os.register_at_fork(after_in_child=untraced)
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("stops", [1, 2])
@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("mode", f.MODES)
def test_f37_in_a_handler_at_a_random_line(mode: str, how: str, stops: int, moment: int) -> None:
    """Between any two steps of the run itself: nothing is torn, no task is lost."""
    chance = random.Random(f"{mode} {how} {stops} {moment} line")
    manager = f.manager_of(work, mode)

    def handler(number: int, frame: FrameType | None) -> None:
        for _ in range(stops):
            manager.stop()

    before = signal.signal(signal.SIGUSR1, handler)
    tasks = Counted(range(60))
    try:
        with manager:
            with signal_at_line(chance.randrange(20, 3000)):
                summary = start(manager, how, tasks)
            again = start(manager, how, range(60))
            results = dict(manager.get_result_dict())
    finally:
        signal.signal(signal.SIGUSR1, before)

    # The second one may interrupt the iterator itself, as it has counted a task and not given it.
    assert tasks.given - summary.taken in range(stops)
    assert accounts(summary)
    assert 60 == summary.succeeded + again.succeeded
    assert {n: n for n in range(60)} == results


def chain_of(chain_mode: str, mode: str) -> TaskChain[Any, Any]:
    stages = [f.stage(work, mode, worker_limit=2) for _ in range(3)]
    return TaskChain(stages, chain_mode)  # type: ignore[arg-type]


@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("stops", [1, 2])
@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("mode", ["serial", "thread"])
@pytest.mark.parametrize("chain_mode", f.CHAIN_MODES)
def test_f37_a_chain_at_a_random_moment(
    chain_mode: str, mode: str, how: str, stops: int, moment: int
) -> None:
    """What has arrived is kept, the rest is not started, and none of it has vanished."""
    chance = random.Random(f"{chain_mode} {mode} {how} {stops} {moment}")
    chain = chain_of(chain_mode, mode)
    tasks = Counted(range(TASKS))
    wait = chance.random() * (0.6 if chain_mode == "process" else 0.3)

    def stop() -> None:
        time.sleep(wait)
        for _ in range(stops):
            chain.stop()

    with beside(stop):
        summary = start(chain, how, tasks)

    assert tasks.given == summary.taken
    assert accounts(summary)
    assert summary.succeeded == len(chain.get_final_result_dict())
    assert not chain.get_final_error_dict()
    again = start(chain, how, range(TASKS))

    assert (TASKS, None) == (again.succeeded, again.ended_early)
