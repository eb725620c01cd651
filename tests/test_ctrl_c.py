"""A Ctrl-C at any moment: no task is lost, none has two outcomes, and the next run takes up the rest."""

# ruff: noqa: PT012 - a Ctrl-C comes between two steps

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import functions as f
import task_manager
from task_manager import TaskChain, TaskManager
from task_manager._ctrl_c import CtrlC

PACKAGE = str(Path(task_manager.__file__).parent)
TASKS = 30


@contextlib.contextmanager
def pressed_at_line(number: int) -> Iterator[list[int]]:
    """Ctrl-C at the line of this number that runs in the package; answers how many ran."""
    lines = [0]

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            lines[0] += 1
            if lines[0] == number:
                os.kill(os.getpid(), signal.SIGINT)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield lines
    finally:
        sys.settrace(before)


class Hooked(TaskManager):
    def get_args(self, task: int) -> Any:
        return (task,)

    def process_result(self, task: int, result: int) -> int:
        return result


def manager_of(
    way: str,
) -> tuple[TaskManager, Callable[[Any], Any], Callable[[], Any], Callable[[], Any]]:
    """A manager or the last one of a chain that goes this way, and its start, results and summary."""
    options: dict[str, Any] = {"logger": None, "retry_delay": 0.0}
    if way.startswith("chain"):
        stages = [TaskManager(f.same, **options), TaskManager(f.same, **options)]
        chain = TaskChain(stages, way.split()[1])
        return stages[1], chain.start_chain, chain.get_final_result_dict, chain.get_summary
    kind = Hooked if way == "hooks" else TaskManager
    mode = "serial" if way == "hooks" else way
    manager = kind(f.same, mode, worker_limit=1, **options)
    return manager, manager.start, manager.get_result_dict, manager.get_summary


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("way", "every"), [("serial", 5), ("hooks", 11), ("thread", 23), ("chain serial", 37)]
)
def test_f09_a_ctrl_c_at_any_line_loses_no_task(way: str, every: int) -> None:
    """Counts and results agree, and a second start answers for what the first one did not."""
    number, over = every, False
    while not over:
        manager, start, results, summary = manager_of(way)
        interrupted = False
        with pressed_at_line(number) as lines:
            try:
                start(iter(range(TASKS)))
            except KeyboardInterrupt:
                interrupted = True
        over = lines[0] < number
        first = summary()
        if interrupted and first.taken:
            assert len(results()) == first.succeeded, f"at line {number}"
        start(range(TASKS))

        assert {n: n for n in range(TASKS)} == dict(results()), f"at line {number}"
        manager.shutdown_pools()  # an exception out of a trace function leaves frames behind
        number += every


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_it_waits_until_something_may_be_interrupted() -> None:
    """Between two such places it is held back, and raised at the next one."""
    ctrl_c = CtrlC()
    steps = []
    with pytest.raises(KeyboardInterrupt), ctrl_c.held():
        press()
        steps.append("after the press")
        ctrl_c.through(steps.append, "called")

    assert ["after the press"] == steps
    assert signal.default_int_handler is signal.getsignal(signal.SIGINT)


def test_it_is_raised_where_it_is_let_through() -> None:
    """A wait or a call of the user's ends at once."""
    ctrl_c = CtrlC()
    with ctrl_c.held(), pytest.raises(KeyboardInterrupt):
        ctrl_c.through(press)

    assert not ctrl_c.allowed


def test_it_is_raised_at_the_end_at_the_latest() -> None:
    """What was pressed during the last step is not lost."""
    ctrl_c = CtrlC()
    with pytest.raises(KeyboardInterrupt), ctrl_c.held():
        press()


def test_the_second_one_does_not_wait() -> None:
    """Whatever holds the first one back may be stuck, once its patience is over."""
    ctrl_c = CtrlC(patience=0.0)
    steps = []
    with pytest.raises(KeyboardInterrupt), ctrl_c.held():
        press()
        steps.append("first")
        press()
        steps.append("second")

    assert ["first"] == steps


def test_a_handler_of_the_users_is_called_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it raises nothing."""
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        ctrl_c = CtrlC()
        with ctrl_c.held():
            press()
            ctrl_c.through(press)
        press()
    finally:
        signal.signal(signal.SIGINT, before)

    assert [signal.SIGINT] * 3 == heard


def test_other_threads_leave_it_alone() -> None:
    """Only the main thread hears it."""
    handlers: list[Any] = []

    def look() -> None:
        with CtrlC().held():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

    assert [signal.getsignal(signal.SIGINT)] == handlers


def test_f09_what_an_iterator_had_given_is_counted() -> None:
    """A Ctrl-C while the input waits: what was read for a batch is not started, and said to be so."""

    def tasks() -> Iterator[int]:
        yield from range(2000)
        press()
        yield 2000

    manager = TaskManager(f.same, logger=None)
    with pytest.raises(KeyboardInterrupt):
        manager.start(tasks())

    assert 2000 == manager.get_summary().taken


def interrupt_at_five(x: int) -> int:
    if x == 5:
        raise KeyboardInterrupt
    return x


def test_f09_a_chain_counts_what_it_has_not_started() -> None:
    """What entered and has no outcome; every task that was taken is in one count."""
    chain = TaskChain([TaskManager(interrupt_at_five, logger=None), TaskManager(f.same, logger=None)])
    with pytest.raises(KeyboardInterrupt):
        chain.start_chain(range(10))
    summary = chain.get_summary()

    assert (0, 0) == (summary.succeeded, summary.failed)
    assert 6 <= summary.not_started <= 10
